"""Control characters are spelt, text is kept."""

import pytest

from worldnets.errors import WorldnetsError
from worldnets.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("räumlich 東京 🙂\tand\nmore", "räumlich 東京 🙂\tand\nmore"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("a\rb\x9b2Jc\x7f", r"a\x0db\x9b2Jc\x7f"),
        ("file\u202egnp.exe\u2066", r"file\u202egnp.exe\u2066"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_and_the_rest_is_kept(text, shown):
    assert printable(text) == shown


def test_on_one_line_newlines_and_tabs_are_spelt_too():
    assert printable("a\n\tb", newlines=False) == r"a\n\tb"


def test_no_part_of_an_error_reaches_the_terminal_as_a_control_sequence():
    bad = "x\x1b[2Jy"
    error = WorldnetsError(bad, found=bad, expected=bad, mend=bad, file=f"{bad}.toml", node=bad, row=bad)
    assert "\x1b" not in str(error)
    assert str(error).count(r"\x1b[2Jy") == 7
