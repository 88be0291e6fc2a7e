"""Tables of labels or numbers as episodes: one row per clip (wide), or one row per frame (long)."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldnets.episodes import ClipLayout, Episodes, Split
from worldnets.errors import DatasetError, did_you_mean
from worldnets.files import read_whole
from worldnets.net import Label
from worldnets.quantise import MISSING, Coded, Missing, check_levels, coded
from worldnets.temporal import frame_name

if TYPE_CHECKING:
    import pandas as pd

#: Bytes that a table may have, unpacked: a few kilobytes can unpack to any size. Assign another number to read a
#: larger one that you trust.
TABLE_LIMIT = 1 << 32

Form = Literal["wide", "long"]
Levels = int | Mapping[str, int]
_FRAME = re.compile(r"(.+)_(\d+)")


def episodes_of_table(
    table: str | os.PathLike[str] | pd.DataFrame,
    *,
    form: Form | None = None,
    episode: str = "episode",
    frame: str = "frame",
    source: str | None = None,
    latents: Sequence[str] = (),
    kinds: Sequence[str] | None = None,
    quantise: Levels | None = None,
    states: Mapping[str, Sequence[Label]] | None = None,
    missing: Missing = "refuse",
    frames: int | None = None,
    stride: int | None = None,
    split: Split | None = None,
) -> Episodes:
    """Episodes of a table.

    *Wide*: one row per episode; the column of node `kind` in frame t is named "kind_t". *Long*: one row per frame, with
    a column for the episode, one for the frame's number, and one per kind. Frames are numbered without gaps, from any
    number on.

    Args:
        table: a CSV or parquet file (by its ending), or a DataFrame.
        form: "wide" or "long"; by default long if the table has the columns `episode` and `frame`.
        episode: the column that says which episode; in wide form it may be missing.
        frame: the column that numbers the frames, in long form.
        source: a column that says what an episode was cut from, one for each episode; by default each episode is a
            source of its own. Sources are never divided between training and test.
        latents: columns with what is known beside the frames, one label for each episode.
        kinds: the kinds of observed node, in order; by default all that the table has.
        quantise: cut columns of numbers into so many levels, at the quantiles of the training episodes: a number for
            all kinds that are numbers, or a mapping from kinds and latents to numbers. Whatever is not cut is a label.
        states: the labels of a kind or latent, in order; by default those that occur.
        missing: what missing entries are: "refuse" is an error, "drop" leaves out the clips that have some, "state"
            makes them a state of their own.
        frames: cut clips of so many frames out of each episode; by default a clip is a whole episode, and all must be
            equally long. Episodes too short for one clip are left out (`Episodes.left_out` counts them).
        stride: frames from the beginning of one clip to that of the next; default `frames`, so that no two overlap.
        split: which sources are for training, validation and test.

    Raises:
        DatasetError: whatever is wrong with the file or the table, with the column and the row.
    """
    import pandas as pd

    data = table if isinstance(table, pd.DataFrame) else read_table(table)
    if missing not in MISSING:
        found, expected = repr(missing), ", ".join(MISSING)
        raise DatasetError("what to do with missing entries", found=found, expected=expected, mend="name one")
    try:
        _check_columns(data)
        known = [*_names(latents, "latents"), *([source] if source is not None else [])]
        for name in known:
            if name not in data.columns:
                raise DatasetError("no such column", found=repr(name), mend=did_you_mean(name, data.columns))
        if not len(data):
            raise DatasetError("no episodes", found="a table without rows", mend="give at least three episodes")
        if form is None:
            form = "long" if {episode, frame} <= set(data.columns) else "wide"
        if form == "long":
            raw = _long(data, episode, frame, source, tuple(latents), kinds)
        elif form == "wide":
            raw = _wide(data, episode, source, tuple(latents), kinds)
        else:
            raise DatasetError("unknown form of a table", found=repr(form), expected="wide or long", mend="name one")
        length, step = _clip_length(raw, frames, stride)
        return _coded_episodes(raw, length, step, quantise, dict(states or {}), missing, split or Split())
    except DatasetError as error:
        if not isinstance(table, pd.DataFrame):
            error.at(file=table)
        raise


@dataclass(frozen=True, eq=False)
class _Raw:
    """A table in one shape: all frames of all episodes one after the other.

    Attributes:
        kinds: one column per kind, [all frames]; the index says where each row comes from.
        latents: one column per latent, [episodes].
        start: [episodes + 1], where each episode's frames begin.
        sources: [episodes], numbers without gaps.
        names: [episodes], for messages.
    """

    kinds: pd.DataFrame
    latents: pd.DataFrame
    start: NDArray[np.int64]
    sources: NDArray[np.int64]
    names: Sequence[Any]


def read_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """A CSV (.csv, .tsv, also packed as .gz) or parquet (.parquet, .pq) file.

    Raises:
        DatasetError: no such file, another ending, a file that is not what its ending says, a column without a name or
            standing twice.
    """
    import pandas as pd
    import pyarrow as pa

    file = Path(path)
    endings = [ending.lower() for ending in file.suffixes]
    packed = endings[-1:] == [".gz"]
    ending = (endings[:-1] if packed else endings)[-1:]
    try:
        if ending in ([".parquet"], [".pq"]):
            return _parquet(file)
        if ending in ([".csv"], [".tsv"]):
            separator = "," if ending == [".csv"] else "\t"
            text = _text(file, packed)
            _refuse_names(_header(text, file, separator), file)
            # In one piece: piece by piece a column of numbers with one text in it would be both.
            return pd.read_csv(io.StringIO(text), sep=separator, low_memory=False, index_col=False)
    except FileNotFoundError:
        raise DatasetError("no such file", file=file, mend="check the path") from None
    except (OSError, EOFError, pa.ArrowException, ValueError, OverflowError, MemoryError, zlib.error) as error:
        if isinstance(error, DatasetError):  # pandas' own errors are ValueErrors
            raise
        if getattr(error, "errno", None) == errno.EFBIG:
            raise _too_large(file, str(getattr(error, "strerror", error))) from None
        found = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
        mend = "check the file: one header line, then as many fields in every line"
        raise DatasetError("not a readable table", file=file, found=found, mend=mend) from None
    mend = "give a .csv, .tsv or .parquet file, or a pandas DataFrame; worldnets.from_video takes a video"
    raise DatasetError("a table of an unknown kind", file=file, found="".join(endings) or "no ending", mend=mend)


def _text(file: Path, packed: bool) -> str:
    import gzip

    content = read_whole(file, TABLE_LIMIT)
    if packed:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            content = stream.read(TABLE_LIMIT + 1)
        if len(content) > TABLE_LIMIT:
            raise _too_large(file, f"more than {TABLE_LIMIT:,} bytes when unpacked")
    return content.decode("utf-8-sig")


def _parquet(file: Path) -> pd.DataFrame:
    import pyarrow.parquet as pq

    if file.exists() and not file.is_file():
        raise OSError(errno.EINVAL, "no ordinary file")
    opened = pq.ParquetFile(file, memory_map=False)
    _refuse_names(opened.schema_arrow.names, file)
    decoded = decoded_bytes(file, opened)
    if decoded > TABLE_LIMIT:
        raise _too_large(file, f"{decoded:,} bytes when unpacked, more than {TABLE_LIMIT:,}")
    try:
        return opened.read().to_pandas()
    except (KeyError, TypeError, AttributeError, IndexError) as error:  # of what the file says about pandas
        raise ValueError(f"{type(error).__name__}: {error}") from None


def decoded_bytes(file: Path, opened: Any) -> int:
    """Bytes that a parquet file's columns take in memory, at most: known before they are read.

    A value is never longer than its column's encoded bytes; where that bound says too much, texts are counted without
    being made, from their dictionaries.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    about, total = opened.metadata, 0
    for group in range(about.num_row_groups):
        rows = about.row_group(group).num_rows
        for place in range(about.num_columns):
            column = about.row_group(group).column(place)
            texts = column.physical_type == "BYTE_ARRAY"
            bound = rows * max(16, column.total_uncompressed_size if texts else 16)
            if texts and rows * 16 <= TABLE_LIMIT < bound:
                read = type(opened)(file, read_dictionary=[column.path_in_schema], memory_map=False)
                bound = 0
                for chunk in read.read_row_group(group, columns=[column.path_in_schema]).column(0).chunks:
                    if not pa.types.is_dictionary(chunk.type):
                        bound += chunk.nbytes
                        continue
                    lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
                    bound += (pc.sum(lengths.take(chunk.indices)).as_py() or 0) + 16 * len(chunk)
            total += bound
    return total


