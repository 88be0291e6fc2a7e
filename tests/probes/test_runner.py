import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest

from probes.cells import parse_shard
from probes.resolve import resolve
from probes.suite import read_suite
from probes.worker import measure_cell, thread_settings
from probes.worklist import batches, cells_of, shard_of
from tests import fake_cells
from tests.fake_cells import conditions, content, go, store
from worldnets import training
from worldnets.errors import SuiteError

HERE = os.path.dirname(fake_cells.__file__)  # scripts of these tests import it from there


def test_one_job_two_jobs_shards_and_a_second_call_store_the_same_bytes(tmp_path, fake):
    cells = cells_of(conditions())
    one, two, parts = store(tmp_path / "one"), store(tmp_path / "two"), store(tmp_path / "parts")
    assert go(one, cells).done == len(cells) == 8
    assert go(two, cells, jobs=2).complete
    for part in ("1/3", "2/3", "3/3"):
        go(parts, shard_of(cells, parse_shard(part)))
    assert content(one) == content(two) == content(parts)
    assert len(content(one)) == 2 * len(cells)
    measured = len(fake())
    again = go(one, cells)
    assert (again.done, again.reused, again.complete) == (0, 8, True)
    assert len(fake()) == measured


def test_more_seeds_measure_only_the_new_groups_and_change_no_finished_one(tmp_path, fake):
    run = store(tmp_path / "run")
    go(run, cells_of(conditions(seeds=8)))
    before = content(run)
    outcome = go(run, cells_of(conditions(seeds=16)))
    assert (outcome.done, outcome.reused) == (4, 4)
    assert before.items() <= content(run).items()


def test_a_failing_cell_keeps_its_traceback_stops_no_other_and_is_tried_again(tmp_path, fake):
    run, cells = store(tmp_path / "run"), cells_of(conditions(fail=1))
    outcome = go(run, cells)
    assert (outcome.done, outcome.failed, outcome.complete) == (4, 4, False)
    failure = run.failure(cells[-1])
    assert failure["error"] == "ValueError: planted failure"
    assert "in measure" in failure["traceback"]
    tried = len(fake())
    assert (go(run, cells).failed, len(fake()) - tried) == (4, 4)


def test_fail_fast_stops_at_the_first_failure_and_leaves_the_rest_missing(tmp_path, fake):
    outcome = go(store(tmp_path / "run"), cells_of(conditions(fail=0)), fail_fast=True)
    assert outcome.failed >= 1
    assert outcome.missing >= 4


def test_a_cell_that_kills_its_worker_fails_and_the_others_are_done(tmp_path, fake):
    run = store(tmp_path / "run")
    deadly = conditions()
    deadly[1] = replace(deadly[1], head={"name": "mlp1", "options": {"die": 1}})
    cells = cells_of(deadly)
    outcome = go(run, cells, jobs=2)
    assert (outcome.done, outcome.failed, outcome.missing) == (7, 1, 0)
    assert "died" in run.failure(deadly[1].cells[1])["error"]


@pytest.mark.parametrize("sign", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_run_stopped_in_the_middle_goes_on_to_the_same_bytes(tmp_path, fake, sign):
    script = f"""
        import signal, sys
        # Started from a script in the background, a process ignores Ctrl-C from birth.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.path[:0] = [{str(tmp_path)!r}, {HERE!r}]
        from probes.worklist import cells_of
        from fake_cells import conditions, go, store
        outcome = go(store({str(tmp_path / "cut")!r}), cells_of(conditions(sleep=0.4)))
        sys.exit(7 if outcome.interrupted else 0)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)])
    cut, whole, cells = tmp_path / "cut", store(tmp_path / "whole"), cells_of(conditions(sleep=0.4))
    deadline = time.monotonic() + 30
    while len(list(cut.glob("cells/*/*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(sign)
    assert process.wait(20) == (7 if sign == signal.SIGINT else -signal.SIGKILL)
    time.sleep(1.5)  # an orphaned worker notices within a second
    had = len(list(cut.glob("cells/*/*.json")))
    assert 3 <= had < len(cells)
    time.sleep(0.6)
    assert len(list(cut.glob("cells/*/*.json"))) == had
    resumed = go(store(cut), cells)
    assert (resumed.reused, resumed.complete) == (had, True)
    go(whole, cells, jobs=2)
    assert content(store(cut)) == content(whole)


def test_shards_are_disjoint_and_together_everything():
    cells = cells_of(conditions())
    parts = [shard_of(cells, (i, 3)) for i in (1, 2, 3)]
    assert sorted(cell.key for part in parts for cell in part) == sorted(cell.key for cell in cells)
    for text in ("0/3", "4/3", "1", "a/b", "1/-2", ""):
        with pytest.raises(SuiteError, match="not a shard"):
            parse_shard(text)


def test_cells_of_one_world_stay_together_and_no_batch_holds_more_than_a_jobs_share():
    cells = cells_of(conditions())
    assert [len(batch) for batch in batches(cells, 2)] == [4, 4]
    for batch in batches(cells, 2):
        assert len({cell.identity["world"]["digest"] for cell in batch}) == 1
    assert max(len(batch) for batch in batches(cells, 4)) == 2


def test_a_worker_is_given_its_threads_and_xla_does_not_split_its_sums(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_foo=1")
    settings = thread_settings(3)
    assert settings["OMP_NUM_THREADS"] == settings["NUMBA_NUM_THREADS"] == "3"
    assert settings["XLA_FLAGS"] == "--xla_foo=1 --xla_cpu_multi_thread_eigen=false"
    monkeypatch.setenv("XLA_FLAGS", settings["XLA_FLAGS"])
    assert thread_settings(3)["XLA_FLAGS"] == settings["XLA_FLAGS"]


def test_one_training_is_made_once_for_all_probes_that_look_at_it(monkeypatch):
    text = """
    [suite]
    name = "two"
    [defaults]
    steps = 30
    batch = 16
    seeds = 8
    checkpoints = 3
    probes = ["purity", "depth"]
    [[jobs]]
    world = "vault"
    parameters = { frames = 3, pixels = 1, context = 1 }
    objective = ["continuation"]
    heads = "world_model"
    """
    trained = []
    original = training.train
    monkeypatch.setattr(training, "train", lambda *args, **more: trained.append(args) or original(*args, **more))
    cells = cells_of(resolve(read_suite(text)))
    (batch,) = batches(cells, 1)
    assert len(batch) == 2
    assert batch[0].training == batch[1].training
    results = [measure_cell(cell, lambda state: None) for cell in batch]
    assert [result["metadata"]["probe"] for result in results] == ["purity", "depth"]
    assert len(trained) == 1
