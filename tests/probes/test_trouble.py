"""What can go wrong with a run from outside: nothing is lost, nothing doubled, no file is half of one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from probes.pool import run_cells
from probes.store import Store
from probes.worklist import cells_of
from tests import fake_cells
from tests.fake_cells import conditions, content, go, store
from worldnets.errors import StoreError, SuiteError

#: Scripts of these tests import the cells as a module of their own: `tests` is a package of many names.
HERE = os.path.dirname(fake_cells.__file__)


@pytest.fixture
def trouble(tmp_path):
    return tmp_path / "trouble.txt"


def undisturbed(tmp_path, cells):
    run = store(tmp_path / "undisturbed")
    assert go(run, cells, jobs=2).complete
    return content(run)


def whole(run):
    """Every file of the run's cells can be read, and none is left over from a write that did not end."""
    for path in (run.path / "cells").rglob("*.json"):
        json.loads(path.read_text())
    for path in (run.path / "cells").rglob("*.npz"):
        np.load(path).close()
    return not list(run.path.rglob("*.tmp"))


def runner(tmp_path, run, jobs=1, **options):
    """The same call in a process of its own."""
    script = f"""
        import sys
        sys.path[:0] = [{str(tmp_path)!r}, {HERE!r}]
        from probes.worklist import cells_of
        from fake_cells import conditions, go, store
        outcome = go(store({str(run)!r}), cells_of(conditions(**{options!r})), jobs={jobs})
        sys.exit(0 if outcome.complete else 1)
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])


@pytest.mark.parametrize("kind", ["sleeps", "never looks up"])
def test_a_cell_that_hangs_fails_at_its_time_limit_with_the_place_it_was_at(tmp_path, fake, trouble, kind):
    cells, run = cells_of(conditions()), store(tmp_path / "run")
    trouble.write_text(kind)
    outcome = go(run, cells, jobs=2, time_limit=1.5)
    assert (outcome.done, outcome.failed, outcome.missing) == (4, 4, 0)
    failure = run.failure(cells[-1])
    assert failure["error"] == "took longer than the 1.5 s that a cell may take (--time-limit)"
    assert "in measure" in failure["traceback"]
    trouble.unlink()
    assert go(run, cells, jobs=2, time_limit=60).complete
    assert content(run) == undisturbed(tmp_path, cells)
    assert not list((run.path / "log").glob("overrun-*"))
    assert not list((run.path / "log").glob("now-*"))


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf")])
def test_a_time_limit_that_is_none_is_refused(tmp_path, fake, limit):
    with pytest.raises(SuiteError, match="no time limit"):
        run_cells(store(tmp_path / "run"), cells_of(conditions()), 1, time_limit=limit)


def test_a_cell_that_runs_out_of_memory_fails_and_the_others_are_done(tmp_path, fake, trouble):
    cells, run = cells_of(conditions()), store(tmp_path / "run")
    trouble.write_text("swallows memory")
    outcome = go(run, cells, jobs=2)
    assert (outcome.done, outcome.failed, outcome.missing) == (4, 4, 0)
    assert "MemoryError" in run.failure(cells[-1])["error"]
    trouble.unlink()
    assert go(run, cells).complete
    assert content(run) == undisturbed(tmp_path, cells)


def test_a_cell_whose_worker_the_system_kills_fails_and_the_others_are_done(tmp_path, fake, trouble):
    # As a system does that has run out of memory.
    cells, run = cells_of(conditions()), store(tmp_path / "run")
    trouble.write_text("is killed")
    outcome = go(run, cells, jobs=2)
    assert (outcome.done, outcome.failed, outcome.missing) == (4, 4, 0)
    assert "the worker process died" in run.failure(cells[-1])["error"]
    trouble.unlink()
    assert go(run, cells, jobs=2).complete
    assert content(run) == undisturbed(tmp_path, cells)
    assert not list(run.path.glob("failed/*"))
    assert not list((run.path / "log").glob("now-*"))


def test_a_worker_killed_from_outside_costs_nothing_but_time(tmp_path, fake):
    cells, run = cells_of(conditions(sleep=0.4)), tmp_path / "run"
    process = runner(tmp_path, run, jobs=2, sleep=0.4)
    killed = False
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline and not killed:
        if len(list(run.glob("cells/*/*.json"))) >= 2:
            for line in (Path("/proc") / str(process.pid) / "task" / str(process.pid) / "children").read_text().split():
                if b"popen_loky" in (Path("/proc") / line / "cmdline").read_bytes():
                    os.kill(int(line), signal.SIGKILL)
                    killed = True
                    break
        time.sleep(0.02)
    assert killed
    assert process.wait(60) == 0
    assert content(Store.open(run)) == undisturbed(tmp_path, cells)
    assert not list(run.glob("failed/*"))


def test_two_runners_on_one_run_directory_measure_every_cell_once(tmp_path, fake):
    cells, run = cells_of(conditions(sleep=0.3)), tmp_path / "run"
    both = [runner(tmp_path, run, sleep=0.3) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted(fake()) == sorted(cell.name for cell in cells)
    assert content(Store.open(run)) == undisturbed(tmp_path, cells)
    assert not list(run.glob("log/claim-*"))


def test_the_claim_of_a_runner_that_was_killed_ends_with_it(tmp_path, fake):
    cells, run = cells_of(conditions(sleep=0.5)), tmp_path / "run"
    process = runner(tmp_path, run, sleep=0.5)
    deadline = time.monotonic() + 30
    while not list(run.glob("log/claim-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert go(Store.open(run), cells, jobs=2).complete
    assert content(Store.open(run)) == undisturbed(tmp_path, cells)


def test_a_claimed_cell_is_not_to_be_had_by_another(tmp_path):
    run, (cell, *_) = store(tmp_path / "run"), cells_of(conditions())
    with run.claimed(cell) as ours, run.claimed(cell, wait=False) as theirs:
        assert (ours, theirs) == (True, False)
    with run.claimed(cell, wait=False) as again:
        assert again


@contextmanager
def small_disk(folder, size):
    """A file system of that many bytes, where one may mount one."""
    folder.mkdir()
    mount = shutil.which("mount")
    made = mount and subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if not made or made.returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield lambda options: subprocess.run([mount, "-o", f"remount,{options}", folder], check=True)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_on_a_full_disk_what_is_stored_stays_and_the_rest_is_done_later(tmp_path, fake):
    cells = cells_of(conditions())
    expected = undisturbed(tmp_path, cells)
    with small_disk(tmp_path / "disk", "80k") as remount:
        run = store(tmp_path / "disk" / "run")
        with suppress(StoreError):  # where there is no space for so much as a line that says so
            outcome = go(run, cells)
            assert outcome.failed
            assert all("No space left" in run.failure(cell)["error"] for cell in cells if not run.has(cell))
        had = content(run)
        assert whole(run)
        assert len(had) < len(expected)
        remount("size=4m")
        assert go(run, cells).complete
        assert content(run) == expected
        assert not list(run.path.glob("failed/*"))


def test_packing_on_a_full_disk_removes_nothing_and_is_done_later(tmp_path, fake):
    cells = cells_of(conditions())
    expected = undisturbed(tmp_path, cells)
    with small_disk(tmp_path / "disk", "4m") as remount:
        run = store(tmp_path / "disk" / "run")
        assert go(run, cells).complete
        (tmp_path / "disk" / "filler").write_bytes(bytes(os.statvfs(tmp_path / "disk").f_bavail * 4096))
        with pytest.raises(StoreError, match="No space left"):
            run.pack()
        assert content(run) == expected
        assert whole(run)
        remount("ro")
        with pytest.raises(StoreError, match="Read-only"):
            run.pack()
        assert all(run.content(cell)[1] == expected[f"{cell.key}.npz"] for cell in cells)
        remount("rw")
        (tmp_path / "disk" / "filler").unlink()
        assert run.pack().packed == len(cells)
        assert go(run, cells).reused == len(cells)
        assert all(run.content(cell) == (expected[f"{cell.key}.json"], expected[f"{cell.key}.npz"]) for cell in cells)


def test_where_no_file_may_grow_every_failure_says_why(tmp_path, fake):
    # The same without the right to mount: the system refuses to write files beyond a size.
    cells = cells_of(conditions())
    script = f"""
        import resource, sys
        sys.path[:0] = [{str(tmp_path)!r}, {HERE!r}]
        from probes.worklist import cells_of
        from fake_cells import conditions, go, store
        run = store({str(tmp_path / "run")!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
        outcome = go(run, cells_of(conditions()))
        sys.exit(outcome.failed)
    """
    found = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True)
    run = Store.open(tmp_path / "run")
    assert found.returncode == len(cells) or "File too large" in found.stderr
    assert whole(run)
    assert not list(run.path.glob("cells/*/*.json"))
    assert go(run, cells).complete
    assert content(run) == undisturbed(tmp_path, cells)


def test_a_run_directory_that_is_read_only_is_refused_and_left_as_it_is(tmp_path, fake):
    cells = cells_of(conditions())
    expected = undisturbed(tmp_path, cells)
    with small_disk(tmp_path / "disk", "4m") as remount:
        run = store(tmp_path / "disk" / "run")
        assert go(run, cells[:3]).complete
        had = content(run)
        remount("ro")
        with pytest.raises(StoreError, match="Read-only file system"):
            go(run, cells)
        assert content(run) == had
        assert go(run, cells[:3]).reused == 3  # reading is allowed
        remount("rw")
        assert go(run, cells).complete
        assert content(run) == expected
