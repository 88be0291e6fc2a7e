"""What docs/learning-over-time.md and docs/growing-world-models.md show is what happens."""

import re
from pathlib import Path

import numpy as np

from worldnets.learning import held_out_bits

DOCS = Path(__file__).resolve().parents[3] / "docs"


def run(page):
    (block,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, page, "exec"), names)
    return names


def test_mess3_is_learned_from_its_tokens(capsys):
    names = run("learning-over-time.md")
    world, learned = names["world"], names["learned"]
    truth = held_out_bits(world.net, names["test"])
    assert learned.held_out.bits - truth.bits < 0.01 * len(names["shown"])
    # Up to the names of its states: 1 − 2x on the diagonal, x elsewhere.
    table = np.sort(learned.template.cpts["state"], axis=1)
    np.testing.assert_allclose(table, np.sort(world.template.cpts["state"], axis=1), atol=0.03)
    assert names["counted"].net.variables == ("state_1", "token_1", "state_2", "token_2")
    assert "expectation–maximisation over time" in capsys.readouterr().out


def test_a_head_grows_with_its_world_model(capsys):
    names = run("growing-world-models.md")
    assert [stage.name for stage in names["growth"].stages] == ["radius 1", "radius 2", "radius 3"]
    assert names["fresh"].inputs.at(0).stage.name == "radius 3"
    assert names["reversed_"].inputs.at(0).stage.name == "deepest 1"
    assert "GrowingInputs(radius 1 from 0" in capsys.readouterr().out
