"""A newcomer's path, from a checkout and from the wheel alone.

Install, the quick suite, its report, a world of one's own, a cluster.

Without downloads, an environment with nothing in it but the wheel stands over the packages that run the tests. The
whole path, as slow tests, makes its environments from nothing, as `make newcomer` does; that takes a network.
"""

import logging
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks, commands
from tests.environments import clean, cluster, layered, lend_kernels, say
from worldnets.dataset import dataset_names

QUICK = "cue_parity/question/linear/*"
HALF_AN_HOUR = 1800
LOG = logging.getLogger("newcomer")


class Person:
    """Someone at a terminal: in one folder, with one environment, and nothing of this checkout."""

    def __init__(self, commands, folder, **more):
        self.folder, self.environment = folder, clean(commands, **more)
        folder.mkdir(exist_ok=True)

    def types(self, *words, status=0, timeout=600):
        """What was said to standard output and standard error, in this order."""
        words = ["bash", "-c", words[0]] if len(words) == 1 else words
        done = say(words, self.environment, self.folder, timeout)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def alone(wheel, tmp_path_factory):
    """A person who has installed the wheel, in a folder whose name has a blank and an umlaut."""
    folder = tmp_path_factory.mktemp("alone")
    commands = layered(folder / "environment")
    person = Person(commands, folder / "my wörlds")
    person.types("pip", "install", "--quiet", "--no-compile", str(wheel))
    site = person.types("python", "-c", "import worldnets; print(worldnets.__file__)").strip()
    lend_kernels(Path(site).parent)
    return person


def test_what_is_imported_is_the_wheel_and_nothing_of_the_checkout(alone):
    code = "import probes, sys, worldnets; print(worldnets.__file__, probes.__file__, *sys.path, sep=chr(10))"
    ours, theirs, *path = alone.types("python", "-c", code).splitlines()
    environment = Path(alone.environment["VIRTUAL_ENV"])
    assert Path(ours).is_relative_to(environment)
    assert Path(theirs).is_relative_to(environment)
    assert str(ROOT) not in path


def test_the_wheel_alone_sees_the_built_in_datasets(alone):
    assert alone.types("probes", "list", "worlds").split() == dataset_names()
    assert "vault" in dataset_names()


def test_the_wheel_alone_runs_the_quick_suite_and_the_same_command_goes_on(alone):
    run = ["probes", "run", "quick", "--only", QUICK, "--out", "a rün", "--jobs", "1"]
    first = alone.types(*run)
    assert "stagnating" in first
    assert "1 cells to do" in first or "1 cell to do" in first
    stored = {path: path.stat().st_mtime_ns for path in (alone.folder / "a rün" / "cells").rglob("*.npz")}
    assert len(stored) == 1
    again = alone.types(*run)
    assert "stagnating" in again
    assert {path: path.stat().st_mtime_ns for path in stored} == stored
    plain = alone.types(
        "PYTHONIOENCODING=ascii NO_COLOR=1 COLUMNS=40 probes show 'a rün'", status=1
    )  # cells of the suite are missing
    assert "stagnating" in plain
    assert "<html" in (alone.folder / "a rün" / "report.html").read_text(encoding="utf-8")[:300]


def test_every_command_on_the_card_of_a_new_dataset_works(alone):
    alone.types("probes", "new", "dataset", "mine")
    card = str(alone.folder / "mine" / "README.md")
    typed = [command for block in blocks(card) if block.language == "sh" for _, command in commands(block.text)]
    assert [command.split()[1] for command in typed] == ["check", "show", "run"]
    checked, shown, ran = (alone.types(command) for command in typed)
    assert "FAIL" not in checked
    assert "what can be known" in shown
    assert re.search("mlp .*deepening", ran)
    assert (alone.folder / alone.types("probes", "report", "runs/mine").strip()).is_file()


@pytest.mark.parametrize("order", ["datasets, worldnets", "worldnets, datasets"])
def test_hugging_faces_datasets_and_ours_are_imported_side_by_side(alone, order):
    pytest.importorskip("datasets")
    code = f"""import {order}
print(datasets.Dataset.from_dict({{"a": [1, 2]}}).num_rows, len(worldnets.load_dataset("cue_parity").net.variables))"""
    assert alone.types("python", "-c", code).split() == ["2", "14"]


