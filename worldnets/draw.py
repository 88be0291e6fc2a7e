"""Pictures of nets and of beliefs in them.

>>> draw_net(net)  # layers from causes to effects; a clip as one column per frame
>>> draw_net(net, engine.query(evidence), evidence={"HR": "HIGH"}).savefig("alarm.png")

Figures are made without pyplot, so that nothing global is changed; they show themselves in a notebook.
"""

from __future__ import annotations

import functools
import io
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import QueryError, did_you_mean
from worldnets.inference.beliefs import Beliefs
from worldnets.layout import Edge, Layout, Point, Size, framed, layered, split_frames
from worldnets.net import FactorNet, Label, WorldNet

# Okabe & Ito's palette, told apart by colour-blind readers too; lightened for filling boxes.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
GROUP_PALETTE = ("#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999")  # observed boxes are orange
INK, ARROW, EVIDENCE, BAR, TROUGH = "#22272E", "#7B8794", "#E69F00", "#0072B2", "#E4E8EC"

TITLE_POINTS, STATE_POINTS = 7.5, 6.0
STATES_SHOWN = 8
LONGEST_SIDE = 60.0  # inches; larger nets are scaled down to it
_HEAD, _LINE, _PAD, _TROUGH_WIDTH, _PERCENT_WIDTH = 0.2, 0.125, 0.06, 0.42, 0.29


class Picture(Figure):
    """A matplotlib figure that shows itself in a notebook without pyplot."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        FigureCanvasAgg(self)

    def _repr_svg_(self) -> str:
        return svg(self)


def draw_net(
    net: WorldNet | FactorNet,
    beliefs: Beliefs | Mapping[str, ArrayLike] | None = None,
    evidence: Mapping[str, Label] | None = None,
    *,
    before: int | Beliefs | Mapping[str, ArrayLike] | None = None,
    row: int = 0,
    groups: Mapping[str, Iterable[str]] | None = None,
    arrangement: Literal["auto", "layers", "frames"] = "auto",
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw a net, with its beliefs if there are any.

    Args:
        net: what to draw; a `FactorNet` as its Markov graph.
        beliefs: a query's answer, of which row `row` is shown, or variable → probabilities [states]. Variables it does
            not hold are drawn as names only.
        evidence: the observed variables and their states; their boxes are filled.
        before: what to compare with, marked by a tick on each bar: another row of `beliefs`, or beliefs in either form.
        row: which row of `beliefs` (and of `before`, if it is another query's answer).
        groups: name → variables to be given one colour, shown in a legend (a dataset's `roles`, for example); where a
            variable is in several groups the first counts.
        arrangement: "frames" puts the frames of a clip side by side, "layers" causes above effects; "auto" takes
            frames when all variables are named as a clip's are.
        title: printed above.
        ax: axes to draw in, default a new figure of fitting size. Letters are scaled to fit.
    Returns:
        The figure.
    Raises:
        QueryError: `groups` or `beliefs` name a variable the net does not have, or frames are asked of a static net.
        EvidenceError: `evidence` names an unknown variable or state.
    """
    observed = {v: net.code(v, label) for v, label in (evidence or {}).items()}
    now = _one_row(net, beliefs, row)
    then = _one_row(net, beliefs, before) if isinstance(before, int) else _one_row(net, before, row)
    colours = _group_colours(net, groups or {})
    frames = None if arrangement == "layers" else split_frames(net.variables)
    if arrangement == "frames" and frames is None:
        mend = "unroll a TwoSliceNet, or draw it in layers"
        raise QueryError("this net is no clip", expected="variables named like diamond_1, diamond_2", mend=mend)
    names = {v: frames[v][0] if frames else v for v in net.variables}
    rows = {v: _state_rows(net, v, now, then, observed) for v in net.variables}
    sizes = {v: _box_size(names[v], rows[v]) for v in net.variables}
    edges = _edges(net)
    layout = framed(edges, sizes, frames) if frames else layered(edges, sizes)
    figure, ax, scale = _canvas(layout, title, bool(layout.columns), groups, observed, ax)
    for frame, (left, right) in layout.columns.items():
        band = FancyBboxPatch(
            (left, -0.02), right - left, layout.size[1] + 0.04, "round,pad=0.04", fc="#F4F6F8", ec="none"
        )
        ax.add_patch(band)
        ax.text((left + right) / 2, -0.16, f"frame {frame}", ha="center", size=scale * TITLE_POINTS, color=ARROW)
    _draw_edges(ax, net, edges, sizes, layout, frames, scale)
    for v in net.variables:
        _draw_box(ax, names[v], layout.centres[v], sizes[v], rows[v], v in observed, colours.get(v), bool(then), scale)
    _legend(ax, groups or {}, colours, bool(observed), bool(then and now), scale)
    return figure


