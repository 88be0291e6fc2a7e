"""What loopy message passing returns: beliefs with the record of how they came about, and one row's full history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.beliefs import Beliefs

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class LoopyBeliefs(Beliefs):
    """Approximate posterior marginals after some rounds of loopy sum-product.

    `log_evidence` is minus the Bethe free energy of the last state: an estimate, which equals ln W(evidence) where the
    factor graph is a tree and the messages have settled (with tree-reweighting, settled, an upper bound of it).
    `possible` False is a proof that the evidence has probability zero; True is not a proof that it has not, on a graph
    with loops or before the contradicting observations have met.

    Attributes:
        residuals: [rounds, rows], the largest change of a factor→variable message (a probability) in that round.
        bethe: [rounds, rows], Bethe free energy in nats after that round, +inf once the row is known to be impossible;
            [1, rows], after the last round only, where the query asked for that.
        pending: [rows], the largest change that one more, undamped, synchronous round would make.
        converged: [rows], whether `pending` ≤ `tolerance`; False in impossible rows.
        tolerance: what convergence was measured against.
        rounds: how many rounds were performed.
        multiply_adds: [rows], multiplications and additions of these rounds, each counted as one like those of exact
            beliefs, by formula (`LoopyInference.round_multiply_adds`), padding included. The pass that evaluates the
            last state, and a repetition in logarithms, are not counted.
        start_residual: [rows], the largest message change in the last round of the search for the no-evidence fixed
            point where the row started; 0 for a uniform start.
        start_converged: [rows], whether that search settled. Where it did not, "after r rounds a belief knows the
            evidence within distance r" does not hold.
    """

    residuals: NDArray[np.floating] = field(kw_only=True)
    bethe: NDArray[np.float64] = field(kw_only=True)
    pending: NDArray[np.floating] = field(kw_only=True)
    converged: NDArray[np.bool_] = field(kw_only=True)
    tolerance: float = field(kw_only=True)
    rounds: int = field(kw_only=True)
    start_residual: NDArray[np.floating] = field(kw_only=True)
    start_converged: NDArray[np.bool_] = field(kw_only=True)

    def __repr__(self) -> str:
        impossible = int((~self.possible).sum())
        notes = [
            f"{len(self)} rows",
            f"{len(self.states)} variables",
            f"{self.rounds} rounds",
            f"{int(self.converged.sum())} of {len(self) - impossible} converged within {self.tolerance:g}",
        ]
        if impossible:
            notes.append(f"{impossible} impossible")
        if not self.start_converged.all():
            notes.append("no-evidence start not settled")
        return f"LoopyBeliefs({', '.join(notes)})"


@dataclass(frozen=True, eq=False, repr=False)
class MessageHistory:
    """Every message of one row, round by round: what an animation of message passing is drawn from.

    There are 2·E directed edges for E pairs (factor, variable of its scope): first all variable→factor messages, then
    all factor→variable messages, both in the order of `edges`. Time 0 is the start (for `start="prior"` the
    no-evidence fixed point); time t ≥ 1 is after round t, in which the variable→factor messages were sent first.

    Attributes:
        edges: (factor, variable) for each pair: position in `net.factors`, and the variable's name.
        scopes: for each pair, the factor's scope.
        sources, targets: [2 E] labels of both ends; a factor is labelled by its scope, "f(A, B)", a variable by its
            name.
        messages: [rounds + 1, 2 E, most states], probabilities that sum to 1 over the variable's states, 0 beyond them.
        changes: [rounds, 2 E], the largest change of each message in each round, in [0, 1].
        beliefs: for each variable [rounds + 1, states].
        states: for each variable its labels: the meaning of the last axis of its beliefs and messages.
        possible: whether no contradiction was found; if False, beliefs are 0 from where it was found on.
    """

    edges: tuple[tuple[int, str], ...]
    scopes: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    messages: NDArray[np.floating]
    changes: NDArray[np.floating]
    beliefs: Mapping[str, NDArray[np.floating]]
    states: Mapping[str, tuple[object, ...]]
    possible: bool

    @property
    def rounds(self) -> int:
        """How many rounds were recorded."""
        return len(self.changes)

    def message(self, directed_edge: int) -> NDArray[np.floating]:
        """One directed edge's message over time, without padding: [rounds + 1, states]."""
        variable = self.edges[directed_edge % len(self.edges)][1]
        return self.messages[:, directed_edge, : len(self.states[variable])]

    def __repr__(self) -> str:
        return (
            f"MessageHistory({self.rounds} rounds, {len(self.sources)} directed edges, {len(self.beliefs)} variables)"
        )

    def to_pandas(self) -> pd.DataFrame:
        """How far every message moved: one row per round, columns (source, target)."""
        import pandas as pd

        ends = list(zip(self.sources, self.targets, strict=True))
        columns = pd.MultiIndex.from_tuples(ends, names=["source", "target"])
        return pd.DataFrame(self.changes, index=pd.RangeIndex(1, self.rounds + 1, name="round"), columns=columns)

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, note, table

        largest = [(t + 1, float(changes.max(initial=0.0))) for t, changes in enumerate(self.changes)]
        listed = table(("round", "largest change of a message"), largest, more=".to_pandas()")
        return card(repr(self), None, listed, note("wn.draw_messages(net, history, evidence) plays it"))
