"""The compiled loop of expected counts: the same bits however rows are shared out, and the sum of rows kept apart."""

import numpy as np
import pytest

from worldnets import read_net
from worldnets.inference import Inference, expected_counts, family_marginals, family_walk, simulate
from worldnets.public_nets import public_net


@pytest.fixture(scope="module")
def case():
    net = read_net(public_net("child"))
    codes = np.array(simulate(net, 700, 0))
    random = np.random.default_rng(0)
    codes[random.random(codes.shape) < 0.3] = -1
    return net, codes, random.random(700)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_counts_have_the_same_bits_for_any_number_of_threads_and_calls(case, dtype, monkeypatch):
    net, codes, weights = case
    engine = lambda threads: Inference(net, dtype=dtype, threads=threads)
    found = [expected_counts(engine(threads), codes, weights) for threads in (1, 2, 3)]
    # One thread that may do little in a call goes block by block, as several do; of so few rows a block is one chunk.
    monkeypatch.setattr(family_walk, "CALL_MULTIPLY_ADDS", 0)
    found.append(expected_counts(engine(1), codes, weights))
    for other in found[1:]:
        for v in net.variables:
            np.testing.assert_array_equal(found[0][v], other[v])
        np.testing.assert_array_equal(found[0].log_evidence, other.log_evidence)


def test_counts_are_the_weighted_sum_of_the_rows_families(case):
    net, codes, weights = case
    together = expected_counts(Inference(net, threads=1), codes, weights)
    apart = family_marginals(Inference(net), codes)
    for v in net.variables:
        np.testing.assert_allclose(together[v], np.tensordot(weights, apart[v], 1), rtol=1e-10, atol=1e-12)


def test_impossible_rows_count_nowhere_and_rows_of_one_block_are_enough(case):
    net, codes, _ = case
    zeros = net.do({"BirthAsphyxia": "yes"})
    codes = np.repeat(codes[:1], 3, axis=0)
    codes[:, net.index["BirthAsphyxia"]] = [0, 1, 0]
    found = expected_counts(Inference(zeros, threads=1), codes, np.array([1.0, 5.0, 2.0]))
    possible = zeros.code("BirthAsphyxia", "yes")
    assert found.possible.tolist() == [code == possible for code in (0, 1, 0)]
    total = found["BirthAsphyxia"].sum()
    assert total == pytest.approx(sum(w for w, ok in zip((1, 5, 2), found.possible, strict=True) if ok))


def test_no_rows_count_nothing(case):
    net, codes, _ = case
    found = expected_counts(Inference(net, threads=1), codes[:0])
    assert len(found.log_evidence) == 0
    assert all(not found[v].any() for v in net.variables)
