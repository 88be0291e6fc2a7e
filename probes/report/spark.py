"""A number over training with its interval, as small as a word: one stands beside every finding.

Tens of thousands are drawn in a large report, of a dozen numbers each: plain Python is faster here than arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from probes.statistics import Interval

WIDE, HIGH = 160, 44  # half pixels; the style sheet halves them


def sparkline(course: Sequence[Interval]) -> Markup:
    """Line and band of numbers at successive checkpoints, which are set out evenly; "" for fewer than two.

    Limits may be far wider than the course, and it is the course that is to be seen: the band is cut off at the height
    of the course above and below it.
    """
    points = [
        (k, one.estimate, _or(one.low, one.estimate), _or(one.high, one.estimate))
        for k, one in enumerate(course)
        if math.isfinite(one.estimate)
    ]
    if len(points) < 2:
        return Markup("")
    least, most = min(p[1] for p in points), max(p[1] for p in points)
    reach = max(most - least, 1e-9)
    floor = max(min(p[2] for p in points), least - reach)
    scale = HIGH / max(min(max(p[3] for p in points), most + reach) - floor, 1e-12)
    step = WIDE / (len(course) - 1)
    x = [round(k * step) for k, *_ in points]
    middle, low, high = ([_inside(HIGH - (p[part] - floor) * scale) for p in points] for part in (1, 2, 3))
    band = "".join(f"{'L' if k else 'M'}{a} {b}" for k, (a, b) in enumerate(zip(x, high, strict=True)))
    back = "".join(f"L{a} {b}" for a, b in zip(x[::-1], low[::-1], strict=True))
    line = "".join(f"{'L' if k else 'M'}{a} {b}" for k, (a, b) in enumerate(zip(x, middle, strict=True)))
    filled = "" if low == high else f'<path d="{band}{back}z"/>'
    return Markup(f'<svg class="spark" aria-hidden="true">{filled}<path d="{line}"/></svg>')


def _or(limit: float, estimate: float) -> float:
    return limit if math.isfinite(limit) else estimate


def _inside(place: float) -> int:
    return round(min(max(place, 0.0), HIGH))
