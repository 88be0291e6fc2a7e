"""An object that moves behind occluders: where it was last seen is easy, where it is now takes velocity and memory.

The situation is that of object permanence and of multiple-object tracking; the model is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError
from worldnets.net import WorldNet
from worldnets.roles import World
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name
from worldnets.worlds.clips import check_cells, checked_frames, clip_tasks
from worldnets.worlds.parameters import choice, integer, probability

Table = NDArray[np.float64]

LATENTS = ("position", "direction")
NOTHING = "nothing"
WALL = -1


def tracker(
    layout: str = "ring",
    size: int = 8,
    occluded: Sequence[int] | None = None,
    shown: str = "object",
    noise: float = 0.02,
    turn: float = 0.05,
    speed: float = 0.8,
    frames: int = 7,
    context: int | None = None,
) -> World:
    """A clip of one object on a ring or a grid of cells, some of them behind an occluder.

    What happens from one frame to the next, given position and direction:
        the object goes on to the next cell of its direction with probability `speed`, else it rests.
        at a wall of the grid it does not go on: it turns round instead, with the same probability.
        then it takes another direction with probability `turn` (on the grid each of the other three alike).
    Every (position, direction) is equally likely in every frame; the clip begins in the middle of things.
    What is seen, with probability 1 − `noise`:
        shown = "object"  node `view`: the cell the object is in, or "nothing" if that is occluded; else any other view
                          alike.
        shown = "cells"   one node for each cell that is not occluded, "bright" if the object is there, else "dark";
                          each is wrong on its own.

    That things stay about where they were (persistence) is in the last frame. Which way the object goes takes two
    frames; where it is behind the occluder, and when it will come out, takes the frames before it went in.

    Tasks, both from frames 1 … c = `context`, on the ladder of the last k frames:
        continuation  what frame c + 1 shows, as one joint target if it has at most 64 outcomes, else one per node.
        question      two targets: `position`, where the object is in frame c, and `direction`, where it will go next.
                      A belief-attached head is given the beliefs about both in the frame before and about what the
                      next frame shows.

    Args:
        layout: "ring" or "grid" (square, with walls).
        size: cells of the ring, 3 … 64; side of the grid, 2 … 8.
        occluded: numbers of the occluded cells, from 1; the grid's row by row. Default: the second half of the ring;
            the middle column, or the two middle columns, of the grid.
        shown: "object" or "cells".
        noise: 0 … ½.
        turn: 0 … 1.
        speed: 0 … 1.
        frames: T, 2 … 1000.
        context: c, 1 … T − 1; default T − 1.

    Raises:
        DatasetError: a parameter out of range, every cell occluded, tables of more than 2^24 cells.
    """
    layout = choice("layout", layout, ("ring", "grid"))
    size = integer("size", size, 3, 64) if layout == "ring" else integer("size", size, 2, 8)
    place = _ring(size) if layout == "ring" else _grid(size)
    hidden = _occluded(occluded, place)
    shown = choice("shown", shown, ("object", "cells"))
    noise = probability("noise", noise, high=0.5)
    turn, speed = probability("turn", turn), probability("speed", speed)
    frames, context = checked_frames(frames, context)

    template = _template(place, hidden, shown, noise, turn, speed)
    each = sum(np.size(table) for table in template.cpts.values())
    check_cells(each * frames, f"{each:,} a frame × {frames} frames")
    net = template.unroll(frames)
    observed = [v for v in template.variables if v not in LATENTS]
    seen = [tuple(frame_name(v, t) for v in observed) for t in range(1, frames + 1)]
    behind = [tuple(frame_name(v, t) for v in LATENTS) for t in range(1, frames + 1)]
    now, before = behind[context - 1], [v for pair in behind[:context][-2:-1] for v in pair]
    asked = {v: (node,) for v, node in zip(LATENTS, now, strict=True)}
    tasks = clip_tasks(net, seen, context, asked, {"continuation": now, "question": (*before, *seen[context])})
    roles = {
        "observed": tuple(v for frame in seen for v in frame),
        "latents": tuple(v for pair in behind for v in pair),
    }
    return World(net, tasks, roles, template, frames=tuple(seen))


@dataclass(frozen=True)
class _Place:
    """Where an object can be and go: `following[cell, direction]` is the next cell, or WALL."""

    cells: tuple[str, ...]
    directions: tuple[str, ...]
    back: tuple[int, ...]  # the opposite of each direction
    following: NDArray[np.int64]
    middle: tuple[int, ...]  # what is occluded by default


def _ring(size: int) -> _Place:
    here = np.arange(size)
    following = np.stack([(here + 1) % size, (here - 1) % size], axis=1)
    names = tuple(f"cell{i + 1}" for i in here)
    return _Place(names, ("clockwise", "anticlockwise"), (1, 0), following, tuple(range((size + 1) // 2, size)))


def _grid(size: int) -> _Place:
    steps = ((-1, 0), (0, 1), (1, 0), (0, -1))
    following = np.full((size * size, 4), WALL)
    for cell in range(size * size):
        for direction, (down, right) in enumerate(steps):
            row, column = cell // size + down, cell % size + right
            if 0 <= row < size and 0 <= column < size:
                following[cell, direction] = row * size + column
    names = tuple(f"cell{i + 1}" for i in range(size * size))
    middle = tuple(cell for cell in range(size * size) if cell % size in {(size - 1) // 2, size // 2})
    if size == 2:  # both columns are in the middle
        middle = middle[1::2]
    return _Place(names, ("up", "right", "down", "left"), (2, 3, 0, 1), following, middle)


def _occluded(given: Sequence[int] | None, place: _Place) -> frozenset[int]:
    if given is None:
        return frozenset(place.middle)
    count = len(place.cells)
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise DatasetError("'occluded' is no list of cells", found=repr(given), mend="give cell numbers, from 1")
    hidden = frozenset(integer("occluded", cell, 1, count) - 1 for cell in given)
    if len(hidden) == count:
        raise DatasetError("every cell is occluded", found=f"{count} of {count}", mend="leave some cell in sight")
    return hidden


def _template(
    place: _Place, hidden: frozenset[int], shown: str, noise: float, turn: float, speed: float
) -> TwoSliceNet:
    position, direction = _moves(place, turn, speed)
    states: dict[str, tuple[str, ...]] = {"position": place.cells, "direction": place.directions}
    tables: dict[str, Table] = {v: np.full(len(labels), 1 / len(labels)) for v, labels in states.items()}
    seen = _object(place, hidden, noise) if shown == "object" else _cells(place, hidden, noise)
    within = dict.fromkeys(seen, ("position",))
    for v, (labels, table) in seen.items():
        states[v], tables[v] = labels, table
    initial = WorldNet(states, within, tables, "tracker")
    parents = {v: tuple(u + PREVIOUS for u in LATENTS) for v in LATENTS} | within
    moving = {"position": position, "direction": direction}
    if not np.any(place.following == WALL):  # without walls nothing turns the object but chance
        parents["direction"], moving["direction"] = ("direction" + PREVIOUS,), direction[0]
    return TwoSliceNet(initial, parents, tables | moving, "tracker")


def _moves(place: _Place, turn: float, speed: float) -> tuple[Table, Table]:
    # Tables of position and direction, [position before, direction before, …].
    cells, directions = place.following.shape
    position = np.zeros((cells, directions, cells))
    heading = np.zeros((cells, directions, directions))
    for cell in range(cells):
        for direction in range(directions):
            ahead = int(place.following[cell, direction])
            position[cell, direction, cell] += 1 - speed
            position[cell, direction, cell if ahead == WALL else ahead] += speed
            heading[cell, direction, direction] += 1 - speed
            heading[cell, direction, place.back[direction] if ahead == WALL else direction] += speed
    chance = np.full((directions, directions), turn / (directions - 1))
    np.fill_diagonal(chance, 1 - turn)
    return position, heading @ chance


def _object(place: _Place, hidden: frozenset[int], noise: float) -> dict[str, tuple[tuple[str, ...], Table]]:
    labels = (NOTHING, *(name for cell, name in enumerate(place.cells) if cell not in hidden))
    table = np.full((len(place.cells), len(labels)), noise / (len(labels) - 1))
    for cell, name in enumerate(place.cells):
        table[cell, 0 if cell in hidden else labels.index(name)] = 1 - noise
    return {"view": (labels, table)}


def _cells(place: _Place, hidden: frozenset[int], noise: float) -> dict[str, tuple[tuple[str, ...], Table]]:
    seen: dict[str, tuple[tuple[str, ...], Table]] = {}
    for cell, name in enumerate(place.cells):
        if cell not in hidden:
            bright = np.full(len(place.cells), noise)
            bright[cell] = 1 - noise
            seen[name] = (("dark", "bright"), np.stack([1 - bright, bright], axis=1))
    return seen
