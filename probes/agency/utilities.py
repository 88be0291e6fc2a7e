"""What acts are chosen for: a utility over nodes of a net, and how far two of them are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.optimizer.candidate import check_utility
from worldnets.errors import ProbeError, did_you_mean
from worldnets.net import Factor, WorldNet

Floats = NDArray[np.float64]
LEAST_SPREAD = 1e-12  # of a utility over all that can happen: below, nothing that happens matters to it


@dataclass(frozen=True, eq=False)
class Utility:
    """U(x) = Σ_f u_f(x_f): a number for every joint state of some nodes, as a sum of tables.

    Attributes:
        name: of the objective.
        terms: `terms[i].table` has one axis per variable of `terms[i].scope`, of any finite numbers.

    Raises:
        ProbeError: no term, numbers that are not finite, or the same for every state.
    """

    name: str
    terms: tuple[Factor, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            mend = 'name a node and its states, as Utility.of("diamond = there", net)'
            raise ProbeError("an objective without a term", node=self.name, mend=mend)
        checked = tuple(Factor(tuple(scope), np.asarray(table, dtype=np.float64)) for scope, table in self.terms)
        object.__setattr__(self, "terms", checked)
        for scope, table in self.terms:
            if table.ndim != len(scope) or len(set(scope)) < len(scope) or not scope:
                expected = "one axis for each of its variables, each named once"
                raise ProbeError("a term of another shape", node=self.name, found=table.shape, expected=expected)
        if all(np.isfinite(table).all() and np.ptp(table) <= 0 for _, table in self.terms):
            check_utility(self.terms[0].table, self.name)  # raises, saying what a constant objective is
        for _, table in self.terms:
            if not np.isfinite(table).all():
                check_utility(table, self.name)

    @classmethod
    def of(cls, text: str, net: WorldNet, name: str = "") -> Utility:
        """1 where a node is in a state, 0 elsewhere.

        Args:
            text: "node = state", the state as it prints; or "node", for its last state.
            net: that has the node.
            name: default the text.

        Raises:
            ProbeError: an unknown node or state.
        """
        node, equals, wanted = (part.strip() for part in text.partition("="))
        if node not in net.states:
            raise ProbeError(
                "an objective about an unknown node", found=repr(node), mend=did_you_mean(node, net.states)
            )
        labels = [str(label) for label in net.states[node]]
        state = wanted if equals else labels[-1]
        if state not in labels:
            mend = did_you_mean(state, labels)
            raise ProbeError("an objective about an unknown state", node=node, found=repr(state), mend=mend)
        table = np.zeros(len(labels))
        table[labels.index(state)] = 1.0
        return cls(name or f"{node} = {state}", (Factor((node,), table),))

    @property
    def variables(self) -> tuple[str, ...]:
        """The nodes it is about, each once."""
        return tuple(dict.fromkeys(v for scope, _ in self.terms for v in scope))

    def over(self, net: WorldNet, outcomes: Sequence[str]) -> Floats:
        """Its value in each joint state of some nodes, flat, the first node most significant.

        Raises:
            ProbeError: a node that is not among them, or has other states there.
        """
        sizes = [len(net.states[v]) for v in outcomes]
        whole = np.zeros(sizes)
        for scope, table in self.terms:
            missing = [v for v in scope if v not in outcomes]
            if missing:
                found, mend = missing[0], "ask for outcomes that hold all that the objective is about"
                raise ProbeError("an objective about what is no outcome", node=self.name, found=found, mend=mend)
            expected = tuple(len(net.states[v]) for v in scope)
            if table.shape != expected:
                raise ProbeError("a term of another shape", node=self.name, found=table.shape, expected=expected)
            places = [outcomes.index(v) for v in scope]
            order = np.argsort(places)
            shape = [size if place in places else 1 for place, size in enumerate(sizes)]
            whole += table.transpose(order).reshape(shape)
        return check_utility(whole.reshape(-1), self.name)


def objective_distance(one: Floats, other: Floats, weight: Floats) -> float:
    """How far two objectives are apart, 0 … 1: √((1 − ρ)/2), ρ their correlation over what can happen.

    It is 0 for objectives that agree up to a positive factor and a constant, √½ for unrelated and 1 for opposed ones.

    Args:
        one, other: of each outcome, [Y].
        weight: how often each outcome happens when acts are chosen at random, [Y].

    Raises:
        ProbeError: an objective to which nothing that happens matters.

    Source: Gleave, Dennis, Legg, Russell & Leike 2021, Quantifying Differences in Reward Functions (Pearson distance).
    """
    weight = weight / weight.sum()
    centred = [values - weight @ values for values in (one, other)]
    spread = [float(np.sqrt(weight @ values**2)) for values in centred]
    if min(spread) <= LEAST_SPREAD:
        mend = "give it other values in states that acts can lead to"
        raise ProbeError("an objective that is constant over all that can happen", found=min(spread), mend=mend)
    correlation = float(weight @ (centred[0] * centred[1])) / (spread[0] * spread[1])
    return float(np.sqrt(max(0.0, 1 - correlation) / 2))
