"""Plans that read off the posterior of every family, and whose tables can be filled with new numbers.

A *family* is a variable with its parents: the scope of one table. A `FamilyPlan` is a `Plan` over what the rows leave
unobserved, together with two maps: from entries of tables to the cells of the plan (`Tabulation`: how to fill the same
structure with other numbers), and from the plan's readouts back to entries of tables (`FamilyCells`).

*Entries* are all entries of all tables of the net, one table after the other, each in C order.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import NetError
from worldnets.inference.arrays import Wiring
from worldnets.inference.plan import Plan
from worldnets.inference.planner import BYTES_PER_CELL, MOST_CELLS, make_plan, predicted_cells
from worldnets.net import Factor, FactorNet, WorldNet

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
PLANS_KEPT, PLAN_BYTES = 64, 2**30


class Tabulation(NamedTuple):
    """Which entries are multiplied in each cell of a plan."""

    term_start: Index  # [cliques + 1] slice of the terms of each clique: tables multiplied into it
    term_entry_start: Index  # [terms] where in `entries` its entries begin, one per cell of the clique
    entries: Index


class FamilyCells(NamedTuple):
    """Where the posterior of each family is read, and at which entries it belongs.

    A family's readout rows are the states of its unobserved variables. Its marginal is zero away from the observed
    states; "first entry" means with those all 0.
    """

    read_start: Index  # [families] first readout row; `Wiring.readout_rows` if all of its variables are observed
    cell_start: Index  # [families + 1] slice of `cell`
    cell: Index  # the first entry of each readout row
    known_start: Index  # [families + 1] slice of the next two
    known_column: Index  # column of an observed variable of the family
    known_stride: Index  # entries per step of its state


@dataclass(frozen=True, eq=False)
class TableLayout:
    """How the tables of a net lie side by side in one vector of entries.

    Attributes:
        scopes, shapes: of each table.
        start: [tables + 1], the entry where each table begins.
        values: [entries], the net's own numbers.
    """

    scopes: tuple[tuple[str, ...], ...]
    shapes: tuple[tuple[int, ...], ...]
    start: Index
    values: NDArray[np.float64]

    @classmethod
    def of(cls, net: WorldNet | FactorNet) -> TableLayout:
        """The layout of a net's factors."""
        tables = [np.asarray(factor.table) for factor in net.factors]
        start = np.cumsum([0, *(table.size for table in tables)])
        values = np.concatenate([np.empty(0), *(table.ravel() for table in tables)])
        return cls(tuple(f.scope for f in net.factors), tuple(table.shape for table in tables), start, values)

    def strides(self, table: int) -> list[int]:
        """Entries per step of the state of each variable of a table's scope."""
        shape = self.shapes[table]
        return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]

    def tables(self, entries: NDArray[np.floating]) -> list[NDArray[np.floating]]:
        """Split [entries] or [rows, entries] into one array per table, leading axis kept."""
        return [
            entries[..., low:high].reshape((*entries.shape[:-1], *shape))
            for low, high, shape in zip(self.start[:-1], self.start[1:], self.shapes, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class FamilyPlan:
    """A plan with the net's own numbers filled in, and the maps to fill in others.

    Attributes:
        plan: the structure; its own numbers are not used, and no variable is pruned from it: entries are free
            potentials here, and those of a barren node weigh on its parents.
        wiring: the plan's index arrays with the net's numbers.
        log_scale: nats, what belongs to those numbers.
        start: [tables + 1], the entry where each table begins.
        tabulation, families: the two maps; `families` is empty in plans made for other readouts.
        spare: working tables that no walk is using (appending to and popping from a list are atomic).
    """

    plan: Plan
    wiring: Wiring
    log_scale: float
    start: Index
    tabulation: Tabulation
    families: FamilyCells
    spare: list[Any] = field(default_factory=list)

    def filled(self, values: NDArray[np.float64]) -> tuple[Wiring, float]:
        """The same structure with other numbers in its tables, [entries], and their log scale (nats).

        Entries that the structure knows to be zero must be zero.
        """
        return _filled(self.plan.wiring, self.tabulation, self.start, values)


class FamilyPlanner:
    """Makes family plans for one net and keeps the last `PLANS_KEPT`.

    Args:
        net: the net.
        dtype, memory_limit: as of `Inference`.
    """

    def __init__(self, net: WorldNet | FactorNet, dtype: str, memory_limit: float) -> None:
        self.net, self.dtype, self.memory_limit = net, dtype, memory_limit
        self.layout = TableLayout.of(net)
        self._possible = self.layout.values > 0  # entries that the structure takes for non-zero
        self._structure = self._with_support()
        self._plans: OrderedDict[Any, FamilyPlan] = OrderedDict()
        self._cells: OrderedDict[Any, float] = OrderedDict()
        self._lock = threading.Lock()  # JAX calls back from threads of its own

    def admit(self, values: NDArray[np.float64]) -> None:
        """Make sure that plans have a cell wherever `values` [entries] are not zero; forgets plans that do not."""
        surprising = (values > 0) & ~self._possible
        if surprising.any():
            with self._lock:
                self._possible = self._possible | surprising
                self._structure = self._with_support()
                self._plans.clear()

    def plan(self, always: Mask, beliefs: tuple[str, ...] | None = None) -> FamilyPlan:
        """The plan for rows that all observe the variables of `always` [variables], and perhaps others.

        It reads off every family, or with `beliefs` the marginals of those variables.

        Raises:
            CapacityError: as `make_plan`.
        """
        key = (always.tobytes(), beliefs)
        with self._lock:
            made = self._plans.get(key)
            if made is None:
                made = self._plans[key] = self._make(always, beliefs)
                while len(self._plans) > 1 and (len(self._plans) > PLANS_KEPT or self._bytes() > PLAN_BYTES):
                    self._plans.popitem(last=False)
            self._plans.move_to_end(key)
            return made

    def cells(self, always: Mask) -> float:
        """Clique cells of such a plan, zeros included: triangulated, but not made."""
        key = always.tobytes()
        if key not in self._cells:
            self._cells[key] = predicted_cells(self._structure, *self._kinds(always), ())
            while len(self._cells) > PLANS_KEPT:
                self._cells.popitem(last=False)
        return self._cells[key]

    def fits(self, always: Mask) -> bool:
        """Whether such a plan stays under the memory limit."""
        return self.cells(always) <= min(MOST_CELLS, self.memory_limit / BYTES_PER_CELL)

    def _kinds(self, always: Mask) -> tuple[list[str], list[str]]:
        """Variables that are cut out, and the others: all of those get indicators.

        So neither the masks of the next batch nor the direction of a derivative needs a new plan.
        """
        names = self.net.variables
        return [names[i] for i in np.flatnonzero(always)], [names[i] for i in np.flatnonzero(~always)]

    def _bytes(self) -> int:
        return sum(made.plan.index_bytes + made.tabulation.entries.nbytes for made in self._plans.values())

    def _with_support(self) -> FactorNet:
        tables = self.layout.tables(self._possible.astype(np.float64))
        factors = [
            Factor(scope, np.asarray(t, np.float64)) for scope, t in zip(self.layout.scopes, tables, strict=True)
        ]
        return FactorNet(self.net.states, tuple(factors), self.net.name)

    def _make(self, always: Mask, beliefs: tuple[str, ...] | None) -> FamilyPlan:
        cut, others = self._kinds(always)
        observed = set(cut)
        free_scopes = [tuple(v for v in scope if v not in observed) for scope in self.layout.scopes]
        if beliefs is None:
            outputs = tuple(dict.fromkeys(scope for scope in free_scopes if scope))
        else:
            outputs = tuple((v,) for v in beliefs)
        plan = make_plan(self._structure, cut, others, outputs, np.dtype(self.dtype).type, self.memory_limit)
        tabulation = self._tabulation(plan, free_scopes)
        families = self._family_cells(plan, free_scopes if beliefs is None else [])
        start = self.layout.start
        filled = _filled(plan.wiring, tabulation, start, self.layout.values)
        return FamilyPlan(plan, *filled, start, tabulation, families)

    def _tabulation(self, plan: Plan, free_scopes: Sequence[tuple[str, ...]]) -> Tabulation:
        """Which tables are multiplied into which clique, and which of their entries at each cell."""
        layout, wiring = self.layout, plan.wiring
        sets = [frozenset(clique) for clique in plan.cliques]
        sizes = np.diff(wiring.clique_start)
        holding: dict[str, list[int]] = {v: [] for v in self.net.variables}
        for c, clique in enumerate(plan.cliques):
            for v in clique:
                holding[v].append(c)
        tables: list[list[int]] = [[] for _ in sets]
        for table, (scope, free) in enumerate(zip(layout.scopes, free_scopes, strict=True)):
            if scope and len(free) == len(scope):
                fewest = min((holding[v] for v in scope), key=len)
                tables[min((c for c in fewest if sets[c].issuperset(scope)), key=lambda c: int(sizes[c]))].append(table)
        terms: list[list[Index]] = [[] for _ in sets]
        for c, clique in enumerate(plan.cliques):
            # Which clique a table is multiplied into is free, as long as the clique holds its scope.
            cells = wiring.cell[wiring.clique_start[c] : wiring.clique_start[c + 1]]
            at = dict(zip(clique, np.unravel_index(cells, [len(self.net.states[v]) for v in clique]), strict=True))
            for table in tables[c]:
                entry = np.full(len(cells), layout.start[table])
                for v, stride in zip(layout.scopes[table], layout.strides(table), strict=True):
                    entry += at[v] * stride
                terms[c].append(entry)
        return Tabulation(
            term_start=_starts([len(mine) for mine in terms]),
            term_entry_start=_starts([len(term) for mine in terms for term in mine])[:-1],
            entries=_joined([term for mine in terms for term in mine]),
        )

    def _family_cells(self, plan: Plan, free_scopes: Sequence[tuple[str, ...]]) -> FamilyCells:
        layout, wiring = self.layout, plan.wiring
        row = {output: int(wiring.output_start[o]) for o, output in enumerate(plan.outputs)}
        cells, known = [], []
        for table, free in enumerate(free_scopes):
            entry = np.full(1, layout.start[table])
            mine = []
            for v, stride in zip(layout.scopes[table], layout.strides(table), strict=True):
                if v in free:
                    entry = (entry[:, None] + stride * np.arange(len(self.net.states[v]))).ravel()
                else:
                    mine.append((self.net.index[v], stride))
            cells.append(entry)
            known.append(mine)
        return FamilyCells(
            read_start=_index([row[free] if free else wiring.readout_rows for free in free_scopes]),
            cell_start=_starts([len(entry) for entry in cells]),
            cell=_joined(cells),
            known_start=_starts([len(mine) for mine in known]),
            known_column=_index([column for mine in known for column, _ in mine]),
            known_stride=_index([stride for mine in known for _, stride in mine]),
        )


def _filled(wiring: Wiring, tabulation: Tabulation, start: Index, values: NDArray[np.float64]) -> tuple[Wiring, float]:
    from worldnets.inference.tangent import tabulate

    log_scale = 0.0
    if values.max(initial=0.0) > 1.0:  # products of entries like e^300 would overflow
        largest = np.maximum.reduceat(values, start[:-1])
        largest[largest == 0.0] = 1.0
        values = values / np.repeat(largest, np.diff(start))
        log_scale = float(np.log(largest).sum())
    base = np.empty_like(wiring.base)
    log_scale += tabulate(tabulation, wiring.clique_start, values, base)
    # `Wiring.tables` are all tables one after the other: the entries.
    return wiring._replace(base=base, tables=values.astype(wiring.tables.dtype)), log_scale


def same_structure(layout: TableLayout, net: WorldNet | FactorNet) -> NDArray[np.float64]:
    """The entries of another net with the same tables' scopes and shapes.

    Raises:
        NetError: the first table that differs.
    """
    other = TableLayout.of(net)
    mine, theirs = (list(zip(one.scopes, one.shapes, strict=True)) for one in (layout, other))
    if mine != theirs:
        if len(mine) != len(theirs):
            found, expected = f"{len(theirs)} tables", f"{len(mine)}"
        else:
            found, expected = next((str(b), str(a)) for a, b in zip(mine, theirs, strict=True) if a != b)
        mend = "give a net with the engine's variables, states and parents, in the same order"
        raise NetError("a net of another structure than the engine's", found=found, expected=expected, mend=mend)
    return other.values


def planner(engine: Any) -> FamilyPlanner:
    """The family planner of an `Inference`, made when first asked for and kept with it."""
    made = vars(engine).get("_family_planner")
    if made is None:
        made = FamilyPlanner(engine.net, engine.dtype, engine.memory_limit)
        vars(engine)["_family_planner"] = made
    return made


def _joined(parts: Sequence[Index]) -> Index:
    return np.concatenate([np.empty(0, dtype=np.int64), *parts])


def _starts(lengths: Sequence[int]) -> Index:
    return np.cumsum([0, *lengths], dtype=np.int64)


def _index(values: Sequence[int]) -> Index:
    return np.asarray(values, dtype=np.int64)
