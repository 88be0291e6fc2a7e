"""The page of claims quotes, and has nothing of its own: probes, commands and numbers exist where it says."""

import re
from pathlib import Path

import pytest

from probes.registry import names
from probes.suites import suite_names

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "claims.md"
NUMBER = re.compile(r"[−-]?\d*\.\d+ \[[^\]]+\]")


def rows():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        fields = [field.strip() for field in line.strip("|").split(" | ")]
        if line.startswith("|") and not line.startswith(("|---", "| claim")):
            assert len(fields) == 4, line
            yield fields


def plain(text):
    return text.replace("−", "-").replace("*", "")


ROWS = list(rows())


def test_every_document_has_its_claims():
    text = PAGE.read_text(encoding="utf-8")
    assert [number for number in ("000", "001", "002", "003", "004") if f"## {number}:" not in text] == []
    assert len(ROWS) > 30


@pytest.mark.parametrize(("claim", "measured", "found", "again"), ROWS, ids=[row[0][:50] for row in ROWS])
def test_what_a_row_names_exists_and_what_it_quotes_stands_on_the_page_it_links(claim, measured, found, again):
    known = {*names(), *suite_names()}
    assert set(re.findall(r"`([^`]+)`", measured)) <= known
    if measured == "–":
        assert again == "–"
        assert found.startswith("Not measurable here")
        return
    (command,) = re.findall(r"`([^`]+)`", again)
    first, second, *_ = command.split()
    if first == "make":
        assert f"\n{second}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
    else:
        assert (first, second) == ("probes", "run")
    pages = re.findall(r"\]\(([^)#]+)\)", found)
    assert pages
    quoted = "\n".join(plain((PAGE.parent / page).read_text(encoding="utf-8")) for page in pages)
    for number in NUMBER.findall(found):
        assert plain(number) in quoted, number
