"""The report's figures as inline SVG: reproducible bytes, the page's own ink, a description for screen readers."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.report import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

# Placeholders that matplotlib draws with; the page's CSS colours take their place, so that dark mode reaches figures.
INK, FAINT, PAPER = "#010203", "#040506", "#070809"
_CSS = {INK: "currentColor", FAINT: "var(--faint)", PAPER: "var(--paper)"}

#: Inches of a figure over training, without its legend: three stand side by side in a wide window.
SIZE = (3.75, 2.7)

SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "text.parse_math": False,  # a name with a $ in it is a name
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "hatch.linewidth": 0.7,
}


def drawn(name: str, title: str, description: str, size: tuple[float, float], draw: Callable[[Figure], None]) -> str:
    """One figure as an `<svg>` element for an HTML page.

    Args:
        name: unique in the page; prefixes every id inside.
        title, description: what a screen reader says.
        size: inches; the element scales to its container.
        draw: draws on an empty figure.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    settings: Any = {**SETTINGS, "svg.hashsalt": name}
    with rc_context(settings):
        figure = Figure(figsize=size)
        figure.patch.set_alpha(0)
        draw(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return embedded(stream.getvalue(), name, title, description)


def embedded(svg: str, name: str, title: str, description: str) -> str:
    """An SVG file as an element of the page: unique ids, CSS colours, a title and a description."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, body = svg[: svg.index(">")], svg[svg.index(">") + 1 :]
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    for colour, css in _CSS.items():
        body = body.replace(colour, css)
    body = re.sub(r"#f1([0-9a-f]{2})([0-9a-f]{2})", lambda m: palette.rung(int(m[2], 16), int(m[1], 16)), body)
    body = body.replace("'DejaVu Sans', sans-serif", "inherit").replace("'DejaVu Sans'", "inherit")
    box = re.search(r'viewBox="[^"]*"', head)
    width = re.search(r'\swidth="([\d.]+)(?:pt|px)?"', head)
    style = f' style="max-width: {float(width[1]) * 4 / 3:.0f}px"' if width else ""
    return (
        f'<svg role="img" aria-labelledby="{name}-title {name}-description" {box[0] if box else ""}{style} '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f'<title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(description)}</desc>{body.strip()}'
    )


def rung_colour(k: int, count: int) -> str:
    """The placeholder of rung k's colour (k from 0)."""
    return f"#f1{count:02x}{k:02x}"


def step_axis(axes: Axes, steps: Sequence[int] | NDArray[np.integer[Any]]) -> Floats:
    """Log-spaced places for training steps, step 0 a little left of the first; the axis is labelled with steps."""
    steps = np.asarray(steps, dtype=float)
    first = steps[steps > 0].min() if np.any(steps > 0) else 1.0
    places = np.log10(np.where(steps > 0, steps, first / 2.5))
    powers = 10.0 ** np.arange(np.ceil(np.log10(first)), np.floor(np.log10(max(steps.max(), first))) + 1)
    shown = [*([0.0] if np.any(steps == 0) else []), *powers]
    last = steps.max()
    if last > 1.01 * shown[-1]:
        shown = [*shown[:-1], *([shown[-1]] if last > 4 * shown[-1] else []), last]
    axes.set_xticks([places[steps == 0][0] if step == 0 else np.log10(step) for step in shown])
    axes.set_xticklabels([f"{step:,.0f}" for step in shown])
    axes.set_xlim(places.min(), places.max())
    axes.set_xlabel("training step")
    axes.grid(axis="x", visible=False)
    return np.asarray(places, dtype=float)


def pie_over_training(
    name: str,
    title: str,
    steps: NDArray[np.integer[Any]],
    information: Floats,
    captured: Floats,
    labels: Sequence[str],
) -> str:
    """The pie against training step: captured bits stacked shallow to deep, and above them, hatched, the lost ones.

    Args:
        name: unique in the page.
        title: whose it is.
        steps: [T].
        information: bits on offer, [K].
        captured: mean over seeds, [T, K].
        labels: what each rung is, [K].
    """
    count = len(information)
    columns = _columns(labels)
    colours = [rung_colour(k, count) for k in range(count)]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = step_axis(axes, steps)
        positive = np.clip(captured, 0, None)
        lost = np.clip(information - positive, 0, None)
        edges = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(np.hstack([positive, lost]), axis=1)], axis=1)
        for k in range(count):
            band = edges[:, k], edges[:, k + 1]
            axes.fill_between(places, *band, facecolor=colours[k], edgecolor=PAPER, linewidth=0.6, label=labels[k])
        for k in range(count):
            band = edges[:, count + k], edges[:, count + k + 1]
            axes.fill_between(places, *band, facecolor=PAPER, edgecolor=colours[k], hatch="////", linewidth=0)
        axes.plot(places, edges[:, count], color=INK, linewidth=1.4)
        axes.set_ylim(0, max(float(edges.max()), 1e-3) * 1.02)
        axes.set_ylabel("bits")
        axes.set_title("Captured and lost (hatched)")
        finish(figure, columns, -(-count // columns))

    end = "; ".join(f"{labels[k]}: {captured[-1, k]:.3f} of {information[k]:.3f}" for k in range(count))
    return drawn(name, f"Pie over training: {title}", f"Bits captured at the last step. {end}.", SIZE, draw)


def rungs_over_training(
    name: str,
    title: str,
    steps: NDArray[np.integer[Any]],
    information: Floats,
    captured: Floats,
    low: Floats,
    high: Floats,
    labels: Sequence[str],
) -> str:
    """Each rung's captured bits against training step with their interval; dashed, what the rung offers.

    Args:
        name, title, steps, information, labels: as for `pie_over_training`.
        captured, low, high: mean over seeds and its limits, [T, K].
    """
    count, columns = len(information), _columns(labels)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = step_axis(axes, steps)
        for k in range(count):
            colour = rung_colour(k, count)
            axes.axhline(information[k], color=colour, linewidth=1, linestyle=(0, (4, 2)))
            axes.fill_between(places, low[:, k], high[:, k], facecolor=colour, alpha=0.22, linewidth=0)
            axes.plot(places, captured[:, k], color=colour, linewidth=1.6, label=labels[k])
        axes.axhline(0, color=INK, linewidth=0.6)
        floor = float(np.nanmin(captured[len(steps) // 3 :], initial=0.0))
        top = max(float(information.max()), float(np.nanmax(captured, initial=0.0)), 1e-3)
        axes.set_ylim(min(floor * 1.15, -0.04 * top), top * 1.08)
        axes.set_ylabel("bits")
        axes.set_title("Each rung, with its offer (dashed)")
        finish(figure, columns, -(-count // columns))

    end = "; ".join(f"{labels[k]}: {captured[-1, k]:.3f} [{low[-1, k]:.3f}, {high[-1, k]:.3f}]" for k in range(count))
    return drawn(name, f"Captured bits of each rung: {title}", f"At the last step, with limits. {end}.", SIZE, draw)


def finish(figure: Figure, columns: int, lines: int) -> None:
    """Legend below in that many columns, room for that many lines of it, margins in inches.

    A layout engine would draw every figure twice; equal margins also let neighbours line up.
    """
    below = 0.19 * lines
    width, height = SIZE[0], SIZE[1] + below
    figure.set_size_inches(width, height)
    figure.subplots_adjust(0.55 / width, (0.52 + below) / height, 1 - 0.26 / width, 1 - 0.28 / height)
    place = (0.02, 0.0)
    figure.legend(
        loc="lower left", bbox_to_anchor=place, ncols=columns, fontsize=8, handlelength=1.2, columnspacing=1.2
    )


def _columns(labels: Sequence[str]) -> int:
    return 3 if max(map(len, labels)) < 12 else 2


def efficiency_over_training(
    name: str,
    title: str,
    steps: NDArray[np.integer[Any]],
    seeds: Floats,
    mean: Floats,
    low: Floats,
    high: Floats,
    ceiling: Floats,
    margin: float,
    shallow: Floats | None = None,
) -> str:
    """Deep efficiency against training step: every seed, their mean and interval, the ceiling, the margin under it.

    Args:
        name: unique in the page.
        title: whose it is.
        steps: [T].
        seeds: deep efficiency of each seed, [T, S].
        mean, low, high: over seeds, [T].
        ceiling: e_W, the world-model's own predictor, [T].
        margin: ε; a head inside it has reached the ceiling.
        shallow: mean efficiency of the shallow rungs, [T], for comparison.
    """

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = step_axis(axes, steps)
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.fill_between(places, ceiling - margin, ceiling, facecolor=FAINT, alpha=0.5, linewidth=0)
        axes.plot(
            places, ceiling, color=INK, linewidth=1.2, linestyle=(0, (4, 2)), label="world-model itself, e_W; band ε"
        )
        if shallow is not None:
            axes.plot(
                places, shallow, color=rung_colour(0, 3), linewidth=1.4, linestyle=":", label="shallow rungs, mean"
            )
        deep = rung_colour(2, 3)
        axes.fill_between(places, low, high, facecolor=deep, alpha=0.22, linewidth=0, label="deep rungs, 95 % interval")
        axes.plot(places, seeds, color=deep, linewidth=0.6, alpha=0.65)
        axes.plot(places, mean, color=deep, linewidth=2.2, label=f"deep rungs, mean of {seeds.shape[1]} seeds")
        shown = np.concatenate([seeds[len(steps) // 4 :].ravel(), mean[len(steps) // 4 :], [0.0]])
        axes.set_ylim(max(float(np.nanmin(shown)) - 0.05, -0.6), 1.1)
        axes.set_ylabel("efficiency e(t)")
        axes.set_title("Deep efficiency")
        finish(figure, 1, 4 if shallow is not None else 3)

    description = (
        f"Deep efficiency goes from {mean[0]:.2f} to {mean[-1]:.2f} (interval {low[-1]:.2f} to {high[-1]:.2f}) "
        f"at step {int(steps[-1])}; the ceiling there is {ceiling[-1]:.2f}. "
        f"Seeds end at {', '.join(f'{e:.2f}' for e in seeds[-1])}."
    )
    return drawn(name, f"Deep efficiency: {title}", description, SIZE, draw)


def pie_on_offer(name: str, title: str, information: Floats, labels: Sequence[str], deep: int) -> str:
    """What each rung of a world offers, in bits, shallow at the top; `deep` rungs from the end are the deep ones."""
    count = len(information)
    width, height = 5.2, 0.9 + 0.27 * count

    def draw(figure: Figure) -> None:
        left = 0.25 + 0.075 * max(map(len, labels))
        figure.subplots_adjust(left / width, 0.5 / height, 1 - 0.6 / width, 1 - 0.28 / height)
        axes = figure.subplots()
        places = np.arange(count)
        axes.barh(places, information, color=[rung_colour(k, count) for k in range(count)], height=0.72)
        for k in range(count):
            bits = 0.0 if abs(information[k]) < 5e-4 else information[k]
            axes.text(information[k], k, f" {bits:.3f}", va="center", fontsize=8)
        if 0 < deep < count:
            axes.axhline(count - deep - 0.5, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
            aside = axes.get_yaxis_transform()
            axes.text(1.02, count - deep - 0.58, "shallow", va="bottom", fontsize=8, style="italic", transform=aside)
            axes.text(1.02, count - deep - 0.42, "deep", va="top", fontsize=8, style="italic", transform=aside)
        axes.set_yticks(places, labels)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlim(0, max(float(information.max()), 1e-3) * 1.22)
        axes.set_xlabel("bits")
        axes.set_title("The pie on offer, rung by rung")
        axes.grid(axis="y", visible=False)

    bits = "; ".join(f"{label}: {bit:.3f} bits" for label, bit in zip(labels, information, strict=True))
    return drawn(name, f"Pie on offer: {title}", bits, (width, height), draw)
