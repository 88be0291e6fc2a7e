"""Planning apart from doing: which cliques, which tables, what it will cost.

A `Plan` is a junction tree compiled to flat index arrays (`Wiring`) that one generic kernel walks. Everything the
kernel does is "multiply rows of an arena into the cells of a clique, then add cells up into rows of an arena", so the
arrays say for each cell *which row*; tables with zeros simply have fewer cells.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError
from worldnets.inference.triangulation import NO_PARENT, JunctionTree, junction_tree, moral_graph
from worldnets.net import Factor, FactorNet, WorldNet

if TYPE_CHECKING:
    from worldnets.draw.drawing import Drawing

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
    operand_evidence: Index  # [operands] column of the observed variable, or -1 for a message or a slice of a table
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
    slice_row: Index  # [slices + 1] message rows of each slice of a table; slices come first in the arena
    slice_cell: Index  # [slice rows] where in `tables` a row's entry stands while every observed state is 0
    slice_known: Index  # [slices + 1] slices of the next two arrays
    known_column: Index  # column of an observed variable in the scope of a sliced table
    known_stride: Index  # entries of that table per step of its state
    scalar_cell: Index  # [scalars] as `slice_cell`, for tables with nothing unobserved in their scope
    scalar_known: Index  # [scalars + 1] as `slice_known`
    tables: NDArray[np.floating]  # the entries of all tables that are sliced
    sure_output: Index  # outputs that are the distribution of a sliced variable, one state of which is sure
    sure_column: Index  # the column of that variable
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
        sliced: those of them that are observed in every row: they are cut out of the graph, and tables are read at
            their states.
        cliques: the variables of each clique, in collect order.
        outputs: the variable sets whose joint posteriors are read off.
        multiply_adds: multiplications and additions of a row with every variable observed.
        log_scale: nats, the logarithm of what `Wiring.base` was divided by.
    """

    variables: tuple[str, ...]
    sliced: tuple[str, ...]
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
        per_cell = int((sizes * (operands + readouts + 2)).sum())
        return per_cell + len(self.wiring.slice_cell) + len(self.wiring.scalar_cell)

    @property
    def bytes_per_row(self) -> int:
        """Memory of the working tables, per row in flight."""
        rows = self.cells + self.wiring.message_rows + self.wiring.readout_rows
        return rows * self.wiring.base.dtype.itemsize

    def __repr__(self) -> str:
        sizes = np.diff(self.wiring.clique_start)
        names = ", ".join(self.cliques[int(np.argmax(sizes))]) if len(sizes) else "nothing is unobserved"
        return "\n".join(
            (
                f"Plan over {len(self.variables)} variables for {len(self.outputs)} distributions",
                f"  sliced away    {len(self.sliced):>12,}  variables, observed in every row",
                f"  cliques        {len(self.cliques):>12,}",
                f"  cells          {self.cells:>12,}  of {self.full_cells:,}; the rest are zero for certain",
                f"  largest clique {max(sizes, default=0):>12,}  ({names})",
                f"  multiply-adds  {self.multiply_adds:>12,}  per row at most",
                f"  memory         {self.bytes_per_row:>12,}  bytes per row in flight",
            )
        )

    def draw(self, largest: int | None = None) -> Drawing:
        """The junction tree as a picture; see `worldnets.draw_plan`."""
        from worldnets.draw.plan import draw_plan

        return draw_plan(self, largest)

    def _repr_html_(self) -> str:
        from worldnets.draw.plan import plan_html

        return plan_html(self)


