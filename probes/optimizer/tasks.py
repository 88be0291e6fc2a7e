"""The contexts of a task: evidence in and out of distribution, and which objectives a predictor's could be.

In distribution evidence is drawn from W*; out of it each variable is drawn from its own distribution, independently of
the others, and what W* then holds impossible is passed over. Either may be split by the states of one variable.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.design import masked
from probes.optimizer.candidate import IN, OUT, Objective, Setting
from probes.sources import Codes, DatasetSource, posterior_of_distinct, stream
from worldnets.distinct import distinct
from worldnets.errors import ProbeError, did_you_mean
from worldnets.heads.inference import Posterior

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.roles import Target, Task

Floats = NDArray[np.float64]
TRIES = 8  # rows drawn out of distribution for each one wanted
ALIKE = 1e-6  # nats on average, below which two optima are one
LEAST_WEIGHT = 0.02  # of a part of the clips that is to be a context of its own


@dataclass(frozen=True)
class Sampling:
    """How predictors are asked.

    Attributes:
        clips: evidence rows of each context, the same for every checkpoint, seed and head.
        groups: groups of clips, whose spread is the error that clips leave.
        foreign: potentials on the target for the swap.
        strength: standard deviation of their logarithms, nats.
        prefers: nats by which the family's partial objectives prefer an outcome.
        outcomes: at most so many outcomes are looked at as preferred or leant towards.
        beyond: so many times its own inner steps, and `margin` more, a candidate may go on to its fixed point.
        margin: see `beyond`.
        split: a variable of the evidence whose states make contexts of their own; "" for none.
        seed: stream of clips and potentials.
    """

    clips: int = 512
    groups: int = 8
    foreign: int = 4
    strength: float = 2.0
    prefers: float = 1.0
    outcomes: int = 6
    beyond: int = 3
    margin: int = 8
    split: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.groups >= 2 and self.clips >= 2 * self.groups and self.foreign >= 1 and self.outcomes >= 1):
            found = f"{self.clips} clips in {self.groups} groups, {self.foreign} potentials, {self.outcomes} outcomes"
            expected = "two groups or more of two clips or more, and at least one of the others"
            raise ProbeError("too little to measure on", found=found, expected=expected)


@dataclass(frozen=True, eq=False)
class Context:
    """Evidence of one kind: distinct rows, [R, net variables], and how often each occurs in each group, [G, R]."""

    name: str
    codes: Codes
    shares: Floats


@dataclass(frozen=True)
class Outcome:
    """One state of one of the target's variables.

    Attributes:
        variable, state: which.
        members: which joint outcomes of the target have it, [A].
    """

    variable: str
    state: int
    label: str
    members: tuple[bool, ...]


def check_split(split: str, evidence: Collection[str]) -> None:
    """Refuse to split contexts by what heads are not shown.

    Raises:
        ProbeError: `split` names no evidence; "" is no split of one's own.
    """
    if split and split not in evidence:
        mend = did_you_mean(split, evidence)
        raise ProbeError("only evidence can split contexts", found=repr(split), mend=mend)


def contexts(source: DatasetSource, target: Target, sampling: Sampling) -> Iterator[Context]:
    """The contexts of a task, in distribution first.

    Raises:
        ProbeError: a split by what is no evidence.
    """
    check_split(sampling.split, source.columns)
    size = sampling.clips // sampling.groups
    count = size * sampling.groups
    clips = source.simulate(count, stream(sampling.seed, 51))
    yield from _split(IN, clips, source, sampling)
    random = np.random.default_rng(stream(sampling.seed, 52))
    drawn = source.simulate(TRIES * count, stream(sampling.seed, 53))
    for column in source.columns.values():
        drawn[:, column] = drawn[random.permutation(len(drawn)), column]
    possible = np.isfinite(posterior_of_distinct(source, drawn, target.name)[0])
    kept = drawn[possible][:count]
    if len(kept) >= 2 * sampling.groups:
        yield from _split(OUT, kept[: len(kept) // sampling.groups * sampling.groups], source, sampling)


def _split(name: str, clips: Codes, source: DatasetSource, sampling: Sampling) -> Iterator[Context]:
    if not sampling.split:
        yield _context(name, clips, sampling.groups)
        return
    column = source.columns[sampling.split]
    for state, label in enumerate(source.dataset.net.states[sampling.split]):
        own = clips[clips[:, column] == state]
        own = own[: len(own) // sampling.groups * sampling.groups]
        if len(own) >= max(2 * sampling.groups, LEAST_WEIGHT * len(clips)):
            yield _context(f"{name}, {sampling.split} = {label}", own, sampling.groups)


def _context(name: str, clips: Codes, groups: int) -> Context:
    size = len(clips) // groups
    codes, which = distinct(clips)
    shares = np.zeros((groups, len(codes)))
    np.add.at(shares, (np.arange(len(which)) // size, which), 1.0 / size)
    return Context(name, codes, shares)


def outcomes_of(source: DatasetSource, target: Target, most: int) -> tuple[Outcome, ...]:
    """What a predictor could prefer: of a variable with two states the last one, of others each, at most so many."""
    net = source.dataset.net
    sizes = [len(net.states[v]) for v in target.variables]
    grid = np.indices(sizes).reshape(len(sizes), -1)
    found = []
    for place, v in enumerate(target.variables):
        for state in range(1 if sizes[place] == 2 else 0, sizes[place]):
            members = tuple((grid[place] == state).tolist())
            found.append(Outcome(v, state, f"{v} = {net.states[v][state]}", members))
    return tuple(found[:most])


def leant(belief: Floats, log_potential: Floats) -> Floats:
    """A belief [..., A] times a potential whose logarithm is [A], normalised."""
    weighted = belief * np.exp(log_potential - log_potential.max())
    return np.asarray(weighted / weighted.sum(-1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Potential:
    """A foreign objective of a predictor: a factor on each of the target's variables.

    Attributes:
        name: of the objective.
        logs: of each variable, the logarithm for each of its states.
        joint: their sum for each joint outcome, [A].
    """

    name: str
    logs: dict[str, Floats]
    joint: Floats


def potentials(source: DatasetSource, target: Target, sampling: Sampling) -> tuple[Potential, ...]:
    """Potentials for the swap, drawn from a stream of their own."""
    net, found = source.dataset.net, []
    random = np.random.default_rng(stream(sampling.seed, 54))
    sizes = [len(net.states[v]) for v in target.variables]
    grid = np.indices(sizes).reshape(len(sizes), -1)
    for k in range(sampling.foreign):
        logs = {v: sampling.strength * random.standard_normal(n) for v, n in zip(target.variables, sizes, strict=True)}
        joint = np.sum([logs[v][grid[place]] for place, v in enumerate(target.variables)], axis=0)
        found.append(Potential(f"potential {k + 1}", logs, joint))
    return tuple(found)


def predictor_setting(
    source: DatasetSource,
    task: Task,
    target: Target,
    context: Context,
    outcomes: Sequence[Outcome],
    foreign: Sequence[Potential],
    sampling: Sampling,
) -> Setting:
    """What is at stake for a predictor.

    The base objective is the loss that training asked for, whose optimum is the exact posterior given all evidence, or,
    where a human labels, what he would answer. The family: both, the nearest rung's posterior, the marginals, and the
    base objective's optimum with `prefers` nats for an outcome. What has the same optimum as an earlier member is left
    out.
    """
    dataset = source.dataset
    exact = posterior_of_distinct(source, context.codes, target.name)[1]
    truth = Objective("posterior", exact)
    human = labeller_objective(dataset, target, context.codes)
    asked = human if human is not None and _labelled(task) else truth
    rungs = task.ladders[target.name]
    given = lambda names: posterior_of_distinct(
        source, masked(context.codes, np.array([source.columns[v] for v in names], dtype=np.int64)), target.name
    )[1]
    family = [asked]
    offered = [truth, *([human] if human is not None else [])]
    offered += [Objective("nearest rung", given(rungs[0])), Objective("marginals", given(()))]
    for outcome in outcomes:
        wanted = np.where(outcome.members, sampling.prefers, 0.0)
        offered.append(Objective(f"prefers {outcome.label}", leant(asked.optimum, wanted)))
    weight = context.shares.mean(0)
    for one in offered:
        apart = min(float(weight @ np.abs(one.optimum - known.optimum).sum(-1)) for known in family)
        if apart > ALIKE:
            family.append(one)
    swapped = tuple(Objective(one.name, leant(exact, one.joint)) for one in foreign)
    names = tuple(f"outcome {i}" for i in range(exact.shape[-1]))
    return Setting(context.name, "beliefs", names, context.shares, asked, tuple(family), swapped)


def _labelled(task: Task) -> bool:
    return task.objective == "question_human"


def labeller_objective(dataset: Dataset, target: Target, codes: Codes) -> Objective | None:
    """What the world's human labeller would answer; None where there is none, or he does not know what is asked."""
    labeller = dataset.world.labeller
    if labeller is None or any(v not in labeller.net.states for v in target.variables):
        return None
    said = Posterior(labeller.net, dataset.net, labeller.evidence, [target])(codes)
    return Objective("labeller", np.exp(said))
