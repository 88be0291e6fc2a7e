"""All tables of a net as one vector of entries: counted, smoothed, normalised, scored.

*Entries* are the entries of all tables, one table after the other in the order of the families, each in C order over
[*parent states, states]. So every distribution, a row of a table, is a slice, and an M step is three array operations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError, LearningError, did_you_mean
from worldnets.inference.codes import Codes
from worldnets.net import AXES_LIMIT, Label, WorldNet

MOST_ENTRIES = 2**27  # of all tables together: a gibibyte of counts

Entries = NDArray[np.float64]
Structure = Any  # a mapping from variables to their parents, a WorldNet, or a networkx DiGraph


@dataclass(frozen=True)
class Prior:
    """A Dirichlet prior on every distribution of every table: counts that are there before any row.

    Args:
        pseudocount: added to every entry (1: Laplace's rule; the K2 prior).
        equivalent_sample_size: shared out evenly over all entries of each table (BDeu), so that nets with the same
            independences have the same likelihood under it.

    Raises:
        LearningError: a negative or infinite number, or both kinds at once.

    Source: Heckerman, Geiger & Chickering 1995, "Learning Bayesian networks", section 7 (BDe), 8 (BDeu); Cooper &
    Herskovits 1992.
    """

    pseudocount: float = 0.0
    equivalent_sample_size: float = 0.0

    def __post_init__(self) -> None:
        for name in ("pseudocount", "equivalent_sample_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value < math.inf:
                raise LearningError(f"{name} must be a finite number ≥ 0", found=value, mend=f"give {name}=1.0, or 0")
        if self.pseudocount and self.equivalent_sample_size:
            mend = "give either a pseudocount or an equivalent sample size"
            found = (self.pseudocount, self.equivalent_sample_size)
            raise LearningError("two priors at once", found=found, mend=mend)

    @classmethod
    def given(cls, pseudocount: float | None, equivalent_sample_size: float | None) -> Prior:
        """The prior of options that may be left out; where both are, an equivalent sample size of 1."""
        if pseudocount is None and equivalent_sample_size is None:
            return cls(equivalent_sample_size=1.0)
        return cls(
            0.0 if pseudocount is None else pseudocount,
            0.0 if equivalent_sample_size is None else equivalent_sample_size,
        )

    def __bool__(self) -> bool:
        return bool(self.pseudocount or self.equivalent_sample_size)

    def __str__(self) -> str:
        if self.pseudocount:
            return f"pseudocount {self.pseudocount:g}"
        if self.equivalent_sample_size:
            return f"equivalent sample size {self.equivalent_sample_size:g}"
        return "no prior"

    def __repr__(self) -> str:
        return f"Prior({self})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self))


@dataclass(frozen=True, eq=False)
class Families:
    """The families of a net, a variable with its parents each, and where their tables lie among the entries.

    Attributes:
        variables: the variable of each family.
        scopes, shapes: (*parents, variable) and their numbers of states.
        start: [families + 1], the entry where each table begins.
        row_start: [distributions], the entry where each distribution begins.
        row_size: [distributions], its number of states.
    """

    variables: tuple[str, ...]
    scopes: tuple[tuple[str, ...], ...]
    shapes: tuple[tuple[int, ...], ...]
    start: NDArray[np.int64]
    row_start: NDArray[np.int64]
    row_size: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        states: Mapping[str, Sequence[Label]],
        parents: Mapping[str, Sequence[str]],
        variables: Sequence[str] | None = None,
    ) -> Families:
        """The families of all variables, or of some.

        Raises:
            CapacityError: tables of more than `MOST_ENTRIES` entries together, or of more than 64 axes.
        """
        names = tuple(states if variables is None else variables)
        scopes = tuple((*parents.get(v, ()), v) for v in names)
        shapes = tuple(tuple(len(states[u]) for u in scope) for scope in scopes)
        sizes = [math.prod(shape) for shape in shapes]
        if sum(sizes) > MOST_ENTRIES or max(map(len, shapes), default=0) > AXES_LIMIT:
            largest = int(np.argmax([float(size) for size in sizes]))
            raise CapacityError(
                "tables that would not fit",
                node=names[largest],
                found=f"{float(sum(sizes)):.3g} entries, {float(sizes[largest]):.3g} of them here",
                expected=f"at most {MOST_ENTRIES}",
                mend="give variables fewer parents",
            )
        start = np.cumsum([0, *sizes], dtype=np.int64)
        row_size = np.repeat([shape[-1] for shape in shapes], [n // s[-1] for n, s in zip(sizes, shapes, strict=True)])
        return cls(names, scopes, shapes, start, np.cumsum(row_size) - row_size, row_size.astype(np.int64))

    def __len__(self) -> int:
        return int(self.start[-1])

    def count(self, codes: Codes, columns: Mapping[str, int], weights: NDArray[np.float64]) -> Entries:
        """Σ_rows w·1[the row is in that entry's states]; every variable of every family must be observed.

        Whole weights give whole counts, exact up to 2^53.
        """
        entries = np.zeros(len(self))
        wide = functools.cache(lambda v: codes[:, columns[v]].astype(np.int64))
        for scope, shape, low, high in zip(self.scopes, self.shapes, self.start[:-1], self.start[1:], strict=True):
            cell = wide(scope[0])
            for v, size in zip(scope[1:], shape[1:], strict=True):
                cell = cell * size + wide(v)
            entries[low:high] = np.bincount(cell, weights, minlength=int(high - low))
        return entries

    def prior(self, prior: Prior) -> Entries:
        """The prior's counts."""
        sizes = np.diff(self.start)
        return np.repeat(prior.pseudocount + prior.equivalent_sample_size / sizes, sizes)

    def normalised(self, counts: Entries) -> Entries:
        """Each distribution's share of its counts; uniform where nothing was counted."""
        if not len(self):
            return counts
        totals = np.add.reduceat(counts, self.row_start)
        empty = totals <= 0
        with np.errstate(invalid="ignore", divide="ignore"):
            found = counts / np.repeat(totals, self.row_size)
        if empty.any():
            spread = np.repeat(empty, self.row_size)
            found[spread] = np.repeat(1.0 / self.row_size, self.row_size)[spread]
        return found

    def tables(self, entries: Entries) -> dict[str, Entries]:
        """By variable, arrays [*parent states, states]."""
        return {
            v: entries[low:high].reshape(shape)
            for v, low, high, shape in zip(self.variables, self.start[:-1], self.start[1:], self.shapes, strict=True)
        }

    def entries(self, tables: Mapping[str, Any]) -> Entries:
        """The inverse of `tables`, a copy."""
        return np.concatenate([np.empty(0), *(np.asarray(tables[v], np.float64).ravel() for v in self.variables)])


def log_likelihood(counts: Entries, entries: Entries) -> float:
    """Σ counts·ln entries, nats, with 0·ln 0 = 0; −inf where something of probability zero was counted."""
    counted = counts > 0
    with np.errstate(divide="ignore"):
        return float(counts[counted] @ np.log(entries[counted])) if counted.any() else 0.0


def parent_sets(structure: Structure, variables: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The parents of every variable.

    Args:
        structure: a mapping from variables to their parents (variables without parents may be left out), a `WorldNet`
            (whose tables play no part), or a networkx `DiGraph`.
        variables: all variables there are.

    Raises:
        LearningError: a structure that is none of these, or that names a variable there is not.
        NetError: a cycle, or a parent that is named twice.
    """
    if isinstance(structure, WorldNet):
        given: dict[str, tuple[str, ...]] = dict(structure.parent_sets)
    elif hasattr(structure, "predecessors"):  # a DiGraph, without loading networkx to know one
        given = {v: tuple(structure.predecessors(v)) for v in structure.nodes}
    elif isinstance(structure, Mapping):
        given = {}
        for v, listed in structure.items():
            if isinstance(listed, str):
                mend = f"give a list: [{listed!r}]"
                raise LearningError("the parents are one text", node=v, found=repr(listed), mend=mend)
            given[v] = tuple(listed)
    else:
        mend = "give {variable: [parents]}, a WorldNet or a networkx DiGraph"
        raise LearningError("a structure of no known kind", found=type(structure).__name__, mend=mend)
    known = set(variables)
    for v, parents in given.items():
        for name in (v, *parents):
            if name not in known:
                mend = f"{did_you_mean(name, variables)}; a variable that no one observes is named in latents="
                raise LearningError("the structure names a variable without a column", found=repr(name), mend=mend)
    found = {v: given.get(v, ()) for v in variables}
    one = np.ones(1)
    # With one state each, a net is refused for its arrows alone, before any table is allocated.
    WorldNet(dict.fromkeys(found, (0,)), found, {v: one.reshape((1,) * (len(found[v]) + 1)) for v in found})
    return found
