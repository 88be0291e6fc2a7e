"""Examples in docstrings are run, and answer what stands there."""

import doctest
import warnings
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for package in ("worldnets", "probes")
    for path in (ROOT / package).rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)


def test_there_are_examples_and_none_is_left_out():
    assert len(MODULES) >= 8
    texts = [
        path.read_text(encoding="utf-8") for name in ("worldnets", "probes") for path in (ROOT / name).rglob("*.py")
    ]
    assert not [text for text in texts if "doctest: +" + "SKIP" in text]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_answer_what_stands_there(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        found = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0, capsys.readouterr().out
    assert found.attempted > 0