def draw_beliefs(
    beliefs: Beliefs,
    variables: Sequence[str] | None = None,
    *,
    labels: Sequence[Hashable] | None = None,
    title: str = "",
    columns: int = 4,
) -> Figure:
    """How beliefs change from row to row: one small panel per variable, one stacked bar per row of evidence.

    Give a query rows in which evidence arrives one finding at a time, and the picture is read from top to bottom.

    Args:
        beliefs: a query's answer.
        variables: the panels, in order; default all variables queried.
        labels: what stands beside each row, default the index of the evidence.
        title: printed above.
        columns: panels side by side.
    Raises:
        QueryError: a variable was not queried, or there is not one label per row.
    """
    variables = beliefs.variables if variables is None else tuple(variables)
    index = range(len(beliefs)) if beliefs.index is None else beliefs.index
    shown = [str(label) for label in (index if labels is None else labels)]
    if len(shown) != len(beliefs):
        raise QueryError("one label per row is needed", found=len(shown), expected=len(beliefs), mend="adapt `labels`")
    columns = min(columns, len(variables))
    lines = -(-len(variables) // columns)
    beside = max(_text_width(label, 8.0) for label in shown) + 0.15
    height = 0.17 * len(shown) + 0.62
    size = (beside + columns * 1.75, lines * height + (0.3 if title else 0.0))
    figure = Picture(figsize=size, layout="constrained")
    figure.suptitle(title, size=10) if title else None
    axes = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    for ax in axes[len(variables) :]:
        ax.set_axis_off()
    for ax, variable in zip(axes, variables, strict=False):
        table, states = beliefs[variable], beliefs.states[variable]
        left = np.zeros(len(beliefs))
        for i, state in enumerate(states):
            ax.barh(
                np.arange(len(left)),
                table[:, i],
                left=left,
                height=0.78,
                color=_shade(i, len(states)),
                label=str(state),
            )
            left = left + table[:, i]
        ax.set_title(variable, size=8, color=INK)
        ax.set(xlim=(0, 1), ylim=(len(left) - 0.5, -0.5), xticks=[0, 0.5, 1], xticklabels=["0", "½", "1"])
        ax.set_yticks(range(len(left)), shown)
        ax.tick_params(labelsize=7, length=2, colors=INK)
        ax.spines[:].set_visible(False)
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.16 * 1.2 / (height - 0.5)), ncols=2, fontsize=6, frameon=False,
            handlelength=0.8, columnspacing=0.8, borderpad=0.0,
        )  # fmt: skip
    return figure


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


def _edges(net: WorldNet | FactorNet) -> list[Edge]:
    if isinstance(net, WorldNet):
        return [(parent, v) for v in net.variables for parent in net.parents(v)]
    return [(a, b) if net.index[a] < net.index[b] else (b, a) for a, b in net.graph.edges]


