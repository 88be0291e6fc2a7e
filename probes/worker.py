"""What runs in a worker process: train, measure, store. Work items are names and plain tables, never objects.

This module imports nothing heavy, so that a fresh process sets its thread counts before numerical libraries read them.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probes.cell_store import CellStore
    from probes.cells import Cell
    from probes.protocol import Probe
    from worldnets.dataset import Dataset
    from worldnets.growth import Growth
    from worldnets.trace import Trace

#: The function that measures one cell, as "module:function"; a work item may name another (tests do).
MEASURE = "probes.worker:measure_cell"

Tell = Callable[[Mapping[str, Any]], None]


def thread_settings(threads: int) -> dict[str, str]:
    """Environment of a worker that may use this many threads, and whose results do not depend on how many."""
    counts = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "WORLDNETS_THREADS",
        "PJRT_NPROC",  # of XLA, which does not split its sums, and runs what is independent of each other at once
    )
    flags = os.environ.get("XLA_FLAGS", "")
    eigen = "--xla_cpu_multi_thread_eigen=false"
    return {
        **dict.fromkeys(counts, str(threads)),
        "XLA_FLAGS": flags if eigen in flags else f"{flags} {eigen}".strip(),
        # Bits differ between kinds of device; heads are small, so all of them train on the processor.
        "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu"),
    }


#: Threads of a cluster's worker take turns: what cells share (worlds, references) belongs to the process.
_TURN = threading.Lock()


def settle_threads(settings: Mapping[str, str]) -> None:
    """In a worker that somebody else started: keep to the given threads, as far as that can still be said."""
    from threadpoolctl import threadpool_limits

    os.environ.update(settings)
    threadpool_limits(int(settings["OMP_NUM_THREADS"]))


def prepare(parent: int, settings: Mapping[str, str]) -> None:
    """First thing in a worker: leave Ctrl-C to the runner, end when the runner is gone, keep to the given threads."""
    os.environ.update(settings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)  # the runner was killed; what is finished is stored, what is not is done again by the next run


def work(
    run: str, cells: list[dict[str, Any]], measure: str = MEASURE, limit: float | None = None, folder: str = os.curdir
) -> list[tuple[str, str | None, float]]:
    """Measure and store some cells of a run directory, one after the other.

    Cells that another process is at come last, and are waited for: what it stores is not measured again.

    Args:
        run: the run directory.
        cells: their fields.
        measure: "module:function".
        limit: seconds a cell may take; after that the process leaves its traceback and ends, whatever it is doing.
        folder: where the runner is, if this machine has it: from there relative paths of worlds start.

    Returns:
        For each cell its key, the error in one line or None, and the seconds it took.

    Raises:
        StoreError: the run directory cannot be written, not even to say so.
    """
    from pathlib import Path

    from probes.cell_store import CellStore
    from probes.cells import Cell

    store = CellStore(Path(run))
    function = _function(measure)
    answer, elsewhere = [], []
    with _TURN, chdir(folder if os.path.isdir(folder) else os.curdir):
        for cell in (Cell(**fields) for fields in cells):
            with store.claimed(cell, wait=False) as ours:
                if ours:
                    answer.append(_one(store, cell, function, limit))
                else:
                    elsewhere.append(cell)
        for cell in elsewhere:
            with store.claimed(cell):
                answer.append(_one(store, cell, function, limit))
    return answer


def _one(
    store: CellStore, cell: Cell, function: Callable[[Cell, Tell], Mapping[str, Any]], limit: float | None
) -> tuple[str, str | None, float]:
    begun, last = time.perf_counter(), 0.0
    if store.has(cell):  # another process stored it since the work was handed out
        return cell.key, None, 0.0
    if said := store.overran(cell, limit):  # at another worker, which ended; its scheduler sent the cell here
        return cell.key, said, limit or 0.0

    def tell(state: Mapping[str, Any]) -> None:
        nonlocal last
        if time.perf_counter() - last > 0.4:
            last = time.perf_counter()
            store.tell(cell.key, {"name": cell.name, **state})

    error: str | None = None
    try:
        store.tell(cell.key, {"name": cell.name})
        with _limited(store, cell, limit):
            measured = function(cell, tell)
        store.write(cell, measured)
    except Exception as problem:  # noqa: BLE001 — whatever goes wrong with a cell is that cell's result
        error = f"{type(problem).__name__}: {problem}"
        store.fail(cell, error, traceback.format_exc())
    finally:
        store.tell(cell.key, None)
    seconds = time.perf_counter() - begun
    store.log(event="failed" if error else "done", key=cell.key, cell=cell.name, seconds=round(seconds, 3))
    return cell.key, error, seconds


@contextmanager
def _limited(store: CellStore, cell: Cell, limit: float | None) -> Iterator[None]:
    """End the process with a traceback of all its threads if this takes longer, wherever it hangs."""
    if limit is None:
        yield
        return
    place = store.overrun(cell)
    place.unlink(missing_ok=True)  # a new file: never written through, should it be a link
    with open(place, "x", encoding="utf-8") as stream:
        faulthandler.dump_traceback_later(limit, exit=True, file=stream)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
    place.unlink(missing_ok=True)


def _function(target: str) -> Callable[[Cell, Tell], Mapping[str, Any]]:
    module, _, name = target.partition(":")
    function: Callable[[Cell, Tell], Mapping[str, Any]] = getattr(importlib.import_module(module), name)
    return function


def measure_cell(cell: Cell, tell: Tell) -> Mapping[str, Any]:
    """Train the cell's seed group on its world and let its probe measure the trace; or count an organism's repeats."""
    if "organism" in cell.identity:
        from probes.organism import count_cell

        return count_cell(cell)
    steps = int(cell.identity["training"]["steps"])

    def measuring(done: int, total: int) -> None:
        tell({"step": steps, "steps": steps, "phase": f"measuring {done} of {total}"})

    return _probe(cell.identity["probe"]).measure(_trace(cell, tell), measuring)


def _trace(cell: Cell, tell: Tell) -> Trace:
    """The cell's trace; the latest one is kept, for several probes look at one training."""
    from probes.cells import GROUP
    from worldnets.training import train

    identity = cell.identity
    if cell.training not in _TRACES:
        _TRACES.clear()
        first = GROUP * cell.group

        dataset = _dataset(repr(sorted(cell.source.items())), cell)

        def progress(step: int, total: int, loss: float) -> None:
            tell({"step": step, "steps": total, "loss": loss})

        _TRACES[cell.training] = train(
            dataset,
            head=identity["head"]["name"],
            head_options=identity["head"]["options"],
            objective=identity["objective"],
            inputs=identity["inputs"],
            seeds=tuple(range(first, first + GROUP)),
            progress=progress,
            penalties=identity.get("penalties"),
            world_model=_growth(identity, dataset),
            **identity["training"],
        )
    return _TRACES[cell.training]


