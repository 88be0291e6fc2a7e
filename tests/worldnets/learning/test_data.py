"""Rows to learn from: what a table of labels becomes, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest

from worldnets.errors import EvidenceError, LearningError, NetError
from worldnets.learning import Rows
from worldnets.learning.data import as_rows
from worldnets.net import FactorNet


def frame(**columns):
    return pd.DataFrame(columns)


def test_states_are_learnt_sorted_and_codes_are_positions_in_them():
    rows = Rows.from_labels(frame(a=["y", "x", None, "y"], b=[10, 2, 2, 10]))
    assert dict(rows.states) == {"a": ("x", "y"), "b": (2, 10)}
    assert rows.codes.tolist() == [[1, 1], [0, 0], [-1, 0], [1, 1]]
    assert rows.codes.dtype == np.int16
    assert rows.total == 4
    assert not rows.complete


def test_categories_that_never_occur_are_states_and_keep_their_order():
    column = pd.Categorical(["lo", "hi"], categories=["hi", "mid", "lo"])
    assert Rows.from_labels(frame(a=column)).states["a"] == ("hi", "mid", "lo")


def test_a_boolean_column_has_two_states_even_where_one_occurs():
    for column in ([True, True], pd.array([True, None], dtype="boolean")):
        assert Rows.from_labels(frame(a=column)).states["a"] == (False, True)


def test_whole_numbers_that_a_missing_entry_made_floats_are_states():
    rows = Rows.from_labels(frame(a=[2.0, np.nan, 1.0]))
    assert rows.states["a"] == (1, 2)
    assert rows.codes[:, 0].tolist() == [1, -1, 0]


@pytest.mark.parametrize("number", [0.5, np.inf, -np.inf])
def test_numbers_that_are_no_categories_are_refused(number):
    with pytest.raises(LearningError, match=r"node 'a': numbers that are no categories.*bins"):
        Rows.from_labels(frame(a=[1.0, number]))


def test_numbers_that_are_named_as_labels_are_states():
    rows = Rows.from_labels(frame(a=[0.5, 1.5, 0.5]), {"a": (0.5, 1.5)})
    assert rows.codes[:, 0].tolist() == [0, 1, 0]


def test_texts_beside_numbers_are_states_in_a_fixed_order():
    rows = Rows.from_labels(frame(a=["x", 1, "x", 2]))
    assert rows.states["a"] == (1, 2, "x")


def test_given_states_may_name_variables_without_a_column():
    rows = Rows.from_labels(frame(a=["x"]), {"a": ("x", "y"), "latent": (0, 1)})
    assert dict(rows.states) == {"a": ("x", "y")}


def test_a_label_outside_the_given_states_is_refused_naming_row_and_column():
    with pytest.raises(EvidenceError, match=r"node 'a', row 7: unknown state; found 'z'.*states=\{'a'") as caught:
        Rows.from_labels(pd.DataFrame({"a": ["x", "z"]}, index=[3, 7]), {"a": ("x", "y")})
    assert caught.value.node == "a"


BAD_FRAMES = [
    (frame(a=[]), "no rows"),
    (pd.DataFrame(index=range(3)), "no variables"),
    (frame(a=["x", "y"], b=[None, None]), "node 'b': a column all missing"),
    (frame(a=["x", "y"], b=[np.nan, np.nan]), "node 'b': a column all missing"),
    (frame(a=pd.Categorical([None, None], categories=["x"])), "node 'a': a column all missing"),
    (pd.DataFrame([["x", "y"]], columns=["a", "a"]), "node 'a': a column stands twice"),
    (pd.DataFrame([["x", "y"]]), "a column's name is not a text; found 0"),
    (frame(a=[["x"], ["y"]]), "node 'a': a label is not hashable"),
    (np.zeros((2, 2)), "no table of labels; found ndarray"),
    (None, "no table of labels; found NoneType"),
]


@pytest.mark.parametrize(("bad", "message"), BAD_FRAMES, ids=[message for _, message in BAD_FRAMES])
def test_data_that_nothing_can_be_learned_from_are_refused(bad, message):
    with pytest.raises(LearningError, match=message) as caught:
        Rows.from_labels(bad)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "wrong shape"),
        ([1.0, -1.0], "row 1: a weight that is negative"),
        ([np.nan, 1.0], "row 0: a weight that is negative or not finite"),
        ([1.0, np.inf], "row 1: a weight that is negative or not finite"),
        ([0.0, 0.0], "all weights are zero"),
        (["x", "y"], "no numbers"),
    ],
)
def test_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(LearningError, match=message):
        Rows({"a": (0, 1)}, [[0], [1]], weights)


@pytest.mark.parametrize(
    ("codes", "error"),
    [([[2]], EvidenceError), ([[0, 1]], EvidenceError), ([[0.5]], EvidenceError), ([[-1], [-1]], LearningError)],
)
def test_codes_that_are_no_rows_are_refused(codes, error):
    with pytest.raises(error):
        Rows({"a": (0, 1)}, codes)


def test_states_that_no_net_could_have_are_refused():
    with pytest.raises(NetError, match="duplicate states"):
        Rows({"a": (0, 0)}, [[0]])


def test_rows_are_not_changed_by_what_they_were_made_of():
    codes, weights = np.zeros((2, 1), np.int16), np.ones(2)
    rows = Rows({"a": (0, 1)}, codes, weights)
    weights[0] = 5
    assert rows.total == 2
    with pytest.raises(ValueError, match="read-only"):
        rows.codes[0, 0] = 1


def test_too_few_rows_and_missing_entries_are_refused_where_it_matters():
    with pytest.raises(LearningError, match="too few rows; found 1; expected at least 2"):
        Rows({"a": (0, 1)}, [[0]]).require()
    with pytest.raises(LearningError, match=r"node 'b', row 1: a missing entry.*expectation_maximisation"):
        Rows({"a": (0, 1), "b": (0, 1)}, [[0, 1], [1, -1]]).require(complete=True)


def test_a_split_keeps_back_the_share_and_is_a_function_of_the_seed():
    rows = Rows({"a": tuple(range(100))}, np.arange(100)[:, None], np.arange(1, 101.0))
    one, other = rows.split(0.2, seed=3)
    assert (len(one), len(other)) == (80, 20)
    assert sorted([*one.codes[:, 0], *other.codes[:, 0]]) == list(range(100))
    np.testing.assert_array_equal(other.weights, other.codes[:, 0] + 1.0)
    np.testing.assert_array_equal(other.codes, rows.split(0.2, seed=3)[1].codes)
    assert other.codes.tolist() != rows.split(0.2, seed=4)[1].codes.tolist()


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, np.nan])
def test_a_share_outside_zero_to_one_is_refused(share):
    with pytest.raises(LearningError, match="between 0 and 1"):
        Rows({"a": (0, 1)}, [[0], [1]]).split(share)


def test_the_smallest_split_leaves_a_row_on_each_side():
    assert [len(part) for part in Rows({"a": (0, 1)}, [[0], [1]]).split(0.01)] == [1, 1]
    assert [len(part) for part in Rows({"a": (0, 1)}, [[0], [1]]).split(0.99)] == [1, 1]


def test_codes_follow_labels_into_a_net_that_orders_variables_and_states_otherwise():
    rows = Rows({"a": ("x", "y"), "b": ("u",)}, [[0, 0], [1, -1]])
    net = FactorNet({"c": ("0",), "b": ("v", "u"), "a": ("y", "z", "x")}, ())
    assert rows.codes_in(net).tolist() == [[-1, 1, 2], [-1, -1, 0]]
    assert rows.in_states({"b": ("v", "u"), "a": ("y", "x")}).codes.tolist() == [[1, 1], [-1, 0]]


def test_a_state_the_net_lacks_is_refused_only_where_a_row_shows_it():
    net = FactorNet({"a": ("x",)}, ())
    assert Rows({"a": ("x", "y")}, [[0], [0]]).codes_in(net).tolist() == [[0], [0]]
    rows = Rows({"a": ("x", "y")}, [[0], [1]])
    with pytest.raises(EvidenceError, match="node 'a', row 1: a state the model never saw; found 'y'"):
        rows.codes_in(net)
    assert rows.codes_in(net, unseen=True).tolist() == [[0], [-2]]


def test_a_variable_that_is_not_on_both_sides_is_refused():
    rows = Rows({"a": (0, 1)}, [[0]])
    with pytest.raises(EvidenceError, match="unknown variable; found 'a'"):
        rows.codes_in(FactorNet({"b": (0, 1)}, ()))
    with pytest.raises(LearningError, match="node 'b': a column is missing"):
        rows.in_states({"a": (0, 1), "b": (0, 1)})


def test_distinct_rows_stand_for_all_rows_with_their_weights():
    codes = np.array([[1, -1], [0, 2], [1, -1], [0, 1], [1, -1]])
    kinds, kind = Rows({"a": (0, 1), "b": (0, 1, 2)}, codes, [1, 2, 4, 8, 16]).distinct()
    np.testing.assert_array_equal(kinds.codes[kind], codes)
    assert len(kinds) == 3
    np.testing.assert_array_equal(kinds.weights[kind], [21, 2, 21, 8, 21])


def test_joined_rows_come_one_after_the_other_in_the_first_ones_states():
    one = Rows({"a": ("x", "y"), "b": (0, 1)}, [[0, 1]], [2.0])
    more = Rows({"b": (0, 1), "a": ("y", "x")}, [[0, 0]], [3.0])
    joined = one.joined(more)
    assert joined.codes.tolist() == [[0, 1], [1, 0]]
    assert joined.weights.tolist() == [2.0, 3.0]


def test_rows_given_as_rows_take_other_states_and_weights_where_these_are_given():
    rows = Rows({"a": ("x", "y")}, [[0], [1]])
    assert as_rows(rows) is rows
    assert as_rows(rows, {"a": ("z", "y", "x")}).codes.tolist() == [[2], [1]]
    assert as_rows(rows, weights=[1, 4]).total == 5


def test_labels_come_back_and_rows_travel_between_processes():
    table = frame(a=["y", "x", None], b=[1, 2, 1])
    rows = pickle.loads(pickle.dumps(Rows.from_labels(table, weights=[1, 2, 3])))
    back = rows.to_pandas()
    assert back["a"].astype(object).where(back["a"].notna(), None).tolist() == ["y", "x", None]
    assert back["b"].tolist() == [1, 2, 1]
    assert repr(rows) == "Rows(3 rows, 2 variables, 16.7% missing, weight 6)"
