"""The low end: runs the suite `low_end`, writes the tables of docs/low_end.md and those that the notebook draws.

`make low_end` runs this; a run directory that is there already is gone on with, or only read.

    python benchmarks/low_end.py [--out runs/low_end] [--jobs N]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from generated import ROOT, write_block
from timing import versions

import probes
from probes.progress import Lines

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What the notebook draws; everything else stays in the run directory.
DRAWN = (
    "efficiency, deep",
    "efficiency, shallow",
    "efficiency, world-model",
    "own share",
    "own share, twin",
    "crowding",
    "delay",
    "pull, deep",
    "loss",
)
TABLES = ROOT / "notebooks" / "low_end"
FRESH, GROWN = "evidence", "evidence:radius-grown"


def with_interval(row: pd.Series, name: str) -> str:
    value, low, high = (row.get(f"{name}{end}", math.nan) for end in ("", "_low", "_high"))
    return "–" if pd.isna(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def ratio(found: pd.Series) -> str:
    return f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]


def depth_table(verdicts: pd.DataFrame) -> str:
    """One row per world, objective, target and head: verdict and deep efficiency, fresh and grown."""
    depth = verdicts[(verdicts.probe == "depth") & verdicts.inputs.isin([FRESH, GROWN])]
    depth = depth[~depth.world.str.contains("crowding")]
    rows = []
    for (world, objective, target, head), group in depth.groupby(["world", "objective", "target", "head"], sort=False):
        by_inputs = {row["inputs"]: row for _, row in group.iterrows()}
        cells = [str(part) for part in (world, objective, target, head)]
        for inputs in (FRESH, GROWN):
            row = by_inputs.get(inputs)
            cells += ["–", "–"] if row is None else [str(row["verdict"]), with_interval(row, "efficiency")]
        rows.append(cells)
    head = ("world", "objective", "target", "head", "fresh", "deep efficiency", "grown", "deep efficiency")
    return "\n".join(markdown(head, rows))


def crowding_table(verdicts: pd.DataFrame, findings: pd.DataFrame) -> str:
    """One row per condition of the crowding probe, with the depth verdict beside it where there is one."""
    crowding = verdicts[verdicts.probe == "crowding"]
    delays = findings[(findings.probe == "crowding") & (findings["name"] == "delay")].set_index(["title", "target"])
    depth = verdicts[verdicts.probe == "depth"].set_index(["title", "target"])
    rows = []
    for _, row in crowding.iterrows():
        beside = (row["title"], row["target"])
        found = depth.loc[beside] if beside in depth.index else None
        rows.append(
            [
                *(str(row[part]) for part in ("world", "objective", "target", "head")),
                str(row["verdict"]),
                ratio(delays.loc[beside]) if beside in delays.index else "–",
                *(with_interval(row, name) for name in ("crowding", "own_share", "own_share_twin")),
                "–" if found is None else with_interval(found, "efficiency"),
            ]
        )
    head = (
        "world",
        "objective",
        "target",
        "head",
        "verdict",
        "delay, ×",
        "crowding at the end",
        "own share",
        "twin",
        "deep efficiency",
    )
    return "\n".join(markdown(head, rows))


def counts_table(verdicts: pd.DataFrame) -> str:
    """How often each verdict of the depth probe was given, by head and by growth."""
    depth = verdicts[(verdicts.probe == "depth") & ~verdicts.world.str.contains("crowding")]
    counted = pd.crosstab([depth["head"], depth["inputs"]], depth["verdict"])
    growth = {FRESH: "fresh", GROWN: "grown"}
    rows = [
        [head, growth.get(inputs, inputs), *(str(n) for n in counted.loc[(head, inputs)])]
        for head, inputs in counted.index
    ]
    return "\n".join(markdown(("head", "growth", *counted.columns), rows))


def main() -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "low_end")
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    results = probes.run("low_end", out=options.out, jobs=options.jobs, progress=Lines())
    verdicts, findings = results.verdicts, results.findings
    TABLES.mkdir(exist_ok=True)
    verdicts.to_parquet(TABLES / "verdicts.parquet", index=False)
    findings[findings["name"].isin(DRAWN)].to_parquet(TABLES / "findings.parquet", index=False)
    page = ROOT / "docs" / "low_end.md"
    write_block(page, "depth", depth_table(verdicts))
    write_block(page, "counts", counts_table(verdicts))
    write_block(page, "crowding", crowding_table(verdicts, findings))
    counted = f"{len(verdicts)} verdicts of {len(results.concluded)} conditions"
    made = f"{counted}, 8 seeds each; {len(results.failures)} failures"
    write_block(page, "made", f"{made}; {versions(['worldnets', 'jax', 'optax', 'numpy', 'scipy'])}.")


if __name__ == "__main__":
    main()
