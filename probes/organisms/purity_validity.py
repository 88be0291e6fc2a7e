"""Is the purity verdict right? Repeats of runs of planted world-models (theory, section 16).

A *population* is so many world-models of one kind, measured once; a run is eight of them, drawn independently. So the
true mean of every share is known, it is the population's, and thousands of runs cost little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Verdict
from probes.organisms.world_models import REGISTRY, WorldModel, drawn
from probes.purity.measured import Measured, measure_models, taken
from probes.purity.shares import demands
from probes.purity.truth import Truth
from probes.purity.verdict import Demand, Settings, verdict
from probes.statistics import Interval, binomial_interval, over_seeds

STEPS = (0, 1000)


def population(name: str, truth: Truth, count: int = 200, seed: int = 0) -> Measured:
    """That many world-models of a kind, before and after training."""
    nets = drawn(REGISTRY.get(name), count, seed)
    return measure_models(truth, range(count), STEPS, lambda checkpoint, column: nets[checkpoint][column])


def a_run(organism: WorldModel, whole: Measured, random: np.random.Generator, seeds: int = 8) -> Measured:
    """A run: `seeds` of the population, drawn independently; of two kinds, half of each."""
    count = len(whole.seeds)
    if organism.other is None:
        columns: NDArray[np.int64] = random.integers(count, size=seeds)
    else:
        columns = 2 * random.integers(count // 2, size=seeds) + np.arange(seeds) % 2
    return taken(whole, columns)


def judged(run: Measured, settings: Settings | None = None) -> Verdict:
    """The verdict on a run."""
    settings = settings or Settings()
    return verdict(run.steps, demands(run, settings), settings)


def right_share(name: str, whole: Measured, repeats: int, seed: int = 0) -> Interval:
    """Share of runs of a population that get the verdict they were planted for, with its exact binomial interval."""
    organism, random = REGISTRY.get(name), np.random.default_rng(seed)
    right = sum(judged(a_run(organism, whole, random)).name == organism.verdict for _ in range(repeats))
    return binomial_interval(right, repeats)


def right_share_on_clips(name: str, truths: Sequence[Truth]) -> Interval:
    """The same where every run is seen through evaluation clips of its own, shared by its seeds."""
    organism, right = REGISTRY.get(name), 0
    steps = STEPS if not organism.learned else STEPS[1:]
    for repeat, truth in enumerate(truths):
        ends = drawn(organism, 8, repeat)[1]
        run = measure_models(truth, range(8), steps, lambda _, column, ends=ends: ends[column])  # type: ignore[misc]
        right += judged(run).name == organism.verdict
    return binomial_interval(right, len(truths))


def at_the_margin(whole: Measured) -> Settings:
    """Margins that the population misses by nothing: its true shortfalls, the largest of each part.

    Under these no world-model of the population may be called `pure`, nor anything of it failed, but by chance.
    """
    settings = Settings()
    worst = dict.fromkeys(("observables", "latents", "do()"), 0.0)
    for demand in demands(whole, settings):
        worst[demand.part] = max(worst[demand.part], float(1.0 - demand.share[-1].mean()))
    return replace(
        settings,
        epsilon_observables=worst["observables"],
        epsilon_latents=worst["latents"],
        epsilon_do=worst["do()"],
    )


def false_claims(name: str, whole: Measured, repeats: int, seed: int = 0) -> dict[str, Interval]:
    """How often a population exactly at its margins is called `pure`, and how often part of it is called failed."""
    organism, random, settings = REGISTRY.get(name), np.random.default_rng(seed), at_the_margin(whole)
    names = [judged(a_run(organism, whole, random), settings).name for _ in range(repeats)]
    failed = sum(found in ("impure", "observables-only", "untrained") for found in names)
    return {"pure": binomial_interval(names.count("pure"), repeats), "failed": binomial_interval(failed, repeats)}


def coverage(name: str, whole: Measured, repeats: int, seed: int = 0) -> dict[str, Interval]:
    """How often the 95 % interval of each part's share holds the population's own mean; of the demand worst off."""
    organism, random, settings = REGISTRY.get(name), np.random.default_rng(seed), Settings()
    known = {(demand.part, demand.name): float(demand.share[-1].mean()) for demand in demands(whole, settings)}
    inside = dict.fromkeys(known, 0)
    for _ in range(repeats):
        for demand in demands(a_run(organism, whole, random), settings):
            inside[demand.part, demand.name] += _holds(demand, known[demand.part, demand.name])
    worst: dict[str, int] = {}
    for (part, _), count in inside.items():
        worst[part] = min(worst.get(part, repeats), count)
    return {part: binomial_interval(count, repeats) for part, count in worst.items()}


def _holds(demand: Demand, mean: float) -> bool:
    low, high = over_seeds(demand.share[-1]).limits(0.95)
    return bool(low <= mean <= high)
