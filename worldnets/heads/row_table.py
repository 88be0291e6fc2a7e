"""Answers kept by evidence: what was computed for a row is looked up when the same evidence comes again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.distinct import distinct

TABLE_CELLS = 1 << 22  # largest table kept, joint states × numbers per row: 32 MiB

Answer = Callable[[NDArray[np.int16]], NDArray[np.float64]]


class RowTable:
    """A function of evidence rows, computed once for each distinct row.

    Where the evidence has few joint states, all answers are kept; else those of the latest rows, for a trace asks the
    same rows of one checkpoint after the other.

    Args:
        cards: states of each column; −1, unobserved, is one more.
        width: numbers per row.
        answer: from distinct rows, int16 [rows, columns], to float64 [rows, width].
    """

    def __init__(self, cards: Sequence[int], width: int, answer: Answer) -> None:
        self._answer = answer
        self._radix = [int(card) + 1 for card in cards]
        joint = math.prod(self._radix)
        self._table: NDArray[np.float64] | None = None
        if joint * width <= TABLE_CELLS:
            self._table, self._known = np.empty((joint, width)), np.zeros(joint, dtype=bool)
        self._latest: tuple[NDArray[np.int16], NDArray[np.float64]] | None = None

    def __call__(self, states: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """Answers [rows, width] to rows [rows, columns]."""
        codes: NDArray[np.int16] = np.asarray(states, dtype=np.int16)
        if self._table is None:
            return self._afresh(codes)
        key = np.zeros(len(codes), dtype=np.int64)
        for place, radix in enumerate(self._radix):
            key = key * radix + (codes[:, place].astype(np.int64) + 1)
        if not self._known[key].all():
            new, first = np.unique(key, return_index=True)
            unknown = ~self._known[new]
            self._table[new[unknown]] = self._answer(codes[first[unknown]])
            self._known[new[unknown]] = True
        return self._table[key]

    def _afresh(self, states: NDArray[np.int16]) -> NDArray[np.float64]:
        if self._latest is None or not np.array_equal(self._latest[0], states):
            rows, which = distinct(states)
            self._latest = states.copy(), self._answer(rows)[which]
        return self._latest[1]
