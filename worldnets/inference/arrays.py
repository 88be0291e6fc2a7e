"""The flat arrays of a plan: what planners fill and kernels walk.

Everything a kernel does is "multiply rows of an arena into the cells of a clique, then add cells up into rows of an
arena", so the arrays say for each cell *which row*; tables with zeros simply have fewer cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int32]


class Wiring(NamedTuple):
    """The index arrays of a plan. Cliques are in collect order; "row" means a row of the arena named.

    The message arena holds one row per entry of every sliced table, one per state of every variable that may have
    evidence (its indicator or likelihood), and one per state of every sepset. The readout arena holds one row per
    number asked for (`outputs` of them come first and are what a query returns) and one row per state of every sepset
    (its belief).
    """

    base: NDArray[np.floating]  # [cells] product of the tables at each cell, largest cell of a clique = 1
    cell: NDArray[np.int64]  # [cells] where a cell stands in the full table of its clique
    clique_start: Index  # [cliques + 1] slice of the cells of each clique
    operand_start: Index  # [cliques + 1] slice of the operands of each clique: messages multiplied into it
    operand_evidence: Index  # [operands] column of the observed variable, or -1 for a message or a slice of a table
    operand_row_start: Index  # [operands] where in `rows` its message rows begin, one per cell of the clique
    sepset_row: Index  # [cliques + 1] message row where the clique's sepset begins; the last entry closes
    sepset_rows: Index  # [cells] message row of each cell's sepset state
    readout_start: Index  # [cliques + 1] slice of the readouts of each clique
    readout_row_start: Index  # [readouts] where in `rows` its readout rows begin, one per cell of the clique
    marginal_start: Index  # [cliques + 1] slice of the readouts from the belief of each clique's sepset
    marginal_row_start: Index  # [marginals] where in `rows` its readout rows begin, one per state of the sepset
    rows: Index  # the lists that the three arrays above point into
    indicator_row: Index  # [variables] message row of the first indicator of each variable, -1 if never observed here
    cards: Index  # [variables] number of states
    sepset_readout: Index  # [cliques] readout row where the belief of the clique's sepset begins
    output_start: Index  # [outputs + 1] slices of the readout rows returned: one slice is one distribution
    slice_row: Index  # [slices + 1] message rows of each slice of a table; slices come first in the arena
    slice_cell: Index  # [slice rows] where in `tables` a row's entry stands while every observed state is 0
    slice_known: Index  # [slices + 1] slices of the next two arrays
    known_column: Index  # column of an observed variable in the scope of a sliced table
    known_stride: Index  # entries of that table per step of its state
    scalar_cell: Index  # [scalars] as `slice_cell`, for tables with nothing unobserved in their scope
    scalar_known: Index  # [scalars + 1] as `slice_known`
    tables: NDArray[np.floating]  # the entries of all tables
    sure_output: Index  # outputs that are the distribution of a sliced variable, one state of which is sure
    sure_column: Index  # the column of that variable
    message_rows: int
    readout_rows: int


class Tree(NamedTuple):
    """A clique tree over the free variables, in collect order; members and sepsets in elimination order."""

    member_start: Index  # [cliques + 1]
    members: Index  # free variables
    parent: Index  # [cliques], -1 for the root
    sepset_start: Index  # [cliques + 1]
    sepset: Index  # free variables
    cards: Index  # [free variables]


class SamplingTables(NamedTuple):
    """What drawing from a calibrated tree needs beside the wiring: who is in each clique, and cells by sepset state."""

    member_start: Index  # [cliques + 1] slice of the members (variables) of each clique
    member_column: Index  # [members] column in the code array
    sepset_stride: Index  # [members] step of the sepset state per state of this member, 0 if not in the sepset
    member_states_start: Index  # [members] where in `member_states` its state at each cell of the clique begins
    member_states: NDArray[np.int16]
    group_start: Index  # [sepset rows + 1] slice of `group_cell` for each sepset state
    group_cell: Index  # cells, grouped by the state of the sepset of their clique


def joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """Parts one after the other; none give an empty array."""
    return np.concatenate([np.empty(0, dtype=dtype), *parts], dtype=dtype, casting="same_kind")


def starts_of(lengths: Iterable[int]) -> Index:
    """Where slices of these lengths begin, and the last one ends."""
    return np.cumsum([0, *lengths], dtype=np.int32)


def as_index(values: Sequence[int] | NDArray[np.integer]) -> Index:
    """Numbers as an index array."""
    return np.asarray(values, dtype=np.int32)
