"""The benchmark of Mess3 measures what it says; what 3,000 steps of training give is not tested here."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

import worldnets as wn

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, BENCHMARKS)
    yield importlib.import_module("known_answers_a")
    sys.path.remove(BENCHMARKS)
    del sys.modules["known_answers_a"]


@pytest.fixture(scope="module")
def dataset(benchmark):
    return wn.load_dataset("mess3", frames=benchmark.LONGEST + 1)


@pytest.fixture(scope="module")
def known(benchmark, dataset):
    return benchmark.strings(dataset)


def test_entropies_and_exact_rows_are_the_known_ones_to_three_digits(benchmark, known):
    for tokens, nats in benchmark.ENTROPIES.items():
        assert known.entropy[tokens] == pytest.approx(nats, abs=5e-5)
    assert benchmark.linear_rows(known) == pytest.approx(benchmark.LINEAR, abs=5e-4)


def test_an_untrained_recurrent_network_decodes_as_well_as_was_measured(benchmark, dataset, known):
    found = benchmark.hidden_r2(dataset, known, benchmark.first_heads(dataset, 2, as_pytorch=True))
    assert found == pytest.approx(benchmark.RECURRENT["untrained"], abs=2.5e-3)
    assert found.min() > benchmark.linear_rows(known)["all tokens"]


@pytest.mark.slow
def test_a_little_training_brings_it_nearer(benchmark, dataset, known):
    heads = benchmark.first_heads(dataset, 1, as_pytorch=False)
    after, _ = benchmark.trained(dataset, heads, 300)
    assert benchmark.hidden_r2(dataset, known, after)[0] > benchmark.hidden_r2(dataset, known, heads)[0] + 0.001
    assert np.isfinite(after.readout.weight).all()
