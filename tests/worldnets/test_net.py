"""WorldNet and FactorNet: what is accepted, what is refused and how, and the algebra of do()."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import factor_nets, joint, world_nets
from worldnets.errors import EvidenceError, NetError, QueryError
from worldnets.net import AXES_LIMIT, STATES_LIMIT, Factor, FactorNet, WorldNet

STATES = {"a": ("yes", "no"), "b": (0, 1, 2)}
PARENTS = {"b": ("a",)}
CPTS = {"a": np.array([0.3, 0.7]), "b": np.array([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])}


def net(states=STATES, parents=PARENTS, cpts=CPTS):
    return WorldNet(states, parents, cpts, "small")


def test_a_net_answers_for_its_parts():
    small = net()
    assert small.variables == ("a", "b")
    assert small.states["b"] == (0, 1, 2)
    assert small.parents("b") == ("a",)
    assert small.parents("a") == ()
    assert small.children("a") == ("b",)
    assert small.cpt("b").shape == (2, 3)
    assert small.order == ("a", "b")
    assert small.cardinalities.tolist() == [2, 3]
    assert small.ancestors(["b"]) == {"a", "b"}
    assert repr(small) == "WorldNet('small', 2 variables, 1 arrows)"


def test_a_net_is_frozen():
    small = net()
    with pytest.raises(ValueError, match="read-only"):
        small.cpt("a")[0] = 1.0
    with pytest.raises(TypeError):
        small.states["c"] = ("x",)
    with pytest.raises(AttributeError):
        small.name = "other"
    given_table = np.array([0.3, 0.7])
    copied = net(cpts={**CPTS, "a": given_table})
    given_table[0] = 9
    assert copied.cpt("a")[0] == 0.3


def bad(**changes):
    return {"states": STATES, "parents": PARENTS, "cpts": CPTS, **changes}


@pytest.mark.parametrize(
    ("parts", "node", "what"),
    [
        (bad(parents={"a": ("b",), "b": ("a",)}), "a", "cycle"),
        (bad(parents={"b": ("b",)}), "b", "cycle"),
        (bad(parents={"b": ("c",)}), "b", "a parent is missing from the net; found 'c'"),
        (bad(parents={"b": ("a", "a")}), "b", "named twice"),
        (bad(cpts={"a": CPTS["a"]}), "b", "no table"),
        (bad(cpts={**CPTS, "c": CPTS["a"]}), None, "unknown variable; found 'c'"),
        (bad(cpts={**CPTS, "b": CPTS["b"].T}), "b", r"wrong shape; found \(3, 2\); expected \(2, 3\)"),
        (bad(cpts={**CPTS, "a": ["x", "y"]}), "a", "not an array of numbers"),
        (bad(cpts={**CPTS, "a": [[0.5], [0.5, 0.1]]}), "a", "not an array of numbers"),
        (bad(cpts={**CPTS, "a": [0.3, 0.6]}), "a", r"sum to 1; found 0.9; expected 1 within 1e-06"),
        (bad(cpts={**CPTS, "a": [1e308, 1.7e308]}), "a", "sum to 1; found inf"),
        (bad(cpts={**CPTS, "a": [1.5, -0.5]}), "a", "negative or non-finite probability; found -0.5"),
        (bad(cpts={**CPTS, "a": [np.nan, 1.0]}), "a", "negative or non-finite"),
        (bad(cpts={**CPTS, "a": [np.inf, 1.0]}), "a", "negative or non-finite"),
        (bad(states={**STATES, "a": ("yes", "yes")}), "a", "duplicate states; found 'yes'"),
        (bad(states={**STATES, "b": (0, 1, 1.0)}), "b", "duplicate states"),
        (bad(states={**STATES, "a": ()}), "a", "without states"),
        (bad(states={**STATES, "a": "yes"}), "a", "one text"),
        (bad(states={**STATES, "a": ("yes", None)}), "a", "means no observation"),
        (bad(states={**STATES, "a": ("yes", float("nan"))}), "a", "means no observation"),
        (bad(states={**STATES, "a": ("yes", [])}), "a", "not hashable"),
        (bad(states={**STATES, "a": range(STATES_LIMIT + 1)}), "a", "too many states"),
        (bad(states={}, parents={}, cpts={}), None, "without variables"),
        (bad(states={"": ("x",)}, parents={}, cpts={}), None, "not a text"),
        (bad(states={1: ("x",)}, parents={}, cpts={}), None, "not a text"),
    ],
)
def test_what_is_no_net_is_refused_and_the_node_named(parts, node, what):
    with pytest.raises(NetError, match=what) as caught:
        net(**parts)
    assert caught.value.node == node
    assert caught.value.mend


def test_a_bad_row_is_named_by_its_parents_states():
    for row in ([0.2, 0.3, 0.4], [np.nan, 0.5, 0.5]):
        with pytest.raises(NetError) as caught:
            net(cpts={**CPTS, "b": np.array([CPTS["b"][0], row])})
        assert caught.value.row == "(a=no)"


def test_a_table_with_more_axes_than_an_array_can_have_is_refused():
    many = {f"p{i}": ("s",) for i in range(AXES_LIMIT)}
    tables = {v: [1.0] for v in many}
    with pytest.raises(NetError, match="too many parents"):
        WorldNet({**many, "c": ("s",)}, {"c": tuple(many)}, {**tables, "c": [1.0]})
    with pytest.raises(NetError, match="too many variables"):
        FactorNet({**many, "c": ("s",)}, (Factor((*many, "c"), np.ones(1)),))


def test_a_cycle_of_a_hundred_thousand_arrows_is_found_at_once_and_shown_short():
    n = 100_000
    with pytest.raises(NetError, match="cycle") as caught:
        WorldNet({str(i): ("s",) for i in range(n)}, {str(i): (str((i + 1) % n),) for i in range(n)}, {})
    assert len(str(caught.value)) < 400


def test_rows_within_tolerance_are_renormalised_and_exact_rows_keep_their_bits():
    small = net(cpts={**CPTS, "a": [0.3000002, 0.7]})
    assert small.cpt("a").sum() == pytest.approx(1.0, abs=1e-15)
    exact = np.array([0.1, 0.2, 0.7])
    again = WorldNet({"v": ("x", "y", "z")}, {}, {"v": exact})
    np.testing.assert_array_equal(again.cpt("v"), exact)


@given(world_nets())
@settings(max_examples=50, deadline=None)
def test_rebuilding_a_net_from_its_own_tables_changes_no_bit(world):
    again = WorldNet(world.states, world.parent_sets, world.cpts)
    build, arguments = world.__reduce__()
    for other in (again, build(*arguments)):
        assert all(np.array_equal(other.cpt(v), world.cpt(v)) for v in world.variables)


def test_states_match_by_value_and_never_by_spelling():
    small = net()
    assert small.code("b", 1) == small.code("b", 1.0) == small.code("b", np.int64(1)) == 1
    for label in ("1", 3, None, []):
        with pytest.raises(EvidenceError, match="unknown state") as caught:
            small.code("b", label)
        assert caught.value.node == "b"


def test_an_unknown_variable_is_a_question_error_and_suggests_the_nearest():
    wide = WorldNet({"HRBP": ("x",)}, {}, {"HRBP": [1.0]})
    for question in (wide.cpt, wide.parents, wide.children, lambda v: wide.ancestors([v])):
        with pytest.raises(QueryError, match="did you mean 'HRBP'"):
            question("HRPB")


@given(world_nets(max_variables=6), st.data())
@settings(max_examples=60, deadline=None)
def test_do_is_the_truncated_factorisation(world, data):
    v = data.draw(st.sampled_from(world.variables))
    k = data.draw(st.integers(0, len(world.states[v]) - 1))
    forced = world.do({v: world.states[v][k]})
    truncated = np.ones(tuple(world.cardinalities))
    for u in world.variables:
        if u != v:
            others = WorldNet(
                world.states,
                world.parent_sets,
                {**world.cpts, **{w: _flat(world, w) for w in world.variables if w != u}},
            )
            scale = np.prod([len(world.states[w]) for w in world.variables if w != u])
            truncated = truncated * joint(others) * scale
    keep = np.zeros(len(world.states[v]))
    keep[k] = 1
    truncated *= keep.reshape([-1 if i == world.index[v] else 1 for i in range(truncated.ndim)])
    np.testing.assert_allclose(joint(forced), truncated, atol=1e-12)
    assert forced.parents(v) == ()


def _flat(world, v):
    return np.full(world.cpt(v).shape, 1 / len(world.states[v]))


def test_do_refuses_unknown_variables_and_states():
    with pytest.raises(EvidenceError, match="unknown variable"):
        net().do({"c": 1})
    with pytest.raises(EvidenceError, match="unknown state"):
        net().do({"b": "1"})


@given(world_nets(max_variables=6))
@settings(max_examples=60, deadline=None)
def test_the_joint_sums_to_one_and_a_subnet_is_its_margin(world):
    table = joint(world)
    assert table.sum() == pytest.approx(1.0, abs=1e-9)
    kept = world.subnet([world.variables[0]])
    away = tuple(i for i, v in enumerate(world.variables) if v not in kept.states)
    np.testing.assert_allclose(joint(kept), table.sum(axis=away), atol=1e-12)


@given(world_nets())
@settings(max_examples=30, deadline=None)
def test_a_net_goes_to_networkx_and_back_unchanged(world):
    again = WorldNet.from_networkx(world.to_networkx())
    assert again.states == world.states
    assert again.parent_sets == world.parent_sets
    np.testing.assert_allclose(joint(again), joint(world), atol=0)


def test_a_graph_whose_arrows_changed_behind_its_tables_is_refused():
    graph = net().to_networkx()
    graph.remove_edge("a", "b")
    with pytest.raises(NetError, match="parents and arrows disagree"):
        WorldNet.from_networkx(graph)
    del graph.nodes["a"]["cpt"]
    with pytest.raises(NetError, match="no 'cpt'"):
        WorldNet.from_networkx(graph)


def test_a_net_goes_to_pgmpy_and_back_unchanged():
    again = WorldNet.from_pgmpy(net().to_pgmpy())
    assert again.states == net().states
    assert again.parent_sets == net().parent_sets
    np.testing.assert_array_equal(joint(again), joint(net()))


def test_parent_states_that_pgmpy_lists_in_another_order_are_put_right():
    discrete = pytest.importorskip("pgmpy.factors.discrete")
    models = pytest.importorskip("pgmpy.models")
    model = models.DiscreteBayesianNetwork([("a", "b")])
    model.add_cpds(
        discrete.TabularCPD("a", 2, [[0.3], [0.7]], state_names={"a": ["yes", "no"]}),
        discrete.TabularCPD(
            "b",
            2,
            [[0.9, 0.2], [0.1, 0.8]],
            evidence=["a"],
            evidence_card=[2],
            state_names={"b": ["x", "y"], "a": ["no", "yes"]},
        ),
    )
    np.testing.assert_allclose(WorldNet.from_pgmpy(model).cpt("b"), [[0.2, 0.8], [0.9, 0.1]])


@given(factor_nets())
@settings(max_examples=40, deadline=None)
def test_a_factor_net_keeps_its_factors(world):
    build, arguments = world.__reduce__()
    np.testing.assert_array_equal(joint(build(*arguments)), joint(world))
    assert set(world.graph.nodes) == set(world.variables)


@pytest.mark.parametrize(
    ("factor", "what"),
    [
        (Factor(("a", "z"), np.ones((2, 2))), "unknown variable"),
        (Factor(("a", "a"), np.ones((2, 2))), "stands twice"),
        (Factor(("a",), np.ones(3)), "wrong shape"),
        (Factor(("a",), np.array([1.0, -1.0])), "negative or non-finite"),
        (Factor(("a",), np.array([1.0, np.nan])), "negative or non-finite"),
    ],
)
def test_a_bad_factor_is_refused_and_named(factor, what):
    with pytest.raises(NetError, match=what) as caught:
        FactorNet(STATES, (Factor(("b",), np.ones(3)), factor))
    assert "factor 1" in caught.value.node


@pytest.mark.parametrize("states", [2, 3, 6, 7, 30])
def test_rows_printed_with_six_decimals_are_distributions(states):
    printed = np.full(states, round(1 / states, 6))
    net = WorldNet({"a": tuple(range(states))}, {}, {"a": printed})
    assert net.cpt("a").sum() == pytest.approx(1, abs=1e-15)
    printed[0] += 1e-6 * states
    with pytest.raises(NetError, match="does not sum to 1"):
        WorldNet({"a": tuple(range(states))}, {}, {"a": printed + 1e-6})


def test_a_table_keeps_its_bits_whatever_its_order_in_memory():
    table = np.random.default_rng(3).dirichlet(np.ones(9), size=(4, 5))
    states = {"a": range(4), "b": range(5), "c": range(9)}
    uniform = {"a": np.full(4, 1 / 4), "b": np.full(5, 1 / 5)}
    plain = WorldNet(states, {"c": ("a", "b")}, {**uniform, "c": table})
    turned = WorldNet(states, {"c": ("a", "b")}, {**uniform, "c": np.asfortranarray(table)})
    assert plain.cpt("c").tobytes() == turned.cpt("c").tobytes() == table.tobytes()
    assert turned.cpt("c").flags.c_contiguous
