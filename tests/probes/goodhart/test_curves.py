"""Curves of true value by pressure: read off exact paths, held where a proxy gives no more, fitted by two forms."""

import math

import numpy as np
import pytest
from scipy import optimize

from probes.goodhart.curves import FORMS, PRESSURES, Curve, Form, curves, grid
from probes.goodhart.outputs import Outputs
from probes.goodhart.pressure import best_of_n, divergence, tilted
from worldnets.errors import ProbeError


@pytest.fixture(scope="module")
def some():
    random = np.random.default_rng(3)
    value = random.standard_normal(400)
    return Outputs(random.dirichlet(np.full(400, 5.0)), value + random.standard_normal(400), value)


@pytest.mark.parametrize(("pressure", "solve"), [("best-of-n", best_of_n), ("tilting", tilted)])
def test_a_curve_is_the_value_where_the_divergence_is_what_it_says(some, pressure, solve):
    curve = Curve.of(some, pressure, 4.0)
    for place in (3, 10, 24):
        wanted = curve.at[place] ** 2
        apart = lambda x, wanted=wanted: float(divergence(solve(some.weight, some.proxy, x), some.weight)) - wanted
        x = optimize.brentq(apart, 1.0 if pressure == "best-of-n" else 0.0, 1e6, xtol=1e-12)
        exact = solve(some.weight, some.proxy, x)
        assert curve.value[place] == pytest.approx(float(exact @ some.value), abs=4e-3)
        assert curve.proxy[place] == pytest.approx(float(exact @ some.proxy), abs=4e-3)


@pytest.mark.parametrize("pressure", PRESSURES)
def test_no_pressure_is_the_base_distribution_and_beyond_reach_nothing_changes(pressure):
    outputs = Outputs(np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 0.5, 0.2]))
    curve = Curve.of(outputs, pressure, 8.0, 60)
    assert curve.value[0] == pytest.approx(outputs.mean)
    assert curve.value[-1] == pytest.approx(0.2, abs=0.01)  # the output of the highest proxy
    assert curve.reach == pytest.approx(math.sqrt(-math.log(0.1)), abs=0.06)
    beyond = curve.value[curve.at > curve.reach]
    assert np.ptp(beyond) < 1e-6
    if pressure != "planning":
        assert np.all(np.diff(curve.proxy) >= -1e-9)


def test_a_constant_proxy_among_others_is_pressed_nowhere():
    proxy = np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])
    for pressure in PRESSURES:
        found, reach = curves(pressure, np.full(3, 1 / 3), proxy, np.arange(3.0)[None], grid(2.0), np.eye(3))
        assert reach[0] == 0
        assert reach[1] > 0.9
        np.testing.assert_allclose(found[0, :, 0], 1.0)


def test_selection_by_the_truth_is_the_most_that_a_pressure_can_bring(some):
    for pressure in ("best-of-n", "tilting"):
        curve = Curve.of(some, pressure, 4.0)
        assert np.all(curve.ideal >= curve.value - 1e-9)
        assert curve.ideal[-1] > curve.value[-1] + 0.3


def test_side_effects_are_changes_from_the_world_left_alone():
    weight, proxy = np.array([0.5, 0.5]), np.array([0.0, 1.0])
    outputs = Outputs(weight, proxy, np.array([0.0, 0.7]), {"vase": np.array([0.9, 0.2])}, {"vase": 0.9})
    curve = Curve.of(outputs, "best-of-n", 1.0)
    assert curve.sides["vase"][0] == pytest.approx(0.55 - 0.9)
    assert curve.sides["vase"][-1] == pytest.approx(0.2 - 0.9, abs=1e-3)


@pytest.mark.parametrize(("name", "alpha", "beta"), [("best-of-n form", 0.9, 0.3), ("RL form", 0.8, 0.5)])
def test_forms_recover_what_was_planted_and_their_peaks(name, alpha, beta):
    at = grid(6.0)
    gain = at * (alpha - beta * (at if name == FORMS[0] else np.log(np.maximum(at, 1e-300))))
    found = Form.of(name, at, gain)
    assert (found.alpha, found.beta, found.fit) == pytest.approx((alpha, beta, 1.0))
    fine = np.linspace(1e-3, 6, 60_000)
    planted = fine * (alpha - beta * (fine if name == FORMS[0] else np.log(fine)))
    assert found.peak == pytest.approx(fine[planted.argmax()], abs=1e-3)
    assert Form.of(name, at, at).peak == math.inf


def test_bad_outputs_are_refused_with_what_is_wrong():
    even, line = np.full(4, 0.25), np.arange(4.0)
    for arguments, message in (
        ((even, line, line), "nothing to over-optimise"),
        ((even, np.ones(4), line), "constant proxy"),
        ((even, np.array([0, 1, np.nan, 3]), line), "not finite"),
        ((even, line, np.array([0, 1, np.inf, 3])), "not finite"),
        ((np.full(4, 0.3), line, line[::-1]), "not normalised"),
        ((np.array([-0.5, 0.5, 0.5, 0.5]), line, line[::-1]), "not normalised"),
        ((even, line[:3], line), "different numbers"),
        (([], [], []), "different numbers"),
    ):
        with pytest.raises(ProbeError, match=message):
            Outputs(*arguments)
    sound = Outputs(even, line, line[::-1])
    for most in (0.0, -1.0, math.nan):
        with pytest.raises(ProbeError, match="no pressure"):
            Curve.of(sound, "best-of-n", most)
    with pytest.raises(ProbeError, match="unknown pressure"):
        Curve.of(sound, "best of n")
    with pytest.raises(ProbeError, match="unknown form"):
        Form.of("square", grid(1.0), grid(1.0))
