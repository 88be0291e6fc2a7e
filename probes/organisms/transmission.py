"""Organisms of the transmission probe: heads whose change under an edit is a planted multiple of the posterior's.

A head's change is β·Δp + a part of its own at right angles, so that ⟨Δq, Δp⟩ = β and ⟨Δq, Δq⟩ = β² + own². β is drawn
around the organism's slope of that depth: a part of the seed, a part of the edit that all seeds share, a part of both.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from probes.catalogue.transmission import TransmissionProbe
from probes.measurement import Measurement, pack
from probes.validity import Outcome, Plant, Role

TARGET = "target"
STEPS = np.array([0, 1000], dtype=np.int64)


@dataclass(frozen=True)
class Planted:
    """What seeds and edits are drawn around.

    Attributes:
        slopes: by depth.
        own: size of the part at right angles, as a multiple of the posterior's change.
        seed, edit, both: standard deviations.
        second: slope of every other seed at all depths, where they split in two.
        seeds, edits: how many.
    """

    slopes: Mapping[int, float] = field(default_factory=dict)
    own: float = 0.1
    seed: float = 0.04
    edit: float = 0.04
    both: float = 0.04
    second: float | None = None
    seeds: int = 8
    edits: int = 8

    def cell(self, repeat: int) -> dict[str, object]:
        """One repeat, as the probe measures."""
        random = np.random.default_rng([31, repeat])
        depths = np.array(sorted(self.slopes), dtype=np.int64)
        shape = (self.seeds, len(depths), self.edits)
        slopes = np.broadcast_to(np.array([self.slopes[d] for d in depths.tolist()])[:, None], shape).copy()
        if self.second is not None:
            slopes[::2] = self.second
        slopes += self.seed * random.standard_normal((self.seeds, len(depths), 1))
        slopes += self.edit * random.standard_normal((1, len(depths), self.edits))
        slopes += self.both * random.standard_normal(shape)
        sizes = slopes**2 + self.own**2
        first = np.zeros_like(slopes)
        numbers = {
            "slopes": np.stack([first, slopes]),
            "sizes": np.stack([first + 1e-4, sizes]),
            "clip error": np.zeros((2, *shape[:2])),
        }
        plain = {"edits": [[f"node #{e}" for e in range(self.edits)] for _ in depths], "passed_over": 0}
        seeds = tuple(range(self.seeds))
        measured = Measurement(TARGET, seeds, STEPS, numbers, world={"depths": depths}, plain=plain)
        return pack([measured], TransmissionProbe.name, TransmissionProbe.version)


def repeated(planted: Planted, repeat: int) -> Outcome:
    """The verdict and the intervals of one repeat."""
    found = TransmissionProbe().conclude([planted.cell(repeat)])
    intervals = {}
    spread = planted.seed + planted.edit + planted.both
    if planted.second is None and spread > 0:  # an interval without width covers by rounding, not by chance
        for one in found.named("slope", TARGET):
            if one.step == STEPS[-1] and one.rung is not None:
                intervals[f"slope at depth {one.rung}"] = (one.value, planted.slopes[one.rung])
    return Outcome(found.verdict.name, intervals)


def _plant(name: str, about: str, role: Role, claim: str | tuple[str, ...], planted: Planted) -> Plant:
    return Plant(name, about, role, claim, functools.partial(repeated, planted))


def plants() -> tuple[Plant, ...]:
    """All of them."""
    through = "runs-through-the-world-model"
    flat = {1: 0.0, 2: 0.0, 3: 0.0}
    exact = {1: 1.0, 2: 1.0, 3: 1.0}
    return (
        _plant("follows", "slope 1 at three depths; sd .04 of seeds, of edits and of both", "right", through,
               Planted(exact, 0.1, 0.02, 0.04, 0.04)),
        _plant("exact", "slope 1, R² 1, all seeds alike: message passing itself", "right", through,
               Planted(exact, 0.0, 0.0, 0.0, 0.0)),
        _plant("deaf", "slope 0 at three depths", "right", "insensitive", Planted(flat)),
        _plant("deaf_below", "slope 1 near the target, .2 deep", "right", "partly", Planted({1: 1.0, 2: 0.6, 3: 0.2})),
        _plant("overdone", "slope 1.4 at all depths", "right", "partly", Planted({1: 1.4, 2: 1.4})),
        _plant("beside", "slope 1, but as much again at right angles: R² .5", "right", "partly",
               Planted(exact, 1.0)),
        _plant("nothing", "no edit moves the posterior", "right", "nothing-to-transmit", Planted({})),
        _plant("two_seeds", "slope 1, two seeds that hardly differ", "right", through,
               Planted(exact, 0.1, 0.002, 0.02, 0.01, seeds=2)),
        _plant("two_clusters", "half of the seeds follow, half do not", "right", ("partly", "inconclusive"),
               Planted(exact, second=0.0)),
        _plant("reversed", "slope −1, as with labels swapped", "right", "inconclusive", Planted({1: -1.0, 2: -1.0})),
        _plant("slope_at_margin", "slope .90 at two depths: at the edge of running through", "null", through,
               Planted({1: 0.9, 2: 0.9})),
        _plant("almost_deaf", "slope .10 at one depth: at the edge of insensitive", "null", "insensitive",
               Planted({1: 0.1})),
        _plant("within", "slope .92: not clearly off", "null", "partly", Planted({1: 0.92, 2: 0.92})),
        _plant("near", "slope .97 at two depths; sd .03 of seeds and of edits", "power", through,
               Planted({1: 0.97, 2: 0.97}, 0.1, 0.03, 0.03, 0.03)),
        _plant("half", "slope .5 at two depths, sd .08", "power", "partly",
               Planted({1: 0.5, 2: 0.5}, 0.1, 0.08, 0.08, 0.08)),
    )  # fmt: skip
