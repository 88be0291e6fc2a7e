"""Datasets from real clips, where no net is given: `from_episodes` (tables, files) and `from_video`.

The two modules they rest on make episodes (`episode_tables`, `video`); `learned_world` learns a world-model of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldnets.candidates import HIDDEN, MOST_PARENTS
from worldnets.clip_models import grid_neighbours
from worldnets.dataset import Dataset
from worldnets.episode_stream import MEMORY, EpisodeStream, holds_episodes, read_episodes
from worldnets.episode_tables import episodes_of_table
from worldnets.episodes import Episodes, RealClips, Split
from worldnets.errors import DatasetError
from worldnets.learned_world import learned_world
from worldnets.video import Threshold, episodes_of_video

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.clip_models import Neighbours

IN_MEMORY = 256 << 20  # bytes of codes; a larger file is streamed


def from_episodes(
    data: str | os.PathLike[str] | pd.DataFrame | RealClips,
    *,
    context: int | None = None,
    questions: Iterable[str] | None = None,
    name: str | None = None,
    title: str = "",
    neighbours: Neighbours | None = None,
    parents: int = MOST_PARENTS,
    hidden: Iterable[int] = HIDDEN,
    progress: Callable[[str], None] | None = None,
    **reading: Any,
) -> Dataset:
    """A dataset from finite real clips, whose world no one knows.

    >>> import pandas as pd
    >>> import worldnets as wn
    >>> visits = pd.DataFrame({"weather": ["wet", "dry"] * 40, "people_1": range(80), "people_2": range(80)})
    >>> dataset = wn.from_episodes(visits, latents=["weather"], quantise={"people": 3})
    >>> dataset.candidates.to_pandas()["world_model"].tolist()  # all that were learned; beside it, held-out bits
    ['marginals', 'Chow-Liu tree', ...]

    Several world-models are learned from training clips; the one with the fewest bits on validation clips is
    `dataset.net`, what ladders take for the truth (`dataset.reference` is "learned"); bits on test clips are reported.
    Heads train on the clips themselves. `dataset.save(folder)` keeps it all for other processes.

    Args:
        data: a CSV or parquet file, or a DataFrame, in wide form (one row per clip, columns "kind_t") or long form
            (columns for the episode, the frame, and one per kind); a file of `EpisodeWriter`, which is streamed if its
            clips would take more than 256 MiB of memory; or `Episodes`, `EpisodeStream`.
        context: frames shown, c; default all but the last.
        questions: known latents to ask for; default all.
        name, title: of the dataset; default the file's name.
        neighbours, parents, hidden, progress: how world-models are learned, as `candidates.learn` takes them.
        **reading: how a table is read, as `episode_tables.episodes_of_table` takes it: form, episode, frame, source,
            latents, kinds, quantise, states, missing, frames, stride. Also seed, validation and test of the split; and
            memory, bytes for the buffers of a stream (which makes it one).

    Raises:
        DatasetError: whatever is wrong with the data, with file, column and row; an option that does not apply.
    """
    clips = read_clips(data, **reading)
    own = Path(data).name.split(".")[0] if isinstance(data, str | os.PathLike) else "episodes"
    world = learned_world(
        clips,
        context=context,
        questions=questions,
        neighbours=neighbours,
        parents=parents,
        hidden=hidden,
        progress=progress,
    )
    return Dataset(name or own, {}, world, title=title)


def from_video(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    grid: tuple[int, int] = (4, 4),
    levels: int = 2,
    *,
    frames: int = 6,
    context: int | None = None,
    stride: int = 1,
    every: int = 1,
    threshold: Threshold = "cell",
    segments: int | None = None,
    seed: int = 0,
    validation: float = 0.15,
    test: float = 0.15,
    name: str | None = None,
    title: str = "",
    parents: int = MOST_PARENTS,
    hidden: Iterable[int] = HIDDEN,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """A dataset from a video, or several: what comes next on a coarse grid of cells, each dark or bright.

    `from_video("street.mp4", grid=(4, 4), frames=6)`: clips of six frames of sixteen cells; the last is asked for.

    World-models are learned as by `worldnets.from_episodes`; in two-slice nets a cell may depend on those around it.

    Args:
        path, grid, levels, frames, stride, every, threshold, segments: how clips are made, as
            `video.episodes_of_video` takes them: with `threshold="cell"`, each cell is cut at its own median (of the
            frames of training segments), with "overall" all at the median of all cells.
        context: frames shown, c; default all but the last.
        seed, validation, test: of the split into parts, by whole segments.
        name, title: of the dataset; default the file's name.
        parents, hidden, progress: how world-models are learned, as `candidates.learn` takes them.

    Raises:
        MissingDependencyError: PyAV is not installed.
        DatasetError: no such file, no video in it, damage, no frames, one frame, frames of different sizes, a video too
            short, one in which nothing changes.
    """
    clips = episodes_of_video(
        path,
        grid,
        levels,
        frames=frames,
        stride=stride,
        every=every,
        threshold=threshold,
        segments=segments,
        split=Split(seed, validation, test),
    )
    neighbours = grid_neighbours(*grid)
    world = learned_world(
        clips, context=context, neighbours=neighbours, parents=parents, hidden=hidden, progress=progress
    )
    first = path if isinstance(path, str | os.PathLike) else path[0]
    return Dataset(name or Path(first).stem, {}, world, title=title)


def read_clips(
    data: Any,
    *,
    seed: int | None = None,
    validation: float | None = None,
    test: float | None = None,
    memory: int | None = None,
    **table: Any,
) -> RealClips:
    """Real clips from whatever `from_episodes` takes.

    Raises:
        DatasetError: as `from_episodes`.
    """
    given: dict[str, Any] = {"seed": seed, "validation": validation, "test": test}
    split = Split(**{key: value for key, value in given.items() if value is not None})
    if isinstance(data, Episodes | EpisodeStream):
        options = [key for key, value in {**given, "memory": memory, **table}.items() if value is not None]
        if options:
            mend = "give them where the episodes are made"
            raise DatasetError("options of episodes that are made already", found=options, mend=mend)
        return data
    if isinstance(data, str | os.PathLike) and Path(data).suffix in (".parquet", ".pq") and holds_episodes(data):
        if table:
            found, mend = sorted(table), "a file of EpisodeWriter says itself what it holds"
            raise DatasetError("options of a table", file=data, found=found, mend=mend)
        stream = EpisodeStream(data, split, memory=MEMORY if memory is None else memory)
        large = len(stream) * len(stream.layout.variables) * 2 > IN_MEMORY
        return stream if memory is not None or large else read_episodes(data, split)
    if memory is not None:
        mend = "write it with worldnets.EpisodeWriter first"
        raise DatasetError("only a file of EpisodeWriter can be streamed", mend=mend)
    _check_options(table)
    return episodes_of_table(data, **table, split=split)


def _check_options(table: Mapping[str, Any]) -> None:
    import inspect

    from worldnets.errors import did_you_mean

    known = [key for key in inspect.signature(episodes_of_table).parameters if key not in ("table", "split")]
    for key in table:
        if key not in known:
            mend = did_you_mean(key, [*known, "seed", "validation", "test", "memory"])
            raise DatasetError("unknown option", found=repr(key), mend=mend)
