"""A variable's box in a matplotlib picture: its name, and a bar for each of its states."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.patches import FancyBboxPatch, Rectangle

from worldnets.draw.figure import lightened, literal, text_width
from worldnets.draw.given import Bar, percent
from worldnets.draw.palette import ARROW, BAR, BESIDE, BESIDE_INK, EVIDENCE, INK, TROUGH
from worldnets.layout import Point, Size

TITLE_POINTS, STATE_POINTS = 7.5, 6.0
_HEAD, _LINE, _PAD, _TROUGH_WIDTH, _PERCENT_WIDTH = 0.2, 0.125, 0.06, 0.42, 0.29  # inches


@dataclass(frozen=True)
class Box:
    """What one box shows.

    Attributes:
        name: its heading.
        bars: one line per state shown.
        observed, doubted: whether it has hard evidence, or soft.
        colour: of its group, if any.
        beside: a second bar below each first one, where there are second beliefs; otherwise a tick.
        note: a line below the bars, such as how far two beliefs lie apart.
    """

    name: str
    bars: tuple[Bar, ...]
    observed: bool = False
    doubted: bool = False
    colour: str | None = None
    beside: bool = False
    note: str = ""

    @property
    def line(self) -> float:
        """Height of a state's line, in inches."""
        return _LINE * (1.45 if self.paired else 1.0)

    @property
    def paired(self) -> bool:
        """Whether each line has two bars and two numbers."""
        return self.beside and any(bar.other is not None for bar in self.bars)

    @property
    def numbers(self) -> float:
        """Width taken by the percentages, in inches."""
        return _PERCENT_WIDTH * (2.15 if self.paired else 1)

    @property
    def size(self) -> Size:
        """Width and height in inches."""
        width = max(text_width(self.name, TITLE_POINTS), text_width(self.note, STATE_POINTS))
        if self.bars:
            beside = _TROUGH_WIDTH + self.numbers + _PAD if self.bars[0].now is not None else 0.0
            width = max(width, beside + max(text_width(bar.label, STATE_POINTS) for bar in self.bars))
        below = 0.05 if self.bars else 0.04
        height = _HEAD + self.line * len(self.bars) + (_LINE if self.note else 0.0) + below
        return (width + 2 * _PAD + 0.04, height)


def draw_box(ax: Axes, box: Box, centre: Point, scale: float) -> None:
    """Paint a box around `centre`; letters and lines are `scale` times their usual size."""
    size = box.size
    left, top = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    evidence = box.observed or box.doubted
    edge = EVIDENCE if evidence else box.colour or ARROW
    fill = lightened(EVIDENCE, 0.72) if box.observed else lightened(box.colour, 0.86) if box.colour else "white"
    ax.add_patch(
        FancyBboxPatch(
            (left, top), *size, "round,pad=0,rounding_size=0.06", fc=fill, ec=edge, zorder=3,
            lw=scale * (1.6 if evidence or box.colour else 0.9), ls=(0, (3, 1.6)) if box.doubted else "solid",
        )
    )  # fmt: skip
    words: dict[str, Any] = {"zorder": 7, "color": INK, "va": "center_baseline"}
    middle = top + (_HEAD / 2 + 0.01 if box.bars or box.note else size[1] / 2)
    ax.text(centre[0], middle, literal(box.name), ha="center", size=scale * TITLE_POINTS, **words)
    small: dict[str, Any] = {**words, "size": scale * STATE_POINTS}
    right = left + size[0] - _PAD
    start = right - box.numbers - _TROUGH_WIDTH
    thick = _LINE * (0.54 if box.paired else 0.68)
    troughs, first, second = [], [], []
    for i, bar in enumerate(box.bars):
        y = top + _HEAD + box.line * (i + 0.5)
        if bar.now is None:
            ax.text(centre[0], y, literal(bar.label), ha="center", **small)
            continue
        ax.text(start - _PAD, y, literal(bar.label), ha="right", **small)
        ax.text(right - (box.numbers - _PERCENT_WIDTH), y, percent(bar.now), ha="right", **small)
        high = y - thick * (1.04 if box.paired else 0.5)
        troughs.append(Rectangle((start, high), _TROUGH_WIDTH, thick))
        first.append(Rectangle((start, high), _TROUGH_WIDTH * bar.now, thick))
        if bar.other is not None and box.beside:
            ax.text(right, y, percent(bar.other), ha="right", **{**small, "color": BESIDE_INK})
            troughs.append(Rectangle((start, y + thick * 0.04), _TROUGH_WIDTH, thick))
            second.append(Rectangle((start, y + thick * 0.04), _TROUGH_WIDTH * bar.other, thick))
        elif bar.other is not None:
            x = start + _TROUGH_WIDTH * bar.other
            ax.plot([x, x], [y - _LINE * 0.48, y + _LINE * 0.48], color=INK, lw=scale * 1.1, zorder=6)
        if bar.likelihood is not None:
            x = start + _TROUGH_WIDTH * bar.likelihood
            mark: dict[str, Any] = {"mfc": "white", "mec": "#A86F00", "mew": scale * 0.7, "ms": scale * 3.2}
            ax.plot([x], [y], marker="o", ls="none", zorder=6, clip_on=False, **mark)
    if box.note:
        y = top + _HEAD + box.line * len(box.bars) + _LINE / 2
        ax.text(right, y, box.note, ha="right", style="italic", **small)
    trough = "#FFFFFF" if box.observed else TROUGH
    for patches, colour, zorder in (
        (troughs, trough, 4),
        (first, EVIDENCE if box.observed else BAR, 5),
        (second, BESIDE, 5),
    ):
        ax.add_collection(PatchCollection(patches, facecolor=colour, edgecolor="none", zorder=zorder))


def apart(bits_or_share: float, kind: str) -> str:
    """The note that says how far two beliefs lie apart."""
    name = "KL" if kind == "kl" else "TV"
    unit = " bits" if kind == "kl" else ""
    if math.isnan(bits_or_share):
        return f"{name} –"
    if math.isinf(bits_or_share):
        return f"{name} ∞{unit}"
    if 0 < bits_or_share < 0.001:
        return f"{name} <.001{unit}"
    shown = f"{bits_or_share:.1f}" if bits_or_share >= 1 else f"{bits_or_share:.2g}"
    return f"{name} {shown}{unit}"
