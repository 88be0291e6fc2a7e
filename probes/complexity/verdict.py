"""Does heuristic complexity follow the deepening world-model, saturate, or jump? The ordered rule.

A pure function of arrays. At the end of stage j = 1 … J of a growth the world-model's own predictor captures x_j bits
(x_0 = 0), and the head's parameters take y_j bits (y_0 before training). With Y = the largest mean y_j less the mean
y_0, and X = x_J,

    p_j = (x_j − x_{j−1}) / X,      s_j = (y_j − y_{j−1}) / Y,      d_j = s_j − p_j:

what the head's description grows by in a stage, beyond what the world-model deepens by. "Clearly" = at least δ, and p ≤
α/m where the most extreme of m stages is looked for. Rules in order, the first that applies:

1. `nothing-deepens`: after the first stage the world-model gains less than .05 bits.
2. `untrained`: the upper limit of the share of the pie captured at the end is < .1, or Y is less than a bit.
3. `jumps`: in some stage j ≥ 2, d_j is clearly above δ.
4. `saturates`: over the stages after the first, Σ d_j is clearly below −δ: the world-model deepens, the head does not
   grow with it.
5. `follows`: after every stage but the last Σ_{i ≤ j} d_i lies inside ± δ, and so does the sum over all.
6. `inconclusive`, with the number of seeds that would decide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import over_seeds, seeds_needed
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
NAMES = ("nothing-deepens", "untrained", "jumps", "saturates", "follows", "inconclusive")


@dataclass(frozen=True)
class Settings:
    """Margins and level of the verdict, fixed before a run.

    Attributes:
        delta: δ, the share of growth that matters.
        alpha: α.
        least_pie: bits below which the world-model does not deepen.
        untrained_below: share of the pie below which nothing was learned.
    """

    delta: float = 0.20
    alpha: float = 0.05
    least_pie: float = 0.05
    untrained_below: float = 0.1


@dataclass(frozen=True)
class Grown:
    """What the rule is asked about: S seeds, J stages.

    Attributes:
        stages: their names.
        model: x_j, bits, [J].
        lengths: y_0 … y_J, bits of the head's parameters, [J + 1, S].
        captured: share of the pie the head captures at the end, [S].
    """

    stages: Sequence[str]
    model: Floats
    lengths: Floats
    captured: Floats

    def of(self, seeds: NDArray[np.bool_]) -> Grown:
        """Some of the seeds."""
        return replace(self, lengths=self.lengths[:, seeds], captured=self.captured[seeds])

    @property
    def growth(self) -> Floats:
        """Bits each seed has grown by at the stage where descriptions are longest on average, [S]; their mean is Y."""
        longest = 1 + int(self.lengths[1:].mean(1).argmax())
        return np.asarray(self.lengths[longest] - self.lengths[0])

    @property
    def scale(self) -> float:
        """Y."""
        return float(self.growth.mean())

    @property
    def expected(self) -> Floats:
        """p_j, [J]."""
        return np.diff(self.model, prepend=0.0) / self.model[-1]

    @property
    def beyond(self) -> Floats:
        """d_j, [J, S]: its means over seeds are those of the definition, its spread also carries that of Y.

        To first order a ratio of means moves with a seed by (a − (ā/b̄)·(b − b̄))/b̄: without the second part 95 %
        intervals would be too short. Y takes one degree of freedom: deviations are stretched by √((n − 1)/(n − 2)).
        """
        steps, scale, seeds = np.diff(self.lengths, axis=0), self.scale, self.lengths.shape[1]
        share = steps.mean(1, keepdims=True) / scale
        own = steps / scale - share - share * (self.growth / scale - 1)
        stretch = math.sqrt((seeds - 1) / (seeds - 2)) if seeds > 2 else 1.0
        return np.asarray(share - self.expected[:, None] + stretch * own)


def verdict(grown: Grown, settings: Settings, target: str = "") -> Verdict:
    """The conclusion; seeds that diverged are left out.

    Raises:
        ProbeError: fewer than two stages; every seed diverged.
    """
    if len(grown.stages) < 2:
        mend = "grow it in two stages or more"
        raise ProbeError("one stage cannot deepen", node=target, found=list(grown.stages), mend=mend)
    base = Verdict("inconclusive", (), target, settings=settings_dict(settings), seeds=grown.lengths.shape[1])
    gained = float(grown.model[-1] - grown.model[0])
    if not gained >= settings.least_pie:
        words = f"After its first stage the world-model gains {gained:.3f} bits: it does not deepen."
        return replace(base, name="nothing-deepens", reasons=(words,))
    sound = np.asarray(np.isfinite(grown.lengths).all(0) & np.isfinite(grown.captured))
    seeds = int(sound.sum())
    if not seeds:
        raise ProbeError("every seed diverged", node=target, mend="train with a smaller learning rate")
    base = replace(base, seeds=seeds, diverged=int((~sound).sum()))
    if seeds < 2:
        return replace(base, reasons=("Fewer than two seeds: no interval over seeds.",), seeds_needed=8)
    kept = grown.of(sound)
    found = _untrained(kept, settings) or _jumps(kept, settings) or _saturates(kept, settings) or _rest(kept, settings)
    return base.settled(found, after=[] if found.name == "untrained" else [_course(kept)])


def _untrained(c: Grown, s: Settings) -> Verdict | None:
    share = over_seeds(np.maximum(c.captured, 0.0))
    p = float(share.p_below(s.untrained_below))
    if p > s.alpha and c.scale >= 1:
        return None
    text = f"At the end heads capture less than {s.untrained_below:.0%} of the pie"
    statement = Statement(text, share.interval(1 - s.alpha), p, p <= s.alpha)
    words = f"{text}: {statement.interval}." if statement.holds else "Heads of less than a bit have no complexity."
    return Verdict("untrained", (words,), statements=(statement,) if statement.holds else ())


def _jumps(c: Grown, s: Settings) -> Verdict | None:
    later = len(c.stages) - 1
    found = []
    for j in range(1, len(c.stages)):
        estimate = over_seeds(c.beyond[j])
        p = float(estimate.p_above(0.0))
        text = f"In stage “{c.stages[j]}” the head grows by more than the world-model deepens"
        holds = p <= s.alpha / later and float(estimate.mean) >= s.delta
        found.append(Statement(text, estimate.interval(1 - s.alpha / later), min(1.0, p * later), holds))
    held = [statement for statement in found if statement.holds]
    if not held:
        return None
    most = max(held, key=lambda statement: statement.interval.estimate)
    return Verdict("jumps", (f"{most.text}: by {most.interval} of all its growth.",), statements=(most,))


def _saturates(c: Grown, s: Settings) -> Verdict | None:
    estimate = over_seeds(c.beyond[1:].sum(0))
    p = float(estimate.p_below(0.0))
    if p > s.alpha or float(estimate.mean) > -s.delta:
        return None
    text = "After the first stage the head grows by less than the world-model deepens"
    statement = Statement(text, estimate.interval(1 - s.alpha), p, True)
    return Verdict("saturates", (f"{text}: by {statement.interval} of all growth.",), statements=(statement,))


def _rest(c: Grown, s: Settings) -> Verdict:
    behind = np.cumsum(c.beyond, axis=0)
    statements = []
    for j, stage in enumerate(c.stages):
        estimate = over_seeds(behind[j])
        p = float(estimate.p_within(s.delta))
        text = f"Up to stage “{stage}” the head has grown as far as the world-model has deepened, within {s.delta:g}"
        statements.append(Statement(text, estimate.interval(1 - 2 * s.alpha), p, p <= s.alpha))
    if all(statement.holds for statement in statements):
        worst = max(statements, key=lambda one: abs(one.interval.estimate))
        words = f"After every stage the head has grown as far as the world-model has deepened, within {s.delta:g}"
        return Verdict("follows", (f"{words}; at worst it is off by {worst.interval}.",), statements=tuple(statements))
    j = int(np.argmax(np.abs(behind.mean(1))))
    estimate = over_seeds(behind[j])
    room = abs(s.delta - abs(float(estimate.mean)))
    needed = seeds_needed(room, float(estimate.spread), 1 - s.alpha, most=1000)
    words = (
        f"Up to stage “{c.stages[j]}” growth and deepening differ by {estimate.interval(1 - s.alpha)}; no rule applies."
    )
    more = f"About {needed} seeds would decide." if needed else "More seeds alone would not decide it."
    return Verdict("inconclusive", (words, more), seeds_needed=needed)


def _course(c: Grown) -> str:
    means = c.lengths.mean(1)
    told = ", ".join(f"“{name}” {bits:.0f} bits of {share:.0%}" for name, bits, share in
                     zip(c.stages, means[1:], c.model / c.model[-1], strict=True))  # fmt: skip
    return f"Description of the head at the end of each stage, of the share of the pie the world-model has: {told}."
