"""The parquet files of a run, written and read: findings.parquet and verdicts.parquet.

Their columns are those of `probes.columns`. The footer's key-value metadata say which table it is, of which version,
of which suite, and which versions of the packages measured it: `worldnets.table`, `worldnets.schema`,
`worldnets.suite`, `worldnets.versions` (JSON). Units and meanings stand beside each column. No dates, hosts or paths:
the same run gives the same bytes, however its rows came in pieces.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probes.columns import FINDINGS, SCHEMA, VERDICTS_FIRST, VERDICTS_LAST, Column, verdict_columns
from worldnets.errors import StoreError
from worldnets.files import writing_atomically

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Rows that are written together; so many are in memory at a time.
ROW_GROUP = 1 << 16

#: Rows of the largest table that the reader makes a frame of; DuckDB and pyarrow read larger ones piece by piece.
MOST_ROWS = 50_000_000

_TABLES = ("findings", "verdicts")
_COMMON = frozenset(column.name for column in (*VERDICTS_FIRST, *VERDICTS_LAST))
_PREFIX = "worldnets."
_PANDAS = {"text": "str", "number": "float64", "whole number": "int64", "true or false": "bool"}
_PANDAS_OPTIONAL = {**_PANDAS, "whole number": "Int64", "true or false": "boolean"}


def write_table(
    path: str | os.PathLike[str],
    frames: Iterable[pd.DataFrame],
    columns: Sequence[Column],
    table: str,
    suite: str,
    versions: Mapping[str, str],
) -> Path:
    """Write a table piece by piece, whole or not at all; memory holds one row group of it.

    Args:
        path: the file; its folder must exist.
        frames: the rows in their order, in pieces of any size; no piece at all is a table without rows. Of each piece
            the columns named in `columns` are written; one that it lacks is missing in its rows.
        columns: what the file has.
        table: "findings" or "verdicts".
        suite: the suite's name.
        versions: packages and their versions, as the run's manifest has them.

    Raises:
        StoreError: the file cannot be written, or a column holds something else than its kind.
    """
    import pyarrow.parquet as pq

    about = {
        "table": table,
        "schema": str(SCHEMA),
        "suite": suite,
        "versions": json.dumps(dict(sorted(versions.items()))),
    }
    schema = arrow_schema(columns, about)
    with (
        writing_atomically(path, follow_links=False) as stream,
        pq.ParquetWriter(stream, schema, compression="zstd", store_schema=True) as writer,
    ):
        for group in _groups(frames, schema, path):
            writer.write_table(group, row_group_size=ROW_GROUP)
    return Path(path)


def arrow_schema(columns: Sequence[Column], about: Mapping[str, str]) -> pa.Schema:
    """The types of the columns with their units and meanings; `about` becomes the file's metadata.

    pandas finds its own types there too, so that a whole number with missing values stays one.
    """
    import pandas as pd
    import pyarrow as pa

    types = {"text": pa.string(), "number": pa.float64(), "whole number": pa.int64(), "true or false": pa.bool_()}
    fields = [pa.field(c.name, types[c.kind], c.optional, {"unit": c.unit, "meaning": c.meaning}) for c in columns]
    empty = pd.DataFrame({column.name: pd.Series([], dtype=pandas_type(column)) for column in columns})
    for_pandas = pa.Schema.from_pandas(empty, preserve_index=False).metadata[b"pandas"]
    return pa.schema(fields, {"pandas": for_pandas, **{f"{_PREFIX}{key}": value for key, value in about.items()}})


def pandas_type(column: Column) -> str:
    """What pandas calls a column's type: `Int64` and `boolean` where a value can be missing."""
    return (_PANDAS_OPTIONAL if column.optional else _PANDAS)[column.kind]


def _groups(frames: Iterable[pd.DataFrame], schema: pa.Schema, path: str | os.PathLike[str]) -> Iterator[pa.Table]:
    """The rows in groups of `ROW_GROUP`, the last one smaller: their sizes do not depend on the pieces'."""
    import pyarrow as pa

    held: list[pa.Table] = []
    rows = 0
    for frame in frames:
        arrays = [_array(frame, field, path) for field in schema]
        held.append(pa.Table.from_arrays(arrays, schema=schema))
        rows += len(frame)
        while rows >= ROW_GROUP:
            whole = pa.concat_tables(held)
            yield whole.slice(0, ROW_GROUP).combine_chunks()
            held, rows = [whole.slice(ROW_GROUP)], rows - ROW_GROUP
    if rows:
        yield pa.concat_tables(held).combine_chunks()


