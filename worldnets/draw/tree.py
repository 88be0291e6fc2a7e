"""Where a picture puts the nodes of a rooted tree: every node centred over its children, siblings as near as they fit.

Source: Reingold & Tilford 1981, "Tidier drawings of trees", in the form for boxes of different widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worldnets.layout import Point, Size


def tidy(parents: Sequence[int], sizes: Sequence[Size], gap: Size) -> tuple[list[Point], Size]:
    """Centres of the boxes of a tree, root above, tops of a level in line, and the size of the whole.

    Args:
        parents: position of each node's parent, negative for the root. Children stand before their parents.
        sizes: width and height of each node.
        gap: room between neighbours of one level, and between levels.
    """
    count = len(parents)
    if not count:
        return [], (0.0, 0.0)
    children: list[list[int]] = [[] for _ in range(count)]
    depth = [0] * count
    for node in range(count - 1, -1, -1):
        if parents[node] >= 0:
            depth[node] = depth[parents[node]] + 1
            children[parents[node]].append(node)
    levels = max(depth) + 1
    heights = [0.0] * levels
    for node in range(count):
        heights[depth[node]] = max(heights[depth[node]], sizes[node][1])
    tops = [sum(heights[:d]) + d * gap[1] for d in range(levels)]

    # Outlines of each finished subtree, from its root downwards, relative to the root's centre.
    left: list[list[float]] = [[] for _ in range(count)]
    right: list[list[float]] = [[] for _ in range(count)]
    offset = [0.0] * count  # of a node from its parent
    for node in range(count):
        placed: list[float] = []
        outline_left: list[float] = []
        outline_right: list[float] = []
        for child in children[node]:
            shared = zip(outline_right, left[child], strict=False)
            at = max((a - b + gap[0] for a, b in shared), default=0.0)
            for level, (low, high) in enumerate(zip(left[child], right[child], strict=True)):
                if level < len(outline_right):
                    outline_right[level] = at + high
                else:
                    outline_left.append(at + low)
                    outline_right.append(at + high)
            placed.append(at)
            left[child] = right[child] = []
        middle = (placed[0] + placed[-1]) / 2 if placed else 0.0
        for child, at in zip(children[node], placed, strict=True):
            offset[child] = at - middle
        half = sizes[node][0] / 2
        left[node] = [-half, *(x - middle for x in outline_left)]
        right[node] = [half, *(x - middle for x in outline_right)]
    x = [0.0] * count
    for node in range(count - 1, -1, -1):
        x[node] = x[parents[node]] + offset[node] if parents[node] >= 0 else 0.0
    edge = min(x[node] - sizes[node][0] / 2 for node in range(count))
    width = max(x[node] + sizes[node][0] / 2 for node in range(count)) - edge
    centres = [(x[node] - edge, tops[depth[node]] + sizes[node][1] / 2) for node in range(count)]
    return centres, (width, tops[-1] + heights[-1])
