"""Goodhart tails, in reduced form; `benchmarks/known_answers_g.py` has the whole of it."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def answers(benchmark):
    return benchmark("known_answers_g")


def test_entries_are_near_what_draws_gave_or_as_far_as_draws_explain(answers):
    _, near, wrong = answers.tail_table(50_000)
    assert wrong == 0
    assert near >= 14  # of fifteen; the fifteenth is 1.7 standard errors of its draws away


def test_the_error_of_a_mean_over_the_selected_is_that_of_draws(answers):
    means = []
    for seed in range(40):
        value, proxy = answers.drawn("Student t3", 20_000, seed)
        means.append(answers.top(value, proxy, 1e-2))
    assert np.std(means) == pytest.approx(answers.standard_error("Student t3", 1e-2, 20_000), rel=0.35)


def test_divergences_are_the_known_ones(answers):
    lines, good = answers.divergence_table()
    assert good
    assert "1.3863" in lines[2]
