"""Numbers as they stand in the page's tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from probes.presentation import number

if TYPE_CHECKING:
    from probes.presentation import Shown


def interval(estimate: float | None, low: float | None, high: float | None, digits: int = 2) -> dict[str, str]:
    """The estimate and, apart from it, its limits in brackets."""
    text = number(estimate, digits)
    limits = "" if text == "–" or low == high else f"[{number(low, digits)}, {number(high, digits)}]"
    return {"text": text, "limits": limits}


def field(shown: Shown) -> dict[str, str]:
    """What stands in one field."""
    return {"text": shown.text, "limits": ""} if shown.text else interval(shown.estimate, shown.low, shown.high)


def p_value(value: float | None) -> str:
    """A p value to three digits; a dash where nothing was tested."""
    if number(value) == "–" or value is None:
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def breakable(name: str) -> Markup:
    """A name as text that may break into lines after the signs people join names with."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_+=:/,(])(?=[^\s])", name))