def _one_row(
    net: WorldNet | FactorNet, beliefs: Beliefs | Mapping[str, ArrayLike] | None, row: int
) -> dict[str, NDArray[np.float64]]:
    if beliefs is None:
        return {}
    if isinstance(beliefs, Beliefs):
        if not -len(beliefs) <= row < len(beliefs):
            raise QueryError(
                "no such row of beliefs", found=row, expected=f"0 to {len(beliefs) - 1}", mend="change `row`"
            )
        given: Mapping[str, Any] = {v: beliefs[v][row] for v in beliefs.variables}
    else:
        given = beliefs
    net.check_variables(given, error=QueryError)
    found = {v: np.asarray(table, dtype=float) for v, table in given.items()}
    for v, table in found.items():
        if table.shape != (len(net.states[v]),):
            mend = "give one probability per state"
            raise QueryError(
                "beliefs of the wrong shape", node=v, found=table.shape, expected=len(net.states[v]), mend=mend
            )
    return found


def _group_colours(net: WorldNet | FactorNet, groups: Mapping[str, Iterable[str]]) -> dict[str, str]:
    colours: dict[str, str] = {}
    for i, members in enumerate(groups.values()):
        for v in members:
            if v not in net.index:
                raise QueryError("unknown variable in a group", found=repr(v), mend=did_you_mean(v, net.variables))
            colours.setdefault(v, GROUP_PALETTE[i % len(GROUP_PALETTE)])
    return colours


# A row of a box: the state's label, its probability now and before (None where not known).
_StateRow = tuple[str, float | None, float | None]


def _state_rows(
    net: WorldNet | FactorNet,
    v: str,
    now: Mapping[str, NDArray[np.float64]],
    then: Mapping[str, NDArray[np.float64]],
    observed: Mapping[str, int],
) -> list[_StateRow]:
    labels = [str(label) for label in net.states[v]]
    if v not in now:
        return [(labels[observed[v]], None, None)] if v in observed else []
    old = then.get(v)
    rows: list[_StateRow] = [
        (label, float(now[v][i]), None if old is None else float(old[i])) for i, label in enumerate(labels)
    ]
    if len(rows) <= STATES_SHOWN:
        return rows
    kept = sorted(np.argsort(-now[v], kind="stable")[: STATES_SHOWN - 1])
    rest = [i for i in range(len(rows)) if i not in kept]
    others = (f"{len(rest)} others", float(now[v][rest].sum()), None if old is None else float(old[rest].sum()))
    return [*(rows[i] for i in kept), others]


def _box_size(name: str, rows: Sequence[_StateRow]) -> Size:
    width = _text_width(name, TITLE_POINTS)
    if rows:
        bars = _TROUGH_WIDTH + _PERCENT_WIDTH + _PAD if rows[0][1] is not None else 0.0
        width = max(width, bars + max(_text_width(label, STATE_POINTS) for label, _, _ in rows))
    return (width + 2 * _PAD + 0.04, _HEAD + _LINE * len(rows) + (0.05 if rows else 0.04))


@functools.lru_cache(maxsize=4096)
def _text_width(text: str, points: float) -> float:
    return float(TextPath((0, 0), text, size=points).get_extents().width) / 72 if text.strip() else 0.0


def _canvas(
    layout: Layout,
    title: str,
    columns: bool,
    groups: Mapping[str, Iterable[str]] | None,
    observed: Mapping[str, int],
    ax: Axes | None,
) -> tuple[Figure, Axes, float]:
    above = (0.3 if columns else 0.0) + 0.08
    below = 0.34 if groups or observed else 0.08
    width, height = layout.size[0] + 0.1, layout.size[1] + above + below
    if ax is None:
        shrink = min(1.0, LONGEST_SIDE / max(width, height + 0.3))
        head = 0.3 if title else 0.0
        figure: Figure = Picture(figsize=(shrink * width, shrink * (height + head)))
        ax = figure.add_axes((0.0, 0.0, 1.0, height / (height + head)))
    else:
        figure = ax.get_figure(root=True)  # type: ignore[assignment]
    ax.set(xlim=(-0.05, width - 0.05), ylim=(layout.size[1] + below, -above), aspect="equal")
    ax.set_axis_off()
    place = ax.get_window_extent()
    scale = min(place.width / figure.dpi / width, place.height / figure.dpi / height)
    if title:
        ax.set_title(title, size=scale * 10, color=INK, pad=4)
    return figure, ax, float(scale)


