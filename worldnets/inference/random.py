"""Counter-based uniform numbers: the same (seed, row, draw, place) gives the same bits, whatever runs beside it.

Source: the finaliser of SplitMix64 (Steele, Lea & Flood 2014, "Fast Splittable Pseudorandom Number Generators",
figure 17), applied to a counter.
"""

from __future__ import annotations

import numpy as np

from worldnets.inference.compiled import compiled

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2**-53


@compiled
def mix(state, word):  # type: ignore[no-untyped-def]
    """Fold a word into a 64-bit state."""
    z = (state ^ np.uint64(word)) + _STEP
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


@compiled
def uniform(state, word):  # type: ignore[no-untyped-def]
    """A number in [0, 1) with 53 random bits."""
    return np.float64(mix(state, word) >> np.uint64(11)) * _TO_UNIT
