"""Trained heads as what an agent expects of acts: they are given situation and acts, and asked what comes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.agency.decision import Decision
from probes.agency.episode import Episode, Optimizer
from probes.agency.examined import TIE, Outlooks
from probes.agency.models import Capacity, Model, NetModel
from probes.agency.utilities import Utility
from worldnets.errors import ProbeError
from worldnets.heads.base import is_parameter

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.roles import Target, Task
    from worldnets.trace import Trace

Floats = NDArray[np.float64]
CONDITIONS = ("none", "retested", "updated")
PRINCIPALS = ("labeller", "world")
TRIALS = 16  # of each candidate, when plans are tried in the world


@dataclass(frozen=True)
class Sampling:
    """What decision a head plans in, for whom, and for what.

    Attributes:
        acts, sees: nodes; default the world's roles of these names.
        regime: the node whose do() changes the regime; default the world's role "regime".
        trained: the state that it has as trained; "" for what it is in the world, where states that never occur are the
            changes.
        base, proxy: what is wanted and what is measured, "node = state" or "node" for its last state; default the
            world's roles.
        goal: what the agent plans for: "base", "proxy", or an objective of its own in the same words.
        principal: "labeller", the world's human with the net in his head, or "world".
        condition: "none"; "retested": its best plans are trials, judged by the base objective; "updated": episodes of
            its own acts in each regime have gone into its model.
        candidates: plans that are retested.
        rounds, episodes, prior: of updates.
        tie: share of what is at stake by which plans may differ and count as equally good.
        watched: episodes in which the kind of optimisation is watched, for each seed; 0 for none.
        seed: of these episodes.
    """

    acts: Any = None
    sees: Any = None
    regime: str = ""
    trained: str = ""
    base: str = ""
    proxy: str = ""
    goal: str = "proxy"
    principal: str = "labeller"
    condition: str = "none"
    candidates: int = 2
    rounds: int = 8
    episodes: float = 100.0
    prior: float = 1.0
    tie: float = TIE
    watched: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (
            ("condition", self.condition, CONDITIONS),
            ("principal", self.principal, PRINCIPALS),
        ):
            if value not in known:
                raise ProbeError(f"unknown {name}", found=repr(value), expected=f"one of {list(known)}")


@dataclass(frozen=True, eq=False)
class Posed:
    """The question that a trace's heads are put to.

    Attributes:
        decision: in what it acts.
        principal: for whom.
        base, proxy, objective: wanted, measured, planned for.
        target: whose outcomes the heads predict.
        outcomes: those of its nodes that matter.
    """

    decision: Decision
    principal: Model
    base: Utility
    proxy: Utility
    objective: Utility
    target: Target
    outcomes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A trained head as a model: what it predicts, given situation and plan, is what is expected of that plan.

    Attributes:
        trace: of heads whose evidence is within what is seen and done.
        seed: which of them.
        checkpoint: position in `trace.steps`.
    """

    trace: Trace
    seed: int
    checkpoint: int = -1

    @property
    def capacity(self) -> Capacity:
        """Its parameters; it is about no variables in particular."""
        return Capacity(parameters_of(self.trace), frozenset())

    def outlook(self, decision: Decision, outcomes: Sequence[str]) -> Floats:
        """Its predictions, summed over what does not matter.

        Raises:
            ProbeError: evidence that is neither seen nor done, or outcomes that it does not predict jointly; a seed
                that diverged or that the trace does not have.
        """
        if self.seed not in self.trace.seeds:
            raise ProbeError("a seed that the trace does not have", found=self.seed, expected=list(self.trace.seeds))
        target = target_of(self.trace.task, decision, outcomes)
        count = len(self.trace.steps)
        found = predictions(self.trace, decision, target, outcomes, [self.checkpoint % count])
        own = found[0, self.trace.seeds.index(self.seed)]
        if np.isnan(own).any():
            raise ProbeError("a seed that diverged", found=self.seed, mend="take another seed or checkpoint")
        return np.asarray(own)


def posed(dataset: Dataset, task: Task, sampling: Sampling) -> Posed:
    """The question as sampling and the world's roles put it.

    Raises:
        ProbeError: no acts, regime or objective; a principal that is not there; heads that do not fit the decision.
    """
    net, roles = dataset.net, dataset.roles

    def nodes(given: Any, role: str) -> tuple[str, ...]:
        found = roles.get(role) if given is None else (given,) if isinstance(given, str) else tuple(given)
        if not found:
            mend = f'name them, measure = {{ agency = {{ {role} = ["…"] }} }}, or give the world a role "{role}"'
            raise ProbeError(f"a world without {role}", node=dataset.net.name, mend=mend)
        return tuple(found)

    def text(given: str, role: str) -> str:
        return given or nodes(None, role)[0]

    acts = nodes(sampling.acts, "acts")
    sees = nodes(sampling.sees, "sees")
    regime = text(sampling.regime, "regime")
    trained = None
    if sampling.trained:
        labels = {str(label): label for label in net.states.get(regime, ())}
        if sampling.trained not in labels:
            raise ProbeError("an unknown state", node=regime, found=sampling.trained, expected=f"one of {list(labels)}")
        trained = labels[sampling.trained]
    decision = Decision.changing(net, acts, sees, regime, trained)
    base, proxy = Utility.of(text(sampling.base, "base"), net), Utility.of(text(sampling.proxy, "proxy"), net)
    objective = {"base": base, "proxy": proxy}.get(sampling.goal) or Utility.of(sampling.goal, net)
    outcomes = tuple(dict.fromkeys(v for one in (objective, base, proxy) for v in one.variables))
    if sampling.principal == "labeller":
        labeller = dataset.world.labeller
        if labeller is None:
            mend = 'measure with principal = "world", or give the world a labeller'
            raise ProbeError("a principal that is not there", node=net.name, found="no labeller", mend=mend)
        principal: Model = NetModel(labeller.net)
    else:
        principal = NetModel(net)
    target = target_of(task, decision, outcomes)
    return Posed(decision, principal, base, proxy, objective, target, outcomes)


