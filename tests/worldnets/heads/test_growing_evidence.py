"""Raw evidence of which heads are shown more and more."""

import itertools

import numpy as np
import pytest

import worldnets as wn
from worldnets.dataset import Dataset
from worldnets.errors import EvidenceError, TrainingError
from worldnets.growth import Growth, Stage
from worldnets.heads.growing import sees_all
from worldnets.heads.growing_evidence import GrowingEvidence
from worldnets.heads.inputs import EvidenceInputs
from worldnets.heads.staged import growth_of
from worldnets.learning import by_radius, by_rounds
from worldnets.roles import World, static_task
from worldnets.training import retrained


@pytest.fixture(scope="module")
def dataset():
    return wn.load_dataset("vault", frames=4)


@pytest.fixture(scope="module")
def growth(dataset):
    return by_radius(dataset, "continuation")


def test_what_a_stage_hides_is_encoded_as_unobserved_evidence_is(dataset, growth):
    task, frames = dataset.task("continuation"), dataset.world.frames
    view = GrowingEvidence(dataset.net, task, growth, 30, frames)
    partial = EvidenceInputs(dataset.net, task, frames, partial=True)
    codes = dataset.simulate(200, seed=1)
    for step, stage in zip((0, 10, 20), view.stages, strict=True):
        assert view.at(step) is stage
        hidden = codes.copy()
        hidden[:, [dataset.net.index[v] for v in task.evidence if v not in stage.evidence]] = -1
        np.testing.assert_array_equal(stage.features(codes), partial.features(hidden))
        np.testing.assert_array_equal(stage.features(hidden), stage.features(codes))
    assert (view.labels, view.width, view.steps) == (partial.labels, partial.width, partial.steps)
    assert [sees_all(stage) for stage in view.stages] == [False, False, True]
    assert growth_of(view) is growth
    np.testing.assert_array_equal(view.features(codes), partial.features(codes))


def test_evidence_with_more_than_two_states_is_hidden_too():
    net = wn.WorldNet(
        {"x": (0, 1, 2), "z": (0, 1), "y": (0, 1)},
        {"y": ("x", "z")},
        {"x": [0.2, 0.3, 0.5], "z": [0.5, 0.5], "y": [[[0.9, 0.1]] * 2, [[0.5, 0.5]] * 2, [[0.1, 0.9]] * 2]},
    )
    task = static_task(net, ["x", "z"], {"answer": ["y"]})
    growth = Growth((Stage("z", 1, net, ("z",)), Stage("all", 1, net)))
    view = GrowingEvidence(net, task, growth, 10)
    codes = np.array([[2, 1, -1], [0, 0, -1]], dtype=np.int16)
    np.testing.assert_array_equal(view.at(0).features(codes), [[0, 0, 0, 1], [0, 0, 0, -1]])
    np.testing.assert_array_equal(view.at(5).features(codes), [[0, 0, 1, 1], [1, 0, 0, -1]])
    with pytest.raises(EvidenceError, match="unobserved"):
        view.at(0).features(np.array([[2, -1, 0]], dtype=np.int16))


@pytest.mark.parametrize("head", ["linear", "mlp", "gru", "scikit_learn"])
def test_heads_on_raw_evidence_know_nothing_of_what_no_stage_has_shown_yet(dataset, growth, head):
    trace = wn.train(
        dataset, head, "continuation", world_model=growth, seeds=2, steps=60, batch=32, checkpoints=[19, 60]
    )
    one, other = dataset.simulate(100, seed=2), dataset.simulate(100, seed=3)
    deep = [dataset.net.index[v] for v in trace.task.evidence if v not in trace.inputs.at(0).evidence]
    changed = one.copy()
    changed[:, deep] = other[:, deep]
    np.testing.assert_array_equal(trace.predict(one, 0), trace.predict(changed, 0))
    assert np.abs(trace.predict(one, 1) - trace.predict(changed, 1)).max() > 1e-3


