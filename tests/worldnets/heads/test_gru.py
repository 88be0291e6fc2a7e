"""The gated recurrent head, and what both sequence heads share: frames in time order, no look ahead."""

import equinox as eqx
import jax
import numpy as np
import pytest

from tests.worldnets.heads.sequences import frame_inputs, generator, shaken
from worldnets import load_dataset
from worldnets.errors import TrainingError
from worldnets.heads import build_head, inputs


def test_a_layer_is_the_gated_recurrent_unit_of_equinox():
    head = shaken(build_head("gru", generator(), frame_inputs(), 2, {"width": 5}))
    layer = head.layers[0]
    cell = eqx.nn.GRUCell(3, 5, key=jax.random.key(0))
    parts = (layer.into.weight, layer.recurrent, layer.into.bias, layer.candidate_bias)
    cell = eqx.tree_at(lambda c: (c.weight_ih, c.weight_hh, c.bias, c.bias_n), cell, parts)
    frames = np.random.default_rng(2).standard_normal((4, 3)).astype(np.float32)
    state = np.zeros(5, dtype=np.float32)
    for frame in frames:
        state = cell(frame, state)
    answer = head.readout.weight @ state + head.readout.bias
    np.testing.assert_allclose(head(frames.reshape(-1)), answer, rtol=1e-5, atol=1e-6)


def test_a_second_layer_reads_the_states_of_the_first():
    head = shaken(build_head("gru", generator(), frame_inputs(), 2, {"width": 5, "depth": 2}))
    x = np.random.default_rng(2).standard_normal(12).astype(np.float32)
    states = head.layers[1](head.layers[0](x.reshape(4, 3)))
    np.testing.assert_allclose(head(x), head.readout(states[-1]), rtol=1e-6)
    assert head.layers[1].into.weight.shape == (15, 5)


def test_first_weights_have_the_stated_variances():
    head = build_head("gru", generator(), frame_inputs(2, 400), 200, {"width": 150})
    for weight in (head.layers[0].into.weight, head.layers[0].recurrent, head.readout.weight):
        np.testing.assert_allclose(np.var(weight) * weight.shape[1], 1, rtol=0.03)
    assert not np.any(head.layers[0].into.bias)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_an_answer_after_frame_t_has_seen_no_later_frame(name):
    head = shaken(build_head(name, generator(), frame_inputs(5), 2, {"width": 8, "depth": 2}))
    x = np.random.default_rng(2).standard_normal(15).astype(np.float32)
    slopes = np.abs(jax.jit(jax.jacobian(head.at_each_step))(x)).reshape(5, 2, 5, 3).sum(axis=(1, 3))
    assert np.all(slopes[~np.tri(5, dtype=bool)] == 0)
    assert np.all(slopes[np.tri(5, dtype=bool)] > 1e-6)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_the_answer_is_the_last_of_those_after_each_frame(name):
    head = shaken(build_head(name, generator(), frame_inputs(5), 2, {"width": 8, "depth": 2}))
    x = np.random.default_rng(2).standard_normal(15).astype(np.float32)
    every, last = jax.jit(lambda x: (head.at_each_step(x), head(x)))(x)
    assert every.shape == (5, 2)
    np.testing.assert_allclose(every[-1], last, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_frames_are_read_in_time_order_wherever_their_features_stand(name):
    given, turned = frame_inputs(), frame_inputs()
    order = np.random.default_rng(0).permutation(12)
    turned.steps = tuple(tuple(int(np.flatnonzero(order == i)[0]) for i in step) for step in given.steps)
    x = np.random.default_rng(2).standard_normal(12).astype(np.float32)
    ours, theirs = (build_head(name, generator(), view, 2, {"width": 8}) for view in (given, turned))
    np.testing.assert_allclose(eqx.filter_jit(ours)(x), eqx.filter_jit(theirs)(x[order]), rtol=1e-6)


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_a_world_without_frames_is_refused(name):
    dataset = load_dataset("cue_parity")
    view = inputs("evidence", dataset.net, dataset.task("question"))
    with pytest.raises(TrainingError, match="no frames to read one by one"):
        build_head(name, generator(), view, 1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gru", {"width": 0}, "width is out of range; found 0"),
        ("gru", {"depth": 1.5}, "depth is out of range; found 1.5"),
        ("gru", {"width": float("nan")}, "no JSON"),
        ("transformer", {"heads": 0}, "heads is out of range"),
        ("transformer", {"width": 30, "heads": 4}, "heads do not share the width evenly; found 30"),
        ("transformer", {"dept": 2}, "did you mean 'depth'"),
    ],
)
def test_a_wrong_option_is_named_with_its_mend(name, options, message):
    with pytest.raises(TrainingError, match=message):
        build_head(name, generator(), frame_inputs(), 2, options)
