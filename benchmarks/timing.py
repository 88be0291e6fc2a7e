"""What every benchmark shares: interleaved repeats, medians, and a description of where they were taken."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def interleaved(contestants: Mapping[str, Callable[[int], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every contestant in every repeat; contestants take turns, so that drift of the machine hits all.

    Each contestant is called with the number of the repeat, to make inputs it has never seen outside the clock: it
    returns a function without arguments, and only that call is timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats):
        for name, prepare in contestants.items():
            run = prepare(repeat)
            assert callable(run)
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def taking_turns(
    contestants: Mapping[str, Callable[[int], Callable[[], float]]], repeats: int
) -> dict[str, list[float]]:
    """As `interleaved`, for contestants with a clock of their own: what each says it took in every repeat.

    Who begins changes from repeat to repeat, so that nobody always comes after the same one.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for repeat in range(repeats):
        for name in order[repeat % len(order) :] + order[: repeat % len(order)]:
            run = contestants[name](repeat)
            gc.collect()  # what others left behind is not on this one's clock
            taken[name].append(run())
    return taken


def progress(message: str) -> None:
    """Say on standard error what is being measured."""
    print(message, file=sys.stderr, flush=True)


def median_ratio(slow: list[float], fast: list[float]) -> float:
    """Median over repeats of slow / fast, pair by pair."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def where(packages: list[str]) -> str:
    """Machine, date and versions, as one sentence."""
    return f"{date.today().isoformat()}, {processor()}, {os.cpu_count()} processors; {versions(packages)}."


def versions(packages: list[str]) -> str:
    """Versions of Python and of the packages that are installed."""
    found = [f"Python {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found)


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
