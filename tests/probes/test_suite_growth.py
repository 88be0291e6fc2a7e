"""Growth in suite files: part of a condition, of its cells' keys and of what workers train."""

import numpy as np
import pytest

import worldnets as wn
from probes.cells import canonical
from probes.resolve import resolve
from probes.suite import read_suite
from probes.worker import measure_cell
from worldnets.learning import GrowthPlan

SUITE = """
[suite]
name = "growing"

[defaults]
steps = 30
batch = 16
checkpoints = 3

[[jobs]]
world = "vault"
parameters = { frames = 3, pixels = 1 }
objective = "continuation"
heads = ["linear"]
inputs = ["beliefs", "evidence"]
growth = [{ kind = "radius", stages = 2, order = "grown" }, { kind = "radius", order = "fresh" }, "none"]
"""


def test_growths_are_crossed_and_stand_in_titles_and_in_keys_only_where_given():
    suite = read_suite(SUITE)
    assert read_suite(suite.to_toml()) == suite
    conditions = resolve(suite)
    assert [condition.title.rpartition("/")[2] for condition in conditions] == [
        "beliefs:radius-grown", "beliefs:radius-fresh", "beliefs",
        "evidence:radius-grown", "evidence:radius-fresh", "evidence",
    ]  # fmt: skip
    grown, fresh, plain, *_ = conditions
    settings = {"kind": "radius", "order": "grown", "stages": 2, "ladder": "task", "target": None, "shares": None}
    assert grown.identity["growth"] == settings
    assert fresh.identity["growth"] == {**settings, "order": "fresh", "stages": None}
    assert "growth" not in plain.identity
    assert grown.names["inputs"] == "beliefs:radius-grown"
    without = resolve(read_suite(SUITE.replace("growth = ", "# ")))
    assert canonical(without[0].identity) == canonical(plain.identity)


def test_a_worker_trains_through_the_growth_that_the_suite_names():
    suite = read_suite(SUITE.replace('"beliefs", ', ""))
    condition = resolve(suite)[0]
    cell = condition.cells[0]
    found = measure_cell(cell, lambda state: None)
    dataset = wn.load_dataset("vault", frames=3, pixels=1)
    growth = GrowthPlan.of({"kind": "radius", "stages": 2}).build(dataset, "continuation")
    trace = wn.train(dataset, "linear", "continuation", world_model=growth, steps=30, batch=16, checkpoints=3, seeds=8)
    import probes

    again = probes.probe("depth").measure(trace)
    assert found["arrays"].keys() == again["arrays"].keys()
    for name, array in again["arrays"].items():
        np.testing.assert_array_equal(found["arrays"][name], array)
    plain = measure_cell(resolve(suite)[2].cells[0], lambda state: None)
    assert not np.array_equal(plain["arrays"]["0.pie.captured"], found["arrays"]["0.pie.captured"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "radius", order = "fresh"', 'kind = "radios"', r"growing.*jobs\[1\].*did you mean 'radius'"),
        ("stages = 2", "stages = 7", "more stages than the ladder has rungs"),
        ("stages = 2", "stage = 2", "did you mean 'stages'"),
        ('"none"', '"nothing"', "growth"),
        ('heads = ["linear"]', 'heads = ["world_model"]', "inputs that grow are not for this head"),
        ('kind = "radius", stages = 2', 'kind = "rounds"', "raw evidence passes no messages"),
        ("steps = 30", "steps = 1", "too few steps for the stages"),
        ('order = "grown" }', 'order = "fresh" }', "two different conditions have one title"),
    ],
)
def test_a_growth_that_cannot_be_is_refused_before_anything_runs(old, new, message):
    assert old in SUITE
    with pytest.raises(wn.WorldnetsError, match=message):
        resolve(read_suite(SUITE.replace(old, new, 1)))
