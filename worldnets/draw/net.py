"""Pictures of nets and of beliefs in them.

>>> import pandas as pd
>>> import worldnets as wn
>>> net = wn.load_dataset("asia").net
>>> draw_net(net)  # layers from causes to effects; a clip as one column per frame
<Picture size ... with 1 Axes>
>>> evidence = {"xray": "yes", "dysp": "yes"}
>>> row = pd.DataFrame([evidence])
>>> exact, loopy = wn.Inference(net).query(row), wn.LoopyInference(net).query(row, rounds=20)
>>> draw_net(net, exact, evidence=evidence).savefig("asia.png")
>>> draw_net(net, exact, evidence, beside=loopy, names=("exact", "loopy"))  # two bars a state, KL in bits
<Picture size ... with 1 Axes>
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path
from numpy.typing import ArrayLike

from worldnets.draw.boxes import TITLE_POINTS, Box, apart, draw_box
from worldnets.draw.figure import Picture, lightened, literal, text_width
from worldnets.draw.given import Bar, Row, bars, one_evidence, one_likelihood, one_row, shortened
from worldnets.draw.given import distance as measured
from worldnets.draw.palette import ARROW, BAR, BESIDE, EVIDENCE, GROUP_PALETTE, INK
from worldnets.draw.routes import ports
from worldnets.errors import QueryError, did_you_mean
from worldnets.inference.beliefs import Beliefs
from worldnets.layout import Edge, Layout, Point, Size, framed, layered, split_frames
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd

LONGEST_SIDE = 60.0  # inches; larger nets are scaled down to it
LONGEST_NAME, LONGEST_LABEL = 30, 22  # characters


def draw_net(
    net: WorldNet | FactorNet,
    beliefs: Beliefs | Mapping[str, ArrayLike] | None = None,
    evidence: Mapping[str, Label] | pd.DataFrame | None = None,
    *,
    likelihood: Mapping[str, ArrayLike] | None = None,
    before: int | Beliefs | Mapping[str, ArrayLike] | None = None,
    beside: int | Beliefs | Mapping[str, ArrayLike] | None = None,
    names: tuple[str, str] | None = None,
    distance: Literal["auto", "kl", "tv", "none"] = "auto",
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
        evidence: the observed variables and their states, or the query's table, of which row `row` counts; their boxes
            are filled.
        likelihood: soft evidence, variable → p(finding | state) of shape [states] or [rows, states]; their boxes have
            a dashed border, and a ring on each bar's line stands at the likelihood (largest = 1).
        before: what to compare with, marked by a tick on each bar: another row of `beliefs`, or beliefs in either form.
        beside: the same, drawn as a second bar below each first one, with its own numbers.
        names: what `beliefs` and the compared beliefs are called in the legend, ("exact", "loopy") for example.
        distance: what is printed below the bars of each variable that has both: "kl", Σ b log2(b / b′) in bits of
            `beliefs` b from the compared b′; "tv", ½ Σ |b − b′|; "auto": "kl" with `beside`, nothing with `before`.
        row: which row of `beliefs` (and of `beside` or `before`, if it is another query's answer).
        groups: name → variables to be given one colour, shown in a legend (a dataset's `roles`, for example); where a
            variable is in several groups the first counts.
        arrangement: "frames" puts the frames of a clip side by side, "layers" causes above effects; "auto" takes
            frames when all variables are named as a clip's are.
        title: printed above.
        ax: axes to draw in, default a new figure of fitting size. Letters are scaled to fit.
    Returns:
        The figure.
    Raises:
        QueryError: `groups` or `beliefs` name a variable the net does not have, beliefs have no such row or are no
            distributions over the net's states, both `before` and `beside` are given, or frames are asked of a static
            net.
        EvidenceError: `evidence` or `likelihood` name an unknown variable or state, or have a wrong shape.
    """
    if before is not None and beside is not None:
        raise QueryError("one comparison at a time", found="before and beside", mend="draw two pictures")
    if distance not in ("auto", "kl", "tv", "none"):
        raise QueryError("unknown distance", found=repr(distance), expected="'kl', 'tv' or 'none'", mend="use one")
    observed = one_evidence(net, evidence, row)
    doubted = one_likelihood(net, likelihood, row)
    now = one_row(net, beliefs, row)
    against = before if beside is None else beside
    other = one_row(net, beliefs, int(against)) if isinstance(against, int | np.integer) else one_row(net, against, row)
    kind = ("kl" if beside is not None else "none") if distance == "auto" else distance
    colours = _group_colours(net, groups or {})
    frames = None if arrangement == "layers" else split_frames(net.variables)
    if arrangement == "frames" and frames is None:
        mend = "unroll a TwoSliceNet, or draw it in layers"
        raise QueryError("this net is no clip", expected="variables named like diamond_1, diamond_2", mend=mend)
    boxes = {
        v: Box(
            shortened(frames[v][0] if frames else v, LONGEST_NAME),
            _bars(net, v, now, other, observed, doubted),
            observed=v in observed,
            doubted=v in doubted and v not in observed,
            colour=colours.get(v),
            beside=beside is not None,
            note=apart(measured(now[v], other[v], kind), kind) if kind != "none" and v in now and v in other else "",
        )
        for v in net.variables
    }
    sizes = {v: box.size for v, box in boxes.items()}
    edges = _edges(net)
    layout = framed(edges, sizes, frames) if frames else layered(edges, sizes)
    impossible = any(not table.any() for table in now.values())
    compared = bool(now) and bool(other)
    keys = _keys(groups or {}, colours, bool(observed), bool(doubted), names, compared, beside is not None, impossible)
    figure, ax, scale, in_line = _canvas(layout, title, bool(layout.columns), keys, ax)
    for frame, (left, right) in layout.columns.items():
        band = FancyBboxPatch(
            (left, -0.02), right - left, layout.size[1] + 0.04, "round,pad=0.04", fc="#F4F6F8", ec="none"
        )
        ax.add_patch(band)
        ax.text((left + right) / 2, -0.16, f"frame {frame}", ha="center", size=scale * TITLE_POINTS, color=ARROW)
    _draw_edges(ax, net, edges, sizes, layout, frames, scale)
    for v, box in boxes.items():
        draw_box(ax, box, layout.centres[v], scale)
    if keys:
        ax.legend(
            handles=keys, loc="lower left", ncols=in_line, fontsize=scale * 7, frameon=False, borderpad=0.1,
            handlelength=1.4, columnspacing=1.2,
        )  # fmt: skip
    return figure


