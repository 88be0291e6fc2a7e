"""What a world is used for: which nodes are evidence, which are asked for, and which evidence counts as deep."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError, EvidenceError, did_you_mean
from worldnets.net import WorldNet
from worldnets.temporal import TwoSliceNet

if TYPE_CHECKING:
    from worldnets.candidates import Candidates
    from worldnets.episodes import RealClips

Ladder = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Target:
    """Something to predict: the joint state of `variables`, as one outcome.

    Outcomes are numbered in mixed radix, the first variable most significant:
    `outcome = Σ_i code_i · Π_{j>i} states_j`.
    """

    name: str
    variables: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "variables", tuple(self.variables))
        if not self.variables or len(set(self.variables)) != len(self.variables):
            mend = "name at least one variable, each once"
            raise DatasetError("a target without distinct variables", node=self.name, found=self.variables, mend=mend)

    def __repr__(self) -> str:
        return f"Target({self.name!r}: {', '.join(self.variables)})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self))


@dataclass(frozen=True)
class Task:
    """One objective on one world: predict `targets` from `evidence`.

    Args:
        objective: its name, "continuation" or "question".
        evidence: the nodes a head is given.
        targets: what it must predict; their variables are never evidence.
        ladders: for each target the increments of the ladder, shallow first: rung k adds `ladders[target][k-1]` to the
            evidence of rung k−1. They are disjoint and together are the evidence (theory: the ladder).
        latents: nodes whose beliefs a belief-attached head is given; never evidence, never a target's variable.

    Raises:
        DatasetError: the roles overlap, or a ladder does not cover the evidence exactly once.
    """

    objective: str
    evidence: tuple[str, ...]
    targets: tuple[Target, ...]
    ladders: Mapping[str, Ladder]
    latents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "evidence", tuple(self.evidence))
        put(self, "targets", tuple(self.targets))
        put(self, "latents", tuple(self.latents))
        ladders = {name: tuple(tuple(rung) for rung in ladder) for name, ladder in self.ladders.items()}
        put(self, "ladders", MappingProxyType(ladders))
        for name, passed, message, mend in role_checks(self):
            if not passed:
                raise DatasetError(f"{name}: {message}", node=self.objective, mend=mend)

    def target(self, name: str) -> Target:
        """The target of that name.

        Raises:
            DatasetError: there is none.
        """
        for target in self.targets:
            if target.name == name:
                return target
        mend = did_you_mean(name, [target.name for target in self.targets])
        raise DatasetError("unknown target", node=self.objective, found=repr(name), mend=mend)

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy does not travel between processes
        return type(self), (self.objective, self.evidence, self.targets, dict(self.ladders), self.latents)

    def __repr__(self) -> str:
        asked = ", ".join(target.name for target in self.targets)
        return f"Task({self.objective!r}: {asked} from {len(self.evidence)} evidence variables)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        rows = [
            (target.name, target.variables, " ‖ ".join(", ".join(rung) for rung in self.ladders[target.name]))
            for target in self.targets
        ]
        listed = table(("target", "variables", "ladder, shallow ‖ deep"), rows)
        return card(repr(self), {"evidence": self.evidence, "latents": self.latents}, listed)


def role_checks(task: Task) -> list[tuple[str, bool, str, str]]:
    """Each demand on a task's roles as (name, holds, message, mend)."""
    evidence, asked = set(task.evidence), [v for target in task.targets for v in target.variables]
    shared = sorted(evidence & set(asked))
    told = sorted(set(task.latents) & (evidence | set(asked)))
    names = [target.name for target in task.targets]
    rows = [
        ("evidence", bool(evidence), "there is none", "name at least one evidence variable"),
        (
            "evidence once",
            len(evidence) == len(task.evidence),
            f"{_repeated(task.evidence)} stand there twice",
            "name each once",
        ),
        ("targets", bool(names), "there is none", "name at least one target"),
        ("target names", len(set(names)) == len(names), f"{_repeated(names)} are used twice", "rename one of them"),
        ("targets hidden", not shared, f"{shared} are evidence and target", "take them out of the evidence"),
        (
            "latents hidden",
            not told,
            f"{told} are latents and also evidence or target",
            "leave them out of the latents, their belief would be the answer",
        ),
        (
            "ladders",
            set(task.ladders) == set(names),
            f"ladders for {sorted(task.ladders)}, targets {sorted(names)}",
            "give one ladder per target",
        ),
    ]
    for name, ladder in task.ladders.items():
        flat = [v for rung in ladder for v in rung]
        wrong = sorted(set(flat) ^ evidence) or _repeated(flat)
        message = f"of {name!r}: {wrong} are not in exactly one rung and in the evidence"
        rows.append(("ladder covers evidence", not wrong, message, "put every evidence variable in exactly one rung"))
        rows.append(("no empty rung", all(ladder), f"of {name!r}: a rung is empty", "leave the empty rung out"))
    return rows


