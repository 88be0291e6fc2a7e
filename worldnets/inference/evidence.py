"""Evidence: from tables of state labels to code arrays and back, likelihoods, and both together as `Observed`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import EvidenceError
from worldnets.inference.codes import UNKNOWN, UNOBSERVED, Codes
from worldnets.inference.labels import column_codes, labels_of
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Observed:
    """What is known in each row: hard evidence as codes, soft evidence as likelihoods.

    Attributes:
        codes: int16 [rows, variables].
        likelihood: float64 [soft states, rows]: for each variable with soft evidence one line per state, λ(v) = P(what
            was seen | v) up to a factor, largest entry of a row and variable = 1.
        soft_start: int32 [variables], the line of `likelihood` where a variable's begin; -1 without soft evidence.
        log_scale: [rows], nats: the logarithm of what the likelihoods were divided by; -inf where one is zero
            throughout.
        index: row labels; None for code arrays.
    """

    codes: Codes
    likelihood: NDArray[np.float64]
    soft_start: NDArray[np.int32]
    log_scale: NDArray[np.float64]
    index: pd.Index | None

    def __len__(self) -> int:
        return len(self.codes)

    @functools.cached_property
    def masks(self) -> NDArray[np.bool_]:
        """What each row observes, [rows, variables]."""
        return self.codes != UNOBSERVED

    @functools.cached_property
    def alike(self) -> bool:
        """Whether all rows observe the same variables."""
        return bool((self.masks == self.masks[:1]).all())

    @functools.cached_property
    def columns(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Variables observed in every row, and the others with evidence in some rows, or soft evidence; [variables]."""
        soft, ever = self.soft_start >= 0, self.masks.any(axis=0)
        always = self.masks.all(axis=0) & ever & ~soft
        return always, (ever | soft) & ~always

    def take(self, rows: NDArray[np.intp] | slice) -> Observed:
        """The same for some of the rows; their labels stay behind."""
        return replace(
            self,
            codes=self.codes[rows],
            likelihood=np.ascontiguousarray(self.likelihood[:, rows]),
            log_scale=self.log_scale[rows],
            index=None,
        )


def observe(
    net: WorldNet | FactorNet,
    evidence: pd.DataFrame | Codes | None,
    likelihood: Mapping[str, ArrayLike] | None = None,
) -> Observed:
    """Hard and soft evidence, checked.

    Args:
        evidence: a table of labels or a code array; None observes nothing.
        likelihood: for each variable with soft evidence its λ, shape [rows, states], or [states] for all rows alike.

    Raises:
        EvidenceError: unknown variables or states; a likelihood of the wrong shape, negative, infinite or NaN.
    """
    if likelihood is not None and not isinstance(likelihood, Mapping):
        mend = "name each variable: {'BP': [0.7, 0.2, 0.1]}"
        raise EvidenceError("soft evidence is not given by variable", found=type(likelihood).__name__, mend=mend)
    net.check_variables(likelihood or {})
    soft = {v: _numbers(v, given) for v, given in (likelihood or {}).items()}
    index = None
    if evidence is None:
        rows = max((len(given) for given in soft.values() if given.ndim == 2), default=1)
        codes = np.full((rows, len(net.variables)), UNOBSERVED, dtype=np.int16)
    else:
        codes = as_codes(net, evidence)
        index = None if isinstance(evidence, np.ndarray) else evidence.index
    rows = len(codes)
    start, log_scale = np.full(len(net.variables), -1, dtype=np.int32), np.zeros(rows)
    lines: list[NDArray[np.float64]] = []
    for v in sorted(soft, key=net.index.__getitem__):
        table = _checked_likelihood(net, v, soft[v], rows)
        largest = table.max(axis=1)
        with np.errstate(divide="ignore"):
            log_scale += np.log(largest)
        start[net.index[v]] = sum(map(len, lines))
        lines.append((table / np.where(largest > 0, largest, 1.0)[:, None]).T)
    table = np.ascontiguousarray(np.concatenate([np.empty((0, rows)), *lines]))
    return Observed(codes, table, start, log_scale, index)


def intervene(net: WorldNet | FactorNet, seen: Observed, do: Mapping[str, Any]) -> Observed:
    """The evidence after interventions, for the net without the tables of what is set (`WorldNet.without_causes`).

    Args:
        do: for each variable the label it is set to, or one label per row.

    Raises:
        EvidenceError: a `FactorNet`; an unknown variable or label; not one label per row; evidence that contradicts.
    """
    import pandas as pd

    if not isinstance(net, WorldNet):
        what, mend = "a factor graph has no arrows to cut", "intervene on a WorldNet, or give evidence instead"
        raise EvidenceError(what, found=list(do), mend=mend)
    if not isinstance(do, Mapping):
        mend = "name each variable: {'BP': 'LOW'}"
        raise EvidenceError("interventions are not given by variable", found=type(do).__name__, mend=mend)
    net.check_variables(do)
    codes, log_scale = np.array(seen.codes), seen.log_scale.copy()
    for v, given in do.items():
        if isinstance(given, str | bytes) or np.ndim(given) == 0:
            forced = np.full(len(seen), net.code(v, given), dtype=np.int16)
        else:
            labels = pd.Series(list(given), dtype=object)
            if len(labels) != len(seen):
                mend = "give one label, or one for each row"
                raise EvidenceError(
                    "interventions of another length", node=v, found=len(labels), expected=len(seen), mend=mend
                )
            forced = column_codes(labels, labels_of(net)[v])
            if (forced < 0).any():
                row = int(np.argmax(forced < 0))
                net.refuse_label(v, labels[row], row=row)
        column = codes[:, net.index[v]]
        against = np.flatnonzero((column != UNOBSERVED) & (column != forced))
        if len(against):
            row = int(against[0])
            raise EvidenceError(
                "the evidence contradicts the intervention",
                node=v,
                row=row if seen.index is None else seen.index[row],
                found=repr(net.states[v][column[row]]),
                expected=repr(net.states[v][forced[row]]),
                mend="leave a variable that is set out of the evidence",
            )
        codes[:, net.index[v]] = forced
        log_scale += np.log(len(net.states[v]))  # without its table a variable is uniform; being set is certain
    return replace(seen, codes=codes, log_scale=log_scale)


