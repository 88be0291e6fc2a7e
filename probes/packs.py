"""Finished cells packed together, so that a million of them are a few hundred files instead of two million.

    RUN/cells/ab-0123456789abcdef.zip     up to `LARGEST` cells whose keys begin with ab

A pack is an ordinary zip archive, uncompressed, that never changes: members `KEY.json` and `KEY.npz` in the order of
keys, and at its end `index`, one line of `LINE` characters per cell: its key, and where in the file its two members'
bytes begin and how many they are. So a cell is found by halving, with a few small reads and nothing kept in memory. The
digits in its name are of the sha256 of its index: the same cells make the same pack.

Cells are removed from where they were only after the pack that has them is on disk and has been read back. Whenever
that is cut off, a cell is where it was, or in the pack, or both, and both are the same bytes: the next call goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldnets.errors import StoreError
from worldnets.files import sync_folder

if TYPE_CHECKING:
    from probes.cell_files import CellFiles

#: Cells in one pack at most, and bytes before no further cell is added: zip's first and simplest form holds them.
LARGEST, FULL = 16_384, 1 << 30

#: Characters of a line of the index: key, offset and size of the JSON, offset and size of the arrays.
LINE = 64 + 4 * 11 + 1

_NAME = re.compile(r"[0-9a-f]{2}-[0-9a-f]{16}\.zip")
_LEFT = re.compile(r"\.[0-9a-f]{2}\.[0-9a-f]{12}\.tmp")
_KEY = re.compile(r"[0-9a-f]{64}")
_END = struct.Struct("<4s4H2LH")


def pack_names(folder: Path) -> list[str]:
    """Names of the packs in RUN/cells."""
    return [name for name in os.listdir(folder) if _NAME.fullmatch(name)]


class Pack:
    """A pack, read: nothing of it is kept, and no file stays open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __contains__(self, key: str) -> bool:
        with self._opened() as (file, count, begin):
            return _line(file, count, begin, key) is not None

    def __len__(self) -> int:
        with self._opened() as (_, count, _):
            return count

    def keys(self) -> list[str]:
        """All keys, sorted."""
        with self._opened() as (file, count, begin):
            index = _bytes(file, begin, count * LINE).decode("ascii", "replace")
            keys = (index[first : first + 64] for first in range(0, len(index), LINE))
            return [key for key in keys if _KEY.fullmatch(key)]

    def read(self, key: str) -> tuple[bytes, bytes]:
        """The bytes of a cell's JSON and arrays.

        Raises:
            KeyError: not in this pack.
            OSError: the pack cannot be read.
        """
        with self._opened() as (file, count, begin):
            line = _line(file, count, begin, key)
            if line is None:
                raise KeyError(key)
            try:
                at, size, arrays_at, arrays_size = map(int, line[64:].split())
            except ValueError as error:
                raise OSError(None, f"a damaged index in {self.path.name}") from error
            return _bytes(file, at, size), _bytes(file, arrays_at, arrays_size)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[int, int, int]]:
        """The open file, how many cells it has, and where its index begins."""
        file = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            length = os.fstat(file).st_size
            mark, *_, members, _, directory, comment = _END.unpack(_bytes(file, length - _END.size, _END.size))
            count = (members - 1) // 2
            if mark != b"PK\5\6" or comment or members % 2 == 0 or not 0 <= count * LINE <= directory <= length:
                raise OSError(None, f"{self.path.name} is no pack")
            yield file, count, directory - count * LINE
        finally:
            os.close(file)


def _bytes(file: int, at: int, size: int) -> bytes:
    if not 0 <= at <= at + size <= os.fstat(file).st_size:  # an index can say anything
        raise OSError(None, "a pack that was cut off, or is none")
    return os.pread(file, size, at)


def _line(file: int, count: int, begin: int, key: str) -> str | None:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        line = _bytes(file, begin + middle * LINE, LINE).decode("ascii", "replace")
        if line[:64] == key:
            return line
        low, high = (middle + 1, high) if line[:64] < key else (low, middle)
    return None


@dataclass(frozen=True)
class Packed:
    """What a call of `pack` did.

    Attributes:
        cells: finished cells, all of them.
        packed: of them packed by this call.
        packs: packs there are now.
        damaged: keys of cells whose files do not belong together; they stay as they are.
    """

    cells: int
    packed: int
    packs: int
    damaged: tuple[str, ...]


def pack(files: CellFiles) -> Packed:
    """Pack what is loose, with packs that are not half full; then remove what is packed.

    Runners may be at work, but nobody else may pack.

    Raises:
        StoreError: a pack cannot be written; everything is where it was.
    """
    cells = packed = packs = 0
    damaged: list[str] = []
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(files.folder):
            if _LEFT.fullmatch(name):  # by a packing that was killed
                (files.folder / name).unlink(missing_ok=True)
    # First all packs, then all removals: where a disk is told of every block that is freed, waiting for it is dear.
    replaced = {prefix: _packed(files, prefix, damaged) for prefix in files.prefixes()}
    files.forget()
    for prefix, small in replaced.items():
        packed += _remove(files, prefix, sorted(files.loose(prefix)))
        for one in small:
            one.path.unlink(missing_ok=True)
    files.forget()
    for prefix in replaced:
        cells += len(files.finished(prefix))
        packs += len(files.packs(prefix))
    return Packed(cells, packed, packs, tuple(damaged))