def _array(frame: pd.DataFrame, field: pa.Field, path: str | os.PathLike[str]) -> pa.Array:
    """A column of a piece, of the field's type: nothing is cut to fit."""
    import pyarrow as pa

    if field.name not in frame:
        return pa.nulls(len(frame), field.type)
    series = frame[field.name]
    try:
        if pa.types.is_integer(field.type) and series.dtype == object:
            series = series.astype("Int64")
        made = pa.Array.from_pandas(series, type=field.type)
        if made.null_count and not field.nullable:
            raise ValueError("a missing value in a column that has one in every row")
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        mend = "give numbers where probes.columns says numbers, texts where it says texts"
        what = "a table cannot be written"
        raise StoreError(what, file=path, node=field.name, found=str(error), mend=mend) from error
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made


def read_findings(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The findings of a run, one row per number: the columns of `probes.columns.FINDINGS`, equal to `Results.findings`.

    Args:
        path: a run directory, or its findings.parquet wherever it was copied to.

    Returns:
        A frame; `frame.attrs["worldnets"]` has the file's table, schema, suite and versions.

    Raises:
        StoreError: no such file, another table or no parquet, columns missing or of another type, a newer version, more
            than `MOST_ROWS` rows.
    """
    return _read(path, "findings", FINDINGS)


def read_verdicts(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The verdicts of a run, one row per condition and target, equal to `Results.verdicts`.

    Args:
        path: a run directory, or its verdicts.parquet.

    Returns:
        A frame with the columns of `VERDICTS_FIRST`, the probes' own, and those of `VERDICTS_LAST`; attributes as of
        `read_findings`.

    Raises:
        StoreError: as `read_findings`.
    """
    return _read(path, "verdicts", None)


def _read(path: str | os.PathLike[str], table: str, columns: Sequence[Column] | None) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = Path(path)
    place = place / f"{table}.parquet" if place.is_dir() else place
    mend = "`probes report RUN` writes it anew"
    if not place.is_file():
        raise StoreError(f"no file of {table}", file=place, mend=mend)
    try:
        with pq.ParquetFile(place, memory_map=False) as file:
            about = _about(place, file, table)
            names = file.schema_arrow.names
            wanted = columns or verdict_columns(name for name in names if name not in _COMMON)
            missing = [column.name for column in wanted if column.name not in names]
            if missing:
                raise StoreError(f"no table of {table}", file=place, found=f"no column {missing[0]!r}", mend=mend)
            read = file.read(columns=[column.name for column in wanted])
        types = arrow_schema(wanted, {})
        cast = [read.column(field.name).cast(field.type) for field in types]
        frame = pa.Table.from_arrays(cast, schema=types).to_pandas()
    except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        if isinstance(error, StoreError):
            raise
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"not a readable table of {table}", file=place, found=found, mend=mend) from error
    frame = frame.astype({column.name: pandas_type(column) for column in wanted if column.kind != "text"})
    frame.attrs["worldnets"] = about
    return frame


def _about(place: Path, file: Any, table: str) -> dict[str, Any]:
    """What the file says of itself; files from before they did so are version 1, whose columns had the same names."""
    said = {
        key.decode("utf-8", "replace").removeprefix(_PREFIX): value.decode("utf-8", "replace")
        for key, value in (file.metadata.metadata or {}).items()
        if key.startswith(_PREFIX.encode())
    }
    version = said.get("schema", "1")
    if not version.isascii() or not version.isdecimal() or len(version) > 9:
        raise ValueError(f"schema {version!r}")
    if int(version) > SCHEMA:
        mend = f"read it with the version of worldnets that wrote it, or a newer one: {said.get('versions', '')}"
        raise StoreError("a newer version of the table", file=place, found=version, expected=SCHEMA, mend=mend)
    if said.get("table", table) != table:
        mend = f"give it to probes.read_{said['table']}" if said["table"] in _TABLES else "give another file"
        raise StoreError(f"no table of {table}", file=place, found=repr(said["table"]), mend=mend)
    rows = file.metadata.num_rows
    if rows > MOST_ROWS:
        mend = "query it with DuckDB, or raise probes.tables.MOST_ROWS"
        raise StoreError(
            "too many rows for a frame", file=place, found=f"{rows:,}", expected=f"{MOST_ROWS:,}", mend=mend
        )
    versions = json.loads(said.get("versions", "{}"))
    return {"table": table, "schema": int(version), "suite": said.get("suite", ""), "versions": versions}
