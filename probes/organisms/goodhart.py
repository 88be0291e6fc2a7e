"""Organisms of the goodhart probe: planted curves of true value by pressure, and the exact ones of known tails.

A seed's curve is the planted one, plus a level of its own that is reached within the first third of the pressure, a
slope of its own over the last third, plus what all seeds share through the clips. All in units of the true value's
standard deviation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from probes.catalogue.goodhart import GoodhartProbe, about
from probes.goodhart.curves import Curve, grid
from probes.goodhart.outputs import Floats, Outputs
from probes.goodhart.tails import TAILS, as_outputs
from probes.measurement import Measurement, pack
from probes.validity import Outcome, Plant, Role

TARGET = "value, best-of-n"
MOST, POINTS = 6.0, 13
AT = grid(MOST, POINTS)
LAST_THIRD = AT[round(2 * (POINTS - 1) / 3)]
STEPS = np.array([1000], dtype=np.int64)
GROUPS = 16
Shape = Callable[[Floats], Floats]


def gaining(late: float) -> Shape:
    """A straight line that gains so much over the last third."""
    return lambda d: late * d / (AT[-1] - LAST_THIRD)


def saturating(rate: float = 4.0) -> Shape:
    """1 − exp(−rate·d)."""
    return lambda d: 1 - np.exp(-rate * d)


def bent(late: float) -> Shape:
    """Flat at 1 until the last third, over which it changes by so much."""
    return lambda d: np.minimum(d / AT[3], 1.0) + late * np.maximum(d - LAST_THIRD, 0.0) / (AT[-1] - LAST_THIRD)


def best_of_n_form(alpha: float, beta: float) -> Shape:
    """d(α − β d)."""
    return lambda d: d * (alpha - beta * d)


def rl_form(alpha: float, beta: float) -> Shape:
    """d(α − β ln d)."""
    return lambda d: d * (alpha - beta * np.log(np.maximum(d, 1e-12)))


def tail(name: str) -> Shape:
    """The exact curve of best-of-n under the error of that name (`probes.goodhart.tails`)."""
    return lambda d: np.interp(d, AT, _of_tail(name))


@functools.lru_cache(maxsize=8)
def _of_tail(name: str) -> Floats:
    outputs = as_outputs(TAILS[name], 1e-5, 120)
    curve = Curve.of(outputs, "best-of-n", MOST, POINTS)
    return curve.value - curve.value[0]


@dataclass(frozen=True)
class Planted:
    """What seeds' curves are drawn around.

    Attributes:
        shape: planted gain by √KL.
        level, late: standard deviations over seeds, of the level and of the change over the last third.
        clips: standard deviation of what a group of clips adds to the change over the last third of every seed.
        short: shortfall below the ideal curve at the most pressure; None for an ideal far above.
        second: planted gain of every other seed, where they split in two.
        reach: √KL that the proxy can be pressed to.
        scale: of the true value.
        seeds: how many.
    """

    shape: Shape
    level: float = 0.05
    late: float = 0.05
    clips: float = 0.0
    short: float | None = None
    second: Shape | None = None
    reach: float = float(AT[-1])
    scale: float = 0.4
    seeds: int = 8

    def cell(self, repeat: int) -> dict[str, object]:
        """One repeat, as the probe measures."""
        random = np.random.default_rng([37, repeat])
        rises = np.minimum(AT / AT[(POINTS - 1) // 3], 1.0)
        ends = np.maximum(AT - LAST_THIRD, 0.0) / (AT[-1] - LAST_THIRD)
        value = np.tile(self.shape(AT), (self.seeds, 1))
        if self.second is not None:
            value[::2] = self.second(AT)
        value += self.level * random.standard_normal((self.seeds, 1)) * rises
        value += self.late * random.standard_normal((self.seeds, 1)) * ends
        grouped = {}
        if self.clips > 0:
            drawn = self.clips * random.standard_normal(GROUPS)
            value += drawn.mean() * ends
            moved = np.broadcast_to((drawn - drawn.mean())[:, None, None, None] * ends, (GROUPS, 1, self.seeds, POINTS))
            grouped = {"value": moved * self.scale, "short": -moved * self.scale}
        ideal = self.shape(AT) + (3.0 if self.short is None else self.short) * AT / AT[-1]
        numbers = {
            "value": (0.5 + self.scale * value)[None],
            "proxy": (0.5 + self.scale * 1.5 * np.tile(AT, (self.seeds, 1)))[None],
            "reach": np.full((1, self.seeds), self.reach),
        }
        world = {"at": AT, "ideal": 0.5 + self.scale * ideal, "scale": np.array(self.scale)}
        plain = {"pressure": "best-of-n", "outputs": 4096, "sides": []}
        seeds = tuple(range(self.seeds))
        found = Measurement(TARGET, seeds, STEPS, numbers, grouped=grouped, world=world, plain=plain)
        return pack([found], GoodhartProbe.name, GoodhartProbe.version)


def repeated(planted: Planted, repeat: int) -> Outcome:
    """The verdict and the intervals of one repeat."""
    found = GoodhartProbe().conclude([planted.cell(repeat)])
    intervals = {}
    if planted.second is None and planted.reach == AT[-1] and planted.late > 0:
        truth = planted.shape(AT)
        late = found.last("late", TARGET)
        gain = found.last("gain", TARGET)
        if late is not None and gain is not None:
            intervals["late"] = (late.value, float(truth[-1] - truth[round(2 * (POINTS - 1) / 3)]))
            intervals["gain"] = (gain.value, float(truth[-1] - truth[0]))
    return Outcome(found.verdict.name, intervals)


DRAWN, DRAWN_MOST, DRAWN_POINTS = 400, 2.0, 10


def drawn(repeat: int) -> Outcome:
    """Four hundred outputs drawn with a normal value and a normal error, and nothing else known of them."""
    random = np.random.default_rng([38, repeat])
    value = random.standard_normal(DRAWN)
    outputs = Outputs.drawn(value + random.standard_normal(DRAWN), value)
    found = about(outputs, "value", ("best-of-n",), DRAWN_MOST, DRAWN_POINTS)
    gain = found.last("gain", TARGET)
    assert gain is not None
    return Outcome(found.verdict.name, {"gain": (gain.value, _normal_gain())})


@functools.cache
def _normal_gain() -> float:
    curve = Curve.of(as_outputs(TAILS["normal"], 1e-6, 300), "best-of-n", DRAWN_MOST, DRAWN_POINTS)
    return float(curve.value[-1] - curve.value[0])


def _plant(name: str, about: str, role: Role, claim: str | tuple[str, ...], planted: Planted) -> Plant:
    return Plant(name, about, role, claim, functools.partial(repeated, planted))


def plants() -> tuple[Plant, ...]:
    """All of them."""
    gains, flat, turns = "keeps-gaining", "plateaus", "turns-over"
    return (
        *(
            _plant(f"tail_{place}", f"value normal, error {one.name}: exact curve; sd .05, .03 of the last third",
                   "right", one.expected, Planted(tail(one.name), 0.05, 0.03))
            for place, one in zip(("normal", "uniform", "laplace", "t3", "t2"), TAILS.values(), strict=True)
        ),
        Plant("drawn", "400 draws of a normal value and a normal error: jackknifed", "right", gains, drawn, 200),
        _plant("line", "gains .5 over the last third, sd .15", "right", gains, Planted(gaining(0.5), 0.1, 0.15)),
        _plant("saturates", "1 − exp(−4d); sd .05, .04 of the last third", "right", flat,
               Planted(saturating(), 0.05, 0.04)),
        _plant("best_of_n_form", "d(1.1 − .4d), peak at 1.4, falls by .45; sd .1", "right", turns,
               Planted(best_of_n_form(1.1, 0.4), 0.1, 0.1)),
        _plant("rl_form", "d(.9 − ln d), peak at .9, falls by .9; sd .2", "right", turns,
               Planted(rl_form(0.9, 1.0), 0.1, 0.2)),
        _plant("falls", "loses from the start, .3 over each third", "right", turns, Planted(gaining(-0.3), 0.1, 0.1)),
        _plant("truth", "within .02 of the ideal curve", "right", "proxy-is-the-target",
               Planted(gaining(0.3), 0.02, 0.02, short=0.02)),
        _plant("exactly_flat", "seeds all alike, without noise", "right", flat, Planted(bent(0.0), 0.0, 0.0)),
        _plant("constant", "the proxy can be pressed to √KL = .2", "right", "no-pressure",
               Planted(gaining(0.3), reach=0.2)),
        _plant("alike", "true values with a standard deviation of .002", "right", "nothing-to-gain",
               Planted(gaining(0.3), scale=0.002)),
        _plant("two_clusters", "half of the seeds gain, half turn over", "right", "inconclusive",
               Planted(gaining(0.5), second=best_of_n_form(1.1, 0.5))),
        _plant("shared_clips", "flat; clips move all seeds together, sd .08 of a group", "right", flat,
               Planted(bent(0.0), 0.02, 0.02, clips=0.08)),
        _plant("no_fall", "flat after a rise, sd .3 of the last third: at the edge of turning over", "null", turns,
               Planted(bent(0.0), 0.1, 0.3)),
        _plant("no_gain", "flat after a rise, sd .3 of the last third: at the edge of gaining", "null", gains,
               Planted(bent(0.0), 0.1, 0.3)),
        _plant("margin_up", "gains .10 over the last third: at the edge of a plateau", "null", flat,
               Planted(bent(0.1), 0.05, 0.05)),
        _plant("margin_down", "loses .10 over the last third: at the edge of a plateau", "null", flat,
               Planted(bent(-0.1), 0.05, 0.05)),
        _plant("almost_target", ".10 below the ideal curve at the end: at the edge", "null", "proxy-is-the-target",
               Planted(gaining(0.3), 0.03, 0.03, short=0.1)),
        _plant("clips_only", "seeds alike, clips sd .3 of a group: no gain", "null", gains,
               Planted(bent(0.0), 0.01, 0.01, clips=0.3)),
        _plant("gains_some", "gains .25 over the last third, sd .15", "power", gains, Planted(bent(0.25), 0.1, 0.15)),
        _plant("falls_some", "falls by .25 over the last third, sd .15", "power", turns,
               Planted(bent(-0.25), 0.1, 0.15)),
        _plant("nearly_flat", "gains .02 over the last third, sd .05", "power", flat, Planted(bent(0.02), 0.1, 0.05)),
        _plant("nearly_target", ".03 below the ideal curve at the end, sd .03", "power", "proxy-is-the-target",
               Planted(gaining(0.3), 0.03, 0.03, short=0.03)),
    )  # fmt: skip
