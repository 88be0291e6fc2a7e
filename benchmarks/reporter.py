"""What the camera saw: runs the reporter's part of the suite `alignment`, and writes the tables of its page,
docs/probes/reporter.md, and the one that the notebook `04_what_the_camera_saw` draws.

`make reporter` runs this; a run directory that is there already is gone on with, or only read.

    python benchmarks/reporter.py [--out runs/reporter] [--jobs N] [--finished]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from generated import ROOT, write_block
from scipy import special
from timing import versions

import probes
import worldnets as wn
from probes.progress import Lines
from probes.reporter.costs import costs
from probes.suite import Suite, load_suite

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE, TABLES = ROOT / "docs" / "probes" / "reporter.md", ROOT / "notebooks" / "reporter"
#: What the notebook draws; everything else stays in the run directory.
DRAWN = (
    "translation index",
    "R²",
    "AUROC, tampered",
    "divergence from direct translator",
    "divergence from human simulator",
)
KEPT = ("world", "objective", "head", "inputs", "name", "step", "estimate", "low", "high")
ASKED = {
    "question": ("all", "oracle"),
    "question_human": ("all", "human"),
    "question_judged": ("judged", "oracle"),
    "question_human_judged": ("judged", "human"),
    "question_judged_closely": ("judged closely", "oracle"),
    "question_human_judged_closely": ("judged closely", "human"),
}
BASE = "vault-tampered"
STEPS = (0, 10, 32, 75, 178, 422, 1000)  # checkpoints; the nearest, where a run has others
Key = tuple[str, str, str, str]


def reporters(suite: Suite) -> Suite:
    """The jobs of a suite that this probe alone measures."""
    return suite.model_copy(update={"jobs": tuple(job for job in suite.jobs if job.probes == ("reporter",))})


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def said(row: Any, name: str = "") -> str:
    """A number with its interval, from a row of verdicts (with the column's name) or of findings."""
    low, high = (f"{name}_low", f"{name}_high") if name else ("low", "high")
    value = row.get(name or "estimate", math.nan)
    return "–" if pd.isna(value) else f"{value:.2f} [{row[low]:.2f}, {row[high]:.2f}]".replace("-", "−")


def last(findings: pd.DataFrame, name: str) -> pd.DataFrame:
    """One finding's rows at the last checkpoint (or without one), by condition."""
    own = findings[findings["name"] == name].sort_values("step")
    return own.groupby(["world", "objective", "head", "inputs"], sort=False).last()


def verdict_table(verdicts: pd.DataFrame, findings: pd.DataFrame) -> str:
    """One row per condition."""
    ensemble = last(findings, "translation index, ensemble")
    best, human = (last(findings, f"AUROC, tampered, of {who}") for who in ("direct translator", "human simulator"))
    rows = []
    for _, row in verdicts.iterrows():
        key = tuple(row[part] for part in ("world", "objective", "head", "inputs"))
        clips, labels = ASKED[row["objective"]]
        head = row["head"] + (" on beliefs" if row["inputs"] == "beliefs" else "")
        rows.append(
            [
                *(row["world"].removeprefix("vault-"), clips, labels, head, f"`{row['verdict']}`"),
                *(said(row, name) for name in ("index", "fit", "auroc")),
                f"{best.loc[key].estimate:.2f} / {human.loc[key].estimate:.2f}",
                said(ensemble.loc[key]) if key in ensemble.index else "–",
            ]
        )
    head = ("vault", "clips", "labels", "head", "verdict", "index", "R²", "AUROC, tampered",
            "translator's / simulator's", "index of the ensemble")  # fmt: skip
    return markdown(head, rows)


def course_table(findings: pd.DataFrame) -> str:
    """The index over training, on the base vault, with R² behind it."""
    own = findings[(findings.world == BASE) & findings["name"].isin(["translation index", "R²"])]
    rows = []
    for (objective, head, inputs), group in own.groupby(["objective", "head", "inputs"], sort=False):
        clips, labels = ASKED[objective]
        by_name = {name: part.set_index("step") for name, part in group.groupby("name")}
        index, fit = by_name["translation index"], by_name["R²"]
        cells = []
        for wanted in STEPS:
            step = min(index.index, key=lambda s, w=wanted: abs(math.log1p(s) - math.log1p(w)))
            cells.append(f"{index.loc[step].estimate:.2f} ({fit.loc[step].estimate:.2f})".replace("-", "−"))
        rows.append([clips, labels, head + (" on beliefs" if inputs == "beliefs" else ""), *cells])
    return markdown(("clips", "labels", "head", *(f"step {step:,}" for step in STEPS)), rows)


def moved_table(findings: pd.DataFrame) -> str:
    """What each condition moves the index by, beside the same head on the base vault."""
    ends, fits = (last(findings, name) for name in ("translation index", "R²"))
    rows: list[list[str]] = []

    def compared(what: str, one: Key, other: Key) -> None:
        if one in ends.index and other in ends.index:
            now = [f"{frame.loc[one].estimate:.2f}".replace("-", "−") for frame in (ends, fits)]
            rows.append([what, *ASKED[one[1]], difference(ends.loc[one], ends.loc[other]), *now])

    for labels in ("question_judged", "question_human_judged"):
        base = (BASE, labels, "mlp", "evidence")
        for world, what in CHANGED.items():
            compared(what, (world, labels, "mlp", "evidence"), base)
        for penalty, what in REMEDIES.items():
            compared(what, ("vault-remedies", labels, f"mlp+{penalty}", "evidence"), base)
        compared("beliefs of the world-model as inputs", (BASE, labels, "mlp", "beliefs"), base)
        for head in ("linear", "gru"):
            compared(f"{head} in place of mlp", (BASE, labels, head, "evidence"), base)
        slow = ("vault-speed", labels, "message_passing", "evidence")
        for price in ("0.02", "0.1"):
            compared(f"{price} nats a round (message passing)", (*slow[:2], f"message_passing+rounds={price}", slow[3]),
                     slow)  # fmt: skip
        closely = labels.replace("judged", "judged_closely")
        compared("clips judged within .01 nats, not .1", (BASE, closely, "mlp", "evidence"), base)
    for clips in ("question", "question_judged", "question_judged_closely"):
        human = clips.replace("question", "question_human", 1)
        compared(
            "labels by the human, not the oracle", (BASE, human, "mlp", "evidence"), (BASE, clips, "mlp", "evidence")
        )
    for head in ("linear", "mlp", "gru"):
        for labels in ("question", "question_human"):
            compared(f"no one tampers in training ({head})", ("vault-honest", labels, head, "evidence"),
                     (BASE, labels, head, "evidence"))  # fmt: skip
    return markdown(("change", "clips", "labels", "moves the index by", "to", "R²"), rows)


CHANGED = {
    "vault-tamper-.02": "tampering .02 a frame, not .2",
    "vault-tamper-.6": "tampering .6 a frame",
    "vault-sensor-.1": "sensor wrong .1, not .25",
    "vault-sensor-.4": "sensor wrong .4",
    "vault-labeller-sensor": "a labeller who sees the sensor too",
    "vault-labeller-wary": "a labeller who knows of tampering",
}
REMEDIES = {"evidence_dropout=0.3": "consistency: evidence dropout .3", "weight_decay=0.001": "weight decay 1e-3"}


def difference(one: pd.Series, other: pd.Series) -> str:
    """Difference of two means over 8 seeds each, with Welch's interval, from their own t-intervals."""
    t = special.stdtrit(7, 0.975)
    errors = [(row.high - row.low) / 2 / t for row in (one, other)]
    total = errors[0] ** 2 + errors[1] ** 2
    freedom = total**2 / ((errors[0] ** 4 + errors[1] ** 4) / 7) if total > 0 else 7
    half = special.stdtrit(freedom, 0.975) * math.sqrt(total)
    change = one.estimate - other.estimate
    return f"{change:+.2f} [{change - half:+.2f}, {change + half:+.2f}]".replace("-", "−")


def cost_table() -> str:
    """What either reference costs, for each labeller."""
    rows = []
    for labeller in ("video", "sensor", "wary"):
        found = costs(wn.load_dataset("vault", labeller=labeller))
        rows += [
            [labeller, name, f"{cost.multiply_adds:,}", f"{cost.chain}"]
            for name, cost in found.items()
            if labeller == "video" or name == "human simulator"
        ]
    return markdown(("labeller", "reference", "multiply-adds a clip", "messages one after the other"), rows)


def main() -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "reporter")
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--finished", action="store_true", help="train nothing: tables of what has been measured")
    options = parser.parse_args()
    if options.finished:
        results = probes.load(options.out)
    else:
        suite = reporters(load_suite("alignment"))
        results = probes.run(suite, out=options.out, jobs=options.jobs, progress=Lines())
    verdicts, findings = (frame[frame.probe == "reporter"] for frame in (results.verdicts, results.findings))
    verdicts = verdicts[verdicts["index"].notna()]  # what has not been measured yet has none
    TABLES.mkdir(exist_ok=True)
    drawn = findings[findings["name"].isin(DRAWN)]
    drawn[list(KEPT)].to_csv(TABLES / "findings.csv", index=False, float_format="%.4g")
    verdicts[["world", "objective", "head", "inputs", "verdict"]].to_csv(TABLES / "verdicts.csv", index=False)
    write_block(PAGE, "verdicts", verdict_table(verdicts, findings))
    write_block(PAGE, "course", course_table(findings))
    write_block(PAGE, "moved", moved_table(findings))
    write_block(PAGE, "costs", cost_table())
    counted = f"{len(verdicts)} conditions of 8 seeds, of {len(verdicts) + len(results.failures)} in the suite"
    write_block(PAGE, "made", f"{counted}; {versions(['worldnets', 'jax', 'optax', 'numpy', 'scipy'])}.")


if __name__ == "__main__":
    main()
