"""Where the joint belief of several nodes is read from a factor graph, exactly so on trees.

The nodes of a question are read in parts. A part lies within one cluster, whose belief it is read from, or within one
factor, b_f(x_f) ∝ f(x_f) Π_{u∈f} n_{u→f}(x_u). Where one part is not enough, the chain rule joins them,

    b(y_1, y_2, …) = b(y_1) · b(y_2 | y_1) · …

and b(y_2 | y_1) is a run of the rounds with y_1 clamped: one more run for each joint state of the earlier parts. Every
run is exact on a tree, and so is the product. On loops it depends on the order of the parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError
from worldnets.inference.loopy.reduction import Reduction

MOST_RUNS = 1_024


class Part(NamedTuple):
    """Nodes read together.

    Attributes:
        variables: in the question's order.
        cluster: position of the cluster they are read from, or None:
        factor: position of the factor they are read from.
        outcome: [cells or states there], which joint state of `variables` (C order) each belongs to.
        runs: the runs it is read in, one for each joint state of the earlier parts.
    """

    variables: tuple[str, ...]
    cluster: int | None
    factor: int | None
    outcome: NDArray[np.int64]
    runs: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Readout:
    """How questions are read.

    Attributes:
        parts: for each question its parts.
        order: for each question, where each of its outcomes (C order over its own nodes) lies among the joint states of
            its parts: [outcomes].
        clamps: for each run, the states that nodes are clamped to; the first run clamps none.
    """

    parts: tuple[tuple[Part, ...], ...]
    order: tuple[NDArray[np.int64], ...]
    clamps: tuple[Mapping[str, int], ...]


def readout(reduction: Reduction, questions: Sequence[Sequence[str]]) -> Readout:
    """Take each question apart, largest parts first.

    Raises:
        CapacityError: more than `MOST_RUNS` runs.
    """
    states = reduction.net.states
    clamps: list[Mapping[str, int]] = [{}]
    known: dict[tuple[tuple[str, int], ...], int] = {(): 0}
    parts, orders = [], []
    for question in questions:
        waiting, before, found = list(question), list[str](), list[Part]()
        while waiting:
            cluster, factor, names = _place(reduction, waiting)
            runs = []
            if math.prod(len(states[v]) for v in before) > MOST_RUNS:
                raise CapacityError(
                    "a joint belief takes too many runs of message passing",
                    node=", ".join(question),
                    expected=f"at most {MOST_RUNS} joint states of {', '.join(before)}",
                    mend="ask for these nodes one by one, or take them together as a cluster",
                )
            for codes in np.ndindex(*(len(states[v]) for v in before)):
                clamp = tuple(sorted(zip(before, map(int, codes), strict=True)))
                if clamp not in known:
                    known[clamp] = len(clamps)
                    clamps.append(dict(clamp))
                runs.append(known[clamp])
            members = reduction.clusters[cluster] if cluster is not None else reduction.members(factor or 0)
            outcome = _outcomes(reduction, members, names)
            found.append(Part(names, cluster, factor, outcome, tuple(runs)))
            before += names
            waiting = [v for v in waiting if v not in names]
        parts.append(tuple(found))
        orders.append(_outcomes(reduction, question, before))
    return Readout(tuple(parts), tuple(orders), tuple(clamps))


def distance(reduction: Reduction, reading: Readout) -> int:
    """Rounds in which all evidence and every clamp can reach what is read: enough of them where there are no loops.

    Counted to the farthest cluster of any part. An observed term is heard after one round by its factor's clusters,
    local evidence at once by its own.
    """
    place = {v: c for c, members in enumerate(reduction.clusters) for v in members}
    neighbours: list[set[int]] = [set() for _ in reduction.clusters]
    for scope in reduction.scopes:
        for c in scope:
            neighbours[c] |= set(scope)
    clamped = {v for clamp in reading.clamps for v in clamp}
    local = {place[v] for v in (*reduction.seen, *clamped)}
    terms = [scope for scope, observed in zip(reduction.scopes, reduction.observed, strict=True) if observed]
    ends = set()
    for part in (part for question in reading.parts for part in question):
        ends |= {part.cluster} if part.cluster is not None else set(reduction.scopes[part.factor or 0])
    longest = 0
    for end in ends:
        steps = _distances(neighbours, end)
        longest = max([longest, *(steps[c] for c in local if c in steps)])
        longest = max([longest, *(1 + min(steps[c] for c in scope) for scope in terms if scope[0] in steps)])
    return longest


def _distances(neighbours: Sequence[set[int]], begin: int) -> dict[int, int]:
    found = {begin: 0}
    frontier = [begin]
    for c in frontier:  # grows while it is read
        for other in neighbours[c]:
            if other not in found:
                found[other] = found[c] + 1
                frontier.append(other)
    return found


def _place(reduction: Reduction, waiting: Sequence[str]) -> tuple[int | None, int | None, tuple[str, ...]]:
    """The cluster or the factor that holds most of the nodes; clusters, then small factors, are preferred."""
    choices: list[tuple[int, int, int, bool]] = []
    for c, members in enumerate(reduction.clusters):
        choices.append((-len(set(waiting) & set(members)), 0, c, True))
    for f in range(len(reduction.scopes)):
        inside = set(waiting) & set(reduction.members(f))
        cells = int(reduction.graph.factor_cells[f + 1] - reduction.graph.factor_cells[f])
        choices.append((-len(inside), cells, f, False))
    _, _, place, is_cluster = min(choices)
    members = reduction.clusters[place] if is_cluster else reduction.members(place)
    names = tuple(v for v in waiting if v in members)
    return (place, None, names) if is_cluster else (None, place, names)


def _outcomes(reduction: Reduction, members: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """Joint state of `names`, in their order, for every joint state of `members`, all in C order."""
    states = reduction.net.states
    grid = np.indices([len(states[v]) for v in members]).reshape(len(members), -1)
    outcome = np.zeros(grid.shape[1], dtype=np.int64)
    for v in names:
        outcome = outcome * len(states[v]) + grid[members.index(v)]
    return outcome
