"""A cue against a parity: does crowding out happen when and where it was measured independently?

Trains an MLP with two hidden layers of 64 ReLU units on the `cue_parity` world (plain SGD .05, batch 128, 8 seeds) and
asks the crowding probe, which trains the twin whose cue is redrawn so that it carries nothing. Prints the deep rung's
own bits beside those of an independent measurement (8 seeds; its standard errors where it gave them), what the probe
says of each budget and of a head that is exact, and what each remedy changes.

    python benchmarks/known_answers_j.py [--seeds 8] [--without-remedies] [--out docs/known_answers_j.md]
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from answers import arguments_of, publish, written

import worldnets as wn
from probes.catalogue.crowding import CrowdingProbe, deep_pull, runs_of
from probes.crowding.delay import delay
from probes.crowding.measured import DEEP, Puller, Split, about, measure_run, measurement
from probes.crowding.verdict import Settings
from probes.finding import Conclusion
from probes.ladder import Sampling, references
from probes.measurement import Measurement, pack, unpack

STEPS = (200, 800, 1600, 3200, 6400, 12800)
# 1 % and two thirds of every budget are among the checkpoints: the verdict looks there.
CHECKPOINTS = (0, 8, 16, 32, 64, 128, 133, 200, 400, 533, 800, 1067, 1600, 2133, 3200, 4267, 6400, 8533, 12800)
# (own bits of the deep rung, standard error or None) by step, as measured independently of this project.
EXPECTED: dict[str, dict[int, tuple[float, float | None]]] = {
    "base": {
        200: (0.000, None),
        800: (0.004, None),
        1600: (0.008, None),
        3200: (0.027, 0.005),
        6400: (0.403, 0.054),
        12800: (0.538, None),
    },
    "twin": {200: (0.031, None), 800: (0.742, None), 1600: (0.847, None), 3200: (0.850, None), 6400: (0.851, None)},
}
CEILINGS = {"base": 0.553, "twin": 0.859}
SGD = {"optimizer": "sgd", "learning_rate": 0.05}
ADAM = {"optimizer": "adam", "learning_rate": 1e-3}
DROPOUT = {"evidence_dropout": {"strength": 0.5, "variables": ["cue"]}}
#: Conditions of the same probe: name → what is changed, steps of the run.
REMEDIES: dict[str, tuple[dict[str, Any], int]] = {
    "SGD .05": (SGD, 6400),
    "SGD .05, spectral decoupling .01": (SGD | {"penalties": {"spectral_decoupling": 0.01}}, 6400),
    "SGD .05, spectral decoupling .1": (SGD | {"penalties": {"spectral_decoupling": 0.1}}, 6400),
    "SGD .05, weight decay .001": (SGD | {"penalties": {"weight_decay": 1e-3}}, 6400),
    "SGD .05, cue hidden in half of the clips": (SGD | {"penalties": DROPOUT}, 6400),
    "SGD .2": (SGD | {"learning_rate": 0.2}, 6400),
    "Adam .001": (ADAM, 3200),
    "Adam .001, spectral decoupling .01": (ADAM | {"penalties": {"spectral_decoupling": 0.01}}, 3200),
    "Adam .001, spectral decoupling .1": (ADAM | {"penalties": {"spectral_decoupling": 0.1}}, 3200),
}
EARLY = 16  # the early column stands at this fraction of a remedy's run


def cell_of(seeds: int, checkpoints: tuple[int, ...], options: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """What the probe measures of one condition, and seconds, twin included."""
    begun = time.perf_counter()
    dataset = wn.load_dataset("cue_parity")
    trace = wn.train(dataset, "mlp", "question", seeds=seeds, steps=checkpoints[-1], checkpoints=checkpoints, **options)
    return CrowdingProbe().measure(trace), time.perf_counter() - begun


def within(whole: Measurement, budget: int) -> Measurement:
    """The same run, stopped at a checkpoint."""
    kept = whole.steps <= budget
    numbers = {name: values[kept] for name, values in whole.numbers.items()}
    return replace(whole, steps=whole.steps[kept], numbers=numbers)


def concluded(whole: Measurement) -> Conclusion:
    probe = CrowdingProbe()
    return probe.conclude([pack([whole], probe.name, probe.version)])


def bayes(seeds: int = 8, steps: tuple[int, ...] = STEPS) -> Measurement:
    """The exact predictors of the base's world and of the twin's, as if they were a run and its twin."""
    base = wn.load_dataset("cue_parity")
    task = base.task("question")
    split = Split(task.ladders["answer"], 1)
    numbers, world = {}, {}
    for prefix, dataset in (("", base), ("twin ", base.with_redrawn(["cue"]))):
        known = references(dataset, task, Sampling())
        reference = known.get((split.shallow, split.deep), "answer")
        puller = Puller(reference, known.source, split, "answer")
        with np.errstate(divide="ignore"):
            exact = np.broadcast_to(np.log(reference.ladder[-1]), (seeds, *reference.ladder[-1].shape))
        curves, _ = measure_run(reference, puller, lambda _, exact=exact: exact, len(steps))  # type: ignore[misc]
        numbers |= {prefix + name: values for name, values in curves.items()}
        world |= about(reference, prefix) | {f"{prefix}floored": np.array(puller.floored)}
    return measurement("answer", range(seeds), np.array(steps), split, numbers, world)


def table(whole: Measurement) -> list[str]:
    lines = [
        "| step | base: own bits | expected | base: deep efficiency | base: reliance | base: pull "
        "| twin: own bits | expected | twin: pull | crowding |",
        "|" + "---|" * 10,
    ]
    information = whole.world["information"][DEEP]
    crowding = runs_of(whole, Settings()).crowding
    for step in STEPS:
        at = int(np.flatnonzero(whole.steps == step)[0])
        columns = [
            _figure(whole.numbers["own"][at, :, DEEP]),
            _expected("base", step),
            _figure(whole.numbers["captured"][at, :, DEEP] / information),
            _figure(whole.numbers["reliance"][at, :, DEEP]),
            _figure(deep_pull(whole)[at]),
            _figure(whole.numbers["twin own"][at, :, DEEP]),
            _expected("twin", step),
            _figure(deep_pull(whole, "twin ")[at]),
            _figure(crowding[at]),
        ]
        lines.append(f"| {step:,} | {' | '.join(columns)} |")
    return lines


def budgets(whole: Measurement) -> list[str]:
    """What the probe says when the run ends earlier, and of the exact predictor."""
    lines = ["| budget | verdict | crowding at the end | steps to half, base / twin |", "|---|---|---|---|"]
    runs = {f"{step:,} steps": within(whole, step) for step in STEPS}
    for name, run in {**runs, "the exact predictor": bayes(len(whole.seeds))}.items():
        found = concluded(run)
        crowding, late = found.last("crowding", "answer"), found.last("delay", "answer")
        split = "; ".join(f"{count} seeds {which}" for which, count in found.verdict.clusters.items())
        assert crowding is not None
        verdict = f"`{found.verdict.name}`{f' ({split})' if split else ''}"
        lines.append(f"| {name} | {verdict} | {crowding.value} | {_ratio(late)} |")
    return lines


def remedies(seeds: int) -> list[str]:
    lines = [
        "| condition | steps | verdict | pull, early | base: own share, early | at half of the run | at the end "
        "| twin: at the end | steps to half, base / twin |",
        "|" + "---|" * 9,
    ]
    for name, (options, last) in REMEDIES.items():
        early, half = last // EARLY, last // 2
        checkpoints = (0, last // 100, last // 32, early, last // 8, last // 4, half, round(2 * last / 3), last)
        cell, _ = cell_of(seeds, checkpoints, options)
        (whole,) = unpack(cell, "crowding")
        runs, found = runs_of(whole, Settings()), concluded(whole)
        place = {step: int(np.flatnonzero(whole.steps == step)[0]) for step in (early, half, last)}
        shares = [_figure(runs.base[place[step]]) for step in (early, half, last)]
        columns = [f"`{found.verdict.name}`", _figure(deep_pull(whole)[place[early]]), *shares]
        columns += [_figure(runs.twin[-1]), _ratio(found.last("delay", "answer"))]
        lines.append(f"| {name} | {last:,} | {' | '.join(columns)} |")
        print(lines[-1], flush=True)
    return lines


def _expected(name: str, step: int) -> str:
    if step not in EXPECTED[name]:
        return "–"
    value, error = EXPECTED[name][step]
    return f"{value:.3f}" + (f" ± {error:.3f}" if error else "")


def _ratio(finding: Any) -> str:
    if finding is None:
        return "–"
    value = finding.value
    if np.isinf(value.high):
        return f"≥ {value.estimate:.1f} (censored)"
    return f"{value.estimate:.1f} [{value.low:.1f}, {value.high:.1f}]"


def _figure(values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{values.mean():.3f}"
    return f"{values.mean():.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def report(whole: Measurement, seconds: float, seeds: int, remedied: list[str]) -> str:
    ceilings = ", ".join(
        f"{name} {whole.world[f'{prefix}ceiling'][DEEP]:.3f} (expected {CEILINGS[name]:.3f})"
        for name, prefix in (("base", ""), ("twin", "twin "))
    )
    runs = runs_of(whole, Settings())
    late = delay(whole.steps, runs.base, runs.twin)
    lines = [
        "# A cue against a parity: own bits of the deep rung, with a cue and without",
        "",
        written(f"known_answers_j.py --seeds {seeds}", "jax", "jaxlib", "equinox", "optax", "numpy"),
        "",
        f"Mean ± standard error over {seeds} seeds, in bits. Ceilings of own bits: {ceilings}. Training both runs and "
        f"measuring them at {len(whole.steps)} checkpoints took {seconds:.0f} s. All columns come from the "
        "[crowding probe](probes/crowding.md); its twin sees the same clips with another cue.",
        "",
        *table(whole),
        "",
        "“Expected” was measured independently of this project with 8 seeds; errors where it gave them. It does not",
        "say how the head's output is coded nor how its readout starts; what was chosen here, and how much the table",
        "depends on it, is in `docs/decisions/head-outputs-and-first-parameters.md`.",
        "",
        f"To half of their own ceilings the base takes {late} as its twin.",
        "",
        "## What the probe says, by budget",
        "",
        *budgets(whole),
        "",
    ]
    if remedied:
        lines += [
            "## Remedies are conditions",
            "",
            f"The same probe on runs with a penalty or another step size; twins are trained alike. "
            f"Early is 1/{EARLY} of the run. Shares are own bits over their ceiling, pull is of the base, in bits.",
            "",
            *remedied,
            "",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = arguments_of(__doc__, "known_answers_j.md")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--without-remedies", action="store_true")
    arguments = parser.parse_args()
    cell, seconds = cell_of(arguments.seeds, CHECKPOINTS, SGD)
    (whole,) = unpack(cell, "crowding")
    remedied = [] if arguments.without_remedies else remedies(arguments.seeds)
    text = report(whole, seconds, arguments.seeds, remedied)
    publish(text, arguments.out)


if __name__ == "__main__":
    main()
