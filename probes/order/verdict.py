"""The ordered rule of the order probe: does the head pass from simple predictors to rich ones, and where does it end?

A reference *dominates* at a checkpoint where the lower limit of its weight is above one half: it has more than all
others together. Only checkpoints count at which the mixture matches: what it leaves is at most δ of the bits on offer.
Rules in order, the first that applies; "clearly" is at level α.

1. `nothing-deep`: the richest reference is within the least distance of all but the simplest one: no order to see.
2. `not-identified`: the same, not by distance but because weights cannot be told apart.
3. `matches-none`: at the end the mixture clearly leaves more than δ of the bits on offer, or controls clearly weigh
   more than δ.
4. Out of distribution (unless the settings say otherwise): `other-out-of-distribution` if the mixture clearly leaves
   more than δ there, controls clearly weigh more than δ there, or some reference's weight differs by at least δ and
   clearly (level α over the number of tests).
5. Only if at the end the mixture clearly leaves less than δ, and controls clearly weigh less:
   a. the richest reference dominates at the end: `in-order` if simpler ones dominated before and none after a richer
      one; `full-throughout` if nothing else dominated before; else `out-of-order`;
   b. the weight of the richest is clearly below one half at the end: `out-of-order` if it dominated before,
      else `stops-early`.
6. `inconclusive`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, over_seeds, seeds_needed

Floats = NDArray[np.float64]
MOST_SEEDS = 256
HALF = 0.5


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        delta: share of the bits on offer that a mixture may leave; weight that controls may have; difference of weights
            in and out of distribution that counts.
        alpha: level of every test.
        out_of_distribution: whether a verdict must hold out of distribution too.
    """

    delta: float = 0.10
    alpha: float = 0.05
    out_of_distribution: bool = True


@dataclass(frozen=True)
class Side:
    """Heads against references on one kind of evidence. T checkpoints, S seeds, M references.

    Attributes:
        weights: [T, S, M]; controls: their weights together, [T, S]; left: share of the bits on offer, [T, S].
        weights_influence, controls_influence, left_influence: deviations of clip groups, [G, …]; None where exact.
    """

    weights: Floats
    controls: Floats
    left: Floats
    weights_influence: Floats | None = None
    controls_influence: Floats | None = None
    left_influence: Floats | None = None

    def weight(self, at: int, place: int) -> Estimate:
        """Of one reference at one checkpoint."""
        phi = self.weights_influence
        return over_seeds(self.weights[at, :, place], None if phi is None else phi[:, at, :, place])

    def control(self, at: int) -> Estimate:
        """Of the controls together."""
        phi = self.controls_influence
        return over_seeds(self.controls[at], None if phi is None else phi[:, at])

    def leaves(self, at: int) -> Estimate:
        """What the mixture leaves."""
        phi = self.left_influence
        return over_seeds(self.left[at], None if phi is None else phi[:, at])

    def of(self, seeds: NDArray[np.bool_]) -> Side:
        """Some of the seeds."""
        cut = {
            name: None if phi is None else phi[:, :, seeds]
            for name in ("weights_influence", "controls_influence", "left_influence")
            for phi in [getattr(self, name)]
        }
        return Side(self.weights[:, seeds], self.controls[:, seeds], self.left[:, seeds], **cut)


@dataclass(frozen=True)
class Course:
    """What the rule is asked about.

    Attributes:
        names: of the references that are told apart, simple first.
        merged: how many stand together in the richest.
        close: whether by distance.
        steps: [T].
        inside, outside: evidence in distribution, and out of it if there is any.
        compared: whether weights are told apart out of distribution.
    """

    names: tuple[str, ...]
    merged: int
    close: bool
    steps: NDArray[np.int64]
    inside: Side
    outside: Side | None = None
    compared: bool = True


def verdict(course: Course, settings: Settings, target: str) -> Verdict:
    """The verdict about one target; seeds with a number that is not finite at the end diverged and are left out."""
    last = course.inside
    sound = np.isfinite(last.weights[-1]).all(-1) & np.isfinite(last.left[-1])
    base = Verdict("", (), target, seeds=int(sound.sum()), diverged=int((~sound).sum()),
                   settings=settings_dict(settings))  # fmt: skip
    if len(course.names) == 1 or (len(course.names) == 2 and course.merged > 1):
        alone = f"{course.names[-1]} are one predictor"
        if course.close:
            text = f"{alone}: what is richer offers next to nothing more, so that there is no order to be seen."
            return _named(base, "nothing-deep", text)
        return _named(base, "not-identified", f"{alone} as far as weights can tell: no order can be told from them.")
    notes = [f"{base.diverged} of {len(sound)} seeds diverged and are left out."] if base.diverged else []
    if base.seeds < 2:
        text = "Fewer than two seeds: no interval over seeds."
        return replace(_named(base, "inconclusive", *notes, text), seeds_needed=8)
    outside = None if course.outside is None else course.outside.of(sound)
    return _Rule(replace(course, inside=course.inside.of(sound), outside=outside), settings, base, notes).verdict()


