"""Where a picture puts the nodes of a net: layers for static nets, one column per frame for clips.

Pure geometry in inches, x to the right and y downwards; nothing here knows how a node is painted.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, linprog
from scipy.sparse import csr_array

from worldnets.temporal import frame_name

Edge = tuple[str, str]
Point = tuple[float, float]
Size = tuple[float, float]
_Node = str | tuple[str, str, int]  # a variable, or the place where a long arrow (from, to) crosses a layer

_FRAME = re.compile(r"(.+)_(\d+)")
_SWEEPS = 24


@dataclass(frozen=True)
class Layout:
    """Places of a net's nodes.

    Attributes:
        centres: centre of each variable's box.
        routes: for each arrow that passes layers on its way, the points it goes through, two a layer.
        size: width and height of the whole, margins included.
        columns: for clips, frame number → (left, right) of its column.
    """

    centres: Mapping[str, Point]
    routes: Mapping[Edge, tuple[Point, ...]]
    size: Size
    columns: Mapping[int, tuple[float, float]]


def split_frames(variables: Sequence[str]) -> dict[str, tuple[str, int]] | None:
    """For a clip's variables, name → (template variable, frame); None unless all are frame names of 1..T, T ≥ 2."""
    matches = [_FRAME.fullmatch(variable) for variable in variables]
    found = {m[0]: (m[1], int(m[2])) for m in matches if m and frame_name(m[1], int(m[2])) == m[0]}
    frames = {frame for _, frame in found.values()}
    if len(found) < len(variables) or len(frames) < 2 or frames != set(range(1, len(frames) + 1)):
        return None
    return found


def layered(
    edges: Sequence[Edge], sizes: Mapping[str, Size], gap: Size = (0.18, 0.42), widest: int | None = None
) -> Layout:
    """Parents above children: longest-path layers, few crossings, every box near the middle of its neighbours.

    Args:
        edges: the arrows of an acyclic graph over `sizes`.
        sizes: width and height of each node's box.
        gap: room between two boxes of a layer, and between two layers.
        widest: layers of more boxes than this are wrapped onto several rows.

    Source: Sugiyama, Tagawa & Toda 1981, Methods for visual understanding of hierarchical system structures; Gansner,
    Koutsofios, North & Vo 1993, A technique for drawing directed graphs, section 4.1 (the horizontal places).
    """
    depth = _depths(edges, list(sizes))
    if widest is not None:
        depth = _wrapped(depth, widest)
    layers, chains = _with_bends(edges, depth)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    layers = _fewest_crossings(layers, links)
    x = _horizontal(layers, links, sizes, gap[0])
    half = {node: sizes[node][0] / 2 if isinstance(node, str) else 0.0 for node in x}
    left = min(x[node] - half[node] for node in x)
    right = max(x[node] + half[node] for node in x)
    heights = [max((sizes[node][1] for node in layer if isinstance(node, str)), default=0.0) for layer in layers]
    tops = np.cumsum([0.0, *(height + gap[1] for height in heights)])
    margin = gap[0] / 2
    across = {node: float(x[node] - left + margin) for node in x}
    centre = {node: float(tops[i] + heights[i] / 2 + margin) for i, layer in enumerate(layers) for node in layer}
    routes: dict[Edge, tuple[Point, ...]] = {}
    for edge, chain in chains.items():
        # Straight down beside the boxes of a layer, bending only between layers.
        bends = [(node, heights[node[2]] / 2) for node in chain if not isinstance(node, str)]
        ends = [(across[node], centre[node] + side) for node, half in bends for side in (-half, half)]
        if ends:
            routes[edge] = tuple(ends)
    return Layout(
        centres={node: (across[node], centre[node]) for node in sizes},
        routes=routes,
        size=(float(right - left + 2 * margin), float(tops[-1] - gap[1] + 2 * margin)),
        columns={},
    )


def framed(
    edges: Sequence[Edge],
    sizes: Mapping[str, Size],
    frames: Mapping[str, tuple[str, int]],
    gap: Size = (0.14, 0.34),
    widest: int = 3,
) -> Layout:
    """A clip as columns: every frame is laid out alike, by the arrows inside frames, and frames stand side by side.

    Args:
        edges, sizes, gap, widest: as for `layered`.
        frames: what `split_frames` says of the variables.
    """
    room: dict[str, Size] = {}
    for variable, (base, _) in frames.items():
        width, height = room.get(base, (0.0, 0.0))
        room[base] = (max(width, sizes[variable][0]), max(height, sizes[variable][1]))
    inside = {(frames[a][0], frames[b][0]) for a, b in edges if frames[a][1] == frames[b][1]}
    order = list(room)
    slice_ = layered(sorted(inside, key=lambda e: (order.index(e[0]), order.index(e[1]))), room, gap, widest)
    width, height = slice_.size
    between = 0.34
    step = width + between
    offset = {frame: (frame - 1) * step + between / 2 for frame in {frame for _, frame in frames.values()}}
    centres = {v: (slice_.centres[b][0] + offset[t], slice_.centres[b][1]) for v, (b, t) in frames.items()}
    routes = {
        (a, b): tuple((x + offset[frames[a][1]], y) for x, y in slice_.routes[frames[a][0], frames[b][0]])
        for a, b in edges
        if frames[a][1] == frames[b][1] and (frames[a][0], frames[b][0]) in slice_.routes
    }
    columns = {frame: (left, left + width) for frame, left in sorted(offset.items())}
    return Layout(centres, routes, (step * len(offset), height), columns)


