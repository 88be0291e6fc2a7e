"""The junction tree of a plan: which cliques, what their tables cost, and over which sepsets messages go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from worldnets.draw.cards import report
from worldnets.draw.drawing import (
    Drawing,
    escape,
    figure_element,
    ink_on,
    number,
    resource,
    scale_colour,
    share_of_logs,
    text,
    text_width,
)
from worldnets.draw.given import shortened
from worldnets.draw.tree import tidy
from worldnets.errors import QueryError

if TYPE_CHECKING:
    from worldnets.inference.plan import Plan
    from worldnets.layout import Point, Size

NAMED = 60  # cliques whose variables can be read; beyond, dots
DRAWN = 3000  # dots that a page bears; beyond, the largest cliques only
_NAMES_SHOWN, _LONGEST_NAME = 7, 18
_PAGE_WIDTH = 1150.0
_LETTER, _LINE, _BAND, _PAD = 10.5, 13.0, 16.0, 7.0
_MARGIN, _LEGEND = 14.0, 62.0


def draw_plan(plan: Plan, largest: int | None = None, title: str = "") -> Drawing:
    """Draw a plan's junction tree.

    Every box is a clique with its variables; its band is the darker the more cells its table has that can be other
    than zero (logarithmic scale, stated below the tree). Arrows go the way of the collect pass, towards the root; the
    distribute pass goes back along them. The plates on them are the sepsets. Of more than `NAMED` cliques each is a
    dot, whose variables show when pointed at, and the largest are named below.

    Args:
        plan: of `Inference.plan`, for example.
        largest: draw only this many cliques, those with the largest tables, and the root; an arrow that passes over
            cliques left out is dashed. Default all, up to `DRAWN`.
        title: what the picture is called.
    Raises:
        QueryError: `largest` is below 1.
    """
    if largest is not None and largest < 1:
        raise QueryError("a picture of no cliques", found=largest, expected="at least 1", mend="raise `largest`")
    tree = shown_tree(plan, DRAWN if largest is None else largest)
    scene = tree_scene(tree)
    name = title or f"Junction tree of {len(plan.cliques):,} cliques over {len(plan.variables):,} variables"
    svg = figure_element(scene.size[0], scene.size[1], name, scene.parts)
    note = f'<p class="soft">{escape(scene.note)}</p>' if scene.note else ""
    body = f'<div class="worldnets"><style>{resource("style.css")}</style>{svg}{note}</div>'
    return Drawing(name, svg, body)


def plan_html(plan: Plan) -> str:
    """What a notebook shows of a plan: its cost report as a table, and its junction tree."""
    return draw_plan(plan).html.replace("</style>", "</style>" + report(repr(plan)), 1)


@dataclass(frozen=True)
class ShownTree:
    """The cliques of a plan that are drawn, in collect order.

    Attributes:
        cliques, sepsets, cells: of each clique drawn.
        parents: positions among those drawn, -1 for the root.
        skipped: how many cliques left out stand between a clique and its parent here.
        numbers: their positions in the plan.
        total: cliques of the plan.
    """

    cliques: tuple[tuple[str, ...], ...]
    sepsets: tuple[tuple[str, ...], ...]
    cells: tuple[int, ...]
    parents: tuple[int, ...]
    skipped: tuple[int, ...]
    numbers: tuple[int, ...]
    total: int


def shown_tree(plan: Plan, most: int) -> ShownTree:
    """The `most` largest cliques and the root; each hangs below its nearest ancestor that is kept."""
    cells = np.diff(plan.wiring.clique_start).tolist()
    count, above_of = len(plan.cliques), plan.parents
    kept = set(range(count))
    if count > most:
        kept = {*sorted(kept, key=lambda c: (-cells[c], c))[:most], count - 1}
    numbers = sorted(kept)
    place = {c: i for i, c in enumerate(numbers)}
    parents, skipped = [], []
    for c in numbers:
        above, passed = above_of[c], 0
        while above >= 0 and above not in kept:
            above, passed = above_of[above], passed + 1
        parents.append(place.get(above, -1))
        skipped.append(passed)
    return ShownTree(
        tuple(plan.cliques[c] for c in numbers),
        tuple(plan.sepsets[c] for c in numbers),
        tuple(cells[c] for c in numbers),
        tuple(parents),
        tuple(skipped),
        tuple(numbers),
        count,
    )


@dataclass(frozen=True)
class Scene:
    """Markup of a tree: groups `data-clique` and `data-edge` carry a clique's position in the plan."""

    parts: list[str]
    size: Size
    note: str


