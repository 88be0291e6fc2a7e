"""A decision in a world: situations, acts, what comes of them, and what is wanted of it; exact, by message passing.

X situations (joint states of the evidence that is no act), A joint states of the acts, Y joint states of the target,
K actors. Acts are roots of the net: to see them done and to do them is the same, and clips are an experiment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.purity.truth import configurations
from worldnets.errors import ProbeError, did_you_mean
from worldnets.roles import outcome_labels

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.net import WorldNet
    from worldnets.roles import Target, Task

Floats = NDArray[np.float64]
#: Wanted of an outcome: by actor, node and state what it is worth; a state that is not named is worth 0.
Values = Mapping[str, Mapping[str, Mapping[str, float]]]
ACTS, VALUED = "acts", "valued"
MOST_CELLS = 2**14  # X·A·Y: every checkpoint of every run keeps so many numbers a seed
LEAST = 1e-12


@dataclass(frozen=True, eq=False)
class Decision:
    """Everything that is known of a decision.

    Attributes:
        acts, outcomes: their names, [A] and [Y].
        codes: every situation with every act, situation first, int16 [X·A, net variables].
        shares: W*(x), [X].
        tried: how often clips show each act, whatever the situation, [A].
        truth: W*(y | x, do(a)), [X, A, Y].
        actors: their names, [K].
        values: what each actor wants, by outcome, scaled to 0 … 1, [K, Y].
    """

    acts: tuple[str, ...]
    outcomes: tuple[str, ...]
    codes: NDArray[np.int16]
    shares: Floats
    tried: Floats
    truth: Floats
    actors: tuple[str, ...]
    values: Floats

    @property
    def weight(self) -> Floats:
        """W*(x)·(share of a), [X, A]: how often a clip shows both."""
        return np.asarray(self.shares[:, None] * self.tried)

    @property
    def worth(self) -> Floats:
        """What each act is worth to each actor, [K, X, A]."""
        return np.asarray(np.einsum("xay,ky->kxa", self.truth, self.values))

    @property
    def offer(self) -> float:
        """I(Y; X, A) in bits: what there is to be known of the outcome."""
        marginal = np.einsum("xa,xay->y", self.weight, self.truth)
        return float(np.einsum("xa,xa->", self.weight, divergence(self.truth, marginal)))


def divergence(p: Floats, q: Floats) -> Floats:
    """KL(p ‖ q) in bits over the last axis, q floored at 1e-12."""
    there = p > 0
    ratio = np.log2(np.where(there, p, 1.0)) - np.log2(np.maximum(q, LEAST))
    return np.asarray(np.where(there, p * ratio, 0.0).sum(-1))


def decision_of(dataset: Dataset, task: Task, values: Values | None = None, cells: int = MOST_CELLS) -> Decision:
    """The decision that a dataset's acts and a task's target make.

    Args:
        dataset: a world with a role "acts", nodes among the task's evidence.
        task: its one target is what comes of the acts.
        values: what each actor wants; by default one actor for each node of the role "valued", who wants its first
            state.
        cells: X·A·Y at most.

    Raises:
        ProbeError: no act, an act with one state or with causes, evidence that acts change; several targets; no actor,
            values of unknown nodes or states, or that do not tell outcomes apart; more than so many cells.
    """
    from worldnets.inference import Inference

    acts, target = acts_of(dataset, task), one_target(task)
    net = dataset.net
    cues = tuple(v for v in task.evidence if v not in acts)
    count = math.prod(len(net.states[v]) for v in (*task.evidence, *target.variables))
    if count > cells:
        mend = "take fewer or coarser cues, or a smaller target"
        raise ProbeError(
            "a decision of too many cells", node=dataset.name, found=count, expected=f"≤ {cells}", mend=mend
        )
    wanted = values_of(dataset, target, values)
    outcomes = tuple(outcome_labels(net, target))
    codes = configurations(net, (*cues, *acts))
    engine = Inference(net)
    shares = np.exp(np.asarray(engine.log_evidence(configurations(net, cues)), dtype=np.float64))
    shares = shares / shares.sum()
    tried = np.exp(np.asarray(engine.log_evidence(configurations(net, acts)), dtype=np.float64))
    if tried.min() <= 0:
        mend = "give every act some probability: what is never tried cannot be learned"
        raise ProbeError("an act that is never done", node=", ".join(acts), found=float(tried.min()), mend=mend)
    truth = np.asarray(engine.joint(codes, target.variables), dtype=np.float64)
    truth = truth.reshape(len(shares), len(tried), -1)
    truth = truth / np.maximum(truth.sum(-1, keepdims=True), 1e-300)
    # Situations that never occur leave nothing to be known of them.
    truth = np.where(shares[:, None, None] > 0, truth, 1 / truth.shape[-1])
    names = tuple(map(", ".join, _labels(net, acts)))
    return Decision(
        names, outcomes, codes, shares, tried / tried.sum(), truth, tuple(wanted), np.stack([*wanted.values()])
    )


def acts_of(dataset: Dataset, task: Task) -> tuple[str, ...]:
    """The act variables of a task.

    Raises:
        ProbeError: there is none among its evidence, one has a single state, one has causes, or a cue is their effect.
    """
    net = dataset.net
    acts = tuple(v for v in dataset.roles.get(ACTS, ()) if v in task.evidence)
    if not acts:
        found = f"acts {list(dataset.roles.get(ACTS, ()))}, evidence {list(task.evidence)}"
        mend = 'load "guard", or name a node of the evidence in roles={"acts": …}'
        raise ProbeError("no act: nothing is decided in this world", node=dataset.name, found=found, mend=mend)
    for v in acts:
        if len(net.states[v]) < 2:
            mend = "give the act at least two states"
            raise ProbeError("an act with one state: there is no choice", node=v, found=net.states[v], mend=mend)
        if net.parents(v):
            mend = "make the act a root: let clips try acts out whatever the situation"
            raise ProbeError("an act with causes: what is seen done is not done freely", node=v,
                             found=net.parents(v), expected="no parents", mend=mend)  # fmt: skip
    for v in task.evidence:
        if v not in acts and net.ancestors([v]) & set(acts):
            mend = "leave it out of the evidence, or ask for it"
            raise ProbeError("what a guard goes by is an effect of his act", node=v, mend=mend)
    return acts


def one_target(task: Task) -> Target:
    """What comes of the acts.

    Raises:
        ProbeError: several targets: they have no joint distribution here.
    """
    if len(task.targets) != 1:
        found, mend = [target.name for target in task.targets], "ask for one joint target"
        raise ProbeError("several targets", node=task.objective, found=found, expected="one", mend=mend)
    return task.targets[0]


def values_of(dataset: Dataset, target: Target, values: Values | None = None) -> dict[str, Floats]:
    """What each actor wants, by outcome of the target, scaled to 0 … 1, [Y].

    Raises:
        ProbeError: as `decision_of`.
    """
    net, asked = dataset.net, target.variables
    if values is None or not values:
        nodes = [v for v in dataset.roles.get(VALUED, ()) if v in asked]
        values = {v: {v: {str(net.states[v][0]): 1.0}} for v in nodes}
    if not values:
        mend = 'name what they want, values = { guard = { diamond = { there = 1.0 } } }, or roles={"valued": …}'
        raise ProbeError("no actor: no one wants anything", node=dataset.name, mend=mend)
    sizes = [len(net.states[v]) for v in asked]
    states = np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), axis=-1)
    found: dict[str, Floats] = {}
    for actor, wants in values.items():
        total = np.zeros(len(states))
        for node, by_state in wants.items():
            if node not in asked:
                where = "a variable that the target lacks" if node in net.states else "an unknown variable"
                mend = did_you_mean(node, asked)
                raise ProbeError(
                    f"an objective over {where}", node=actor, found=repr(node), expected=list(asked), mend=mend
                )
            labels = [str(label) for label in net.states[node]]
            for state, value in by_state.items():
                if state not in labels:
                    mend = did_you_mean(state, labels)
                    raise ProbeError(
                        "an objective over an unknown state", node=f"{actor}, {node}", found=repr(state), mend=mend
                    )
                if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                    mend = "give a finite number"
                    raise ProbeError("no value", node=f"{actor}, {node}, {state}", found=repr(value), mend=mend)
                total += value * (states[:, asked.index(node)] == labels.index(state))
        if np.ptp(total) <= 1e-9:
            mend = "give states that matter different values"
            raise ProbeError("an objective to which all outcomes are alike", node=actor, found=dict(wants), mend=mend)
        found[actor] = (total - total.min()) / np.ptp(total)
    return found


def _labels(net: WorldNet, variables: Sequence[str]) -> list[tuple[str, ...]]:
    sizes = [len(net.states[v]) for v in variables]
    places = np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), axis=-1)
    return [tuple(str(net.states[v][s]) for v, s in zip(variables, row, strict=True)) for row in places.tolist()]
