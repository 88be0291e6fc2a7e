"""Drawing clips from a world: ancestral sampling, counter-based, so that row r never depends on how many are drawn.

Conditional samples need messages and live with the exact engine (`Inference.sample`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError
from worldnets.inference.codes import Codes
from worldnets.net import WorldNet


class _Program(NamedTuple):
    """A net as flat arrays, variables in topological order."""

    column: NDArray[np.int64]  # [variables] column of the i-th variable in the code array
    cards: NDArray[np.int64]  # [variables] its number of states
    table_start: NDArray[np.int64]  # [variables] where its cumulative table begins
    cumulative: NDArray[np.float64]  # all tables, each row cumulative over states
    parent_start: NDArray[np.int64]  # [variables + 1] slices of the two arrays below
    parent_column: NDArray[np.int64]
    parent_stride: NDArray[np.int64]  # cells of the table per step of that parent's state


def simulate(net: WorldNet, rows: int, seed: int, first: int = 0) -> Codes:
    """Draw rows from the joint distribution of a net.

    Row i depends only on (seed, first + i): `simulate(net, 5, s, first=10)` equals `simulate(net, 15, s)[10:]`.

    Returns:
        int16 [rows, variables], every entry observed.
    Raises:
        EvidenceError: a negative number of rows, or a negative seed.
    """
    if rows < 0 or seed < 0 or first < 0:
        raise EvidenceError("rows, seed and first must not be negative", found=(rows, seed, first), mend="use ≥ 0")
    from worldnets.inference.kernels import ancestral_samples

    codes = np.empty((len(net.variables), rows), dtype=np.int16)
    ancestral_samples(_program(net), np.uint64(seed), np.uint64(first), codes)
    return codes.T  # column-major: kernels and encoders read one variable at a time


def _program(net: WorldNet) -> _Program:
    cached = net.__dict__.get("_simulation_program")
    if cached is not None:
        return cached
    tables, starts, parents, strides, parent_start = [], [], [], [], [0]
    size = 0
    for v in net.order:
        table = np.cumsum(net.cpt(v), axis=-1)
        # Rounding must never leave a sliver above the last possible state: its cumulative value is infinite.
        last = table.shape[-1] - 1 - np.argmax(net.cpt(v)[..., ::-1] > 0, axis=-1)
        table[np.arange(table.shape[-1]) >= last[..., None]] = np.inf
        starts.append(size)
        size += table.size
        tables.append(table.ravel())
        for axis, parent in enumerate(net.parents(v)):
            parents.append(net.index[parent])
            strides.append(int(np.prod(table.shape[axis + 1 :])))
        parent_start.append(len(parents))
    program = _Program(
        np.array([net.index[v] for v in net.order]),
        np.array([len(net.states[v]) for v in net.order]),
        np.array(starts),
        np.concatenate(tables),
        np.array(parent_start),
        np.array(parents, dtype=np.int64),
        np.array(strides, dtype=np.int64),
    )
    net.__dict__["_simulation_program"] = program  # a frozen net's program never changes
    return program