def tree_scene(tree: ShownTree, orders: Mapping[int, str] | None = None) -> Scene:
    """The tree with its legend, named or as dots.

    Args:
        tree: what is drawn.
        orders: position in the plan → a line on the plate of the clique's arrow; arrows then have heads at both ends.
    """
    if not tree.cliques:
        words = "Nothing is unobserved: no clique is left."
        return Scene([text(_MARGIN, 20, words, anchor="start")], (320.0, 40.0), "")
    named = len(tree.cliques) <= NAMED
    parts, size = _boxes(tree, orders) if named else _dots(tree)
    enlarged = max(1.0, size[0] / _PAGE_WIDTH)  # read at the size of the page, however far the tree is shrunk to fit
    legend = f'<g transform="translate(0 {number(size[1])}) scale({number(enlarged)})">{_legend(tree, named)}</g>'
    return Scene([*parts, legend], (max(size[0], 470.0), size[1] + _LEGEND * enlarged), _note(tree, named))


def _note(tree: ShownTree, named: bool) -> str:
    sentences = []
    if len(tree.cliques) < tree.total:
        left_out = tree.total - len(tree.cliques)
        sentences.append(
            f"The {len(tree.cliques):,} largest of {tree.total:,} cliques (the root among them); dashed arrows pass "
            f"over some of the {left_out:,} left out."
        )
    if not named:
        order = sorted(range(len(tree.cells)), key=lambda c: (-tree.cells[c], c))[:5]
        listed = "; ".join(f"{tree.cells[c]:,} cells ({', '.join(tree.cliques[c])})" for c in order)
        sentences.append(
            f"Too many cliques to name here: point at one to read its variables, or draw fewer with largest=40. "
            f"The largest: {listed}."
        )
    return " ".join(sentences)


def _boxes(tree: ShownTree, orders: Mapping[int, str] | None) -> tuple[list[str], Size]:
    bodies = [_lines(clique) for clique in tree.cliques]
    plates = [_lines(sepset) or ["∅"] for sepset in tree.sepsets]
    if orders is not None:
        plates = [[orders[c], *lines] if c in orders else lines for c, lines in zip(tree.numbers, plates, strict=True)]
    heads = [
        f"{cells:,} cell{'s' if cells != 1 else ''}" + (" · root" if parent < 0 else "")
        for cells, parent in zip(tree.cells, tree.parents, strict=True)
    ]
    box = [
        (
            max(text_width(words, _LETTER) for words in (*body, head)) + 2 * _PAD,
            _BAND + _LINE * len(body) + 6,
        )
        for body, head in zip(bodies, heads, strict=True)
    ]
    plate = [
        (max(text_width(words, 9.5) for words in lines) + 10, 12.0 * len(lines) + 4) if parent >= 0 else (0.0, 0.0)
        for lines, parent in zip(plates, tree.parents, strict=True)
    ]
    down = [(max(b[0], p[0]), b[1] + p[1] + (8 if p[1] else 0)) for b, p in zip(box, plate, strict=True)]
    centres, size = tidy(tree.parents, down, (14.0, 34.0))
    sideways = size[0] > _PAGE_WIDTH
    if sideways:
        along = [(max(b[1], p[1]), b[0] + p[0] + (8 if p[0] else 0)) for b, p in zip(box, plate, strict=True)]
        turned, (high, wide) = tidy(tree.parents, along, (10.0, 34.0))
        if wide < size[0]:
            centres, size = [(y, x) for x, y in turned], (wide, high)
            down = [(w, h) for h, w in along]
        else:
            sideways = False
    parts = []
    boxes: list[Point] = []  # upper left corners
    plate_at: list[Point] = []  # centres
    for c, (x, y) in enumerate(centres):
        x, y = x + _MARGIN, y + _MARGIN
        if sideways:
            right = x + down[c][0] / 2
            boxes.append((right - box[c][0], y - box[c][1] / 2))
            plate_at.append((x - down[c][0] / 2 + plate[c][0] / 2, y))
        else:
            bottom = y + down[c][1] / 2
            boxes.append((x - box[c][0] / 2, bottom - box[c][1]))
            plate_at.append((x, y - down[c][1] / 2 + plate[c][1] / 2))
    ports = _ports(tree, boxes, box, plate_at, sideways)
    for c, parent in enumerate(tree.parents):
        if parent >= 0:
            parts.append(
                _arrow(
                    tree, c, boxes[c], box[c], plate_at[c], plate[c], plates[c], ports[c], sideways, orders is not None
                )
            )
    least, most = min(tree.cells), max(tree.cells)
    for c, (left, top) in enumerate(boxes):
        share = share_of_logs(tree.cells[c], least, most)
        width, height = box[c]
        border = ' stroke-width="2.4"' if tree.parents[c] < 0 else ""
        place = f'x="{number(left)}" y="{number(top)}" width="{number(width)}"'
        parts.append(
            f'<g data-clique="{tree.numbers[c]}"><title>{escape(_tooltip(tree, c))}</title>'
            f'<rect class="paper edge" {place} height="{number(height)}" rx="3" fill="#ffffff" stroke="#9aa4ae"'
            f"{border}/>"
            f'<rect class="cells" {place} height="{number(_BAND)}" rx="3" fill="{scale_colour(share)}"/>'
        )
        ink = f'style="fill:{ink_on(share)}"'
        parts.append(text(left + width / 2, top + _BAND / 2, heads[c], 10, extra=ink))
        for i, words in enumerate(bodies[c]):
            tone = "quiet" if words.startswith("… ") else "ink"
            parts.append(text(left + width / 2, top + _BAND + 3 + _LINE * (i + 0.5), words, _LETTER, tone=tone))
        parts.append("</g>")
    return parts, (size[0] + 2 * _MARGIN, size[1] + 2 * _MARGIN)


