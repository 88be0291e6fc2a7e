"""The run directory: a suite and what it resolved to, and its cells, each whole or not there at all.

    RUN/manifest.json        schema, suite, versions, when made; written last when a run directory is made
    RUN/suite.toml           the suite with every default written out
    RUN/conditions.json      what it resolved to: every row of the verdict table and how its cells are keyed
    RUN/organisms.json       the planted organisms that are counted besides, where the suite asks for some
    RUN/cells/               the finished cells: two files each, or packed (`probes.cell_files`)
    RUN/failed/ab….json      what went wrong with a cell; gone when a later try succeeds
    RUN/log/                 times, hosts, progress: nothing there is part of a result
    RUN/findings.parquet, verdicts.parquet, report.html    rebuilt from the cells at any time

The bytes of a cell depend on nothing but the cell: no times, hosts or paths. Nothing is pickled.

A run directory may come from a stranger. What stands in it is data; links in it are refused, not followed, so that
neither reading nor writing leaves it (RUN itself may be a link). docs/untrusted.md has the whole of it.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from probes.cell_store import CellStore, now
from probes.cells import Condition, Line, Shared, canonical
from probes.lines import checked
from probes.organism import Organism
from probes.run_files import content, decoded, read_table, refuse_links, spelled, write
from probes.suite import Suite, read_suite
from worldnets.errors import StoreError, SuiteError, WorldnetsError

#: Goes up when the layout of a run directory changes.
RUN_SCHEMA = 1

PACKAGES = ("worldnets", "numpy", "numba", "jax", "jaxlib", "equinox", "optax", "scipy", "pandas", "pgmpy")


class Store(CellStore):
    """A run directory, opened. Make one with `create` or `open`."""

    def __init__(
        self,
        path: Path,
        manifest: Mapping[str, Any],
        suite: Suite,
        conditions: tuple[Condition, ...] = (),
        organisms: tuple[Organism, ...] = (),
    ) -> None:
        super().__init__(path)
        self.manifest, self.suite = manifest, suite
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
        refuse_links(folder)
        try:
            for name in ("cells", "failed", "log"):
                (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            mend = "check that the folder's parent exists and is writable"
            raise StoreError("cannot make the run directory", file=folder, found=error.strerror, mend=mend) from error
        write(folder / "suite.toml", suite.to_toml())
        write(folder / "conditions.json", _listed(conditions))
        if organisms:
            write(folder / "organisms.json", _listed(organisms))
        manifest = {
            "schema": RUN_SCHEMA,
            "suite": suite.name,
            "created": now(),
            "versions": versions(),
            "history": [],
        }
        write(folder / "manifest.json", spelled(manifest))
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
        manifest = read_table(folder / "manifest.json", "no manifest: this is not a run directory", mend)
        schema, packages = manifest.get("schema"), manifest.get("versions")
        texts = isinstance(packages, dict) and all(isinstance(version, str) for version in packages.values())
        if type(schema) is not int or not texts or not isinstance(manifest.get("history", []), list):
            raise StoreError("not a run's manifest", file=folder / "manifest.json", mend=mend)
        if schema != RUN_SCHEMA:
            mend = "read it with the version of worldnets that the manifest names"
            raise StoreError(
                "another schema", file=folder / "manifest.json", found=schema, expected=RUN_SCHEMA, mend=mend
            )
        refuse_links(folder)
        try:
            suite = read_suite(content(folder / "suite.toml"), folder / "suite.toml")
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
            write(self.path / "conditions.json", _listed(conditions))
            write(self.path / "suite.toml", suite.to_toml())
            write(self.path / "manifest.json", spelled(extended.manifest))
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
        entry = {"when": now(), "what": "more seeds", "versions": versions()}
        manifest = {**self.manifest, "history": [*self.manifest.get("history", []), entry]}
        return Store(self.path, manifest, suite, conditions, self.organisms)

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, suite {self.suite.name!r})"


def versions() -> dict[str, str]:
    """Python and the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _listed(lines: Sequence[Condition | Organism]) -> str:
    # Not sorted: in a source's parameters the order of a table can mean something (of targets, for example). One line
    # each, so that a hundred thousand of them are read one by one.
    return "[\n" + ",\n".join(json.dumps(asdict(line), allow_nan=False) for line in lines) + "\n]\n"


def _identities(*lines: Sequence[Condition | Organism]) -> dict[tuple[str, str], str]:
    return {(one.title, one.probe["name"]): canonical(one.identity) for one in itertools.chain(*lines)}


def _read_lines(path: Path, kind: Callable[..., Line]) -> tuple[Line, ...]:
    """What `_listed` wrote, now or in a layout of its own; equal tables become one."""
    mend = "start a new run"
    shared = Shared()
    try:
        lines = (checked(kind, fields) for fields in _tables(content(path, mend)))
        return tuple(kind(**{name: shared(value) for name, value in fields.items()}) for fields in lines)
    except WorldnetsError as error:
        raise error.at(file=path) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"unreadable {path.stem}", file=path, found=str(error), mend=mend) from error


def _tables(text: bytes) -> Iterator[Any]:
    lines = io.BytesIO(text)
    if lines.readline() != b"[\n":
        listed = decoded(text)
        if not isinstance(listed, list):
            raise TypeError("no list")
        yield from listed
        return
    for line in lines:
        if line not in {b"\n", b"]\n"}:
            yield decoded(line.removesuffix(b"\n").removesuffix(b","))


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
