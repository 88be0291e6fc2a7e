"""Organisms of the early probe: libraries of planted runs in which the beginning tells the end, or does not.

Every run is curves of efficiency as logistic functions of ln(1 + step), with an arrival of its own; the pull at a tenth
of the run is high where depth will arrive and low where it will not. In the *silent* kind a run has the features of
another one, drawn independently, so that base rates are all there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from probes.catalogue.early import Settings, conclude_target
from probes.early.study import as_run, concluded, held_out, library
from probes.measurement import Measurement
from probes.validity import Outcome, Plant

FIRST = Settings().first
STEPS = np.array([0, 10, 30, 60, 100, 150, 200, 300, 400, 500, 650, 800, 1000], dtype=np.int64)
SEEDS = 8


def a_run(random: np.random.Generator, world: str, arrival: float, spread: float = 0.15) -> Measurement:
    """A planted run whose seeds reach half of the deep evidence around step `arrival` (inf: not at all).

    Args:
        random: everything random in it.
        world: its name.
        arrival: median step.
        spread: standard deviation of ln(arrival) over seeds.
    """
    own = np.log(arrival) + spread * random.standard_normal(SEEDS) if math.isfinite(arrival) else np.full(SEEDS, 50.0)
    clock = np.log(np.maximum(STEPS, 1))[:, None]
    deep = 1.0 / (1.0 + np.exp(-(clock - own) / 0.12)) + 0.01 * random.standard_normal((len(STEPS), SEEDS))
    shallow = 1.0 - np.exp(-STEPS[:, None] / 15.0) + 0.01 * random.standard_normal(deep.shape)
    strength = np.clip(1.5 - (own - np.log(100)) / np.log(10), 0.0, 1.5)
    pull = 0.1 * strength + 0.01 * random.standard_normal(deep.shape)
    numbers = {
        "deep": deep,
        "shallow": shallow,
        "total": (deep + shallow) / 2,
        "own share": np.clip(deep, 0, 1) * 0.9,
        "pull": pull,
        "reliance": 0.5 * np.clip(deep, 0, 1),
    }
    world_numbers = {"information": np.array([0.5, 0.5]), "ceiling": np.array(0.4)}
    plain = {"shallow_rungs": 1, "world": world, "head": "planted"}
    return Measurement("y", tuple(range(SEEDS)), STEPS, numbers, world=world_numbers, plain=plain)


ENDS = (150.0, 300.0, 800.0, math.inf)  # one in each bin
WORLDS, EACH = 7, 4


def _study(telling: bool) -> Callable[[int], Outcome]:
    def repeat(seed: int) -> Outcome:
        random = np.random.default_rng(seed)
        runs = []
        for world in range(WORLDS):
            for end in random.choice(ENDS, EACH):
                run = as_run(a_run(random, f"world {world}", float(end)), FIRST)
                other = as_run(a_run(random, "another", float(random.choice(ENDS))), FIRST)
                rows = random.integers(len(other.seeds), size=len(run.seeds))
                runs.append(run if telling else run._replace(features=other.features, seeds=other.seeds[rows]))
        return Outcome(concluded(held_out(runs, "arrivals")).name)

    return repeat


def _named(arrival: float, deep_pie: float, forecaster: bool) -> Callable[[int], Outcome]:
    def repeat(seed: int) -> Outcome:
        random = np.random.default_rng(seed)
        m = a_run(random, "unseen", arrival)
        m = replace(m, world={**m.world, "information": np.array([0.5, deep_pie])})
        known = None
        if forecaster:
            runs = [as_run(a_run(random, f"world {i}", end), FIRST) for i, end in enumerate(ENDS * 6)]
            known = library(runs, {}, without=())
        return Outcome(conclude_target(m, Settings(), known)[1].name)

    return repeat


def plants() -> tuple[Plant, ...]:
    """The probe's plants; the studies are of 7 worlds × 4 runs, each world left out in turn."""
    telling = "the pull at a tenth of the run tells when depth arrives"
    silent = "features drawn independently of what happens"
    return (
        Plant("telling", telling, "power", "foreseen", _study(True)),
        Plant("silent", silent, "null", "foreseen", _study(False)),
        Plant(
            "never", "a run whose pull says that depth will not come", "right", "called", _named(math.inf, 0.5, True)
        ),
        Plant("no_forecaster", "nothing was fitted", "right", "no-forecast", _named(300.0, 0.5, False)),
        Plant("nothing_deep", "a deep pie of .01 bits", "right", "nothing-deep", _named(300.0, 0.01, False)),
    )
