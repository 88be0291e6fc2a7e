"""Objectives: the log loss and the probabilities it belongs to."""

import jax
import numpy as np
import pytest

from worldnets import load_dataset
from worldnets.errors import TrainingError, UnknownNameError
from worldnets.objectives import REGISTRY, log_loss, log_probabilities, output_count

COUNTS = (2, 2, 3, 3, 2, 5)


def drawn(rows=40):
    rng = np.random.default_rng(3)
    outputs = (3 * rng.standard_normal((rows, output_count(COUNTS)))).astype(np.float32)
    return outputs, np.stack([rng.integers(count, size=rows) for count in COUNTS], axis=1).astype(np.int32)


def test_two_outcomes_take_one_output_and_more_take_one_each():
    assert output_count(COUNTS) == 1 + 1 + 3 + 3 + 1 + 5


def test_probabilities_sum_to_one_per_target_to_float64_precision():
    q = np.exp(log_probabilities(drawn()[0], COUNTS))
    sums = np.add.reduceat(q, np.cumsum((0, *COUNTS[:-1])), axis=-1)
    np.testing.assert_allclose(sums, 1, atol=1e-14)


def test_probabilities_are_softmax_and_logistic():
    outputs = np.array([[0.3, 1.0, 2.0, -1.0]])
    q = np.exp(log_probabilities(outputs, (2, 3)))[0]
    np.testing.assert_allclose(q[1], 1 / (1 + np.exp(-0.3)))
    np.testing.assert_allclose(q[2:], np.exp([1.0, 2.0, -1.0]) / np.exp([1.0, 2.0, -1.0]).sum())


def test_the_loss_is_minus_log2_of_the_probability_of_what_happened():
    outputs, outcomes = drawn()
    log_q = log_probabilities(outputs, COUNTS)
    columns = outcomes + np.cumsum((0, *COUNTS[:-1]))
    expected = -np.take_along_axis(log_q, columns, axis=1).sum(axis=1) / np.log(2)
    np.testing.assert_allclose(log_loss(jax.numpy.asarray(outputs), outcomes, COUNTS), expected, rtol=1e-5)


def test_extreme_outputs_give_finite_loss_and_log_probabilities():
    outputs = np.array([[500.0, -500.0, 1e4, -1e4, 0.0]], dtype=np.float32)
    assert np.all(np.isfinite(log_probabilities(outputs, (2, 2, 3))))
    assert np.isfinite(log_loss(jax.numpy.asarray(outputs), np.array([[0, 1, 1]]), (2, 2, 3)))


def test_a_world_without_time_has_no_continuation():
    with pytest.raises(TrainingError, match=r"cue_parity.*'continuation'.*tasks question.*question"):
        REGISTRY.get("continuation").task(load_dataset("cue_parity"))


def test_an_unknown_objective_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'question'"):
        REGISTRY.get("questoin")
