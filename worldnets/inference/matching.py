"""The compiled loops of `labels`: Arrow text and object addresses to state codes."""

from __future__ import annotations

from worldnets.inference.codes import UNKNOWN, UNOBSERVED
from worldnets.inference.compiled import compiled


@compiled
def match_text(validity, ends, data, offset, starts, letters, states, codes):  # type: ignore[no-untyped-def]
    """Codes of Arrow text: row r is `data[ends[r]:ends[r + 1]]`, missing if its bit in `validity` is unset."""
    for r in range(codes.size):
        bit = r + offset
        if validity.size > 0 and not (validity[bit >> 3] >> (bit & 7)) & 1:
            codes[r] = UNOBSERVED
            continue
        codes[r] = UNKNOWN
        begin, length = ends[r], ends[r + 1] - ends[r]
        for s in range(states.size):
            if starts[s + 1] - starts[s] != length:
                continue
            same = True
            for i in range(length):
                if data[begin + i] != letters[starts[s] + i]:
                    same = False
                    break
            if same:
                codes[r] = states[s]
                break


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