def make_plan(
    net: WorldNet | FactorNet,
    always: Iterable[str],
    sometimes: Iterable[str],
    outputs: Sequence[tuple[str, ...]],
    dtype: type[np.floating] = np.float64,
    memory_limit: float = MEMORY_LIMIT,
) -> Plan:
    """Plan the posteriors of the variable sets `outputs`.

    Args:
        net: the net.
        always: variables with evidence in every row: they are cut out of the graph, and the rest is triangulated anew.
        sometimes: variables with evidence in some rows: they stay, and evidence multiplies an indicator.
        outputs: the variable sets whose joint posteriors are wanted.
        dtype: of tables and messages.
        memory_limit: bytes.

    Raises:
        CapacityError: the tables would take more than `memory_limit` bytes; nothing has been allocated yet.
    """
    # A joint distribution needs its variables in one clique, so those are not cut out.
    together = {v for output in outputs if len(output) > 1 for v in output}
    sliced, indicated = set(always) - together, set(sometimes) | (set(always) & together)
    wanted = {v for output in outputs for v in output}
    known = net.ancestors(sliced | indicated | wanted) if isinstance(net, WorldNet) else set(net.variables)
    # The net's order makes plans (and so bits) independent of the order of any set.
    kept = [v for v in net.variables if v in known]
    free = [v for v in kept if v not in sliced]
    position = {v: i for i, v in enumerate(free)}
    cards = [len(net.states[v]) for v in free]
    factors = [f for f in net.factors if known.issuperset(f.scope)]
    scopes = [tuple(position[v] for v in f.scope if v in position) for f in factors]
    output_scopes = [tuple(position[v] for v in output if v in position) for output in outputs]
    tree = junction_tree(moral_graph(len(free), [*scopes, *output_scopes]), cards)
    full_cells = sum(math.prod(cards[v] for v in clique) for clique in tree.cliques)
    if full_cells * BYTES_PER_CELL > memory_limit:
        largest = max(tree.cliques, key=lambda clique: math.prod(cards[v] for v in clique))
        raise CapacityError(
            "exact inference on this net needs too much memory",
            node=f"clique ({', '.join(free[v] for v in largest)})",
            found=f"{full_cells:,} clique cells, about {full_cells * BYTES_PER_CELL / 2**30:.3g} GiB",
            expected=f"at most {memory_limit / 2**30:.3g} GiB",
            mend="ask for fewer variables, raise memory_limit, or use loopy message passing",
        )
    columns = [net.index[v] for v in free]
    builder = _Builder(net, tree, cards, columns, dtype)
    builder.fill_tables([(f, scope) for f, scope in zip(factors, scopes, strict=True) if len(scope) == len(f.scope)])
    builder.slice_tables([(f, scope) for f, scope in zip(factors, scopes, strict=True) if len(scope) < len(f.scope)])
    wiring = builder.wire([position[v] for v in free if v in indicated], outputs, output_scopes)
    return Plan(
        tuple(kept),
        tuple(v for v in kept if v in sliced),
        tuple(tuple(free[v] for v in clique) for clique in tree.cliques),
        tree.parents,
        tuple(tuple(free[v] for v in sepset) for sepset in tree.sepsets),
        tuple(outputs),
        wiring,
        builder.sampling_tables(wiring),
        builder.log_scale,
        full_cells,
    )


class _Slice(NamedTuple):
    """A table read at observed states."""

    scope: tuple[int, ...]  # positions of the variables that stay, in the table's order
    cells: NDArray[np.int64]  # where its entries stand in `Wiring.tables` while every observed state is 0
    known: list[tuple[int, int]]  # column and stride of the observed variables


