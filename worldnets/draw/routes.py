"""How arrows run between boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from worldnets.layout import Edge, Layout, Point, Size


def ports(
    edges: Sequence[Edge], sizes: Mapping[str, Size], layout: Layout, apart: float
) -> dict[Edge, tuple[Point, Point]]:
    """Where each arrow leaves its parent's lower side and meets its child's upper side, ordered by the far ends.

    Arrows of one side are `apart`, or nearer where the side is short.
    """
    leaving, arriving = defaultdict(list), defaultdict(list)
    for edge in edges:
        via = [x for x, _ in layout.routes.get(edge, ())]
        leaving[edge[0]].append(((via or [layout.centres[edge[1]][0]])[0], edge))
        arriving[edge[1]].append(((via or [layout.centres[edge[0]][0]])[-1], edge))
    starts: dict[Edge, Point] = {}
    ends: dict[Edge, Point] = {}
    for places, side, table in ((leaving, 1, starts), (arriving, -1, ends)):
        for v, far in places.items():
            (x, y), (width, height) = layout.centres[v], sizes[v]
            room = min(0.6 * width, apart * (len(far) - 1))
            offsets = np.linspace(-room / 2, room / 2, len(far)) if len(far) > 1 else [0.0]
            for offset, (_, edge) in zip(offsets, sorted(far), strict=True):
                table[edge] = (x + float(offset), y + side * height / 2)
    return {edge: (starts[edge], ends[edge]) for edge in edges}


def flowing(points: Sequence[Point], shift: float = 0.0) -> str:
    """The path data of a smooth curve through points that go down, vertical at each, moved `shift` to the right."""
    parts = [f"M{points[0][0] + shift:.1f} {points[0][1]:.1f}"]
    for (xa, ya), (xb, yb) in pairwise(points):
        bend = 0.5 * (yb - ya)
        curve = ((xa, ya + bend), (xb, yb - bend), (xb, yb))
        parts.append("C" + " ".join(f"{x + shift:.1f} {y:.1f}" for x, y in curve))
    return "".join(parts)
