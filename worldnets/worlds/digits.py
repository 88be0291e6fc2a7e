"""Handwritten digits moved across a frame that is narrower than they are: real clips, no net given.

A few columns of the digit are in sight at a time. What comes next is told by the last frame, by the direction in which
the digit moves (two frames), by what was in sight before and has gone, and by which digit it is.

Source of the images: E. Alpaydin & C. Kaynak 1998, Optical Recognition of Handwritten Digits (UCI Machine Learning
Repository), the 1,797 images of 8 × 8 pixels that come with scikit-learn.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset_folder import built_in_folders
from worldnets.episodes import ClipLayout, Episodes, Split
from worldnets.errors import DatasetError, MissingDependencyError
from worldnets.roles import World
from worldnets.worlds.parameters import integer

SIDE = 8  # pixels of an image
DARKEST = 16
FILE = Path("datasets", "data", "digits.csv.gz")
LEARNED = "learned.npz"  # in the dataset's folder: the world-model of the default clips


def digits(
    frames: int = 6,
    context: int | None = None,
    rows: int = 3,
    columns: int = 2,
    velocities: Sequence[int] = (-1, 0, 1),
    starts: int = 3,
    threshold: float = 7.0,
    split_seed: int = 0,
) -> World:
    """Clips of each image at each velocity, from several starting places.

    The image is made `rows` cells high (as equal as whole pixels allow) and 8 wide, each cell the mean of its pixels; a
    cell with more than `threshold` ink is "ink". The frame is as high and `columns` wide. With x_t the column of the
    frame in which the digit's left edge is, x_t = x_1 + velocity · (t − 1). A moving digit comes in from the side: in
    frame 1 of its clip number s = 1 … `starts`, s of its columns have come in. One that stands shows another part of
    itself in each of its clips.

    Latents whose labels are known: `digit` and `velocity`. Nodes of frame t: `r{row}c{column}_t`, "blank" or "ink".
    Images, not clips, are divided into training, validation and test.

    Tasks, both from frames 1 … c = `context`, on the ladder of the last k frames:
        continuation  the cells of frame c + 1, as one joint target if it has at most 64 outcomes, else one each.
        question      which digit it is, and how it moves.

    Args:
        frames: T, 2 … 20.
        context: c, 1 … T − 1; default T − 1.
        rows: height of the frame, 1 … 8.
        columns: width of the frame, 1 … 8.
        velocities: columns per frame, −8 … 8, rightwards; each once.
        starts: clips per image and velocity, 1 … 8.
        threshold: ink, 0 … 16.
        split_seed: of the division of the images.

    Raises:
        DatasetError: a parameter out of range.
    """
    from worldnets.clip_models import grid_neighbours
    from worldnets.learned_world import learned_world

    episodes = digit_episodes(frames, rows, columns, velocities, starts, threshold, split_seed)
    stored = built_in_folders().get("digits", Path()) / LEARNED
    return learned_world(episodes, context=context, neighbours=grid_neighbours(rows, columns), stored=stored)


def digit_episodes(
    frames: int, rows: int, columns: int, velocities: Sequence[int], starts: int, threshold: float, split_seed: int
) -> Episodes:
    """The clips of `digits`, without a world-model."""
    length, wide = integer("frames", frames, 2, 20), integer("columns", columns, 1, SIDE)
    times = integer("starts", starts, 1, SIDE)
    high = integer("rows", rows, 1, SIDE)
    if isinstance(velocities, str) or not isinstance(velocities, Sequence) or not velocities:
        found, mend = repr(velocities), "such as [-1, 0, 1]"
        raise DatasetError("velocities are no list", found=found, mend=mend)
    moves = tuple(integer("velocities", v, -SIDE, SIDE) for v in velocities)
    if len(set(moves)) < max(2, len(moves)):
        raise DatasetError("two different velocities or more", found=list(moves), mend="name each once")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < DARKEST:
        expected = f"a number from 0 to less than {DARKEST}"
        raise DatasetError(
            "parameter 'threshold' out of range", found=repr(threshold), expected=expected, mend="set it so"
        )
    images, labels = digit_images()
    edges = np.arange(high + 1) * SIDE // high
    ink = np.add.reduceat(images, edges[:-1], axis=1) / np.diff(edges)[:, None]
    inked = ink > threshold
    codes, source = [], np.arange(len(images))
    for place, velocity in enumerate(moves):
        for start in range(times):
            first = _first_place(velocity, start, times, wide)
            shown = [_in_frame(inked, first + velocity * t, wide) for t in range(length)]
            known = np.stack([labels, np.full(len(images), place)], axis=1)
            codes.append(np.concatenate([known, *shown], axis=1))
    kinds = {f"r{r}c{c}": ("blank", "ink") for r in range(1, high + 1) for c in range(1, wide + 1)}
    layout = ClipLayout(kinds, length, {"digit": tuple(range(10)), "velocity": moves})
    split = Split(integer("split_seed", split_seed, 0, 1 << 62))
    return Episodes(layout, np.concatenate(codes), np.tile(source, len(codes)), split)


def digit_images() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Images [1797, 8, 8] with ink from 0 to 16, and which digit each is; read without importing scikit-learn.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise MissingDependencyError("the digits come with scikit-learn", mend="pip install scikit-learn")
    file = Path(package.submodule_search_locations[0]) / FILE
    if file.is_file():
        with gzip.open(file, "rt") as stream:
            table = np.loadtxt(stream, delimiter=",", dtype=np.int64)
        return table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1]
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images.astype(np.int64), digits.target.astype(np.int64)


def _first_place(velocity: int, start: int, starts: int, wide: int) -> int:
    """Where the digit's left edge is in frame 1."""
    if velocity > 0:
        return start + 1 - SIDE
    if velocity < 0:
        return wide - 1 - start
    return -round((SIDE - wide) * (start + 0.5) / starts)


def _in_frame(inked: NDArray[np.bool_], place: int, wide: int) -> NDArray[np.int64]:
    """What the frame shows of each image whose left edge is there: [images, rows · wide], row by row."""
    columns = np.arange(wide) - place
    inside = (columns >= 0) & (columns < SIDE)
    shown = inked[:, :, np.clip(columns, 0, SIDE - 1)] & inside
    return shown.reshape(len(inked), -1).astype(np.int64)
