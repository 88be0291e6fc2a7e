"""Figures in documents are written by commands: text between two markers is replaced, everything else stays."""

from __future__ import annotations

import re
from pathlib import Path

from worldnets.files import write_atomically

ROOT = Path(__file__).resolve().parent.parent


def write_block(path: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- name:begin -->` and `<!-- name:end -->` in a file.

    Raises:
        SystemExit: the file has no such markers.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    old = path.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), flags=re.DOTALL)
    if not pattern.search(old):
        raise SystemExit(f"{path.relative_to(ROOT)} has no markers {begin} … {end}: put them where the figures go")
    new = pattern.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", old)
    write_atomically(path, new)
    print(f"wrote {name} in {path.relative_to(ROOT)}")
