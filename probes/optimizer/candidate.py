"""What can be asked whether it is an optimizer, and the situations in which it is asked.

A *candidate* answers situations: with a distribution over outcomes (a predictor) or over acts (a planner). It may also
show answers after fewer inner steps, take another objective into the place of its own, answer where its acts lead
elsewhere, or have an honest twin. What it cannot show is `NotApplicable`, with the reason; that reason is a result.

Shapes: S replicates (seeds, or worlds drawn anew), R situations, A answers, G groups of situations, I + 1 counts of
inner steps from 0 on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
Kind = Literal["beliefs", "acts"]
AUTHORS, TRAINING = "authors", "training"
IN, OUT = "in distribution", "out of distribution"  # contexts of predictors
LEAST_RANGE = 1e-9  # of a utility, over all that acts can lead to: below, it does not look at the state
LEAST_PROBABILITY = 1e-12  # what a predictor that rules an outcome out is taken to give it


@dataclass(frozen=True)
class NotApplicable:
    """A measurement that a candidate cannot support."""

    reason: str


@dataclass(frozen=True)
class Provenance:
    """Which base optimizer selected which part of a candidate.

    Attributes:
        parts: of "search", "objective", "heuristic" or "answers" who selected it: `AUTHORS`, the people who wrote it;
            `TRAINING`, the training run at hand; or another name.
    """

    parts: Mapping[str, str]

    def selected_by(self, optimizer: str) -> tuple[str, ...]:
        """The parts that a base optimizer selected."""
        return tuple(part for part, by in self.parts.items() if by == optimizer)

    def without_training(self) -> Provenance:
        """The same where training is seen to have changed nothing: what it was given is the authors'."""
        return Provenance({part: AUTHORS if by == TRAINING else by for part, by in self.parts.items()})


@dataclass(frozen=True, eq=False)
class Objective:
    """Something that answers can be good at.

    Attributes:
        name: unique within its setting.
        optimum: the best answer in each situation, a distribution, [R, A] or [S, R, A].
        worth: expected utility of each act, of the same shape; None where an answer is a belief, whose regret is
            KL(optimum ‖ answer) in nats.
    """

    name: str
    optimum: Floats
    worth: Floats | None = None

    def regret(self, answers: Floats) -> Floats:
        """What answers [..., S, R, A] lose, [..., S, R].

        In nats for beliefs; for acts as a share of what is at stake: between the best and the worst act in the
        situation where most hangs on it. Situations in which little does weigh little.
        """
        if self.worth is None:
            return divergence(self.optimum, answers)
        lost = self.worth.max(-1) - (answers * self.worth).sum(-1)
        return np.asarray(lost / np.maximum(at_stake(self.worth)[..., None], LEAST_RANGE))


@dataclass(frozen=True, eq=False)
class Change:
    """A do() on what acts lead to.

    Attributes:
        name: of the intervention, such as "do(wiring = crossed)".
        after: each objective of the family as it stands afterwards, in the family's order.
    """

    name: str
    after: tuple[Objective, ...]


@dataclass(frozen=True, eq=False)
class Setting:
    """One context: situations of one kind, and what is at stake in them. A candidate is bound to one.

    Attributes:
        context: its name.
        kind: what answers are.
        answers: names of the answers, [A].
        shares: how often each situation occurs in each group, every group's sum 1: [G, R] or [S, G, R].
        base: what the base optimizer asked for.
        family: the objectives among which the mesa-objective is looked for; the base objective is one of them.
        foreign: objectives outside of the candidate's training family, for the swap.
        changes: interventions on what acts lead to.
    """

    context: str
    kind: Kind
    answers: tuple[str, ...]
    shares: Floats
    base: Objective
    family: tuple[Objective, ...]
    foreign: tuple[Objective, ...] = ()
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        if len(self.answers) < 2:
            where, mend = self.context, "give the planner at least two acts, or the predictor two outcomes"
            raise ProbeError("no choice of answers", node=where, found=list(self.answers), mend=mend)
        if not any(objective.name == self.base.name for objective in self.family):
            mend = "put it into the family: aligned means that it is in the confidence set"
            raise ProbeError("the base objective is not in the family", node=self.base.name, mend=mend)
        every = [*self.family, *self.foreign]
        names = [objective.name for objective in every]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ProbeError("two objectives of one name", node=self.context, found=twice[0], mend="rename one")
        for objective in every:
            check_objective(objective, len(self.answers))
        for change in self.changes:
            if [one.name for one in change.after] != [one.name for one in self.family]:
                found, expected = [one.name for one in change.after], [one.name for one in self.family]
                raise ProbeError("not the family after a change", node=change.name, found=found, expected=expected)

    def grouped(self, values: Floats) -> Floats:
        """Means over the situations of each group: [..., S, R] → [..., S, G]."""
        if self.shares.ndim == 2:
            return np.asarray(np.einsum("gr,...sr->...sg", self.shares, values))
        return np.asarray(np.einsum("sgr,...sr->...sg", self.shares, values))


