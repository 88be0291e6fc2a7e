"""Worker processes for the cells that are not finished yet: progress is shown, nothing is lost when it is stopped."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import asdict, dataclass

from probes.backend import Backend, Processes
from probes.cells import Cell, Titled
from probes.progress import Progress, Quiet
from probes.store import Store
from probes.worker import MEASURE, work
from worldnets.errors import SuiteError

#: Cells in one work item at most.
LARGEST = 16

#: The longest time limit of a cell, seconds: a year.
LONGEST = 31_536_000

Batch = list[Cell]
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


def shard_of(cells: Sequence[Cell], shard: tuple[int, int] | None) -> list[Cell]:
    """Part i of n of the cells: every n-th, so that each part has some of every world."""
    return list(cells) if shard is None else list(cells[shard[0] - 1 :: shard[1]])


def cells_of(lines: Iterable[Titled]) -> list[Cell]:
    """All cells, in suite order: first every line's first (a condition's first seed group), then the second, …"""
    per_condition = [line.cells for line in lines]
    layers = itertools.zip_longest(*per_condition)
    return [cell for layer in layers for cell in layer if cell is not None]


def run_cells(
    store: Store,
    cells: Sequence[Cell],
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
    missing = [cell for cell in cells if not store.has(cell)]
    left = {cell.key: cell for cell in missing}
    failed: set[str] = set()
    interrupted = False
    last = begun
    for cell in missing:
        with contextlib.suppress(OSError):
            store.overrun(cell).unlink(missing_ok=True)  # of a run that was killed before it had read it

    def settle(answer: Answer) -> None:
        for key, error, seconds in answer:
            cell = left.pop(key, None)
            if cell is None:  # seen in the store while its batch was still at work
                continue
            if error is not None:
                failed.add(key)
            progress.finished(cell, error, seconds)

    def seen(at_work: Iterable[Cell]) -> None:
        nonlocal last
        for cell in at_work:
            if cell.key in left and store.has(cell):
                last, before = time.perf_counter(), last
                settle([(cell.key, None, last - before)])

    with progress.watching(store, total=len(missing), reused=len(cells) - len(missing), jobs=jobs):
        try:
            items = batches(missing, jobs)
            task = Task(store, measure, time_limit, backend)
            suspects = _parallel(task, items, settle, seen, lambda: fail_fast and bool(failed))
            for cell in suspects:
                if cell.key in left and not (fail_fast and failed):
                    _alone(task, cell, settle)
        except KeyboardInterrupt:
            interrupted = True
    for cell in missing:
        store.tell(cell.key, None)
    done = len(missing) - len(left) - len(failed)
    seconds = time.perf_counter() - begun
    return Outcome(done, len(cells) - len(missing), len(failed), len(left), interrupted, seconds)


def batches(cells: Sequence[Cell], jobs: int) -> list[Batch]:
    """Work items: cells of one world and objective stay together, so that what they are measured against is built once.

    Among them those of one training stand side by side, so that it is trained once for all probes that look at it. No
    item holds more than a job's fair share, or than `LARGEST`.
    """
    groups: dict[str, dict[str, Batch]] = {}
    for cell in cells:
        trainings = groups.setdefault(cell.kin, {})
        trainings.setdefault(cell.training, []).append(cell)
    share = max(1, min(LARGEST, -(-len(cells) // jobs)))
    items: list[Batch] = []
    for trainings in groups.values():
        group = list(itertools.chain.from_iterable(trainings.values()))
        items += [group[first : first + share] for first in range(0, len(group), share)]
    return items


@dataclass(frozen=True)
class Task:
    """What is done with cells.

    Attributes:
        store: the run directory.
        measure: "module:function".
        limit: seconds that a cell may take.
        backend: where.
    """

    store: Store
    measure: str
    limit: float | None
    backend: Backend

    def submit(self, executor: Executor, batch: Batch) -> Future[Answer]:
        """Hand it out."""
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
    items: Iterable[Batch],
    settle: Callable[[Answer], None],
    seen: Callable[[Iterable[Cell]], None],
    stop: Callable[[], bool],
) -> list[Cell]:
    """All items, as many at a time as the backend takes. Returns the cells that were at work when a worker died."""
    queue = deque(items)
    suspects: list[Cell] = []
    while queue and not stop():
        at_work: dict[Future[Answer], Batch] = {}
        broken = False
        with task.backend.workers(len(queue)) as executor:
            while at_work or (queue and not broken and not stop()):
                while queue and not broken and len(at_work) < task.backend.capacity and not stop():
                    try:
                        at_work[task.submit(executor, queue[0])] = queue[0]
                    except task.backend.died:
                        broken = True
                    else:
                        queue.popleft()
                for future in wait(at_work, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    batch = at_work.pop(future)
                    try:
                        settle(future.result())
                    except task.backend.died:
                        broken = task.backend.breaks
                        found, rest = task.died(batch, settle)
                        suspects += found
                        queue.extend([rest] if rest else [])
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
