"""The same cells on a Dask cluster: a real scheduler and worker processes on this machine's loopback."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from probes.backend import Dask, backend
from probes.pool import run_cells
from probes.progress import Quiet
from probes.worklist import cells_of
from tests.fake_cells import conditions, content, go, store
from worldnets.errors import ClusterError

pytest.importorskip("distributed")


@contextmanager
def cluster(tmp_path, workers):
    """A scheduler and so many workers in processes of their own; yields where its address stands, and the workers."""
    file = tmp_path / "scheduler.json"
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    own = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    theirs = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path / "dask")]
    with open(tmp_path / "cluster.log", "w") as log:

        def started(program, options):
            command = [sys.executable, "-m", f"distributed.cli.{program}", "--scheduler-file", str(file), *options]
            return subprocess.Popen(
                command, env={**os.environ, "PYTHONPATH": path}, stdout=log, stderr=log, cwd=tmp_path
            )

        scheduler = started("dask_scheduler", own)
        hands = [started("dask_worker", theirs) for _ in range(workers)]
        try:
            deadline = time.monotonic() + 60
            while not file.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            yield file, hands
        finally:
            for process in (*hands, scheduler):
                process.kill()
                process.wait()


def connected(file, run):
    return Dask(json.loads(file.read_text())["address"], None, run.path)


def ready(made, count):
    deadline = time.monotonic() + 60
    while made.jobs < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert made.jobs == count


def test_two_workers_store_the_bytes_of_one_machine_also_when_one_is_killed_in_the_middle(tmp_path, fake):
    cells = cells_of(conditions(seeds=32, sleep=0.3))
    run, alone = store(tmp_path / "run"), store(tmp_path / "alone")
    with cluster(tmp_path, 2) as (address, workers):
        made = connected(address, run)
        try:
            ready(made, 2)

            class KillsOne(Quiet):
                def finished(self, cell, error, seconds):
                    if workers[0].poll() is None and len(list(run.path.glob("cells/*/*.json"))) >= 3:
                        workers[0].kill()

            outcome = run_cells(run, cells, made, KillsOne(), measure="fake_measure:measure")
            assert workers[0].poll() is not None
            assert made.jobs == 1
        finally:
            made.close()
    assert (outcome.done, outcome.failed, outcome.missing) == (len(cells), 0, 0)
    go(alone, cells_of(conditions(seeds=32, sleep=0.3)), 2)
    assert content(run) == content(alone)


def test_a_cell_that_kills_its_workers_or_hangs_fails_and_the_others_are_done(tmp_path, fake):
    (tmp_path / "trouble.txt").write_text("sleeps")
    cells, run = cells_of(conditions()), store(tmp_path / "run")
    before = dict(os.environ)
    with backend("dask", 1, run.path) as made:
        outcome = run_cells(run, cells, made, measure="fake_measure:measure", time_limit=1.0)
        assert (outcome.done, outcome.failed, outcome.missing) == (4, 4, 0)
        assert run.failure(cells[-1])["error"].startswith("took longer than the 1 s")
        (tmp_path / "trouble.txt").unlink()
        assert run_cells(run, cells, made, measure="fake_measure:measure").complete
    assert dict(os.environ) == before
    alone = store(tmp_path / "alone")
    go(alone, cells, 2)
    assert content(run) == content(alone)


def test_libraries_in_a_dask_worker_keep_to_one_thread(tmp_path, reported):
    from thread_report import threads

    with cluster(tmp_path, 1) as (address, _):
        made = connected(address, store(tmp_path / "run"))
        try:
            ready(made, 1)
            (found,) = made._client.run(threads).values()
        finally:
            made.close()
    assert (found["numba"], found["blas"], found["ours"]) == (1, {1}, 1)
    assert found["xla"] < 1.3


def test_relative_paths_start_where_the_runner_is_and_not_where_a_worker_was_started(tmp_path, fake, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    cells, run = cells_of(conditions(seeds=8)), store(Path("run"))
    with cluster(tmp_path, 1) as (address, _):
        made = connected(address, run)
        try:
            assert run_cells(run, cells, made, measure="fake_measure:measure").complete
        finally:
            made.close()
    assert len(content(run)) == 2 * len(cells)
    assert not (tmp_path / "run").exists()


def test_a_worker_that_does_not_see_the_run_directory_is_refused(tmp_path, fake):
    with cluster(tmp_path, 1) as (address, _), pytest.raises(ClusterError, match="does not see the run directory"):
        connected(address, type("Elsewhere", (), {"path": tmp_path / "nowhere"}))


def test_no_scheduler_and_contradictory_options_are_refused(tmp_path):
    with pytest.raises(ClusterError, match="no Dask scheduler with workers"):
        Dask("tcp://127.0.0.1:9", None, tmp_path, wait=1.0)
    for options, message in (
        (("processes", None, tmp_path, "tcp://127.0.0.1:9"), "a scheduler, and no backend that asks one"),
        (("dask", 2, tmp_path, "tcp://127.0.0.1:9"), "a number of jobs, and a cluster of its own"),
        (("spark", None, tmp_path), "unknown backend"),
    ):
        with pytest.raises(ClusterError, match=message), backend(*options):
            pass
