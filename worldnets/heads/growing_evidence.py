"""Raw evidence of which a head is shown more and more: the same features in every stage, 0 where nothing is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.growth import Growth, Stage
from worldnets.heads.inputs import EvidenceInputs, Features
from worldnets.heads.staged import Staged
from worldnets.net import WorldNet
from worldnets.roles import Task


class StageEvidence(EvidenceInputs):
    """The evidence that one stage shows; the features of what it does not show are 0, as of unobserved evidence.

    Args:
        net, task, frames, partial: as `EvidenceInputs` takes them. What a stage hides may be unobserved anyway.
        stage: which evidence is shown; its world-model is not looked at.

    Raises:
        TrainingError: evidence that is none of the task's; a stage that counts rounds of messages.
    """

    def __init__(
        self, net: WorldNet, task: Task, stage: Stage, frames: Sequence[Sequence[str]] = (), partial: bool = False
    ) -> None:
        super().__init__(net, task, frames, partial)
        self.stage = stage
        self.evidence = task.evidence if stage.evidence is None else stage.evidence
        for v in self.evidence:
            if v not in task.evidence:
                mend = did_you_mean(v, task.evidence)
                raise TrainingError("a stage sees what is no evidence", node=stage.name, found=repr(v), mend=mend)
        if stage.rounds is not None:
            mend = 'train on inputs="beliefs", or let the stages differ in evidence'
            found = f"rounds = {stage.rounds}"
            raise TrainingError("raw evidence passes no messages", node=stage.name, found=found, mend=mend)
        hidden = [v for v in task.evidence if v not in set(self.evidence)]
        self._hidden = np.array([net.index[v] for v in hidden], dtype=np.intp)
        self._unseen = np.array([i for v in hidden for i in range(*self.groups[v].indices(self.width))], dtype=np.intp)

    def at(self, training_step: int) -> StageEvidence:
        """These inputs."""
        return self

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width], 0 for what the stage does not show.

        Raises:
            EvidenceError: evidence that it shows is unobserved, where that is not allowed.
        """
        if not len(self._hidden):
            return super().features(codes)
        shown = np.array(codes)
        shown[:, self._hidden] = 0  # any state: it is told apart from no other
        features = super().features(shown)
        features[:, self._unseen] = 0
        return features

    def __repr__(self) -> str:
        seen = f"{len(self.evidence)} of {len(self.task.evidence)} variables seen"
        return f"StageEvidence({self.stage.name!r}, {seen}, {self.width} features)"


class GrowingEvidence(Staged[StageEvidence]):
    """The evidence of a growth: `at(step)` is that of the stage that training step `step` falls in.

    Stages begin and end as those of `GrowingInputs`; of itself it is its end. There is no world-model in it: what grows
    is what a head may look at, so stages differ in their `evidence` and nothing else.

    Args:
        net, task, frames, partial: as `EvidenceInputs` takes them.
        growth: the stages.
        training_steps: how many there are in all.

    Raises:
        TrainingError: fewer steps than stages; stages that all show the same; as `StageEvidence`.
    """

    name = "evidence"
    world_model = None

    def __init__(
        self,
        net: WorldNet,
        task: Task,
        growth: Growth,
        training_steps: int,
        frames: Sequence[Sequence[str]] = (),
        partial: bool = False,
    ) -> None:
        stages = tuple(StageEvidence(net, task, stage, frames, partial) for stage in growth.stages)
        super().__init__(growth, stages, training_steps)
        self.net, self.task, self.partial = net, task, partial
        if len(self.stages) > 1 and len({frozenset(stage.evidence) for stage in self.stages}) == 1:
            mend = 'grow by evidence (`by_radius`), or train on inputs="beliefs"'
            what = "raw evidence goes through no world-model, and no stage shows other evidence"
            raise TrainingError(what, found=repr(growth), mend=mend)
