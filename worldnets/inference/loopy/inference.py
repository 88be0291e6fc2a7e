"""Loopy sum-product on a net's factor graph, batched over rows: `LoopyInference`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import ImpossibleEvidenceError, QueryError
from worldnets.inference.arguments import check_dtype, check_net
from worldnets.inference.codes import UNOBSERVED, Codes
from worldnets.inference.evidence import as_codes
from worldnets.inference.loopy.beliefs import LoopyBeliefs, MessageHistory
from worldnets.inference.loopy.evidence import what_is_given
from worldnets.inference.loopy.graph import FactorGraph, factor_graph, log_cells
from worldnets.inference.loopy.history import message_history
from worldnets.inference.loopy.propagation import START_TOLERANCE, Propagation
from worldnets.inference.loopy.reweighting import appearance
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.draw.messages import Animation

SCHEDULES = ("synchronous", "residual")


class LoopyInference:
    """Approximate posteriors by rounds of sum-product messages on the factor graph, batched over rows.

    A round is all variable→factor messages, then all factor→variable messages. Messages start at the no-evidence fixed
    point, so that where the factor graph is a tree, after r rounds a belief is the exact posterior given the evidence
    within moral-graph distance r: one round carries evidence from a variable to those it shares a factor with. In a
    Bayes net that start exists and is found in as many rounds as the longest directed path has arrows, loops or not
    (with no evidence, messages to parents stay uniform); in a factor graph it is searched for by iteration and may not
    be found: `LoopyBeliefs.start_converged` tells. On loops beliefs are approximate and rounds need not settle:
    `LoopyBeliefs.converged` is measured.

    The compiled program depends on the net's groups of like tables, never on its size; messages are held
    as probabilities, and rows in which a total might have lost something to underflow are done again in logarithms.

    Args:
        net: a `WorldNet`, or a `FactorNet` (then log evidence is the Bethe estimate of ln Z).
        dtype: "float64" or "float32".
        schedule: "synchronous", or "residual": the message with the largest pending change is sent next, rows
            independently; a round is then as many single messages as there are factor→variable messages.
        damping: in [0, 1): each sent message is new^(1 − damping) · old^damping, normalised.
        reweighting: None; or tree-reweighted messages with ρ per factor: "uniform-spanning-trees" (pairwise factors),
            "random-forests" (any), or an array [factors]. The settled estimate of ln Z is then an upper bound.
            Computed in logarithms throughout, which is slower.

    Raises:
        QueryError: an unknown number type or schedule, damping outside [0, 1), weights that cannot be appearance
            probabilities.

    Sources: Pearl 1988, chapter 4; Yedidia, Freeman & Weiss 2005; Elidan, McGraw & Koller 2006; Wainwright,
    Jaakkola & Willsky 2005.
    """

    def __init__(
        self,
        net: WorldNet | FactorNet,
        dtype: str = "float64",
        schedule: Literal["synchronous", "residual"] = "synchronous",
        damping: float = 0.0,
        reweighting: str | ArrayLike | None = None,
    ) -> None:
        check_net(net)
        check_dtype(dtype)
        if schedule not in SCHEDULES:
            raise QueryError("unknown schedule", found=repr(schedule), expected=f"one of {SCHEDULES}", mend="use one")
        if not 0.0 <= damping < 1.0:
            mend = "0 sends messages as computed, .5 averages them with the ones before"
            raise QueryError("damping outside [0, 1)", found=damping, mend=mend)
        self.net, self.dtype, self.schedule, self.damping = net, dtype, schedule, float(damping)
        self._given_reweighting = reweighting
        self.reweighting: NDArray[np.float64] | None = None
        if reweighting is not None:
            scopes = [tuple(net.index[v] for v in scope) for scope, _ in net.factors]
            self.reweighting = appearance(scopes, len(net.variables), reweighting)

    @functools.cached_property
    def graph(self) -> FactorGraph:
        """The factor graph as index arrays; `graph.multiply_adds` is the cost of one synchronous round per row."""
        return factor_graph(self.net)

    @property
    def log_tables(self) -> NDArray[np.float64]:
        """The logarithms of all cells of all factors, in the order of `net.factors`, shape [cells]; zeros are −inf."""
        return log_cells(self.net)

    @functools.cached_property
    def _propagation(self) -> Propagation:
        return Propagation(self.net, self.graph, self.dtype, self.schedule, self.damping, self.reweighting)

    def query(
        self,
        evidence: pd.DataFrame | Codes | None,
        variables: Iterable[str] | None = None,
        rounds: int = 10,
        likelihood: Mapping[str, ArrayLike] | None = None,
        do: Mapping[str, Any] | None = None,
        start: Literal["prior", "uniform"] = "prior",
        tolerance: float = 1e-6,
        free_energy: Literal["every round", "last"] = "every round",
        on_impossible: Literal["flag", "raise"] = "flag",
    ) -> LoopyBeliefs:
        """Beliefs of every row after `rounds` rounds.

        Args:
            evidence: one row per query: a table of state labels (None, NaN, pd.NA or no column: unobserved), or codes.
                None observes nothing.
            variables: what to report, default all.
            rounds: how many rounds to perform, exactly.
            likelihood: soft evidence: for a variable, weights ≥ 0 of its states, [states] or [rows, states].
            do: interventions: for a variable the label it is set to, or one label per row (missing: no intervention in
                that row). The variable's own table is dropped.
            start: "prior", the no-evidence fixed point (of the net after its interventions), or "uniform".
            tolerance: the message change up to which a row counts as converged.
            free_energy: "every round", or "last": computed after the last round only, which makes rounds up to twice as
                fast (synchronous schedule).
            on_impossible: what evidence shown to have probability zero does: its row is flagged (beliefs 0, log
                evidence -inf, `possible` False), or an error is raised.
        Raises:
            EvidenceError: unknown variables or states; likelihoods of the wrong shape, negative or not finite; `do` on
                a `FactorNet`, or contradicted by the evidence.
            QueryError: an unknown variable asked for, rounds or tolerance out of range.
            ImpossibleEvidenceError: with `on_impossible="raise"`, naming the first such row.
        """
        self._check(rounds, tolerance, start, free_energy)
        names = self._names(variables)
        seen = what_is_given(self.net, evidence, likelihood, do)
        found = self._propagation.propagate(seen, rounds, start, free_energy == "every round")
        impossible = ~found.sound
        if on_impossible == "raise" and impossible.any():
            row = int(np.flatnonzero(impossible)[0])
            raise ImpossibleEvidenceError(
                "evidence of probability zero",
                row=row if seen.index is None else seen.index[row],
                found=f"{int(impossible.sum())} such row(s) of {len(impossible)}",
                mend="drop the row, or query with on_impossible='flag'",
            )
        start_of_state = np.cumsum([0, *self.net.cardinalities])
        columns = [np.arange(start_of_state[i], start_of_state[i + 1]) for i in map(self.net.index.__getitem__, names)]
        table = found.beliefs[:, np.concatenate(columns)] if columns else found.beliefs[:, :0]
        bethe = found.energies if free_energy == "every round" else found.bethe[None]
        return LoopyBeliefs(
            {v: self.net.states[v] for v in names},
            np.where(impossible[:, None], 0, table),
            np.where(impossible, -np.inf, -found.bethe),
            seen.index,
            residuals=found.changes,
            bethe=bethe,
            pending=found.pending,
            converged=(found.pending <= tolerance) & ~impossible,
            tolerance=tolerance,
            rounds=rounds,
            multiply_adds=np.full(len(impossible), rounds * self.round_multiply_adds, np.int64),
            start_residual=found.start_residual,
            start_converged=found.start_residual <= START_TOLERANCE[self.dtype],
        )

    def history(
        self,
        evidence: pd.DataFrame | Codes | None,
        rounds: int = 10,
        likelihood: Mapping[str, ArrayLike] | None = None,
        do: Mapping[str, Any] | None = None,
        start: Literal["prior", "uniform"] = "prior",
    ) -> MessageHistory:
        """Every message of one row of evidence after every round; arguments and errors as in `query`.

        With the residual schedule the variable→factor messages after a round are those the factor→variable messages
        then imply.
        """
        self._check(rounds, 0.0, start, "last")
        seen = what_is_given(self.net, evidence, likelihood, do)
        if len(seen.codes) != 1:
            raise QueryError("a history is of one row", found=f"{len(seen.codes)} rows", mend="pass evidence.iloc[[i]]")
        return message_history(self._propagation, seen, rounds, start)

    def animate(self, evidence: pd.DataFrame | Codes | None, rounds: int = 10, **options: Any) -> Animation:
        """The rounds of one row of evidence, played: `history`, drawn by `worldnets.draw_messages`.

        Args:
            evidence, rounds: as for `history`.
            **options: likelihood, do and start as for `history`; variables, title as for `draw_messages`.
        """
        from worldnets.draw.messages import draw_messages

        drawn = {name: options.pop(name) for name in ("variables", "title") if name in options}
        shown = None if isinstance(evidence, np.ndarray) else evidence
        return draw_messages(self.net, self.history(evidence, rounds, **options), shown, **drawn)

    def unrolled(
        self, rounds: int, start_rounds: int = 0, space: Literal["probability", "logarithm"] = "logarithm"
    ) -> Callable[..., tuple[Any, Any, Any]]:
        """A pure function of the tables, for `jax.grad`, `vmap` and `jit`: learned or unrolled message passing.

        Synchronous rounds with this object's damping and weights. The returned function takes

        - `log_tables` [cells], as `log_tables` gives them (−inf for zeros, whose gradient is 0);
        - `log_local` [rows, states], the logarithms of local evidence over the states of all variables side by side in
          the net's order: 0 everywhere for no evidence, −inf for excluded states (`log_local` makes it from codes);
        - optionally `start` [places], factor→variable messages as probabilities.

        and returns beliefs [rows, states], Bethe free energies [rows] in nats, and message changes [rounds, rows].

        Args:
            rounds: rounds performed; the memory of a gradient grows with them.
            start_rounds: rounds without evidence first, from uniform messages: in a Bayes net the length of its longest
                directed path gives the no-evidence fixed point that `query` starts from. 0: a uniform start.
            space: "logarithm" never underflows; "probability" is several times faster and right while no message
                contradicts another by more than 1e-60 (float64) or 1e-18 (float32).

        Raises:
            QueryError: negative rounds, an unknown space, or the residual schedule.

        The dtype is that of the arguments: pass float64 inside `jax.enable_x64(True)`.
        """
        from worldnets.inference.loopy.unrolled import unrolled

        self._check(rounds, 0.0, "uniform", "last")
        self._check(start_rounds, 0.0, "uniform", "last")
        if space not in ("probability", "logarithm"):
            expected = "'probability' or 'logarithm'"
            raise QueryError("unknown space", found=repr(space), expected=expected, mend="use one")
        if self.schedule != "synchronous":
            mend = "make another LoopyInference with schedule='synchronous'"
            raise QueryError("only synchronous rounds are differentiable", found=repr(self.schedule), mend=mend)
        return unrolled(self.graph, self.net, rounds, start_rounds, self.damping, self.reweighting, space)

    def log_local(self, evidence: pd.DataFrame | Codes) -> NDArray[np.floating]:
        """Hard evidence as `unrolled` takes it: 0 for states that agree, −inf for others; [rows, states]."""
        codes = as_codes(self.net, evidence)
        wiring = self.graph.wiring
        observed = codes[:, wiring.variable_of_state]
        agrees = (observed == UNOBSERVED) | (observed == wiring.code_of_state)
        return np.where(agrees, 0.0, -np.inf).astype(self.dtype)

    @property
    def round_multiply_adds(self) -> int:
        """Multiplications and additions of one round of this schedule for one row, by formula, padding included.

        Each counts as one, as in the exact engine's `Plan.multiply_adds`: `graph.round_multiply_adds` has the formula.
        """
        if self.schedule == "synchronous":
            return self.graph.multiply_adds
        from worldnets.inference.loopy.residual import multiply_adds

        return multiply_adds(self.graph, self._propagation.neighbours)

    def _check(self, rounds: int, tolerance: float, start: str, free_energy: str) -> None:
        if isinstance(rounds, bool) or not isinstance(rounds, int | np.integer) or rounds < 0:
            raise QueryError("rounds is not a count", found=repr(rounds), mend="give a whole number ≥ 0")
        if not tolerance >= 0:
            raise QueryError("a negative tolerance", found=repr(tolerance), mend="give a number ≥ 0")
        if start not in ("prior", "uniform"):
            raise QueryError("unknown start", found=repr(start), expected="'prior' or 'uniform'", mend="use one")
        if free_energy not in ("every round", "last"):
            expected = "'every round' or 'last'"
            raise QueryError("unknown free_energy", found=repr(free_energy), expected=expected, mend="use one")

    def _names(self, variables: Iterable[str] | None) -> tuple[str, ...]:
        if variables is None:
            return self.net.variables
        if isinstance(variables, str):
            raise QueryError("variables is one text", found=repr(variables), mend=f"give a list: [{variables!r}]")
        names = tuple(dict.fromkeys(variables))
        self.net.check_variables(names, error=QueryError)
        return names

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.net, self.dtype, self.schedule, self.damping, self._given_reweighting)

    def __repr__(self) -> str:
        extra = f", damping={self.damping}" if self.damping else ""
        extra += ", tree-reweighted" if self.reweighting is not None else ""
        return f"LoopyInference({self.net!r}, dtype={self.dtype!r}, schedule={self.schedule!r}{extra})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, note

        return card(repr(self), None, note("loopy.animate(evidence, rounds) plays its messages"))
