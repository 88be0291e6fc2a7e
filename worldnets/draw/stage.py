"""Where the boxes of a net stand in a drawing. It depends on the net and on which boxes have bars, never on beliefs.

So a picture stays still while evidence changes, and is laid out once.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from worldnets.draw.drawing import text_width
from worldnets.draw.given import STATES_SHOWN, shortened
from worldnets.draw.routes import ports
from worldnets.draw.tables import conditional_table
from worldnets.errors import QueryError
from worldnets.layout import Edge, Layout, Point, Size, framed, layered, split_frames
from worldnets.net import FactorNet, WorldNet

Arrangement = Literal["auto", "layers", "frames"]

TITLE, STATE, HEAD, LINE, PAD, TROUGH, PERCENT, MARGIN = 11.5, 9.5, 19.0, 13.0, 7.0, 46.0, 34.0, 14.0
CELLS_IN_PAGE = 40_000  # of all tables together; beyond, a page would be too heavy to open
COLUMN_HEAD = 18.0  # room for "frame 3" above a column
LONGEST_NAME, LONGEST_LABEL = 28, 18  # characters
_INCH = 96.0  # layouts are in inches


@dataclass(frozen=True)
class Stage:
    """Places of a net's boxes and arrows, in pixels.

    Attributes:
        net: what is drawn.
        variables: those with a box, in the net's order.
        frames: of a clip, name → (variable, frame); None for layers.
        corners, sizes: of each box: upper left corner; width and height.
        edges: the arrows between boxes.
        ends: where arrows leave and arrive; those of an arrow from one frame into the next are not among them.
        routes: points an arrow passes between its ends.
        columns: frame → (left, right).
        size: of the whole, margins included.
    """

    net: WorldNet | FactorNet
    variables: tuple[str, ...]
    frames: Mapping[str, tuple[str, int]] | None
    corners: Mapping[str, Point]
    sizes: Mapping[str, Size]
    edges: tuple[Edge, ...]
    ends: Mapping[Edge, tuple[Point, Point]]
    routes: Mapping[Edge, tuple[Point, ...]]
    columns: Mapping[int, tuple[float, float]]
    size: Size

    @functools.cached_property
    def tables(self) -> Mapping[str, str] | None:
        """Markup of each box's conditional table; None where all together are too many for a page."""
        if not isinstance(self.net, WorldNet):
            return {}
        tables = {v: conditional_table(self.net, v) for v in self.variables}
        if sum(table.cells for table in tables.values()) > CELLS_IN_PAGE:
            return None
        return {v: table.html() for v, table in tables.items()}

    def name(self, variable: str) -> str:
        """What stands in the box: in a frame's column without the frame's number."""
        return shortened(self.frames[variable][0] if self.frames else variable, LONGEST_NAME)


def stage_of(
    net: WorldNet | FactorNet,
    barred: Collection[str] = (),
    told: Collection[str] = (),
    variables: Iterable[str] | None = None,
    arrangement: Arrangement = "auto",
) -> Stage:
    """Lay a net out.

    Args:
        net: what is drawn.
        barred: variables whose boxes have room for a bar per state.
        told: variables whose boxes have a line for one state.
        variables: only these, and the arrows among them; default all.
        arrangement: as for `draw_net`.

    Raises:
        QueryError: an unknown variable, none at all, or frames of a static net.
    """
    chosen = None if variables is None else set(variables)
    net.check_variables(chosen or (), error=QueryError)
    kept = tuple(v for v in net.variables if chosen is None or v in chosen)
    if not kept:
        raise QueryError("a picture of no variables", mend="name at least one in `variables`")
    frames = None if arrangement == "layers" else split_frames(net.variables)
    if arrangement == "frames" and frames is None:
        mend = "unroll a TwoSliceNet, or draw it in layers"
        raise QueryError("this net is no clip", expected="variables named like diamond_1, diamond_2", mend=mend)
    sizes = {v: _size(net, v, frames, v in barred, v in told) for v in kept}
    edges = tuple(edge for edge in net_edges(net) if edge[0] in sizes and edge[1] in sizes)
    inches = {v: (width / _INCH, height / _INCH) for v, (width, height) in sizes.items()}
    gap = (16.0 / _INCH, 30.0 / _INCH)
    shown = {v: frames[v] for v in kept} if frames else None
    layout = framed(list(edges), inches, shown, gap) if shown else layered(list(edges), inches, gap)
    inside = [edge for edge in edges if not shown or shown[edge[0]][1] == shown[edge[1]][1]]
    return _in_pixels(net, kept, shown, sizes, edges, layout, ports(inside, inches, layout, 15.0 / _INCH))


def _in_pixels(
    net: WorldNet | FactorNet,
    kept: tuple[str, ...],
    frames: Mapping[str, tuple[str, int]] | None,
    sizes: Mapping[str, Size],
    edges: tuple[Edge, ...],
    layout: Layout,
    ends: Mapping[Edge, tuple[Point, Point]],
) -> Stage:
    down = MARGIN + (COLUMN_HEAD if layout.columns else 0.0)

    def at(point: Point) -> Point:
        return point[0] * _INCH + MARGIN, point[1] * _INCH + down

    centres = {v: at(layout.centres[v]) for v in kept}
    return Stage(
        net,
        kept,
        frames,
        {v: (x - sizes[v][0] / 2, y - sizes[v][1] / 2) for v, (x, y) in centres.items()},
        sizes,
        edges,
        {edge: (at(start), at(end)) for edge, (start, end) in ends.items()},
        {edge: tuple(map(at, points)) for edge, points in layout.routes.items()},
        {f: (left * _INCH + MARGIN, right * _INCH + MARGIN) for f, (left, right) in layout.columns.items()},
        (layout.size[0] * _INCH + 2 * MARGIN, layout.size[1] * _INCH + down + MARGIN),
    )


def net_edges(net: WorldNet | FactorNet) -> list[Edge]:
    """The arrows of a net; of a factor net its links, from the earlier variable to the later."""
    if isinstance(net, WorldNet):
        return [(parent, v) for v in net.variables for parent in net.parents(v)]
    return [(a, b) if net.index[a] < net.index[b] else (b, a) for a, b in net.graph.edges]


def _size(
    net: WorldNet | FactorNet, v: str, frames: Mapping[str, tuple[str, int]] | None, barred: bool, told: bool
) -> Size:
    width = text_width(shortened(frames[v][0] if frames else v, LONGEST_NAME), TITLE)
    lines = 0
    if barred or told:
        labels = 1.06 * max(text_width(shortened(str(label), LONGEST_LABEL), STATE) for label in net.states[v])
        width = max(width, labels + (5 + TROUGH + PERCENT if barred else 0.0))
        lines = min(len(net.states[v]), STATES_SHOWN) if barred else 1
    return width + 2 * PAD, HEAD + LINE * lines + (5 if lines else 3)