def _repeated(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return sorted({name for name in listed if listed.count(name) > 1})


def outcome_count(net: WorldNet, target: Target) -> int:
    """Number of outcomes of a target: the product of its variables' numbers of states."""
    net.check_variables(target.variables, error=DatasetError)
    return math.prod(len(net.states[v]) for v in target.variables)


def outcome_index(codes: NDArray[np.integer[Any]], net: WorldNet, target: Target) -> NDArray[np.int64]:
    """The outcome of every row of a code array [rows, net variables], shape [rows].

    Raises:
        EvidenceError: a row in which one of the target's variables is unobserved.
    """
    net.check_variables(target.variables, error=DatasetError)
    outcome = np.zeros(len(codes), dtype=np.int64)
    for v in target.variables:
        column = codes[:, net.index[v]].astype(np.int64)
        if column.size and column.min() < 0:
            row = int(np.flatnonzero(column < 0)[0])
            mend = "give rows in which every target variable has a state"
            raise EvidenceError("a target variable is unobserved", node=v, row=row, mend=mend)
        outcome = outcome * len(net.states[v]) + column
    return outcome


def outcome_labels(net: WorldNet, target: Target) -> list[str]:
    """Readable outcomes in order: `"diamond_5=there"`, joined by `", "` over the target's variables."""
    labels = [""]
    for v in target.variables:
        own = [f"{v}={label}" for label in net.states[v]]
        labels = [f"{left}, {right}" if left else right for left in labels for right in own]
    return labels


def distance_ladder(net: WorldNet, evidence: Sequence[str], variables: Iterable[str]) -> Ladder:
    """The default ladder of a static net: rung k holds the evidence at moral-graph distance k from the target.

    Distances with no evidence are skipped; evidence that no path reaches is a last rung of its own (it carries
    nothing). On a tree, rung k is what k rounds of message passing can have used (theory, section 2).
    """
    neighbours: dict[str, set[str]] = {v: set() for v in net.variables}
    for v in net.variables:
        family = {v, *net.parents(v)}
        for member in family:
            neighbours[member] |= family - {member}
    distance = dict.fromkeys(variables, 0)
    frontier = list(distance)
    for v in frontier:  # grows while it is read
        for other in neighbours[v] - distance.keys():
            distance[other] = distance[v] + 1
            frontier.append(other)
    far = len(net.variables)
    rungs: dict[int, list[str]] = {}
    for v in evidence:
        rungs.setdefault(distance.get(v, far), []).append(v)
    return tuple(tuple(rungs[k]) for k in sorted(rungs))


@dataclass(frozen=True)
class Labeller:
    """Someone who answers questions about clips, with a smaller net of his own in his head (theory, section 9).

    Args:
        net: H, what he believes the world to be; the nodes it shares with the world have the world's names and states.
        evidence: what he sees of a clip.
    """

    net: WorldNet
    evidence: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "evidence", tuple(self.evidence))
        self.net.check_variables(self.evidence, error=DatasetError)

    def __repr__(self) -> str:
        return f"Labeller({self.net!r}, sees {len(self.evidence)} variables)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {"sees": self.evidence})


