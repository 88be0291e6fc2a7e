"""Real data that are wrong, and runs that diverge, as the command line tells of them."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from probes.cli import main
from probes.results import load
from worldnets.episode_stream import write_episodes
from worldnets.episodes import ClipLayout, Episodes

HEAD = '[dataset]\nname = "mine"\nepisodes = "{}"\n'
WIDE = "x_1,x_2,x_3\n" + "".join(f"{'ab'[i % 2]},{'ab'[i // 2 % 2]},{'ab'[i // 4 % 2]}\n" for i in range(40))
SUITE = """
[suite]
name = "real"

[defaults]
steps = 30
batch = 32
checkpoints = 3
seeds = 8

[[jobs]]
world = "{world}"
objective = "continuation"
heads = ["linear"{more}]
"""
DIVERGING = ', { name = "mlp", learning_rate = 1e30, optimizer = "sgd" }'


def call(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def folder(path, content, reading="", name="clips.csv"):
    path.mkdir()
    (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (path / "dataset.toml").write_text(HEAD.format(name) + reading)
    return path


def suite(path, world, more=""):
    path.write_text(SUITE.replace("{world}", str(world)).replace("{more}", more))
    return path


def long_form(lengths, value=lambda i, t: "ab"[(i * t) % 2]):
    rows = [f"e{i},{t},{value(i, t)}" for i, length in enumerate(lengths) for t in range(1, length + 1)]
    return "episode,frame,x\n" + "\n".join(rows) + "\n"


@pytest.mark.parametrize(
    ("content", "reading", "said"),
    [
        (b"", "", "an empty file"),
        ("x_1,x_2\n", "", "no episodes; found a table without rows. Mend: give at least three"),
        ("note\n" + "1\n" * 20, '[episodes]\nlatents = ["note"]\n', "no frames"),
        ("x_1\n" + "a\nb\n" * 20, "", "clips too short to be continued; found one frame"),
        (long_form([1] * 20), "", "clips too short to be continued; found one frame"),
        (long_form([3, 3, 4] * 5), "", "episodes are not equally long; found 4 frames in 'e2', 3 in 'e0'"),
        (long_form([3] * 20, lambda i, t: ""), "", "node 'x': a column all missing"),
        (WIDE + "a,,b\n", "", "node 'x', row 40, frame 2: a missing entry"),
        (WIDE + "a,c,b\n", '[episodes.states]\nx = ["a", "b"]\n', "node 'x', row 40, frame 2: unknown state"),
        ("x_1,x_2\na,b\na,b\n", "", "too few sources to train, choose and judge on; found 2"),
        ("x_1,x_2\na,b\na,b,c\n", "", "not a readable table"),
        (
            WIDE,
            "[episodes]\nquantize = 2\n",
            "unknown key of [episodes]; found 'quantize'. Mend: did you mean 'quantise'",
        ),
        (WIDE, "[roles]\ncontext = 3\n", "a context; found 3; expected a whole number from 1 to 2"),
        (WIDE, '[roles]\nquestions = ["who"]\n', "a question about what is not known; found 'who'"),
    ],
    ids=[
        "empty file",
        "no rows",
        "no frames",
        "one frame",
        "one frame each",
        "unequal",
        "column all missing",
        "missing entry",
        "unknown state",
        "two clips",
        "ragged file",
        "unknown key",
        "context",
        "question",
    ],
)
def test_clips_that_make_no_dataset_are_one_line_and_exit_status_2(tmp_path, content, reading, said):
    made = folder(tmp_path / "mine", content, reading)
    for words in (["check", made], ["run", suite(tmp_path / "s.toml", made), "--out", tmp_path / "run"]):
        done = call(*words)
        assert done.exit_code == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        told = done.stderr.replace(", node 'jobs[1]'", "")  # where the suite asked for it
        assert f"{made}/" in told
        assert said in told
        assert "Mend: " in told
    assert not (tmp_path / "run").exists()


def test_files_that_are_no_clips_are_one_line_and_exit_status_2(tmp_path):
    layout = ClipLayout({"x": ("a", "b")}, 3, {})
    codes = np.random.default_rng(0).integers(0, 2, (40, 3))
    whole = write_episodes(Episodes(layout, codes), tmp_path / "whole.parquet").read_bytes()
    cases = [
        ("cut.parquet", whole[: len(whole) // 2], "cut.parquet: cannot read or write parquet; found "),
        ("street.mp4", b"", "street.mp4: a table of an unknown kind; found .mp4. Mend: give a .csv"),
    ]
    for name, content, said in cases:
        done = call("check", folder(tmp_path / name.split(".")[0], content, name=name))
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr


def test_a_state_that_only_held_out_clips_show_is_told_by_check(tmp_path):
    from worldnets.episodes import PARTS, Split

    parts = Split().part_of(np.arange(40), 40)
    lines = WIDE.splitlines()
    place = 1 + int(np.flatnonzero(parts == PARTS.index("test"))[0])
    lines[place] = lines[place][:-1] + "c"
    done = call("check", folder(tmp_path / "mine", "\n".join(lines) + "\n"))
    assert done.exit_code == 1
    assert "FAIL  states are seen in training: never in training: x_1=c, x_2=c, x_3=c" in done.stdout
    assert "mend: merge rare states" in done.stdout
    assert sum(line.startswith("FAIL") for line in done.stdout.splitlines()) == 1


def test_a_diverging_run_is_recorded_as_failed_and_the_others_go_on(tmp_path):
    made = folder(tmp_path / "mine", WIDE * 5)
    out = tmp_path / "run"
    done = call("run", suite(tmp_path / "s.toml", made, DIVERGING), "--out", out, "--jobs", 1)
    assert done.exit_code == 1
    assert "Traceback" not in done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert len(said) == 1
    assert "mine/continuation/mlp/evidence" in said[0]
    assert "every seed diverged, the first at step" in said[0]
    assert "(learning rate 1e+30); found a loss or parameters that are not finite" in said[0]
    assert "smaller learning rate" in said[0]
    (kept,) = [json.loads(path.read_text()) for path in (out / "failed").rglob("*.json")]
    assert "every seed diverged" in kept["error"]
    assert len(list((out / "cells").rglob("*.json"))) == 1
    assert "report: " in done.stdout
    results = load(out)
    assert results.failures["state"].tolist() == ["failed"]
    found = dict(zip(results.verdicts["head"], results.verdicts["verdict"], strict=True))
    assert found == {"linear": "nothing-deep", "mlp": "missing"}
    shown = call("show", out)
    assert (shown.exit_code, "every seed diverged" in shown.stderr) == (1, True)
    assert "learned" in (out / "report.html").read_text(encoding="utf-8")
