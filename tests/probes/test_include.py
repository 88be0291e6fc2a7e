"""Suites made of other suites: the same cells under prefixed labels."""

import pytest

from probes.organism import organisms
from probes.resolve import resolve
from probes.store import Store
from probes.suite import load_suite, read_suite
from worldnets.errors import SuiteError

PART = """
[suite]
name = "part"

[defaults]
seeds = 8
steps = 40
batch = 16
checkpoints = 4
probes = ["depth", "early"]

[organisms]
depth = 20

[probes.depth]
measure = { clips = 256 }
conclude = { delta = 0.2 }

[[jobs]]
world = "cue_parity"
parameters = { bits = 2 }
objective = "question"
heads = ["linear", { name = "mlp", options = { width = 8 }, steps = 50 }]

[[jobs]]
world = "cue_parity"
label = "three"
parameters = { bits = 3 }
objective = "question"
heads = "linear"
probes = "depth"
seeds = 16
measure = { depth = { clips = 128 } }
"""

WHOLE = """
[suite]
name = "whole"

[[include]]
suite = "part.toml"

[[include]]
suite = "part.toml"
prefix = "again"
seeds = 24

[organisms]
early = 10

[[jobs]]
world = "cue_parity"
objective = "question"
heads = "linear"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "part.toml").write_text(PART)
    (tmp_path / "whole.toml").write_text(WHOLE)
    return tmp_path


def keys(conditions, group=0):
    return [condition.cell(group).key for condition in conditions]


def test_an_included_suite_asks_for_the_same_cells_under_its_name(folder):
    whole, part = resolve(load_suite(folder / "whole.toml")), resolve(load_suite(folder / "part.toml"))
    assert [c.title for c in whole[: len(part)]] == [f"part.{c.title}" for c in part]
    assert [c.title for c in whole[len(part) : -1]] == [f"again.{c.title}" for c in part]
    assert whole[-1].title == "cue_parity/question/linear/evidence"
    assert keys(whole)[: len(part)] == keys(whole)[len(part) : -1] == keys(part)
    assert [c.seeds for c in whole] == [c.seeds for c in part] + [24] * len(part) + [8]
    assert [c.probe["measure"] for c in whole[: len(part)]] == [c.probe["measure"] for c in part]


def test_margins_and_organisms_come_along(folder):
    whole = load_suite(folder / "whole.toml")
    assert whole.probes["depth"].conclude == {"delta": 0.2}
    assert whole.probes["depth"].measure == {}
    assert dict(whole.organisms) == {"depth": 20, "early": 10}


def test_the_copy_in_the_run_directory_includes_nothing_and_is_the_same_suite(folder):
    whole = load_suite(folder / "whole.toml")
    conditions = resolve(whole)
    run = Store.create(folder / "run", whole, conditions, organisms(whole))
    text = (run.path / "suite.toml").read_text()
    assert "include" not in text
    (folder / "part.toml").unlink()
    again = Store.open(run.path)
    assert again.suite == whole
    assert keys(resolve(read_suite(text))) == keys(conditions)


def test_full_is_the_union_of_the_suites_it_names_at_sixteen_seeds():
    full = load_suite("full")
    assert not full.include
    parts = [load_suite(name) for name in ("low_end", "high_end", "purity", "alignment")]
    assert [job.label for job in full.jobs] == [
        f"{part.name}.{job.label or job.world}" for part in parts for job in part.jobs
    ]
    assert {job.seeds for job in full.jobs} == {16}
    assert dict(full.organisms) == {name: count for part in parts for name, count in part.organisms.items()}
    for part in parts:
        for name, settings in part.probes.items():
            assert full.probes[name].conclude == settings.conclude


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('suite = "part.toml"', 'suite = "quik"', r"include\[1\].*unknown suite.*did you mean 'quick'"),
        ('suite = "part.toml"', 'siute = "part.toml"', r"unknown key include\[1\]\.siute.*did you mean 'suite'"),
        ("prefix", "prefixx", r"include\[2\]\.prefixx.*did you mean 'prefix'"),
        ("[[include]]", "[[includes]]", "unknown key includes.*did you mean 'include'"),
        ('suite = "part.toml"', 'suite = "gone.toml"', "cannot read the included suite; found gone.toml"),
        ('suite = "part.toml"', 'suite = "../part.toml"', "an included file lies elsewhere"),
        ('suite = "part.toml"', 'suite = "/etc/part.toml"', "an included file lies elsewhere"),
        ('suite = "part.toml"', 'suite = "link.toml"', "an included file lies elsewhere"),
        ('suite = "part.toml"', 'suite = "whole.toml"', "suites include each other; found whole → whole"),
        ('prefix = "again"', "", "two different conditions have one title|stands there twice"),
        ("seeds = 24", "seeds = 1", r"include\[2\]\.seeds: no number of seeds"),
    ],
)
def test_an_inclusion_that_cannot_be_is_refused_with_its_place(folder, old, new, message):
    assert old in WHOLE
    (folder / "link.toml").symlink_to(folder / "part.toml")
    (folder / "whole.toml").write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(SuiteError, match=message):
        resolve(load_suite(folder / "whole.toml"))


def test_suites_that_include_each_other_are_named_in_a_circle(folder):
    for name, other in (("a", "b"), ("b", "c"), ("c", "b")):
        text = f'[suite]\nname = "{name}"\n[[include]]\nsuite = "{other}.toml"\n'
        (folder / f"{name}.toml").write_text(text)
    with pytest.raises(SuiteError, match="found b → c → b"):
        load_suite(folder / "a.toml")


def test_suites_that_double_each_other_end(folder):
    for number in range(20):
        entries = "".join(f'[[include]]\nsuite = "{number + 1}.toml"\nprefix = "{side}"\n' for side in "ab")
        (folder / f"{number}.toml").write_text(f'[suite]\nname = "s{number}"\n{entries}')
    (folder / "20.toml").write_text(PART)
    with pytest.raises(SuiteError, match="too many suites included"):
        load_suite(folder / "0.toml")


def test_two_suites_that_conclude_differently_are_refused_until_it_is_said_how(folder):
    (folder / "other.toml").write_text(PART.replace("delta = 0.2", "delta = 0.3").replace('"part"', '"other"'))
    text = '[suite]\nname = "both"\n[[include]]\nsuite = "part.toml"\n[[include]]\nsuite = "other.toml"\n'
    (folder / "both.toml").write_text(text)
    with pytest.raises(SuiteError, match=r"conclude differently; found part\.toml and other\.toml"):
        load_suite(folder / "both.toml")
    (folder / "both.toml").write_text(text + "[probes.depth.conclude]\ndelta = 0.1\n")
    assert load_suite(folder / "both.toml").probes["depth"].conclude == {"delta": 0.1}


def test_a_suite_from_a_text_includes_no_files_and_one_without_jobs_is_refused():
    with pytest.raises(SuiteError, match="included from nowhere"):
        read_suite(WHOLE)
    assert read_suite('[suite]\nname = "s"\n[[include]]\nsuite = "quick"\n').jobs
    with pytest.raises(SuiteError, match="a suite without jobs"):
        read_suite('[suite]\nname = "s"\n')
