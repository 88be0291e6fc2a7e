import json
import math

import numpy as np
import pytest

from probes.cells import Condition, canonical
from probes.store import Store
from probes.suite import read_suite
from worldnets.errors import StoreError

SUITE = """
[suite]
name = "tiny"
[[jobs]]
world = "cue_parity"
objective = "question"
"""


@pytest.fixture
def suite():
    return read_suite(SUITE)


@pytest.fixture
def store(tmp_path, suite):
    return Store.create(tmp_path / "run", suite)


def condition(**changes):
    fields = {
        "title": "w/question/mlp/evidence",
        "label": "w",
        "probe": {"name": "depth", "version": 1, "measure": {"clips": 512}},
        "world": {"name": "w", "parameters": {"bits": 3}, "redrawn": [], "digest": "0" * 64},
        "source": {"name": "/somewhere/w", "parameters": {"bits": 3}, "redrawn": []},
        "objective": "question",
        "head": {"name": "mlp", "options": {"width": 64}},
        "inputs": "evidence",
        "training": {"steps": 100, "batch": 128, "optimizer": "adam", "learning_rate": 0.003, "checkpoints": 8},
        "seeds": 8,
    }
    return Condition(**{**fields, **changes})


MEASURED = {
    "steps": np.arange(3),
    "targets": {"y": {"captured": np.array([[0.25, math.nan]]), "rungs": [["a", "b"], ["c"]], "entropy": 1.0}},
    "odd": [math.nan, math.inf, None, True, 3, "é", np.float32(0.5), np.array(2.0)],
}


def test_the_key_of_a_cell_never_changes():
    # A golden value: whoever changes it makes every finished cell of every run directory unreachable.
    assert condition().cells[0].key == "a6fd71bb4e7727a004d9824cac487db7f6bcfb3fc583b380d5bde325a49e3a78"


def test_the_key_knows_neither_paths_nor_titles_nor_how_many_seeds_are_asked_for():
    first = condition().cells[0]
    other = condition(source={"name": "/elsewhere/w"}, title="renamed", label="renamed", seeds=20, primary=False)
    assert [cell.group for cell in other.cells] == [0, 1, 2]
    assert other.cells[0].key == first.key
    assert len({cell.key for cell in other.cells}) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"probe": {"name": "depth", "version": 2, "measure": {"clips": 512}}},
        {"probe": {"name": "depth", "version": 1, "measure": {"clips": 513}}},
        {"world": {"name": "w", "parameters": {"bits": 3}, "redrawn": ["S"], "digest": "0" * 64}},
        {"objective": "continuation"},
        {"head": {"name": "mlp", "options": {"width": 32}}},
        {"inputs": "beliefs"},
        {"training": {"steps": 101}},
    ],
)
def test_the_key_changes_with_everything_that_determines_the_result(change):
    assert condition(**change).cells[0].key != condition().cells[0].key


def test_canonical_json_does_not_depend_on_the_order_of_keys_and_refuses_nan():
    assert canonical({"b": 1, "a": [0.1]}) == canonical({"a": [0.1], "b": 1}) == '{"a":[0.1],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical(math.nan)


def test_what_is_read_is_what_was_written(store):
    cell = condition().cells[0]
    assert not store.has(cell)
    store.write(cell, MEASURED)
    assert store.has(cell)
    back = store.read(cell)
    assert np.array_equal(back["targets"]["y"]["captured"], MEASURED["targets"]["y"]["captured"], equal_nan=True)
    assert back["targets"]["y"]["rungs"] == [["a", "b"], ["c"]]
    assert math.isnan(back["odd"][0])
    assert back["odd"][1:7] == [math.inf, None, True, 3, "é", 0.5]
    assert back["odd"][7].shape == ()


def test_writing_a_cell_twice_gives_the_same_bytes(store):
    cell = condition().cells[0]
    place = store.path / "cells" / cell.key[:2]
    store.write(cell, MEASURED)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    store.write(cell, dict(reversed(MEASURED.items())))
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert len(before) == 2


@pytest.mark.parametrize("value", [{"a": object()}, {"a": np.array([object()])}, {"a/b": 1}, {"$array": "a"}])
def test_what_a_cell_cannot_hold_is_refused_and_nothing_is_written(store, value):
    cell = condition().cells[0]
    with pytest.raises(StoreError):
        store.write(cell, value)
    assert not list((store.path / "cells").rglob("*.*"))


