"""Clips to learn from: rows whose columns are named as in the unrolled net, `frame_name(v, t)`.

Clips may be of unequal length: one ends with the last frame in which it shows anything. Frames after that count nothing
(nothing was seen there, so nothing is lost: the likelihood is the same).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.distinct import distinct
from worldnets.errors import LearningError
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.planner import MEMORY_LIMIT
from worldnets.inference.temporal.counts import ClipCounter, clip_counter
from worldnets.inference.temporal.evidence import place_of
from worldnets.learning.data import Data, Rows
from worldnets.net import Label
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name

ClipArray = NDArray[np.int16]  # [clips, frames, variables of a frame], −1 unobserved


def hidden_markov_structure(
    hidden: int | Sequence[Label],
    symbols: int | Sequence[Label],
    emits: str = "state",
    names: tuple[str, str] = ("state", "symbol"),
) -> TwoSliceNet:
    """The structure of a hidden Markov model, with uniform tables: what `tied_expectation_maximisation` takes.

    Args:
        hidden, symbols: labels, or how many (0, 1, …).
        emits: "state": a symbol depends on the state of its frame; "edge": also on the state before (frame 1 has none
            before it).
        names: of the hidden variable and of the symbol.

    Raises:
        LearningError: another `emits`.
    """
    if emits not in ("state", "edge"):
        raise LearningError("unknown kind of emission", found=repr(emits), mend='"state" or "edge"')
    z, x = names
    states = {v: tuple(range(n)) if isinstance(n, int) else tuple(n) for v, n in ((z, hidden), (x, symbols))}
    before = (z + PREVIOUS,)
    later = {z: before, x: (*before, z) if emits == "edge" else (z,)}
    return TwoSliceNet.uniform(states, {x: (z,)}, later, "hidden Markov")


def clip_rows(structure: TwoSliceNet, codes: NDArray[np.integer], weights: ArrayLike | None = None) -> Rows:
    """Clips given as a code array, as rows.

    Args:
        structure: gives the variables and states.
        codes: [clips, frames, variables of a frame], positions in `structure.states`, −1 where unobserved.
        weights: [clips].

    Raises:
        EvidenceError, LearningError: as `Rows`; also an array of another shape.
    """
    array = np.asarray(codes)
    if array.ndim != 3 or array.shape[2] != len(structure.variables):
        expected = f"[clips, frames, {len(structure.variables)}]"
        mend = "one column per variable of a frame, in the order of structure.variables"
        raise LearningError("no code array of clips", found=list(array.shape), expected=expected, mend=mend)
    shown = [(t, i) for t in range(array.shape[1]) for i in range(array.shape[2]) if (array[:, t, i] >= 0).any()]
    names = structure.variables
    states = {frame_name(names[i], t + 1): structure.states[names[i]] for t, i in shown}
    if not states:
        raise LearningError("clips that show nothing", mend="observe something in some frame")
    return Rows(states, array[:, [t for t, _ in shown], [i for _, i in shown]], weights)


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips as code arrays: each different one once.

    Attributes:
        codes: [different clips, frames, variables of a frame].
        lengths: [different clips], up to the last frame that shows anything; at least 1.
        weights: [different clips]: clips that are like it.
        row: [different clips], the first row that is like it.
        total: Σ weights of all rows, those that show nothing included.
    """

    codes: ClipArray
    lengths: NDArray[np.int64]
    weights: NDArray[np.float64]
    row: NDArray[np.intp]
    total: float

    @classmethod
    def of(cls, rows: Rows, structure: TwoSliceNet) -> Clips:
        """The clips of rows whose columns are those of the unrolled structure.

        Raises:
            EvidenceError: a column that it does not have, a label that is no state of it.
        """
        frames = max(place_of(structure, name)[1] for name in rows.variables)
        net = structure.unroll(frames)
        flat = rows.codes_in(net)
        kinds, inverse = distinct(flat)
        first = np.unique(inverse, return_index=True)[1]
        weights = np.bincount(inverse, weights=rows.weights, minlength=len(first)).astype(np.float64)
        codes = np.ascontiguousarray(kinds).reshape(len(first), frames, len(structure.variables))
        shown = (codes != UNOBSERVED).any(axis=2)
        lengths = np.where(shown.any(axis=1), frames - shown[:, ::-1].argmax(axis=1), 0)
        kept = (lengths > 0) & (weights > 0)
        return cls(codes[kept], lengths[kept], weights[kept], first[kept], rows.total)

    @property
    def frames(self) -> int:
        """Frames of the longest."""
        return self.codes.shape[1]

    def counter(self, structure: TwoSliceNet, threads: int) -> ClipCounter:
        """What counts them under any tables."""
        clip = np.ascontiguousarray(self.codes.transpose(1, 2, 0))
        return clip_counter(structure, clip, self.lengths, self.weights, threads, MEMORY_LIMIT)

    @functools.cached_property
    def frames_one_by_one(self) -> tuple[ClipArray, NDArray[np.float64], ClipArray, NDArray[np.float64]]:
        """Frames 1 [clips, variables] with weights; later frames beside those before them [frames, 2 × variables]."""
        inside = np.arange(1, self.frames) < self.lengths[:, None]
        pairs = np.concatenate([self.codes[:, :-1], self.codes[:, 1:]], axis=2)[inside]
        return self.codes[:, 0], self.weights, pairs, np.repeat(self.weights, self.lengths - 1)


def states_of_columns(data: Data, structure: TwoSliceNet) -> dict[str, tuple[Label, ...]] | None:
    """The states of a table's columns; `Rows` have their own."""
    if isinstance(data, Rows):
        return None
    return {name: structure.states[place_of(structure, name)[0]] for name in getattr(data, "columns", ())}


def check_structure(structure: TwoSliceNet) -> None:
    """Raise `LearningError` unless the structure is a two-slice net."""
    if not isinstance(structure, TwoSliceNet):
        mend = "give a TwoSliceNet: hidden_markov_structure(…), TwoSliceNet.uniform(…), or one with tables"
        raise LearningError("a structure that is not over time", found=type(structure).__name__, mend=mend)