def _draw_box(
    ax: Axes,
    name: str,
    centre: Point,
    size: Size,
    rows: Sequence[_StateRow],
    observed: bool,
    colour: str | None,
    compared: bool,
    scale: float,
) -> None:
    left, top = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    edge = EVIDENCE if observed else colour or ARROW
    fill = _lightened(EVIDENCE, 0.72) if observed else _lightened(colour, 0.86) if colour else "white"
    style = "round,pad=0,rounding_size=0.06"
    width = scale * (1.6 if observed or colour else 0.9)
    ax.add_patch(FancyBboxPatch((left, top), *size, style, fc=fill, ec=edge, lw=width, zorder=3))
    middle = top + (_HEAD / 2 + 0.01 if rows else size[1] / 2)
    words = {"zorder": 4, "color": INK, "va": "center_baseline"}
    ax.text(centre[0], middle, name, ha="center", size=scale * TITLE_POINTS, **words)  # type: ignore[arg-type]
    right = left + size[0] - _PAD
    bars, troughs = [], []
    for i, (label, now, then) in enumerate(rows):
        y = top + _HEAD + _LINE * (i + 0.5)
        if now is None:
            ax.text(centre[0], y, label, ha="center", size=scale * STATE_POINTS, **words)  # type: ignore[arg-type]
            continue
        start = right - _PERCENT_WIDTH - _TROUGH_WIDTH
        ax.text(start - _PAD, y, label, ha="right", size=scale * STATE_POINTS, **words)  # type: ignore[arg-type]
        ax.text(right, y, _percent(now), ha="right", size=scale * STATE_POINTS, **words)  # type: ignore[arg-type]
        troughs.append(Rectangle((start, y - _LINE * 0.34), _TROUGH_WIDTH, _LINE * 0.68))
        bars.append(Rectangle((start, y - _LINE * 0.34), _TROUGH_WIDTH * now, _LINE * 0.68))
        if compared and then is not None:
            x = start + _TROUGH_WIDTH * then
            ax.plot([x, x], [y - _LINE * 0.48, y + _LINE * 0.48], color=INK, lw=scale * 1.1, zorder=6)
    ax.add_collection(PatchCollection(troughs, facecolor="#FFFFFF" if observed else TROUGH, edgecolor="none", zorder=4))
    ax.add_collection(PatchCollection(bars, facecolor=EVIDENCE if observed else BAR, edgecolor="none", zorder=5))


def _percent(probability: float) -> str:
    if 0 < probability < 0.01:
        return "<1%"
    if 0.99 < probability < 1 - 1e-12:
        return ">99%"
    return f"{100 * probability:.0f}%"


