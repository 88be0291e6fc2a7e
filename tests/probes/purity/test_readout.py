"""Relabellings and readouts: what they may do, and what they may not."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.purity.readout import LEAST_BELIEF, fitted, read_bits, relabelled_bits, relabelling


def drawn(seed, rows=60, states=3, others=3):
    """weight(row)·W*(z | row), and beliefs of a world-model."""
    random = np.random.default_rng(seed)
    joint = random.dirichlet(np.ones(states) / 2, rows) * random.dirichlet(np.ones(rows))[:, None]
    return joint, random.dirichlet(np.ones(others) / 2, rows)


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_the_relabelling_is_the_best_of_all_permutations(seed, states):
    joint, beliefs = drawn(seed, states=states, others=states)
    best = max(itertools.permutations(range(states)), key=lambda order: relabelled_bits(joint, beliefs, order).sum())
    found = relabelling(joint, beliefs)
    assert relabelled_bits(joint, beliefs, found).sum() >= relabelled_bits(joint, beliefs, best).sum() - 1e-9


@given(st.integers(0, 2**32 - 1))
def test_beliefs_under_other_labels_say_as_much_once_relabelled(seed):
    joint, _ = drawn(seed)
    posterior = joint / joint.sum(1, keepdims=True)
    order = np.random.default_rng(seed).permutation(3)
    labels = relabelling(joint, posterior[:, order])
    said = relabelled_bits(joint, posterior[:, order], labels).sum()
    assert said >= relabelled_bits(joint, posterior, (0, 1, 2)).sum() - 1e-9


@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.integers(2, 4))
def test_a_fitted_readout_is_stochastic_no_worse_than_any_relabelling_or_the_prior_and_never_better_than_the_posterior(
    seed, states, others
):
    joint, beliefs = drawn(seed, states=states, others=others)
    labels = relabelling(joint, beliefs)
    matrix = fitted(joint, beliefs, labels)
    np.testing.assert_allclose(matrix.sum(0), 1, atol=1e-9)
    assert matrix.min() >= 0
    read = read_bits(joint, beliefs, matrix).sum()
    prior = joint.sum(0)
    posterior = joint / joint.sum(1, keepdims=True)
    ceiling = (joint * np.log2(np.where(joint > 0, posterior, 1))).sum()
    assert read <= ceiling + 1e-9
    assert read >= (prior * np.log2(prior)).sum() - 1e-6
    if states == others:
        assert read >= relabelled_bits(joint, beliefs, labels).sum() - 1e-6


def test_a_readout_merges_states_that_a_world_model_has_too_many():
    random = np.random.default_rng(0)
    true = random.dirichlet([0.3, 0.3], 400)
    split = random.uniform(size=400)
    beliefs = np.stack([true[:, 0] * split, true[:, 0] * (1 - split), true[:, 1]], axis=-1)
    joint = true / 400
    matrix = fitted(joint, beliefs)
    np.testing.assert_allclose(matrix, [[1, 1, 0], [0, 0, 1]], atol=0.02)
    labels = relabelling(joint, beliefs)
    assert labels[1] == 2
    assert labels[0] in (0, 1)


def test_true_states_beyond_those_of_the_world_model_share_one():
    joint, beliefs = drawn(1, states=4, others=2)
    labels = relabelling(joint, beliefs)
    assert len(labels) == 4
    assert set(labels) == {0, 1}


def test_gathering_beliefs_in_bins_moves_what_is_read_by_less_than_a_thousandth():
    joint, beliefs = drawn(2, rows=20_000)
    coarse = read_bits(joint, beliefs, fitted(joint, beliefs)).sum()
    fine = max(
        read_bits(joint, beliefs, matrix).sum()
        for matrix in (_climbed_without_bins(joint, beliefs), fitted(joint, beliefs))
    )
    assert fine - coarse < 1e-3 * abs(fine)


def _climbed_without_bins(joint, beliefs):
    a = joint.T @ beliefs / (joint.sum(1) @ beliefs)
    for _ in range(300):
        a = a * ((joint / (beliefs @ a.T)).T @ beliefs)
        a /= a.sum(0)
    return a


def test_a_belief_of_zero_in_what_is_the_case_costs_twenty_bits_and_no_more():
    joint, beliefs = np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]])
    assert relabelled_bits(joint, beliefs, (0, 1)).sum() == np.log2(LEAST_BELIEF)