@dataclass(frozen=True, eq=False)
class Course:
    """What a candidate answers after so many inner steps.

    Attributes:
        unit: what a step is: "rounds", "frames of look-ahead", "simulations".
        steps: how many, from 0 on, [I + 1].
        answers: [I + 1, S, R, A].
        settled: at its own fixed point: what it answers when it may go on, [S, R, A].
        residual: mean over situations of the largest change that the next step makes, [I + 1, S].
        bethe: free energy in nats, [I + 1, S, R]; reported and not judged, because correct message passing raises it
            on the way.
    """

    unit: str
    steps: tuple[int, ...]
    answers: Floats
    settled: Floats
    residual: Floats
    bethe: Floats | None = None


@dataclass(frozen=True, eq=False)
class Tilt:
    """How far a candidate's message passing leans, against its honest twin.

    Attributes:
        outcomes: names of the outcomes that may be leant towards, [O].
        estimate: τ in nats of each, [S, O].
        leftover: share of the difference between candidate and twin that no such tilt explains, [S, O]; 0 where there
            is none.
        read: whether the twin has the candidate's own tables. If so, a tilt is in the procedure, and any beyond float
            tolerance counts; if not, it may be a prior as well, and is tested over seeds or nets.
    """

    outcomes: tuple[str, ...]
    estimate: Floats
    leftover: Floats
    read: bool


class Candidate(Protocol):
    """Something that answers the situations of one setting."""

    @property
    def provenance(self) -> Provenance:
        """Who selected what."""
        ...

    def answers(self) -> Floats:
        """A distribution over answers in each situation, [S, R, A]."""
        ...

    def course(self) -> Course | NotApplicable:
        """Answers after fewer inner steps."""
        ...

    def given(self, objective: Objective) -> Floats | NotApplicable:
        """Answers with that objective in the place of its own, without retraining, [S, R, A]."""
        ...

    def after(self, change: Change) -> Floats | NotApplicable:
        """Answers where acts lead elsewhere and the candidate can know it, [S, R, A]."""
        ...

    def tilt(self) -> Tilt | NotApplicable:
        """How its message passing differs from that of an honest twin."""
        ...


@dataclass(frozen=True, eq=False)
class Recorded:
    """A candidate all of whose answers are written down.

    Attributes:
        provenance: who selected what.
        own: its answers.
        progress: answers after fewer steps.
        swapped: answers under other objectives, by name.
        changed: answers after changes, by name.
        lean: its tilt.
    """

    provenance: Provenance
    own: Floats
    progress: Course | NotApplicable
    swapped: Mapping[str, Floats] | NotApplicable
    changed: Mapping[str, Floats] | NotApplicable
    lean: Tilt | NotApplicable = field(default=NotApplicable("it passes no messages"))

    def answers(self) -> Floats:
        """As recorded."""
        return self.own

    def course(self) -> Course | NotApplicable:
        """As recorded."""
        return self.progress

    def given(self, objective: Objective) -> Floats | NotApplicable:
        """As recorded.

        Raises:
            ProbeError: an objective that nothing was recorded for.
        """
        return self.swapped if isinstance(self.swapped, NotApplicable) else _recorded(self.swapped, objective.name)

    def after(self, change: Change) -> Floats | NotApplicable:
        """As recorded.

        Raises:
            ProbeError: a change that nothing was recorded for.
        """
        return self.changed if isinstance(self.changed, NotApplicable) else _recorded(self.changed, change.name)

    def tilt(self) -> Tilt | NotApplicable:
        """As recorded."""
        return self.lean


def _recorded(kept: Mapping[str, Floats], name: str) -> Floats:
    if name not in kept:
        raise ProbeError("nothing was recorded for this", found=name, expected=f"one of {sorted(kept)}")
    return kept[name]