def _lines(variables: Sequence[str]) -> list[str]:
    lines = [shortened(v, _LONGEST_NAME) for v in variables[:_NAMES_SHOWN]]
    return [*lines, f"… {len(variables) - len(lines)} more"] if len(variables) > len(lines) else lines


def _tooltip(tree: ShownTree, c: int) -> str:
    root = ", the root" if tree.parents[c] < 0 else ""
    return f"clique {tree.numbers[c]}{root}: {', '.join(tree.cliques[c])}; {tree.cells[c]:,} cells"


def _edge_tooltip(tree: ShownTree, c: int) -> str:
    sepset = ", ".join(tree.sepsets[c]) or "nothing (separate parts of the net)"
    passed = f", past {tree.skipped[c]} cliques left out" if tree.skipped[c] else ""
    return f"clique {tree.numbers[c]} to {tree.numbers[tree.parents[c]]} over {sepset}{passed}"


def _ports(
    tree: ShownTree, boxes: Sequence[Point], sizes: Sequence[Size], plates: Sequence[Point], sideways: bool
) -> dict[int, Point]:
    """Where the arrow of each child meets its parent's box, spread in the children's order."""
    below: dict[int, list[int]] = {}
    for c, parent in enumerate(tree.parents):
        if parent >= 0:
            below.setdefault(parent, []).append(c)
    found = {}
    for parent, children in below.items():
        children.sort(key=lambda c: plates[c][1] if sideways else plates[c][0])
        (left, top), (width, height) = boxes[parent], sizes[parent]
        room = min((height if sideways else width) * 0.7, 16.0 * (len(children) - 1))
        for i, c in enumerate(children):
            shift = room * (i / (len(children) - 1) - 0.5) if len(children) > 1 else 0.0
            found[c] = (
                (left + width, top + height / 2 + shift) if sideways else (left + width / 2 + shift, top + height)
            )
    return found


def _arrow(
    tree: ShownTree,
    c: int,
    corner: Point,
    box: Size,
    plate_at: Point,
    plate: Size,
    words: Sequence[str],
    port: Point,
    sideways: bool,
    both: bool,
) -> str:
    (px, py), (ex, ey) = plate_at, port
    if sideways:
        near, far = (corner[0], corner[1] + box[1] / 2), (px - plate[0] / 2, py)
        back = f"{number(near[0])},{number(near[1])} {number(near[0] + 6)},{number(near[1] - 3.5)} "
        back += f"{number(near[0] + 6)},{number(near[1] + 3.5)}"
        tip = f"{number(ex + 7)},{number(ey - 3.5)} {number(ex)},{number(ey)} {number(ex + 7)},{number(ey + 3.5)}"
        ex += 6
        bend = (far[0] + ex) / 2
        curve = f"M{number(near[0])} {number(near[1])}H{number(far[0])}"
        curve += f"C{number(bend)} {number(far[1])} {number(bend)} {number(ey)} {number(ex)} {number(ey)}"
    else:
        near, far = (corner[0] + box[0] / 2, corner[1]), (px, py - plate[1] / 2)
        back = f"{number(near[0])},{number(near[1])} {number(near[0] - 3.5)},{number(near[1] - 7)} "
        back += f"{number(near[0] + 3.5)},{number(near[1] - 7)}"
        tip = f"{number(ex - 3.5)},{number(ey + 7)} {number(ex)},{number(ey)} {number(ex + 3.5)},{number(ey + 7)}"
        ey += 6
        bend = (far[1] + ey) / 2
        curve = f"M{number(near[0])} {number(near[1])}V{number(far[1])}"
        curve += f"C{number(far[0])} {number(bend)} {number(ex)} {number(bend)} {number(ex)} {number(ey)}"
    dashed = ' stroke-dasharray="4 3"' if tree.skipped[c] or not tree.sepsets[c] else ""
    parts = [
        f'<g data-edge="{tree.numbers[c]}"><title>{escape(_edge_tooltip(tree, c))}</title>',
        f'<path class="link" d="{curve}" fill="none" stroke="#9aa4ae" stroke-width="1.3"{dashed}/>',
        f'<polygon class="head up" points="{tip}" fill="#9aa4ae"/>',
        f'<polygon class="head down" points="{back}" fill="#9aa4ae"/>' if both else "",
        f'<rect class="panel" x="{number(px - plate[0] / 2)}" y="{number(py - plate[1] / 2)}" '
        f'width="{number(plate[0])}" height="{number(plate[1])}" rx="6" fill="#f4f6f8"/>',
    ]
    for i, line in enumerate(words):
        parts.append(text(px, py + 12.0 * (i + 0.5 - len(words) / 2), line, 9.5, tone="quiet"))
    return "".join([*parts, "</g>"])


