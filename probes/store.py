"""The run directory: one JSON and one .npz per finished cell, each whole or not there at all.

    RUN/manifest.json        schema, suite, versions, when made; written last when a run directory is made
    RUN/suite.toml           the suite with every default written out
    RUN/conditions.json      what it resolved to: every row of the verdict table and how its cells are keyed
    RUN/organisms.json       the planted organisms that are counted besides, where the suite asks for some
    RUN/cells/ab/ab….json    a finished cell; names its arrays' file and that file's sha256
    RUN/cells/ab/ab….npz     its arrays, written before the JSON: a cell without JSON is not finished
    RUN/failed/ab….json      what went wrong with a cell; gone when a later try succeeds
    RUN/log/                 times, hosts, progress: nothing there is part of a result
    RUN/findings.parquet, verdicts.parquet, report.html    rebuilt from the cells at any time

The bytes of a cell depend on nothing but the cell: no times, hosts or paths. Nothing is pickled.

A run directory may come from a stranger. What stands in it is data; links in it are refused, not followed, so that
neither reading nor writing leaves it (RUN itself may be a link). docs/untrusted.md has the whole of it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import json
import math
import os
import platform
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.cells import CELL_SCHEMA, Cell, Condition, Line, canonical
from probes.lines import checked
from probes.organism import Organism
from probes.suite import Suite, read_suite
from worldnets.archive import DAMAGE, array_of, members_of
from worldnets.errors import StoreError, SuiteError, WorldnetsError
from worldnets.files import read_whole, write_atomically

#: Goes up when the layout of a run directory changes.
RUN_SCHEMA = 1

PACKAGES = ("worldnets", "numpy", "numba", "jax", "jaxlib", "equinox", "optax", "scipy", "pandas", "pgmpy")

#: Bytes of the largest files that are read, for they may come from strangers: a cell's arrays, its JSON or any other
#: file. Assign other numbers to read larger ones that you trust.
ARRAYS_LIMIT = 1 << 32
FILE_LIMIT = 1 << 30

#: Flags for files that are opened to be written: a link at their place is not followed.
_NOT_ELSEWHERE = getattr(os, "O_NOFOLLOW", 0)

_ARRAY, _NUMBER = "$array", "$number"


class Store:
    """A run directory, opened. Make one with `create` or `open`."""

    def __init__(
        self,
        path: Path,
        manifest: Mapping[str, Any],
        suite: Suite,
        conditions: tuple[Condition, ...] = (),
        organisms: tuple[Organism, ...] = (),
    ) -> None:
        self.path, self.manifest, self.suite = path, manifest, suite
        self.conditions, self.organisms = conditions, organisms

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        suite: Suite,
        conditions: Sequence[Condition] = (),
        organisms: Sequence[Organism] = (),
    ) -> Store:
        """A new run directory for a suite, or the one of the same suite that is already there.

        A suite may come back with more seeds, nothing else changed: that is recorded in the manifest. Every other
        change is refused, because settings are fixed before a run.

        Raises:
            StoreError: the folder belongs to another suite or to something else, or cannot be written.
        """
        folder = Path(path)
        if (folder / "manifest.json").exists():
            store = cls.open(folder)
            return store._same(suite, tuple(conditions), tuple(organisms))
        if folder.exists() and not folder.is_dir():
            raise StoreError("not a folder", file=folder, mend="give a folder that does not exist yet")
        # An interrupted start leaves these and no manifest; anything else is not ours.
        foreign = (
            sorted(
                {entry.name for entry in folder.iterdir()}
                - {"suite.toml", "conditions.json", "organisms.json", "cells", "failed", "log"}
            )
            if folder.is_dir()
            else []
        )
        foreign = [name for name in foreign if not (name.startswith(".") and name.endswith(".tmp"))]
        if foreign:
            mend = "give a folder that does not exist yet"
            raise StoreError(
                "this folder holds something else than a run", file=folder, found=", ".join(foreign[:4]), mend=mend
            )
        _refuse_links(folder)
        try:
            for name in ("cells", "failed", "log"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            mend = "check that the folder's parent exists and is writable"
            raise StoreError("cannot make the run directory", file=folder, found=error.strerror, mend=mend) from error
        _write(folder / "suite.toml", suite.to_toml())
        _write(folder / "conditions.json", _listed(conditions))
        if organisms:
            _write(folder / "organisms.json", _listed(organisms))
        manifest = {
            "schema": RUN_SCHEMA,
            "suite": suite.name,
            "created": _now(),
            "versions": versions(),
            "history": [],
        }
        _write(folder / "manifest.json", _json(manifest))
        return cls(folder, manifest, suite, tuple(conditions), tuple(organisms))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Store:
        """The run directory at a path.

        Raises:
            StoreError: there is none, its files are damaged, or a newer version made it.
        """
        folder = Path(path)
        mend = "give the folder that `probes run … --out` made"
        if not folder.is_dir():
            raise StoreError("no run directory", file=folder, mend=mend)
        manifest = _read_json(folder / "manifest.json", "no manifest: this is not a run directory", mend)
        schema, packages = manifest.get("schema"), manifest.get("versions")
        texts = isinstance(packages, dict) and all(isinstance(version, str) for version in packages.values())
        if type(schema) is not int or not texts or not isinstance(manifest.get("history", []), list):
            raise StoreError("not a run's manifest", file=folder / "manifest.json", mend=mend)
        if schema != RUN_SCHEMA:
            mend = "read it with the version of worldnets that the manifest names"
            raise StoreError(
                "another schema", file=folder / "manifest.json", found=schema, expected=RUN_SCHEMA, mend=mend
            )
        _refuse_links(folder)
        try:
            suite = read_suite(_content(folder / "suite.toml"), folder / "suite.toml")
        except SuiteError as error:
            mend = "put the resolved suite back, or start a new run"
            raise StoreError("unreadable suite", file=folder / "suite.toml", found=str(error), mend=mend) from error
        conditions = _read_lines(folder / "conditions.json", Condition)
        planted = _read_lines(folder / "organisms.json", Organism) if suite.organisms else ()
        return cls(folder, manifest, suite, conditions, planted)

    def _same(self, suite: Suite, conditions: tuple[Condition, ...], organisms: tuple[Organism, ...]) -> Store:
        """This run directory, if the suite is its own or its own with more seeds."""
        extended = self if self.suite == suite else self._extended(suite, conditions)
        before, after = _identities(self.conditions, self.organisms), _identities(conditions, organisms)
        for name in before.keys() | after.keys():
            if before.get(name) != after.get(name):
                mend = "give another --out: a world, a probe or a head's defaults changed since the run began"
                raise StoreError(
                    "the run directory was made with other cells", file=self.path, found=name[0], mend=mend
                )
        if extended is not self:
            _write(self.path / "conditions.json", _listed(conditions))
            _write(self.path / "suite.toml", suite.to_toml())
            _write(self.path / "manifest.json", _json(extended.manifest))
        return extended

    def _extended(self, suite: Suite, conditions: tuple[Condition, ...]) -> Store:
        before, after = self.suite.model_dump(), suite.model_dump()
        difference = [
            (place, old, new)
            for place, old, new in differences(before, after)
            if not (place.endswith("seeds") and isinstance(new, int) and (old is None or old <= new))
        ]
        if difference:
            place, old, new = difference[0]
            raise StoreError(
                "the run directory belongs to another suite",
                file=self.path,
                found=f"{place} = {new!r}",
                expected=f"{old!r}, as in its suite.toml",
                mend="give another --out; settings are fixed before a run, only seeds may be added",
            )
        entry = {"when": _now(), "what": "more seeds", "versions": versions()}
        manifest = {**self.manifest, "history": [*self.manifest.get("history", []), entry]}
        return Store(self.path, manifest, suite, conditions, self.organisms)

    def _place(self, key: str, ending: str) -> Path:
        return self.path / "cells" / key[:2] / f"{key}{ending}"

    def has(self, cell: Cell) -> bool:
        """Whether the cell is finished."""
        return self._place(cell.key, ".json").is_file()

    def write(self, cell: Cell, measured: Mapping[str, Any]) -> None:
        """Store a finished cell: arrays first, then the JSON that says they are there.

        `measured` is a tree of dicts, lists, arrays, numbers, texts, booleans and None.

        Raises:
            StoreError: it holds something else, or cannot be written.
        """
        arrays: dict[str, NDArray[Any]] = {}
        tree = _packed(measured, "", arrays)
        folder = self._place(cell.key, "").parent
        if folder.is_symlink():
            raise _linked(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(f".{cell.key}*.tmp"):  # of a process that was killed while it wrote
            left_over.unlink(missing_ok=True)
        content = _npz(arrays)
        _write(self._place(cell.key, ".npz"), content)
        body = {
            "schema": CELL_SCHEMA,
            "key": cell.key,
            "title": cell.title,
            "identity": cell.identity,
            "arrays": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)},
            "measured": tree,
        }
        _write(self._place(cell.key, ".json"), _json(body))
        with contextlib.suppress(FileNotFoundError):
            (self.path / "failed" / f"{cell.key}.json").unlink()

    def read(self, cell: Cell) -> dict[str, Any]:
        """What `write` was given.

        Raises:
            StoreError: the cell is not there, or its files are damaged or do not belong together.
        """
        place = self._place(cell.key, ".json")
        mend = "delete this cell's files and run the same command again"
        if place.parent.is_symlink():
            raise _linked(place.parent)
        body = _read_json(place, "no such cell", mend)
        content = _content(self._place(cell.key, ".npz"), mend, "ARRAYS_LIMIT")
        try:
            if hashlib.sha256(content).hexdigest() != body["arrays"]["sha256"] or body["key"] != cell.key:
                raise ValueError("the arrays are not those the cell was written with")
            arrays = {name.removesuffix(".npy"): array_of(member) for name, member in members_of(content).items()}
            tree = _unpacked(body["measured"], arrays)
        except DAMAGE as error:
            found = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise StoreError("damaged cell", file=place, found=found, mend=mend) from error
        if not isinstance(tree, dict):
            raise StoreError("damaged cell", file=place, found=type(tree).__name__, expected="a table", mend=mend)
        return tree

    def content(self, cell: Cell) -> tuple[bytes, bytes]:
        """The bytes of a finished cell's two files.

        Raises:
            StoreError: they cannot be read.
        """
        mend = "delete this cell's files and run the same command again"
        if self._place(cell.key, "").parent.is_symlink():
            raise _linked(self._place(cell.key, "").parent)
        text = _content(self._place(cell.key, ".json"), mend)
        return text, _content(self._place(cell.key, ".npz"), mend, "ARRAYS_LIMIT")

    def fail(self, cell: Cell, error: str, traceback: str) -> None:
        """Keep what went wrong with a cell; the next run tries it again."""
        body = {"key": cell.key, "name": cell.name, "title": cell.title, "error": error, "traceback": traceback}
        _write(self.path / "failed" / f"{cell.key}.json", _json(body))

    def failure(self, cell: Cell) -> dict[str, str] | None:
        """What went wrong with a cell the last time; None where nothing did."""
        place = self.path / "failed" / f"{cell.key}.json"
        if not place.is_file():
            return None
        body = _read_json(place, "unreadable failure", "delete the file and run again")
        return {name: str(body.get(name, "")) for name in ("key", "name", "title", "error", "traceback")}

    def log(self, **event: Any) -> None:
        """Add a line to this process's log: times and hosts, never part of a result."""
        line = json.dumps({"when": _now(), **event}, default=str) + "\n"
        name = f"{platform.node() or 'host'}-{os.getpid()}.jsonl"
        with contextlib.suppress(OSError):
            handle = os.open(self.path / "log" / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NOT_ELSEWHERE, 0o666)
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
        import filelock

        place = self.path / "log" / f"claim-{cell.key[:16]}.lock"
        if place.is_symlink() or (place.exists() and not place.is_file()):  # locking would open, and empty, what it is
            raise _linked(place)
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

    def told(self) -> Iterator[dict[str, Any]]:
        """What the cells at work have last said."""
        for place in sorted((self.path / "log").glob("now-*.json")):
            with contextlib.suppress(OSError, ValueError, RecursionError):
                said = json.loads(read_whole(place, FILE_LIMIT, follow_links=False))
                if isinstance(said, dict):
                    yield said

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, suite {self.suite.name!r})"


