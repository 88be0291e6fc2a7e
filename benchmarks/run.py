"""All speed benchmarks; writes their tables into docs/benchmarks.md and README.md. `make bench` runs this.

python benchmarks/run.py [--only NAME …] [--repeats 5] [--dry-run]
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import time
from collections.abc import Callable

from generated import ROOT, write_block
from report import Report
from timing import progress

# Name of the block → module in this folder; its `measure(...)` returns the text, or a `Report` with one for the README.
BLOCKS = {
    "exact-inference": "exact_inference",
    "bandwidth": "bandwidth",
    "loopy": "loopy",
    "temporal": "temporal",
    "learning": "learning",
    "recovery": "recovery",
    "seeds": "seeds",
    "learned-messages": "learned_messages",
    "pie-cost": "pie_cost",
    "reading": "reading",
    "startup": "startup",
    "report-size": "report_size",
    "running": "running",
}


def measured(module: str, repeats: int | None) -> Report:
    """What a benchmark has to say; a package that is not installed becomes a note, as the others are still wanted."""
    try:
        measure: Callable[..., str | Report] = importlib.import_module(module).measure
        wanted = repeats is not None and "repeats" in inspect.signature(measure).parameters
        found = measure(repeats=repeats) if wanted else measure()
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "worldnets":
            raise  # a mistake of ours, no package that someone left out
        return Report(f"Not measured: `{missing.name}` is not installed where this was written.")
    return found if isinstance(found, Report) else Report(found)


def main() -> None:
    """Measure, print, and write the generated blocks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=BLOCKS, default=list(BLOCKS), metavar="NAME", help=", ".join(BLOCKS)
    )
    parser.add_argument("--repeats", type=int, help="interleaved repeats of every contestant; default: each its own")
    parser.add_argument("--dry-run", action="store_true", help="print the tables and write nothing")
    options = parser.parse_args()
    for name in options.only:
        begun = time.perf_counter()
        found = measured(BLOCKS[name], options.repeats)
        progress(f"{name} took {time.perf_counter() - begun:.0f} s")
        print(f"\n## {name}\n\n{found.full}\n")
        if options.dry_run:
            continue
        write_block(ROOT / "docs" / "benchmarks.md", name, found.full)
        if found.compact is not None:
            write_block(ROOT / "README.md", name, found.compact)


if __name__ == "__main__":
    main()
