"""What the runner itself costs: trivial cells, a dry run, Dask workers; and what it takes to read many cells.

Everything is measured as whole processes, taking turns, medians; peak memory is what the system says of the process.

- *trivial cells*: 2,000 cells that measure nothing, by two worker processes: starting them, handing out, storing.
- *dry run*: `probes run SUITE --dry-run` of a suite of 100,000 cells.
- *Dask*: cells of the vault, as the quick suite has them but with fewer steps, by one worker and by two of one thread
  each on a scheduler of this machine. Workers are started and have compiled everything before the clock starts. A
  worker draws its next clips while XLA computes a step, in a thread of XLA's own, so that alone it takes a little more
  than one processor: two workers on two processors cannot be twice as fast.
- *many cells*: synthetic run directories (one really measured cell under many keys, ten seed groups per condition) of
  1,000 and 10,000 cells, or as many as `--cells` says: finding out what is missing, the tables, `probes show`, packing.

    python benchmarks/running.py [--repeats 3] [--cells 1000 10000 100000]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from timing import progress, taking_turns, where

TRIVIAL, JOBS, DRY, DASK = 2_000, 2, 100_000, 16
AIM_TRIVIAL, AIM_DRY, AIM_DRY_MEMORY, AIM_DASK = 20.0, 5.0, 500, 1.7
SIZES = (1_000, 10_000)
GROUPS = 10

SMALL = """
[suite]
name = "small"
[defaults]
seeds = {seeds}
steps = 500
[[jobs]]
world = "vault"
objective = "question"
heads = "mlp"
"""

NOTHING = """
import numpy as np

def measure(cell, tell):
    return {"values": np.zeros((4, 8)), "seeds": list(range(8))}
"""

RUN_TRIVIAL = """
import sys
from dataclasses import replace
from probes.pool import run_cells
from probes.resolve import resolve
from probes.store import Store
from probes.suite import read_suite
from probes.worklist import cells_of
suite = read_suite(open(sys.argv[1]).read())
(first,) = resolve(suite)
lines = [replace(first, title=f"{n}", label=f"{n}", training={**first.training, "steps": n + 1})
         for n in range(int(sys.argv[3]))]
store = Store.create(sys.argv[2], suite, lines)
assert run_cells(store, cells_of(lines), int(sys.argv[4]), measure="nothing:measure").complete
"""

RUN_DASK = """
import json, sys, time
from probes.backend import Dask
from probes.pool import run_cells
from probes.runner import plan
from probes.store import Store
file, suite, out, workers = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
planned = plan(suite)
store = Store.create(out, planned.suite, planned.conditions)
made = Dask(json.load(open(file))["address"], None, store.path)
deadline = time.monotonic() + 60
while made.jobs < workers and time.monotonic() < deadline:
    time.sleep(0.05)
