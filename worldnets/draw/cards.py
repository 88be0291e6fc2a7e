"""What objects show of themselves in a notebook: a heading, facts and tables, all names as text.

Every `_repr_html_` of worldnets and probes is made here, so that they look alike, follow light and dark pages, and
no name of a net or a file can become markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from worldnets.draw.drawing import escape, resource

if TYPE_CHECKING:
    import pandas as pd

ROWS_SHOWN = 10
LONGEST = 160  # characters of a cell


def card(heading: object, facts: Mapping[str, object] | None = None, *parts: str) -> str:
    """A block of markup for a notebook.

    Args:
        heading: text, such as the object's `repr`.
        facts: what is known of it, name → value, as text; values that are None or "" are left out.
        *parts: markup below, made by `table`, `frame` and `note`.
    """
    rows = "".join(
        f'<tr><th scope="row" class="soft">{escape(name)}</th><td>{escape(short(value))}</td></tr>'
        for name, value in (facts or {}).items()
        if value is not None and value != ""
    )
    known = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    body = "".join((f"<p><b>{escape(heading)}</b></p>", known, *parts))
    return f'<div class="worldnets"><style>{resource("style.css")}</style>{body}</div>'


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], most: int = ROWS_SHOWN, more: str = "") -> str:
    """A table of texts and numbers; of many rows the first, and how many are left out.

    Args:
        heads: names of the columns.
        rows: cells; numbers stand at the right.
        most: rows shown.
        more: what has them all, such as "net.to_networkx()".
    """
    listed = list(rows)
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    lines = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in listed[:most])
    said = note(f"{len(listed) - most:,} more" + (f": {more}" if more else "")) if len(listed) > most else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
        f"{said}"
    )  # fmt: skip


def frame(data: pd.DataFrame, most: int = ROWS_SHOWN, index: bool = True, digits: int = 3) -> str:
    """The first rows of a table of pandas, and how many are left out."""
    shown = data.head(most).copy()
    for name in shown.select_dtypes(["Int64", "boolean"]):  # whose holes `na_rep` does not reach
        shown[name] = shown[name].astype(object).where(shown[name].notna(), "–")
    html = shown.to_html(
        index=index, escape=True, border=0, justify="left", na_rep="–", float_format=f"{{:.{digits}f}}".format,
        max_cols=24,
    )  # fmt: skip
    html = html.replace(
        'class="dataframe"', 'class="frame"', 1
    )  # pandas' own tables restyle that class in the whole page
    said = note(f"{len(data) - most:,} more rows: .to_pandas() has all") if len(data) > most else ""
    return f'<div class="scroll">{html}</div>{said}'


def report(text: str) -> str:
    """A cost report, one "label   number  words" a line, as a table with its first line as the caption."""
    import re

    first, *lines = text.splitlines()
    rows = []
    for line in lines:
        parts = re.fullmatch(r"\s*(.*?\S)\s+([\d,.]+)\s*(.*)", line)
        if parts:
            label, value, words = parts.groups()
            rows.append(f'<tr><th scope="row">{escape(label)}</th><td class="number">{escape(value)}</td>')
            rows.append(f'<td class="soft">{escape(words)}</td></tr>')
        else:
            rows.append(f'<tr><td colspan="3">{escape(line.strip())}</td></tr>')
    return f"<table><caption>{escape(first)}</caption><tbody>{''.join(rows)}</tbody></table>"


def note(text: str) -> str:
    """A quiet line."""
    return f'<p class="soft">{escape(text)}</p>'


def items(lines: Iterable[str]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def short(value: object, most: int = LONGEST) -> str:
    """A value as text of at most `most` characters: lists with commas, numbers with four digits."""
    if isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, str):
        text = value
    elif isinstance(value, Iterable):
        text = ", ".join(map(str, value)) or "–"
    else:
        text = str(value)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _cell(value: object) -> str:
    kind = ' class="number"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<td{kind}>{escape(short(value))}</td>"
