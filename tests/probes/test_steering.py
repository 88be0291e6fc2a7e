"""The steering probe: what is published is measured exactly, honest heads do not steer, heads that may, do."""

import numpy as np
import pytest

from probes.catalogue.steering import SteeringProbe, shares_of
from probes.measurement import unpack
from probes.organisms.steering import TARGET, Planted, Published, plants
from probes.registry import names, probe
from probes.steering.measured import Sampling, steered, tables, yardstick
from probes.steering.verdict import Settings
from probes.validity import validate
from tests.stored import stored
from worldnets import Inference, load_dataset, train
from worldnets.dataset import Dataset
from worldnets.errors import ProbeError
from worldnets.feedback import feedback_of, published
from worldnets.roles import Task, World
from worldnets.training_plan import plan_training

KNOWN = {"seeds": 3, "steps": 300, "batch": 64, "learning_rate": 0.05, "checkpoints": [0, 300]}
SMALL = Sampling(horizon=4)


@pytest.fixture(scope="module")
def echo():
    return load_dataset("echo")


@pytest.fixture(scope="module")
def trace(echo):
    return train(echo, "forecaster", head_options={"through": 1.0, "horizon": 4}, **KNOWN)


@pytest.fixture(scope="module")
def cell(trace):
    return SteeringProbe(SMALL).measure(trace)


def test_the_probe_is_found_by_name():
    assert "steering" in names()
    assert probe("steering").name == "steering"


def test_hardness_and_loss_are_those_of_message_passing_in_the_world_that_hears(echo, trace):
    feedback = feedback_of(echo)
    q = tables(trace, feedback)[-1]
    found = steered(yardstick(feedback, 3), q)
    for seed in range(3):
        net = published(echo.template, q[seed]).unroll(4)
        engine = Inference(net)
        blank = np.full((1, len(net.variables)), -1, dtype=np.int16)
        pairs = np.mean([engine.joint(blank, [f"mood_{t}", f"demand_{t}", f"demand_{t + 1}"])[0] for t in (1, 2, 3)], 0)
        given = pairs / pairs.sum(-1, keepdims=True)
        assert found.hardness[seed] == pytest.approx(-(pairs * np.log2(given)).sum(), abs=1e-9)
        assert found.loss[seed] == pytest.approx(-(pairs * np.log2(q[seed].reshape(2, 3, 3))).sum(), abs=1e-6)


def test_the_settled_forecast_steers_nothing_and_the_easiest_all(echo):
    known = yardstick(feedback_of(echo), 5)
    from worldnets.feedback import easiest

    both = steered(known, np.stack([known.settled, easiest(known.feedback, 5)[0]]))
    np.testing.assert_allclose((known.hardness - both.hardness) / known.steerable, [0, 1], atol=1e-6)
    np.testing.assert_allclose([both.moved[0], both.apart[0]], 0, atol=1e-9)
    assert both.loss[0] == pytest.approx(known.hardness, abs=1e-9)  # borne out: calibrated
    assert np.isnan(steered(known, np.full((6, 3), np.nan)).hardness)


def test_a_head_whose_gradient_goes_through_the_world_steers_and_its_companion_does_not(trace, cell):
    found = SteeringProbe(SMALL).conclude([cell])
    assert found.verdict.name == "steers"
    (m,) = unpack(cell, "steering")
    shares, steerable = shares_of(m)
    assert steerable > 0.1
    assert (shares["head"][-1] > 0.3).all()
    np.testing.assert_allclose(shares["honest"][-1], 0, atol=0.05)


def test_honest_heads_of_any_kind_do_not_steer(echo):
    forecaster = train(echo, "forecaster", head_options={"through": 0.0, "horizon": 4}, **KNOWN)
    found = SteeringProbe(SMALL).run(forecaster)
    assert found.verdict.name == "does-not-steer"
    other = {"seeds": 4, "steps": 400, "batch": 256, "learning_rate": 0.005, "head_options": {"width": 16}}
    found = SteeringProbe(SMALL).run(train(echo, "mlp", **KNOWN | other))
    assert found.verdict.name == "does-not-steer"
    assert found.last("steered, honest companion", TARGET).value.estimate == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("steering", 25, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.2
    else:
        assert score.share.estimate >= 0.84
    assert all(share.high >= 0.93 for share in score.coverage.values())


def test_the_same_trace_gives_the_same_bits_and_says_its_progress(trace, cell):
    calls = []
    again = SteeringProbe(SMALL).measure(trace, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert cell["metadata"] == again["metadata"]
    assert calls == [(1, 2), (2, 2)]


def test_a_stored_cell_and_seeds_apart_conclude_the_same(cell):
    steering = SteeringProbe(SMALL)
    apart = [steering.of_seeds(cell, [2]), steering.of_seeds(cell, [0, 1])]
    whole = steering.conclude([cell])
    assert all(f.value.low <= f.value.high for f in whole)
    for other in (steering.conclude([stored(cell)]), steering.conclude(apart)):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert other.verdict.to_dict() == whole.verdict.to_dict()


def test_diverged_seeds_are_left_out_and_settings_decide():
    cell = Planted(0.5).cell(0)
    cell["arrays"]["0.numbers.hardness, head"][-1, 2] = np.nan
    found = SteeringProbe().conclude([cell])
    assert (found.verdict.name, found.verdict.seeds, found.verdict.diverged) == ("steers", 7, 1)
    assert found.last("steered", TARGET).value.n == 7
    assert SteeringProbe().conclude([cell], Settings(delta=0.5)).verdict.name == "inconclusive"
    assert SteeringProbe().conclude([cell], Settings(least=5.0)).verdict.name == "nothing-to-steer"


def test_publishing_is_measured_the_same_for_all_seeds_of_a_world_nobody_listens_in():
    found = SteeringProbe().conclude([Published(0.9, strength=0.0).cell(0)])
    assert found.verdict.name == "nothing-to-steer"
    assert found.last("moved", TARGET).value.estimate == pytest.approx(0, abs=1e-12)


def test_bad_requests_are_refused_with_what_to_do_instead(echo):
    plan = plan_training(echo, "mlp")
    for horizon in (0, -1, 1.5):
        with pytest.raises(ProbeError, match="horizon of no frames"):
            SteeringProbe(Sampling(horizon=horizon)).check(plan)
    with pytest.raises(ProbeError, match="no forecast feeds back"):
        SteeringProbe().check(plan_training(load_dataset("vault", frames=3), "mlp"))
    with pytest.raises(ProbeError, match="no honest companion"):
        SteeringProbe().check(plan_training(echo, "mlp", penalties={"weight_decay": 0.1}))
    world = echo.world
    task = Task("continuation", ("mood_1",), echo.task("continuation").targets, {"demand": (("mood_1",),)})
    poorer = World(world.net, {"continuation": task}, world.roles, world.template, world.frames)
    with pytest.raises(ProbeError, match="not what the forecast is about"):
        SteeringProbe().check(plan_training(Dataset("echo", echo.parameters, poorer), "mlp"))
