"""The site: every page of every probe is on it, and it builds without a warning."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from probes.registry import REGISTRY

ROOT = Path(__file__).parents[1]
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]


def test_every_probe_and_every_page_but_decisions_is_in_the_navigation():
    named = set(re.findall(r"([\w/.-]+\.md)", NAVIGATION))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not page.startswith("decisions/")} == named
    assert {f"probes/{name}.md" for name in REGISTRY.names()} <= named


def test_it_builds_without_a_warning_and_asks_nothing_of_the_network(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    page = (tmp_path / "site" / "probes" / "depth.html").read_text(encoding="utf-8")
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", page)
    api = (tmp_path / "site" / "api" / "probes.html").read_text(encoding="utf-8")
    assert "probes.statistics.Interval" in api
