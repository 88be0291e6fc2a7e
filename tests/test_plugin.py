"""The example plug-in, installed beside worldnets: its world, head and probe are found, and do what they say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "lighthouse"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Runs `probes …` where the plug-in is installed and nothing else has changed."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", target, EXAMPLE], check=True, capture_output=True)
    path = os.pathsep.join([str(target), str(ROOT)])

    def probes(*arguments, cwd=target):
        command = [sys.executable, "-c", "from probes.cli import main; main()", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "PYTHONPATH": path})

    return probes


def test_its_names_are_listed_beside_the_built_in_ones(installed):
    listed = json.loads(installed("list", "--json").stdout)
    assert "lighthouse" in listed["worlds"]
    assert "pairwise" in listed["heads"]
    assert "confidence" in listed["probes"]
    assert "vault" in listed["worlds"]


def test_its_world_is_fit_for_use(installed):
    checked = installed("check", "lighthouse")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "FAIL" not in checked.stdout


def test_its_probe_is_right_about_what_was_planted(installed):
    counted = installed("validate", "confidence", "--repeats", "30", "--json")
    scores = {row["organism"]: row for row in json.loads(counted.stdout)["confidence"]}
    assert {name for name, row in scores.items() if row["role"] == "right" and row["share"] < 0.95} == set()
    assert scores["at_the_margin"]["share"] < 0.2
    assert min(found["share"] for row in scores.values() for found in row["coverage"].values()) > 0.8


def test_its_suite_runs_and_finds_that_pairs_are_needed_in_fog(installed, tmp_path):
    run = installed("run", str(EXAMPLE / "suite.toml"), "--out", str(tmp_path / "run"), "--jobs", "1")
    assert run.returncode == 0, run.stdout + run.stderr
    lines = [line.split() for line in run.stdout.splitlines() if line.strip().startswith("lighthouse")]
    verdicts = {(line[3], "depth" if len(line) > 9 and "/" in line else "confidence"): line[6] for line in lines}
    assert verdicts["linear", "depth"] == "stagnating"
    assert verdicts["pairwise", "depth"] == "deepening"
    assert (tmp_path / "run" / "report.html").exists()
