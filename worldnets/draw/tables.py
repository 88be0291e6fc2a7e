"""Conditional tables as text: rows of parent states and probabilities, for pages and for pictures."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from worldnets.draw.drawing import escape, number, text, text_width
from worldnets.draw.given import shortened
from worldnets.layout import Size
from worldnets.net import WorldNet

ROWS_SHOWN, STATES_SHOWN = 64, 16
_SIZE, _LINE, _GAP = 10.5, 15.0, 14.0
_LONGEST = 22  # characters of a name or label


@dataclass(frozen=True)
class Table:
    """One variable's conditional table, as far as it is shown.

    Attributes:
        title: "W(v | parents)".
        parents: names of the columns that say the parents' states.
        states: names of the columns of probabilities.
        rows: (parents' states, probabilities), one per joint state of the parents.
        note: what is left out; "" where nothing is.
    """

    title: str
    parents: tuple[str, ...]
    states: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    note: str = ""

    @property
    def cells(self) -> int:
        """Entries shown."""
        return len(self.rows) * (len(self.parents) + len(self.states))

    def html(self) -> str:
        """A `<table>` with the note below it."""
        heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.parents)
        heads += "".join(f'<th scope="col" class="number">{escape(name)}</th>' for name in self.states)
        lines = []
        for given, values in self.rows:
            cells = [f'<th scope="row">{escape(word)}</th>' for word in given]
            cells += [f'<td class="number">{value}</td>' for value in values]
            lines.append(f"<tr>{''.join(cells)}</tr>")
        note = f'<p class="soft">{escape(self.note)}</p>' if self.note else ""
        caption = f"<caption>{escape(self.title)}</caption>"
        return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>{note}"

    def svg(self, left: float, top: float) -> tuple[list[str], Size]:
        """The same as text elements of a picture, and the room they take."""
        columns = [[name, *(given[i] for given, _ in self.rows)] for i, name in enumerate(self.parents)]
        columns += [[name, *(values[i] for _, values in self.rows)] for i, name in enumerate(self.states)]
        widths = [max(text_width(shortened(word, _LONGEST), _SIZE) for word in column) for column in columns]
        parts = [text(left, top + _LINE / 2, self.title, 11, "start", weight="600")]
        x = left
        for i, (column, width) in enumerate(zip(columns, widths, strict=True)):
            anchor, at = ("start", x) if i < len(self.parents) else ("end", x + width)
            for j, word in enumerate(column):
                tone = "quiet" if j == 0 else "ink"
                parts.append(text(at, top + _LINE * (j + 1.6), shortened(word, _LONGEST), _SIZE, anchor, tone))
            x += width + _GAP
        bottom = top + _LINE * (len(self.rows) + 2.2)
        y = number(top + _LINE * 2.12)
        rule = f'x1="{number(left)}" x2="{number(max(x - _GAP, left + 40))}" y1="{y}" y2="{y}"'
        parts.append(f'<line class="link" {rule} stroke="#9aa4ae" stroke-width="0.7"/>')
        width = max(x - _GAP - left, text_width(self.title, 11) * 1.06)
        if self.note:
            parts.append(text(left, bottom + 4, self.note, 9.5, "start", "quiet"))
            bottom, width = bottom + _LINE, max(width, text_width(self.note, 9.5))
        return parts, (width, bottom - top)


def conditional_table(net: WorldNet, variable: str) -> Table:
    """The table W(variable | parents); of a large one the first rows and states.

    Raises:
        QueryError: the net has no such variable.
    """
    parents, table = net.parents(variable), net.cpt(variable)
    states = net.states[variable]
    flat = table.reshape(-1, len(states))
    given = itertools.islice(itertools.product(*(net.states[p] for p in parents)), ROWS_SHOWN)
    rows = tuple(
        (tuple(map(str, labels)), tuple(probability(float(p)) for p in values[:STATES_SHOWN]))
        for labels, values in zip(given, flat, strict=False)
    )
    title = f"W({variable} | {', '.join(parents)})" if parents else f"W({variable})"
    return Table(title, parents, tuple(map(str, states[:STATES_SHOWN])), rows, _left_out(flat.shape, variable))


def _left_out(shape: Sequence[int], variable: str) -> str:
    rows, states = shape
    parts = [f"{rows - ROWS_SHOWN:,} more rows"] if rows > ROWS_SHOWN else []
    parts += [f"{states - STATES_SHOWN:,} more states"] if states > STATES_SHOWN else []
    return f"{' and '.join(parts)}: net.cpt({variable!r}) has all" if parts else ""


def probability(p: float) -> str:
    """A probability with up to four significant digits, never rounded to certainty."""
    shown = f"{p:.4g}"
    if 0 < p < 1 and float(shown) in (0.0, 1.0):
        return f"1 − {1 - p:.1e}" if p > 0.5 else f"{p:.1e}"
    return shown
