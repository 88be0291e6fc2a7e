"""The benchmark of Mess3 measures what it says; what 3,000 steps of training give is not tested here."""

import numpy as np
import pytest

import worldnets as wn


@pytest.fixture(scope="module")
def answers(benchmark):
    return benchmark("known_answers_a")


@pytest.fixture(scope="module")
def dataset(answers):
    return wn.load_dataset("mess3", frames=answers.LONGEST + 1)


@pytest.fixture(scope="module")
def known(answers, dataset):
    return answers.strings(dataset)


def test_entropies_and_exact_rows_are_the_known_ones_to_three_digits(answers, known):
    for tokens, nats in answers.ENTROPIES.items():
        assert known.entropy[tokens] == pytest.approx(nats, abs=5e-5)
    assert answers.linear_rows(known) == pytest.approx(answers.LINEAR, abs=5e-4)


def test_an_untrained_recurrent_network_decodes_as_well_as_was_measured(answers, dataset, known):
    found = answers.hidden_r2(dataset, known, answers.first_heads(dataset, 2, as_pytorch=True))
    assert found == pytest.approx(answers.RECURRENT["untrained"], abs=2.5e-3)
    assert found.min() > answers.linear_rows(known)["all tokens"]


@pytest.mark.slow
def test_a_little_training_brings_it_nearer(answers, dataset, known):
    heads = answers.first_heads(dataset, 1, as_pytorch=False)
    after, _ = answers.trained(dataset, heads, 300)
    assert answers.hidden_r2(dataset, known, after)[0] > answers.hidden_r2(dataset, known, heads)[0] + 0.001
    assert np.isfinite(after.readout.weight).all()
