"""Text from elsewhere as it may be shown on a terminal: control characters are spelt, so that none is obeyed.

Names in files and folders can hold escape sequences that move the cursor, change what was printed before or set the
window's title, and marks that turn the direction of writing. None of them belongs into a message.
"""

from __future__ import annotations

import re

# C0 and C1 controls except tab and newline, DEL; marks of direction, separators of lines; halves of surrogate pairs.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str, newlines: bool = True) -> str:
    r"""The text with control characters as Python writes them: `\x1b`, `\u202e`.

    Args:
        text: any.
        newlines: keep them and tabs; without, they are spelt too: for what must stay on one line.
    """
    found = _UNPRINTABLE.sub(_spelt, text)
    return found if newlines else found.replace("\n", "\\n").replace("\t", "\\t")


def _spelt(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