def _too_large(file: Path, found: str) -> DatasetError:
    mend = "raise worldnets.episode_tables.TABLE_LIMIT if you trust it, or write it with worldnets.EpisodeWriter"
    return DatasetError("a table too large", file=file, found=found, mend=mend)


def _header(text: str, file: Path, separator: str) -> list[str]:
    # pandas renames a column that stands twice, and names one that has no name: both would go unnoticed.
    try:
        return next(csv.reader(io.StringIO(text), delimiter=separator))
    except StopIteration:
        raise DatasetError("an empty file", file=file, mend="write a header line and one line per row") from None
    except csv.Error as error:
        raise DatasetError("not a readable table", file=file, found=str(error), mend="check the header") from None


def _refuse_names(names: Sequence[str], file: Path) -> None:
    for place, name in enumerate(names, 1):
        if not name:
            mend = "name it; pandas writes none with to_csv(index=False)"
            raise DatasetError("a column without a name", file=file, found=f"column {place}", mend=mend)
        if list(names).count(name) > 1:
            raise DatasetError("a column stands twice", file=file, node=name, mend="keep one of the two")


def _check_columns(data: pd.DataFrame) -> None:
    for name in data.columns:
        if not isinstance(name, str):
            raise DatasetError("a column's name is no text", found=repr(name), mend="name columns with texts")
    if not data.columns.is_unique:
        twice = data.columns[data.columns.duplicated()][0]
        raise DatasetError("a column stands twice", node=twice, mend="keep one of the two")


