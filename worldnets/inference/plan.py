"""Planning apart from doing: which cliques, which tables, what it will cost.

A `Plan` is a junction tree compiled to flat index arrays (`Wiring`) that one generic kernel walks. Everything the
kernel does is "multiply rows of an arena into the cells of a clique, then add cells up into rows of an arena", so the
arrays say for each cell *which row*; tables with zeros simply have fewer cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError
from worldnets.inference.triangulation import NO_PARENT, JunctionTree, junction_tree, moral_graph
from worldnets.net import FactorNet, WorldNet

Index = NDArray[np.int32]
MEMORY_LIMIT = 8 * 2**30  # bytes
BYTES_PER_CELL = 128  # its value, about six row numbers, and eight rows in flight


class Wiring(NamedTuple):
    """The index arrays of a plan. Cliques are in collect order; "row" means a row of the arena named.

    The message arena holds one row per state of every variable that may be observed (its indicator) and one row per
    state of every sepset. The readout arena holds one row per number asked for (`outputs` of them come first and are
    what a query returns) and one row per state of every sepset (its belief).
    """

    base: NDArray[np.floating]  # [cells] product of the tables at each cell, largest cell of a clique = 1
    clique_start: Index  # [cliques + 1] slice of the cells of each clique
    operand_start: Index  # [cliques + 1] slice of the operands of each clique: messages multiplied into it
    operand_evidence: Index  # [operands] column of the observed variable, or -1 for a child's message
    operand_row_start: Index  # [operands] where in `rows` its message rows begin, one per cell of the clique
    sepset_row: Index  # [cliques + 1] message row where the clique's sepset begins; the last entry closes
    sepset_rows: Index  # [cells] message row of each cell's sepset state
    readout_start: Index  # [cliques + 1] slice of the readouts of each clique
    readout_row_start: Index  # [readouts] where in `rows` its readout rows begin, one per cell of the clique
    rows: Index  # the lists that the two arrays above point into
    indicator_row: Index  # [variables] message row of the first indicator of each variable, -1 if never observed here
    cards: Index  # [variables] number of states
    sepset_readout: Index  # [cliques] readout row where the belief of the clique's sepset begins
    output_start: Index  # [outputs + 1] slices of the readout rows returned: one slice is one distribution
    message_rows: int
    readout_rows: int


class SamplingTables(NamedTuple):
    """What drawing from a calibrated tree needs beside the wiring: who is in each clique, and cells by sepset state."""

    member_start: Index  # [cliques + 1] slice of the members (variables) of each clique
    member_column: Index  # [members] column in the code array
    sepset_stride: Index  # [members] step of the sepset state per state of this member, 0 if not in the sepset
    member_states_start: Index  # [members] where in `member_states` its state at each cell of the clique begins
    member_states: NDArray[np.int16]
    group_start: Index  # [sepset rows + 1] slice of `group_cell` for each sepset state
    group_cell: Index  # cells, grouped by the state of the sepset of their clique


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """How a kind of query will be answered, and what that costs; printing it gives the report.

    Attributes:
        variables: the variables kept (the rest is barren: neither asked for, nor observed, nor upstream of either).
        cliques: the variables of each clique, in collect order.
        outputs: the variable sets whose joint posteriors are read off.
        multiply_adds: multiplications and additions of a row with every variable observed.
        log_scale: nats, the logarithm of what `Wiring.base` was divided by.
    """

    variables: tuple[str, ...]
    cliques: tuple[tuple[str, ...], ...]
    parents: tuple[int, ...]
    sepsets: tuple[tuple[str, ...], ...]
    outputs: tuple[tuple[str, ...], ...]
    wiring: Wiring
    sampling: SamplingTables
    log_scale: float
    full_cells: int

    @property
    def cells(self) -> int:
        """Clique cells that are not zero for certain."""
        return int(self.wiring.base.size)

    @property
    def multiply_adds(self) -> int:
        """Multiplications and additions a row costs at most (every kept variable observed)."""
        sizes = np.diff(self.wiring.clique_start)
        operands, readouts = np.diff(self.wiring.operand_start), np.diff(self.wiring.readout_start)
        # Per cell: its operands, one addition into the sepset, one multiplication on the way back, its readouts.
        return int((sizes * (operands + readouts + 2)).sum())

    @property
    def bytes_per_row(self) -> int:
        """Memory of the working tables, per row in flight."""
        rows = self.cells + self.wiring.message_rows + self.wiring.readout_rows
        return rows * self.wiring.base.dtype.itemsize

    def __repr__(self) -> str:
        sizes = np.diff(self.wiring.clique_start)
        largest = int(np.argmax(sizes))
        return "\n".join(
            (
                f"Plan over {len(self.variables)} variables for {len(self.outputs)} distributions",
                f"  cliques        {len(self.cliques):>12,}",
                f"  cells          {self.cells:>12,}  of {self.full_cells:,}; the rest are zero for certain",
                f"  largest clique {int(sizes[largest]):>12,}  ({', '.join(self.cliques[largest])})",
                f"  multiply-adds  {self.multiply_adds:>12,}  per row at most",
                f"  memory         {self.bytes_per_row:>12,}  bytes per row in flight",
            )
        )


def make_plan(
    net: WorldNet | FactorNet,
    observed: Iterable[str],
    outputs: Sequence[tuple[str, ...]],
    dtype: type[np.floating] = np.float64,
    memory_limit: float = MEMORY_LIMIT,
) -> Plan:
    """Plan the posteriors of the variable sets `outputs` when at most the variables `observed` carry evidence.

    Raises:
        CapacityError: the tables would take more than `memory_limit` bytes; nothing has been allocated yet.
    """
    observed = set(observed)
    wanted = {v for output in outputs for v in output}
    kept_names = net.ancestors(observed | wanted) if isinstance(net, WorldNet) else set(net.variables)
    # The net's order makes plans (and so bits) independent of the order of any set.
    kept = [v for v in net.variables if v in kept_names] or list(net.variables[:1])
    position = {v: i for i, v in enumerate(kept)}
    cards = [len(net.states[v]) for v in kept]
    factors = [f for f in net.factors if all(v in position for v in f.scope)]
    if isinstance(net, WorldNet):
        factors = [f for f in factors if f.scope[-1] in position]
    scopes = [tuple(position[v] for v in f.scope) for f in factors]
    output_scopes = [tuple(position[v] for v in output) for output in outputs]
    tree = junction_tree(moral_graph(len(kept), [*scopes, *output_scopes]), cards)
    full_cells = sum(math.prod(cards[v] for v in clique) for clique in tree.cliques)
    if full_cells * BYTES_PER_CELL > memory_limit:
        largest = max(tree.cliques, key=lambda clique: math.prod(cards[v] for v in clique))
        raise CapacityError(
            "exact inference on this net needs too much memory",
            node=f"clique ({', '.join(kept[v] for v in largest)})",
            found=f"{full_cells:,} clique cells, about {full_cells * BYTES_PER_CELL / 2**30:.3g} GiB",
            expected=f"at most {memory_limit / 2**30:.3g} GiB",
            mend="ask for fewer variables, raise memory_limit, or use loopy message passing",
        )
    builder = _Builder(tree, cards, dtype)
    builder.fill_tables(scopes, [f.table for f in factors])
    columns = [net.index[v] for v in kept]
    wiring = builder.wire([position[v] for v in kept if v in observed], output_scopes, columns, len(net.variables))
    named = [tuple(kept[v] for v in clique) for clique in tree.cliques]
    return Plan(
        tuple(kept),
        tuple(named),
        tree.parents,
        tuple(tuple(kept[v] for v in sepset) for sepset in tree.sepsets),
        tuple(outputs),
        wiring,
        builder.sampling_tables(wiring, columns),
        builder.log_scale,
        full_cells,
    )


class _Builder:
    """Fills the cliques with tables and turns the tree into index arrays."""

    def __init__(self, tree: JunctionTree, cards: Sequence[int], dtype: type[np.floating]) -> None:
        self.tree, self.cards, self.dtype = tree, list(cards), dtype
        self.log_scale = 0.0
        self.tables: list[NDArray[np.floating]] = []  # per clique, its non-zero cells
        self.cells: list[NDArray[np.int64]] = []  # per clique, where they stand in the full table
        self.sizes = [math.prod(self.cards[v] for v in clique) for clique in tree.cliques]
        self.sets = [frozenset(clique) for clique in tree.cliques]
        self.holding: list[list[int]] = [[] for _ in cards]
        for c, clique in enumerate(tree.cliques):
            for v in clique:
                self.holding[v].append(c)

    def home(self, scope: Sequence[int]) -> int:
        """The smallest clique that holds a scope."""
        if not scope:
            return len(self.sets) - 1
        fewest = min((self.holding[v] for v in scope), key=len)
        return min((c for c in fewest if self.sets[c].issuperset(scope)), key=lambda c: self.sizes[c])

    def fill_tables(self, scopes: Sequence[tuple[int, ...]], tables: Sequence[NDArray[np.float64]]) -> None:
        """Multiply each table into the smallest clique that holds it, and keep the cells that are not zero."""
        assigned: list[list[int]] = [[] for _ in self.sets]
        for i, scope in enumerate(scopes):
            assigned[self.home(scope)].append(i)
        for c, clique in enumerate(self.tree.cliques):
            full = np.ones([self.cards[v] for v in clique])
            for i in assigned[c]:
                full *= _aligned(tables[i], scopes[i], clique)
                largest = full.max()
                if largest > 0:  # many small entries would underflow; a table of zeros stays what it is
                    full /= largest
                    self.log_scale += math.log(largest)
            cells = np.flatnonzero(full)
            if cells.size == 0:
                cells = np.array([0])  # a world of probability zero: keep one zero cell so that it stays impossible
            self.cells.append(cells)
            self.tables.append(full.ravel()[cells].astype(self.dtype))

    def states_of(self, c: int, scope: Sequence[int]) -> NDArray[np.int64]:
        """For each kept cell of clique c the joint state of `scope`, first variable most significant."""
        clique = self.tree.cliques[c]
        stride, states = 1, np.zeros(len(self.cells[c]), dtype=np.int64)
        strides = np.cumprod([1, *(self.cards[v] for v in clique[:0:-1])])[::-1]
        for v in reversed(scope):
            states += self.cells[c] // strides[clique.index(v)] % self.cards[v] * stride
            stride *= self.cards[v]
        return states

    def wire(
        self,
        observed: Sequence[int],
        outputs: Sequence[tuple[int, ...]],
        columns: Sequence[int],
        variables: int,
    ) -> Wiring:
        """The index arrays, for evidence on `observed` and posteriors over the scopes `outputs`."""
        tree, cliques = self.tree, range(len(self.sets))
        indicator_row = np.full(variables, -1, dtype=np.int32)
        cards = np.zeros(variables, dtype=np.int32)
        operands: list[list[tuple[int, NDArray[np.int64]]]] = [[] for _ in cliques]
        row = 0
        for v in observed:
            c = self.home((v,))
            operands[c].append((columns[v], row + self.states_of(c, (v,))))
            indicator_row[columns[v]], cards[columns[v]] = row, self.cards[v]
            row += self.cards[v]
        sepset_row, sepset_rows = [], []
        for c in cliques:
            sepset_row.append(row)
            sepset_rows.append(row + self.states_of(c, tree.sepsets[c]))
            if tree.parents[c] != NO_PARENT:
                above = tree.parents[c]
                operands[above].append((-1, row + self.states_of(above, tree.sepsets[c])))
            row += math.prod(self.cards[v] for v in tree.sepsets[c])
        sepset_row.append(row)

        readouts: list[list[NDArray[np.int64]]] = [[] for _ in cliques]
        output_start, read = [0], 0
        for scope in outputs:
            c = self.home(scope)
            readouts[c].append(read + self.states_of(c, scope))
            read += math.prod(self.cards[v] for v in scope)
            output_start.append(read)
        sepset_readout = []
        for c in cliques:
            sepset_readout.append(read)
            if tree.parents[c] != NO_PARENT:
                readouts[tree.parents[c]].append(read + self.states_of(tree.parents[c], tree.sepsets[c]))
                read += sepset_row[c + 1] - sepset_row[c]

        # Indicators first: they are skipped when a chunk has no evidence on them.
        for mine in operands:
            mine.sort(key=lambda operand: operand[0] < 0)
        lists = [rows for mine in operands for _, rows in mine] + [rows for mine in readouts for rows in mine]
        starts = np.cumsum([0, *(len(rows) for rows in lists)])
        count = sum(map(len, operands))
        return Wiring(
            base=np.concatenate(self.tables),
            clique_start=_starts(map(len, self.tables)),
            operand_start=_starts(map(len, operands)),
            operand_evidence=_index([column for mine in operands for column, _ in mine]),
            operand_row_start=_index(starts[:count]),
            sepset_row=_index(sepset_row),
            sepset_rows=_index(np.concatenate(sepset_rows)),
            readout_start=_starts(map(len, readouts)),
            readout_row_start=_index(starts[count:-1]),
            rows=_index(np.concatenate(lists) if lists else []),
            indicator_row=indicator_row,
            cards=cards,
            sepset_readout=_index(sepset_readout),
            output_start=_index(output_start),
            message_rows=row,
            readout_rows=read,
        )

    def sampling_tables(self, wiring: Wiring, columns: Sequence[int]) -> SamplingTables:
        """The members of each clique, their states at its cells, and the cells grouped by sepset state."""
        member_column, sepset_stride, states = [], [], []
        for c, clique in enumerate(self.tree.cliques):
            sepset = self.tree.sepsets[c]
            for v in clique:
                below = sepset[sepset.index(v) + 1 :] if v in sepset else ()
                sepset_stride.append(math.prod(self.cards[u] for u in below) if v in sepset else 0)
                member_column.append(columns[v])
                states.append(self.states_of(c, (v,)).astype(np.int16))
        grouped = np.argsort(wiring.sepset_rows, kind="stable")
        rows = np.arange(wiring.sepset_row[0], wiring.sepset_row[-1] + 1)
        return SamplingTables(
            member_start=_starts(map(len, self.tree.cliques)),
            member_column=_index(member_column),
            sepset_stride=_index(sepset_stride),
            member_states_start=_starts(map(len, states))[:-1],
            member_states=np.concatenate(states),
            group_start=_index(np.searchsorted(wiring.sepset_rows[grouped], rows)),
            group_cell=_index(grouped),
        )


def _aligned(table: NDArray[np.float64], scope: Sequence[int], clique: Sequence[int]) -> NDArray[np.float64]:
    """The table with its axes in the clique's order and length-1 axes for the variables it does not have."""
    ordered = sorted(scope, key=list(clique).index)
    moved = table.transpose([list(scope).index(v) for v in ordered])
    return moved.reshape([table.shape[list(scope).index(v)] if v in scope else 1 for v in clique])


def _starts(lengths: Iterable[int]) -> Index:
    return _index(np.cumsum([0, *lengths]))


def _index(values: Sequence[int] | NDArray[np.integer]) -> Index:
    return np.asarray(values, dtype=np.int32)
