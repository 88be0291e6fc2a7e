"""Figures of lines with their intervals: numbers over training, and numbers against the clips they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.report.figures import FAINT, INK, SIZE, drawn, finish, rung_colour, step_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]


class Line(NamedTuple):
    """One number over training.

    Attributes:
        label: what it is.
        mean, low, high: over seeds, [T].
        seeds: of each seed, [T, S]; None where they are not drawn.
    """

    label: str
    mean: Floats
    low: Floats
    high: Floats
    seeds: Floats | None = None


def over_training(
    name: str,
    title: str,
    what: str,
    steps: NDArray[np.integer[Any]],
    lines: Sequence[Line],
    axis: str,
    band: tuple[float, float] | None = None,
    floor: float | None = None,
) -> str:
    """Lines against training step, as an `<svg>`.

    Args:
        name: unique in the page.
        title: whose numbers they are.
        what: the figure's own heading.
        steps: [T].
        lines: shallow colours first.
        axis: label of the vertical axis.
        band: limits of the band in which the end counts as reached.
        floor: the axis ends here, whatever lies below.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = step_axis(axes, steps)
        axes.axhline(0, color=INK, linewidth=0.6)
        if band is not None:
            axes.fill_between(places, *band, facecolor=FAINT, alpha=0.5, linewidth=0)
        for k, line in enumerate(lines):
            colour = rung_colour(k if len(lines) > 1 else 2, max(len(lines), 3))
            if line.seeds is not None:
                axes.plot(places, line.seeds, color=colour, linewidth=0.6, alpha=0.65)
            axes.fill_between(places, line.low, line.high, facecolor=colour, alpha=0.18, linewidth=0)
            axes.plot(places, line.mean, color=colour, linewidth=1.8, label=line.label)
        top = max(float(np.nanmax([line.mean for line in lines])), 0.0 if band is None else band[1])
        low = min(float(np.nanmin([line.mean for line in lines])), 0.0)
        low = low if floor is None else max(low, floor)
        axes.set_ylim(low - 0.04 * (top - low), top + 0.06 * (top - low) + 1e-9)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
        axes.set_ylabel(axis)
        axes.set_title(what)
        finish(figure, 2, -(-len(lines) // 2))

    end = "; ".join(f"{line.label}: {line.mean[-1]:.3f} [{line.low[-1]:.3f}, {line.high[-1]:.3f}]" for line in lines)
    return drawn(name, f"{what}: {title}", f"At step {int(steps[-1])}, with limits. {end}.", SIZE, draw)


def against_clips(name: str, title: str, clips: Floats, lines: Sequence[Line], tolerance: float) -> str:
    """Estimates from more and more clips with their errors, as an `<svg>`.

    Args:
        name: unique in the page.
        title: whose numbers they are.
        clips: how many, rising, [N].
        lines: estimates [N] with the limits of their errors.
        tolerance: half the height of the bar beside each line's end, within which the error should lie.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for k, line in enumerate(lines):
            colour = rung_colour(k, max(len(lines), 3))
            axes.fill_between(clips, line.low, line.high, facecolor=colour, alpha=0.22, linewidth=0)
            axes.plot(clips, line.mean, color=colour, linewidth=1.8, label=line.label)
            end = line.mean[-1]
            axes.plot([clips[-1] * 1.02] * 2, [end - tolerance, end + tolerance], color=INK, linewidth=2.2)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "−"))
        axes.set_xlabel("evaluation clips")
        axes.set_ylabel("efficiency")
        axes.set_title("Convergence")
        finish(figure, 2, -(-len(lines) // 2))

    end = "; ".join(f"{line.label}: {line.mean[-1]:.3f} ± {line.high[-1] - line.mean[-1]:.3f}" for line in lines)
    return drawn(name, f"Convergence: {title}", f"From {int(clips[-1]):,} clips. {end}.", SIZE, draw)
