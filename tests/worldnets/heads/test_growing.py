"""Inputs whose world-model grows while a head is trained on them."""

import itertools

import numpy as np
import pytest

import worldnets as wn
from worldnets.errors import StoreError, TrainingError
from worldnets.growth import Growth, Stage
from worldnets.heads.growing import GrowingInputs, sees_all
from worldnets.heads.inputs import BeliefInputs, inputs
from worldnets.inference import LoopyInference
from worldnets.learning.growth import by_radius
from worldnets.roles import static_task


@pytest.fixture(scope="module")
def dataset():
    return wn.load_dataset("vault", frames=4)


@pytest.fixture(scope="module")
def task(dataset):
    return dataset.task("continuation")


def test_each_stage_gives_the_beliefs_of_its_evidence_and_rounds():
    names = [f"v{i}" for i in range(4)]
    parents = {b: (a,) for a, b in itertools.pairwise(names)}
    tables = {v: [[0.8, 0.2], [0.3, 0.7]] if v in parents else [0.4, 0.6] for v in names}
    net = wn.WorldNet(dict.fromkeys(names, (0, 1)), parents, tables)
    task = static_task(net, ["v2", "v3"], {"end": ["v0"]}, ["v1"])
    growth = Growth((Stage("part", 1, net, ("v3",)), Stage("loopy", 1, net, None, 1), Stage("all", 2, net)))
    view, whole = GrowingInputs(net, task, growth, 100), BeliefInputs(net, task)
    codes = np.array(wn.simulate(net, 50, seed=1))
    assert view.labels == whole.labels
    assert dict(view.groups) == dict(whole.groups)
    assert [view.at(step).stage.name for step in (0, 24, 25, 49, 50, 99, 100)] == [
        "part", "part", "loopy", "loopy", "all", "all", "all",
    ]  # fmt: skip
    far, seen = np.full_like(codes, -1), np.full_like(codes, -1)
    far[:, 3:], seen[:, 2:] = codes[:, 3:], codes[:, 2:]
    np.testing.assert_allclose(view.at(0).features(codes), whole.features(far), atol=1e-6)
    np.testing.assert_allclose(view.at(60).features(codes), whole.features(codes), atol=1e-6)
    np.testing.assert_array_equal(view.features(codes), view.at(60).features(codes))
    loopy = LoopyInference(net).query(seen, variables=["v1"], rounds=1)["v1"]
    np.testing.assert_allclose(view.at(30).features(codes), loopy, atol=1e-6)
    assert [sees_all(stage) for stage in view.stages] == [False, False, True]
    assert sees_all(whole)


def test_features_of_a_stage_say_nothing_of_what_it_does_not_see(dataset, task):
    growth = by_radius(dataset, "continuation")
    first = GrowingInputs(dataset.net, task, growth, 30).at(0)
    codes = dataset.simulate(300, seed=2)
    other = dataset.simulate(300, seed=3)
    hidden = [dataset.net.index[v] for v in task.evidence if v not in first.evidence]
    changed = codes.copy()
    changed[:, hidden] = other[:, hidden]
    assert np.array_equal(first.features(codes), first.features(changed))


def test_targets_are_believed_too_where_a_stage_knows_no_latents(dataset, task):
    shown = [v for v in dataset.net.variables if v in dataset.roles["observed"]]
    without = wn.WorldNet(
        {v: dataset.net.states[v] for v in shown}, {}, {v: np.full(2, 0.5) for v in shown}, "no latents"
    )
    growth = Growth((Stage("blind", 1, without), Stage("all", 1, dataset.net)))
    view = GrowingInputs(dataset.net, task, growth, 10)
    assert view.variables == (*task.latents, *task.targets[0].variables)
    assert view.at(0).width == view.at(9).width == view.width
    features = view.at(0).features(dataset.simulate(5, seed=0))
    for v in task.latents:
        np.testing.assert_allclose(features[:, view.groups[v]], 1 / len(dataset.net.states[v]))
    chosen = GrowingInputs(dataset.net, task, Growth(growth.stages, ("door_1",)), 10)
    assert chosen.labels == ("door_1=closed", "door_1=open")


