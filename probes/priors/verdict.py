"""Which penalty moves heads towards deriving at run time, and which away? The ordered rule (theory, section 12).

A pure function of arrays. d(p) is what is derived at run time under penalty p (`probes.priors.pressure`), Δ(p) = d(p) −
d(no penalty), seed by seed. "Towards" = Δ ≥ δ and p ≤ α/2, "away" = −Δ ≥ δ and p ≤ α/2: of the two single penalties the
more extreme is looked for (Bonferroni). Rules in order:

1. `nothing-to-derive`: the pie is < .05 bits.
2. `untrained`: without a penalty the upper limit of the captured share is < .1.
3. `price-too-high`: so it is under the speed or the complexity penalty.
4. `reversed`: the speed penalty moves towards deriving, or the complexity penalty away.
5. `as-argued`: the speed penalty moves away, the complexity penalty towards.
6. `speed-hard-codes`: the speed penalty moves away.
7. `complexity-derives`: the complexity penalty moves towards.
8. `unmoved`: under both Δ lies inside ± δ (each two one-sided tests at α).
9. `inconclusive`, with the number of seeds that would decide.

Beside the verdict stands the outer loop's choice: the fewest rounds R whose loss exceeds the best one's by less than δ
of the pie (p ≤ α/m, m the other numbers of rounds), the best one being chosen on one half of the seeds and held against
R on the other, both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Statement, Verdict, settings_dict
from probes.priors import flip
from probes.statistics import Estimate, over_seeds, seeds_needed
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
NAMES = (
    "nothing-to-derive",
    "untrained",
    "price-too-high",
    "reversed",
    "as-argued",
    "speed-hard-codes",
    "complexity-derives",
    "unmoved",
    "inconclusive",
)


@dataclass(frozen=True)
class Settings:
    """Margins and level of the verdict, fixed before a run.

    Attributes:
        delta: δ, the share of the pie that matters.
        alpha: α.
        least_pie: bits below which there is nothing to derive.
        untrained_below: share of the pie below which nothing was learned.
        margin: how far the programs' measured exchange rate may lie from the symbolic one, as a share.
    """

    delta: float = 0.10
    alpha: float = 0.05
    least_pie: float = 0.05
    untrained_below: float = 0.1
    margin: float = 0.20

    @property
    def of_programs(self) -> flip.Settings:
        """What the programs' rule is asked with."""
        return flip.Settings(self.margin, self.alpha)


@dataclass(frozen=True)
class Pressed:
    """What the rule is asked about: S seeds under V conditions, the first without a penalty.

    Attributes:
        derived, captured: shares of the pie, [S, V], in the order none, complexity, speed, both.
        pie: bits.
        loop: rounds of the outer loop, fewest first.
        loop_loss: [S, R], bits.
    """

    derived: Floats
    captured: Floats
    pie: float
    loop: Sequence[int] = ()
    loop_loss: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    def of(self, seeds: NDArray[np.bool_]) -> Pressed:
        """Some of the seeds."""
        loop = self.loop_loss[seeds] if len(self.loop) else self.loop_loss
        return replace(self, derived=self.derived[seeds], captured=self.captured[seeds], loop_loss=loop)


def verdict(pressed: Pressed, settings: Settings, target: str = "") -> Verdict:
    """The conclusion; a seed that diverged under some penalty is left out."""
    base = Verdict("inconclusive", (), target, settings=settings_dict(settings), seeds=len(pressed.derived))
    if pressed.pie < settings.least_pie:
        words = f"All evidence tells {pressed.pie:.3f} bits: there is nothing to derive."
        return replace(base, name="nothing-to-derive", reasons=(words,))
    sound = np.asarray(np.isfinite(pressed.derived).all(1) & np.isfinite(pressed.captured).all(1))
    if len(pressed.loop):
        sound &= np.isfinite(pressed.loop_loss).all(1)
    seeds = int(sound.sum())
    if not seeds:
        raise ProbeError("every seed diverged", node=target, mend="train with a smaller learning rate")
    base = replace(base, seeds=seeds, diverged=int((~sound).sum()))
    if seeds < 2:
        return replace(base, reasons=("Fewer than two seeds: no interval over seeds.",), seeds_needed=8)
    kept = pressed.of(sound)
    found = _low(kept, settings) or _moved(kept, settings)
    return base.settled(found, after=loop_words(kept, settings))


def _low(c: Pressed, s: Settings) -> Verdict | None:
    for column, name, words in (
        (0, "untrained", "Without a penalty"),
        (2, "price-too-high", "Under the speed penalty"),
        (1, "price-too-high", "Under the complexity penalty"),
    ):
        share = over_seeds(np.maximum(c.captured[:, column], 0.0))
        p = float(share.p_below(s.untrained_below))
        if p <= s.alpha:
            text = f"{words} heads capture less than {s.untrained_below:.0%} of the pie"
            statement = Statement(text, share.interval(1 - s.alpha), p, True)
            return Verdict(name, (f"{text}: {statement.interval}.",), statements=(statement,))
    return None


