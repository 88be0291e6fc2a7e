"""The ordered rule of the derivation probe: does the head memorise its worlds, or derive the one at work?

Asked on worlds that no one trained on, at the last checkpoint. The memorizer's weight is that of all retrieval
predictors together, the deriver's that of all inference predictors. "Clearly" is at level α. The first that applies:

1. `not-identifiable`: memorizer and deriver are one predictor as far as clips or weights can tell; or a predictor that
   stands for both kinds may weigh more than δ.
2. `neither`: the mixture clearly leaves more than δ of what the world is worth, or controls clearly weigh more than δ.
3. Only if the mixture clearly leaves less than δ, and controls clearly weigh less:
   a. the deriver's weight is clearly above 1 − margin: `deriving` where the exact deriver clearly has more than half
      of it, `deriving-shallow` where it clearly has less (tokens are counted, not what follows what);
   b. the memorizer's weight is clearly above 1 − margin: `memorizing`;
   c. both weights are clearly above the margin: `between`.
   With a. or b., if at an earlier checkpoint that the mixture matches it was the other, at level α over the number of
   checkpoints: `switched-to-deriving`, `switched-to-memorizing`.
4. `inconclusive`.

Seeds that split in two are judged apart: two answers are `inconclusive`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.clusters import judged_apart
from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, over_seeds, seeds_needed, two_clusters

Floats = NDArray[np.float64]
MOST_SEEDS = 256
MEMORIZER, DERIVER, EXACT, BOTH, CONTROLS = range(5)


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        delta: share of what the world is worth that a mixture may leave; weight that controls, or predictors that stand
            for both kinds, may have.
        margin: weight that the other kind may have in a head that memorises or derives.
        alpha: level of every test.
    """

    delta: float = 0.10
    margin: float = 0.25
    alpha: float = 0.05


@dataclass(frozen=True)
class Course:
    """What the rule is asked about. T checkpoints, S seeds, G groups of clips.

    Attributes:
        steps: [T].
        weights: of memorizers, derivers, the exact deriver, predictors of both kinds, controls, [T, S, 5].
        left: share of what the world is worth, [T, S].
        weights_influence, left_influence: deviations of clip groups, [G, T, S, …].
        one: names of the memorizer and the deriver where they stand together; else none.
    """

    steps: NDArray[np.int64]
    weights: Floats
    left: Floats
    weights_influence: Floats
    left_influence: Floats
    one: tuple[str, ...] = ()

    def of(self, seeds: NDArray[np.bool_]) -> Course:
        """Some of the seeds."""
        return replace(
            self,
            weights=self.weights[:, seeds],
            left=self.left[:, seeds],
            weights_influence=self.weights_influence[:, :, seeds],
            left_influence=self.left_influence[:, :, seeds],
        )

    def weight(self, what: int, at: int = -1) -> Estimate:
        """A weight at a checkpoint."""
        return over_seeds(self.weights[at, :, what], self.weights_influence[:, at, :, what])

    @property
    def exact(self) -> Estimate:
        """By how much the exact deriver's weight is above half of all derivers'."""
        own, phi = self.weights[-1], self.weights_influence[:, -1]
        return over_seeds(own[:, EXACT] - own[:, DERIVER] / 2, phi[..., EXACT] - phi[..., DERIVER] / 2)

    @property
    def leaves(self) -> Estimate:
        """What the mixture leaves at the end."""
        return over_seeds(self.left[-1], self.left_influence[:, -1])


def verdict(course: Course, settings: Settings, target: str) -> Verdict:
    """The verdict; seeds with a number that is not finite at the end diverged and are left out."""
    sound = np.isfinite(course.weights[-1]).all(-1) & np.isfinite(course.left[-1])
    base = Verdict("", (), target, seeds=int(sound.sum()), diverged=int((~sound).sum()),
                   settings=settings_dict(settings))  # fmt: skip
    if course.one:
        text = f"{' and '.join(course.one)} are one predictor here: which of them a head is cannot be told."
        return replace(base, name="not-identifiable", reasons=(text,))
    notes = [f"{base.diverged} of {len(sound)} seeds diverged and are left out."] if base.diverged else []
    if base.seeds < 2:
        text = "Fewer than two seeds: no interval over seeds."
        return replace(base, name="inconclusive", reasons=(*notes, text), seeds_needed=8)
    kept = course.of(sound)
    upper = two_clusters(kept.weights[-1, :, DERIVER], settings.margin)
    if upper is not None:
        found = judged_apart(
            upper,
            lambda seeds: _Rule(kept.of(seeds), settings, base, []).verdict(),
            lambda seeds: f"{float(kept.weights[-1, seeds, DERIVER].mean()):.2f}",
            "{count} seeds end at a deriver's weight of {end}, on their own `{name}`",
        )
        return replace(found, target=target, seeds=base.seeds, diverged=base.diverged, settings=base.settings,
                       reasons=(*notes, *found.reasons))  # fmt: skip
    return _Rule(kept, settings, base, notes).verdict()


