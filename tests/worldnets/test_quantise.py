import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worldnets.errors import DatasetError
from worldnets.quantise import coded, level_labels, level_of, thresholds

NUMBERS = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6))


def column(values, name="x", index=None):
    return pd.Series(values, name=name, index=index)


def every(values):
    return np.ones(len(values), dtype=bool)


@given(NUMBERS, st.integers(2, 9))
def test_levels_rise_with_the_numbers_and_none_is_empty(values, levels):
    cuts = thresholds(values, levels)
    assert np.all(np.diff(cuts) > 0)
    assert len(cuts) <= levels - 1
    assert (len(cuts) == 0) == (values.min() == values.max())
    found = level_of(values, cuts)
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(found[order]) >= 0)
    if len(cuts):
        assert found.min() == 0
        assert found.max() == len(cuts)
        assert len(set(level_labels(cuts))) == len(cuts) + 1


def test_two_levels_are_cut_at_the_median_and_equal_numbers_stay_together():
    assert thresholds(np.array([1.0, 2, 3, 10]), 2).tolist() == [2.5]
    assert level_of(np.array([1.0, 2.5, 2.6]), np.array([2.5])).tolist() == [0, 0, 1]
    assert np.bincount(level_of(np.arange(100.0), thresholds(np.arange(100.0), 4))).tolist() == [25] * 4


def test_numbers_that_are_mostly_the_largest_are_cut_below_it():
    assert thresholds(np.array([255.0] * 9 + [17.0]), 2).tolist() == [17.0]


def test_labels_of_levels_can_be_read():
    assert level_labels(np.array([3.0])) == ("≤ 3", "> 3")
    assert level_labels(np.array([0.12345, 0.12346, 7])) == ("≤ 0.12345", "0.12345 … 0.12346", "0.12346 … 7", "> 7")


def test_only_training_rows_decide_where_to_cut():
    values = np.concatenate([np.arange(10.0), np.full(10, 1000.0)])
    training = np.arange(20) < 10
    assert coded(column(values), training, levels=2).states == ("≤ 4.5", "> 4.5")


def test_labels_are_numbered_in_their_order():
    found = coded(column(["b", "a", "c", "a"]), every("abca"))
    assert found.states == ("a", "b", "c")
    assert found.codes.tolist() == [1, 0, 2, 0]
    assert coded(column([True, False]), every("ab")).states == (False, True)
    assert coded(column([2.0, 1.0, 2.0]), every("abc")).states == (1, 2)
    given_states = coded(column(["b", "a"]), every("ab"), states=["b", "a", "never"])
    assert given_states.states == ("b", "a", "never")
    assert given_states.codes.tolist() == [0, 1]
    category = column(pd.Categorical(["y", "x"], categories=["z", "y", "x"]))
    assert coded(category, every("ab")).states == ("z", "y", "x")


def test_what_is_missing_is_refused_or_a_state_or_left_to_be_dropped():
    values = column(["a", None, "b"], index=["r1", "r2", "r3"])
    with pytest.raises(DatasetError, match=r"node 'x', row r2: a missing entry; found 1 of 3.*missing=\"drop\""):
        coded(values, every("abc"))
    found = coded(values, every("abc"), missing="state")
    assert found.states == ("a", "b", "missing")
    assert found.codes.tolist() == [0, 2, 1]
    assert coded(values, every("abc"), missing="drop").codes.tolist() == [0, -1, 1]
    numbers = column([1.5, np.nan, 2.5, 3.5])
    assert coded(numbers, every("abcd"), levels=2, missing="state").codes.tolist() == [0, 2, 0, 1]
    with pytest.raises(DatasetError, match="the state for what is missing is taken"):
        coded(column(["missing", None, "b"]), every("abc"), missing="state")


@pytest.mark.parametrize(
    ("values", "options", "said"),
    [
        ([None, None], {}, "a column all missing"),
        ([np.nan, np.nan], {"missing": "drop"}, "a column all missing"),
        (["a", "a"], {}, "a column with one state; found 'a'"),
        ([1.5, 1.5], {"levels": 2}, "a column with one state"),
        ([1.5, 2.0], {}, r"row 0: numbers that are no categories; found 1.5.*quantise={'x': 4}"),
        ([1.0, np.inf], {"levels": 2}, "row 1: a number that is not finite"),
        (["a", "b"], {"levels": 2}, "levels of what are no numbers"),
        ([True, False], {"levels": 2}, "levels of what are no numbers"),
        (["1", "2", "x"], {}, r"row 2: texts and numbers in one column; found 'x' beside '1'"),
        ([1, "one"], {}, "texts and numbers in one column; found 'one' beside 1"),
        ([["a"], ["b"]], {}, "a label is not hashable"),
        ([pd.Timestamp(0), pd.Timestamp(1)], {}, "a label that a file cannot hold"),
        (list(range(100)), {}, r"too many different labels; found 100; expected at most 64"),
        (["a", "z"], {"states": ["a", "b"]}, r"row 1: unknown state; found 'z'; expected one of \['a', 'b'\]"),
        (["a", "b"], {"states": ["a", "b", "a"]}, "a state stands twice"),
    ],
)
def test_a_column_that_makes_no_states_is_refused(values, options, said):
    with pytest.raises(DatasetError, match=said) as caught:
        coded(column(values), every(values), **options)
    assert caught.value.node == "x"
    assert caught.value.mend


def test_levels_without_a_training_row_are_refused():
    with pytest.raises(DatasetError, match="no training clip has this number"):
        coded(column([1.0, 2.0]), np.zeros(2, dtype=bool), levels=2)
