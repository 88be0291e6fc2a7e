"""Deepen or stagnate: the ordered rule that turns efficiency curves into a verdict (theory, section 5).

A pure function of arrays. e(t) is the deep efficiency of the head at checkpoint t, T the last step.

    gap  = ceiling − e(T)
    late = e(T) − e(2T/3)
    rise = e(T) − e(when shallow efficiency, on average over seeds, came to 90–98 % of its final value;
           1 % of T if the shallow pie is < .05 bits)
    drop = e(t_b) − e(T), t_b chosen on one half of the seeds and tested on the other, both ways

From 90 to 98 % because a single threshold would make the rise jump where a checkpoint lies on it, and let the verdict
hang on the seed of the clips: each checkpoint counts by how much of that way the best shallow efficiency so far went in
it.

"Clearly" = estimate ≥ δ and lower limit > 0. Limits are those of two-sided 1 − α intervals, except for the equivalence
of `late`, which asks for the 1 − 2α interval inside ± δ. Rules in order, the first that applies:

1. `nothing-deep`: deep pie < .05 bits.
2. `untrained`: upper limit of ΣC/ΣI over all rungs < .1 at every checkpoint.
3. `regressing`: drop clearly.
4. upper limit of gap ≤ ε: `deep-throughout` if so at every checkpoint from 1 % of T; `deepening` if rise clearly; else
   `deep-with-shallow`.
5. lower limit of gap > ε: `stagnating` if late is equivalent to 0; `delayed` if its lower limit > 0; `fading` if its
   upper limit < 0.
6. `inconclusive`.

When the seeds split in two clusters at the end (after rules 1 and 2), the rules are asked of each cluster: one answer
stands, two answers are `inconclusive` and say which seeds went where.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probes.clusters import judged_apart
from probes.finding import Statement, Verdict, settings_dict
from probes.pie import shallow_rungs
from probes.statistics import (
    Estimate,
    binomial_interval,
    equivalence_power,
    over_seeds,
    seeds_needed,
    two_clusters,
)
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
NAMES = (
    "nothing-deep",
    "untrained",
    "regressing",
    "deep-throughout",
    "deepening",
    "deep-with-shallow",
    "stagnating",
    "delayed",
    "fading",
    "inconclusive",
)
MOST_SEEDS = 1000
LEARNED = (0.90, 0.98)  # shares of its final efficiency between which the shallow part comes to count as learned


@dataclass(frozen=True)
class Settings:
    """Margins and level of the verdict, fixed before a run.

    Attributes:
        delta: δ, the change in efficiency that matters.
        epsilon: ε, the gap to the ceiling that counts as closed.
        alpha: α.
        shallow_share: the shallow rungs hold at least this share of the pie.
        shallow_rungs: k0 itself, when fixed beforehand (a twin run keeps its base run's).
        least_pie: bits below which a part of the pie is nothing.
        untrained_below: efficiency of the whole pie below which nothing has been learned.
        start: share of T before which a head may still be warming up.
        ceiling: what counts as all of it: "exact" (1, message passing in W*) or "world-model" (what the model under the
            head captures itself at the end).
        cluster_distance: width of the empty stretch that splits seeds in two, in efficiency; 2δ when None.
    """

    delta: float = 0.10
    epsilon: float = 0.10
    alpha: float = 0.05
    shallow_share: float = 0.5
    shallow_rungs: int | None = None
    least_pie: float = 0.05
    untrained_below: float = 0.1
    start: float = 0.01
    ceiling: Literal["exact", "world-model"] = "exact"
    cluster_distance: float | None = None


@dataclass(frozen=True)
class Curves:
    """What the rule is asked about. T checkpoints, S seeds, G clip groups.

    Attributes:
        steps: training step of each checkpoint, rising, [T].
        deep, shallow, total: efficiency of the rungs beyond k0, up to k0, and of all, [T, S].
        information: I_k in bits, [K].
        shallow_rungs: k0.
        deep_influence, total_influence: deviation of each clip group's contribution to `deep` and `total`, [G, T, S];
            None when exact.
        ceiling: the deep efficiency that is all one can ask for, a number or one per seed.
        ceiling_kind: "exact", "world-model" or "fresh".
    """

    steps: NDArray[np.int64]
    deep: Floats
    shallow: Floats
    total: Floats
    information: Floats
    shallow_rungs: int
    deep_influence: Floats | None = None
    total_influence: Floats | None = None
    ceiling: float | Floats = 1.0
    ceiling_kind: str = "exact"

    def of(self, seeds: NDArray[np.bool_]) -> Curves:
        """The same curves for some of the seeds."""
        cut = {name: getattr(self, name)[..., seeds] for name in ("deep", "shallow", "total")}
        for name in ("deep_influence", "total_influence"):
            phi = getattr(self, name)
            cut[name] = None if phi is None else phi[..., seeds]
        ceiling = self.ceiling if np.ndim(self.ceiling) == 0 else np.asarray(self.ceiling)[seeds]
        return replace(self, **cut, ceiling=ceiling)


def split(information: Floats, settings: Settings) -> int:
    """k0, the last shallow rung under these settings.

    Raises:
        ProbeError: a fixed k0 that leaves no rung on one of the sides.
    """
    if settings.shallow_rungs is None:
        return shallow_rungs(information, settings.shallow_share)
    if not 1 <= settings.shallow_rungs <= max(1, len(information) - 1):
        raise ProbeError(
            "no such split", found=settings.shallow_rungs, expected=f"1 to {len(information) - 1} shallow rungs"
        )
    return settings.shallow_rungs


def verdict(curves: Curves, settings: Settings | None = None, target: str = "") -> Verdict:
    """The verdict on a head's curves.

    Seeds with a number that is not finite diverged: they are left out and counted.

    Raises:
        ProbeError: arrays that do not fit together, or fewer than two checkpoints.
    """
    settings = settings or Settings()
    _check(curves)
    deep_pie = float(curves.information[curves.shallow_rungs :].sum())
    base = Verdict("", (), target, ceiling=float(np.mean(curves.ceiling)), ceiling_kind=curves.ceiling_kind,
                   settings=settings_dict(settings))  # fmt: skip
    if deep_pie < settings.least_pie:
        text = f"The deep rungs offer {deep_pie:.3f} bits, less than {settings.least_pie:g}: nothing to deepen into."
        return replace(base, name="nothing-deep", reasons=(text,), seeds=curves.deep.shape[1])
    finite = np.asarray(np.isfinite(curves.deep).all(0) & np.isfinite(curves.total).all(0))
    base = replace(base, seeds=int(finite.sum()), diverged=int((~finite).sum()))
    notes = [f"{base.diverged} of {len(finite)} seeds diverged and are left out."] if base.diverged else []
    if base.seeds < 2:
        return replace(
            base, name="inconclusive", reasons=(*notes, "Fewer than two seeds: no interval over seeds."), seeds_needed=8
        )
    kept = curves.of(finite)
    found = _Rules(kept, settings).apply(clusters=True)
    return base.settled(found, notes)


class _Rules:
    """The ordered rules, on seeds that are all finite."""

    def __init__(self, curves: Curves, settings: Settings) -> None:
        self.c, self.s = curves, settings
        self.level, self.inner = 1 - settings.alpha, 1 - 2 * settings.alpha
        self.last = len(curves.steps) - 1

    def apply(self, clusters: bool) -> Verdict:
        """Rules 2 to 6."""
        c, s = self.c, self.s
        untrained = over_seeds(c.total, c.total_influence)
        p = untrained.p_below(s.untrained_below)
        if np.all(p <= s.alpha):
            worst = int(np.argmax(untrained.limits(self.level)[1]))
            text = f"At no checkpoint does the head capture {s.untrained_below:.0%} of the pie"
            statement = Statement(text, untrained.interval(self.level, worst), float(p.max()), True)
            return self._named(
                "untrained", [f"{text}; at most {_percent(statement)} (step {c.steps[worst]:,})."], [statement]
            )
        if clusters and (split_answer := self._clusters()) is not None:
            return split_answer
        return self._regressing() or self._closed() or self._open()

    def _clusters(self) -> Verdict | None:
        distance = 2 * self.s.delta if self.s.cluster_distance is None else self.s.cluster_distance
        upper = two_clusters(self.c.deep[self.last], distance)
        if upper is None:
            return None
        found = judged_apart(
            upper,
            lambda seeds: _Rules(self.c.of(seeds), self.s).apply(clusters=False),
            lambda seeds: f"{self._end(seeds):.2f}",
            "{count} seeds end at a deep efficiency of {end}, on their own `{name}`",
        )
        return replace(self._named(found.name, found.reasons, found.statements), clusters=found.clusters)

    def _end(self, seeds: NDArray[np.bool_]) -> float:
        return float(self.c.deep[self.last][seeds].mean())

    def _regressing(self) -> Verdict | None:
        drop, best = self._drop()
        statement = self._clear(drop, "Deep efficiency has fallen from its best checkpoint to the last")
        if not statement.holds:
            return None
        course = f"from its best (around step {best:,}) to step {self.c.steps[-1]:,}"
        text = f"Deep efficiency fell by {statement.interval} {course}."
        return self._named("regressing", [text], [statement])

    def _closed(self) -> Verdict | None:
        c, s = self.c, self.s
        gaps = self._gap(slice(None))
        closed = gaps.p_below(s.epsilon)
        if closed[-1] > s.alpha:
            return None
        ending = Statement(
            f"At the end the gap to the ceiling is at most {s.epsilon:g}",
            gaps.interval(self.level, -1),
            float(closed[-1]),
            True,
        )
        reasons = [f"At step {c.steps[-1]:,} the gap to the {c.ceiling_kind} ceiling is {ending.interval}."]
        from_start = np.flatnonzero(c.steps >= self._early())
        if np.all(closed[from_start] <= s.alpha):
            worst = int(from_start[np.argmax(closed[from_start])])
            text = f"So it is at every checkpoint from {s.start:.0%} of the run"
            always = Statement(text, gaps.interval(self.level, worst), float(closed[worst]), True)
            return self._named(
                "deep-throughout",
                [*reasons, f"{text}; at worst {always.interval} at step {c.steps[worst]:,}."],
                [ending, always],
            )
        rise, since = self._rise()
        rising = self._clear(rise, "Deep efficiency rose after the shallow evidence had been learned")
        reasons.append(f"Since step {since:,}, {self._anchor_words}, deep efficiency rose by {rising.interval}.")
        if rising.holds:
            return self._named("deepening", reasons, [ending, rising])
        reasons.append(
            f"That is not clearly {s.delta:g} or more: the deep evidence was learned together with the shallow."
        )
        return self._named("deep-with-shallow", reasons, [ending])

    def _open(self) -> Verdict:
        c, s = self.c, self.s
        gap, third = self._gap(self.last), self._third()
        phi = c.deep_influence
        late = over_seeds(c.deep[self.last] - c.deep[third], None if phi is None else phi[:, self.last] - phi[:, third])
        budget = f"the last third of the {c.steps[-1]:,} steps"
        p_gap = float(gap.p_above(s.epsilon))
        ending = Statement(
            f"At the end the gap to the ceiling is above {s.epsilon:g}",
            gap.interval(self.level),
            p_gap,
            p_gap <= s.alpha,
        )
        reasons = [f"At step {c.steps[-1]:,} the gap to the {c.ceiling_kind} ceiling is {ending.interval}."]
        if ending.holds:
            still, up, down = float(late.p_within(s.delta)), float(late.p_above(0.0)), float(late.p_below(0.0))
            if still <= s.alpha:
                statement = Statement(
                    f"Over {budget} deep efficiency changed by less than {s.delta:g}",
                    late.interval(self.inner),
                    still,
                    True,
                )
                change = f"it changed by {statement.interval}, less than {s.delta:g}"
                words = f"Over {budget} {change}: stagnating within this budget."
                return self._named("stagnating", [*reasons, words], [ending, statement])
            for name, p_value, word in (("delayed", up, "rose"), ("fading", down, "fell")):
                if p_value <= s.alpha:
                    statement = Statement(
                        f"Over {budget} deep efficiency {word}", late.interval(self.level), p_value, True
                    )
                    return self._named(
                        name, [*reasons, f"Over {budget} it {word}: change {statement.interval}."], [ending, statement]
                    )
        needed = self._needed(gap, late)
        reasons.append(
            f"Over {budget} deep efficiency changed by {late.interval(self.inner)}; no rule applies at α = {s.alpha:g}."
        )
        reasons.append(
            f"About {needed} seeds would decide."
            if needed
            else "More seeds alone would not decide it: use more evaluation clips, or a longer run."
        )
        return replace(self._named("inconclusive", reasons, []), seeds_needed=needed)

    def _needed(self, gap: Estimate, late: Estimate) -> int | None:
        s = self.s
        distance = float(gap.mean) - s.epsilon
        limit = self._seeds(abs(distance), gap)
        if distance <= 0 or limit is None:
            return limit
        change = abs(float(late.mean))
        if change < s.delta:
            counts = [n for n in range(2, MOST_SEEDS) if n < 65 or n % 8 == 0]
            power = functools.partial(equivalence_power, float(late.spread))
            place = bisect.bisect_left(counts, 0.8, key=lambda n: power(n, s.delta, change, s.alpha))  # it grows with n
            other = counts[place] if place < len(counts) else None
        else:
            other = self._seeds(change, late)
        return None if other is None else max(limit, other)

    def _seeds(self, distance: float, estimate: Estimate) -> int | None:
        # What clips leave uncertain no seed removes: it is taken off the distance first.
        room = distance**2 - (2 * float(estimate.clip_error)) ** 2
        return seeds_needed(math.sqrt(room), float(estimate.spread), self.level, most=MOST_SEEDS) if room > 0 else None

    def _gap(self, at: slice | int) -> Estimate:
        phi = self.c.deep_influence
        return over_seeds(np.asarray(self.c.ceiling) - self.c.deep[at], None if phi is None else -phi[:, at])

    def _drop(self) -> tuple[Estimate, int]:
        c = self.c
        seeds = np.arange(c.deep.shape[1])
        best = np.empty(len(seeds), dtype=np.int64)
        for half in (0, 1):
            best[seeds % 2 != half] = int(np.argmax(c.deep[:, seeds % 2 == half].mean(1)))
        values = c.deep[best, seeds] - c.deep[self.last]
        phi = c.deep_influence
        moved = None if phi is None else phi[:, best, seeds] - phi[:, self.last]
        return over_seeds(values, moved), int(c.steps[int(np.median(best))])

    def _rise(self) -> tuple[Estimate, int]:
        c = self.c
        weight = np.zeros(len(c.steps))
        weight[np.flatnonzero(c.steps >= self._early())[0]] = 1.0
        self._anchor_words = f"{self.s.start:.0%} of the run"
        shallow = c.shallow.mean(1)
        if float(c.information[: c.shallow_rungs].sum()) >= self.s.least_pie and shallow[-1] > 0:
            best = np.maximum.accumulate(shallow) / shallow[-1]
            weight = np.diff(np.clip((best - LEARNED[0]) / (LEARNED[1] - LEARNED[0]), 0.0, 1.0), prepend=0.0)
            self._anchor_words = "when the shallow evidence had been learned"
        phi = c.deep_influence
        moved = None if phi is None else phi[:, self.last] - np.tensordot(phi, weight, (1, 0))
        return over_seeds(c.deep[self.last] - weight @ c.deep, moved), round(float(weight @ c.steps))

    def _early(self) -> float:
        return round(self.s.start * float(self.c.steps[-1]))

    def _third(self) -> int:
        return int(np.argmin(np.abs(self.c.steps[:-1] - 2 * self.c.steps[-1] / 3)))

    def _clear(self, estimate: Estimate, text: str) -> Statement:
        p = float(estimate.p_above(0.0))
        return Statement(
            text, estimate.interval(self.level), p, p <= self.s.alpha and float(estimate.mean) >= self.s.delta
        )

    def _named(self, name: str, reasons: Sequence[str], statements: Sequence[Statement]) -> Verdict:
        gap = np.asarray(self.c.ceiling) - self.c.deep[self.last]
        near = binomial_interval(int((gap <= self.s.epsilon).sum()), len(gap), self.level)
        return Verdict(name, tuple(reasons), statements=tuple(statements), at_ceiling=near)


def _check(curves: Curves) -> None:
    shape = (len(curves.steps), curves.deep.shape[-1])
    if shape[0] < 2 or np.any(np.diff(curves.steps) <= 0):
        raise ProbeError(
            "a verdict needs at least two checkpoints in rising order",
            found=list(curves.steps),
            mend="train with checkpoints",
        )
    for name in ("deep", "shallow", "total"):
        if getattr(curves, name).shape != shape:
            raise ProbeError(
                f"curve {name!r} does not fit",
                found=getattr(curves, name).shape,
                expected=f"[checkpoints, seeds] = {shape}",
            )


def _percent(statement: Statement) -> str:
    return f"{statement.interval.estimate:.0%} (upper limit {statement.interval.high:.0%})"
