"""Simplicity bias: a line crowds out slabs, and a control in which it does so less. Does the probe tell them apart?

First the published experiment on continuous points: coordinate 0 tells the class by a line, the others by five slabs;
a ReLU net of two hidden layers of 100 by plain SGD, and its accuracy on held-out points as they are, with coordinate 0
shuffled, and with all the others shuffled together. With three quarters of the negative mass in the middle slab, second
moments are the same in both classes; with uniform masses they are not, slabs are easier, and the bias breaks.

Then the same world quantised, a Bayes net (`slabs.slabs_dataset`), and the crowding probe on it, whose shallow rung is
the line: own bits and reliance of the deep rung at the same budget.

    python benchmarks/known_answers_c.py [--full] [--seeds 8] [--out docs/known_answers_c.md]

Source: Shah, Tamuly, Raghunathan, Jain & Netrapalli 2020, "The Pitfalls of Simplicity Bias in Neural Networks"
(arXiv 2006.07710), LMS-5 and table 1.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import numpy as np
from answers import arguments_of, publish, written
from slabs import MASSES, Coordinates, Width, points, slabs_dataset

import worldnets as wn
from probes.catalogue.crowding import CrowdingProbe
from probes.finding import Conclusion
from probes.statistics import over_seeds
from worldnets.heads.base import REGISTRY as HEADS
from worldnets.heads.mlp import MLP

THREE_QUARTERS, UNIFORM = MASSES
#: Accuracy as is / coordinate 0 shuffled / all others shuffled: published and measured independently of this project.
EXPECTED = {THREE_QUARTERS: (1.000, 0.50, 1.000), UNIFORM: (0.993, 0.593, 0.934)}
CHECKPOINTS = (0, 32, 100, 200, 400, 800, 1600, 2133, 3200)
BATCH, RATE, DECAY = 256, 0.1, 5e-5
MARGIN = 0.10  # bits of own bits and of reliance that count as none


@dataclass(frozen=True)
class Size:
    """Of the continuous experiment."""

    coordinates: int
    rows: int
    epochs: int


REDUCED, FULL = Size(10, 20_000, 40), Size(50, 100_000, 40)


def accuracies(masses: str, size: Size, seed: int = 0) -> tuple[float, float, float]:
    """Accuracy on fresh points as they are, with coordinate 0 shuffled, and with all others shuffled together."""
    random = np.random.default_rng([seed, 1])
    rotation = np.linalg.qr(random.standard_normal((size.coordinates, size.coordinates)))[0]
    x, y = points(size.rows, size.coordinates, masses, 2 * seed)
    seen = jax.numpy.asarray(x @ rotation, dtype=np.float32), jax.numpy.asarray(2 * y - 1, dtype=np.float32)
    network = MLP.build(random, Width(size.coordinates), 1, width=100, depth=2)  # type: ignore[arg-type]
    network = jax.tree.map(lambda leaf: jax.numpy.asarray(leaf), network)
    for _ in range(size.epochs):
        order = random.permutation(size.rows)[: size.rows // BATCH * BATCH].reshape(-1, BATCH)
        network = _epoch(network, seen, jax.numpy.asarray(order))
    x, y = points(20_000, size.coordinates, masses, 2 * seed + 1)
    shuffled = random.permutation(len(x))
    line, rest = x.copy(), x.copy()
    line[:, 0], rest[:, 1:] = x[shuffled, 0], x[shuffled, 1:]
    predict = jax.jit(jax.vmap(network))
    said = [np.asarray(predict((z @ rotation).astype(np.float32)))[:, 0] > 0 for z in (x, line, rest)]
    found = [float((positive == y).mean()) for positive in said]
    return found[0], found[1], found[2]


@eqx.filter_jit
def _epoch(network: MLP, seen: tuple[jax.Array, jax.Array], order: jax.Array) -> MLP:
    # Plain SGD on mean ln(1 + exp(−y·output)), y = ±1, with weights shrinking by learning rate × decay at every step.
    parameters, rest = eqx.partition(network, eqx.is_inexact_array)

    def loss(moving: MLP, rows: jax.Array) -> jax.Array:
        outputs = jax.vmap(eqx.combine(moving, rest))(seen[0][rows])[:, 0]
        return jax.numpy.logaddexp(0.0, -seen[1][rows] * outputs).mean()

    def step(moving: MLP, rows: jax.Array) -> tuple[MLP, None]:
        slope = jax.grad(loss)(moving, rows)
        return jax.tree.map(lambda w, g: w - RATE * (g + DECAY * w), moving, slope), None

    parameters, _ = jax.lax.scan(step, parameters, order)
    return eqx.combine(parameters, rest)


def quantised(masses: str, seeds: int, checkpoints: tuple[int, ...] = CHECKPOINTS, **options: Any) -> Conclusion:
    """What the crowding probe says of the quantised world."""
    with HEADS.lent("coordinates", Coordinates):
        trace = wn.train(
            slabs_dataset(masses, **options),
            "coordinates",
            "question",
            optimizer="sgd",
            learning_rate=RATE,
            batch=BATCH,
            seeds=seeds,
            steps=checkpoints[-1],
            checkpoints=checkpoints,
            penalties={"weight_decay": DECAY},
        )
        return CrowdingProbe().run(trace)


def report(sizes: dict[Size, int], seeds: int) -> str:
    command = f"known_answers_c.py --seeds {seeds}{' --full' if FULL in sizes else ''}"
    begun = time.perf_counter()
    lines = [
        "# Simplicity bias: a line before slabs, and its control",
        "",
        written(command, "jax", "equinox", "optax", "numpy"),
        "",
        "## The published experiment",
        "",
        f"Plain SGD {RATE:g}, batch {BATCH}, weight decay {DECAY:g}, ReLU 2×100; coordinates are rotated. Accuracy on "
        "20,000 fresh points, mean ± standard error where there are several seeds.",
        "",
        "| coordinates, points, epochs | seeds | negative slabs "
        "| as is | coordinate 0 shuffled | all others shuffled |",
        "|---|---|---|---|---|---|",
    ]
    for size, repeats in sizes.items():
        for masses in MASSES:
            found = np.array([accuracies(masses, size, seed) for seed in range(repeats)])
            cells = " | ".join(_figure(column) for column in found.T)
            what = f"{size.coordinates}, {size.rows:,}, {size.epochs}"
            lines.append(f"| {what} | {repeats} | {masses} | {cells} |")
            print(lines[-1], flush=True)
    for masses, values in EXPECTED.items():
        lines.append(f"| expected: 50, 100,000 | | {masses} | {' | '.join(f'{value:.3f}' for value in values)} |")
    lines += [
        "",
        "“Expected”: Shah et al. 2020 for the first, an independent measurement of one to three seeds for both. "
        f"{time.perf_counter() - begun:.0f} s.",
        "",
        "## The same, quantised, by the crowding probe",
        "",
        "A line of four places that is right with probability .99 and five slab coordinates of five places each, "
        "independent given the class: every posterior is exact. MLP 2×100 on the places as numbers, SGD .1, batch 256, "
        f"weight decay 5e-5, {CHECKPOINTS[-1]:,} steps, {seeds} seeds. At this budget:",
        "",
        "| negative slabs | own bits of the slabs | reliance on the slabs | both within ± .10 bits of 0 | verdict |",
        "|---|---|---|---|---|",
    ]
    curves = []
    for masses in MASSES:
        found = quantised(masses, seeds)
        own, reliance = (found.last(name, "answer") for name in ("own bits, deep", "reliance, deep"))
        assert own is not None
        assert reliance is not None
        none = all(finding.value.low > -MARGIN and finding.value.high < MARGIN for finding in (own, reliance))
        clear = all(finding.value.low > MARGIN for finding in (own, reliance))
        words = "yes" if none else "no: both clearly above" if clear else "undecided"
        lines.append(f"| {masses} | {own.value} | {reliance.value} | {words} | `{found.verdict.name}` |")
        curves.append(f"- {masses}: {' '.join(found.verdict.reasons)}")
    lines += ["", *curves, ""]
    return "\n".join(lines)


def _figure(values: np.ndarray) -> str:
    found = over_seeds(values)
    return f"{float(found.mean):.4f} ± {float(found.error):.4f}" if len(values) > 1 else f"{values.mean():.4f}"


def main() -> None:
    parser = arguments_of(__doc__, "known_answers_c.md")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--full", action="store_true", help="one seed of 50 coordinates and 100,000 points besides")
    arguments = parser.parse_args()
    sizes = {REDUCED: min(3, arguments.seeds)} | ({FULL: 1} if arguments.full else {})
    text = report(sizes, arguments.seeds)
    publish(text, arguments.out)


if __name__ == "__main__":
    main()