def _growth(identity: Mapping[str, Any], dataset: Dataset) -> Growth | None:
    if "growth" not in identity:
        return None
    from worldnets.learning import GrowthPlan

    return GrowthPlan.of(identity["growth"]).build(dataset, identity["objective"])


_TRACES: dict[str, Trace] = {}
_WORLDS: dict[str, Dataset] = {}
_PROBES: dict[str, Probe] = {}


def _probe(identity: Mapping[str, Any]) -> Probe:
    """The cell's probe; one object per process, which keeps the references it has built."""
    from probes.cells import canonical
    from probes.settings import configured

    name = canonical(identity)
    if name not in _PROBES:
        _PROBES[name] = configured(identity["name"], identity["measure"], {})
    return _PROBES[name]


def _dataset(source: str, cell: Cell) -> Dataset:
    """The cell's world; one object per process, so that what is built on it (plans, references) is built once."""
    from worldnets.dataset import load_dataset
    from worldnets.errors import DatasetError

    if source not in _WORLDS:
        _WORLDS[source] = load_dataset(**cell.source)
    dataset = _WORLDS[source]
    if dataset.digest != cell.identity["world"]["digest"]:
        mend = "start a new run: the files of the dataset changed since this one began"
        raise DatasetError("another world than the suite was resolved with", node=dataset.name, mend=mend)
    return dataset
