"""Organisms of the floors probe: measurements with a planted gain and a planted effect, on the road to a verdict.

A seed's residual is that of the best floor, F = .2, less its gain times F, less what the clips of a group have in
common for all seeds; the effect of taking the belief out is planted likewise, as a share of an answer of one bit.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from probes.catalogue.floors import FloorsProbe
from probes.measurement import Measurement, pack
from probes.validity import Outcome, Plant, Role

LATENT = "latent"
STEPS = np.array([0, 10, 1000], dtype=np.int64)
FLOOR, RANDOM = 0.2, 0.1
GROUPS = 16


@dataclass(frozen=True)
class Planted:
    """What seeds are drawn around.

    Attributes:
        gain, excess: means over seeds.
        spread: standard deviation of both over seeds.
        second: gain of every other seed, where they split in two.
        clips: standard deviation of a clip group's part, the same for all seeds.
        seeds: how many.
        floor: 1 − R² of the best floor, which is the exact answer.
        variance: of the belief.
        backward: gain at the first checkpoint after the start, where training is not monotone.
    """

    gain: float
    excess: float
    spread: float = 0.05
    second: float | None = None
    clips: float = 0.1
    seeds: int = 8
    floor: float = FLOOR
    variance: float = 0.1
    backward: float | None = None

    def cell(self, repeat: int) -> dict[str, object]:
        """One repeat, as the probe measures."""
        random = np.random.default_rng([29, repeat])
        shape = (len(STEPS), self.seeds)
        gain = np.full(shape, self.gain)
        gain[0] = -0.5
        gain[1] = self.gain / 2 if self.backward is None else self.backward
        if self.second is not None:
            gain[1:, ::2] = self.second
        gain[1:] += self.spread * random.standard_normal(self.seeds)
        excess = np.full(shape, self.excess) + self.spread * random.standard_normal(self.seeds)
        excess[0] = 0.0

        def observed(values: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
            # Groups of clips differ alike for all seeds, and a little for each.
            common = random.standard_normal((GROUPS, 1, 1)) + 0.3 * random.standard_normal((GROUPS, *shape))
            groups = values + self.clips * scale * common
            return groups.mean(0), groups - groups.mean(0)

        residual, residual_groups = observed(self.floor * (1 - gain), self.floor)
        effect, effect_groups = observed(RANDOM + excess, 1.0)
        flat = np.zeros((GROUPS, *shape))
        numbers = {"residual": residual, "effect": effect, "random": np.full(shape, RANDOM),
                   "everything": np.ones(shape), "loss added": effect}  # fmt: skip
        grouped = {"residual": residual_groups, "effect": effect_groups, "random": flat, "everything": flat}
        world = {"history": np.full(GROUPS, 3 * self.floor), "readout": np.full(GROUPS, self.floor),
                 "ceiling": np.zeros(GROUPS), "variance": np.array(self.variance)}  # fmt: skip
        untrained = np.full((self.seeds, GROUPS), 2 * self.floor)
        ends = {"untrained": untrained.mean(-1), "untrained groups": untrained}
        measured = Measurement(LATENT, tuple(range(self.seeds)), STEPS, numbers, ends, grouped, world)
        return pack([measured], FloorsProbe.name, FloorsProbe.version)


def repeated(planted: Planted, repeat: int) -> Outcome:
    """The verdict and the intervals of one repeat."""
    found = FloorsProbe().conclude([planted.cell(repeat)])
    intervals = {}
    if planted.second is None and planted.floor == FLOOR:
        for name, truth in (("gain", planted.gain), ("excess effect", planted.excess)):
            last = found.last(name, LATENT)
            assert last is not None
            intervals[name] = (last.value, truth)
    return Outcome(found.verdict.name, intervals)


def _plant(name: str, about: str, role: Role, claim: str | tuple[str, ...], planted: Planted) -> Plant:
    return Plant(name, about, role, claim, functools.partial(repeated, planted))


def plants() -> tuple[Plant, ...]:
    """All of them."""
    decodable = ("decodable-and-used", "decodable-unused")
    return (
        _plant("used", "gain .6, excess effect .5; sd .05 over 8 seeds", "right", "decodable-and-used",
               Planted(0.6, 0.5)),
        _plant("unused", "gain .6, excess effect 0", "right", "decodable-unused", Planted(0.6, 0.0, 0.03, clips=0.05)),
        _plant("floor", "gain −.2: less than the exact answer gives", "right", "not-decodable", Planted(-0.2, 0.5)),
        _plant("answer_is_enough", "the exact answer leaves 1 % of the belief: known answer A", "right",
               "floors-at-ceiling", Planted(0.9, 0.5, floor=0.01)),
        _plant("nothing", "the exact belief never varies", "right", "nothing-to-decode",
               Planted(0.6, 0.5, variance=0.001)),
        _plant("two_clusters", "half of the seeds decode .8 more than the floor, half nothing", "right",
               ("inconclusive", "decodable-and-used"), Planted(0.0, 0.5, second=0.8)),
        _plant("two_seeds", "gain .6, excess effect .5, two seeds that hardly differ", "right", "decodable-and-used",
               Planted(0.6, 0.5, 0.005, clips=0.02, seeds=2)),
        _plant("not_monotone", "decodable early, gone at the end", "right", "not-decodable",
               Planted(-0.2, 0.0, backward=0.8)),
        _plant("no_gain", "gain 0, sd .15: at the edge of decodable", "null", decodable, Planted(0.0, 0.5, 0.15)),
        _plant("at_the_margin", "gain .10: at the edge of not decodable", "null", "not-decodable", Planted(0.1, 0.5)),
        _plant("no_excess", "gain .6, excess effect 0, sd .15: at the edge of used", "null", "decodable-and-used",
               Planted(0.6, 0.0, 0.15)),
        _plant("excess_at_margin", "gain .6, excess effect .10: at the edge of unused", "null", "decodable-unused",
               Planted(0.6, 0.1)),
        _plant("small_gain", "gain .2, excess effect .3, sd .05", "power", "decodable-and-used", Planted(0.2, 0.3)),
    )  # fmt: skip
