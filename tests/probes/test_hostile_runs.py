"""Run directories as a stranger might send them: read or refused, never obeyed, and nothing is written elsewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import numpy as np
import pytest
from click.testing import CliRunner

import probes
from probes.cli import main
from probes.compare import compare
from probes.organism import Organism
from probes.progress import Lines
from probes.results import Results
from probes.runner import plan
from probes.store import Store
from probes.suite import read_suite
from probes.worker import thread_settings, work
from tests.hostile_runs import changed, changed_array, planted_cell, read_cell, refusal, write_cell
from tests.mutations import mutated
from tests.odd_files import put
from tests.tiny_suite import tiny_suite
from worldnets.errors import StoreError

PAYLOAD = '<script>alert(1)</script><img src=x onerror=alert(2)>"\'><a href="javascript:alert(3)">x</a>'
SUITE = tiny_suite('title = "a title"')


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    planned = plan(read_suite(SUITE))
    store = Store.create(tmp_path_factory.mktemp("runs") / "sound", planned.suite, planned.conditions)
    for number, planted in enumerate(planned.cells):
        store.write(planted, planted_cell(number))
    organism = Organism({"name": "depth", "version": 1}, "always_shallow", "about", 4)
    (cell,) = organism.cells
    store.write(cell, {"verdicts": {"stagnating": 4}, "held": {}, "asked": {}})
    (store.path / "organisms.json").write_text(json.dumps([asdict(organism)]))
    suite = (store.path / "suite.toml").read_text().replace("[[jobs]]", "[organisms]\ndepth = 4\n\n[[jobs]]", 1)
    (store.path / "suite.toml").write_text(suite)
    store.fail(planned.cells[0], "ValueError: planted", "Traceback: planted")
    results = probes.load(store.path)
    assert "missing" not in set(results.verdicts["verdict"])
    assert [score.plant.name for score in results.scores["depth"]] == ["always_shallow"]
    return store


@pytest.fixture
def run(sound, tmp_path):
    shutil.copytree(sound.path, tmp_path / "in" / "run")
    return tmp_path / "in" / "run"


def cells(run):
    return sorted(path for path in (run / "cells").rglob("*.json"))


def everything(run, sound, report=False):
    """All that is asked of a run directory."""
    results = probes.load(run)
    for part in ("verdicts", "findings", "failures", "scores", "notes", "presentations"):
        getattr(results, part)
    results.compact()
    compare(Results(sound), results).to_dict()
    if report:
        results.report()


@pytest.mark.parametrize("seed", range(28))
def test_a_run_directory_with_anything_in_a_file_is_read_or_refused_with_place_and_mend(run, sound, seed):
    random = Random(seed)
    kind = ("bytes", "lines", "cell", "arrays")[seed % 4]
    if kind == "bytes":
        path = random.choice([run / "manifest.json", run / "suite.toml", run / "conditions.json", *cells(run)])
        path.write_bytes(mutated(random, path.read_bytes()))
    elif kind == "lines":
        path = run / random.choice(("conditions.json", "conditions.json", "organisms.json", "manifest.json"))
        path.write_text(json.dumps(changed(random, json.loads(path.read_text()))))
    else:
        path = random.choice(cells(run))
        body, arrays = read_cell(path)
        if kind == "cell" or not arrays:
            body = changed(random, body)
        else:
            name = random.choice(list(arrays))
            arrays[name] = changed_array(random, arrays[name])
        write_cell(path, body if isinstance(body, dict) else {"measured": body}, arrays)
    with np.errstate(all="ignore"):
        said = refusal(lambda: everything(run, sound, report=seed % 3 == 0))
    assert not said or (str(run) in said and "Mend" in said)


@pytest.mark.parametrize("command", ["show", "report", "compare", "run"])
def test_the_command_line_ends_with_status_2_and_one_line(run, sound, command, monkeypatch):
    # Else a machine that has compiled nothing yet says that first, whatever comes then.
    monkeypatch.setattr("worldnets.inference.compiled.nothing_compiled", lambda: False)
    (run / "conditions.json").write_text("[" * 100_000)
    suite = run.parent / "tiny.toml"
    suite.write_text(SUITE)
    given = {"compare": [str(sound.path), str(run)], "run": [str(suite), "--out", str(run)]}.get(command, [str(run)])
    answer = CliRunner().invoke(main, [command, *given])
    assert answer.exit_code == 2
    assert re.fullmatch(r"error: .*conditions\.json: .* Mend: .*\.\n", answer.stderr)
    assert answer.exception is None or isinstance(answer.exception, SystemExit)


@pytest.mark.parametrize("name", ["manifest.json", "suite.toml", "conditions.json", "organisms.json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link", "hole", "folder"])
def test_what_is_no_ordinary_file_of_the_folder_is_refused_at_once(run, name, kind):
    place = run / name
    if kind == "link":
        place.rename(run.parent / name)
        place.symlink_to(run.parent / name)
    else:
        place.unlink()
        put(place, kind)
    mend = "raise probes.run_files.FILE_LIMIT" if kind == "hole" else ""
    with pytest.raises(StoreError, match=rf"{name}.*Mend: {mend}"):
        probes.load(run)


@pytest.mark.parametrize("ending", [".json", ".npz"])
@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_a_cell_that_is_no_ordinary_file_fails_alone(run, sound, ending, kind):
    cell = sound.conditions[0].cells[0]
    place = run / "cells" / cell.key[:2] / f"{cell.key}{ending}"
    if kind == "link":  # to the very same content: where it points to is what is refused
        place.rename(run.parent / place.name)
        place.symlink_to(run.parent / place.name)
    else:
        place.unlink()
        os.mkfifo(place) if kind == "pipe" else place.symlink_to("/dev/zero")
    verdicts = probes.load(run).verdicts["verdict"].tolist()
    assert verdicts[0] == "missing"
    assert verdicts[1] != "missing"


@pytest.mark.parametrize("name", ["cells", "failed", "log"])
def test_a_folder_of_the_run_that_is_a_link_is_refused_before_anything_is_written_there(run, name):
    elsewhere = run.parent / "elsewhere"
    (run / name).rename(elsewhere)
    (run / name).symlink_to(elsewhere)
    before = sorted(path.name for path in elsewhere.iterdir())
    planned = plan(read_suite(SUITE))
    for action in (lambda: Store.open(run), lambda: Store.create(run, planned.suite, planned.conditions)):
        with pytest.raises(StoreError, match=f"{name}: a link in a run directory.*only the run directory itself"):
            action()
    assert sorted(path.name for path in elsewhere.iterdir()) == before


def test_a_folder_of_cells_that_is_a_link_is_neither_read_nor_written(run, sound):
    cell = sound.conditions[0].cells[0]
    folder, elsewhere = run / "cells" / cell.key[:2], run.parent / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    store = Store.open(run)
    for action in (lambda: store.read(cell), lambda: store.write(cell, {"x": 1}), lambda: store.content(cell)):
        with pytest.raises(StoreError, match="a link in a run directory"):
            action()


def test_a_run_directory_may_be_reached_by_a_link(run):
    (run.parent / "link").symlink_to(run)
    assert len(probes.load(run.parent / "link").verdicts) == 2


def test_files_that_a_rerun_writes_replace_links_and_leave_what_they_point_to_alone(run, sound, fake, monkeypatch):
    precious = run.parent / "precious.txt"
    precious.write_text("mine")
    cell = sound.conditions[0].cells[0]
    key = cell.key
    (run / "cells" / key[:2] / f"{key}.json").unlink()
    (run / "cells" / key[:2] / f"{key}.npz").unlink()
    (run / "failed" / f"{key}.json").unlink()
    (run / "manifest.json").rename(run / "kept.json")
    written = [*("report.html", "findings.parquet", "verdicts.parquet", f"cells/{key[:2]}/{key}.npz"),
               *(f"failed/{key}.json", f"log/now-{key[:16]}.json", f"log/overrun-{key[:16]}.txt")]  # fmt: skip
    written += [f"log/{os.uname().nodename}-{os.getpid()}.jsonl", f"log/now-{key[:16]}.{os.getpid()}.tmp"]
    for name in written:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(precious)
    (run / "kept.json").rename(run / "manifest.json")
    store = Store.open(run)
    store.fail(cell, "x", "y")
    store.tell(key, {"name": "x"})
    store.log(event="x")
    for name, value in thread_settings(1).items():
        monkeypatch.setenv(name, value)
    assert [error for _, error, _ in work(str(run), [asdict(cell)], "fake_measure:measure", 60)] == [None]
    results = probes.load(run)
    results.compact()
    results.report()
    assert precious.read_text() == "mine"
    assert len(results.verdicts) == 2


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_claim_that_is_a_link_or_a_pipe_is_refused_and_what_it_points_to_keeps_its_content(run, sound, kind):
    precious = run.parent / "precious.txt"
    precious.write_text("mine")
    cell = sound.conditions[0].cells[0]
    place = run / "log" / f"claim-{cell.key[:16]}.lock"
    os.mkfifo(place) if kind == "pipe" else place.symlink_to(precious)
    with pytest.raises(StoreError, match=r"claim-.*\.lock: a link"), Store.open(run).claimed(cell, wait=False):
        pass
    assert precious.read_text() == "mine"


def test_the_own_file_of_a_user_may_be_written_through_a_link(run):
    (run.parent / "page.html").symlink_to(run.parent / "real.html")
    probes.load(run).report(run.parent / "page.html")
    assert (run.parent / "real.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("name", ["os:system", "../../x", "x" * 10_000])
@pytest.mark.parametrize("where", ["probe", "head", "objective", "source", "penalty", "growth"])
def test_names_in_a_run_directory_lead_to_registered_things_or_to_none(run, sound, name, where, monkeypatch):
    import importlib

    known = set(__import__("sys").modules)
    real = importlib.import_module
    asked = []
    monkeypatch.setattr(
        importlib, "import_module", lambda *given, **more: asked.append(given[0]) or real(*given, **more)
    )
    lines = json.loads((run / "conditions.json").read_text())
    line = lines[0]
    if where in ("probe", "head", "source"):
        line[where]["name"] = name
    elif where == "objective":
        line["objective"] = name
    else:
        line["penalties" if where == "penalty" else "growth"] = (
            {name: {"strength": 1, "other": 2}} if where == "penalty" else {"kind": name, "order": name}
        )
    (run / "conditions.json").write_text(json.dumps(lines))
    refusal(lambda: everything(run, sound))
    assert not any(name[:20] in str(module) for module in asked)
    assert not {module for module in set(__import__("sys").modules) - known if module.startswith("os:")}


def test_settings_that_fill_the_memory_are_refused_before_they_do(run):
    lines = json.loads((run / "conditions.json").read_text())
    for field, value, said in (
        ("seeds", 10**12, "seeds out of range"),
        ("seeds", True, "another kind"),
        ("training", {"steps": 10**30}, "a number that no setting has"),
        ("measure", 1, "a field that is none"),
        ("title", ["x"], "another kind"),
    ):
        (run / "conditions.json").write_text(json.dumps([{**lines[0], field: value}]))
        with pytest.raises(StoreError, match=rf"conditions\.json.*{said}.*Mend"):
            probes.load(run)


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"schema": NaN}', '{"schema": 1e999}', '"x"', "[1"])
def test_a_manifest_that_is_no_plain_json_is_refused(run, text):
    (run / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=r"manifest\.json.*Mend"):
        probes.load(run)


class Shape(HTMLParser):
    """Tags and names of attributes, in order, and every address."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag != "wbr":  # where a long name may be broken depends on its letters
            self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.addresses += [value for name, value in attrs if name in ("href", "src", "xlink:href", "action")]

    def handle_data(self, data):
        self.text.append(data)


