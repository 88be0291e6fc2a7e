"""The site: all pages are on it, those of probes have one shape, every public name is in the API, nothing warns."""

import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from probes.registry import REGISTRY
from probes.suite import Defaults, Head, Heading, Job, Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
#: What every probe's page has, in this order; sections of its own stand between "The verdict" and "Organisms".
SECTIONS = ("What it asks", "How to run it", "What is measured", "The verdict")
LAST = ("Organisms and validity", "What it does not show", "Sources")
PUBLIC = ("worldnets", "worldnets.inference", "worldnets.formats", "worldnets.draw", "worldnets.learning", "probes")
PROBES = sorted(path.stem for path in (DOCS / "probes").glob("*.md"))


def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_probe_and_every_page_but_decisions_is_in_the_navigation():
    named = set(re.findall(r"([\w/.-]+\.md)", NAVIGATION))
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert {page for page in pages if not page.startswith("decisions/")} == named
    assert {f"probes/{name}.md" for name in REGISTRY.names()} <= named


@pytest.mark.parametrize("probe", PROBES)
def test_the_pages_of_probes_have_one_shape(probe):
    page = (DOCS / "probes" / f"{probe}.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    names = tuple(sections)
    assert re.match(rf"# `{probe}`: .+\?\n", page)
    assert names[:4] == SECTIONS
    assert names[-3:] == LAST
    assert f"probes show {probe}" in sections["How to run it"]
    assert "```python\n" in sections["How to run it"]
    assert f"](../validity.md#{probe})" in sections["Organisms and validity"]
    (concept,) = re.findall(r"^\[Concepts\]\(\.\./concepts\.md#([\w-]+)\)", sections["Sources"], flags=re.MULTILINE)
    headings = re.findall(r"^## (.+)$", (DOCS / "concepts.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert concept in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_concepts_lead_to_every_probe():
    concepts = (DOCS / "concepts.md").read_text(encoding="utf-8")
    assert set(re.findall(r"→ \[\w+\]\(probes/(\w+)\.md\)", concepts)) == set(REGISTRY.names())


def rows(page, heading):
    """The rows of the table below a heading: first field → second."""
    section = page.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    fields = [[field.strip() for field in line.strip("|").split("|")] for line in section.splitlines() if "|" in line]
    return {key: row[1] for row in fields[2:] for key in re.findall(r"`(\w+)`", row[0])}


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("`[suite]`", Heading),
        ("`[defaults]`", Defaults),
        ("`[[jobs]]`", Job),
        ("A head", Head),
        ("`[probes.NAME]` and `[organisms]`", Settings),
    ],
)
def test_the_page_on_suites_has_every_key_with_its_default(heading, model):
    said = rows((DOCS / "writing-suites.md").read_text(encoding="utf-8"), heading)
    assert said.keys() == model.model_fields.keys()
    for name, field in model.model_fields.items():
        default = field.default
        if default is PydanticUndefined:
            expected = ""
        elif default is None or (model is Job and name == "label"):
            assert said[name].startswith(("as in", "none", "the world's name")), name
            continue
        elif name == "heads":
            expected = f"`[{', '.join(_toml(head.name) for head in default)}]`"
        else:
            expected = f"`{_toml(default)}`"
        assert said[name] == expected, name


def _toml(value):
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_what_the_architecture_names_is_there():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", text))
    files = [
        path.relative_to(ROOT).as_posix() for part in ("worldnets", "probes") for path in (ROOT / part).rglob("*.py")
    ]
    assert len(named) > 60
    assert [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)] == []


def test_indices_and_powers_are_set_and_nothing_else_is_touched():
    typeset = hooks().typeset
    assert typeset("W\\*(y | x_{E_k}), p_0/p_{k−1}") == (
        "W\\*(y | x<sub>E<sub>k</sub></sub>), p<sub>0</sub>/p<sub>k−1</sub>"
    )
    assert typeset("U\\*_deep of 2^16") == "U\\*<sub>deep</sub> of 2<sup>16</sup>"
    for left in ("`x_k`", "low_end", "**a_fifth**", "[a](b_c.md#d_1)", "```python\nx_k = 2^16\n```"):
        assert typeset(left) == left


def test_pages_name_no_machine_of_ours():
    ours = re.compile(r"(?<![\w.])/(?:work|home|root|tmp|Users)/|localhost|127\.0\.0\.1")
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")]
    assert [(page.name, found[0]) for page in pages if (found := ours.search(page.read_text(encoding="utf-8")))] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as it is built, and what was said of it."""
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert built.returncode == 0, built.stderr
    return folder, built.stderr


def test_it_builds_without_a_warning_and_asks_nothing_of_the_network(site):
    folder, said = site
    assert "WARNING" not in said
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"https?://", text) == [], page


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_pages_of_the_api(module, site):
    folder, _ = site
    pages = "".join(page.read_text(encoding="utf-8") for page in (folder / "api").glob("*.html"))
    homes = hooks().public(module)
    assert homes.keys() >= {
        name for name in importlib.import_module(module).__all__ if name not in ("errors", "learning")
    }
    assert [name for name, home in homes.items() if f'id="{home}"' not in pages] == []
