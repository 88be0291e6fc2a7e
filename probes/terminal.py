"""The verdict table on a terminal."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

from probes.report.palette import sign

if TYPE_CHECKING:
    from probes.results import Results

STYLES = {"deep": "bold blue", "coming": "yellow", "shallow": "bold red", "back": "magenta", "open": "dim"}


NAMES = ("world", "objective", "target", "head", "inputs")
FULL_WIDTH = 135  # characters; on a narrower terminal the names share one column and the last two columns go


def verdict_table(results: Results) -> None:
    """Print it: in full where there is room or the output is no terminal, else condition, verdict and efficiency."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)
    full = console.width >= FULL_WIDTH
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=not full)
    for name in NAMES if full else ("condition",):
        table.add_column(name, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for name in ("deep efficiency", "gap", "deep / pie, bits") if full else ("deep efficiency",):
        table.add_column(name, justify="right", no_wrap=True)
    previous: tuple[str, str] | None = None
    for row in results.verdicts.to_dict("records"):
        block = (str(row["world"]), str(row["objective"]))
        if previous not in (None, block):
            table.add_section()
        previous = block
        names = [str(row[name]) for name in NAMES]
        mark, kind = sign(str(row["verdict"]))
        numbers = [interval(row["efficiency"], row["efficiency_low"], row["efficiency_high"])]
        if full:
            numbers.append(interval(row["gap"], row["gap_low"], row["gap_high"]))
            bits = f"{number(row['deep_pie'])} / {number(row['pie'])}"
            numbers.append("" if row["verdict"] == "missing" else bits)
        table.add_row(
            *map(Text, names if full else ["/".join(filter(None, names))]),
            Text(f"{mark} {row['verdict']}", style=STYLES[kind]),
            *numbers,
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