def renamed(store, path, word):
    """The run under other names: everything that people may write, and what failed cells say."""
    suite = read_suite(SUITE.replace("a title", "x"))
    suite = suite.model_copy(update={"suite": suite.suite.model_copy(update={"title": word})})
    made = tuple(
        replace(c, label=word + c.label, title=c.title + word, inputs=c.inputs + word) for c in store.conditions
    )
    other = Store.create(path, suite, made)
    first, second = (condition.cells[0] for condition in made)
    other.write(first, store.read(store.conditions[0].cells[0]))
    other.fail(second, f"ValueError: {word}", f"Traceback: {word}")
    return Results(other)


def test_names_with_markup_make_a_report_of_the_same_shape_as_plain_names(sound, tmp_path):
    plain = Shape(renamed(sound, tmp_path / "a", "word").report().read_text())
    text = renamed(sound, tmp_path / "b", PAYLOAD).report().read_text()
    hostile = Shape(text)
    assert hostile.tags == plain.tags
    assert PAYLOAD in "".join(hostile.text)
    assert all(address.startswith(("#", "data:image/")) for address in hostile.addresses)
    assert "<script>alert" not in text
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy


def test_a_name_that_looks_like_a_colour_of_a_million_rungs_costs_nothing(sound, tmp_path):
    text = renamed(sound, tmp_path / "a", "var(--rung-99999999-1)").report().read_text()
    assert len(text) < 5_000_000


