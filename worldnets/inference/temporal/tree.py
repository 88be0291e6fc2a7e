"""Junction trees of one frame of a two-slice net: the frame's variables and what reaches it from the frame before.

The *interface* of a frame is its variables with children in the next frame: given them, past and future are
independent, so a joint over them is all that has to travel (Murphy 2002, section 3.2.1). A frame's tree holds the
interface of the frame before inside one clique and its own inside another; two extra nodes, hung on those cliques, are
where messages from the past and from the future come in and leave.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldnets.errors import CapacityError
from worldnets.inference.temporal.contraction import Array, Scope
from worldnets.inference.triangulation import NO_PARENT, junction_tree, moral_graph
from worldnets.temporal import PREVIOUS, TwoSliceNet

COPIES = 4  # of a clique's table while a plan is made: the product, a factor laid along it, matrices cut out of it


@dataclass(frozen=True, eq=False)
class FrameTree:
    """A junction tree of one frame; nodes are the cliques, then `past` and `future`.

    Variables are numbered: the interface of the frame before, then the frame's own variables.

    Attributes:
        names: of the variables, `"v[t-1]"` for those of the frame before.
        cards: their numbers of states.
        scopes: of every node, ascending; that of `past` and `future` is the interface before and after.
        tables: of every node, largest entry 1; None for `past` and `future`.
        plain: the cliques that no family was assigned to: tables of ones.
        neighbours: of every node the other node and the sepset.
        evidence: of every node the variables whose evidence is multiplied in there.
        families: for each own variable the scope of its table in the table's order.
        log_scale: nats, what the tables were divided by.
    """

    names: tuple[str, ...]
    cards: tuple[int, ...]
    scopes: tuple[Scope, ...]
    tables: tuple[Array | None, ...]
    plain: frozenset[int]
    neighbours: tuple[tuple[tuple[int, Scope], ...], ...]
    evidence: tuple[Scope, ...]
    families: dict[str, tuple[int, ...]]
    log_scale: float

    @property
    def past(self) -> int:
        """The node of the interface of the frame before."""
        return len(self.scopes) - 2

    @property
    def future(self) -> int:
        """The node of the frame's own interface."""
        return len(self.scopes) - 1

    @property
    def interface_shape(self) -> tuple[int, ...]:
        """States of the interface variables of this frame."""
        return tuple(self.cards[v] for v in self.scopes[self.future])

    def cells(self, node: int) -> int:
        """States of a node."""
        return math.prod(self.cards[v] for v in self.scopes[node])


def interface(net: TwoSliceNet) -> tuple[str, ...]:
    """The variables with children in the next frame, in the net's order."""
    carried = {p.removesuffix(PREVIOUS) for parents in net.parents.values() for p in parents if p.endswith(PREVIOUS)}
    return tuple(v for v in net.variables if v in carried)


def independent_parts(net: TwoSliceNet) -> tuple[tuple[str, ...], ...]:
    """The variables in groups that no arrow joins, in any frame: each group is a process of its own."""
    group = {v: {v} for v in net.variables}
    for v in net.variables:
        for p in (*net.initial.parents(v), *net.parents.get(v, ())):
            other = group[p.removesuffix(PREVIOUS)]
            if other is not group[v]:
                group[v] |= other
                for u in other:
                    group[u] = group[v]
    seen: dict[int, tuple[str, ...]] = {}
    for v in net.variables:
        seen.setdefault(id(group[v]), tuple(u for u in net.variables if u in group[v]))
    return tuple(seen.values())


