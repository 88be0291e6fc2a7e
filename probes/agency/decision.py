"""In what acts are chosen: a world with nodes for acts, nodes that are seen before, and regimes that may come."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError, did_you_mean
from worldnets.inference import Inference
from worldnets.net import Label, WorldNet

Floats = NDArray[np.float64]
Codes = NDArray[np.int16]
AS_TRAINED = "as trained"
MOST_CASES = 200_000  # situations × plans that are written out
MOST_OUTCOMES = 4096


@dataclass(frozen=True, eq=False)
class Decision:
    """Seen → plan → outcomes, in a world whose regime may change.

    A *plan* is one state for each act node, chosen at once when the situation has been seen; the world's answer to a
    plan is W(outcomes | do(regime), do(plan), seen), exactly.

    Attributes:
        net: W*.
        acts: the act nodes, in the order of time.
        sees: what is seen before; no descendants of an act.
        regimes: by name, what do() sets in each; the first is the one in which agents are made, and may be empty.

    Raises:
        ProbeError: unknown nodes, no act, no regime beside the first or one that changes nothing, something seen that
            acts lead to, or more cases than can be written out.
    """

    net: WorldNet
    acts: tuple[str, ...]
    sees: tuple[str, ...]
    regimes: Mapping[str, Mapping[str, Label]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        net = self.net
        object.__setattr__(self, "acts", tuple(self.acts))
        object.__setattr__(self, "sees", tuple(self.sees))
        for what, names in (("act", self.acts), ("thing seen", self.sees)):
            unknown = [v for v in names if v not in net.states]
            if unknown:
                mend = did_you_mean(unknown[0], net.states)
                raise ProbeError(f"an unknown {what}", node=net.name or None, found=repr(unknown[0]), mend=mend)
        if not self.acts:
            raise ProbeError("a decision without an act", mend="name the nodes that an agent sets")
        led = {v for v in net.variables if net.ancestors([v]) & set(self.acts)}
        late = [v for v in self.sees if v in led]
        if late:
            mend = "let the agent see what comes before its acts"
            raise ProbeError("what is seen hangs on the acts", node=late[0], found="it is downstream of one", mend=mend)
        regimes = {name: dict(do) for name, do in self.regimes.items()}
        object.__setattr__(self, "regimes", regimes)
        if len(regimes) < 2:
            mend = 'add one, as {"as trained": {}, "rewired": {"wiring": "crossed"}}'
            raise ProbeError("no regime to change to", found=list(regimes), expected="two or more", mend=mend)
        for name, do in regimes.items():
            net.check_variables(do, error=functools.partial(ProbeError, node=name))  # type: ignore[arg-type]
            for v, label in do.items():
                net.code(v, label)
            if set(do) & set(self.acts):
                mend = "let a regime set what the agent does not"
                raise ProbeError("a regime sets an act", node=name, found=sorted(set(do) & set(self.acts)), mend=mend)
        first = next(iter(regimes.values()))
        same = [name for name, do in list(regimes.items())[1:] if do == first]
        if same:
            raise ProbeError("a regime that changes nothing", node=same[0], found=first, mend="set another state")
        cases = math.prod(len(net.states[v]) for v in (*self.sees, *self.acts))
        if cases > MOST_CASES:
            mend = "let fewer nodes be seen, or fewer acts be planned at once"
            raise ProbeError("too many cases to write out", found=f"{cases:,}", expected=f"≤ {MOST_CASES:,}", mend=mend)

    @classmethod
    def changing(
        cls,
        net: WorldNet,
        acts: Sequence[str],
        sees: Sequence[str],
        node: str,
        trained: Label | None = None,
    ) -> Decision:
        """One node is the regime: as trained it is what it is (or in the state `trained`), and then each other state.

        Without `trained`, states that the node is never in as trained are the changes.

        Raises:
            ProbeError: an unknown node; no other state to change to; as the class says.
        """
        if node not in net.states:
            raise ProbeError("an unknown regime", found=repr(node), mend=did_you_mean(node, net.states))
        belief = Inference(net).query(None, [node])[node][0]
        regimes: dict[str, dict[str, Label]] = {AS_TRAINED: {} if trained is None else {node: trained}}
        for state, label in enumerate(net.states[node]):
            if label != trained and (trained is not None or belief[state] <= 0):
                regimes[f"do({node} = {label})"] = {node: label}
        if len(regimes) < 2:
            mend = f"say in which state of {node!r} agents are made"
            raise ProbeError("no regime to change to", node=node, found="every state occurs in training", mend=mend)
        return cls(net, tuple(acts), tuple(sees), regimes)

    @property
    def contexts(self) -> tuple[str, ...]:
        """Names of the regimes, [C]; the first is the one agents are made in."""
        return tuple(self.regimes)

    @functools.cached_property
    def situations(self) -> Codes:
        """Codes of what is seen, in the order of `sees`: those that occur in some regime, [R, sees]."""
        return self._situations[0]

    @functools.cached_property
    def weights(self) -> Floats:
        """W(situation | do(regime)), [C, R]."""
        return self._situations[1]

    @functools.cached_property
    def _situations(self) -> tuple[Codes, Floats]:
        sizes = [range(len(self.net.states[v])) for v in self.sees]
        every = np.array(list(itertools.product(*sizes)), dtype=np.int16)
        if not self.sees:  # one situation, of which nothing is known
            return every, np.ones((len(self.regimes), 1))
        found = [Inference(self.net.do(do)).joint(None, self.sees).reshape(-1) for do in self.regimes.values()]
        weights = np.stack(found)
        kept = weights.max(0) > 0
        return every[kept], weights[:, kept]

    @functools.cached_property
    def plans(self) -> Codes:
        """Codes of the plans, in the order of `acts`, [A, acts]."""
        sizes = [range(len(self.net.states[v])) for v in self.acts]
        return np.array(list(itertools.product(*sizes)), dtype=np.int16)

    @property
    def plan_names(self) -> tuple[str, ...]:
        """Plans in words, [A]."""
        named = ([str(self.net.states[v][s]) for v, s in zip(self.acts, plan, strict=True)] for plan in self.plans)
        return tuple(" → ".join(names) for names in named)

    def cases(self, net: WorldNet) -> Codes:
        """Every situation with every plan as evidence rows of a net, what it lacks left out: [R · A, variables]."""
        count, plans = len(self.situations), len(self.plans)
        rows = np.full((count * plans, len(net.variables)), -1, dtype=np.int16)
        for names, codes in ((self.sees, np.repeat(self.situations, plans, axis=0)),
                             (self.acts, np.tile(self.plans, (count, 1)))):  # fmt: skip
            for place, v in enumerate(names):
                if v in net.index:
                    rows[:, net.index[v]] = codes[:, place]
        return rows

    def asked(self, net: WorldNet, outcomes: Sequence[str]) -> Floats:
        """What a net makes of every situation and plan: its joint belief about outcomes, [R, A, Y].

        Acts are set and not seen, and so is what is seen and has no causes. What the net holds impossible gets the
        uniform belief.
        """
        roots = [v for v in self.sees if v in net.index and not net.parents(v)]
        known = [v for v in self.acts if v in net.index]
        free = net.without_causes([*known, *roots])
        found: Any = Inference(free).joint(self.cases(free), tuple(outcomes))
        flat = np.asarray(found, dtype=np.float64).reshape(len(self.situations), len(self.plans), -1)
        total = flat.sum(-1, keepdims=True)
        return np.where(total > 0, flat / np.where(total > 0, total, 1.0), 1.0 / flat.shape[-1])

    def world(self, outcomes: Sequence[str]) -> Floats:
        """W(outcomes | do(regime), do(plan), seen), [C, R, A, Y], exactly.

        Raises:
            ProbeError: outcomes that are not in the world, or too many joint states of them.
        """
        unknown = [v for v in outcomes if v not in self.net.states]
        if unknown:
            mend = did_you_mean(unknown[0], self.net.states)
            raise ProbeError("an objective about an unknown node", found=repr(unknown[0]), mend=mend)
        count = math.prod(len(self.net.states[v]) for v in outcomes)
        if count > MOST_OUTCOMES:
            mend = "choose objectives about fewer nodes"
            raise ProbeError("too many joint outcomes", found=f"{count:,}", expected=f"≤ {MOST_OUTCOMES:,}", mend=mend)
        return np.stack([self._under(do, outcomes) for do in self.regimes.values()])

    def _under(self, do: Mapping[str, Label], outcomes: Sequence[str]) -> Floats:
        net = self.net.do(do)
        free = net.without_causes(self.acts)
        found = Inference(free).joint(self.cases(free), tuple(outcomes))
        flat = np.asarray(found, dtype=np.float64).reshape(len(self.situations), len(self.plans), -1)
        total = flat.sum(-1, keepdims=True)  # 0 where the regime rules a situation out: its weight is 0 too
        return np.where(total > 0, flat / np.where(total > 0, total, 1.0), 1.0 / flat.shape[-1])
