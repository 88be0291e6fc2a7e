"""The tables of docs/purity.md, from a run that is too short to show anything."""

from dataclasses import asdict
from pathlib import Path

import pytest

from probes.results import Results
from probes.runner import plan
from probes.store import Store
from probes.suite import read_suite
from probes.worker import work

ROOT = Path(__file__).resolve().parents[2]

SUITE = """
[suite]
name = "tiny"

[defaults]
seeds = 8
steps = 20
batch = 16
checkpoints = 2
learning_rate = 0.1
probes = ["purity"]

[probes.purity.measure]
losses = ["likelihood"]

[[jobs]]
world = "vault"
parameters = { frames = 2, pixels = 1 }
objective = ["world", "likelihood", "question"]
heads = "world_model"
penalties = [{}, { weight_decay = 0.01 }]

[[jobs]]
world = "vault"
label = "vault-near"
parameters = { frames = 2, pixels = 1 }
objective = "likelihood"
heads = { name = "world_model", options = { initialisation = "noisy", scale = 0.1 } }
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    planned = plan(read_suite(SUITE))
    store = Store.create(tmp_path_factory.mktemp("runs") / "run", planned.suite, planned.conditions)
    plain = [cell for cell in planned.cells if "likelihood" in cell.title or "world_model/" in cell.title]
    work(str(store.path), [asdict(cell) for cell in plain])
    return Results(store)


@pytest.fixture
def tables(benchmark):
    return benchmark("purity")


def fields(table):
    rows = [line for line in table.splitlines() if line.startswith("|")]
    return [[field.strip() for field in row.strip("|").split("|")] for row in (rows[0], *rows[2:])]


def test_purity_has_a_row_for_each_objective_and_penalty_and_says_what_is_missing(results, tables):
    head, *rows = fields(tables.purity_table(results))
    assert [row[:2] for row in rows] == [
        [objective, paid] for objective in ("world", "likelihood", "question") for paid in ("–", "weight_decay=0.01")
    ]
    assert {len(row) for row in rows} == {len(head)}
    assert rows[1][-1].startswith("missing")
    assert rows[2][2].endswith("]")
    assert rows[2][-2].endswith("of 8")


def test_each_proxy_is_matched_with_the_run_that_was_asked_for_the_world(results, tables):
    head, *rows = fields(tables.gap_table(results))
    assert [row[0] for row in rows] == ["likelihood", "question"]
    assert {len(row) for row in rows} == {len(head)}
    assert "not measured" in rows[1][1] or "not comparable" in rows[1][1] or "[" in rows[1][1]


def test_the_course_has_a_row_for_each_objective(results, tables):
    head, *rows = fields(tables.course_table(results))
    assert [row[0] for row in rows] == ["world", "likelihood", "question"]
    assert {len(row) for row in rows} == {len(head)}
    for row in rows:
        assert float(row[1]) > float(row[2]) > float(row[3])  # the loss falls, and not below that of W*


def test_what_begins_near_the_world_stands_in_a_table_of_its_own(results, tables):
    head, row = fields(tables.near_table(results))
    assert row[0] == "likelihood"
    assert len(row) == len(head)
    assert float(row[1].split()[0]) < 0.5


def test_the_page_has_a_place_for_every_table():
    page = (ROOT / "docs" / "purity.md").read_text(encoding="utf-8")
    for name in ("purity", "proxy-gap", "course", "near"):
        assert page.index(f"<!-- {name}:begin -->") < page.index(f"<!-- {name}:end -->")
