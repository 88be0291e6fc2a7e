"""Keys of cells: what they are for the built-in suites, and what they do and do not depend on.

A key that changes makes finished cells of every run directory unreachable. Where that is meant (a probe's version went
up, a world's tables changed), `python tests/probes/test_keys.py` writes the new ones, and the change is looked at.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import worldnets as wn
from probes.cells import Cell, canonical
from probes.resolve import resolve
from probes.runner import plan
from probes.suite import built_in, parse_suite, read_suite
from probes.suites import suite_names
from probes.worklist import cells_of

GOLDEN = Path(__file__).with_name("golden_keys.json")

SUITE = """
[suite]
name = "small"

[defaults]
seeds = 8
steps = 50
batch = 32

[probes.depth.measure]
clips = 256
draws = 8

[[jobs]]
world = "WORLD"
parameters = { bits = 3, noise = 2 }
objective = "question"
heads = { name = "mlp", options = { width = 8, depth = 1 }, learning_rate = 0.01 }
penalties = { weight_decay = 0.001 }
"""

#: The same in another order, with what goes without saying said.
REORDERED = """
[[jobs]]
penalties = [{ weight_decay = 1e-3 }]
heads = [{ learning_rate = 1e-2, options = { depth = 1, width = 8 }, name = "mlp" }]
objective = ["question"]
parameters = { noise = 2, bits = 3 }
world = "WORLD"
batch = 32
inputs = "evidence"

[probes.depth.measure]
draws = 8
clips = 256

[defaults]
steps = 50
seeds = 8
optimizer = "adam"
checkpoints = 16

[suite]
name = "renamed"
title = "Another title"
primary = ["*"]
"""


def first_keys():
    """Suite → line of the run → key of its first cell, in 16 digits; the suites that `full` includes stand in it."""
    found = {}
    for name in ("quick", "full"):
        planned = plan(name)
        lines = [(f"{c.title} {c.probe['name']}", c) for c in planned.conditions]
        lines += [(organism.title, organism) for organism in planned.organisms]
        found[name] = {title: line.cell(0).key[:16] for title, line in lines}
    return found


def test_the_keys_of_the_built_in_suites_never_change():
    golden = json.loads(GOLDEN.read_text())
    assert first_keys() == golden
    assert set(suite_names()) <= {*golden, *(entry.suite for entry in parse_suite(built_in("full")).include)}


def test_a_key_is_the_sha256_of_the_canonical_identity():
    # Values that no code of ours made: whoever reads our keys elsewhere can do so from this.
    probe = {"name": "depth", "version": 3, "measure": {"x": 0.1}}
    identity = {"schema": 1, "probe": probe, "group": 2, "é": [None, True]}
    spelled = r'{"group":2,"probe":{"measure":{"x":0.1},"name":"depth","version":3},"schema":1,"\u00e9":[null,true]}'
    assert canonical(identity) == spelled
    assert Cell(identity, "", {}).key == "7cee682a7048d4b694f203d3ef66be9cf7b98d8b1bd182ddbc64d92ab588a034"


def keys(text, world):
    return [cell.key for cell in cells_of(resolve(read_suite(text.replace("WORLD", str(world)))))]


def test_keys_do_not_depend_on_the_order_of_a_suite_file_or_on_what_it_is_called():
    (key,) = keys(SUITE, "cue_parity")
    assert keys(REORDERED, "cue_parity") == [key]


def test_keys_do_not_depend_on_where_a_dataset_lies(tmp_path):
    from probes.skeleton import new_dataset

    text = '[suite]\nname = "s"\n[[jobs]]\nworld = "WORLD"\nobjective = "question"\nheads = "linear"\n'
    (tmp_path / "one").mkdir()
    made = new_dataset("mine", tmp_path / "one")
    shutil.copytree(made, tmp_path / "elsewhere" / "deeper" / "mine")
    assert keys(text, made) == keys(text, tmp_path / "elsewhere" / "deeper" / "mine")


def test_keys_do_not_depend_on_shards_patterns_or_how_many_seeds_are_asked_for():
    suite = read_suite(SUITE.replace("WORLD", "cue_parity"))
    more = [cell.key for cell in plan(suite, seeds=32).cells]
    assert [cell.key for cell in plan(suite).cells] == more[:1]
    parts = [cell.key for shard in ("1/3", "2/3", "3/3") for cell in plan(suite, shard=shard, seeds=32).cells]
    assert sorted(parts) == sorted(more)
    assert [cell.key for cell in plan(suite, only="*mlp*", seeds=32).cells] == more


def test_the_version_of_the_probe_is_in_the_key(monkeypatch):
    import probes

    (condition,) = resolve(read_suite(SUITE.replace("WORLD", "cue_parity")))
    kind = type(probes.probe("depth"))
    assert condition.probe["version"] == kind().version
    monkeypatch.setattr(kind, "version", kind().version + 1)
    (newer,) = resolve(read_suite(SUITE.replace("WORLD", "cue_parity")))
    assert newer.cell(0).key != condition.cell(0).key
    assert replace(newer, probe=condition.probe).cell(0).key == condition.cell(0).key


def test_the_contents_of_the_world_are_in_the_key():
    (condition,) = resolve(read_suite(SUITE.replace("WORLD", "cue_parity")))
    assert condition.world["digest"] == wn.load_dataset("cue_parity", bits=3, noise=2).digest
    changed = replace(condition, world={**condition.world, "digest": "0" * 64})
    assert changed.cell(0).key != condition.cell(0).key


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(first_keys(), indent=1) + "\n")
