"""The depth probe's part of the report: pies over training, deep efficiency, and what each world offers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.pie import LEAST_RUNG
from probes.presentation import Figure, Shown, Table, number
from probes.report import palette
from probes.report.curves import Line, against_clips
from probes.report.figures import efficiency_over_training, pie_on_offer, pie_over_training, rungs_over_training

if TYPE_CHECKING:
    from probes.catalogue.depth import Measured
    from probes.finding import Conclusion
    from probes.results import Concluded, Results

Floats = NDArray[np.float64]


class DepthPresentation:
    """How the depth probe is shown."""

    columns = (
        *(f"{column}{end}" for column in ("efficiency", "gap") for end in ("", "_low", "_high")),
        "pie",
        "deep_pie",
    )
    titles = ("Deep efficiency", "Gap", "Deep / pie, bits")
    signs: Mapping[str, tuple[str, str]] = palette.VERDICTS
    question = (
        "Each head was trained on one objective over a world whose exact answers are known by message passing. The "
        "question\nof every row: did what it learned reach the <em>deep</em> evidence, beyond the rungs that hold the "
        "first half of the information,\nor did it stay on the surface?"
    )
    caption = (
        "Deep efficiency: share of the deep rungs' bits that the head captures at its last step, with its {level} "
        "interval over seeds\nand evaluation clips. Gap: what is missing to the ceiling."
    )
    reading = (
        "A <em>ladder</em> adds the evidence rung by rung, shallow first; each rung offers I<sub>k</sub> bits about "
        "the target, and the sum is the\npie. A head captures C<sub>k</sub> ≤ I<sub>k</sub> of each. Shallow rungs are "
        "the first that together hold half of the pie; the rest are\ndeep. Verdicts follow one ordered rule with the "
        "margins of the suite file; figures show every seed."
    )

    def headlines(self, conclusion: Conclusion, target: str) -> dict[str, Any]:
        """Deep efficiency and the gap at the last step, and the world's pie."""
        row: dict[str, Any] = {}
        verdict, efficiency = conclusion.verdicts[target], conclusion.last("efficiency, deep", target)
        if efficiency is not None:
            value, ceiling = efficiency.value, verdict.ceiling
            row |= {"efficiency": value.estimate, "efficiency_low": value.low, "efficiency_high": value.high}
            row |= {"gap": ceiling - value.estimate, "gap_low": ceiling - value.high, "gap_high": ceiling - value.low}
        rungs = conclusion.named("information", target)
        row["pie"] = sum(rung.value.estimate for rung in rungs) if rungs else None
        row["deep_pie"] = sum(rung.value.estimate for rung in rungs if rung.note.startswith("deep")) if rungs else None
        return row

    def shown(self, row: Mapping[Any, Any]) -> tuple[Shown, ...]:
        """Deep efficiency, gap, and the bits on offer."""
        bits = "" if row["verdict"] == "missing" else f"{number(row['deep_pie'])} / {number(row['pie'])}"
        pair = [Shown(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in ("efficiency", "gap")]
        return *pair, Shown(text=bits)

    def offered(self, name: str, results: Results, members: Sequence[Concluded]) -> list[Figure]:
        """The pie of every target."""
        return pies(results, members)

    def overview(self, results: Results, members: Sequence[Concluded]) -> list[Table]:
        """None: conditions stand in the verdict table."""
        return []

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """The pie, its rungs and deep efficiency over training."""
        return figures(one, measured, target)


PRESENTATION = DepthPresentation()


def pies(results: Results, members: Sequence[Concluded]) -> list[Figure]:
    """What a world offers for each target of an objective, from the first condition that was measured."""
    from probes.catalogue.depth import unpack

    for one in members:
        if one.conclusion is None:
            continue
        drawn = []
        for target in unpack(results.measured(one.condition)[0]):
            about = target.about
            deep = _deep_rungs(one.conclusion, target.target)
            svg = pie_on_offer(target.target, about.information, rung_labels(about.rungs), deep)
            how = "exactly" if about.groups is None else f"from {about.clips:,} clips × {about.draws} exact draws"
            caption = (
                f"Target {target.target}: {about.information.sum():.3f} of {about.entropy:.3f} bits can be known from "
                f"the evidence, computed {how}; {about.information[-deep:].sum() if deep else 0:.3f} bits are deep. "
                f"Attainable depth D* = {about.attainable_depth:.2f} rungs."
            )
            drawn.append(Figure(svg, caption))
        return drawn
    return []


def figures(one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
    """The figures of one condition and target."""
    from probes.catalogue.depth import unpack

    assert one.conclusion is not None
    groups = [next(m for m in unpack(cell) if m.target == target) for cell in measured]
    first, title = groups[0], f"{one.condition.title}, {target}"
    count = len(first.about.information)
    drawn = []
    captured = [_curve(one.conclusion, "captured bits", target, first.steps, k + 1) for k in range(count)]
    if all(curve is not None for curve in captured):
        mean, low, high = np.stack([curve for curve in captured if curve is not None], axis=-1)
        labels = rung_labels(first.about.rungs)
        about = first.about.information
        svg = pie_over_training(title, first.steps, about, mean, labels)
        caption = "Solid is captured, pale is lost; together they are the pie."
        drawn.append(Figure(svg, caption))
        svg = rungs_over_training(title, first.steps, about, mean, low, high, labels)
        caption = "Means over seeds with their intervals."
        if np.any(mean < -0.005):
            caption += " Below zero, evidence is misused: the head would do better without it."
        drawn.append(Figure(svg, caption))
    deep = _curve(one.conclusion, "efficiency, deep", target, first.steps)
    if deep is not None:
        drawn.append(_efficiency(title, one, groups, target, deep))
    converging = _convergence(title, one, groups, target)
    return drawn if converging is None else [*drawn, converging]


def _efficiency(title: str, one: Concluded, groups: Sequence[Measured], target: str, deep: Floats) -> Figure:
    assert one.conclusion is not None
    first, verdict = groups[0], one.conclusion.verdicts[target]
    count = len(first.about.information)
    rungs = range(count - _deep_rungs(one.conclusion, target) + 1, count + 1)
    seeds = np.concatenate([group.pie.efficiency(group.about, rungs) for group in groups], axis=1)
    shallow = _curve(one.conclusion, "efficiency, shallow", target, first.steps)
    ceiling = _curve(one.conclusion, "efficiency, world-model", target, first.steps)
    svg = efficiency_over_training(
        title,
        first.steps,
        seeds[:, np.isfinite(seeds).all(0)],
        deep[0],
        deep[1],
        deep[2],
        ceiling=np.ones(len(first.steps)) if ceiling is None else ceiling[0],
        margin=float(verdict.settings.get("epsilon", 0.1)),
        shallow=None if shallow is None else shallow[0],
    )
    caption = "Thin lines: every seed. In the grey band, the margin ε under the ceiling, a gap counts as closed."
    near = verdict.at_ceiling
    if near is not None and math.isfinite(near.estimate):
        caption += f" Seeds in it at the end: {near.estimate:.0%} [{near.low:.0%}, {near.high:.0%}] (exact binomial)."
    return Figure(svg, caption)


def _convergence(title: str, one: Concluded, groups: Sequence[Measured], target: str) -> Figure | None:
    """Deep and whole efficiency against the clips they rest on, where they rest on clips: of the seed worst off."""
    assert one.conclusion is not None
    count = len(groups[0].about.information)
    deep = _deep_rungs(one.conclusion, target)
    tolerance = float(one.conclusion.verdicts[target].settings.get("delta", 0.1)) / 5
    lines, words = [], []
    for label, rungs in (("deep", range(count - deep + 1, count + 1)), ("all rungs", range(1, count + 1))):
        found = _worst(groups, rungs)
        if found is not None:
            clips, value, error, step = found
            lines.append(Line(label, value, value - error, value + error))
            words.append(f"{label} {number(float(value[-1]), 3)} ± {error[-1]:.3f} (step {step:,})")
    if not lines:
        return None
    svg = against_clips(title, clips, lines, tolerance)
    caption = (
        "What more clips would still change: efficiency ± its Monte-Carlo error against the clips it rests on, "
        f"at the checkpoint and seed where that error is largest: {'; '.join(words)}. Bars: ± δ/5 = {tolerance:g}, "
        f"within which the error must lie. Each clip has {groups[0].about.draws} exact conditional draws per rung."
    )
    return Figure(svg, caption)


def _worst(groups: Sequence[Measured], rungs: Sequence[int]) -> tuple[Floats, Floats, Floats, int] | None:
    """The course of the efficiency whose error is largest at the end: clips, efficiency, error, and its step."""
    worst = None
    for group in groups:
        running = group.pie.converging(group.about, rungs)
        if running is None or group.about.information[np.asarray(rungs) - 1].sum() < LEAST_RUNG:
            return None
        clips, value, error = running
        last = np.where(np.isfinite(error[-1]), error[-1], -np.inf)
        t, s = np.unravel_index(int(np.argmax(last)), last.shape)
        if np.isfinite(last[t, s]) and (worst is None or last[t, s] > worst[2][-1]):
            worst = clips, value[:, t, s], error[:, t, s], int(group.steps[t])
    return worst


def rung_labels(rungs: Sequence[Sequence[str]]) -> list[str]:
    """What each rung adds, short: the frame where all its evidence is of one, else its first names."""
    labels = []
    for k, rung in enumerate(rungs, 1):
        frames = {match[1] if (match := re.fullmatch(r".+_(\d+)", name)) else "" for name in rung}
        if len(frames) == 1 and "" not in frames and len(rung) > 1:
            labels.append(f"{k}: frame {frames.pop()}")
        else:
            names = ", ".join(name if len(name) <= 14 else f"{name[:13]}…" for name in rung[:2])
            labels.append(f"{k}: {names}" + (f" + {len(rung) - 2}" if len(rung) > 2 else ""))
    return labels


def _deep_rungs(conclusion: Conclusion, target: str) -> int:
    return sum(rung.note.startswith("deep") for rung in conclusion.named("information", target))


def _curve(
    conclusion: Conclusion, name: str, target: str, steps: NDArray[np.int64], rung: int | None = None
) -> Floats | None:
    """Estimate, low and high at every checkpoint, [3, T]; None where the finding was not made at all of them."""
    found = {f.step: f.value for f in conclusion.named(name, target) if f.rung == rung}
    if any(int(step) not in found for step in steps):
        return None
    values = [found[int(step)] for step in steps]
    return np.array([[v.estimate for v in values], [v.low for v in values], [v.high for v in values]])