def _packed(files: CellFiles, prefix: str, damaged: list[str]) -> list[Pack]:
    """Write packs of what is loose in one folder, and of small packs; those small packs, which are then not needed."""
    files.forget()
    old = {one: one.keys() for one in files.packs(prefix)}
    already = {key for keys in old.values() for key in keys}
    small = [one for one, keys in old.items() if len(keys) < LARGEST // 2]
    fresh = {key for key in files.loose(prefix) if key not in already}
    if not fresh and len(small) < 2:
        return []
    rest = sorted({*fresh, *(key for one in small for key in old[one])})
    while rest:
        made, rest = _write(files, prefix, rest, fresh, damaged)
        for key, digest in made.digests.items():
            if _digest(made.pack.read(key)) != digest:
                mend = "check the disk; nothing was removed"
                raise StoreError("a pack reads back as something else", file=made.pack.path, mend=mend)
        small = [one for one in small if one.path != made.pack.path]
    return small


@dataclass(frozen=True)
class _Made:
    pack: Pack
    digests: dict[str, bytes]


def _write(
    files: CellFiles, prefix: str, keys: list[str], fresh: set[str], damaged: list[str]
) -> tuple[_Made, list[str]]:
    """A pack of the first of these cells, and those that it has no room for."""
    digests: dict[str, bytes] = {}
    lines: list[str] = []
    total = 0
    temporary = files.folder / f".{prefix}.{os.urandom(6).hex()}.tmp"
    rest: list[str] = []
    try:
        with open(temporary, "xb") as stream:
            with zipfile.ZipFile(stream, "w") as archive:
                for number, key in enumerate(keys):
                    if len(lines) == LARGEST or total > FULL:
                        rest = keys[number:]
                        break
                    content = files.read(key)
                    if key in fresh and not _belong(key, *content):
                        damaged.append(key)
                        continue
                    if len(content[0]) + len(content[1]) > FULL:
                        continue
                    at = [_add(archive, f"{key}.json", content[0]), _add(archive, f"{key}.npz", content[1])]
                    lines.append(f"{key} {at[0]:010d} {len(content[0]):010d} {at[1]:010d} {len(content[1]):010d}\n")
                    digests[key] = _digest(content)
                    total += len(content[0]) + len(content[1])
                index = "".join(lines).encode()
                _add(archive, "index", index)
            stream.flush()
            os.fsync(stream.fileno())
        final = files.folder / f"{prefix}-{hashlib.sha256(index).hexdigest()[:16]}.zip"
        os.replace(temporary, final)
    except BaseException as error:  # an interrupt too must leave nothing behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if not isinstance(error, OSError):
            raise
        mend = "nothing was removed; with space, and where it may be written, the same command goes on"
        raise StoreError("cannot pack", file=files.folder, found=error.strerror or str(error), mend=mend) from error
    sync_folder(files.folder)
    return _Made(Pack(final), digests), rest


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> int:
    """Where the bytes begin in the archive."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    archive.writestr(info, content)
    return info.header_offset + 30 + len(name)


def _belong(key: str, body: bytes, arrays: bytes) -> bool:
    """Whether two files are those of this cell."""
    try:
        said: Any = json.loads(body)
        return bool(said["key"] == key and said["arrays"]["sha256"] == hashlib.sha256(arrays).hexdigest())
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _digest(content: tuple[bytes, bytes]) -> bytes:
    return hashlib.sha256(hashlib.sha256(content[0]).digest() + content[1]).digest()


def _remove(files: CellFiles, prefix: str, loose: list[str]) -> int:
    """Remove loose files of cells that a pack has, byte for byte; how many cells."""
    removed = 0
    for key in loose:  # those that came since are in no pack yet
        content = (files.place(key, ".json").read_bytes(), files.place(key, ".npz").read_bytes())
        for one in files.packs(prefix):
            with contextlib.suppress(KeyError):
                if one.read(key) == content:
                    files.place(key, ".json").unlink()
                    files.place(key, ".npz").unlink()
                    removed += 1
                break
    # What a removal that was cut off has left: half of a cell that is packed.
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(files.folder / prefix):
            key = name.partition(".")[0]
            whole = all(files.place(key, ending).exists() for ending in (".json", ".npz"))
            if name in (f"{key}.json", f"{key}.npz") and not whole and any(key in one for one in files.packs(prefix)):
                (files.folder / prefix / name).unlink(missing_ok=True)
    return removed
