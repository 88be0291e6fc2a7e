"""Beliefs from part of the evidence, exact and after rounds of messages."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import world_nets
from worldnets.errors import TrainingError
from worldnets.heads.believer import Believer
from worldnets.inference import Inference, LoopyInference, simulate
from worldnets.net import WorldNet


@settings(max_examples=25)
@given(world_nets(max_variables=5, max_cardinality=3), st.data())
def test_exact_beliefs_are_those_of_the_net_that_sees_only_the_evidence(net, data):
    evidence = data.draw(st.lists(st.sampled_from(net.variables), unique=True))
    asked = data.draw(st.lists(st.sampled_from(net.variables), unique=True, min_size=1, max_size=2))
    codes = np.array(simulate(net, 6, seed=1))
    seen = np.full_like(codes, -1)
    columns = [net.index[v] for v in evidence]
    seen[:, columns] = codes[:, columns]
    believer, engine = Believer(net, net, evidence), Inference(net)
    found, expected = believer.beliefs(codes[:, columns], asked), engine.query(seen)
    for v, table in zip(asked, found, strict=True):
        np.testing.assert_allclose(table, expected[v], atol=1e-12)
    np.testing.assert_allclose(
        believer.joint(codes[:, columns], asked), engine.joint(seen, asked).reshape(6, -1), atol=1e-12
    )


def chain():
    names = [f"v{i}" for i in range(4)]
    parents = {b: (a,) for a, b in itertools.pairwise(names)}
    tables = {v: [[0.8, 0.2], [0.3, 0.7]] if v in parents else [0.4, 0.6] for v in names}
    return WorldNet(dict.fromkeys(names, (0, 1)), parents, tables)


def test_loopy_beliefs_are_those_of_so_many_rounds_and_joined_by_the_chain_rule():
    net = chain()
    codes = np.array([[0], [1]], dtype=np.int16)
    seen = np.full((2, 4), -1, dtype=np.int16)
    seen[:, 3] = codes[:, 0]
    for rounds in (0, 1, 3):
        (found,) = Believer(net, net, ["v3"], rounds).beliefs(codes, ["v1"])
        np.testing.assert_allclose(found, LoopyInference(net).query(seen, rounds=rounds)["v1"], atol=1e-12)
    # A tree: after enough rounds single beliefs are exact, and so is their product by the chain rule.
    joint = Believer(net, net, ["v3"], 3).joint(codes, ["v0", "v1"])
    np.testing.assert_allclose(joint, Inference(net).joint(seen, ["v0", "v1"]).reshape(2, 4), atol=1e-9)


def test_a_variable_that_the_world_model_lacks_has_the_uniform_belief():
    net = chain()
    small = WorldNet({"v3": (0, 1)}, {}, {"v3": [0.5, 0.5]})
    believer = Believer(small, net, ["v3"])
    lacking, known = believer.beliefs(np.array([[0], [1], [-1]]), ["v1", "v3"])
    np.testing.assert_array_equal(lacking, np.full((3, 2), 0.5))
    np.testing.assert_allclose(known, [[1, 0], [0, 1], [0.5, 0.5]])
    assert not believer.knows(["v1"])
    with pytest.raises(TrainingError, match="'v1': the world-model lacks a variable"):
        believer.joint(np.array([[0]]), ["v3", "v1"])


def test_other_states_and_missing_evidence_are_refused():
    net = chain()
    other = WorldNet({"v3": ("x", "y"), "v0": (0, 1)}, {}, {"v3": [0.5, 0.5], "v0": [0.5, 0.5]})
    with pytest.raises(TrainingError, match="other states for a variable"):
        Believer(other, net, ["v3"])
    with pytest.raises(TrainingError, match="other states for a variable"):
        Believer(other, net, ["v0"]).beliefs(np.array([[0]]), ["v3"])
    with pytest.raises(TrainingError, match="unknown variable"):
        Believer(other, net, ["v1"])
