"""The tables of a two-slice net as one vector of parameters, tied over time: counted, pooled, normalised.

Tables of frame 1 are their own, because nothing came before. But a variable that has the same parents in frame 1 as
later, as emissions have, has one table for all frames, if so wished.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import LearningError
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.temporal.counts import tied_variables, with_tables
from worldnets.learning.clips import ClipArray, Clips
from worldnets.learning.tables import Entries, Families
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name

FIRST = PREVIOUS * 2  # marks tables of frame 1; no variable's name ends so


@dataclass(frozen=True, eq=False)
class TiedTables:
    """The tables of a two-slice net as one vector of parameters, a table that all frames share only once.

    Attributes:
        structure: variables, states, arrows.
        families: of the parameters; tables of frame 1 alone are named `v + FIRST`.
        first, later: the families of frame 1 and of later frames, each with all variables.
        place: [entries of both], the parameter that each entry is.
    """

    structure: TwoSliceNet
    families: Families
    first: Families
    later: Families
    place: NDArray[np.int64]

    @classmethod
    def of(cls, structure: TwoSliceNet, tied: bool) -> TiedTables:
        """Lay out the parameters."""
        shared = set(tied_variables(structure)) if tied else set()
        states = dict(structure.states)
        states |= {v + end: labels for v, labels in structure.states.items() for end in (FIRST, PREVIOUS)}
        parents = {v: structure.parents.get(v, ()) for v in structure.variables}
        parents |= {v + FIRST: tuple(p + FIRST for p in structure.initial.parents(v)) for v in structure.variables}
        own = [v + FIRST for v in structure.variables if v not in shared]
        families = Families.of(states, parents, [*own, *structure.variables])
        first = Families.of(states, parents, [v + FIRST for v in structure.variables])
        later = Families.of(states, parents, structure.variables)
        number = families.tables(np.arange(len(families), dtype=np.float64))
        names = [v if v in shared else v + FIRST for v in structure.variables] + list(structure.variables)
        return cls(
            structure, families, first, later, np.concatenate([number[name].ravel() for name in names]).astype(np.int64)
        )

    def __len__(self) -> int:
        return len(self.families)

    def pooled(self, counts: Entries) -> Entries:
        """Counts of entries [runs, entries] as counts of parameters [runs, parameters]."""
        found = np.zeros((len(counts), len(self)))
        for line, own in zip(found, counts, strict=True):
            np.add.at(line, self.place, own)
        return found

    def parameters(self, net: TwoSliceNet) -> Entries:
        """Those of a net; of tables that are tied, the later."""
        tables = {v + FIRST: net.initial.cpt(v) for v in net.variables} | dict(net.cpts)
        return self.families.entries(tables)

    def net(self, parameters: Entries) -> TwoSliceNet:
        """The two-slice net with these parameters."""
        entries = parameters[self.place]
        names = self.structure.variables
        first = self.first.tables(entries[: len(self.first)])
        later = self.later.tables(entries[len(self.first) :])
        return with_tables(self.structure, {v: first[v + FIRST] for v in names}, later)

    def normalised(self, counts: Entries, before: Entries) -> Entries:
        """Each distribution's share of its counts [runs, parameters]; `before` where nothing was counted."""
        totals = np.add.reduceat(counts, self.families.row_start, axis=1)
        totals = np.repeat(totals, self.families.row_size, axis=1)
        return np.where(totals > 0, counts / np.where(totals > 0, totals, 1.0), before)

    def of_variables(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """Whether a parameter belongs to one of these variables' tables, [parameters]."""
        wanted = {v + end for v in names for end in ("", FIRST)}
        return np.repeat([v in wanted for v in self.families.variables], np.diff(self.families.start))

    def counted(self, clips: Clips) -> tuple[Entries, NDArray[np.bool_]]:
        """Counts in the frames that show a family whole; and which parameters belong to a family shown at all."""
        codes, weights, pairs, pair_weights = clips.frames_one_by_one
        names = self.structure.variables
        first = _partial_counts(self.first, codes, {v + FIRST: i for i, v in enumerate(names)}, weights)
        columns = {v + PREVIOUS: i for i, v in enumerate(names)} | {v: len(names) + i for i, v in enumerate(names)}
        later = _partial_counts(self.later, pairs, columns, pair_weights)
        counts, shown = self.pooled(np.concatenate([first, later], axis=1))
        return counts, shown > 0

    def begins(self, clips: Clips, restarts: int, seed: int) -> list[Entries]:
        """Where restarts begin; see `tied_expectation_maximisation`."""
        counts, shown = self.counted(clips)
        found = []
        for restart in range(restarts):
            drawn = np.random.default_rng([seed, restart]).standard_exponential(len(self))
            drawn = np.where(shown, 1.0, drawn) if restart == 0 else drawn
            found.append(self.families.normalised((1.0 + counts) * drawn))
        return found


def complete_counts(tables: TiedTables, clips: Clips) -> Entries:
    """The counts of complete clips.

    Raises:
        LearningError: a missing entry before the end of a clip.
    """
    inside = np.arange(clips.frames) < clips.lengths[:, None]
    missing = (clips.codes == UNOBSERVED) & inside[:, :, None]
    if missing.any():
        clip, frame, v = (int(i) for i in np.argwhere(missing)[0])
        node = frame_name(tables.structure.variables[v], frame + 1)
        mend = "learn with tied_expectation_maximisation, or drop the clips that miss something"
        raise LearningError("a missing entry", node=node, row=int(clips.row[clip]), mend=mend)
    return tables.counted(clips)[0]


def _partial_counts(
    families: Families, codes: ClipArray, columns: Mapping[str, int], weights: NDArray[np.float64]
) -> Entries:
    """Counts in the rows that show a family whole; and in line 1, 1 for each entry of a family that some row does."""
    found = np.zeros((2, len(families)))
    for i, (scope, shape) in enumerate(zip(families.scopes, families.shapes, strict=True)):
        part = slice(int(families.start[i]), int(families.start[i + 1]))
        own = codes[:, [columns[v] for v in scope]].astype(np.int64)
        whole = (own != UNOBSERVED).all(axis=1)
        if whole.any():
            cells = np.ravel_multi_index(tuple(own[whole].T), shape)
            found[0, part] = np.bincount(cells, weights[whole], minlength=math.prod(shape))
            found[1, part] = 1.0
    return found
