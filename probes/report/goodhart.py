"""The goodhart probe's part of the report: true value, proxy and what was possible, under growing pressure."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
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
        "selecting compare:\nbest of n, tilting (selection under a KL penalty), planning by max-product, planning by gradient."
    ),
    pictures=(
        Picture("Gain and shortfall", ("gain", "gain, half pressure", "shortfall"), "sd of the true value",
                "What selection brings at the most pressure and at half of it, over training; and what selection by "
                "the truth would bring more.", floor=-2.0),
        Picture("Optimism", ("optimism",), "proxy less true value",
                "How much the head promises more than it keeps, at the most pressure."),
    ),
)  # fmt: skip
