"""Forecasts from the first tenth: fits the forecasters that come with the package on a finished run of the suite
`low_end`, scores them on worlds left out, and writes the tables of docs/probes/early.md. `make early` runs this.

    python benchmarks/early.py [--out runs/low_end] [--jobs N]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from generated import ROOT, write_block
from timing import versions

import probes
from probes.catalogue.early import Settings
from probes.early.forecaster import SHIPPED
from probes.early.study import HeldOut, Run, as_run, concluded, held_out, library
from probes.measurement import by_target
from probes.progress import Lines
from probes.results import Results
from probes.verdict import Settings as DepthSettings

ASKED = {"verdicts": "which verdict the run gets", "arrivals": "when depth arrives in a seed that is still open"}


def finished(results: Results, settings: Settings) -> list[Run]:
    """Every measured target of every condition of the probe `early`; those with nothing deep are left out."""
    runs = []
    for one in results.concluded:
        if one.condition.probe["name"] != "early" or one.conclusion is None:
            continue
        for m in by_target(results.measured(one.condition), "early"):
            if one.conclusion.verdicts[m.target].name != "nothing-deep" and m.sound.sum() > 1:
                runs.append(as_run(m, settings.first, DepthSettings(alpha=settings.alpha)))
    return runs


def table(runs: Sequence[Run]) -> str:
    """Scores by world and over worlds, for both questions."""
    lines = []
    for kind, question in ASKED.items():
        scores = held_out(runs, kind)
        lines += [f"**{question[0].upper()}{question[1:]}**: {verdict_line(scores)}", "", *by_world(scores), ""]
    how = f"{len(runs)} runs of {len({run.world for run in runs})} worlds"
    return "\n".join([*lines, f"{how}; {versions(['worldnets', 'numpy', 'scikit-learn'])}."])


def verdict_line(scores: HeldOut) -> str:
    verdict = concluded(scores)
    return f"`{verdict.name}`. {verdict.reasons[0]}"


def by_world(scores: HeldOut) -> list[str]:
    lines = ["| world left out | forecasts | log score, bits | base rates | gain |", "|---|---|---|---|---|"]
    for world, count, own, base in zip(scores.worlds, scores.forecasts, scores.own, scores.base, strict=True):
        lines.append(f"| {world} | {count} | {own:.2f} | {base:.2f} | {own - base:+.2f} |".replace("-", "−"))
    return lines


def main() -> None:
    """Run, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "low_end")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    results = probes.run("low_end", out=options.out, jobs=options.jobs, progress=Lines())
    runs = finished(results, Settings())
    library(runs, {"suite": "low_end", "runs": len(runs), "versions": versions(["worldnets", "scikit-learn"])}).save(
        SHIPPED
    )
    print(f"wrote {SHIPPED.relative_to(ROOT)}")
    write_block(ROOT / "docs" / "probes" / "early.md", "early", table(runs))


if __name__ == "__main__":
    main()
