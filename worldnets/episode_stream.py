"""Clips in a parquet file: written piece by piece, and read without ever holding more than some buffers of them.

The file: one int16 column of state codes per node, a column `@source` where clips share sources, and the layout in the
footer's metadata. Clips of one source may stand anywhere in it.

Order (`EpisodeStream.draw`): each epoch of each seed goes through the row groups in a random order, fills a buffer with
the clips of some groups, and goes through those in a random order. The k-th clip of an epoch is found without reading
those before it, because how many training clips each group has is counted once, when the file is opened.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.episodes import PARTS, ClipLayout, Codes, Episodes, Part, Split, Taken, check_rows, part_number, said
from worldnets.errors import CapacityError, DatasetError, WorldnetsError
from worldnets.permutation import key_of, permuted

if TYPE_CHECKING:
    import pyarrow.parquet

SOURCE = "@source"
METADATA = b"worldnets.episodes"
FORM = 1
ROW_GROUP = 8192  # clips
MEMORY = 256 << 20  # bytes of all buffers together
BUFFERS = 8  # kept: as many seeds as are trained side by side, each at its own place of its own order
MOST_SOURCES = 1 << 28  # the split puts all of them in order
_GROUPS, _INSIDE = 3, 4  # tags of keys

T = TypeVar("T")


class EpisodeWriter:
    """Writes clips to a parquet file piece by piece, so that they need never be in memory together.

    >>> import numpy as np
    >>> from worldnets.episodes import ClipLayout
    >>> layout = ClipLayout({"light": ("red", "green")}, length=2, latents={})
    >>> with EpisodeWriter("street.parquet", layout, sources=True) as writer:
    ...     for day in range(3):
    ...         writer.write(np.zeros((10, 2), dtype=np.int16), sources=np.full(10, day))
    >>> len(read_episodes("street.parquet"))
    30

    The file appears under its name when it is complete; after an error there is none.

    Args:
        path: the file.
        layout: what every clip consists of.
        sources: whether clips share sources; then `write` is given them. Otherwise each clip is a source of its own.
        row_group: clips that are read together.

    Raises:
        DatasetError: the file cannot be written.
    """

    def __init__(
        self, path: str | os.PathLike[str], layout: ClipLayout, *, sources: bool = False, row_group: int = ROW_GROUP
    ) -> None:
        import pyarrow as pa

        self.path, self.layout, self.row_group = Path(path), layout, row_group
        fields = [(v, pa.int16()) for v in layout.variables] + ([(SOURCE, pa.int64())] if sources else [])
        self._shared, self._fields, self._rest = sources, fields, np.empty((0, len(layout.variables)), dtype=np.int16)
        self._rest_sources = np.empty(0, dtype=np.int64)
        self._most_source, self._clips, self._checksum = -1, 0, _Checksum()
        self._temporary = self.path.with_name(f".{self.path.name}.{os.urandom(6).hex()}.tmp")
        self._writer: Any = None

    def __repr__(self) -> str:
        return f"EpisodeWriter({str(self.path)!r}, {self._clips + len(self._rest):,} clips so far)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {"layout": repr(self.layout)})

    def write(self, codes: ArrayLike, sources: ArrayLike | None = None) -> None:
        """Add clips.

        Args:
            codes: int16 [clips, columns], as of `Episodes`.
            sources: [clips], whole numbers from 0 without large gaps (the split puts all numbers up to the largest in
                order); where the file was opened with `sources`.

        Raises:
            DatasetError: codes that are none of the layout's, sources missing or not wanted or negative.
        """
        checked = self.layout.checked(codes)
        if self._shared != (sources is not None):
            mend = "EpisodeWriter(…, sources=True) wants them, sources=False does not"
            raise DatasetError("sources given or missing", file=self.path, mend=mend)
        numbers = np.zeros(0, dtype=np.int64)
        if sources is not None:
            numbers = np.asarray(sources)
            if numbers.shape != (len(checked),) or numbers.dtype.kind not in "iu" or (numbers < 0).any():
                mend = "give one whole number ≥ 0 for each clip"
                raise DatasetError("sources of clips", found=f"{numbers.dtype} {list(numbers.shape)}", mend=mend)
            self._most_source = max(self._most_source, int(numbers.max(initial=-1)))
        self._rest = np.concatenate([self._rest, checked])
        self._rest_sources = np.concatenate([self._rest_sources, numbers.astype(np.int64)])
        while len(self._rest) >= self.row_group:
            self._put(self.row_group)

    def _put(self, rows: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = _attempt(
                self.path, lambda: pq.ParquetWriter(self._temporary, pa.schema(self._fields), compression="zstd")
            )
        columns = [pa.array(np.ascontiguousarray(column)) for column in self._rest[:rows].T]
        if self._shared:
            columns.append(pa.array(self._rest_sources[:rows]))
        table = pa.Table.from_arrays(columns, schema=pa.schema(self._fields))
        _attempt(self.path, lambda: self._writer.write_table(table, row_group_size=rows))
        self._clips += rows
        self._checksum.add(self._rest[:rows], self._rest_sources[:rows])
        self._rest, self._rest_sources = self._rest[rows:], self._rest_sources[rows:]

    def __enter__(self) -> EpisodeWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            if self._writer is not None:
                self._writer.close()
                self._temporary.unlink(missing_ok=True)

    def _finish(self) -> None:
        if len(self._rest):
            self._put(len(self._rest))
        if self._writer is None:
            raise DatasetError("no clips", file=self.path, mend="write some before the file is closed")
        page = {
            "format": FORM,
            "layout": self.layout.to_json(),
            "clips": self._clips,
            "sources": self._most_source + 1 if self._shared else None,
            "sha256": self._checksum.hexdigest(),
        }
        self._writer.add_key_value_metadata({METADATA: json.dumps(page).encode()})
        self._writer.close()
        _attempt(self.path, lambda: os.replace(self._temporary, self.path))


def write_episodes(episodes: Episodes, path: str | os.PathLike[str], row_group: int = ROW_GROUP) -> Path:
    """Write clips to a parquet file that `read_episodes` and `EpisodeStream` take; the split is not part of it.

    Raises:
        DatasetError: the file cannot be written.
    """
    own = bool(np.array_equal(episodes.sources, np.arange(len(episodes))))
    with EpisodeWriter(path, episodes.layout, sources=not own, row_group=row_group) as writer:
        writer.write(episodes.codes, None if own else episodes.sources)
    return Path(path)


def read_episodes(path: str | os.PathLike[str], split: Split | None = None) -> Episodes:
    """All clips of a file that `write_episodes` or `EpisodeWriter` wrote, in memory.

    Raises:
        DatasetError: no such file, or one of another kind.
    """
    return EpisodeStream(path, split).in_memory()


def holds_episodes(path: str | os.PathLike[str]) -> bool:
    """Whether a parquet file was written by `EpisodeWriter`.

    Raises:
        DatasetError: no such file, or no parquet.
    """
    return METADATA in (_opened(Path(path)).metadata.metadata or {})


class EpisodeStream:
    """Clips in a file that may be larger than memory.

    Args:
        path: a file that `EpisodeWriter` wrote.
        split: which sources are for what; the same as of `Episodes` with these clips.
        memory: bytes for all buffers together; a buffer holds an eighth of it, and the larger it is, the better are
            clips shuffled.

    Raises:
        DatasetError: no such file, another kind of file, a newer format, too few sources.
        CapacityError: a row group larger than a buffer.
    """

    def __init__(self, path: str | os.PathLike[str], split: Split | None = None, *, memory: int = MEMORY) -> None:
        self.path, self.memory = Path(path), memory
        self._file = _opened(self.path)
        page = _page(self.path, self._file)
        self._layout = ClipLayout.from_json(page["layout"])
        self._split = split or Split()
        self._clips, sources, self._checksum = int(page["clips"]), page["sources"], page["sha256"]
        self.source_count = self._clips if sources is None else int(sources)
        self._own = sources is None
        about = self._file.metadata
        self._group_rows = np.array([about.row_group(g).num_rows for g in range(about.num_row_groups)], dtype=np.int64)
        self._group_start = np.cumsum([0, *self._group_rows])
        width = len(self._layout.variables)
        self.buffer_rows = max(1, memory // (BUFFERS * (width * 2 + 8)))
        largest = int(self._group_rows.max(initial=0))
        if largest > self.buffer_rows:
            raise CapacityError(
                "a row group does not fit into a buffer",
                file=self.path,
                found=f"{largest} clips of {width} columns",
                expected=f"at most {self.buffer_rows} clips",
                mend=f"allow memory={largest * BUFFERS * (width * 2 + 8)}, or write the file with a smaller row_group",
            )
        # So that a buffer which still takes a whole group is never larger than it may be.
        self._full = self.buffer_rows - largest + 1
        self._counts = np.array([self._counted(g) for g in range(len(self._group_rows))]).reshape(-1, len(PARTS))
        for part, clips in zip(PARTS, self._counts.sum(axis=0), strict=True):
            if not clips:
                mend = "number the sources without gaps, or split with another seed"
                raise DatasetError(f"no clips for {part}", file=self.path, mend=mend)
        self._buffers: OrderedDict[tuple[int, ...], Taken] = OrderedDict()
        self._orders: OrderedDict[tuple[int, ...], _Order] = OrderedDict()

    def _counted(self, group: int) -> NDArray[np.int64]:
        return np.bincount(self._split.part_of(self._sources(group), self.source_count), minlength=len(PARTS))

    def _sources(self, group: int) -> NDArray[np.int64]:
        """The source of each clip of a row group."""
        if self._own:
            return np.arange(self._group_start[group], self._group_start[group + 1])
        return self._column(group, SOURCE)

    def _column(self, group: int, name: str) -> NDArray[np.int64]:
        table = _attempt(self.path, lambda: self._file.read_row_group(group, columns=[name], use_threads=False))
        column: NDArray[np.int64] = table.column(0).to_numpy()
        return column

    @property
    def layout(self) -> ClipLayout:
        """What every clip consists of."""
        return self._layout

    @property
    def split(self) -> Split:
        """Which sources are for what."""
        return self._split

    @functools.cached_property
    def digest(self) -> str:
        """Hash of the file's footer (in which are the layout and the clips' checksum), split and size of buffers."""
        digest = hashlib.sha256(json.dumps(self._split.to_json()).encode())
        with open(self.path, "rb") as stream:
            stream.seek(-8, os.SEEK_END)
            (length,) = struct.unpack("<I", stream.read(4))
            stream.seek(-8 - length, os.SEEK_END)
            digest.update(stream.read(length))
        digest.update(str(self.buffer_rows).encode())
        return digest.hexdigest()

    def count(self, part: Part) -> int:
        """Clips of a part."""
        return int(self._counts[:, part_number(part)].sum())

    def draw(self, rows: int, seed: int, first: int = 0, part: Part = "train") -> Codes:
        """Clips of the seed's endless order of a part, as `RealClips.draw` says."""
        return self._drawn(rows, seed, first, part).codes

    def _drawn(self, rows: int, seed: int, first: int, part: Part) -> Taken:
        check_rows(rows, seed, first)
        total = self.count(part)
        drawn = Taken(np.empty((rows, len(self._layout.variables)), dtype=np.int16), np.empty(rows, dtype=np.int64))
        done = 0
        while done < rows:
            epoch, place = divmod(first + done, total)
            order = self._order(seed, epoch, part)
            buffer = int(np.searchsorted(order.start, place, side="right")) - 1
            begin, end = int(order.start[buffer]), int(order.start[buffer + 1])
            taken = min(rows - done, end - place)
            held = self._buffer(order, buffer, part)
            inside = permuted(np.arange(place - begin, place - begin + taken), end - begin, order.keys[buffer])
            drawn.codes[done : done + taken] = held.codes[inside]
            drawn.sources[done : done + taken] = held.sources[inside]
            done += taken
        return drawn

    def take(self, part: Part, most: int | None = None) -> Taken:
        """All clips of a part in the file's order, or so many of them drawn without replacement."""
        if most is None or most >= self.count(part):
            return self._filled(np.arange(len(self._group_rows)), part)
        return self._drawn(most, 0, 0, part)

    def batches(self, part: Part) -> Iterator[Taken]:
        """All clips of a part in the file's order, one row group at a time."""
        for group in np.flatnonzero(self._counts[:, part_number(part)]).tolist():
            yield self._of_part(group, part)

    def in_memory(self) -> Episodes:
        """All clips at once, compared with the checksum of what was written.

        Raises:
            DatasetError: they are others.
        """
        groups = range(len(self._group_rows))
        codes = np.concatenate([self._codes(group) for group in groups])
        sources = None if self._own else np.concatenate([self._column(group, SOURCE) for group in groups])
        checksum = _Checksum()
        checksum.add(codes, np.zeros(0, dtype=np.int64) if sources is None else sources)
        if checksum.hexdigest() != self._checksum:
            raise DatasetError("clips that do not match their checksum", file=self.path, mend="write the file again")
        return Episodes(self._layout, codes, sources, self._split)

    def _order(self, seed: int, epoch: int, part: Part) -> _Order:
        """How an epoch goes through the file: kept for as many seeds as there are buffers."""
        name = (seed, epoch, part_number(part))
        return _kept(self._orders, name, lambda: self._made_order(*name))

    def _made_order(self, seed: int, epoch: int, part: int) -> _Order:
        key = key_of(seed, _GROUPS, part, epoch)
        groups = np.empty(len(self._group_rows), dtype=np.int64)
        groups[permuted(np.arange(len(groups)), len(groups), key)] = np.arange(len(groups))
        ends = np.cumsum(self._counts[groups, part])
        before = np.concatenate([[0], ends[:-1]])
        # A group goes whole into the buffer that its first clip falls into.
        _, first = np.unique(before // self._full, return_index=True)
        start = np.append(before[first], ends[-1])
        keys = key_of(seed, _INSIDE, part, epoch, np.arange(len(first)))
        return _Order(groups, np.append(first, len(groups)), start, keys)

    def _buffer(self, order: _Order, buffer: int, part: Part) -> Taken:
        groups = order.groups[order.first[buffer] : order.first[buffer + 1]]
        name = (part_number(part), *groups.tolist())
        return _kept(self._buffers, name, lambda: self._filled(groups, part))

    def _filled(self, groups: NDArray[np.int64], part: Part) -> Taken:
        rows = np.cumsum([0, *self._counts[groups, part_number(part)]])
        shape = (int(rows[-1]), len(self._layout.variables))
        filled = Taken(np.empty(shape, dtype=np.int16), np.empty(shape[0], dtype=np.int64))
        for place, group in enumerate(groups.tolist()):  # one at a time: a list of them would be a second buffer
            clips = self._of_part(group, part)
            filled.codes[rows[place] : rows[place + 1]] = clips.codes
            filled.sources[rows[place] : rows[place + 1]] = clips.sources
        return filled

    def _of_part(self, group: int, part: Part) -> Taken:
        sources = self._sources(group)
        own = self._split.part_of(sources, self.source_count) == part_number(part)
        return Taken(self._codes(group)[own], sources[own])

    def _codes(self, group: int) -> Codes:
        names = list(self._layout.variables)
        table = _attempt(self.path, lambda: self._file.read_row_group(group, columns=names, use_threads=False))
        codes = np.empty((table.num_rows, len(names)), dtype=np.int16)
        for column, name in enumerate(names):
            codes[:, column] = table.column(name).to_numpy()
        try:
            return self._layout.checked(codes)
        except DatasetError as error:
            raise error.at(file=self.path) from None

    def __len__(self) -> int:
        return self._clips

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self), memory=self.memory), (self.path, self._split)

    def __repr__(self) -> str:
        counts = [self.count(part) for part in PARTS]
        return f"EpisodeStream({Path(self.path).name!r}, {said(self._layout, counts, self.source_count)})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self), {"clips": f"{len(self):,}", "layout": repr(self._layout)})


