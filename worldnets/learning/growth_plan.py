"""A growth in plain words, as a suite file says it: `{kind = "radius", order = "grown"}`; built from a dataset."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, cast, get_args

from worldnets.dataset import Dataset
from worldnets.errors import TrainingError, did_you_mean
from worldnets.growth import Growth
from worldnets.learning.data import Rows
from worldnets.learning.growth import by_class, by_radius, by_rounds
from worldnets.net import WorldNet
from worldnets.roles import Ladder, distance_ladder

Kind = Literal["radius", "rounds", "class"]
Order = Literal["grown", "fresh", "reversed"]
KINDS: tuple[str, ...] = get_args(Kind)
ORDERS: tuple[str, ...] = get_args(Order)
LADDERS = ("task", "distance")
#: Which options mean something for which kind.
OPTIONS: Mapping[str, frozenset[str]] = {
    "radius": frozenset({"stages", "ladder", "target"}),
    "rounds": frozenset({"stages"}),
    "class": frozenset({"rows", "seed", "latents"}),
}


@dataclass(frozen=True)
class GrowthPlan:
    """How a world-model shall grow, in plain values; the same plan and dataset give the same growth on any machine.

    Attributes:
        kind: "radius" (`by_radius`): more and more evidence; "rounds" (`by_rounds`): longer and longer messages;
            "class" (`by_class`): richer and richer models, learned from rows that are drawn from the dataset.
        order: "grown"; "fresh", the end alone; "reversed", deep first.
        stages: of radius: how many, rungs being taken together as evenly as can be (the deeper stages add more); all
            rungs by default. Of rounds: 1, 2, 4, … rounds and then exact; 4 by default.
        ladder: of radius: "task", the target's own, or "distance", by distance in the moral graph.
        target: of radius: whose ladder; the task's first by default.
        rows: of class: how many clips are learned from; what training shows of them, answers included.
        seed: of class: of the rows, and of the restarts of expectation–maximisation.
        latents: of class: whether the last stage has the world's own graph with its latents, fitted by
            expectation–maximisation (tied over frames where the world is a template). Otherwise it ends with "full",
            the structure that `hill_climb` finds.
        shares: of the training steps, one per stage; equal by default.

    Raises:
        TrainingError: an unknown kind or order, a value out of range, or an option that the kind does not have.
    """

    kind: str
    order: str = "grown"
    stages: int | None = None
    ladder: str = "task"
    target: str | None = None
    rows: int = 4000
    seed: int = 0
    latents: bool = False
    shares: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("kind", self.kind, KINDS),
            ("order", self.order, ORDERS),
            ("ladder", self.ladder, LADDERS),
        ):
            if not isinstance(value, str) or value not in known:
                raise _refused(f"unknown {name}", value, did_you_mean(value, known))
        lowest = {"radius": 1, "rounds": 2}.get(self.kind, 1)
        numbers = {"stages": (self.stages, lowest), "rows": (self.rows, 1), "seed": (self.seed, 0)}
        for name, (number, least) in numbers.items():
            whole = isinstance(number, int) and not isinstance(number, bool) and number >= least
            if not whole and not (name == "stages" and number is None):
                raise _refused(f"{name} is no whole number ≥ {least}", number, f"give {name} = {least} or more")
        if not isinstance(self.latents, bool):
            raise _refused("latents is neither true nor false", self.latents, "give true or false")
        if self.target is not None and not isinstance(self.target, str):
            raise _refused("target is no name", self.target, "name a target of the task")
        if self.shares is not None:
            shares = self.shares
            if isinstance(shares, str) or not isinstance(shares, Sequence):
                raise _refused("shares are no list of numbers", shares, "give one number > 0 for each stage")
            object.__setattr__(self, "shares", tuple(shares))
        wrong = {f.name for f in fields(self) if getattr(self, f.name) != f.default} - {"kind", "order", "shares"}
        if unfit := sorted(wrong - OPTIONS[self.kind]):
            mend = f"options of kind {self.kind!r} are {', '.join(sorted(OPTIONS[self.kind]))}, order and shares"
            raise _refused(f"a growth of kind {self.kind!r} has no such option", unfit[0], mend)

    def __repr__(self) -> str:
        chosen = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"GrowthPlan({', '.join(chosen)})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> GrowthPlan:
        """A plan from a table of options.

        Raises:
            TrainingError: as `GrowthPlan`; no kind, or an unknown option.
        """
        known = [f.name for f in fields(cls)]
        for name in table:
            if name not in known:
                raise _refused("unknown option", name, did_you_mean(name, known))
        if "kind" not in table:
            raise _refused("no kind of growth", dict(table), f'give kind = "…", one of: {", ".join(KINDS)}')
        return cls(**table)

    @property
    def settings(self) -> dict[str, Any]:
        """All options that the kind has, plain JSON: what a key is made of."""
        kept = {"kind", "order", "shares"} | OPTIONS[self.kind]
        plain = {name: value for name, value in asdict(self).items() if name in kept}
        return {**plain, "shares": None if self.shares is None else [float(share) for share in self.shares]}

    @property
    def label(self) -> str:
        """How titles name it: "radius-grown"."""
        return f"{self.kind}-{self.order}"

    def build(self, dataset: Dataset, objective: str, world_model: WorldNet | None = None) -> Growth:
        """The growth, in the plan's order.

        Args:
            dataset, objective: whose task.
            world_model: whose beliefs grow by radius or rounds; default the dataset's own net.

        Raises:
            TrainingError: as the builders; more stages than the ladder has rungs.
            LearningError: rows that cannot be learned from.
        """
        growth = _whole(self, dataset, objective, dataset.net if world_model is None else world_model)
        return cast(Growth, getattr(growth, self.order)())


def _whole(plan: GrowthPlan, dataset: Dataset, objective: str, net: WorldNet) -> Growth:
    if plan.kind == "radius":
        ladder = merged(_ladder(plan, dataset, objective), plan.stages)
        return by_radius(dataset, objective, target=plan.target, ladder=ladder, world_model=net, shares=plan.shares)
    if plan.kind == "rounds":
        count = 4 if plan.stages is None else plan.stages
        return by_rounds(net, (*(2**k for k in range(count - 1)), None), shares=plan.shares)
    return _learned(dataset, objective, plan.rows, plan.seed, plan.latents, plan.shares)


@functools.lru_cache(maxsize=4)  # grown, fresh and reversed share what was learned
def _learned(
    dataset: Dataset, objective: str, rows: int, seed: int, latents: bool, shares: tuple[float, ...] | None
) -> Growth:
    structure = (dataset.net if dataset.template is None else dataset.template) if latents else None
    return by_class(shown_rows(dataset, objective, rows, seed), with_latents=structure, seed=seed, shares=shares)


def shown_rows(dataset: Dataset, objective: str, rows: int, seed: int) -> Rows:
    """What training would show of so many clips: what can be seen of them, and what is asked for.

    Args:
        dataset, objective: whose task.
        rows: how many clips.
        seed: of the clips, as `Dataset.simulate` takes it.
    """
    task, net = dataset.task(objective), dataset.net
    seen = {v for frame in dataset.world.frames for v in frame} | set(dataset.roles.get("observed", ()))
    seen |= set(task.evidence) | {v for target in task.targets for v in target.variables}
    columns = [v for v in net.variables if v in seen]
    codes = dataset.simulate(rows, seed)[:, [net.index[v] for v in columns]]
    return Rows({v: net.states[v] for v in columns}, codes)


def _ladder(plan: GrowthPlan, dataset: Dataset, objective: str) -> Ladder:
    task = dataset.task(objective)
    asked = task.targets[0] if plan.target is None else task.target(plan.target)
    if plan.ladder == "distance":
        return distance_ladder(dataset.net, task.evidence, asked.variables)
    return task.ladders[asked.name]


def merged(ladder: Ladder, stages: int | None) -> Ladder:
    """A ladder of that many rungs, neighbours taken together: of K rungs the k-th ends at rung ⌊k·K / stages⌋.

    Raises:
        TrainingError: more stages than rungs.
    """
    if stages is None:
        return ladder
    if stages > len(ladder):
        raise _refused("more stages than the ladder has rungs", stages, f"give at most {len(ladder)}")
    ends = [k * len(ladder) // stages for k in range(stages + 1)]
    return tuple(tuple(v for rung in ladder[first:last] for v in rung) for first, last in itertools.pairwise(ends))


def _refused(what: str, found: object, mend: str) -> TrainingError:
    return TrainingError(f"growth: {what}", found=repr(found), mend=mend)
