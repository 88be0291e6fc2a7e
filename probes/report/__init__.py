"""The report: one HTML file that holds everything it shows, the same bytes for the same run directory."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from probes.report import palette

if TYPE_CHECKING:
    from probes.results import Results

__all__ = ["render"]


def render(results: Results) -> str:
    """The page as text. Names and messages from suites, datasets and errors are shown as text, never as markup."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from probes.report.page import context

    folder = files("probes.report")
    content = context(results)
    css = (folder / "style.css").read_text("utf-8") + palette.stylesheet({3, *_ladders(content)})
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "report.html.j2").read_text("utf-8"))
    return template.render(css=Markup(css), **content)


def _ladders(content: Any) -> set[int]:
    """Lengths of the ladders whose colours the page's pictures use."""
    if isinstance(content, str):
        # Three digits at most: a name can look like this, too, and must not ask for a million colours.
        found = re.findall(r"var\(--rung-(\d{1,3})-", content) if "--rung-" in content else ()
        return {int(count) for count in found}
    if isinstance(content, Mapping):
        return set().union(*map(_ladders, content.values()))
    return set().union(*map(_ladders, content)) if isinstance(content, list | tuple) else set()
