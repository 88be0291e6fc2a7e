"""`continuation_each_step`: every frame from all before it, read in one pass: Σ_t −log2 q(frame t+1 | frames 1..t).

t = 1 … T − 1. The same bits as `continuation_autoregressive` asks for from the first frame on, in another way: not a
row of evidence for every frame with the later ones hidden, but one row for the whole clip, which a sequence head
answers after each of its frames (`at_each_step`). A clip of T frames then costs one pass and not T − 1; and the head is
never shown an unobserved frame, so that what it says after t frames is the answer of a head that was shown t frames.

Its task is the last of these questions, frame T from frames 1 … T − 1, which is what probes of a single target measure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.objectives.base import Ask, Examples, LogLoss, log_loss
from worldnets.objectives.clip import Clip
from worldnets.roles import Task, outcome_index

if TYPE_CHECKING:
    import jax

    from worldnets.dataset import Dataset
    from worldnets.heads.base import Head


@dataclass(frozen=True)
class EachStep(LogLoss):
    """All frames but the first, each from those before; for heads that answer at each step."""

    each_step = True

    def task(self, dataset: Dataset) -> Task:
        """Frame T from frames 1 … T − 1.

        Raises:
            TrainingError: a world without time, or a frame that shows nothing, after which there would be no answer.
        """
        clip = Clip(dataset, self.name)
        for t, frame in enumerate(clip.frames[:-1], start=1):
            if not frame:
                mend = 'train on "continuation_autoregressive"'
                raise TrainingError("a frame that shows nothing", node=f"frame {t}", expected="≥ 1 node", mend=mend)
        return clip.task(self.name, len(clip.frames) - 1)

    def ask(self, dataset: Dataset) -> Ask:
        """All frames but the first, given the first."""
        clip = Clip(dataset, self.name)
        return Ask(clip.evidence(1), clip.shown(range(2, len(clip.frames) + 1)))

    def examples(self, dataset: Dataset, clips: NDArray[np.int16]) -> Examples:
        """Per clip one row: its frames, and the outcomes of frames 2 … T, one frame's targets after the other's."""
        clip = Clip(dataset, self.name)
        outcomes = [
            outcome_index(clips, dataset.net, target)
            for t in range(2, len(clip.frames) + 1)
            for target in clip.targets(t)
        ]
        return Examples(clips, np.stack(outcomes, axis=-1))

    def outputs(self, head: Head, features: jax.Array) -> jax.Array:
        """Outputs after each frame, [rows, T − 1, outputs]."""
        import jax

        return jax.vmap(head.at_each_step)(features)  # type: ignore[attr-defined]

    def loss(self, outputs: jax.Array, outcomes: jax.Array, counts: tuple[int, ...]) -> jax.Array:
        """Bits [rows] of whole clips, for outputs [rows, T − 1, outputs] on outcomes [rows, (T − 1)·targets]."""
        rows, steps, width = outputs.shape
        bits = log_loss(outputs.reshape(rows * steps, width), outcomes.reshape(rows * steps, len(counts)), counts)
        return bits.reshape(rows, steps).sum(axis=1)


CONTINUATION_EACH_STEP = EachStep("continuation_each_step")