def bare(folder):
    """The interpreter of the machine, without any environment of ours on the path."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    places = [place for place in places if not (Path(place).parent / "pyvenv.cfg").exists()]
    assert shutil.which("python3", path=os.pathsep.join(places)), "no python3 outside environments"
    environment = clean(folder, PATH=os.pathsep.join(places))
    return {key: value for key, value in environment.items() if not key.startswith(("PIP_NO_", "VIRTUAL_ENV"))}


@pytest.fixture
def newcomer(tmp_path):
    """A person with python3, make and a network, in an empty folder."""
    person = Person(tmp_path / "nothing", tmp_path / "a new folder")
    person.environment = bare(tmp_path)
    return person


def timed(what, person, *words, **options):
    start = time.monotonic()
    said = person.types(*words, timeout=HALF_AN_HOUR, **options)
    LOG.info(f"{what}: {time.monotonic() - start:.0f} s")
    return said


def tracked(folder):
    """The checkout as it would be cloned, with what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def opened(report, picture):
    """What a browser without a network shows of a report: its title and its text."""
    sync = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(report.resolve().as_uri())
        title, text = page.title(), page.inner_text("body")
        page.screenshot(path=picture)
        browser.close()
    assert errors == []
    return title, text


@pytest.mark.slow
def test_a_checkout_and_make_are_enough_for_a_suite_a_report_an_own_world_and_a_cluster(newcomer, tmp_path):
    tracked(newcomer.folder)
    shown = [command for block in blocks("README.md") if block.language == "sh" for _, command in commands(block.text)]
    assert any(re.match(r"make run\b", command) for command in shown)
    said = timed("make run", newcomer, "make run")
    report = newcomer.folder / re.findall(r"report: (.*)", said)[-1].strip()
    title, text = opened(report, tmp_path / "quick.png")
    LOG.info(f"pictures: {tmp_path}")
    assert "quick" in title.lower() or "heuristics" in title.lower()
    for word in ("cue_parity", "vault", "alarm", "stagnating", "deepening"):
        assert word in text
    assert "0 cells to do" in timed("make run again", newcomer, "make run")

    newcomer.environment["PATH"] = f"{newcomer.folder / '.venv' / 'bin'}{os.pathsep}{newcomer.environment['PATH']}"
    newcomer.types("probes new dataset mine")
    assert "FAIL" not in newcomer.types("probes check ./mine")
    timed("own suite", newcomer, "probes run mine/suite.toml --out runs/mine")
    opened(newcomer.folder / newcomer.types("probes report runs/mine").strip(), tmp_path / "mine.png")

    timed("pip install dask", newcomer, 'pip install --quiet -c constraints.txt "worldnets[dask]"')
    timed("local cluster", newcomer, "probes run mine/suite.toml --out runs/local --backend dask")
    with cluster(newcomer.folder / ".venv" / "bin" / "dask", newcomer.environment, tmp_path) as address:
        run = f"probes run mine/suite.toml --out runs/far --backend dask --scheduler {address}"
        timed("cluster", newcomer, run)
    for other in ("local", "far"):
        assert "0 verdicts differ" in newcomer.types(f"probes compare runs/mine runs/{other}")


@pytest.mark.slow
def test_pip_install_of_the_wheel_is_enough_for_the_quick_suite_and_stands_beside_hugging_face(newcomer, wheel):
    timed("python3 -m venv", newcomer, "python3 -m venv env")
    newcomer.environment["PATH"] = f"{newcomer.folder / 'env' / 'bin'}{os.pathsep}{newcomer.environment['PATH']}"
    timed("pip install the wheel", newcomer, "pip", "install", "--quiet", str(wheel))
    code = "import worldnets, sys; print(worldnets.__file__, *sys.path, sep=chr(10))"
    ours, *path = newcomer.types("python", "-c", code).splitlines()
    assert Path(ours).is_relative_to(newcomer.folder / "env")
    assert str(ROOT) not in path
    assert newcomer.types("probes list worlds").split() == dataset_names()
    said = timed("quick suite, kernels compiled", newcomer, "probes run quick --out run")
    assert "deepening" in said
    again = timed("again", newcomer, "probes run quick --out run")
    assert "0 cells to do" in again
    timed("pip install datasets", newcomer, "pip install --quiet datasets")
    for order in ("datasets, worldnets", "worldnets, datasets"):
        code = (
            f"import {order}; worldnets.load_dataset('vault'); print(datasets.Dataset.from_dict({{'a': [1]}}).num_rows)"
        )
        assert newcomer.types("python", "-c", code).strip() == "1"
