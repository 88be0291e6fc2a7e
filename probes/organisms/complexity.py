"""Planted growth: heads whose description grows as planted while a world-model deepens by known steps.

A seed's description after stage j is Y·(planted share of growth up to j) plus deviations of the seed and of the stage.
What the world-model has after each stage is the same for all seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.catalogue.complexity import conclude_target
from probes.complexity.verdict import Settings
from probes.measurement import Measurement
from probes.validity import Outcome, Plant, Role

Floats = NDArray[np.float64]
SEEDS = 8
LONGEST = 800.0  # bits: the mean length of the longest description


@dataclass(frozen=True)
class Planted:
    """What seeds are drawn around.

    Attributes:
        model: share of the pie the world-model has after each stage.
        head: length of the head after each stage, as a share of the longest.
        seed: standard deviation of a seed's own level, as a factor.
        stage: standard deviation of what is a stage's own, as a share of the longest.
        captured: share of the pie captured at the end.
        pie: bits.
    """

    model: tuple[float, ...]
    head: tuple[float, ...]
    seed: float = 0.03
    stage: float = 0.03
    captured: float = 0.9
    pie: float = 0.5

    def measurement(self, repeat: int) -> Measurement:
        """One repeat, as the probe measures."""
        random = np.random.default_rng([64, repeat, *(round(1000 * share) for share in self.head)])
        shares = np.array([0.0, *self.head])[:, None] * (1 + self.seed * random.standard_normal(SEEDS))
        shares[1:] += self.stage * random.standard_normal((len(self.head), SEEDS))
        numbers = {
            "description": LONGEST * shares,
            "description, fresh": LONGEST * np.ones_like(shares),
            "captured": self.captured * np.ones_like(shares) + 0.01 * random.standard_normal(shares.shape),
        }
        stages = [f"stage {j + 1}" for j in range(len(self.model))]
        world = {"model": self.pie * np.array(self.model)}
        steps = np.array([0, *(100 * (j + 1) for j in range(len(self.model)))])
        plain = {"stages": stages, "pie": self.pie}
        return Measurement("target", tuple(range(SEEDS)), steps, numbers, world=world, plain=plain)

    def repeated(self, repeat: int) -> Outcome:
        """The verdict of one repeat, and the interval of the last length."""
        book, found = conclude_target(self.measurement(repeat), Settings())
        last = [finding for finding in book.findings if finding.name == "description"][-1]
        return Outcome(found.name, {"description": (last.value, LONGEST * self.head[-1])})


EVEN = (1 / 3, 2 / 3, 1.0)


def plants() -> tuple[Plant, ...]:
    """All of them."""
    listed: tuple[tuple[str, str, Role, str, Planted], ...] = (
        ("grows_along", "the head's share of growth is the world-model's, after every stage", "right", "follows",
         Planted(EVEN, EVEN)),
        ("grows_along_uneven", "the same where the first stage brings two thirds", "right", "follows",
         Planted((0.66, 0.9, 1.0), (0.66, 0.9, 1.0))),
        ("there_at_once", "nine tenths of the head are there after a third of the world-model", "right", "saturates",
         Planted(EVEN, (0.9, 0.95, 1.0))),
        ("shrinks_back", "the head is longest after the first stage", "right", "saturates",
         Planted(EVEN, (1.0, 0.8, 0.7))),
        ("leaps_late", "three quarters of the head come in the last third", "right", "jumps",
         Planted(EVEN, (0.1, 0.25, 1.0))),
        ("leaps_between", "they come in the second stage", "right", "jumps", Planted(EVEN, (0.1, 0.95, 1.0))),
        ("still_world", "the world-model has everything after the first stage", "right", "nothing-deepens",
         Planted((1.0, 1.0, 1.0), EVEN)),
        ("knows_nothing", "heads that learned nothing", "right", "untrained",
         Planted(EVEN, EVEN, captured=0.0)),
        ("jump_by_noise", "growth along, sd .2 of every stage", "null", "jumps", Planted(EVEN, EVEN, stage=0.2)),
        ("saturation_by_noise", "growth along, sd .2 of every stage", "null", "saturates",
         Planted(EVEN, EVEN, stage=0.2)),
        ("behind_by_margin", "the first stage brings exactly δ more than it should; sd .05", "null", "follows",
         Planted(EVEN, (1 / 3 + 0.2, 2 / 3 + 0.1, 1.0), stage=0.05)),
        ("two_fifths_more", "the last stage brings .35 more than it should; sd .1", "power", "jumps",
         Planted(EVEN, (0.2, 0.32, 1.0), stage=0.1)),
    )  # fmt: skip
    return tuple(Plant(name, about, role, claim, planted.repeated) for name, about, role, claim, planted in listed)