class _Checksum:
    """Of codes and sources, whatever the pieces they come in."""

    def __init__(self) -> None:
        self._codes, self._sources = hashlib.sha256(), hashlib.sha256()

    def add(self, codes: Codes, sources: NDArray[np.int64]) -> None:
        """The next clips."""
        self._codes.update(np.ascontiguousarray(codes, dtype="<i2").tobytes())
        self._sources.update(np.ascontiguousarray(sources, dtype="<i8").tobytes())

    def hexdigest(self) -> str:
        """64 hex digits."""
        return hashlib.sha256(self._codes.digest() + self._sources.digest()).hexdigest()


class _Order(NamedTuple):
    groups: NDArray[np.int64]  # row groups in the order of the epoch
    first: NDArray[np.int64]  # [buffers + 1] where each buffer's groups begin
    start: NDArray[np.int64]  # [buffers + 1] clips before each buffer
    keys: NDArray[np.uint64]  # [buffers] of the order inside


def _kept(kept: OrderedDict[tuple[int, ...], T], name: tuple[int, ...], make: Callable[[], T]) -> T:
    """What is kept under a name, or made and kept in place of what was used longest ago."""
    if name in kept:
        kept.move_to_end(name)
        return kept[name]
    while len(kept) >= BUFFERS:  # before the new one is made: two at once would be more than was allowed
        kept.popitem(last=False)
    kept[name] = make()
    return kept[name]


