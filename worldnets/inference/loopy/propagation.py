"""Rows through compiled rounds: from the no-evidence fixed point, in chunks, doubtful rows once more in logarithms."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.codes import UNOBSERVED, Codes
from worldnets.inference.loopy.evidence import Given
from worldnets.inference.loopy.graph import FactorGraph, log_cells
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    from worldnets.inference.loopy.algebra import Algebra
    from worldnets.inference.loopy.messages import Weights
    from worldnets.inference.loopy.residual import Neighbours
    from worldnets.inference.loopy.rounds import Rounds

WIDEST_CHUNK = 256  # rows side by side
LARGE_NET = 20_000  # message places, from which on chunks are half as wide
WORKING_BYTES = 1e9  # of one chunk
START_TOLERANCE = {"float64": 1e-12, "float32": 2e-6}
START_ROUNDS, START_BLOCK = 1_000, 16
LEAST_CAPACITY = 16


class Part(NamedTuple):
    """Rows that intervene on the same variables: one set of tables serves them.

    Attributes:
        rows: [rows of the part], which they are.
        log_tables: [cells], logarithms of the tables, zeros for those of set variables.
        start: [places, 1 or patterns], factor→variable messages to begin with, as probabilities.
        pattern: [rows of the part], the column of `start` each begins with.
        start_residual: [1 or patterns], what still changes in those messages.
    """

    rows: NDArray[np.int64]
    log_tables: Any
    start: Any
    pattern: NDArray[np.int64]
    start_residual: NDArray[np.float64]


class Outcome(NamedTuple):
    """What the rounds leave behind for each row; filled chunk by chunk.

    Attributes:
        beliefs: [rows, states].
        bethe: [rows], free energy of the last state, nats; +inf where impossible.
        energies: [rounds, rows], after each round; +inf from where impossibility is known.
        changes: [rounds, rows], the largest change of a message.
        pending: [rows], the largest change one more undamped round would make.
        sound: [rows], False where the evidence was shown to be impossible.
        start_residual: [rows], what still changed in the messages the row began with.
    """

    beliefs: NDArray[np.floating]
    bethe: NDArray[np.float64]
    energies: NDArray[np.float64]
    changes: NDArray[np.floating]
    pending: NDArray[np.floating]
    sound: NDArray[np.bool_]
    start_residual: NDArray[np.float64]


def _capacity(rounds: int) -> int:
    """Rounds a compiled program has room for: a power of two, so that few programs serve all."""
    return max(LEAST_CAPACITY, 1 << int(rounds - 1).bit_length() if rounds else 0)


class Propagation:
    """The settings of a `LoopyInference` with the arrays its compiled rounds read, placed on first use."""

    def __init__(
        self,
        net: WorldNet | FactorNet,
        graph: FactorGraph,
        dtype: str,
        schedule: str,
        damping: float,
        reweighting: NDArray[np.float64] | None,
    ) -> None:
        self.net, self.graph, self.dtype, self.schedule = net, graph, dtype, schedule
        self.damping = None if damping == 0.0 else np.asarray(damping, dtype)
        self.reweighting = reweighting
        self._prior: tuple[Any, NDArray[np.float64]] | None = None  # kept: most queries start there

    def propagate(self, given: Given, rounds: int, start: str, every: bool) -> Outcome:
        """Rounds for every row; the free energy after each of them if `every`."""
        from worldnets.inference.loopy.algebra import Logarithm

        count, states = len(given.codes), int(self.net.cardinalities.sum())
        found = Outcome(
            np.zeros((count, states), self.dtype),
            np.zeros(count),
            np.zeros((rounds, count)),
            np.zeros((rounds, count), self.dtype),
            np.zeros(count, self.dtype),
            np.ones(count, bool),
            np.zeros(count),
        )
        with self.numbers():
            for part in self.parts(given.done, start, _capacity(rounds)):
                found.start_residual[part.rows] = part.start_residual[part.pattern]
                self._fill(found, self._fast, part, np.arange(len(part.rows)), given, rounds, every)
                # Rows in which a total was too small to be trusted: in logarithms only true zeros fail.
                doubtful = np.flatnonzero(~found.sound[part.rows])
                if len(doubtful) and not isinstance(self._fast, Logarithm):
                    self._fill(found, Logarithm(), part, doubtful, given, rounds, every)
        return found._replace(bethe=found.bethe - given.log_scale, energies=found.energies - given.log_scale)

    def numbers(self) -> Any:
        """A context in which JAX has this object's number type."""
        import jax

        return jax.enable_x64(self.dtype == "float64")

    def run(
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
        """One chunk through one compiled program: codes [variables, rows], log likelihoods [states, rows] or None."""
        capacity = max(capacity, _capacity(rounds))
        before = (log_tables, column, log_soft, start, np.int32(rounds))
        if self.schedule == "residual":
            from worldnets.inference.loopy import residual

            after = (self.damping, self.weights, self._edge_weights)
            return residual.run(
                algebra, self.wiring, self.graph.splits, self._neighbours, *before, *after, capacity=capacity
            )
        from worldnets.inference.loopy import rounds as synchronous

        settings = (np.bool_(every), self.damping, self.weights)
        return synchronous.run(algebra, self.wiring, self.graph.splits, *before, *settings, capacity=capacity)

    def parts(self, done: Codes, start: str, capacity: int = LEAST_CAPACITY) -> list[Part]:
        """Rows by the set of variables they intervene on, each part with its tables and starts."""
        parts = []
        sets, which = np.unique(done != UNOBSERVED, axis=0, return_inverse=True)
        for i, intervened in enumerate(sets):
            rows = np.flatnonzero(which.ravel() == i)
            log_tables = self._cut_tables(intervened) if intervened.any() else self._log_tables
            patterns, pattern = np.unique(done[rows], axis=0, return_inverse=True)
            if start == "uniform" or not self.graph.edges:
                settled, change = self.wiring.uniform[:, None], np.zeros(len(patterns))
            elif intervened.any():
                settled, change = self._settled(log_tables, patterns, len(rows), capacity)
            else:
                if self._prior is None:
                    self._prior = self._settled(log_tables, patterns, len(rows), capacity)
                settled, change = self._prior
            pattern = pattern.ravel() if settled.shape[1] > 1 else np.zeros(len(rows), np.int64)
            parts.append(Part(rows, log_tables, settled, pattern, np.resize(change, settled.shape[1])))
        return parts

    def _fill(
        self,
        found: Outcome,
        algebra: Algebra,
        part: Part,
        chosen: NDArray[np.int64],
        given: Given,
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
            column = np.ascontiguousarray(given.codes[rows].T, dtype=np.int32)
            log_soft = None if given.log_likelihood is None else np.ascontiguousarray(given.log_likelihood[rows].T)
            done = self.run(algebra, part.log_tables, column, log_soft, start, rounds, every)
            here, kept = part.rows[some], len(some)
            sound = np.asarray(done.sound)[:kept]
            beyond = np.asarray(done.found)[1 : rounds + 1, :kept]
            found.beliefs[here] = np.asarray(done.beliefs)[:, :kept].T
            found.bethe[here] = np.where(sound, np.asarray(done.bethe)[:kept], np.inf)
            found.energies[:, here] = np.where(beyond, np.inf, np.asarray(done.energies)[1 : rounds + 1, :kept])
            found.changes[:, here] = np.asarray(done.changes)[:rounds, :kept]
            found.pending[here] = np.asarray(done.pending)[:kept]
            found.sound[here] = sound

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

    def _cut_tables(self, intervened: NDArray[np.bool_]) -> Any:
        """Tables in which those of the intervened variables are all ones: the value is clamped, so ones drop them."""
        import jax

        log_tables = log_cells(self.net).astype(self.dtype)
        bounds = self.graph.factor_cells
        for v in np.flatnonzero(intervened):  # the factors of a Bayes net are in the order of its variables
            log_tables[bounds[v] : bounds[v + 1]] = 0.0
        return jax.numpy.asarray(log_tables)

    def _settled(self, log_tables: Any, patterns: Codes, rows: int, capacity: int) -> tuple[Any, NDArray[np.float64]]:
        """Messages without evidence, [places, patterns], iterated from uniform ones; what still changes, [patterns].

        The compiled program is the one the rows will use: blocks of rounds, until none changes anything.
        """
        from worldnets.inference.loopy.algebra import Logarithm

        width = self._width(self._fast, rows)
        settled, changes = [], []
        for first in range(0, len(patterns), width):
            some = patterns[first : first + width]
            column = np.ascontiguousarray(np.resize(some, (width, some.shape[1])).T, dtype=np.int32)
            use, messages = self._fast, self.wiring.uniform[:, None]
            for _ in range(START_ROUNDS // START_BLOCK):
                done = self.run(use, log_tables, column, None, messages, START_BLOCK, False, capacity)
                if not np.asarray(done.sound).all() and not isinstance(use, Logarithm):
                    use, messages = Logarithm(), self.wiring.uniform[:, None]
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

    @functools.cached_property
    def _fast(self) -> Algebra:
        """Reweighted messages divide by powers of messages, where an underflowed zero would do harm: logarithms."""
        from worldnets.inference.loopy.algebra import algebra_of

        return algebra_of("probability" if self.reweighting is None else "logarithm", self.dtype)

    @functools.cached_property
    def wiring(self) -> Any:
        """The graph's `Wiring` on the device."""
        import jax

        place = lambda x: jax.numpy.asarray(x, self.dtype if x.dtype.kind == "f" else None)
        return jax.tree.map(place, self.graph.wiring)

    @functools.cached_property
    def weights(self) -> Weights | None:
        """Tree-reweighting on the device."""
        from worldnets.inference.loopy.messages import weights_of

        return None if self.reweighting is None else weights_of(self.graph, self.reweighting, self.dtype)

    @functools.cached_property
    def neighbours(self) -> Neighbours:
        """Who hears what, for the residual schedule; index arrays of NumPy."""
        from worldnets.inference.loopy.residual import neighbours

        return neighbours(self.graph, len(self.net.variables))

    @functools.cached_property
    def _neighbours(self) -> Neighbours:
        import jax

        return jax.tree.map(jax.numpy.asarray, self.neighbours)

    @functools.cached_property
    def _edge_weights(self) -> Any:
        if self.reweighting is None:
            return None
        return np.append(self.reweighting[[f for f, _ in self.graph.edges]], 1.0).astype(self.dtype)

    @functools.cached_property
    def _log_tables(self) -> Any:
        import jax

        return jax.numpy.asarray(log_cells(self.net).astype(self.dtype))
