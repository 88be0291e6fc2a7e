"""From one column of labels to state codes, for each way pandas stores a column.

Every query decodes a table, and with microseconds to spend per row that is a cost of its own: categories are mapped
once per category, text columns are matched on Arrow's own buffers, object columns by the identity of their objects
(each distinct object is looked up by value once). Anything else is factorised first.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.codes import UNKNOWN, UNOBSERVED, Codes
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd

FACTORISED_ROWS = 64
_NONE_MISSING = np.frombuffer(b"", dtype=np.uint8)  # read-only like the others: one compiled form
_OBJECTS_TRACKED = 32  # more distinct objects than this in one column: labels are not shared, factorise instead


@dataclass(frozen=True, eq=False)
class Labels:
    """The states of one variable, as decoders look them up.

    Attributes:
        known: the position of each label.
    """

    known: Mapping[Any, int]

    @functools.cached_property
    def texts(self) -> _Texts | None:
        """The labels that are texts; None if two of them agree in length and in their first eight bytes."""
        encoded = [
            (label.encode("utf-8", "surrogatepass"), code)
            for label, code in self.known.items()
            if isinstance(label, str)
        ]
        keys = np.frombuffer(b"".join(text[:8].ljust(8, b"\0") for text, _ in encoded), dtype="<u8").astype(np.uint64)
        lengths = np.array([len(text) for text, _ in encoded], dtype=np.int64)
        if len(set(zip(keys.tolist(), lengths.tolist(), strict=True))) < len(encoded):
            return None
        return _Texts(
            keys,
            lengths,
            np.cumsum([0, *lengths]),
            np.frombuffer(b"".join(text for text, _ in encoded) + b"\0", dtype=np.uint8),
            np.array([code for _, code in encoded], dtype=np.int16),
        )


class _Texts(NamedTuple):
    """Labels as bytes, for `matching.match_text`."""

    keys: NDArray[np.uint64]
    lengths: NDArray[np.int64]
    starts: NDArray[np.int64]
    letters: NDArray[np.uint8]
    states: Codes


def labels_of(net: WorldNet | FactorNet) -> Mapping[str, Labels]:
    """The labels of every variable; made once per net, since nets are frozen."""
    cached = net.__dict__.get("_labels")
    if cached is None:
        cached = net.__dict__["_labels"] = {v: Labels(known) for v, known in net.label_codes.items()}
    return cached


def column_codes(column: pd.Series, labels: Labels) -> Codes:
    """State codes of a column: their position, `UNOBSERVED` where missing, `UNKNOWN` where no state matches."""
    import pandas as pd

    values: Any = column.array
    known = labels.known
    if isinstance(values, pd.Categorical):
        return _lookup(values.categories.tolist(), known)[values.codes]
    if len(values) > FACTORISED_ROWS:  # below, loading a compiler would take longer
        if isinstance(values.dtype, pd.StringDtype) and values.dtype.storage == "pyarrow" and labels.texts is not None:
            return _text_codes(values.__arrow_array__(), labels.texts)
        if column.dtype == object:
            codes = _object_codes(column.to_numpy(), known)
            if codes is not None:
                return codes
    try:
        positions, found = pd.factorize(column)
    except TypeError:  # something that cannot be hashed is no state
        return np.array([_code_of(label, known) for label in column], dtype=np.int16)
    return _lookup(found.tolist(), known)[positions]


def _lookup(labels: list[Any], known: Mapping[Any, int]) -> Codes:
    # Position −1 is pandas' missing value: the last entry.
    return np.array([known.get(label, UNKNOWN) for label in labels] + [UNOBSERVED], dtype=np.int16)


def _text_codes(array: Any, texts: _Texts) -> Codes:
    import pyarrow

    from worldnets.inference.matching import match_text

    large = pyarrow.lib.Type_LARGE_STRING
    codes = np.empty(len(array), dtype=np.int16)
    at = 0
    for chunk in getattr(array, "chunks", [array]):
        validity, offsets, data = chunk.buffers()
        wide = np.int64 if chunk.type.id == large else np.int32
        ends = np.frombuffer(offsets, dtype=wide) if offsets is not None else np.zeros(1, dtype=wide)
        size = 0 if data is None else data.size
        words = np.empty(size // 8 + 2, dtype=np.uint64)
        if size:
            words.view(np.uint8)[:size] = np.frombuffer(data, dtype=np.uint8)
        match_text(
            _NONE_MISSING if validity is None else np.frombuffer(validity, dtype=np.uint8),
            ends[chunk.offset : chunk.offset + len(chunk) + 1],
            words,
            chunk.offset,
            *texts,
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
