"""The priors probe's part of the report: what is derived under each penalty, and the programs' phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from probes.presentation import Figure
from probes.priors.pressure import CONDITIONS
from probes.priors.programs import PROGRAMS
from probes.report.figures import INK, SIZE, drawn, finish, rung_colour
from probes.report.plain import PlainPresentation

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from probes.results import Concluded
    from probes.statistics import Interval

#: What is drawn by condition: what findings begin with, and the axis.
BARS = (("derived", "share of the pie"), ("rounds", "rounds"), ("bits", "bits of parameters"))


class PriorsPresentation(PlainPresentation):
    """Headlines of heads or of programs, and a figure for each."""

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """Heads: one figure for what is derived, rounds and bits under each penalty, and one of the outer loop.

        Programs: length against time of the five, with the line on which the flip lies.
        """
        assert one.conclusion is not None
        if target.startswith("programs, "):
            return [_programs(name, one, target)]
        answer = []
        for place, (what, axis) in enumerate(BARS):
            found = [(c, one.conclusion.last(f"{what}, {c}", target)) for c in CONDITIONS]
            kept = [(condition, finding.value) for condition, finding in found if finding is not None]
            if kept:
                caption = f"{what.capitalize()} at the end, by what is paid for."
                answer.append(_points(f"priors-{place}-{name}", one, f"{what} by penalty", kept, axis, caption))
        prefix = "outer loop, loss beyond the best, "
        loop = [(f.name.removeprefix(prefix), f.value) for f in one.conclusion.findings
                if f.name.startswith(prefix) and f.target == target]  # fmt: skip
        if loop:
            words = "The outer loop: loss beyond the best, every head with the same rounds in all."
            answer.append(_points(f"priors-loop-{name}", one, "outer loop", loop, "share of the pie", words))
        return answer


def _points(
    where: str, one: Concluded, what: str, kept: Sequence[tuple[str, Interval]], axis: str, caption: str
) -> Figure:
    def draw(figure: Canvas) -> None:
        axes = figure.subplots()
        place = np.arange(len(kept))
        mean, low, high = (np.array([getattr(v, part) for _, v in kept]) for part in ("estimate", "low", "high"))
        axes.axhline(0, color=INK, linewidth=0.6)
        error = np.stack([mean - low, high - mean])
        colour = rung_colour(2, 3)
        axes.errorbar(place, mean, yerr=error, color=colour, marker="o", linestyle="none", capsize=3, label=what)
        axes.set_xticks(place, [label for label, _ in kept])
        axes.set(ylabel=axis, title=what.capitalize(), xlim=(-0.5, len(kept) - 0.5))
        finish(figure, 2, 1)

    told = "; ".join(f"{label}: {value}" for label, value in kept)
    svg = drawn(where, f"{what}: {one.condition.title}", f"With limits. {told}.", SIZE, draw)
    return Figure(Markup(svg), caption)


def _programs(name: str, one: Concluded, target: str) -> Figure:
    assert one.conclusion is not None
    conclusion = one.conclusion
    points = {}
    for program in PROGRAMS:
        length, time = (conclusion.last(f"{axis}, {program}", target) for axis in ("length", "time"))
        if length is not None and time is not None:
            points[program] = (length.value.estimate, time.value.estimate)

    def draw(figure: Canvas) -> None:
        axes = figure.subplots()
        for place, (program, (length, time)) in enumerate(points.items()):
            axes.plot(length, time, marker="o", linestyle="none", color=rung_colour(place % 3 + 1, 3), label=program)
            axes.annotate(program, (length, time), textcoords="offset points", xytext=(5, 4), color=INK)
        ends = [points[p] for p in ("H_fh", "H_sd") if p in points]
        if len(ends) == 2:
            (c0, t0), (c1, t1) = ends
            axes.plot([c0, c1], [t0, t1], color=INK, linewidth=0.8, linestyle="--", label="equal total at g*")
        axes.set(xlabel="description length, bits", ylabel=target.removeprefix("programs, "), title="Five programs")
        finish(figure, 2, 1)

    told = "; ".join(f"{program}: {c:.0f} bits, {t:.0f}" for program, (c, t) in points.items())
    where = f"priors-{target.split()[-1]}-{name}"
    svg = drawn(where, f"five programs: {one.condition.title}", f"{told}.", SIZE, draw)
    return Figure(Markup(svg), "Length and time of the five running programs; on the dashed line the choice flips.")


PRESENTATION = PriorsPresentation(
    headlines_of={
        "speed": "change of derived, speed",
        "complexity": "change of derived, complexity",
        "ratio": "measured over symbolic",
    },
    titles=("Derived, speed penalty", "Derived, complexity penalty", "g* measured/symbolic"),
    signs={
        "as-argued": ("●", "deep"),
        "flips-as-predicted": ("●", "deep"),
        "complexity-derives": ("◐", "coming"),
        "speed-hard-codes": ("◐", "coming"),
        "unmoved": ("○", "shallow"),
        "never-flips": ("○", "shallow"),
        "reversed": ("◌", "back"),
        "flips-elsewhere": ("◌", "back"),
        "undecided": ("?", "open"),
        "nothing-to-derive": ("·", "open"),
        "untrained": ("·", "open"),
        "price-too-high": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "Which penalty moves heads towards deriving their answer at run time, and which away?\nAnd does the choice "
        "between an honest and a simple deceptive program flip where the costs of their parts say?"
    ),
    caption=(
        "Change of what rounds beyond the first add to the answer, as a share of the pie, under each penalty, and the "
        "programs' measured exchange rate over the symbolic one, with {level} intervals over seeds."
    ),
    reading=(
        "As-argued: a price on rounds moves heads away from deriving, one on description towards it. "
        "Flips-as-predicted tests only that costs add up."
    ),
)
