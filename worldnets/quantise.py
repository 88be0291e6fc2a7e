"""From what was measured to states: numbers cut at quantiles, labels numbered, and what is neither refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError, did_you_mean
from worldnets.net import Label

if TYPE_CHECKING:
    import pandas as pd

Missing = Literal["refuse", "state", "drop"]
MISSING: tuple[Missing, ...] = ("refuse", "state", "drop")
MISSING_LABEL = "missing"
MOST_STATES = 64  # of labels as they come; more are no categories, or too many to learn anything about each
MOST_LEVELS = 64
ABSENT = -1


@dataclass(frozen=True, eq=False)
class Coded:
    """A column as states.

    Attributes:
        states: its labels.
        codes: int16 [rows], positions in `states`; −1 where nothing was there.
    """

    states: tuple[Label, ...]
    codes: NDArray[np.int16]


def thresholds(values: NDArray[np.floating], levels: int) -> NDArray[np.float64]:
    """Where to cut numbers so that levels are about equally full: their quantiles 1/levels … (levels − 1)/levels.

    With two levels that is the median. Of numbers that are mostly equal fewer cuts are different, hence fewer levels. A
    cut that leaves nothing above it is none; where that leaves no cut, it is made below the largest number.

    Args:
        values: finite numbers, [n] with n ≥ 1.
        levels: ≥ 2.

    Returns:
        Rising, [levels − 1] or fewer; none where all numbers are equal.
    """
    cuts = np.unique(np.quantile(values, np.arange(1, levels) / levels))
    below = values[values < values.max()]
    kept = cuts[cuts < values.max()]
    return kept if len(kept) or not len(below) else below.max(keepdims=True).astype(np.float64)


def level_of(values: NDArray[np.floating], cuts: NDArray[np.float64]) -> NDArray[np.int16]:
    """The level of each number: how many cuts it lies above."""
    return np.searchsorted(cuts, values, side="left").astype(np.int16)


def level_labels(cuts: NDArray[np.float64]) -> tuple[str, ...]:
    """Readable levels, with as many digits as tell the cuts apart: "≤ 3", "3 … 4.5", "> 4.5"."""
    digits = 3
    while digits < 17 and len({f"{cut:.{digits}g}" for cut in cuts}) < len(cuts):
        digits += 1
    shown = [f"{cut:.{digits}g}" for cut in cuts]
    between = [f"{low} … {high}" for low, high in itertools.pairwise(shown)]
    return (f"≤ {shown[0]}", *between, f"> {shown[-1]}")


def check_levels(levels: Any, name: str) -> int:
    """A number of levels.

    Raises:
        DatasetError: no whole number from 2 to 64.
    """
    whole = isinstance(levels, int | np.integer) and not isinstance(levels, bool)
    if not whole or not 2 <= levels <= MOST_LEVELS:
        expected = f"a whole number from 2 to {MOST_LEVELS}"
        raise DatasetError("a number of levels", node=name, found=repr(levels), expected=expected, mend="such as 2")
    return int(levels)


def coded(
    column: pd.Series,
    training: NDArray[np.bool_],
    *,
    levels: int | None = None,
    states: Sequence[Label] | None = None,
    missing: Missing = "refuse",
) -> Coded:
    """A column as states.

    Args:
        column: what was measured; its name and index stand in messages.
        training: [rows], whose numbers decide where to cut: no other row has a say in that.
        levels: cut numbers into so many; None takes labels as they are.
        states: the labels there are, in order; None takes those that occur, sorted.
        missing: what None, NaN and pd.NA are: an error, a state of their own, or −1 (for the caller to drop).

    Raises:
        DatasetError: nothing is there; something is missing and may not be; texts beside numbers; numbers that are no
            categories and are not to be cut; infinite ones; more labels than `MOST_STATES`; one label only; a label
            that is none of `states`.
    """
    name = str(column.name)
    absent = column.isna().to_numpy()
    if absent.all():
        mend = "leave the column out, or measure it"
        raise DatasetError("a column all missing", node=name, mend=mend)
    if absent.any() and missing == "refuse":
        raise DatasetError(
            "a missing entry",
            node=name,
            row=column.index[int(np.argmax(absent))],
            found=f"{int(absent.sum())} of {len(column)}",
            mend='missing="drop" leaves such clips out, missing="state" makes it a state of its own',
        )
    if levels is not None:
        found = _cut(column, absent, training, levels, name)
    else:
        found = _numbered(column, absent, states, name)
    if absent.any() and missing == "state":
        if MISSING_LABEL in found.states:
            raise DatasetError(
                "the state for what is missing is taken", node=name, found=MISSING_LABEL, mend="rename it"
            )
        codes = found.codes.copy()
        codes[absent] = len(found.states)
        return Coded((*found.states, MISSING_LABEL), codes)
    if len(found.states) < 2:
        mend = "leave it out: there is nothing to predict or to learn from"
        raise DatasetError("a column with one state", node=name, found=repr(found.states[0]), mend=mend)
    return found


def _cut(column: pd.Series, absent: NDArray[np.bool_], training: NDArray[np.bool_], levels: int, name: str) -> Coded:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        mend = "quantise columns of numbers only"
        raise DatasetError("levels of what are no numbers", node=name, found=f"type {column.dtype}", mend=mend)
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    infinite = np.isinf(values)
    if infinite.any():
        row = column.index[int(np.argmax(infinite))]
        raise DatasetError("a number that is not finite", node=name, row=row, mend="mend or leave out that row")
    seen = training & ~absent
    if not seen.any():
        mend = "split with another seed, or give more clips"
        raise DatasetError("no training clip has this number", node=name, mend=mend)
    cuts = thresholds(values[seen], levels)
    if not len(cuts):
        found = f"{values[seen][0]:g} in all training clips, or nearly all"
        raise DatasetError("a column with one state", node=name, found=found, mend="leave it out")
    codes = level_of(np.where(absent, 0.0, values), cuts)
    codes[absent] = ABSENT
    return Coded(level_labels(cuts), codes)


def _numbered(column: pd.Series, absent: NDArray[np.bool_], states: Sequence[Label] | None, name: str) -> Coded:
    import pandas as pd

    try:
        numbers, found = pd.factorize(column, use_na_sentinel=True)
    except TypeError:
        raise DatasetError("a label is not hashable", node=name, mend="label states with texts or numbers") from None
    labels: list[Any] = found.tolist()
    if isinstance(column.dtype, pd.CategoricalDtype) and states is None:
        states = column.cat.categories.tolist()
    if states is None:
        _refuse_no_categories(column, labels, name)
        labels = [int(label) if isinstance(label, float) else label for label in labels]
        states = sorted(labels)
        if len(states) > MOST_STATES:
            mend = f"quantise={{{name!r}: 4}} if these are numbers, else merge rare ones"
            expected = f"at most {MOST_STATES}"
            raise DatasetError("too many different labels", node=name, found=len(states), expected=expected, mend=mend)
    known = {label: i for i, label in enumerate(states)}
    if len(known) < len(states):
        raise DatasetError("a state stands twice", node=name, found=list(states), mend="name each once")
    for label in labels:
        if label not in known:
            row = column.index[int(np.argmax(numbers == labels.index(label)))]
            expected, mend = f"one of {list(states)}", did_you_mean(label, known)
            raise DatasetError("unknown state", node=name, row=row, found=repr(label), expected=expected, mend=mend)
    # Position −1, the last entry, is what is missing.
    table = np.array([known[label] for label in labels] + [ABSENT], dtype=np.int16)
    return Coded(tuple(states), table[numbers])


def _refuse_no_categories(column: pd.Series, labels: list[Any], name: str) -> None:
    """Texts beside numbers, and numbers that are not whole."""
    texts = [label for label in labels if isinstance(label, str)]
    others = [label for label in labels if not isinstance(label, str)]
    numbers = [text for text in texts if _is_number(text)]
    words = [text for text in texts if text not in set(numbers)] or texts
    mixed = None
    if texts and others:
        mixed = (words[0], others[0])
    elif numbers and len(numbers) < len(texts):  # how a file shows one bad entry among numbers
        mixed = (words[0], numbers[0])
    if mixed is not None:
        row = column.index[int(np.argmax((column == mixed[0]).to_numpy(dtype=bool, na_value=False)))]
        mend = f"mend the entry, or say which labels there are: states={{{name!r}: […]}}"
        found = f"{mixed[0]!r} beside {mixed[1]!r}"
        raise DatasetError("texts and numbers in one column", node=name, row=row, found=found, mend=mend)
    for label in others:
        if isinstance(label, float) and not label.is_integer():
            row = column.index[int(np.argmax((column == label).to_numpy(dtype=bool, na_value=False)))]
            mend = f"cut them into levels: quantise={{{name!r}: 4}}"
            raise DatasetError("numbers that are no categories", node=name, row=row, found=label, mend=mend)
        if not isinstance(label, bool | int | float | np.generic):
            mend = "label states with texts, numbers or true and false"
            raise DatasetError("a label that a file cannot hold", node=name, found=repr(label), mend=mend)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
