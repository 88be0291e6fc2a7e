"""The verdict table on a terminal: readable at any width."""

import re
import sys
from types import SimpleNamespace

import pandas as pd
import pytest

from probes.registry import probe
from probes.terminal import verdict_table

ROW = {
    "probe": "depth",
    "world": "vault",
    "objective": "continuation",
    "target": "next_frame",
    "head": "linear",
    "inputs": "evidence",
    "verdict": "stagnating",
    "efficiency": 0.79,
    "efficiency_low": 0.78,
    "efficiency_high": 0.8,
    "gap": 0.21,
    "gap_low": 0.2,
    "gap_high": 0.22,
    "pie": 0.64,
    "deep_pie": 0.29,
}


def printed(monkeypatch, capsys, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    shown = {"depth": probe("depth").presentation}
    verdict_table(SimpleNamespace(verdicts=pd.DataFrame([ROW]), presentations=shown, notes={}))
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)  # colours


@pytest.mark.parametrize("columns", [80, 120])
def test_a_narrow_terminal_has_one_line_a_verdict_that_fits(monkeypatch, capsys, columns):
    lines = printed(monkeypatch, capsys, columns).splitlines()
    (line,) = [line for line in lines if "stagnating" in line]
    assert "vault/continuation/next_frame/linear/evidence" in line
    assert "0.79 [0.78, 0.80]" in line
    assert max(map(len, lines)) <= columns


def test_a_wide_terminal_has_every_column(monkeypatch, capsys):
    out = printed(monkeypatch, capsys, 140)
    assert all(name in out for name in ("world", "gap", "deep / pie, bits", "0.29 / 0.64"))
