"""The record of every message that pictures are drawn from."""

import numpy as np
import pytest

from tests.worldnets.inference.loopy.oracle import piece, random_tree, side_by_side
from worldnets.inference import UNOBSERVED, LoopyInference, simulate

ROUNDS = 6


@pytest.fixture(scope="module", params=["synchronous", "residual"])
def recorded(request):
    net, _ = side_by_side([random_tree(np.random.default_rng(3), 8, kinds=("dense",))], prefix="v")
    codes = simulate(net, 1, seed=0)
    codes[0, 2:] = UNOBSERVED
    engine = LoopyInference(net, schedule=request.param)
    return net, codes, engine, engine.history(codes, rounds=ROUNDS)


def test_beliefs_of_the_history_are_those_of_queries_after_as_many_rounds(recorded):
    net, codes, engine, history = recorded
    for rounds in range(ROUNDS + 1):
        found = engine.query(codes, rounds=rounds)
        for v in net.variables:
            np.testing.assert_allclose(history.beliefs[v][rounds], found[v][0], atol=1e-9)


def test_changes_are_the_largest_differences_of_consecutive_messages(recorded):
    net, _, _, history = recorded
    edges = 2 * sum(len(scope) for scope, _ in net.factors)
    assert history.changes.shape == (ROUNDS, edges)
    assert len(history.sources) == len(history.targets) == edges
    for e in range(edges):
        message = history.message(e)
        np.testing.assert_allclose(message.sum(1), 1)
        np.testing.assert_allclose(history.changes[:, e], np.abs(np.diff(message, axis=0)).max(1), atol=1e-12)


def test_labels_name_variables_and_factors_by_their_scope(recorded):
    net, _, _, history = recorded
    pairs = len(history.edges)
    for e, (f, v) in enumerate(history.edges):
        label = f"f({', '.join(net.factors[f].scope)})"
        assert (history.sources[e], history.targets[e]) == (v, label)
        assert (history.sources[pairs + e], history.targets[pairs + e]) == (label, v)


@pytest.mark.parametrize("recorded", ["synchronous"], indirect=True)
def test_in_the_first_synchronous_round_only_observed_variables_say_something_new(recorded):
    net, codes, _, history = recorded
    observed = {v for v, code in zip(net.variables, codes[0], strict=True) if code != UNOBSERVED}
    pairs = len(history.edges)
    for e in range(pairs):
        assert (history.changes[0, e] > 1e-9) <= (history.sources[e] in observed)
    assert history.changes[0, :pairs].max() > 0.1


def test_a_contradiction_empties_the_beliefs_from_where_it_is_found():
    from worldnets.net import WorldNet

    net = WorldNet(
        {"a": (0, 1), "b": (0, 1), "c": (0, 1)},
        {"b": ("a",), "c": ("b",)},
        {"a": [0.5, 0.5], "b": np.eye(2), "c": np.eye(2)},
    )
    history = LoopyInference(net).history(np.array([[0, UNOBSERVED, 1]], dtype=np.int16), rounds=3)
    assert not history.possible
    assert history.beliefs["b"][0].sum() == pytest.approx(1)
    assert not history.beliefs["b"][-1].any()
    assert not np.isnan(history.messages).any()
    alone = piece(net, ["a", "b", "c"])
    assert LoopyInference(alone).history(np.array([[0, UNOBSERVED, 0]], dtype=np.int16), rounds=0).changes.shape == (
        0,
        10,
    )
