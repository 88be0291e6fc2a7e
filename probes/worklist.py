"""The cells of a run as a list that makes them when they are looked at, and the work items they are handed out in.

A million cells are a million pairs of small numbers: which line of the suite, which of its cells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from probes.cells import Cell, Titled, canonical

#: Cells in one work item at most.
LARGEST = 16

Numbers = NDArray[np.integer]


class Cells(Sequence[Cell]):
    """Cells of some lines, in an order. `cells_of` makes all of them.

    Args:
        lines: conditions and organisms.
        line: of each cell the position of its line, [N].
        number: which of the line's cells it is, [N].
    """

    def __init__(self, lines: Sequence[Titled], line: Numbers, number: Numbers) -> None:
        self.lines, self.line, self.number = lines, line, number

    def __len__(self) -> int:
        return len(self.line)

    @overload
    def __getitem__(self, index: int) -> Cell: ...

    @overload
    def __getitem__(self, index: slice | Numbers) -> Cells: ...

    def __getitem__(self, index: int | slice | Numbers) -> Cell | Cells:
        if isinstance(index, int | np.integer):
            return self.lines[self.line[index]].cell(int(self.number[index]))
        return Cells(self.lines, self.line[index], self.number[index])

    def __iter__(self) -> Iterator[Cell]:
        for index in range(len(self)):
            yield self[index]

    def __repr__(self) -> str:
        return f"Cells({len(self)} of {len(self.lines)} lines)"


def cells_of(lines: Iterable[Titled]) -> Cells:
    """All cells, in suite order: first every line's first (a condition's first seed group), then the second, …"""
    listed = tuple(lines)
    counts = np.array([line.count for line in listed], dtype=np.int64)
    line = np.repeat(np.arange(len(listed), dtype=np.int32), counts)
    number = (np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.int32)
    order = np.argsort(number, kind="stable")
    return Cells(listed, line[order], number[order])


def shard_of(cells: Cells, shard: tuple[int, int] | None) -> Cells:
    """Part i of n of the cells: every n-th, so that each part has some of every world."""
    return cells if shard is None else cells[shard[0] - 1 :: shard[1]]


@dataclass(frozen=True)
class Batches(Sequence[Cells]):
    """Work items: neighbours in a list of cells.

    Args:
        cells: all cells, those of one work item side by side.
        ends: where each work item ends, [B].
    """

    cells: Cells
    ends: Numbers

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> Cells:  # type: ignore[override]
        position = range(len(self))[index]
        return self.cells[int(self.ends[position - 1]) if position else 0 : int(self.ends[position])]


def batches(cells: Cells, jobs: int) -> Batches:
    """Work items: cells of one world and objective stay together, so that what they are measured against is built once.

    Among them those of one training stand side by side, so that it is trained once for all probes that look at it. No
    item holds more than a job's fair share, or than `LARGEST`; where all jobs have to take several, each gets as many.
    """
    if not len(cells):
        return Batches(cells, np.empty(0, dtype=np.int64))
    # Lines of one kin, and among them of one training, by number: what a cell's texts say, said once per line.
    present, position = np.unique(cells.line, return_inverse=True)
    kins: dict[str, int] = {}
    trainings: dict[bytes, int] = {}
    names = []
    for number in present:
        first = cells.lines[number].cell(0)
        training = canonical({k: v for k, v in first.identity.items() if k not in {"probe", "group"}})
        digest = hashlib.sha256(training.encode()).digest()
        names.append((kins.setdefault(first.kin, len(kins)), trainings.setdefault(digest, len(trainings))))
    kin, which = np.array(names).T[:, position.reshape(-1)]
    first_of_kin = _first(kin)
    first_of_training = _first(which * (int(cells.number.max()) + 1) + cells.number)
    order = np.lexsort((np.arange(len(cells)), first_of_training, first_of_kin))
    sizes = np.diff(np.flatnonzero(np.r_[True, np.diff(first_of_kin[order]) != 0, True]))
    share = max(1, min(LARGEST, -(-len(cells) // jobs)))
    ends: list[int] = []
    total = 0
    for size in sizes.tolist():
        pieces = -(-size // share) if size <= share * jobs else jobs * -(-size // (share * jobs))
        ends += [total + size * piece // pieces for piece in range(1, pieces + 1)]
        total += size
    return Batches(cells[order], np.array(ends))


def _first(values: Numbers) -> Numbers:
    """For each entry, where its value stands first."""
    _, first, which = np.unique(values, return_index=True, return_inverse=True)
    return first[which.reshape(-1)]
