"""Suite files of strangers: they name what is registered, ask for what can be listed, and run no code."""

from __future__ import annotations

import importlib
import json
from random import Random

import pytest
from click.testing import CliRunner

from probes import suite as limits
from probes.cli import main
from probes.resolve import check_size
from probes.suite import load_suite, read_suite
from tests.hostile_runs import VALUES, changed, refusal
from tests.mutations import mutated
from tests.odd_files import put
from worldnets.errors import SuiteError

SUITE = """\
[suite]
name = "s"
title = "t"
primary = ["*"]

[defaults]
seeds = 8
steps = 50
probes = ["depth"]

[probes.depth]
measure = { clips = 128 }
conclude = { delta = 0.1 }

[organisms]
depth = 3

[[jobs]]
world = "cue_parity"
label = "c"
parameters = { bits = 2, noise = 1 }
redrawn = []
objective = "question"
heads = ["linear", { name = "mlp", options = { width = 8 }, steps = 10 }]
inputs = ["evidence"]
penalties = [{}, { weight_decay = 1e-3 }]
growth = ["none", { kind = "radius", order = "grown" }]
measure = { depth = { clips = 64 } }
"""
#: A line that goes with the suite's own probe.
OWN = "measure = { depth = { clips = 64 } }\n"
TABLES = json.loads(json.dumps(read_suite(SUITE).model_dump(exclude_none=True)))


def toml(value):
    """As TOML, whatever it is; what TOML has no word for becomes a date."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    return (
        {None: "1979-05-27", True: "true", False: "false"}.get(value, repr(value))
        if value is not None
        else "1979-05-27"
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_suite_with_anything_in_it_is_read_or_refused_with_place_and_mend(tmp_path, seed):
    random, path = Random(seed), tmp_path / "s.toml"
    if seed % 3 == 0:
        path.write_bytes(mutated(random, SUITE.encode()))
    else:
        tables = changed(random, TABLES)
        tables = tables if isinstance(tables, dict) else {"suite": tables}
        path.write_text("\n".join(f"{json.dumps(str(key))} = {toml(value)}" for key, value in tables.items()))
    said = refusal(lambda: check_size(load_suite(str(path))) or load_suite(str(path)).to_toml())
    assert not said or ("s.toml" in said and "Mend" in said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('world = "cue_parity"', 'world = "os:system"', "unknown dataset"),
        ('world = "cue_parity"', 'world = "../../nowhere"', "no such dataset folder"),
        ('world = "cue_parity"', 'world = "./x\\u0000y"', "dataset"),
        ('"linear"', '"probes.cli:main"', "unknown head"),
        ('objective = "question"', 'objective = "os:system"', "objective"),
        ('probes = ["depth"]', 'probes = ["os:system"]', "unknown probe"),
        ("weight_decay = 1e-3", '"os:system" = 1', "unknown penalty"),
        ('kind = "radius"', 'kind = "os:system"', "unknown kind"),
        ("width = 8", 'estimator = "os.system"', "estimator"),
        ("steps = 50", 'optimizer = "os:system"', "optimizer"),
        ("bits = 2", "bits = 1000000000000", "out of range"),
    ],
)
def test_names_lead_to_registered_things_and_import_nothing_else(tmp_path, monkeypatch, old, new, said):
    assert old in SUITE
    real, asked = importlib.import_module, []
    monkeypatch.setattr(
        importlib, "import_module", lambda *given, **more: asked.append(given[0]) or real(*given, **more)
    )
    (tmp_path / "s.toml").write_text(SUITE.replace(old, new).replace("depth = 3", "").replace(OWN, ""))
    answer = CliRunner().invoke(main, ["run", str(tmp_path / "s.toml"), "--dry-run"])
    assert answer.exit_code == 2, answer.output
    assert said in answer.stderr
    assert "Mend" in answer.stderr
    assert not {"os", "os:system", "probes.cli:main"} & set(asked)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = 8", "seeds = 1000000000000", "less than or equal"),
        ("steps = 50", "steps = " + "9" * 30, "beyond 64 bits"),
        ("steps = 50", "steps = " + "9" * 5000, "not a TOML file"),
        ("steps = 50", "steps = 0x" + "f" * 5000, "beyond 64 bits"),
        ("bits = 2", "bits = inf", "is no number"),
        ("bits = 2", "bits = 1979-05-27", "of no kind that settings have"),
        ("bits = 2", "bits = " + "[" * 40 + "]" * 40, "too deep"),
        ("bits = 2", "bits = " + "[" * 9000 + "]" * 9000, "not a TOML file"),
        ("depth = 3", "depth = 1000000000000", "less than or equal"),
        ('heads = ["linear",', "heads = [" + '"linear", ' * 2000 + "", "too many conditions"),
        ("[suite]", "a." * 50_000 + "a = 1\n[suite]", "not a TOML file"),
        ('name = "s"', 'name = "../../x"', "match pattern"),
        ('label = "c"', 'label = "<b>"', "match pattern"),
    ],
)
def test_what_could_not_be_listed_or_written_is_refused_at_once(tmp_path, monkeypatch, old, new, said):
    monkeypatch.setattr(limits, "MOST_CONDITIONS", 5000)
    assert old in SUITE
    (tmp_path / "s.toml").write_text(SUITE.replace(old, new, 1))
    answer = CliRunner().invoke(main, ["run", str(tmp_path / "s.toml"), "--dry-run"])
    assert answer.exit_code == 2, answer.output
    assert said in answer.stderr
    assert "Mend" in answer.stderr


def test_lists_that_cross_to_too_many_cells_are_refused_before_a_world_is_built():
    many = read_suite(SUITE.replace("seeds = 8", "seeds = 1000000").replace('["linear",', "[" + '"linear", ' * 100))
    with pytest.raises(SuiteError, match=r"a suite of too many cells.*raise probes\.suite\.MOST_CELLS"):
        check_size(many)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "hole", "none"])
def test_a_suite_that_is_no_ordinary_file_is_refused_without_waiting(tmp_path, kind):
    path = tmp_path / "s.toml"
    put(path, kind)
    with pytest.raises(SuiteError, match=r"s\.toml: cannot read the suite file.*Mend") as caught:
        load_suite(path)
    assert ("probes.suite.SUITE_LIMIT" in str(caught.value)) == (kind == "hole")


@pytest.mark.parametrize("value", [value for value in VALUES if isinstance(value, str) and "\ud800" not in value])
def test_a_title_is_shown_as_text(tmp_path, value):
    (tmp_path / "s.toml").write_text(SUITE.replace('title = "t"', f"title = {json.dumps(value)}"))
    answer = CliRunner().invoke(main, ["show", str(tmp_path / "s.toml")])
    assert answer.exit_code == 0
    assert "\x1b" not in answer.output
    assert "\u202e" not in answer.output
    assert read_suite(load_suite(tmp_path / "s.toml").to_toml()).suite.title == value
