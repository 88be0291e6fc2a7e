"""Expectation–maximisation over clips: several runs side by side, and what later clips add to one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import LearningError
from worldnets.learning.clips import Clips
from worldnets.learning.data import Rows
from worldnets.learning.expectation_maximisation import CALM, LEAST, Statistics
from worldnets.learning.learned import Learned, Run
from worldnets.learning.tables import Entries, Prior, log_likelihood
from worldnets.learning.tied import TiedTables
from worldnets.temporal import TwoSliceNet

SLACK = 1e-9  # nats a clip, and of the log likelihood: how far it may fall by rounding
REACH = 4.0  # how much farther extrapolation may go after it went as far as it might, and less after it went wrong
ROUNDING = 4 * np.finfo(np.float64).eps  # of the likelihood: a smaller gain is none
NEGLIGIBLE = 1e-12  # probabilities that are not extrapolated


@dataclass(frozen=True, eq=False)
class Climb:
    """Where a run ended: parameters, the expected counts under them, ln likelihood of the clips in nats."""

    parameters: Entries
    expected: Entries
    log_evidence: float
    run: Run


class Point(NamedTuple):
    """Where runs stand; the first axis is that of the runs."""

    parameters: Entries
    expected: Entries  # counts under them
    log_evidence: Entries  # Σ ln W(clip), nats
    value: Entries  # what is climbed: that, with the prior's and earlier clips' part
    step: Entries  # parameters after an M step

    def take(self, runs: NDArray[np.bool_]) -> Point:
        """Some of the runs."""
        return Point(*(array[runs] for array in self))

    def better(self, chosen: NDArray[np.bool_], other: Point) -> Point:
        """These points where `chosen`, else those of `other`."""
        both = zip(self, other, strict=True)
        return Point(*(np.where(chosen[:, None] if a.ndim == 2 else chosen, a, b) for a, b in both))


@dataclass(frozen=True)
class TiedMaximising:
    """Goes on maximising over clips: `Learned.statistics["expected"]` is a `Statistics` of the parameters."""

    prior: Prior
    iterations: int
    tolerance: float
    tied: bool
    fixed: tuple[str, ...]
    threads: int

    def __post_init__(self) -> None:
        check_whole("iterations", self.iterations)
        if not (isinstance(self.tolerance, int | float | np.number) and 0 <= self.tolerance < math.inf):
            raise LearningError("tolerance must be a number ≥ 0", found=self.tolerance, mend="bits per clip: 1e-5")

    def climb(
        self, tables: TiedTables, clips: Clips, begins: Sequence[tuple[str, Entries]], before: Statistics
    ) -> list[Climb]:
        """Runs of EM from these parameters, side by side; what a run gives does not depend on the others.

        Each cycle is a step of EM and then an extrapolated one, which is taken only if it is better still; so the
        likelihood rises all the way, several times as fast.

        Raises:
            LearningError: a clip that is impossible where a run begins.

        Source: Varadhan & Roland 2008, "Simple and globally convergent methods for accelerating the convergence of any
        EM algorithm" (SQUAREM, step length S3), on logarithms of probabilities.
        """
        counter = clips.counter(tables.structure, self.threads)
        start = np.stack([begin for _, begin in begins])
        held = before.counts + tables.families.prior(self.prior) * (start > 0)
        fixed = tables.of_variables(self.fixed)

        def look(parameters: Entries, held: Entries) -> Point:
            counts, log_evidence = counter.count(np.ascontiguousarray(parameters[:, tables.place].T))
            expected = tables.pooled(np.ascontiguousarray(counts.T))
            total = np.array([clips.weights @ own for own in np.ascontiguousarray(log_evidence.T)])
            if (total == -np.inf).any() and parameters is start:
                row = int(clips.row[np.argwhere(log_evidence == -np.inf)[0, 0]])
                mend = "start from tables without zeros"
                raise LearningError("a clip is impossible where the run begins", row=row, mend=mend)
            own_part = [log_likelihood(h, p) for h, p in zip(held, parameters, strict=True)]
            step = np.where(fixed, parameters, tables.normalised(expected + held, parameters))
            return Point(parameters, expected, total, total + before.entropy + np.array(own_part), step)

        bit = math.log(2) * (clips.total + before.rows)
        point = look(start, held)
        values = [[float(value)] for value in point.value]
        active, reach, calm = np.arange(len(begins)), np.ones(len(begins)), np.zeros(len(begins), dtype=np.int64)
        done: dict[int, Climb] = {}
        one, looks = point, 1
        while len(active):
            left = np.zeros(len(active))
            if looks <= self.iterations:
                one = look(point.step, held)
                _check_rise(point.value, one.value, bit)
                for run, value in zip(active.tolist(), one.value, strict=True):
                    values[run].append(float(value))
                looks += 1
            if looks <= self.iterations:
                ahead, left, length = extrapolated(
                    point.parameters, one.parameters, one.step, one.value - point.value, reach
                )
                far = look(np.where(fixed, point.parameters, tables.normalised(ahead, one.step)), held)
                left[one.value - point.value <= ROUNDING * np.abs(one.value)] = 0.0
                taken = far.value >= one.value
                reach = np.where(taken, np.where(length >= reach, reach * REACH, reach), np.maximum(1.0, reach / REACH))
                for run, value in zip(active[taken].tolist(), far.value[taken], strict=True):
                    values[run].append(float(value))
                one = far.better(taken, one)
                looks += 1
            point = one
            calm = np.where(left <= bit * self.tolerance, calm + 1, 0)
            settled = (calm >= CALM) & (looks >= LEAST)
            ended = settled | (looks > self.iterations)
            for place in np.flatnonzero(ended).tolist():
                run = int(active[place])
                history = Run(begins[run][0], 0.0 - np.array(values[run]) / bit, bool(settled[place]))
                parameters, expected = point.parameters[place].copy(), point.expected[place].copy()
                done[run] = Climb(parameters, expected, float(point.log_evidence[place]), history)
            point, held = point.take(~ended), held[~ended]
            active, reach, calm = active[~ended], reach[~ended], calm[~ended]
        return [done[run] for run in range(len(begins))]

    def learned(self, tables: TiedTables, clips: Clips, climb: Climb, before: Statistics, frames: int = 0) -> Learned:
        """The net where a run ended, with the statistics of all clips so far."""
        entropy = climb.log_evidence - log_likelihood(climb.expected, climb.parameters)
        after = Statistics(before.counts + climb.expected, before.entropy + entropy, before.rows + clips.total)
        net = tables.net(climb.parameters)
        bits = -(log_likelihood(after.counts, climb.parameters) + after.entropy) / after.rows / math.log(2)
        method = "expectation–maximisation over time" + (f" ({self.prior})" if self.prior else "")
        unrolled, kept = net.unroll(max(frames, clips.frames)), {"expected": after}
        return Learned(unrolled, method, after.rows, bits, self, kept, history=(climb.run,), template=net)

    def update(self, learned: Learned, more: Rows) -> Learned:
        """Partial E steps for the new clips, from the present tables, beside the counts of the earlier ones."""
        template, before = template_of(learned), learned.statistics["expected"]
        tables, clips = TiedTables.of(template, self.tied), Clips.of(more, template)
        begin = tables.parameters(template)
        if (clips.counter(template, self.threads).log_evidence(begin[tables.place, None]) == -np.inf).any():
            # Zero entries can never rise: what earlier clips never showed is given one clip's weight to begin with.
            one = tables.families.prior(Prior(equivalent_sample_size=1.0))
            smoothed = tables.families.normalised(before.counts + one)
            begin = np.where(tables.of_variables(self.fixed), begin, smoothed)
        shown = f"update by {clips.total:.6g} clips"
        (climb,) = self.climb(tables, clips, [(shown, begin)], before)
        after = self.learned(tables, clips, climb, before, frames_of(learned))
        return replace(after, history=(*learned.history, climb.run), kept=len(learned.history))


def extrapolated(
    zero: Entries, one: Entries, two: Entries, gain: Entries, reach: Entries
) -> tuple[Entries, Entries, Entries]:
    """Where two steps of EM point to, and what is left to be gained there.

    With r = ln θ₁ − ln θ₀ and v = ln θ₂ − ln θ₁ − r: ln θ₀ + 2sr + s²v, where s = ‖r‖/‖v‖ (norms weighted by θ₁), cut
    off at `reach`. If steps shrink by a factor ρ, then s = 1/(1 − ρ), and gains shrink by ρ², so that
    gain·ρ²/(1 − ρ²) is left. If they grow (r·v > 0), the point is leaving a saddle and everything is left.

    Args:
        zero, one, two: [runs, parameters].
        gain: [runs], nats that the step from θ₀ to θ₁ gained.
        reach: [runs], at least 1.

    Returns:
        [runs, parameters] not normalised; [runs] nats left; [runs] the s that was used.
    """
    moving = (zero > NEGLIGIBLE) & (one > NEGLIGIBLE) & (two > NEGLIGIBLE)
    logarithms = [np.log(np.where(moving, theta, 1.0)) for theta in (zero, one, two)]
    r = logarithms[1] - logarithms[0]
    v = logarithms[2] - logarithms[1] - r
    rr, vv, rv = ((one * a * b).sum(axis=1) for a, b in ((r, r), (v, v), (r, v)))
    wished = np.sqrt(rr / np.where(vv > 0, vv, np.inf))
    shrinking = 1 - 1 / np.maximum(wished, 1.0)
    left = np.where(rv > 0, np.inf, gain * shrinking**2 / np.maximum(1 - shrinking**2, NEGLIGIBLE))
    length = np.clip(wished, 1.0, reach)
    s = length[:, None]
    ahead = np.where(moving, np.exp(np.minimum(logarithms[0] + 2 * s * r + s * s * v, 0.0)), two)
    return ahead, left, length


def template_of(learned: Learned) -> TwoSliceNet:
    """The two-slice net that was learned."""
    assert learned.template is not None
    return learned.template


def frames_of(learned: Learned) -> int:
    """Frames of the unrolled net."""
    return len(learned.net.variables) // len(template_of(learned).variables)


def check_whole(what: str, number: object) -> None:
    """Raise `LearningError` unless it is a whole number ≥ 0."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
        raise LearningError(f"{what} must be a whole number ≥ 0", found=number, mend=f"e.g. {what}=10")


def _check_rise(before: Entries, after: Entries, bit: float) -> None:
    fallen = after < before - SLACK * np.maximum(bit, np.abs(before))
    if fallen.any():
        run = int(np.flatnonzero(fallen)[0])
        found = f"{-before[run] / bit:.9g}, then {-after[run] / bit:.9g} bits per clip"
        raise LearningError("the likelihood fell, which it cannot", found=found, mend="report this net and data")
