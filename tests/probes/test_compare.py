import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from click.testing import CliRunner

from probes.cli import main
from probes.compare import compare, difference
from probes.results import Results
from probes.runner import plan
from probes.statistics import Interval, exactly, t_interval
from probes.store import Store
from probes.suite import read_suite
from probes.worker import work
from tests.tiny_suite import tiny_suite
from worldnets.errors import StoreError


def measured(path, text):
    planned = plan(read_suite(text))
    store = Store.create(path, planned.suite, planned.conditions)
    work(str(store.path), [asdict(cell) for cell in planned.cells])
    return Results(store)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    short = measured(folder / "short", tiny_suite())
    again = measured(folder / "again", tiny_suite().replace('"tiny"', '"again"'))
    longer = measured(folder / "longer", tiny_suite().replace("steps = 30", "steps = 400"))
    return short, again, longer


def test_two_runs_of_the_same_work_are_equal_to_the_last_bit(runs):
    short, again, _ = runs
    found = compare(short, again)
    assert found.same
    assert (found.numbers, found.unlike, found.verdicts) == (0, (), ())
    assert found.equal > 20


def test_what_more_training_moved_is_found_with_its_interval_and_the_setting_that_did_it(runs):
    short, _, longer = runs
    found = compare(short, longer)
    assert ("defaults.steps", "30", "400") in found.settings
    names = {(one.names["head"], one.names["name"]) for one in found.moved}
    assert ("linear", "captured bits") in names
    for one in found.moved:
        assert not one.difference.low <= 0 <= one.difference.high
        assert one.difference.estimate == pytest.approx(one.b.estimate - one.a.estimate)
    assert len(found.to_pandas()) == len(found.moved) < found.numbers
    back = compare(longer, short)
    assert {str(one.names) for one in back.moved} == {str(one.names) for one in found.moved}


def test_a_cell_of_one_key_and_other_bytes_is_named(runs, tmp_path):
    short, _, _ = runs
    store = Store.create(tmp_path / "run", short.store.suite, short.store.conditions)
    for condition in short.store.conditions:
        (cell,) = condition.cells
        store.write(cell, short.store.read(cell))
    assert compare(short, Results(store)).unlike == ()
    changed = short.store.read(cell)
    off = {name: value + 0.25 for name, value in changed["arrays"].items() if value.dtype.kind == "f"}
    changed["arrays"] |= off
    store.write(cell, changed)
    assert compare(short, Results(store)).unlike == (cell.name,)


def test_conditions_of_one_run_only_are_told_and_runs_with_none_in_common_refused(runs, tmp_path):
    short, _, _ = runs
    linear = measured(tmp_path / "linear", tiny_suite().replace(', { name = "mlp", options = { width = 8 } }', ""))
    found = compare(short, linear)
    assert found.only_a == ("cue_parity/question/mlp/evidence depth",)
    assert not found.same
    relabelled = tiny_suite().replace('world = "cue_parity"', 'world = "cue_parity"\nlabel = "x"')
    other = measured(tmp_path / "other", relabelled)
    with pytest.raises(StoreError, match="no condition in common"):
        compare(short, other)


def test_the_difference_of_two_means_has_welchs_interval_for_equal_groups():
    random = np.random.default_rng(1)
    x, y = random.normal(0, 1, 40), random.normal(0.5, 1, 40)
    found = difference(t_interval(x), t_interval(y))
    error = math.sqrt(x.var(ddof=1) / 40 + y.var(ddof=1) / 40)
    assert found.estimate == pytest.approx(y.mean() - x.mean())
    assert found.high - found.estimate == pytest.approx(error * 2.0227, rel=1e-3)  # t of 39 degrees of freedom
    wider = difference(t_interval(x), t_interval(y), tests=50)
    assert wider.low < found.low < found.high < wider.high
    assert wider.level == pytest.approx(0.999)


def test_differences_of_equal_means_leave_zero_out_no_more_often_than_they_say():
    random = np.random.default_rng(2)
    pairs = random.normal(0, 1, (4000, 2, 8))
    out = [difference(t_interval(a), t_interval(b)) for a, b in pairs]
    assert np.mean([not one.low <= 0 <= one.high for one in out]) < 0.05
    ten = [difference(t_interval(a), t_interval(b), tests=10) for a, b in pairs]
    assert np.mean([not one.low <= 0 <= one.high for one in ten]) < 0.008


def test_exact_numbers_differ_when_they_differ():
    found = difference(exactly(1.0), exactly(1.5), tests=9)
    assert (found.low, found.estimate, found.high) == (0.5, 0.5, 0.5)
    one_seed = Interval(1.0, -math.inf, math.inf, 0.95, "t", 1)
    assert difference(one_seed, exactly(2.0)).low == -math.inf


def test_the_command_says_what_changed_and_its_status_is_that_of_diff(runs):
    short, again, longer = (str(run.path) for run in runs)
    same = CliRunner().invoke(main, ["compare", short, again])
    assert same.exit_code == 0
    assert "0 verdicts differ" in same.output
    changed = CliRunner().invoke(main, ["compare", short, longer])
    assert changed.exit_code == 1
    assert "defaults.steps" in changed.output
    assert "captured" in changed.output
    told = json.loads(CliRunner().invoke(main, ["compare", short, longer, "--json"]).output)
    assert told["moved"][0]["names"]["world"] == "cue_parity"
    missing = CliRunner().invoke(main, ["compare", short, "/nowhere/at/all"])
    assert missing.exit_code == 2
    assert "no run directory" in missing.output
