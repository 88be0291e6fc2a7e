"""The cells of a run directory, one by one: finished ones, failed ones, and those that somebody is at.

All that a worker needs to know of a run directory; `probes.store.Store` knows the rest.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from probes.cell_files import CellFiles, Keys
from probes.cells import Cell
from probes.encoding import decode, encode
from probes.packs import Packed, pack
from probes.run_files import FILE_LIMIT, NOT_ELSEWHERE, linked, read_table, spelled, write
from probes.worklist import Cells
from worldnets.errors import StoreError
from worldnets.files import read_whole


class CellStore:
    """Cells by their keys.

    Args:
        path: the run directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @functools.cached_property
    def files(self) -> CellFiles:
        """The files of the finished cells."""
        return CellFiles(self.path / "cells")

    def has(self, cell: Cell) -> bool:
        """Whether the cell is finished. Of many cells ask `missing`, or `finished`."""
        return self.files.has(cell.key)

    def finished(self) -> Keys:
        """Which cells are finished, as of now: `cell.key in store.finished()`. Lists folders, opens no cell."""
        return Keys(self.files)

    def missing(self, cells: Cells) -> Cells:
        """Those that are not finished."""
        done = self.finished()
        return cells[np.fromiter((cell.key not in done for cell in cells), bool, len(cells))]

    def write(self, cell: Cell, measured: Mapping[str, Any]) -> None:
        """Store a finished cell, whole or not at all: arrays, then the JSON that says what they are.

        `measured` is a tree of dicts, lists, arrays, numbers, texts, booleans and None.

        Raises:
            StoreError: it holds something else, or cannot be written.
        """
        self.files.write(cell.key, *encode(cell, measured))
        with contextlib.suppress(FileNotFoundError):
            (self.path / "failed" / f"{cell.key}.json").unlink()

    def read(self, cell: Cell) -> dict[str, Any]:
        """What `write` was given.

        Raises:
            StoreError: the cell is not there, or its files are damaged or do not belong together.
        """
        return decode(cell, *self.content(cell), self.files.place(cell.key, ".json"))

    def content(self, cell: Cell) -> tuple[bytes, bytes]:
        """The bytes of a finished cell's JSON and arrays.

        Raises:
            StoreError: they cannot be read.
        """
        return self.files.read(cell.key)

    def pack(self) -> Packed:
        """Pack the finished cells' files together by the thousand; runners may be at work, and go on after.

        Raises:
            StoreError: another process is packing, or a pack cannot be written; nothing is lost.
        """
        import filelock

        place = self.path / "log" / "pack.lock"
        if place.is_symlink() or (place.exists() and not place.is_file()):
            raise linked(place)
        lock = filelock.FileLock(place, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise StoreError("being packed by another process", file=self.path, mend="wait for it") from error
        except OSError as error:
            mend = "check that the folder exists, is writable and has space"
            raise StoreError("cannot pack", file=self.path, found=error.strerror, mend=mend) from error
        try:
            return pack(self.files)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(lock.lock_file)
            lock.release()

    def fail(self, cell: Cell, error: str, traceback: str) -> None:
        """Keep what went wrong with a cell; the next run tries it again."""
        body = {"key": cell.key, "name": cell.name, "title": cell.title, "error": error, "traceback": traceback}
        write(self.path / "failed" / f"{cell.key}.json", spelled(body))

    def failed(self) -> set[str]:
        """Keys of the cells that failed when they were last tried."""
        with contextlib.suppress(OSError):
            names = os.listdir(self.path / "failed")
            return {name.removesuffix(".json") for name in names if name.endswith(".json")}
        return set()

    def failure(self, cell: Cell) -> dict[str, str] | None:
        """What went wrong with a cell the last time; None where nothing did."""
        place = self.path / "failed" / f"{cell.key}.json"
        if not place.is_file():
            return None
        body = read_table(place, "unreadable failure", "delete the file and run again")
        return {name: str(body.get(name, "")) for name in ("key", "name", "title", "error", "traceback")}

    def log(self, **event: Any) -> None:
        """Add a line to this process's log: times and hosts, never part of a result."""
        line = json.dumps({"when": now(), **event}, default=str) + "\n"
        name = f"{platform.node() or 'host'}-{os.getpid()}.jsonl"
        with contextlib.suppress(OSError):
            handle = os.open(self.path / "log" / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NOT_ELSEWHERE, 0o666)
            with os.fdopen(handle, "a", encoding="utf-8") as stream:
                stream.write(line)

    @contextlib.contextmanager
    def claimed(self, cell: Cell, wait: bool = True) -> Iterator[bool]:
        """Hold a cell while it is measured, so that two runners on one run directory measure nothing twice.

        A lock of the operating system on a file in RUN/log: it ends with the process that holds it, however that ends.

        Args:
            cell: which.
            wait: for another process to let go of it; else whether it could be had is yielded at once.
        """
        with self._claimed(cell.key[:16], wait) as ours:
            yield ours

    @contextlib.contextmanager
    def _claimed(self, short: str, wait: bool) -> Iterator[bool]:
        """As `claimed`, by the digits that file names have of a key."""
        import filelock

        place = self.path / "log" / f"claim-{short}.lock"
        if place.is_symlink() or (place.exists() and not place.is_file()):  # locking would open, and empty, what it is
            raise linked(place)
        lock = filelock.FileLock(place, timeout=-1 if wait else 0)
        try:
            lock.acquire()
        except filelock.Timeout:
            yield False
            return
        except (OSError, NotImplementedError):  # a file system without locks: cells may be measured twice, to one end
            yield True
            return
        try:
            yield True
        finally:
            # Removed while held: who waits for it finds the cell stored, or measures it to the same bytes.
            with contextlib.suppress(OSError):
                os.unlink(lock.lock_file)
            lock.release()

    def overrun(self, cell: Cell) -> Path:
        """Where a worker leaves its traceback when a cell takes longer than it may."""
        return self.path / "log" / f"overrun-{cell.key[:16]}.txt"

    def overran(self, cell: Cell, limit: float | None) -> str | None:
        """The error of a cell that took longer than it may, kept with its traceback; None of any other."""
        place = self.overrun(cell)
        try:
            traceback = read_whole(place, FILE_LIMIT, follow_links=False).decode("utf-8", "replace")
            place.unlink()
        except OSError:
            return None
        if not traceback or limit is None:
            return None
        error = f"took longer than the {limit:g} s that a cell may take (--time-limit)"
        self.fail(cell, error, traceback)
        return error

    def tidy(self, missing: Cells) -> None:
        """Remove what runs that were killed left about cells that are now to be done: tracebacks of their overruns."""
        left = {place.name: place for place in (self.path / "log").glob("overrun-*.txt")}
        for cell in missing if left else ():
            with contextlib.suppress(OSError):
                left.pop(self.overrun(cell).name, self.overrun(cell)).unlink(missing_ok=True)

    def at_work(self, cell: Cell) -> bool:
        """Whether a worker has begun with the cell and not ended, or died with it."""
        return self._told(cell.key).exists()

    def _told(self, cell_key: str) -> Path:
        return self.path / "log" / f"now-{cell_key[:16]}.json"

    def tell(self, cell_key: str, state: Mapping[str, Any] | None) -> None:
        """Leave word of how far a cell is, for whoever watches; None takes it back. Volatile, never an error."""
        place = self._told(cell_key)
        with contextlib.suppress(OSError):
            if state is None:
                place.unlink()
            else:
                temporary = place.with_suffix(f".{os.getpid()}.tmp")
                temporary.unlink(missing_ok=True)  # never written through, should it be a link
                temporary.write_text(json.dumps({"time": time.time(), **state}, default=float))
                temporary.replace(place)

    def hush(self) -> None:
        """Take back what was told of cells that nobody is at any more: their workers were killed."""
        for place in (self.path / "log").glob("now-*.json"):
            with self._claimed(place.stem.removeprefix("now-"), wait=False) as nobody:
                if nobody:
                    with contextlib.suppress(OSError):
                        place.unlink()

    def told(self) -> Iterator[dict[str, Any]]:
        """What the cells at work have last said."""
        for place in sorted((self.path / "log").glob("now-*.json")):
            with contextlib.suppress(OSError, ValueError, RecursionError):
                said = json.loads(read_whole(place, FILE_LIMIT, follow_links=False))
                if isinstance(said, dict):
                    yield said


def now() -> str:
    """The time, for logs and manifests."""
    return datetime.now(UTC).isoformat(timespec="seconds")
