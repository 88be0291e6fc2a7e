"""Reference predictors of chain mixtures, in reduced form; `benchmarks/known_answers_e.py` has the whole of it."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def answers(benchmark):
    return benchmark("known_answers_e")


def test_the_row_of_64_chains_is_the_published_one(answers):
    row = answers.row(64, sets=2, clips=40)
    expected = np.array(answers.EXPECTED[64])
    # Eighty clips a side: their own error on top of what the table itself is allowed.
    assert (np.abs(row.nats - expected) <= np.maximum(0.12 * expected, 0.008)).all()
    assert row.within(expected)[3].all()  # what the deriver loses hardly differs from clip to clip


def test_an_entry_counts_within_five_per_cent_or_five_thousandths(answers):
    expected = np.array([[0.1, 0.003]])
    none, some = np.zeros((1, 2)), np.full((1, 2), 0.01)
    assert answers.Row(np.array([[0.1049, 0.0079]]), none, none).within(expected).all()
    assert not answers.Row(np.array([[0.106, 0.0081]]), none, none).within(expected).any()
    assert answers.Row(np.array([[0.119, 0.022]]), none, some).of_one_set(expected).all()
    assert not answers.Row(np.array([[0.121, 0.024]]), none, some).of_one_set(expected).any()


def test_pure_planted_and_silly_predictors_are_weighed_as_the_table_asks(answers):
    about = answers.compare(answers.meta_world(16, 10, 64, 0), clips=32, positions=8)
    assert len(about.comparison.groups) == 4
    for side in ("inside", "outside"):
        found = answers.weights(about, side, mixtures=10)
        assert found.pure >= answers.LEAST_PURE
        assert found.planted <= answers.MOST_OFF
        assert found.silly <= answers.MOST_SILLY


def test_very_many_short_chains_cannot_be_told_and_few_can(answers):
    lines, good = answers.identifiability()
    assert good
    assert "not identifiable" in lines[2]
    memorizer, deriver = (float(part) for part in lines[2].split("|")[4].split("/"))
    assert memorizer == pytest.approx(0.081, abs=0.012)
    assert 0.002 < deriver - memorizer < 0.010
