"""The capacity probe: one head under a sweep of caps."""

import json
from dataclasses import replace

import numpy as np
import pytest

import probes
import worldnets as wn
from probes.capacity.caps import cap_of
from probes.capacity.verdict import Settings, Sweep, verdict
from probes.catalogue.capacity import CapacityProbe, Sampling
from probes.measurement import pack, unpack
from probes.organisms.capacity import plants
from worldnets.errors import ProbeError
from worldnets.training_plan import plan_training

REQUEST = {"seeds": 3, "steps": 40, "batch": 32, "checkpoints": [0, 20, 40], "learning_rate": 0.01}


@pytest.fixture(scope="module")
def dataset():
    return wn.load_dataset("vault", frames=3, pixels=1)


@pytest.fixture(scope="module")
def swept(dataset):
    trace = wn.train(dataset, "mlp", "continuation", head_options={"width": 4}, **REQUEST)
    probe = CapacityProbe(Sampling(cap="width", values=(1, 8)))
    return trace, probe.measure(trace)


def test_a_sweep_holds_the_trace_itself_and_each_other_cap_as_trained_alone(swept, dataset):
    trace, cell = swept
    (m,) = unpack(cell, "capacity")
    assert m.plain["labels"] == ["width 1", "width 4", "width 8"]
    assert m.plain["own"] == 1
    inputs, outputs = trace.inputs.width, trace.parameters.layers[-1].weight.shape[-2]
    for width, count in zip((1, 4, 8), m.plain["parameters"], strict=True):
        assert count == (inputs + 1) * width + (width + 1) * width + (width + 1) * outputs
    own = probes.probe("depth").measure(trace)["arrays"]["0.pie.captured"][-1]
    np.testing.assert_array_equal(m.numbers["captured"][0, :, 1], own)
    alone = wn.train(dataset, "mlp", "continuation", head_options={"width": 8}, **REQUEST)
    wide = probes.probe("depth").measure(alone)["arrays"]["0.pie.captured"][-1]
    np.testing.assert_array_equal(m.numbers["captured"][0, :, 2], wide)


def test_a_cell_survives_a_file_and_the_verdict_the_order_of_cells(swept, tmp_path):
    _, cell = swept
    probe = CapacityProbe()
    np.savez(tmp_path / "cell.npz", **cell["arrays"])
    with np.load(tmp_path / "cell.npz") as arrays:
        again = {"metadata": json.loads(json.dumps(cell["metadata"])), "arrays": dict(arrays)}
    whole = probe.conclude([cell])
    assert [finding.to_dict() for finding in whole] == [finding.to_dict() for finding in probe.conclude([again])]
    assert {"efficiency, deep, width 1", "deeper under width 8", "change per step of the sweep"} <= {
        finding.name for finding in whole
    }
    (m,) = unpack(cell, "capacity")
    parts = [pack([m.taken(columns)], "capacity", 1) for columns in ([2], [0, 1])]
    assert probe.conclude(parts).verdict == probe.conclude(parts[::-1]).verdict == whole.verdict
    assert probe.conclude([probe.of_seeds(cell, {0, 2})]).verdict.seeds == 2


def test_a_price_is_tighter_the_higher_it_is_and_none_is_the_loosest(dataset):
    paid = {"penalties": {"l1": 1e-3, "weight_decay": 1e-4}}
    cap = cap_of(plan_training(dataset, "linear", "continuation", **paid), "l1", (0.1, 1e-2))
    assert cap.values == (0.1, 1e-2, 1e-3, None)
    assert cap.labels == ("l1 0.1", "l1 0.01", "l1 0.001", "no l1")
    assert cap.own == 2
    trace = wn.train(dataset, "linear", "continuation", **paid, **REQUEST)
    (m,) = unpack(CapacityProbe(Sampling(cap="l1", values=(0.1,))).measure(trace), "capacity")
    free = wn.train(dataset, "linear", "continuation", penalties={"weight_decay": 1e-4}, **REQUEST)
    captured = probes.probe("depth").measure(free)["arrays"]["0.pie.captured"][-1]
    np.testing.assert_array_equal(m.numbers["captured"][0, :, -1], captured)
    weak = m.numbers["captured"][0, :, 0].sum(-1).mean()
    assert weak < m.numbers["captured"][0, :, -1].sum(-1).mean()


def test_a_linear_head_of_full_rank_is_the_loosest_of_its_ranks(dataset):
    trace = wn.train(dataset, "linear", "continuation", **REQUEST)
    cap = cap_of(trace.plan, "", ())
    assert (cap.name, cap.labels[-1], cap.own) == ("rank", "full rank", len(cap.values) - 1)
    (m,) = unpack(CapacityProbe(Sampling(values=(1,))).measure(trace), "capacity")
    inputs, outputs = trace.parameters.weight.shape[-1], trace.parameters.weight.shape[-2]
    assert m.plain["parameters"] == [(inputs + 1) + 2 * outputs, (inputs + 1) * outputs]


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role != "null"], ids=lambda plant: plant.name)
def test_every_verdict_is_found_where_it_was_planted(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(4)]
    assert sum(outcome in plant.claims for outcome in outcomes) >= 3, outcomes


@pytest.mark.parametrize("plant", [plant for plant in plants() if plant.role == "null"], ids=lambda plant: plant.name)
def test_what_was_not_planted_is_hardly_ever_claimed(plant):
    outcomes = [plant.repeat(seed).verdict for seed in range(8)]
    assert sum(outcome in plant.claims for outcome in outcomes) <= 2, outcomes


def test_the_best_of_many_caps_must_be_better_than_the_best_of_one():
    # A difference that two caps may claim at α = .05 is none when it is the best of twenty.
    random = np.random.default_rng(0)
    noise = random.standard_normal(8)
    noise = 0.15 * (noise - noise.mean()) / noise.std()
    deep = np.full((2, 8), 0.5)
    deep[1] += 0.15 + noise
    sweep = Sweep(("a", "b"), 0, 0.2, deep, deep)
    assert verdict(sweep, Settings()).name == "capacity-limited"
    many = np.vstack([np.full((20, 8), 0.5), deep[1:]])
    wide = replace(sweep, labels=tuple(map(str, range(21))), deep=many, total=many)
    assert verdict(wide, Settings()).name == "inconclusive"


@pytest.mark.parametrize(
    ("head", "sampling", "message"),
    [
        ("mlp", Sampling(cap="widht"), "no such cap.*did you mean 'width'"),
        ("mlp", Sampling(cap="rank"), "no such cap"),
        ("mlp", Sampling(cap="width", values=(64.0,)), "a sweep over one value"),
        ("mlp", Sampling(cap="width", values=(4, -1)), "a cap is no number > 0"),
        ("mlp", Sampling(cap="width", values=(4, 4)), "a cap stands there twice"),
        ("mlp", Sampling(cap="depth", values=(1, 100)), "no head under this cap"),
        ("inference", Sampling(), "no such cap"),
    ],
)
def test_bad_sweeps_are_refused_before_anything_is_trained(dataset, head, sampling, message):
    with pytest.raises(ProbeError, match=message):
        CapacityProbe(sampling).check(plan_training(dataset, head, "continuation"))
