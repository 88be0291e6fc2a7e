"""Charts of named rows: bars, and points with their intervals. Names stand on the left, where any can be read."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from markupsafe import Markup

from probes.report.chart import RIGHT, WIDTH, Axis, Floats, framed, linear, width
from probes.report.palette import rung
from probes.statistics import Interval

ROW, HEAD, FOOT = 44, 12, 74  # half pixels: a row, above the first, below the last
LONGEST = 30  # letters of a name


def bars(
    heading: str, said: str, axis: str, names: Sequence[str], values: Floats, digits: int, divide: int | None = None
) -> Markup:
    """Bars from 0 in the colours of rungs, each with its number.

    Args:
        heading, said: as for `probes.report.chart.framed`.
        axis: label of the numbers.
        names: of the rows.
        values: [K]; below 0 nothing is drawn.
        digits: of the numbers.
        divide: a line goes below so many rows, for what is above and below it.
    """
    top = max(float(np.max(values, initial=0.0)), 1e-3)
    scale = linear(axis, 0.0, 1.22 * top)
    left, wide, parts = _frame(names, scale, 20 if divide is None else 110)
    for k, value in enumerate(values.tolist()):
        length = round(max(value, 0.0) / scale.high * wide)
        middle = HEAD + k * ROW + ROW // 2
        number = f"{0.0 if abs(value) < 0.5 * 10**-digits else value:.{digits}f}".replace("-", "−")
        parts.append(f'<path class="a {rung(k, len(names))}" d="M{left} {middle - 15}h{length}v30h-{length}z"/>')
        parts.append(f'<text x="{left + length + 8}" y="{middle + 8}">{number}</text>')
    if divide is not None:
        at = HEAD + divide * ROW
        parts.append(f'<path class="z d1" d="M{left} {at}H{WIDTH}"/>')
        words = ((-8, "shallow"), (26, "deep"))
        parts += [f'<text class="i" x="{WIDTH - 4}" y="{at + off}">{word}</text>' for off, word in words]
    return framed(heading, said, (WIDTH, HEAD + ROW * len(names) + FOOT), "".join(parts))


def points(heading: str, title: str, axis: str, rows: Sequence[tuple[str, Interval]]) -> Markup:
    """A point for each row with its interval, and a line at 0.

    Args:
        heading: stands above.
        title: whose numbers they are.
        axis: label of the numbers.
        rows: names and numbers.
    """
    values = np.array([[value.estimate, value.low, value.high] for _, value in rows], dtype=float)
    ends = np.concatenate([values[np.isfinite(values)], [0.0]])
    low, high = float(ends.min()), float(ends.max())
    reach = 0.05 * (high - low) or 0.5
    scale = linear(axis, low - reach, high + reach)
    left, wide, parts = _frame([name for name, _ in rows], scale)

    def across(value: float) -> int:
        return left + round((value - scale.low) / (scale.high - scale.low) * wide)

    parts.append(f'<path class="z" d="M{across(0.0)} {HEAD}v{ROW * len(rows)}"/>')
    colour = rung(2, 3)
    for k, (estimate, least, most) in enumerate(values.tolist()):
        middle = HEAD + k * ROW + ROW // 2
        if np.isfinite(least) and np.isfinite(most):
            a, b = across(least), across(most)
            d = f"M{a} {middle}H{b}M{a} {middle - 8}v16M{b} {middle - 8}v16"
            parts.append(f'<path class="w {colour}" d="{d}"/>')
        if np.isfinite(estimate):
            parts.append(f'<path class="o {colour}" d="M{across(estimate)} {middle}h0"/>')
    told = "; ".join(f"{name}: {value}" for name, value in rows)
    size = (WIDTH, HEAD + ROW * len(rows) + FOOT)
    return framed(heading, f"{heading}: {title}. With limits. {told}.", size, "".join(parts))


def _frame(names: Sequence[str], scale: Axis, aside: int = 20) -> tuple[int, int, list[str]]:
    """Where rows begin, how long they are, and the frame around them: names, grid, ticks and label."""
    short = [name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…" for name in names]
    left = 20 + round(max(map(width, short)))
    wide, bottom = WIDTH - left - RIGHT - aside, HEAD + ROW * len(names)
    at = [(left + round((place - scale.low) / (scale.high - scale.low) * wide), text) for place, text in scale.ticks]
    grid = "".join(f"M{place} {HEAD}V{bottom}" for place, _ in at)
    room = max((width(text) for _, text in at), default=1) + 16
    every = max(1, -(-round(room) // max(1, at[1][0] - at[0][0]))) if len(at) > 1 else 1
    parts = [f'<path class="g" d="{grid}"/><g class="e">']
    parts += [
        f'<text x="{left - 12}" y="{HEAD + k * ROW + ROW // 2 + 8}">{escape(name)}</text>'
        for k, name in enumerate(short)
    ]
    parts.append('</g><g class="c">')
    parts += [f'<text x="{place}" y="{bottom + 30}">{escape(text)}</text>' for place, text in at[::every]]
    parts.append(f'<text x="{left + wide // 2}" y="{bottom + 66}">{escape(scale.label)}</text></g>')
    return left, wide, parts
