"""A world's net drawn for the report: boxes and arrows in the page's own colours, of a few kilobytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

from probes.report.chart import sign, width
from worldnets.draw.routes import flowing, ports
from worldnets.layout import Edge, Layout, Point, Size, framed, layered, split_frames

if TYPE_CHECKING:
    from worldnets.net import WorldNet

#: What a variable may be in a task, the first that holds counts; each has a colour and a border of its own.
ROLES = ("evidence", "target", "latent")

LONGEST = 24  # letters of a name
INCH = 96.0  # CSS pixels; layouts are in inches
HIGH, PAD = 22.0, 12.0  # pixels: a box, and both margins of its name
APART, WIDE = 9.0, 60.0  # between two arrows that meet a box; from here on an arrow along a row rises above it


def net_markup(net: WorldNet, roles: Mapping[str, Iterable[str]], title: str) -> Markup:
    """The net as an `<svg>` with a key, causes above effects, or a clip as one column per frame.

    Args:
        net: what to draw.
        roles: of `ROLES`, variables; others are drawn plain.
        title: whose net it is.
    """
    role = {v: name for name in reversed(ROLES) for v in roles.get(name, ())}
    frames = split_frames(net.variables)
    names = {v: _short(frames[v][0] if frames else v) for v in net.variables}
    sizes = {v: (PAD + width(name) / 2, HIGH) for v, name in names.items()}
    edges: list[Edge] = [(parent, v) for v in net.variables for parent in net.parents(v)]
    inches = {v: (wide / INCH, high / INCH) for v, (wide, high) in sizes.items()}
    layout = _in_pixels(framed(edges, inches, frames) if frames else layered(edges, inches))
    above = 22.0 if layout.columns else 2.0
    parts = [f'<g transform="translate(2 {above:g})">']
    for frame, (left, right) in layout.columns.items():
        parts.append(f'<rect class="f" x="{left:.0f}" y="0" width="{right - left:.0f}" height="{layout.size[1]:.0f}"/>')
        parts.append(f'<text class="fn" x="{(left + right) / 2:.0f}" y="-6">frame {frame}</text>')
    parts += _arrows(edges, sizes, layout, frames)
    for v, name in names.items():
        (x, y), (wide, high) = layout.centres[v], sizes[v]
        kind = f"n {role[v]}" if v in role else "n"
        parts.append(
            f'<rect class="{kind}" x="{x - wide / 2:.0f}" y="{y - high / 2:.0f}" width="{wide:.0f}" '
            f'height="{high:.0f}" rx="5"/><text x="{x:.0f}" y="{y + 4:.0f}">{escape(name)}</text>'
        )
    wide, high = layout.size[0] + 4, layout.size[1] + above + 2
    met = [name for name in ROLES if name in role.values()]
    said = f"The net of {title}: {len(net.variables)} variables, {len(edges)} arrows. " + " ".join(
        f"{name.capitalize()}: {', '.join(v for v in net.variables if role.get(v) == name)}." for name in met
    )
    picture = (
        f'<svg class="net" role="img" viewBox="0 0 {wide:.0f} {high:.0f}" style="width:{wide:.0f}px" '
        f'aria-label="{escape(said)}">{"".join(parts)}</g></svg>'
    )
    key = "".join(f"<li>{sign(f'n {name}')}{name}</li>" for name in met)
    return Markup(f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(f"Net of {title}")}">{picture}'
                  f'</div><ul class="key">{key}</ul>')  # fmt: skip


def _arrows(
    edges: list[Edge], sizes: Mapping[str, Size], layout: Layout, frames: Mapping[str, tuple[str, int]] | None
) -> list[str]:
    """Arrows as two paths: their curves, and all heads."""
    inside = [edge for edge in edges if not frames or frames[edge[0]][1] == frames[edge[1]][1]]
    ends = ports(inside, sizes, layout, APART)
    curves, heads, across = [], [], []
    for edge in edges:
        if edge in ends:
            start, (x, y) = ends[edge]
            curves.append(flowing([start, *layout.routes.get(edge, ()), (x, y - 4)]))
            heads.append(f"M{x:.0f} {y:.0f}l-3-7h6z")
            continue
        (xa, ya), (xb, yb) = layout.centres[edge[0]], layout.centres[edge[1]]
        a, b = xa + sizes[edge[0]][0] / 2, xb - sizes[edge[1]][0] / 2
        reach = 0.45 * (b - a)
        # An arrow along one row would hide behind the boxes it passes: let it rise into the gap above them.
        lift = 0.55 * HIGH + 12 if abs(ya - yb) < 1e-9 and b - a > WIDE else 0.0
        bend: tuple[Point, Point] = (a + reach, ya - lift), (b - reach, yb - lift)
        across.append(f"M{a:.0f} {ya:.0f}C" + " ".join(f"{x:.0f} {y:.0f}" for x, y in (*bend, (b - 4, yb))))
        heads.append(f"M{b:.0f} {yb:.0f}l-7-3v6z")
    return [
        f'<path class="edge" d="{"".join(curves)}"/>' if curves else "",
        f'<path class="edge next" d="{"".join(across)}"/>' if across else "",
        f'<path class="head" d="{"".join(heads)}"/>' if heads else "",
    ]


def _in_pixels(layout: Layout) -> Layout:
    def scaled(points: Iterable[Point]) -> tuple[Point, ...]:
        return tuple((x * INCH, y * INCH) for x, y in points)

    centres = dict(zip(layout.centres, scaled(layout.centres.values()), strict=True))
    routes = {edge: scaled(points) for edge, points in layout.routes.items()}
    (size,) = scaled([layout.size])
    columns = dict(zip(layout.columns, scaled(layout.columns.values()), strict=True))
    return Layout(centres, routes, size, columns)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
