"""A presentation made of data: headlines at the last step, and figures of findings over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from probes.presentation import Figure, Shown, Table
from probes.report.curves import Line, over_training

if TYPE_CHECKING:
    from probes.finding import Conclusion
    from probes.results import Concluded, Results


class Picture(NamedTuple):
    """A figure of findings over training.

    Attributes:
        heading: of the figure.
        names: findings, one line each; those that are not there are left out.
        axis: label of the vertical axis.
        caption: the sentence under it.
        prefix: what all names begin with, left out of the legend.
        rungs: whether each finding has a line for every rung.
        band: limits within which the end counts as reached.
        floor: the axis ends here, whatever lies below.
    """

    heading: str
    names: tuple[str, ...]
    axis: str
    caption: str
    prefix: str = ""
    rungs: bool = False
    band: tuple[float, float] | None = None
    floor: float | None = None


@dataclass(frozen=True)
class PlainPresentation:
    """How a probe is shown that needs no more than its findings.

    Attributes:
        headlines: column of the verdict table → finding, whose value at the last step it holds.
        titles: heads of the columns, in their order.
        signs: as in `Presentation`, and so are question, caption and reading.
        pictures: figures of every condition.
    """

    headlines_of: Mapping[str, str]
    titles: tuple[str, ...]
    signs: Mapping[str, tuple[str, str]]
    question: str
    caption: str
    reading: str
    pictures: tuple[Picture, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Each headline with its limits."""
        return tuple(f"{column}{end}" for column in self.headlines_of for end in ("", "_low", "_high"))

    def headlines(self, conclusion: Conclusion, target: str) -> dict[str, Any]:
        """The findings' last values; what was not found is left out."""
        row: dict[str, Any] = {}
        for column, name in self.headlines_of.items():
            found = conclusion.last(name, target)
            if found is not None:
                value = found.value
                row |= {column: value.estimate, f"{column}_low": value.low, f"{column}_high": value.high}
        return row

    def shown(self, row: Mapping[Any, Any]) -> tuple[Shown, ...]:
        """The headlines, each with its limits."""
        return tuple(Shown(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in self.headlines_of)

    def offered(self, name: str, results: Results, members: Sequence[Concluded]) -> list[Figure]:
        """Nothing."""
        return []

    def overview(self, results: Results, members: Sequence[Concluded]) -> list[Table]:
        """Nothing beyond the verdict table."""
        return []

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """The pictures for which there are findings."""
        assert one.conclusion is not None
        drawn = []
        for picture in self.pictures:
            lines = _lines(one.conclusion, picture, target)
            if not lines:
                continue
            steps = max((steps for steps, _ in lines), key=len)
            kept = [line for own, line in lines if np.array_equal(own, steps)]
            svg = over_training(
                one.condition.title, picture.heading, steps, kept, picture.axis, picture.band, picture.floor
            )
            drawn.append(Figure(svg, picture.caption))
        return drawn


def _lines(conclusion: Conclusion, picture: Picture, target: str) -> list[tuple[Any, Line]]:
    lines = []
    for name in picture.names:
        found = [finding for finding in conclusion.named(name, target) if finding.step is not None]
        rungs = sorted({finding.rung for finding in found if finding.rung is not None}) if picture.rungs else [None]
        for rung in rungs:
            own = [finding for finding in found if not picture.rungs or finding.rung == rung]
            if not own:
                continue
            label = name.removeprefix(picture.prefix) if rung is None else f"rung {rung}"
            if rung is not None and len(picture.names) > 1:
                label = f"{name.removeprefix(picture.prefix)}, rung {rung}"
            low, mean, high = (
                np.array([getattr(finding.value, part) for finding in own]) for part in ("low", "estimate", "high")
            )
            lines.append((np.array([finding.step for finding in own]), Line(label, mean, low, high)))
    return lines
