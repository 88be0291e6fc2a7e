"""The transmission probe's part of the report: how heads follow edits of their world-model."""

from __future__ import annotations

from probes.report.plain import Picture, PlainPresentation

PRESENTATION = PlainPresentation(
    headlines_of={"nearest": "slope, nearest", "deepest": "slope, deepest"},
    titles=("Slope, nearest edits", "Slope, deepest edits"),
    signs={
        "runs-through-the-world-model": ("●", "deep"),
        "partly": ("◐", "coming"),
        "insensitive": ("○", "shallow"),
        "nothing-to-transmit": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question=(
        "One table of the world-model is edited, the head is not trained again. Does its answer change as the exact "
        "posterior does?\nA head may match the posterior on the clips it knows without running through the "
        "world-model; under edits it cannot."
    ),
    caption=(
        "Slope: the head's change per change of the exact posterior under edits of one table, of nodes nearest to and "
        "farthest from the target,\nwith its {level} interval over seeds and edits. 1 is the posterior itself, 0 a "
        "head that does not notice."
    ),
    reading=(
        "Depth is distance from the target in the moral graph. Edits that no belief given to the head can carry, such "
        "as of the target's own table,\nare left out. R² is that of the line through the origin."
    ),
    pictures=(
        Picture("Slope by depth of the edit", ("slope",), "slope",
                "The head's change per change of the exact posterior. Rung: distance of the edited table.",
                rungs=True, band=(0.9, 1.1), floor=-0.5),
        Picture("R² by depth of the edit", ("R²",), "share",
                "Whether the head's change is a multiple of the posterior's at all.", rungs=True),
    ),
)  # fmt: skip
