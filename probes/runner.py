"""`probes.run`: a suite from its name to its results; the Python twin of `probes run`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probes.cells import Condition, Titled, matching, parse_shard

if TYPE_CHECKING:
    from probes.organism import Organism
    from probes.pool import Outcome
    from probes.progress import Progress
    from probes.results import Results
    from probes.suite import Suite
    from probes.worklist import Cells


@dataclass(frozen=True)
class Plan:
    """What a call would run."""

    suite: Suite
    conditions: tuple[Condition, ...]
    organisms: tuple[Organism, ...]
    cells: Cells


def plan(
    suite: str | Path | Suite, only: str | None = None, shard: str | None = None, seeds: int | None = None
) -> Plan:
    """The cells of a suite, or of the part that `only` and `shard` choose. Nothing is trained or written.

    Raises:
        SuiteError, DatasetError, UnknownNameError: the suite does not say what to run.
    """
    from probes.organism import organisms
    from probes.resolve import resolve
    from probes.suite import Suite, load_suite
    from probes.worklist import cells_of, shard_of

    loaded = suite if isinstance(suite, Suite) else load_suite(suite)
    if seeds is not None:
        loaded = loaded.with_seeds(seeds)
    conditions, planted = resolve(loaded), organisms(loaded)
    lines: tuple[Titled, ...] = (*conditions, *planted)
    chosen = cells_of(matching(lines, only))
    return Plan(loaded, conditions, planted, shard_of(chosen, parse_shard(shard) if shard else None))


def execute(
    planned: Plan,
    out: str | os.PathLike[str],
    jobs: int | None = None,
    progress: Progress | None = None,
    fail_fast: bool = False,
    time_limit: float | None = None,
    backend: str = "processes",
    scheduler: str | None = None,
) -> tuple[Results, Outcome]:
    """Run what is planned and not there yet, then rebuild the parquet files and the report.

    Raises:
        StoreError: the run directory belongs to another suite, or cannot be written.
    """
    from probes.backend import backend as open_backend
    from probes.pool import run_cells
    from probes.results import Results
    from probes.store import Store

    store = Store.create(out, planned.suite, planned.conditions, planned.organisms)
    with open_backend(backend, jobs, store.path, scheduler) as where:
        outcome = run_cells(store, planned.cells, where, progress, fail_fast, time_limit=time_limit)
    results = Results(store)
    if not outcome.interrupted:
        results.compact()
        results.report()
    return results, outcome


def run(
    suite: str | Path | Suite,
    out: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    seeds: int | None = None,
    only: str | None = None,
    shard: str | None = None,
    fail_fast: bool = False,
    time_limit: float | None = None,
    backend: str = "processes",
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Results:
    """Run a suite, or go on with it: what a run directory has is never measured again.

    Args:
        suite: a built-in name ("quick"), the path of a suite file, or a `Suite`.
        out: the run directory.
        jobs: worker processes, by default one per core.
        seeds: instead of the suite's own.
        only: conditions whose title `world/objective/head/inputs` matches this pattern; `organisms/PROBE/NAME` of
            organisms.
        shard: "i/n", the i-th of n parts, for several machines on one folder.
        fail_fast: stop handing out cells after the first failure.
        time_limit: seconds a cell may take; one that takes longer has failed, with the traceback of where it was.
        backend: "processes" of this machine, or "dask" (`probes.backend.Dask`).
        scheduler: the address of a Dask scheduler; None starts one on this machine.
        progress: `probes.progress.Lines()` for one line per cell; nothing is said by default.

    Returns:
        The results, also of cells finished earlier; failed cells are in `.failures`.

    Raises:
        SuiteError, DatasetError, StoreError, ClusterError: before anything is trained.
    """
    return execute(plan(suite, only, shard, seeds), out, jobs, progress, fail_fast, time_limit, backend, scheduler)[0]
