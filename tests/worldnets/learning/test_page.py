"""What docs/learning.md shows is what happens."""

import re
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "learning.md").read_text(encoding="utf-8")


def test_alarm_is_learned_to_half_a_bit_and_the_numbers_are_those_of_the_page(capsys):
    names: dict[str, object] = {}
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(block, "learning.md", "exec"), names)
    bits = [names["truth"].bits, *(names[one].held_out.bits for one in ("known", "climbed", "tree"))]
    assert bits == sorted(bits)
    assert bits[2] - bits[0] < 0.5
    for excess, shown in zip(bits[1:], ("0.016", "0.063", "1.89"), strict=True):
        assert f"{excess - bits[0]:.{len(shown.split('.')[1])}f}" == shown
        assert f"| {shown} |" in PAGE
    assert names["latent"].rows == 21_000
    assert "Learned(expectation–maximisation" in capsys.readouterr().out
