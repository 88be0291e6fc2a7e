"""How a probe's conclusions are shown: one small object per probe, so that tables and reports know none by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from probes.finding import Conclusion
    from probes.results import Concluded, Results


class Shown(NamedTuple):
    """What stands in one field of a table: a number with its limits, or a text."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    text: str = ""


class Figure(NamedTuple):
    """A picture of the report, as markup, with the sentence under it."""

    svg: str
    caption: str


class Table(NamedTuple):
    """A table of the report.

    Attributes:
        caption: what it shows, and how to read it.
        head: titles of the columns; the first names the rows.
        rows: a name and what stands in its fields.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown, ...]], ...]


class Presentation(Protocol):
    """A probe's own columns in tables, its signs, and its part of the report."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of `Results.verdicts` that are its own."""
        ...

    @property
    def titles(self) -> tuple[str, ...]:
        """Heads of its columns in the tables people read, the most important first."""
        ...

    @property
    def signs(self) -> Mapping[str, tuple[str, str]]:
        """For each of its verdicts a sign and a colour class: "deep", "coming", "shallow", "back" or "open"."""
        ...

    @property
    def question(self) -> str:
        """What every row of its table asks: a paragraph of HTML."""
        ...

    @property
    def caption(self) -> str:
        """What its columns say, in HTML; `{level}` stands for the level of the intervals."""
        ...

    @property
    def reading(self) -> str:
        """How its figures are read: a paragraph of HTML."""
        ...

    def headlines(self, conclusion: Conclusion, target: str) -> dict[str, Any]:
        """Its columns for one target; what is not there may be left out."""
        ...

    def shown(self, row: Mapping[Any, Any]) -> tuple[Shown, ...]:
        """What stands under its `titles`, for a row of `Results.verdicts`."""
        ...

    def offered(self, name: str, results: Results, members: Sequence[Concluded]) -> list[Figure]:
        """What a world offers under one objective, from that objective's conditions; `name` is unique in the page."""
        ...

    def overview(self, results: Results, members: Sequence[Concluded]) -> list[Table]:
        """Tables across all conditions on one world."""
        ...

    def figures(self, name: str, one: Concluded, measured: Sequence[Mapping[str, Any]], target: str) -> list[Figure]:
        """Pictures of one condition and target."""
        ...


def number(value: object, digits: int = 2) -> str:
    """A number with a proper minus sign and no negative zero, or a dash where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")
