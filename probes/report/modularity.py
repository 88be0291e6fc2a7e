"""The modularity probe's part of the report: what training actors does to the module called world-model."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={"share": "share, all actors", "named": "errors name the actor"},
    titles=("World-model captures", "Errors name the actor"),
    signs={
        "pure": ("●", "deep"),
        "independent": ("●", "deep"),
        "leaks-value": ("◐", "coming"),
        "helping": ("◐", "coming"),
        "impure": ("○", "shallow"),
        "optimistic": ("◌", "back"),
        "harming": ("◌", "back"),
        "no-world-model": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "World-model, critic and actor are trained on the same clips, apart or end to end. Does the module called "
        "world-model stay one?\nIts errors may come to tell what the actors want, or to promise them too much of it."
    ),
    caption=(
        "What the world-model captures with all actors trained, as a share of what there is to be known, and how often "
        "its errors name the actor\nthat was trained on it, with {level} intervals over seeds."
    ),
    reading=(
        "Apart: no gradient of an actor reaches the world-model. End-to-end: the gradient of real returns does. "
        "Imagined: that of returns which world-model and critic foretell. Verdicts that end in “several actors” say "
        "whether training one changes what the others get. Every module's optimizer row stands among the reasons."
    ),
    pictures=(
        Picture("What the world-model captures", ("share, no actor", "share, all actors"), "share",
                "Of the bits that situation and act tell about the outcome.", prefix="share, ", floor=-0.5),
        Picture("Whose errors these are", ("errors name the actor",), "share",
                "How often what best explains a world-model's errors is what its own actor wants."),
        Picture("Placebo objectives", ("optimism, placebo", "leakage, placebo"), "",
                "What no one wants neither explains errors nor is promised: a null of both.", floor=-0.5),
    ),
)  # fmt: skip
