"""How the path probe is shown."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={
        "grown": "efficiency, deep, grown",
        "order": "grown less reversed",
        "total": "grown less fresh",
        "last": "grown less short",
        "function": "divergence beyond seeds",
    },
    titles=("grown", "− reversed", "− fresh", "− short", "function"),
    signs={
        "path-independent": ("●", "deep"),
        "path-dependent": ("○", "shallow"),
        "other-function": ("◐", "coming"),
        "nothing-deep": ("·", "open"),
        "untrained": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question="Does it matter by which way a head came to where it is?",
    caption=(
        "Deep efficiency of grown heads, and what it is more than that of heads that came to the same end otherwise: "
        "reversed (the same stages, deep first), fresh (the end alone, as many steps in all), short (the end alone, as "
        "many steps as the grown head had there). Function: how far grown and reversed heads diverge beyond two seeds, "
        "as a share of the pie. With {level} intervals over seeds."
    ),
    reading=(
        "A head that owes nothing to its way ends like the reversed one, and between the short and the fresh one: what "
        "lies between these two is budget. Barriers on the line between parameters stand among the findings."
    ),
    pictures=(
        Picture(
            "Deep efficiency by way",
            ("efficiency, deep, grown", "efficiency, deep, fresh", "efficiency, deep, reversed"),
            "share of the deep pie",
            "Grown, fresh and reversed heads over training; stages begin at their shares of the steps.",
            "efficiency, deep, ",
            floor=-0.5,
        ),
        Picture(
            "Loss by way",
            ("loss, grown", "loss, fresh", "loss, reversed"),
            "bits",
            "Loss of the same heads; before the last stage it is that on what their stage shows.",
            "loss, ",
        ),
    ),
)
