import math
import weakref
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

import probes
from probes.columns import SCHEMA
from probes.results import FINDING_COLUMNS, Results
from probes.runner import plan
from probes.store import Store
from probes.suite import read_suite
from probes.worker import work
from probes.worklist import cells_of
from tests.tiny_suite import tiny_suite
from worldnets.errors import StoreError

DEPTH_COLUMNS = [
    *("world", "objective", "head", "inputs", "probe", "target", "verdict"),
    *("efficiency", "efficiency_low", "efficiency_high", "gap", "gap_low", "gap_high", "pie", "deep_pie"),
    *("p", "survives_holm", "seeds", "diverged", "seeds_needed", "primary", "reasons", "title"),
]

TINY = tiny_suite('primary = ["*/mlp/*"]')


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    planned = plan(read_suite(TINY))
    store = Store.create(tmp_path_factory.mktemp("runs") / "whole", planned.suite, planned.conditions)
    work(str(store.path), [asdict(cell) for cell in planned.cells])
    return store


@pytest.fixture
def broken(whole, tmp_path):
    store = Store.create(tmp_path / "broken", whole.suite, whole.conditions)
    linear, mlp = cells_of(whole.conditions)
    store.write(mlp, whole.read(mlp))
    store.fail(linear, "ValueError: planted", "Traceback: planted")
    return store


def test_verdicts_have_one_row_per_condition_and_target_in_suite_order(whole):
    verdicts = Results(whole).verdicts
    assert list(verdicts.columns) == DEPTH_COLUMNS
    assert list(verdicts["head"]) == ["linear", "mlp"]
    assert set(verdicts["target"]) == {"answer"}
    assert list(verdicts["primary"]) == [False, True]
    assert list(verdicts["seeds"]) == [8, 8]
    assert (verdicts["deep_pie"] < verdicts["pie"]).all()
    for row in verdicts.to_dict("records"):
        assert row["efficiency_low"] <= row["efficiency"] <= row["efficiency_high"]
        assert row["gap"] == pytest.approx(1 - row["efficiency"])
        assert row["gap_low"] <= row["gap"] <= row["gap_high"]


def test_a_number_of_seeds_that_fills_no_group_concludes_from_those_seeds_alone(whole):
    condition = replace(whole.conditions[1], seeds=5)
    (cell,) = Results(whole).measured(condition)
    (all_eight,) = Results(whole).measured(whole.conditions[1])
    assert condition.cells == whole.conditions[1].cells
    assert cell["metadata"]["seeds"] == [0, 1, 2, 3, 4]
    for name, values in cell["arrays"].items():
        kept = all_eight["arrays"][name]
        if values.shape == kept.shape:
            assert np.array_equal(values, kept, equal_nan=True)
        else:
            axis = next(a for a in range(kept.ndim) if values.shape[a] != kept.shape[a])
            assert np.array_equal(values, np.take(kept, range(5), axis=axis), equal_nan=True)
    verdict = probes.probe("depth").conclude([cell]).verdicts["answer"]
    assert verdict.seeds == 5


def test_findings_are_those_of_the_probe_with_the_condition_beside_them(whole):
    results = Results(whole)
    assert list(results.findings.columns) == list(FINDING_COLUMNS)
    probe = probes.probe("depth")
    conclusion = probe.conclude([whole.read(cells_of(whole.conditions)[1])])
    mine = results.findings[results.findings["head"] == "mlp"].reset_index(drop=True)
    theirs = conclusion.to_pandas()
    assert len(mine) == len(theirs)
    assert mine["estimate"].tolist() == pytest.approx(theirs["estimate"].tolist(), nan_ok=True)
    assert results.failures.empty


def test_holm_is_run_over_primary_conditions_only(whole):
    verdicts = Results(whole).verdicts
    assert verdicts["survives_holm"][0] is None or pd.isna(verdicts["survives_holm"][0])
    tested = verdicts["p"][1] is not None and not math.isnan(verdicts["p"][1])
    assert (verdicts["survives_holm"][1] in (True, False)) == tested


def test_a_condition_with_a_missing_cell_gets_no_verdict_and_stays_in_the_table(broken):
    results = Results(broken)
    assert results.verdicts["verdict"][0] == "missing"
    assert results.verdicts["verdict"][1] != "missing"
    (failure,) = results.failures.to_dict("records")
    assert (failure["state"], failure["error"]) == ("failed", "ValueError: planted")
    assert "planted" in failure["traceback"]
    assert set(results.findings["head"]) == {"mlp"}


