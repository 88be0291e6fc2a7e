"""What it costs to measure the pie at every checkpoint of a run, beside training that run.

    python benchmarks/run.py --only pie-cost

An MLP, 8 seeds, 20 checkpoints, 2,000 steps, on the vault: at its usual length, where every context is enumerated, and
at 8 frames, where clips are drawn; and on alarm. Training and measuring take turns. The reference, made once per world
and shared by all heads, is timed apart; compiled code is warm.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import perf_counter

from timing import median_ratio, progress, taking_turns, where

import worldnets as wn
from probes.catalogue.depth import DepthProbe
from probes.finding import Conclusion
from probes.ladder import References, Sampling
from probes.sources import DatasetSource
from worldnets.dataset import Dataset
from worldnets.trace import Trace

SEEDS, CHECKPOINTS, STEPS = 8, 20, 2000
WORLDS: dict[str, tuple[str, dict[str, int]]] = {
    "vault, 6 frames": ("vault", {}),
    "vault, 8 frames": ("vault", {"frames": 8}),
    "alarm": ("alarm", {}),
}


def measure(repeats: int = 3) -> str:
    """The table, as Markdown."""
    lines = [
        "| world | reference | rows | training | its reference, once | the pie at every checkpoint | pie / training "
        "| largest Monte-Carlo error |"
    ]
    lines.append("|---|---|---|---|---|---|---|---|")
    for name, (world, parameters) in WORLDS.items():
        dataset = wn.load_dataset(world, **parameters)
        progress(f"pie-cost: {name}")
        probe, trace = DepthProbe(), _trained(dataset, 0)
        error = _error(probe.run(trace))  # compiles what it needs, and makes the reference that all repeats share
        rows, how, making = _reference(dataset)
        taken = taking_turns({"training": _training(dataset), "pie": _measuring(probe, dataset)}, repeats)
        ratio = median_ratio(taken["pie"], taken["training"])
        cells = [*(f"{seconds:.1f} s" for seconds in (_median(taken["training"]), making, _median(taken["pie"])))]
        lines.append(f"| {name} | {how} | {rows:,} | {' | '.join(cells)} | {ratio:.2f} | {error} |")
    what = (
        f"MLP, {SEEDS} seeds, {STEPS:,} steps, {CHECKPOINTS} checkpoints; medians of {repeats} repeats taken in turns. "
        "The error is the largest of any seed's deep, shallow or whole efficiency at any checkpoint, of any target"
    )
    return "\n".join([*lines, "", f"{what}; {where(['worldnets', 'numpy', 'jax'])}"])


def _trained(dataset: Dataset, repeat: int) -> Trace:
    first = SEEDS * repeat
    objective = dataset.objectives[0]
    return wn.train(dataset, "mlp", objective, seeds=range(first, first + SEEDS), steps=STEPS, checkpoints=CHECKPOINTS)


def _training(dataset: Dataset) -> Callable[[int], Callable[[], float]]:
    return lambda repeat: lambda: _seconds(lambda: _trained(dataset, repeat))


def _measuring(probe: DepthProbe, dataset: Dataset) -> Callable[[int], Callable[[], float]]:
    def prepare(repeat: int) -> Callable[[], float]:
        trace = _trained(dataset, repeat)
        return lambda: _seconds(lambda: probe.measure(trace))

    return prepare


def _error(conclusion: Conclusion) -> str:
    errors = [f.value.estimate for f in conclusion.findings if f.name.startswith("Monte-Carlo error")]
    return f"{max(errors):.3f}" if max(errors) else "0"


def _reference(dataset: Dataset) -> tuple[int, str, float]:
    task = dataset.task(dataset.objectives[0])
    made = References(DatasetSource(dataset, task), Sampling())
    begun = perf_counter()
    about = made.get(None, task.targets[0].name).about
    seconds = perf_counter() - begun
    how = "enumerated" if about.groups is None else f"{about.clips:,} clips × {about.draws} draws"
    return about.rows, how, seconds


def _seconds(run: Callable[[], object]) -> float:
    begun = perf_counter()
    run()
    return perf_counter() - begun


def _median(seconds: list[float]) -> float:
    return statistics.median(seconds)
