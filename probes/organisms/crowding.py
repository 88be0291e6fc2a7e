"""Planted pairs of runs whose crowding is known: what the crowding probe is judged on (theory, section 16).

Two families. *Heads* in worlds that are written down: log q = log p_0 + w_s·log p(y|s)/p_0 + w_d·log p_K/p_1 with
weights w(t) for the shallow and the deep evidence, measured as a trace's heads are. *Shares* are the own bits
themselves, with a spread over seeds, so that crowding is known exactly: for false claims, power and coverage. Both take
the probe's own road from measurements to verdict.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.catalogue.crowding import runs_of
from probes.crowding.measured import Puller, Split, about, measure_run, measurement
from probes.crowding.verdict import Settings, verdict
from probes.enumerated import EnumeratedReference
from probes.finding import Verdict
from probes.measurement import Measurement
from probes.sources import TableSource
from probes.statistics import Interval, over_seeds
from probes.validity import Outcome, Plant

Floats = NDArray[np.float64]
STEPS = np.array([0, 20, 60, 200, 600, 1333, 2000], dtype=np.int64)
SEEDS = 8
SPLIT = Split((("s",), ("d",)), 1)
#: (progress [T, S] in (0, 1], random) → weights (w_s, w_d), each [T, S].
Schedule = Callable[[Floats], tuple[Floats, Floats]]


def cue_world(cue: float = 0.98, deep: float = 0.98) -> Floats:
    """A fair answer, a cue and a deep bit that are right with these probabilities: W(s, d, y), [2, 2, 2]."""
    agrees = np.array([[cue, 1 - cue], [1 - cue, cue]]), np.array([[deep, 1 - deep], [1 - deep, deep]])
    return 0.5 * np.einsum("ys,yd->sdy", *agrees)


def redundant_world(copied: float = 0.9, cue: float = 0.95) -> Floats:
    """The deep bit is a copy of the cue with probability `copied`, else it tells the answer by itself."""
    world = cue_world(cue, cue)
    alone = world.sum(1)
    copy = np.zeros((2, 2, 2))
    copy[[0, 1], [0, 1]] = alone
    return (1 - copied) * world + copied * copy


def twin_of(world: Floats) -> Floats:
    """The same with the cue drawn independently of everything else."""
    return np.einsum("s,dy->sdy", world.sum((1, 2)), world.sum(0))


@functools.cache
def _reference(key: str, redrawn: bool) -> tuple[EnumeratedReference, Puller]:
    table = WORLDS[key]()
    table = twin_of(table) if redrawn else table
    reference = EnumeratedReference(table, SPLIT.rungs)
    return reference, Puller(reference, TableSource(table, ("s", "d")), SPLIT, "y")


WORLDS: dict[str, Callable[[], Floats]] = {
    "cue": cue_world,
    "redundant": redundant_world,
    "nothing_deep": lambda: cue_world(0.98, 0.55),
    "weak deep": lambda: cue_world(0.9, 0.7),
}


@dataclass(frozen=True)
class Heads:
    """An organism made of heads.

    Attributes:
        base, twin: how the weights of either run rise.
        world: a key of `WORLDS`.
        seeds: how many.
        noise: standard deviation of a seed's own offset on its weights, in base and twin alike; a quarter of it is new
            at every checkpoint of either.
        other: where half of the seeds have another base, its schedule.
        pace: standard deviation of ln(speed): some seeds run through their schedules faster than others.
    """

    base: Schedule
    twin: Schedule
    world: str = "cue"
    seeds: int = SEEDS
    noise: float = 0.02
    other: Schedule | None = None
    pace: float = 0.1

    def measured(self, random: np.random.Generator) -> Measurement:
        """One repeat."""
        pace = np.exp(self.pace * random.standard_normal(self.seeds))
        progress = np.clip(
            STEPS[:, None] / STEPS[-1] * pace, 1e-9, np.where(STEPS[:, None] == STEPS[-1], np.inf, 0.999)
        )
        own = self.noise * random.standard_normal((2, 1, self.seeds))
        numbers: dict[str, Floats] = {}
        world: dict[str, Floats] = {}
        for prefix, schedule in (("", self.base), ("twin ", self.twin)):
            weights = np.stack(schedule(progress))
            if prefix == "" and self.other is not None:
                half = np.arange(self.seeds) % 2 == 1
                weights = np.where(half, np.stack(self.other(progress)), weights)
            weights = weights + own + self.noise / 4 * random.standard_normal(weights.shape)
            reference, puller = _reference(self.world, bool(prefix))
            log_q = planted(WORLDS[self.world](), bool(prefix), weights)
            every = log_q.reshape(-1, *log_q.shape[2:])  # all checkpoints at once: a repeat is a few milliseconds
            curves, _ = measure_run(reference, puller, lambda _, q=every: q, 1)  # type: ignore[misc]
            shape = (len(STEPS), self.seeds, -1)
            numbers |= {prefix + name: values.reshape(shape) for name, values in curves.items()}
            world |= about(reference, prefix) | {f"{prefix}floored": np.array(puller.floored)}
        return measurement("y", range(self.seeds), STEPS, SPLIT, numbers, world)

    def judged(self, repeat: int) -> Verdict:
        """The verdict on one repeat; `repeat` is the seed of everything random in it."""
        return verdict(runs_of(self.measured(np.random.default_rng(repeat)), Settings()))


def planted(world: Floats, redrawn: bool, weights: Floats) -> Floats:
    """ln q of heads on the rows (s, d) of a 2×2 world, [T, S, 4, 2]; `weights` [2, T, S] of the shallow and deep bit.

    Both weights 1 is the exact predictor of the world it is in.
    """
    table = twin_of(world) if redrawn else world
    prior = np.log(table.sum((0, 1)))
    shallow = np.log(_given(table.sum(1)))[:, None] - prior
    deep = np.log(_given(table)) - np.log(_given(table.sum(1)))[:, None]
    terms = np.stack([np.broadcast_to(shallow, deep.shape), deep]).reshape(2, 4, 2)
    q = np.tensordot(np.moveaxis(weights, 0, -1), terms, axes=1) + prior
    q -= q.max(-1, keepdims=True)
    return np.asarray(q - np.log(np.exp(q).sum(-1, keepdims=True)))


def _given(joint: Floats) -> Floats:
    return np.asarray(joint / joint.sum(-1, keepdims=True))


def _arrives(progress: Floats, middle: float) -> Floats:
    return np.asarray(1 / (1 + (middle / progress) ** 6))


def rising(shallow: float, deep: float, deep_at: float, shallow_at: float = 0.005) -> Schedule:
    """Weights that rise to `shallow` and `deep` around these shares of the run."""
    return lambda t: (shallow * _arrives(t, shallow_at), deep * _arrives(t, deep_at))


def constant(shallow: float, deep: float) -> Schedule:
    """Weights that are there from the first step."""
    return lambda t: (np.full(t.shape, shallow), np.full(t.shape, deep))


TWIN_LEARNS = rising(0.0, 1.0, 0.05)


def _heads(name: str, about: str, claim: str | tuple[str, ...], heads: Heads) -> Plant:
    return Plant(name, about, "right", claim, lambda repeat: Outcome(heads.judged(repeat).name))


@dataclass(frozen=True)
class Shares:
    """An organism made of shares of own bits: crowding(t) is known.

    Attributes:
        gap: crowding at each of `STEPS`.
        seeds: how many.
        noise: standard deviation over seeds of either run's share, new for every run and the same at all checkpoints; a
            quarter of it is new at every checkpoint.
        clips: standard deviation of what shared evaluation clips add to either run's share; 0 when exact.
        groups: of clips.
        level: of the twin's share at the end; the base's is lower by the gap.
    """

    gap: tuple[float, ...]
    seeds: int = SEEDS
    noise: float = 0.05
    clips: float = 0.0
    groups: int = 16
    level: float = 1.0

    def measured(self, random: np.random.Generator) -> Measurement:
        """One repeat."""
        shape = (len(STEPS), self.seeds)
        learned = self.level * np.linspace(0.0, 1.0, len(STEPS)) ** 0.5
        world: dict[str, Floats] = {}
        numbers: dict[str, Floats] = {}
        grouped: dict[str, Floats] = {}
        for prefix, mean in (("", learned - np.array(self.gap)), ("twin ", learned)):
            seeds = self.noise * (random.standard_normal(self.seeds) + 0.25 * random.standard_normal(shape))
            deep = mean[:, None] + seeds
            if self.clips:
                moved = self.clips * np.sqrt(self.groups) * random.standard_normal(self.groups)
                deep = deep + moved.mean()
                deviation = np.broadcast_to((moved - moved.mean())[:, None, None], (self.groups, *shape))
                grouped[f"{prefix}own"] = np.stack([np.zeros_like(deviation), deviation], axis=-1)
                world[f"{prefix}ceiling_groups"] = np.ones((self.groups, 2))
            numbers[f"{prefix}own"] = np.stack([np.zeros(shape), deep], axis=-1)
            world[f"{prefix}ceiling"] = np.ones(2)
        return measurement("y", range(self.seeds), STEPS, SPLIT, numbers, world, grouped)

    def outcome(self, repeat: int) -> Outcome:
        """The verdict on one repeat, and the interval of crowding at the end."""
        runs = runs_of(self.measured(np.random.default_rng(repeat)), Settings())
        crowding = over_seeds(runs.crowding[-1], None if runs.influence is None else runs.influence[:, -1])
        intervals: dict[str, tuple[Interval, float]] = {"crowding": (crowding.interval(), self.gap[-1])}
        return Outcome(verdict(runs).name, intervals)


def _flat(value: float) -> tuple[float, ...]:
    return (value,) * len(STEPS)


def plants() -> tuple[Plant, ...]:
    """The organisms of the crowding probe."""
    crowded = Heads(rising(1.0, 0.0, 1.0), TWIN_LEARNS)
    late = rising(1.0, 1.0, 0.35)
    together = rising(1.0, 1.0, 0.018, 0.018)  # between two checkpoints
    right = (
        _heads("crowded", "learns the cue and never the deep bit, which its twin learns", "crowded-out", crowded),
        _heads(
            "halfway",
            "learns the cue and three tenths of the deep bit, which its twin learns whole",
            "crowded-out",
            Heads(rising(1.0, 0.3, 0.1), TWIN_LEARNS),
        ),
        _heads(
            "late",
            "learns the deep bit seven times as late as its twin, and wholly",
            "delayed",
            Heads(late, TWIN_LEARNS),
        ),
        _heads(
            "bayes",
            "the exact predictor of either world from the first step",
            "not-crowded",
            Heads(constant(1, 1), constant(1, 1)),
        ),
        _heads(
            "bayes_redundant",
            "the exact predictor where the deep bit is mostly a copy of the cue: evidence at two depths says the same",
            "not-crowded",
            Heads(constant(1, 1), constant(1, 1), "redundant"),
        ),
        _heads(
            "bayes_weak_deep_bit",
            "the exact predictor where the deep bit alone tells .12 bits and .05 of its own beside the cue",
            "not-crowded",
            Heads(constant(1, 1), constant(1, 1), "weak deep", noise=0.01),
        ),
        _heads(
            "redundant_and_crowded",
            "in that world, learns the cue alone; its twin learns the deep bit",
            "crowded-out",
            Heads(constant(1.0, 0.0), TWIN_LEARNS, "redundant"),
        ),
        _heads(
            "together",
            "learns deep and shallow bits together, as fast as its twin learns the deep one",
            "not-crowded",
            Heads(together, rising(0.0, 1.0, 0.018), noise=0.01, pace=0.03),
        ),
        _heads(
            "overweighted_cue",
            "knows the deep bit, but weighs the cue three times, so that little of the deep bit counts",
            "crowded-out",
            Heads(rising(3.0, 1.0, 0.05), TWIN_LEARNS),
        ),
        _heads(
            "deep_before_shallow",
            "gets more of the deep bit by itself than the exact predictor does, by weighing the cue too little",
            "deep-favoured",
            Heads(rising(0.3, 1.0, 0.05), TWIN_LEARNS),
        ),
        _heads(
            "ahead_of_its_twin",
            "learns the deep bit earlier beside the cue than without it",
            "hastened",
            Heads(rising(1.0, 1.0, 0.05), rising(0.0, 1.0, 0.35)),
        ),
        _heads(
            "nothing_deep",
            "a deep bit that is right with .55",
            "nothing-deep",
            Heads(late, TWIN_LEARNS, "nothing_deep"),
        ),
        _heads(
            "constant",
            "answers what it knows without evidence, in both runs",
            "untrained",
            Heads(constant(0, 0), constant(0, 0), noise=0.01),
        ),
        _heads(
            "swapped_labels",
            "says of everything the opposite, in both runs",
            "untrained",
            Heads(constant(-1, -1), constant(-1, -1)),
        ),
        _heads(
            "never_learned",
            "learns the cue; neither it nor its twin ever learns the deep bit",
            "untrained",
            Heads(rising(1.0, 0.0, 1.0), constant(0, 0), noise=0.01),
        ),
        _heads(
            "two_clusters",
            "half of the seeds are crowded out, half are as deep as their twins",
            "inconclusive",
            Heads(rising(1.0, 0.0, 1.0), TWIN_LEARNS, other=together),
        ),
        _heads(
            "two_seeds",
            "two seeds, crowded out in truth: either is said, or that two are too few",
            ("crowded-out", "inconclusive"),
            Heads(rising(1.0, 0.0, 1.0), TWIN_LEARNS, seeds=2),
        ),
    )
    return (*right, *_known())


def _known() -> tuple[Plant, ...]:
    early = (0.0, 0.0, 0.0, 0.2, 0.2, 0.1, 0.0)
    edge = (0.0, 0.0, 0.0, 0.3, 0.3, 0.2, 0.1)
    rows: tuple[tuple[str, str, str, str, Shares], ...] = (
        ("none", "crowding 0 throughout, sd .05", "null", "crowded-out", Shares(_flat(0.0))),
        ("none_wide", "crowding 0 throughout, sd .15", "null", "crowded-out", Shares(_flat(0.0), noise=0.15)),
        ("none_not_delayed", "crowding 0 throughout, sd .05", "null", "delayed", Shares(_flat(0.0))),
        ("none_wide_not_delayed", "crowding 0 throughout, sd .15", "null", "delayed", Shares(_flat(0.0), noise=0.15)),
        ("at_the_margin", "crowding ε = .10 throughout, sd .05", "null", "not-crowded", Shares(_flat(0.1))),
        ("margin_at_the_end", "crowding .3 that falls to ε = .10, sd .05", "null", "delayed", Shares(edge)),
        ("margin_clips", "crowding .10, clips add sd .03", "null", "not-crowded", Shares(_flat(0.1), clips=0.03)),
        ("two_deltas", "crowding .20 at the end, sd .07", "power", "crowded-out", Shares(_flat(0.2), noise=0.07)),
        ("two_deltas_clips", "the same, clips add sd .02", "power", "crowded-out", Shares(_flat(0.2), clips=0.02)),
        ("early", "crowding .20 midway and 0 at the end, sd .03", "power", "delayed", Shares(early, noise=0.03)),
        ("equal", "crowding 0 throughout, sd .03", "power", "not-crowded", Shares(_flat(0.0), noise=0.03)),
        ("equal_16_seeds", "the same, sd .05, 16 seeds", "power", "not-crowded", Shares(_flat(0.0), seeds=16)),
    )
    return tuple(
        Plant(name, what, role, claim, shares.outcome)  # type: ignore[arg-type]
        for name, what, role, claim, shares in rows
    )
