"""Rows over threads: every row once, slices at multiples of the step, errors heard, memory aligned."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldnets.inference.workers import CACHE_LINE, over_rows, working_memory


@given(st.integers(1, 4), st.integers(0, 300), st.integers(1, 100), st.sampled_from((1, 8, 64)))
def test_every_row_is_taken_once_in_slices_that_begin_at_multiples_of_the_step(threads, rows, per_call, step):
    taken, lock = [], threading.Lock()

    def work(first, last):
        with lock:
            taken.append((first, last))

    over_rows(threads, rows, per_call, step, work)
    taken.sort()
    assert [first for first, _ in taken] == [0, *(last for _, last in taken)][: len(taken)]
    assert (taken[-1][1] if taken else 0) == rows
    assert all(first % step == 0 for first, _ in taken)
    assert all(last - first <= max(step, per_call) for first, last in taken)


@pytest.mark.parametrize("bad", [0, 5])
def test_an_error_in_any_thread_reaches_the_caller(bad):
    def work(first, last):
        if first == bad:
            raise ValueError(first)

    with pytest.raises(ValueError, match=str(bad)):
        over_rows(2, 10, 1, 1, work)


def test_after_an_error_no_other_slice_is_begun():
    begun = []

    def work(first, last):
        begun.append(first)
        if first == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        over_rows(1, 100, 1, 1, work)
    assert begun == [0, 1, 2, 3]
    begun.clear()
    with pytest.raises(KeyboardInterrupt):
        over_rows(2, 10_000, 1, 1, work)
    assert len(begun) < 10_000


def test_working_memory_lies_on_cache_lines_and_is_used_again():
    one = working_memory(1000, np.float64)
    assert one.ctypes.data % CACHE_LINE == 0
    assert len(one) == 1000
    again = working_memory(500, np.float32)
    assert again.ctypes.data == one.ctypes.data
    other = []
    thread = threading.Thread(target=lambda: other.append(working_memory(10, np.float64).ctypes.data))
    thread.start()
    thread.join()
    assert other[0] != one.ctypes.data