@pytest.mark.parametrize("ending", [".npz", ".json"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-7]), lambda path: path.unlink()])
def test_a_damaged_cell_is_a_store_error_that_names_the_file(store, ending, damage):
    cell = condition().cells[0]
    store.write(cell, MEASURED)
    damage(store.path / "cells" / cell.key[:2] / f"{cell.key}{ending}")
    with pytest.raises(StoreError, match=cell.key):
        store.read(cell)


def test_arrays_of_another_cell_are_noticed(store):
    one, two = condition(seeds=16).cells
    store.write(one, MEASURED)
    store.write(two, {"steps": np.arange(4)})
    place = {cell.group: store.path / "cells" / cell.key[:2] / f"{cell.key}.npz" for cell in (one, two)}
    place[0].write_bytes(place[1].read_bytes())
    with pytest.raises(StoreError, match="not those"):
        store.read(one)


def test_a_failure_is_kept_until_the_cell_succeeds(store):
    cell = condition().cells[0]
    assert store.failure(cell) is None
    store.fail(cell, "ValueError: no", "Traceback …")
    assert store.failure(cell)["error"] == "ValueError: no"
    assert not store.has(cell)
    store.write(cell, MEASURED)
    assert store.failure(cell) is None


def test_the_same_suite_opens_the_same_run_directory(store, suite):
    assert Store.create(store.path, suite).manifest == store.manifest
    assert Store.open(store.path).suite == suite


def test_what_a_world_is_loaded_from_comes_back_in_its_order(tmp_path, suite):
    # Tables of parameters can be ordered: alarm's targets are.
    source = {"name": "w", "parameters": {"targets": {"z": 1, "a": 2}}, "redrawn": []}
    made = Store.create(tmp_path / "run", suite, [condition(source=source)])
    assert list(Store.open(made.path).conditions[0].source["parameters"]["targets"]) == ["z", "a"]


def test_more_seeds_extend_a_run_and_every_other_change_is_refused(store, suite):
    assert Store.create(store.path, suite.with_seeds(16)).manifest["history"][0]["what"] == "more seeds"
    with pytest.raises(StoreError, match=r"another suite; found defaults.seeds = 8"):
        Store.create(store.path, suite)
    for change in ("[defaults]\nsteps = 5", "[probes.depth]\nconclude = { delta = 0.01 }"):
        changed = read_suite(SUITE.replace("[[jobs]]", f"{change}\n[[jobs]]")).with_seeds(16)
        with pytest.raises(StoreError, match="another suite"):
            Store.create(store.path, changed)


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path, suite):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"something else than a run.*notes\.txt"):
        Store.create(tmp_path, suite)
    with pytest.raises(StoreError, match="no manifest"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(StoreError, match="no run directory"):
        Store.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", "{"),
        ("manifest.json", "[]"),
        ("manifest.json", "{}"),
        ("manifest.json", '{"schema": 99, "versions": {}}'),
        ("suite.toml", "[suite"),
        ("suite.toml", ""),
    ],
)
def test_an_unreadable_run_directory_is_a_store_error_that_names_the_file(store, name, content):
    (store.path / name).write_text(content)
    with pytest.raises(StoreError, match=name):
        Store.open(store.path)


def test_times_and_hosts_are_in_the_log_only(store):
    cell = condition().cells[0]
    store.write(cell, MEASURED)
    store.log(event="done", seconds=1.0)
    body = json.loads((store.path / "cells" / cell.key[:2] / f"{cell.key}.json").read_text())
    assert body.keys() == {"schema", "key", "title", "identity", "arrays", "measured"}
    (log,) = (store.path / "log").iterdir()
    assert json.loads(log.read_text()).keys() == {"when", "event", "seconds"}


def test_what_a_killed_process_left_half_written_goes_when_the_cell_is_stored(store):
    cell = condition().cells[0]
    place = store.path / "cells" / cell.key[:2]
    place.mkdir(parents=True)
    (place / f".{cell.key}.npz.0123456789ab.tmp").write_bytes(b"PK")
    (place / ".another.npz.0123456789ab.tmp").write_bytes(b"PK")
    store.write(cell, MEASURED)
    assert {path.name for path in place.glob(".*")} == {".another.npz.0123456789ab.tmp"}
