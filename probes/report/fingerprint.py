"""The fingerprint probe's part of the report: who is named from what, over training, and what it predicts."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

CONDITIONS = ("never-seen combinations", "clips of the world", "the reserved symbol")

PRESENTATION = PlainPresentation(
    headlines_of={
        "named": "named, never-seen combinations",
        "share": "share of initialisation, never-seen combinations",
        "gone": "disagreement gone",
    },
    titles=("Named", "Share of variance", "Disagreement gone"),
    signs={
        "named-and-predicts": ("●", "deep"),
        "named-without-agreement": ("◐", "coming"),
        "named": ("◐", "coming"),
        "only-reserved": ("○", "shallow"),
        "not-named": ("○", "shallow"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "Heads begin with the same or with different parameters, each with several orders of the data. Can the "
        "beginning of a trained head be told\nfrom its answers to combinations of symbols that it never saw? And do "
        "heads of one beginning go on alike where nothing was learned?"
    ),
    caption=(
        "Named: share of held-out runs that are given their own initialisation, from never-seen combinations of seen "
        "symbols, with its {level} interval.\nShare of variance: of answers between runs, what is the "
        "initialisation's. Disagreement gone: by how much less runs of one initialisation disagree\non further "
        "combinations than strangers do."
    ),
    reading=(
        "A symbol that no clip shows is given no gradient: what is answered to it is a trivial fingerprint. Data "
        "orders are held out whole, and names are permuted\nwithin data orders. Clips of the world are the same "
        "measurement in distribution."
    ),
    pictures=(
        Picture("Runs given their own name", tuple(f"named, {name}" for name in CONDITIONS), "share",
                "Share of held-out runs, with intervals over initialisations.", prefix="named, "),
        Picture("What is the initialisation's", tuple(f"share of initialisation, {name}" for name in CONDITIONS),
                "share of variance", "Of the variance of answers between runs.", prefix="share of initialisation, "),
        Picture("Agreement off-distribution", ("agreement, same initialisation", "agreement, strangers"), "share",
                "Of further never-seen combinations on which two runs choose alike.", prefix="agreement, "),
    ),
)  # fmt: skip
