"""Walking family plans: rows divided among plans, plans walked in blocks over threads, results summed in a fixed order.

What is public about it is in `gradient` and `differentiable`.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError
from worldnets.inference.answer import CACHE_BYTES, CALL_MULTIPLY_ADDS, WIDEST_CHUNK
from worldnets.inference.arrays import Wiring
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.evidence import Observed
from worldnets.inference.families import FamilyPlan, Mask, planner
from worldnets.inference.limits import LIMITS
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    from worldnets.inference.exact import Inference

SPARE_BYTES = 2**25  # working tables up to this size are kept for the next call: fresh memory is slow memory
MOST_BLOCKS = 16  # rows are summed in blocks, fixed by the plan and the number of rows: bits do not depend on threads
# Measured, in nanoseconds: by these it is chosen whether different masks share a plan.
CELL_COST = 4  # of a clique cell, per row
PLANNING_COST = 35_000  # of a plan, per variable of the net …
PLANNING_CELL_COST = 40  # … and per clique cell
ENTRY_COST = 3  # of an entry, per plan: each fills and sums its own


class Directions(NamedTuple):
    """The direction of a derivative: what is added to the log-potential of each state, by row."""

    slopes: NDArray[np.float64]  # [states of all variables, rows]
    state_start: NDArray[np.int64]  # [variables + 1]
    sloped: Mask  # [variables] whether any of its slopes is not zero


def side_by_side(
    net: WorldNet | FactorNet, variables: tuple[str, ...], slopes: NDArray[np.float64]
) -> Directions | None:
    """Directions from `slopes` [rows, states of `variables`]; None if all of them are zero."""
    if not slopes.any():
        return None
    state_start = np.cumsum([0, *net.cardinalities])
    if variables == net.variables:
        given = np.ascontiguousarray(slopes.T)
    else:
        given, first = np.zeros((state_start[-1], len(slopes))), 0
        for v in variables:
            column = net.index[v]
            last = first + int(net.cardinalities[column])
            given[state_start[column] : state_start[column + 1]] = slopes[:, first:last].T
            first = last
    nonzero = np.add.reduceat(given.any(axis=1), state_start[:-1], dtype=np.intp) > 0
    return Directions(given, state_start, nonzero)


def family_totals(
    engine: Inference,
    seen: Observed,
    weights: NDArray[np.float64],
    directions: Directions | None,
    values: NDArray[np.float64] | None = None,
    per_row: bool = False,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Σ_rows [w·family marginals + their derivative in the direction], as entries, and log evidence [rows] (nats).

    Args:
        engine: the `Inference` whose net, number type, threads and memory limit are used.
        seen: the evidence.
        weights: [rows].
        directions: the direction, or None for the marginals alone.
        values: [entries], tables to use in place of the net's.
        per_row: return [rows, entries] instead of the sum [entries].
    """
    made = planner(engine)
    size = len(made.layout.values)
    if per_row and size * len(seen) * 16 > engine.memory_limit:
        raise CapacityError(
            "the family tables of all rows do not fit",
            found=f"{size * len(seen) * 16 / 2**30:.3g} GiB",
            expected=f"at most {engine.memory_limit / 2**30:.3g} GiB",
            mend="take fewer rows at a time, or sum over rows (per_row=False, expected_counts)",
        )
    totals = np.zeros((size, len(seen)) if per_row else size)
    log_evidence = np.empty(len(seen))
    for always, rows in parts(engine, seen):
        some: Any = slice(None) if rows is None else rows
        own = directions
        if directions is not None and rows is not None:
            own = directions._replace(slopes=np.ascontiguousarray(directions.slopes[:, rows]))
        part = seen if rows is None else seen.take(rows)
        walk = _Walk(engine, made.plan(always), part, weights[some], own, values)
        found, log_evidence[some] = walk.entries(per_row)
        if per_row:
            totals[:, some] = found
        else:
            totals += found
    return (totals.T if per_row else totals), log_evidence + seen.log_scale


