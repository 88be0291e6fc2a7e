"""The cards of the datasets show the pies that are measured."""

import re
from pathlib import Path

import pytest

import worldnets as wn

ROOT = Path(__file__).resolve().parents[2]
# Enumerated within a second or two; the others are sampled, or have many contexts.
QUICK = ["asia", "chains", "child", "cue_parity", "echo", "guard", "rrxor", "tracker", "zero_one_random"]
LONG = ["mess3", "vault", "digits", "alarm", "andes", "hailfinder", "insurance", "munin1", "win95pts"]


@pytest.fixture
def table(benchmark):
    return benchmark("pies").table


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_the_card_shows_the_pie_that_is_measured(table, name):
    card = (ROOT / "datasets" / name / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- pie:begin -->\n(.*?)<!-- pie:end -->", card, flags=re.DOTALL)
    assert shown is not None
    words, measured = shown.group(1).split(), table(wn.load_dataset(name)).split()
    assert len(words) == len(measured)
    for there, here in zip(words, measured, strict=True):
        if re.fullmatch(r"\d+\.\d+", there):  # the last digit may fall to the other side on another machine
            assert float(here) == pytest.approx(float(there), abs=0.0011)
        elif not there.endswith("%"):
            assert here == there
