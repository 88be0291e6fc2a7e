"""Does the flip of the running programs lie where the symbols put it? Measurement, findings and the rule.

Every seed is a situation of its own (`probes.priors.situation`): another objective, other reports and clues, another
episode. In it the parts and the whole programs are costed (`measured_programs`), and the exchange rate at which the
choice between H_sd and H_fh flips is computed twice: from the whole programs as they ran, and from the parts' costs by
the formula g* = Δt / (G − S − C). That the two agree tests one thing only: that costs add up. On each clock, rules in
order:

1. `undecided`: the two-part and the prequential code rank H_sd and H_fh differently, each clearly.
2. `never-flips`: one of the two is clearly ahead on both axes, the whole programs as they ran.
3. `flips-as-predicted`: measured/symbolic − 1 lies inside ± margin (90 % interval for α = .05).
4. `flips-elsewhere`: it lies outside, clearly.
5. `inconclusive`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.finding import Statement, Verdict, settings_dict
from probes.measurement import Measurement
from probes.priors.measured_programs import CLOCKS, Costed, costed
from probes.priors.programs import PROGRAMS
from probes.priors.situation import Sizes, situation
from probes.statistics import Estimate, over_seeds, seeds_needed
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
NAMES = ("undecided", "never-flips", "flips-as-predicted", "flips-elsewhere", "inconclusive")
TARGETS = {clock: f"programs, {clock}" for clock in CLOCKS}


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        margin: how far measured/symbolic may lie from 1.
        alpha: α.
    """

    margin: float = 0.20
    alpha: float = 0.05


def measured(seeds: Sequence[int], sizes: Sizes | None = None, step: int = 0) -> list[Measurement]:
    """The five programs in one situation per seed, a measurement for each clock.

    Args:
        seeds: of the situations.
        sizes: of the problems.
        step: what stands for the training step, where the measurement lies beside that of heads.
    """
    found = [costed(situation(seed, sizes)) for seed in seeds]
    return [_measurement(found, tuple(seeds), clock, step) for clock in CLOCKS]


def _measurement(found: Sequence[Costed], seeds: tuple[int, ...], clock: str, step: int) -> Measurement:
    def column(number: object) -> Floats:
        return np.array([[number(one) for one in found]], dtype=np.float64)  # type: ignore[operator]

    numbers = {
        "saved": column(lambda one: one.measured(clock).saved),
        "lost": column(lambda one: one.measured(clock).lost),
        "saved, parts": column(lambda one: one.symbolic(clock).saved),
        "lost, parts": column(lambda one: one.symbolic(clock).lost),
        "saved, prequential": column(lambda one: one.prequential["H_fh"] - one.prequential["H_sd"]),
        "fast deceptive longer": column(lambda one: one.whole["H_fd"].total - one.whole["H_fh"].total),
        "fast deceptive slower": column(lambda one: one.clocks[clock]["H_fd"] - one.clocks[clock]["H_fh"]),
        "find, marginal": column(lambda one: one.times[clock].find),
        "find, alone": column(lambda one: one.find_alone[clock]),
        "optimise": column(lambda one: one.times[clock].optimise),
    }
    for name in PROGRAMS:
        numbers[f"length, {name}"] = column(lambda one, name=name: one.whole[name].total)
        numbers[f"whole less parts, {name}"] = column(lambda one, name=name: one.excess(name))
        numbers[f"loss, {name}"] = column(lambda one, name=name: one.whole[name].loss)
        numbers[f"time, {name}"] = column(lambda one, name=name: one.clocks[clock][name])
    for part in found[0].lengths.as_dict():
        numbers[f"c({part})"] = column(lambda one, part=part: one.lengths.as_dict()[part])
    for part in found[0].times[clock].as_dict():
        numbers[f"t({part})"] = column(lambda one, part=part: one.times[clock].as_dict()[part])
    return Measurement(TARGETS[clock], seeds, np.array([step]), numbers, plain={"clock": clock})


def rate(saved: Floats, lost: Floats) -> Floats:
    """g* = lost/saved; NaN where one program is ahead on both axes."""
    flips = saved * lost > 0
    return np.where(flips, lost / np.where(flips, saved, 1.0), math.nan)


def concluded(m: Measurement, settings: Settings) -> tuple[Book, Verdict]:
    """All findings of one clock, and its verdict."""
    clock = str(m.plain["clock"])
    unit = {"work": "operations", "depth": "steps"}[clock]
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    for name, values in m.numbers.items():
        book.curve(name, values, unit if name.startswith(UNITS_OF_TIME) else "bits", some=True)
    symbolic, found = (rate(m.numbers[f"saved{p}"], m.numbers[f"lost{p}"]) for p in (", parts", ""))
    book.curve("exchange rate, symbolic", symbolic, f"{unit} per bit", some=True, note="from the parts' costs")
    book.curve("exchange rate, measured", found, f"{unit} per bit", some=True, note="of the whole programs")
    note = "tests only that costs add up"
    book.curve("measured over symbolic", found / symbolic, "", some=True, note=note)
    alone = m.numbers["find, alone"]
    book.curve("find, share contained in optimise", 1 - m.numbers["find, marginal"] / alone, "share")
    behind = (m.numbers["fast deceptive longer"] > 0) & (m.numbers["fast deceptive slower"] > 0)
    book.share("H_fd behind H_fh on both axes", behind[-1])
    return book, verdict(m, settings)


