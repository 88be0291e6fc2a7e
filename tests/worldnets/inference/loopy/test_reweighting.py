"""Appearance probabilities of factors in random acyclic parts."""

import itertools

import numpy as np
import pytest

from worldnets.errors import QueryError
from worldnets.inference.loopy.reweighting import FORESTS, TREES, appearance


@pytest.mark.parametrize("n", [3, 4, 7])
def test_in_a_complete_graph_each_edge_is_in_two_nths_of_the_spanning_trees(n):
    scopes = [(0,), *itertools.combinations(range(n), 2)]
    rho = appearance(scopes, n, TREES)
    assert rho[0] == 1
    np.testing.assert_allclose(rho[1:], 2 / n)


def test_edges_of_a_tree_are_in_every_tree_and_parallel_ones_share():
    scopes = [(0, 1), (1, 2), (2, 1), (3, 4)]
    np.testing.assert_allclose(appearance(scopes, 6, TREES), [1, 0.5, 0.5, 1])


def test_spanning_tree_weights_add_up_to_one_less_than_the_variables():
    random = np.random.default_rng(0)
    pairs = [(i, i + 1) for i in range(9)] + [tuple(random.choice(10, 2, replace=False)) for _ in range(15)]
    assert appearance(pairs, 10, TREES).sum() == pytest.approx(9)


def test_random_forests_cover_every_factor_within_what_acyclic_parts_hold():
    random = np.random.default_rng(1)
    scopes = [tuple(int(v) for v in random.choice(12, size, replace=False)) for size in [1, 2, 3, 4] * 10]
    rho = appearance(scopes, 12, FORESTS)
    assert ((rho > 0) & (rho <= 1)).all()
    assert sum((len(scope) - 1) * r for scope, r in zip(scopes, rho, strict=True)) <= 11 + 1e-9
    np.testing.assert_array_equal(rho, appearance(scopes, 12, rho))
    np.testing.assert_array_equal(rho, appearance(scopes, 12, FORESTS))


@pytest.mark.parametrize(
    ("scopes", "given", "match"),
    [
        ([(0, 1, 2)], TREES, "two variables"),
        ([(0, 1)], "spanning", "unknown reweighting"),
        ([(0, 1)], [1.0, 1.0], "shape"),
        ([(0, 1)], [0.0], "outside"),
        ([(0, 1)], [float("nan")], "outside"),
        ([(0, 1), (1, 2), (0, 2)], [0.8, 0.8, 0.8], "acyclic"),
        ([(0, 1, 2), (0, 1, 3)], [0.9, 0.9], "acyclic"),
    ],
)
def test_weights_that_cannot_be_appearance_probabilities_are_refused(scopes, given, match):
    with pytest.raises(QueryError, match=match):
        appearance(scopes, 4, given)