def _depths(edges: Sequence[Edge], nodes: Sequence[str]) -> dict[str, int]:
    parents: dict[str, list[str]] = {node: [] for node in nodes}
    children: dict[str, list[str]] = {node: [] for node in nodes}
    for a, b in edges:
        parents[b].append(a)
        children[a].append(b)
    waiting = {node: len(parents[node]) for node in nodes}
    ready = [node for node in nodes if not waiting[node]]
    depth: dict[str, int] = {}
    for node in ready:
        depth[node] = max((depth[parent] + 1 for parent in parents[node]), default=0)
        for child in children[node]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    # A cause drawn far above its only effects makes long arrows: lower it to just above the first of them.
    for node in reversed(ready):
        if children[node] and len(parents[node]) <= len(children[node]):
            depth[node] = min(depth[child] for child in children[node]) - 1
    lowest = min(depth.values())
    depth = {node: d - lowest for node, d in depth.items()}
    # Boxes without arrows stand below the rest, in rows no longer than the others.
    alone = [node for node in nodes if not parents[node] and not children[node]]
    if 0 < len(alone) < len(nodes):
        joined = [d for node, d in depth.items() if parents[node] or children[node]]
        longest = max(4, *(joined.count(d) for d in set(joined)))
        depth.update({node: max(joined) + 1 + i // longest for i, node in enumerate(alone)})
    return depth


def _wrapped(depth: Mapping[str, int], widest: int) -> dict[str, int]:
    wrapped, row = {}, 0
    for d in sorted(set(depth.values())):
        members = [node for node in depth if depth[node] == d]
        rows = -(-len(members) // widest)
        per_row = -(-len(members) // rows)
        wrapped.update({node: row + i // per_row for i, node in enumerate(members)})
        row += rows
    return {node: wrapped[node] for node in depth}


def _with_bends(
    edges: Sequence[Edge], depth: Mapping[str, int]
) -> tuple[list[list[_Node]], dict[Edge, tuple[_Node, ...]]]:
    layers: list[list[_Node]] = [[] for _ in range(max(depth.values()) + 1)]
    for node, d in depth.items():
        layers[d].append(node)
    chains: dict[Edge, tuple[_Node, ...]] = {}
    for a, b in edges:
        bends = [(a, b, d) for d in range(depth[a] + 1, depth[b])]
        for bend in bends:
            layers[bend[2]].append(bend)
        chains[a, b] = (a, *bends, b)
    return layers, chains


def _fewest_crossings(layers: list[list[_Node]], links: Sequence[tuple[_Node, _Node]]) -> list[list[_Node]]:
    up: dict[_Node, list[_Node]] = {node: [] for layer in layers for node in layer}
    down: dict[_Node, list[_Node]] = {node: [] for node in up}
    for a, b in links:
        up[b].append(a)
        down[a].append(b)
    best, fewest = layers, _crossings(layers, down)
    for sweep in range(_SWEEPS):
        layers = [list(layer) for layer in layers]
        downwards = sweep % 2 == 0
        near = up if downwards else down
        for i in range(1, len(layers)) if downwards else range(len(layers) - 2, -1, -1):
            fixed = {node: p for p, node in enumerate(layers[i - 1 if downwards else i + 1])}
            layers[i] = _by_barycentre(layers[i], near, fixed)
        _swap_neighbours(layers, up, down)
        crossings = _crossings(layers, down)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _by_barycentre(
    layer: Sequence[_Node], near: Mapping[_Node, list[_Node]], fixed: Mapping[_Node, int]
) -> list[_Node]:
    wish = {}
    for place, node in enumerate(layer):
        at = [fixed[other] for other in near[node] if other in fixed]
        wish[node] = sum(at) / len(at) if at else place * len(fixed) / len(layer)
    return sorted(layer, key=wish.__getitem__)


def _swap_neighbours(
    layers: list[list[_Node]], up: Mapping[_Node, list[_Node]], down: Mapping[_Node, list[_Node]]
) -> None:
    position = {node: p for layer in layers for p, node in enumerate(layer)}
    for _ in range(4):
        better = False
        for layer in layers:
            for p in range(len(layer) - 1):
                a, b = layer[p], layer[p + 1]
                now = swapped = 0
                for near in (up, down):
                    for i in (position[node] for node in near[a]):
                        for j in (position[node] for node in near[b]):
                            now += i > j
                            swapped += j > i
                if swapped < now:
                    layer[p], layer[p + 1] = b, a
                    position[a], position[b] = p + 1, p
                    better = True
        if not better:
            return


def _crossings(layers: Sequence[Sequence[_Node]], down: Mapping[_Node, list[_Node]]) -> int:
    total = 0
    for upper, lower in pairwise(layers):
        position = {node: p for p, node in enumerate(lower)}
        seen: list[int] = []
        for node in upper:
            ends = sorted(position[child] for child in down[node] if child in position)
            total += sum(len(seen) - bisect_left(seen, end + 1) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _horizontal(
    layers: Sequence[Sequence[_Node]], links: Sequence[tuple[_Node, _Node]], sizes: Mapping[str, Size], gap: float
) -> dict[_Node, float]:
    """Places from left to right: minimise Σ w |x_a − x_b| over the links, keeping every layer's order and gaps.

    Absolute differences make long arrows run straight; the boxes then move to the middle of their neighbours.
    """
    number = {node: i for i, node in enumerate(node for layer in layers for node in layer)}
    apart = [np.array([_distance(a, b, sizes, gap) for a, b in pairwise(layer)], dtype=np.float64) for layer in layers]
    neighbours = [(number[a], number[b]) for layer in layers for a, b in pairwise(layer)]
    ends = np.array([(number[a], number[b]) for a, b in links], dtype=np.int64).reshape(-1, 2)
    bends = np.array([(not isinstance(a, str)) + (not isinstance(b, str)) for a, b in links], dtype=np.int64)
    x = _straightest(len(number), ends, np.array([1.0, 2.0, 8.0])[bends], neighbours, np.concatenate(apart))
    box = np.array([isinstance(node, str) for node in number])
    near: list[list[int]] = [[] for _ in number]
    for a, b in ends:
        near[a].append(b)
        near[b].append(a)
    members = [np.array([number[node] for node in layer]) for layer in layers]
    offsets = [np.concatenate([[0.0], np.cumsum(steps)]) for steps in apart]
    for _ in range(_SWEEPS):
        for row, offset in zip(members, offsets, strict=True):
            wish = np.array([np.mean(x[near[i]]) if box[i] and near[i] else x[i] for i in row])
            weights = np.where(box[row], 1.0, 1e4)  # bends stay
            x[row] = isotonic_regression(wish - offset, weights=weights).x + offset
    return {node: float(x[i]) for node, i in number.items()}


def _distance(a: _Node, b: _Node, sizes: Mapping[str, Size], gap: float) -> float:
    """Least distance of the centres of two neighbours in a layer; arrows may pass closer to things than boxes stand."""
    half = [sizes[node][0] / 2 if isinstance(node, str) else 0.0 for node in (a, b)]
    return sum(half) + gap * (1.0, 0.75, 0.5)[(not isinstance(a, str)) + (not isinstance(b, str))]


def _straightest(
    nodes: int,
    ends: NDArray[np.int64],
    weights: NDArray[np.float64],
    neighbours: Sequence[tuple[int, int]],
    apart: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The linear programme behind `_horizontal`, in the places and one bound per link on |x_a − x_b|."""
    count = len(ends)
    link, pair = np.arange(count), np.arange(len(neighbours))
    left, right = np.array(neighbours, dtype=np.int64).reshape(-1, 2).T
    rows = np.concatenate(
        [link, link, link, link + count, link + count, link + count, pair + 2 * count, pair + 2 * count]
    )
    columns = np.concatenate([ends[:, 0], ends[:, 1], nodes + link, ends[:, 0], ends[:, 1], nodes + link, left, right])
    one = np.ones(count)
    values = np.concatenate([one, -one, -one, -one, one, -one, np.ones(len(pair)), -np.ones(len(pair))])
    table = csr_array((values, (rows, columns)), shape=(2 * count + len(pair), nodes + count))
    bound = np.concatenate([np.zeros(2 * count), -apart])
    # A slight pull to the left of everything leaves no place undetermined.
    cost = np.concatenate([np.full(nodes, 1e-4), weights])
    solution = linprog(cost, A_ub=table, b_ub=bound, bounds=(0, None), method="highs")
    return np.array(solution.x[:nodes])
