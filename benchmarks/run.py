"""All speed benchmarks; writes their tables into docs/benchmarks.md and README.md. `make bench` runs this.

python benchmarks/run.py [--repeats 7] [--dry-run]
"""

from __future__ import annotations

import argparse

import exact_inference
import startup
from generated import ROOT, write_block


def main() -> None:
    """Measure, print, and write the generated blocks."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--repeats", type=int, default=7, help="interleaved repeats of every contestant")
    parser.add_argument("--dry-run", action="store_true", help="print the tables and write nothing")
    options = parser.parse_args()
    blocks = {
        "exact-inference": exact_inference.measure("alarm", repeats=options.repeats),
        "startup": startup.measure(options.repeats),
    }
    for name, text in blocks.items():
        print(f"\n## {name}\n\n{text}\n")
        if not options.dry_run:
            write_block(ROOT / "docs" / "benchmarks.md", name, text)
            if name == "exact-inference":
                write_block(ROOT / "README.md", name, text)


if __name__ == "__main__":
    main()
