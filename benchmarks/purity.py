"""Purity of world-models by objective and penalty: runs the suite `purity` and writes the tables of docs/purity.md.

`make purity` runs this; a run directory that is there already is gone on with, or only read.

    python benchmarks/purity.py [--out runs/purity] [--jobs N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from generated import ROOT, write_block
from timing import versions

import probes
from probes.progress import Lines
from probes.purity.gap import proxy_gap
from probes.purity.measured import Measured, joined, unpack
from probes.purity.verdict import TARGET
from probes.report.purity import HEADLINES
from probes.results import Concluded, Results
from probes.statistics import Interval

FROM_CHANCE, FROM_NEAR = "vault", "vault-near"
TABLE = ("objective", "penalty", "divergence, bits", "latent recovery", "do() accuracy", "seeds pure", "verdict")
GAPS = (
    "objective",
    "proxy loss, bits",
    "divergence: proxy",
    "`world`",
    "recovery: proxy",
    "`world`",
    "do(): proxy",
    "`world`",
)
COURSE = (
    "objective",
    "its loss: start",
    "end",
    "W* itself",
    "divergence: start",
    "least (at step)",
    "end",
    "recovery: start",
    "most (at step)",
    "end",
)

NEAR = (
    "objective",
    *(f"{number}: {when}" for number in ("divergence", "recovery", "do()") for when in ("start", "end")),
    "verdict",
)


def written(interval: Interval | None, digits: int = 2) -> str:
    if interval is None:
        return "–"
    return f"{interval.estimate:.{digits}f} [{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def row(*fields: object) -> str:
    return "| " + " | ".join(str(field) for field in fields) + " |"


def purity_table(results: Results) -> str:
    """Objective × penalty, at the last step."""
    lines = [row(*TABLE), row(*["---"] * len(TABLE))]
    for one in of_world(results, FROM_CHANCE):
        paid = one.condition.names["head"].partition("+")[2] or "–"
        if one.conclusion is None:
            lines.append(row(one.condition.objective, paid, *["–"] * 4, f"missing: {one.problem}"))
            continue
        verdict = one.conclusion.verdicts[TARGET]
        found = [one.conclusion.last(name, TARGET) for name in HEADLINES.values()]
        pure = verdict.at_ceiling
        count = "–" if pure is None else f"{round(pure.estimate * verdict.seeds)} of {verdict.seeds}"
        numbers = [written(None if finding is None else finding.value) for finding in found]
        lines.append(row(one.condition.objective, paid, *numbers, count, f"`{verdict.name}`"))
    first = next(one for one in results.concluded if one.conclusion is not None)
    assert first.conclusion is not None
    structure = first.conclusion.last("structure of the observables", TARGET)
    assert structure is not None
    training = first.condition.training
    lines += [
        "",
        f"Means over 8 seeds with 95 % t-intervals, after {training['steps']:,} steps of {training['batch']} clips "
        f"({training['optimizer']}, learning rate {training['learning_rate']:g}). The observables have "
        f"{structure.value.estimate:.2f} bits of structure to be captured; the verdict asks for 95 % of them, and for "
        f"90 % of every latent and every effect. {versions(['worldnets', 'numpy', 'scipy', 'jax'])}.",
    ]
    return "\n".join(lines)


def of_world(results: Results, label: str) -> list[Concluded]:
    """The conditions on the world of that label."""
    return [one for one in results.concluded if one.condition.label == label]


def plain(results: Results, label: str) -> dict[str, Concluded]:
    """Those without a penalty, by objective."""
    chosen = of_world(results, label)
    return {one.condition.objective: one for one in chosen if not one.condition.penalties and one.finished}


def measured(results: Results, one: Concluded) -> Measured:
    return joined([unpack(cell) for cell in results.measured(one.condition)])


def gap_table(results: Results) -> str:
    """Each objective's own run beside the one that was asked for the world, at equal loss of that objective."""
    runs = {objective: measured(results, one) for objective, one in plain(results, FROM_CHANCE).items()}
    lines = [row(*GAPS), row(*["---"] * len(GAPS))]
    for objective, run in runs.items():
        if objective == "world" or "world" not in runs:
            continue
        if objective not in runs["world"].about.objectives:
            lines.append(row(objective, "not measured of both", *["–"] * 6))
            continue
        found = proxy_gap(run, runs["world"], objective)
        if not found.comparable:
            lines.append(row(objective, f"not comparable: {found.reason}", *["–"] * 6))
            continue
        fields = [written(side.get(name)) for name in HEADLINES.values() for side in (found.one, found.other)]
        lines.append(row(objective, written(found.loss), *fields))
    return "\n".join(lines)


def course_table(results: Results) -> str:
    """The way there: of each objective's own run without a penalty."""
    lines = [row(*COURSE), row(*["---"] * len(COURSE))]
    for objective, one in plain(results, FROM_CHANCE).items():
        run = measured(results, one)
        place = run.about.objectives.index(objective)
        loss = run.numbers.losses[..., place].mean(1)
        divergence = run.numbers.divergence.mean(1)
        recovery = run.numbers.recovered.sum(-1).mean(1) / run.about.information.sum()
        low, high = int(np.argmin(divergence)), int(np.argmax(recovery))
        lines.append(
            row(
                objective,
                f"{loss[0]:.2f}",
                f"{loss[-1]:.2f}",
                f"{run.about.least[place]:.2f}",
                f"{divergence[0]:.2f}",
                f"{divergence[low]:.2f} ({run.steps[low]:,})",
                f"{divergence[-1]:.2f}",
                f"{recovery[0]:.2f}",
                f"{recovery[high]:.2f} ({run.steps[high]:,})",
                f"{recovery[-1]:.2f}",
            )
        )
    return "\n".join(lines) + "\n\nMeans over seeds, in bits; recovery of all latents together, as a share."


def near_table(results: Results) -> str:
    """From world-models that are nearly the world: what each objective leaves of it."""
    lines = [row(*NEAR), row(*["---"] * len(NEAR))]
    for objective, one in plain(results, FROM_NEAR).items():
        assert one.conclusion is not None
        fields = []
        for name in HEADLINES.values():
            found = one.conclusion.named(name, TARGET)
            fields += [written(found[0].value), written(found[-1].value)]
        lines.append(row(objective, *fields, f"`{one.conclusion.verdicts[TARGET].name}`"))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "purity")
    parser.add_argument("--jobs", type=int)
    options = parser.parse_args()
    results = probes.run("purity", options.out, jobs=options.jobs, progress=Lines())
    page = ROOT / "docs" / "purity.md"
    write_block(page, "purity", purity_table(results))
    write_block(page, "proxy-gap", gap_table(results))
    write_block(page, "course", course_table(results))
    write_block(page, "near", near_table(results))
    print(f"report: {results.path / 'report.html'}")


if __name__ == "__main__":
    main()