class _Builder:
    """Fills the cliques with tables and turns the tree into index arrays."""

    def __init__(
        self,
        net: WorldNet | FactorNet,
        tree: JunctionTree,
        cards: Sequence[int],
        columns: Sequence[int],
        dtype: type[np.floating],
    ) -> None:
        self.net, self.tree, self.cards, self.columns, self.dtype = net, tree, list(cards), list(columns), dtype
        self.log_scale = 0.0
        self.slices: list[_Slice] = []
        self.scalars: list[_Slice] = []
        self.slice_entries: list[NDArray[np.float64]] = []
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

    def fill_tables(self, factors: Sequence[tuple[Factor, tuple[int, ...]]]) -> None:
        """Multiply each table into the smallest clique that holds it, and keep the cells that are not zero."""
        assigned: list[list[int]] = [[] for _ in self.sets]
        for i, (factor, scope) in enumerate(factors):
            if scope:
                assigned[self.home(scope)].append(i)
            else:  # a constant
                self.scalars.append(self._slice(factor, scope))
        for c, clique in enumerate(self.tree.cliques):
            full = np.ones([self.cards[v] for v in clique])
            for i in assigned[c]:
                full *= _aligned(factors[i][0].table, factors[i][1], clique)
                largest = full.max()
                if largest > 0:  # many small entries would underflow; a table of zeros stays what it is
                    full /= largest
                    self.log_scale += math.log(largest)
            cells = np.flatnonzero(full)
            if cells.size == 0:
                cells = np.array([0])  # a world of probability zero: keep one zero cell so that it stays impossible
            self.cells.append(cells)
            self.tables.append(full.ravel()[cells].astype(self.dtype))

    def slice_tables(self, factors: Sequence[tuple[Factor, tuple[int, ...]]]) -> None:
        """Note how each table with an observed variable in its scope is read at that variable's state."""
        for factor, scope in factors:
            (self.slices if scope else self.scalars).append(self._slice(factor, scope))

    def _slice(self, factor: Factor, scope: tuple[int, ...]) -> _Slice:
        strides = [math.prod(factor.table.shape[axis + 1 :]) for axis in range(factor.table.ndim)]
        free_columns = {self.columns[v] for v in scope}
        cells = np.zeros(1, dtype=np.int64)
        known = []
        for v, card, stride in zip(factor.scope, factor.table.shape, strides, strict=True):
            column = self.net.index[v]
            if column in free_columns:
                cells = (cells[:, None] + stride * np.arange(card)).ravel()
            else:
                known.append((column, stride))
        first = sum(map(len, self.slice_entries))
        self.slice_entries.append(factor.table.ravel())
        return _Slice(scope, first + cells, known)

    def states_of(self, c: int, scope: Sequence[int]) -> Index:
        """For each kept cell of clique c the joint state of `scope`, first variable most significant."""
        clique = self.tree.cliques[c]
        states = np.zeros([1] * len(clique), dtype=np.int32)
        stride = 1
        for v in reversed(scope):
            axis = clique.index(v)
            own = np.arange(self.cards[v], dtype=np.int32) * np.int32(stride)
            states = states + own.reshape([-1 if a == axis else 1 for a in range(len(clique))])
            stride *= self.cards[v]
        everywhere = np.broadcast_to(states, [self.cards[v] for v in clique]).reshape(-1)
        return everywhere if len(self.cells[c]) == len(everywhere) else everywhere[self.cells[c]]

    def wire(
        self, observed: Sequence[int], outputs: Sequence[tuple[str, ...]], scopes: Sequence[tuple[int, ...]]
    ) -> Wiring:
        """The index arrays: indicators for evidence on `observed`, readouts of the posteriors over `outputs`.

        `scopes` holds the same outputs as positions of what is left of them after slicing.
        """
        tree, cliques, columns = self.tree, range(len(self.sets)), self.columns
        variables = len(self.net.variables)
        indicator_row = np.full(variables, -1, dtype=np.int32)
        cards = np.zeros(variables, dtype=np.int32)
        operands: list[list[tuple[int, Index]]] = [[] for _ in cliques]
        row, slice_row = 0, [0]
        for one in self.slices:
            c = self.home(one.scope)
            operands[c].append((-1, np.int32(row) + self.states_of(c, one.scope)))
            row += len(one.cells)
            slice_row.append(row)
        for v in observed:
            c = self.home((v,))
            operands[c].append((columns[v], np.int32(row) + self.states_of(c, (v,))))
            indicator_row[columns[v]], cards[columns[v]] = row, self.cards[v]
            row += self.cards[v]
        sepset_row, sepset_rows = [], []
        for c in cliques:
            sepset_row.append(row)
            sepset_rows.append(np.int32(row) + self.states_of(c, tree.sepsets[c]))
            if tree.parents[c] != NO_PARENT:
                above = tree.parents[c]
                operands[above].append((-1, np.int32(row) + self.states_of(above, tree.sepsets[c])))
            row += math.prod(self.cards[v] for v in tree.sepsets[c])
        sepset_row.append(row)

        readouts: list[list[Index]] = [[] for _ in cliques]
        output_start, read = [0], 0
        sure_output, sure_column = [], []
        for o, (output, scope) in enumerate(zip(outputs, scopes, strict=True)):
            if len(scope) < len(output):
                sure_output.append(o)
                sure_column.append(self.net.index[output[0]])
            else:
                c = self.home(scope)
                readouts[c].append(np.int32(read) + self.states_of(c, scope))
            read += math.prod(len(self.net.states[v]) for v in output)
            output_start.append(read)
        sepset_readout = []
        for c in cliques:
            sepset_readout.append(read)
            if tree.parents[c] != NO_PARENT:
                readouts[tree.parents[c]].append(np.int32(read) + self.states_of(tree.parents[c], tree.sepsets[c]))
                read += sepset_row[c + 1] - sepset_row[c]

        # Indicators first: they are skipped when a chunk has no evidence on them.
        for mine in operands:
            mine.sort(key=lambda operand: operand[0] < 0)
        lists = [rows for mine in operands for _, rows in mine] + [rows for mine in readouts for rows in mine]
        starts = np.cumsum([0, *(len(rows) for rows in lists)])
        count = sum(map(len, operands))
        return Wiring(
            base=_joined(self.tables, self.dtype),
            clique_start=_starts(map(len, self.tables)),
            operand_start=_starts(map(len, operands)),
            operand_evidence=_index([column for mine in operands for column, _ in mine]),
            operand_row_start=_index(starts[:count]),
            sepset_row=_index(sepset_row),
            sepset_rows=_joined(sepset_rows, np.int32),
            readout_start=_starts(map(len, readouts)),
            readout_row_start=_index(starts[count:-1]),
            rows=_joined(lists, np.int32),
            indicator_row=indicator_row,
            cards=cards,
            sepset_readout=_index(sepset_readout),
            output_start=_index(output_start),
            slice_row=_index(slice_row),
            slice_cell=_joined([one.cells for one in self.slices], np.int32),
            slice_known=_starts(len(one.known) for one in self.slices),
            known_column=_index([column for one in (*self.slices, *self.scalars) for column, _ in one.known]),
            known_stride=_index([stride for one in (*self.slices, *self.scalars) for _, stride in one.known]),
            scalar_cell=_joined([one.cells for one in self.scalars], np.int32),
            scalar_known=_starts(len(one.known) for one in self.scalars) + sum(len(one.known) for one in self.slices),
            tables=_joined(self.slice_entries, self.dtype),
            sure_output=_index(sure_output),
            sure_column=_index(sure_column),
            message_rows=row,
            readout_rows=read,
        )

    def sampling_tables(self, wiring: Wiring) -> SamplingTables:
        """The members of each clique, their states at its cells, and the cells grouped by sepset state."""
        member_column, sepset_stride, states = [], [], []
        for c, clique in enumerate(self.tree.cliques):
            sepset = self.tree.sepsets[c]
            for v in clique:
                below = sepset[sepset.index(v) + 1 :] if v in sepset else ()
                sepset_stride.append(math.prod(self.cards[u] for u in below) if v in sepset else 0)
                member_column.append(self.columns[v])
                states.append(self.states_of(c, (v,)).astype(np.int16))
        grouped = np.argsort(wiring.sepset_rows, kind="stable")
        rows = np.arange(wiring.sepset_row[0], wiring.sepset_row[-1] + 1)
        return SamplingTables(
            member_start=_starts(map(len, self.tree.cliques)),
            member_column=_index(member_column),
            sepset_stride=_index(sepset_stride),
            member_states_start=_starts(map(len, states))[:-1],
            member_states=_joined(states, np.int16),
            group_start=_index(np.searchsorted(wiring.sepset_rows[grouped], rows)),
            group_cell=_index(grouped),
        )


def _aligned(table: NDArray[np.float64], scope: Sequence[int], clique: Sequence[int]) -> NDArray[np.float64]:
    """The table with its axes in the clique's order and length-1 axes for the variables it does not have."""
    ordered = sorted(scope, key=list(clique).index)
    moved = table.transpose([list(scope).index(v) for v in ordered])
    return moved.reshape([table.shape[list(scope).index(v)] if v in scope else 1 for v in clique])


def _joined(parts: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=dtype), *parts], dtype=dtype, casting="same_kind")


def _starts(lengths: Iterable[int]) -> Index:
    return _index(np.cumsum([0, *lengths]))


def _index(values: Sequence[int] | NDArray[np.integer]) -> Index:
    return np.asarray(values, dtype=np.int32)