def _wide(
    data: pd.DataFrame, episode: str, source: str | None, latents: tuple[str, ...], kinds: Sequence[str] | None
) -> _Raw:
    import pandas as pd

    named = episode in data.columns and episode not in latents
    names = data[episode] if named else data.index.to_series()
    if named:
        _refuse_missing(data[episode])
    if not names.is_unique:
        twice = names[names.duplicated()].iloc[0]
        raise DatasetError("an episode stands twice", row=twice, mend="one row per episode in wide form")
    rest = [name for name in data.columns if name not in latents and name != source and not (named and name == episode)]
    columns = _columns_by_kind(rest, kinds)
    numbers = _numbers_of(columns)
    order = {kind: [columns[kind][t] for t in numbers] for kind in columns}
    index = pd.Index([f"{name}, frame {t}" for name in names for t in range(1, len(numbers) + 1)])
    table = {}
    for kind, own in order.items():
        # Column after column, then put in the order of episodes: the types of the columns stay what they are.
        stacked = pd.concat([data[name] for name in own], ignore_index=True)
        by_episode = np.arange(len(stacked)).reshape(len(own), len(data)).T.ravel()
        table[kind] = stacked.iloc[by_episode].set_axis(index)
    start = np.arange(len(data) + 1) * len(numbers)
    own_latents = data.loc[:, list(latents)].set_axis(pd.Index(names), axis=0)
    return _Raw(pd.DataFrame(table), own_latents, start, _source_numbers(data, source), names.tolist())


