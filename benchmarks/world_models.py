"""World-models learned through their beliefs: what a step costs, and what the pressure of a score makes of them.

Writes two blocks into docs/world-models-by-gradient.md: milliseconds per step for each objective on the vault, and the
score of the `scorer` objective beside the exact KL(W*‖W) on the observables, over training.

    python benchmarks/world_models.py [--seeds 8] [--repeats 200] [--dry-run]
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import time

import numpy as np
from generated import ROOT, write_block
from timing import progress, where

import worldnets as wn
from worldnets.learning.model_class import certain_states
from worldnets.objectives import REGISTRY
from worldnets.training_plan import plan_training

OBJECTIVES = ("world", "likelihood", "continuation", "continuation_all", "question", "question_human", "scorer")
CHECKPOINTS = (0, 1, 3, 10, 30, 100, 300, 1000)
STARTS = {
    "near W*: ln W* + N(0, ½²)": {"initialisation": "noisy", "scale": 0.5},
    "anywhere: N(0, 1)": {"initialisation": "random", "scale": 1.0},
}
LEARNING_RATE = 0.03
ROWS_AT_ONCE = 65_536


class Observables:
    """All clips that can be seen of a world, with their exact log probabilities."""

    def __init__(self, dataset: wn.Dataset) -> None:
        net, observed = dataset.net, dataset.roles["observed"]
        states = [range(len(net.states[v])) for v in observed]
        self.codes = np.full((math.prod(map(len, states)), len(net.variables)), -1, dtype=np.int16)
        self.codes[:, [net.index[v] for v in observed]] = list(itertools.product(*states))
        for v, state in certain_states(net).items():
            self.codes[:, net.index[v]] = state
        self.true = self.log_probabilities(net)

    def log_probabilities(self, net: wn.WorldNet) -> np.ndarray:
        """ln W of every clip, nats."""
        engine = wn.Inference(net)
        parts = [self.codes[i : i + ROWS_AT_ONCE] for i in range(0, len(self.codes), ROWS_AT_ONCE)]
        return np.concatenate([engine.log_evidence(part) for part in parts])

    def divergence(self, net: wn.WorldNet) -> float:
        """KL(W*‖W) in bits, summed over every clip."""
        return float(np.exp(self.true) @ (self.true - self.log_probabilities(net))) / math.log(2)


def step_times(repeats: int = 200, frames: int = 6, batch: int = 128) -> str:
    """Milliseconds of one update, clips at hand, by objective."""
    dataset = wn.load_dataset("vault", frames=frames)
    lines = [
        f"vault of {frames} frames, batches of {batch} clips, tables of frames 2 … {frames} shared, one thread.",
        where(["worldnets", "numba", "numpy"]),
        f"Medians of {repeats} updates on fresh clips, and of drawing these.",
        "",
        "| objective | ms per update | ms to draw the clips |",
        "|---|---|---|",
    ]
    for objective in OBJECTIVES:
        progress(f"steps of {objective}")
        plan = plan_training(dataset, "world_model", objective, batch=batch)
        head, taken, drawing = plan.build_stepping(0), [], []
        for step in range(repeats + 5):
            begun = time.perf_counter()
            clips = plan.clips(0, batch, step * batch)
            drawn = time.perf_counter()
            head.step(clips)
            taken.append(time.perf_counter() - drawn)
            drawing.append(drawn - begun)
        cells = [f"{1e3 * statistics.median(values[5:]):.2f}" for values in (taken, drawing)]
        lines.append(f"| `{objective}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def gamed(seeds: int = 8, frames: int = 6) -> str:
    """Score and KL over training for the score, by start."""
    dataset = wn.load_dataset("vault", frames=frames)
    seen, judge = Observables(dataset), REGISTRY.get("scorer").judge(dataset)
    bits = lambda net: judge.score(net) / math.log(2)
    kinds = ", ".join(f"{kind} {found:.3f}" for kind, found in judge.auroc_by_damage.items())
    lines = [
        f"vault of {frames} frames; Adam at {LEARNING_RATE:g}, {seeds} seeds: mean (least … largest). "
        f"KL over all {len(seen.codes):,} clips that can be seen.",
        f"The judge, on {len(judge.held_out['score'])} held-out world-models: AUROC {judge.auroc:.3f} ({kinds}). "
        f"It gives W* {bits(dataset.net):.2f} bits.",
        "",
        "| start | update | score, bits | KL(W*‖W), bits |",
        "|---|---|---|---|",
    ]
    for start, options in STARTS.items():
        progress(f"training for the score, {start}")
        trace = wn.train(
            dataset,
            "world_model",
            "scorer",
            seeds=seeds,
            steps=CHECKPOINTS[-1],
            checkpoints=CHECKPOINTS,
            learning_rate=LEARNING_RATE,
            head_options=options,
        )
        for c, step in enumerate(CHECKPOINTS):
            nets = [trace.world_model(c, seed) for seed in range(seeds)]
            cells = [_spread([measure(net) for net in nets]) for measure in (bits, seen.divergence)]
            lines.append(f"| {start if c == 0 else ''} | {step:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.2f} ({min(values):.2f} … {max(values):.2f})"


def main() -> None:
    """Measure, print, and write the generated blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--dry-run", action="store_true", help="print the tables and write nothing")
    options = parser.parse_args()
    for name, text in (("steps", step_times(options.repeats)), ("gamed", gamed(options.seeds))):
        print(f"\n## {name}\n\n{text}\n")
        if not options.dry_run:
            write_block(ROOT / "docs" / "world-models-by-gradient.md", name, text)


if __name__ == "__main__":
    main()
