"""Evidence of clips: tables of labels with columns `v_t`, or code arrays [rows, frames, variables]."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError, EvidenceError, did_you_mean
from worldnets.inference.codes import UNKNOWN, UNOBSERVED
from worldnets.inference.evidence import as_codes
from worldnets.inference.labels import column_codes, labels_of
from worldnets.inference.planner import MEMORY_LIMIT
from worldnets.temporal import TwoSliceNet, frame_name

if TYPE_CHECKING:
    import pandas as pd

ClipCodes = NDArray[np.int16]  # [frames, variables of a frame, rows]: how the engine reads evidence


def clip_codes(
    net: TwoSliceNet,
    evidence: pd.DataFrame | NDArray[Any],
    frames: int | None = None,
    memory_limit: float = MEMORY_LIMIT,
) -> ClipCodes:
    """Evidence in either form, as int16 [frames, variables, rows] with −1 where unobserved.

    Args:
        net: the template.
        evidence: a table with columns `frame_name(v, t)`, or integers [rows, frames, variables of a frame].
        frames: frames of the clip; those without evidence are unobserved. Default: the last frame named, or the
            array's length.
        memory_limit: bytes.

    Raises:
        CapacityError: the clip would take more than `memory_limit`.
        EvidenceError: an unknown or repeated column, an unknown state, a wrong shape, evidence after the last frame.
    """
    if frames is not None and frames < 0:
        raise EvidenceError("a clip cannot have fewer than 0 frames", found=frames, mend="leave frames out")
    if isinstance(evidence, np.ndarray):
        return _from_array(net, evidence, frames, memory_limit)
    return _from_table(net, evidence, frames, memory_limit)


def frame_codes(net: TwoSliceNet, evidence: pd.DataFrame | NDArray[Any]) -> NDArray[np.int16]:
    """Evidence of a single frame (columns are the template's variables), as int16 [variables, rows]."""
    return np.ascontiguousarray(as_codes(net.initial, evidence).T)


def _from_array(net: TwoSliceNet, codes: NDArray[Any], frames: int | None, memory_limit: float) -> ClipCodes:
    if codes.ndim != 3 or codes.shape[2] != len(net.variables) or codes.dtype.kind not in "iu":
        raise EvidenceError(
            "not a code array of clips of this net",
            found=f"{codes.dtype} {list(codes.shape)}",
            expected=f"integers [rows, frames, {len(net.variables)}]",
            mend="one column per variable of a frame, in the order of net.variables, -1 where unobserved",
        )
    cards = net.initial.cardinalities
    if codes.size and (codes.min() < UNOBSERVED or (codes.max(axis=(0, 1)) >= cards).any()):
        row, frame, column = (int(i) for i in np.argwhere((codes < UNOBSERVED) | (codes >= cards))[0])
        raise EvidenceError(
            "a code that is no state",
            node=frame_name(net.variables[column], frame + 1),
            row=row,
            found=int(codes[row, frame, column]),
            expected=f"-1 to {int(cards[column]) - 1}",
            mend="codes are positions in net.states[variable]",
        )
    given = codes.shape[1]
    if frames is not None and frames < given:
        found = f"evidence on {given} frames"
        raise EvidenceError("evidence after the last frame", found=found, expected=f"at most {frames}", mend="slice it")
    clip = _unobserved(net, frames or given, codes.shape[0], memory_limit)
    clip[:given] = codes.transpose(1, 2, 0)
    return clip


def _from_table(net: TwoSliceNet, table: pd.DataFrame, frames: int | None, memory_limit: float) -> ClipCodes:
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        mend = f"give one column per observed variable and frame, e.g. {frame_name(net.variables[0], 1)!r}"
        raise EvidenceError("evidence is neither a table nor a code array", found=type(table).__name__, mend=mend)
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise EvidenceError("a column stands twice in the evidence", node=twice, mend="keep one of the two")
    places = [place_of(net, name) for name in table.columns]
    last = max((frame for _, frame in places), default=0)
    if frames is not None and last > frames:
        raise EvidenceError("evidence after the last frame", found=f"frame {last}", expected=f"at most {frames}")
    clip = _unobserved(net, last if frames is None else frames, len(table), memory_limit)
    for (name, column), (variable, frame) in zip(table.items(), places, strict=True):
        found = column_codes(column, labels_of(net.initial)[variable])
        unknown = np.flatnonzero(found == UNKNOWN)
        if len(unknown):
            _refuse_label(net, name, variable, column, int(unknown[0]))
        clip[frame - 1, net.initial.index[variable]] = found
    return clip


def _unobserved(net: TwoSliceNet, frames: int, rows: int, memory_limit: float) -> ClipCodes:
    needed = frames * len(net.variables) * rows * np.dtype(np.int16).itemsize
    if needed > memory_limit:
        raise CapacityError(
            "the evidence needs too much memory",
            found=f"{needed / 2**30:.3g} GiB for {rows:,} rows × {frames:,} frames",
            expected=f"at most {memory_limit / 2**30:.3g} GiB",
            mend="check the last frame named, use stream(), or raise memory_limit",
        )
    return np.full((frames, len(net.variables), rows), UNOBSERVED, dtype=np.int16)


def place_of(net: TwoSliceNet, name: Hashable) -> tuple[str, int]:
    """Variable and frame of a column: the inverse of `frame_name`."""
    if isinstance(name, str):
        variable, _, number = name.rpartition("_")
        if variable in net.initial.index and number.isascii() and number.isdigit() and number[0] != "0":
            return variable, int(number)
    known: Sequence[str] = [frame_name(v, t) for v in net.variables for t in (1, 2)]
    raise EvidenceError("unknown variable", found=repr(name), mend=did_you_mean(name, known))


def _refuse_label(net: TwoSliceNet, name: Hashable, variable: str, column: pd.Series, at: int) -> None:
    try:
        net.initial.refuse_label(variable, column.tolist()[at], row=column.index[at])
    except EvidenceError as error:
        error.node = name
        raise
