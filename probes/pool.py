"""Worker processes for the cells that are not finished yet: progress is shown, nothing is lost when it is stopped."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass

from probes.backend import Backend, Processes
from probes.cells import Cell
from probes.progress import Progress, Quiet
from probes.store import Store
from probes.worker import MEASURE, work
from probes.worklist import Batches, Cells, batches
from worldnets.errors import SuiteError

#: The longest time limit of a cell, seconds: a year.
LONGEST = 31_536_000

Batch = Sequence[Cell]
Answer = list[tuple[str, str | None, float]]


@dataclass(frozen=True)
class Outcome:
    """What a call of the runner did. `failed` and `missing` are about the cells it was asked for."""

    done: int
    reused: int
    failed: int
    missing: int
    interrupted: bool
    seconds: float

    @property
    def complete(self) -> bool:
        """Every cell asked for is stored."""
        return not (self.failed or self.missing or self.interrupted)


def run_cells(
    store: Store,
    cells: Cells,
    backend: Backend | int | None = None,
    progress: Progress | None = None,
    fail_fast: bool = False,
    measure: str = MEASURE,
    time_limit: float | None = None,
) -> Outcome:
    """Measure the cells that the run directory does not have: by so many processes, by default one per core.

    A failing cell is kept with its traceback and does not stop the others. Ctrl-C stops the workers; what is finished
    stays, and the same call goes on from there. A worker that dies (out of memory, a crash) costs only the cells that
    were at work: each of them is tried again alone, and one that kills its worker again has failed. A cell that takes
    longer than `time_limit`, in seconds, has failed with the traceback of where it was. Several calls may work on one
    run directory at the same time: no cell is measured by two at once.

    Raises:
        SuiteError: a time limit that is none.
        StoreError: the run directory cannot be written; what is finished stays.
    """
    if time_limit is not None and not 0 < time_limit <= LONGEST:
        mend = f"give seconds, more than 0 and at most {LONGEST:,}; leave it out for none"
        raise SuiteError("no time limit", found=time_limit, mend=mend)
    begun = time.perf_counter()
    backend = Processes(backend) if backend is None or isinstance(backend, int) else backend
    jobs = backend.jobs
    progress = progress or Quiet()
    missing = store.missing(cells)
    store.tidy(missing)  # of a run that was killed before it had read them
    left = len(missing)
    failed = 0
    interrupted = False
    last = begun
    out: dict[str, dict[str, Cell]] = {}  # handed out and not heard of since; one key can have two names

    def settle(answer: Answer) -> None:
        nonlocal left, failed
        for key, error, seconds in answer:
            for cell in out.pop(key, {}).values():  # none: seen in the store while its batch was still at work
                left -= 1
                failed += error is not None
                progress.finished(cell, error, seconds)

    def seen(at_work: Iterable[Cell]) -> None:
        nonlocal last
        for cell in at_work:
            if cell.key in out and store.has(cell):
                last, before = time.perf_counter(), last
                settle([(cell.key, None, last - before)])

    def stop() -> bool:
        return fail_fast and failed > 0

    with progress.watching(store, total=len(missing), reused=len(cells) - len(missing), jobs=jobs):
        try:
            task = Task(store, measure, time_limit, backend, out)
            suspects = _parallel(task, batches(missing, jobs), settle, seen, stop)
            for cell in suspects:
                if cell.key in out and not stop():
                    _alone(task, cell, settle)
        except KeyboardInterrupt:
            interrupted = True
    store.hush()
    done = len(missing) - left - failed
    seconds = time.perf_counter() - begun
    return Outcome(done, len(cells) - len(missing), failed, left, interrupted, seconds)


@dataclass(frozen=True)
class Task:
    """What is done with cells.

    Attributes:
        store: the run directory.
        measure: "module:function".
        limit: seconds that a cell may take.
        backend: where.
        out: what has been handed out, by key and name.
    """

    store: Store
    measure: str
    limit: float | None
    backend: Backend
    out: dict[str, dict[str, Cell]]

    def submit(self, executor: Executor, batch: Batch) -> Future[Answer]:
        """Hand it out."""
        for cell in batch:
            self.out.setdefault(cell.key, {})[cell.name] = cell
        cells = [asdict(cell) for cell in batch]
        return executor.submit(work, str(self.store.path.absolute()), cells, self.measure, self.limit, os.getcwd())

    def died(self, batch: Batch, settle: Callable[[Answer], None]) -> tuple[list[Cell], Batch]:
        """Of what a dead worker was given: the cells that may have killed it, and those it had not begun with."""
        suspects: list[Cell] = []
        rest: list[Cell] = []
        for cell in batch:
            if error := self.store.overran(cell, self.limit):
                settle([(cell.key, error, self.limit or 0.0)])
            elif self.store.has(cell):
                settle([(cell.key, None, 0.0)])
            else:
                (suspects if self.store.at_work(cell) else rest).append(cell)
        # One that dies before it has begun would die again and again.
        return (suspects, rest) if len(suspects) + len(rest) < len(batch) or suspects else (rest, [])


def _parallel(
    task: Task,
    items: Batches,
    settle: Callable[[Answer], None],
    seen: Callable[[Iterable[Cell]], None],
    stop: Callable[[], bool],
) -> list[Cell]:
    """All items, as many at a time as the backend takes. Returns the cells that were at work when a worker died."""
    waiting = deque[Batch]()  # handed out once, to workers that died
    suspects: list[Cell] = []
    begun = 0
    while (waiting or begun < len(items)) and not stop():
        at_work: dict[Future[Answer], Batch] = {}
        broken = False
        with task.backend.workers(len(waiting) + len(items) - begun) as executor:
            while at_work or ((waiting or begun < len(items)) and not broken and not stop()):
                while not broken and len(at_work) < task.backend.capacity and not stop():
                    if not waiting:
                        if begun == len(items):
                            break
                        waiting.append(list(items[begun]))
                        begun += 1
                    try:
                        at_work[task.submit(executor, waiting[0])] = waiting[0]
                    except task.backend.died:
                        broken = True
                    else:
                        waiting.popleft()
                for future in wait(at_work, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    batch = at_work.pop(future)
                    try:
                        settle(future.result())
                    except task.backend.died:
                        broken = task.backend.breaks
                        found, rest = task.died(batch, settle)
                        suspects += found
                        waiting.extend([rest] if rest else [])
                seen(cell for batch in at_work.values() for cell in batch)
    return suspects


def _alone(task: Task, cell: Cell, settle: Callable[[Answer], None]) -> None:
    if task.store.has(cell):
        settle([(cell.key, None, 0.0)])
        return
    with task.backend.workers(1) as executor:
        try:
            settle(task.submit(executor, [cell]).result())
        except task.backend.died as problem:
            error = task.store.overran(cell, task.limit)
            if error is None:
                error = "the worker process died, probably out of memory or killed"
                task.store.fail(cell, error, str(problem))
            settle([(cell.key, error, 0.0)])
