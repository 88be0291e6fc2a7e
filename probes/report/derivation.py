"""The derivation probe's part of the report: how much of a head memorises, how much derives, over training."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

KINDS = ("memorizers", "derivers", "both kinds", "controls")
NAMED = (
    "retrieval, unigram",
    "retrieval, bigram",
    "retrieval, exact",
    "inference, unigram",
    "inference, bigram",
    "inference, exact",
)
INSIDE = ", training worlds"

PRESENTATION = PlainPresentation(
    headlines_of={
        "memorizers": "weight of memorizers",
        "derivers": "weight of derivers",
        "left": "left by the mixture",
        "excess": "excess",
    },
    titles=("Memorizers", "Derivers", "Left", "Excess, bits"),
    signs={
        "deriving": ("●", "deep"),
        "switched-to-deriving": ("●", "deep"),
        "deriving-shallow": ("◐", "coming"),
        "between": ("◐", "coming"),
        "memorizing": ("○", "shallow"),
        "switched-to-memorizing": ("○", "shallow"),
        "neither": ("×", "open"),
        "not-identifiable": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "A head is trained on clips of a number of worlds. Shown a clip of a world that it has never met, does it\n"
        "answer as if the world were one of those it knows, or does it work out from the clip what that world is?"
    ),
    caption=(
        "Weights: shares of memorizers (Bayes over the training worlds) and of derivers (Bayes under the prior that "
        "worlds come from) in the mixture of references\nnearest to the head, on held-out worlds, with their {level} "
        "intervals. Left: what that mixture leaves of the head, as a share of what the world is worth.\nExcess: "
        "divergence from the world itself."
    ),
    reading=(
        "Weights say what the head is like only where little is left. Silly predictors take part as controls; a head "
        "in which they have weight is neither.\nWith few worlds memorizer and deriver part widely on held-out worlds; "
        "with many they become one predictor."
    ),
    pictures=(
        Picture(
            "Memorizing and deriving",
            tuple(f"weight of {kind}" for kind in KINDS),
            "weight",
            "On held-out worlds: means over seeds with their intervals.",
            prefix="weight of ",
        ),
        Picture(
            "Nearest mixture",
            tuple(f"weight, {name}" for name in NAMED),
            "weight",
            "On held-out worlds, reference by reference; those that are not told apart are left out here.",
            prefix="weight, ",
        ),
        Picture(
            "Memorizing and deriving, training worlds",
            tuple(f"weight of {kind}{INSIDE}" for kind in KINDS),
            "weight",
            "On worlds that were trained on, where both kinds are nearer to each other.",
            prefix="weight of ",
        ),
        Picture(
            "Divergence from the world",
            ("excess", f"excess{INSIDE}", "spread"),
            "bits per token",
            "Excess: of the world's own prediction from the head's. Spread: of a seed's from the mean over seeds, on "
            "held-out worlds.",
        ),
        Picture(
            "What the mixture leaves",
            ("left by the mixture", f"left by the mixture{INSIDE}"),
            "share of the world's worth",
            "In the grey band the references account for the head.",
            band=(0.0, 0.1),
        ),
    ),
)
