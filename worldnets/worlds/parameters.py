"""Checks of a builder's parameters: each returns the value in its plain type or says what would be allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from worldnets.errors import DatasetError, did_you_mean


def integer(name: str, value: Any, low: int, high: int) -> int:
    """A whole number in low … high.

    Raises:
        DatasetError: anything else, 3.0 and True included.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise _wrong(name, value, f"a whole number from {low} to {high}")
    return int(value)


def probability(name: str, value: Any, low: float = 0.0, high: float = 1.0) -> float:
    """A number in low … high.

    Raises:
        DatasetError: anything else, NaN included.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float | np.number)
        or math.isnan(value)
        or not low <= value <= high
    ):
        raise _wrong(name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def choice(name: str, value: Any, options: Sequence[str]) -> str:
    """One of some texts.

    Raises:
        DatasetError: anything else, with the nearest option.
    """
    if value not in options:
        raise DatasetError(f"parameter {name!r} out of range", found=repr(value), mend=did_you_mean(value, options))
    return str(value)


def names(name: str, value: Any) -> tuple[str, ...]:
    """A list of texts.

    Raises:
        DatasetError: anything else, a single text included.
    """
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, value, "a list of names")
    return tuple(value)


def _wrong(name: str, value: Any, expected: str) -> DatasetError:
    return DatasetError(f"parameter {name!r} out of range", found=repr(value), expected=expected, mend=f"set {name} so")
