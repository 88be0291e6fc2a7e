"""The complexity probe: a head's description beside a world-model that deepens."""

import json
from dataclasses import replace

import numpy as np
import pytest

import worldnets as wn
from probes.catalogue.complexity import ComplexityProbe
from probes.complexity.verdict import Grown, Settings, verdict
from probes.measurement import pack, unpack
from probes.organisms.complexity import plants
from probes.registry import names
from worldnets.errors import ProbeError
from worldnets.learning.growth import by_radius
from worldnets.training_plan import plan_training

REQUEST = {"seeds": 3, "steps": 60, "batch": 32, "checkpoints": [0, 60], "learning_rate": 0.03}


@pytest.fixture(scope="module")
def dataset():
    return wn.load_dataset("vault", frames=3, pixels=1)


@pytest.fixture(scope="module")
def grown(dataset):
    growth = by_radius(dataset, "question")
    trace = wn.train(dataset, "linear", "question", world_model=growth, **REQUEST)
    return trace, ComplexityProbe().measure(trace)


def test_the_probe_is_found_by_name():
    assert "complexity" in names()


def test_heads_are_described_at_the_end_of_every_stage_whatever_checkpoints_the_trace_has(grown, dataset):
    trace, cell = grown
    (m,) = unpack(cell, "complexity")
    ends = [0, trace.inputs.starts[1] - 1, 60]
    assert m.steps.tolist() == ends
    assert m.plain["stages"] == ["radius 1", "radius 2"]
    again = wn.train(dataset, "linear", "question", world_model=by_radius(dataset, "question"),
                     **{**REQUEST, "checkpoints": ends})  # fmt: skip
    (other,) = unpack(ComplexityProbe().measure(again), "complexity")
    for name, numbers in m.numbers.items():
        np.testing.assert_array_equal(other.numbers[name], numbers)
    assert (m.numbers["description"][0] < m.numbers["description"][-1]).all()
    assert 0 < m.world["model"][0] < m.world["model"][1]
    assert m.world["model"][1] == pytest.approx(m.plain["pie"])


def test_rounds_are_counted_where_heads_learn_how_many(dataset):
    options = {"clusters": "frames", "halting": True}
    short = {**REQUEST, "steps": 20, "checkpoints": [0, 20]}
    growth = by_radius(dataset, "question")
    trace = wn.train(dataset, "message_passing", "question", world_model=growth, head_options=options, **short)
    conclusion = ComplexityProbe().run(trace)
    found = [finding for finding in conclusion if finding.name == "rounds"]
    assert len(found) == 3
    assert all(finding.value.estimate >= 1 for finding in found)


def test_a_cell_survives_a_file_and_the_verdict_the_order_of_cells(grown, tmp_path):
    _, cell = grown
    probe = ComplexityProbe()
    np.savez(tmp_path / "cell.npz", **cell["arrays"])
    with np.load(tmp_path / "cell.npz") as arrays:
        again = {"metadata": json.loads(json.dumps(cell["metadata"])), "arrays": dict(arrays)}
    whole = probe.conclude([cell])
    assert [finding.to_dict() for finding in whole] == [finding.to_dict() for finding in probe.conclude([again])]
    (m,) = unpack(cell, "complexity")
    parts = [pack([m.taken(columns)], "complexity", 1) for columns in ([2], [0, 1])]
    assert probe.conclude(parts).verdict == probe.conclude(parts[::-1]).verdict == whole.verdict
    assert probe.conclude([probe.of_seeds(cell, {0, 2})]).verdict.seeds == 2


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role != "null"], ids=lambda plant: plant.name)
def test_every_verdict_is_found_where_it_was_planted(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(8)]
    assert sum(outcome in plant.claims for outcome in outcomes) >= 7, outcomes


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role == "null"], ids=lambda plant: plant.name)
def test_what_was_not_planted_is_hardly_ever_claimed(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(16)]
    assert sum(outcome in plant.claims for outcome in outcomes) <= 4, outcomes


def test_seeds_that_diverged_are_left_out_and_few_seeds_decide_nothing():
    lengths = np.tile(np.array([0.0, 100.0, 200.0])[:, None], (1, 4))
    lengths[:, 3] = np.nan
    given = Grown(["one", "two"], np.array([0.5, 1.0]), lengths, np.full(4, 0.9))
    found = verdict(given, Settings())
    assert (found.name, found.seeds, found.diverged) == ("follows", 3, 1)
    one = verdict(given.of(np.array([True, False, False, False])), Settings())
    assert (one.name, one.seeds_needed) == ("inconclusive", 8)
    with pytest.raises(ProbeError, match="every seed diverged"):
        verdict(replace(given, captured=np.full(4, np.nan)), Settings())
    with pytest.raises(ProbeError, match="one stage cannot deepen"):
        verdict(Grown(["one"], np.array([1.0]), lengths[:2], np.full(4, 0.9)), Settings())


def test_what_does_not_grow_is_refused_before_anything_is_trained(dataset):
    with pytest.raises(ProbeError, match="does not grow"):
        ComplexityProbe().check(plan_training(dataset, "linear", "question"))
    with pytest.raises(ProbeError, match="makes its own updates"):
        ComplexityProbe().check(plan_training(dataset, "inference", "question"))