def frame_tree(
    net: TwoSliceNet, part: Sequence[str], first: bool, dtype: type[np.floating], memory_limit: float
) -> FrameTree:
    """The tree of frame 1 (`first`) or of any later frame, over the variables of one independent part.

    Raises:
        CapacityError: the tables would take more than `memory_limit` bytes; nothing has been allocated yet.
    """
    carried = [v for v in interface(net) if v in part]
    before = [] if first else [v + PREVIOUS for v in carried]
    names = (*before, *part)
    position = {v: i for i, v in enumerate(names)}
    cards = tuple(len(net.states[v.removesuffix(PREVIOUS)]) for v in names)
    parents = {v: net.initial.parents(v) if first else net.parents.get(v, ()) for v in part}
    families = {v: tuple(position[u] for u in (*parents[v], v)) for v in part}
    past, future = tuple(range(len(before))), tuple(sorted(position[v] for v in carried))
    tree = junction_tree(moral_graph(len(names), [*families.values(), past, future]), cards)
    cliques = [tuple(sorted(clique)) for clique in tree.cliques]
    _refuse_large(cliques, names, cards, carried, np.dtype(dtype).itemsize, memory_limit)

    sizes = [math.prod(cards[v] for v in clique) for clique in cliques]
    members = [frozenset(clique) for clique in cliques]

    def home(scope: Sequence[int]) -> int:
        return min((c for c, held in enumerate(members) if held.issuperset(scope)), key=sizes.__getitem__)

    assigned: list[list[str]] = [[] for _ in sizes]
    for v, family in families.items():
        assigned[home(family)].append(v)
    evidence: list[list[int]] = [[] for _ in sizes]
    for v in part:
        evidence[home((position[v],))].append(position[v])
    log_scale = 0.0
    tables: list[Array | None] = []
    for clique, given in zip(cliques, assigned, strict=True):
        table = np.ones([cards[v] for v in clique])
        for v in given:
            cpt = net.initial.cpt(v) if first else net.cpts[v]
            table *= _laid_along(np.asarray(cpt, dtype=np.float64), families[v], clique)
            largest = float(table.max())  # products of many small entries would underflow
            table /= largest
            log_scale += math.log(largest)
        tables.append(table.astype(dtype))

    joined: list[list[tuple[int, Scope]]] = [[] for _ in range(len(sizes) + 2)]
    edges = [(c, p, tuple(sorted(tree.sepsets[c]))) for c, p in enumerate(tree.parents) if p != NO_PARENT]
    edges += [(home(past), len(sizes), past), (home(future), len(sizes) + 1, future)]
    for a, b, sepset in edges:
        joined[a].append((b, sepset))
        joined[b].append((a, sepset))
    return FrameTree(
        names=names,
        cards=cards,
        scopes=(*cliques, past, future),
        tables=(*tables, None, None),
        plain=frozenset(c for c, given in enumerate(assigned) if not given),
        neighbours=tuple(map(tuple, joined)),
        evidence=(*map(tuple, evidence), (), ()),
        families=families,
        log_scale=log_scale,
    )


def _laid_along(table: Array, scope: Sequence[int], clique: Scope) -> Array:
    ordered = sorted(scope)
    table = table.transpose([scope.index(v) for v in ordered])
    return table[tuple(slice(None) if v in scope else None for v in clique)]


def _refuse_large(
    cliques: Sequence[Scope],
    names: Sequence[str],
    cards: Sequence[int],
    carried: Sequence[str],
    itemsize: int,
    memory_limit: float,
) -> None:
    cells = sum(math.prod(cards[v] for v in clique) for clique in cliques)
    needed = cells * COPIES * max(itemsize, 8)
    if needed <= memory_limit:
        return
    largest = max(cliques, key=lambda clique: math.prod(cards[v] for v in clique))
    joint = math.prod(cards[names.index(v)] for v in carried)
    raise CapacityError(
        "exact inference on this two-slice net needs too much memory",
        node=f"clique ({', '.join(names[v] for v in largest)})",
        found=f"{cells:,} clique cells, about {needed / 2**30:.3g} GiB; "
        f"the interface ({', '.join(carried)}) has {joint:,} joint states",
        expected=f"at most {memory_limit / 2**30:.3g} GiB",
        mend="let fewer variables have children in the next frame, give them fewer states, raise memory_limit, "
        "or use loopy message passing on unroll(frames)",
    )
