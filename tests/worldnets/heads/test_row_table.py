"""Answers kept by evidence."""

import numpy as np
import pytest

from worldnets.heads import row_table
from worldnets.heads.row_table import RowTable

ROWS = np.array([[0, 1], [-1, 2], [0, 1], [1, 0], [1, -1]], dtype=np.int16)


@pytest.fixture(params=["kept", "latest"])
def table(request, monkeypatch):
    """A table of sums and differences, and the list of what it computed afresh."""
    if request.param == "latest":
        monkeypatch.setattr(row_table, "TABLE_CELLS", 0)
    asked = []

    def answer(rows):
        asked.extend(map(tuple, rows.tolist()))
        return np.stack([rows.sum(1), rows[:, 0] - rows[:, 1]], axis=1).astype(float)

    return RowTable([2, 3], 2, answer), asked


def test_answers_are_those_of_the_function_row_by_row(table):
    answers, _ = table
    expected = np.stack([ROWS.sum(1), ROWS[:, 0] - ROWS[:, 1]], axis=1)
    for _ in range(2):
        assert np.array_equal(answers(ROWS), expected)
    assert np.array_equal(answers(ROWS[1:2]), expected[1:2])


def test_a_row_is_computed_once_however_often_it_stands_there_or_is_asked_for_again(table):
    answers, asked = table
    answers(ROWS)
    answers(ROWS.copy())
    assert sorted(asked) == [(-1, 2), (0, 1), (1, -1), (1, 0)]


def test_rows_known_from_before_are_not_computed_again_while_the_table_holds_them():
    asked = []
    answers = RowTable([2, 3], 1, lambda rows: (asked.append(len(rows)), rows[:, :1].astype(float))[1])
    for rows in (ROWS[:2], ROWS, ROWS[3:]):
        answers(rows)
    assert asked == [2, 2]
