"""Exact queries about worlds that run in time, without unrolling them: `TemporalInference`."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError, EvidenceError, QueryError
from worldnets.inference.blas import one_blas_thread
from worldnets.inference.clip_evidence import ClipCodes, clip_codes
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.compiled import available_threads
from worldnets.inference.contraction import Array
from worldnets.inference.frame_program import Program
from worldnets.inference.frame_tree import independent_parts, interface
from worldnets.inference.limits import LIMITS
from worldnets.inference.log_space import LogFrame, log_passes
from worldnets.inference.plan import MEMORY_LIMIT
from worldnets.inference.process import Observed, Process
from worldnets.inference.temporal_beliefs import TemporalBeliefs, TemporalCounts
from worldnets.temporal import TwoSliceNet

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.inference.stream import Stream

WIDEST_CHUNK = 4096  # rows side by side
NARROWEST_CHUNK = 8
THREAD_CELLS = 2**15  # chunks are no smaller for the sake of threads: shorter operations only wait for each other
LOG_CELLS = 2**21  # of cliques times rows in one go, in log space
NOTHING: Observed = frozenset()
CACHE_BYTES = 2_000_000  # read and written by the largest step of a chunk: about a second-level cache


@dataclass(frozen=True, repr=False)
class TemporalPlan:
    """What a frame costs; printing it gives the report.

    Attributes:
        interface: the variables with children in the next frame; per independent part, a joint over them is carried.
        parts: groups of variables that no arrow joins.
        interface_states: joint states carried, summed over parts.
        cliques, cells: of the tree of a frame, summed over parts.
        multiply_adds: per row and frame of filtering, reporting nothing.
    """

    interface: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]
    interface_states: int
    cliques: int
    cells: int
    multiply_adds: int

    def __repr__(self) -> str:
        return "\n".join(
            (
                f"TemporalPlan, {len(self.parts)} independent part(s)",
                f"  interface      {self.interface_states:>12,}  joint states of ({', '.join(self.interface)})",
                f"  cliques        {self.cliques:>12,}  per frame",
                f"  cells          {self.cells:>12,}  per frame",
                f"  multiply-adds  {self.multiply_adds:>12,}  per row and frame of filtering",
            )
        )


class TemporalInference:
    """Exact filtering, smoothing, prediction and expected counts on a two-slice net, batched over rows.

    Answers equal those of `Inference(net.unroll(T))`; the cost of a frame does not depend on the number of frames.
    Messages are rescaled in every frame, so that clips of thousands of frames neither underflow nor lose zeros of
    deterministic tables. Rows in which early and late evidence contradict each other by more than the number type can
    hold are noticed and done again in log space, which is slower (a stream, which keeps no past, cannot do that: in it
    a state that became 10^300 times less probable than another is lost).

    Evidence is either a table of state labels with the columns of the unrolled clip, `frame_name(v, t)` (None, NaN,
    pd.NA or no column: unobserved), or an integer array [rows, frames, variables of a frame] of positions in
    `net.states[v]`, −1 where unobserved.

    Args:
        net: the template.
        dtype: "float64" or "float32": the type of tables, messages and beliefs. Log evidence is float64.
        threads: threads over rows; default the processors this process may use.
        memory_limit: bytes; what would take more is refused (`CapacityError`) before allocating.

    Source: Murphy 2002, Dynamic Bayesian Networks, sections 3.2–3.4.
    """

    def __init__(
        self,
        net: TwoSliceNet,
        dtype: str = "float64",
        threads: int | None = None,
        memory_limit: float = MEMORY_LIMIT,
    ) -> None:
        if not isinstance(net, TwoSliceNet):
            found, mend = type(net).__name__, "give a TwoSliceNet, or use Inference"
            raise QueryError("temporal queries are about two-slice nets", found=found, mend=mend)
        if dtype not in LIMITS:
            raise QueryError(
                "unknown number type", found=repr(dtype), expected="'float64' or 'float32'", mend="use one"
            )
        if threads is not None and threads < 1:
            raise QueryError("threads must be at least 1", found=threads, mend="leave it out to use all processors")
        self.net, self.dtype, self.threads = net, dtype, threads or available_threads()
        self.memory_limit = memory_limit
        self._pool: ThreadPoolExecutor | None = None

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """The independent parts of the net, planned.

        Raises:
            CapacityError: the tables of a frame would take more than `memory_limit`.
        """
        parts = independent_parts(self.net)
        return tuple(Process(self.net, part, self.dtype, self.memory_limit) for part in parts)

    @property
    def plan(self) -> TemporalPlan:
        """What a frame costs."""
        trees = [process.later for process in self.processes]
        return TemporalPlan(
            interface=interface(self.net),
            parts=tuple(process.variables for process in self.processes),
            interface_states=sum(tree.cells(tree.future) for tree in trees),
            cliques=sum(len(tree.scopes) - 2 for tree in trees),
            cells=sum(tree.cells(node) for tree in trees for node in range(tree.past)),
            multiply_adds=sum(
                process.filtering(2, frozenset(self.net.variables), ()).multiply_adds for process in self.processes
            ),
        )

    def filter(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_t | e_1..t) for every frame t.

        Args:
            evidence: one row per clip, in either form.
            frames: frames of the clip; default the last one named by the evidence.
            variables: the variables of a frame to report, default all.
        Returns:
            TemporalBeliefs, `b[v]` of shape [rows, frames, states]. Beliefs of an impossible row are 0 from the frame
            `b.impossible_from` on.
        Raises:
            EvidenceError: unknown variables or states, a wrong shape.
            QueryError: an unknown variable asked for.
            CapacityError: the answer would not fit in `memory_limit`.
        """
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return self._filtered(clip, len(clip), self._names(variables), 1, "filtered", evidence)

    def smooth(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_t | e_1..T) for every frame t: the posteriors of the unrolled clip.

        Arguments, errors: as in `filter`. All beliefs of an impossible row are 0.
        """
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return self._smoothed(clip, len(clip), self._names(variables), "smoothed", evidence)

    def fixed_lag(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        lag: int,
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_t | e_1..min(t + lag, T)) for every frame t; lag 0 is filtering, lag ≥ T − 1 smoothing.

        Each frame costs `lag` steps backward. Arguments, errors: as in `filter`. Beliefs of a frame are 0 where
        what they have seen is impossible.
        """
        _check_count(lag, "lag", "frames to look ahead")
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return self._smoothed(clip, lag, self._names(variables), "fixed-lag", evidence)

    def rollout(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames_ahead: int,
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_{T+h} | e_1..T) for h = 1, …, `frames_ahead`; T may be 0.

        Arguments, errors: as in `filter`; `b.first_frame` is T + 1.
        """
        _check_count(frames_ahead, "frames_ahead", "frames to predict")
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        last = len(clip) + frames_ahead
        return self._filtered(clip, last, self._names(variables), len(clip) + 1, "predicted", evidence)

    def log_evidence(
        self, evidence: pd.DataFrame | NDArray[np.integer], frames: int | None = None
    ) -> NDArray[np.float64]:
        """ln W(e_1..T) of every row in nats, shape [rows]; -inf where impossible."""
        return self.filter(evidence, frames, ()).log_evidence

    def expected_counts(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames: int | None = None,
        lengths: NDArray[np.integer] | None = None,
    ) -> TemporalCounts:
        """Posterior family marginals summed over rows and frames: the E-step of learning with tied tables.

        Args:
            evidence: one row per clip, in either form.
            frames: frames of the clip; default the last one named by the evidence.
            lengths: [rows], how many of them each clip really has (default all): later frames count nothing. Evidence
                there is refused.
        Raises:
            EvidenceError: as in `filter`, or lengths that do not fit the evidence.

        Source: Dempster, Laird & Rubin 1977; Murphy 2002, section 4.2 for tables tied over time.
        """
        from worldnets.inference.temporal_counts import temporal_counts

        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return temporal_counts(self, clip, _checked_lengths(clip, lengths))

    def stream(self, variables: Iterable[str] | None = None, lag: int = 0) -> Stream:
        """An object that takes one frame of evidence at a time, in constant memory.

        Args:
            variables: the variables of a frame to report, default all.
            lag: frames of evidence after a frame that its belief waits for.
        """
        from worldnets.inference.stream import Stream

        _check_count(lag, "lag", "frames to wait")
        return Stream(self, self._names(variables), lag)

    def _names(self, variables: Iterable[str] | None) -> tuple[str, ...]:
        if variables is None:
            return self.net.variables
        if isinstance(variables, str):
            raise QueryError("variables is one text", found=repr(variables), mend=f"give a list: [{variables!r}]")
        names = tuple(dict.fromkeys(variables))
        self.net.initial.check_variables(names, error=QueryError)
        return names

    def _filtered(
        self, clip: ClipCodes, last: int, names: tuple[str, ...], shown_from: int, kind: str, evidence: Any
    ) -> TemporalBeliefs:
        """Filter to frame `last` (unobserved after the clip), reporting frames from `shown_from` on."""
        rows = clip.shape[2]
        tables, increments = self._tables(names, last + 1 - shown_from, rows), np.zeros((len(clip), rows))
        self.filter_pass(clip, last, names, shown_from, tables, increments)
        return self._result(kind, names, tables, increments, shown_from, 0, evidence)

    def _smoothed(self, clip: ClipCodes, lag: int, names: tuple[str, ...], kind: str, evidence: Any) -> TemporalBeliefs:
        frames, _, rows = clip.shape
        tables, increments = self._tables(names, frames, rows), np.zeros((frames, rows))
        lost = self._smooth_pass(clip, lag, names, tables, increments)
        self._in_log_space(clip, lost, lag, names, 1, tables, increments)
        return self._result(kind, names, tables, increments, 1, lag, evidence)

    def filter_pass(
        self,
        clip: ClipCodes,
        last: int,
        names: tuple[str, ...],
        shown_from: int,
        tables: dict[str, Array],
        increments: NDArray[np.float64],
    ) -> NDArray[np.intp]:
        """Fill in filtered beliefs and ln W(e_t | e_1..t−1) [frames, rows]; returns the rows that took log space."""
        rows, observed = clip.shape[2], self.observed(clip)
        unobserved = np.full(clip.shape[1:], UNOBSERVED, dtype=np.int16)
        deep = np.zeros(rows, dtype=bool)

        def work(first: int, end: int, stopped: threading.Event) -> None:
            for process in self.processes:
                own = self._own(process, names)
                alpha = None
                for t in range(1, last + 1):
                    if stopped.is_set():
                        return
                    now = (clip[t - 1] if t <= len(clip) else unobserved)[:, first:end]
                    seen = observed if t <= len(clip) else NOTHING
                    shown = own if t >= shown_from else ()
                    into = [tables[v][t - shown_from, :, first:end] for v in shown]
                    alpha, _, log = process.forward(t, now, seen, alpha, shown, into, deep[first:end])
                    if t <= len(clip):
                        increments[t - 1, first:end] += log

        programs = [process.filtering(2, observed, self._own(process, names)) for process in self.processes]
        self.over_rows(work, rows, programs)
        lost = self._contradicting(clip, np.flatnonzero(deep))
        padding = np.full((last - len(clip), *clip.shape[1:]), UNOBSERVED, dtype=np.int16)
        whole = np.concatenate([clip, padding]) if len(lost) else clip
        self._in_log_space(whole, lost, 0, names, shown_from, tables, increments)
        return lost

    def _contradicting(self, clip: ClipCodes, deep: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of the `deep` rows whose past and future contradict each other so much that a lost state matters."""
        if not len(deep):
            return deep
        suspects = np.ascontiguousarray(clip[:, :, deep])
        return deep[self._smooth_pass(suspects, len(clip), (), {}, np.zeros((len(clip), len(deep))))]

    def _smooth_pass(
        self,
        clip: ClipCodes,
        lag: int,
        names: tuple[str, ...],
        tables: dict[str, Array],
        increments: NDArray[np.float64],
    ) -> NDArray[np.intp]:
        """Fill in beliefs that have seen `lag` frames more; returns the rows that must be done in log space.

        A state that underflowed, in α or in β, has less than `tiny`² of the largest; if Σ_i α_t(i) β_t(i) is much more
        than that in every frame, what was lost cannot matter.
        """
        frames, _, rows = clip.shape
        observed = self.observed(clip)
        deep, contradiction = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
        least = LIMITS[self.dtype].tiny
        whole = lag >= frames - 1

        def one_process(process: Process, first: int, end: int, stopped: threading.Event) -> None:
            own, chunk = self._own(process, names), clip[:, :, first:end]
            alphas = self.forward_pass(process, chunk, observed, increments[:, first:end], stopped, deep[first:end])
            doubtful = whole and deep[first:end].any()

            def look_back(t: int, beta: Array, backward: bool) -> Array:
                past = alphas[t - 2] if t > 1 else None
                into = [tables[v][t - 1, :, first:end] for v in own]
                now, alpha = chunk[t - 1], alphas[t - 1]
                if doubtful:
                    overlap = (alpha * beta).reshape(-1, end - first).sum(axis=0)
                    contradiction[first:end] |= overlap < least
                found = process.beliefs(t, now, observed, past, alpha, beta, own, (), backward, into)
                return found[0] if backward else beta

            beta = process.no_future(end - first)
            for t in range(frames, max(0, frames - lag - 1), -1):  # these see the last frame
                if stopped.is_set():
                    return
                beta = look_back(t, beta, t > 1)
            for t in range(max(0, frames - lag - 1), 0, -1):
                if stopped.is_set():
                    return
                near = process.no_future(end - first)
                for seen in range(t + lag, t, -1):
                    near = process.backward(seen, chunk[seen - 1], observed, near)
                look_back(t, near, False)

        def work(first: int, end: int, stopped: threading.Event) -> None:
            for process in self.processes:
                one_process(process, first, end, stopped)

        self.over_rows(work, rows, self.programs_backward(observed, names), frames * self.interface_cells())
        return np.flatnonzero(deep & contradiction) if whole else self._contradicting(clip, np.flatnonzero(deep))

    def _in_log_space(
        self,
        clip: ClipCodes,
        rows: NDArray[np.intp],
        lag: int,
        names: Sequence[str],
        shown_from: int,
        tables: dict[str, Array],
        increments: NDArray[np.float64],
    ) -> None:
        """Do some rows again, in log space."""
        increments[:, rows] = 0.0

        def visit(process: Process, some: NDArray[np.intp], t: int, frame: LogFrame) -> None:
            for v in self._own(process, names) if t >= shown_from else ():
                tables[v][t - shown_from][:, some] = frame.posterior((frame.tree.names.index(v),))

        for some, log in self.log_passes(clip, rows, lag, visit):
            increments[:, some] += log[: len(increments)]

    def log_passes(
        self,
        clip: ClipCodes,
        rows: NDArray[np.intp],
        lag: int,
        visit: Callable[[Process, NDArray[np.intp], int, LogFrame], None],
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """Call `visit(process, rows, t, messages)` for every frame of `rows`, some at a time, in log space.

        Yields:
            rows, ln W(e_t | e_1..t−1) [frames, rows] of one process after the other.
        """
        if not len(rows):
            return
        for process in self._exact_processes:
            cells = sum(process.later.cells(node) for node in range(process.later.past))
            width = max(1, LOG_CELLS // cells)
            for first in range(0, len(rows), width):
                some = rows[first : first + width]
                numbers = range(1, len(clip) + 1)
                codes = [process.codes(t, clip[t - 1][:, some]) for t in numbers]
                with np.errstate(divide="ignore"):  # ln 0
                    log, frames = log_passes([process.tree(t) for t in numbers], codes, lag)
                    for before, frame in frames:
                        visit(process, some, before + 1, frame)
                yield some, log

    @cached_property
    def _exact_processes(self) -> tuple[Process, ...]:
        if self.dtype == "float64":
            return self.processes
        return TemporalInference(self.net, memory_limit=self.memory_limit).processes

    def forward_pass(
        self,
        process: Process,
        chunk: ClipCodes,
        observed: Observed,
        increments: NDArray[np.float64],
        stopped: threading.Event,
        deep: NDArray[np.bool_] | None = None,
    ) -> list[Array]:
        """α of every frame of a chunk of rows; adds ln W(e_t | e_1..t−1) to `increments` [frames, rows]."""
        alphas: list[Array] = []
        for t in range(1, len(chunk) + 1):
            if stopped.is_set():
                break
            before = alphas[-1] if alphas else None
            alpha, _, log = process.forward(t, chunk[t - 1], observed, before, (), (), deep)
            alphas.append(alpha)
            increments[t - 1] += log
        return alphas

    def over_rows(
        self,
        work: Callable[[int, int, threading.Event], None],
        rows: int,
        programs: Sequence[Program],
        cells_kept: int = 0,
    ) -> None:
        """Call `work(first, end, stopped)` on chunks of the rows, over the threads.

        Args:
            work: fills in the answers of rows first … end − 1; it returns early once `stopped` is set.
            rows: how many there are.
            programs: what it runs, one after the other.
            cells_kept: numbers kept per row until the chunk is done.

        Raises:
            CapacityError: what a single row needs does not fit.
        """
        itemsize = np.dtype(self.dtype).itemsize
        held = cells_kept + max(program.cells_in_flight for program in programs)
        if held * itemsize > self.memory_limit:
            raise CapacityError(
                "a clip needs too much memory",
                found=f"{held * itemsize / 2**30:.3g} GiB for one row",
                expected=f"at most {self.memory_limit / 2**30:.3g} GiB",
                mend="raise memory_limit, shorten the clip, or use stream(lag=…), whose memory does not grow",
            )
        cells = max(program.cells_at_once for program in programs)
        width = min(WIDEST_CHUNK, max(NARROWEST_CHUNK, int(CACHE_BYTES / (cells * itemsize))))
        affordable = int(self.memory_limit / (self.threads * itemsize * max(1, held)))
        fair = max(math.ceil(rows / self.threads), math.ceil(THREAD_CELLS / cells))
        width = max(1, min(width, affordable, fair))
        chunks = [(first, min(first + width, rows)) for first in range(0, rows, width)]
        stopped = threading.Event()

        def quietly(first: int, end: int) -> None:
            with np.errstate(divide="ignore", under="ignore"):  # ln 0 is how impossible rows are told
                work(first, end, stopped)

        with one_blas_thread():
            if self.threads == 1 or len(chunks) <= 1:
                for chunk in chunks:
                    quietly(*chunk)
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="worldnets")
            try:
                for done in [self._pool.submit(quietly, *chunk) for chunk in chunks]:
                    done.result()
            finally:
                stopped.set()  # after an error or Ctrl-C nobody waits for the rest

    def _own(self, process: Process, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(v for v in names if v in process.variables)

    def interface_cells(self) -> int:
        """Numbers in the message that one frame sends the next, per row."""
        return max(process.later.cells(process.later.future) for process in self.processes)

    def programs_backward(self, observed: Observed, names: Sequence[str], families: bool = False) -> list[Program]:
        """The programs of a step backward, of every process."""
        return [
            process.smoothing(2, observed, self._own(process, names), process.variables if families else ())
            for process in self.processes
        ]

    def observed(self, clip: ClipCodes) -> Observed:
        """The variables with evidence in any frame and row: programs leave the others out."""
        found = (clip != UNOBSERVED).any(axis=(0, 2))
        return frozenset(v for v, any_evidence in zip(self.net.variables, found, strict=True) if any_evidence)

    def _tables(self, names: Sequence[str], frames: int, rows: int) -> dict[str, Array]:
        """Empty belief arrays [frames, states, rows], refused if they would not fit."""
        states = sum(len(self.net.states[v]) for v in names)
        needed = states * frames * rows * np.dtype(self.dtype).itemsize
        if needed > self.memory_limit:
            raise CapacityError(
                "the beliefs asked for need too much memory",
                found=f"{needed / 2**30:.3g} GiB for {rows:,} rows × {frames:,} frames × {states:,} states",
                expected=f"at most {self.memory_limit / 2**30:.3g} GiB",
                mend="ask for fewer variables or rows at a time, raise memory_limit, or use stream()",
            )
        return {v: np.empty((frames, len(self.net.states[v]), rows), dtype=self.dtype) for v in names}

    def _result(
        self,
        kind: str,
        names: Sequence[str],
        tables: dict[str, Array],
        increments: NDArray[np.float64],
        first_frame: int,
        lag: int,
        evidence: Any,
    ) -> TemporalBeliefs:
        impossible = np.logical_or.accumulate(increments == -np.inf, axis=0)
        increments[impossible] = -np.inf
        index = None if isinstance(evidence, np.ndarray) else evidence.index
        states = {v: self.net.states[v] for v in names}
        log_evidence = increments.sum(axis=0)
        result = TemporalBeliefs(kind, states, tables, log_evidence, increments.T, first_frame, index)
        # What is impossible in one independent part is impossible in all.
        for row in np.flatnonzero(~result.possible):
            since = max(0, int(result.impossible_from[row]) - lag - first_frame)
            for table in tables.values():
                table[since:, :, row] = 0.0
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.net, self.dtype, self.threads, self.memory_limit)

    def __repr__(self) -> str:
        return f"TemporalInference({self.net!r}, dtype={self.dtype!r}, threads={self.threads})"


def _check_count(value: int, name: str, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise QueryError(f"{name} is a number of {what}", found=repr(value), expected="an integer ≥ 0", mend="use one")


def _checked_lengths(clip: ClipCodes, lengths: NDArray[np.integer] | None) -> NDArray[np.int64]:
    frames, _, rows = clip.shape
    if lengths is None:
        return np.full(rows, frames, dtype=np.int64)
    found = np.asarray(lengths)
    if found.shape != (rows,) or found.dtype.kind not in "iu" or ((found < 0) | (found > frames)).any():
        shown, expected = f"{found.dtype} {list(found.shape)}", f"integers [{rows}] from 0 to {frames}"
        raise EvidenceError("lengths do not fit the clips", found=shown, expected=expected, mend="one length per row")
    late = (clip >= 0).any(axis=1) & (np.arange(frames)[:, None] >= found)
    if late.any():
        frame, row = (int(i) for i in np.argwhere(late)[0])
        raise EvidenceError(
            "evidence after the end of a clip", row=row, found=f"frame {frame + 1}", expected=f"≤ {int(found[row])}"
        )
    return found.astype(np.int64)
