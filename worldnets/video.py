"""Video files as grids of brightness, frame by frame, and those as episodes. Needs PyAV, the extra `video`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldnets.episode_tables import clip_frames
from worldnets.episodes import ClipLayout, Episodes, Split
from worldnets.errors import DatasetError, MissingDependencyError
from worldnets.net import Label
from worldnets.quantise import check_levels, level_of, thresholds

Threshold = Literal["cell", "overall"]
LARGEST_GRID = 64  # cells across or down
LARGEST_STEP = 2.5  # in time from one frame to the next, as a multiple of the median
SEGMENTS = 10  # that few videos are cut into, all together: sources for training, validation and test

#: Pixels of the largest frame: a header of some bytes can ask for any. Assign another number for larger ones.
PIXELS_LIMIT = 1 << 26

# Containers of pictures, and nothing read but the file itself. Playlists (HLS, concat, DASH, SDP, …) name other files
# and addresses, which a stranger's "video" could make this machine read.
_CONFINED = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,nut,ivf,h264,hevc,av1,obu,m4v,"
    "mjpeg,yuv4mpegpipe,gif,apng,mxf,dv,rm,wtv,wav,mp3,aac,flac",
}
_MEND = "play it to see where it ends, or write it anew: ffmpeg -i in.mp4 -c:v libx264 out.mp4"


def read_video(path: str | os.PathLike[str], grid: tuple[int, int] = (4, 4), every: int = 1) -> NDArray[np.float32]:
    """Mean brightness of each cell of a grid laid over each frame; one frame is in memory at a time.

    Args:
        path: any file FFmpeg reads; its first video stream is taken.
        grid: cells down and across; they are as equal as whole pixels allow.
        every: take every n-th frame, beginning with the first.

    Returns:
        float32 [frames, cells], 0 (black) to 255 (white), cells row by row from the top left.

    Raises:
        MissingDependencyError: PyAV is not installed.
        DatasetError: no such file, no video in it, damage, an end before the one its header says, no frames, frames of
            different sizes or missing, a grid finer than the frames.
    """
    file, (down, across) = Path(path), check_grid(grid)
    cells = []
    size: tuple[int, ...] | None = None
    for number, image in enumerate(_frames(file, _step("every", every))):
        if size is None:
            size = image.shape
            if down > size[0] or across > size[1]:
                found = f"{down} × {across} cells on {size[0]} × {size[1]} pixels"
                raise DatasetError("a grid finer than the frames", file=file, found=found, mend="ask for fewer cells")
        if image.shape != size:
            mend = "cells would be other places; scale it to one size: ffmpeg -i in.mp4 -vf scale=320:240 out.mp4"
            raise DatasetError(
                f"frame {number * every + 1} has another size than those before it",
                file=file,
                found=f"{image.shape[1]} × {image.shape[0]} pixels",
                expected=f"{size[1]} × {size[0]}",
                mend=mend,
            )
        cells.append(_means(image, down, across))
    if not cells:
        raise DatasetError("a video without frames", file=file, found="no frames", mend=_MEND)
    return np.array(cells, dtype=np.float32)


def episodes_of_video(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    grid: tuple[int, int] = (4, 4),
    levels: int = 2,
    *,
    frames: int = 6,
    stride: int = 1,
    every: int = 1,
    threshold: Threshold = "cell",
    segments: int | None = None,
    split: Split | None = None,
) -> Episodes:
    """Clips of a video, or of several: every frame a grid of cells, every cell one of some levels of brightness.

    A video is cut into segments, the sources: clips lie inside a segment, so that training and test share no frame (at
    a border of two segments they are still neighbours in time). Levels are cut at the quantiles of the frames of
    training segments: the median for two levels. State 0 is the darkest; two levels are called "dark" and "bright".

    Args:
        path: a file, or several; a clip never crosses from one to another.
        grid: cells down and across. The cell in row r, column c of frame t is the node "r{r}c{c}_t".
        levels: 2 to 64.
        frames: of a clip.
        stride: frames from the beginning of one clip to that of the next.
        every: take every n-th frame of the video.
        threshold: "cell" cuts each cell at its own quantiles: what is seen is a cell's change, and each level has the
            same share of the frames; "overall" cuts all at those of all cells together: what is seen is the picture.
        segments: of each video; by default about ten in all.
        split: which segments are for training, validation and test.

    Raises:
        MissingDependencyError: PyAV is not installed.
        DatasetError: as `read_video`; a video too short for its segments, one in which nothing changes.
    """
    files = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not files:
        raise DatasetError("no video", mend="give a path")
    down, across = check_grid(grid)
    count = check_levels(levels, "levels")
    length, step, chosen = _step("frames", frames, 2), _step("stride", stride), split or Split()
    if threshold not in ("cell", "overall"):
        mend = '"cell" or "overall"'
        raise DatasetError("where to cut brightness", found=repr(threshold), expected=mend, mend="name one")
    each = max(1, SEGMENTS // len(files)) if segments is None else _step("segments", segments)
    videos = [read_video(file, (down, across), every) for file in files]
    start = _segments(videos, files, each, length)
    values = np.concatenate(videos)
    part = chosen.part_of(np.arange(len(start) - 1), len(start) - 1)
    training = np.repeat(part == 0, np.diff(start))
    codes = _levels(values, training, count, threshold == "cell")
    if (codes == codes[:1]).all():
        raise DatasetError("nothing changes in the video", file=files[0], mend="try more levels, or another video")
    labels: tuple[Label, ...] = ("dark", "bright") if count == 2 else tuple(range(count))
    kinds = {f"r{r}c{c}": labels for r in range(1, down + 1) for c in range(1, across + 1)}
    where, source = clip_frames(start, length, step)
    return Episodes(ClipLayout(kinds, length, {}), codes[where].reshape(len(where), -1), source, chosen)


def check_grid(grid: Any) -> tuple[int, int]:
    """Cells down and across.

    Raises:
        DatasetError: no two whole numbers from 1 to 64.
    """
    cells = tuple(grid) if isinstance(grid, Sequence) and not isinstance(grid, str) else ()
    if len(cells) != 2 or not all(type(n) is int and 1 <= n <= LARGEST_GRID for n in cells):
        expected = f"two whole numbers from 1 to {LARGEST_GRID}"
        raise DatasetError("a grid", found=repr(grid), expected=expected, mend="such as grid=(4, 4)")
    return cells[0], cells[1]


def _step(name: str, value: Any, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        expected = f"a whole number ≥ {least}"
        raise DatasetError(f"{name} of a video", found=repr(value), expected=expected, mend=f"give {name} so")
    return int(value)


def _frames(file: Path, every: int) -> Iterator[NDArray[np.uint8]]:
    """Every n-th frame as grey pixels [height, width]."""
    try:
        import av
    except ImportError:
        mend = "pip install 'worldnets[video]'"
        raise MissingDependencyError("reading a video needs PyAV", file=file, mend=mend) from None
    try:
        if file.exists() and not file.is_file():
            raise DatasetError("no ordinary file", file=file, mend="give the path of a video")
        # "file:", or a name such as "concat:a|b" would be taken for an address.
        with av.open(f"file:{file}", options=_CONFINED) as container:
            if not container.streams.video:
                found = ", ".join(stream.type for stream in container.streams) or "nothing"
                raise DatasetError("no video in the file", file=file, found=found, mend="give a file with pictures")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.options = {"max_pixels": str(PIXELS_LIMIT)}
            times: list[int] = []
            number = -1
            for number, frame in enumerate(container.decode(stream)):
                if frame.is_corrupt:
                    raise DatasetError(f"frame {number + 1} is damaged", file=file, mend=_MEND)
                if frame.pts is not None:
                    times.append(frame.pts)
                if number % every == 0:
                    yield np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8)
            _check_times(file, times)
            _check_end(file, container, stream, number + 1, times)
    except FileNotFoundError:
        raise DatasetError("no such file", file=file, mend="check the path") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, DatasetError):
            raise
        found = getattr(error, "strerror", None) or str(error)
        if getattr(error, "errno", None) == errno.EINVAL:
            found += ": another kind of file than a video, such as a playlist that names other files"
        raise DatasetError("not a readable video", file=file, found=found, mend=_MEND) from None


def _check_times(file: Path, times: list[int]) -> None:
    """Frames are equally far apart: a reader that meets damage may go on where it finds the next sound frame."""
    steps = np.diff(times)
    if len(steps) and steps.max() > LARGEST_STEP * np.median(steps):
        at = int(steps.argmax())
        mend = "if it is whole, write it at a constant rate: ffmpeg -i in.mp4 -r 25 out.mp4"
        found = f"{steps[at] / np.median(steps):.3g} times the usual step"
        raise DatasetError(f"frames are missing after frame {at + 1}", file=file, found=found, mend=mend)


def _check_end(file: Path, container: Any, stream: Any, count: int, times: Sequence[int]) -> None:
    """There is as much as the header promises: frames, or seconds where it counts none (Matroska, WebM).

    A transport stream (.ts) promises nothing; the end of one that is cut cannot be told from an end.
    """
    found, expected = f"{count} frames", ""
    if stream.frames:
        expected = f"{stream.frames}, as its header says" if stream.frames > count else ""
    elif len(times) > 1 and (seconds := _seconds(container, stream)) is not None:
        step = float(np.median(np.diff(times)))
        end = float((times[-1] + step) * stream.time_base)
        if seconds - end > LARGEST_STEP * step * float(stream.time_base):
            found, expected = f"{found}, {end:.2f} s", f"{seconds:.2f} s, as its header says"
    if expected:
        raise DatasetError("a video cut short", file=file, found=found, expected=expected, mend=_MEND)


def _seconds(container: Any, stream: Any) -> float | None:
    """How long the pictures last by the header; sound may last longer, so the whole file counts if nothing else is."""
    marks = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = map(float, marks)
        return 3600 * hours + 60 * minutes + seconds
    except ValueError:  # no such mark, or none of this form
        alone = len(container.streams) == 1 and container.duration is not None
        return container.duration / 1e6 if alone else None


def _means(image: NDArray[np.uint8], down: int, across: int) -> NDArray[np.float64]:
    rows = np.arange(down) * image.shape[0] // down
    columns = np.arange(across) * image.shape[1] // across
    sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0, dtype=np.int64), columns, axis=1)
    pixels = np.outer(np.diff([*rows, image.shape[0]]), np.diff([*columns, image.shape[1]]))
    return (sums / pixels).ravel()


def _segments(
    videos: Sequence[NDArray[np.float32]], files: Sequence[str | os.PathLike[str]], each: int, length: int
) -> NDArray[np.int64]:
    """Where each segment begins in all frames one after the other, and their number."""
    start = [0]
    for file, video in zip(files, videos, strict=True):
        if len(video) < 2:
            mend = "give a video; a picture has no next frame"
            raise DatasetError("a video of one frame", file=file, found="one frame", mend=mend)
        if len(video) < each * length:
            most = len(video) // length
            mend = f"ask for segments={most}, or frames={len(video) // each}" if most else "ask for shorter clips"
            found = f"{len(video)} frames"
            expected = f"at least {each} segments × {length} frames of a clip"
            raise DatasetError("a video too short", file=file, found=found, expected=expected, mend=mend)
        start += [start[-1] + (i + 1) * len(video) // each for i in range(each)]
    return np.array(start, dtype=np.int64)


def _levels(values: NDArray[np.float32], training: NDArray[np.bool_], levels: int, by_cell: bool) -> NDArray[np.int16]:
    if not by_cell:
        return level_of(values, thresholds(values[training].ravel(), levels))
    columns = [level_of(column, thresholds(column[training], levels)) for column in values.T]
    return np.stack(columns, axis=1)