def _opened(path: Path) -> pyarrow.parquet.ParquetFile:
    import pyarrow.parquet as pq

    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise DatasetError("no ordinary file", file=path, mend="give the path of a parquet file")
    return _attempt(path, lambda: pq.ParquetFile(path, memory_map=False))


def _page(path: Path, file: Any) -> dict[str, Any]:
    page = (file.metadata.metadata or {}).get(METADATA)
    if page is None:
        mend = "write it with EpisodeWriter, or read a table of labels with worldnets.from_episodes"
        raise DatasetError("a parquet file that holds no episodes", file=path, mend=mend)
    try:
        content: dict[str, Any] = json.loads(page)
        if type(content["format"]) is not int or type(content["clips"]) is not int:
            raise ValueError("format or clips that are no whole number")
        if type(content["sources"]) not in (int, NoneType) or not 0 <= (content["sources"] or 0) <= MOST_SOURCES:
            raise ValueError(f"sources {content['sources']!r}")
        if content["format"] > FORM:
            mend = "read it with the version of worldnets that wrote it, or a newer one"
            raise DatasetError("a newer file format", file=path, found=content["format"], expected=FORM, mend=mend)
        names = {*ClipLayout.from_json(content["layout"]).variables, *([] if content["sources"] is None else [SOURCE])}
        if len(content["sha256"]) != 64:
            raise ValueError("a checksum that is none")
        if names != set(file.schema_arrow.names) or content["clips"] != file.metadata.num_rows:
            raise ValueError("columns or rows that its own page does not know")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, WorldnetsError):
            raise error.at(file=path) from None
        raise DatasetError("a damaged episodes file", file=path, found=str(error), mend="write it again") from None
    return content


def _attempt(path: Path, action: Callable[[], T]) -> T:
    """An action on a file; what the system or pyarrow says against it as an error of ours."""
    import pyarrow as pa

    try:
        return action()
    except FileNotFoundError:
        raise DatasetError("no such file", file=path, mend="check the path") from None
    except (OSError, pa.ArrowException) as error:
        found = getattr(error, "strerror", None) or str(error).splitlines()[0]
        mend = "check the file, its permissions and the space on the disk"
        raise DatasetError("cannot read or write parquet", file=path, found=found, mend=mend) from None
