"""The passes over clips that temporal queries are made of: forward, backward, and in log space where that is needed.

Rows are cut into chunks that fit the cache, chunks are shared out over threads, and frames run in order inside a chunk.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError
from worldnets.inference.blas import one_blas_thread
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.limits import LIMITS
from worldnets.inference.temporal.contraction import Array
from worldnets.inference.temporal.evidence import ClipCodes
from worldnets.inference.temporal.log_space import LogFrame, log_passes
from worldnets.inference.temporal.process import Observed, Process
from worldnets.inference.temporal.program import Program
from worldnets.inference.temporal.tree import independent_parts
from worldnets.temporal import TwoSliceNet

WIDEST_CHUNK = 4096  # rows side by side
NARROWEST_CHUNK = 8
THREAD_CELLS = 2**20  # chunks are no smaller for the sake of threads: shorter operations only wait for each other
LOG_CELLS = 2**21  # of cliques times rows in one go, in log space
NOTHING: Observed = frozenset()
CACHE_BYTES = 2_000_000  # read and written by the largest step of a chunk: about a second-level cache


class TemporalPasses:
    """What `TemporalInference` computes with: the independent processes of a net, and the ways through a clip."""

    def __init__(self, net: TwoSliceNet, dtype: str, threads: int, memory_limit: float) -> None:
        self.net, self.dtype, self.threads, self.memory_limit = net, dtype, threads, memory_limit
        self._pool: ThreadPoolExecutor | None = None

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """The independent parts of the net, planned.

        Raises:
            CapacityError: the tables of a frame would take more than `memory_limit`.
        """
        parts = independent_parts(self.net)
        return tuple(Process(self.net, part, self.dtype, self.memory_limit) for part in parts)

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
        self.in_log_space(whole, lost, 0, names, shown_from, tables, increments)
        return lost

    def _contradicting(self, clip: ClipCodes, deep: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of the `deep` rows whose past and future contradict each other so much that a lost state matters."""
        if not len(deep):
            return deep
        suspects = np.ascontiguousarray(clip[:, :, deep])
        return deep[self.smooth_pass(suspects, len(clip), (), {}, np.zeros((len(clip), len(deep))))]

    def smooth_pass(
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

    def in_log_space(
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
        return TemporalPasses(self.net, "float64", self.threads, self.memory_limit).processes

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