def versions() -> dict[str, str]:
    """Python and the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n"


def _listed(lines: Sequence[Condition | Organism]) -> str:
    # Not sorted: in a source's parameters the order of a table can mean something (of targets, for example).
    return json.dumps([asdict(line) for line in lines], indent=1, allow_nan=False) + "\n"


def _identities(*lines: Sequence[Condition | Organism]) -> dict[tuple[str, str], str]:
    return {(one.title, one.probe["name"]): canonical(one.identity) for one in itertools.chain(*lines)}


def _read_lines(path: Path, kind: Callable[..., Line]) -> tuple[Line, ...]:
    """What `_listed` wrote."""
    mend = "start a new run"
    try:
        listed = _decoded(_content(path, mend))
        if not isinstance(listed, list):
            raise TypeError("no list")
        return tuple(kind(**checked(kind, fields)) for fields in listed)
    except WorldnetsError as error:
        raise error.at(file=path) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"unreadable {path.stem}", file=path, found=str(error), mend=mend) from error


def _read_json(path: Path, absent: str, mend: str) -> dict[str, Any]:
    if not os.path.lexists(path):
        raise StoreError(absent, file=path, mend=mend)
    try:
        value = _decoded(_content(path, mend))
    except (ValueError, RecursionError) as error:
        raise StoreError("unreadable", file=path, found=str(error), mend=mend) from error
    if not isinstance(value, dict):
        raise StoreError("unreadable", file=path, found=type(value).__name__, expected="a table", mend=mend)
    return value


def _content(path: Path, mend: str = "check its permissions, or start a new run", limit: str = "FILE_LIMIT") -> bytes:
    """All bytes of a file of a run directory; `limit` names the constant that says how many there may be."""
    try:
        return read_whole(path, globals()[limit], follow_links=False)
    except OSError as error:
        if error.errno == errno.EFBIG:
            mend = f"raise probes.store.{limit} if you trust the file"
        raise StoreError("unreadable", file=path, found=error.strerror, mend=mend) from error


def _decoded(content: bytes) -> Any:
    """The value of a JSON text whose tables have every name once.

    Raises:
        ValueError, RecursionError: no JSON, a name twice, NaN, nesting of more than a few hundred levels.
    """

    def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name stands twice in one table")
        return found

    def refused(constant: str) -> Any:
        raise ValueError(f"{constant}, which is no JSON")

    return json.loads(content, object_pairs_hook=table, parse_constant=refused)


def _write(path: Path, content: str | bytes) -> None:
    write_atomically(path, content, follow_links=False)


def _refuse_links(folder: Path) -> None:
    """The folders of a run directory lie inside it, so that nothing is written elsewhere."""
    for name in ("cells", "failed", "log"):
        if (folder / name).is_symlink():
            raise _linked(folder / name)


def _linked(path: Path) -> StoreError:
    mend = "put the real thing in its place; only the run directory itself may be a link"
    return StoreError("a link in a run directory", file=path, mend=mend)


def differences(before: Any, after: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two trees of tables and lists differ: (place, before, after), lists of other lengths as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from differences(before.get(name), after.get(name), f"{place}.{name}" if place else str(name))
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1):
            yield from differences(old, new, f"{place}[{number}]")
    elif before != after:
        yield place, before, after


def _packed(value: Any, place: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """The tree with its arrays taken out; what JSON cannot say (NaN, infinities) is spelt."""
    if isinstance(value, Mapping):
        if any(not isinstance(name, str) or name.startswith("$") or "/" in name for name in value):
            raise StoreError("a measurement's names are texts without / and $", found=list(value), mend="rename them")
        return {name: _packed(value[name], f"{place}/{name}" if place else name, arrays) for name in sorted(value)}
    if isinstance(value, list | tuple):
        return [_packed(one, f"{place}/{number}", arrays) for number, one in enumerate(value)]
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufU":
            mend = "store numbers, truth values or text"
            raise StoreError("an array of a kind that needs pickling", node=place, found=str(value.dtype), mend=mend)
        arrays[place] = np.asarray(value, order="C")
        return {_ARRAY: place}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    mend = "store dicts, lists, arrays, numbers and texts"
    raise StoreError("a value no cell can hold", node=place, found=type(value).__name__, mend=mend)


def _unpacked(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return arrays[value[_ARRAY]]
        if value.keys() == {_NUMBER}:
            return float(value[_NUMBER])
        return {name: _unpacked(one, arrays) for name, one in value.items()}
    return [_unpacked(one, arrays) for one in value] if isinstance(value, list) else value


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An .npz whose bytes depend on the arrays alone: sorted names, one date, no compression."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, arrays[name], allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0)), member.getvalue())
    return stream.getvalue()
