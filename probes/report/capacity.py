"""How the capacity probe is shown: depth and loss against the cap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from probes.presentation import Figure
from probes.report.figures import INK, SIZE, drawn, finish, rung_colour
from probes.report.plain import PlainPresentation

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from probes.results import Concluded

#: What is drawn against the cap: what findings begin with, and the axis.
CURVES = (("efficiency, deep", "share of the deep pie"), ("depth", "rungs"), ("loss", "bits"))


class CapacityPresentation(PlainPresentation):
    """The headlines at the trace's own cap, and curves over the sweep."""

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """One figure for deep efficiency, one for depth and one for loss, each against the cap."""
        assert one.conclusion is not None
        plain = next(part["plain"] for part in measured[0]["metadata"]["targets"] if part["name"] == target)
        labels = list(plain["labels"])
        answer = []
        for place, (what, axis) in enumerate(CURVES):
            found = [one.conclusion.last(f"{what}, {label}", target) for label in labels]
            kept = [(label, finding.value) for label, finding in zip(labels, found, strict=True) if finding is not None]
            if not kept:
                continue

            def draw(figure: Canvas, kept: Any = kept, axis: str = axis, what: str = what) -> None:
                axes = figure.subplots()
                mean, low, high = (
                    np.array([getattr(v, part) for _, v in kept]) for part in ("estimate", "low", "high")
                )
                where = np.arange(len(kept))
                colour = rung_colour(2, 3)
                axes.axhline(0, color=INK, linewidth=0.6)
                axes.fill_between(where, low, high, facecolor=colour, alpha=0.18, linewidth=0)
                axes.plot(where, mean, color=colour, linewidth=1.8, marker="o", label=what)
                axes.set_xticks(where, [label for label, _ in kept], rotation=30, ha="right")
                axes.set(xlabel="cap, tight to loose", ylabel=axis, title=f"{what.capitalize()} against the cap")
                finish(figure, 2, 1)

            told = "; ".join(f"{label}: {value}" for label, value in kept)
            heading = f"{what} against the cap: {one.condition.title}"
            svg = drawn(f"capacity-{place}-{name}", heading, f"With limits. {told}.", SIZE, draw)
            own = labels[plain["own"]]
            answer.append(Figure(Markup(svg), f"{what.capitalize()} at the end, by cap; the run itself had {own}."))
        return answer


PRESENTATION = CapacityPresentation(
    headlines_of={"own": "efficiency, deep, own cap", "slope": "change per step of the sweep"},
    titles=("deep efficiency", "per step looser"),
    signs={
        "not-capacity-limited": ("●", "deep"),
        "no-cap-deepens": ("●", "deep"),
        "cap-deepens": ("◐", "coming"),
        "capacity-limited": ("○", "shallow"),
        "no-simple-order": ("◌", "back"),
        "nothing-deep": ("·", "open"),
        "untrained": ("·", "open"),
        "inconclusive": ("?", "open"),
    },
    question="Does a cap on its complexity keep a head shallow, or make it deeper?",
    caption=(
        "Deep efficiency under the run's own cap, and how it changes from one cap of the sweep to the next looser one, "
        "with {level} intervals over seeds."
    ),
    reading=(
        "Capacity-limited: a looser cap gets clearly deeper. Cap-deepens: a tighter one does. Curves show every cap."
    ),
)
