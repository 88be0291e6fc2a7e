"""Planted priors: heads whose derivation at run time moves as planted, and programs whose flip lies where it is put.

Heads are numbers of seeds: what each derives and captures under four conditions, and what it loses in the outer loop,
drawn around planted means. Programs are of two kinds. *Running* ones are the five organisms of `probes.priors.running`
in a dozen situations, costed once; a run is eight of them. *Planted* ones have saved bits and lost time with known
ratio, and a part of their length or time that no part accounts for: what no one's objective factors out of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.catalogue.priors import conclude_target
from probes.measurement import Measurement
from probes.priors import flip
from probes.priors.pressure import CONDITIONS
from probes.priors.verdict import Settings
from probes.validity import Outcome, Plant, Role

Floats = NDArray[np.float64]
SEEDS = 8
SITUATIONS = 12
STEP = np.array([1000])
LOOP = (1, 2, 4, 8)


@dataclass(frozen=True)
class Pressure:
    """What seeds are drawn around.

    Attributes:
        derived: shares of the pie derived without penalty, under the complexity penalty, the speed penalty and both.
        captured: shares captured, likewise.
        seed: standard deviation of a seed's own level, the same under all conditions.
        own: standard deviation of what is a condition's own.
        behind: what the outer loop's heads lose beyond the best, as a share of the pie, by rounds.
        pie: bits.
        second: `derived` of every second seed, where half of the seeds are of another kind.
    """

    derived: tuple[float, float, float, float]
    captured: tuple[float, float, float, float] = (0.9, 0.85, 0.8, 0.8)
    seed: float = 0.05
    own: float = 0.04
    behind: tuple[float, float, float, float] = (0.4, 0.15, 0.0, 0.02)
    pie: float = 0.5
    second: tuple[float, float, float, float] | None = None

    def measurement(self, repeat: int) -> Measurement:
        """One repeat, as the probe measures."""
        random = np.random.default_rng([61, repeat])
        derived = np.tile(np.array(self.derived), (SEEDS, 1))
        if self.second is not None:
            derived[::2] = self.second
        derived = derived + self.seed * random.standard_normal((SEEDS, 1))
        derived = derived + self.own * random.standard_normal((SEEDS, 4))
        captured = np.array(self.captured) + self.own * random.standard_normal((SEEDS, 4))
        loop = np.array(self.behind) + 0.3 * self.own * random.standard_normal((SEEDS, len(LOOP)))
        numbers = {
            "derived": derived[None],
            "captured": captured[None],
            "loss": (1 - captured * self.pie)[None],
            "loop loss": (0.5 + self.pie * loop)[None],
            "loop derived": np.abs(loop)[None],
        }
        plain = {"conditions": list(CONDITIONS), "loop": list(LOOP), "loop steps": [2000, 1000, 500, 250],
                 "pie": self.pie}  # fmt: skip
        return Measurement("target", tuple(range(SEEDS)), STEP, numbers, plain=plain)

    def repeated(self, repeat: int) -> Outcome:
        """The verdict and the intervals of one repeat."""
        book, found = conclude_target(self.measurement(repeat), Settings())
        known = {}
        if self.second is None:
            by_name = {finding.name: finding.value for finding in book.findings}
            for v, condition in enumerate(CONDITIONS[1:], start=1):
                name = f"change of derived, {condition}"
                known[name] = (by_name[name], self.derived[v] - self.derived[0])
        return Outcome(found.name, known)


@dataclass(frozen=True)
class Flips:
    """Programs in numbers: what H_sd saves and loses against H_fh.

    Attributes:
        saved, lost: bits and time, by the parts.
        beyond: how far the whole programs' exchange rate lies from the parts', as a share of it.
        spread: standard deviation of that over seeds.
        prequential: bits H_sd saves in the other code.
        ahead: whether H_sd is faster as well.
    """

    saved: float = 200.0
    lost: float = 18_000.0
    beyond: float = 0.0
    spread: float = 0.03
    prequential: float = 150.0
    ahead: bool = False

    def measurement(self, repeat: int) -> Measurement:
        """One repeat, as the probe measures."""
        random = np.random.default_rng([62, repeat, round(1000 * self.beyond), round(1000 * self.spread)])
        level = np.exp(0.1 * random.standard_normal((1, SEEDS)))
        off = self.beyond + self.spread * random.standard_normal((1, SEEDS))
        saved, lost = self.saved * level, np.full((1, SEEDS), -self.lost if self.ahead else self.lost)
        one = np.ones((1, SEEDS))
        numbers = {
            "saved": saved / (1 + off),
            "lost": lost,
            "saved, parts": saved,
            "lost, parts": lost,
            "saved, prequential": self.prequential * level,
            "fast deceptive longer": 20.0 * one,
            "fast deceptive slower": 100.0 * one,
            "find, marginal": 0.9 * np.abs(lost),
            "find, alone": np.abs(lost),
            "optimise": 3000.0 * one,
        }
        return Measurement("programs, work", tuple(range(SEEDS)), STEP, numbers, plain={"clock": "work"})

    def repeated(self, repeat: int) -> Outcome:
        """The verdict and the interval of one repeat."""
        return _concluded(self.measurement(repeat), None if self.ahead else 1 + self.beyond)


def _concluded(m: Measurement, truth: float | None) -> Outcome:
    book, found = flip.concluded(m, flip.Settings())
    known = {}
    if truth is not None:
        ratio = next(finding.value for finding in book.findings if finding.name == "measured over symbolic")
        known["measured over symbolic"] = (ratio, truth)
    return Outcome(found.name, known)


@functools.cache
def _running() -> tuple[Measurement, ...]:
    """The running programs in a dozen situations, on both clocks; costed once."""
    return tuple(flip.measured(tuple(range(SITUATIONS))))


def _of_running(clock: int) -> Callable[[int], Outcome]:
    def repeat(seed: int) -> Outcome:
        members = np.random.default_rng([63, seed]).choice(SITUATIONS, SEEDS, replace=False)
        return _concluded(_running()[clock].taken(members), None)

    return repeat


def plants() -> tuple[Plant, ...]:
    """All of them."""
    heads: tuple[tuple[str, str, Role, str | tuple[str, ...], Pressure], ...] = (
        ("as_argued", "speed takes .3 of the pie from run time, complexity adds .25", "right", "as-argued",
         Pressure((0.4, 0.65, 0.1, 0.3))),
        ("speed_alone", "speed takes .3, complexity nothing", "right", "speed-hard-codes",
         Pressure((0.4, 0.4, 0.1, 0.1))),
        ("complexity_alone", "complexity adds .3, speed nothing", "right", "complexity-derives",
         Pressure((0.4, 0.7, 0.4, 0.7))),
        ("turned_round", "speed adds .3, as where a search finds a quicker model", "right", "reversed",
         Pressure((0.4, 0.4, 0.7, 0.7))),
        ("nothing_moves", "no penalty moves anything; sd .04", "right", "unmoved", Pressure((0.4,) * 4)),
        ("too_dear", "the speed penalty leaves heads that know nothing", "right", "price-too-high",
         Pressure((0.4, 0.4, 0.0, 0.0), captured=(0.9, 0.9, 0.01, 0.01), own=0.02)),
        ("knows_nothing", "heads that learned nothing under any condition", "right", "untrained",
         Pressure((0.0,) * 4, captured=(0.01,) * 4, own=0.02)),
        ("no_pie", "evidence that tells nothing", "right", "nothing-to-derive", Pressure((0.4,) * 4, pie=0.01)),
        ("noise_alone", "no penalty moves anything; sd .2 of each condition", "null",
         ("as-argued", "speed-hard-codes", "complexity-derives", "reversed"),
         Pressure((0.5,) * 4, own=0.2)),
        ("at_the_margin", "speed takes exactly δ, complexity nothing; sd .04", "null", "unmoved",
         Pressure((0.4, 0.4, 0.3, 0.3))),
        ("fifth", "speed takes .2; sd .1 of the difference", "power", "speed-hard-codes",
         Pressure((0.5, 0.5, 0.3, 0.3), own=0.07)),
    )  # fmt: skip
    programs: tuple[tuple[str, str, Role, str, Flips], ...] = (
        ("adds_up", "whole programs cost what their parts cost, sd .03", "right", "flips-as-predicted", Flips()),
        ("entangled", "the objective does not factor out: whole programs flip at twice the rate", "right",
         "flips-elsewhere", Flips(beyond=1.0)),
        ("codes_differ", "shorter in two parts, longer in the prequential code", "right", "undecided",
         Flips(prequential=-150.0)),
        ("ahead_on_both", "H_sd is shorter and faster", "right", "never-flips", Flips(ahead=True)),
        ("flip_at_margin", "off by exactly 20 %, sd .08", "null", "flips-as-predicted",
         Flips(beyond=0.2, spread=0.08)),
        ("flip_at_margin_elsewhere", "off by exactly 20 %, sd .08", "null", "flips-elsewhere",
         Flips(beyond=0.2, spread=0.08)),
        ("tenth_off", "off by 10 %, sd .08", "power", "flips-as-predicted", Flips(beyond=0.1, spread=0.08)),
    )  # fmt: skip
    running = (
        Plant("five_programs_work", "the five running programs, eight of a dozen situations, by work", "right",
              "flips-as-predicted", _of_running(0)),
        Plant("five_programs_depth", "the same, by depth", "right", "flips-as-predicted", _of_running(1)),
    )  # fmt: skip
    return (
        *(Plant(name, about, role, claim, planted.repeated) for name, about, role, claim, planted in heads),
        *(Plant(name, about, role, claim, planted.repeated) for name, about, role, claim, planted in programs),
        *running,
    )
