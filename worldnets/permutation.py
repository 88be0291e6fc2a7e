"""Random orders of n things that are never written down: the place of one thing is computed from its number.

So a clip is found by (seed, row) without a list of all clips, however many there are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.uniform import mixed

ROUNDS = 8
LEAST_HALF = 4  # bits: on fewer, so few rounds prefer some orders to others
# Sampling and uniform numbers mix seeds and rows alike: the same seed must not give the same words here.
_DOMAIN = np.frombuffer(b"permuted", dtype="<u8").astype(np.uint64)

Words = NDArray[np.uint64]


def permuted(index: ArrayLike, count: int, key: ArrayLike) -> NDArray[np.int64]:
    """The place of each index in an order of 0 … count − 1 that the key determines; a bijection for every key.

    A Feistel network on the smallest even number of bits that holds `count`, at least eight; what falls outside goes
    through again until it falls inside: beyond 64 things, less than four times on average.

    Args:
        index: 0 … count − 1, [n].
        count: how many things there are.
        key: which order; one for all, or one for each index. `key_of` makes one.

    Returns:
        int64 [n].

    Sources: Luby & Rackoff 1988 (the network is a permutation whatever its rounds do); Black & Rogaway 2002, section 4
    (going through again).
    """
    place = np.array(index, dtype=np.uint64, ndmin=1)
    keys = np.broadcast_to(np.asarray(key, dtype=np.uint64), place.shape)
    half = np.uint64(max(LEAST_HALF, ((count - 1).bit_length() + 1) // 2))
    outside = np.arange(len(place))
    while len(outside):
        place[outside] = _network(place[outside], keys[outside], half)
        outside = outside[place[outside] >= count]
    return place.astype(np.int64)


def key_of(seed: int, *tags: ArrayLike) -> Words:
    """A key for each use: the same seed and tags give the same key, different ones unrelated keys.

    Args:
        seed: any whole number ≥ 0 below 2**64.
        tags: whole numbers ≥ 0, or arrays of them of one length.

    Returns:
        uint64 [length of the tags], or [1].
    """
    key = mixed(np.full(1, seed, dtype=np.uint64), _DOMAIN)
    for tag in tags:
        key = mixed(key, np.atleast_1d(np.asarray(tag, dtype=np.uint64)))
    return key


def _network(words: Words, keys: Words, half: np.uint64) -> Words:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = words >> half, words & mask
    for turn in range(ROUNDS):
        turned = mixed(mixed(keys, np.full(1, turn, dtype=np.uint64)), right) & mask
        left, right = right, left ^ turned
    return left << half | right
