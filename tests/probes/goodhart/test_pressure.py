"""Selection under pressure: exact distributions, exact divergences, ties by the stated rule."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.goodhart.curves import modes
from probes.goodhart.outputs import features
from probes.goodhart.pressure import (
    best_of_n,
    best_of_n_path,
    divergence,
    gradient_path,
    planned,
    tilted,
    tilted_path,
    top_share,
)
from worldnets import Inference, load_dataset
from worldnets.errors import ProbeError

WEIGHTS = st.lists(st.integers(1, 9), min_size=2, max_size=5)


@st.composite
def outputs(draw):
    """Weights and proxies, with ties."""
    weight = np.array(draw(WEIGHTS), dtype=np.float64)
    proxy = np.array(draw(st.lists(st.integers(0, 3), min_size=len(weight), max_size=len(weight))), dtype=np.float64)
    return weight / weight.sum(), proxy


@settings(max_examples=40, deadline=None)
@given(outputs(), st.integers(1, 4))
def test_best_of_n_is_what_drawing_n_and_keeping_the_first_best_gives(given_outputs, n):
    weight, proxy = given_outputs
    counted = np.zeros(len(weight))
    for drawn in itertools.product(range(len(weight)), repeat=n):
        best = max(drawn, key=lambda i: proxy[i])  # the first of those that tie
        counted[best] += np.prod(weight[list(drawn)])
    np.testing.assert_allclose(best_of_n(weight, proxy, n), counted, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(outputs(), st.floats(1, 1e9))
def test_the_divergence_of_best_of_n_is_at_most_its_value_without_atoms(given_outputs, n):
    weight, proxy = given_outputs
    apart = divergence(best_of_n(weight, proxy, n), weight)
    assert -1e-12 <= apart <= math.log(n) - (n - 1) / n + 1e-9


def test_four_outputs_are_pressed_no_further_than_to_one_of_them():
    weight = np.full(4, 0.25)
    apart = float(divergence(best_of_n(weight, np.arange(4.0), 64), weight))
    assert apart == pytest.approx(1.386, abs=5e-4)
    assert math.log(64) - 63 / 64 == pytest.approx(3.175, abs=5e-4)


def test_without_atoms_the_bound_is_reached():
    weight = np.full(20_000, 1 / 20_000)
    apart = float(divergence(best_of_n(weight, np.arange(20_000.0), 64), weight))
    assert apart == pytest.approx(math.log(64) - 63 / 64, abs=1e-3)


def test_a_million_draws_from_rare_outputs_keep_their_digits():
    weight = np.array([1 - 3e-12, 1e-12, 2e-12])
    kept = best_of_n(weight, np.array([0.0, 1.0, 2.0]), 1e6)
    np.testing.assert_allclose(kept[2], 1 - (1 - 2e-12) ** 1e6, rtol=1e-4)
    np.testing.assert_allclose(kept[1], 1e-6, rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(outputs(), st.floats(0.1, 5), st.integers(0, 100))
def test_tilting_is_best_under_a_price_on_divergence(given_outputs, beta, seed):
    weight, proxy = given_outputs
    worth = lambda chosen: float(chosen @ proxy - divergence(chosen, weight) / beta)
    other = np.random.default_rng(seed).dirichlet(np.ones(len(weight)))
    assert worth(tilted(weight, proxy, beta)) >= worth(other) - 1e-9


def test_a_top_share_takes_the_atom_at_its_edge_in_part():
    weight, proxy = np.array([0.5, 0.2, 0.2, 0.1]), np.array([0.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(top_share(weight, proxy, 0.3), [0, 1 / 3, 1 / 3, 1 / 3])
    even = np.full(1000, 1e-3)
    assert float(divergence(top_share(even, np.arange(1000.0), 0.01), even)) == pytest.approx(-math.log(0.01))
    np.testing.assert_allclose(top_share(weight, proxy, 1.0), weight)


@settings(max_examples=60, deadline=None)
@given(outputs(), st.floats(0, 20))
def test_every_mode_of_the_tilted_distribution_is_on_the_hull_and_the_hull_has_no_others(given_outputs, beta):
    weight, proxy = given_outputs
    chosen = planned(weight, proxy, beta)
    score = np.log(weight) + beta * proxy
    found = modes(-np.log(weight), proxy)
    best = max(float(score @ own) for _, own in found)
    assert float(score @ chosen) == pytest.approx(best, abs=1e-9)
    reached = [float(own @ proxy) for _, own in found]
    assert np.all(np.diff(reached) > 0)
    for price, own in found:
        assert price == pytest.approx(float(divergence(own, weight)), abs=1e-9)


def test_planning_is_max_product_in_the_net():
    labeller = load_dataset("goodhart", kind="extremal", parts=6).world.labeller
    net, parts = labeller.net, labeller.evidence
    grid = np.indices((2,) * len(parts)).reshape(len(parts), -1).T
    codes = np.full((len(grid), len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index[v] for v in parts]] = grid
    engine = Inference(net)
    weight = np.exp(engine.log_evidence(codes))
    good = engine.query(codes, ["good"])["good"][:, 0]
    planned_on = planned(weight, np.log(good), 1.0)
    places = np.flatnonzero(planned_on > 0)
    assert len(places) < len(grid) / 2
    wanted = np.full((1, len(net.variables)), -1, dtype=np.int16)
    wanted[0, net.index["good"]] = 0
    best = engine.map(wanted).to_pandas().iloc[0]
    plans = [[net.states[v][c] for v, c in zip(parts, grid[place], strict=True)] for place in places]
    assert [best[v] for v in parts] in plans


def test_planning_by_gradient_starts_along_the_gradient_and_never_comes_back():
    random = np.random.default_rng(0)
    shown = np.indices((2, 3, 2)).reshape(3, -1).T
    weight = random.dirichlet(np.ones(12))
    proxy = random.standard_normal(12)
    parts = features(shown, 12)
    apart, means = gradient_path(weight, proxy[None], parts, np.stack([proxy, *parts.T])[None], 4.0, 1e-3)
    # To first order every part's share changes with its gradient: d E[1_v] = Cov(1_v, Σ θ_w 1_w).
    centred = parts - weight @ parts
    covariance = centred.T @ (weight[:, None] * centred)
    expected = covariance @ (centred.T @ (weight * (proxy - weight @ proxy)))
    moved = means[0, 1, 1:] - means[0, 0, 1:]
    np.testing.assert_allclose(moved / np.linalg.norm(moved), expected / np.linalg.norm(expected), atol=2e-3)
    assert apart[0, 1] == pytest.approx(0.5e-6, rel=0.02)
    assert np.all(np.diff(means[0, :, 0]) >= -1e-12)
    assert np.all(np.diff(apart[0]) >= -1e-12)


def test_paths_are_expectations_under_the_distributions():
    random = np.random.default_rng(1)
    weight, proxy = random.dirichlet(np.ones(30)), random.standard_normal(30).round(1)
    of = random.standard_normal((2, 30))
    draws, betas = np.array([1.0, 3.0, 80.0]), np.array([0.0, 0.7, 9.0])
    for apart, means, chosen in (
        (*best_of_n_path(weight, proxy, draws, of), [best_of_n(weight, proxy, n) for n in draws]),
        (*tilted_path(weight, proxy, betas, of), [tilted(weight, proxy, b) for b in betas]),
    ):
        np.testing.assert_allclose(apart, [divergence(one, weight) for one in chosen], atol=1e-12)
        np.testing.assert_allclose(means, [of @ one for one in chosen], atol=1e-12)


def test_what_is_no_pressure_is_refused():
    weight, proxy = np.full(2, 0.5), np.arange(2.0)
    with pytest.raises(ProbeError, match="fewer than one draw"):
        best_of_n(weight, proxy, 0)
    with pytest.raises(ProbeError, match="not a share"):
        top_share(weight, proxy, 0.0)
    with pytest.raises(ProbeError, match="not finite"):
        tilted(weight, proxy, math.inf)
    with pytest.raises(ProbeError, match="base probability zero"):
        divergence(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
