"""What a cell measured as two files, and back: JSON for names and plain values, `.npz` for the arrays.

The bytes depend on nothing but the cell: no times, hosts or paths. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.cell_files import AGAIN
from probes.cells import CELL_SCHEMA, Cell
from probes.run_files import as_table, spelled
from worldnets.archive import DAMAGE, array_of, members_of
from worldnets.errors import StoreError

_ARRAY, _NUMBER = "$array", "$number"


def encode(cell: Cell, measured: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The bytes of a cell's JSON and of its arrays.

    `measured` is a tree of dicts, lists, arrays, numbers, texts, booleans and None.

    Raises:
        StoreError: it holds something else.
    """
    arrays: dict[str, NDArray[Any]] = {}
    tree = _packed(measured, "", arrays)
    content = _npz(arrays)
    body = {
        "schema": CELL_SCHEMA,
        "key": cell.key,
        "title": cell.title,
        "identity": cell.identity,
        "arrays": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)},
        "measured": tree,
    }
    return spelled(body).encode(), content


def decode(cell: Cell, written: bytes, content: bytes, place: Path) -> dict[str, Any]:
    """What `encode` was given; `place` only says where errors are.

    Raises:
        StoreError: the files are damaged or do not belong together.
    """
    body = as_table(written, place, AGAIN)
    try:
        if hashlib.sha256(content).hexdigest() != body["arrays"]["sha256"] or body["key"] != cell.key:
            raise ValueError("the arrays are not those the cell was written with")
        arrays = {name.removesuffix(".npy"): array_of(member) for name, member in members_of(content).items()}
        tree = _unpacked(body["measured"], arrays)
    except DAMAGE as error:
        found = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise StoreError("damaged cell", file=place, found=found, mend=AGAIN) from error
    if not isinstance(tree, dict):
        raise StoreError("damaged cell", file=place, found=type(tree).__name__, expected="a table", mend=AGAIN)
    return tree


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