def _columns_by_kind(names: Iterable[str], kinds: Sequence[str] | None) -> dict[str, dict[int, str]]:
    columns: dict[str, dict[int, str]] = {}
    for name in names:
        match = _FRAME.fullmatch(name)
        if match is None:
            if kinds is not None:  # then what else there is was not asked for
                continue
            raise DatasetError(
                "a column of no frame",
                node=name,
                expected='names like "kind_1", "kind_2"',
                mend="name it in latents= or source=, say which kinds=, or drop it",
            )
        own, number = columns.setdefault(match[1], {}), int(match[2])
        if number in own:
            raise DatasetError("a frame stands twice", node=name, found=own[number], mend="keep one")
        own[number] = name
    for kind in kinds or ():
        if kind not in columns:
            raise DatasetError("no column of this kind", node=kind, mend=did_you_mean(kind, columns))
    if not columns:
        raise DatasetError("no frames", found="no column of a frame", mend='name columns "kind_1", "kind_2", …')
    return {kind: columns[kind] for kind in (kinds or columns)}


def _numbers_of(columns: Mapping[str, Mapping[int, str]]) -> list[int]:
    """The numbers of the frames, which every kind must have alike and without gaps."""
    numbers = sorted({number for own in columns.values() for number in own})
    for kind, own in columns.items():
        for number in numbers:
            if number not in own:
                mend = "give every kind in every frame; a kind with its own frames can be a state “unseen” elsewhere"
                raise DatasetError("a frame lacks a kind", node=frame_name(kind, number), mend=mend)
    if numbers != list(range(numbers[0], numbers[-1] + 1)):
        mend = "number frames one after the other"
        raise DatasetError("frames are not consecutive", found=numbers, mend=mend)
    return numbers


def _long(
    data: pd.DataFrame,
    episode: str,
    frame: str,
    source: str | None,
    latents: tuple[str, ...],
    kinds: Sequence[str] | None,
) -> _Raw:
    import pandas as pd

    for name in (episode, frame):
        if name not in data.columns:
            mend = f"{did_you_mean(name, data.columns)} Say which it is: episode=…, frame=…"
            raise DatasetError("no such column", found=repr(name), mend=mend)
        _refuse_missing(data[name])
    numbers = _whole_numbers(data[frame])
    names, ids = pd.factorize(data[episode])[::-1]
    order = np.lexsort((numbers, ids))
    start = np.concatenate([[0], np.flatnonzero(np.diff(ids[order])) + 1, [len(order)]])
    _check_numbers(numbers[order], start, list(names))
    rest = [name for name in data.columns if name not in (*latents, source, episode, frame)]
    for kind in kinds or ():
        if kind not in rest:
            raise DatasetError("no column of this kind", node=kind, mend=did_you_mean(kind, rest))
    chosen = list(kinds or rest)
    if not chosen:
        raise DatasetError("frames with nothing in them", mend="give at least one column beside episode and frame")
    ordered = data.iloc[order]
    index = pd.Index([f"{names[ids[row]]}, frame {numbers[row]}" for row in order])
    for name in (*latents, *([source] if source is not None else [])):
        _check_constant(ordered[name], start, list(names))
    first = ordered.iloc[start[:-1]]
    own_latents = first.loc[:, list(latents)].set_axis(pd.Index(names), axis=0)
    return _Raw(
        ordered[chosen].set_axis(index, axis=0), own_latents, start, _source_numbers(first, source), list(names)
    )


def _whole_numbers(column: pd.Series) -> NDArray[np.int64]:
    import pandas as pd

    mend = "number frames 1, 2, 3, …"
    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise DatasetError("frames that are no numbers", node=column.name, found=f"type {column.dtype}", mend=mend)
    values = column.to_numpy(dtype=np.float64)
    broken = np.flatnonzero(~(np.floor(values) == values) | (np.abs(values) > 2**53))
    if len(broken):
        row, found = column.index[broken[0]], float(values[broken[0]])
        raise DatasetError("a frame's number is not whole", node=column.name, row=row, found=found, mend=mend)
    return values.astype(np.int64)