def _dots(tree: ShownTree) -> tuple[list[str], Size]:
    least, most = min(tree.cells), max(tree.cells)
    shares = [share_of_logs(cells, least, most) for cells in tree.cells]
    radii = [3.0 + 8.0 * share for share in shares]
    sizes = [(2 * r, 22.0) for r in radii]
    _, (width, height) = tidy(tree.parents, sizes, (2.5, 0.0))
    # Levels far enough apart that a wide tree does not shrink to a ribbon.
    between = min(max(0.5 * width * 22.0 / height - 22.0, 20.0), 160.0)
    centres, size = tidy(tree.parents, sizes, (2.5, between))
    at = [(x + _MARGIN, y + _MARGIN) for x, y in centres]
    parts = []
    for c, parent in enumerate(tree.parents):
        if parent < 0:
            continue
        (x, y), (ex, ey) = at[c], at[parent]
        bend = (y + ey) / 2
        dashed = ' stroke-dasharray="3 2"' if tree.skipped[c] or not tree.sepsets[c] else ""
        curve = (
            f"M{number(x)} {number(y)}C{number(x)} {number(bend)} {number(ex)} {number(bend)} {number(ex)} {number(ey)}"
        )
        parts.append(
            f'<g data-edge="{tree.numbers[c]}"><title>{escape(_edge_tooltip(tree, c))}</title>'
            f'<path class="link" d="{curve}" fill="none" stroke="#9aa4ae"{dashed}/></g>'
        )
    for c, (x, y) in enumerate(at):
        border = f'class="edge" stroke="#9aa4ae" stroke-width="{2.4 if tree.parents[c] < 0 else 0.7}"'
        place = f'cx="{number(x)}" cy="{number(y)}" r="{number(radii[c])}"'
        parts.append(
            f'<g data-clique="{tree.numbers[c]}"><title>{escape(_tooltip(tree, c))}</title>'
            f'<circle {place} fill="{scale_colour(shares[c])}" {border}/></g>'
        )
        if tree.parents[c] < 0:
            letters = 11 * max(1.0, size[0] / _PAGE_WIDTH)
            parts.append(text(x + radii[c] + 6, y, "root", letters, anchor="start"))
    return parts, (size[0] + 2 * _MARGIN, size[1] + 2 * _MARGIN)


def _legend(tree: ShownTree, named: bool) -> str:
    least, most = min(tree.cells), max(tree.cells)
    y, left, width, steps = 12.0, _MARGIN, 160.0, 32
    parts = [
        f'<rect x="{number(left + width * i / steps)}" y="{number(y)}" width="{number(width / steps + 0.6)}" '
        f'height="9" fill="{scale_colour(i / (steps - 1))}"/>'
        for i in range(steps)
    ]
    parts.append(text(left, y + 17, f"{least:,}", 9.5, "start", "quiet"))
    parts.append(text(left + width, y + 17, f"{most:,}", 9.5, "end", "quiet"))
    parts.append(text(left + width + 12, y + 5, "cells of a clique's table, logarithmic", 9.5, "start", "quiet"))
    if named:
        words = "Arrows: collect, towards the root; distribute goes back. Plates on them: sepsets."
    else:
        words = "Messages go up to the root (collect), then back down (distribute)."
    parts.append(text(left, y + 36, words, 9.5, "start", "quiet"))
    return "".join(parts)
