"""How the capacity probe is shown: depth and loss against the cap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from probes.presentation import Figure
from probes.report.plain import PlainPresentation
from probes.report.rows import points

if TYPE_CHECKING:
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
        for what, axis in CURVES:
            found = [one.conclusion.last(f"{what}, {label}", target) for label in labels]
            kept = [(label, finding.value) for label, finding in zip(labels, found, strict=True) if finding is not None]
            if not kept:
                continue
            svg = points(f"{what.capitalize()} against the cap", one.condition.title, axis, kept)
            own = labels[plain["own"]]
            caption = f"{what.capitalize()} at the end, by cap, tight to loose; the run itself had {own}."
            answer.append(Figure(svg, caption))
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
