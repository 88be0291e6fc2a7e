"""Charts of the depth probe's kind: pies and their rungs over training, deep efficiency, what a world offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from probes.report.chart import Chart, Entry, Floats, Mark, linear, steps_axis
from probes.report.palette import rung
from probes.report.rows import bars

Steps = NDArray[np.integer[Any]]


def pie_over_training(title: str, steps: Steps, information: Floats, captured: Floats, labels: Sequence[str]) -> Markup:
    """The pie against training step: captured bits stacked shallow to deep, and above them, pale, the lost ones.

    Args:
        title: whose it is.
        steps: [T].
        information: bits on offer, [K].
        captured: mean over seeds, [T, K].
        labels: what each rung is, [K].
    """
    count = len(information)
    places, across = steps_axis(steps)
    positive = np.clip(captured, 0, None)
    lost = np.clip(information - positive, 0, None)
    edges = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(np.hstack([positive, lost]), axis=1)], axis=1)
    colours = [rung(k, count) for k in range(count)]
    marks = [Mark(f"a {colours[k]}", places, edges[:, k], edges[:, k + 1]) for k in range(count)]
    marks += [
        Mark(f"a p {colours[k]}", places, edges[:, count + k], edges[:, count + k + 1])
        for k in range(count)
        if lost[:, k].max() > 1e-9
    ]
    marks.append(Mark("l ink", places, edges[:, count]))
    down = linear("bits", 0.0, max(float(edges.max()), 1e-3) * 1.02)
    key = tuple(Entry(f"a {colours[k]}", labels[k]) for k in range(count))
    end = "; ".join(f"{labels[k]}: {captured[-1, k]:.3f} of {information[k]:.3f}" for k in range(count))
    chart = Chart("Captured and lost (pale)", across, down, tuple(marks), key)
    return chart.markup(f"Pie over training: {title}", f"Bits captured at the last step. {end}.")


def rungs_over_training(
    title: str,
    steps: Steps,
    information: Floats,
    captured: Floats,
    low: Floats,
    high: Floats,
    labels: Sequence[str],
) -> Markup:
    """Each rung's captured bits against training step with their interval; dashed, what the rung offers.

    Args:
        title, steps, information, labels: as for `pie_over_training`.
        captured, low, high: mean over seeds and its limits, [T, K].
    """
    count = len(information)
    places, across = steps_axis(steps)
    ends = np.array([places[0], places[-1]])
    marks = [Mark("z", ends, np.zeros(2))]
    for k in range(count):
        colour = rung(k, count)
        marks.append(Mark(f"t d1 {colour}", ends, np.full(2, information[k])))
        marks.append(Mark(f"b {colour}", places, low[:, k], high[:, k]))
    marks += [Mark(f"l {rung(k, count)}", places, captured[:, k]) for k in range(count)]
    floor = float(np.nanmin(captured[len(steps) // 3 :], initial=0.0))
    top = max(float(information.max()), float(np.nanmax(captured, initial=0.0)), 1e-3)
    down = linear("bits", min(floor * 1.15, -0.04 * top), top * 1.08)
    key = tuple(Entry(f"l {rung(k, count)}", labels[k]) for k in range(count))
    end = "; ".join(f"{labels[k]}: {captured[-1, k]:.3f} [{low[-1, k]:.3f}, {high[-1, k]:.3f}]" for k in range(count))
    chart = Chart("Each rung, with its offer (dashed)", across, down, tuple(marks), key)
    return chart.markup(f"Captured bits of each rung: {title}", f"At the last step, with limits. {end}.")


def efficiency_over_training(
    title: str,
    steps: Steps,
    seeds: Floats,
    mean: Floats,
    low: Floats,
    high: Floats,
    ceiling: Floats,
    margin: float,
    shallow: Floats | None = None,
) -> Markup:
    """Deep efficiency against training step: every seed, their mean and interval, the ceiling, the margin under it.

    Args:
        title: whose it is.
        steps: [T].
        seeds: deep efficiency of each seed, [T, S].
        mean, low, high: over seeds, [T].
        ceiling: e_W, the world-model's own predictor, [T].
        margin: ε; a head inside it has reached the ceiling.
        shallow: mean efficiency of the shallow rungs, [T], for comparison.
    """
    places, across = steps_axis(steps)
    deep, least = rung(2, 3), rung(0, 3)
    marks = [
        Mark("z", places[[0, -1]], np.zeros(2)),
        Mark("m", places, ceiling - margin, ceiling),
        Mark("t ink d1", places, ceiling),
        *([] if shallow is None else [Mark(f"l {least} d2", places, shallow)]),
        Mark(f"b {deep}", places, low, high),
        *(Mark(f"t {deep}", places, own) for own in seeds.T),
        Mark(f"l {deep}", places, mean),
    ]
    shown = np.concatenate([seeds[len(steps) // 4 :].ravel(), mean[len(steps) // 4 :], [0.0]])
    down = linear("efficiency e(t)", max(float(np.nanmin(shown)) - 0.05, -0.6), 1.1)
    key = (
        Entry(f"l {deep}", f"deep rungs, mean of {seeds.shape[1]} seeds"),
        Entry(f"b {deep}", "its interval"),
        *([] if shallow is None else [Entry(f"l {least} d2", "shallow rungs, mean")]),
        Entry("t ink d1", "world-model itself, e_W"),
        Entry("m", "margin ε"),
    )
    description = (
        f"Deep efficiency goes from {mean[0]:.2f} to {mean[-1]:.2f} (interval {low[-1]:.2f} to {high[-1]:.2f}) "
        f"at step {int(steps[-1])}; the ceiling there is {ceiling[-1]:.2f}. "
        f"Seeds end at {', '.join(f'{e:.2f}' for e in seeds[-1])}."
    )
    return Chart("Deep efficiency", across, down, tuple(marks), key).markup(f"Deep efficiency: {title}", description)


def pie_on_offer(title: str, information: Floats, labels: Sequence[str], deep: int) -> Markup:
    """What each rung of a world offers, in bits, shallow at the top; `deep` rungs from the end are the deep ones."""
    count = len(information)
    told = "; ".join(f"{label}: {bit:.3f} bits" for label, bit in zip(labels, information, strict=True))
    divide = count - deep if 0 < deep < count else None
    said = f"Pie on offer: {title}. {told}"
    return bars("The pie on offer, rung by rung", said, "bits", labels, information, 3, divide)
