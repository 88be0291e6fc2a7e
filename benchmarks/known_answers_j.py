"""A cue against a parity: does crowding out happen when and where it was measured independently?

Trains an MLP with two hidden layers of 64 ReLU units on the `cue_parity` world (plain SGD .05, batch 128, 8 seeds), on
the base and on the twin whose cue is redrawn so that it carries nothing, and prints the deep rung's own bits beside
those of an independent measurement (8 seeds; its standard errors where it gave them).

    python benchmarks/known_answers_j.py [--seeds 8] [--out docs/known_answers_j.md]
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

import worldnets as wn
from probes.ladder import reference

STEPS = (200, 800, 1600, 3200, 6400, 12800)
# (own bits of the deep rung, standard error or None) by step, as measured independently of this project.
EXPECTED = {
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


@dataclass(frozen=True)
class Curve:
    """What one condition gave."""

    steps: tuple[int, ...]
    own: np.ndarray  # [checkpoints, seeds] bits
    efficiency: np.ndarray  # [checkpoints, seeds] of the deep rung
    ceiling: float
    seconds: float


def curve(name: str, seeds: int) -> Curve:
    dataset = wn.load_dataset("cue_parity")
    if name == "twin":
        dataset = dataset.with_redrawn(["cue"])
    steps = tuple(EXPECTED[name])
    begun = time.perf_counter()
    trace = wn.train(
        dataset, "mlp", "question", optimizer="sgd", learning_rate=0.05, seeds=seeds, steps=steps[-1], checkpoints=steps
    )
    seconds = time.perf_counter() - begun
    known = reference(dataset, trace.task, "answer")
    features = trace.inputs.features(known.inputs)
    pies = [known.measure(trace.predict_features(features, i, "answer")) for i in range(len(steps))]
    own = np.stack([pie.own[:, -1] for pie in pies])
    # The twin's deep rung is the whole pie; its efficiency is the same formula.
    efficiency = np.stack([pie.efficiency(known.about, [2]) for pie in pies])
    return Curve(steps, own, efficiency, float(known.about.own_ceiling[-1]), seconds)


def table(curves: dict[str, Curve]) -> list[str]:
    lines = [
        "| step | base: own bits | expected | base: deep efficiency | twin: own bits | expected |",
        "|---|---|---|---|---|---|",
    ]
    for step in STEPS:
        cells = [f"{step:,}"]
        for name, result in curves.items():
            if step not in result.steps:
                cells += ["–", "–"]
                continue
            own = result.own[result.steps.index(step)]
            expected, error = EXPECTED[name][step]
            cells += [_figure(own), f"{expected:.3f}" + (f" ± {error:.3f}" if error else "")]
            if name == "base":
                cells.append(_figure(result.efficiency[result.steps.index(step)]))
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _figure(values: np.ndarray) -> str:
    if len(values) < 2:
        return f"{values.mean():.3f}"
    return f"{values.mean():.3f} ± {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def report(curves: dict[str, Curve], seeds: int) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "jaxlib", "equinox", "optax", "numpy"))
    ceilings = ", ".join(
        f"{name} {result.ceiling:.3f} (expected {CEILINGS[name]:.3f})" for name, result in curves.items()
    )
    times = ", ".join(f"{name} {result.seconds:.1f} s" for name, result in curves.items())
    lines = [
        "# A cue against a parity: own bits of the deep rung",
        "",
        f"Written by `benchmarks/known_answers_j.py --seeds {seeds}` on {datetime.date.today().isoformat()}, "
        f"Python {platform.python_version()}, {packages}.",
        "",
        f"Mean ± standard error over {seeds} seeds, in bits. Ceilings of own bits: {ceilings}. Training took {times}.",
        "",
        *table(curves),
        "",
        "“Expected” was measured independently of this project with 8 seeds; errors where it gave them. It does not",
        "say how the head's output is coded nor how its readout starts; what was chosen here, and how much the table",
        "depends on it, is in `docs/decisions/head-outputs-and-first-parameters.md`.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "known_answers_j.md")
    arguments = parser.parse_args()
    text = report({name: curve(name, arguments.seeds) for name in EXPECTED}, arguments.seeds)
    print(text)
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
