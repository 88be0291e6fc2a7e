"""How a batch of rows is answered: which way, with which plans, over which threads.

Three ways, chosen by predicted cost; `docs/decisions/exact-engine.md` has the reasons and the measurements.

1. *Row by row* (`bucket_tree`): an elimination order for each row. Nothing is shared and nothing has to be planned
   before, so it answers few rows soonest, and rows whose masks differ where the net's own cliques are large.
2. *Sliced plan* (`kernels`): rows with the same mask, side by side; what they observe is cut out of the graph.
3. *Indicator plan* (`kernels`): one plan for all masks; evidence multiplies indicators.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections import OrderedDict
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError
from worldnets.inference.codes import Codes
from worldnets.inference.compiled import interpreted
from worldnets.inference.evidence import Observed
from worldnets.inference.limits import LIMITS
from worldnets.inference.network import network
from worldnets.inference.plan import Plan
from worldnets.inference.planner import Draft
from worldnets.inference.workers import over_rows, working_memory
from worldnets.net import FactorNet, WorldNet

Outputs = tuple[tuple[str, ...], ...]
_Kind = tuple[frozenset[str], frozenset[str], Outputs]  # observed in every row, with evidence in some, asked for

WIDEST_CHUNK = 64  # rows side by side: eight vector registers of doubles
CACHE_BYTES = 5_000_000  # working tables of a chunk; wider chunks pay until well beyond the second-level cache
CALL_MULTIPLY_ADDS = 2e8  # one compiled call stays well under a second, so that Ctrl-C is heard
CALL_ROWS = 64  # rows answered one by one in a call
PLANS_KEPT, PLAN_BYTES = 64, 2**30
FEW_ROWS = 16  # up to here no plan is made for single marginals
INTERPRETED_ENTRIES = 8_000  # rows × table entries that plain Python answers sooner than a compiler is loaded
INTERPRETED_CELLS = 3_000  # of one row: small tables may still make large cliques
# Costs in multiply-adds of a shared plan, as `make bench` finds them: 0.25 ns each.
ADDS_PER_CELL = 5  # a shared plan's multiply-adds per clique cell
LONE_ADD = 6  # a multiply-add of a row with tables of its own
LONE_VARIABLE = 1_500  # ordering and reading one variable for one row
PLANNED_VARIABLE = 150_000  # planning one variable
SCANNED_ROWS = 64  # masks looked at to see whether they repeat


class _Group(NamedTuple):
    """Rows that share a plan."""

    rows: NDArray[np.intp] | slice
    plan: Plan


class Answerer:
    """Answers checked evidence on one net; keeps the latest plans.

    Args:
        net, dtype, threads, memory_limit: as of `Inference`.
    """

    def __init__(self, net: WorldNet | FactorNet, dtype: str, threads: int, memory_limit: float) -> None:
        self.net, self.dtype, self.threads, self.memory_limit = net, dtype, threads, memory_limit
        self._plans: OrderedDict[_Kind, Plan] = OrderedDict()
        self._drafts: OrderedDict[_Kind, Draft] = OrderedDict()
        self._latest: _Kind = (frozenset[str](), frozenset(net.variables), tuple((v,) for v in net.variables))

    @property
    def plan(self) -> Plan:
        """The plan of the latest query (of the first row's mask, where every row had its own)."""
        return self._plan(self._latest)

    def posteriors(
        self, seen: Observed, outputs: Outputs, maximise: bool = False
    ) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.int64]]:
        """Posteriors side by side [rows, states], log evidence [rows] (nats), and multiply-adds per row [rows].

        With `maximise`, max-marginals divided by their largest, and the logarithm of the best joint probability.
        """
        width = sum(math.prod(len(self.net.states[v]) for v in output) for output in outputs)
        if not len(seen):
            return np.empty((0, width), self.dtype), np.empty(0), np.empty(0, np.int64)
        lone = not maximise and all(len(output) == 1 for output in outputs)
        if lone and self._row_by_row(seen, outputs):
            table, log_evidence, multiply_adds = self._lone_rows(seen, outputs)
        else:
            groups = list(self._groups(seen, outputs))
            if len(groups) == 1:
                table, log_evidence = self._shared(seen, groups[0].plan, maximise)
            else:
                table, log_evidence = np.empty((len(seen), width), self.dtype), np.empty(len(seen))
                for rows, plan in groups:
                    table[rows], log_evidence[rows] = self._shared(seen.take(rows), plan, maximise)
            multiply_adds = np.empty(len(seen), np.int64)
            for rows, plan in groups:
                multiply_adds[rows] = plan.multiply_adds
        return table, log_evidence + seen.log_scale, multiply_adds

    def most_probable(self, seen: Observed, outputs: Outputs) -> tuple[Codes, NDArray[np.float64]]:
        """The most probable joint state of each row [rows, variables], and its log probability (nats)."""
        from worldnets.inference import kernels

        states = np.empty((len(seen), 1, len(self.net.variables)), dtype=np.int16)
        log_probability = np.empty(len(seen))
        limits = LIMITS[self.dtype]
        for rows, plan in self._groups(seen, outputs):
            part = seen.take(rows)
            found, logs = np.empty((len(part), *states.shape[1:]), np.int16), np.empty(len(part))
            arrays = (plan.wiring, plan.sampling, np.ascontiguousarray(part.codes.T), part.likelihood, part.soft_start)
            width = _width(plan)

            def work(first: int, last: int, arrays=arrays, width=width, found=found, logs=logs) -> None:  # type: ignore[no-untyped-def]
                kernels.most_probable(*arrays, first, last, width, limits, found, logs)

            self._over_chunks(work, len(part), plan.multiply_adds, width)
            states[rows], log_probability[rows] = found, logs + plan.log_scale
        return states[:, 0], log_probability + seen.log_scale

    def samples(self, seen: Observed, draws: int, seed: int, outputs: Outputs) -> tuple[Codes, NDArray[np.float64]]:
        """Draws from the posterior of each row [rows, draws, variables], and log evidence [rows] (nats)."""
        from worldnets.inference import kernels

        samples = np.empty((len(seen), draws, len(self.net.variables)), dtype=np.int16)
        log_evidence = np.empty(len(seen))
        limits = LIMITS[self.dtype]
        # One plan for all mixed batches, so that a draw does not depend on the masks beside it.
        for rows, plan in self._groups(seen, outputs, whole=True):
            part = seen.take(rows)
            numbers = np.arange(len(seen), dtype=np.uint64)[rows]
            drawn, logs = np.empty((len(part), *samples.shape[1:]), np.int16), np.empty(len(part))
            arrays = (plan.wiring, plan.sampling, np.ascontiguousarray(part.codes.T), part.likelihood, part.soft_start)
            width = _width(plan)

            def work(  # type: ignore[no-untyped-def]
                first: int, last: int, arrays=arrays, width=width, numbers=numbers, drawn=drawn, logs=logs
            ) -> None:
                kernels.conditional_samples(*arrays, first, last, width, limits, np.uint64(seed), numbers, drawn, logs)

            self._over_chunks(work, len(part), plan.multiply_adds + 20 * draws * plan.cells, width)
            samples[rows], log_evidence[rows] = drawn, logs
        return samples, log_evidence + seen.log_scale

    # Which way, and which plans.

    def _row_by_row(self, seen: Observed, outputs: Outputs) -> bool:
        """Whether rows get an elimination order each."""
        if len(seen) <= FEW_ROWS:
            return True
        if seen.alike or self._patterns_repeat(seen.masks):
            return False
        shared = ADDS_PER_CELL * self._cells(self._kind(seen, outputs))
        overhead = LONE_VARIABLE * len(self.net.variables)
        if shared <= overhead:
            return False
        *_, multiply_adds = self._lone_rows(seen.take(slice(0, FEW_ROWS)), ())
        return bool(shared > overhead + LONE_ADD * multiply_adds.mean())

    def _cells(self, kind: _Kind) -> float:
        """Cells of a shared plan, whether it has been made or not."""
        return self._plans[kind].full_cells if kind in self._plans else self._draft(kind).cells

    def _patterns_repeat(self, observed: NDArray[np.bool_]) -> bool:
        """Whether masks repeat so often that a plan for each of them pays."""
        first = observed[:SCANNED_ROWS]
        if len({row.tobytes() for row in first}) > len(first) // 2:
            return False
        patterns = len(_distinct(observed)[0])
        planning = patterns * PLANNED_VARIABLE * observed.shape[1]
        return planning <= len(observed) * LONE_VARIABLE * observed.shape[1]

    def _groups(self, seen: Observed, outputs: Outputs, whole: bool = False) -> Iterator[_Group]:
        """Rows by plan; with `whole`, one plan for any mixture of masks if it fits."""
        if seen.alike:
            yield _Group(slice(None), self._plan(self._kind(seen, outputs)))
            return
        if whole or not self._patterns_repeat(seen.masks):
            any_mask = (frozenset[str](), frozenset(self.net.variables), outputs)
            try:
                yield _Group(slice(None), self._plan(any_mask if whole else self._kind(seen, outputs)))
                return
            except CapacityError:
                pass  # what some rows observe may leave small cliques; if it does not, the error comes again
        _, pattern = _distinct(seen.masks)
        for one in range(pattern.max() + 1):
            rows = np.flatnonzero(pattern == one)
            yield _Group(rows, self._plan(self._kind(seen.take(rows[:1]), outputs)))

    def _kind(self, seen: Observed, outputs: Outputs) -> _Kind:
        names = self.net.variables
        always, sometimes = (frozenset(itertools.compress(names, columns)) for columns in seen.columns)
        return always, sometimes, outputs

    def _plan(self, key: _Kind) -> Plan:
        self._latest = key
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = self._draft(key).plan(self.memory_limit)
            while len(self._plans) > 1 and (
                len(self._plans) > PLANS_KEPT or sum(kept.index_bytes for kept in self._plans.values()) > PLAN_BYTES
            ):
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return plan

    def _draft(self, key: _Kind) -> Draft:
        if key not in self._drafts:
            self._drafts[key] = Draft(self.net, *key, np.dtype(self.dtype).type)
            while len(self._drafts) > PLANS_KEPT:
                self._drafts.popitem(last=False)
        return self._drafts[key]

    # Running.

    def _shared(self, seen: Observed, plan: Plan, maximise: bool) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        from worldnets.inference import kernels

        beliefs = np.empty((plan.wiring.output_start[-1], len(seen)), dtype=self.dtype)
        log_evidence = np.empty(len(seen))
        by_variable = np.ascontiguousarray(seen.codes.T)
        width, limits = _width(plan), LIMITS[self.dtype]
        numbers = width * (plan.bytes_per_row // beliefs.itemsize + len(plan.tree.parent))

        def work(first: int, last: int) -> None:
            kernels.posteriors(
                plan.wiring,
                working_memory(numbers, beliefs.dtype),
                by_variable,
                seen.likelihood,
                seen.soft_start,
                first,
                last,
                width,
                limits,
                maximise,
                beliefs,
                log_evidence,
            )

        self._over_chunks(work, len(seen), plan.multiply_adds, width)
        return beliefs.T, log_evidence + plan.log_scale

    def _over_chunks(self, work, rows: int, cost_per_row: int, width: int) -> None:  # type: ignore[no-untyped-def]
        over_rows(self.threads, rows, int(CALL_MULTIPLY_ADDS / max(1, cost_per_row)), width, work)

    def _lone_rows(
        self, seen: Observed, outputs: Outputs
    ) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.int64]]:
        w = network(self.net, np.dtype(self.dtype).type)
        wanted = np.zeros(len(self.net.variables), dtype=np.bool_)
        start = np.zeros(len(self.net.variables), dtype=np.int64)
        width = 0
        for (v,) in outputs:
            wanted[self.net.index[v]], start[self.net.index[v]] = True, width
            width += len(self.net.states[v])
        table = np.empty((len(seen), width), dtype=self.dtype)
        log_evidence, multiply_adds = np.empty(len(seen)), np.empty(len(seen), dtype=np.int64)
        codes = np.ascontiguousarray(seen.codes)
        limits, most = LIMITS[self.dtype], self.memory_limit / (2 * table.itemsize)

        def walk(loops: ModuleType, most_cells: float) -> tuple[int, float]:
            """Answer all rows; the first that needs more cells, and how many, or (-1, 0)."""
            refused: list[tuple[int, float]] = []

            def work(first: int, last: int) -> None:
                row, cells = loops.posteriors(
                    w,
                    codes,
                    seen.likelihood,
                    seen.soft_start,
                    wanted,
                    start,
                    first,
                    last,
                    limits,
                    most_cells,
                    table,
                    log_evidence,
                    multiply_adds,
                )
                if row >= 0:
                    refused.append((row, cells))

            over_rows(self.threads, len(seen), CALL_ROWS, 1, work)
            return min(refused, default=(-1, 0.0))

        self._latest = self._kind(seen.take(slice(0, 1)), outputs)
        plain = _plain_bucket_tree(len(seen) * len(w.tables), self.dtype)
        if plain is None or walk(plain, min(most, INTERPRETED_CELLS))[0] >= 0:
            from worldnets.inference import bucket_tree

            row, cells = walk(bucket_tree, most)
            if row >= 0:
                raise CapacityError(
                    "exact inference on this net needs too much memory",
                    row=row if seen.index is None else seen.index[row],
                    found=f"{cells:.4g} table cells, about {cells * 2 * table.itemsize / 2**30:.3g} GiB",
                    expected=f"at most {self.memory_limit / 2**30:.3g} GiB",
                    mend="ask for fewer variables, observe more of them, raise memory_limit, or use loopy message "
                    "passing (LoopyInference)",
                )
        return table, log_evidence + w.log_scale, multiply_adds


def _width(plan: Plan) -> int:
    fitting = CACHE_BYTES // max(1, plan.bytes_per_row)
    return int(min(WIDEST_CHUNK, max(8, fitting - fitting % 8)))


def _distinct(observed: NDArray[np.bool_]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """The distinct masks, and which of them each row has."""
    packed = np.packbits(observed, axis=1)
    return np.unique(packed, axis=0, return_inverse=True)


def _plain_bucket_tree(work: int, dtype: str) -> ModuleType | None:
    """The loops for lone rows as plain Python, where that is sooner done than loading a compiler. Same bits.

    Doubles only: of float32 and a Python number NumPy makes float32, and the compiler float64.
    """
    if "numba" in sys.modules or work > INTERPRETED_ENTRIES or dtype != "float64":
        return None
    needs = ("worldnets.inference.bucket_tables", "worldnets.inference.elimination")
    return interpreted("worldnets.inference.bucket_tree", *needs)
