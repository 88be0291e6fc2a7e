"""The shape of an organism: curves of weights over the rungs of an enumerated world, noise over seeds, and the verdict
it must get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.enumerated import EnumeratedReference
from probes.pie import Information, Pie

Floats = NDArray[np.float64]
Schedule = Callable[[Floats, Floats], Floats]

STEPS = np.array([0, 1, 5, 20, 50, 100, 200, 400, 700, 1000, 1333, 2000], dtype=np.int64)


@dataclass(frozen=True)
class Noise:
    """How seeds differ.

    Attributes:
        seed: standard deviation of a seed's own offset on each rung's weight, the same at all its checkpoints.
        checkpoint: standard deviation of what is new at every checkpoint; a quarter of `seed` when None.
        pace: standard deviation of ln(speed): some seeds run through their schedule faster than others.
        field: standard deviation, in nats, of a seed's own random function of (x, y), constant over training; the
            organism's own when None.
        clips: evaluation clips shared by all seeds; 0 means every context is enumerated.
        groups: groups the clips are counted in.
    """

    seed: float = 0.05
    checkpoint: float | None = None
    pace: float = 0.1
    field: float | None = None
    clips: int = 0
    groups: int = 16


@dataclass(frozen=True)
class Organism:
    """A planted head: log q_t = log p_0 + Σ_k w_k(t)·(log p_k − log p_{k−1}) + field − log Z(x).

    Attributes:
        name, about: its name and one sentence.
        verdict: what the depth probe must say about it.
        schedule: (progress [...], rung place in (0, 1] [K]) -> weights [..., K]; progress is the share of the run that
            is over, the place of rung k is 0 for shallow rungs and (k − k0)/(K − k0) for deep ones.
        field: standard deviation of its random function in nats.
    """

    name: str
    about: str
    verdict: str
    schedule: Schedule
    field: float = 0.0

    def weights(
        self, steps: NDArray[np.int64], places: Floats, seeds: int, noise: Noise, random: np.random.Generator
    ) -> Floats:
        """Weights of every seed at every checkpoint, [checkpoints, seeds, rungs]."""
        pace = np.exp(noise.pace * random.standard_normal(seeds))
        progress = np.minimum(steps[:, None] / steps[-1] * pace, np.where(steps[:, None] == steps[-1], np.inf, 0.999))
        weights = self.schedule(progress, places)
        jitter = noise.seed / 4 if noise.checkpoint is None else noise.checkpoint
        own = noise.seed * random.standard_normal((1, seeds, len(places)))
        return weights + own + jitter * random.standard_normal(weights.shape)

    def log_q(
        self,
        reference: EnumeratedReference,
        shallow: int,
        seeds: int = 8,
        noise: Noise | None = None,
        random: np.random.Generator | None = None,
        steps: NDArray[np.int64] = STEPS,
    ) -> Floats:
        """Log-probabilities in nats on the rows of a reference, [checkpoints, seeds, rows, outcomes]."""
        noise, random = noise or Noise(), random or np.random.default_rng(0)
        rungs = len(reference.about.information)
        places = np.maximum(np.arange(1, rungs + 1) - shallow, 0) / max(rungs - shallow, 1)
        weights = self.weights(steps, places, seeds, noise, random)
        logs = np.log(np.maximum(reference.ladder, 1e-12))
        q = np.tensordot(weights, np.diff(logs, axis=0), axes=(-1, 0)) + logs[0]
        spread = self.field if noise.field is None else noise.field
        if spread:
            q = q + spread * random.standard_normal((seeds, *q.shape[2:]))
        q -= q.max(-1, keepdims=True)
        return q - np.log(np.exp(q).sum(-1, keepdims=True))

    def measured(
        self,
        reference: EnumeratedReference,
        shallow: int,
        seeds: int = 8,
        noise: Noise | None = None,
        seed: int = 0,
        steps: NDArray[np.int64] = STEPS,
    ) -> tuple[Pie, Information]:
        """The pie of one repeat, exact or through finite evaluation clips shared by all its seeds, [checkpoints, seeds,
        …].
        """
        noise, random = noise or Noise(), np.random.default_rng(seed)
        q = self.log_q(reference, shallow, seeds, noise, random, steps)
        if not noise.clips:
            return reference.measure(q), reference.about
        counts = random.multinomial(noise.clips // noise.groups, reference.weight, size=noise.groups)
        return reference.measure_on_clips(q, counts), reference.information_on_clips(counts)
