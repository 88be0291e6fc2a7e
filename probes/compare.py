"""What changed between two runs, beyond noise: conditions, verdicts, numbers; and cells that should be equal.

Two runs have a line in common where world, objective, target, head, inputs and probe have the same names. A number is a
finding at its last step. Its difference b − a gets an interval from the two intervals alone (`difference`), so that
every kind of interval can be compared; over all numbers that are not the same bits, limits are Bonferroni's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from probes.statistics import Interval
from worldnets.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from probes.results import Results

#: Columns that name a line of the verdict table.
LINE = ("world", "objective", "target", "head", "inputs", "probe")
#: … and a number of it.
NUMBER = (*LINE, "name", "rung", "unit")


@dataclass(frozen=True)
class Moved:
    """A number in two runs.

    Attributes:
        names: the columns of `NUMBER`.
        a, b: the number with its interval in either run.
        difference: b − a, at the level corrected for all numbers compared.
    """

    names: Mapping[str, Any]
    a: Interval
    b: Interval
    difference: Interval

    @property
    def beyond_noise(self) -> bool:
        """Whether the difference's interval leaves out 0."""
        return not self.difference.low <= 0 <= self.difference.high

    def __repr__(self) -> str:
        where = " ".join(str(self.names[name]) for name in ("world", "head", "target", "name") if self.names.get(name))
        return f"Moved({where}: {self.a} → {self.b})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        return card(
            repr(self),
            dict(self.names),
            table(("", "interval"), [(n, repr(getattr(self, n))) for n in ("a", "b", "difference")]),
        )


