"""The report's charts: small inline SVG, the same bytes for the same numbers, painted by the page's own style sheet.

A chart is drawn thousands of times in a large report, so it holds numbers and class names and nothing else: no ids, no
fonts, no colours. Coordinates are half CSS pixels, as whole numbers. Classes (`style.css`): `l` a line, `t` a thin one
(a single seed), `b` the band of an interval, `a` a filled area, `a p` a pale one, `o` points, `w` whiskers, `z` the
zero line, `g` the grid, `m` a margin in which something counts as reached; `d1` … `d4` are dashes, and `palette.rung`
names colours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 760, 420  # of a chart, in half pixels; a chart of bars is as high as it has bars
TOP, RIGHT, BOTTOM = 52, 22, 74  # room for the vertical axis' label, for the last tick, for ticks and label below
DIGIT = 15.3  # width of a digit in letters of 24 half pixels
_FAR = 20.0  # plots reach so many heights beyond their frame before they are cut off


class Axis(NamedTuple):
    """One axis.

    Attributes:
        label: what it shows, with its unit.
        low, high: its ends.
        ticks: places and what stands there.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


class Mark(NamedTuple):
    """Something drawn between the axes.

    Attributes:
        kind: class names.
        x: places, [N].
        y: [N]; of a band its lower edge.
        top: upper edge of a band or a whisker, [N]; None for lines and points.
    """

    kind: str
    x: Floats
    y: Floats
    top: Floats | None = None


class Entry(NamedTuple):
    """A line of the key: class names of its sign, and its words."""

    kind: str
    label: str


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        heading: stands above it.
        x, y: its axes.
        marks: what is drawn, the last on top.
        key: what the signs mean, below it.
        notes: words beside points: x, y, text.
    """

    heading: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    key: tuple[Entry, ...] = ()
    notes: tuple[tuple[float, float, str], ...] = ()

    def markup(self, title: str, description: str) -> Markup:
        """The chart with its heading and key, for an HTML page.

        Args:
            title, description: what a screen reader says of it.
        """
        left = 18 + round(max((width(text) for _, text in self.y.ticks), default=0))
        wide, high = WIDTH - left - RIGHT, HEIGHT - TOP - BOTTOM

        def across(values: ArrayLike) -> Floats:
            return _placed(values, self.x.low, self.x.high, wide)

        def down(values: ArrayLike) -> Floats:
            return high - _placed(values, self.y.low, self.y.high, high)

        places = [(round(float(down(place))), text) for place, text in self.y.ticks]
        below = [(left + round(float(across(place))), text) for place, text in self.x.ticks]
        grid = "".join(f"M{left} {TOP + place}h{wide}" for place, _ in places)
        parts = [
            f'<path class="g" d="{grid}"/>',
            f'<text x="4" y="22">{escape(self.y.label)}</text>' if self.y.label else "",
            '<g class="e">',
            *(f'<text x="{left - 10}" y="{TOP + place + 8}">{escape(text)}</text>' for place, text in places),
            '</g><g class="c">',
            *(_under(place, text, self.x.ticks) for place, text in _apart(below)),
            f'<text x="{left + wide // 2}" y="{HEIGHT - 6}">{escape(self.x.label)}</text></g>',
            # A drawing inside the drawing cuts off what leaves its frame, a line's width beyond it.
            f'<svg x="{left - 6}" y="{TOP - 6}" width="{wide + 12}" height="{high + 12}"'
            f' viewBox="-6 -6 {wide + 12} {high + 12}">',
            *(_path(mark, across, down) for mark in self.marks),
            "</svg>",
            *(
                _beside(left + float(across(x)), TOP + float(down(y)) + (24, -8)[k % 2], text)
                for k, (x, y, text) in enumerate(sorted(self.notes))
            ),
        ]
        return framed(self.heading, f"{title}. {description}", (WIDTH, HEIGHT), "".join(parts), self.key)


def framed(heading: str, said: str, size: tuple[int, int], content: str, key: Iterable[Entry] = ()) -> Markup:
    """Heading, drawing and key.

    Args:
        heading: stands above.
        said: by a screen reader, in the drawing's place.
        size: width and height of the drawing in half pixels.
        content: what is in it, as markup.
        key: what the signs mean.
    """
    entries = "".join(f"<li>{sign(entry.kind)}{escape(entry.label)}</li>" for entry in key)
    return Markup(
        f'<p class="what">{escape(heading)}</p><svg class="chart" role="img" viewBox="0 0 {size[0]} {size[1]}" '
        f'aria-label="{escape(said)}">{content}</svg>' + (f'<ul class="key">{entries}</ul>' if entries else "")
    )


def sign(kind: str) -> str:
    """What a mark looks like, beside its words in the key."""
    first = kind.partition(" ")[0]
    path = "M0 2h40v16h-40z" if first in {"a", "b", "m", "n"} else "M20 10h0" if first == "o" else "M0 10h40"
    return f'<svg viewBox="0 0 40 20" aria-hidden="true"><path class="{kind}" d="{path}"/></svg>'


def linear(label: str, low: float, high: float, count: int = 5) -> Axis:
    """An axis with round ticks."""
    return Axis(label, low, high, ticks(low, high, count))


def ticks(low: float, high: float, count: int = 5) -> tuple[tuple[float, str], ...]:
    """About `count` round numbers from low to high, multiples of 1, 2, 2.5 or 5 times a power of ten."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return ()
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(nice for nice in (1, 2, 2.5, 5, 10) if rough <= nice * power * (1 + 1e-9))
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if abs(step / power - 2.5) < 1e-9 else 0)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((k * step, written(k * step, digits)) for k in range(first, last + 1))


