"""From tables of state labels to code arrays and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError
from worldnets.inference.codes import UNKNOWN, UNOBSERVED, Codes
from worldnets.inference.labels import column_codes
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd


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
    for name, column in frame.items():
        variable = str(name)
        found = column_codes(column, net.label_codes[variable])
        unknown = np.flatnonzero(found == UNKNOWN)
        if len(unknown):
            row = unknown[0]
            net.refuse_label(variable, column.tolist()[row], row=frame.index[row])
        codes[:, net.index[variable]] = found
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
