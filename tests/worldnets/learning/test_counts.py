"""Tables counted from complete rows: exact, smoothed as asked, and continued."""

import math

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import world_nets
from tests.worldnets.learning.oracle import brute_bits
from worldnets import load_dataset
from worldnets.errors import CapacityError, LearningError, NetError
from worldnets.inference import decode, simulate
from worldnets.learning import Prior, Rows, dirichlet, held_out_bits, maximum_likelihood

TABLE = pd.DataFrame({"a": ["x", "x", "y", "x"], "b": ["u", "v", "u", "u"]})
ARROW = {"b": ["a"]}


def test_tables_are_the_frequencies_and_bits_are_the_entropy():
    learned = maximum_likelihood(TABLE, ARROW)
    np.testing.assert_array_equal(learned.net.cpt("a"), [0.75, 0.25])
    np.testing.assert_allclose(learned.net.cpt("b"), [[2 / 3, 1 / 3], [1, 0]])
    assert learned.bits == pytest.approx(brute_bits(learned.net, Rows.from_labels(TABLE).codes).mean())
    assert learned.rows == 4


def test_pseudocounts_are_added_to_every_entry_or_shared_out_over_the_table():
    one = dirichlet(TABLE, ARROW, pseudocount=1)
    np.testing.assert_allclose(one.net.cpt("b"), [[3 / 5, 2 / 5], [2 / 3, 1 / 3]])
    shared = dirichlet(TABLE, ARROW, equivalent_sample_size=8)
    np.testing.assert_allclose(shared.net.cpt("a"), [7 / 12, 5 / 12])
    np.testing.assert_allclose(shared.net.cpt("b"), [[4 / 7, 3 / 7], [3 / 5, 2 / 5]])
    default = dirichlet(TABLE, ARROW)
    np.testing.assert_array_equal(default.net.cpt("b"), dirichlet(TABLE, ARROW, equivalent_sample_size=1).net.cpt("b"))
    assert "pseudocount 1" in one.method


def test_without_a_prior_smoothed_counts_are_maximum_likelihood():
    smoothed, plain = dirichlet(TABLE, ARROW, pseudocount=0), maximum_likelihood(TABLE, ARROW)
    np.testing.assert_array_equal(smoothed.net.cpt("b"), plain.net.cpt("b"))


def test_nets_with_the_same_independences_get_the_same_bits_from_bdeu_counts():
    # One table's prior is the marginal of the other's: the joint distribution does not depend on the arrow.
    there = dirichlet(TABLE, {"b": ["a"]}, equivalent_sample_size=3)
    back = dirichlet(TABLE, {"a": ["b"]}, equivalent_sample_size=3)
    assert there.bits == pytest.approx(back.bits, rel=1e-12)


def test_distributions_that_were_never_counted_are_uniform_and_states_that_were_not_have_zero():
    learned = maximum_likelihood(TABLE, ARROW, states={"a": ("x", "y", "z"), "b": ("u", "v", "w", "t")})
    np.testing.assert_array_equal(learned.net.cpt("a"), [0.75, 0.25, 0])
    np.testing.assert_array_equal(learned.net.cpt("b")[2], [0.25] * 4)
    np.testing.assert_array_equal(learned.net.cpt("b")[1], [1, 0, 0, 0])


def test_columns_with_the_same_content_are_no_trouble():
    table = TABLE.assign(c=TABLE["b"])
    learned = maximum_likelihood(table, {"c": ["b"]})
    np.testing.assert_array_equal(learned.net.cpt("c"), np.eye(2))


def test_weights_count_as_repeated_rows():
    weighted = maximum_likelihood(TABLE, ARROW, weights=[1, 2, 0, 3])
    repeated = maximum_likelihood(TABLE.loc[[0, 1, 1, 3, 3, 3]], ARROW, states={"a": ("x", "y"), "b": ("u", "v")})
    for v in "ab":
        np.testing.assert_array_equal(weighted.net.cpt(v), repeated.net.cpt(v))
    assert weighted.bits == repeated.bits


@given(world_nets(max_variables=6, max_cardinality=4), st.integers(0, 2**20), st.integers(1, 29), st.booleans())
def test_an_update_gives_to_the_last_bit_what_all_rows_at_once_give(net, seed, cut, smooth):
    rows = Rows(net.states, simulate(net, 30, seed))
    learn = (
        (lambda some: dirichlet(some, net, pseudocount=0.3)) if smooth else (lambda some: maximum_likelihood(some, net))
    )
    parts = rows.take(slice(0, max(2, cut))), rows.take(slice(max(2, cut), 30))
    together, updated = learn(rows), learn(parts[0]).update(parts[1])
    for v in net.variables:
        np.testing.assert_array_equal(together.net.cpt(v), updated.net.cpt(v))
        np.testing.assert_array_equal(together.statistics["counts"][v], updated.statistics["counts"][v])
    assert (together.bits, together.rows) == (updated.bits, updated.rows)