def marginals(
    engine: Inference, seen: Observed, variables: tuple[str, ...], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Beliefs [states of `variables`, rows] and log evidence [rows] (nats) with `values` [entries] for tables."""
    made = planner(engine)
    made.admit(values)
    state_start = np.cumsum([0, *(len(engine.net.states[v]) for v in variables)])
    table, log_evidence = np.empty((state_start[-1], len(seen))), np.empty(len(seen))
    for always, rows in parts(engine, seen):
        some: Any = slice(None) if rows is None else rows
        part = seen if rows is None else seen.take(rows)
        walk = _Walk(engine, made.plan(always, variables), part, np.ones(len(part)), None, values)
        table[:, some], log_evidence[some] = walk.beliefs()
    return table, log_evidence + seen.log_scale


def parts(engine: Inference, seen: Observed) -> list[tuple[Mask, NDArray[np.intp] | None]]:
    """How rows are divided among plans: (variables sliced away, rows), rows None where they are all.

    Rows that observe the same variables share a plan in which these are cut out of the graph. Different masks share one
    plan with indicators, unless a plan for each mask is predicted to cost less, planning included, or only those fit.
    """
    if not len(seen):
        return []
    # A likelihood stays beside an indicator, also where the variable is observed.
    observed = (seen.codes != UNOBSERVED) & (seen.soft_start < 0)
    always = observed.all(axis=0)
    if (observed == always).all():
        return [(always, None)]
    made = planner(engine)
    cost = lambda cells, rows: cells * (rows * CELL_COST + PLANNING_CELL_COST)
    together = cost(made.cells(always), len(seen))
    each = len(engine.net.variables) * PLANNING_COST + len(made.layout.values) * ENTRY_COST
    if made.fits(always) and together <= 2 * each:  # there are two masks at least
        return [(always, None)]
    _, first, inverse, counts = np.unique(
        np.packbits(observed, axis=1), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    if made.fits(always):
        if together <= len(counts) * each:
            return [(always, None)]
        # The masks of most rows stand for the others.
        sample = np.argsort(-counts, kind="stable")[:4]
        sliced = float(np.mean([made.cells(observed[first[i]]) for i in sample]))
        if together <= len(counts) * (each + cost(sliced, len(seen) / len(counts))):
            return [(always, None)]
    by_pattern = np.split(np.argsort(inverse.ravel(), kind="stable"), np.cumsum(counts)[:-1])
    return [(observed[rows[0]], rows) for rows in by_pattern]


@dataclass(frozen=True, eq=False)
class _Walk:
    """One plan walked for the rows it serves."""

    engine: Inference
    made: FamilyPlan
    seen: Observed
    weights: NDArray[np.float64]
    directions: Directions | None
    values: NDArray[np.float64] | None

    def entries(self, per_row: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Entries, summed or [entries, rows], and log evidence [rows]."""
        from worldnets.inference import tangent

        rows, size = len(self.seen), len(planner(self.engine).layout.values)
        log_evidence = np.empty(rows)
        if self.directions is None and not per_row:
            return self._tallied(size, log_evidence), log_evidence + self.log_scale
        totals = np.zeros((size, rows) if per_row else size)
        chunks = self._chunks(log_evidence)

        def block(first: int, last: int) -> NDArray[np.float64]:
            # Sums start at zero in every block; rows kept apart go straight where they belong.
            own = totals if per_row else np.zeros(size)
            for start, n, numbers in chunks(first, last):
                if per_row:
                    tangent.spread(self.made.families, self.codes, start, n, numbers, own)
                else:
                    tangent.accumulate(self.made.families, self.codes, start, n, numbers, own)
            return own

        for own in self._over_blocks(block):
            if not per_row:
                totals += own
        return totals, log_evidence + self.log_scale

    def _tallied(self, size: int, log_evidence: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted family marginals summed over rows, [entries]: every block is one compiled call."""
        from worldnets.inference.expectation import tally

        wiring, width, limits = self.wiring, self._width, LIMITS[self.engine.dtype]
        evidence = (self.codes, self.seen.likelihood, self.seen.soft_start)
        step, totals = self._step, np.zeros(size)

        def block(first: int, last: int) -> NDArray[np.float64]:
            own, space = np.zeros(size), _spare(self.made, width) or _Workspace.of(wiring, width)
            room = (space.pot, space.arena, space.active, space.scale, space.log_z, space.read)
            arguments = (self.weights, first, last, step, width, limits, room, log_evidence, own)
            tally(wiring, self.made.families, evidence, *arguments)
            if space.bytes <= SPARE_BYTES:
                self.made.spare.append(space)
            return own

        rows, threads = len(self.seen), self.engine.threads
        if threads == 1 and rows * self._cost <= CALL_MULTIPLY_ADDS:
            return block(0, rows)  # the same sums in the same order
        for own in in_order(block, range(0, rows, step), rows, threads):
            totals += own
        return totals

    def beliefs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The distributions that a plan for beliefs reads off, [states, rows], and log evidence [rows]."""
        w, rows = self.wiring, len(self.seen)
        table, log_evidence = np.empty((w.output_start[-1], rows)), np.empty(rows)
        chunks = self._chunks(log_evidence)

        def block(first: int, last: int) -> NDArray[np.float64]:
            for start, n, numbers in chunks(first, last):
                table[:, start : start + n] = numbers[: len(table), :n]
            return table

        for _ in self._over_blocks(block):
            pass
        if len(table):
            total = np.add.reduceat(table, w.output_start[:-1], axis=0)
            np.divide(1.0, total, out=total, where=total > 0)
            table *= np.repeat(total, np.diff(w.output_start), axis=0)
        possible = np.flatnonzero(log_evidence > -np.inf)
        for output, column in zip(w.sure_output, w.sure_column, strict=True):
            table[w.output_start[output] : w.output_start[output + 1]] = 0.0
            table[w.output_start[output] + self.codes[column, possible], possible] = 1.0
        return table, log_evidence + self.log_scale

    @functools.cached_property
    def codes(self) -> NDArray[np.int16]:
        """The hard evidence, [variables, rows]."""
        return np.ascontiguousarray(self.seen.codes.T)

    @functools.cached_property
    def _numbers(self) -> tuple[Wiring, float]:
        return (self.made.wiring, self.made.log_scale) if self.values is None else self.made.filled(self.values)

    @property
    def wiring(self) -> Wiring:
        """The plan's index arrays with the tables that count here."""
        return self._numbers[0]

    @property
    def _width(self) -> int:
        """Rows side by side: never more room than there are rows, or a single row would leave most of it idle."""
        bytes_per_row = self.made.plan.bytes_per_row * (1 if self.directions is None else 2)
        fitting = CACHE_BYTES // max(1, bytes_per_row)
        widest = min(WIDEST_CHUNK, max(8, fitting - fitting % 8))
        return max(1, min(widest, len(self.seen)))

    @property
    def log_scale(self) -> float:
        """What belongs to those tables, nats."""
        return self._numbers[1]

    @property
    def _cost(self) -> int:
        """Multiply-adds of a row, about."""
        return 3 * max(1, self.made.plan.multiply_adds)

    @property
    def _step(self) -> int:
        """Rows of a block, by the plan and the number of rows alone."""
        rows, width = len(self.seen), self._width
        if rows <= width:
            return width
        longest = max(width, int(CALL_MULTIPLY_ADDS / self._cost) // width * width)
        return min(longest, math.ceil(rows / (MOST_BLOCKS * width)) * width)

    def _over_blocks(self, block: Callable[[int, int], NDArray[np.float64]]) -> Iterator[NDArray[np.float64]]:
        rows = len(self.seen)
        return in_order(block, range(0, rows, self._step), rows, self.engine.threads)

    def _chunks(
        self, log_evidence: NDArray[np.float64]
    ) -> Callable[[int, int], Iterator[tuple[int, int, NDArray[np.floating]]]]:
        wiring, width = self.wiring, self._width  # filled once, before there are threads
        return lambda first, last: self._walk(wiring, first, last, width, log_evidence)

    def _walk(
        self, wiring: Wiring, first: int, last: int, width: int, log_evidence: NDArray[np.float64]
    ) -> Iterator[tuple[int, int, NDArray[np.floating]]]:
        """Walk chunks of rows; yields (first row, rows, numbers): the weighted readouts with their tangents."""
        space = _spare(self.made, width) or _Workspace.of(wiring, width)
        numbers = space.read if self.directions is None else space.slope_read
        for start in range(first, last, width):
            n = min(width, last - start)
            self._walk_chunk(wiring, space, start, n)
            log_evidence[start : start + n] = space.log_z[:n]
            yield start, n, numbers
        if space.bytes <= SPARE_BYTES:
            self.made.spare.append(space)

    def _walk_chunk(self, w: Wiring, space: _Workspace, start: int, n: int) -> None:
        from worldnets.inference import kernels, tangent

        limits, directions, outputs = LIMITS[self.engine.dtype], self.directions, int(w.output_start[-1])
        pot, arena, scale, log_z, active, read, cell_slope, arena_slope, carries, slope_read = space
        codes, likelihood, soft_start = self.codes, self.seen.likelihood, self.seen.soft_start
        kernels.collect(
            w, codes, likelihood, soft_start, start, n, pot, arena, active, scale, log_z, limits, False
        )  # fmt: skip
        # Weights that are not finite, as cotangents of −inf may be, must not reach impossible rows.
        weights = np.where(log_z[:n] > -np.inf, self.weights[start : start + n], 0.0).astype(pot.dtype)
        read[-1, :n] = slope_read[-1, :n] = weights
        if directions is None:
            kernels.distribute(w, n, pot, arena, scale, read, False)
            tangent.weigh(outputs, n, weights, read, slope_read, False)
            return
        tangent.load_slopes(
            w, directions.state_start, directions.slopes, directions.sloped,
            self.codes, start, n, log_z, arena_slope, carries,
        )  # fmt: skip
        tangent.ascend(w, n, pot, arena, scale, arena_slope, carries, cell_slope)
        tangent.descend(w, n, pot, arena, scale, arena_slope, cell_slope, read, slope_read)
        if weights.any():
            tangent.weigh(outputs, n, weights, read, slope_read, True)


class _Workspace(NamedTuple):
    """The working tables of a chunk of rows; `kernels` and `tangent` say what they hold."""

    pot: NDArray[np.floating]
    arena: NDArray[np.floating]
    scale: NDArray[np.floating]
    log_z: NDArray[np.float64]
    active: Mask
    read: NDArray[np.floating]  # and a last row for families observed wholly
    cell_slope: NDArray[np.floating]
    arena_slope: NDArray[np.floating]
    carries: Mask
    slope_read: NDArray[np.floating]

    @classmethod
    def of(cls, w: Wiring, width: int) -> _Workspace:
        """Room for `width` rows; what is never written to takes no memory."""
        table = lambda rows: np.empty((rows, width), w.base.dtype)
        cells, messages, readouts = w.base.size, w.message_rows, w.readout_rows + 1
        return cls(
            pot=table(cells),
            arena=table(messages),
            scale=table(w.clique_start.size - 1),
            log_z=np.empty(width),
            active=np.zeros(w.indicator_row.size, np.bool_),
            read=table(readouts),
            cell_slope=table(cells),
            arena_slope=table(messages),
            carries=np.empty(messages, np.bool_),
            slope_read=table(readouts),
        )

    @property
    def bytes(self) -> int:
        """Memory if all of it is written to."""
        return sum(array.nbytes for array in self)


def _spare(made: FamilyPlan, width: int) -> _Workspace | None:
    """Working tables of an earlier walk, if any are left and have the right width."""
    try:
        space: _Workspace = made.spare.pop()
    except IndexError:
        return None
    return space if space.pot.shape[1] == width else None


def in_order(
    work: Callable[[int, int], NDArray[np.float64]], starts: range, rows: int, threads: int
) -> Iterator[NDArray[np.float64]]:
    """Results of `work(first, last)` on blocks of rows, in the blocks' order, computed by several threads."""
    spans = list(pairwise((*starts, rows)))
    threads = min(threads, len(spans))
    if threads <= 1:
        for span in spans:
            yield work(*span)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="worldnets") as pool:
        waiting: deque[Future[NDArray[np.float64]]] = deque()
        for span in spans:
            waiting.append(pool.submit(work, *span))
            if len(waiting) > 2 * threads:  # a few results wait at most, however many blocks there are
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
