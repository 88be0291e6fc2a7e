"""Heads that came to the same end by different ways, measured side by side.

The runs: `grown`, along a growth; `fresh`, on its end alone for as many steps in all; `short`, on its end alone for as
many steps as the grown head had there; `reversed`, the same stages before the end, deep first. Seed by seed they have
the same first parameters and see the same clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.ladder import Reference
from probes.measurement import Measurement
from probes.path.barrier import barriers
from probes.path.clips import Clips
from probes.path.matching import matchable, units_named
from probes.pie import stack
from worldnets.growth import Growth, growth_digest
from worldnets.trace import Trace
from worldnets.training import retrained
from worldnets.training_plan import GROUP

Floats = NDArray[np.float64]
ROLES = ("grown", "fresh", "short", "reversed")
#: Which two runs are compared with each other; "seeds" are fresh heads of two seeds.
PAIRS = {"fresh": ("grown", "fresh"), "short": ("grown", "short"), "reversed": ("grown", "reversed")}


@dataclass(frozen=True)
class Runs:
    """The four runs; `reversed` is None where no other order of the stages exists."""

    grown: Trace
    fresh: Trace
    short: Trace
    reversed: Trace | None

    def of(self, role: str) -> Trace | None:
        """The run of a role."""
        found: Trace | None = getattr(self, role)
        return found


def train_runs(trace: Trace, growth: Growth, grown: bool, progress: Callable[[int, int], None] | None = None) -> Runs:
    """The runs beside a trace.

    Args:
        trace: one that was grown, or that shares its request with one.
        growth: the stages.
        grown: whether the trace is itself the grown one.
        progress: called as progress(done, total) after each training.

    Raises:
        TrainingError: too few steps for the stages; every seed of a run diverged.
    """
    steps = trace.last
    tell = (lambda done: None) if progress is None else (lambda done: progress(done, 4))
    whole = trace if grown else retrained(trace, world_model=growth)
    tell(1)
    fresh = retrained(trace, world_model=growth.fresh())
    tell(2)
    rest = growth.last_steps(steps)
    short = fresh
    if rest < steps:
        short = retrained(trace, world_model=growth.fresh(), steps=rest, checkpoints=(0, rest))
    tell(3)
    turned = growth.reversed()
    other = None
    if _order(turned) != _order(growth):
        other = retrained(trace, world_model=turned)
    tell(4)
    return Runs(whole, fresh, short, other)


def _order(growth: Growth) -> list[str]:
    return [growth_digest(Growth((stage,), growth.variables)) for stage in growth.stages]


def measure_target(
    runs: Runs,
    target: str,
    reference: Reference,
    growth: Growth,
    barrier: bool,
    step: Callable[[], None],
) -> Measurement:
    """One target of the runs: captured bits over training, and at the end how far heads lie from each other."""
    steps, seeds = runs.grown.steps, runs.grown.seeds
    about = reference.about
    clips = Clips.of(reference)
    numbers: dict[str, Floats] = {}
    ends: dict[str, Floats] = {}
    grouped: dict[str, Floats] = {}
    last: dict[str, Floats] = {}
    for role in ROLES:
        run = runs.of(role)
        if run is None:
            continue
        predict = run.predictor(reference.inputs)
        pies = []
        for checkpoint in range(len(run.steps)):
            if role == "short" and checkpoint < len(run.steps) - 1:
                continue  # of the short run only its end can be set beside the others
            log_q = predict(checkpoint, target)
            pies.append(reference.measure(log_q))
            step()
        last[role] = np.asarray(log_q, dtype=np.float64)[:, clips.rows]
        pie = stack(pies)
        missing = len(steps) - len(pies)
        numbers[f"captured, {role}"] = _late(pie.captured, missing, 0)
        numbers[f"loss, {role}"] = _late(pie.loss, missing, 0)
        if pie.captured_groups is not None:
            centred = pie.captured_groups
            grouped[f"captured, {role}"] = _late(centred, missing, 1)
    for name, (one, other) in PAIRS.items():
        if one in last and other in last:
            for way, (p, q) in {"to": (one, other), "from": (other, one)}.items():
                ends[f"divergence {way} {name}"] = clips.mean(clips.divergence(last[p], last[q]))
    ends["divergence between seeds"] = _between_seeds(clips, last["fresh"], seeds)
    plain: dict[str, Any] = {
        "rungs": [list(rung) for rung in about.rungs],
        "stages": [stage.name for stage in growth.stages],
        "last steps": growth.last_steps(runs.grown.last),
        "steps": int(runs.grown.last),
        "matching": _barriers(runs, target, reference, clips, ends) if barrier else "not asked for",
    }
    world: dict[str, NDArray[Any]] = {"information": about.information}
    if about.groups is not None:
        world["information groups"] = about.groups
    return Measurement(target, seeds, steps, numbers, ends, grouped, world, plain)


def _late(values: Floats, missing: int, axis: int) -> Floats:
    """As if the checkpoints before had been measured too: NaN."""
    if not missing:
        return values
    shape = list(values.shape)
    shape[axis] = missing
    return np.concatenate([np.full(shape, np.nan), values], axis=axis)


def _between_seeds(clips: Clips, log_q: Floats, seeds: tuple[int, ...]) -> Floats:
    """½(KL(q_s ‖ q_s') + KL(q_s' ‖ q_s)) of each seed and the others of its group, by their slots, [S, GROUP]."""
    answer = np.full((len(seeds), GROUP), np.nan)
    every = clips.pairwise(log_q)
    both = (every + every.T) / 2
    for i, one in enumerate(seeds):
        for j, other in enumerate(seeds):
            if i != j and one // GROUP == other // GROUP:
                answer[i, other % GROUP] = both[i, j]
    return answer


def _barriers(runs: Runs, target: str, reference: Reference, clips: Clips, ends: dict[str, Floats]) -> str:
    """Puts barriers among the ends and says what was matched, or why there are none."""
    if not matchable(runs.grown):
        return f"undefined: which units of {runs.grown.head!r} may change places is not known"
    features = runs.fresh.inputs.at(runs.fresh.last).features(reference.inputs)
    count = len(runs.grown.seeds)
    same = [(i, i) for i in range(count)]
    for name, (one, other) in PAIRS.items():
        first, second = runs.of(one), runs.of(other)
        if first is not None and second is not None:
            found = barriers(first, second, same, target, clips, features)
            ends[f"barrier to {name}"], ends[f"barrier to {name}, matched"] = found
    if count > 1:
        neighbours = [(i, (i + 1) % count) for i in range(count)]
        found = barriers(runs.fresh, runs.fresh, neighbours, target, clips, features)
        ends["barrier between seeds"], ends["barrier between seeds, matched"] = found
    return units_named(runs.grown)


def pseudo_values(between: Floats, seeds: tuple[int, ...]) -> Floats:
    """Jackknife pseudo-values of the mean over pairs of seeds, [S]; their mean over a group is that of its pairs.

    The mean over pairs, U, is no mean over independent values: every seed is in n − 1 pairs. With m_s the mean of the
    pairs of seed s, leaving s out gives (nU − 2m_s)/(n − 2), and the pseudo-value is nU − (n − 1) times that. Only
    pairs of seeds that are both here are used. NaN where a group has fewer than three seeds.

    Args:
        between: [S, GROUP], of each seed and the seed in that slot of its group.
        seeds: of the rows.

    Source: Arvesen 1969, "Jackknifing U-statistics", Annals of Mathematical Statistics 40:2076.
    """
    groups: Mapping[int, list[int]] = {}
    groups = {group: [i for i, s in enumerate(seeds) if s // GROUP == group] for group in {s // GROUP for s in seeds}}
    answer = np.full(len(seeds), np.nan)
    for members in groups.values():
        n = len(members)
        if n < 3:
            continue
        slots = [seeds[i] % GROUP for i in members]
        pairs = between[np.ix_(members, slots)]
        mean = np.where(np.eye(n, dtype=bool), 0.0, pairs).sum(1) / (n - 1)
        whole = mean.mean()
        answer[members] = n * whole - (n - 1) * (n * whole - 2 * mean) / (n - 2)
    return answer
