"""Simplicity bias, in reduced form; `benchmarks/known_answers_c.py` has the whole of it."""

import numpy as np
import pytest

from probes.ladder import reference


@pytest.fixture(scope="module")
def slabs(benchmark):
    return benchmark("slabs")


@pytest.fixture(scope="module")
def answers(benchmark):
    return benchmark("known_answers_c")


def test_points_lie_in_their_slabs_with_their_masses(slabs):
    for masses, weight in slabs.MASSES.items():
        x, y = slabs.points(40_000, 3, masses, 0)
        assert np.array_equal(x[:, 0] > 0, y == 1)
        assert np.abs(x[:, 0]).min() >= 0.1
        negative, positive = x[y == 0, 1], x[y == 1, 1]
        assert (np.abs(np.abs(positive) - 0.44) <= 0.12).all()
        shares = [np.mean((negative >= low) & (negative <= high)) for low, high, of in slabs.SLABS if not of]
        np.testing.assert_allclose(shares, weight, atol=0.015)
        assert sum(shares) == pytest.approx(1)


def test_three_quarters_in_the_middle_make_the_second_moments_of_the_places_equal_and_uniform_masses_do_not(slabs):
    for masses, equal in zip(slabs.MASSES, (True, False), strict=True):
        net = slabs.slabs_dataset(masses).net
        places = np.array(net.states["slab_1"])
        moments = net.cpt("slab_1") @ np.stack([places, places**2], axis=1)
        np.testing.assert_allclose(moments[:, 0], 0, atol=1e-12)
        assert np.isclose(*moments[:, 1]) == equal


def test_the_slabs_of_the_quantised_world_settle_the_answer_with_and_without_the_line(slabs):
    for masses in slabs.MASSES:
        dataset = slabs.slabs_dataset(masses, coordinates=3)
        about = reference(dataset, dataset.task("question"), "answer").about
        assert about.total == pytest.approx(1.0)
        assert about.own_ceiling[1] == pytest.approx(1.0)
        assert about.own_skipped.max() < 1e-12


def test_a_net_uses_the_line_alone(answers):
    as_is, line, rest = answers.accuracies(answers.THREE_QUARTERS, answers.Size(10, 20_000, 15))
    assert as_is > 0.99
    assert 0.47 < line < 0.53
    assert rest > 0.99


@pytest.mark.slow
def test_own_bits_and_reliance_of_the_slabs_are_none_before_the_line_and_clearly_some_in_the_control(answers):
    found = {masses: answers.quantised(masses, 8) for masses in (answers.THREE_QUARTERS, answers.UNIFORM)}
    for name in ("own bits, deep", "reliance, deep"):
        none, some = (found[masses].last(name, "answer").value for masses in found)
        assert -answers.MARGIN < none.low < none.high < answers.MARGIN
        assert some.low > 2 * answers.MARGIN
    assert found[answers.THREE_QUARTERS].verdict.name == "crowded-out"
    own = {masses: one.last("own share", "answer").value for masses, one in found.items()}
    assert own[answers.UNIFORM].low > own[answers.THREE_QUARTERS].high
