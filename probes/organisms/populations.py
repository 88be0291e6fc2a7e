"""Populations of planted heads: many seeds of an organism, measured once.

A run draws its seeds independently and with replacement, so that the true mean of every efficiency is the population's
own: known as a number, whatever the noise does to it. Through evaluation clips, each run has its own, shared by all its
seeds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from probes.catalogue.depth import curves_of
from probes.enumerated import EnumeratedReference
from probes.finding import Verdict
from probes.organisms.base import STEPS, Noise
from probes.pie import Information, Pie
from probes.statistics import Interval, over_seeds
from probes.validity import Outcome
from probes.verdict import Curves, Settings, verdict

Floats = NDArray[np.float64]
SIZE, GROUPS = 400, 16
DEFAULTS = Settings()


@dataclass(frozen=True, eq=False)
class Population:
    """Heads of one kind on one enumerated world, P of them at T checkpoints.

    Attributes:
        reference: the world.
        log_q: ln q, [T, P, rows, outcomes].
        steps: training step of each checkpoint, [T].
    """

    reference: EnumeratedReference
    log_q: Floats
    steps: NDArray[np.int64]

    @functools.cached_property
    def pie(self) -> Pie:
        """Exactly, [T, P, …]."""
        return self.reference.measure(self.log_q)

    @functools.cached_property
    def contributions(self) -> Floats:
        """Captured bits context by context, [T, P, rows, K]."""
        checkpoints, heads = self.log_q.shape[:2]
        flat = self.reference.contributions(self.log_q.reshape(-1, *self.log_q.shape[2:]))
        return flat.reshape(checkpoints, heads, *flat.shape[1:])

    def __len__(self) -> int:
        return self.log_q.shape[1]

    def measured(self, columns: NDArray[np.int64], counts: NDArray[np.int64] | None) -> tuple[Pie, Information]:
        """The pie of some of the heads, exactly or on clips that are counted context by context, [G, rows]."""
        arrays = {f.name: getattr(self.pie, f.name) for f in fields(Pie)}
        taken = {name: None if array is None else np.take(array, columns, axis=1) for name, array in arrays.items()}
        pie = Pie(**taken)  # type: ignore[arg-type]
        if counts is None:
            return pie, self.reference.about
        share = counts / counts.sum(-1, keepdims=True)
        groups = np.einsum("gr,tsrk->gtsk", share, self.contributions[:, columns], optimize=True)
        return replace(pie, captured=groups.mean(0), captured_groups=groups), self.reference.information_on_clips(
            counts
        )


@dataclass(frozen=True)
class Runs:
    """Runs on one population, or on several in equal parts.

    Attributes:
        populations: makes them; called once in a process.
        seeds: of a run.
        clips: evaluation clips, shared by all seeds; 0 where every context is enumerated.
        settings: of the verdict.
        known: whether intervals are held against the populations' own means.
        stream: of its random numbers, so that one repeat of two plants has nothing in common.
    """

    populations: Callable[[], Sequence[Population]]
    seeds: int = 8
    clips: int = 0
    settings: Settings = DEFAULTS
    known: bool = False
    stream: int = 0

    def curves(self, seed: int) -> Curves:
        """What the verdict of one run is asked about; `seed` stands for everything random in it."""
        random, members = np.random.default_rng([seed, self.stream]), self.populations()
        reference = members[0].reference
        counts = None
        if self.clips:
            counts = random.multinomial(self.clips // GROUPS, reference.weight, size=GROUPS)
        share = self.seeds // len(members)
        parts = [one.measured(random.integers(len(one), size=share), counts) for one in members]
        curves = [curves_of(pie, about, members[0].steps, self.settings) for pie, about in parts]
        return curves[0] if len(curves) == 1 else _beside(curves)

    def judged(self, seed: int) -> Verdict:
        """The verdict on one run."""
        return verdict(self.curves(seed), self.settings)

    def __call__(self, seed: int) -> Outcome:
        """One repeat."""
        curves = self.curves(seed)
        found = verdict(curves, self.settings).name
        return Outcome(found, self._intervals(curves) if self.known else {})

    def _intervals(self, curves: Curves) -> dict[str, tuple[Interval, float]]:
        (whole,) = self.populations()
        rungs = range(curves.shallow_rungs + 1, len(curves.information) + 1)
        truth = whole.pie.efficiency(whole.reference.about, rungs).mean(1)
        phi, third = curves.deep_influence, int(np.argmin(np.abs(curves.steps[:-1] - 2 * curves.steps[-1] / 3)))
        end = over_seeds(curves.deep[-1], None if phi is None else phi[:, -1])
        late = over_seeds(curves.deep[-1] - curves.deep[third], None if phi is None else phi[:, -1] - phi[:, third])
        level = 1 - self.settings.alpha
        return {
            "deep efficiency at the end": (end.interval(level), float(truth[-1])),
            "its change over the last third": (late.interval(level), float(truth[-1] - truth[third])),
        }


def _beside(curves: Sequence[Curves]) -> Curves:
    def joined(name: str) -> Floats | None:
        parts = [getattr(one, name) for one in curves]
        return None if parts[0] is None else np.concatenate(parts, axis=-1)

    names = ("deep", "shallow", "total", "deep_influence", "total_influence")
    return replace(curves[0], **{name: joined(name) for name in names})  # type: ignore[arg-type]


def of_course(
    reference: EnumeratedReference,
    course: Callable[[Floats], Floats],
    shallow: int = 1,
    noise: Noise | None = None,
    size: int = SIZE,
    whole: bool = False,
    seed: int = 0,
    steps: NDArray[np.int64] = STEPS,
) -> Population:
    """A population whose mean deep efficiency follows a course exactly, to 1e-10: margins are met, not nearly met.

    Each head is log q = log p_0 + Σ_k w_k (log p_k − log p_{k−1}); w_shallow rises to 1 within the first hundredth, the
    deep weights share a level that is solved for, checkpoint by checkpoint, with the seeds' noise on top of it.

    Args:
        reference: the world.
        course: share of the run that is over, [T] → mean deep efficiency, [T]; what a head can have on average.
        shallow: k0.
        noise: how seeds differ; its pace, field and clips are not used.
        size: how many heads.
        whole: the course is that of all rungs together, and all weights share the level.
        seed: of the noise.
        steps: checkpoints.
    """
    noise, random = noise or Noise(), np.random.default_rng([seed, 7])
    rungs = len(reference.about.information)
    jitter = noise.seed / 4 if noise.checkpoint is None else noise.checkpoint
    off = noise.seed * random.standard_normal((1, size, rungs))
    off = off + jitter * random.standard_normal((len(steps), size, rungs))
    progress = steps / steps[-1]
    wanted, place = np.asarray(course(progress), dtype=np.float64), np.arange(rungs)
    base = np.where(place < shallow, 1.0 - np.exp(-progress[:, None] / 0.005), 0.0)
    scaled = np.ones(rungs, dtype=bool) if whole else place >= shallow
    asked = range(1, rungs + 1) if whole else range(shallow + 1, rungs + 1)

    def heads(level: Floats) -> Floats:
        weights = np.where(scaled, level[:, None], base)[:, None] + off
        return mixed(reference, weights)

    def excess(level: Floats) -> Floats:
        captured = _captured(reference, heads(level))
        about = reference.about
        chosen = np.asarray(asked) - 1
        return captured[..., chosen].sum(-1).mean(1) / about.information[chosen].sum() - wanted

    return Population(reference, heads(_solved(excess, len(steps))), steps)


def mixed(reference: EnumeratedReference, weights: Floats) -> Floats:
    """ln q of log q = log p_0 + Σ_k w_k (log p_k − log p_{k−1}), normalised: [..., K] → [..., rows, outcomes]."""
    logs = np.log(np.maximum(reference.ladder, 1e-12))
    q = np.tensordot(weights, np.diff(logs, axis=0), axes=(-1, 0)) + logs[0]
    q -= q.max(-1, keepdims=True)
    return np.asarray(q - np.log(np.exp(q).sum(-1, keepdims=True)))


def _captured(reference: EnumeratedReference, log_q: Floats) -> Floats:
    flat = reference.contributions(log_q.reshape(-1, *log_q.shape[-2:]))
    return np.einsum("r,brk->bk", reference.weight, flat).reshape(*log_q.shape[:-2], -1)


def _solved(excess: Callable[[Floats], Floats], count: int) -> Floats:
    # Root between level 0 and 1, each element for itself: regula falsi with the Illinois rule (Dowell & Jarratt 1971).
    low, high = np.full(count, -0.2), np.ones(count)
    at_low, at_high = excess(low), excess(high)
    side = np.zeros(count)
    for _ in range(60):
        step = np.where(at_high != at_low, at_high - at_low, 1.0)
        middle = np.where(at_high != at_low, high - at_high * (high - low) / step, high)
        found = excess(middle)
        if np.abs(found).max() < 1e-10:
            break
        left = np.sign(found) == np.sign(at_low)
        at_high = np.where(left & (side == 1), at_high / 2, at_high)
        at_low = np.where(~left & (side == -1), at_low / 2, at_low)
        low, at_low = np.where(left, middle, low), np.where(left, found, at_low)
        high, at_high = np.where(left, high, middle), np.where(left, at_high, found)
        side = np.where(left, 1, -1)
    return middle
