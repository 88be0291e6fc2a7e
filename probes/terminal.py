"""Tables on a terminal: the verdicts of each probe of a run, and what each probe says of its organisms."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from probes.presentation import Shown, number
from worldnets.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from probes.compare import Comparison
    from probes.presentation import Presentation
    from probes.results import Results
    from probes.validity import Score

STYLES = {"deep": "bold blue", "coming": "yellow", "shallow": "bold red", "back": "magenta", "open": "dim"}


NAMES = ("world", "objective", "target", "head", "inputs")
BLOCK = 500  # rows of one table: of more of them each has its own widths, and no more are in memory
FULL_WIDTH = 135  # characters; on a narrower terminal the names share one column and only the first number stays


def verdict_table(results: Results) -> None:
    """Print it: in full where there is room or the output is no terminal, else condition, verdict and one number."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)
    for probe, presentation in results.presentations.items():
        rows = results.verdicts.index[results.verdicts["probe"] == probe]
        for first in range(0, max(len(rows), 1), BLOCK):
            block = results.verdicts.loc[rows[first : first + BLOCK]].to_dict("records")
            console.print(_table(console, block, presentation))
    for world, notes in results.notes.items():
        for note in notes:
            console.print(_text(f"{world}: {note}"), soft_wrap=False)


def _table(console: Console, rows: Sequence[Mapping[Any, Any]], presentation: Presentation) -> Table:
    from rich import box
    from rich.table import Table

    full = console.width >= FULL_WIDTH
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=not full)
    for name in NAMES if full else ("condition",):
        table.add_column(name, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for title in presentation.titles if full else presentation.titles[:1]:
        table.add_column(title[:1].lower() + title[1:], justify="right", no_wrap=True)
    previous: tuple[str, str] | None = None
    for row in rows:
        block = (str(row["world"]), str(row["objective"]))
        if previous not in (None, block):
            table.add_section()
        previous = block
        names = [str(row[name]) for name in NAMES]
        mark, kind = presentation.signs.get(str(row["verdict"]), ("•", "open"))
        numbers = [_text(_written(shown)) for shown in presentation.shown(row)]
        table.add_row(
            *map(_text, names if full else ["/".join(filter(None, names))]),
            _text(f"{mark} {row['verdict']}", style=STYLES[kind]),
            *(numbers if full else numbers[:1]),
        )
    return table


def validity_table(probe: str, scores: Sequence[Score]) -> None:
    """Print how often each organism of a probe got its claim, with the limit that counts, and what else was said."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from probes.validity_page import limited

    console = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=_text(probe), title_justify="left")
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
            _text(found, style={"no": "bold red", "open": "yellow"}.get(found, "")),
            ", ".join(f"{name} {count}" for name, count in score.others.items()),
        )
        table.add_row(*(_text(field) if isinstance(field, str) else field for field in fields))
    console.print(table)


def comparison(found: Comparison) -> None:
    """Print what changed between two runs."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 150, soft_wrap=False)

    def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        if rows:
            made = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
            for row in rows:
                made.add_row(*map(_text, row))
            console.print(made)

    table("settings and versions", ("what", "a", "b"), found.settings)
    table("conditions of one run only", ("run", "condition"),
          [*(("a", name) for name in found.only_a), *(("b", name) for name in found.only_b)])  # fmt: skip
    table("verdicts", ("condition", "probe", "a", "b"), [(_line(row), row["probe"], row["a"], row["b"])
                                                          for row in found.verdicts])  # fmt: skip
    table("numbers, last step", ("condition", "probe", "number", "a", "b", "b − a"),
          [(_line(one.names), one.names["probe"], _number(one.names), str(one.a), str(one.b), str(one.difference))
           for one in found.moved])  # fmt: skip
    table("one key, other bytes: the same work gave another result", ("cell",), [(name,) for name in found.unlike])
    console.print(
        f"{len(found.verdicts)} verdicts differ; of {found.numbers + found.equal:,} numbers {found.equal:,} are equal, "
        f"{len(found.moved):,} moved beyond noise.",
        highlight=False,
    )


def _text(content: str, style: str = "") -> Text:
    """Text of which nothing is markup and nothing is obeyed by the terminal: names may be a stranger's."""
    from rich.text import Text

    return Text(printable(content, newlines=False), style=style)


def _line(names: Mapping[str, Any]) -> str:
    return "/".join(str(names[name]) for name in NAMES if names[name])


def _number(names: Mapping[str, Any]) -> str:
    rung = "" if str(names["rung"]) in {"nan", "<NA>", "None"} else f", rung {names['rung']}"
    return f"{names['name']}{rung} [{names['unit']}]" if names["unit"] else f"{names['name']}{rung}"


def _written(shown: Shown) -> str:
    """.93 [.90, .96], or a dash."""
    if shown.text or number(shown.estimate) == "–":
        return shown.text or "–"
    return f"{number(shown.estimate)} [{number(shown.low)}, {number(shown.high)}]"
