"""What a run remembers of itself on disk, so that it goes on where it was interrupted, with the same bits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from worldnets.archive import read_archive, write_archive
from worldnets.errors import StoreError

KIND, FORMAT = "worldnets unfinished training", 1
EVERY = 20.0  # seconds between two writings

Arrays = dict[str, NDArray[Any]]


class Memory:
    """The unfinished state of a run, one file, written whole or not at all.

    Args:
        path: the file.
        request: what determines the run, JSON-able: the file is that of this run or of no one's.
        every: seconds between two writings.

    Raises:
        StoreError: the file belongs to another run, or is damaged.
    """

    def __init__(self, path: Path, request: Mapping[str, Any], every: float = EVERY) -> None:
        self.path, self._request, self._every = path, dict(request), every
        self._arrays: dict[int, Arrays] = {}
        self._lock = threading.Lock()
        self._written = time.monotonic()
        if path.exists():
            metadata, arrays = read_archive(path, KIND, FORMAT)
            if metadata.get("request") != self._request:
                changed = sorted(
                    key
                    for key in {*self._request, *metadata.get("request", {})}
                    if self._request.get(key) != metadata.get("request", {}).get(key)
                )
                mend = "ask for the same run again, save elsewhere, or delete the file"
                raise StoreError("unfinished training of another run", file=path, found=changed, mend=mend)
            for name, array in arrays.items():
                group, _, rest = name.partition("/")
                self._arrays.setdefault(int(group), {})[rest] = array

    def recall(self, group: int) -> Arrays | None:
        """What was kept of a group; None if nothing was."""
        return self._arrays.get(group)

    def due(self) -> bool:
        """Is it time to write again?"""
        return time.monotonic() - self._written >= self._every

    def keep(self, group: int, arrays: Arrays) -> None:
        """Write the file with a group's state as it is now."""
        with self._lock:
            self._arrays[group] = arrays
            named = {f"{g}/{name}": array for g, kept in self._arrays.items() for name, array in kept.items()}
            write_archive(self.path, KIND, FORMAT, {"request": self._request}, named)
            self._written = time.monotonic()

    def forget(self) -> None:
        """Remove the file: the run is finished."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
