"""Worker processes for the cells that are not finished yet: progress is shown, nothing is lost when it is stopped."""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from probes.cells import Cell, Titled
from probes.progress import Progress, Quiet
from probes.store import Store
from probes.worker import MEASURE, prepare, thread_settings, work

#: Cells in one work item at most.
LARGEST = 16

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


def cores() -> int:
    """Cores this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


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
    jobs: int | None = None,
    progress: Progress | None = None,
    fail_fast: bool = False,
    measure: str = MEASURE,
) -> Outcome:
    """Measure the cells that the run directory does not have, `jobs` at a time, each in a process of its own.

    A failing cell is kept with its traceback and does not stop the others. Ctrl-C stops the workers; what is finished
    stays, and the same call goes on from there. A worker that dies (out of memory, a crash) costs only the cells that
    were at work: each of them is tried again alone, and one that kills its worker again has failed.
    """
    begun = time.perf_counter()
    jobs = max(1, jobs or cores())
    progress = progress or Quiet()
    missing = [cell for cell in cells if not store.has(cell)]
    left = {cell.key: cell for cell in missing}
    failed: set[str] = set()
    interrupted = False
    last = begun

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
            suspects = _parallel(store, items, jobs, settle, seen, measure, lambda: fail_fast and bool(failed))
            for cell in suspects:
                if cell.key in left and not (fail_fast and failed):
                    _alone(store, cell, settle, measure)
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


def _parallel(
    store: Store,
    items: Iterable[Batch],
    jobs: int,
    settle: Callable[[Answer], None],
    seen: Callable[[Iterable[Cell]], None],
    measure: str,
    stop: Callable[[], bool],
) -> list[Cell]:
    """All items, one per job handed out at a time. Returns the cells that were at work when a worker died."""
    queue = deque(items)
    suspects: list[Cell] = []
    while queue and not stop():
        at_work: dict[Future[Answer], Batch] = {}
        with workers(min(jobs, len(queue))) as executor:
            try:
                while (queue or at_work) and not (stop() and not at_work):
                    while queue and len(at_work) < jobs and not stop():
                        batch = queue.popleft()
                        at_work[_submit(executor, store, batch, measure)] = batch
                    for future in wait(at_work, timeout=0.5, return_when=FIRST_COMPLETED).done:
                        settle(future.result())
                        del at_work[future]
                    seen(cell for batch in at_work.values() for cell in batch)
            except BrokenProcessPool:
                suspects += itertools.chain.from_iterable(at_work.values())
    return suspects


def _alone(store: Store, cell: Cell, settle: Callable[[Answer], None], measure: str) -> None:
    if store.has(cell):
        settle([(cell.key, None, 0.0)])
        return
    with workers(1) as executor:
        try:
            settle(_submit(executor, store, [cell], measure).result())
        except BrokenProcessPool as problem:
            error = "the worker process died, probably out of memory or killed"
            store.fail(cell, error, str(problem))
            settle([(cell.key, error, 0.0)])


def _submit(executor: Executor, store: Store, batch: Batch, measure: str) -> Future[Answer]:
    return executor.submit(work, str(store.path), [asdict(cell) for cell in batch], measure)


@contextmanager
def workers(jobs: int) -> Iterator[Executor]:
    """Fresh processes that share the cores among them; stopped at once when something is raised."""
    # Fresh processes (never forks: Numba's threads do not survive one), and not joblib's shared pool, whose processes
    # may have read other thread counts already.
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    settings = thread_settings(max(1, cores() // jobs))
    executor = ProcessPoolExecutor(jobs, env=settings, initializer=prepare, initargs=(os.getpid(), settings))
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=True, kill_workers=True)
        raise
    executor.shutdown(wait=True, kill_workers=False)