@dataclass(frozen=True)
class Comparison:
    """What two runs say of the same things. Run a is the earlier or the one that is known, b the other.

    Attributes:
        only_a, only_b: titles and probes of conditions that one run has and the other has not.
        settings: (where, a, b) of settings and versions that differ.
        verdicts: lines whose verdict differs, with both.
        moved: numbers whose difference is beyond noise, largest first in units of its own half-width.
        numbers: how many numbers were compared that are not the same bits.
        equal: how many were.
        unlike: names of cells that have one key and other bytes: the same work gave another result.
    """

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]
    verdicts: tuple[Mapping[str, Any], ...]
    moved: tuple[Moved, ...]
    numbers: int
    equal: int
    unlike: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing changed beyond noise."""
        return not (self.only_a or self.only_b or self.verdicts or self.moved or self.unlike)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        found = asdict(self)
        for one, other in zip(found["moved"], self.moved, strict=True):
            one["names"] = {name: str(value) for name, value in other.names.items()}
        return found

    def to_pandas(self) -> pd.DataFrame:
        """The numbers that moved: names, both estimates with their limits, the difference with its own."""
        import pandas as pd

        rows = []
        for one in self.moved:
            row = dict(one.names)
            for name, value in (("a", one.a), ("b", one.b), ("difference", one.difference)):
                row |= {name: value.estimate, f"{name}_low": value.low, f"{name}_high": value.high}
            rows.append(row)
        ends = [f"{name}{end}" for name in ("a", "b", "difference") for end in ("", "_low", "_high")]
        return pd.DataFrame(rows, columns=[*NUMBER, *ends])

    def __repr__(self) -> str:
        if self.same:
            return f"Comparison(nothing changed beyond noise; {self.equal} numbers equal, {self.numbers} within noise)"
        parts = [f"{len(self.verdicts)} verdicts", f"{len(self.moved)} of {self.numbers} numbers beyond noise"]
        parts += [f"{len(self.only_a) + len(self.only_b)} conditions in one run only"]
        return f"Comparison({', '.join(parts)}{f', {len(self.unlike)} unlike cells' if self.unlike else ''})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame, table

        facts = {
            "only in a": self.only_a or None,
            "only in b": self.only_b or None,
            "unlike cells": self.unlike or None,
        }
        parts = []
        if self.settings:
            parts.append(table(("setting", "a", "b"), self.settings))
        if self.verdicts:
            parts.append(table((*LINE, "a", "b"), [[row[name] for name in (*LINE, "a", "b")] for row in self.verdicts]))
        if self.moved:
            parts.append(frame(self.to_pandas(), index=False))
        return card(repr(self), facts, *parts)

    def plot(self, axes: Axes | None = None) -> Axes:
        """The differences b − a beyond noise, with their limits, largest first."""
        from worldnets.draw.figure import literal, new_axes

        axes = new_axes(6.0, 0.8 + 0.3 * max(1, len(self.moved))) if axes is None else axes
        for i, one in enumerate(self.moved):
            d = one.difference
            axes.errorbar(d.estimate, i, xerr=[[d.estimate - d.low], [d.high - d.estimate]], fmt="o", color="#0072b2")
        names = [
            literal(" ".join(str(one.names[n]) for n in ("world", "head", "target", "name"))) for one in self.moved
        ]
        axes.set_yticks(range(len(names)), names)
        axes.axvline(0, color="#7b8794", linewidth=0.8)
        axes.invert_yaxis()
        axes.set(xlabel="b − a")
        return axes


def difference(a: Interval, b: Interval, tests: int = 1) -> Interval:
    """b − a with limits recovered from those of a and b, as of independent estimates.

        low = d − √((b − b_low)² + (a_high − a)²),    high = d + √((b_high − b)² + (a − a_low)²)

    Each half is first widened from its own level to 1 − (1 − level)/tests, by the ratio of quantiles of the
    t-distribution on n − 1 degrees of freedom, or of the normal one for shares. Seeds that two runs share make the
    estimates alike, and these limits too wide.

    Args:
        a, b: intervals of one level; an exact number is one of width 0.
        tests: among how many differences this is one (Bonferroni).

    Source: Zou & Donner 2008, Statistics in Medicine 27:1693 (recovering variances from limits).
    """
    d = b.estimate - a.estimate
    wide_a, wide_b = _widened(a, tests), _widened(b, tests)
    below = math.hypot(wide_b * (b.estimate - b.low), wide_a * (a.high - a.estimate))
    above = math.hypot(wide_b * (b.high - b.estimate), wide_a * (a.estimate - a.low))
    level = 1 - (1 - min(a.level, b.level)) / tests
    return Interval(d, d - below, d + above, level, "limits of both", min(a.n, b.n))


def _widened(one: Interval, tests: int) -> float:
    from scipy import special

    if one.kind == "exact" or tests == 1:
        return 1.0
    tail = (1 - one.level) / 2
    if one.kind.startswith("t") and one.n > 1:
        return float(special.stdtrit(one.n - 1, 1 - tail / tests) / special.stdtrit(one.n - 1, 1 - tail))
    return float(special.ndtri(1 - tail / tests) / special.ndtri(1 - tail))


def compare(a: Results, b: Results) -> Comparison:
    """What changed from run a to run b.

    Raises:
        StoreError: the two have nothing in common, or a cell is damaged.
    """
    of_a, of_b = ({(c.title, str(c.probe["name"])): c for c in run.store.conditions} for run in (a, b))
    both = [key for key in of_a if key in of_b]
    if not both:
        mend = "compare runs of one suite, or of suites that share worlds, heads and probes"
        raise StoreError("two runs with no condition in common", found=f"{a.path} and {b.path}", mend=mend)
    unlike, shared = _shared(a, b)
    pairs = list(_pairs(a, b))
    changed = [(names, one, other) for names, one, other in pairs if one != other]
    moved = [Moved(names, one, other, difference(one, other, len(changed))) for names, one, other in changed]
    return Comparison(
        tuple(" ".join(key) for key in of_a if key not in of_b),
        tuple(" ".join(key) for key in of_b if key not in of_a),
        tuple(_settings(a, b)),
        tuple(_verdicts(a, b)),
        tuple(sorted((one for one in moved if one.beyond_noise), key=_size, reverse=True)),
        len(changed),
        len(pairs) - len(changed),
        tuple(cell for cell in shared if cell in unlike),
    )


def _size(one: Moved) -> float:
    half = one.difference.estimate - one.difference.low if one.difference.estimate > 0 else one.difference.high
    half = half if one.difference.estimate > 0 else half - one.difference.estimate
    return math.inf if half == 0 else abs(one.difference.estimate) / half


def _shared(a: Results, b: Results) -> tuple[set[str], list[str]]:
    """Names of the cells that both have finished, and of those that differ."""
    cells = {cell.key: cell for condition in a.store.conditions for cell in condition.cells}
    found, unlike = [], set()
    for condition in b.store.conditions:
        for cell in condition.cells:
            if cell.key in cells and a.store.has(cell) and b.store.has(cell):
                found.append(cell.name)
                if not _alike(a.store.content(cell), b.store.content(cell)):
                    unlike.add(cell.name)
    return unlike, found


def _alike(one: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> bool:
    """Whether two cells are the same but for their titles, which are those of their suites."""
    if one == other:
        return True
    try:
        bodies = [json.loads(written) for written, _ in (one, other)]
        return one[1] == other[1] and bool({**bodies[0], "title": ""} == {**bodies[1], "title": ""})
    except (ValueError, TypeError, RecursionError):
        return False


def _settings(a: Results, b: Results) -> Iterator[tuple[str, str, str]]:
    from probes.store import differences

    before, after = a.store.suite.model_dump(), b.store.suite.model_dump()
    for place, old, new in differences(before, after):
        if place not in {"suite.name", "suite.title", "jobs"}:
            yield place, repr(old), repr(new)
    packages, others = a.store.manifest["versions"], b.store.manifest["versions"]
    for name in sorted({*packages, *others}):
        if packages.get(name) != others.get(name):
            yield name, str(packages.get(name, "none")), str(others.get(name, "none"))


def _verdicts(a: Results, b: Results) -> Iterator[Mapping[str, Any]]:
    before = {_key(row, LINE): row for row in a.verdicts.to_dict("records")}
    for row in b.verdicts.to_dict("records"):
        old = before.get(_key(row, LINE))
        if old is not None and old["verdict"] != row["verdict"]:
            yield {**{name: row[name] for name in LINE}, "a": old["verdict"], "b": row["verdict"]}


def _pairs(a: Results, b: Results) -> Iterator[tuple[Mapping[str, Any], Interval, Interval]]:
    before = {_key(row, NUMBER): row for row in _last(a)}
    for row in _last(b):
        old = before.get(_key(row, NUMBER))
        if old is not None:
            yield {name: row[name] for name in NUMBER}, _interval(old), _interval(row)


def _last(run: Results) -> Sequence[Mapping[Any, Any]]:
    """Every finding of the last step at which there is one, finite ones only."""
    frame = run.findings
    frame = frame[frame[["estimate", "low", "high"]].abs().lt(math.inf).all(axis=1)]
    frame = frame.sort_values("step", kind="stable", na_position="first")
    return list(frame.groupby(list(NUMBER), dropna=False, sort=False).tail(1).to_dict("records"))


def _key(row: Mapping[Any, Any], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in names)


def _interval(row: Mapping[Any, Any]) -> Interval:
    estimate, low, high, level = (float(row[name]) for name in ("estimate", "low", "high", "level"))
    return Interval(estimate, low, high, level, str(row["kind"]), int(row["n"]))
