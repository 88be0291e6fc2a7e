"""What a probe hands back: findings (one number with its interval), statements (one test) and a verdict (a stated
rule's conclusion).
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from probes.statistics import Interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One number with its confidence interval.

    Attributes:
        name: what was measured, such as "efficiency, deep".
        value: the number and its interval.
        unit: "bits", "share", "rungs", "weight" or "".
        target: the target it is about; "" when about the run.
        rung: rung number from 1, or None.
        step: training step of the checkpoint, or None when the number belongs to the world, not to a head.
        note: what a reader must know to use it.
    """

    name: str
    value: Interval
    unit: str
    target: str = ""
    rung: int | None = None
    step: int | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """One flat row: the fields, with the interval's fields beside them; NaN and infinities as None."""
        row: dict[str, Any] = {
            "name": self.name,
            "target": self.target,
            "rung": self.rung,
            "step": self.step,
            "unit": self.unit,
        }
        row |= self.value.to_dict()
        row["note"] = self.note
        return {key: _plain(value) for key, value in row.items()}

    def __str__(self) -> str:
        place = "".join(
            [f", rung {self.rung}" if self.rung else "", f", step {self.step:,}" if self.step is not None else ""]
        )
        return f"{self.name}{place}: {self.value} {self.unit}".rstrip()


@dataclass(frozen=True)
class Statement:
    """One tested statement of a verdict: `p` ≤ alpha iff the interval of `level` says so.

    Attributes:
        text: the statement in words.
        interval: of the quantity it is about.
        p: two-sided p, or that of the two one-sided tests where the statement is an equivalence.
        holds: whether the verdict rule counts it as shown.
    """

    text: str
    interval: Interval
    p: float
    holds: bool

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values."""
        return {"text": self.text, "p": _plain(self.p), "holds": self.holds} | {
            key: _plain(value) for key, value in self.interval.to_dict().items()
        }


@dataclass(frozen=True)
class Verdict:
    """The conclusion of a stated rule, with its reasons.

    Attributes:
        name: such as "stagnating"; the names are those of `probes.verdict.NAMES` for the depth probe.
        target: the target it is about.
        reasons: sentences with numbers, in the order in which the rule went.
        statements: the tests that carry the verdict.
        p: the largest p of those statements (intersection–union test); NaN when nothing was tested.
        seeds: seeds it rests on; `diverged` more were left out.
        seeds_needed: seeds that would decide when inconclusive; None when no number of seeds would, or nothing is open.
        at_ceiling: share of seeds within ε of the ceiling, exact binomial interval; None where there is no gap to speak
            of.
        ceiling, ceiling_kind: what "all of it" means here.
        clusters: verdict of each cluster of seeds, when they split in two.
        settings: margins and level the rule was given.

    Source: Berger 1982, Technometrics 24:295 (intersection–union tests need no correction).
    """

    name: str
    reasons: tuple[str, ...]
    target: str = ""
    statements: tuple[Statement, ...] = ()
    p: float = math.nan
    seeds: int = 0
    diverged: int = 0
    seeds_needed: int | None = None
    at_ceiling: Interval | None = None
    ceiling: float = math.nan
    ceiling_kind: str = "exact"
    clusters: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def settled(self, found: Verdict, before: Sequence[str] = (), after: Sequence[str] = ()) -> Verdict:
        """Whose seeds and settings are this one's, and name, tests and seeds needed those that a rule found.

        Args:
            found: by the rule; p is the largest of its statements'.
            before, after: reasons besides its own.
        """
        return replace(
            self,
            name=found.name,
            reasons=(*before, *found.reasons, *after),
            statements=found.statements,
            p=max((statement.p for statement in found.statements), default=math.nan),
            seeds_needed=found.seeds_needed,
            at_ceiling=found.at_ceiling,
            clusters=found.clusters,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; NaN and infinities as None."""
        row = {key: _plain(value) for key, value in self.__dict__.items() if key not in {"statements", "at_ceiling"}}
        row["reasons"] = list(self.reasons)
        row["clusters"], row["settings"] = dict(self.clusters), {k: _plain(v) for k, v in self.settings.items()}
        row["statements"] = [statement.to_dict() for statement in self.statements]
        row["at_ceiling"] = None if self.at_ceiling is None else self.at_ceiling.to_dict()
        return row

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Verdict:
        """The inverse of `to_dict`."""
        fields = dict(row)
        fields["reasons"] = tuple(row["reasons"])
        fields["statements"] = tuple(
            Statement(s["text"], _interval(s), _number(s["p"]), s["holds"]) for s in row["statements"]
        )
        fields["at_ceiling"] = None if row["at_ceiling"] is None else _interval(row["at_ceiling"])
        fields["p"], fields["ceiling"] = _number(row["p"]), _number(row["ceiling"])
        return cls(**fields)

    def __repr__(self) -> str:
        p = "" if math.isnan(self.p) else f", p = {self.p:.2g}"
        return f"Verdict({self.name!r}{f', {self.target!r}' if self.target else ''}, {self.seeds} seeds{p})"

    def __str__(self) -> str:
        return f"{self.name}: " + " ".join(self.reasons)

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(reason)}</li>" for reason in self.reasons)
        return f"<b>{html.escape(self.target)}: {html.escape(self.name)}</b><ul>{items}</ul>"


