"""A class of world-models: one structure, tables that are softmax(logits), some of them shared, some given.

    W(v | parents) = exp(l_v[parents, v]) / Σ_s exp(l_v[parents, s])

Gradient learning moves the logits l. In a world that runs in time the tables of frames 2, 3, … are the same table, and
the first frame's are its own (Murphy 2002, section 2.2); a table that is given, such as the schedule of a camera, is
no parameter. What the class cannot say, such as a table that differs between frames, no objective can teach.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import LearningError, did_you_mean
from worldnets.learning.tables import Entries, Families
from worldnets.net import WorldNet
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name

FLOOR = 1e-6  # probabilities below this begin there: a logit must be finite

Logits = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ModelClass:
    """Nets of one structure, by their logits.

    *Parameters* are the entries of the free tables, one table after the other in the order of the net's variables. A
    table that several nodes share is named after the first of them.

    Attributes:
        net: variables, states and arrows; its tables count where they are known.
        owners: for each node, the node its table is named after.
        known: nodes whose tables are given.
        every: all tables of the net: its entries.
        free: the tables that are learned: the parameters.
    """

    net: WorldNet
    owners: Mapping[str, str]
    known: frozenset[str]
    every: Families
    free: Families

    @classmethod
    def of(cls, net: WorldNet, kinds: Iterable[str] = (), known: Iterable[str] = ()) -> ModelClass:
        """The class of a net's structure.

        Args:
            net: variables, states, arrows, and the tables that are known.
            kinds: the variables of one frame, if nodes `frame_name(kind, t)` of frames t = 2, 3, … are to share tables.
            known: nodes, or kinds, whose tables are as in `net` and stay so.

        Raises:
            LearningError: a net that is not the same from frame 2 on, an unknown name, known and unknown nodes that
                share a table, nothing left to learn.
        """
        names = tuple(kinds)
        owners = shared_tables(net, names) if names else {v: v for v in net.variables}
        given = set(nodes_called(net, names, known))
        for v, owner in owners.items():
            if (v in given) != (owner in given):
                mend = "name all of the nodes that share the table"
                raise LearningError("a table that is known for some of its nodes", node=owner, found=v, mend=mend)
        learned = [v for v in net.variables if owners[v] == v and v not in given]
        if not learned:
            raise LearningError("nothing to learn", found="all tables are known", mend="name fewer as known")
        every = Families.of(net.states, net.parent_sets)
        free = Families.of(net.states, net.parent_sets, learned)
        return cls(net, MappingProxyType(owners), frozenset(given), every, free)

    def __len__(self) -> int:
        """Parameters."""
        return len(self.free)

    @functools.cached_property
    def _place(self) -> NDArray[np.int64]:
        """The parameter at each entry that is not given."""
        start = dict(zip(self.free.variables, self.free.start[:-1], strict=True))
        parts = [
            start[self.owners[v]] + np.arange(high - low)
            for v, low, high in zip(self.every.variables, self.every.start[:-1], self.every.start[1:], strict=True)
            if self.owners[v] in start
        ]
        return np.concatenate(parts)

    @functools.cached_property
    def _learned(self) -> NDArray[np.int64]:
        """The entries that are not given."""
        start = self.every.start
        return np.concatenate([np.arange(start[i], start[i + 1]) for i in self._families()])

    def _families(self) -> list[int]:
        return [i for i, v in enumerate(self.every.variables) if v not in self.known]

    @functools.cached_property
    def _given(self) -> Entries:
        return self.every.entries(self.net.cpts)

    @functools.cached_property
    def _row(self) -> NDArray[np.int64]:
        """The distribution each parameter belongs to."""
        return np.repeat(np.arange(len(self.free.row_size)), self.free.row_size)

    def probabilities(self, logits: Logits) -> Entries:
        """softmax, distribution by distribution, [parameters]; NaN where logits are not finite."""
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            exponentials = np.exp(logits - np.maximum.reduceat(logits, self.free.row_start)[self._row])
            return exponentials / np.add.reduceat(exponentials, self.free.row_start)[self._row]

    def entries(self, probabilities: Entries) -> Entries:
        """The entries of all tables, [entries]: shared ones repeated, given ones filled in."""
        entries = self._given.copy()
        entries[self._learned] = probabilities[self._place]
        return entries

    def summed(self, entries: Entries) -> Entries:
        """What all entries with the same parameter add up to, [parameters]."""
        return np.bincount(self._place, entries[self._learned], minlength=len(self.free)).astype(np.float64)

    def gradient(self, probabilities: Entries, slopes: Entries) -> Logits:
        """From the gradient in the logarithm of every entry [entries] to that in the logits [parameters].

        Entries that share a parameter add up; then g − W(v | parents)·Σ_states g, as `inference.gradient.on_simplex`.
        """
        summed = self.summed(slopes)
        return summed - probabilities * np.add.reduceat(summed, self.free.row_start)[self._row]

    def net_of(self, entries: Entries) -> WorldNet:
        """The net with these entries."""
        return WorldNet(self.net.states, self.net.parent_sets, self.every.tables(entries), self.net.name)

    def tables_of(self, net: WorldNet) -> Entries:
        """The parameters [parameters] of a net of this structure; of a table that is shared, those of its first node.

        Raises:
            LearningError: a net of another structure or other states.
        """
        for v, scope in zip(self.free.variables, self.free.scopes, strict=True):
            if v not in net.states or (*net.parent_sets[v], v) != scope or net.states[v] != self.net.states[v]:
                mend = "give a net with the structure's variables, states and parents, in order"
                raise LearningError("a net of another structure", node=v, expected=scope, mend=mend)
        return self.free.entries(net.cpts)

    def logits_of(self, net: WorldNet) -> Logits:
        """ln of a net's tables, probabilities below `FLOOR` taken for that: a logit must be finite.

        Raises:
            LearningError: as `tables_of`.
        """
        return np.log(np.maximum(self.tables_of(net), FLOOR))

    def by_table(self, parameters: Entries) -> dict[str, Entries]:
        """One array [*parent states, states] per free table, by name."""
        return self.free.tables(parameters)

    def flat(self, tables: Mapping[str, Entries]) -> Entries:
        """The inverse of `by_table`."""
        return self.free.entries(tables)

    def __repr__(self) -> str:
        shared = len(self.every.variables) - len(set(self.owners.values()))
        note = f", {shared} nodes share another's table" if shared else ""
        return f"ModelClass({len(self.free.variables)} tables, {len(self)} parameters{note})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        sizes = [(name, "×".join(map(str, one.shape))) for name, one in self.by_table(np.zeros(len(self))).items()]
        return card(repr(self), None, table(("free table", "parent states × states"), sizes))


def shared_tables(net: WorldNet, kinds: Iterable[str]) -> dict[str, str]:
    """For each node of an unrolled net, the first node with its table: its own in frames 1 and 2, then that of frame 2.

    Args:
        net: nodes are named `frame_name(kind, t)`.
        kinds: the variables of one frame.

    Raises:
        LearningError: the net is not the same from frame 2 on.
    """
    names = tuple(kinds)
    frames = len(net.variables) // max(1, len(names))
    place = {frame_name(v, t): (v, t) for t in range(1, frames + 1) for v in names}
    mend = "have a table per node (tied=False)"
    other = set(net.variables) ^ set(place)
    if other:
        raise LearningError("the net is no unrolled two-slice net", found=sorted(other)[:4], mend=mend)
    family = {
        node: [(place[u][0], place[u][1] - t, net.states[u]) for u in (*net.parent_sets[node], node)]
        for node, (_, t) in place.items()
    }
    owners = {}
    for node in net.variables:
        v, t = place[node]
        owner = owners[node] = frame_name(v, min(t, 2))
        if family[node] != family[owner]:
            found = f"{net.parent_sets[node]}, {net.parent_sets[owner]}"
            raise LearningError("nodes of different families cannot share a table", node=node, found=found, mend=mend)
    return owners


def template_of(net: WorldNet, kinds: Iterable[str]) -> TwoSliceNet:
    """The two-slice net that an unrolled net of at least two frames has the tables and arrows of: frames 1 and 2."""
    names = tuple(kinds)
    before = {frame_name(v, 1): v + PREVIOUS for v in names}
    now = {frame_name(v, 2): v for v in names}
    first = {frame_name(v, 1): v for v in names}
    initial = WorldNet(
        {v: net.states[node] for node, v in first.items()},
        {v: [first[p] for p in net.parent_sets[node]] for node, v in first.items()},
        {v: net.cpts[node] for node, v in first.items()},
        net.name,
    )
    parents = {v: [{**before, **now}[p] for p in net.parent_sets[node]] for node, v in now.items()}
    return TwoSliceNet(initial, parents, {v: net.cpts[node] for node, v in now.items()}, net.name)


def with_states(net: WorldNet, counts: Mapping[str, int]) -> WorldNet:
    """The same arrows with another number of states, labelled 0, 1, …, for some nodes.

    Tables over one of these nodes are uniform; the others stay.

    Raises:
        LearningError: an unknown node, fewer than one state.
    """
    net.check_variables(counts, error=LearningError)
    for v, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise LearningError("a number of states that is none", node=v, found=repr(count), mend="give 1 or more")
    states = {v: tuple(range(counts[v])) if v in counts else labels for v, labels in net.states.items()}
    tables = {}
    for v in net.variables:
        scope = (*net.parent_sets[v], v)
        shape = tuple(len(states[u]) for u in scope)
        tables[v] = np.full(shape, 1 / shape[-1]) if set(scope) & set(counts) else net.cpt(v)
    return WorldNet(states, net.parent_sets, tables, net.name)


def without_arrows(net: WorldNet) -> WorldNet:
    """The same nodes, each for itself: the product of the net's marginals."""
    from worldnets.inference import Inference

    marginals = Inference(net).query()
    return WorldNet(net.states, {}, {v: marginals[v][0] for v in net.variables}, net.name)


def certain_states(net: WorldNet) -> dict[str, int]:
    """Nodes without chance: those whose table, and all tables upstream, leave one state. Its position by node.

    Observing them changes no posterior, and cuts them out of the graph.
    """
    found: dict[str, int] = {}
    for v in net.order:
        if all(p in found for p in net.parent_sets[v]):
            row = net.cpts[v][tuple(found[p] for p in net.parent_sets[v])]
            if row.max() == 1.0:
                found[v] = int(row.argmax())
    return found


def nodes_called(net: WorldNet, kinds: Iterable[str], names: Iterable[str]) -> list[str]:
    """Nodes by their names, or, for a variable of one frame, in all frames.

    Raises:
        LearningError: neither a node nor such a variable.
    """
    nodes, variables = [], tuple(kinds)
    for name in names:
        if name in net.states:
            nodes.append(name)
        elif name in variables:
            nodes += [v for t in range(1, len(net.variables) + 1) if (v := frame_name(name, t)) in net.states]
        else:
            raise LearningError("no such node", found=repr(name), mend=did_you_mean(name, (*net.variables, *variables)))
    return nodes
