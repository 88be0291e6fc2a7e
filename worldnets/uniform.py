"""Uniform numbers for rows: row i of seed s has the same numbers whoever asks for it, alone or among others.

The finaliser of `worldnets.inference.random` on NumPy arrays: it needs no compiler, and takes 20 ns a number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
# Sampling from nets mixes seeds and rows alike: the same seed must not give the same numbers here.
_DOMAIN = np.frombuffer(b"uniform.", dtype="<u8").astype(np.uint64)[None]


def uniform(seed: int, first: int, rows: int, columns: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), [rows, columns]; entry (i, j) is a function of (seed, first + i, j) alone.

    Source: Steele, Lea & Flood 2014, "Fast Splittable Pseudorandom Number Generators", figure 17, on counters.
    """
    row = np.arange(first, first + rows, dtype=np.uint64)[:, None]
    column = np.arange(columns, dtype=np.uint64)[None, :]
    state = mixed(np.full((1, 1), np.uint64(seed)), _DOMAIN)
    words = mixed(mixed(state, row), column) >> np.uint64(11)
    return words.astype(np.float64) * 2.0**-53


def mixed(state: NDArray[np.uint64], word: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A word mixed into a state: 64 bits that look as if they had been drawn, a function of the two alone."""
    z = (state ^ word) + _STEP  # arrays of whole numbers wrap around without a warning, as they should here
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))
