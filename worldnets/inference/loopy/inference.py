"""Loopy sum-product on a net's factor graph, batched over rows: `LoopyInference`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import ImpossibleEvidenceError, QueryError
from worldnets.inference.codes import UNOBSERVED, Codes
from worldnets.inference.evidence import as_codes
from worldnets.inference.limits import LIMITS
from worldnets.inference.loopy.beliefs import LoopyBeliefs, MessageHistory
from worldnets.inference.loopy.evidence import intervention_codes, log_likelihoods
from worldnets.inference.loopy.graph import FactorGraph, factor_graph, flat_tables
from worldnets.inference.loopy.reweighting import appearance
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.inference.loopy.algebra import Algebra
    from worldnets.inference.loopy.rounds import Rounds

WIDEST_CHUNK = 128  # rows side by side
LARGE_NET = 20_000  # message places, from which on chunks are half as wide
WORKING_BYTES = 1e9  # of one chunk
START_TOLERANCE = {"float64": 1e-12, "float32": 2e-6}
START_ROUNDS, START_BLOCK = 1_000, 16
SCHEDULES = ("synchronous", "residual")


class _Part(NamedTuple):
    """Rows that share their interventions' variables: one set of tables serves them."""

    rows: NDArray[np.int64]
    log_tables: Any
    start: Any  # [places, patterns]
    pattern: NDArray[np.int64]  # which column of `start` each row begins with
    start_residual: NDArray[np.float64]  # [patterns]


