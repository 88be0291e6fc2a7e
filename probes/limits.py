"""Every limit on what is read from strangers, by the name of the constant that sets it: one list for page and tests."""

from __future__ import annotations

import importlib

#: Constant → what it bounds.
LIMITS = {
    "worldnets.dataset_folder.LARGEST": "bytes of a dataset.toml",
    "worldnets.formats.reading.FILE_LIMIT": "bytes of a net file",
    "worldnets.formats.reading.UNPACKED_LIMIT": "bytes that a net's .gz unpacks to",
    "worldnets.formats.reading.UNLISTED_LIMIT": "table cells that a net file asks for without listing them",
    "worldnets.formats.xmltree.DEPTH_LIMIT": "elements inside one another in XML",
    "worldnets.episode_tables.TABLE_LIMIT": "bytes of a CSV or parquet table in memory, and that its .gz unpacks to",
    "worldnets.episode_stream.MOST_SOURCES": "sources of an episodes file",
    "worldnets.video.PIXELS_LIMIT": "pixels of a frame of a video",
    "worldnets.archive.ARCHIVE_LIMIT": "bytes of a saved trace or a learned world-model",
    "worldnets.toml.MOST_PARTS": "parts of a dotted key in TOML",
    "probes.suite.SUITE_LIMIT": "bytes of a suite file",
    "probes.suite.DEEPEST": "tables and lists inside one another in suites and in a run's conditions",
    "probes.suite.MOST_SEEDS": "seeds of a condition, repeats of an organism",
    "probes.suite.MOST_STEPS": "training steps",
    "probes.suite.MOST_CONDITIONS": "conditions of a suite",
    "probes.suite.MOST_CELLS": "cells of a suite",
    "probes.run_files.FILE_LIMIT": "bytes of any JSON or text file of a run directory",
    "probes.run_files.ARRAYS_LIMIT": "bytes of a cell's arrays",
    "probes.tables.MOST_ROWS": "rows that `probes.read_findings` makes a frame of",
}


def value(name: str) -> int:
    """What a constant is now."""
    module, _, constant = name.rpartition(".")
    return int(getattr(importlib.import_module(module), constant))


def markdown() -> str:
    """The limits as a table of a page."""
    lines = ["| limit | value | on |", "|---|---:|---|"]
    lines += [f"| `{name}` | {value(name):,} | {what} |" for name, what in LIMITS.items()]
    return "\n".join(lines)
