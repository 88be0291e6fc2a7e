"""The parquet files of a run: what stands in them, and that they are the same bytes however they were written."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from probes import tables
from probes.columns import FINDINGS, SCHEMA, VERDICTS_FIRST, VERDICTS_LAST, verdict_columns
from probes.tables import write_table
from worldnets.errors import StoreError

VERSIONS = {"python": "3.11.2", "numpy": "2.0"}


def findings(rows=10):
    row = {"world": "w", "objective": "question", "head": "mlp", "inputs": "evidence", "probe": "depth"}
    row |= {"target": "y", "name": "efficiency, deep", "unit": "share", "low": 0.25, "high": None, "level": 0.95}
    row |= {"kind": "t", "n": 8, "note": "", "title": "w/question/mlp/evidence"}
    made = [row | {"rung": None if i % 3 else 1, "step": i, "estimate": i / 8} for i in range(rows)]
    frame = pd.DataFrame(made, columns=[column.name for column in FINDINGS])
    return frame.astype({"rung": "Int64", "step": "Int64", "low": "float64", "high": "float64"})


def write(path, frames, columns=FINDINGS, table="findings"):
    return write_table(path, frames, columns, table, "tiny", VERSIONS)


def test_the_types_of_every_column_are_those_of_their_version():
    """Who changes a column raises `probes.columns.SCHEMA`, teaches the reader the version before, and adds it here."""

    def types(columns):
        return " ".join(
            f"{field.name}:{field.type}{'?' * field.nullable}" for field in tables.arrow_schema(columns, {})
        )

    line = "world:string objective:string head:string inputs:string probe:string target:string "
    golden = {
        2: (
            line + "name:string rung:int64? step:int64? unit:string estimate:double? low:double? high:double? "
            "level:double? kind:string n:int64 note:string title:string",
            line + "verdict:string",
            "p:double? survives_holm:bool? seeds:int64? diverged:int64? seeds_needed:int64? primary:bool "
            "reasons:string title:string",
        )
    }
    assert (types(FINDINGS), types(VERDICTS_FIRST), types(VERDICTS_LAST)) == golden[SCHEMA]


def test_rows_in_any_pieces_are_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "ROW_GROUP", 4)
    frame = findings(10)
    pieces = ([frame], [frame[:1], frame[1:9], frame[9:]], [frame[i : i + 1] for i in range(10)], [frame[:0], frame])
    contents = {write(tmp_path / f"{i}.parquet", iter(piece)).read_bytes() for i, piece in enumerate(pieces)}
    assert len(contents) == 1
    file = pq.ParquetFile(tmp_path / "0.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [4, 4, 2]
    pd.testing.assert_frame_equal(file.read().to_pandas(), frame)


def test_a_table_without_rows_has_its_columns(tmp_path):
    table = pq.read_table(write(tmp_path / "none.parquet", []))
    assert table.num_rows == 0
    assert table.column_names == [column.name for column in FINDINGS]


def test_the_file_says_its_version_suite_packages_units_and_meanings(tmp_path):
    schema = pq.read_schema(write(tmp_path / "f.parquet", [findings()]))
    said = {key.decode(): value.decode() for key, value in schema.metadata.items() if key.startswith(b"worldnets.")}
    assert json.loads(said.pop("worldnets.versions")) == VERSIONS
    assert said == {"worldnets.table": "findings", "worldnets.schema": str(SCHEMA), "worldnets.suite": "tiny"}
    assert schema.field("step").metadata[b"unit"] == b"steps"
    assert all(schema.field(column.name).metadata[b"meaning"].decode() == column.meaning for column in FINDINGS)


def test_columns_that_probes_share_stand_there_once_and_none_takes_the_place_of_a_common_one():
    names = [column.name for column in verdict_columns(["left", "gain", "left", "title"])]
    assert names[7:9] == ["left", "gain"]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("column", "value"), [("estimate", "much"), ("n", 1.5), ("title", 7), ("rung", 2**70), ("n", None)]
)
def test_a_value_of_another_kind_is_refused_and_leaves_no_file(tmp_path, column, value):
    bad = findings(3).astype({column: object})
    bad.loc[1, column] = value
    with pytest.raises(StoreError, match=rf"f\.parquet, node '{column}': a table cannot be written"):
        write(tmp_path / "f.parquet", [findings(3), bad])
    assert list(tmp_path.iterdir()) == []
