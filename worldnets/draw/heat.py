"""Rounds of message passing on paper: a heat map of how much every message changed, round by round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from worldnets.draw.figure import Picture, literal, text_width
from worldnets.draw.given import shortened
from worldnets.draw.palette import ARROW, BAR, INK

if TYPE_CHECKING:
    from worldnets.draw.history import Rounds

MESSAGES_SHOWN = 36
_DECADES = 4


def heat_map(recorded: Rounds, most: int = MESSAGES_SHOWN, title: str = "") -> Figure:
    """Changes of messages, rounds from left to right, with the curve of residuals above.

    The colour is logarithmic, over four decades below the largest change; white did not change by as much.

    Args:
        recorded: what is drawn.
        most: messages shown: those that changed most in any round, in order of the round in which they did.
        title: printed above.
    """
    changes = recorded.changes
    rounds, edges = changes.shape
    peak = changes.max(axis=0, initial=0.0)
    chosen = np.argsort(-peak, kind="stable")[:most]
    if rounds:
        chosen = chosen[np.lexsort((-peak[chosen], changes[:, chosen].argmax(axis=0)))]
    labels = [_label(recorded, int(i)) for i in chosen]
    beside = max((text_width(label, 6.5) for label in labels), default=0.5) + 0.2
    across, down = max(2.6, min(7.0, 0.24 * rounds)), max(0.5, 0.13 * len(labels))
    head = 0.3 if title else 0.08
    width, height = beside + across + 0.9, head + 1.05 + 0.12 + down + 0.5
    figure = Picture(figsize=(width, height))
    above = figure.add_axes((beside / width, 1 - (head + 1.0) / height, across / width, 0.95 / height))
    below = figure.add_axes((beside / width, 0.5 / height, across / width, down / height))
    if title:
        figure.text(0.5, 1 - 0.16 / height, literal(title), ha="center", va="center", size=9, color=INK)
    largest = float(peak.max(initial=0.0)) or 1.0
    at = np.arange(1, rounds + 1)
    residuals = recorded.residuals
    positive = residuals > 0
    above.plot(at[positive], residuals[positive], color=BAR, marker="o", ms=2.5, lw=1)
    above.set(yscale="log", xlim=(0.5, max(rounds, 1) + 0.5), ylabel="largest change")
    above.tick_params(labelbottom=False)
    above.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    above.yaxis.set_major_locator(mpl.ticker.LogLocator(numticks=5))
    colours = mpl.colormaps["YlOrRd"].with_extremes(under="white")
    norm = mpl.colors.LogNorm(largest * 10.0**-_DECADES, largest)
    cells = np.maximum(changes[:, chosen].T, largest * 10.0 ** (-_DECADES - 1))
    if cells.size:
        image = below.pcolormesh(
            np.arange(rounds + 1) + 0.5, np.arange(len(chosen) + 1), cells, norm=norm, cmap=colours
        )
        bar = figure.add_axes(((beside + across + 0.15) / width, 0.5 / height, 0.1 / width, down / height))
        figure.colorbar(image, cax=bar, extend="min")
        bar.tick_params(labelsize=6.5, colors=INK)
    below.set(xlim=above.get_xlim(), ylim=(max(len(chosen), 1), 0), xlabel="round")
    below.set_yticks(np.arange(len(chosen)) + 0.5, labels)
    below.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    for ax in (above, below):
        ax.tick_params(labelsize=6.5, length=2, colors=INK)
        ax.xaxis.label.set_fontsize(7.5)
        ax.yaxis.label.set_fontsize(7.5)
        ax.spines[:].set_color(ARROW)
    if edges > len(chosen):
        note = f"the {len(chosen)} messages of {edges:,} that changed most"
        figure.text(0.99, 0.08 / height, note, ha="right", va="bottom", size=6.5, color=ARROW)
    return figure


def _label(recorded: Rounds, e: int) -> str:
    ends = [shortened(end, 34) for end in (recorded.variables[e], recorded.labels[recorded.factors[e]])]
    return literal(" → ".join(ends if recorded.to_factor[e] else ends[::-1]))