def _check_numbers(numbers: NDArray[np.int64], start: NDArray[np.int64], names: Sequence[Any]) -> None:
    """Within each episode the frames follow one another."""
    step = np.diff(numbers)
    inside = np.ones(len(step), dtype=np.bool_)
    inside[start[1:-1] - 1] = False
    for wrong, what, mend in (
        (step == 0, "a frame stands twice", "keep one of the two, or give the episodes names of their own"),
        (step != 1, "frames are not consecutive", "add the frames between, or make two episodes of it"),
    ):
        places = np.flatnonzero(wrong & inside)
        if len(places):
            at = int(places[0])
            name = names[int(np.searchsorted(start, at, side="right")) - 1]
            found = f"frame {numbers[at + 1]} after frame {numbers[at]}"
            raise DatasetError(what, row=f"of episode {name!r}", found=found, mend=mend)


def _check_constant(column: pd.Series, start: NDArray[np.int64], names: Sequence[Any]) -> None:
    """One label in all frames of an episode."""
    import pandas as pd

    codes = pd.factorize(column, use_na_sentinel=True)[0]
    varies = np.flatnonzero(codes != np.repeat(codes[start[:-1]], np.diff(start)))
    if len(varies):
        at = int(varies[0])
        place = int(np.searchsorted(start, at, side="right")) - 1
        found = f"{column.iloc[at]!r} after {column.iloc[start[place]]!r}"
        mend = "a latent is one label per episode; what changes from frame to frame is a kind"
        raise DatasetError(
            "more than one label in an episode",
            node=column.name,
            row=f"of episode {names[place]!r}",
            found=found,
            mend=mend,
        )


def _refuse_missing(column: pd.Series) -> None:
    absent = column.isna().to_numpy()
    if absent.any():
        row = column.index[int(np.argmax(absent))]
        mend = "every row belongs to an episode and a frame"
        raise DatasetError("a missing entry", node=column.name, row=row, mend=mend)


def _source_numbers(data: pd.DataFrame, source: str | None) -> NDArray[np.int64]:
    import pandas as pd

    if source is None:
        return np.arange(len(data), dtype=np.int64)
    _refuse_missing(data[source])
    return pd.factorize(data[source])[0].astype(np.int64)


