"""Crowded out or not: the ordered rule on a run and its twin (theory, section 6).

A pure function of arrays. u = U_deep / U*_deep is a run's own bits of all deep evidence together over what the exact
predictor has of them in the same world; the twin's shallow evidence tells nothing. T is the last step, and

    crowding(t) = u(twin) − u(base),    seed by seed: both have the same first parameters and the same clips
    early       = crowding(t_b), t_b the checkpoint where it is largest, chosen on one half of the seeds and tested on
                  the other, both ways; from 1 % of T

"Clearly" = estimate ≥ δ and lower limit > 0. Limits are those of two-sided 1 − α intervals, except for the equivalence,
which asks for the 1 − 2α interval inside ± ε at every checkpoint from 1 % of T. Rules in order, the first that applies:

1. `nothing-deep`: U*_deep < .05 bits in the base's world or in the twin's.
2. `untrained`: upper limit of u < .1 in both runs at every checkpoint from 1 % of T. The deep evidence is not learned
   even where nothing stands before it, so that nothing can be said of crowding.
3. `crowded-out`: crowding(T) clearly. `deep-favoured`: −crowding(T) clearly.
4. `delayed`: early clearly, and upper limit of crowding(T) ≤ ε. `hastened`: the same of −crowding.
5. `not-crowded`: crowding equivalent to 0 throughout, and at the end the lower limit of u(twin) > .1: where the twin
   itself has nothing, that the base has no less is no news.
6. `inconclusive`.

When the seeds split in two clusters at the end (after rules 1 and 2), the rules are asked of each cluster: one answer
stands, two answers are `inconclusive` and say which seeds went where.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.clusters import judged_apart
from probes.crowding.delay import Delay, delay
from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, Interval, binomial_interval, over_seeds, seeds_needed, two_clusters
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
NAMES = (
    "nothing-deep",
    "untrained",
    "crowded-out",
    "deep-favoured",
    "delayed",
    "hastened",
    "not-crowded",
    "inconclusive",
)
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Settings:
    """Margins and level of the verdict, fixed before a run.

    Attributes:
        delta: δ, the crowding that matters, as a share of own bits.
        epsilon: ε, the crowding that counts as none.
        alpha: α.
        least_ceiling: bits; a share of a smaller ceiling of own bits is undefined.
        untrained_below: share of own bits below which the deep evidence has not been learned.
        start: share of T before which a head may still be warming up.
        half: the share by which delay is timed.
        cluster_distance: width of the empty stretch that splits seeds in two, in crowding(T); 2δ when None.
    """

    delta: float = 0.10
    epsilon: float = 0.10
    alpha: float = 0.05
    least_ceiling: float = 0.05
    untrained_below: float = 0.1
    start: float = 0.01
    half: float = 0.5
    cluster_distance: float | None = None


@dataclass(frozen=True)
class Runs:
    """What the rule is asked about. T checkpoints, S seeds, G clip groups.

    Attributes:
        steps: training step of each checkpoint, rising, [T].
        base, twin: u of either run, [T, S]; NaN where a seed had diverged, or where the ceiling is too low.
        ceilings: U*_deep of the base's world and of the twin's, bits.
        base_influence, twin_influence: deviation of each clip group's u, [G, T, S]; None when exact.
        starved: seeds whose deep pull halved before half of the deep own bits were there, [S]; None when not measured.
    """

    steps: NDArray[np.int64]
    base: Floats
    twin: Floats
    ceilings: tuple[float, float]
    base_influence: Floats | None = None
    twin_influence: Floats | None = None
    starved: NDArray[np.bool_] | None = None

    def of(self, seeds: NDArray[np.bool_]) -> Runs:
        """The same runs for some of the seeds."""
        names = ("base", "twin", "base_influence", "twin_influence", "starved")
        arrays = {name: getattr(self, name) for name in names}
        cut: dict[str, Any] = {name: a if a is None else a[..., seeds] for name, a in arrays.items()}
        return replace(self, **cut)

    @property
    def crowding(self) -> Floats:
        """u(twin) − u(base), [T, S]."""
        return self.twin - self.base

    @property
    def influence(self) -> Floats | None:
        """Its deviation in each clip group, [G, T, S]."""
        if self.base_influence is None or self.twin_influence is None:
            return None
        return self.twin_influence - self.base_influence


def verdict(runs: Runs, settings: Settings | None = None, target: str = "") -> Verdict:
    """The verdict on a run and its twin.

    Seeds of which either run diverged are left out and counted.

    Raises:
        ProbeError: arrays that do not fit together, or fewer than two checkpoints.
    """
    settings = settings or Settings()
    _check(runs)
    base = Verdict("", (), target, settings=settings_dict(settings))
    least = min(runs.ceilings)
    if least < settings.least_ceiling:
        text = (
            f"By itself the deep evidence tells the exact predictor {least:.3f} bits, less than "
            f"{settings.least_ceiling:g}: nothing that could be crowded out."
        )
        return replace(base, name="nothing-deep", reasons=(text,), seeds=runs.base.shape[1])
    finite = np.asarray(np.isfinite(runs.base).all(0) & np.isfinite(runs.twin).all(0))
    base = replace(base, seeds=int(finite.sum()), diverged=int((~finite).sum()))
    notes = [f"{base.diverged} of {len(finite)} seeds diverged, or their twins did, and are left out."]
    notes = notes if base.diverged else []
    if base.seeds < 2:
        reason = "Fewer than two seeds: no interval over seeds."
        return replace(base, name="inconclusive", reasons=(*notes, reason), seeds_needed=8)
    kept = runs.of(finite)
    found = _Rules(kept, settings).apply(clusters=True)
    near = binomial_interval(int((kept.crowding[-1] <= settings.epsilon).sum()), base.seeds, 1 - settings.alpha)
    return replace(
        base.settled(found, notes), at_ceiling=near, ceiling=float(kept.twin[-1].mean()), ceiling_kind="twin"
    )


class _Rules:
    """The ordered rules, on seeds that are all finite."""

    def __init__(self, runs: Runs, settings: Settings) -> None:
        self.r, self.s = runs, settings
        self.level, self.inner = 1 - settings.alpha, 1 - 2 * settings.alpha
        self.last = len(runs.steps) - 1
        self.from_start = np.flatnonzero(runs.steps >= round(settings.start * float(runs.steps[-1])))
        self.crowding = over_seeds(runs.crowding, runs.influence)

    def apply(self, clusters: bool) -> Verdict:
        """Rules 2 to 6."""
        untrained = self._untrained()
        if untrained is not None:
            return untrained
        if clusters and (split_answer := self._clusters()) is not None:
            return split_answer
        return self._at_the_end() or self._early() or self._equivalent() or self._open()

    def _untrained(self) -> Verdict | None:
        r, s = self.r, self.s
        pairs = ((r.base, r.base_influence), (r.twin, r.twin_influence))
        found = [over_seeds(u, phi) for u, phi in pairs]
        below = [one.p_below(s.untrained_below)[self.from_start] for one in found]
        if max(float(p.max()) for p in below) > s.alpha:
            return None
        statements = []
        for name, one, p in zip(("base", "twin"), found, below, strict=True):
            worst = int(self.from_start[np.argmax(p)])
            text = f"At no checkpoint does the {name} have {s.untrained_below:.0%} of the deep own bits"
            statements.append(Statement(text, one.interval(self.level, worst), float(p.max()), True))
        reasons = [f"{one.text}; at most {_limits(one.interval)}." for one in statements]
        reasons.append("What is not learned even without the shallow evidence says nothing about crowding out.")
        if max(float(one.limits(self.level)[1][self.last]) for one in found) < 0:
            reasons.append("Own bits are below zero: the deep evidence is used, and wrongly.")
        return self._named("untrained", reasons, statements)

    def _clusters(self) -> Verdict | None:
        distance = 2 * self.s.delta if self.s.cluster_distance is None else self.s.cluster_distance
        upper = two_clusters(self.r.crowding[self.last], distance)
        if upper is None:
            return None
        found = judged_apart(
            upper,
            lambda seeds: _Rules(self.r.of(seeds), self.s).apply(clusters=False),
            lambda seeds: f"{self._end(seeds):.2f}",
            "{count} seeds end at a crowding of {end}, on their own `{name}`",
        )
        return replace(self._named(found.name, found.reasons, found.statements), clusters=found.clusters)

    def _end(self, seeds: NDArray[np.bool_]) -> float:
        return float(self.r.crowding[self.last][seeds].mean())

    def _at_the_end(self) -> Verdict | None:
        step = self.r.steps[-1]
        words = {
            1: ("crowded-out", "At the end the twin has clearly more of its deep own bits than the base"),
            -1: ("deep-favoured", "At the end the base has clearly more of its deep own bits than the twin"),
        }
        for sign, (name, text) in words.items():
            statement = self._clear(self._signed(self.last, sign), text)
            if not statement.holds:
                continue
            reasons = [self._shares(), f"{text}: by {statement.interval} at step {step:,}."]
            if sign == 1:
                late = over_seeds(*self._change())
                change = "closing" if float(late.p_above(0.0)) <= self.s.alpha else "not clearly closing"
                moved = f"over the last third of the {step:,} steps it fell by {_limits(late.interval(self.level))}"
                reasons += [f"The gap is {change} within this budget: {moved}.", *self._timed()]
            return self._named(name, reasons, [statement])
        return None

    def _early(self) -> Verdict | None:
        words = {
            1: ("delayed", "the twin was clearly ahead", "At the end the base is at most {:g} behind"),
            -1: ("hastened", "the base was clearly ahead", "At the end the twin is at most {:g} behind"),
        }
        for sign, (name, text, end) in words.items():
            closing = self._signed(self.last, sign)
            p = float(closing.p_below(self.s.epsilon))
            if p > self.s.alpha:
                continue
            gap, step = self._widest(sign)
            ahead = self._clear(gap, f"Earlier {text}")
            if not ahead.holds:
                continue
            closed = Statement(end.format(self.s.epsilon), closing.interval(self.level), p, True)
            reasons = [
                self._shares(),
                f"Earlier {text}: by {ahead.interval} around step {step:,}.",
                f"{closed.text}: {closed.interval}.",
                *(self._timed() if sign == 1 else []),
            ]
            return self._named(name, reasons, [ahead, closed])
        return None

    def _equivalent(self) -> Verdict | None:
        p = self.crowding.p_within(self.s.epsilon)[self.from_start]
        if float(p.max()) > self.s.alpha:
            return None
        twin = over_seeds(self.r.twin[self.last], _at_last(self.r.twin_influence))
        learned_p = float(twin.p_above(self.s.untrained_below))
        if learned_p > self.s.alpha:
            return None
        words = f"At the end the twin has more than {self.s.untrained_below:.0%} of its deep own bits"
        learned = Statement(words, twin.interval(self.level), learned_p, True)
        worst = int(self.from_start[np.argmax(p)])
        begin = f"At every checkpoint from {self.s.start:.0%} of the run"
        text = f"{begin} crowding lies within ±{self.s.epsilon:g}"
        statement = Statement(text, self.crowding.interval(self.inner, worst), float(p.max()), True)
        worst_words = f"{text}; at worst {statement.interval} at step {self.r.steps[worst]:,}."
        return self._named("not-crowded", [self._shares(), worst_words], [statement, learned])

    def _open(self) -> Verdict:
        needed = self._needed()
        reasons = [
            self._shares(),
            f"At step {self.r.steps[-1]:,} crowding is {self.crowding.interval(self.level, self.last)}; "
            f"no rule applies at α = {self.s.alpha:g}.",
            f"About {needed} seeds would decide."
            if needed
            else "More seeds alone would not decide it: use more evaluation clips, or a longer run.",
        ]
        return replace(self._named("inconclusive", reasons, []), seeds_needed=needed)

    def _needed(self) -> int | None:
        mean = np.abs(self.crowding.mean)
        places = {self.last}
        early = self.from_start[:-1]
        if len(early) and mean[self.last] < self.s.delta:
            clear = mean[early] >= self.s.delta
            places |= {int(early[np.argmax(mean[early])])} if clear.any() else set(early.tolist())
        counts = [self._seeds(place) for place in places]
        return None if any(count is None for count in counts) else max(count for count in counts if count is not None)

    def _seeds(self, place: int) -> int | None:
        mean = abs(float(self.crowding.mean[place]))
        distance = mean if mean >= self.s.delta else self.s.epsilon - mean
        # What clips leave uncertain no seed removes: it is taken off the distance first.
        room = distance**2 - (2 * float(self.crowding.clip_error[place])) ** 2
        spread = float(self.crowding.spread[place])
        return seeds_needed(math.sqrt(room), spread, self.level, most=MOST_SEEDS) if room > 0 else None

    def _signed(self, at: int, sign: int) -> Estimate:
        phi = self.r.influence
        return over_seeds(sign * self.r.crowding[at], None if phi is None else sign * phi[:, at])

    def _widest(self, sign: int) -> tuple[Estimate, int]:
        gap, seeds = sign * self.r.crowding, np.arange(self.r.base.shape[1])
        widest = np.empty(len(seeds), dtype=np.int64)
        for half in (0, 1):
            chosen = np.argmax(gap[self.from_start][:, seeds % 2 == half].mean(1))
            widest[seeds % 2 != half] = self.from_start[int(chosen)]
        phi = self.r.influence
        moved = None if phi is None else sign * phi[:, widest, seeds]
        return over_seeds(gap[widest, seeds], moved), int(self.r.steps[int(np.median(widest))])

    def _change(self) -> tuple[Floats, Floats | None]:
        third = int(np.argmin(np.abs(self.r.steps[:-1] - 2 * self.r.steps[-1] / 3)))
        gap, phi = self.r.crowding, self.r.influence
        return gap[third] - gap[self.last], None if phi is None else phi[:, third] - phi[:, self.last]

    def _clear(self, estimate: Estimate, text: str) -> Statement:
        p = float(estimate.p_above(0.0))
        holds = p <= self.s.alpha and float(estimate.mean) >= self.s.delta
        return Statement(text, estimate.interval(self.level), p, holds)

    def _shares(self) -> str:
        base, twin = (float(u[self.last].mean()) for u in (self.r.base, self.r.twin))
        return (
            f"At step {self.r.steps[-1]:,} the base has {base:.0%} of its deep own bits, "
            f"the twin, whose shallow evidence tells nothing, {twin:.0%} of its own."
        )

    def _timed(self) -> list[str]:
        found: Delay = delay(self.r.steps, self.r.base, self.r.twin, self.s.half, self.level)
        if found.value is None:
            words = [f"Delay: {found.note}."]
        else:
            words = [f"To {self.s.half:g} of them the base takes {found}."]
        if self.r.starved is not None and self.r.starved.any():
            count, seeds = int(self.r.starved.sum()), len(self.r.starved)
            words.append(
                f"In {count} of {seeds} seeds the pull on the deep evidence had halved before {self.s.half:g} of its "
                "own bits were there: it starves."
            )
        return words

    def _named(self, name: str, reasons: Sequence[str], statements: Sequence[Statement]) -> Verdict:
        return Verdict(name, tuple(reasons), statements=tuple(statements))


def _check(runs: Runs) -> None:
    shape = (len(runs.steps), runs.base.shape[-1])
    if shape[0] < 2 or np.any(np.diff(runs.steps) <= 0):
        mend = "train with checkpoints"
        raise ProbeError("a verdict needs at least two checkpoints in rising order", found=list(runs.steps), mend=mend)
    for name in ("base", "twin"):
        found = getattr(runs, name).shape
        if found != shape:
            raise ProbeError(
                f"the {name}'s own bits do not fit", found=found, expected=f"[checkpoints, seeds] = {shape}"
            )


def _at_last(influence: Floats | None) -> Floats | None:
    return None if influence is None else influence[:, -1]


def _limits(interval: Interval) -> str:
    return str(interval)
