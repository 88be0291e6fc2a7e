"""Is the verdict right? Repeats of planted heads, judged by the same road a trace takes (theory, section 16)."""

from __future__ import annotations

from probes.enumerated import EnumeratedReference
from probes.finding import Verdict
from probes.organisms import organism
from probes.organisms.base import STEPS, Noise
from probes.statistics import Interval, binomial_interval
from probes.verdict import Curves, Settings, split, verdict


def judged(name: str, world: EnumeratedReference, noise: Noise, repeat: int, seeds: int = 8) -> Verdict:
    """The verdict on one repeat of an organism in a world; `repeat` is the seed of everything random in it."""
    settings = Settings()
    pie, about = organism(name).measured(world, 1, seeds, noise, repeat)
    k0, rungs = split(about.information, settings), len(about.information)
    deep, shallow, total = range(k0 + 1, rungs + 1), range(1, k0 + 1), range(1, rungs + 1)
    curves = Curves(
        STEPS,
        pie.efficiency(about, deep),
        pie.efficiency(about, shallow),
        pie.efficiency(about, total),
        about.information,
        k0,
        pie.influence(about, deep),
        pie.influence(about, total),
    )
    return verdict(curves, settings)


def right_share(name: str, world: EnumeratedReference, noise: Noise, repeats: int) -> Interval:
    """Share of repeats in which an organism gets its own verdict, with its exact binomial 95 % interval."""
    wanted = organism(name).verdict
    right = sum(judged(name, world, noise, repeat).name == wanted for repeat in range(repeats))
    return binomial_interval(right, repeats)