def _clip_length(raw: _Raw, frames: int | None, stride: int | None) -> tuple[int, int]:
    lengths = np.diff(raw.start)
    if frames is None:
        if stride is not None:
            raise DatasetError("a stride of whole episodes", found=stride, mend="say how long a clip is: frames=…")
        other = np.flatnonzero(lengths != lengths[0])
        if len(other):
            found = f"{lengths[other[0]]} frames in {raw.names[other[0]]!r}, {lengths[0]} in {raw.names[0]!r}"
            mend = f"cut clips of one length out of them: frames={max(2, int(lengths.min()))}"
            raise DatasetError("episodes are not equally long", found=found, mend=mend)
        return int(lengths[0]), 1
    for name, value, least in (("frames", frames, 2), ("stride", stride, 1)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and (not whole or value < least):
            expected = f"a whole number ≥ {least}"
            raise DatasetError(f"{name} of a clip", found=repr(value), expected=expected, mend=f"give {name} so")
    if lengths.max() < frames:
        mend = f"frames={int(lengths.max())} or fewer"
        raise DatasetError("no episode is long enough for a clip", found=f"at most {lengths.max()} frames", mend=mend)
    return frames, frames if stride is None else stride


def _coded_episodes(
    raw: _Raw,
    length: int,
    stride: int,
    quantise: Levels | None,
    states: dict[str, Sequence[Label]],
    missing: Missing,
    split: Split,
) -> Episodes:
    names = [*map(str, raw.kinds.columns), *map(str, raw.latents.columns)]
    for name in states:
        if name not in names:
            raise DatasetError("states of no column", found=repr(name), mend=did_you_mean(name, names))
    levels = _levels(raw, quantise, states)
    frames, episode = clip_frames(raw.start, length, stride)
    if missing == "drop":
        gone = raw.kinds.isna().any(axis=1).to_numpy()[frames].any(axis=1)
        gone |= raw.latents.isna().any(axis=1).to_numpy()[episode]
        _refuse_empty(raw)
        if gone.all():
            mend = 'missing="state" makes that a state of its own'
            raise DatasetError("every clip misses something", found=f"{len(gone)} clips", mend=mend)
        frames, episode = frames[~gone], episode[~gone]
    # Numbered as `Episodes` will: who is in training is known before numbers are cut.
    sources = np.unique(raw.sources[episode], return_inverse=True)[1].reshape(-1)
    chosen = split.part_of(sources, int(sources.max()) + 1) == 0
    training_frames = np.zeros(len(raw.kinds), dtype=np.bool_)
    training_frames[frames[chosen]] = True
    training = np.zeros(len(raw.names), dtype=np.bool_)
    training[episode[chosen]] = True

    def made(table: pd.DataFrame, rows: NDArray[np.bool_]) -> dict[str, Coded]:
        return {
            str(name): coded(
                table[name], rows, levels=levels.get(str(name)), states=states.get(str(name)), missing=missing
            )
            for name in table.columns
        }

    kinds, latents = made(raw.kinds, training_frames), made(raw.latents, training)
    layout = ClipLayout({k: c.states for k, c in kinds.items()}, length, {z: c.states for z, c in latents.items()})
    observed = np.stack([c.codes for c in kinds.values()], axis=1)
    known = np.stack([c.codes for c in latents.values()], axis=1) if latents else np.empty((len(training), 0), np.int16)
    codes = np.concatenate([known[episode], observed[frames].reshape(len(frames), -1)], axis=1)
    short = int((np.diff(raw.start) < length).sum())
    return Episodes(layout, codes, sources, split, short)


def clip_frames(start: NDArray[np.int64], length: int, stride: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which frames make each clip.

    Args:
        start: [episodes + 1], where each episode's frames begin.
        length: frames of a clip.
        stride: frames from the beginning of one clip to that of the next.

    Returns:
        frames [clips, length], and the episode of each clip [clips].
    """
    begins: list[int] = []
    of: list[int] = []
    for place, (first, end) in enumerate(zip(start[:-1].tolist(), start[1:].tolist(), strict=True)):
        own = range(first, end - length + 1, stride)
        begins.extend(own)
        of.extend([place] * len(own))
    return np.array(begins, dtype=np.int64)[:, None] + np.arange(length), np.array(of, dtype=np.int64)


def _refuse_empty(raw: _Raw) -> None:
    for table in (raw.kinds, raw.latents):
        for name in table.columns:
            if table[name].isna().all():
                raise DatasetError("a column all missing", node=str(name), mend="leave the column out, or measure it")


def _levels(raw: _Raw, quantise: Levels | None, states: Mapping[str, Sequence[Label]]) -> dict[str, int]:
    import pandas as pd

    if quantise is None:
        return {}
    names = [*map(str, raw.kinds.columns), *map(str, raw.latents.columns)]
    if not isinstance(quantise, Mapping):
        count = check_levels(quantise, "quantise")
        numeric = [
            str(name)
            for name in raw.kinds.columns
            if pd.api.types.is_numeric_dtype(raw.kinds[name].dtype)
            and not pd.api.types.is_bool_dtype(raw.kinds[name].dtype)
        ]
        return {name: count for name in numeric if name not in states}
    for name in quantise:
        if name not in names:
            raise DatasetError("levels of no column", found=repr(name), mend=did_you_mean(name, names))
        if name in states:
            raise DatasetError("both levels and states", node=name, mend="levels are for numbers, states for labels")
    return {name: check_levels(levels, name) for name, levels in quantise.items()}


def _names(value: Any, what: str) -> Iterator[str]:
    if isinstance(value, str) or not all(isinstance(name, str) for name in value):
        raise DatasetError(f"{what} is no list of names", found=repr(value), mend=f'{what}=["…"]')
    return iter(value)