@dataclass(frozen=True)
class World:
    """What a builder makes: a net and the tasks set on it.

    Args:
        net: the static net; of a clip, the unrolled one.
        tasks: the objectives it can be used for, by name.
        roles: names for groups of nodes, e.g. "observed", "latents", "hidden_from_labeller".
        template: the two-slice net it was unrolled from, if it was.
        frames: the observed nodes of each frame, in time order; empty for a world without time. Nodes are named
            `frame_name(kind, t)`.
        labeller: a human who answers questions about the clip from what he sees of it, if there is one.
        episodes: the finite real clips of a world that no one knows; `net` is then a world-model learned from them,
            over their columns and maybe hidden states.
        candidates: the world-models that `net` was chosen from.

    Raises:
        DatasetError: a task, a role, a frame or the labeller names a node the net does not have, a task is filed under
            another's name, or net and episodes do not go together.
    """

    net: WorldNet
    tasks: Mapping[str, Task]
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    template: TwoSliceNet | None = None
    frames: tuple[tuple[str, ...], ...] = ()
    labeller: Labeller | None = None
    episodes: RealClips | None = None
    candidates: Candidates | None = None

    def __repr__(self) -> str:
        return f"World({self.net!r}, {' | '.join(self.tasks)})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {f"role {name}": group for name, group in self.roles.items()})

    def __post_init__(self) -> None:
        if not self.tasks:
            raise DatasetError("a world without a task", mend="set at least one: evidence, targets, ladder")
        object.__setattr__(self, "tasks", MappingProxyType(dict(self.tasks)))
        roles = {role: tuple(names) for role, names in self.roles.items()}
        object.__setattr__(self, "roles", MappingProxyType(roles))
        for objective, task in self.tasks.items():
            if task.objective != objective:
                mend = "file each task under its own objective"
                raise DatasetError("a task under another's name", found=task.objective, expected=objective, mend=mend)
            self.net.check_variables((*task.evidence, *task.latents), error=DatasetError)
            for target in task.targets:
                self.net.check_variables(target.variables, error=DatasetError)
        object.__setattr__(self, "frames", tuple(tuple(frame) for frame in self.frames))
        for names in (*roles.values(), *self.frames):
            self.net.check_variables(names, error=DatasetError)
        if self.labeller is not None:
            self._check_labeller(self.labeller)
        if self.episodes is not None:
            self._check_episodes(self.episodes)

    def _check_episodes(self, episodes: RealClips) -> None:
        for v, labels in episodes.layout.states.items():
            if self.net.states.get(v) != labels:
                found = f"states {self.net.states[v]!r}" if v in self.net.states else "no such variable"
                mend = "learn the net from these episodes"
                raise DatasetError(
                    "the net is none of these episodes", node=v, found=found, expected=f"states {labels!r}", mend=mend
                )

    def _check_labeller(self, labeller: Labeller) -> None:
        self.net.check_variables(labeller.evidence, error=DatasetError)
        for v in labeller.net.variables:
            if v in self.net.states and labeller.net.states[v] != self.net.states[v]:
                raise DatasetError(
                    "the labeller knows other states of a node",
                    node=v,
                    found=labeller.net.states[v],
                    expected=self.net.states[v],
                    mend="give the labeller's net the world's states",
                )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.net,
            dict(self.tasks),
            dict(self.roles),
            self.template,
            self.frames,
            self.labeller,
            self.episodes,
            self.candidates,
        )


def static_task(
    net: WorldNet,
    evidence: Sequence[str],
    targets: Mapping[str, Sequence[str]],
    latents: Sequence[str] | None = None,
    ladder: Sequence[Sequence[str]] | None = None,
    objective: str = "question",
) -> Task:
    """A task on a net without frames.

    Args:
        net: the world.
        evidence: the nodes a head is given.
        targets: variables of each target, by name.
        latents: for belief-attached heads; default every node that is neither evidence nor a target's.
        ladder: rung increments shared by all targets; default `distance_ladder` of each target.
        objective: the task's name.

    Raises:
        DatasetError: an unknown node, overlapping roles, a ladder that does not cover the evidence.
    """
    asked = {v for variables in targets.values() for v in variables}
    for names in (evidence, asked, latents or ()):
        net.check_variables(names, error=DatasetError)
    if latents is None:
        latents = [v for v in net.variables if v not in asked and v not in set(evidence)]
    ladders = {
        name: tuple(map(tuple, ladder)) if ladder is not None else distance_ladder(net, evidence, variables)
        for name, variables in targets.items()
    }
    chosen = tuple(Target(name, tuple(variables)) for name, variables in targets.items())
    return Task(objective, tuple(evidence), chosen, ladders, tuple(latents))
