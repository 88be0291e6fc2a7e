"""Exact inference for many rows at once: `Inference`, the engine every probe and head sits on."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError, ImpossibleEvidenceError, QueryError
from worldnets.inference import walk
from worldnets.inference.beliefs import Beliefs, MostProbable
from worldnets.inference.codes import UNOBSERVED, Codes
from worldnets.inference.compiled import available_threads
from worldnets.inference.evidence import as_codes, decode
from worldnets.inference.limits import LIMITS
from worldnets.inference.plan import MEMORY_LIMIT, Plan, make_plan
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd

WIDEST_CHUNK = 64  # rows side by side: eight vector registers of doubles
CACHE_BYTES = 5_000_000  # working tables of a chunk; wider chunks pay until well beyond the second-level cache
CALL_MULTIPLY_ADDS = 2e8  # one compiled call stays well under a second, so that Ctrl-C is heard
WALKED_MULTIPLY_ADDS = 1e6  # up to here plain NumPy answers sooner than a compiler could be loaded; same bits
PLANS_KEPT = 64


class Inference:
    """Exact posteriors, log evidence and conditional samples by sum-product on a junction tree, batched over rows.

    Plans are made when first needed, for the set of variables that carry evidence in any row and the variables asked
    for, and kept (the last `PLANS_KEPT`). Under one plan a row's result has the same bits whatever rows, threads or
    chunks are beside it.

    Args:
        net: a `WorldNet`, or a `FactorNet` (then log evidence is ln Z).
        dtype: "float64" or "float32": the type of tables, messages and beliefs. Log evidence is float64.
        threads: threads over rows; default the processors this process may use.
        memory_limit: bytes; a query whose tables would take more is refused (`CapacityError`) before allocating.

    Sources: Lauritzen & Spiegelhalter 1988; Jensen, Lauritzen & Olesen 1990.
    """

    def __init__(
        self,
        net: WorldNet | FactorNet,
        dtype: str = "float64",
        threads: int | None = None,
        memory_limit: float = MEMORY_LIMIT,
    ) -> None:
        if dtype not in LIMITS:
            raise QueryError(
                "unknown number type", found=repr(dtype), expected="'float64' or 'float32'", mend="use one"
            )
        if threads is not None and threads < 1:
            raise QueryError("threads must be at least 1", found=threads, mend="leave it out to use all processors")
        self.net, self.dtype, self.threads = net, dtype, threads or available_threads()
        self.memory_limit = memory_limit
        self._plans: OrderedDict[Any, Plan] = OrderedDict()
        self._pool: ThreadPoolExecutor | None = None

    @property
    def plan(self) -> Plan:
        """The plan of the latest query; before any, that of all marginals with evidence anywhere."""
        if not self._plans:
            return self._plan((), self.net.variables, self._singles(None))
        return next(reversed(self._plans.values()))

    def query(
        self,
        evidence: pd.DataFrame | Codes,
        variables: Iterable[str] | None = None,
        on_impossible: Literal["flag", "raise"] = "flag",
    ) -> Beliefs:
        """Posterior marginals W(v | evidence) of every row.

        Args:
            evidence: one row per query: a table of state labels (None, NaN, pd.NA or no column: unobserved), or codes.
            variables: what to report, default all.
            on_impossible: what evidence of probability zero does: its row is flagged (beliefs 0, log evidence -inf,
                `possible` False), or an error is raised.
        Returns:
            Beliefs, `b[v]` of shape [rows, states].
        Raises:
            EvidenceError: unknown variables or states in the evidence.
            QueryError: an unknown variable asked for.
            ImpossibleEvidenceError: with `on_impossible="raise"`, naming the first such row.
        """
        codes = as_codes(self.net, evidence)
        outputs = self._singles(variables)
        table, log_evidence = self._posteriors(codes, outputs)
        index = None if isinstance(evidence, np.ndarray) else evidence.index
        if on_impossible == "raise":
            _refuse_impossible(log_evidence, index)
        return Beliefs({v: self.net.states[v] for (v,) in outputs}, table, log_evidence, index)

    def joint(self, evidence: pd.DataFrame | Codes, variables: Sequence[str]) -> NDArray[np.floating]:
        """Posterior W(variables | evidence) of the variables together, shape [rows, *states]; 0 in impossible rows.

        Raises:
            EvidenceError, QueryError: as in `query`.
        """
        scope = tuple(variables)
        self.net.check_variables(scope, error=QueryError)
        if len(set(scope)) != len(scope) or not scope:
            raise QueryError("a joint posterior is over distinct variables", found=list(scope), mend="name each once")
        codes = as_codes(self.net, evidence)
        table, _ = self._posteriors(codes, (scope,))
        return table.reshape(len(codes), *(len(self.net.states[v]) for v in scope))

    def log_evidence(self, evidence: pd.DataFrame | Codes) -> NDArray[np.float64]:
        """The logarithm of W(evidence) (of Z for a `FactorNet`) in nats, shape [rows]; -inf where impossible."""
        return self._posteriors(as_codes(self.net, evidence), ())[1]

    def map(self, evidence: pd.DataFrame | Codes) -> MostProbable:
        """The most probable joint state of all variables given each row: argmax_x W(x, evidence), by max-product.

        Of states that are equally probable one is returned, always the same.

        Returns:
            MostProbable: `.states`, a table of labels, and `.log_probability`, ln max_x W(x, evidence) in nats (for a
            `FactorNet`, of the product of factors).
        Raises:
            EvidenceError: unknown variables or states in the evidence.

        Source: Dawid 1992, "Applications of a general propagation algorithm", section 4.
        """
        from worldnets.inference import kernels

        codes = as_codes(self.net, evidence)
        plan = self._plan(*self._observed(codes), self._singles(None))
        states = np.empty((len(codes), 1, len(self.net.variables)), dtype=np.int16)
        log_probability = np.empty(len(codes))
        by_variable = np.ascontiguousarray(codes.T)
        width, limits = self._width(plan), LIMITS[self.dtype]

        def work(first: int, last: int) -> None:
            kernels.most_probable(
                plan.wiring, plan.sampling, by_variable, first, last, width, limits, states, log_probability
            )

        self._over_rows(work, len(codes), plan.multiply_adds, width)
        index = None if isinstance(evidence, np.ndarray) else evidence.index
        return MostProbable(decode(self.net, states[:, 0], index=index), states[:, 0], log_probability + plan.log_scale)

    def sample(self, evidence: pd.DataFrame | Codes, draws: int = 100, seed: int = 0) -> pd.DataFrame:
        """Exact draws from W(· | evidence), as a table of labels indexed by (row, draw).

        Raises:
            ImpossibleEvidenceError: a row of probability zero has no posterior to draw from.
        """
        import pandas as pd

        codes = as_codes(self.net, evidence)
        samples, log_evidence = self._samples(codes, draws, seed)
        index = pd.RangeIndex(len(codes)) if isinstance(evidence, np.ndarray) else evidence.index
        _refuse_impossible(log_evidence, index)
        frame = decode(self.net, samples.reshape(-1, samples.shape[-1]))
        frame.index = pd.MultiIndex.from_product([index, range(draws)], names=["row", "draw"])
        return frame

    def sample_codes(self, codes: Codes, draws: int, seed: int = 0) -> Codes:
        """Exact draws of all variables from the posterior of each row.

        Draw j of row i depends only on (seed, i, j), the row's evidence, and whether all rows observe the same
        variables (then those are cut out of the graph; otherwise one plan serves all masks).

        Returns:
            int16 [rows, draws, variables]; -1 throughout in impossible rows.
        """
        return self._samples(as_codes(self.net, codes), draws, seed)[0]

    def _singles(self, variables: Iterable[str] | None) -> tuple[tuple[str, ...], ...]:
        if variables is None:
            return tuple((v,) for v in self.net.variables)
        if isinstance(variables, str):
            raise QueryError("variables is one text", found=repr(variables), mend=f"give a list: [{variables!r}]")
        names = tuple(dict.fromkeys(variables))
        self.net.check_variables(names, error=QueryError)
        return tuple((v,) for v in names)

    def _plan(self, always: Iterable[str], sometimes: Iterable[str], outputs: tuple[tuple[str, ...], ...]) -> Plan:
        key = (frozenset(always), frozenset(sometimes), outputs)
        plan = self._plans.get(key)
        if plan is None:
            plan = make_plan(self.net, *key, np.dtype(self.dtype).type, self.memory_limit)
            self._plans[key] = plan
            if len(self._plans) > PLANS_KEPT:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return plan

    def _observed(self, codes: Codes) -> tuple[list[str], list[str]]:
        """Variables observed in every row, and in some rows only."""
        if not len(codes):
            return [], []
        seen = codes != UNOBSERVED
        always, ever = seen.all(axis=0), seen.any(axis=0)
        names = np.array(self.net.variables, dtype=object)
        return names[always].tolist(), names[ever & ~always].tolist()

    def _posteriors(
        self, codes: Codes, outputs: tuple[tuple[str, ...], ...]
    ) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
        plan = self._plan(*self._observed(codes), outputs)
        if len(codes) * plan.multiply_adds <= WALKED_MULTIPLY_ADDS and "numba" not in sys.modules:
            table, log_evidence = walk.posteriors(plan.wiring, codes.T, LIMITS[self.dtype])
            return table.T, log_evidence + plan.log_scale
        from worldnets.inference import kernels

        beliefs = np.empty((plan.wiring.output_start[-1], len(codes)), dtype=self.dtype)
        log_evidence = np.empty(len(codes))
        by_variable = np.ascontiguousarray(codes.T)
        width, limits = self._width(plan), LIMITS[self.dtype]

        def work(first: int, last: int) -> None:
            kernels.posteriors(plan.wiring, by_variable, first, last, width, limits, beliefs, log_evidence)

        self._over_rows(work, len(codes), plan.multiply_adds, width)
        return beliefs.T, log_evidence + plan.log_scale

    def _samples(self, codes: Codes, draws: int, seed: int) -> tuple[Codes, NDArray[np.float64]]:
        if draws < 0 or seed < 0:
            raise EvidenceError("draws and seed must not be negative", found=(draws, seed), mend="use numbers ≥ 0")
        from worldnets.inference import kernels

        always, sometimes = self._observed(codes)
        if sometimes:  # one plan for all mixed batches, so that a draw does not depend on the masks beside it
            always, sometimes = [], list(self.net.variables)
        plan = self._plan(always, sometimes, self._singles(None))
        samples = np.empty((len(codes), draws, len(self.net.variables)), dtype=np.int16)
        log_evidence = np.empty(len(codes))
        by_variable = np.ascontiguousarray(codes.T)
        width, limits = self._width(plan), LIMITS[self.dtype]

        def work(first: int, last: int) -> None:
            kernels.conditional_samples(
                plan.wiring,
                plan.sampling,
                by_variable,
                first,
                last,
                width,
                limits,
                np.uint64(seed),
                samples,
                log_evidence,
            )

        self._over_rows(work, len(codes), plan.multiply_adds + 20 * draws * plan.cells, width)
        return samples, log_evidence

    def _width(self, plan: Plan) -> int:
        fitting = CACHE_BYTES // max(1, plan.bytes_per_row)
        return int(min(WIDEST_CHUNK, max(8, fitting - fitting % 8)))

    def _over_rows(self, work: Callable[[int, int], None], rows: int, cost_per_row: int, width: int) -> None:
        """Call `work(first, last)` on slices of the rows, over the threads, in calls short enough for Ctrl-C."""
        threads = min(self.threads, math.ceil(rows / width))
        if threads <= 1 and rows * cost_per_row <= CALL_MULTIPLY_ADDS:
            work(0, rows)
            return
        per_call = max(width, int(CALL_MULTIPLY_ADDS / max(1, cost_per_row)) // width * width)
        per_call = min(per_call, math.ceil(rows / (threads * width)) * width)
        slices = [(first, min(first + per_call, rows)) for first in range(0, rows, per_call)]
        if threads == 1:
            for one in slices:
                work(*one)
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="worldnets")
        for done in [self._pool.submit(work, *one) for one in slices]:
            done.result()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.net, self.dtype, self.threads, self.memory_limit)

    def __repr__(self) -> str:
        return f"Inference({self.net!r}, dtype={self.dtype!r}, threads={self.threads})"


def _refuse_impossible(log_evidence: NDArray[np.float64], index: pd.Index | None) -> None:
    impossible = np.flatnonzero(log_evidence == -np.inf)
    if len(impossible):
        row = int(impossible[0]) if index is None else index[impossible[0]]
        raise ImpossibleEvidenceError(
            "evidence of probability zero",
            row=row,
            found=f"{len(impossible)} such row(s) of {len(log_evidence)}",
            mend="drop the row, or query with on_impossible='flag'",
        )