UNITS_OF_TIME = ("lost", "fast deceptive slower", "find", "optimise", "time", "t(")


def verdict(m: Measurement, settings: Settings) -> Verdict:
    """The rule on one clock."""
    base = Verdict("inconclusive", (), m.target, seeds=int(m.sound.sum()), settings=settings_dict(settings))
    if base.seeds < 2:
        return replace(base, reasons=("Fewer than two seeds: no interval over seeds.",), seeds_needed=8)
    kept = {name: values[-1][m.sound] for name, values in m.numbers.items()}
    said = f"H_fd is behind H_fh on both axes in {_count(kept)} of {base.seeds} seeds."
    found = _undecided(kept, settings) or _never(kept, settings) or _flips(kept, settings)
    return base.settled(found, after=[said])


def _count(kept: dict[str, Floats]) -> int:
    return int(((kept["fast deceptive longer"] > 0) & (kept["fast deceptive slower"] > 0)).sum())


def _side(values: Floats, text: str, settings: Settings) -> tuple[int, Statement]:
    """Whether a mean is clearly above (1) or below (−1) zero, else 0."""
    estimate = over_seeds(values)
    up = float(estimate.mean) >= 0
    p = float(estimate.p_above(0.0) if up else estimate.p_below(0.0))
    holds = p <= settings.alpha
    words = f"{text} {'above' if up else 'below'} 0"
    return (1 if up else -1) * holds, Statement(words, estimate.interval(1 - settings.alpha), p, holds)


def _undecided(kept: dict[str, Floats], settings: Settings) -> Verdict | None:
    two, one = _side(kept["saved"], "Bits that H_sd saves, two-part code, are", settings)
    other, another = _side(kept["saved, prequential"], "Bits that H_sd saves, prequential code, are", settings)
    if two * other >= 0:
        return None
    words = f"The codes differ on which of H_sd and H_fh is shorter: {one.interval} and {another.interval} bits saved."
    return Verdict("undecided", (words,), statements=(one, another))


def _never(kept: dict[str, Floats], settings: Settings) -> Verdict | None:
    saved, one = _side(kept["saved"], "Bits that H_sd saves are", settings)
    lost, other = _side(kept["lost"], "Time that H_sd loses is", settings)
    if saved * lost >= 0:
        return None
    ahead = "H_sd" if saved > 0 else "H_fh"
    words = f"{ahead} is ahead on both axes: {one.interval} bits and {other.interval} of time."
    return Verdict("never-flips", (words,), statements=(one, other))


def _flips(kept: dict[str, Floats], settings: Settings) -> Verdict:
    off = rate(kept["saved"], kept["lost"]) / rate(kept["saved, parts"], kept["lost, parts"]) - 1
    defined = np.isfinite(off)
    if not defined.all():
        words = f"In {int((~defined).sum())} of {len(off)} seeds nothing flips, in symbols or as measured."
        return Verdict("inconclusive", (words,))
    estimate = over_seeds(off)
    within = float(estimate.p_within(settings.margin))
    words = f"Measured g* over symbolic g* is off 1 by {estimate.interval(1 - 2 * settings.alpha)}"
    if within <= settings.alpha:
        inner = estimate.interval(1 - 2 * settings.alpha)
        statement = Statement(f"It is off by less than {settings.margin:.0%}", inner, within, True)
        return Verdict("flips-as-predicted", (f"{words}, less than {settings.margin:.0%}.",), statements=(statement,))
    p = float(min(estimate.p_above(settings.margin), estimate.p_below(-settings.margin)))
    if p <= settings.alpha:
        statement = Statement(f"It is off by more than {settings.margin:.0%}",
                              estimate.interval(1 - settings.alpha), p, True)  # fmt: skip
        return Verdict("flips-elsewhere", (f"{words}, more than {settings.margin:.0%}.",), statements=(statement,))
    return Verdict("inconclusive", (f"{words}; no rule applies.",), seeds_needed=_needed(estimate, settings))


def _needed(estimate: Estimate, settings: Settings) -> int | None:
    room = abs(settings.margin - abs(float(estimate.mean)))
    return seeds_needed(room, float(estimate.spread), 1 - 2 * settings.alpha, most=1000)


def checked_seeds(seeds: Sequence[int]) -> tuple[int, ...]:
    """Seeds, each once.

    Raises:
        ProbeError: none, or one twice.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ProbeError("no seeds, or one twice", found=list(seeds), mend="give different seeds, such as range(8)")
    return tuple(int(seed) for seed in seeds)
