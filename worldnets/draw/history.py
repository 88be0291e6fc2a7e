"""A history of loopy message passing, checked against its net, and the part of it that a picture has room for."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worldnets.draw.given import check_distributions
from worldnets.errors import QueryError
from worldnets.net import FactorNet, WorldNet

ALL_SHOWN, SOME_SHOWN = 40, 30  # variables: all up to the one, otherwise at most the other


class History(Protocol):
    """What is drawn of loopy message passing: every message of every round, of one row of evidence.

    Attributes:
        sources, targets: who sends and who receives, by directed edge: variables by name, factors as "f(A, B)".
        changes: [rounds, directed edges], the largest change of an entry of that message in that round.
        beliefs: variable → [rounds + 1, states], row 0 before the first round.
    """

    @property
    def sources(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def targets(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def changes(self) -> NDArray[Any]: ...  # noqa: D102
    @property
    def beliefs(self) -> Mapping[str, NDArray[Any]]: ...  # noqa: D102


@dataclass(frozen=True)
class Rounds:
    """A history in the net's own terms, by directed edge.

    Attributes:
        variables: the variable at one end.
        factors: the factor at the other, by position in `net.factors`.
        to_factor: whether the variable sends.
        labels: of every factor of the net, told apart where scopes repeat.
        scopes: of every factor of the net.
        changes: [rounds, directed edges].
        beliefs: variable → [rounds + 1, states].
    """

    variables: tuple[str, ...]
    factors: tuple[int, ...]
    to_factor: tuple[bool, ...]
    labels: tuple[str, ...]
    scopes: tuple[tuple[str, ...], ...]
    changes: NDArray[np.float64]
    beliefs: Mapping[str, NDArray[np.float64]]

    @property
    def residuals(self) -> NDArray[np.float64]:
        """The largest change of any message, [rounds]."""
        return np.asarray(self.changes.max(axis=1, initial=0.0))

    def name(self, e: int) -> str:
        """A message as "source → target"."""
        ends = (self.variables[e], self.labels[self.factors[e]])
        return " → ".join(ends if self.to_factor[e] else ends[::-1])


def checked(net: WorldNet | FactorNet, history: History) -> Rounds:
    """The history in the net's terms.

    Raises:
        QueryError: arrays that do not fit together, messages or beliefs of another net, numbers that are no sizes or
            no distributions.
    """
    changes = np.asarray(history.changes, dtype=float)
    edges = len(history.sources)
    if len(history.targets) != edges or changes.ndim != 2 or changes.shape[1] != edges:
        found = f"{edges} sources, {len(history.targets)} targets, changes {list(changes.shape)}"
        raise QueryError("a history whose parts do not fit", found=found, mend="changes are [rounds, directed edges]")
    wrong = ~(np.isfinite(changes) & (changes >= 0)).all(axis=1)
    if wrong.any():
        where = f"round {int(wrong.argmax()) + 1}"
        mend = "messages lose their meaning where evidence is impossible; look at `possible` first"
        raise QueryError("changes that are no sizes", node=where, expected="finite, not negative", mend=mend)
    scopes = tuple(tuple(scope) for scope, _ in net.factors)
    plain = [f"f({', '.join(scope)})" for scope in scopes]
    by_label: dict[str, list[int]] = {}
    for f, label in enumerate(plain):
        by_label.setdefault(label, []).append(f)
    labels = tuple(
        label if len(by_label[label]) == 1 else f"{label} #{by_label[label].index(f) + 1}"
        for f, label in enumerate(plain)
    )
    variables, factors, to_factor = [], [], []
    met: dict[tuple[str, str], int] = {}
    for source, target in zip(history.sources, history.targets, strict=True):
        # A variable may be called like a factor; only one reading has the variable in the factor's scope.
        there = [f for f in by_label.get(target, ()) if source in scopes[f]]
        back = [f for f in by_label.get(source, ()) if target in scopes[f]]
        candidates, time = there or back, met.get((source, target), 0)
        if time >= len(candidates):
            mend = "draw it on the net that was queried"
            raise QueryError("messages of another net", found=f"{source} → {target}", mend=mend)
        met[source, target] = time + 1
        factors.append(candidates[time])
        variables.append(source if there else target)
        to_factor.append(bool(there))
    beliefs = _checked_beliefs(net, history, len(changes))
    return Rounds(tuple(variables), tuple(factors), tuple(to_factor), labels, scopes, changes, beliefs)


def _checked_beliefs(net: WorldNet | FactorNet, history: History, rounds: int) -> dict[str, NDArray[np.float64]]:
    net.check_variables(history.beliefs, error=QueryError)
    found = {v: np.asarray(table, dtype=float) for v, table in history.beliefs.items()}
    for v, table in found.items():
        expected = (rounds + 1, len(net.states[v]))
        if table.shape != expected:
            mend = "beliefs are [rounds + 1, states], those before the first round included"
            raise QueryError("beliefs of the wrong shape", node=v, found=table.shape, expected=expected, mend=mend)
        check_distributions(net, v, table)
    return found


@dataclass(frozen=True)
class ShownGraph:
    """The part of a factor graph that is drawn.

    Attributes:
        variables: in the net's order.
        factors: by position in the net.
        messages: positions in the history of the messages between them.
    """

    variables: tuple[str, ...]
    factors: tuple[int, ...]
    messages: tuple[int, ...]


def shown_graph(net: WorldNet | FactorNet, rounds: Rounds, variables: Iterable[str] | None) -> ShownGraph:
    """The variables asked for and the factors around them; or all; or the part where messages changed most.

    Raises:
        QueryError: an unknown variable, or none.
    """
    whole_factors = False
    if variables is not None:
        if isinstance(variables, str):
            raise QueryError("variables is one text", found=repr(variables), mend=f"give a list: [{variables!r}]")
        kept = set(variables)
        net.check_variables(sorted(kept), error=QueryError)
        if not kept:
            raise QueryError("no variables to draw", mend="name some, or leave `variables` out")
    elif len(net.variables) <= ALL_SHOWN:
        kept = set(net.variables)
    else:
        kept, whole_factors = _where_most_moved(net, rounds), True
    messages = tuple(
        e
        for e, (v, f) in enumerate(zip(rounds.variables, rounds.factors, strict=True))
        if v in kept and not (whole_factors and not kept.issuperset(rounds.scopes[f]))
    )
    factors = sorted({rounds.factors[e] for e in messages})
    return ShownGraph(tuple(v for v in net.variables if v in kept), tuple(factors), messages)


def _where_most_moved(net: WorldNet | FactorNet, rounds: Rounds) -> set[str]:
    """A connected part of the net: from the factor around which a message changed most, always on to the next such."""
    moved = [0.0] * len(rounds.scopes)
    for f, most in zip(rounds.factors, rounds.changes.max(axis=0, initial=0.0).tolist(), strict=True):
        moved[f] = max(moved[f], most)
    ranked = sorted(range(len(moved)), key=lambda f: -moved[f])  # stable: ties in the net's order
    rank = {f: i for i, f in enumerate(ranked)}
    around: dict[str, list[int]] = {}
    for f, scope in enumerate(rounds.scopes):
        for v in scope:
            around.setdefault(v, []).append(f)
    kept: set[str] = set()
    waiting: list[int] = []
    met: set[int] = set()
    for seed in ranked:  # the next one only where a whole part of the net has been taken
        if seed not in met:
            waiting.append(rank[seed])
            met.add(seed)
        while waiting:
            new = set(rounds.scopes[ranked[heapq.heappop(waiting)]]) - kept
            if len(kept) + len(new) > SOME_SHOWN:
                continue
            kept |= new
            for f in {f for v in new for f in around[v]} - met:
                met.add(f)
                heapq.heappush(waiting, rank[f])
    return kept or set(net.variables[:SOME_SHOWN])
