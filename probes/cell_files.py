"""The files of finished cells: two loose ones each, or packed together by the thousand. Bytes under keys, no more.

    RUN/cells/ab/ab….json    what a cell measured; names the sha256 of its arrays
    RUN/cells/ab/ab….npz     its arrays
    RUN/cells/ab-….zip       cells whose keys begin with ab, packed (`probes.packs`)

A cell is finished when both its files are there, or when it is in a pack; where both is the case they are the same.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from probes.packs import Pack, pack_names
from probes.run_files import content, linked
from worldnets.errors import StoreError
from worldnets.files import write_together

#: How a damaged cell is mended.
AGAIN = "delete this cell's files and run the same command again"

ENDINGS = (".json", ".npz")
_KEY = re.compile(r"[0-9a-f]{64}")


class Keys:
    """Which cells are finished, as of when it was made: 32 bytes and little more for each."""

    def __init__(self, files: CellFiles) -> None:
        self._buckets: dict[str, bytes] = {}
        for prefix in files.prefixes():
            for key in files.finished(prefix):
                # Buckets of a few dozen at a million cells; what they have in common is not kept.
                self._buckets[key[:4]] = self._buckets.get(key[:4], b"") + bytes.fromhex(key[4:])

    def __contains__(self, key: str) -> bool:
        bucket, wanted = self._buckets.get(key[:4], b""), bytes.fromhex(key[4:])
        place = bucket.find(wanted)
        while place % len(wanted) and place >= 0:  # across two keys
            place = bucket.find(wanted, place + 1)
        return place >= 0

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values())) // 30


class CellFiles:
    """The cells of one run directory, by key.

    Args:
        folder: RUN/cells.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._packs: dict[str, list[str]] = {}
        self._listed = -1  # when `folder` had last changed as its packs were listed

    def place(self, key: str, ending: str) -> Path:
        """Where a loose file of a cell is, or would be."""
        return self.folder / key[:2] / f"{key}{ending}"

    def has(self, key: str) -> bool:
        """Whether a cell is finished, now."""
        if all(self.place(key, ending).is_file() for ending in ENDINGS):
            return True
        return any(key in pack for pack in self.packs(key[:2]))

    def read(self, key: str) -> tuple[bytes, bytes]:
        """The bytes of both files.

        Raises:
            StoreError: the cell is not there, or cannot be read.
        """
        places = [self.place(key, ending) for ending in ENDINGS]
        if places[0].parent.is_symlink():
            raise linked(places[0].parent)
        for again in (False, True):
            if all(os.path.lexists(place) for place in places):
                with contextlib.suppress(FileNotFoundError):
                    return self._loose_content(places)
            for pack in self.packs(key[:2]):
                try:
                    return pack.read(key)
                except KeyError:
                    continue
                except OSError as error:
                    what, found = "unreadable cell", error.strerror or str(error)
                    raise StoreError(what, file=pack.path, node=key, found=found, mend=AGAIN) from error
            if not again:
                self.forget()  # it may have been packed this very moment
        half = next((place for place in reversed(places) if os.path.lexists(place)), None)
        missing = next(place for place in places if place != half)
        raise StoreError("no such cell", file=missing, mend=AGAIN)

    def _loose_content(self, places: list[Path]) -> tuple[bytes, bytes]:
        try:
            return content(places[0], AGAIN), content(places[1], AGAIN, "ARRAYS_LIMIT")
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):  # packed between two looks
                raise error.__cause__ from None
            raise

    def write(self, key: str, json: bytes, npz: bytes) -> None:
        """Store a cell: both files whole, or a cell that is not finished.

        Raises:
            StoreError: they cannot be written.
        """
        folder = self.place(key, "").parent
        if folder.is_symlink():
            raise linked(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in os.listdir(folder):  # of a process that was killed while it wrote
            if left_over.startswith(f".{key}") and left_over.endswith(".tmp"):
                (folder / left_over).unlink(missing_ok=True)
        write_together(folder, {f"{key}.npz": npz, f"{key}.json": json})

    def prefixes(self) -> list[str]:
        """The first two digits of keys that have loose files or packs, sorted."""
        with contextlib.suppress(OSError):
            return sorted({name[:2] for name in os.listdir(self.folder) if re.match(r"[0-9a-f]{2}(-|$)", name)})
        return []

    def loose(self, prefix: str) -> set[str]:
        """Keys with these first digits of which both loose files are there."""
        try:
            names = set(os.listdir(self.folder / prefix))
        except OSError:
            return set()
        keys = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return {key for key in keys if f"{key}.npz" in names and _KEY.fullmatch(key)}

    def finished(self, prefix: str) -> set[str]:
        """All keys with these first two digits that are finished."""
        # Packs are listed after: what is packed meanwhile is in one of the two lists.
        keys = self.loose(prefix)
        self.forget()
        for pack in self.packs(prefix):
            keys.update(pack.keys())
        return keys

    def forget(self) -> None:
        """List the packs anew when they are next asked for."""
        self._listed = -1

    def packs(self, prefix: str) -> tuple[Pack, ...]:
        """Packs of keys with these first two digits."""
        with contextlib.suppress(OSError):
            changed = self.folder.stat().st_mtime_ns
            if changed != self._listed:
                found: dict[str, list[str]] = {}
                for name in sorted(pack_names(self.folder)):
                    found.setdefault(name[:2], []).append(name)
                self._packs, self._listed = found, changed
        return tuple(Pack(self.folder / name) for name in self._packs.get(prefix, ()))