def test_names_are_shown_on_the_terminal_as_text(sound, tmp_path):
    bad = "[bold red]x[/]\x1b[2J\x1b]0;owned\x07\u202e"
    results = renamed(sound, tmp_path / "a", bad)
    answer = CliRunner().invoke(main, ["show", str(results.path)])
    said = answer.stdout + answer.stderr
    assert answer.exit_code == 1
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "[bold red]x[/]" in said.replace("\n", "").replace(" ", "") or "[boldred]x[/]" in re.sub(r"\s", "", said)
    assert r"\x1b[2J" in re.sub(r"\s", "", said)


def test_lines_of_a_log_stay_lines(capsys, sound):
    cell = replace(sound.conditions[0], title="a\n[2/2] b: done\x1b[1A").cells[0]
    Lines().finished(cell, "x\ny", 1.0)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said


def test_a_notebook_shows_names_as_text(sound, tmp_path):
    results = renamed(sound, tmp_path / "a", PAYLOAD)
    assert "<script" not in results._repr_html_()
    assert "<img" not in results._repr_html_()


def test_nothing_in_either_package_unpickles_or_evaluates():
    root = Path(probes.__file__).parent.parent
    found = [
        f"{path.relative_to(root)}: {line.strip()}"
        for package in ("worldnets", "probes")
        for path in sorted((root / package).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"^\s*(import|from) (pickle|cPickle|dill|cloudpickle|marshal|shelve|joblib\.numpy_pickle)\b", line)
        or re.search(r"(?<![.\w])(eval|exec)\(|pickle\.loads?\(|allow_pickle=True|yaml\.load\(|shell=True", line)
    ]
    assert found == []
