"""How a world-model grows while heads already live on it: stage after stage, each with beliefs of its own.

A *stage* is a world-model, the evidence it is shown and the rounds of messages it is given; a *growth* is a list of
stages with their shares of the training steps. `wn.train(…, inputs="beliefs", world_model=growth)` trains a head
through them (theory, section 7); with inputs="evidence" a stage only says which evidence is shown. The builders of
usual growths are in `worldnets.learning`, and `growth_plan` there builds them from plain options.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.net import WorldNet
from worldnets.net_archive import net_digest, pack_net, unpack_net

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Stage:
    """A time in which the world-model stays as it is.

    Args:
        name: for tables and figures.
        steps_share: its part of the training steps, > 0; those of all stages are divided by their sum.
        world_model: whose beliefs.
        evidence: the variables it is shown; None: all of the task's.
        rounds: of loopy messages (`LoopyInference`); None: exact.

    Raises:
        TrainingError: a share, or rounds, out of range; evidence named twice or as one text; no net.
    """

    name: str
    steps_share: float
    world_model: WorldNet
    evidence: tuple[str, ...] | None = None
    rounds: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.world_model, WorldNet):
            found, mend = type(self.world_model).__name__, "give a WorldNet (a template: template.unroll(frames))"
            raise TrainingError("a stage without a world-model", node=self.name, found=found, mend=mend)
        share = self.steps_share
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < math.inf:
            raise TrainingError("a share of the steps must be > 0", node=self.name, found=share, mend="e.g. 0.25")
        if isinstance(self.evidence, str):
            mend = f"give a list: [{self.evidence!r}]"
            raise TrainingError("the evidence is one text", node=self.name, found=repr(self.evidence), mend=mend)
        if self.evidence is not None:
            object.__setattr__(self, "evidence", tuple(self.evidence))
            if len(set(self.evidence)) < len(self.evidence):
                found = list(self.evidence)
                raise TrainingError("evidence named twice", node=self.name, found=found, mend="name it once")
        rounds = self.rounds
        if rounds is not None and (isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0):
            mend = "a whole number ≥ 0, or None for exact beliefs"
            raise TrainingError("rounds out of range", node=self.name, found=repr(rounds), mend=mend)

    def __repr__(self) -> str:
        shown = "all evidence" if self.evidence is None else f"{len(self.evidence)} evidence variables"
        rounds = "exact" if self.rounds is None else f"{self.rounds} rounds"
        return f"Stage({self.name!r}, share {self.steps_share:g}, {self.world_model!r}, {shown}, {rounds})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {"evidence": "all" if self.evidence is None else self.evidence})


@dataclass(frozen=True, eq=False, repr=False)
class Growth:
    """Stages in the order in which training goes through them.

    Args:
        stages: at least one, names different.
        variables: whose beliefs the head is given in all stages; None for the task's latents, and beside them the
            targets' variables where some stage's world-model lacks a latent. A variable that a stage's world-model
            lacks has the uniform belief.
        deep_first: the stages before the last in the order that `reversed` takes; default the same ones, last first.

    Raises:
        TrainingError: no stages, or two of one name.
    """

    stages: tuple[Stage, ...]
    variables: tuple[str, ...] | None = None
    deep_first: tuple[Stage, ...] | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "stages", tuple(self.stages))
        if not self.stages:
            raise TrainingError("a growth without stages", mend="give at least one Stage")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise TrainingError("two stages of one name", found=names, mend="name each stage differently")
        if self.variables is not None:
            if isinstance(self.variables, str):
                mend = f"give a list: [{self.variables!r}]"
                raise TrainingError("variables is one text", found=repr(self.variables), mend=mend)
            put(self, "variables", tuple(self.variables))

    @property
    def last(self) -> Stage:
        """Where it ends."""
        return self.stages[-1]

    def stage(self, name: str) -> Stage:
        """The stage of that name.

        Raises:
            TrainingError: there is none.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        mend = did_you_mean(name, [stage.name for stage in self.stages])
        raise TrainingError("unknown stage", found=repr(name), mend=mend)

    def starts(self, steps: int) -> tuple[int, ...]:
        """The training step at which each stage begins, if there are `steps` in all: rounded shares.

        Raises:
            TrainingError: so few that some stage would have none.
        """
        shares = np.array([stage.steps_share for stage in self.stages])
        before = np.concatenate([[0.0], np.cumsum(shares / shares.sum())[:-1]])
        starts = [round(float(share) * steps) for share in before]
        if len(set(starts)) < len(starts) or starts[-1] >= steps:
            found, expected = f"{steps} steps", f"at least one in each of {len(starts)} stages"
            raise TrainingError("too few steps for the stages", found=found, expected=expected, mend="train longer")
        return tuple(starts)

    def last_steps(self, steps: int) -> int:
        """How many of `steps` steps the last stage has: the budget of a fresh head that learns as long on the end."""
        return steps - self.starts(steps)[-1]

    def grown(self) -> Growth:
        """Itself: a head that lives through all stages."""
        return self

    def fresh(self) -> Growth:
        """The end alone: the control that never saw an earlier stage.

        Train it with `steps=growth.last_steps(steps)` for as many steps on the end as the grown head has, or with all
        `steps` for the same total.
        """
        variables = self.variables
        return Growth((replace(self.last, steps_share=1.0),), variables)

    def reversed(self) -> Growth:
        """The same end after as many steps, but deep first: the stages before the last in the other order.

        Grown and reversed heads so differ in order only: they have the same end, for as long, after as much training.
        Where stages are sets of evidence (`by_radius`), the deep rungs alone come first, then shallower ones with them.
        """
        before = self.stages[:-1][::-1] if self.deep_first is None else self.deep_first
        return Growth((*before, self.last), self.variables)

    def to_pandas(self) -> pd.DataFrame:
        """One row per stage: its share of the steps, evidence, rounds and world-model."""
        import pandas as pd

        total = sum(stage.steps_share for stage in self.stages)
        rows = [
            {
                "share": stage.steps_share / total,
                "evidence": "all" if stage.evidence is None else ", ".join(stage.evidence),
                "rounds": "exact" if stage.rounds is None else stage.rounds,
                "world-model": repr(stage.world_model),
            }
            for stage in self.stages
        ]
        return pd.DataFrame(rows, index=pd.Index([stage.name for stage in self.stages], name="stage"))

    def __repr__(self) -> str:
        return f"Growth({' → '.join(stage.name for stage in self.stages)})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        return card(repr(self), None, frame(self.to_pandas()))


