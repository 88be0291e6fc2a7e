import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from probes.cli import KINDS, main
from probes.store import Store
from probes.suite import load_suite
from tests.tiny_suite import tiny_suite

TINY = tiny_suite()


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def cells(run):
    return {path.name: path.read_bytes() for path in (run / "cells").rglob("*.*")}


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path / "tiny.toml"


def test_list_names_everything_and_json_is_for_programs():
    everything = json.loads(call("list", "--json").stdout)
    assert everything.keys() == set(KINDS)
    assert {"vault", "alarm", "cue_parity"} <= set(everything["worlds"])
    assert {"linear", "mlp"} <= set(everything["heads"])
    assert {"continuation", "question"} <= set(everything["objectives"])
    assert {"weight_decay", "evidence_dropout"} <= set(everything["penalties"])
    assert {"depth", "purity"} <= set(everything["probes"])
    assert {"quick", "purity"} <= set(everything["suites"])
    for kind in KINDS:
        assert call("list", kind).stdout.split() == json.loads(call("list", kind, "--json").stdout) == everything[kind]


def test_list_and_help_load_no_numerical_library():
    script = """
        import sys
        from click.testing import CliRunner
        from probes.cli import main
        assert CliRunner().invoke(main, ["list"]).exit_code == 0
        assert CliRunner().invoke(main, ["run", "--help"]).exit_code == 0
        heavy = {"jax", "numba", "pandas", "matplotlib", "pgmpy", "scipy", "sklearn", "pyarrow", "rich", "joblib"}
        print(*heavy & sys.modules.keys())
    """
    lines = "\n".join(line.strip() if line.startswith("        ") else line for line in script.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_show_takes_a_dataset_folder_and_shows_all_that_have_one_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call("new", "dataset", "roads")
    shown = call("show", "./roads")
    assert shown.exit_code == 0
    assert "world ./roads" in shown.stdout
    both = call("show", "goodhart").stdout
    assert "world goodhart" in both
    assert "probe goodhart" in both


@pytest.mark.parametrize("name", ["vault", "mlp", "question", "weight_decay", "depth", "purity", "quick"])
def test_show_says_what_a_name_stands_for(name):
    shown = call("show", name)
    assert shown.exit_code == 0
    assert name in shown.stdout.splitlines()[0] or name in shown.stdout


def test_show_prints_the_pie_of_a_world_and_hidden_state_really_matters_in_the_vault():
    lines = [line for line in call("show", "vault").stdout.splitlines() if "beyond the first rung" in line]
    assert [line.split(":")[0].strip() for line in lines] == ["continuation, next_frame", "question, diamond"]
    for line in lines:
        bits = float(line.split(": ")[1].split()[0])
        beyond = float(line.split("; ")[1].split("%")[0]) / 100
        assert bits >= 0.5
        assert 0.25 <= beyond <= 0.75


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "quik", "--out", "{}"], "did you mean 'quick'"),
        (["run", "quick"], "--out runs/quick"),
        (["run", "quick", "--out", "{}", "--only", "nothing"], "no condition matches"),
        (["run", "quick", "--out", "{}", "--shard", "3/2"], "not a shard"),
        (["run", "{}/none.toml", "--out", "{}"], "cannot read the suite file"),
        (["show", "vualt"], "did you mean 'vault'"),
        (["show", "{}/none"], "neither a name nor a run directory"),
        (["report", "{}/none"], "no run directory"),
        (["check", "vualt"], "did you mean 'vault'"),
        (["list", "world"], "did you mean 'worlds'"),
        (["lits"], "did you mean 'list'"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exit_status_2(words, message, tmp_path):
    done = call(*(word.format(tmp_path / "run") for word in words))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_command_line_click_refuses_is_exit_status_2():
    assert call("run", "quick", "--jobs", "0").exit_code == 2
    assert call("run").exit_code == 2


def test_dry_run_prints_the_cells_and_writes_nothing(tiny, tmp_path):
    shown = call("run", tiny, "--out", tmp_path / "run", "--dry-run", "--seeds", 16)
    assert shown.exit_code == 0
    assert len(shown.stdout.splitlines()) == 4
    assert "cue_parity/question/mlp/evidence depth seeds 8–15" in shown.stdout
    assert not (tmp_path / "run").exists()
    only = call("run", tiny, "--dry-run", "--only", "*/linear/*").stdout
    assert len(only.splitlines()) == 1
    assert shown.stdout.splitlines()[0] == only.splitlines()[0]


def test_check_passes_the_built_in_datasets_and_names_what_is_wrong_with_others(tmp_path):
    assert call("check", "cue_parity").exit_code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "dataset.toml").write_text("[dataset")
    broken = call("check", tmp_path / "mine")
    assert broken.exit_code == 2
    assert "dataset.toml" in broken.stderr


def test_a_tiny_run_from_the_command_line_to_the_report_and_again(tiny, tmp_path):
    out = tmp_path / "run"
    first = call("run", tiny, "--out", out, "--jobs", 1)
    assert first.exit_code == 0, first.stderr
    assert "verdict" in first.stdout
    assert f"report: {out / 'report.html'}" in first.stdout
    assert "[2/2]" in first.stderr
    assert all((out / name).is_file() for name in ("report.html", "verdicts.parquet", "findings.parquet"))
    page = (out / "report.html").read_bytes()
    again = call("run", tiny, "--out", out, "--jobs", 2)
    assert again.exit_code == 0
    assert "0 cells to do, 2 already there" in again.stderr
    assert again.stdout == first.stdout
    assert (out / "report.html").read_bytes() == page
    assert call("show", out).stdout.splitlines()[:3] == first.stdout.splitlines()[:3]
    assert call("report", out, "-o", tmp_path / "copy.html").stdout.strip() == str(tmp_path / "copy.html")
    assert (tmp_path / "copy.html").read_bytes() == page
    assert call("run", tiny, "--out", tmp_path / "two", "--jobs", 2).exit_code == 0
    assert cells(tmp_path / "two") == cells(out)
    other = tmp_path / "other.toml"
    other.write_text(TINY.replace("steps = 30", "steps = 31"))
    refused = call("run", other, "--out", out)
    assert refused.exit_code == 2
    assert "another suite" in refused.stderr
    (next((out / "cells").rglob("*.json"))).unlink()
    incomplete = call("show", out)
    assert incomplete.exit_code == 1
    assert "missing" in incomplete.stdout


def test_what_is_missing_from_a_part_is_counted_and_a_suite_file_is_tried_again_by_its_copy(tiny, tmp_path):
    out = tmp_path / "run"
    first = call("run", tiny, "--out", out, "--only", "*/linear/*", "--jobs", 1)
    assert first.exit_code == 0
    assert f"1 cell of the suite has not run yet: `probes show {out}`" in first.stderr
    assert "missing: cue_parity/question/mlp" not in first.stderr
    assert "missing: cue_parity/question/mlp" in call("show", out).stderr
    store = Store.open(out)
    store.fail(store.conditions[1].cell(0), "planted", "planted")
    said = call("show", out).stderr
    assert f"`probes run {out / 'suite.toml'} --out {out}` tries them again" in said
    packed = call("pack", out)
    assert (packed.exit_code, packed.stdout) == (0, "1 cells packed now; 1 finished cells, 1 packs\n")
    assert load_suite(out / "suite.toml") == load_suite(tiny)
    shown = call("run", out / "suite.toml", "--out", out, "--dry-run")
    assert [line.split()[1] for line in shown.stdout.splitlines()] == ["done", "to"]