def test_stages_that_do_not_fit_the_task_are_refused(dataset, task):
    net = dataset.net
    for growth, message in (
        (Growth((Stage("odd", 1, net, ("door_1",)),)), "what is no evidence.*'door_1'"),
        (Growth((Stage("odd", 1, net),), ("dor_1",)), "did you mean 'door_1'"),
        (Growth((Stage("a", 1, net), Stage("b", 1, net))), "too few steps"),
    ):
        with pytest.raises(TrainingError, match=message):
            GrowingInputs(net, task, growth, 1)
    small = wn.WorldNet({"pixel1_1": ("dark", "bright")}, {}, {"pixel1_1": [0.5, 0.5]})
    with pytest.raises(TrainingError, match="unknown variable"):
        GrowingInputs(net, task, Growth((Stage("small", 1, small),)), 10)
    with pytest.raises(TrainingError, match="shares of the training steps"):
        inputs("beliefs", net, task, Growth((Stage("a", 1, net),)))
    with pytest.raises(TrainingError, match="raw evidence goes through no world-model"):
        inputs("evidence", net, task, net, training_steps=10)
    with pytest.raises(TrainingError, match="what is no world-model"):
        inputs("beliefs", net, task, "vault")


def test_a_head_is_trained_through_the_stages_saved_and_read_again(dataset, tmp_path):
    growth = by_radius(dataset, "continuation")
    how = {"inputs": "beliefs", "seeds": 2, "batch": 32, "steps": 60, "checkpoints": [19, 20, 60]}
    trace = wn.train(dataset, "linear", "continuation", world_model=growth, **how, save_to=tmp_path / "grown.npz")
    codes = dataset.simulate(100, seed=4)
    # Up to the second stage it is the run on the first one's beliefs.
    first = Growth(growth.stages[:1])
    alone = wn.train(dataset, "linear", "continuation", world_model=first, **how)
    for a, b in zip(trace.parameters.weight[:2], alone.parameters.weight[:2], strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(trace.parameters.weight[2], alone.parameters.weight[2])
    back = wn.Trace.load(tmp_path / "grown.npz")
    assert [back.inputs.at(int(step)).stage.name for step in back.steps] == ["radius 1", "radius 2", "radius 3"]
    for checkpoint in range(3):
        assert np.array_equal(back.predict(codes, checkpoint), trace.predict(codes, checkpoint))
    assert back.save(tmp_path / "again.npz").read_bytes() == (tmp_path / "grown.npz").read_bytes()
    again = wn.train(dataset, "linear", "continuation", world_model=growth, **how, save_to=tmp_path / "grown.npz")
    assert np.array_equal(again.losses, trace.losses)
    with pytest.raises(StoreError, match="another run"):
        wn.train(dataset, "linear", "continuation", world_model=first, **how, save_to=tmp_path / "grown.npz")


def test_the_head_without_parameters_answers_as_the_stage_it_is_in(dataset, task):
    growth = by_radius(dataset, "continuation")
    trace = wn.train(
        dataset,
        "inference",
        "continuation",
        inputs="beliefs",
        world_model=growth,
        seeds=1,
        steps=9,
        checkpoints=[0, 3, 9],
    )
    codes = dataset.simulate(50, seed=5)
    engine = wn.Inference(dataset.net)
    for checkpoint in range(3):
        seen = np.full_like(codes, -1)
        columns = [dataset.net.index[v] for v in growth.stages[min(2, checkpoint)].evidence]
        seen[:, columns] = codes[:, columns]
        expected = engine.joint(seen, task.targets[0].variables).reshape(50, -1)
        np.testing.assert_allclose(np.exp(trace.predict(codes, checkpoint)[0]), expected, atol=1e-6)
