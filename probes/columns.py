"""Every column of the tables that a run writes: name, type, unit, meaning. One list, from which files and page follow.

The types of the parquet files, what the reader checks and the tables of docs/results.md are all made from what stands
here. Whoever changes a column raises `SCHEMA` and says in `probes.tables` how files of the version before are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

#: Version of findings.parquet and verdicts.parquet. 1: files that say no version, whose columns without a value have
#: no type. 2: files that say it, with the types that stand here.
SCHEMA = 2

Kind = Literal["text", "number", "whole number", "true or false"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: as in the file.
        kind: "text", "number" (64-bit floating point), "whole number" (64-bit) or "true or false".
        meaning: one sentence; what a missing value says, too, where there can be one.
        unit: "" for a number without one, or where another column says it.
        optional: whether a value can be missing.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    optional: bool = False


_LINE = (
    Column("world", "text", "The world's name, or the label that the suite gives it."),
    Column("objective", "text", "What the head was trained on."),
    Column("head", "text", "The head's name, then what was paid for besides: `mlp+weight_decay=0.001`."),
    Column("inputs", "text", "What the head was given: `evidence` or `beliefs`, and how they grew."),
    Column("probe", "text", "The probe that asked."),
)
_TITLE = Column("title", "text", "`world/objective/head/inputs`, as in the report and for `--only`.")

#: findings.parquet, `Results.findings`: one row per number that a probe reports.
FINDINGS: tuple[Column, ...] = (
    *_LINE,
    Column("target", "text", "The target that the number is about; empty for one about the whole run."),
    Column("name", "text", "What was measured, such as `efficiency, deep`; each probe's page lists its own."),
    Column("rung", "whole number", "Rung of the ladder, from 1. Missing: about no single rung.", optional=True),
    Column("step", "whole number", "Training step. Missing: about the world or the whole training.", "steps", True),
    Column("unit", "text", "Unit of the next three columns: `bits`, `share`, `rungs`, …; empty for a plain number."),
    Column("estimate", "number", "The number. Missing: it is not defined there.", "as `unit` says", True),
    Column("low", "number", "Lower limit of its interval. Missing: no limit.", "as `unit` says", True),
    Column("high", "number", "Upper limit of its interval. Missing: no limit.", "as `unit` says", True),
    Column("level", "number", "Probability that such intervals cover the truth with, such as 0.95.", "share", True),
    Column("kind", "text", "How the interval was made: `t`, `t, seeds and clips`, `exact binomial`, `exact`, …"),
    Column("n", "whole number", "What it rests on: seeds, groups of clips or trials, as `kind` says."),
    Column("note", "text", "What one must know to use the number; mostly empty."),
    _TITLE,
)

#: verdicts.parquet, `Results.verdicts`: one row per condition and target. These stand before the probes' own columns …
VERDICTS_FIRST: tuple[Column, ...] = (
    *_LINE,
    Column("target", "text", "The target that the verdict is about; empty where there is no verdict."),
    Column("verdict", "text", "The conclusion of the probe's rule; `missing`: cells are not there, see `reasons`."),
)
#: … and these after them.
VERDICTS_LAST: tuple[Column, ...] = (
    Column("p", "number", "The largest p of the tests that carry the verdict. Missing: nothing tested.", "share", True),
    Column(
        *("survives_holm", "true or false"),
        "Whether `p` survives Holm's correction over the suite's primary conditions. Missing: not among them.",
        optional=True,
    ),
    Column("seeds", "whole number", "Seeds that the verdict rests on. Missing: no verdict.", "seeds", True),
    Column("diverged", "whole number", "Seeds left out because they diverged. Missing: no verdict.", "seeds", True),
    Column(
        *("seeds_needed", "whole number"),
        "Seeds that would decide. Missing: nothing is open, or no number of seeds would.",
        *("seeds", True),
    ),
    Column("primary", "true or false", "Whether the suite counts the condition among those it was made for."),
    Column("reasons", "text", "The verdict's reasons in sentences with numbers, in the order of the rule."),
    _TITLE,
)


def verdict_columns(own: Iterable[str]) -> tuple[Column, ...]:
    """The columns of a run's verdicts, given those that are its probes' own; several probes may share one."""
    common = by_name((*VERDICTS_FIRST, *VERDICTS_LAST))
    names = [name for name in dict.fromkeys(own) if name not in common]
    return (*VERDICTS_FIRST, *map(own_column, names), *VERDICTS_LAST)


def own_column(name: str) -> Column:
    """A probe's own column: a number, of which each probe's page says what it is."""
    return Column(name, "number", "A number of the probe's own; missing for other probes.", optional=True)


def by_name(columns: Iterable[Column]) -> Mapping[str, Column]:
    """The columns by their names."""
    return {column.name: column for column in columns}


def markdown(columns: Iterable[Column]) -> str:
    """The columns as a table of a page: name, type, unit, meaning."""
    lines = ["| column | type | unit | what it is |", "|---|---|---|---|"]
    for column in columns:
        kind = f"{column.kind}, may be missing" if column.optional else column.kind
        lines.append(f"| `{column.name}` | {kind} | {column.unit} | {column.meaning} |")
    return "\n".join(lines)


def own_markdown() -> str:
    """The own columns of every registered probe as a table of a page."""
    from probes.registry import names, probe
    from probes.report.purity import HEADLINES

    lines = ["| probe | column | what it is |", "|---|---|---|"]
    for name in names():
        shown = probe(name).presentation
        findings: Mapping[str, str] = HEADLINES if name == "purity" else getattr(shown, "headlines_of", {})
        bare = [c for c in shown.columns if not c.endswith(("_low", "_high"))]
        for column in bare:
            limits = f", with `{column}_low` and `{column}_high`" if f"{column}_low" in shown.columns else ""
            meaning = f"the finding `{findings[column]}` at the last step" if column in findings else _OWN[name, column]
            lines.append(f"| {name} | `{column}`{limits} | {meaning} |")
    return "\n".join(lines)


# Own columns that are no finding's last value as it stands.
_OWN = {
    ("depth", "efficiency"): "the finding `efficiency, deep` at the last step",
    ("depth", "gap"): "what is missing from `efficiency` to the verdict's ceiling, a share",
    ("depth", "pie"): "bits that all rungs offer together",
    ("depth", "deep_pie"): "bits that the deep rungs offer together",
}