def _edges(net: WorldNet | FactorNet) -> list[Edge]:
    if isinstance(net, WorldNet):
        return [(parent, v) for v in net.variables for parent in net.parents(v)]
    return [(a, b) if net.index[a] < net.index[b] else (b, a) for a, b in net.graph.edges]


def _bars(
    net: WorldNet | FactorNet, v: str, now: Row, other: Row, observed: Mapping[str, int], doubted: Row
) -> tuple[Bar, ...]:
    labels = [shortened(str(label), LONGEST_LABEL) for label in net.states[v]]
    if v not in now:
        return (Bar(labels[observed[v]], None, None, None),) if v in observed else ()
    return tuple(bars(labels, now[v], other.get(v), doubted.get(v)))


def _group_colours(net: WorldNet | FactorNet, groups: Mapping[str, Iterable[str]]) -> dict[str, str]:
    colours: dict[str, str] = {}
    for i, members in enumerate(groups.values()):
        for v in members:
            if v not in net.index:
                raise QueryError("unknown variable in a group", found=repr(v), mend=did_you_mean(v, net.variables))
            colours.setdefault(v, GROUP_PALETTE[i % len(GROUP_PALETTE)])
    return colours


def _canvas(
    layout: Layout, title: str, columns: bool, keys: Sequence[Any], ax: Axes | None
) -> tuple[Figure, Axes, float, int]:
    """Figure, axes with the unit inch, what letters must be scaled by, and the legend's columns."""
    widths = [text_width(key.get_label(), 7.0) + 0.36 for key in keys]
    width = max(layout.size[0] + 0.1, *widths, 0.0)
    in_line = next((n for n in range(len(keys), 1, -1) if _legend_width(widths, n) <= width), 1)
    above = (0.3 if columns else 0.0) + 0.08
    below = 0.14 + 0.2 * -(-len(keys) // in_line) if keys else 0.08
    height = layout.size[1] + above + below
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
        ax.set_title(literal(title), size=scale * 10, color=INK, pad=4)
    return figure, ax, float(scale), in_line


def _legend_width(widths: Sequence[float], columns: int) -> float:
    """Matplotlib fills a legend column by column, each as wide as its widest entry."""
    lines = -(-len(widths) // columns)
    return sum(max(widths[first : first + lines]) for first in range(0, len(widths), lines))


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
    ends = ports(inside, sizes, layout, 0.16)
    style = "-|>,head_length=0.32,head_width=0.16" if isinstance(net, WorldNet) else "-"
    for edge in edges:
        (xa, ya), (xb, yb) = layout.centres[edge[0]], layout.centres[edge[1]]
        if edge in ends:
            start, end = ends[edge]
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


def _flowing(points: Sequence[Point]) -> Path:
    """A smooth curve through points that go down, vertical at each of them."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for (xa, ya), (xb, yb) in pairwise(points):
        bend = 0.5 * (yb - ya)
        vertices += [(xa, ya + bend), (xb, yb - bend), (xb, yb)]
        codes += [Path.CURVE4] * 3
    return Path(vertices, codes)


def _keys(
    groups: Mapping[str, Iterable[str]],
    colours: Mapping[str, str],
    observed: bool,
    doubted: bool,
    names: tuple[str, str] | None,
    compared: bool,
    beside: bool,
    impossible: bool,
) -> list[Any]:
    """The legend's entries."""
    keys: list[Any] = []
    for i, name in enumerate(groups):
        colour = GROUP_PALETTE[i % len(GROUP_PALETTE)]
        if colour in colours.values():  # not if earlier groups hold all its variables
            keys.append(Patch(fc=lightened(colour, 0.86), ec=colour, label=literal(name.replace("_", " "))))
    line = mpl.lines.Line2D
    if observed:
        keys.append(Patch(fc=lightened(EVIDENCE, 0.72), ec=EVIDENCE, label="observed"))
    if doubted:
        keys.append(Patch(fc="white", ec=EVIDENCE, ls=(0, (3, 1.6)), label="soft evidence"))
        keys.append(line([], [], marker="o", ls="none", mfc="white", mec="#A86F00", ms=3.5, label="its likelihood"))
    if compared and (beside or names):
        keys.append(Patch(fc=BAR, label=literal(names[0] if names else "belief")))
    if compared and beside:
        keys.append(Patch(fc=BESIDE, label=literal(names[1] if names else "beside it")))
    elif compared:
        label = literal(names[1] if names else "belief before")
        keys.append(line([], [], color=INK, marker="|", ls="none", ms=7, label=label))
    if impossible:
        keys.append(Patch(fc="none", ec="none", label="this evidence is impossible: no beliefs"))
    return keys
