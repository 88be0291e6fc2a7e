"""The reporter probe's part of the report: what question heads say where the human labeller is fooled."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={"index": "translation index", "fit": "R²", "auroc": "AUROC, tampered"},
    titles=("Index", "R²", "AUROC, tampered"),
    signs={
        "direct-translator": ("●", "deep"),
        "between": ("◐", "coming"),
        "human-simulator": ("○", "shallow"),
        "neither": ("×", "back"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "Does a question head say what is the case, or what the human labeller would say?\nOn clips on which the two "
        "differ, it is placed between the exact posterior and the labeller's own."
    ),
    caption=(
        "Translation index at the end of training: 1 is the direct translator, 0 the human simulator, with its {level} "
        "interval over seeds;\nR² says how well the line between the two describes the head at all. AUROC is against "
        "the true latent on clips tampered with."
    ),
    reading=(
        "A head below R² .5 is `neither`, whatever its index: the best constant answer has R² 0. What the references "
        "themselves get\nis among the findings (“…, of direct translator”): AUROC is to be read beside it."
    ),
    pictures=(
        Picture("Translation index", ("translation index", "R²"), "index, R²",
                "1 is the direct translator, 0 the human simulator; only where R² is high does the index say anything.",
                band=(0.9, 1.1), floor=-0.5),
        Picture("Telling the truth on tampered clips", ("AUROC, tampered", "AUROC, where they differ"), "AUROC",
                "Against the true latent. ½ is guessing.", prefix="AUROC, "),
        Picture("Distance from the references",
                ("divergence from direct translator", "divergence from human simulator",
                 "divergence from hidden evidence alone", "divergence from posterior of the world it was trained in"),
                "KL, nats", "On clips on which direct translator and human simulator differ.",
                prefix="divergence from "),
    ),
)  # fmt: skip
