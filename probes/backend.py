"""Where cells are measured: in processes of this machine, or by the workers of a Dask scheduler.

Both hand out the same work items (`probes.worker.work`) and store the same bytes.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from probes.worker import prepare, settle_threads, thread_settings
from worldnets.errors import ClusterError, MissingDependencyError

if TYPE_CHECKING:
    from pathlib import Path

#: Work items that wait at a cluster for each of its workers, so that none is idle while the runner looks away.
AHEAD = 2

NAMES = ("processes", "dask")


class Backend(Protocol):
    """Runs work items."""

    #: What a work item raises whose worker died with it.
    died: tuple[type[BaseException], ...]
    #: Whether one dead worker takes all work items with it.
    breaks: bool

    @property
    def jobs(self) -> int:
        """How many are measured at once."""

    @property
    def capacity(self) -> int:
        """How many work items may be out at once."""

    def workers(self, jobs: int) -> AbstractContextManager[Executor]:
        """At most so many workers; stopped when the context ends, at once when something is raised."""


def cores() -> int:
    """Cores this process may use."""
    from joblib import cpu_count

    return int(cpu_count())


def threads_each(jobs: int) -> int:
    """Threads of each of so many worker processes: together no more than there are cores, and each has one."""
    return max(1, cores() // jobs)


class Processes:
    """Fresh processes that share this machine's cores among them.

    Args:
        jobs: how many, by default one per core.
    """

    died: tuple[type[BaseException], ...] = (BrokenProcessPool,)
    breaks = True

    def __init__(self, jobs: int | None = None) -> None:
        self._jobs = max(1, jobs or cores())

    @property
    def jobs(self) -> int:
        """How many are measured at once."""
        return self._jobs

    @property
    def capacity(self) -> int:
        """One work item per process: what a killed runner has handed out is done again."""
        return self._jobs

    @contextmanager
    def workers(self, jobs: int) -> Iterator[Executor]:
        """At most so many processes; stopped at once when something is raised."""
        # Fresh processes (never forks: Numba's threads do not survive one), and not joblib's shared pool, whose
        # processes may have read other thread counts already.
        from joblib.externals.loky.process_executor import ProcessPoolExecutor

        # A worker that has grown by hundreds of megabytes is replaced between two work items; nobody needs to know.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
        jobs = max(1, min(jobs, self._jobs))
        settings = thread_settings(threads_each(jobs))
        executor = ProcessPoolExecutor(jobs, env=settings, initializer=prepare, initargs=(os.getpid(), settings))
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=True, kill_workers=True)
            raise
        executor.shutdown(wait=True, kill_workers=False)


class Dask:
    """The workers of a Dask scheduler; or of a local one, started for as long as the context lasts.

    Every worker must see the run directory under the same path, and have the same version of worldnets. A worker takes
    one work item at a time, so workers with one thread are best; they may come and go. A work item whose worker died is
    given to another one by the scheduler.

    Args:
        scheduler: its address, such as "tcp://10.0.0.1:8786"; None starts one on this machine.
        jobs: workers of the one started here, by default one per core.
        run: the run directory that the workers must see.

    Raises:
        ClusterError: no scheduler there, no workers, or workers that cannot do the work.
        MissingDependencyError: Dask is not installed.
    """

    breaks = False

    def __init__(self, scheduler: str | None, jobs: int | None, run: Path, wait: float = 60.0) -> None:
        try:
            import distributed
        except ImportError as error:
            mend = 'pip install "worldnets[dask]"'
            raise MissingDependencyError("Dask is not installed", found=str(error), mend=mend) from error
        self.died: tuple[type[BaseException], ...] = (distributed.KilledWorker,)
        self._cluster: Any = None
        self._environment = dict(os.environ)
        settings = thread_settings(1)
        try:
            if scheduler is None:
                self._cluster = distributed.LocalCluster(
                    n_workers=max(1, jobs or cores()), threads_per_worker=1, dashboard_address=None, protocol="tcp://"
                )
                scheduler = self._cluster.scheduler_address
            self._client = distributed.Client(scheduler, timeout=wait, set_as_default=False)
            self._client.wait_for_workers(1, timeout=wait)
        except (OSError, TimeoutError, ValueError) as error:
            self.close()
            mend = "start one with `dask scheduler` and workers with `dask worker ADDRESS --nthreads 1`"
            found = f"{scheduler}: {error}"
            raise ClusterError("no Dask scheduler with workers", found=found, mend=mend) from error
        self._check(run)
        self._client.register_worker_callbacks(setup=functools.partial(settle_threads, settings))

    def _check(self, run: Path) -> None:
        """Refuse workers that would fail at every cell."""
        from probes.store import versions

        run = run.absolute()  # a worker may have been started anywhere
        found = self._client.run(_seen, str(run))
        own = versions()["worldnets"]
        for address, (sees, has) in found.items():
            if not sees:
                self.close()
                mend = "put --out on a folder that all machines share, under the same path"
                raise ClusterError("a worker does not see the run directory", found=address, expected=run, mend=mend)
            if has != own:
                self.close()
                mend = "install the same version everywhere"
                raise ClusterError(
                    "a worker has another worldnets", found=f"{has} at {address}", expected=own, mend=mend
                )

    @property
    def jobs(self) -> int:
        """Workers at this moment."""
        return max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    @property
    def capacity(self) -> int:
        """Two work items per worker."""
        return AHEAD * self.jobs

    @contextmanager
    def workers(self, jobs: int) -> Iterator[Executor]:
        """All workers of the cluster; work items that have not begun are taken back when something is raised."""
        # Of the same function and arguments each call is work of its own: it is done for what it stores.
        executor = self._client.get_executor(pure=False)
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False)
            raise
        executor.shutdown(wait=True)

    def close(self) -> None:
        """Leave the scheduler; end the one that was started here."""
        if hasattr(self, "_client"):
            self._client.close()
        if self._cluster is not None:
            self._cluster.close()
            # Starting workers, Dask sets thread counts and more in this process; what runs next must not inherit them.
            for name in os.environ.keys() - self._environment.keys():
                del os.environ[name]
            os.environ.update(self._environment)


def _seen(run: str) -> tuple[bool, str | None]:
    """At a worker: is the run directory there, and which worldnets?"""
    from probes.store import versions

    return os.path.isfile(os.path.join(run, "manifest.json")), versions().get("worldnets")


@contextmanager
def backend(name: str, jobs: int | None, run: Path, scheduler: str | None = None) -> Iterator[Backend]:
    """A backend by its name, closed when the context ends.

    Args:
        name: "processes" or "dask".
        jobs: workers on this machine, by default one per core.
        run: the run directory.
        scheduler: of Dask; None starts a local one.

    Raises:
        ClusterError: an unknown name, a scheduler that nobody asks, or a cluster that cannot do the work.
        MissingDependencyError: Dask is not installed.
    """
    if name not in NAMES:
        raise ClusterError("unknown backend", found=repr(name), expected=" or ".join(NAMES))
    if name == "processes":
        if scheduler is not None:
            mend = "add --backend dask, or leave out --scheduler"
            raise ClusterError("a scheduler, and no backend that asks one", found=scheduler, mend=mend)
        yield Processes(jobs)
        return
    if scheduler is not None and jobs is not None:
        mend = "leave out --jobs: the cluster's own workers do the work"
        raise ClusterError("a number of jobs, and a cluster of its own", found=f"--jobs {jobs}", mend=mend)
    made = Dask(scheduler, jobs, run)
    try:
        yield made
    finally:
        made.close()
