"""Learned message passing beside the linear head on the vault: how much of the deep rungs' information each captures.

Rules: the same clips, steps, batch and optimizer, eight seeds. Learning rates are those in `CONDITIONS`; the linear
head has several, and the one with the highest deep efficiency counts: chosen with its result in view, which can only
help it. The pie is measured exactly, over all evidence. Intervals are t-intervals over seeds at 95 %; differences are
paired by seed, since seeds share their clips.

python benchmarks/learned_messages.py [--steps 1500] [--seeds 8]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np
from report import Report
from timing import progress, where

import worldnets as wn
from probes.catalogue.depth import DepthProbe
from probes.ladder import reference
from probes.measured import unpack
from probes.pie import Information
from probes.statistics import t_interval
from probes.verdict import split
from worldnets.heads.base import outputs_of
from worldnets.objectives.base import log_probabilities
from worldnets.training_plan import plan_training

OBJECTIVES = ("question", "continuation")
STEPS, SEEDS = 1500, 8
LINEAR_RATES = (3e-3, 1e-2, 3e-2)  # the best counts


@dataclass(frozen=True)
class Condition:
    """One row of the table."""

    title: str
    head: str
    rates: tuple[float, ...]
    options: Mapping[str, Any]


CONDITIONS = (
    Condition("linear", "linear", LINEAR_RATES, {}),
    Condition("message_passing", "message_passing", (0.03,), {}),
    Condition("message_passing, frames as clusters", "message_passing", (0.03,), {"clusters": "frames"}),
    Condition("message_passing, told what is impossible", "message_passing", (0.03,), {"zeros": "kept"}),
    Condition("message_passing, from noisy true tables", "message_passing", (0.03,), {"initialisation": "noisy"}),
)


UNTRAINED = {
    "loopy, as many rounds as trained": {},
    "loopy, 30 rounds": {"rounds": 30},
    "frames as clusters": {"clusters": "frames"},
}


@dataclass(frozen=True)
class Result:
    """What one condition reached."""

    condition: Condition
    rate: float
    deep: np.ndarray  # [seeds]
    start: np.ndarray  # [seeds], before training
    rounds: int | None
    seconds: float


def deep_efficiency(trace: wn.Trace, probe: DepthProbe) -> np.ndarray:
    """Captured over available bits of the deep rungs, [checkpoints, seeds], of a trace with one target."""
    (measured,) = unpack(probe.measure(trace))
    return measured.pie.efficiency(measured.about, _deep(measured.about, probe))


def _deep(about: Information, probe: DepthProbe) -> range:
    return range(split(about.information, probe.settings) + 1, len(about.information) + 1)


def reached(
    dataset: wn.Dataset, objective: str, condition: Condition, probe: DepthProbe, steps: int, seeds: int
) -> Result:
    """Train a condition at each of its learning rates; the best."""
    found = []
    for rate in condition.rates:
        begun = time.perf_counter()
        trace = wn.train(
            dataset,
            condition.head,
            objective,
            seeds=seeds,
            steps=steps,
            checkpoints=[0, steps],
            learning_rate=rate,
            head_options=condition.options,
        )
        seconds = time.perf_counter() - begun
        deep = deep_efficiency(trace, probe)
        rounds = getattr(trace.at(-1, 0), "performed", None)
        found.append(Result(condition, rate, deep[-1], deep[0], rounds, seconds))
        progress(f"{objective}, {condition.title}, {rate:g}: {t_interval(deep[-1])}, {seconds:.0f} s")
    return max(found, key=lambda result: result.deep.mean())


def untrained(
    dataset: wn.Dataset, objective: str, probe: DepthProbe, options: Mapping[str, Mapping[str, Any]] = UNTRAINED
) -> dict[str, float]:
    """Deep efficiency at the world's own tables, by message passing without training."""
    found = {}
    for title, given in options.items():
        plan = plan_training(dataset, "message_passing", objective, head_options={"initialisation": "true", **given})
        known = reference(dataset, plan.task, plan.task.targets[0].name)
        outputs = eqx.filter_jit(outputs_of)(plan.build(0), plan.inputs.features(known.inputs))
        pie = known.measure(log_probabilities(np.asarray(outputs), plan.counts)[None])
        found[title] = float(pie.efficiency(known.about, _deep(known.about, probe))[0])
    return found


def table(results: Sequence[Result]) -> list[str]:
    lines = [
        "| head | learning rate | rounds | deep efficiency | over linear | seconds |",
        "|---|---|---|---|---|---|",
    ]
    linear = results[0]
    for result in results:
        over = "" if result is linear else f"**{t_interval(result.deep - linear.deep)}**"
        rounds = "" if result.rounds is None else str(result.rounds)
        cells = (result.condition.title, f"{result.rate:g}", rounds, str(t_interval(result.deep)), over)
        lines.append(f"| {' | '.join(cells)} | {result.seconds:.0f} |")
    return lines


def measure(steps: int = STEPS, seeds: int = SEEDS) -> Report:
    """The tables of both tasks."""
    dataset, probe = wn.load_dataset("vault"), DepthProbe()
    lines = [
        f"Deep efficiency on the vault after {steps:,} steps of Adam on batches of 128, {seeds} seeds, "
        "95 % t-intervals; “over linear” is paired by seed. “Seconds” trains all seeds, compilation included.",
        where(["jax", "equinox", "optax"]),
        "",
    ]
    for objective in OBJECTIVES:
        results = [reached(dataset, objective, condition, probe, steps, seeds) for condition in CONDITIONS]
        own = "; ".join(f"{title} {value:.3f}" for title, value in untrained(dataset, objective, probe).items())
        lines += [f"**{objective}**", "", *table(results), "", f"At the world's own tables, untrained: {own}.", ""]
    return Report("\n".join(lines).rstrip())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    print(measure(options.steps, options.seeds).full)


if __name__ == "__main__":
    main()
