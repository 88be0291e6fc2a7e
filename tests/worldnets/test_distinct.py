"""Equal rows, asked about once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from worldnets.distinct import distinct


def test_distinct_rows_come_back_from_their_places_however_wide_the_evidence():
    codes = np.random.default_rng(0).integers(-1, 3, size=(500, 60)).astype(np.int16)
    codes[250:] = codes[:250]
    unique, where = distinct(codes)
    assert len(unique) == 250
    np.testing.assert_array_equal(unique[where], codes)


@given(st.data())
def test_distinct_rows_are_those_of_a_set_sorted(data):
    kind = st.lists(
        st.sampled_from([-1, 0, 1, 2, 30_000]), min_size=(width := data.draw(st.integers(1, 9))), max_size=width
    )
    kinds = data.draw(st.lists(kind, min_size=1, max_size=5))
    codes = np.array([data.draw(st.sampled_from(kinds)) for _ in range(data.draw(st.integers(1, 15)))], dtype=np.int16)
    unique, where = distinct(codes)
    assert [tuple(row) for row in unique.tolist()] == sorted({tuple(row) for row in codes.tolist()})
    np.testing.assert_array_equal(unique[where], codes)


def test_no_rows_have_no_distinct_ones():
    unique, where = distinct(np.zeros((0, 3), np.int16))
    assert (len(unique), len(where)) == (0, 0)
