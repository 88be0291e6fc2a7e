"""The goodhart probe's part of the report: true value, proxy and what was possible, under growing pressure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from probes.goodhart.curves import FORMS, Form
from probes.measurement import by_target
from probes.presentation import Figure
from probes.report.figures import INK, SIZE, drawn, finish, rung_colour
from probes.report.plain import Picture, PlainPresentation

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from probes.measurement import Measurement
    from probes.results import Concluded


class GoodhartPresentation(PlainPresentation):
    """Headlines over training, and the curves by pressure at the end of it."""

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """True value, what was promised and what was possible against √KL; then the pictures over training."""
        found = [m for m in by_target(measured, "goodhart") if m.target == target]
        return [_by_pressure(name, one, m) for m in found] + super().figures(name, one, measured, target)


def _by_pressure(name: str, one: Concluded, m: Measurement) -> Figure:
    at, ideal = m.world["at"], m.world["ideal"]
    value, proxy = (m.numbers[kind][-1][m.sound] for kind in ("value", "proxy"))

    def draw(figure: Canvas) -> None:
        axes = figure.subplots()
        axes.plot(at, ideal, color=INK, linewidth=1.0, linestyle=":", label="selected by the truth")
        if len(value):
            axes.plot(at, proxy.mean(0), color=rung_colour(0, 3), linewidth=1.4, linestyle="--", label="promised")
            axes.plot(at, value.T, color=rung_colour(2, 3), linewidth=0.6, alpha=0.65)
            axes.plot(at, value.mean(0), color=rung_colour(2, 3), linewidth=1.8, label="true value")
            gain = value.mean(0) - value.mean(0)[0]
            for form, style in zip(FORMS, ("-.", (0, (1, 3))), strict=True):
                fitted = Form.of(form, at, gain)
                shape = at if form == FORMS[0] else np.log(np.maximum(at, 1e-12))
                curve = value.mean(0)[0] + at * (fitted.alpha - fitted.beta * shape)
                axes.plot(at, curve, color=INK, linewidth=0.8, linestyle=style, label=f"{form}, R² {fitted.fit:.2f}")
        axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}".replace("-", "−"))
        axes.set_xlabel("pressure √KL, √nats")
        axes.set_ylabel("worth")
        axes.set_title(f"By pressure, {m.plain['pressure']}")
        finish(figure, 2, 3)

    means = f"True value from {value[:, 0].mean():.3f} to {value[:, -1].mean():.3f}." if len(value) else "No seed."
    slug = f"goodhart-curve-{m.plain['pressure']}-{name}"
    svg = drawn(slug, f"By pressure: {one.condition.title}", means, SIZE, draw)
    caption = "True value, what the head promised, and what selection by the truth would bring, at the last checkpoint."
    return Figure(Markup(svg), caption)


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
