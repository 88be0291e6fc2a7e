"""TOML from strangers: what the standard library reads, without the texts that it takes forever to read."""

from __future__ import annotations

import re
import tomllib
from typing import Any

#: Parts of the longest dotted key. Reading one takes time with the square of their number.
MOST_PARTS = 64

_LONG_KEY = re.compile(
    rf"(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}"
)


def parsed(content: bytes | str) -> dict[str, Any]:
    """The tables of a TOML text; bytes are UTF-8.

    Raises:
        ValueError, RecursionError: not TOML (`tomllib.TOMLDecodeError`), not UTF-8, a number of thousands of digits, a
            dotted key of more than 64 parts, lists inside lists without end.
    """
    text = content.decode("utf-8") if isinstance(content, bytes) else content
    if found := _LONG_KEY.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ValueError(f"a key of more than {MOST_PARTS} parts (at line {line}, column 1)")
    return tomllib.loads(text)
