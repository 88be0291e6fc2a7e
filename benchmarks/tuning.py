"""What worldnets alone takes, and where it goes: `exact_inference.py --no-peers`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from cases import THREADS, Case, cases, default_rows, ours, warm
from timing import taking_turns

import worldnets as wn
from worldnets.inference import encode

HEADER = (
    f"{'net':<12}{'evidence':<10}{'rows':>6}{'µs/row, one':>13}{'all':>10}{'kept, one':>11}{'first, ms':>11}"
    f"{'decode, ms':>12}{'cells':>12}"
)


def ours_alone(names: list[str], modes: list[str], repeats: int, rows: int | None = None) -> Iterator[str]:
    """What worldnets takes and where it goes, for tuning: lines of a table.

    “first” is what a new engine takes more than one that has answered the same table before: planning, above all.
    """
    yield HEADER
    for name in names:
        for mode in modes:
            count = rows or default_rows(name, mode)
            for case in cases(name, mode):
                warm(case)
                taken = taking_turns({label: ours(case, t, count) for label, t in THREADS.items()}, repeats)
                kept, decoding, cells = _parts(case, count, repeats)
                one, everyone = (median(taken[label]) * 1e6 for label in THREADS)
                label = mode if mode == "masks" else f"{mode} {case.pattern}"
                first = (median(taken["one"]) - kept) * count * 1e3
                yield (
                    f"{name:<12}{label:<10}{count:>6}{one:>13,.1f}{everyone:>10,.1f}{kept * 1e6:>11,.1f}"
                    f"{first:>11,.1f}{decoding * 1e3:>12,.1f}{cells:>12}"
                )


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
