"""The report: one HTML file that holds everything it shows, the same bytes for the same run directory."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING

from probes.report import palette

if TYPE_CHECKING:
    from probes.results import Results

__all__ = ["LARGE", "render"]

#: From so many verdicts on, sections are kept as text until they come near (docs/decisions/report.md).
LARGE = 200


def render(results: Results) -> str:
    """The page as text. Names and messages from suites, datasets and errors are shown as text, never as markup."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from probes.report.fields import breakable
    from probes.report.page import context

    folder = files("probes.report")
    css = (folder / "style.css").read_text("utf-8") + palette.stylesheet()
    script = "\n" + (folder / "report.js").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["breakable"] = breakable
    template = environment.from_string((folder / "report.html.j2").read_text("utf-8"))
    return template.render(
        css=Markup(css),
        script=Markup(script),
        # The page allows this one script, by what it says, and no other.
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        hold=len(results.verdicts) > LARGE,
        **context(results),
    )
