"""Tables on a terminal: the verdicts of each probe of a run, and what each probe says of its organisms."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from probes.presentation import Shown, number

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from probes.presentation import Presentation
    from probes.results import Results
    from probes.validity import Score

STYLES = {"deep": "bold blue", "coming": "yellow", "shallow": "bold red", "back": "magenta", "open": "dim"}


NAMES = ("world", "objective", "target", "head", "inputs")
FULL_WIDTH = 135  # characters; on a narrower terminal the names share one column and only the first number stays


def verdict_table(results: Results) -> None:
    """Print it: in full where there is room or the output is no terminal, else condition, verdict and one number."""
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)
    for probe, presentation in results.presentations.items():
        console.print(_table(console, results, probe, presentation))
    for world, notes in results.notes.items():
        for note in notes:
            console.print(Text(f"{world}: {note}"), soft_wrap=False)


def _table(console: Console, results: Results, probe: str, presentation: Presentation) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    full = console.width >= FULL_WIDTH
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=not full)
    for name in NAMES if full else ("condition",):
        table.add_column(name, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for title in presentation.titles if full else presentation.titles[:1]:
        table.add_column(title[:1].lower() + title[1:], justify="right", no_wrap=True)
    previous: tuple[str, str] | None = None
    for row in results.verdicts.to_dict("records"):
        if row["probe"] != probe:
            continue
        block = (str(row["world"]), str(row["objective"]))
        if previous not in (None, block):
            table.add_section()
        previous = block
        names = [str(row[name]) for name in NAMES]
        mark, kind = presentation.signs.get(str(row["verdict"]), ("•", "open"))
        numbers = [Text(_written(shown)) for shown in presentation.shown(row)]
        table.add_row(
            *map(Text, names if full else ["/".join(filter(None, names))]),
            Text(f"{mark} {row['verdict']}", style=STYLES[kind]),
            *(numbers if full else numbers[:1]),
        )
    return table


def validity_table(probe: str, scores: Sequence[Score]) -> None:
    """Print how often each organism of a probe got its claim, with the limit that counts, and what else was said."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from probes.validity_page import limited

    console = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=probe, title_justify="left")
    for name in ("organism", "role", "claim"):
        table.add_column(name, overflow="fold")
    table.add_column("share", justify="right", no_wrap=True)
    table.add_column("coverage", justify="right", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    table.add_column("said instead", overflow="fold")
    for score in scores:
        lowest = min((share.estimate for share in score.coverage.values()), default=None)
        found = score.found
        fields = (
            score.plant.name,
            score.plant.role,
            " or ".join(score.plant.claims),
            limited(score.share, upper=score.plant.role == "null"),
            "" if lowest is None else f"{lowest:.3f}",
            Text(found, style={"no": "bold red", "open": "yellow"}.get(found, "")),
            ", ".join(f"{name} {count}" for name, count in score.others.items()),
        )
        table.add_row(*(Text(field) if isinstance(field, str) else field for field in fields))
    console.print(table)


def _written(shown: Shown) -> str:
    """.93 [.90, .96], or a dash."""
    if shown.text or number(shown.estimate) == "–":
        return shown.text or "–"
    return f"{number(shown.estimate)} [{number(shown.low)}, {number(shown.high)}]"
