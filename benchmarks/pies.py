"""The pie of every built-in dataset, written into its card: what there is to be known, rung by rung.

python benchmarks/pies.py [NAME …]
"""

from __future__ import annotations

import sys

from generated import ROOT, write_block

import worldnets as wn
from probes.ladder import on_offer
from probes.pie import shallow_rungs

HEADER = ("task", "target", "pie, bits", "by rung, shallow first", "beyond rung 1", "shallow rungs", "how")
# Cards that also show the targets their defaults were chosen from.
CANDIDATES = {
    "alarm": {
        "targets": [
            "HYPOVOLEMIA",
            "INTUBATION",
            "LVFAILURE",
            "DISCONNECT",
            "KINKEDTUBE",
            "PULMEMBOLUS",
            "ANAPHYLAXIS",
            "INSUFFANESTH",
        ]
    },
    "hailfinder": {"targets": ["MountainFcst", "PlainsFcst", "N34StarFcst", "R5Fcst", "Scenario"]},
    "insurance": {"targets": ["Accident", "PropCost", "MedCost", "ILiCost", "Theft", "RiskAversion", "SocioEcon"]},
}


def table(dataset: wn.Dataset) -> str:
    """One row per task and target: bits of each rung, of the whole pie, and the share beyond the first rung."""
    rows = [HEADER, ("---",) * len(HEADER)]
    for objective, target, about in on_offer(dataset):
        rungs = " ".join(f"{max(b, 0.0):.3f}" for b in about.information)
        shallow = str(shallow_rungs(about.information))
        how = "exact"
        if about.groups is not None:
            how = f"{about.clips} clips, standard error of the pie {about.total_error:.3f}"
        if dataset.reference == "learned":
            how += "; under the learned reference"
        rows.append((objective, target, f"{about.total:.3f}", rungs, f"{about.beyond_first:.0%}", shallow, how))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n\nWritten by `make pies`."


if __name__ == "__main__":
    for name in sys.argv[1:] or wn.dataset_names():
        card = ROOT / "datasets" / name / "README.md"
        write_block(card, "pie", table(wn.load_dataset(name)))
        if name in CANDIDATES:
            write_block(card, "candidates", table(wn.load_dataset(name, **CANDIDATES[name])))
