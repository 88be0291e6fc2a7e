"""A net to be read in a notebook or a page: beliefs and evidence in its boxes, and each box opens its table.

Written as markup, it costs milliseconds, follows light and dark pages, and needs no script: a box is a `<details>`
element, opened by a click or by Tab and Enter. The matplotlib figure of the same net, for paper, is `figure()`.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.draw.drawing import Drawing, escape, figure_element, number, resource, text, text_width
from worldnets.draw.given import Row, bars, one_evidence, one_likelihood, one_row, percent, shortened
from worldnets.draw.palette import GROUP_PALETTE
from worldnets.draw.routes import flowing
from worldnets.draw.stage import (
    COLUMN_HEAD,
    HEAD,
    LINE,
    LONGEST_LABEL,
    MARGIN,
    PAD,
    PERCENT,
    STATE,
    TITLE,
    TROUGH,
    Arrangement,
    Stage,
    stage_of,
)
from worldnets.draw.tables import conditional_table
from worldnets.errors import QueryError, did_you_mean
from worldnets.inference.beliefs import Beliefs
from worldnets.layout import Edge
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TALL = 380.0  # pixels: in a picture as high as that tables open over it, otherwise below it


@dataclass(frozen=True, repr=False)
class NetDrawing(Drawing):
    """A net drawn as markup; its boxes open their tables.

    Attributes:
        make_figure: makes the figure for paper.
    """

    make_figure: Callable[[], Figure]

    def figure(self) -> Figure:
        """The same net as a matplotlib figure, without tables; `worldnets.draw_net` has more to choose there."""
        return self.make_figure()


@dataclass(frozen=True)
class Shown:
    """What the boxes of a picture say, checked against the net.

    Attributes:
        now, before: beliefs by variable, [states].
        observed: variable → position of its observed state.
        forced: the same of interventions.
        doubted: soft evidence by variable, [states], largest 1.
        groups: name → colour.
        colours: variable → its group's colour.
    """

    now: Row
    before: Row
    observed: Mapping[str, int]
    forced: Mapping[str, int]
    doubted: Row
    groups: Mapping[str, str]
    colours: Mapping[str, str]

    @property
    def impossible(self) -> bool:
        """Whether the beliefs are those of evidence that cannot happen."""
        return any(not table.any() for table in self.now.values())


def inspect_net(
    net: WorldNet | FactorNet,
    beliefs: Beliefs | Mapping[str, ArrayLike] | None = None,
    evidence: Mapping[str, Label] | pd.DataFrame | None = None,
    *,
    likelihood: Mapping[str, ArrayLike] | None = None,
    do: Mapping[str, Label] | None = None,
    before: int | Beliefs | Mapping[str, ArrayLike] | None = None,
    row: int = 0,
    variables: Iterable[str] | None = None,
    groups: Mapping[str, Iterable[str]] | None = None,
    arrangement: Arrangement = "auto",
    cpts: Iterable[str] = (),
    title: str = "",
) -> NetDrawing:
    """Draw a net as markup, what `net.draw()` returns: causes above effects, or a clip as one column per frame.

    In a notebook or a saved page, a click on a box (or Tab to it, then Enter) opens its table W(v | parents).

    Args:
        net: what to draw; a `FactorNet` as its Markov graph, without tables.
        beliefs, evidence, likelihood, before, row, groups, arrangement, title: as for `worldnets.draw_net`.
        do: interventions; their boxes have a double border, and the arrows they cut are dashed.
        variables: draw only these, and the arrows among them.
        cpts: variables whose tables stand below the picture for good, in its `svg` too.

    Raises:
        QueryError: `groups`, `cpts`, `variables` or `beliefs` name a variable the net does not have; beliefs have no
            such row or are no distributions over the net's states; tables of a `FactorNet`; frames of a static net.
        EvidenceError: `evidence`, `do` or `likelihood` name an unknown variable or state, or have a wrong shape.
    """
    now = one_row(net, beliefs, row)
    given = one_row(net, beliefs, int(before)) if isinstance(before, int | np.integer) else one_row(net, before, row)
    groups = {name: tuple(members) for name, members in (groups or {}).items()}
    named, colours = group_colours(net, groups)
    forced = one_evidence(net, do, 0)
    shown = Shown(
        now, given, one_evidence(net, evidence, row), forced, one_likelihood(net, likelihood, row), named, colours
    )
    stage = stage_of(net, now, {*shown.observed, *forced}, variables, arrangement)
    figure = functools.partial(
        _figure, net, beliefs, evidence, likelihood=likelihood, before=before, row=row, groups=groups,
        arrangement=arrangement, title=title,
    )  # fmt: skip
    return paint(stage, shown, tuple(cpts), title, figure)


def _figure(net: WorldNet | FactorNet, *args: Any, **options: Any) -> Figure:
    from worldnets.draw.net import draw_net  # matplotlib, for those who ask for it

    return draw_net(net, *args, **options)


def group_colours(
    net: WorldNet | FactorNet, groups: Mapping[str, Iterable[str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """The colour of each group that has a variable of its own, and of each variable in one; the first group counts.

    Raises:
        QueryError: a group names a variable the net does not have.
    """
    colours: dict[str, str] = {}
    named: dict[str, str] = {}
    for i, (name, members) in enumerate(groups.items()):
        colour = GROUP_PALETTE[i % len(GROUP_PALETTE)]
        for v in members:
            if v not in net.index:
                raise QueryError("unknown variable in a group", found=repr(v), mend=did_you_mean(v, net.variables))
            if v not in colours:
                colours[v], named[name] = colour, colour
    return named, colours


def paint(
    stage: Stage, shown: Shown, cpts: tuple[str, ...] = (), title: str = "", figure: Callable[[], Figure] | None = None
) -> NetDrawing:
    """The drawing of what is shown on a stage.

    Raises:
        QueryError: `cpts` of a factor net, or of an unknown variable.
    """
    net = stage.net
    if cpts and not isinstance(net, WorldNet):
        mend = "look at net.factors"
        raise QueryError("a factor net has no conditional tables", found=list(cpts), mend=mend)
    parts = [*_columns(stage), *(_arrow(stage, edge, shown) for edge in stage.edges)]
    parts += [_box(stage, v, shown) for v in stage.variables]
    keys, width, bottom = _legend(shown, stage)
    parts += keys
    width = max(stage.size[0], width)
    for v in cpts:
        assert isinstance(net, WorldNet)
        marks, size = conditional_table(net, v).svg(MARGIN, bottom + 6)
        parts += marks
        width, bottom = max(width, size[0] + 2 * MARGIN), bottom + size[1] + 16
    name = title or _name(net, shown)
    svg = figure_element(width, bottom, name, parts)
    return NetDrawing(name, svg, _page(stage, (width, bottom), svg, title), figure or functools.partial(_figure, net))


def _name(net: WorldNet | FactorNet, shown: Shown) -> str:
    words = f"{net.name or 'A net'}, {len(net.variables)} variables"
    seen = [f"{v} = {net.states[v][s]}" for v, s in shown.observed.items()]
    seen += [f"do({v} = {net.states[v][s]})" for v, s in shown.forced.items()]
    more = f" and {len(seen) - 4} more" if len(seen) > 4 else ""
    return f"{words}, given {', '.join(seen[:4])}{more}" if seen else words


def _page(stage: Stage, size: tuple[float, float], svg: str, title: str) -> str:
    """The picture with a summary over each box that opens its table."""
    note = ""
    if stage.tables is None:
        note = '<p class="soft">Too many tables for one page: draw(cpts=["…"]) or draw(variables=[…]) shows some.</p>'
    group = f"cpt-{zlib.crc32(svg.encode()):08x}"  # of a group one is open
    over = size[1] >= TALL
    items = []
    for v, table in (stage.tables or {}).items():
        (left, top), (width, height) = stage.corners[v], stage.sizes[v]
        x, y, w, h = left / size[0], top / size[1], width / size[0], height / size[1]
        # By the stage's width: a table that opens below makes the stage higher, and no box may move for it.
        fallen, high = (f"{100 * part / size[0]:.4f}cqw" for part in (top, height))
        place = f"left:{x:.4%};top:{fallen};width:{w:.4%};height:{high}"
        across = f"left:{x:.4%}" if x + w / 2 < 0.5 else f"right:{1 - x - w:.4%}"
        down = f"top:calc({y + h:.4%} + 4px)" if y + h / 2 < 0.5 else f"bottom:calc({1 - y:.4%} + 4px)"
        spot = f' style="{across};{down}"' if over else ""
        words = f"Table of {escape(v)}"
        items.append(
            f'<details class="cpt" name="{group}"><summary style="{place}" title="{words}">{words}</summary>'
            f'<div class="table{" over" if over else ""}"{spot}>{table}</div></details>'
        )
    # A narrow page shrinks it while letters can be read, then scrolls.
    room = f"width:{number(size[0])}px;min-width:max(min({number(size[0])}px,46rem),{number(0.75 * size[0])}px)"
    heading = f"<p><b>{escape(title)}</b></p>" if title else ""
    return (
        f'<div class="worldnets"><style>{resource("style.css")}</style>{heading}'
        f'<div class="stage" style="{room}">{svg}{"".join(items)}</div>{note}</div>'
    )


def _columns(stage: Stage) -> list[str]:
    parts = []
    top = MARGIN + COLUMN_HEAD - 6
    for frame, (left, right) in stage.columns.items():
        place = f'x="{number(left - 4)}" y="{number(top)}" width="{number(right - left + 8)}"'
        height = number(stage.size[1] - top - MARGIN + 6)
        parts.append(f'<rect class="panel" {place} height="{height}" rx="6" fill="#f4f6f8"/>')
        parts.append(text((left + right) / 2, MARGIN + 2, f"frame {frame}", 10.5, tone="quiet"))
    return parts


def _arrow(stage: Stage, edge: Edge, shown: Shown) -> str:
    a, b = edge
    cut = ' stroke-dasharray="4 4" opacity="0.45"' if b in shown.forced else ""
    label = f"<title>{escape(a)} → {escape(b)}</title>" if isinstance(stage.net, WorldNet) else ""
    if edge in stage.ends:
        start, end = stage.ends[edge]
        kind, colour, tip = "link", "#9aa4ae", (0.0, 7.0)
        headed = isinstance(stage.net, WorldNet)
        points = [start, *stage.routes.get(edge, ()), (end[0], end[1] - (5.5 if headed else 0.0))]
        path = flowing(points)
    else:  # from one frame into the next
        kind, colour, tip = "link onward", "#a9744f", (7.0, 0.0)
        (left, top), (width, height) = stage.corners[a], stage.sizes[a]
        start = (left + width, top + height / 2)
        end = (stage.corners[b][0], stage.corners[b][1] + stage.sizes[b][1] / 2)
        reach = 0.45 * (end[0] - start[0])
        # An arrow along one row would hide behind the boxes it passes: let it rise into the gap above them.
        lift = 0.55 * height + 15 if abs(start[1] - end[1]) < 0.1 and end[0] - start[0] > 77 else 0.0
        path = f"M{number(start[0])} {number(start[1])}C{number(start[0] + reach)} {number(start[1] - lift)} "
        path += f"{number(end[0] - reach)} {number(end[1] - lift)} {number(end[0] - 5.5)} {number(end[1])}"
    line = f'<path class="{kind}" d="{path}" fill="none" stroke="{colour}" stroke-width="1.2"{cut}/>'
    if not isinstance(stage.net, WorldNet):
        return f"<g>{line}</g>"
    (ex, ey), (dx, dy) = end, tip
    corners = ((ex - dx - 0.5 * dy, ey - dy - 0.5 * dx), (ex, ey), (ex - dx + 0.5 * dy, ey - dy + 0.5 * dx))
    points_ = " ".join(f"{number(x)},{number(y)}" for x, y in corners)
    head = f'<polygon class="{kind.replace("link", "head")}" points="{points_}" fill="{colour}"/>'
    return f"<g>{label}{line}{head}</g>"


def _box(stage: Stage, v: str, shown: Shown) -> str:
    (left, top), (width, height) = stage.corners[v], stage.sizes[v]
    observed, forced = v in shown.observed, v in shown.forced
    state = shown.forced.get(v, shown.observed.get(v))
    place = f'x="{number(left)}" y="{number(top)}" width="{number(width)}" height="{number(height)}" rx="4"'
    colour = shown.colours.get(v)
    if observed or forced:
        frame = 'class="observed" stroke="#b36b00" stroke-width="2" fill="#f5ebdc"'
    elif v in shown.doubted:
        frame = 'class="paper doubted" stroke="#b36b00" stroke-width="1.6" stroke-dasharray="5 3" fill="#ffffff"'
    elif colour:
        frame = f'class="grouped" style="--group:{colour}" stroke="{colour}" stroke-width="1.5" fill="{_pale(colour)}"'
    else:
        frame = 'class="paper edge" stroke="#9aa4ae" fill="#ffffff"'
    how = " (set by do)" if forced else " (observed)" if observed else ""
    parts = [f'<g data-variable="{stage.net.index[v]}"><title>{escape(v)}{how}</title><rect {frame} {place}/>']
    if forced:
        inner = (
            f'x="{number(left + 3)}" y="{number(top + 3)}" width="{number(width - 6)}" height="{number(height - 6)}"'
        )
        parts.append(f'<rect class="inner" {inner} rx="2" fill="none" stroke="#b36b00"/>')
    parts.append(text(left + width / 2, top + HEAD / 2 + 1, stage.name(v), TITLE))
    labels = stage.net.states[v]
    if v in shown.now:
        parts += _bars(stage, v, shown, observed or forced)
    elif state is not None:
        words = shortened(str(labels[state]), LONGEST_LABEL)
        parts.append(text(left + width / 2, top + HEAD + LINE / 2, words, STATE))
    return "".join([*parts, "</g>"])


def _bars(stage: Stage, v: str, shown: Shown, seen: bool) -> list[str]:
    (left, top), (width, _) = stage.corners[v], stage.sizes[v]
    labels = [shortened(str(label), LONGEST_LABEL) for label in stage.net.states[v]]
    start = left + width - PAD - PERCENT - TROUGH
    kind, colour = ("bar seen", "#b36b00") if seen else ("bar", "#0072b2")
    parts = []
    for i, bar in enumerate(bars(labels, shown.now[v], shown.before.get(v), shown.doubted.get(v))):
        y, now = top + HEAD + LINE * (i + 0.5), bar.now or 0.0
        spot = f'x="{number(start)}" y="{number(y - 4)}" height="8"'
        parts += [
            text(start - 5, y, bar.label, STATE, "end"),
            f'<rect class="trough" {spot} width="{number(TROUGH)}" fill="#e4e8ec"/>',
            f'<rect class="{kind}" {spot} width="{TROUGH * now:.2f}" fill="{colour}"/>',
            text(left + width - PAD, y, percent(now), STATE, "end"),
        ]
        if bar.other is not None:
            x = start + TROUGH * bar.other
            line = f'x1="{x:.2f}" x2="{x:.2f}" y1="{number(y - 6)}" y2="{number(y + 6)}"'
            parts.append(f'<line class="tick" {line} stroke="#22272e" stroke-width="1.4"/>')
        if bar.likelihood is not None:
            at = f'cx="{start + TROUGH * bar.likelihood:.2f}" cy="{number(y)}" r="2.6"'
            parts.append(f'<circle class="paper ring" {at} fill="#ffffff" stroke="#b36b00" stroke-width="1.2"/>')
    return parts


def _pale(colour: str) -> str:
    rgb: NDArray[np.int64] = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return "#" + "".join(f"{round(c + (255 - c) * 0.86):02x}" for c in rgb.tolist())


def _legend(shown: Shown, stage: Stage) -> tuple[list[str], float, float]:
    """The legend's marks, how wide they are and where they end."""
    keys: list[tuple[str, str]] = []
    here = {shown.colours[v] for v in stage.variables if v in shown.colours}
    for name, colour in shown.groups.items():
        if colour in here:
            style = f'class="grouped" style="--group:{colour}" stroke="{colour}" fill="{_pale(colour)}"'
            keys.append((f"<rect {style}", name.replace("_", " ")))
    if shown.observed:
        keys.append(('<rect class="observed" stroke="#b36b00" fill="#f5ebdc"', "observed"))
    if shown.forced:
        keys.append(('<rect class="observed" stroke="#b36b00" stroke-width="3" fill="#f5ebdc"', "set by do()"))
    if shown.doubted:
        dashed = '<rect class="paper doubted" stroke="#b36b00" stroke-dasharray="3 2" fill="#ffffff"'
        keys.append((dashed, "soft evidence, a ring at its likelihood"))
    if shown.before and shown.now:
        keys.append(('<rect class="inked" fill="#22272e"', "a line at the belief before"))
    x, y, widest = MARGIN, stage.size[1] + 4, 0.0
    parts = []
    for mark, words in keys:
        room = 18 + text_width(words, 10) + 16
        if x > MARGIN and x + room > max(stage.size[0], 420.0):
            x, y = MARGIN, y + 17
        narrow = 'width="2.4"' if "inked" in mark else 'width="12"'
        parts.append(f'{mark} x="{number(x)}" y="{number(y - 5)}" {narrow} height="10" rx="2"/>')
        parts.append(text(x + 18, y, words, 10, "start"))
        x += room
        widest = max(widest, x)
    if shown.impossible:
        y += 17 if keys else 0
        words = "This evidence is impossible: no beliefs."
        parts.append(text(MARGIN, y, words, 11, "start", weight="600"))
        widest = max(widest, MARGIN * 2 + 1.1 * text_width(words, 11))
    return parts, widest, (y + 14 if parts else stage.size[1])
