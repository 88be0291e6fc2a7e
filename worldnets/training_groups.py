"""Groups of seeds beside one another: a thread for each, one count of steps for all."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from worldnets.stepping_loop import train_stepping
from worldnets.training_loop import GroupRun, train_group
from worldnets.training_memory import Memory
from worldnets.training_plan import Plan

Progress = Callable[[int, int, float], None]


def train_groups(
    plan: Plan,
    slots: Mapping[int, Sequence[int]],
    kept: tuple[int, ...],
    progress: Progress | None = None,
    memory: Memory | None = None,
    threads: int = 1,
) -> dict[int, GroupRun]:
    """Train some seeds of some groups; which thread trains what changes no bit.

    Heads that make their own updates are trained in this thread: nobody promised that theirs may run elsewhere.

    Args:
        plan: what to train.
        slots: for each group the seeds asked for, by their places in it.
        kept: steps of the checkpoints, rising.
        progress: as for `train`.
        memory: where unfinished groups are kept.
        threads: groups trained at once, at most.

    Raises:
        Exception: whatever stops a group, or `progress` raises, or a Ctrl-C, stops all of them after their blocks.
    """
    tally = _Tally(progress, len(slots) * max(kept[-1], 1))
    loop = train_stepping if plan.stepping else train_group
    train = lambda group: loop(plan, group, kept, slots[group], functools.partial(tally.report, group), memory)
    if plan.stepping or threads == 1 or len(slots) == 1:
        return {group: train(group) for group in slots}
    with ThreadPoolExecutor(threads, "worldnets training") as pool:
        runs = {group: pool.submit(train, group) for group in slots}
        try:
            for run in wait(runs.values(), return_when=FIRST_EXCEPTION).done:
                run.result()
        except BaseException:
            tally.stopped = True
            pool.shutdown(cancel_futures=True)
            raise
        return {group: run.result() for group, run in runs.items()}


class _Stopped(Exception):
    """Ends a group because another one failed."""


class _Tally:
    """Counts the steps of all groups and passes them on, one call at a time."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.stopped = False
        self._progress, self._total = progress, total
        self._steps: dict[int, int] = {}
        self._lock = threading.Lock()

    def report(self, group: int, step: int, loss: float) -> None:
        with self._lock:
            if self.stopped:
                raise _Stopped
            self._steps[group] = step
            if self._progress is not None:
                self._progress(sum(self._steps.values()), self._total, loss)