def test_conclusions_follow_the_settings_of_the_suite_file(whole, tmp_path):
    lenient = read_suite(TINY + "\n[probes.depth.conclude]\nuntrained_below = -1.0\nleast_pie = 5.0\n")
    planned = plan(lenient)
    assert [cell.key for cell in planned.cells] == [cell.key for cell in cells_of(whole.conditions)]
    store = Store.create(tmp_path / "run", lenient, planned.conditions)
    for cell in planned.cells:
        store.write(cell, whole.read(cell))
    assert set(Results(store).verdicts["verdict"]) == {"nothing-deep"}


def test_measure_settings_are_part_of_the_key():
    other = plan(read_suite(TINY + "\n[probes.depth.measure]\nclips = 256\n"))
    assert other.cells[0].key != plan(read_suite(TINY)).cells[0].key


def test_the_parquet_files_are_rebuilt_to_the_same_bytes_and_hold_the_tables(whole):
    results = Results(whole)
    results.compact()
    place = whole.path / "verdicts.parquet"
    before = place.read_bytes()
    place.unlink()
    probes.load(whole.path).compact()
    assert place.read_bytes() == before
    assert len(pd.read_parquet(whole.path / "findings.parquet")) == len(results.findings)
    assert list(pd.read_parquet(place)["verdict"]) == list(results.verdicts["verdict"])


def test_the_files_read_back_and_the_labelled_arrays_say_what_the_tables_say(whole):
    results = Results(whole)
    results.compact()
    pd.testing.assert_frame_equal(probes.read_findings(whole.path), results.findings)
    pd.testing.assert_frame_equal(probes.read_verdicts(whole.path), results.verdicts)
    curves = results.to_xarray()
    assert curves.attrs == {"probe": "depth", "suite": "tiny", "schema": SCHEMA}
    row = results.findings.query("name == 'efficiency, deep' and head == 'mlp'").iloc[-1]
    place = {"condition": row["title"], "target": row["target"], "step": row["step"]}
    assert float(curves["efficiency, deep"].sel(place)) == row["estimate"]
    assert float(curves["efficiency, deep, high"].sel(place)) == row["high"]


def test_a_damaged_cell_stops_no_other_and_says_so(whole, broken):
    linear, mlp = cells_of(whole.conditions)
    broken.write(linear, whole.read(linear))
    (broken.path / "cells" / mlp.key[:2] / f"{mlp.key}.npz").write_bytes(b"")
    results = Results(broken)
    assert list(results.verdicts["verdict"])[1] == "missing"
    (failure,) = results.failures.to_dict("records")
    assert failure["state"] == "no conclusion"
    assert mlp.key in failure["error"]


def test_reprs_are_short_and_escape_what_they_show(whole):
    results = Results(whole)
    assert repr(results).startswith("Results(")
    assert len(repr(results)) < 200
    assert "<table" in results._repr_html_()


def test_loading_what_is_no_run_is_a_store_error(tmp_path):
    with pytest.raises(StoreError):
        probes.load(tmp_path)


def test_a_pass_over_many_conditions_keeps_few_conclusions_and_makes_the_same_tables(whole, tmp_path, monkeypatch):
    from probes import results as module

    linear, mlp = whole.conditions
    lines = [
        replace(one, title=f"w{n}/{one.title}", label=f"w{n}", training={**one.training, "steps": 1000 + n})
        for n in range(5)
        for one in (linear, mlp)
    ]
    store = Store.create(tmp_path / "many", whole.suite, lines)
    for number, cell in enumerate(cells_of(lines)):
        store.write(cell, whole.read((linear, mlp)[number % 2].cell(0)))
    store.fail(cells_of(lines)[3], "planted", "planted")
    store.files.place(cells_of(lines)[3].key, ".json").unlink()

    met = []

    def alive():
        return sum(one() is not None for one in met)

    def meet(one):
        met.append(weakref.ref(one.conclusion)) if one.conclusion else None
        return one

    kept = Results(Store.open(store.path))
    assert len(kept.concluded) == 10
    monkeypatch.setattr(module, "KEPT", 3)
    monkeypatch.setattr(module, "PIECE", 5)
    passing = Results(Store.open(store.path))
    assert max(alive() for _ in map(meet, passing.each())) <= 3 + 1
    assert len(met) == 9
    passing.compact()
    assert alive() <= 3
    for name in ("findings", "verdicts", "failures"):
        pd.testing.assert_frame_equal(getattr(passing, name), getattr(kept, name))
    written = {name: (store.path / f"{name}.parquet").read_bytes() for name in ("findings", "verdicts")}
    kept.compact()
    assert written == {name: (store.path / f"{name}.parquet").read_bytes() for name in written}
    assert passing.failures["state"].tolist() == ["failed"]
