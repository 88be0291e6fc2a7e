"""Inputs that change in training, stage after stage: which stage is in force, and what they are of themselves."""

from __future__ import annotations

import bisect
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from worldnets.growth import Growth, Stage
from worldnets.heads.inputs import Features, Inputs


class StageView(Inputs, Protocol):
    """The inputs of one stage."""

    stage: Stage


View = TypeVar("View", bound=StageView)


class Staged(Generic[View]):
    """The inputs of a growth: `at(step)` are those of the stage that training step `step` falls in.

    At a checkpoint after `step` updates that is the stage of the update to come, or of the last one at the end. Of
    itself it is its end.

    Args:
        growth: the stages.
        stages: the inputs of each, of one width.
        training_steps: how many there are in all.

    Raises:
        TrainingError: fewer steps than stages.
    """

    def __init__(self, growth: Growth, stages: tuple[View, ...], training_steps: int) -> None:
        self.growth, self.stages, self.training_steps = growth, stages, training_steps
        self.starts = growth.starts(training_steps)
        end = stages[-1]
        self.labels, self.width, self.groups = end.labels, end.width, end.groups

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """As of the last stage."""
        return self.stages[-1].steps

    def at(self, training_step: int) -> View:
        """The inputs in force at a training step."""
        return self.stages[max(0, bisect.bisect_right(self.starts, training_step) - 1)]

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width], of the last stage."""
        return self.stages[-1].features(codes)

    def __repr__(self) -> str:
        named = zip(self.stages, self.starts, strict=True)
        stages = ", ".join(f"{view.stage.name} from {start}" for view, start in named)
        return f"{type(self).__name__}({stages}; {self.width} features)"


def growth_of(view: Inputs) -> Growth | None:
    """The growth behind some inputs; None where nothing grows."""
    return view.growth if isinstance(view, Staged) else None
