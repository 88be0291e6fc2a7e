"""The compiled loops of `labels`: Arrow text and object addresses to state codes."""

from __future__ import annotations

import numpy as np

from worldnets.inference.codes import UNKNOWN, UNOBSERVED
from worldnets.inference.compiled import compiled

# For each byte of a validity mask: how many bits are set, and which. Counting them up costs one wrong guess a byte;
# asking every row whether it is missing costs one in every third row of a random mask.
_SET_BITS = np.array([bin(byte).count("1") for byte in range(256)], dtype=np.uint8)
_PLACES = np.zeros((256, 8), dtype=np.uint8)
for _byte in range(256):
    _PLACES[_byte, : _SET_BITS[_byte]] = [bit for bit in range(8) if _byte >> bit & 1]


@compiled
def match_text(validity, ends, words, offset, keys, lengths, starts, letters, states, codes):  # type: ignore[no-untyped-def]
    """Codes of Arrow text: row r is the bytes `ends[r]` to `ends[r + 1]`, missing if its bit in `validity` is unset.

    A text is told by its length and its first eight bytes as one number, read from `words`, the bytes as 64-bit numbers
    (little-endian, at least one word to spare); longer ones are compared to their end.

    Args:
        validity: bits, the first row's at `offset`; empty if nothing is missing.
        keys, lengths: of the labels, no two alike in both.
        starts, letters: the labels' bytes, `letters[starts[k] : starts[k + 1]]`.
        states: the labels' codes.
    """
    if validity.size == 0:
        for r in range(codes.size):
            codes[r] = _state(ends, words, r, keys, lengths, starts, letters, states)
        return
    for r in range(codes.size):
        codes[r] = UNOBSERVED
    for byte in range(offset >> 3, (offset + codes.size + 7) >> 3):
        bits = validity[byte]
        for place in range(_SET_BITS[bits]):
            r = (byte << 3) + _PLACES[bits, place] - offset
            if 0 <= r < codes.size:
                codes[r] = _state(ends, words, r, keys, lengths, starts, letters, states)


@compiled
def _state(ends, words, r, keys, lengths, starts, letters, states):  # type: ignore[no-untyped-def]
    """The code of one text."""
    begin, length = ends[r], ends[r + 1] - ends[r]
    word, shift = begin >> 3, np.uint64((begin & 7) << 3)
    key = words[word] >> shift | words[word + 1] << (np.uint64(63) - shift) << np.uint64(1)
    if length < 8:
        key &= (np.uint64(1) << np.uint64(length << 3)) - np.uint64(1)
    code, found = UNKNOWN, 0
    for k in range(keys.size):
        if keys[k] == key and lengths[k] == length:
            code, found = states[k], k
    if length > 8 and code != UNKNOWN:
        for i in range(8, length):
            at = begin + i
            if words[at >> 3] >> np.uint64((at & 7) << 3) & np.uint64(255) != letters[starts[found] + i]:
                return UNKNOWN
    return code


@compiled
def match_objects(addresses, seen, states, count, first, codes):  # type: ignore[no-untyped-def]
    """Codes of objects by address, from row `first` on; returns the first row whose object was not seen before."""
    for r in range(first, addresses.size):
        found = False
        for k in range(count):
            if seen[k] == addresses[r]:
                codes[r] = states[k]
                found = True
                break
        if not found:
            return r
    return addresses.size
