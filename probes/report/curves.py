"""Charts of lines with their intervals: numbers over training, and numbers against the clips they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from probes.report.chart import Chart, Entry, Floats, Mark, linear, steps_axis
from probes.report.palette import rung

DASHES = ("", " d1", " d2", " d3", " d4")


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
    title: str,
    what: str,
    steps: NDArray[np.integer[Any]],
    lines: Sequence[Line],
    axis: str,
    band: tuple[float, float] | None = None,
    floor: float | None = None,
) -> Markup:
    """Lines against training step.

    Args:
        title: whose numbers they are.
        what: the chart's own heading.
        steps: [T].
        lines: shallow colours first.
        axis: label of the vertical axis.
        band: limits of the band in which the end counts as reached.
        floor: the axis ends here, whatever lies below.
    """
    places, across = steps_axis(steps)
    ends = places[[0, -1]]
    marks = [Mark("z", ends, np.zeros(2))]
    if band is not None:
        marks.append(Mark("m", ends, np.full(2, band[0]), np.full(2, band[1])))
    looks = _looks(len(lines))
    for line, (colour, _) in zip(lines, looks, strict=True):
        if line.seeds is not None:
            marks += [Mark(f"t {colour}", places, own) for own in line.seeds.T]
        marks.append(Mark(f"b {colour}", places, line.low, line.high))
    marks += [Mark(f"l {colour}{dash}", places, line.mean) for line, (colour, dash) in zip(lines, looks, strict=True)]
    top = max(float(np.nanmax([line.mean for line in lines])), 0.0 if band is None else band[1])
    low = min(float(np.nanmin([line.mean for line in lines])), 0.0)
    low = low if floor is None else max(low, floor)
    reach = (top - low) or 1.0
    down = linear(axis, low - 0.04 * reach, top + 0.06 * reach)
    end = "; ".join(f"{line.label}: {line.mean[-1]:.3f} [{line.low[-1]:.3f}, {line.high[-1]:.3f}]" for line in lines)
    chart = Chart(what, across, down, tuple(marks), _key(lines, looks))
    return chart.markup(f"{what}: {title}", f"At step {int(steps[-1])}, with limits. {end}.")


def against_clips(title: str, clips: Floats, lines: Sequence[Line], tolerance: float) -> Markup:
    """Estimates from more and more clips with their errors.

    Args:
        title: whose numbers they are.
        clips: how many, rising, [N].
        lines: estimates [N] with the limits of their errors.
        tolerance: half the height of the bar beside each line's end, within which the error should lie.
    """
    looks, marks = _looks(len(lines)), []
    last = clips[-1:] * 1.03
    for line, (colour, dash) in zip(lines, looks, strict=True):
        marks.append(Mark(f"b {colour}", clips, line.low, line.high))
        marks.append(Mark(f"l {colour}{dash}", clips, line.mean))
        marks.append(Mark("w ink", last, line.mean[-1:] - tolerance, line.mean[-1:] + tolerance))
    shown = np.array([[line.low, line.high, line.mean - tolerance, line.mean + tolerance] for line in lines])
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    across = linear("evaluation clips", float(clips[0]), float(clips[-1]) * 1.05, 4)
    down = linear("efficiency", low, high if high > low else low + 1.0)
    end = "; ".join(f"{line.label}: {line.mean[-1]:.3f} ± {line.high[-1] - line.mean[-1]:.3f}" for line in lines)
    chart = Chart("Convergence", across, down, tuple(marks), _key(lines, looks))
    return chart.markup(f"Convergence: {title}", f"From {int(clips[-1]):,} clips. {end}.")


def _looks(count: int) -> list[tuple[str, str]]:
    """Colour and dash of each line: one line alone is dark, several differ in both."""
    if count == 1:
        return [(rung(2, 3), "")]
    return [(rung(k, max(count, 3)), DASHES[k % len(DASHES)]) for k in range(count)]


def _key(lines: Sequence[Line], looks: Sequence[tuple[str, str]]) -> tuple[Entry, ...]:
    return tuple(Entry(f"l {colour}{dash}", line.label) for line, (colour, dash) in zip(lines, looks, strict=True))
