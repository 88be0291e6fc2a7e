"""README.md: what it lists exists, what it repeats is repeated right, and it is short.

That its commands and its code run is `test_documents.py`'s to say.
"""

import re
from pathlib import Path

from click.testing import CliRunner

from probes.cli import main
from probes.registry import REGISTRY
from probes.validity_page import counted, table
from probes.verdict import NAMES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_command_it_lists_has_a_help_page():
    commands = set(re.findall(r"^probes (\w+) ", README.partition("## From the command line")[2], flags=re.MULTILINE))
    assert commands == set(main.commands)
    for command in commands:
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


def test_every_probe_has_its_row_and_its_page():
    named = re.findall(r"^\| \[`(\w+)`\]\(docs/probes/(\w+)\.md\) \|", README, flags=re.MULTILINE)
    assert [probe for probe, _ in named] == [page for _, page in named]
    assert {probe for probe, _ in named} == set(REGISTRY.names())


def test_every_verdict_of_depth_is_in_its_table():
    assert [name for name in NAMES if f"`{name}`" not in README] == []


def test_its_validity_is_what_the_page_of_validity_comes_to():
    probes = counted((ROOT / "docs" / "validity.md").read_text(encoding="utf-8"))
    (said,) = re.findall(r"<!-- validity:begin -->\n(.*?)\n<!-- validity:end -->", README, flags=re.DOTALL)
    assert said == table(probes, "docs/validity.md#{probe}")
    assert {probe.probe for probe in probes} == set(REGISTRY.names())


def test_what_it_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|(?:src|srcset)=\"([^\"]+)\"", README)
    assert [target for pair in links for target in pair if target and not (ROOT / target).exists()] == []


def test_it_is_read_in_three_minutes():
    prose = re.sub(r"```.*?```|<!-- .*? -->|<picture>.*?</picture>", "", README, flags=re.DOTALL)
    prose = "\n".join(line for line in prose.splitlines() if not line.startswith(("|", "#")))
    assert len(re.sub(r"\]\([^)]*\)", "", prose).split()) < 3 * 240