@dataclass(frozen=True)
class Plotted:
    """What `Conclusion.plot` draws.

    Attributes:
        names: findings over training, one line each.
        axis: what the vertical axis says.
        prefix: what all names begin with, left out of the legend.
    """

    names: tuple[str, ...]
    axis: str
    prefix: str = ""


EFFICIENCIES = Plotted(
    ("efficiency, deep", "efficiency, shallow", "efficiency, world-model"),
    "efficiency (captured / available bits)",
    "efficiency, ",
)


@dataclass(frozen=True)
class Conclusion(Sequence[Finding]):
    """Everything a probe concluded: a sequence of findings, one verdict per target, and what is worth a picture.

    Attributes:
        notes: what every reader of the findings must know, such as that the reference was learned.
    """

    findings: tuple[Finding, ...]
    verdicts: Mapping[str, Verdict]
    plotted: Plotted = EFFICIENCIES
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict of the first target."""
        return next(iter(self.verdicts.values()))

    def to_pandas(self) -> pd.DataFrame:
        """The findings, one row each."""
        import pandas as pd

        return pd.DataFrame([finding.to_dict() for finding in self.findings])

    def named(self, name: str, target: str | None = None) -> list[Finding]:
        """The findings of one name, and of one target if given."""
        return [f for f in self.findings if f.name == name and target in (None, f.target)]

    def last(self, name: str, target: str) -> Finding | None:
        """The finding of that name at the last checkpoint, or the one without a step."""
        found = self.named(name, target)
        return max(found, key=lambda finding: -1 if finding.step is None else finding.step) if found else None

    def plot(self, target: str | None = None) -> Any:
        """The shares that matter over training, with intervals: a matplotlib figure.

        Of the depth probe the captured share of the deep and the shallow rungs, and of the world-model's own deep ones.
        """
        from matplotlib.figure import Figure

        target = next(iter(self.verdicts)) if target is None else target
        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.subplots()
        for name, colour in zip(self.plotted.names, ("C0", "C1", "C7", "C2"), strict=False):
            found = [f for f in self.named(name, target) if f.step is not None]
            steps = [int(f.step or 0) for f in found]
            label = name.removeprefix(self.plotted.prefix)
            axes.plot(steps, [f.value.estimate for f in found], color=colour, label=label)
            axes.fill_between(
                steps,
                [f.value.low for f in found],
                [f.value.high for f in found],
                color=colour,
                alpha=0.25,
                linewidth=0,
            )
        axes.set_xscale("symlog", linthresh=1)
        axes.set_ylim(-0.5, 1.05)
        axes.set(xlabel="training step", ylabel=self.plotted.axis, title=self.verdicts[target].name)
        axes.legend(frameon=False)
        return figure

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{target}: {verdict.name}" for target, verdict in self.verdicts.items())
        return f"Conclusion({len(self.findings)} findings; {verdicts})"

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return notes + "".join(verdict._repr_html_() for verdict in self.verdicts.values())


def settings_dict(settings: Any) -> dict[str, Any]:
    """A settings dataclass as plain values."""
    return asdict(settings)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _interval(row: Mapping[str, Any]) -> Interval:
    numbers = {key: _number(row[key]) for key in ("estimate", "low", "high", "level")}
    return Interval(**numbers, kind=row["kind"], n=row["n"])


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