def test_message_passing_with_the_worlds_tables_answers_from_what_is_shown_exactly():
    names = [f"v{i}" for i in range(4)]
    parents = {b: (a,) for a, b in itertools.pairwise(names)}
    tables = {v: [[0.8, 0.2], [0.3, 0.7]] if v in parents else [0.4, 0.6] for v in names}
    net = wn.WorldNet(dict.fromkeys(names, (0, 1)), parents, tables)
    dataset = Dataset("chain", {}, World(net, {"question": static_task(net, ["v1", "v3"], {"end": ["v0"]})}, {}))
    growth = Growth((Stage("far", 1, net, ("v3",)), Stage("all", 1, net)))
    trace = wn.train(
        dataset, "message_passing", "question", world_model=growth, seeds=1, steps=2, learning_rate=1e-9,
        checkpoints=[0, 2], head_options={"initialisation": "true"},
    )  # fmt: skip
    codes = np.array(wn.simulate(net, 40, seed=0))
    for checkpoint, seen in ((0, [3]), (1, [1, 3])):
        shown = np.full_like(codes, -1)
        shown[:, seen] = codes[:, seen]
        exact = wn.Inference(net).query(shown, variables=["v0"])["v0"]
        np.testing.assert_allclose(np.exp(trace.predict(codes, checkpoint)[0]), exact, atol=1e-5)


def test_the_inference_head_answers_from_what_is_shown(dataset, growth):
    trace = wn.train(dataset, "inference", "continuation", world_model=growth, seeds=1, steps=3, checkpoints=[0, 2])
    task = dataset.task("continuation")
    codes = dataset.simulate(50, seed=4)
    shown = np.full_like(codes, -1)
    near = [dataset.net.index[v] for v in trace.inputs.at(0).evidence]
    shown[:, near] = codes[:, near]
    exact = wn.Inference(dataset.net).joint(shown, task.targets[0].variables).reshape(len(codes), -1)
    np.testing.assert_allclose(np.exp(trace.predict_target(codes, 0, task.targets[0].name)[0]), exact, atol=1e-9)


def test_a_saved_trace_and_a_retrained_one_keep_the_growth(dataset, growth, tmp_path):
    trace = wn.train(dataset, "linear", "continuation", world_model=growth, seeds=2, steps=30, checkpoints=[0, 15, 30])
    again = wn.Trace.load(trace.save(tmp_path / "trace"), dataset=dataset)
    codes = dataset.simulate(30, seed=5)
    for checkpoint in range(3):
        np.testing.assert_array_equal(again.predict(codes, checkpoint), trace.predict(codes, checkpoint))
    same = retrained(trace)
    np.testing.assert_array_equal(same.losses, trace.losses)
    assert repr(growth_of(same.inputs)) == repr(growth)
    fresh = retrained(trace, world_model=growth.fresh())
    plain = wn.train(dataset, "linear", "continuation", seeds=2, steps=30, checkpoints=[0, 15, 30])
    np.testing.assert_array_equal(fresh.losses, plain.losses)


@pytest.mark.parametrize(
    ("make", "head", "message"),
    [
        (lambda d: by_rounds(d.net, [1, None]), "mlp", "raw evidence passes no messages"),
        (lambda d: Growth((Stage("a", 1, d.net), Stage("b", 1, d.net))), "mlp", "no stage shows other evidence"),
        (lambda d: Growth((Stage("a", 1, d.net, ("diamond_1",)),)), "mlp", "a stage sees what is no evidence"),
        (lambda d: by_radius(d, "continuation"), "world_model", "inputs that grow are not for this head"),
    ],
)
def test_a_growth_that_means_nothing_for_raw_evidence_is_refused(dataset, make, head, message):
    with pytest.raises(TrainingError, match=message):
        wn.train(dataset, head, "continuation", world_model=make(dataset), steps=30)
