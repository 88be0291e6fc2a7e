"""The early probe's part of the report."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={
        "verdict_score": "log score of the verdict",
        "verdict_base": "log score of the verdict, base rates",
        "arrival": "step at which depth arrives",
    },
    titles=("Log score of the verdict, bits", "of base rates", "Depth arrives at step"),
    signs={
        "called": ("●", "deep"),
        "miscalled": ("✕", "back"),
        "no-call": ("○", "shallow"),
        "no-forecast": ("·", "open"),
        "nothing-deep": ("·", "open"),
    },
    question=(
        "From the first tenth of each run alone, by a forecaster that has not seen this world:\nhow will it end, and "
        "when does depth arrive?"
    ),
    caption=(
        "Log score: log2 of the probability that the forecast, and that base rates, gave to the verdict of the run. "
        "One run is one\noutcome; whether forecasts beat base rates is asked over worlds. Arrival: geometric mean over "
        "seeds with its {level} interval."
    ),
    reading=(
        "A forecast sees nothing beyond the first tenth of the steps: how deep the head reaches by then and how fast "
        "that rises, its own\nbits from deep evidence, the pull still on it, and how far seeds are apart."
    ),
    pictures=(
        Picture(
            "What a forecast looks at",
            ("shallow efficiency", "deep efficiency", "own share of deep bits"),
            "share",
            "Only the first tenth of the steps is seen by the forecast; the rest is what became of the run.",
            floor=-0.5,
        ),
    ),
)
