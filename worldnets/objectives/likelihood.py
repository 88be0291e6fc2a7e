"""`likelihood`: −log2 W(observables), the usual way to learn a world-model.

A proxy too: in the limit nothing in the class beats it on KL over observables, but latents and `do()` carry no such
guarantee (theory, section 3). A head, which has no joint of its own, is asked for what the clip shows frame by frame,
each frame from all before it, from the very first on: the full-clip limit of `continuation`. In a world without time
only world-models can be trained for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worldnets.errors import TrainingError
from worldnets.objectives.base import Ask
from worldnets.objectives.continuation import FrameByFrame
from worldnets.roles import Task

if TYPE_CHECKING:
    from worldnets.dataset import Dataset


@dataclass(frozen=True)
class Likelihood(FrameByFrame):
    """For a head: frame by frame, from the first. For a world-model: everything observed, at once."""

    def task(self, dataset: Dataset) -> Task:
        """The last frame from those before; in a world without time, the dataset's first task."""
        if _in_time(dataset):
            return super().task(dataset)
        base = dataset.task(dataset.objectives[0])
        return Task(self.name, base.evidence, base.targets, base.ladders, base.latents)

    def per_clip(self, dataset: Dataset) -> int:
        """One row per frame."""
        return super().per_clip(dataset) if _in_time(dataset) else 1

    def ask(self, dataset: Dataset) -> Ask:
        """W(everything observed)."""
        asked = tuple(v for frame in dataset.world.frames for v in frame) or dataset.roles.get("observed", ())
        if not asked:
            mend = 'name the observed nodes: roles={"observed": …}'
            raise TrainingError("the world does not say what is observed", node=dataset.name, mend=mend)
        return Ask((), asked)


def _in_time(dataset: Dataset) -> bool:
    return "continuation" in dataset.objectives


LIKELIHOOD = Likelihood("likelihood", start=0)
