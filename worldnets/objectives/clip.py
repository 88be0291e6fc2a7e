"""The continuation task moved along the clip: the same question asked after another number of frames.

A node of frame t is named `frame_name(kind, t)`; the continuation's targets name the kinds that a clip shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from worldnets.errors import TrainingError
from worldnets.objectives.base import dataset_task
from worldnets.roles import Target, Task
from worldnets.temporal import frame_name

if TYPE_CHECKING:
    from worldnets.dataset import Dataset


def frame_of(variable: str) -> tuple[str, int] | None:
    """("pixel1", 3) of "pixel1_3"; None where the name does not end in a frame."""
    kind, _, number = variable.rpartition("_")
    return (kind, int(number)) if kind and number.isdecimal() else None


class Clip:
    """A dataset's frames, and its continuation task at every frame.

    Args:
        dataset: must have a continuation task and frames.
        objective: who asks, for error messages.

    Raises:
        TrainingError: a world without time, or one whose nodes do not say their frame.
    """

    def __init__(self, dataset: Dataset, objective: str) -> None:
        self.base = dataset_task(dataset, "continuation", objective)
        self.frames = dataset.world.frames
        self.net = dataset.net
        asked = [frame_of(v) for target in self.base.targets for v in target.variables]
        if not self.frames or not asked or None in asked:
            mend = 'give the world its frames, with nodes named "kind_t", or train on continuation'
            raise TrainingError("the world does not say which node is of which frame", node=dataset.name, mend=mend)
        self.first_asked = min(place[1] for place in asked if place is not None)  # c + 1

    @property
    def context(self) -> int:
        """c, the frames the continuation task shows."""
        return self.first_asked - 1

    def evidence(self, frames: int) -> tuple[str, ...]:
        """What is observed in frames 1 … frames."""
        return tuple(v for frame in self.frames[:frames] for v in frame)

    def moved(self, variables: Iterable[str], frames: int) -> tuple[str, ...]:
        """The same kinds of node, so many frames later.

        Raises:
            TrainingError: there is no such node.
        """
        names = []
        for v in variables:
            place = frame_of(v)
            name = v if place is None else frame_name(place[0], place[1] + frames)
            if name not in self.net.index:
                mend = "every frame must have the kinds of node that the continuation asks for"
                raise TrainingError("a frame lacks a node", found=repr(name), mend=mend)
            names.append(name)
        return tuple(names)

    def targets(self, frame: int) -> tuple[Target, ...]:
        """The continuation's targets, asked of a frame; those of frame c + 1 keep their names."""
        by = frame - self.first_asked
        if by == 0:
            return self.base.targets
        return tuple(
            Target(
                moved[0] if target.variables == (target.name,) else f"{target.name}_{frame}",
                moved,
            )
            for target in self.base.targets
            for moved in (self.moved(target.variables, by),)
        )

    def shown(self, frames: Iterable[int]) -> tuple[str, ...]:
        """The nodes the continuation asks for, of these frames."""
        return tuple(dict.fromkeys(v for t in frames for target in self.targets(t) for v in target.variables))

    def task(self, objective: str, context: int) -> Task:
        """From frames 1 … context to the next one, on the ladder of the last k frames."""
        if context == self.context:
            base = self.base
            return Task(objective, base.evidence, base.targets, base.ladders, base.latents)
        targets = self.targets(context + 1)
        ladder = tuple(frame for frame in reversed(self.frames[:context]) if frame)
        latents = self.moved(self.base.latents, context - self.context)
        return Task(objective, self.evidence(context), targets, {target.name: ladder for target in targets}, latents)
