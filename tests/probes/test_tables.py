"""The parquet files of a run: what stands in them, and that they are the same bytes however they were written."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

import probes
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


def test_the_reader_gives_back_what_was_written(tmp_path):
    frame = findings(10)
    write(tmp_path / "findings.parquet", [frame])
    for place in (tmp_path, tmp_path / "findings.parquet", str(tmp_path)):
        found = probes.read_findings(place)
        pd.testing.assert_frame_equal(found, frame, check_dtype=True)
        assert found.attrs["worldnets"] == {
            "table": "findings",
            "schema": SCHEMA,
            "suite": "tiny",
            "versions": VERSIONS,
        }


def test_a_file_of_before_there_were_versions_is_read_with_the_types_of_now(tmp_path):
    old = findings(4)
    old["rung"] = pd.Series([None] * 4, dtype=object)  # then a column without a value had no type
    old.to_parquet(tmp_path / "findings.parquet", index=False)
    found = probes.read_findings(tmp_path)
    assert found.attrs["worldnets"]["schema"] == 1
    assert (str(found["rung"].dtype), str(found["step"].dtype)) == ("Int64", "Int64")
    assert found["estimate"].tolist() == old["estimate"].tolist()


def test_verdicts_are_read_with_the_probes_own_columns(tmp_path):
    columns = verdict_columns(["gain", "left"])
    row = dict.fromkeys([column.name for column in columns if column.kind == "text"], "x")
    row |= {"gain": 0.5, "p": None, "survives_holm": True, "seeds": 8, "primary": False}
    write(tmp_path / "verdicts.parquet", [pd.DataFrame([row])], columns, "verdicts")
    found = probes.read_verdicts(tmp_path)
    assert list(found.columns) == [column.name for column in columns]
    assert {name: str(found[name].dtype) for name in ("gain", "survives_holm", "seeds", "primary")} == {
        "gain": "float64",
        "survives_holm": "boolean",
        "seeds": "Int64",
        "primary": "bool",
    }


def changed_metadata(path, **about):
    table = pq.read_table(path)
    said = {**table.schema.metadata, **{f"worldnets.{key}".encode(): value for key, value in about.items()}}
    pq.write_table(table.replace_schema_metadata(said), path)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: changed_metadata(path, schema=b"99"), "a newer version of the table; found 99.*that wrote it"),
        (lambda path: changed_metadata(path, schema=b"x"), "not a readable table"),
        (lambda path: changed_metadata(path, table=b"verdicts"), "give it to probes.read_verdicts"),
        (lambda path: changed_metadata(path, versions=b"{"), "not a readable table"),
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "not a readable table"),
        (lambda path: path.write_text("x"), "not a readable table"),
        (lambda path: path.unlink(), "no file of findings.*probes report RUN"),
        (lambda path: pd.DataFrame({"a": [1]}).to_parquet(path), "no column 'world'"),
        (lambda path: findings(2).assign(step="x").to_parquet(path), "not a readable table"),
    ],
)
def test_what_is_no_table_of_this_version_is_refused_with_a_mend(tmp_path, damage, said):
    path = write(tmp_path / "findings.parquet", [findings()])
    damage(path)
    with pytest.raises(StoreError, match=rf"findings\.parquet: .*{said}") as caught:
        probes.read_findings(tmp_path)
    assert "Mend" in str(caught.value)


def test_more_rows_than_a_frame_should_have_are_refused_before_they_are_read(tmp_path, monkeypatch):
    write(tmp_path / "findings.parquet", [findings()])
    monkeypatch.setattr(tables, "MOST_ROWS", 9)
    with pytest.raises(
        StoreError, match=r"too many rows for a frame; found 10; expected 9\. Mend: query it with DuckDB"
    ):
        probes.read_findings(tmp_path)


def test_the_pages_show_the_columns_and_limits_of_the_code():
    from pathlib import Path

    from probes import columns, limits

    docs = Path(__file__).parents[2] / "docs"
    for page, name, text in (
        ("results.md", "findings", columns.markdown(FINDINGS)),
        ("results.md", "verdicts", columns.markdown((*VERDICTS_FIRST, *VERDICTS_LAST))),
        ("results.md", "own", columns.own_markdown()),
        ("untrusted.md", "limits", limits.markdown()),
    ):
        said = (docs / page).read_text(encoding="utf-8").partition(f"<!-- {name}:begin -->\n")[2]
        assert said.partition(f"\n<!-- {name}:end -->")[0] == text, f"run python benchmarks/columns.py ({page})"
