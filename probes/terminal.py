"""The verdict table on a terminal."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from probes.report.palette import sign

if TYPE_CHECKING:
    from probes.results import Results

STYLES = {"deep": "bold blue", "coming": "yellow", "shallow": "bold red", "back": "magenta", "open": "dim"}


def verdict_table(results: Results) -> None:
    """Print it: a table as wide as the terminal, or in full where the output is no terminal."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=None, expand=False)
    for name in ("world", "objective", "target", "head", "inputs", "verdict"):
        table.add_column(name, overflow="fold")
    for name in ("deep efficiency", "gap", "deep / pie, bits"):
        table.add_column(name, justify="right", no_wrap=True)
    previous: tuple[str, str] | None = None
    for row in results.verdicts.to_dict("records"):
        block = (str(row["world"]), str(row["objective"]))
        if previous not in (None, block):
            table.add_section()
        previous = block
        mark, kind = sign(str(row["verdict"]))
        bits = f"{number(row['deep_pie'])} / {number(row['pie'])}"
        table.add_row(
            *(Text(str(row[name])) for name in ("world", "objective", "target", "head", "inputs")),
            Text(f"{mark} {row['verdict']}", style=STYLES[kind]),
            interval(row["efficiency"], row["efficiency_low"], row["efficiency_high"]),
            interval(row["gap"], row["gap_low"], row["gap_high"]),
            "" if row["verdict"] == "missing" else bits,
        )
    console.print(table)


def number(value: object, digits: int = 2) -> str:
    """A number, or a dash where there is none."""
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def interval(estimate: object, low: object, high: object, digits: int = 2) -> str:
    """.93 [.90, .96], or a dash."""
    if number(estimate) == "–":
        return "–"
    return f"{number(estimate, digits)} \\[{number(low, digits)}, {number(high, digits)}]"