def written(value: float, digits: int) -> str:
    """A tick's number: thousands set apart, a proper minus sign."""
    if digits > 4 or abs(value) >= 1e7:
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e+").replace("-", "−") if value else "0"
    text = f"{value:,.{digits}f}"
    return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def steps_axis(steps: Sequence[int] | NDArray[np.integer[Any]]) -> tuple[Floats, Axis]:
    """Log-spaced places for training steps, [T], step 0 a little left of the first; and their axis."""
    steps = np.asarray(steps, dtype=float)
    first = steps[steps > 0].min() if np.any(steps > 0) else 1.0
    places = np.log10(np.where(steps > 0, steps, first / 2.5))
    powers = 10.0 ** np.arange(np.ceil(np.log10(first)), np.floor(np.log10(max(steps.max(), first))) + 1)
    shown = [*([0.0] if np.any(steps == 0) else []), *powers]
    last = steps.max()
    if last > 1.01 * shown[-1]:
        shown = [*shown[:-1], *([shown[-1]] if last > 4 * shown[-1] else []), last]
    at = tuple((float(places[steps == 0][0]) if step == 0 else math.log10(step), f"{step:,.0f}") for step in shown)
    low, high = float(places.min()), float(places.max())
    return np.asarray(places, dtype=float), Axis("training step", low, high if high > low else low + 1, at)


def _placed(values: ArrayLike, low: float, high: float, length: float) -> Floats:
    share = (np.asarray(values, dtype=float) - low) / (high - low)
    return np.clip(share, -_FAR, _FAR) * length


def _path(mark: Mark, across: Any, down: Any) -> str:
    x, y = np.broadcast_to(across(mark.x), np.shape(mark.y)), down(mark.y)
    kind = mark.kind.partition(" ")[0]
    if mark.top is None:
        return f'<path class="{mark.kind}" d="{"".join(_polylines(x, y, dots=kind == "o"))}"/>'
    top = down(mark.top)
    if kind == "w":
        kept = np.isfinite(y) & np.isfinite(top)
        lines = np.rint(np.stack([x, y, top])[:, kept]).astype(int).T.tolist()
        d = "".join(f"M{a} {b}V{c}M{a - 8} {b}h16M{a - 8} {c}h16" for a, b, c in lines)
        return f'<path class="{mark.kind}" d="{d}"/>'
    d = ""
    for run in _runs(np.isfinite(y) & np.isfinite(top)):
        outline = np.concatenate([x[run], x[run][::-1]]), np.concatenate([y[run], top[run][::-1]])
        d += f"{_relative(*outline)}z"
    return f'<path class="{mark.kind}" d="{d}"/>'


def _polylines(x: Floats, y: Floats, dots: bool = False) -> Iterable[str]:
    """Path data of a line, in pieces where numbers are missing; or of points."""
    kept = np.isfinite(y)
    if dots:
        yield from (f"M{round(a)} {round(b)}h0" for a, b in zip(x[kept], y[kept], strict=True))
        return
    for run in _runs(kept):
        yield _relative(x[run], y[run])


def _runs(kept: NDArray[np.bool_]) -> list[slice]:
    if kept.all():
        return [slice(0, len(kept))] if len(kept) else []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _relative(x: Floats, y: Floats) -> str:
    """Path data through points: the first absolute, the others as differences, which are short."""
    points = list(zip(np.rint(x).astype(int).tolist(), np.rint(y).astype(int).tolist(), strict=True))
    moved = [(c - a, d - b) for (a, b), (c, d) in itertools.pairwise(points)]
    begin = f"M{points[0][0]} {points[0][1]}" + ("l" if moved else "h0")
    return begin + " ".join(f"{dx} {dy}" if dy >= 0 else f"{dx}{dy}" for dx, dy in moved)


def _apart(placed: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """Ticks below, without those that would touch their neighbour on the left; the last always stays."""
    kept: list[tuple[int, str]] = []
    for place, text in reversed(placed):
        if not kept or place + width(text) / 2 + 10 < kept[-1][0] - width(kept[-1][1]) / 2:
            kept.append((place, text))
    return kept[::-1]


def _under(place: int, text: str, every: Sequence[Any]) -> str:
    """A tick's words, kept inside the drawing."""
    half = round(0.58 * width(text))  # letters are a little larger in a narrow window
    inside = min(max(place, half), WIDTH - half)
    return f'<text x="{inside}" y="{HEIGHT - BOTTOM + 34}">{escape(text)}</text>'


def _beside(x: float, y: float, text: str) -> str:
    """Words right of a point, or left of it where there is no room."""
    if x + 14 + width(text) > WIDTH:
        return f'<text class="i" x="{x - 12:.0f}" y="{y:.0f}">{escape(text)}</text>'
    return f'<text x="{x + 12:.0f}" y="{y:.0f}">{escape(text)}</text>'


def width(text: str) -> float:
    """About how wide a text is, in half pixels, at a size of 24 in a wide font: no browser can be asked here."""
    return sum(_WIDTHS.get(letter, CAPITAL if letter.isupper() else SMALL) for letter in text)


CAPITAL, SMALL = 18.0, 15.5
_WIDTHS = {
    **dict.fromkeys("0123456789", DIGIT),
    **dict.fromkeys(" .,:;'!|ijlI", 8.0),
    **dict.fromkeys("ftr-()[]", 10.5),
    **dict.fromkeys("mwMW", 23.0),
}
