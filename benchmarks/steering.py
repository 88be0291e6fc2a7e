"""Does training move a world that hears forecasts? Over the gradient's way, how far the crowd listens, and the horizon.

    python benchmarks/steering.py [--seeds 8] [--steps 600] [--out runs/steering]

Trains forecasters in `echo` and writes the table of docs/probes/steering.md. `make steering` runs this; conditions
that were measured are not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from generated import ROOT, write_block
from timing import versions

import worldnets as wn
from probes.catalogue.steering import SteeringProbe
from probes.finding import Conclusion
from probes.steering.measured import Sampling

PAGE = ROOT / "docs" / "probes" / "steering.md"
#: Heads trained on clips are noisy at rates that suit a table whose loss is exact.
RATES = {"forecaster": 0.03, "mlp": 0.003, "linear": 0.003}


@dataclass(frozen=True)
class Condition:
    """One head in one crowd."""

    head: str = "forecaster"
    through: float = 0.0
    strength: float = 0.5
    reaction: str = "towards"
    horizon: int = 8

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.head}-{self.through:g}-{self.strength:g}-{self.reaction}-{self.horizon}"

    @property
    def options(self) -> dict[str, Any]:
        """Of the head."""
        return {"through": self.through, "horizon": self.horizon} if self.head == "forecaster" else {}


CONDITIONS = (
    Condition("mlp"),
    Condition("linear"),
    *(Condition(through=part) for part in (0.0, 0.25, 0.5, 1.0)),
    *(Condition(through=1.0, strength=part) for part in (0.1, 0.3, 0.8)),
    *(Condition(through=1.0, horizon=frames) for frames in (1, 2, 32)),
    *(Condition(through=part, reaction="away") for part in (0.0, 1.0)),
)


def measured(one: Condition, seeds: int, steps: int, out: Path) -> dict[str, Any]:
    """What the probe measured, kept."""
    place = f"{one.name}-{seeds}-{steps}"
    arrays, about = out / f"{place}.npz", out / f"{place}.json"
    if not about.exists():
        world = wn.load_dataset("echo", strength=one.strength, reaction=one.reaction)
        trace = wn.train(world, one.head, seeds=seeds, steps=steps, batch=64, learning_rate=RATES[one.head],
                         checkpoints=8, head_options=one.options)  # fmt: skip
        cell = SteeringProbe(Sampling(horizon=one.horizon)).measure(trace)
        np.savez(arrays, **cell["arrays"])
        about.write_text(json.dumps(cell["metadata"]))
    with np.load(arrays) as stored:
        return {"metadata": json.loads(about.read_text()), "arrays": dict(stored)}


def said(found: Conclusion, name: str, digits: int = 2) -> str:
    """A finding's last value, with its interval where it has one."""
    last = found.last(name, "demand")
    if last is None:
        return "–"
    value = last.value
    numbers = [round(number, digits) + 0.0 for number in (value.estimate, value.low, value.high)]
    first, low, high = (f"{number:.{digits}f}" for number in numbers)
    return (first if value.kind == "exact" else f"{first} [{low}, {high}]").replace("-", "−")


def row(one: Condition, found: Conclusion) -> list[str]:
    """One line of the table."""
    return [
        one.head, f"{one.through:g}" if one.head == "forecaster" else "–", f"{one.strength:g}, {one.reaction}",
        str(one.horizon), f"`{found.verdict.name}`",
        *(said(found, name, 3) for name in ("hardness, settled forecast", "hardness, easiest found", "hardness")),
        *(said(found, name) for name in ("steered", "steered, more than honest", "steered, honest companion")),
        said(found, "moved"), said(found, "miscalibration", 3),
    ]  # fmt: skip


def table(rows: Sequence[Sequence[str]]) -> str:
    """With its head."""
    head = ("head", "gradient through the world", "crowd", "horizon", "verdict", "hardness: settled", "easiest",
            "under the head", "steered", "more than honest", "honest companion", "moved", "miscalibration")  # fmt: skip
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(own)} |" for own in rows)])


def main() -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "steering")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for one in CONDITIONS:
        found = SteeringProbe().conclude([measured(one, options.seeds, options.steps, options.out)])
        print(f"{one.name}: {found.verdict}", flush=True)
        rows.append(row(one, found))
    made = (
        f"{options.seeds} seeds, {options.steps} steps of 64 clips, Adam .03 (mlp and linear .003). "
        f"{versions(['worldnets', 'jax', 'optax', 'numpy'])}."
    )
    write_block(PAGE, "study", f"{table(rows)}\n\n{made}\n\nWritten by `make steering`.")


if __name__ == "__main__":
    main()
