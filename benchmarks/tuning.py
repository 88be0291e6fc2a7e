"""What worldnets alone takes, and where it goes: `exact_inference.py --no-peers`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from cases import THREADS, Case, cases, default_rows, ours, warm
from timing import taking_turns

import worldnets as wn
from worldnets.errors import CapacityError
from worldnets.inference import encode

HEADER = (
    f"{'net':<12}{'evidence':<10}{'rows':>6}{'µs/row, one':>13}{'all':>12}{'kept, one':>13}{'first, ms':>11}"
    f"{'decode, ms':>12}{'cells':>13}"
)


def ours_alone(names: list[str], modes: list[str], repeats: int, rows: int | None = None) -> Iterator[str]:
    """What worldnets takes and where it goes, for tuning: lines of a table.

    “first” is what a new engine takes more than one that has answered the same table before: planning, above all.
    """
    yield HEADER
    for name in names:
        for mode in modes:
            for case in cases(name, mode):
                label = mode if mode == "masks" else f"{mode} {case.pattern}"
                try:
                    yield f"{name:<12}{label:<10}{_line(case, rows or default_rows(name, mode), repeats)}"
                except CapacityError as refusal:
                    yield f"{name:<12}{label:<10} refused: {refusal}"


def _line(case: Case, count: int, repeats: int) -> str:
    warm(case)
    taken = taking_turns({label: ours(case, t, count) for label, t in THREADS.items()}, repeats)
    kept, decoding, cells = _parts(case, count, repeats)
    one, everyone = (median(taken[label]) * 1e6 for label in THREADS)
    first = (median(taken["one"]) - kept) * count * 1e3
    figures = ((one, 13), (everyone, 12), (kept * 1e6, 13), (first, 11), (decoding * 1e3, 12))
    return f"{count:>6}" + "".join(f"{value:>{width},.1f}" for value, width in figures) + f"{cells:>13}"


def _parts(case: Case, count: int, repeats: int) -> tuple[float, float, str]:
    """Seconds per row with a kept engine and a table it knows, seconds of decoding, and cells of the plan."""
    frame = case.rows(count, 1000).frame
    engine = wn.Inference(case.net, threads=1)
    engine.query(frame)
    kept, decoding = [], []
    for _ in range(repeats):
        begun = time.perf_counter()
        engine.query(frame)
        middle = time.perf_counter()
        encode(case.net, frame)
        kept.append((middle - begun) / count)
        decoding.append(time.perf_counter() - middle)
    cells = getattr(getattr(engine, "plan", None), "cells", None)
    return median(kept), median(decoding), "–" if cells is None else f"{cells:,}"
