"""The crowding probe's part of the report: own bits of a run beside those of its twin, reliance and pull."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={"crowding": "crowding", "own_share": "own share", "own_share_twin": "own share, twin"},
    titles=("Crowding", "Deep own bits, base", "Deep own bits, twin"),
    signs={
        "crowded-out": ("○", "shallow"),
        "delayed": ("◐", "coming"),
        "not-crowded": ("●", "deep"),
        "deep-favoured": ("●", "deep"),
        "hastened": ("●", "deep"),
        "nothing-deep": ("·", "open"),
        "untrained": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "Each run was trained again from the same first parameters on the same clips, but with its shallow evidence "
        "drawn anew so that it tells nothing: the twin.\nDoes the run have as much of what the deep evidence tells by "
        "itself as its twin has, or does the shallow evidence crowd it out?"
    ),
    caption=(
        "Deep own bits: U_deep / U*_deep, what the run gets out of the deep evidence while everything else is drawn "
        "independently,\nas a share of what the exact predictor of the same world gets, with its {level} interval over "
        "seeds. Crowding: twin minus base."
    ),
    reading=(
        "Crowding at 0 means that the shallow evidence takes nothing away; at 1, that the deep evidence is not used at "
        "all although the twin\nlearns it. <em>Pull</em> is the residual error that still points along a rung, "
        "in bits: a deep rung starves when its pull falls before\nits own bits are there."
    ),
    pictures=(
        Picture(
            "Own bits of the deep evidence",
            ("own share", "own share, twin", "crowding"),
            "share",
            "Means over seeds with their intervals. In the grey band crowding counts as none.",
            band=(-0.1, 0.1),
            floor=-0.5,
        ),
        Picture(
            "Pull on the deep evidence",
            ("pull, deep", "pull, deep, twin"),
            "bits",
            "Residual error along what the deep rungs have to say. It ends at 0 where they have been learned.",
        ),
        Picture(
            "Reliance",
            ("reliance, deep", "reliance, shallow", "reliance, deep, twin"),
            "bits",
            "Loss added when that evidence alone is drawn anew.",
            prefix="reliance, ",
        ),
    ),
)