def _capacity(rounds: int) -> int:
    """Rounds a compiled program has room for: a power of two, so that few programs serve all."""
    return 1 << max(4, int(rounds - 1).bit_length() if rounds else 0)


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
        if dtype not in LIMITS:
            raise QueryError(
                "unknown number type", found=repr(dtype), expected="'float64' or 'float32'", mend="use one"
            )
        if schedule not in SCHEDULES:
            raise QueryError("unknown schedule", found=repr(schedule), expected=f"one of {SCHEDULES}", mend="use one")
        if not 0.0 <= damping < 1.0:
            mend = "0 sends messages as computed, .5 averages them with the ones before"
            raise QueryError("damping outside [0, 1)", found=damping, mend=mend)
        self.net, self.dtype, self.schedule, self.damping = net, dtype, schedule, float(damping)
        self._given_reweighting = reweighting
        self._prior: tuple[Any, NDArray[np.float64]] | None = None  # kept: most queries start there
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
        with np.errstate(divide="ignore"):
            return np.log(flat_tables(self.net))

    def query(
        self,
        evidence: pd.DataFrame | Codes,
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
            variables: what to report, default all.
            rounds: how many rounds to perform, exactly.
            likelihood: soft evidence: for a variable, weights ≥ 0 of its states, [states] or [rows, states].
            do: interventions: for a variable the label it is set to, or one label per row (missing: no intervention in
                that row). The variable's own table is dropped; observing another state of it makes the row impossible.
            start: "prior", the no-evidence fixed point (of the net after its interventions), or "uniform".
            tolerance: the message change up to which a row counts as converged.
            free_energy: "every round", or "last": computed after the last round only, which makes rounds up to twice as
                fast (synchronous schedule).
            on_impossible: what evidence shown to have probability zero does: its row is flagged (beliefs 0, log
                evidence -inf, `possible` False), or an error is raised.
        Raises:
            EvidenceError: unknown variables or states, likelihoods of the wrong shape, negative or not finite.
            QueryError: an unknown variable asked for, rounds or tolerance out of range, `do` on a `FactorNet`.
            ImpossibleEvidenceError: with `on_impossible="raise"`, naming the first such row.
        """
        self._check(rounds, tolerance, start, free_energy)
        codes = as_codes(self.net, evidence)
        names = self._names(variables)
        soft = None if not likelihood else log_likelihoods(self.net, likelihood, len(codes))
        found = self._rounds(codes, soft, do, rounds, start, free_energy == "every round")
        index = None if isinstance(evidence, np.ndarray) else evidence.index
        impossible = ~found["sound"]
        if on_impossible == "raise" and impossible.any():
            row = int(np.flatnonzero(impossible)[0])
            raise ImpossibleEvidenceError(
                "evidence of probability zero",
                row=row if index is None else index[row],
                found=f"{int(impossible.sum())} such row(s) of {len(codes)}",
                mend="drop the row, or query with on_impossible='flag'",
            )
        start_of_state = np.cumsum([0, *self.net.cardinalities])
        columns = [np.arange(start_of_state[i], start_of_state[i + 1]) for i in map(self.net.index.__getitem__, names)]
        table = found["beliefs"][:, np.concatenate(columns)] if columns else found["beliefs"][:, :0]
        bethe = found["energies"] if free_energy == "every round" else found["bethe"][None]
        return LoopyBeliefs(
            {v: self.net.states[v] for v in names},
            np.where(impossible[:, None], 0, table),
            np.where(impossible, -np.inf, -found["bethe"]).astype(np.float64),
            index,
            residuals=found["changes"],
            bethe=bethe,
            pending=found["pending"],
            converged=(found["pending"] <= tolerance) & ~impossible,
            tolerance=tolerance,
            rounds=rounds,
            multiply_adds=np.full(len(codes), rounds * self.round_multiply_adds, np.int64),
            start_residual=found["start_residual"],
            start_converged=found["start_residual"] <= START_TOLERANCE[self.dtype],
        )

    def history(
        self,
        evidence: pd.DataFrame | Codes,
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
        codes = as_codes(self.net, evidence)
        if len(codes) != 1:
            raise QueryError("a history is of one row", found=f"{len(codes)} rows", mend="pass evidence.iloc[[i]]")
        soft = None if not likelihood else log_likelihoods(self.net, likelihood, 1)
        codes, given, conflict = self._with_interventions(codes, do)
        with self._numbers():
            from worldnets.inference.loopy import rounds as loopy_rounds
            from worldnets.inference.loopy.algebra import Logarithm

            (part,) = self._parts(given, start, 16)
            arguments = (Logarithm(), self._wiring, self.graph.splits, part.log_tables)
            tail = (self._damping, self._weights)
            column, none = codes.T.astype(np.int32), given.T.astype(np.int32)
            log_soft = None if soft is None else soft.T
            if self.schedule == "residual":
                states = [np.asarray(part.start)]
                for _ in range(rounds):
                    sent = self._run(Logarithm(), part.log_tables, column, log_soft, states[-1], 1, True)
                    states.append(np.exp(np.asarray(sent.messages)[:-1]))
                looks = [loopy_rounds.recorded(*arguments, column, log_soft, m, 0, *tail) for m in states]
                factor, into, beliefs = (np.concatenate([np.array(look[i]) for look in looks]) for i in range(3))
                into = into[1:] if rounds else into[:0]
            else:
                seen = loopy_rounds.recorded(*arguments, column, log_soft, part.start, rounds, *tail)
                factor, into, beliefs = (np.array(a) for a in seen)
                into = into[:-1]
            before = np.asarray(loopy_rounds.recorded(*arguments, none, None, part.start, 0, *tail)[1])
        variable = np.concatenate([before, into])[:, :, 0]
        factor, beliefs = factor[:, :, 0], beliefs[:, :, 0]
        graph, pairs = self.graph, len(self.graph.edges)
        messages = np.zeros((rounds + 1, 2 * pairs, int(self.net.cardinalities.max())), dtype=self.dtype)
        for e in range(pairs):
            width = len(graph.factor_places[e])
            said = variable[:, graph.variable_places[e]]
            mass = said.sum(1, keepdims=True)
            messages[:, e, :width] = said / np.where(mass > 0, mass, 1.0)
            messages[:, pairs + e, :width] = factor[:, graph.factor_places[e]]
        bounds = np.cumsum([0, *self.net.cardinalities])
        by_variable = {v: beliefs[:, bounds[i] : bounds[i + 1]] for i, v in enumerate(self.net.variables)}
        # An impossible state shows as a belief without mass, in logarithms exactly.
        dead = np.array([sum(b[t].sum() == 0 for b in by_variable.values()) > 0 for t in range(rounds + 1)])
        dead = np.maximum.accumulate(dead) | conflict[0]
        for table in by_variable.values():
            table[dead] = 0
        scopes = tuple(self.net.factors[f].scope for f, _ in graph.edges)
        factors = tuple(f"f({', '.join(scope)})" for scope in scopes)
        names = tuple(self.net.variables[v] for _, v in graph.edges)
        return MessageHistory(
            tuple((f, self.net.variables[v]) for f, v in graph.edges),
            scopes,
            names + factors,
            factors + names,
            messages,
            np.abs(np.diff(messages, axis=0)).max(2, initial=0.0),
            by_variable,
            self.net.states,
            not dead[-1],
        )

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
        from worldnets.inference.loopy import unrolled as loopy_unrolled

        self._check(rounds, 0.0, "uniform", "last")
        self._check(start_rounds, 0.0, "uniform", "last")
        if space not in ("probability", "logarithm"):
            expected = "'probability' or 'logarithm'"
            raise QueryError("unknown space", found=repr(space), expected=expected, mend="use one")
        if self.schedule != "synchronous":
            mend = "make another LoopyInference with schedule='synchronous'"
            raise QueryError("only synchronous rounds are differentiable", found=repr(self.schedule), mend=mend)
        return loopy_unrolled.unrolled(
            self.graph, self.net, rounds, start_rounds, self.damping, self.reweighting, space
        )

    def log_local(self, evidence: pd.DataFrame | Codes) -> NDArray[np.floating]:
        """Hard evidence as `unrolled` takes it: 0 for states that agree, −inf for others; [rows, states]."""
        codes = as_codes(self.net, evidence)
        wiring = self.graph.wiring
        observed = codes[:, wiring.variable_of_state]
        agrees = (observed == UNOBSERVED) | (observed == wiring.code_of_state)
        return np.where(agrees, 0.0, -np.inf).astype(self.dtype)

    @property
    def round_multiply_adds(self) -> int:
        """Multiply-adds of one round of this schedule for one row, by formula, padding included."""
        if self.schedule == "synchronous":
            return self.graph.multiply_adds
        from worldnets.inference.loopy import residual as loopy_residual

        return loopy_residual.multiply_adds(self.graph, self._host_neighbours)

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

    def _with_interventions(self, codes: Codes, do: Mapping[str, Any] | None) -> tuple[Codes, Codes, NDArray[np.bool_]]:
        """Codes with interventions written in, the interventions alone, and rows that observe something else."""
        if not do:
            return (
                codes,
                np.full((len(codes), len(self.net.variables)), UNOBSERVED, np.int16),
                np.zeros(len(codes), bool),
            )
        given = intervention_codes(self.net, do, len(codes))
        conflict = ((given != UNOBSERVED) & (codes != UNOBSERVED) & (codes != given)).any(1)
        return np.where(given != UNOBSERVED, given, codes), given, conflict

    def _rounds(
        self,
        codes: Codes,
        soft: NDArray[np.float64] | None,
        do: Mapping[str, Any] | None,
        rounds: int,
        start: str,
        every: bool,
    ) -> dict[str, NDArray[Any]]:
        codes, given, conflict = self._with_interventions(codes, do)
        count, states = len(codes), int(self.net.cardinalities.sum())
        found: dict[str, NDArray[Any]] = {
            "beliefs": np.zeros((count, states), self.dtype),
            "bethe": np.zeros(count),
            "energies": np.zeros((rounds, count)),
            "changes": np.zeros((rounds, count), self.dtype),
            "pending": np.zeros(count, self.dtype),
            "sound": np.ones(count, bool),
            "start_residual": np.zeros(count),
        }
        with self._numbers():
            from worldnets.inference.loopy.algebra import Logarithm, algebra_of

            fast = Logarithm() if self.reweighting is not None else algebra_of("probability", self.dtype)
            for part in self._parts(given, start, _capacity(rounds)):
                found["start_residual"][part.rows] = part.start_residual[part.pattern]
                self._fill(found, fast, part, np.arange(len(part.rows)), codes, soft, rounds, every)
                # Rows in which a total was too small to be trusted: in logarithms only true zeros fail.
                doubtful = np.flatnonzero(~found["sound"][part.rows])
                if len(doubtful) and not isinstance(fast, Logarithm):
                    self._fill(found, Logarithm(), part, doubtful, codes, soft, rounds, every)
        found["sound"] &= ~conflict
        found["bethe"][conflict] = np.inf
        found["energies"][:, conflict] = np.inf
        return found

    def _fill(
        self,
        found: dict[str, NDArray[Any]],
        algebra: Algebra,
        part: _Part,
        chosen: NDArray[np.int64],
        codes: Codes,
        soft: NDArray[np.float64] | None,
        rounds: int,
        every: bool,
    ) -> None:
        """Run the chosen rows of a part, chunk by chunk, and write what they leave behind."""
        width = self._width(algebra, len(chosen))
        shared = part.start.shape[1] == 1
        for first in range(0, len(chosen), width):
            some = chosen[first : first + width]
            padded = np.resize(some, width)  # the last chunk repeats rows, so that its program is the same
            rows = part.rows[padded]
            start = part.start if shared else part.start[:, part.pattern[padded]]
            column = np.ascontiguousarray(codes[rows].T, dtype=np.int32)
            log_soft = None if soft is None else np.ascontiguousarray(soft[rows].T)
            done = self._run(algebra, part.log_tables, column, log_soft, start, rounds, every)
            here, kept = part.rows[some], len(some)
            sound = np.asarray(done.sound)[:kept]
            beyond = np.asarray(done.found)[1 : rounds + 1, :kept]
            found["beliefs"][here] = np.asarray(done.beliefs)[:, :kept].T
            found["bethe"][here] = np.where(sound, np.asarray(done.bethe)[:kept], np.inf)
            found["energies"][:, here] = np.where(beyond, np.inf, np.asarray(done.energies)[1 : rounds + 1, :kept])
            found["changes"][:, here] = np.asarray(done.changes)[:rounds, :kept]
            found["pending"][here] = np.asarray(done.pending)[:kept]
            found["sound"][here] = sound

    def _run(
        self,
        algebra: Algebra,
        log_tables: Any,
        column: Any,
        log_soft: Any,
        start: Any,
        rounds: int,
        every: bool,
        capacity: int = 0,
    ) -> Rounds:
        capacity = max(capacity, _capacity(rounds))
        before = (log_tables, column, log_soft, start, np.int32(rounds))
        if self.schedule == "residual":
            from worldnets.inference.loopy import residual as loopy_residual

            after = (self._damping, self._weights, self._edge_weights)
            return loopy_residual.run(
                algebra, self._wiring, self.graph.splits, self._neighbours, *before, *after, capacity=capacity
            )
        from worldnets.inference.loopy import rounds as loopy_rounds

        after = (np.bool_(every), self._damping, self._weights)
        return loopy_rounds.run(algebra, self._wiring, self.graph.splits, *before, *after, capacity=capacity)

    def _width(self, algebra: Algebra, rows: int) -> int:
        places = len(self.graph.wiring.uniform)
        widest = WIDEST_CHUNK if places < LARGE_NET else WIDEST_CHUNK // 2
        per_row = 8 * (10 * places + max((g.cells[0].size for g in self.graph.wiring.factors), default=0))
        if algebra.one == 0.0:  # logarithms are summed cell by cell, for all rows at once
            per_row += 8 * 4 * max((g.cells.size for g in self.graph.wiring.factors), default=0)
            widest //= 4
        while widest > 1 and widest * per_row > WORKING_BYTES:
            widest //= 2
        return min(widest, 1 << max(0, rows - 1).bit_length())

    def _parts(self, given: Codes, start: str, capacity: int) -> list[_Part]:
        """Rows by the set of variables they intervene on, each part with its tables and starts."""
        parts = []
        sets, which = np.unique(given != UNOBSERVED, axis=0, return_inverse=True)
        for i, intervened in enumerate(sets):
            rows = np.flatnonzero(which.ravel() == i)
            log_tables = self._cut_tables(intervened) if intervened.any() else self._device_tables
            patterns, pattern = np.unique(given[rows], axis=0, return_inverse=True)
            if start == "uniform" or not self.graph.edges:
                settled, change = self._wiring.uniform[:, None], np.zeros(len(patterns))
            elif intervened.any():
                settled, change = self._settled(log_tables, patterns, len(rows), capacity)
            else:
                if self._prior is None:
                    self._prior = self._settled(log_tables, patterns, len(rows), capacity)
                settled, change = self._prior
            pattern = pattern.ravel() if settled.shape[1] > 1 else np.zeros(len(rows), np.int64)
            parts.append(_Part(rows, log_tables, settled, pattern, np.resize(change, settled.shape[1])))
        return parts

    def _cut_tables(self, intervened: NDArray[np.bool_]) -> Any:
        """Tables in which those of the intervened variables are all ones: the value is clamped, so ones drop them."""
        import jax

        log_tables = self.log_tables.astype(self.dtype)
        bounds = self.graph.factor_cells
        for v in np.flatnonzero(intervened):  # the factors of a Bayes net are in the order of its variables
            log_tables[bounds[v] : bounds[v + 1]] = 0.0
        return jax.numpy.asarray(log_tables)

    def _settled(self, log_tables: Any, patterns: Codes, rows: int, capacity: int) -> tuple[Any, NDArray[np.float64]]:
        """Messages without evidence, [places, patterns], iterated from uniform ones; what still changes, [patterns].

        The compiled program is the one the rows will use: blocks of rounds, until none changes anything.
        """
        from worldnets.inference.loopy.algebra import Logarithm, algebra_of

        algebra = Logarithm() if self.reweighting is not None else algebra_of("probability", self.dtype)
        width = self._width(algebra, rows)
        settled, changes = [], []
        for first in range(0, len(patterns), width):
            some = patterns[first : first + width]
            column = np.ascontiguousarray(np.resize(some, (width, some.shape[1])).T, dtype=np.int32)
            use, messages, done = algebra, self._wiring.uniform[:, None], None
            for _ in range(START_ROUNDS // START_BLOCK):
                done = self._run(use, log_tables, column, None, messages, START_BLOCK, False, capacity)
                if not np.asarray(done.sound).all() and use is algebra and not isinstance(algebra, Logarithm):
                    use, messages = Logarithm(), self._wiring.uniform[:, None]
                    continue
                messages = np.asarray(done.messages)[:-1]
                messages = np.exp(messages) if isinstance(use, Logarithm) else messages
                change = np.asarray(done.pending)
                if change.max() <= START_TOLERANCE[self.dtype]:
                    break
                if len(patterns) == 1:
                    messages = messages[:, :1]
            settled.append(messages[:, : len(some)])
            changes.append(change[: len(some)])
        return np.concatenate(settled, axis=1), np.concatenate(changes).astype(np.float64)

    def _numbers(self) -> Any:
        import jax

        return jax.enable_x64(self.dtype == "float64")

    @functools.cached_property
    def _wiring(self) -> Any:
        import jax

        place = lambda x: jax.numpy.asarray(x, self.dtype if x.dtype.kind == "f" else None)
        return jax.tree.map(place, self.graph.wiring)

    @functools.cached_property
    def _device_tables(self) -> Any:
        import jax

        return jax.numpy.asarray(self.log_tables.astype(self.dtype))

    @functools.cached_property
    def _damping(self) -> Any:
        return None if self.damping == 0.0 else np.asarray(self.damping, self.dtype)

    @functools.cached_property
    def _weights(self) -> Any:
        from worldnets.inference.loopy import rounds as loopy_rounds

        if self.reweighting is None:
            return None
        return loopy_rounds.weights_of(self.graph, self.reweighting, self.dtype)

    @functools.cached_property
    def _edge_weights(self) -> Any:
        if self.reweighting is None:
            return None
        return np.append(self.reweighting[[f for f, _ in self.graph.edges]], 1.0).astype(self.dtype)

    @functools.cached_property
    def _host_neighbours(self) -> Any:
        from worldnets.inference.loopy import residual as loopy_residual

        return loopy_residual.neighbours(self.graph, len(self.net.variables))

    @functools.cached_property
    def _neighbours(self) -> Any:
        import jax

        return jax.tree.map(jax.numpy.asarray, self._host_neighbours)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.net, self.dtype, self.schedule, self.damping, self._given_reweighting)

    def __repr__(self) -> str:
        extra = f", damping={self.damping}" if self.damping else ""
        extra += ", tree-reweighted" if self.reweighting is not None else ""
        return f"LoopyInference({self.net!r}, dtype={self.dtype!r}, schedule={self.schedule!r}{extra})"
