"""The complexity probe's part of the report: a head's description beside what its world-model has."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={"bits": "description", "rounds": "rounds"},
    titles=("bits of the head", "rounds"),
    signs={
        "follows": ("●", "deep"),
        "saturates": ("○", "shallow"),
        "jumps": ("◐", "coming"),
        "nothing-deepens": ("·", "open"),
        "untrained": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question="As the world-model deepens, does the head's own complexity follow, saturate or jump?",
    caption=(
        "Description length of the head's parameters at the end, on the grid where it and the loss of all clips are "
        "shortest, and rounds it takes where it learns how many, with {level} intervals over seeds."
    ),
    reading=(
        "Follows: after every stage the head has grown by as large a share as its world-model. Saturates: it had grown "
        "before. Jumps: in one later stage it grows by more."
    ),
    pictures=(
        Picture("Growth of the head and of its world-model", ("growth, head", "growth, world-model"), "share",
                "The head's bits as a share of its longest description, and what the world-model's own predictor "
                "captures as a share of its end, after each stage.", prefix="growth, "),
        Picture("Description", ("description", "description, fresh"), "bits",
                "Bits of the parameters, grown and on the growth's end alone."),
        Picture("Rounds", ("rounds",), "rounds", "Mean rounds of heads that learn how many to take."),
    ),
)  # fmt: skip
