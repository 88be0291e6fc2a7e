"""Planning: what can be pruned, what is cut out, the clique tree, and its index arrays.

The loops are compiled (`elimination`, `wiring`); here is what they are called for.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError
from worldnets.inference.arrays import Index, Tree, Wiring, as_index, joined, starts_of
from worldnets.inference.network import Network, network
from worldnets.inference.plan import Plan
from worldnets.net import FactorNet, WorldNet

MEMORY_LIMIT = 8 * 2**30  # bytes
BYTES_PER_CELL = 128  # its value, about six row numbers, and eight rows in flight
MOST_CELLS = 2**27  # row numbers are 32 bits wide, and a cell stands in several lists
ATTEMPT_PRICE = 2.0  # cells per variable that cost as much to wire as another elimination order; rows come on top


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
    return Draft(net, always, sometimes, outputs, dtype).plan(memory_limit)


class Draft:
    """What there is to plan, before the work of planning: which variables stay, and about how large it gets.

    Args: as of `make_plan`.
    """

    def __init__(
        self,
        net: WorldNet | FactorNet,
        always: Iterable[str],
        sometimes: Iterable[str],
        outputs: Sequence[tuple[str, ...]],
        dtype: type[np.floating] = np.float64,
    ) -> None:
        # A joint distribution needs its variables in one clique, so those are not cut out.
        together = {v for output in outputs if len(output) > 1 for v in output}
        sliced, self._indicated = set(always) - together, set(sometimes) | (set(always) & together)
        wanted = {v for output in outputs for v in output}
        known = net.ancestors(sliced | self._indicated | wanted) if isinstance(net, WorldNet) else set(net.variables)
        # The net's order makes plans (and so bits) independent of the order of any set.
        self._kept = tuple(v for v in net.variables if v in known)
        self._sliced = tuple(v for v in self._kept if v in sliced)
        free = [v for v in self._kept if v not in sliced]
        self._builder = _Builder(net, network(net, dtype), known, free, outputs)

    @functools.cached_property
    def cells(self) -> float:
        """Clique cells of the plan, or somewhat more: one quick triangulation, no wiring."""
        return self._builder.triangulate(price=np.inf)

    def plan(self, memory_limit: float = MEMORY_LIMIT) -> Plan:
        """The plan.

        Raises:
            CapacityError: its tables would take more than `memory_limit` bytes; nothing has been allocated yet.
        """
        builder = self._builder
        full_cells = builder.triangulate()
        builder.refuse_if_too_large(full_cells, memory_limit)
        wiring, log_scale = builder.wire([v for v in builder.free if v in self._indicated])
        return Plan(
            builder.net,
            self._kept,
            self._sliced,
            tuple(builder.free),
            tuple(builder.outputs),
            builder.tree,
            wiring,
            log_scale + builder.w.log_scale,
            int(full_cells),
        )


def predicted_cells(
    net: WorldNet | FactorNet, always: Iterable[str], sometimes: Iterable[str], outputs: Sequence[tuple[str, ...]]
) -> float:
    """Clique cells of the plan that `make_plan` would make, or somewhat more."""
    return Draft(net, always, sometimes, outputs).cells


class _Builder:
    """Turns a net into a clique tree, and the tree into index arrays; the loops are in `elimination` and `wiring`."""

    def __init__(
        self,
        net: WorldNet | FactorNet,
        w: Network,
        known: set[str],
        free: Sequence[str],
        outputs: Sequence[tuple[str, ...]],
    ) -> None:
        self.net, self.w, self.free, self.outputs = net, w, free, outputs
        self.local = np.full(len(net.variables), -1, dtype=np.int32)
        self.column = np.array([net.index[v] for v in free], dtype=np.int32)
        self.local[self.column] = np.arange(len(free))
        self.used = np.ones(len(w.table_start), dtype=np.bool_)
        if w.directed:
            self.used = np.array([v in known for v in net.variables])
        position = {v: i for i, v in enumerate(free)}
        self.output_scopes = [tuple(position[v] for v in output if v in position) for output in outputs]
        # The loops are compiled; loading the compiler takes longer than most imports.
        from worldnets.inference import elimination, wiring

        self.elimination, self.wiring = elimination, wiring
        self.tree: Tree

    def triangulate(self, price: float = ATTEMPT_PRICE) -> float:
        """Find the clique tree; returns its number of cells."""
        w, count = self.w, len(self.free)
        joint = [scope for scope in self.output_scopes if len(scope) > 1]
        scope_start = np.append(w.scope_start, w.scope_start[-1] + np.cumsum([len(s) for s in joint], dtype=np.int32))
        scope = np.append(w.scope, self.column[np.array([v for s in joint for v in s], dtype=np.intp)])
        cards = w.cards[self.column]
        order, start, separator, _ = self.elimination.triangulate(
            scope_start.astype(np.int32),
            scope.astype(np.int32),
            np.append(self.used, np.ones(len(joint), dtype=np.bool_)),
            self.local,
            np.log2(cards.astype(np.float64)),
            price,
            np.empty((count, count), dtype=np.bool_),
            np.empty((count, count), dtype=np.int32),
            np.empty(count, dtype=np.int32),
        )
        arrays: tuple[Index, Index, Index, Index, Index] = self.elimination.clique_tree(order, start, separator, cards)
        self.tree = Tree(*arrays, cards)
        return float(sum(self._cells(self.tree.member_start, self.tree.members)))

    def _cells(self, start: Index, members: Index) -> list[float]:
        cards = self.tree.cards[members].tolist()
        return [math.prod(cards[a:b]) for a, b in itertools.pairwise(start.tolist())]

    def refuse_if_too_large(self, full_cells: float, memory_limit: float) -> None:
        """Raise the error of a plan that would not fit."""
        limit = min(memory_limit, MOST_CELLS * BYTES_PER_CELL)
        if full_cells * BYTES_PER_CELL <= limit:
            return
        clique = max(self._cliques(), key=lambda clique: math.prod(len(self.net.states[v]) for v in clique))
        raise CapacityError(
            "exact inference on this net needs too much memory",
            node=f"clique ({', '.join(clique)})",
            found=f"{full_cells:.4g} clique cells, about {full_cells * BYTES_PER_CELL / 2**30:.3g} GiB",
            expected=f"at most {limit / 2**30:.3g} GiB",
            mend="ask for fewer variables, observe more of them, raise memory_limit, or use loopy message passing "
            "(LoopyInference)",
        )

    def _cliques(self) -> list[list[str]]:
        start, members = self.tree.member_start, self.tree.members
        return [[self.free[v] for v in members[a:b]] for a, b in itertools.pairwise(start)]

    def wire(self, indicated: Sequence[str]) -> tuple[Wiring, float]:
        """The index arrays, with indicators for evidence on the variables `indicated`; and the log scale."""
        w, tree, local = self.w, self.tree, self.local
        cliques, variables = len(tree.parent), len(local)
        parent = tree.parent.tolist()
        slices, scalars, whole = self._kinds_of_tables()
        observed = [int(local[self.net.index[v]]) for v in indicated]
        asked = [o for o, scope in enumerate(self.output_scopes) if len(scope) == len(self.outputs[o])]
        scopes = [w.scope[w.scope_start[f] : w.scope_start[f + 1]] for f in whole]
        scopes = [local[scope] for scope in scopes] + [np.array(one.scope) for one in slices]
        scopes += [np.array([v]) for v in observed] + [np.array(self.output_scopes[o]) for o in asked]
        home = self.wiring.homes(tree, starts_of(map(len, scopes)), joined(scopes, np.int32))
        factor_home = np.full(len(self.used), -1, dtype=np.int32)
        factor_home[whole] = home[: len(whole)]
        places = iter(home[len(whole) :].tolist())
        clique_start, cells, base, log_scale = self.wiring.fill(w, tree, factor_home, self.column)
        sizes = np.diff(clique_start).tolist()
        sepset_scopes = [tree.sepset[a:b].tolist() for a, b in itertools.pairwise(tree.sepset_start)]
        sepset_cells = [int(size) for size in self._cells(tree.sepset_start, tree.sepset)]

        # A list says for each kept cell of a clique which row of an arena belongs to it: (first row, scope).
        operands: list[list[tuple[int, int, Sequence[int]]]] = [[] for _ in range(cliques)]
        indicators: list[list[tuple[int, int, Sequence[int]]]] = [[] for _ in range(cliques)]
        row, slice_row = 0, [0]
        for one in slices:
            operands[next(places)].append((-1, row, one.scope))
            row += len(one.cells)
            slice_row.append(row)
        indicator_row = np.full(variables, -1, dtype=np.int32)
        for v in observed:
            column = int(self.column[v])
            indicators[next(places)].append((column, row, (v,)))
            indicator_row[column] = row
            row += int(tree.cards[v])
        sepset_row = [row]
        for c in range(cliques):
            if parent[c] >= 0:
                operands[parent[c]].append((-1, row, sepset_scopes[c]))
            row += sepset_cells[c]
            sepset_row.append(row)

        # Whatever is read is read from the smallest table that holds it: a clique or the belief of a sepset.
        smallest: dict[int, int] = {}
        for c in range(cliques):
            for v in sepset_scopes[c]:
                if v not in smallest or sepset_cells[c] < sepset_cells[smallest[v]]:
                    smallest[v] = c
        readouts: list[list[tuple[int, Sequence[int]]]] = [[] for _ in range(cliques)]
        marginals: list[list[tuple[int, Sequence[int]]]] = [[] for _ in range(cliques)]
        output_start, read = [0], 0
        sure_output, sure_column = [], []
        for o, (output, scope) in enumerate(zip(self.outputs, self.output_scopes, strict=True)):
            if len(scope) < len(output):
                sure_output.append(o)
                sure_column.append(self.net.index[output[0]])
            else:
                c = next(places)
                s = smallest.get(scope[0], -1) if len(scope) == 1 else -1
                if s >= 0 and sepset_cells[s] < sizes[c]:
                    marginals[s].append((read, scope))
                else:
                    readouts[c].append((read, scope))
            read += math.prod(len(self.net.states[v]) for v in output)
            output_start.append(read)
        children: list[list[int]] = [[] for _ in range(cliques)]
        for c in range(cliques - 1):
            children[parent[c]].append(c)
        sepset_readout = np.zeros(cliques, dtype=np.int32)
        for c in range(cliques):  # a belief is sent down only where something is read from it
            if readouts[c] or marginals[c]:
                sepset_readout[c] = read
                if parent[c] >= 0:
                    s = self._smaller_table(c, children[parent[c]], sepset_cells, sizes)
                    (readouts[parent[c]] if s < 0 else marginals[s]).append((read, sepset_scopes[c]))
                    read += sepset_cells[c]

        # Indicators first: they are skipped when a chunk has no evidence on them.
        multiplied = [indicators[c] + operands[c] for c in range(cliques)]
        lists = [(c, first, scope) for c in range(cliques) for _, first, scope in multiplied[c]]
        lists += [(c, first, scope) for c in range(cliques) for first, scope in readouts[c]]
        sums = [(c, sepset_row[c], sepset_scopes[c]) for c in range(cliques)]
        rows = self._state_lists(lists, clique_start, cells)
        starts = np.cumsum([0, *(sizes[c] for c, _, _ in lists)])
        count = sum(map(len, multiplied))
        shared = [(c, first, scope) for c in range(cliques) for first, scope in marginals[c]]
        shared_start = starts_of(sepset_cells[c] for c, _, _ in shared)
        shared_rows = self.wiring.sepset_lists(
            tree,
            as_index([c for c, _, _ in shared]),
            as_index([first for _, first, _ in shared]),
            starts_of(len(scope) for _, _, scope in shared),
            as_index([v for _, _, scope in shared for v in scope]),
            shared_start,
        )
        known = (*slices, *scalars)
        wiring = Wiring(
            base=base,
            cell=cells,
            clique_start=clique_start,
            operand_start=starts_of(map(len, multiplied)),
            operand_evidence=as_index([column for mine in multiplied for column, _, _ in mine]),
            operand_row_start=as_index(starts[:count]),
            sepset_row=as_index(sepset_row),
            sepset_rows=self._state_lists(sums, clique_start, cells),
            readout_start=starts_of(map(len, readouts)),
            readout_row_start=as_index(starts[count:-1]),
            marginal_start=starts_of(map(len, marginals)),
            marginal_row_start=as_index(len(rows) + shared_start[:-1]),
            rows=np.append(rows, shared_rows),
            indicator_row=indicator_row,
            cards=w.cards,
            sepset_readout=sepset_readout,
            output_start=as_index(output_start),
            slice_row=as_index(slice_row),
            slice_cell=joined([one.cells for one in slices], np.int64).astype(np.int32),
            slice_known=starts_of(len(one.known) for one in slices),
            known_column=as_index([column for one in known for column, _ in one.known]),
            known_stride=as_index([stride for one in known for _, stride in one.known]),
            scalar_cell=joined([one.cells for one in scalars], np.int64).astype(np.int32),
            scalar_known=starts_of(len(one.known) for one in scalars) + sum(len(one.known) for one in slices),
            tables=w.tables,
            sure_output=as_index(sure_output),
            sure_column=as_index(sure_column),
            message_rows=row,
            readout_rows=read,
        )
        return wiring, log_scale

    def _smaller_table(self, c: int, siblings: Sequence[int], sepset_cells: Sequence[int], sizes: Sequence[int]) -> int:
        """A sepset whose belief is known before clique c is reached, holds c's and is smaller than the clique above it.

        Beliefs go from the last clique to the first: known are those of the clique above and of later siblings.
        """
        tree = self.tree
        above = int(tree.parent[c])
        mine = set(tree.sepset[tree.sepset_start[c] : tree.sepset_start[c + 1]].tolist())
        best, least = -1, sizes[above]
        for s in (*(d for d in siblings if d > c), *([above] if tree.parent[above] >= 0 else [])):
            if sepset_cells[s] < least and mine.issubset(
                tree.sepset[tree.sepset_start[s] : tree.sepset_start[s + 1]].tolist()
            ):
                best, least = s, sepset_cells[s]
        return best

    def _kinds_of_tables(self) -> tuple[list[_Slice], list[_Slice], list[int]]:
        """Used tables that are partly observed, wholly observed (numbers), and the others (by position)."""
        w = self.w
        slices: list[_Slice] = []
        scalars: list[_Slice] = []
        whole: list[int] = []
        starts, scope, stride = w.scope_start.tolist(), w.scope.tolist(), w.stride.tolist()
        local, cards = self.local.tolist(), w.cards.tolist()
        for f in np.flatnonzero(self.used).tolist():
            axes = range(starts[f], starts[f + 1])
            free = [k for k in axes if local[scope[k]] >= 0]
            if free and len(free) == len(axes):
                whole.append(f)
                continue
            cells = w.table_start[f : f + 1]
            for k in free:
                cells = (cells[:, None] + np.arange(0, cards[scope[k]] * stride[k], stride[k])).ravel()
            known = [(scope[k], stride[k]) for k in axes if local[scope[k]] < 0]
            (slices if free else scalars).append(_Slice(tuple(local[scope[k]] for k in free), cells, known))
        return slices, scalars, whole

    def _state_lists(
        self, lists: Sequence[tuple[int, int, Sequence[int]]], clique_start: Index, cells: NDArray[np.int64]
    ) -> Index:
        places = as_index([c for c, _, _ in lists])
        return self.wiring.state_lists(
            self.tree,
            clique_start,
            cells,
            places,
            as_index([first for _, first, _ in lists]),
            starts_of(len(scope) for _, _, scope in lists),
            as_index([v for _, _, scope in lists for v in scope]),
            np.append(0, np.cumsum(np.diff(clique_start)[places], dtype=np.int64)),
        )


class _Slice(NamedTuple):
    """A table read at observed states."""

    scope: tuple[int, ...]  # free variables, in the table's order
    cells: NDArray[np.int64]  # where its entries stand in `Wiring.tables` while every observed state is 0
    known: list[tuple[int, int]]  # column and stride of the observed variables
