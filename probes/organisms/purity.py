"""The purity probe's organisms on its own road to a verdict.

A population of planted world-models of each kind is measured once; a run is eight of them, drawn independently with
replacement, so that the true mean of every share is the population's own. Runs through clips draw world-models and
evaluation clips anew, which takes longer.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Verdict
from probes.organisms.world_models import REGISTRY, WorldModel, drawn, small_truth
from probes.purity.measured import Measured, measure_models, taken
from probes.purity.shares import demands
from probes.purity.truth import Sampling, Truth
from probes.purity.verdict import Settings, verdict
from probes.statistics import Interval, over_seeds
from probes.validity import Outcome, Plant

STEPS = (0, 1000)
POPULATION, SEEDS, CLIPS, RUNS_ON_CLIPS = 200, 8, 512, 200
SPREAD = ("the_world", "hazy")  # learned ones whose shares differ from seed to seed
ON_CLIPS = ("the_world", "other_names", "hazy", "untrained", "in_two_minds")
FAILED = ("impure", "observables-only", "untrained")


def population(name: str, truth: Truth, count: int, seed: int = 0) -> Measured:
    """That many world-models of a kind, before and after training."""
    nets = drawn(REGISTRY.get(name), count, seed)
    return measure_models(truth, range(count), STEPS, lambda checkpoint, column: nets[checkpoint][column])


@functools.cache
def whole(name: str) -> Measured:
    """The population of a kind that repeats are drawn from."""
    return population(name, small_truth(Sampling(losses=())), POPULATION)


def a_run(organism: WorldModel, whole: Measured, random: np.random.Generator, seeds: int = SEEDS) -> Measured:
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


def intervals(run: Measured, known: Measured) -> dict[str, tuple[Interval, float]]:
    """The 95 % interval of every demanded share at the end of a run, beside the population's own mean."""
    settings = Settings()
    truths = {demand.title: float(demand.share[-1].mean()) for demand in demands(known, settings)}
    return {
        demand.title: (over_seeds(demand.share[-1]).interval(0.95), truths[demand.title])
        for demand in demands(run, settings)
    }


def _exactly(name: str, seed: int) -> Outcome:
    run = a_run(REGISTRY.get(name), whole(name), np.random.default_rng([seed, 0]))
    return Outcome(judged(run).name, intervals(run, whole(name)) if name in SPREAD else {})


def _at_the_edge(name: str, seed: int) -> Outcome:
    run = a_run(REGISTRY.get(name), whole(name), np.random.default_rng([seed, 1]))
    return Outcome(judged(run, _edge(name)).name)


@functools.cache
def _edge(name: str) -> Settings:
    return at_the_margin(whole(name))


@functools.lru_cache(maxsize=RUNS_ON_CLIPS)
def _clips(seed: int) -> Truth:
    return small_truth(Sampling(method="sample", clips=CLIPS, seed=seed, losses=()))


def _on_clips(name: str, seed: int) -> Outcome:
    organism = REGISTRY.get(name)
    steps = STEPS if not organism.learned else STEPS[1:]
    ends = drawn(organism, SEEDS, seed)[1]
    return Outcome(judged(measure_models(_clips(seed), range(SEEDS), steps, lambda _, column: ends[column])).name)


def plants() -> tuple[Plant, ...]:
    """Every kind of world-model, exactly; some of them through clips; and at the edges of what may be said of them."""
    made = []
    for name in REGISTRY:
        kind = REGISTRY.get(name)
        made.append(Plant(name, kind.about, "right", kind.verdict, functools.partial(_exactly, name)))
    for name in ON_CLIPS:
        kind = REGISTRY.get(name)
        about = f"{kind.about}, through {CLIPS} evaluation clips that its seeds share"
        run = functools.partial(_on_clips, name)
        made.append(Plant(f"{name}_on_clips", about, "right", kind.verdict, run, most=RUNS_ON_CLIPS))
    for name in SPREAD:
        edge = f"{REGISTRY.get(name).about}, with every margin exactly at what it truly misses"
        run = functools.partial(_at_the_edge, name)
        made.append(Plant(f"{name}_at_its_margins", f"{edge}: not within them", "null", "pure", run))
        made.append(Plant(f"{name}_at_its_margins_failed", f"{edge}: nor beyond them", "null", FAILED, run))
    return tuple(made)
