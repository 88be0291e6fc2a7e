"""Nanoseconds per clique cell, beside what the memory of this machine allows.

    python benchmarks/bandwidth.py [NET …] [--repeats N]

Bandwidth is that of a triad, a[i] = b[i] + s·c[i], counted as in STREAM: 24 bytes per element, whatever the cache
fetches besides. It is measured in the same run, with arrays that fit in a core's second-level cache and with arrays of
`LARGE_BYTES`; where the last-level cache is of that order, the second is the figure of that cache and memory together,
and the report says how large both are.

The bound counts what no propagation that keeps its clique tables can do without: each cell is written once, on the way
to the root, and read once, on the way back. Messages, evidence, tables of the net, beliefs and arithmetic count as
free. A ratio of 1 would be an engine that waits for nothing but memory. The working tables of a chunk of rows are meant
to stay in the second-level cache, so that the ratio to the bound in cache is the one to bring down.

Source: McCalpin 1995, "Memory bandwidth and machine balance in current high performance computers" (STREAM).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numba
import numpy as np
from evidence_rows import one_pattern
from timing import progress, where

import worldnets as wn
from worldnets.inference.compiled import available_threads
from worldnets.public_nets import public_nets

WRITES, READS = 1, 1  # of each cell, at least
BYTES_PER_CELL = 8 * (WRITES + READS)  # float64
SMALL_BYTES = 3 * 2**18  # all three arrays of the small triad: well inside a second-level cache of 1 MB
LARGE_BYTES = 3 * 2**29  # of the large triad, all threads together
NETS = ("alarm", "andes", "pigs", "munin", "diabetes", "mildew", "water", "link")
CELLS_PER_CALL = 2e8  # rows are chosen so that a query computes about as many cells
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Bandwidth:
    """Bytes per second of the triad."""

    threads: int
    small: float
    large: float


@dataclass(frozen=True)
class PerCell:
    """What a planned query takes: one pattern for all rows, evidence as codes, beliefs of all variables."""

    net: str
    cells: int
    rows: int
    nanoseconds: dict[int, float]  # per cell and row, by threads


@numba.njit(nogil=True, cache=True)
def _triad(a, b, c, scale, times):  # type: ignore[no-untyped-def]
    for repeat in range(times):
        factor = scale + repeat  # another one each time, so that no pass can be left out
        for i in range(a.size):
            a[i] = b[i] + factor * c[i]


def bandwidth(threads: int, repeats: int = 5) -> Bandwidth:
    """Measure both triads on so many threads: the fastest of the repeats, as is usual for it."""
    small = _triad_bytes_per_second(threads, SMALL_BYTES, 2000, repeats)
    return Bandwidth(threads, small, _triad_bytes_per_second(threads, LARGE_BYTES // threads, 1, repeats))


def _triad_bytes_per_second(threads: int, bytes_each: int, times: int, repeats: int) -> float:
    length = bytes_each // 24
    arrays = [tuple(np.full(length, float(i + 1)) for i in range(3)) for _ in range(threads)]
    _triad(*(x[:8] for x in arrays[0]), 2.0, 1)
    best = 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(repeats):
            begun = time.perf_counter()
            for done in [pool.submit(_triad, *one, 2.0, times) for one in arrays]:
                done.result()
            best = max(best, threads * length * 24 * times / (time.perf_counter() - begun))
    return best


def per_cell(name: str, repeats: int = 5) -> PerCell:
    """Time a planned query of one net on one thread and on all."""
    net = wn.read_net(public_nets()[name])
    engines = {threads: wn.Inference(net, threads=threads) for threads in _threads()}
    codes = one_pattern(net, 0, 64, 0).codes
    for engine in engines.values():
        engine.query(codes)  # plans
    cells = engines[1].plan.cells
    rows = int(np.clip(CELLS_PER_CALL / cells, 100, MOST_ROWS))
    codes = np.asfortranarray(one_pattern(net, 0, rows, 1).codes)
    taken: dict[int, list[float]] = {threads: [] for threads in engines}
    for _ in range(repeats):
        for threads, engine in engines.items():
            taken[threads].append(_seconds(lambda engine=engine: engine.query(codes).table))  # type: ignore[misc]
    return PerCell(name, cells, rows, {t: median(s) / (cells * rows) * 1e9 for t, s in taken.items()})


def _seconds(run: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _threads() -> list[int]:
    return sorted({1, available_threads()})


def measure(repeats: int = 5, names: tuple[str, ...] = NETS) -> str:
    """The markdown report."""
    found = {threads: bandwidth(threads, repeats) for threads in _threads()}
    progress("; ".join(f"{b.threads} thread(s): {_gb(b.small)} and {_gb(b.large)}" for b in found.values()))
    lines = [
        where(["worldnets", "numba", "numpy"]),
        f"Triad of {SMALL_BYTES / 2**10:,.0f} KiB per thread, in the second-level cache ({_cache(2)}), and of "
        f"{LARGE_BYTES / 2**20:,.0f} MiB in all, beside a last-level cache of {_cache(3)}"
        f"{_caveat()}.",
        "",
        "| threads | triad in cache | large triad | bound per cell, in cache | bound per cell, large |",
        "|---|---|---|---|---|",
    ]
    for b in found.values():
        bounds = [f"{BYTES_PER_CELL / speed * 1e9:.2f} ns" for speed in (b.small, b.large)]
        lines.append(f"| {b.threads} | {_gb(b.small)} | {_gb(b.large)} | {bounds[0]} | {bounds[1]} |")
    lines += [
        "",
        f"The bound: each clique cell written {WRITES}× and read {READS}× per row, {BYTES_PER_CELL} bytes in float64; "
        "everything else is free.",
        f"Planned queries of all variables, one pattern for all rows, evidence as codes; medians of {repeats}.",
        "",
        "| net | cells | rows | threads | ns per cell and row | over the bound in cache | over the large one |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        cost = per_cell(name, repeats)
        for threads, nanoseconds in cost.nanoseconds.items():
            ratios = [
                nanoseconds * 1e-9 * speed / BYTES_PER_CELL for speed in (found[threads].small, found[threads].large)
            ]
            lines.append(
                f"| {name} | {cost.cells:,} | {cost.rows:,} | {threads} | {nanoseconds:.2f} | {ratios[0]:.1f}× | "
                f"{ratios[1]:.1f}× |"
            )
            progress(lines[-1])
    return "\n".join(lines)


def _gb(bytes_per_second: float) -> str:
    return f"{bytes_per_second / 1e9:,.1f} GB/s"


def _cache_bytes(level: int) -> int:
    """Size of a cache of the first processor; 0 where the system does not tell."""
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            if (index / "level").read_text().strip() == str(level):
                size = (index / "size").read_text().strip()
                return int(size[:-1]) * {"K": 2**10, "M": 2**20, "G": 2**30}[size[-1]]
        except (OSError, ValueError, KeyError):
            continue
    return 0


def _cache(level: int) -> str:
    size = _cache_bytes(level)
    return f"{size / 2**20:,.0f} MiB" if size else "unknown size"


def _caveat() -> str:
    if LARGE_BYTES >= 4 * _cache_bytes(3) > 0:
        return ""
    return ": not beyond doubt the speed of memory alone, as much of the arrays may stay in that cache"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(NETS))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(measure(options.repeats, tuple(options.nets)))


if __name__ == "__main__":
    main()
