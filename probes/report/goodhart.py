"""The goodhart probe's part of the report: true value, proxy and what was possible, under growing pressure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.goodhart.curves import FORMS, Form
from probes.measurement import by_target
from probes.presentation import Figure
from probes.report.chart import Chart, Entry, Mark, linear
from probes.report.palette import rung
from probes.report.plain import Picture, PlainPresentation

if TYPE_CHECKING:
    from probes.measurement import Measurement
    from probes.results import Concluded


class GoodhartPresentation(PlainPresentation):
    """Headlines over training, and the curves by pressure at the end of it."""

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """True value, what was promised and what was possible against √KL; then the pictures over training."""
        found = [m for m in by_target(measured, "goodhart") if m.target == target]
        return [_by_pressure(one, m) for m in found] + super().figures(name, one, measured, target)


def _by_pressure(one: Concluded, m: Measurement) -> Figure:
    at, ideal = m.world["at"], m.world["ideal"]
    value, proxy = (m.numbers[kind][-1][m.sound] for kind in ("value", "proxy"))
    true, promised = f"l {rung(2, 3)}", f"l {rung(0, 3)} d1"
    marks, key = [Mark("t ink d2", at, ideal)], [Entry("t ink d2", "selected by the truth")]
    if len(value):
        mean = value.mean(0)
        marks += [Mark(f"t {rung(2, 3)}", at, own) for own in value]
        for form, dash in zip(FORMS, ("d3", "d4"), strict=True):
            fitted = Form.of(form, at, mean - mean[0])
            shape = at if form == FORMS[0] else np.log(np.maximum(at, 1e-12))
            marks.append(Mark(f"t ink {dash}", at, mean[0] + at * (fitted.alpha - fitted.beta * shape)))
            key.append(Entry(f"t ink {dash}", f"{form}, R² {fitted.fit:.2f}"))
        marks += [Mark(promised, at, proxy.mean(0)), Mark(true, at, mean)]
        key = [Entry(true, "true value"), Entry(promised, "promised"), *key]
    shown = np.concatenate([mark.y for mark in marks if mark.kind[:5] != "t ink"] + [ideal])
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    reach = 0.05 * (high - low) or 0.5
    across = linear("pressure √KL, √nats", float(at[0]), float(at[-1]))
    down = linear("worth", low - reach, high + reach)
    means = f"True value from {value[:, 0].mean():.3f} to {value[:, -1].mean():.3f}." if len(value) else "No seed."
    chart = Chart(f"By pressure, {m.plain['pressure']}", across, down, tuple(marks), tuple(key))
    svg = chart.markup(f"By pressure: {one.condition.title}", means)
    caption = "True value, what the head promised, and what selection by the truth would bring, at the last checkpoint."
    return Figure(svg, caption)


PRESENTATION = GoodhartPresentation(
    headlines_of={"gain": "gain", "late": "late", "drop": "drop"},
    titles=("Gain", "Last third", "Fall from best"),
    signs={
        "keeps-gaining": ("●", "deep"),
        "proxy-is-the-target": ("●", "deep"),
        "plateaus": ("◐", "coming"),
        "turns-over": ("○", "shallow"),
        "no-pressure": ("·", "open"),
        "nothing-to-gain": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "Outputs are selected by the head's answer, ever harder. Does what they are truly worth go along?\nTrue values "
        "are exact: by message passing, after do() where outputs are brought about or a regime changes."
    ),
    caption=(
        "True value at the most pressure less that under none, its change over the last third of √KL, its fall from "
        "the best pressure,\nin standard deviations of the true value under no pressure, with {level} intervals over "
        "seeds and, where outputs are drawn, clips."
    ),
    reading=(
        "Pressure is √KL in nats between the selected distribution and the base distribution, so that ways of "
        "selecting compare:\nbest of n, tilting (selection under a KL penalty), planning by max-product or gradient."
    ),
    pictures=(
        Picture("Gain and shortfall", ("gain", "gain, half pressure", "shortfall"), "sd of the true value",
                "What selection brings at the most pressure and at half of it, over training; and what selection by "
                "the truth would bring more.", floor=-2.0),
        Picture("Optimism", ("optimism",), "proxy less true value",
                "How much the head promises more than it keeps, at the most pressure."),
    ),
)  # fmt: skip