def target_of(task: Task, decision: Decision, outcomes: Sequence[str]) -> Target:
    """The target that holds all outcomes.

    Raises:
        ProbeError: none does, or evidence that is neither seen nor done.
    """
    beyond = [v for v in task.evidence if v not in (*decision.sees, *decision.acts)]
    if beyond:
        mend = "let the agent see it, or train on a task without it"
        raise ProbeError("evidence that is neither seen nor done", node=task.objective, found=beyond[0], mend=mend)
    unheeded = [v for v in decision.acts if v not in task.evidence]
    if unheeded:
        mend = "train on a task whose evidence holds the acts"
        raise ProbeError("heads that are not told the acts", node=task.objective, found=unheeded[0], mend=mend)
    for target in task.targets:
        if set(outcomes) <= set(target.variables):
            return target
    found, expected = [target.variables for target in task.targets], f"one that holds {list(outcomes)}"
    raise ProbeError("no target holds what the objectives are about", found=found, expected=expected)


def predictions(
    trace: Trace, decision: Decision, target: Target, outcomes: Sequence[str], checkpoints: Sequence[int]
) -> Floats:
    """What heads expect, [T, S, R, A, Y]; NaN where a seed has diverged."""
    net = decision.net
    sizes = [len(net.states[v]) for v in target.variables]
    predict = trace.predictor(decision.cases(net))
    whole = np.stack([np.exp(predict(checkpoint, target.name)) for checkpoint in checkpoints])
    shape = (*whole.shape[:2], len(decision.situations), len(decision.plans))
    shaped = whole.reshape(*shape, *sizes)
    first = len(shape)
    dropped = tuple(first + i for i, v in enumerate(target.variables) if v not in outcomes)
    left = [v for v in target.variables if v in outcomes]
    order = [first + left.index(v) for v in outcomes]
    return np.asarray(shaped.sum(dropped).transpose(*range(first), *order).reshape(*shape, -1), dtype=np.float64)


def outlooks_of(trace: Trace, question: Posed, sampling: Sampling) -> tuple[Outlooks, NDArray[np.bool_]]:
    """All checkpoints and seeds of a trace as agents, and which of them are sound, [T, S]; the others' are uniform."""
    decision, outcomes = question.decision, question.outcomes
    own = predictions(trace, decision, question.target, outcomes, range(len(trace.steps)))
    sound = np.asarray(np.isfinite(own).all((-3, -2, -1)))
    own = np.where(sound[..., None, None, None], own, 1.0 / own.shape[-1])
    count = len(decision.contexts)
    over = lambda objective: objective.over(decision.net, outcomes)
    given = Outlooks(
        decision.contexts,
        decision.weights,
        decision.world(outcomes),
        np.broadcast_to(own[:, :, None], (*own.shape[:2], count, *own.shape[2:])),
        question.principal.outlook(decision, outcomes),
        over(question.base),
        over(question.proxy),
        over(question.objective),
        None,
        outcomes,
        tuple(len(decision.net.states[v]) for v in outcomes),
        question.base.variables,
        question.proxy.variables,
    )
    if sampling.condition == "retested":
        given = given.retested(sampling.candidates, sampling.tie)
    if sampling.condition == "updated":
        given = given.updated(sampling.episodes, sampling.prior, sampling.rounds, sampling.tie)
    return given, sound


def planner(worth: Floats, question: Posed, candidates: int = 0) -> Optimizer:
    """Whoever plans with what plans are worth to it: one look, the best plan, all acts.

    Args:
        worth: [R, A].
        question: the decision, and the base objective.
        candidates: where above 0, of so many of its best plans each is tried in the world, and the best by the base
            objective is done.
    """
    decision = question.decision
    places = {tuple(row): place for place, row in enumerate(decision.situations.tolist())}
    plans = [
        tuple(decision.net.states[v][s] for v, s in zip(decision.acts, row, strict=True)) for row in decision.plans
    ]

    def run(episode: Episode) -> None:
        seen = episode.look()
        place = places[tuple(decision.net.code(v, seen[v]) for v in decision.sees)]
        ranked = np.argsort(-worth[place], kind="stable")
        best = int(ranked[0])
        if candidates:
            tried = {int(plan): _tried(episode, plans[int(plan)], question) for plan in ranked[:candidates]}
            best = max(tried, key=lambda plan: tried[plan])
        for label in plans[best]:
            episode.act(label)

    return run


def _tried(episode: Episode, plan: tuple[Any, ...], question: Posed) -> float:
    net, total = question.decision.net, 0.0
    for _ in range(TRIALS):
        ends = episode.trial(*plan)
        for scope, table in question.base.terms:
            total += float(table[tuple(net.code(v, ends[v]) for v in scope)])
    return total


def parameters_of(trace: Trace) -> int:
    """Numbers that training set in one head."""
    import jax

    leaves = [leaf for leaf in jax.tree.leaves(trace.parameters) if is_parameter(leaf)]
    return sum(math.prod(leaf.shape[2:]) for leaf in leaves)
