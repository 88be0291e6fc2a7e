"""What someone expects of acts: models that are nets, tables or trained heads, how large they are, and smaller ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from probes.agency.decision import Decision
from worldnets.errors import ProbeError, did_you_mean
from worldnets.net import Label, WorldNet

Floats = NDArray[np.float64]


class Capacity(NamedTuple):
    """How large a model is.

    Attributes:
        parameters: free ones; of acts there are none.
        variables: what it is about; empty where it cannot be said.
    """

    parameters: int
    variables: frozenset[str]


class Model(Protocol):
    """What is expected of every plan in every situation."""

    @property
    def capacity(self) -> Capacity:
        """How large it is."""
        ...

    def outlook(self, decision: Decision, outcomes: Sequence[str]) -> Floats:
        """Its belief about the joint outcome, [R, A, Y]."""
        ...


@dataclass(frozen=True, eq=False)
class NetModel:
    """A Bayes net over some of the world's nodes, queried by message passing.

    What it lacks of what is seen it does not heed: it holds that constant.
    """

    net: WorldNet

    @property
    def capacity(self) -> Capacity:
        """Free parameters of its tables, roots' included."""
        return Capacity(free_parameters(self.net), frozenset(self.net.variables))

    def outlook(self, decision: Decision, outcomes: Sequence[str]) -> Floats:
        """By exact message passing.

        Raises:
            ProbeError: nodes that the world does not have, or has with other states; acts or outcomes that it lacks.
        """
        check_within(self.net, decision)
        for what, names in (("an act", decision.acts), ("an outcome", outcomes)):
            missing = [v for v in names if v not in self.net.states]
            if missing:
                mend = f"give it the node {missing[0]!r}, or an objective about what it knows"
                raise ProbeError(f"a model that lacks {what}", node=self.net.name, found=missing[0], mend=mend)
        return decision.asked(self.net, outcomes)


@dataclass(frozen=True, eq=False)
class TableModel:
    """Beliefs that are written down, for one decision and its outcomes.

    Attributes:
        beliefs: [R, A, Y].
        parameters: that it is taken to have; default the free entries of the table.
    """

    beliefs: Floats
    parameters: int | None = None

    @property
    def capacity(self) -> Capacity:
        """As given, or the free entries."""
        shape = self.beliefs.shape
        own = int(np.prod(shape[:-1])) * (shape[-1] - 1) if self.parameters is None else self.parameters
        return Capacity(own, frozenset())

    def outlook(self, decision: Decision, outcomes: Sequence[str]) -> Floats:
        """As written.

        Raises:
            ProbeError: a table of another shape, or what is no distribution.
        """
        sizes = [len(decision.net.states[v]) for v in outcomes]
        expected = (len(decision.situations), len(decision.plans), int(np.prod(sizes)))
        beliefs = np.asarray(self.beliefs, dtype=np.float64)
        if beliefs.shape != expected:
            what = "beliefs of another shape"
            raise ProbeError(what, found=beliefs.shape, expected=f"{expected}: situations, plans, outcomes")
        if not (np.isfinite(beliefs).all() and (beliefs >= 0).all() and np.allclose(beliefs.sum(-1), 1, atol=1e-6)):
            raise ProbeError("beliefs that are no distribution", mend="probabilities of outcomes sum to 1")
        return beliefs


def free_parameters(net: WorldNet) -> int:
    """Σ over nodes of (states − 1) · Π parents' states."""
    return sum(int(table.size // table.shape[-1] * (table.shape[-1] - 1)) for table in net.cpts.values())


def check_within(net: WorldNet, decision: Decision) -> None:
    """Refuse a model about something else than the world.

    Raises:
        ProbeError: a node that the world does not have, or with other states.
    """
    known = decision.net.states
    for v, labels in net.states.items():
        if v not in known:
            where = net.name or "the model"
            raise ProbeError("a model over unknown variables", node=where, found=repr(v), mend=did_you_mean(v, known))
        if known[v] != labels:
            mend = "give the model's node the world's states"
            raise ProbeError("a model knows other states of a node", node=v, found=labels, expected=known[v], mend=mend)


def held_constant(net: WorldNet, constants: Mapping[str, Label]) -> WorldNet:
    """The smaller net of someone to whom some nodes are not variables at all: each is taken to be in one state.

    Tables of their children are cut at that state; everything else stays. It is what a model becomes that was made
    where these nodes never changed, and it is strictly smaller than the net: the embedded case.

    Raises:
        ProbeError: an unknown node, or no constant.
        EvidenceError: an unknown state.
    """
    if not constants:
        raise ProbeError("nothing is held constant", mend="name at least one node and its state")
    for v in constants:
        if v not in net.states:
            raise ProbeError("an unknown node", found=repr(v), mend=did_you_mean(v, net.states))
    codes = {v: net.code(v, label) for v, label in constants.items()}
    parents, cpts = {}, {}
    for v in net.variables:
        if v in codes:
            continue
        table = net.cpt(v)
        for axis, parent in reversed(list(enumerate(net.parents(v)))):
            if parent in codes:
                table = np.take(table, codes[parent], axis=axis)
        parents[v] = tuple(p for p in net.parents(v) if p not in codes)
        cpts[v] = table
    kept = {v: net.states[v] for v in net.variables if v not in codes}
    return WorldNet(kept, parents, cpts, net.name)


def strictly_smaller(one: Capacity, other: Capacity) -> bool:
    """Whether one model is about part of what the other is about, with fewer free parameters."""
    return bool(one.variables) and one.variables < other.variables and one.parameters < other.parameters
