"""Looking inside heads: activations are what answers are read from, bit for bit whatever stands beside them."""

import numpy as np
import pytest

from worldnets import load_dataset, train
from worldnets.errors import TrainingError
from worldnets.inside import has_inside, untrained

HEADS = {"linear": {}, "mlp": {"width": 8}, "gru": {"width": 6}, "transformer": {"width": 8, "heads": 2}}


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=3)


@pytest.fixture(scope="module")
def traces(vault):
    return {
        head: train(vault, head, seeds=[1, 9], steps=3, batch=16, checkpoints=[0, 3], head_options=options)
        for head, options in HEADS.items()
    }


@pytest.mark.parametrize("head", HEADS)
def test_from_its_own_activations_a_head_answers_as_it_predicts(head, vault, traces):
    codes = vault.simulate(40, seed=2)
    inside = traces[head].inside(codes)
    log_q = inside.answers(inside.activations(1), 1)
    np.testing.assert_allclose(log_q, traces[head].predict(codes, 1), atol=1e-6)


def test_messages_are_the_activations_of_message_passing_and_are_read_out_as_its_answer():
    asia = load_dataset("asia")
    trace = train(asia, "message_passing", "question", seeds=[3], steps=2, batch=16, checkpoints=[2])
    codes = asia.simulate(12, seed=2)
    inside = trace.inside(codes)
    messages = inside.activations(0)
    assert messages.shape[:2] == (1, 12)
    assert (messages <= 1e-6).all()
    np.testing.assert_allclose(inside.answers(messages, 0), trace.predict(codes, 0), atol=1e-5)
    other = inside.answers(messages - messages.mean(1, keepdims=True), 0)
    assert np.abs(other - trace.predict(codes, 0)).max() > 1e-3


def test_a_rows_activations_depend_neither_on_rows_nor_on_seeds_beside_it(vault, traces):
    codes = vault.simulate(1100, seed=2)
    whole = traces["mlp"].inside(codes).activations(1)
    assert whole.shape == (2, 1100, 8)
    assert np.array_equal(traces["mlp"].inside(codes[1050:1060]).activations(1), whole[:, 1050:1060])
    alone = train(vault, "mlp", seeds=[9], steps=3, batch=16, checkpoints=[0, 3], head_options=HEADS["mlp"])
    assert np.array_equal(alone.inside(codes).activations(1)[0], whole[1])


def test_several_versions_are_answered_at_once_and_for_one_target(vault, traces):
    codes = vault.simulate(30, seed=2)
    inside = traces["mlp"].inside(codes)
    own = inside.activations(1)
    log_q = inside.answers(np.stack([own, np.zeros_like(own)]), 1, "next_frame")
    assert log_q.shape == (2, 2, 30, 4)
    np.testing.assert_array_equal(log_q[0], inside.answers(own, 1, "next_frame"))
    np.testing.assert_allclose(log_q[1] - log_q[1][:, :1], 0, atol=1e-12)  # nothing inside: every row the same
    with pytest.raises(TrainingError, match="wrong shape"):
        inside.answers(own[:, :5], 1)


def test_no_rows_have_activations_of_the_same_width(vault, traces):
    none = traces["mlp"].inside(vault.simulate(4, seed=0)[:0]).activations(0)
    assert none.shape == (2, 0, 8)


def test_untrained_heads_are_those_of_checkpoint_0(vault, traces):
    codes = vault.simulate(20, seed=2)
    first = untrained(traces["gru"])
    assert first.steps.tolist() == [0]
    assert np.array_equal(first.predict(codes, 0), traces["gru"].predict(codes, 0))


def test_heads_that_show_nothing_are_refused(vault):
    trace = train(vault, "inference", seeds=1, steps=1, checkpoints=[1])
    assert not has_inside(trace.plan.kind)
    with pytest.raises(TrainingError, match="does not show its activations"):
        trace.inside(vault.simulate(4, seed=0))
    with pytest.raises(TrainingError, match="makes its own updates"):
        untrained(trace)
