"""Ancestral sampling: the right distribution, and bits that depend on nothing but seed and row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import joint, world_nets
from worldnets.errors import EvidenceError
from worldnets.inference import simulate
from worldnets.net import WorldNet


@settings(max_examples=25)
@given(world_nets(max_variables=4, max_cardinality=3), st.integers(0, 2**40))
def test_simulated_rows_follow_the_joint_distribution(net, seed):
    rows = 20_000
    codes = simulate(net, rows, seed)
    share = np.zeros(tuple(net.cardinalities))
    np.add.at(share, tuple(codes.T), 1 / rows)
    expected = joint(net)
    # Seven standard errors per cell; a cell of probability zero must never be drawn.
    assert (np.abs(share - expected) <= 7 * np.sqrt(expected * (1 - expected) / rows) + 1e-9).all()


def test_a_row_depends_only_on_the_seed_and_its_number():
    net = WorldNet({"a": (0, 1, 2), "b": (0, 1)}, {"b": ("a",)}, {"a": [0.2, 0.3, 0.5], "b": [[0.5, 0.5]] * 3})
    assert (simulate(net, 5, 1, first=10) == simulate(net, 15, 1)[10:]).all()
    assert (simulate(net, 50, 1) != simulate(net, 50, 2)).any()


def test_a_last_state_of_probability_zero_is_never_drawn_through_rounding():
    # The cumulative sum of these tenths ends just below 1.
    net = WorldNet({"a": tuple(range(11))}, {}, {"a": [0.1] * 10 + [0.0]})
    assert simulate(net, 200_000, 0).max() == 9


def test_negative_counts_and_seeds_are_refused():
    net = WorldNet({"a": (0,)}, {}, {"a": [1.0]})
    for arguments in ((-1, 0), (1, -1)):
        with pytest.raises(EvidenceError, match="negative"):
            simulate(net, *arguments)
