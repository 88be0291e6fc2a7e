"""Beliefs of a world-model that grows: the same features in every stage, from another world-model each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.growth import Growth, Stage
from worldnets.heads.believer import Believer
from worldnets.heads.growing_evidence import StageEvidence
from worldnets.heads.inputs import Features, Inputs
from worldnets.heads.row_table import RowTable
from worldnets.heads.staged import Staged
from worldnets.net import WorldNet
from worldnets.roles import Task


class StageInputs:
    """Beliefs of one stage about a fixed list of variables, one after the other, all states of each.

    They are those of the stage's world-model, from the stage's evidence alone, exact or after so many rounds. Evidence
    that the world-model holds impossible gives zeros; a variable that it lacks has the uniform belief.

    Args:
        net: the net whose columns code arrays have.
        task: what the head is asked.
        stage: whose beliefs.
        variables: about what.

    Raises:
        TrainingError: evidence that is none of the task's, or that the world-model lacks; variables with other states.
    """

    name = "beliefs"

    def __init__(self, net: WorldNet, task: Task, stage: Stage, variables: Sequence[str]) -> None:
        self.net, self.task, self.stage = net, task, stage
        self.world_model = stage.world_model
        self.evidence = task.evidence if stage.evidence is None else stage.evidence
        for v in self.evidence:
            if v not in task.evidence:
                mend = did_you_mean(v, task.evidence)
                raise TrainingError("a stage sees what is no evidence", node=stage.name, found=repr(v), mend=mend)
        try:
            self.believer = Believer(stage.world_model, net, self.evidence, stage.rounds)
            self.believer.knows(variables)
        except TrainingError as error:
            error.what = f"stage {stage.name!r}: {error.what}"
            raise
        self.variables = tuple(variables)
        self.labels = tuple(f"{v}={state}" for v in variables for state in net.states[v])
        self.width = len(self.labels)
        ends = np.cumsum([len(net.states[v]) for v in variables]).tolist()
        self.groups: Mapping[str, slice] = MappingProxyType(
            {v: slice(start, end) for v, start, end in zip(variables, [0, *ends], ends, strict=False)}
        )
        self._rows = RowTable(net.cardinalities[self.believer.columns].tolist(), self.width, self._answer)

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """None: beliefs are not those of frames.

        Raises:
            TrainingError: always.
        """
        mend = 'train a sequence head with inputs="evidence"'
        raise TrainingError("beliefs are no frames to read one by one", node=self.task.objective, mend=mend)

    def at(self, training_step: int) -> StageInputs:
        """These inputs."""
        return self

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width]."""
        return self._rows(np.take(codes, self.believer.columns, axis=1)).astype(np.float32)

    def _answer(self, states: NDArray[np.int16]) -> NDArray[np.float64]:
        return np.concatenate(self.believer.beliefs(states, self.variables), axis=1)

    def __repr__(self) -> str:
        seen = f"{len(self.evidence)} of {len(self.task.evidence)} variables seen"
        return f"StageInputs({self.stage.name!r}, {seen}, {self.width} features)"


def sees_all(view: Inputs) -> bool:
    """Whether beliefs are exact and from all of the task's evidence, as they are where no stage says otherwise."""
    if not isinstance(view, StageInputs | StageEvidence):
        return True
    return view.stage.rounds is None and set(view.evidence) == set(view.task.evidence)


class GrowingInputs(Staged[StageInputs]):
    """The inputs of a growth: `at(step)` are those of the stage that training step `step` falls in.

    At a checkpoint after `step` updates that is the stage of the update to come, or of the last one at the end. Of
    itself it is its end: `features` and `world_model` are those of the last stage.

    Args:
        net: the net whose columns code arrays have.
        task: what the head is asked; names the evidence and the latents.
        growth: the stages.
        training_steps: how many there are in all.

    Raises:
        TrainingError: fewer steps than stages; nothing to have beliefs about; as `StageInputs`.
    """

    name = "beliefs"

    def __init__(self, net: WorldNet, task: Task, growth: Growth, training_steps: int) -> None:
        variables = _believed(net, task, growth)
        stages = tuple(StageInputs(net, task, stage, variables) for stage in growth.stages)
        super().__init__(growth, stages, training_steps)
        self.net, self.task, self.variables = net, task, self.stages[-1].variables

    @property
    def world_model(self) -> WorldNet:
        """The last stage's."""
        return self.stages[-1].world_model


def _believed(net: WorldNet, task: Task, growth: Growth) -> tuple[str, ...]:
    """Whose beliefs; see `Growth`."""
    if growth.variables is not None:
        net.check_variables(growth.variables, error=TrainingError)
        variables = growth.variables
    else:
        lacking = any(v not in stage.world_model.states for stage in growth.stages for v in task.latents)
        asked = [v for target in task.targets for v in target.variables] if lacking else []
        variables = tuple(dict.fromkeys([*task.latents, *asked]))
    if not variables:
        mend = "name latents in the dataset, or variables= of the growth"
        raise TrainingError("nothing to have beliefs about", node=task.objective, mend=mend)
    return variables
