"""The kernels' walk in plain NumPy: the same operations in the same order, hence the same bits.

It answers when there is too little work to wait for a compiler to load, and it is what the tests hold the kernels
against. `kernels.posteriors` says what the steps are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.limits import Limits
from worldnets.inference.arrays import Wiring

Array = NDArray[np.floating[Any]]


def posteriors(w: Wiring, codes: NDArray[np.int16], limits: Limits) -> tuple[Array, NDArray[np.float64]]:
    """Beliefs [outputs' states, rows] and log evidence [rows] (nats) of `codes` [variables, rows]."""
    pot, arena, scale, log_evidence = _collect(w, codes, limits)
    if w.output_start.size == 1:
        return np.empty((0, codes.shape[1]), w.base.dtype), log_evidence
    read = _distribute(w, pot, arena, scale)
    for low, high in zip(w.output_start[:-1], w.output_start[1:], strict=True):
        read[low:high] *= _inverse(_in_order(read[low:high]))
    possible = np.flatnonzero(log_evidence > -np.inf)
    for o, column in zip(w.sure_output, w.sure_column, strict=True):
        read[w.output_start[o] + codes[column, possible], possible] = 1.0
    return read[: w.output_start[-1]], log_evidence


def _collect(w: Wiring, codes: NDArray[np.int16], limits: Limits) -> tuple[Array, Array, Array, NDArray[np.float64]]:
    rows = codes.shape[1]
    arena = np.zeros((w.message_rows, rows), w.base.dtype)
    for v, row in enumerate(w.indicator_row):
        if row >= 0:
            states = np.arange(w.cards[v])[:, None]
            arena[row : row + w.cards[v]] = (codes[v] < 0) | (codes[v] == states)
    pot = np.empty((w.base.size, rows), w.base.dtype)
    scale = np.empty((w.clique_start.size - 1, rows), w.base.dtype)
    log_evidence, running = np.zeros(rows), np.ones(rows)
    for f in range(w.slice_row.size - 1):
        at = slice(w.slice_row[f], w.slice_row[f + 1])
        arena[at] = w.tables[w.slice_cell[at, None] + _offsets(w, codes, w.slice_known[f], w.slice_known[f + 1])]
    for f, cell in enumerate(w.scalar_cell):
        running *= w.tables[cell + _offsets(w, codes, w.scalar_known[f], w.scalar_known[f + 1])]
        _take_logarithms(running, running < limits.tiny, log_evidence)
    for c in range(w.clique_start.size - 1):
        cells = slice(w.clique_start[c], w.clique_start[c + 1])
        size = cells.stop - cells.start
        pot[cells] = w.base[cells, None]
        operands = range(w.operand_start[c], w.operand_start[c + 1])
        messages = sum(int(w.operand_evidence[o]) < 0 for o in operands)
        message = 0
        for o in operands:
            at = w.operand_row_start[o]
            pot[cells] *= arena[w.rows[at : at + size]]
            message += int(w.operand_evidence[o]) < 0
            if 0 < message < messages and message % limits.messages == 0:
                _rescale(pot[cells], np.ones(rows, dtype=bool), log_evidence)
        sepset = slice(w.sepset_row[c], w.sepset_row[c + 1])
        total = _send(w, pot, arena, cells, sepset)
        low = total < limits.tiny
        if low.any():
            _rescale(pot[cells], low, log_evidence)
            total = _send(w, pot, arena, cells, sepset)
        running *= total
        scale[c] = _inverse(total)
        arena[sepset] *= scale[c]
        _take_logarithms(running, running < limits.tiny, log_evidence)
    _take_logarithms(running, np.ones(rows, dtype=bool), log_evidence)
    scale[-1:, log_evidence == -np.inf] = 0.0
    return pot, arena, scale, log_evidence


def _distribute(w: Wiring, pot: Array, arena: Array, scale: Array) -> Array:
    read = np.zeros((w.readout_rows, pot.shape[1]), w.base.dtype)
    last = w.clique_start.size - 2
    for c in range(last, -1, -1):
        cells = slice(w.clique_start[c], w.clique_start[c + 1])
        sepset = slice(w.sepset_row[c], w.sepset_row[c + 1])
        for o in range(w.marginal_start[c], w.marginal_start[c + 1]):
            size, at = sepset.stop - sepset.start, w.marginal_row_start[o]
            np.add.at(read, w.rows[at : at + size], read[w.sepset_readout[c] : w.sepset_readout[c] + size])
        if w.readout_start[c] == w.readout_start[c + 1]:
            continue
        if c == last:
            arena[sepset] = scale[c]
        else:
            belief = read[w.sepset_readout[c] : w.sepset_readout[c] + sepset.stop - sepset.start]
            ratio = np.zeros_like(belief)
            np.divide(belief, arena[sepset], out=ratio, where=arena[sepset] > 0)
            arena[sepset] = ratio * scale[c]
        beliefs = pot[cells] * arena[w.sepset_rows[cells]]
        for o in range(w.readout_start[c], w.readout_start[c + 1]):
            at = w.readout_row_start[o]
            np.add.at(read, w.rows[at : at + len(beliefs)], beliefs)
    return read


def _offsets(w: Wiring, codes: NDArray[np.int16], low: int, high: int) -> NDArray[np.int64]:
    known = slice(low, high)
    return (codes[w.known_column[known]].astype(np.int64) * w.known_stride[known, None]).sum(axis=0)


def _send(w: Wiring, pot: Array, arena: Array, cells: slice, sepset: slice) -> Array:
    arena[sepset] = 0.0
    np.add.at(arena, w.sepset_rows[cells], pot[cells])
    return _in_order(arena[sepset])


def _in_order(table: Array) -> Array:
    # `sum` may pair its terms; a cumulative sum adds them one after the other, as the kernels do.
    return np.cumsum(table, axis=0, dtype=table.dtype)[-1]


def _inverse(total: Array) -> Array:
    inverse = np.zeros_like(total)
    return np.divide(1.0, total, out=inverse, where=total > 0)


def _rescale(table: Array, rows: NDArray[np.bool_], log_evidence: NDArray[np.float64]) -> None:
    largest = table.max(axis=0)
    rows = rows & (largest > 0)
    for b in np.flatnonzero(rows):
        log_evidence[b] += math.log(largest[b])
    table *= _inverse(np.where(rows, largest, np.ones_like(largest)))


def _take_logarithms(running: NDArray[np.float64], rows: NDArray[np.bool_], log_evidence: NDArray[np.float64]) -> None:
    # `math.log`, not NumPy's vectorised one, whose last bit may differ.
    for b in np.flatnonzero(rows):
        log_evidence[b] += math.log(running[b]) if running[b] > 0 else -math.inf
        running[b] = 1.0
