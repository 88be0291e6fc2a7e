"""Elimination orders and junction trees: pure graph work on bit sets, no tables.

Sources: min-fill with ties by table size (Kjærulff 1990, "Triangulation of graphs"); the clique tree of an elimination
order (Koller & Friedman 2009, section 10.4).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

NO_PARENT = -1


@dataclass(frozen=True)
class JunctionTree:
    """Cliques in collect order: every clique stands before its parent, the last one is the root.

    `sepsets[c]` is what clique c shares with its parent; trees of disconnected parts are joined by empty sepsets.
    """

    cliques: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]
    sepsets: tuple[tuple[int, ...], ...]


def moral_graph(count: int, scopes: Iterable[Sequence[int]]) -> list[int]:
    """Adjacency as bit sets: variables that share a scope are neighbours."""
    neighbours = [0] * count
    for scope in scopes:
        members = 0
        for v in scope:
            members |= 1 << v
        for v in scope:
            neighbours[v] |= members & ~(1 << v)
    return neighbours


def elimination_order(neighbours: Sequence[int], cardinalities: Sequence[int]) -> tuple[list[int], list[int]]:
    """Greedy min-fill, ties by the size of the clique made, then by position.

    Returns:
        The order, and for each variable (by index) the bit set of its neighbours when it was eliminated.
    """
    adjacent = list(neighbours)
    weights = [float(np.log2(card)) for card in cardinalities]
    version = [0] * len(adjacent)

    def score(v: int) -> tuple[int, float, int]:
        around = adjacent[v]
        missing, weight = 0, weights[v]
        for u in _members(around):
            missing += (around & ~adjacent[u]).bit_count() - 1
            weight += weights[u]
        return missing, weight, v

    queue = [(*score(v), 0) for v in range(len(adjacent))]
    heapq.heapify(queue)
    order: list[int] = []
    eliminated = [False] * len(adjacent)
    around_when_eliminated = [0] * len(adjacent)
    while queue:
        missing, _, v, stamp = heapq.heappop(queue)
        if eliminated[v] or stamp != version[v]:
            continue
        around = adjacent[v]
        order.append(v)
        eliminated[v] = True
        around_when_eliminated[v] = around
        stale = around
        for u in _members(around):
            if missing:
                # A new edge changes the fill of everything that sees both its ends.
                for w in _members(around & ~adjacent[u] & ~(1 << u)):
                    stale |= adjacent[u] & adjacent[w]
                adjacent[u] |= around & ~(1 << u)
            adjacent[u] &= ~(1 << v)
        for u in _members(stale):
            if not eliminated[u]:
                version[u] += 1
                heapq.heappush(queue, (*score(u), version[u]))
    return order, around_when_eliminated


def junction_tree(neighbours: Sequence[int], cardinalities: Sequence[int]) -> JunctionTree:
    """Triangulate, and join the cliques of the elimination along their sepsets, absorbing what costs more alone."""
    if not neighbours:
        return JunctionTree((), (), ())
    order, around = elimination_order(neighbours, cardinalities)
    position = {v: i for i, v in enumerate(order)}
    members = [around[v] | 1 << v for v in order]
    parent = [min((position[u] for u in _members(around[v])), default=NO_PARENT) for v in order]

    # A clique inside one of its children may be absorbed by that child, which takes its place in the tree. That saves
    # its table, but everything else that would have been multiplied into it lands on the larger table.
    children: list[list[int]] = [[] for _ in order]
    for c, p in enumerate(parent):
        if p != NO_PARENT:
            children[p].append(c)
    cells = [math.prod(cardinalities[v] for v in _members(bits)) for bits in members]
    place = list(range(len(order)))  # the clique that now stands for this one
    for c in range(len(order)):
        below = [place[d] for d in children[c]]
        takers = [d for d in below if members[c] & ~members[d] == 0]
        if takers:
            taker = min(takers, key=lambda d: cells[d])
            others = len(below) - 1
            if cells[taker] * others <= cells[c] * (others + 2):
                place[c] = taker

    # The cliques that one clique stands for form a path upwards; the top of the path knows the parent.
    new_parent = {}
    for c, p in enumerate(parent):
        if p == NO_PARENT:
            new_parent[place[c]] = NO_PARENT
        elif place[p] != place[c]:
            new_parent[place[c]] = place[p]
    return _in_collect_order({c: members[c] for c in new_parent}, new_parent)


def _in_collect_order(members: dict[int, int], parent: dict[int, int]) -> JunctionTree:
    children: dict[int, list[int]] = {c: [] for c in members}
    roots = []
    for c, p in parent.items():
        if p == NO_PARENT:
            roots.append(c)
        else:
            children[p].append(c)
    for extra in roots[1:]:
        children[roots[0]].append(extra)
    from_root = [roots[0]]
    above = {roots[0]: NO_PARENT}
    for c in from_root:  # grows while it is read
        for d in children[c]:
            above[d] = c
            from_root.append(d)
    collect = from_root[::-1]
    index = {c: i for i, c in enumerate(collect)}
    parents = tuple(NO_PARENT if above[c] == NO_PARENT else index[above[c]] for c in collect)
    cliques = tuple(tuple(_members(members[c])) for c in collect)
    sepsets = tuple(() if above[c] == NO_PARENT else tuple(_members(members[c] & members[above[c]])) for c in collect)
    return JunctionTree(cliques, parents, sepsets)


def _members(bits: int) -> Iterable[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