def pack_growth(growth: Growth) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """A growth as a page of JSON and named arrays; a world-model of several stages is there once.

    Raises:
        StoreError: a state label that JSON does not have.
    """
    nets: list[WorldNet] = []

    def packed(stage: Stage) -> dict[str, Any]:
        same = next((i for i, net in enumerate(nets) if net is stage.world_model), len(nets))
        if same == len(nets):
            nets.append(stage.world_model)
        return {
            "name": stage.name,
            "steps_share": stage.steps_share,
            "world_model": same,
            "evidence": stage.evidence,
            "rounds": stage.rounds,
        }

    stages = [packed(stage) for stage in growth.stages]
    deep_first = None if growth.deep_first is None else [packed(stage) for stage in growth.deep_first]
    pages: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for i, net in enumerate(nets):
        page, tables = pack_net(net)
        pages.append(page)
        arrays |= {f"{i}/{v}": table for v, table in tables.items()}
    page_of = {"stages": stages, "deep_first": deep_first, "variables": growth.variables, "world_models": pages}
    return page_of, arrays


def unpack_growth(page: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Growth:
    """The inverse of `pack_growth`.

    Raises:
        NetError, TrainingError: what is packed is no growth.
    """
    nets = []
    for i, own in enumerate(page["world_models"]):
        start = f"{i}/"
        nets.append(unpack_net(own, {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}))

    def stages(listed: Sequence[Mapping[str, Any]]) -> tuple[Stage, ...]:
        return tuple(
            Stage(one["name"], one["steps_share"], nets[one["world_model"]], one["evidence"], one["rounds"])
            for one in listed
        )

    deep_first = page.get("deep_first")  # files from before it was kept have none
    return Growth(stages(page["stages"]), page["variables"], None if deep_first is None else stages(deep_first))


def growth_digest(growth: Growth) -> str:
    """Hash of all stages, their world-models to the last bit; 64 hex digits."""
    stages: Sequence[Any] = [
        [stage.name, stage.steps_share, net_digest(stage.world_model), stage.evidence, stage.rounds]
        for stage in growth.stages
    ]
    return hashlib.sha256(json.dumps([stages, growth.variables]).encode()).hexdigest()
