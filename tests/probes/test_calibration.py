"""Weights that make what is known of all candidates come out right on a few clips."""

import numpy as np
import pytest

from probes.calibration import calibrated, covariates

GROUPS, SIZE, CANDIDATES = 8, 40, 400


@pytest.fixture
def drawn():
    """Covariates of candidates [G, N, F], and which of them are the clips, picked evenly."""
    random = np.random.default_rng(0)
    known = np.concatenate([np.ones((GROUPS, CANDIDATES, 1)), random.standard_normal((GROUPS, CANDIDATES, 4))], axis=-1)
    picked = np.stack([random.choice(CANDIDATES, SIZE, replace=False) for _ in range(GROUPS)])
    return random, known, picked


def estimator(known, picked):
    clips = np.take_along_axis(known, picked[..., None], axis=1).reshape(GROUPS * SIZE, -1)
    return calibrated(np.full(GROUPS * SIZE, 1 / SIZE), clips, known.mean(1), GROUPS)


def test_what_is_linear_in_the_covariates_is_averaged_over_all_candidates(drawn):
    _, known, picked = drawn
    y = known @ np.array([0.3, 1.0, -2.0, 0.5, 4.0])
    clips = np.take_along_axis(y, picked, axis=1)
    found = estimator(known, picked) @ clips.reshape(-1)
    plain = np.abs(clips.mean(1) - y.mean(1))
    assert np.abs(found - y.mean(1)).max() < 0.2 * plain.max()  # not 0: the ridge leaves a tenth of the variance


def test_a_covariate_that_says_nothing_leaves_the_mean_and_hardly_widens_it(drawn):
    random, known, picked = drawn
    matrix = estimator(known, picked)
    errors = []
    for _ in range(400):
        noise = random.standard_normal(GROUPS * SIZE)
        errors.append([(matrix @ noise).mean(), noise.mean()])
    ours, plain = np.std(errors, axis=0)
    assert ours < 1.15 * plain
    assert abs(np.mean(errors, axis=0)[0]) < 4 * ours / 20


def test_the_fit_of_a_group_does_not_see_the_group(drawn):
    _, known, picked = drawn
    matrix = estimator(known, picked)
    own = np.arange(GROUPS)[:, None] == np.repeat(np.arange(GROUPS), SIZE)
    assert np.array_equal(matrix[own], np.full(GROUPS * SIZE, 1 / SIZE))
    assert np.abs(matrix[~own]).max() > 0


def test_covariates_are_the_bits_and_the_states_and_only_the_bits_where_there_are_too_many():
    codes = np.array([[0, 2], [1, 0], [1, 1]], dtype=np.int16)
    columns, bits = [np.array([0]), np.array([1])], np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 1.0]])
    full = covariates(codes, columns, bits, 6)
    assert np.array_equal(full[:, 3:], [[0, 0, 1], [1, 0, 0], [1, 1, 0]])
    assert np.array_equal(full[:, :3], np.stack([np.ones(3), *bits], axis=1))
    assert covariates(codes, columns, bits, 5).shape == (3, 3)
