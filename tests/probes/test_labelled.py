"""Findings as labelled arrays: every number stands where its labels say."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from probes.columns import FINDINGS
from probes.labelled import labelled
from worldnets.errors import MissingDependencyError, StoreError


def findings():
    rows = []
    for head in ("linear", "mlp"):
        line = {"world": "w", "objective": "question", "head": head, "inputs": "evidence", "probe": "depth"}
        line |= {
            "title": f"w/question/{head}/evidence",
            "note": "",
            "level": 0.95,
            "kind": "t",
            "n": 8,
            "unit": "share",
        }
        for step in (0, 10) if head == "linear" else (0, 20):
            for target in ("y", "z"):
                rows.append({**line, "target": target, "name": "efficiency", "step": step, "estimate": step / 100})
                for rung in (1, 2):
                    rows.append({**line, "target": target, "name": "efficiency", "step": step, "rung": rung,
                                 "estimate": step / 100 + rung, "low": rung - 0.5, "high": None})  # fmt: skip
        rows.append({**line, "target": "y", "name": "information", "rung": 2, "estimate": 0.75, "unit": "bits"})
    frame = pd.DataFrame(rows, columns=[column.name for column in FINDINGS])
    return frame.astype({"rung": "Int64", "step": "Int64", "low": "float64", "high": "float64"})


def test_every_finding_stands_under_its_labels_and_nothing_else_does():
    frame = findings()
    found = labelled(frame)
    assert found["efficiency"].dims == ("condition", "target", "rung", "step")
    assert found["efficiency, overall"].dims == ("condition", "target", "step")
    assert found["information"].dims == ("condition", "target", "rung")
    count = 0
    for row in frame.to_dict("records"):
        name = "efficiency, overall" if row["name"] == "efficiency" and pd.isna(row["rung"]) else row["name"]
        place = {"condition": row["title"], "target": row["target"]}
        place |= {dim: row[dim] for dim in ("rung", "step") if not pd.isna(row[dim])}
        assert float(found[name].sel(place)) == row["estimate"]
        assert float(found[f"{name}, low"].sel(place)) == pytest.approx(row["low"], nan_ok=True)
        count += 1
    numbers = sum(int(found[name].notnull().sum()) for name in ("efficiency", "efficiency, overall", "information"))
    assert numbers == count
    assert np.isnan(found["efficiency"].sel(condition="w/question/linear/evidence", step=20)).all()


def test_conditions_keep_their_parts_and_variables_their_units():
    found = labelled(findings())
    assert found["step"].values.tolist() == [0, 10, 20]
    assert found["rung"].values.tolist() == [1, 2]
    assert found["head"].values.tolist() == ["linear", "mlp"]
    assert found["efficiency"].attrs == {"units": "share", "interval": "t", "level": 0.95}
    assert found["information, low"].attrs["units"] == "bits"
    assert found.attrs == {"probe": "depth"}
    assert found.where(found["head"] == "mlp", drop=True).sizes["condition"] == 1


def test_one_probe_is_taken_at_a_time():
    frame = findings()
    both = pd.concat([frame, frame.assign(probe="order", name="x")], ignore_index=True)
    assert set(labelled(both, "order").data_vars) >= {"x", "x, overall"}
    with pytest.raises(StoreError, match="name one: 'depth', 'order'"):
        labelled(both)
    with pytest.raises(StoreError, match="did you mean 'depth'"):
        labelled(both, "depht")
    with pytest.raises(StoreError, match="run the suite first"):
        labelled(frame[:0])


def test_without_xarray_the_extra_to_install_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'worldnets\[xarray\]'"):
        labelled(findings())
