"""Files written so that a reader, or the next run after a kill, never sees half of one; files of strangers, read."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from worldnets.errors import StoreError


def read_whole(path: str | os.PathLike[str], limit: int, *, follow_links: bool = True) -> bytes:
    """All bytes of an ordinary file that is no larger than a limit.

    Never waits for a pipe and never reads a device, whatever stands at the path.

    Args:
        path: the file.
        limit: bytes.
        follow_links: read what a link points to; without, a link is refused.

    Raises:
        OSError: no such file, no permission, no ordinary file, or a link that is not followed; with `errno.EFBIG` one
            that is larger.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    if not follow_links and os.path.islink(path):
        raise OSError(errno.ELOOP, "a link, where a file belongs")
    handle = os.open(path, flags | (0 if follow_links else getattr(os, "O_NOFOLLOW", 0)))
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "a folder" if stat.S_ISDIR(about.st_mode) else "no ordinary file")
        if about.st_size > limit:
            raise OSError(errno.EFBIG, f"{about.st_size:,} bytes, more than {limit:,}")
        with os.fdopen(handle, "rb", closefd=False) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:  # it grew meanwhile, or is of a kind that has no size
            raise OSError(errno.EFBIG, f"more than {limit:,} bytes")
        return content
    finally:
        os.close(handle)


def write_atomically(path: str | os.PathLike[str], content: str | bytes, *, follow_links: bool = True) -> Path:
    """Write a file whole or not at all: a temporary file in the same folder, fsync, then rename over `path`.

    Text is written as UTF-8 with its newlines as they are. An existing file keeps its permissions. The folder must
    exist.

    Args:
        path: the file.
        content: all of it.
        follow_links: where `path` is a link, write what it points to. Without, the link itself is replaced: for files
            in folders that may come from strangers, whose links could point anywhere.

    Returns:
        The path written.

    Raises:
        StoreError: the file cannot be written; nothing is left behind and what stood at `path` is untouched.
    """
    with writing_atomically(path, follow_links=follow_links) as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)
    return Path(path)


@contextlib.contextmanager
def writing_atomically(path: str | os.PathLike[str], *, follow_links: bool = True) -> Iterator[IO[bytes]]:
    """As `write_atomically`, piece by piece: a stream of bytes that becomes the file when the block ends well.

    Raises:
        StoreError: the file cannot be written, or the block raised an OSError; nothing is left behind and what stood at
            `path` is untouched, as after any other exception of the block.
    """
    target = Path(path)
    try:
        # rename() replaces a link by a file; who follows links means what they point to.
        real = Path(os.path.realpath(target)) if follow_links else Path(os.path.realpath(target.parent)) / target.name
        if real.is_dir() and not (real.is_symlink() and not follow_links):
            raise IsADirectoryError(f"{target} is a folder")
        with _replaced(real) as stream:
            yield stream
    except StoreError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        mend = "check that the folder exists, is writable and has space"
        raise StoreError("cannot write", file=target, found=reason, mend=mend) from error
    sync_folder(real.parent)


@contextlib.contextmanager
def _replaced(real: Path) -> Iterator[IO[bytes]]:
    temporary = real.with_name(f".{real.name[:100]}.{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if real.is_file() and not real.is_symlink():
            os.chmod(temporary, real.stat().st_mode & 0o777)
        os.replace(temporary, real)
    except BaseException:  # an interrupt too must leave nothing behind
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk: only then does a renaming survive a power cut."""
    # Not every system lets one open a folder.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_together(folder: str | os.PathLike[str], contents: Mapping[str, bytes]) -> None:
    """Write some files of one folder, each whole or not at all, in this order, with one wait for the folder.

    All are on disk under other names before the first gets its own. So whatever happens, a file that is there is whole;
    after a power cut some of them may be there without the others. Links are replaced, not followed.

    Raises:
        StoreError: one cannot be written; what has its name already stays.
    """
    temporary: dict[str, str] = {}
    name = ""
    try:
        with contextlib.ExitStack() as opened:
            streams = []
            for name, content in contents.items():
                temporary[name] = os.path.join(folder, f".{name[:100]}.{os.urandom(6).hex()}.tmp")
                streams.append(opened.enter_context(open(temporary[name], "xb")))
                streams[-1].write(content)
                streams[-1].flush()
            for stream in streams:
                os.fsync(stream.fileno())
        for name in contents:
            os.replace(temporary[name], os.path.join(folder, name))
            del temporary[name]
    except OSError as error:
        mend = "check that the folder exists, is writable and has space"
        raise StoreError("cannot write", file=os.path.join(folder, name), found=error.strerror, mend=mend) from error
    finally:  # an interrupt too must leave nothing behind
        for place in temporary.values():
            with contextlib.suppress(OSError):
                os.unlink(place)
    sync_folder(Path(folder))
