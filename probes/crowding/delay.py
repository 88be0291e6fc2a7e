"""How much later? Steps to half of the deep own bits, and their ratio, by seeds on a log scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.statistics import Interval, over_seeds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reached:
    """When each seed first reaches a share. Shapes [S].

    Attributes:
        step: of the crossing, between checkpoints by linear interpolation over ln(step); the last checkpoint's where it
            is never reached, the first one's where it was there from the start.
        never: not reached within the budget: the step is a lower bound.
        at_once: reached at the first checkpoint: the step is an upper bound.
    """

    step: Floats
    never: NDArray[np.bool_]
    at_once: NDArray[np.bool_]


def reached(steps: NDArray[np.int64], share: Floats, level: float = 0.5) -> Reached:
    """When curves [T, S] first reach a level.

    A step of 0 counts as half a step, so that it has a logarithm.
    """
    place = np.log(np.maximum(np.asarray(steps, dtype=np.float64), 0.5))
    above = share >= level
    never, at_once = np.asarray(~above.any(0)), np.asarray(above[0])
    first = np.where(never, len(place) - 1, above.argmax(0))
    before = np.maximum(first - 1, 0)
    columns = np.arange(share.shape[1])
    low, high = share[before, columns], share[first, columns]
    way = np.where(high > low, (level - low) / np.where(high > low, high - low, 1.0), 1.0)
    crossing = place[before] + np.clip(way, 0.0, 1.0) * (place[first] - place[before])
    exact = np.where(never, place[-1], np.where(at_once, place[0], crossing))
    return Reached(np.exp(exact), never, at_once)


@dataclass(frozen=True)
class Delay:
    """How many times as long the base takes as its twin to half of the deep own bits.

    Attributes:
        value: geometric mean over seeds with its interval, computed on the log scale; its upper limit is infinite where
            it is a lower bound. None where it is not identified.
        at_least: some base seed does not get there, or some twin was there at once: the true ratio is larger.
        base, twin: when they get there.
        note: how it is to be read.
    """

    value: Interval | None
    at_least: bool
    base: Reached
    twin: Reached
    note: str

    def __str__(self) -> str:
        if self.value is None:
            return self.note
        more = "at least " if self.at_least else ""
        return f"{more}{self.value.estimate:.1f} times as many steps [{self.value.low:.1f}, {self.value.high:.1f}]"


def delay(steps: NDArray[np.int64], base: Floats, twin: Floats, level: float = 0.5, confidence: float = 0.95) -> Delay:
    """The ratio of steps to a level, base over twin, [T, S] each.

    With r_s = t_s(base) / t_s(twin) of seed s: exp of the t-interval of ln r_s. Where a base seed is not there at the
    last step, its r_s is at least what that step makes it, and so are the mean and its lower limit; the upper one is
    infinite. Where a twin seed does not get there, or base seeds are there at the first checkpoint, no bound holds and
    the ratio is not identified.
    """
    slow, fast = reached(steps, base, level), reached(steps, twin, level)
    share = f"{level:g} of the deep own bits"
    if fast.never.any():
        count = int(fast.never.sum())
        note = f"{count} of {len(fast.never)} twins do not reach {share}: no ratio"
        return Delay(None, False, slow, fast, note)
    if slow.at_once.any():
        count = int(slow.at_once.sum())
        note = f"{count} of {len(slow.at_once)} seeds have {share} at the first checkpoint: no ratio"
        return Delay(None, False, slow, fast, note)
    ratio = over_seeds(np.log(slow.step) - np.log(fast.step))
    low, high = (float(limit) for limit in ratio.limits(confidence))
    bounded = slow.never | fast.at_once
    at_least = bool(bounded.any())
    note = f"lower bound: censored in {int(bounded.sum())} of {len(bounded)} seeds" if at_least else ""
    value = Interval(
        math.exp(float(ratio.mean)),
        math.exp(low) if math.isfinite(low) else 0.0,
        math.inf if at_least or not math.isfinite(high) else math.exp(min(high, 700.0)),
        confidence,
        "t, log scale",
        ratio.n,
    )
    return Delay(value, at_least, slow, fast, note)
