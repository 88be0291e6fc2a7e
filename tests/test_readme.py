"""What README.md shows is what happens: its Python blocks run, in order, and its commands exist."""

import re
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from probes.cli import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_python_blocks_run_in_order(capsys):
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 5
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    beliefs, conclusion = names["beliefs"], names["conclusion"]
    np.testing.assert_allclose(beliefs["HR"].sum(axis=1), 1)
    assert list(conclusion.verdicts) == ["next_frame"]
    assert conclusion.verdicts["next_frame"].name in README
    assert conclusion.verdicts["next_frame"].name in capsys.readouterr().out


def test_every_command_it_lists_has_a_help_page():
    commands = set(re.findall(r"^probes (\w+) ", README, flags=re.MULTILINE))
    assert commands == set(main.commands)
    for command in commands:
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0
