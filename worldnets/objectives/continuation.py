"""`continuation`: −log2 q(frames c+1..T | frames 1..c). A world without time has none.

"Show the first part of a surveillance video, ask for the second" (theory, section 3). Three ways to ask:

- `continuation`: the next frame, c + 1.
- `continuation_all`: all remaining frames at once, each frame's marginal on its own (factorised).
- `continuation_autoregressive`: frame after frame, each from all frames before it: Σ_t −log2 q(frame t+1 | frames 1..t)
  for t = c … T−1. What is not yet there is unobserved to the head.

A world-model is asked for the same frames jointly, W(frames c+1..T | frames 1..c), in the latter two alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldnets.objectives.base import Ask, Examples, LogLoss
from worldnets.objectives.clip import Clip
from worldnets.roles import Task, outcome_index

if TYPE_CHECKING:
    from worldnets.dataset import Dataset


@dataclass(frozen=True)
class AllFrames(LogLoss):
    """All remaining frames, factorised: each frame (each node, where the next frame is asked node by node) a target."""

    def task(self, dataset: Dataset) -> Task:
        """The continuation's evidence; targets of frames c+1 … T; the continuation's ladder for each."""
        clip = Clip(dataset, self.name)
        base, frames = clip.base, range(clip.first_asked, len(clip.frames) + 1)
        targets = tuple(target for t in frames for target in clip.targets(t))
        ladder = next(iter(base.ladders.values()))
        ladders = {target.name: base.ladders.get(target.name, ladder) for target in targets}
        return Task(self.name, base.evidence, targets, ladders, base.latents)


@dataclass(frozen=True)
class FrameByFrame(LogLoss):
    """Each frame from all frames before it, the first one asked for after `start` frames (None: after the context)."""

    start: int | None = None

    def task(self, dataset: Dataset) -> Task:
        """The last of the questions: frame T from frames 1 … T−1."""
        clip = Clip(dataset, self.name)
        return clip.task(self.name, len(clip.frames) - 1)

    def ask(self, dataset: Dataset) -> Ask:
        """All remaining frames, given those before."""
        clip = Clip(dataset, self.name)
        start = self._start(clip)
        return Ask(clip.evidence(start), clip.shown(range(start + 1, len(clip.frames) + 1)))

    def per_clip(self, dataset: Dataset) -> int:
        """One row per frame asked for."""
        clip = Clip(dataset, self.name)
        return len(clip.frames) - self._start(clip)

    def hides(self, dataset: Dataset) -> bool:
        """Yes, unless only the last frame is asked for."""
        return self.per_clip(dataset) > 1

    def examples(self, dataset: Dataset, clips: NDArray[np.int16]) -> Examples:
        """Per clip one row for each t: frames 1 … t, and what frame t + 1 then was."""
        clip, net = Clip(dataset, self.name), dataset.net
        contexts = range(self._start(clip), len(clip.frames))
        codes = np.repeat(clips[:, None], len(contexts), axis=1)
        outcomes = []
        for place, t in enumerate(contexts):
            later = [net.index[v] for frame in clip.frames[t:] for v in frame]
            codes[:, place, later] = -1
            outcomes.append(np.stack([outcome_index(clips, net, target) for target in clip.targets(t + 1)], axis=-1))
        return Examples(
            codes.reshape(-1, clips.shape[1]), np.stack(outcomes, axis=1).reshape(len(codes) * len(contexts), -1)
        )

    def _start(self, clip: Clip) -> int:
        return clip.context if self.start is None else self.start


CONTINUATION = LogLoss("continuation")
CONTINUATION_ALL = AllFrames("continuation_all")
CONTINUATION_AUTOREGRESSIVE = FrameByFrame("continuation_autoregressive")
