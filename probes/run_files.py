"""Files of a run directory, which may come from a stranger: bounded, checked, links refused and never followed."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from worldnets.errors import StoreError
from worldnets.files import read_whole, write_atomically

#: Bytes of the largest files that are read: a cell's arrays, its JSON or any other file. Assign other numbers to read
#: larger ones that you trust.
ARRAYS_LIMIT = 1 << 32
FILE_LIMIT = 1 << 30

#: Flags for files that are opened to be written: a link at their place is not followed.
NOT_ELSEWHERE = getattr(os, "O_NOFOLLOW", 0)


def content(path: Path, mend: str = "check its permissions, or start a new run", limit: str = "FILE_LIMIT") -> bytes:
    """All bytes of a file of a run directory; `limit` names the constant that says how many there may be.

    Raises:
        StoreError: no such file, a link, no ordinary file, or a larger one.
    """
    try:
        return read_whole(path, globals()[limit], follow_links=False)
    except OSError as error:
        if error.errno == errno.EFBIG:
            mend = f"raise probes.run_files.{limit} if you trust the file"
        raise StoreError("unreadable", file=path, found=error.strerror, mend=mend) from error


def decoded(text: bytes | str) -> Any:
    """The value of a JSON text whose tables have every name once.

    Raises:
        ValueError, RecursionError: no JSON, a name twice, NaN, nesting of more than a few hundred levels.
    """
    return json.loads(text, object_pairs_hook=_table, parse_constant=_refused)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one table")
    return found


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant}, which is no JSON")


def read_table(path: Path, absent: str, mend: str) -> dict[str, Any]:
    """The table in a JSON file.

    Raises:
        StoreError: saying `absent` where there is no file; it cannot be read, or holds something else.
    """
    if not os.path.lexists(path):
        raise StoreError(absent, file=path, mend=mend)
    return as_table(content(path, mend), path, mend)


def as_table(text: bytes, path: Path, mend: str) -> dict[str, Any]:
    """The table that a JSON text is; `path` only says where errors are.

    Raises:
        StoreError: it is none.
    """
    try:
        value = decoded(text)
    except (ValueError, RecursionError) as error:
        raise StoreError("unreadable", file=path, found=str(error), mend=mend) from error
    if not isinstance(value, dict):
        raise StoreError("unreadable", file=path, found=type(value).__name__, expected="a table", mend=mend)
    return value


def spelled(value: Any) -> str:
    """JSON as it stands in the files of a run directory: sorted, one line per value."""
    return json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n"


def write(path: Path, text: str | bytes) -> None:
    """Write a file whole or not at all; a link in its place is replaced, not followed."""
    write_atomically(path, text, follow_links=False)


def refuse_links(folder: Path) -> None:
    """The folders of a run directory lie inside it, so that nothing is written elsewhere.

    Raises:
        StoreError: one is a link.
    """
    for name in ("cells", "failed", "log"):
        if (folder / name).is_symlink():
            raise linked(folder / name)


def linked(path: Path) -> StoreError:
    """The error for a link, or something odder, where a file or a folder belongs."""
    mend = "put the real thing in its place; only the run directory itself may be a link"
    return StoreError("a link in a run directory", file=path, mend=mend)
