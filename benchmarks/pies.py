"""The pie of every built-in dataset, written into its card: what there is to be known, rung by rung.

python benchmarks/pies.py [NAME …]
"""

from __future__ import annotations

import sys

import numpy as np
from generated import ROOT, write_block

import worldnets as wn
from probes.ladder import reference
from probes.pie import shallow_rungs


def table(dataset: wn.Dataset) -> str:
    """One row per task and target: bits of each rung, of the whole pie, and the share beyond the first rung."""
    lines = [
        "| task | target | pie, bits | by rung, shallow first | beyond rung 1 | shallow rungs | how |",
        "|---|" * 1 + "---|" * 6,
    ]
    for objective in dataset.objectives:
        task = dataset.task(objective)
        for target in task.targets:
            about = reference(dataset, task, target.name).about
            bits = about.information
            total = float(bits.sum())
            how = "exact"
            if about.groups is not None:
                error = float(about.groups.sum(-1).std(ddof=1) / np.sqrt(len(about.groups)))
                how = f"{about.clips} clips, standard error of the pie {error:.3f}"
            rungs = " ".join(f"{b:.3f}" for b in bits)
            beyond = f"{1 - bits[0] / total:.0%}"
            rows.append((objective, target.name, f"{total:.3f}", rungs, beyond, str(shallow_rungs(bits)), how))
    parameters = ", ".join(f"{k} = {v}" for k, v in dataset.parameters.items())
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", f"At {parameters}. Written by `make pies`."]
    return "\n".join(lines)


if __name__ == "__main__":
    for name in sys.argv[1:] or wn.dataset_names():
        write_block(ROOT / "datasets" / name / "README.md", "pie", table(wn.load_dataset(name)))
