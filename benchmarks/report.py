"""What a benchmark hands over to be written into documents."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Report:
    """Markdown of one benchmark.

    Attributes:
        full: for docs/benchmarks.md.
        compact: for the README; None: it has none there.
    """

    full: str
    compact: str | None = None
