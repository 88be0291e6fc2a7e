"""What the page of validity comes to is repeated right on the page of every probe."""

import re
from pathlib import Path

import pytest

from probes.registry import REGISTRY
from probes.validity_page import counted

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "validity.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("probe", counted(PAGE), ids=lambda probe: probe.probe)
def test_a_probes_page_says_what_its_section_of_validity_comes_to(benchmark, probe):
    page = (ROOT / "docs" / "probes" / f"{probe.probe}.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"<!-- validity:begin -->\n(.*?)\n<!-- validity:end -->", page, flags=re.DOTALL)
    assert said == benchmark("validity_tables").sentence(probe)


def test_every_row_of_the_page_is_counted():
    probes = counted(PAGE)
    assert [probe.probe for probe in probes] == sorted(REGISTRY.names())
    organisms = sum(probe.planted + probe.nulls for probe in probes)
    assert organisms == len(re.findall(r"^\| \*\*", PAGE, flags=re.MULTILINE))
    intervals = sum(probe.intervals for probe in probes)
    assert organisms + intervals == len(re.findall(r"\| (?:yes|\*\*no\*\*) \|", PAGE))