class _Rule:
    def __init__(self, course: Course, settings: Settings, base: Verdict, notes: list[str]) -> None:
        self.c, self.s, self.base, self.notes = course, settings, base, notes
        self.level = 1 - settings.alpha

    def verdict(self) -> Verdict:
        side = self.c.inside
        leaves, controls = side.leaves(-1), side.control(-1)
        own = [side.weight(-1, i) for i in range(len(self.c.names))]
        said = ", ".join(f"{n} {e.interval(self.level)}" for n, e in zip(self.c.names, own, strict=True))
        self.notes += [f"At the end the weights are {said}, controls {controls.interval(self.level)}.",
                       f"The mixture leaves {leaves.interval(self.level)} of the bits on offer."]  # fmt: skip
        unmatched = [test for test in self._unmatched(side, self.s.alpha, "") if test.holds]
        if unmatched:
            return self._say("matches-none", statements=unmatched[:1])
        order, reason, statements = self._order()
        if self.s.out_of_distribution:
            other = [test for test in self._other() if test.holds]
            if other:
                text = f"In distribution alone the verdict would be {order}. {other[0].text}."
                return self._say("other-out-of-distribution", text, statements=other[:1])
            if self.c.outside is None:
                self.notes.append("Nearly all evidence out of distribution is impossible: nothing is said about it.")
            elif not self.c.compared:
                self.notes.append("Out of distribution the references' weights are not told apart, and not compared.")
        if order == "inconclusive":
            return self._open(own[-1], leaves, reason)
        return self._say(order, reason, statements=statements)

    def _unmatched(self, side: Side, alpha: float, where: str) -> list[Statement]:
        tests = []
        for text, estimate in (
            (f"The mixture leaves more than {self.s.delta:g} of the bits on offer{where}", side.leaves(-1)),
            (f"Controls weigh more than {self.s.delta:g}{where}", side.control(-1)),
        ):
            p = float(estimate.p_above(self.s.delta))
            tests.append(Statement(text, estimate.interval(1 - alpha), p, p <= alpha))
        return tests

    def _other(self) -> list[Statement]:
        outside, inside = self.c.outside, self.c.inside
        if outside is None or not np.isfinite(outside.weights[-1]).all():
            return []
        places = range(len(self.c.names)) if self.c.compared else range(0)
        alpha = self.s.alpha / (2 + len(places))
        tests = self._unmatched(outside, alpha, " out of distribution")
        for i in places:
            change = outside.weights[-1, :, i] - inside.weights[-1, :, i]
            phi = None
            if outside.weights_influence is not None and inside.weights_influence is not None:
                # Clips in and out of distribution are independent draws; their groups are paired at will.
                phi = outside.weights_influence[:, -1, :, i] - inside.weights_influence[:, -1, :, i]
            estimate = over_seeds(change, phi)
            p = float(min(estimate.p_above(0.0), estimate.p_below(0.0)))
            text = f"Out of distribution the weight of {self.c.names[i]} is another, by at least {self.s.delta:g}"
            holds = p <= alpha and abs(float(estimate.mean)) >= self.s.delta
            tests.append(Statement(text, estimate.interval(1 - alpha), p, holds))
        return sorted(tests, key=lambda test: test.p)

    def _order(self) -> tuple[str, str, list[Statement]]:
        side, alpha, delta = self.c.inside, self.s.alpha, self.s.delta
        matched = []
        for text, estimate in (
            (f"The mixture leaves less than {delta:g} of the bits on offer", side.leaves(-1)),
            (f"Controls weigh less than {delta:g}", side.control(-1)),
        ):
            p = float(estimate.p_below(delta))
            matched.append(Statement(text, estimate.interval(self.level), p, p <= alpha))
        if not all(test.holds for test in matched):
            return "inconclusive", "Whether the references match the head is open.", []
        seen = self.dominating()
        way = [place for place, _ in itertools.groupby(place for _, place in seen)]
        steps: dict[int, int] = {}
        for at, place in seen:
            steps.setdefault(place, int(self.c.steps[at]))
        told = "; ".join(f"{self.c.names[place]} from step {step:,}" for place, step in steps.items())
        told = f"Dominating: {told}." if told else "No reference ever dominates."
        rich = len(self.c.names) - 1
        weight = side.weight(-1, rich)
        above, below = float(weight.p_above(HALF)), float(weight.p_below(HALF))
        interval, name = weight.interval(self.level), self.c.names[rich]
        if above <= alpha:
            test = Statement(f"At the end the weight of {name} is above one half", interval, above, True)
            rising = all(a < b for a, b in itertools.pairwise(way))
            verdict = "full-throughout" if way == [rich] else "in-order" if rising else "out-of-order"
            return verdict, told, [*matched, test]
        if below <= alpha:
            test = Statement(f"At the end the weight of {name} is below one half", interval, below, True)
            return ("out-of-order" if rich in way else "stops-early"), told, [*matched, test]
        return "inconclusive", told, []

    def dominating(self) -> list[tuple[int, int]]:
        """Checkpoints at which some reference dominates, and which."""
        side, found = self.c.inside, []
        for at in range(len(self.c.steps)):
            if not (np.isfinite(side.weights[at]).all() and float(side.leaves(at).mean) <= self.s.delta):
                continue
            for place in range(len(self.c.names)):
                if float(side.weight(at, place).p_above(HALF)) <= self.s.alpha:
                    found.append((at, place))
        return found

    def _open(self, rich: Estimate, leaves: Estimate, reason: str) -> Verdict:
        doubtful = min(((rich, HALF), (leaves, self.s.delta)), key=lambda pair: abs(float(pair[0].mean) - pair[1]))
        distance = abs(float(doubtful[0].mean) - doubtful[1])
        needed = seeds_needed(distance, float(doubtful[0].spread), self.level, most=MOST_SEEDS)
        last = f"No rule applies at α = {self.s.alpha:g}."
        last += f" About {needed} seeds would decide." if needed else " More seeds alone would not decide it."
        return replace(self._say("inconclusive", reason, last), seeds_needed=needed)

    def _say(self, name: str, *reasons: str, statements: Sequence[Statement] = ()) -> Verdict:
        return _named(self.base, name, *self.notes, *reasons, statements=statements)


def _named(base: Verdict, name: str, *reasons: str, statements: Sequence[Statement] = ()) -> Verdict:
    p = max((test.p for test in statements), default=math.nan)
    return replace(base, name=name, reasons=reasons, statements=tuple(statements), p=p)