def _numbers(variable: str, given: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        mend = "give an array [rows, states] of numbers ≥ 0"
        raise EvidenceError("a likelihood is no array of numbers", node=variable, mend=mend) from None


def _checked_likelihood(
    net: WorldNet | FactorNet, variable: str, table: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    states = len(net.states[variable])
    if table.shape not in ((states,), (rows, states)):
        raise EvidenceError(
            "a likelihood of the wrong shape",
            node=variable,
            found=list(table.shape),
            expected=f"[{rows}, {states}] (rows, states) or [{states}]",
            mend="give P(what was seen | state) for each row and state",
        )
    table = np.broadcast_to(table, (rows, states))
    if rows and not (np.isfinite(table) & (table >= 0)).all():
        row, state = (int(i) for i in np.argwhere(~(np.isfinite(table) & (table >= 0)))[0])
        raise EvidenceError(
            "a likelihood that is negative or not finite",
            node=variable,
            row=row,
            found=float(table[row, state]),
            mend="likelihoods are finite numbers ≥ 0; exponentiate log-likelihoods after taking off their maximum",
        )
    return table


def as_codes(net: WorldNet | FactorNet, evidence: pd.DataFrame | Codes) -> Codes:
    """Evidence in either form as a code array; arrays are checked, frames are encoded."""
    if isinstance(evidence, np.ndarray):
        return _checked_codes(net, evidence)
    return encode(net, evidence)


def encode(net: WorldNet | FactorNet, frame: pd.DataFrame) -> Codes:
    """Code array of a table of labels; columns not in the table, None, NaN and pd.NA are unobserved.

    Labels match by value: 1 == 1.0, never "1".

    Returns:
        int16 [rows, variables].
    Raises:
        EvidenceError: an unknown or repeated column, or an unknown state (naming column and row).
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        mend = "give one column per observed variable, e.g. pd.DataFrame({'HR': ['HIGH']})"
        found = type(frame).__name__
        raise EvidenceError("evidence is neither a table nor a code array", found=found, mend=mend)
    net.check_variables(frame.columns)
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise EvidenceError("a column stands twice in the evidence", node=twice, mend="keep one of the two")
    # Column-major: one column is filled at a time here and read at a time by the kernels.
    codes = np.full((len(frame), len(net.variables)), UNOBSERVED, dtype=np.int16, order="F")
    labels = labels_of(net)
    for name, column in frame.items():
        codes[:, net.index[str(name)]] = column_codes(column, labels[str(name)])
    if codes.size and codes.min() == UNKNOWN:
        place = int(np.argmax((codes == UNKNOWN).any(axis=0)))
        variable, row = net.variables[place], int(np.argmax(codes[:, place] == UNKNOWN))
        net.refuse_label(variable, frame[variable].tolist()[row], row=frame.index[row])
    return codes


def decode(
    net: WorldNet | FactorNet, codes: Codes, variables: Sequence[str] | None = None, index: pd.Index | None = None
) -> pd.DataFrame:
    """The table of labels of a code array: categorical columns whose categories are the variable's states.

    Args:
        codes: int16 [rows, variables].
        variables: the columns wanted, default all.
        index: row labels, default 0, 1, ….
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for variable in net.variables if variables is None else variables:
        categories = pd.Index(net.states[variable], dtype=None if _alike(net.states[variable]) else object)
        columns[variable] = pd.Categorical.from_codes(codes[:, net.index[variable]], categories=categories)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(codes)) if index is None else index)


def _alike(labels: Sequence[Any]) -> bool:
    return len({type(label) for label in labels}) == 1


def _checked_codes(net: WorldNet | FactorNet, codes: NDArray[Any]) -> Codes:
    if codes.ndim != 2 or codes.shape[1] != len(net.variables) or codes.dtype.kind not in "iu":
        raise EvidenceError(
            "not a code array of this net",
            found=f"{codes.dtype} {list(codes.shape)}",
            expected=f"integers [rows, {len(net.variables)}]",
            mend="one column per variable, in the order of net.variables, -1 where unobserved",
        )
    if codes.size and (codes.min() < UNOBSERVED or (codes.max(axis=0) >= net.cardinalities).any()):
        row, column = (int(i) for i in np.argwhere((codes < UNOBSERVED) | (codes >= net.cardinalities))[0])
        variable = net.variables[column]
        raise EvidenceError(
            "a code that is no state",
            node=variable,
            row=row,
            found=int(codes[row, column]),
            expected=f"-1 to {len(net.states[variable]) - 1}",
            mend="codes are positions in net.states[variable]",
        )
    return codes.astype(np.int16, copy=False)
