"""Rounds of loopy message passing on the factor graph of a net, with the beliefs they lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldnets.draw.drawing import escape, figure_element, number, text, text_width
from worldnets.draw.given import likely_states, one_evidence, percent, shortened
from worldnets.draw.history import Rounds, ShownGraph, shown_graph
from worldnets.draw.messages import Animation, player
from worldnets.draw.routes import flowing, ports
from worldnets.layout import Edge, Layout, Size, layered
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

DECADES = 4  # below the largest change, over which arrows fade
_TOLD = 3  # largest messages named in the sentence of a round
_TITLE, _STATE, _HEAD, _LINE, _PAD, _TROUGH, _PERCENT = 11.5, 9.5, 19.0, 13.0, 7.0, 46.0, 34.0
_FACTOR, _APART, _MARGIN = 11.0, 3.4, 14.0


def animate_rounds(
    net: WorldNet | FactorNet,
    rounds: Rounds,
    evidence: Mapping[str, Label] | pd.DataFrame | None,
    variables: Iterable[str] | None,
    row: int,
    title: str,
    make_figure: Callable[[], Figure],
) -> Animation:
    """The animation of `draw_messages(net, history)`."""
    changes, beliefs = rounds.changes, rounds.beliefs
    observed = one_evidence(net, evidence, row)
    graph = shown_graph(net, rounds, variables)
    boxes = {v: _Box.of(net, v, beliefs.get(v), v in observed) for v in graph.variables}
    parts, size, cells = _scene(net, graph, rounds, boxes)
    name = title or f"{len(changes)} rounds of message passing on {net.name or 'a net'}"
    svg = figure_element(*size, name, parts)
    curve, ticks = _residuals(rounds.residuals)
    told = _told(rounds)
    largest = float(changes.max(initial=0.0))
    data = {
        "unit": "round",
        "told": told,
        "pause": 900,
        "most": largest or 1.0,
        "decades": DECADES,
        "messages": [rounds.name(e) for e in graph.messages],
        "changes": [[float(f"{c:.3g}") for c in of_round[list(graph.messages)]] for of_round in changes],
        "beliefs": [[round(float(cell[frame]), 4) for cell in cells] for frame in range(len(changes) + 1)],
        "width": _TROUGH,
        "ticks": ticks,
    }
    notes = [
        f"Squares are factors. An arrow is as wide as its message changed in the round, up to {_short(largest)}; its "
        f"colour says the same logarithmically, down to {_short(largest / 10**DECADES)}."
    ]
    if len(graph.variables) < len(net.variables):
        notes.append(
            f"Shown: {len(graph.variables)} of {len(net.variables):,} variables and the "
            f"{len(graph.messages):,} of {len(rounds.variables):,} messages among them; what is told of a round is "
            f"told of all."
        )
    below = f'<div class="side">{curve}<p class="soft">{escape(" ".join(notes))}</p></div>'
    return Animation(name, svg, player(svg, data, told[-1], "round", name, below), len(told), make_figure)


@dataclass(frozen=True)
class _Box:
    name: str
    labels: tuple[str, ...]  # one per bar
    groups: tuple[tuple[int, ...], ...]  # the states that each bar sums
    observed: bool

    @classmethod
    def of(cls, net: WorldNet | FactorNet, v: str, beliefs: NDArray[np.float64] | None, observed: bool) -> _Box:
        name = shortened(v, 26)
        if beliefs is None:
            return cls(name, (), (), observed)
        kept, rest = likely_states(beliefs.max(axis=0))
        labels = [shortened(str(net.states[v][i]), 18) for i in kept]
        groups = [(i,) for i in kept]
        if rest:
            return cls(name, (*labels, f"{len(rest)} others"), (*groups, tuple(rest)), observed)
        return cls(name, tuple(labels), tuple(groups), observed)

    @property
    def size(self) -> Size:
        width = text_width(self.name, _TITLE)
        if self.labels:
            width = max(width, max(text_width(label, _STATE) for label in self.labels) + _PAD + _TROUGH + _PERCENT)
        return (width + 2 * _PAD, _HEAD + _LINE * len(self.labels) + (5 if self.labels else 3))


def _scene(
    net: WorldNet | FactorNet,
    graph: ShownGraph,
    rounds: Rounds,
    boxes: Mapping[str, _Box],
) -> tuple[list[str], Size, list[NDArray[np.float64]]]:
    """Markup of the last frame, its size, and what each bar shows, [rounds + 1]."""
    sizes = {_node(v): box.size for v, box in boxes.items()}
    sizes |= {_node(f): (_FACTOR, _FACTOR) for f in graph.factors}
    edges = _downwards(net, graph, rounds)
    layout = layered(list(edges), sizes, gap=(16.0, 26.0))
    ends = ports(list(edges), sizes, layout, 15.0)
    changes = rounds.changes
    largest = float(changes.max(initial=0.0)) or 1.0
    last = changes[-1] if len(changes) else np.zeros(changes.shape[1])
    places = {e: place for place, e in enumerate(graph.messages)}
    parts = []
    for edge, messages in edges.items():
        points = [ends[edge][0], *layout.routes.get(edge, ()), ends[edge][1]]
        points = [(x + _MARGIN, y + _MARGIN) for x, y in points]
        for e, down in messages:
            parts.append(_message(rounds.name(e), places[e], down, len(messages), points, float(last[e]), largest))
    cells: list[NDArray[np.float64]] = []
    for f in graph.factors:
        x, y = _corner(layout, sizes, _node(f))
        title = f"<title>{escape(rounds.labels[f])}</title>"
        parts.append(
            f'<g data-factor="">{title}<rect class="quiet" x="{number(x)}" y="{number(y)}" '
            f'width="{number(_FACTOR)}" height="{number(_FACTOR)}" rx="2" fill="#59636e"/></g>'
        )
    for v, box in boxes.items():
        left, top = _corner(layout, sizes, _node(v))
        parts.append(_variable(v, box, (left, top), rounds.beliefs.get(v), cells))
    return parts, (layout.size[0] + 2 * _MARGIN, layout.size[1] + 2 * _MARGIN), cells


def _node(what: str | int) -> str:
    """A name in the layout: of a variable, or of a factor by its position."""
    return f"variable {what}" if isinstance(what, str) else f"factor {what}"


def _corner(layout: Layout, sizes: Mapping[str, Size], node: str) -> Size:
    (x, y), (width, height) = layout.centres[node], sizes[node]
    return x - width / 2 + _MARGIN, y - height / 2 + _MARGIN


def _downwards(net: WorldNet | FactorNet, graph: ShownGraph, rounds: Rounds) -> dict[Edge, list[tuple[int, bool]]]:
    """The lines of the picture, each with its messages and whether they go down.

    A factor stands above the last of its variables (of a Bayes net's table: the child) and below the others.
    """
    order = net.order if isinstance(net, WorldNet) else net.variables
    rank = {v: i for i, v in enumerate(order)}
    lines: dict[Edge, list[tuple[int, bool]]] = {}
    for e in graph.messages:
        v, f = rounds.variables[e], rounds.factors[e]
        below = v == max(rounds.scopes[f], key=rank.__getitem__)
        line = (_node(f), _node(v)) if below else (_node(v), _node(f))
        lines.setdefault(line, []).append((e, below != rounds.to_factor[e]))
    return lines


def _message(
    name: str,
    place: int,
    down: bool,
    beside: int,
    points: Sequence[Size],
    change: float,
    largest: float,
) -> str:
    shift = 0.0 if beside == 1 else -_APART if down else _APART
    share = 0.0 if change <= 0 else min(1.0, max(0.0, 1 + float(np.log10(change / largest)) / DECADES))
    size = change / largest
    tip_x, tip_y = points[-1] if down else points[0]
    tip_x, back = tip_x + shift, -7.0 if down else 7.0
    head = " ".join(f"{number(tip_x + dx)},{number(tip_y + dy)}" for dx, dy in ((-3.2, back), (0.0, 0.0), (3.2, back)))
    inner = list(points)
    inner[-1 if down else 0] = (inner[-1 if down else 0][0], tip_y + back * 0.8)
    colour = _warm(share)
    label = f"{name}: changed by {change:.3g} in the last round"
    return (
        f'<g class="message" data-message="{place}" style="--share:{share:.3f};--size:{size:.3f}">'
        f"<title>{escape(label)}</title>"
        f'<path d="{flowing(inner, shift)}" fill="none" stroke="{colour}" stroke-width="{1 + 5 * size:.1f}"/>'
        f'<polygon points="{head}" fill="{colour}"/></g>'
    )


def _warm(share: float) -> str:
    """Between the grey of what is still and the colour of what moved."""
    mixed = (a + (b - a) * share for a, b in zip((201, 208, 215), (179, 107, 0), strict=True))
    return "#" + "".join(f"{round(c):02x}" for c in mixed)


def _variable(
    v: str, box: _Box, corner: Size, beliefs: NDArray[np.float64] | None, cells: list[NDArray[np.float64]]
) -> str:
    """A box in the state of the last round; `cells` receives what its bars show."""
    (left, top), (width, height) = corner, box.size
    frame = (
        'class="paper observed" stroke="#b36b00" stroke-width="2"'
        if box.observed
        else ('class="paper edge" stroke="#9aa4ae"')
    )
    parts = [
        f'<g data-variable=""><title>{escape(v)}{" (observed)" if box.observed else ""}</title>'
        f'<rect {frame} x="{number(left)}" y="{number(top)}" width="{number(width)}" height="{number(height)}" rx="4" '
        f'fill="{"#f5ebdc" if box.observed else "#ffffff"}"/>',
        text(left + width / 2, top + _HEAD / 2 + 1, box.name, _TITLE),
    ]
    start = left + width - _PAD - _PERCENT - _TROUGH
    bar, colour = ("bar seen", "#b36b00") if box.observed else ("bar", "#0072b2")
    for i, (label, states) in enumerate(zip(box.labels, box.groups, strict=True)):
        assert beliefs is not None  # a box has labels only where there are beliefs
        shown = beliefs[:, list(states)].sum(axis=1)
        place, now = len(cells), float(shown[-1])
        cells.append(shown)
        y = top + _HEAD + _LINE * (i + 0.5)
        spot = f'x="{number(start)}" y="{number(y - 4)}" height="8"'
        parts += [
            text(start - 5, y, label, _STATE, "end"),
            f'<rect class="trough" {spot} width="{number(_TROUGH)}" fill="#e4e8ec"/>',
            f'<rect class="{bar}" data-bar="{place}" {spot} width="{_TROUGH * now:.2f}" fill="{colour}"/>',
            text(left + width - _PAD, y, percent(now), _STATE, "end", extra=f'data-percent="{place}"'),
        ]
    return "".join([*parts, "</g>"])


def _told(rounds: Rounds) -> list[str]:
    """One sentence per frame."""
    sentences = ["The start, before the first round."]
    for i, (of_round, residual) in enumerate(zip(rounds.changes, rounds.residuals.tolist(), strict=True)):
        order = np.argsort(-of_round, kind="stable")[:_TOLD]
        moved = [f"{rounds.name(int(e))} by {_short(float(of_round[e]))}" for e in order if of_round[e] > 0]
        largest = f"Largest change in round {i + 1}: {_short(residual)}."
        sentences.append(f"{largest} Moved most: {'; '.join(moved)}." if moved else f"{largest} No message moved.")
    return sentences


def _short(value: float) -> str:
    return f"{value:.2g}"


def _residuals(residuals: NDArray[np.float64]) -> tuple[str, list[float]]:
    """A small chart of residuals by round, with a line at the frame shown, and where that line goes by frame."""
    rounds = len(residuals)
    width, height, left, top = 320.0, 96.0, 52.0, 8.0
    step = width / max(rounds, 1)
    ticks = [round((frame - rounds) * step, 1) for frame in range(rounds + 1)]
    positive = residuals[residuals > 0]
    if not positive.size:
        return '<p class="soft">No message changed in any round.</p>', ticks
    high = int(np.ceil(np.log10(positive.max()) + 1e-9))
    low = min(int(np.floor(np.log10(positive.min()))), high - 1)

    def y(value: float) -> float:
        return top + height * (high - float(np.log10(value))) / (high - low)

    parts = []
    for decade in {low, high, (low + high) // 2}:
        at = number(y(10.0**decade))
        line = f'x1="{number(left)}" x2="{number(left + width)}" y1="{at}" y2="{at}"'
        parts.append(f'<line class="link" {line} stroke="#9aa4ae" stroke-width="0.5"/>')
        parts.append(text(left - 6, float(at), f"1e{decade}", 9.5, "end", "quiet"))
    spots = [(left + (i + 1) * step, y(value)) for i, value in enumerate(residuals.tolist()) if value > 0]
    curve = " ".join(f"{number(px)},{number(py)}" for px, py in spots)
    parts.append(f'<polyline class="curve" points="{curve}" fill="none" stroke="#0072b2" stroke-width="1.6"/>')
    parts += [f'<circle class="bar" cx="{number(px)}" cy="{number(py)}" r="2" fill="#0072b2"/>' for px, py in spots]
    ends = f'x1="{number(left + width)}" x2="{number(left + width)}" y1="{number(top)}" y2="{number(top + height)}"'
    parts.append(f'<line class="cursor" {ends} stroke="#b36b00" stroke-width="1.5"/>')
    words = f"largest change of a message, rounds 0 to {rounds}"
    parts.append(text(left + width / 2, top + height + 14, words, 9.5, tone="quiet"))
    return figure_element(left + width + 12, top + height + 26, words, parts), ticks
