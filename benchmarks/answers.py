"""What the scripts of known answers share: by what a page was written, and where it goes."""

from __future__ import annotations

import argparse
import datetime
import platform
from importlib.metadata import version
from pathlib import Path


def arguments_of(doc: str | None, page: str) -> argparse.ArgumentParser:
    """A parser with `--out`, by default docs/PAGE."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / page)
    return parser


def written(command: str, *packages: str, seconds: float | None = None) -> str:
    """The sentence that says which command wrote a page, when, with what, and how long it took."""
    versions = ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in packages)])
    took = "" if seconds is None else f", in {seconds:.0f} s"
    return f"Written by `benchmarks/{command}` on {datetime.date.today().isoformat()}, {versions}{took}."


def publish(text: str, out: Path) -> None:
    """Print a page and write it."""
    print(text)
    out.parent.mkdir(exist_ok=True)
    out.write_text(text, encoding="utf-8")
