"""Seeds that split in two are judged apart: one answer stands, two answers are `inconclusive`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Verdict

Seeds = NDArray[np.bool_]


def judged_apart(
    upper: Seeds,
    judge: Callable[[Seeds], Verdict],
    end: Callable[[Seeds], str],
    told: str,
    opening: str = "The seeds split in two",
) -> Verdict:
    """The verdict on seeds of which some lie apart from the others.

    Args:
        upper: which seeds are in the upper cluster, [S].
        judge: a probe's rules on some of the seeds.
        end: where some of the seeds end, such as "0.23".
        told: what is said of a side, with places for `{count}`, `{end}` and `{name}`.
        opening: what is said of both, before that.

    Returns:
        Where both sides have one answer, that of the side with the larger p, the sentence before its reasons; else
        `inconclusive`. `clusters` counts the seeds of each side.
    """
    sides = [(int(seeds.sum()), end(seeds), judge(seeds)) for seeds in (~upper, upper)]
    words = "; ".join(told.format(count=count, end=place, name=found.name) for count, place, found in sides)
    sentence, names = f"{opening}: {words}.", {found.name for *_, found in sides}
    if len(names) > 1 or "inconclusive" in names:
        counted = {f"{found.name} (around {place})": count for count, place, found in sides}
        reason = f"{sentence} One verdict for both would describe neither."
        return Verdict("inconclusive", (reason,), clusters=counted)
    first = max((found for *_, found in sides), key=lambda found: max((x.p for x in found.statements), default=0.0))
    counted = {f"around {place}": count for count, place, _ in sides}
    return replace(first, reasons=(sentence, *first.reasons), clusters=counted)