@given(world_nets(max_variables=5, max_cardinality=3), st.integers(0, 2**20))
def test_no_other_tables_make_the_rows_more_probable(net, seed):
    rows = Rows(net.states, simulate(net, 40, seed))
    learned = maximum_likelihood(rows, net)
    assert learned.bits == pytest.approx(brute_bits(learned.net, rows.codes).mean(), abs=1e-9)
    assert learned.bits <= brute_bits(net, rows.codes).mean() + 1e-9
    assert learned.bits <= dirichlet(rows, net).bits + 1e-9


def test_the_structure_may_be_a_mapping_a_graph_or_a_net():
    graph = nx.DiGraph([("a", "b")])
    mapped = maximum_likelihood(TABLE, ARROW)
    for structure in (graph, mapped.net, nx.DiGraph(graph)):
        np.testing.assert_array_equal(maximum_likelihood(TABLE, structure).net.cpt("b"), mapped.net.cpt("b"))


def test_a_net_for_a_structure_gives_its_states_and_the_order_of_variables():
    net = maximum_likelihood(TABLE, ARROW, states={"a": ("y", "x", "z"), "b": ("v", "u")}).net
    learned = maximum_likelihood(TABLE[["b", "a"]], net)
    assert learned.net.variables == ("a", "b")
    assert learned.net.states == net.states


BAD = [
    ({"b": ["a"], "a": ["b"]}, NetError, "cycle"),
    ({"b": ["b"]}, NetError, "cycle"),
    ({"b": ["a", "a"]}, NetError, "named twice"),
    ({"b": ["q"]}, LearningError, "found 'q'"),
    ({"q": []}, LearningError, "found 'q'"),
    ({"b": "a"}, LearningError, "one text"),
    ([("a", "b")], LearningError, "no known kind; found list"),
]


@pytest.mark.parametrize(("structure", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_structures_that_are_none_are_refused(structure, error, message):
    with pytest.raises(error, match=message) as caught:
        maximum_likelihood(TABLE, structure)
    assert caught.value.mend


def test_a_net_and_rows_that_do_not_share_their_variables_are_refused():
    net = maximum_likelihood(TABLE, ARROW).net
    with pytest.raises(LearningError, match="lacks a column's variable; found 'c'"):
        maximum_likelihood(TABLE.assign(c="x"), net)
    with pytest.raises(LearningError, match=r"without a column; found 'b'.*expectation_maximisation"):
        maximum_likelihood(TABLE[["a"]], net)


def test_one_row_and_missing_entries_are_refused_but_an_update_by_one_row_is_not():
    with pytest.raises(LearningError, match="too few rows"):
        maximum_likelihood(TABLE[:1], ARROW)
    with pytest.raises(LearningError, match="node 'b', row 1: a missing entry"):
        maximum_likelihood(TABLE.assign(b=["u", None, "v", "u"]), ARROW)
    learned = maximum_likelihood(TABLE, ARROW)
    assert learned.update(TABLE[:1]).rows == 5
    with pytest.raises(LearningError, match="node 'b': a column is missing"):
        learned.update(TABLE[["a"]])
    with pytest.raises(LearningError, match="a missing entry"):
        learned.update(pd.DataFrame({"a": ["x", "x"], "b": ["u", None]}))


def test_tables_that_would_not_fit_are_refused_before_anything_is_counted():
    states = {f"v{i}": tuple(range(100)) for i in range(6)}
    rows = Rows(states, np.zeros((2, 6), np.int16))
    with pytest.raises(CapacityError, match=r"node 'v5': tables that would not fit; found 1e\+12"):
        maximum_likelihood(rows, {"v5": [f"v{i}" for i in range(5)]})


@pytest.mark.parametrize(
    "option", [{"pseudocount": -1}, {"pseudocount": math.nan}, {"equivalent_sample_size": math.inf}]
)
def test_priors_that_are_none_are_refused(option):
    with pytest.raises(LearningError, match="finite number ≥ 0"):
        dirichlet(TABLE, ARROW, **option)
    with pytest.raises(LearningError, match="two priors at once"):
        Prior(1, 1)


def test_alarm_from_20_000_rows_is_within_half_a_bit_of_the_truth():
    net = load_dataset("alarm").net
    train, test = (decode(net, simulate(net, rows, seed)) for rows, seed in ((20_000, 1), (5_000, 2)))
    learned = dirichlet(train, net, pseudocount=0.5, held_out=test)
    truth = held_out_bits(net, test)
    assert not learned.held_out.infinite
    assert 0 < learned.held_out.bits - truth.bits < 0.05
    assert maximum_likelihood(train, net, held_out=test).held_out.infinite
