from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldnets.permutation import key_of, permuted


@given(st.integers(1, 3000), st.integers(0, 2**62))
def test_every_place_is_taken_once(count, seed):
    assert np.array_equal(np.sort(permuted(np.arange(count), count, key_of(seed))), np.arange(count))


@settings(max_examples=25)
@given(st.integers(2, 500), st.integers(0, 2**62))
def test_the_place_of_one_does_not_depend_on_who_else_is_asked_about(count, seed):
    key = key_of(seed, 3)
    whole = permuted(np.arange(count), count, key)
    assert permuted([count // 2], count, key) == whole[count // 2]
    assert np.array_equal(permuted(np.arange(count)[::-1], count, key), whole[::-1])


@pytest.mark.parametrize("count", [3, 4, 5])
def test_all_orders_are_equally_likely(count):
    kinds = list(permutations(range(count)))
    draws = 300 * len(kinds)
    keys = np.repeat(key_of(0, np.arange(draws)), count)
    orders = permuted(np.tile(np.arange(count), draws), count, keys).reshape(draws, count)
    counted = Counter(map(tuple, orders.tolist()))
    surprise = sum((counted[kind] - 300) ** 2 / 300 for kind in kinds)
    freedom = len(kinds) - 1
    assert surprise < freedom + 4 * (2 * freedom) ** 0.5


def test_keys_of_other_seeds_and_uses_are_unrelated():
    keys = [int(key_of(seed, *tags)[0]) for seed in range(20) for tags in ((), (0,), (1,), (0, 0), (0, 1))]
    assert len(set(keys)) == len(keys)
    agree = [bin(a ^ b).count("1") for a in keys[:30] for b in keys[30:60]]
    assert 31 < np.mean(agree) < 33
