"""From one column of labels to state codes, for each way pandas stores a column.

Every query decodes a table, and with microseconds to spend per row that is a cost of its own: categories are mapped
once per category, text columns are matched on Arrow's own buffers, object columns by the identity of their objects
(each distinct object is looked up by value once). Anything else is factorised first.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.codes import UNKNOWN, UNOBSERVED, Codes

if TYPE_CHECKING:
    import pandas as pd

FACTORISED_ROWS = 64
_OBJECTS_TRACKED = 32  # more distinct objects than this in one column: labels are not shared, factorise instead


def column_codes(column: pd.Series, known: Mapping[Any, int]) -> Codes:
    """State codes of a column: `known[label]`, `UNOBSERVED` where missing, `UNKNOWN` where no state matches."""
    import pandas as pd

    values: Any = column.array
    if isinstance(values, pd.Categorical):
        lookup = _lookup(values.categories.tolist(), known)
        return lookup[values.codes]
    if len(column) > FACTORISED_ROWS:  # below, loading a compiler would take longer
        if isinstance(values.dtype, pd.StringDtype) and values.dtype.storage == "pyarrow":
            return _text_codes(values.__arrow_array__(), known)
        if column.dtype == object:
            codes = _object_codes(column.to_numpy(), known)
            if codes is not None:
                return codes
    try:
        positions, labels = pd.factorize(column)
    except TypeError:  # something that cannot be hashed is no state
        return np.array([_code_of(label, known) for label in column], dtype=np.int16)
    return _lookup(labels.tolist(), known)[positions]


def _lookup(labels: list[Any], known: Mapping[Any, int]) -> Codes:
    # Position −1 is pandas' missing value: the last entry.
    return np.array([known.get(label, UNKNOWN) for label in labels] + [UNOBSERVED], dtype=np.int16)


def _text_codes(array: Any, known: Mapping[Any, int]) -> Codes:
    from worldnets.inference.matching import match_text

    texts = [(label.encode(), code) for label, code in known.items() if isinstance(label, str)]
    starts = np.cumsum([0, *(len(text) for text, _ in texts)])
    letters = np.frombuffer(b"".join(text for text, _ in texts) + b"\0", dtype=np.uint8)
    states = np.array([code for _, code in texts], dtype=np.int16)
    codes = np.empty(len(array), dtype=np.int16)
    at = 0
    for chunk in getattr(array, "chunks", [array]):
        validity, offsets, data = chunk.buffers()
        wide = np.int64 if str(chunk.type).startswith("large") else np.int32
        ends = np.frombuffer(offsets, dtype=wide) if offsets is not None else np.zeros(1, dtype=wide)
        match_text(
            np.frombuffer(validity, dtype=np.uint8) if validity is not None else np.empty(0, dtype=np.uint8),
            ends[chunk.offset : chunk.offset + len(chunk) + 1],
            np.frombuffer(data, dtype=np.uint8) if data is not None else letters[:0],
            chunk.offset,
            starts,
            letters,
            states,
            codes[at : at + len(chunk)],
        )
        at += len(chunk)
    return codes


def _object_codes(values: NDArray[np.object_], known: Mapping[Any, int]) -> Codes | None:
    """By identity: an object array is an array of addresses, alive as long as the array is."""
    from worldnets.inference.matching import match_objects

    values = np.ascontiguousarray(values)
    pointer = ctypes.cast(values.ctypes.data, ctypes.POINTER(ctypes.c_ssize_t))
    addresses = np.ctypeslib.as_array(pointer, shape=values.shape)
    codes = np.empty(len(values), dtype=np.int16)
    seen = np.zeros(_OBJECTS_TRACKED, dtype=addresses.dtype)
    states = np.zeros(_OBJECTS_TRACKED, dtype=np.int16)
    row = 0
    for count in range(_OBJECTS_TRACKED):
        row = match_objects(addresses, seen, states, count, row, codes)
        if row == len(values):
            return codes
        seen[count] = addresses[row]
        states[count] = _code_of(values[row], known)
    return None


def _code_of(label: Any, known: Mapping[Any, int]) -> int:
    import pandas as pd

    missing = pd.isna(label)
    if isinstance(missing, bool | np.bool_) and missing:
        return UNOBSERVED
    try:
        return known.get(label, UNKNOWN)
    except TypeError:  # a list or another unhashable value is no state
        return UNKNOWN
