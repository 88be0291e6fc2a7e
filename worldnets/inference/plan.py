"""A plan: which cliques, which tables, what it costs; what the kernels walk.

Planning is apart from doing: `planner.py` makes plans, `answer.py` runs them.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from worldnets.inference.arrays import Index, SamplingTables, Tree, Wiring, as_index, joined, starts_of
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    from worldnets.draw.drawing import Drawing
    from worldnets.draw.messages import Animation


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """How a kind of query will be answered, and what that costs; printing it gives the report.

    Attributes:
        net: the net planned for.
        variables: the variables kept (the rest is barren: neither asked for, nor observed, nor upstream of either).
        sliced: those of them that are observed in every row: they are cut out of the graph, and tables are read at
            their states.
        free: the others.
        outputs: the variable sets whose joint posteriors are read off.
        tree: the clique tree over `free`, as arrays.
        wiring: what the kernels walk.
        log_scale: nats, the logarithm of what `Wiring.base` was divided by.
        full_cells: clique cells, those that are zero for certain included.
    """

    net: WorldNet | FactorNet
    variables: tuple[str, ...]
    sliced: tuple[str, ...]
    free: tuple[str, ...]
    outputs: tuple[tuple[str, ...], ...]
    tree: Tree
    wiring: Wiring
    log_scale: float
    full_cells: int

    @functools.cached_property
    def cliques(self) -> tuple[tuple[str, ...], ...]:
        """The variables of each clique, in collect order: every clique before its parent."""
        return self._named(self.tree.member_start, self.tree.members)

    @functools.cached_property
    def sepsets(self) -> tuple[tuple[str, ...], ...]:
        """What each clique shares with its parent."""
        return self._named(self.tree.sepset_start, self.tree.sepset)

    @property
    def parents(self) -> tuple[int, ...]:
        """The parent of each clique, -1 for the root."""
        return tuple(self.tree.parent.tolist())

    def _named(self, start: Index, members: Index) -> tuple[tuple[str, ...], ...]:
        names = [self.free[v] for v in members]
        return tuple(tuple(names[a:b]) for a, b in itertools.pairwise(start))

    @property
    def cells(self) -> int:
        """Clique cells that are not zero for certain."""
        return int(self.wiring.base.size)

    @functools.cached_property
    def multiply_adds(self) -> int:
        """Multiplications and additions a row costs at most (every kept variable observed)."""
        w = self.wiring
        sizes, sepsets = np.diff(w.clique_start), np.diff(w.sepset_row)
        operands, readouts = np.diff(w.operand_start), np.diff(w.readout_start)
        # Per cell: its operands, one addition into the sepset, one multiplication on the way back, its readouts.
        per_cell = int((sizes * (operands + readouts + 1 + (readouts > 0))).sum())
        per_state = int((sepsets * (1 + np.diff(w.marginal_start))).sum())
        return per_cell + per_state + len(w.slice_cell) + len(w.scalar_cell)

    @property
    def bytes_per_row(self) -> int:
        """Memory of the working tables, per row in flight."""
        rows = self.cells + self.wiring.message_rows + self.wiring.readout_rows
        return rows * self.wiring.base.dtype.itemsize

    @property
    def index_bytes(self) -> int:
        """Memory of the plan itself."""
        return sum(array.nbytes for array in self.wiring if isinstance(array, np.ndarray))

    @functools.cached_property
    def sampling(self) -> SamplingTables:
        """What drawing from the calibrated tree needs beside the wiring; made when first drawn from."""
        return _sampling_tables(self)

    def __repr__(self) -> str:
        sizes = np.diff(self.wiring.clique_start)
        names = ", ".join(self.cliques[int(np.argmax(sizes))]) if len(sizes) else "nothing is unobserved"
        return "\n".join(
            (
                f"Plan over {len(self.variables)} variables for {len(self.outputs)} distributions",
                f"  sliced away    {len(self.sliced):>12,}  variables, observed in every row",
                f"  cliques        {len(sizes):>12,}",
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

    def animate(self, together: bool | None = None) -> Animation:
        """The messages that go over the tree and back, in the engine's order; see `worldnets.draw_messages`."""
        from worldnets.draw.messages import draw_messages

        return draw_messages(self, together=together)

    def _repr_html_(self) -> str:
        from worldnets.draw.plan import plan_html

        return plan_html(self)


def _sampling_tables(plan: Plan) -> SamplingTables:
    """The members of each clique, their states at its cells, and the cells grouped by sepset state."""
    w, tree = plan.wiring, plan.tree
    strides, states = [], []
    for c in range(len(tree.parent)):
        members = tree.members[tree.member_start[c] : tree.member_start[c + 1]].tolist()
        sepset = tree.sepset[tree.sepset_start[c] : tree.sepset_start[c + 1]].tolist()
        sizes = [int(tree.cards[v]) for v in members]
        cells = w.cell[w.clique_start[c] : w.clique_start[c + 1]]
        at = np.unravel_index(cells, sizes)
        for v, state in zip(members, at, strict=True):
            below = sepset[sepset.index(v) + 1 :] if v in sepset else ()
            strides.append(math.prod(int(tree.cards[u]) for u in below) if v in sepset else 0)
            states.append(state.astype(np.int16))
    grouped = np.argsort(w.sepset_rows, kind="stable")
    rows = np.arange(w.sepset_row[0], w.sepset_row[-1] + 1)
    column = np.array([plan.net.index[v] for v in plan.free], dtype=np.int32)
    return SamplingTables(
        member_start=tree.member_start,
        member_column=column[tree.members],
        sepset_stride=as_index(strides),
        member_states_start=starts_of(map(len, states))[:-1],
        member_states=joined(states, np.int16),
        group_start=as_index(np.searchsorted(w.sepset_rows[grouped], rows)),
        group_cell=as_index(grouped),
    )
