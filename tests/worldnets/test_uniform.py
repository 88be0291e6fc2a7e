"""Uniform numbers for rows."""

import numpy as np

from worldnets.uniform import uniform


def test_a_row_has_the_same_numbers_alone_and_among_others():
    whole = uniform(5, 0, 1000, 4)
    assert np.array_equal(uniform(5, 300, 7, 4), whole[300:307])
    assert np.array_equal(uniform(5, 0, 1000, 2), whole[:, :2])
    assert not np.isin(uniform(6, 0, 100, 4), whole).any()


def test_numbers_are_uniform_and_independent_across_rows_and_columns():
    drawn = uniform(0, 0, 40_000, 2)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    counts = np.histogram2d(drawn[1:, 0], drawn[:-1, 1], bins=10, range=[[0, 1], [0, 1]])[0]
    expected = counts.sum() / 100
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert 60 < chi_squared < 150  # 99 degrees of freedom
