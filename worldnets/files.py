"""Writing files so that a reader, or the next run after a kill, never sees half of one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from worldnets.errors import StoreError


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> Path:
    """Write a file whole or not at all: a temporary file in the same folder, fsync, then rename over `path`.

    Text is written as UTF-8 with its newlines as they are. An existing file keeps its permissions. The folder must
    exist.

    Returns:
        The path written.

    Raises:
        StoreError: the file cannot be written; nothing is left behind and what stood at `path` is untouched.
    """
    target = Path(path)
    try:
        # rename() would replace a link by a file; what it points to is what the caller means.
        real = Path(os.path.realpath(target))
        data = content.encode("utf-8") if isinstance(content, str) else content
        if real.is_dir():
            raise IsADirectoryError(f"{target} is a folder")
        _replace(real, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        mend = "check that the folder exists, is writable and has space"
        raise StoreError("cannot write", file=target, found=reason, mend=mend) from error
    _sync_folder(real.parent)
    return target


def _replace(real: Path, data: bytes) -> None:
    temporary = real.with_name(f".{real.name[:100]}.{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if real.exists():
            os.chmod(temporary, real.stat().st_mode & 0o777)
        os.replace(temporary, real)
    except BaseException:  # an interrupt too must leave nothing behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _sync_folder(folder: Path) -> None:
    # The rename itself survives a power cut only once the folder is on disk; not every system lets one open a folder.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
