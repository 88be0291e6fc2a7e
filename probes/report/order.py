"""The order probe's part of the report: of which reference predictors the head is made, over training."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

NAMED = ("marginals", "last frame", "pairwise tree", "naive Bayes", "full")
END = ", out of distribution"

PRESENTATION = PlainPresentation(
    headlines_of={
        "richest": "weight of the richest",
        "richest_outside": f"weight of the richest{END}",
        "left": "left by the mixture",
        "left_outside": f"left by the mixture{END}",
    },
    titles=("Richest", "Outside", "Left", "Left outside"),
    signs={
        "in-order": ("●", "deep"),
        "full-throughout": ("●", "deep"),
        "stops-early": ("○", "shallow"),
        "out-of-order": ("◐", "coming"),
        "other-out-of-distribution": ("◐", "coming"),
        "matches-none": ("×", "open"),
        "nothing-deep": ("·", "open"),
        "not-identified": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "A few predictors are computed from the world, from the simplest to the exact posterior. Of which of them is "
        "the head a mixture,\nat which point of training? And is it the same mixture on evidence whose parts were "
        "drawn independently of each other?"
    ),
    caption=(
        "Weight of the richest: share of the last reference of the list, the exact posterior unless said otherwise, in "
        "the mixture of references nearest to the\nhead, with its {level} interval. Left: what that mixture leaves of "
        "the head, as a share of the bits on offer."
    ),
    reading=(
        "Weights say what the head is like only where little is left. References that are nearly the same predictor "
        "stand together.\nSilly predictors take part as controls; a head in which they have weight matches none."
    ),
    pictures=(
        Picture(
            "Nearest mixture",
            (*(f"weight, {name}" for name in NAMED), "weight of the richest", "weight of controls"),
            "weight",
            "On evidence from the world: means over seeds with their intervals.",
            prefix="weight, ",
        ),
        Picture(
            "Nearest mixture, out of distribution",
            (*(f"weight, {name}{END}" for name in NAMED), f"weight of the richest{END}", f"weight of controls{END}"),
            "weight",
            "On evidence whose parts were drawn independently; what the world holds impossible is passed over.",
            prefix="weight, ",
        ),
        Picture(
            "What the mixture leaves",
            ("left by the mixture", f"left by the mixture{END}"),
            "share of the bits on offer",
            "In the grey band the references account for the head.",
            band=(0.0, 0.1),
        ),
    ),
)
