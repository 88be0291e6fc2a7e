"""Arrays and a page of metadata in one file: a zip of `metadata.json` and one `.npy` per array.

`numpy.load` reads the arrays. No pickle, a format number, and a checksum of everything in it; the same content is the
same bytes. A file is written whole or not at all.

Files may come from strangers: members are stored, not packed, so that none unpacks to more than the file has bytes; an
array has exactly the bytes that its header says, numbers, truth values or text.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
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
from worldnets.files import read_whole, write_atomically

#: Bytes of the largest archive that is read; assign another number to read a larger one that you trust.
ARCHIVE_LIMIT = 1 << 33

#: Errors of `members_of` and `array_of`, and of taking apart what they return.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, KeyError, TypeError, ValueError, EOFError, OSError, IndexError),
    *(NotImplementedError, RuntimeError, OverflowError, MemoryError, AttributeError, SyntaxError),
)
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
        content = read_whole(path, ARCHIVE_LIMIT)
    except (OSError, ValueError) as error:
        large = getattr(error, "errno", None) == errno.EFBIG
        mend = "check the path; a trace is written by trace.save(path)"
        mend = "raise worldnets.archive.ARCHIVE_LIMIT if you trust the file" if large else mend
        found = getattr(error, "strerror", None) or str(error)
        raise StoreError("cannot read", file=path, found=found, mend=mend) from error
    try:
        members = members_of(content)
        metadata = json.loads(members.pop("metadata.json"))
        if metadata["kind"] != kind:
            raise damaged(path, kind, f"a file of kind {metadata['kind']!r}")
        if metadata["format"] > form:
            mend = "read it with the version of worldnets that wrote it, or a newer one"
            raise StoreError("a newer file format", file=path, found=metadata["format"], expected=form, mend=mend)
        if {name: hashlib.sha256(member).hexdigest() for name, member in members.items()} != metadata["sha256"]:
            raise damaged(path, kind, "arrays that do not match their checksums")
        return metadata, {name.removesuffix(".npy"): array_of(member) for name, member in members.items()}
    except DAMAGE as error:
        if isinstance(error, StoreError):
            raise
        raise damaged(path, kind, f"{type(error).__name__}: {error}") from error


def members_of(content: bytes) -> dict[str, bytes]:
    """The members of a zip archive by name: stored, each name once, together no larger than the archive.

    Raises:
        one of DAMAGE: anything else.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        listed = archive.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in listed):
            raise ValueError("packed members, where they should be stored as they are")
        if len({one.filename for one in listed}) != len(listed) or sum(one.file_size for one in listed) > len(content):
            raise ValueError("members that overlap or have one name")
        return {one.filename: archive.read(one) for one in listed}


def array_of(content: bytes) -> NDArray[Any]:
    """The array of an .npy file: numbers, truth values or text, and exactly as many bytes as its header says.

    Raises:
        one of DAMAGE: anything else; an array of objects would need pickle.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"version {version} of the .npy format")
    shape, fortran, dtype = read(stream)
    if dtype.kind not in "biufU" or dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
        raise ValueError(f"an array of {dtype}, where numbers, truth values or text belong")
    expected = math.prod(shape) * dtype.itemsize
    # A text of no length has no bytes, whatever the shape: then there must be few.
    if (
        any(n < 0 for n in shape)
        or len(content) - stream.tell() != expected
        or math.prod(shape) > max(expected, 1 << 20)
    ):
        raise ValueError(f"an array of {expected} bytes in a file of {len(content)}")
    flat = np.frombuffer(content, dtype=dtype, offset=stream.tell()) if expected else np.empty(0, dtype)
    if dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
        raise ValueError("truth values that are neither true nor false")
    if dtype.kind == "U" and expected:
        codes = np.frombuffer(content, dtype=np.dtype("u4").newbyteorder(dtype.byteorder), offset=stream.tell())
        if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise ValueError("text that is none")
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K") if expected else np.empty(shape, dtype)


def damaged(path: str | os.PathLike[str], kind: str, detail: str) -> StoreError:
    """The error of a file that is not what it should be."""
    what = kind.removeprefix("worldnets ")
    return StoreError(f"not a readable {what}", file=path, found=detail, mend="delete the file and train again")


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)
    return stream.getvalue()
