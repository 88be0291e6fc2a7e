"""The priors probe's part of the report: what is derived under each penalty, and the programs' phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.presentation import Figure
from probes.priors.pressure import CONDITIONS
from probes.priors.programs import PROGRAMS
from probes.report.chart import Chart, Entry, Mark, linear
from probes.report.palette import rung
from probes.report.plain import PlainPresentation
from probes.report.rows import points

if TYPE_CHECKING:
    from probes.results import Concluded

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
            return [_programs(one, target)]
        answer = []
        for what, axis in BARS:
            found = [(c, one.conclusion.last(f"{what}, {c}", target)) for c in CONDITIONS]
            kept = [(condition, finding.value) for condition, finding in found if finding is not None]
            if kept:
                caption = f"{what.capitalize()} at the end, by what is paid for."
                svg = points(f"{what.capitalize()} by penalty", one.condition.title, axis, kept)
                answer.append(Figure(svg, caption))
        prefix = "outer loop, loss beyond the best, "
        loop = [(f.name.removeprefix(prefix), f.value) for f in one.conclusion.findings
                if f.name.startswith(prefix) and f.target == target]  # fmt: skip
        if loop:
            words = "The outer loop: loss beyond the best, every head with the same rounds in all."
            answer.append(Figure(points("Outer loop", one.condition.title, "share of the pie", loop), words))
        return answer


def _programs(one: Concluded, target: str) -> Figure:
    assert one.conclusion is not None
    conclusion = one.conclusion
    found = {}
    for program in PROGRAMS:
        length, time = (conclusion.last(f"{axis}, {program}", target) for axis in ("length", "time"))
        if length is not None and time is not None:
            found[program] = (length.value.estimate, time.value.estimate)
    marks, key, notes = [], [], []
    ends = [found[p] for p in ("H_fh", "H_sd") if p in found]
    if len(ends) == 2:
        marks.append(Mark("t ink d1", *np.array(ends).T))
        key.append(Entry("t ink d1", "equal total at g*"))
    for place, (program, (bits, cost)) in enumerate(found.items()):
        colour = f"o {rung(place, max(len(found), 3))}"
        marks.append(Mark(colour, np.array([bits]), np.array([cost])))
        key.append(Entry(colour, f"{program}: {bits:.0f} bits, {cost:,.0f}"))
        notes.append((bits, cost, program))
    across, down = (
        linear(label, *_around([point[axis] for point in found.values()]))
        for axis, label in enumerate(("description length, bits", target.removeprefix("programs, ")))
    )
    told = "; ".join(f"{program}: {c:.0f} bits, {t:.0f}" for program, (c, t) in found.items())
    chart = Chart("Five programs", across, down, tuple(marks), tuple(key), tuple(notes))
    svg = chart.markup(f"Five programs: {one.condition.title}", f"{told}.")
    return Figure(svg, "Length and time of the five running programs; on the dashed line the choice flips.")


def _around(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values, default=0.0), max(values, default=1.0)
    reach = 0.1 * (high - low) or 1.0
    return low - reach, high + reach


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