class _Rule:
    def __init__(self, course: Course, settings: Settings, base: Verdict, notes: list[str]) -> None:
        self.c, self.s, self.base, self.notes = course, settings, base, notes
        self.level = 1 - settings.alpha

    def verdict(self) -> Verdict:
        c, s = self.c, self.s
        memorizer, deriver, both, controls = (c.weight(w) for w in (MEMORIZER, DERIVER, BOTH, CONTROLS))
        told = {"memorizer": memorizer, "deriver": deriver, "controls": controls}
        words = ", ".join(f"{name} {one.interval(self.level)}" for name, one in told.items())
        self.notes += [f"On held-out worlds the weights are {words}.",
                       f"The mixture leaves {c.leaves.interval(self.level)} of what the world is worth."]  # fmt: skip
        if float(both.mean) > 0 and float(both.p_below(s.delta)) > s.alpha:
            text = f"A predictor that is memorizer and deriver alike may weigh {both.interval(self.level)}."
            return self._say("not-identifiable", text)
        sizes = {
            f"The mixture leaves {{}} than {s.delta:g} of what the world is worth": c.leaves,
            f"Controls weigh {{}} than {s.delta:g}": controls,
        }
        for text, one in sizes.items():
            p = float(one.p_above(s.delta))
            if p <= s.alpha:
                return self._say("neither", statements=[self._statement(text.format("more"), one, p)])
        matched = [
            self._statement(text.format("less"), one, float(one.p_below(s.delta))) for text, one in sizes.items()
        ]
        if not all(test.holds for test in matched):
            return self._open("Whether the references match the head is open.", deriver, memorizer)
        most = 1 - s.margin
        for name, what, kind in (("deriving", DERIVER, "deriver"), ("memorizing", MEMORIZER, "memorizer")):
            p = float(c.weight(what).p_above(most))
            if p > s.alpha:
                continue
            test = self._statement(f"The {kind}'s weight is above {most:g}", c.weight(what), p)
            return self._one(name, what, [*matched, test])
        tests = [
            self._statement(f"The {kind}'s weight is above {s.margin:g}", one, float(one.p_above(s.margin)))
            for kind, one in (("memorizer", memorizer), ("deriver", deriver))
        ]
        if all(test.holds for test in tests):
            return self._say("between", statements=[*matched, *tests])
        return self._open("Neither kind is clearly nearly all of the head, nor are both clearly part of it.", deriver,
                          memorizer)  # fmt: skip

    def _one(self, name: str, what: int, tests: list[Statement]) -> Verdict:
        reasons: list[str] = []
        if name == "deriving":
            exact = self.c.exact
            above, below = float(exact.p_above(0.0)), float(exact.p_below(0.0))
            text = "Of the derivers' weight the exact one has {} than half"
            if min(above, below) > self.s.alpha:
                return self._open("Which of the derivers the head is, is open.", self.c.weight(what), exact)
            more = above <= self.s.alpha
            tests.append(self._statement(text.format("more" if more else "less"), exact, min(above, below)))
            if not more:
                name, reasons = "deriving-shallow", ["It counts tokens, and not what follows what."]
        before = self._before(MEMORIZER if what == DERIVER else DERIVER)
        if before is not None:
            other = "memorizing" if what == DERIVER else "deriving"
            reasons.append(f"It had been {other} at step {before:,}.")
            name = "switched-to-deriving" if what == DERIVER else "switched-to-memorizing"
        return self._say(name, *reasons, statements=tests)

    def _before(self, what: int) -> int | None:
        """The last step at which it was clearly the other kind."""
        c, earlier = self.c, len(self.c.steps) - 1
        for at in range(earlier - 1, -1, -1):
            if not np.isfinite(c.weights[at]).all() or float(c.left[at].mean()) > self.s.delta:
                continue
            if float(c.weights[at, :, CONTROLS].mean()) > self.s.delta:
                continue
            if float(c.weight(what, at).p_above(1 - self.s.margin)) <= self.s.alpha / earlier:
                return int(c.steps[at])
        return None

    def _statement(self, text: str, one: Estimate, p: float) -> Statement:
        return Statement(text, one.interval(self.level), p, p <= self.s.alpha)

    def _open(self, reason: str, *doubtful: Estimate) -> Verdict:
        edges = (self.s.margin, 1 - self.s.margin)
        distance, spread = min((abs(float(one.mean) - edge), float(one.spread)) for one in doubtful for edge in edges)
        needed = seeds_needed(distance, spread, self.level, most=MOST_SEEDS)
        last = f"No rule applies at α = {self.s.alpha:g}."
        last += f" About {needed} seeds would decide." if needed else " More seeds alone would not decide it."
        return replace(self._say("inconclusive", reason, last), seeds_needed=needed)

    def _say(self, name: str, *reasons: str, statements: Sequence[Statement] = ()) -> Verdict:
        p = max((test.p for test in statements), default=math.nan)
        return replace(self.base, name=name, reasons=(*self.notes, *reasons), statements=tuple(statements), p=p)