def change(c: Pressed, column: int) -> Estimate:
    """Δ of a condition, seed by seed."""
    return over_seeds(c.derived[:, column] - c.derived[:, 0])


def _moved(c: Pressed, s: Settings) -> Verdict:
    changes = {"complexity": change(c, 1), "speed": change(c, 2)}
    found: dict[tuple[str, int], Statement] = {}
    for name, estimate in changes.items():
        for sign, way in ((1, "towards"), (-1, "away from")):
            p = float(estimate.p_above(0.0) if sign > 0 else estimate.p_below(0.0))
            holds = p <= s.alpha / 2 and sign * float(estimate.mean) >= s.delta
            text = f"The {name} penalty moves heads {way} deriving at run time"
            found[name, sign] = Statement(text, estimate.interval(1 - s.alpha / 2), min(1.0, 2 * p), holds)
    told = "; ".join(f"{name} {e.interval(1 - s.alpha / 2)}" for name, e in changes.items())
    both = change(c, 3).interval(1 - s.alpha)
    words = f"Change of what is derived, as a share of the pie: {told}; both together {both}."
    for name, needed, several in (
        ("reversed", (("speed", 1), ("complexity", -1)), any),
        ("as-argued", (("speed", -1), ("complexity", 1)), all),
        ("speed-hard-codes", (("speed", -1),), all),
        ("complexity-derives", (("complexity", 1),), all),
    ):
        if several(found[one].holds for one in needed):
            held = tuple(found[one] for one in needed if found[one].holds)
            return Verdict(name, (*(f"{one.text}: by {one.interval}." for one in held), words), statements=held)
    still = []
    for name, estimate in changes.items():
        p = float(estimate.p_within(s.delta))
        text = f"Under the {name} penalty what is derived changes by less than {s.delta:g}"
        still.append(Statement(text, estimate.interval(1 - 2 * s.alpha), p, p <= s.alpha))
    if all(one.holds for one in still):
        return Verdict("unmoved", (words,), statements=tuple(still))
    return Verdict("inconclusive", (words, "No rule applies."), seeds_needed=_needed(changes.values(), s))


def _needed(changes: Iterable[Estimate], s: Settings) -> int | None:
    counts = []
    for estimate in changes:
        mean = abs(float(estimate.mean))
        room = mean if mean >= s.delta else s.delta - mean
        counts.append(seeds_needed(room, float(estimate.spread), 1 - s.alpha / 2, most=1000))
    known = [count for count in counts if count is not None]
    return max(known) if len(known) == len(counts) else None


@dataclass(frozen=True)
class Choice:
    """What the outer loop settles on.

    Attributes:
        rounds: the fewest that keep performance; None where even the most do not clearly do.
        best: rounds of the smallest mean loss.
        behind: for each number of rounds, its loss beyond the best one's as a share of the pie.
    """

    rounds: int | None
    best: int
    behind: tuple[Estimate, ...]


def chosen(c: Pressed, s: Settings) -> Choice:
    """The strongest speed prior that keeps performance."""
    seeds = np.arange(len(c.loop_loss))
    best = np.empty(len(seeds), dtype=np.int64)
    for half in (0, 1):
        others = seeds % 2 != half
        best[seeds % 2 == half] = int(c.loop_loss[others if others.any() else ~others].mean(0).argmin())
    behind = (c.loop_loss - c.loop_loss[seeds, best][:, None]) / c.pie
    estimates = tuple(over_seeds(behind[:, column]) for column in range(len(c.loop)))
    m = max(len(c.loop) - 1, 1)
    kept = [rounds for rounds, one in zip(c.loop, estimates, strict=True) if _kept(one, s, m)]
    return Choice(kept[0] if kept else None, int(c.loop[int(c.loop_loss.mean(0).argmin())]), estimates)


def _kept(one: Estimate, s: Settings, others: int) -> bool:
    return float(one.p_below(s.delta)) / 2 <= s.alpha / others and float(one.mean) < s.delta


def loop_words(c: Pressed, s: Settings) -> tuple[str, ...]:
    """One sentence about the outer loop; none where there was none."""
    if not len(c.loop):
        return ()
    choice = chosen(c, s)
    told = "; ".join(
        f"{rounds}: {one.interval(1 - s.alpha)}" for rounds, one in zip(c.loop, choice.behind, strict=True)
    )
    settled = (
        "No number of rounds clearly keeps performance"
        if choice.rounds is None
        else f"The strongest speed prior that keeps performance is {choice.rounds} rounds an episode"
    )
    return (f"{settled} (loss beyond the best, {choice.best} rounds, as a share of the pie, by rounds: {told}).",)
