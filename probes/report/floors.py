"""The floors probe's part of the report: what is decodable, beyond which floors, and what taking it out does."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={"gain": "gain", "excess": "excess effect", "r2": "R²"},
    titles=("Gain over floors", "Excess effect", "R²"),
    signs={
        "decodable-and-used": ("●", "deep"),
        "decodable-unused": ("◐", "coming"),
        "not-decodable": ("○", "shallow"),
        "floors-at-ceiling": ("·", "open"),
        "nothing-to-decode": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "A linear readout of the head's activations is fitted to the exact belief about a latent. Does it find more "
        "than it would find in the untrained\nhead, in the raw evidence, and in the exact answer to the task? And does "
        "the answer change when what it reads is taken out?"
    ),
    caption=(
        "Gain: share of what the best of the three floors leaves unexplained that the activations explain, with its "
        "{level} interval.\nExcess effect: change of the head's answer when the decoded subspace is set to its mean, "
        "less that of random subspaces, as a share of the change when\nall activations are. R²: of the readout, on "
        "evidence it was not fitted on."
    ),
    reading=(
        "R² alone says little: an untrained network may come close to 1. Read the gain, which is 0 at the best floor "
        "and 1 for the exact belief,\nand then the excess effect: what is decodable is not therefore used."
    ),
    pictures=(
        Picture(
            "Decodable, and used",
            ("gain", "excess effect"),
            "share",
            "Means over seeds with their intervals. In the grey band a share counts as none.",
            band=(-0.1, 0.1),
            floor=-0.5,
        ),
        Picture("R² of the exact belief", ("R²",), "share", "Of a linear readout, on evidence it was not fitted on."),
        Picture(
            "Change of the answer",
            ("effect of taking it out", "effect of random subspaces", "effect of taking out everything"),
            "bits",
            "KL from the head's own answer to that without part of its activations.",
            prefix="effect of ",
        ),
    ),
)
