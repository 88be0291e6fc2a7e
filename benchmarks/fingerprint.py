"""Can initialisations be named from answers to never-seen combinations? Over training, weight decay and heads.

    python benchmarks/fingerprint.py [--seeds 8] [--steps 600] [--out runs/fingerprint]

Crosses eight initialisations with four data orders for each condition and writes the table of
docs/probes/fingerprint.md. `make fingerprint` runs this; conditions that were measured are not measured again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from generated import ROOT, write_block
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from timing import versions

import worldnets as wn
from probes.catalogue.fingerprint import FingerprintProbe, crossing_of
from probes.finding import Conclusion
from probes.fingerprint.naming import named_by
from probes.measurement import unpack

PAGE = ROOT / "docs" / "probes" / "fingerprint.md"
NOVEL, SEEN, RESERVED = "never-seen combinations", "clips of the world", "the reserved symbol"


@dataclass(frozen=True)
class Condition:
    """One head on the vault, with what is paid for besides."""

    head: str
    options: dict[str, Any] = field(default_factory=dict)
    decay: float = 0.0
    longer: int = 1

    @property
    def name(self) -> str:
        """For files."""
        return "-".join([self.head, *map(str, self.options.values()), f"{self.decay:g}"])


CONDITIONS = (
    Condition("mlp"),
    Condition("mlp", longer=4),
    Condition("mlp", decay=1e-3),
    Condition("mlp", decay=1e-2),
    Condition("mlp", decay=1e-2, longer=4),
    Condition("gru", {"width": 16}),
    Condition("linear", {"initialisation": "lecun"}),
    Condition("linear", {"initialisation": "zero"}),
)


def measured(one: Condition, seeds: int, steps: int, out: Path) -> dict[str, Any]:
    """What the probe measured, kept."""
    place = f"{one.name}-{seeds}-{steps}"
    arrays, about = out / f"{place}.npz", out / f"{place}.json"
    if not about.exists():
        paid = {"weight_decay": one.decay} if one.decay else None
        trace = wn.train(wn.load_dataset("vault"), one.head, "continuation", seeds=seeds, steps=steps, batch=64,
                         checkpoints=[0, steps // 10, steps], head_options=one.options, penalties=paid)  # fmt: skip
        cell = FingerprintProbe().measure(trace)
        np.savez(arrays, **cell["arrays"])
        about.write_text(json.dumps(cell["metadata"]))
    with np.load(arrays) as stored:
        return {"metadata": json.loads(about.read_text()), "arrays": dict(stored)}


def said(found: Conclusion, name: str, step: int | None = None) -> str:
    """A finding with its interval, at a step or at the last one."""
    own = [one for one in found.named(name) if step is None or one.step == step]
    if not own:
        return "–"
    value = own[-1].value
    return f"{value.estimate:.2f} [{value.low:.2f}, {value.high:.2f}]".replace("-", "−")


def row(one: Condition, cell: dict[str, Any], found: Conclusion) -> list[str]:
    """One line of the table."""
    (m,) = unpack(cell, "fingerprint")
    tenth = int(m.steps[1])
    linear = named_by(crossing_of(m, -1).novel, LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")).mean()
    options = "".join(f", {name} {value}" for name, value in one.options.items())
    return [
        one.head + options, f"{one.decay:g}", f"{int(m.steps[-1]):,}", f"`{found.verdict.name}`",
        *(said(found, f"named, {kind}") for kind in (NOVEL, SEEN, RESERVED)), f"{linear:.2f}",
        said(found, f"share of initialisation, {NOVEL}", tenth), said(found, f"share of initialisation, {NOVEL}"),
        said(found, f"share of initialisation, {SEEN}"), said(found, f"share of data order, {NOVEL}"),
        said(found, "agreement, strangers"), said(found, "disagreement gone"),
        *(said(found, f"likeness and agreement, {kind}") for kind in (NOVEL, RESERVED)),
    ]  # fmt: skip


def main() -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "fingerprint")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=600)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    surprise = ""
    for one in CONDITIONS:
        cell = measured(one, options.seeds, options.steps * one.longer, options.out)
        found = FingerprintProbe().conclude([cell])
        print(f"{one.name}: {found.verdict}", flush=True)
        rows.append(row(one, cell, found))
        bits = [found.named(f"surprise of {kind}")[0].value.estimate for kind in (SEEN, NOVEL)]
        surprise = f"{bits[0]:.1f} bits a clip, {bits[1]:.1f} bits"
    head = ("head", "weight decay", "steps", "verdict", "named: never-seen", "clips", "reserved", "linear discriminant",
            "share of variance, a tenth of the way", "at the end", "in distribution", "of the data order",
            "strangers agree", "disagreement gone", "likeness with agreement", "of the reserved symbol")  # fmt: skip
    table = "\n".join(
        [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(own)} |" for own in rows)]
    )
    made = (
        f"The vault's continuation; {options.seeds} initialisations × 4 data orders, batches of 64 clips, "
        f"Adam .003; chance {1 / options.seeds:.3g}. Surprise {surprise} a never-seen combination. "
        f"{versions(['worldnets', 'jax', 'numpy', 'scikit-learn'])}."
    )
    write_block(PAGE, "study", f"{table}\n\n{made}\n\nWritten by `make fingerprint`.")


if __name__ == "__main__":
    main()
