"""Equal rows of a code array, asked about once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distinct(codes: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
    """The distinct rows of a code array, sorted, and for each row which of them it is."""
    codes = np.asarray(codes, dtype=np.int16)
    varies = np.flatnonzero((codes != codes[:1]).any(0)) if len(codes) else np.zeros(0, dtype=np.int64)
    words, word, room = [], np.zeros(len(codes), dtype=np.uint64), 1
    for column in varies:
        size = int(codes[:, column].max()) + 2
        if room * size >= 2**63:
            words.append(word)
            word, room = np.zeros(len(codes), dtype=np.uint64), 1
        word = word * np.uint64(size) + (codes[:, column].astype(np.int64) + 1).astype(np.uint64)
        room *= size
    words.append(word)
    if len(words) == 1:
        _, first, inverse = np.unique(word, return_index=True, return_inverse=True)
    else:
        order = np.lexsort(words[::-1])
        begins = np.zeros(len(codes), dtype=np.bool_)  # the first of its kind, in that order
        begins[0] = True
        for word in words:
            begins[1:] |= np.diff(word[order]) != 0
        first, inverse = order[begins], np.empty(len(codes), dtype=np.int64)
        inverse[order] = np.cumsum(begins) - 1
    return codes[first], inverse.reshape(-1)
