"""Arrays and a page of metadata in one file: a zip of `metadata.json` and one `.npy` per array.

`numpy.load` reads the arrays. No pickle, a format number, and a checksum of everything in it; the same content is the
same bytes. A file is written whole or not at all.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import StoreError
from worldnets.files import write_atomically

EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: the same content is the same bytes


def write_archive(
    path: str | os.PathLike[str], kind: str, form: int, metadata: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> Path:
    """Write a file of a kind, in a format of that number.

    Raises:
        StoreError: the file cannot be written.
    """
    members = {f"{name}.npy": _npy(array) for name, array in arrays.items()}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    page = {**metadata, "kind": kind, "format": form, "sha256": sums}
    members = {"metadata.json": json.dumps(page, indent=1, sort_keys=True).encode(), **members}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
    return write_atomically(path, buffer.getvalue())


def read_archive(path: str | os.PathLike[str], kind: str, form: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Metadata and arrays of a file of this kind, of this format or an older one.

    Raises:
        StoreError: no such file, another kind, a newer format, damage.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        mend = "check the path; a trace is written by trace.save(path)"
        raise StoreError("cannot read", file=path, found=error.strerror or str(error), mend=mend) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        metadata = json.loads(members.pop("metadata.json"))
        if metadata["kind"] != kind:
            raise damaged(path, kind, f"a file of kind {metadata['kind']!r}")
        if metadata["format"] > form:
            mend = "read it with the version of worldnets that wrote it, or a newer one"
            raise StoreError("a newer file format", file=path, found=metadata["format"], expected=form, mend=mend)
        if {name: hashlib.sha256(member).hexdigest() for name, member in members.items()} != metadata["sha256"]:
            raise damaged(path, kind, "arrays that do not match their checksums")
        read = functools.partial(np.lib.format.read_array, allow_pickle=False)
        return metadata, {name.removesuffix(".npy"): read(io.BytesIO(member)) for name, member in members.items()}
    except (zipfile.BadZipFile, zlib.error, struct.error, KeyError, TypeError, ValueError, EOFError, OSError) as error:
        if isinstance(error, StoreError):
            raise
        raise damaged(path, kind, f"{type(error).__name__}: {error}") from error
    except (NotImplementedError, RuntimeError, OverflowError, MemoryError) as error:  # what zipfile says of odd headers
        raise damaged(path, kind, f"{type(error).__name__}: {error}") from error


def damaged(path: str | os.PathLike[str], kind: str, detail: str) -> StoreError:
    """The error of a file that is not what it should be."""
    what = kind.removeprefix("worldnets ")
    return StoreError(f"not a readable {what}", file=path, found=detail, mend="delete the file and train again")


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)
    return stream.getvalue()
