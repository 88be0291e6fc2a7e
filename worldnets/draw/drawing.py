"""Drawings written as markup: one SVG element with its own paper and ink, readable on light and dark pages."""

from __future__ import annotations

import functools
import html
import math
import unicodedata
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from worldnets.errors import QueryError

_NARROW, _WIDE = frozenset("iIjlft.,:;'|!()[]{}/\\ -1r"), frozenset("mwMW@%—…")


@dataclass(frozen=True, repr=False)
class Drawing:
    """A picture that shows itself in a notebook and can be kept as a page. It loads nothing from anywhere.

    Attributes:
        title: what it shows, in a few words; a screen reader says it in the picture's place.
        svg: the picture alone, one `<svg>` element in its light colours.
        html: what a notebook shows: the picture with its style, and what stands around it.
    """

    title: str
    svg: str
    html: str

    def save(self, path: str | Path) -> Path:
        """Write a complete page (`.html`) or the picture alone (`.svg`).

        Raises:
            QueryError: another ending.
        """
        path = Path(path)
        if path.suffix not in (".html", ".svg"):
            raise QueryError(
                "a drawing is kept as a page or a picture", found=repr(path.name), expected=".html or .svg",
                mend="change the ending",
            )  # fmt: skip
        path.write_text(self.page() if path.suffix == ".html" else self.svg, encoding="utf-8")
        return path

    def page(self) -> str:
        """The text of a complete page, to be opened from disk."""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title>"
            "<style>:root { color-scheme: light dark; } body { margin: 0; padding: 12px; }</style>"
            f"</head><body>\n{self.html}\n</body></html>\n"
        )

    def _repr_html_(self) -> str:
        return self.html

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.title!r})"


def escape(text: object) -> str:
    """Text for markup, inside elements and quoted attributes; characters markup cannot hold become spaces."""
    clean = "".join(c if c.isprintable() else " " for c in str(text))
    return html.escape(clean, quote=True)


@functools.cache
def resource(name: str) -> str:
    """A file beside this module."""
    return (files("worldnets.draw") / name).read_text("utf-8").strip()


def figure_element(width: float, height: float, title: str, parts: list[str]) -> str:
    """An `<svg>` element at its natural size; a narrow page shrinks it while letters can be read, then scrolls."""
    size = f'width="{number(width)}" height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}"'
    font = "font-family=\"system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', Arial, sans-serif\""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}" {size} {font} '
    head += f'style="min-width:min({number(width)}px,46rem)">'
    paper = f'<rect class="paper" width="{number(width)}" height="{number(height)}" fill="#ffffff"/>'
    return "".join((head, f"<title>{escape(title)}</title>", paper, *parts, "</svg>"))


def text(
    x: float,
    y: float,
    words: str,
    size: float = 11.0,
    anchor: str = "middle",
    tone: str = "ink",
    weight: str = "",
    extra: str = "",
) -> str:
    """A `<text>` element whose line is centred on y (`words` are escaped here)."""
    fill = {"ink": "#22272e", "quiet": "#59636e"}[tone]
    bold = f' font-weight="{weight}"' if weight else ""
    place = f'x="{number(x)}" y="{number(y + 0.35 * size)}" font-size="{number(size)}"'
    return (
        f'<text class="{tone}" {place} text-anchor="{anchor}" fill="{fill}"{bold}{" " if extra else ""}{extra}>'
        f"{escape(words)}</text>"
    )


def number(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def text_width(words: str, size: float) -> float:
    """About how wide a text is in a wide sans-serif font; the page's font is not known here."""
    total = 0.0
    for c in words:
        if unicodedata.east_asian_width(c) in "WF":
            total += 1.0
        elif c in _NARROW:
            total += 0.38
        elif c in _WIDE:
            total += 0.95
        else:
            total += 0.72 if c.isupper() or c == "_" else 0.6
    return total * size


def scale_colour(share: float) -> str:
    """A colour between pale (0) and dark blue (1); even steps look even, also without colour vision."""
    stops = ((222, 235, 247), (158, 202, 225), (66, 146, 198), (8, 81, 156), (8, 34, 84))
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    i = min(int(place), len(stops) - 2)
    mixed = (a + (b - a) * (place - i) for a, b in zip(stops[i], stops[i + 1], strict=True))
    return "#" + "".join(f"{round(c):02x}" for c in mixed)


def ink_on(share: float) -> str:
    """The ink that can be read on `scale_colour(share)`."""
    return "#ffffff" if share > 0.42 else "#10233a"


def share_of_logs(value: float, least: float, most: float) -> float:
    """Where a value stands between two others on a logarithmic scale; 1 where they coincide."""
    if most <= least:
        return 1.0
    return math.log(max(value, least) / least) / math.log(most / least)
