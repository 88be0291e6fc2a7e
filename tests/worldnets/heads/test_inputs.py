"""What heads are given: raw evidence and beliefs."""

import numpy as np
import pytest

from worldnets import WorldNet, load_dataset
from worldnets.dataset import Target, Task
from worldnets.errors import EvidenceError, TrainingError
from worldnets.heads import inputs


@pytest.fixture(scope="module")
def net():
    """z -> (a binary, b ternary); y -> nothing. Tables that no symmetry hides a mistake in."""
    return WorldNet(
        {"y": (0, 1), "z": ("low", "high"), "b": ("r", "g", "b"), "a": (0, 1)},
        {"z": ["y"], "a": ["z"], "b": ["z"]},
        {
            "y": [0.4, 0.6],
            "z": [[0.7, 0.3], [0.2, 0.8]],
            "a": [[0.9, 0.1], [0.25, 0.75]],
            "b": [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]],
        },
    )


@pytest.fixture(scope="module")
def task():
    return Task("question", ("b", "a"), (Target("y", ("y",)),), {"y": (("a",), ("b",))}, ("z",))


ALL = np.array([[y, z, b, a] for y in (0, 1) for z in (0, 1) for b in (0, 1, 2) for a in (0, 1)], dtype=np.int16)


def test_a_binary_variable_is_one_signed_feature_and_a_ternary_one_is_one_hot(net, task):
    view = inputs("evidence", net, task)
    rows = np.array([[-1, -1, 2, 0], [-1, -1, 0, 1]], dtype=np.int16)
    assert view.features(rows).tolist() == [[0, 0, 1, -1], [1, 0, 0, 1]]
    assert view.features(rows).dtype == np.float32
    assert view.width == 4
    assert view.labels == ("b=r", "b=g", "b=b", "a: 0 −, 1 +")


def test_all_binary_evidence_takes_the_fast_path_to_the_same_features():
    dataset = load_dataset("cue_parity")
    view = inputs("evidence", dataset.net, dataset.task("question"))
    codes = dataset.simulate(50, seed=1)
    columns = [dataset.net.index[v] for v in dataset.task("question").evidence]
    assert np.array_equal(view.features(codes), 2.0 * codes[:, columns] - 1)


def test_unobserved_evidence_is_refused_by_name_and_row(net, task):
    with pytest.raises(EvidenceError, match=r"node 'a', row 1: .*unobserved"):
        inputs("evidence", net, task).features(np.array([[0, 0, 0, 0], [0, 0, 0, -1]], dtype=np.int16))


def test_beliefs_are_posteriors_given_the_evidence_alone(net, task):
    # W(z | b, a) ∝ Σ_y W(y) W(z|y) · W(a|z) W(b|z); whatever y and z hold in the codes must not count.
    joint = np.einsum("y,yz,za,zb->baz", net.cpt("y"), net.cpt("z"), net.cpt("a"), net.cpt("b"))
    posterior = joint / joint.sum(-1, keepdims=True)
    view = inputs("beliefs", net, task)
    expected = posterior[ALL[:, 2], ALL[:, 3]].astype(np.float32)
    np.testing.assert_allclose(view.features(ALL), expected, rtol=0, atol=1e-7)
    assert view.labels == ("z=low", "z=high")


def test_kept_beliefs_are_those_computed_afresh(net, task):
    view = inputs("beliefs", net, task)
    first = view.features(ALL[:5])
    again = view.features(ALL)
    assert np.array_equal(again, inputs("beliefs", net, task).features(ALL))
    assert np.array_equal(again[:5], first)


def test_impossible_evidence_has_zero_beliefs_and_leaves_other_rows_alone():
    net = WorldNet(
        {"y": (0, 1), "z": (0, 1), "x": (0, 1)},
        {"z": ["y"], "x": ["z"]},
        {"y": [0.5, 0.5], "z": [[1, 0], [0.5, 0.5]], "x": [[1, 0], [1, 0]]},
    )
    task = Task("question", ("x",), (Target("y", ("y",)),), {"y": (("x",),)}, ("z",))
    features = inputs("beliefs", net, task).features(np.array([[-1, -1, 1], [-1, -1, 0]], dtype=np.int16))
    assert features.tolist() == [[0, 0], [0.75, 0.25]]


def test_a_learned_world_model_may_order_its_variables_differently(net, task):
    shuffled = WorldNet(
        {v: net.states[v] for v in ("a", "b", "y", "z")}, {v: net.parents(v) for v in net.variables}, dict(net.cpts)
    )
    ours, theirs = inputs("beliefs", net, task), inputs("beliefs", net, task, world_model=shuffled)
    np.testing.assert_allclose(theirs.features(ALL), ours.features(ALL), rtol=0, atol=1e-7)


def test_a_world_model_with_other_states_is_refused(net, task):
    other = WorldNet(
        dict(net.states) | {"a": ("off", "on")}, {v: net.parents(v) for v in net.variables}, dict(net.cpts)
    )
    with pytest.raises(TrainingError, match="node 'a': the world-model has other states"):
        inputs("beliefs", net, task, world_model=other)


def test_beliefs_about_no_latents_are_refused(net, task):
    bare = Task("question", task.evidence, task.targets, task.ladders)
    with pytest.raises(TrainingError, match="names no latents"):
        inputs("beliefs", net, bare)


def test_unknown_inputs_get_the_nearest_name(net, task):
    with pytest.raises(TrainingError, match="did you mean 'beliefs'"):
        inputs("belief", net, task)


def test_unobserved_evidence_is_zero_where_it_is_allowed(net, task):
    view = inputs("evidence", net, task, partial=True)
    rows = np.array([[-1, -1, 2, -1], [-1, -1, -1, 1]], dtype=np.int16)
    assert view.features(rows).tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]
    binary = load_dataset("cue_parity", noise=0)
    view = inputs("evidence", binary.net, binary.task("question"), partial=True)
    codes = binary.simulate(3, 0)
    codes[1, binary.net.index["cue"]] = -1
    assert view.features(codes)[:, 0].tolist() == [2.0 * codes[0, 2] - 1, 0, 2.0 * codes[2, 2] - 1]


def test_groups_say_which_features_belong_to_a_variable(net, task):
    assert inputs("evidence", net, task).groups == {"b": slice(0, 3), "a": slice(3, 4)}
    assert inputs("beliefs", net, task).groups == {"z": slice(0, 2)}


def test_frames_are_steps_of_equally_many_features():
    vault = load_dataset("vault", frames=4)
    view = inputs("evidence", vault.net, vault.task("continuation"), frames=vault.world.frames)
    assert view.steps == ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    assert [view.labels[step[0]].split(":")[0] for step in view.steps] == ["sensor_1", "sensor_2", "sensor_3"]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ((), "no frames to read one by one"),
        ((("b",), ("a",)), r"unequally many features; found \[3, 1\]"),
        ((("b",),), r"outside of all frames; found \['a'\]"),
    ],
)
def test_what_has_no_steps_says_so(net, task, frames, message):
    with pytest.raises(TrainingError, match=message):
        _ = inputs("evidence", net, task, frames=frames).steps
    with pytest.raises(TrainingError, match="beliefs are no frames"):
        _ = inputs("beliefs", net, task).steps