def _draw_edges(
    ax: Axes,
    net: WorldNet | FactorNet,
    edges: Sequence[Edge],
    sizes: Mapping[str, Size],
    layout: Layout,
    frames: Mapping[str, tuple[str, int]] | None,
    scale: float,
) -> None:
    inside = [edge for edge in edges if not frames or frames[edge[0]][1] == frames[edge[1]][1]]
    ports = _ports(inside, sizes, layout)
    style = "-|>,head_length=0.32,head_width=0.16" if isinstance(net, WorldNet) else "-"
    for edge in edges:
        (xa, ya), (xb, yb) = layout.centres[edge[0]], layout.centres[edge[1]]
        if edge in ports:
            start, end = ports[edge]
            path = _flowing([start, *layout.routes.get(edge, ()), end])
            colour = ARROW
        else:  # from one frame into the next
            a = (xa + sizes[edge[0]][0] / 2, ya)
            b = (xb - sizes[edge[1]][0] / 2, yb)
            reach = 0.45 * (b[0] - a[0])
            # An arrow along one row would hide behind the boxes it passes: let it rise into the gap above them.
            lift = 0.55 * sizes[edge[0]][1] + 0.16 if abs(ya - yb) < 1e-9 and b[0] - a[0] > 0.8 else 0.0
            path = Path([a, (a[0] + reach, a[1] - lift), (b[0] - reach, b[1] - lift), b], [1, 4, 4, 4])
            colour = "#A9744F"
        arrow = FancyArrowPatch(
            path=path,
            arrowstyle=style,
            mutation_scale=scale * 14,
            lw=scale * 0.8,
            color=colour,
            zorder=2,
            capstyle="butt",
        )
        ax.add_patch(arrow)


def _ports(edges: Sequence[Edge], sizes: Mapping[str, Size], layout: Layout) -> dict[Edge, tuple[Point, Point]]:
    """Where each arrow leaves its parent's lower side and meets its child's upper side, ordered by the far ends."""
    leaving, arriving = defaultdict(list), defaultdict(list)
    for edge in edges:
        via = [x for x, _ in layout.routes.get(edge, ())]
        leaving[edge[0]].append(((via or [layout.centres[edge[1]][0]])[0], edge))
        arriving[edge[1]].append(((via or [layout.centres[edge[0]][0]])[-1], edge))
    starts: dict[Edge, Point] = {}
    ends: dict[Edge, Point] = {}
    for places, side, table in ((leaving, 1, starts), (arriving, -1, ends)):
        for v, far in places.items():
            (x, y), (width, height) = layout.centres[v], sizes[v]
            room = min(0.6 * width, 0.16 * (len(far) - 1))
            offsets = np.linspace(-room / 2, room / 2, len(far)) if len(far) > 1 else [0.0]
            for offset, (_, edge) in zip(offsets, sorted(far), strict=True):
                table[edge] = (x + float(offset), y + side * height / 2)
    return {edge: (starts[edge], ends[edge]) for edge in edges}


def _flowing(points: Sequence[Point]) -> Path:
    """A smooth curve through points that go down, vertical at each of them."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (xa, ya), (xb, yb) in pairwise(points):
        bend = 0.5 * (yb - ya)
        vertices += [(xa, ya + bend), (xb, yb - bend), (xb, yb)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)


def _legend(
    ax: Axes,
    groups: Mapping[str, Iterable[str]],
    colours: Mapping[str, str],
    observed: bool,
    compared: bool,
    scale: float,
) -> None:
    handles: list[Any] = []
    for i, name in enumerate(groups):
        colour = GROUP_PALETTE[i % len(GROUP_PALETTE)]
        if colour in colours.values():  # not if earlier groups hold all its variables
            handles.append(Patch(fc=_lightened(colour, 0.86), ec=colour, label=name.replace("_", " ")))
    if observed:
        handles.append(Patch(fc=_lightened(EVIDENCE, 0.72), ec=EVIDENCE, label="observed"))
    if compared:
        handles.append(mpl.lines.Line2D([], [], color=INK, marker="|", ls="none", ms=scale * 7, label="belief before"))
    if handles:
        ax.legend(
            handles=handles, loc="lower left", ncols=len(handles), fontsize=scale * 7, frameon=False, borderpad=0.1,
            handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip


def _lightened(colour: str, share: float) -> tuple[float, ...]:
    rgb = np.array(mpl.colors.to_rgb(colour))
    return tuple(float(c) for c in rgb + (1 - rgb) * share)


def _shade(i: int, states: int) -> Any:
    if states <= len(PALETTE) - 1:
        return PALETTE[i]
    return mpl.colormaps["viridis"](i / max(1, states - 1))
