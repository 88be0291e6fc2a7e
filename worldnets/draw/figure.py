"""Matplotlib figures made without pyplot, and their letters."""

from __future__ import annotations

import functools
import io
import re
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from worldnets.draw.palette import PALETTE


class Picture(Figure):
    """A matplotlib figure that shows itself in a notebook without pyplot."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        FigureCanvasAgg(self)

    def _repr_svg_(self) -> str:
        return svg(self)


def new_axes(width: float = 6.0, height: float = 3.5) -> Axes:
    """Axes of a new figure, in inches, that belongs to no global list of figures."""
    return Picture(figsize=(width, height), layout="constrained").subplots()


def svg(figure: Figure, title: str = "") -> str:
    """A figure as an `<svg>` element to be put inline in a page: no prolog, the same text for the same picture.

    Args:
        figure: any matplotlib figure.
        title: what a screen reader says in its place.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "worldnets", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], count=1, flags=re.DOTALL)
    if title:
        safe = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        text = text.replace("<svg", f'<svg role="img" aria-label="{safe}"', 1)
    return text.strip()


@functools.lru_cache(maxsize=4096)
def text_width(text: str, points: float) -> float:
    """Width in inches of a text set in `points`."""
    return float(TextPath((0, 0), literal(text), size=points).get_extents().width) / 72 if text.strip() else 0.0


def literal(text: str) -> str:
    """The text as matplotlib must be given it to show it as it is: names are not formulas, nor hidden."""
    return (" " + text if text.startswith("_") else text).replace("$", r"\$")


def lightened(colour: str, share: float) -> tuple[float, ...]:
    """A colour mixed with white."""
    rgb = np.array(mpl.colors.to_rgb(colour))
    return tuple(float(c) for c in rgb + (1 - rgb) * share)


def shade(i: int, states: int) -> Any:
    """The colour of a state among several."""
    if states <= len(PALETTE) - 1:
        return PALETTE[i]
    return mpl.colormaps["viridis"](i / max(1, states - 1))
