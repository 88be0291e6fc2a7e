"""Junction trees of abstract graphs: the loops of `elimination` for whoever has scopes rather than a net.

Sources: as in `elimination`; junction trees: Lauritzen & Spiegelhalter 1988.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NO_PARENT = -1


@dataclass(frozen=True)
class JunctionTree:
    """Cliques in collect order: every clique stands before its parent, the last one is the root.

    `sepsets[c]` is what clique c shares with its parent; trees of disconnected parts are joined by empty sepsets.
    """

    cliques: tuple[tuple[int, ...], ...]
    parents: tuple[int, ...]
    sepsets: tuple[tuple[int, ...], ...]


class Graph(NamedTuple):
    """An undirected graph whose edges are "stands with … in one of these scopes"."""

    variables: int
    scope_start: NDArray[np.int32]
    scope: NDArray[np.int32]


def moral_graph(count: int, scopes: Iterable[Sequence[int]]) -> Graph:
    """Variables 0 … count − 1; those that share a scope are neighbours."""
    listed = [list(scope) for scope in scopes]
    return Graph(
        count,
        np.cumsum([0, *map(len, listed)], dtype=np.int32),
        np.array([v for scope in listed for v in scope], dtype=np.int32),
    )


def elimination_order(graph: Graph, cardinalities: Sequence[int], price: float = 0.0) -> tuple[list[int], float]:
    """The best order that min-fill, weighted fill, min-size and their restarts find; `price` as in `triangulate`.

    Returns:
        The order, and the cells of all its elimination cliques together.
    """
    order, _, _, cells = _triangulated(graph, cardinalities, price)
    return order.tolist(), float(cells)


def junction_tree(graph: Graph, cardinalities: Sequence[int], price: float = 0.0) -> JunctionTree:
    """Triangulate, and join the cliques of the elimination along their sepsets, absorbing what costs more alone.

    `price` is that of `elimination.triangulate`: 0 tries every order it knows.
    """
    from worldnets.inference.elimination import clique_tree

    order, start, separator, _ = _triangulated(graph, cardinalities, price)
    member_start, members, parents, sepset_start, sepset = clique_tree(
        order, start, separator, np.array(cardinalities, dtype=np.int32)
    )
    return JunctionTree(_cut(member_start, members), tuple(parents.tolist()), _cut(sepset_start, sepset))


def _triangulated(
    graph: Graph, cardinalities: Sequence[int], price: float
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], float]:
    from worldnets.inference.elimination import triangulate

    count = graph.variables
    return triangulate(
        graph.scope_start,
        graph.scope,
        np.ones(len(graph.scope_start) - 1, dtype=np.bool_),
        np.arange(count, dtype=np.int32),
        np.log2(np.array(cardinalities, dtype=np.float64)),
        price,
        np.empty((count, count), dtype=np.bool_),
        np.empty((count, count), dtype=np.int32),
        np.empty(count, dtype=np.int32),
    )


def _cut(start: NDArray[np.int32], values: NDArray[np.int32]) -> tuple[tuple[int, ...], ...]:
    listed = values.tolist()
    return tuple(tuple(listed[a:b]) for a, b in zip(start[:-1].tolist(), start[1:].tolist(), strict=True))
