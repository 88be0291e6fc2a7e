"""Rows to learn a world-model from: what was observed in each clip, and the states each variable can have."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.distinct import distinct
from worldnets.errors import EvidenceError, LearningError
from worldnets.inference.codes import UNKNOWN, UNOBSERVED, Codes
from worldnets.inference.evidence import as_codes, decode
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd

States = Mapping[str, Sequence[Label]]
Data = Any  # Rows, or a pandas DataFrame of state labels


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Clips as codes, one row each, with the states of every variable.

    Args:
        states: the states of each variable, by name, in the order of the columns.
        codes: integers [rows, variables], positions in `states`; −1 where nothing was observed.
        weights: [rows], how much each row counts, default 1.

    Raises:
        LearningError: no rows, no variables, a column all missing, weights that are negative, not finite, all zero or
            of the wrong length.
        EvidenceError: codes of the wrong shape, or that are no state.
        NetError: states that no net could have.
    """

    states: Mapping[str, tuple[Label, ...]]
    codes: Codes
    weights: NDArray[np.float64]

    def __init__(self, states: States, codes: ArrayLike, weights: ArrayLike | None = None) -> None:
        if not states:
            raise LearningError("no variables", mend="give rows with at least one column")
        space = FactorNet(states, ())  # type: ignore[arg-type]
        checked = _frozen(as_codes(space, np.asarray(codes)))
        if not len(checked):
            raise LearningError("no rows", mend="give at least two rows to learn from")
        never = np.flatnonzero((checked == UNOBSERVED).all(axis=0))
        if len(never):
            mend = "leave the column out; a variable that no one observes is named in latents="
            raise LearningError("a column all missing", node=space.variables[never[0]], mend=mend)
        put = functools.partial(object.__setattr__, self)
        put("states", space.states)
        put("codes", checked)
        put("weights", _frozen(_checked_weights(weights, len(checked))))

    @classmethod
    def from_labels(cls, frame: pd.DataFrame, states: States | None = None, weights: ArrayLike | None = None) -> Rows:
        """From a table of state labels; None, NaN and pd.NA are missing.

        Args:
            frame: one row per clip, one column per variable.
            states: the states of each variable; entries for variables that have no column are passed over. States of
                columns without an entry are learnt from the data: the categories of a categorical column, False and
                True for a boolean one, else the labels that occur, sorted.
            weights: [rows], how much each row counts, default 1.

        Raises:
            LearningError: as the class says; also numbers that are no categories (not whole) in a column whose
                states are not given, repeated columns, names that are no texts.
            EvidenceError: a label that is none of the given states.
        """
        import pandas as pd

        if not isinstance(frame, pd.DataFrame):
            mend = "give a pandas DataFrame of state labels, or Rows(states, codes)"
            raise LearningError("data that is no table of labels", found=type(frame).__name__, mend=mend)
        for name in frame.columns:
            if not isinstance(name, str):
                mend = "name columns with texts: frame.columns = [f'v{i}' for i in …]"
                raise LearningError("a column's name is not a text", found=repr(name), mend=mend)
        if not frame.columns.is_unique:
            twice = frame.columns[frame.columns.duplicated()][0]
            raise LearningError("a column stands twice in the data", node=twice, mend="keep one of the two")
        if not len(frame):
            raise LearningError("no rows", mend="give at least two rows to learn from")
        given = dict(states or {})
        own = {name: given[name] if name in given else _found_states(name, frame[name]) for name in frame.columns}
        if not own:
            raise LearningError("no variables", mend="give rows with at least one column")
        try:
            return cls(own, as_codes(FactorNet(own, ()), frame), weights)  # type: ignore[arg-type]
        except EvidenceError as error:
            error.mend = f"{error.mend} or name it when learning, in states={{{error.node!r}: [labels]}}, and smooth"
            raise

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.states)

    @functools.cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of states of each variable, [variables]."""
        return np.array([len(labels) for labels in self.states.values()], dtype=np.int64)

    @functools.cached_property
    def total(self) -> float:
        """Σ weights: how many rows they count for."""
        return float(self.weights.sum())

    @functools.cached_property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return bool((self.codes != UNOBSERVED).all())

    def __len__(self) -> int:
        return len(self.codes)

    def require(self, *, complete: bool = False, rows: int = 2) -> Rows:
        """Itself, if there are that many rows, and nothing is missing where that is demanded.

        Raises:
            LearningError: too few rows; a missing entry, naming its row and column.
        """
        if len(self) < rows:
            mend = "one row says nothing about how variables vary; Learned.update adds single rows"
            raise LearningError("too few rows", found=len(self), expected=f"at least {rows}", mend=mend)
        if complete and not self.complete:
            row, column = (int(i) for i in np.argwhere(self.codes == UNOBSERVED)[0])
            mend = "learn with expectation_maximisation, or drop the rows that miss something"
            raise LearningError("a missing entry", node=self.variables[column], row=row, mend=mend)
        return self

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Rows:
        """Some of the rows, with their weights; columns that are all missing in them stay."""
        return _rows(self.states, self.codes[rows], self.weights[rows])

    def split(self, share: float, seed: int = 0) -> tuple[Rows, Rows]:
        """Rows to learn from and rows to keep back, drawn without replacement: a function of (rows, share, seed).

        Args:
            share: of the rows that is kept back, rounded to whole rows; at least one on each side.
            seed: of the draw.

        Raises:
            LearningError: a share that is not between 0 and 1, or fewer than two rows.
        """
        if not 0 < share < 1:
            raise LearningError("a share to keep back", found=share, expected="between 0 and 1", mend="e.g. 0.2")
        self.require()
        kept_back = min(len(self) - 1, max(1, round(share * len(self))))
        order = np.random.default_rng(seed).permutation(len(self))
        return self.take(np.sort(order[kept_back:])), self.take(np.sort(order[:kept_back]))

    def in_states(self, states: States) -> Rows:
        """The same rows with the codes, and the order of columns, of other states for the same variables.

        Raises:
            EvidenceError: a variable that `states` lacks, or a label in some row that is none of its states.
            LearningError: a variable of `states` that has no column here.
        """
        for v in states:
            if v not in self.states:
                raise LearningError("a column is missing", node=v, found=list(self.states), mend="give that column too")
        space = FactorNet(states, ())  # type: ignore[arg-type]
        return _rows(space.states, self.codes_in(space), self.weights)

    def codes_in(self, net: WorldNet | FactorNet, unseen: bool = False) -> Codes:
        """These rows as a code array of a net: columns by name, states by label; variables without column are −1.

        Args:
            net: a net that has every variable of these rows.
            unseen: let labels that are no state of the net be `UNKNOWN`, −2, instead of an error.

        Returns:
            int16 [rows, net variables].
        Raises:
            EvidenceError: a variable that the net lacks, or a label in some row that is none of its states.
        """
        net.check_variables(self.states)
        codes = np.full((len(self), len(net.variables)), UNOBSERVED, dtype=np.int16, order="F")
        for column, (v, labels) in enumerate(self.states.items()):
            own = self.codes[:, column]
            if labels == net.states[v]:
                codes[:, net.index[v]] = own
                continue
            known = net.label_codes[v]
            # Position −1, the last entry, is what is missing.
            codes[:, net.index[v]] = np.array([known.get(s, UNKNOWN) for s in labels] + [UNOBSERVED], np.int16)[own]
        if not unseen and codes.min() == UNKNOWN:
            row, column = (int(i) for i in np.argwhere(codes == UNKNOWN)[0])
            v = net.variables[column]
            label = self.states[v][self.codes[row, self.variables.index(v)]]
            raise EvidenceError(
                "a state the model never saw",
                node=v,
                row=row,
                found=repr(label),
                expected=f"one of {list(net.states[v])}",
                mend="name all states when learning: states={variable: [labels]}, and smooth",
            )
        return codes

    def distinct(self) -> tuple[Rows, NDArray[np.intp]]:
        """Each different row once, weighted by all that are like it; and for each row here, which of them it is."""
        kinds, inverse = distinct(self.codes)
        weights = np.bincount(inverse, weights=self.weights, minlength=len(kinds)).astype(np.float64)
        return _rows(self.states, kinds, weights), inverse

    def joined(self, more: Rows) -> Rows:
        """These rows, then those of `more`, in these states.

        Raises:
            EvidenceError, LearningError: as `in_states`.
        """
        more = more.in_states(self.states)
        codes = np.concatenate([self.codes, more.codes])
        return _rows(self.states, codes, np.concatenate([self.weights, more.weights]))

    def to_pandas(self) -> pd.DataFrame:
        """The table of labels."""
        return decode(FactorNet(self.states, ()), self.codes)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rows, (dict(self.states), self.codes, self.weights)

    def __repr__(self) -> str:
        missing = float((self.codes == UNOBSERVED).mean())
        note = f", {missing:.1%} missing" if missing else ""
        weighted = "" if self.total == len(self) else f", weight {self.total:.6g}"
        return f"Rows({len(self)} rows, {len(self.states)} variables{note}{weighted})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import ROWS_SHOWN, card, frame

        labels = decode(FactorNet(self.states, ()), self.codes[:ROWS_SHOWN])
        return card(repr(self), None, frame(labels))


def as_rows(data: Data, states: States | None = None, weights: ArrayLike | None = None) -> Rows:
    """Rows, from `Rows` or from a table of labels; of `Rows`, states and weights replace its own where they are given.

    Raises:
        LearningError, EvidenceError, NetError: as `Rows` and `Rows.from_labels` say.
    """
    if not isinstance(data, Rows):
        return Rows.from_labels(data, states, weights)
    if states is not None:
        data = data.in_states({v: states.get(v, labels) for v, labels in data.states.items()})
    if weights is not None:
        data = _rows(data.states, data.codes, _frozen(_checked_weights(weights, len(data))))
    return data


def _rows(states: Mapping[str, tuple[Label, ...]], codes: Codes, weights: NDArray[np.float64]) -> Rows:
    """Rows whose parts have been checked before: a part of rows may well have a column all missing."""
    rows = object.__new__(Rows)
    for name, value in (("states", MappingProxyType(dict(states))), ("codes", codes), ("weights", weights)):
        object.__setattr__(rows, name, value)
    return rows


def _checked_weights(weights: ArrayLike | None, rows: int) -> NDArray[np.float64]:
    if weights is None:
        return np.ones(rows)
    try:
        array = np.array(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise LearningError("weights are no numbers", found=repr(weights), mend="give one number ≥ 0 per row") from None
    if array.shape != (rows,):
        raise LearningError("weights of the wrong shape", found=array.shape, expected=(rows,), mend="one per row")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        mend = "weights are finite numbers ≥ 0"
        raise LearningError("a weight that is negative or not finite", row=int(bad[0]), found=array[bad[0]], mend=mend)
    if not array.any():
        raise LearningError("all weights are zero", mend="give some row a weight above zero")
    return array


def _found_states(name: str, column: pd.Series) -> tuple[Label, ...]:
    """The states a column shows, by the rule of `Rows.from_labels`."""
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        labels = column.cat.categories.tolist()
    elif isinstance(column.dtype, pd.BooleanDtype) or column.dtype == np.bool_:
        labels = [False, True]
    else:
        try:
            labels = pd.unique(column.dropna()).tolist()
        except TypeError:
            mend = "label states with texts, numbers or tuples of them"
            raise LearningError("a label is not hashable", node=name, mend=mend) from None
        labels = _sorted([_whole(name, label) for label in labels])
    if not labels:
        mend = "leave the column out; a variable that no one observes is named in latents="
        raise LearningError("a column all missing", node=name, mend=mend)
    return tuple(labels)


def _whole(name: str, label: Any) -> Any:
    """A number as a state: whole ones are states (a missing entry makes pandas store 1 as 1.0), others are not."""
    if not isinstance(label, float):
        return label
    if not label.is_integer():  # false of infinities too
        mend = f"cut the numbers into bins, or give states={{{name!r}: [labels]}} if these are labels"
        raise LearningError("numbers that are no categories", node=name, found=label, mend=mend)
    return int(label)


def _sorted(labels: list[Any]) -> list[Any]:
    try:
        return sorted(labels)
    except TypeError:  # texts beside numbers
        return sorted(labels, key=lambda label: (type(label).__name__, repr(label)))


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array = array.view()
    array.setflags(write=False)
    return array