assert made.jobs == workers
warm = 2 * workers
assert run_cells(store, planned.cells[:warm], made).complete
before = made._client.run(time.process_time)
begin = time.perf_counter()
assert run_cells(store, planned.cells[warm:], made).complete
seconds = time.perf_counter() - begin
after = made._client.run(time.process_time)
busy = [(after[worker] - before[worker]) / seconds for worker in before]
print(json.dumps({"seconds": seconds, "busy": max(busy), "cells": len(planned.cells) - warm}))
made.close()
"""

MISSING = """
import sys
from probes.store import Store
from probes.worklist import cells_of
store = Store.open(sys.argv[1])
assert not len(store.missing(cells_of(store.conditions)))
"""

TABLES = """
import sys
from probes.results import load
load(sys.argv[1]).compact()
"""

PACK = """
import sys
from probes.store import Store
assert not Store.open(sys.argv[1]).pack().damaged
"""


class Cost(NamedTuple):
    """Of a process: wall clock in seconds, and peak memory in MB."""

    seconds: float
    memory: float


#: Starts a command from a small process: a new process inherits the peak of the one that it was forked from.
LAUNCH = """
import json, os, subprocess, sys, time
begin = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(json.dumps([time.perf_counter() - begin, used.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""


def cost(command: list[str], path: str | None = None) -> Cost:
    """Run a command and see what it took; its children's memory is not counted."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH")]))}
    launch = [sys.executable, "-S", "-c", LAUNCH, *command]
    done = subprocess.run(launch, capture_output=True, text=True, env=environment, check=True)
    seconds, memory, failed = json.loads(done.stdout)
    if failed:
        raise SystemExit(f"{' '.join(command[:4])} … failed:\n{done.stderr}")
    return Cost(seconds, memory / (1e6 if sys.platform == "darwin" else 1e3))


def probes(*words: object) -> list[str]:
    """A command line of this environment's `probes`."""
    return [str(Path(sys.executable).with_name("probes")), *map(str, words)]


def trivial(folder: Path, repeat: int) -> float:
    """Seconds for the trivial cells."""
    (folder / "nothing.py").write_text(NOTHING)
    (folder / "trivial.toml").write_text(SMALL.format(seeds=8))
    run = folder / f"trivial-{repeat}"
    script = [sys.executable, "-c", RUN_TRIVIAL, str(folder / "trivial.toml"), str(run), str(TRIVIAL), str(JOBS)]
    taken = cost(script, str(folder)).seconds
    shutil.rmtree(run)
    return taken


@contextlib.contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Path]:
    """A Dask scheduler and workers of one thread in processes of their own; where its address stands."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    here = ["--scheduler-file", str(file), "--no-dashboard"]
    theirs = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder / "dask")]
    started: list[subprocess.Popen[bytes]] = []
    with open(folder / "cluster.log", "w") as log:
        try:
            for program, options in (
                ("dask_scheduler", ["--host", "127.0.0.1", "--port", "0"]),
                *[("dask_worker", theirs)] * workers,
            ):
                command = [sys.executable, "-m", f"distributed.cli.{program}", *here, *options]
                started.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))
                deadline = time.monotonic() + 60
                while not file.exists() and time.monotonic() < deadline:
                    time.sleep(0.05)
            yield file
        finally:
            for process in reversed(started):
                process.kill()
                process.wait()


def dask(folder: Path, workers: int, repeat: int, busy: list[float]) -> float:
    """Seconds that so many workers take for the small cells, once they have compiled what there is to compile."""
    run = folder / f"dask-{workers}-{repeat}"
    (folder / "dask.toml").write_text(SMALL.format(seeds=8 * (DASK + 2 * workers)))
    with cluster(folder, workers) as file:
        script = [sys.executable, "-c", RUN_DASK, str(file), str(folder / "dask.toml"), str(run), str(workers)]
        done = subprocess.run(script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the run on Dask failed:\n{done.stderr}\n{(folder / 'cluster.log').read_text()}")
    shutil.rmtree(run)
    found = json.loads(done.stdout.splitlines()[-1])
    busy.append(found["busy"])
    return float(found["seconds"])


def synthetic(folder: Path, cells: int) -> Path:
    """A run directory of so many finished cells: one that was measured, under other keys and seeds."""
    from unittest import mock

    from probes.runner import plan
    from probes.store import Store
    from probes.suite import read_suite
    from probes.worker import measure_cell
    from probes.worklist import cells_of

    planned = plan(read_suite(SMALL.format(seeds=8).replace("steps = 3000", "steps = 30")))
    (first,) = planned.conditions
    measured = measure_cell(planned.cells[0], lambda state: None)
    lines = [
        replace(
            first,
            title=f"w{n}/question/mlp/evidence",
            label=f"w{n}",
            training={**first.training, "steps": 30 + n},
            seeds=8 * GROUPS,
        )
        for n in range(cells // GROUPS)
    ]
    store = Store.create(folder / f"cells-{cells}", planned.suite, lines)
    with mock.patch("os.fsync"):  # what is removed in a minute need not survive a power cut
        for cell in cells_of(lines):
            seeds = list(range(8 * cell.group, 8 * cell.group + 8))
            store.write(cell, {**measured, "metadata": {**measured["metadata"], "seeds": seeds}})
    os.sync()  # or whoever first waits for the disk waits for all of it
    return store.path


def many(folder: Path, sizes: tuple[int, ...]) -> Iterator[tuple[int, dict[str, Cost]]]:
    """For each number of cells, what reading them costs."""
    for size in sizes:
        begin = time.perf_counter()
        run = synthetic(folder, size)
        progress(f"made {size:,} cells in {time.perf_counter() - begin:.0f} s")
        commands = {
            "what is missing": [sys.executable, "-c", MISSING, str(run)],
            "tables": [sys.executable, "-c", TABLES, str(run)],
            "`probes show`": probes("show", run),
            "packing": [sys.executable, "-c", PACK, str(run)],
            "what is missing, packed": [sys.executable, "-c", MISSING, str(run)],
            "tables, packed": [sys.executable, "-c", TABLES, str(run)],
        }
        found = {}
        for name, command in commands.items():
            found[name] = cost(command)
            progress(f"{size:,} cells, {name}: {found[name].seconds:.1f} s, {found[name].memory:,.0f} MB")
        yield size, found
        shutil.rmtree(run)


def measure(repeats: int = 3, sizes: tuple[int, ...] = SIZES) -> str:
    """The markdown of both tables."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "large.toml").write_text(SMALL.format(seeds=8 * DRY))
        memory: list[float] = []
        busy: list[float] = []

        def dry() -> float:
            taken = cost(probes("run", folder / "large.toml", "--dry-run"))
            memory.append(taken.memory)
            return taken.seconds

        contestants: dict[str, Callable[[int], Callable[[], float]]] = {
            "trivial": lambda repeat: lambda: trivial(folder, repeat),
            "dry": lambda repeat: dry,
            "one": lambda repeat: lambda: dask(folder, 1, repeat, busy),
            "two": lambda repeat: lambda: dask(folder, 2, repeat, busy),
        }
        taken = taking_turns(contestants, repeats)
        for what, seconds in taken.items():
            progress(f"{what}: {', '.join(f'{one:.1f}' for one in seconds)} s")
        scale = list(many(folder, sizes))
    faster = statistics.median(one / two for one, two in zip(taken["one"], taken["two"], strict=True))
    peak = statistics.median(memory)
    rows = [
        (f"{TRIVIAL:,} trivial cells, {JOBS} jobs", f"{_seconds(taken['trivial'])}", f"≤ {AIM_TRIVIAL:g} s"),
        (f"`--dry-run`, {DRY:,} cells", f"{_seconds(taken['dry'])}", f"≤ {AIM_DRY:g} s"),
        ("its peak memory", f"{peak:,.0f} MB", f"≤ {AIM_DRY_MEMORY} MB"),
        (f"{DASK} cells of the vault, one Dask worker of one thread", _seconds(taken["one"]), ""),
        (f"{DASK} cells of the vault, two of them", _seconds(taken["two"]), ""),
        ("two over one", f"{faster:.2f}×", f"≥ {AIM_DASK:g}×"),
        ("processors that a worker took, at most", f"{max(busy):.2f}", ""),
    ]
    names = list(scale[0][1]) if scale else []
    lines = [
        f"{where(['worldnets', 'numpy', 'jax', 'distributed'])} "
        f"Whole processes, medians of {repeats} interleaved repeats, fastest and slowest in brackets.",
        "",
        "| what | measured | aim |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"Reading run directories of many finished cells, {GROUPS} for each condition: seconds and peak memory.",
        "",
        f"| cells | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for size, found in scale:
        shown = (f"{one.seconds:.1f} s, {one.memory:,.0f} MB" for one in found.values())
        lines.append(f"| {size:,} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _seconds(taken: list[float]) -> str:
    return f"{statistics.median(taken):.1f} s [{min(taken):.1f}, {max(taken):.1f}]"


def main() -> None:
    """Measure and print; `benchmarks/run.py --only running` writes it into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cells", type=int, nargs="*", default=SIZES)
    options = parser.parse_args()
    print(measure(options.repeats, tuple(options.cells)))


if __name__ == "__main__":
    main()
