"""What follows from captured bits: depth, efficiency, the split into shallow and deep, the rung regression,
recalibration.
"""

import numpy as np
import pytest
from scipy.optimize import minimize

from probes.enumerated import EnumeratedReference
from probes.pie import Pie, concatenate, depth, shallow_rungs, stack
from probes.regression import RungRegression, refitted_loss
from worldnets.errors import ProbeError


def heads(reference, weights, temperature=1.0):
    logs = np.log(np.maximum(reference.ladder, 1e-12))
    q = logs[0] + np.tensordot(np.asarray(weights, dtype=float), np.diff(logs, axis=0), axes=1)
    q = q * temperature
    return q - np.log(np.exp(q).sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def reference():
    return EnumeratedReference(np.random.default_rng(0).gamma(1.0, size=(3, 3, 4, 3)))


def test_depth_is_the_mean_rung_of_the_bits_and_undefined_when_there_are_none():
    assert depth(np.array([0.2, 0.0, 0.2])) == pytest.approx(2.0)
    assert depth(np.array([0.2, -0.1, 0.0])) == pytest.approx(1.0)
    assert np.isnan(depth(np.array([0.3, -0.4, 0.05])))
    assert np.isnan(depth(np.array([0.004, 0.005])))


def test_shallow_rungs_hold_half_the_pie_but_never_all_of_it():
    assert shallow_rungs(np.array([0.3, 0.1, 0.1])) == 1
    assert shallow_rungs(np.array([0.1, 0.1, 0.1, 0.3])) == 3
    assert shallow_rungs(np.array([0.0, 0.9])) == 1
    assert shallow_rungs(np.array([0.5])) == 1
    assert shallow_rungs(np.array([0.5, 0.3, 0.2]), share=0.7) == 2


def test_efficiency_is_undefined_where_there_is_less_than_a_hundredth_of_a_bit():
    table = np.einsum("ay,b->aby", [[0.4, 0.1], [0.1, 0.4]], [0.5, 0.5])
    tiny = EnumeratedReference(table)
    pie = tiny.measure(heads(tiny, [[1, 1]]))
    assert np.isnan(pie.efficiency(tiny.about)[0, 1])
    assert pie.efficiency(tiny.about, [1, 2])[0] == pytest.approx(1.0)
    with pytest.raises(ProbeError, match="no such rung"):
        pie.efficiency(tiny.about, [3])


def test_the_rung_regression_reads_planted_weights_off_a_head(reference):
    planted = np.array([[1, 1, 1], [1, 0, 0], [0.7, 0.3, 1.4], [0, 0, 0]], dtype=float)
    np.testing.assert_allclose(reference.measure(heads(reference, planted)).weights, planted, atol=1e-9)
    assert reference.about.condition < 30
    assert reference.about.merged == ((1,), (2,), (3,))


def test_the_rung_regression_merges_rungs_it_cannot_tell_apart():
    random = np.random.default_rng(0)
    p0 = np.full((1, 50, 2), 0.5)
    tilt = np.stack([0.1 * random.normal(size=50)] * 2, axis=-1) * [1, -1]
    steps = [np.log(0.5) + s * tilt for s in (1.0, 2.0005)]
    ladder = np.concatenate([p0, *[(np.exp(s) / np.exp(s).sum(-1, keepdims=True))[None] for s in steps]])
    regression = RungRegression(np.full(50, 0.02), ladder, np.array([0.01, 0.02]))
    assert regression.condition > 30
    assert regression.merged == ((1, 2),)
    weights, floored = regression.weights(np.log(ladder[-1]))
    np.testing.assert_allclose(weights, [1, 1], atol=1e-6)
    assert floored == 0


def test_a_rung_that_says_nothing_has_no_weight():
    table = np.einsum("ay,b->aby", [[0.4, 0.1], [0.1, 0.4]], [0.5, 0.5])
    weights = EnumeratedReference(table).measure(np.log(np.full((4, 2), 0.5))).weights
    assert weights[0] == pytest.approx(0.0)
    assert np.isnan(weights[1])


def test_probabilities_below_the_floor_are_counted(reference):
    q = heads(reference, [[1, 1, 1]])
    q[0, 0] = [0.0, -40.0, -40.0]
    share = reference.measure(q).floored[0]
    v = 0.5 * (reference.ladder[-1] + reference.ladder[0])[0, 1:].sum() * reference.weight[0]
    assert share == pytest.approx(v)


def test_recalibration_finds_the_same_loss_as_a_general_optimiser():
    random = np.random.default_rng(0)
    for outcomes in (2, 3, 5):
        weight = random.dirichlet(np.ones(20))
        truth = random.dirichlet(np.ones(outcomes), size=20)
        q = np.log(random.dirichlet(np.ones(outcomes), size=(4, 20)))
        mine = refitted_loss(weight, truth, q)
        for i in range(4):

            def loss(theta, q=q[i], weight=weight, truth=truth):
                z = theta[0] * q + np.r_[0, theta[1:]]
                z = z - np.log(np.exp(z).sum(-1, keepdims=True))
                return -(weight[:, None] * truth * z).sum() / np.log(2)

            bounds = [(0, None)] + [(None, None)] * (outcomes - 1)
            best = minimize(loss, np.r_[1, np.zeros(outcomes - 1)], bounds=bounds)
            assert mine[i] == pytest.approx(best.fun, abs=1e-6)


def test_recalibration_gives_an_overconfident_head_its_bits_back(reference):
    blunt = heads(reference, [[1, 1, 1]], temperature=3.0)
    assert reference.measure(blunt).captured.sum() < 0.7 * reference.about.information.sum()
    # The last rung is a temperature away from exact; the others are averages of it and need not be.
    total = reference.refitted(blunt).sum()
    assert total == pytest.approx(reference.about.information.sum(), abs=1e-6)
    perfect = reference.refitted(heads(reference, [[1, 1, 1]]))
    np.testing.assert_allclose(perfect[0], reference.about.information, atol=1e-6)


def test_a_head_that_is_wrong_about_the_sign_recalibrates_to_nothing():
    table = np.array([[0.4, 0.1], [0.1, 0.4]])
    swapped = np.log(np.array([[[0.2, 0.8], [0.8, 0.2]]]))
    assert EnumeratedReference(table).refitted(swapped)[0, 0] == pytest.approx(0.0, abs=1e-9)


def test_pies_stack_and_join_along_their_leading_axes(reference):
    first, second = (reference.measure(heads(reference, [[w, w, w], [1, 0, 0]])) for w in (0.5, 1.0))
    curve = stack([first, second])
    assert curve.captured.shape == (2, 2, 3)
    assert concatenate([curve, curve], axis=1).rung_loss.shape == (2, 4, 4)
    grouped = Pie(**{**first.__dict__, "captured_groups": first.captured[None].repeat(4, 0)})
    assert stack([grouped, grouped]).captured_groups.shape == (4, 2, 2, 3)
    with pytest.raises(ProbeError, match="cannot be joined"):
        stack([grouped, first])