def divergence(p: Floats, q: Floats, least: float = LEAST_PROBABILITY) -> Floats:
    """KL(p ‖ q) in nats over the last axis; q is floored, so that ruling out what happens costs much and not all."""
    p, q = np.broadcast_arrays(p, q)
    there = p > 0
    logs = np.log(np.where(there, p, 1.0)) - np.log(np.maximum(q, least))
    lost = np.isnan(p).any(-1)  # of seeds that diverged
    return np.asarray(np.where(lost, np.nan, np.where(there, p * logs, 0.0).sum(-1)))


def blurred(answers: Floats, kind: Kind, lapse: float) -> Floats:
    """Answers of someone who lapses: (1 − ε)·answer + ε·uniform for acts, beliefs as they are.

    Without it an act that is not the best one would be infinitely improbable under every objective alike.
    """
    return answers if kind == "beliefs" else (1 - lapse) * answers + lapse / answers.shape[-1]


def at_stake(worth: Floats) -> Floats:
    """The largest difference that an act makes in any situation: [..., R, A] → [...]."""
    return np.asarray(np.ptp(worth, axis=-1).max(-1))


def best_acts(worth: Floats, tolerance: float = 1e-9) -> Floats:
    """The optimum of an objective of acts, uniform over those that are worth most, [..., R, A].

    Args:
        worth: of each act.
        tolerance: share of what is at stake by which an act may be worth less than the best and still count as it.
    """
    least = worth.max(-1, keepdims=True) - np.maximum(tolerance * at_stake(worth), 1e-12)[..., None, None]
    best = worth >= least
    return np.asarray(best / best.sum(-1, keepdims=True))


def check_objective(objective: Objective, answers: int) -> None:
    """Refuse what is no objective over these answers.

    Raises:
        ProbeError: an optimum that is no distribution; a utility under which every act is worth the same everywhere.
    """
    optimum, name = objective.optimum, objective.name
    if optimum.ndim < 2 or optimum.shape[-1] != answers:
        expected = f"[situations, {answers}]"
        raise ProbeError("an optimum of the wrong shape", node=name, found=optimum.shape, expected=expected)
    if not (np.isfinite(optimum).all() and (optimum >= 0).all() and np.allclose(optimum.sum(-1), 1)):
        raise ProbeError("an optimum that is no distribution", node=name, mend="probabilities of answers sum to 1")
    if objective.worth is None:
        return
    if objective.worth.shape != optimum.shape or not np.isfinite(objective.worth).all():
        raise ProbeError("no worth for every act", node=name, found=objective.worth.shape, expected=optimum.shape)
    if np.ptp(objective.worth) <= LEAST_RANGE:
        mend = "give it other values where acts lead elsewhere"
        raise ProbeError("a utility that ignores the state: every act is as good as any other", node=name, mend=mend)


def check_utility(table: Sequence[float] | Floats, name: str = "utility") -> Floats:
    """A utility table over the states of what acts lead to.

    Raises:
        ProbeError: values that are not finite, or the same for every state.
    """
    values = np.asarray(table, dtype=np.float64)
    if values.size < 2 or not np.isfinite(values).all():
        raise ProbeError("no utility of every state", node=name, found=values, mend="give one finite number per state")
    if np.ptp(values) <= LEAST_RANGE:
        mend = "give states that matter different values"
        raise ProbeError(
            "a utility that ignores the state", node=name, found=f"{values.flat[0]:g} everywhere", mend=mend
        )
    return values


def check_horizon(horizon: int) -> int:
    """How many acts are planned.

    Raises:
        ProbeError: none, or no whole number.
    """
    if isinstance(horizon, bool) or not isinstance(horizon, int | np.integer) or horizon < 1:
        mend = "plan at least one act"
        raise ProbeError("a horizon of no acts", found=repr(horizon), expected="a whole number ≥ 1", mend=mend)
    return int(horizon)


def check_legal(legal: Sequence[str], known: Sequence[str], where: str) -> tuple[str, ...]:
    """The acts that a planner may choose from.

    Raises:
        ProbeError: none at all, or one that does not exist.
    """
    unknown = [act for act in legal if act not in known]
    if unknown:
        raise ProbeError("an unknown act", node=where, found=unknown[0], expected=f"of {list(known)}")
    if not legal:
        mend = f"allow some of {list(known)}"
        raise ProbeError("a planner with no legal act", node=where, found="none", expected="at least one", mend=mend)
    return tuple(dict.fromkeys(legal))
