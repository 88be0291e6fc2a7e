"""How large a report may be: a run of 2,000 cells is made, its report written, and opened in a browser.

    python benchmarks/run.py --only report-size

One cell of each probe is measured in earnest; its content then stands in for every cell of that probe in a suite of
many worlds and heads, whose conditions, nets, tables, figures and findings are all made as for any other run. Timed
apart are: reading the cells and drawing conclusions, writing the page, and opening it from disk in headless Chromium
(a fresh browser each time): until its load event, until something is painted, and until the first verdict can be
clicked and leads to its section.
"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from timing import progress, where

from probes.cells import Cell
from probes.report import render
from probes.results import Results
from probes.runner import plan
from probes.store import Store
from probes.suite import read_suite
from probes.worker import work

PROBES = ("depth", "crowding", "order", "early")
HEADS = ("linear", "mlp", "gru", "transformer", "message_passing")
PAID = ("{ weight_decay = 0.0 }", "{ weight_decay = 0.001 }")
CELLS = 2000

SUITE = """
[suite]
name = "large"
title = "{cells:,} cells"

[defaults]
steps = 400
batch = 64
checkpoints = 12
learning_rate = 0.01
probes = [{probes}]
"""
JOB = """
[[jobs]]
world = "cue_parity"
label = "cue-{strength}"
parameters = {{ strength = {strength}, bits = 2, noise = 3 }}
objective = "question"
heads = [{heads}]
penalties = [{paid}]
"""


def suite_text(worlds: int, probes: tuple[str, ...] = PROBES, paid: tuple[str, ...] = PAID) -> str:
    """A suite of so many worlds × heads × penalties × probes, as TOML."""
    given = ", ".join(f'"{probe}"' for probe in probes)
    cells = worlds * len(HEADS) * len(paid) * len(probes)
    jobs = [
        JOB.format(
            strength=round(0.55 + 0.44 * k / worlds, 4), heads=", ".join(f'"{h}"' for h in HEADS), paid=", ".join(paid)
        )
        for k in range(worlds)
    ]
    return SUITE.format(cells=cells, probes=given) + "".join(jobs)


def made(folder: Path, worlds: int, probes: tuple[str, ...] = PROBES, paid: tuple[str, ...] = PAID) -> Store:
    """The run directory: one cell of each probe measured, and copied into all others."""
    planned = plan(read_suite(suite_text(worlds, probes, paid)))
    store = Store.create(folder, planned.suite, planned.conditions)
    first: dict[str, Cell] = {}
    for cell in planned.cells:
        if cell.identity["head"]["name"] == "mlp":
            first.setdefault(cell.identity["probe"]["name"], cell)
    for key, error, seconds in work(str(store.path), [asdict(cell) for cell in first.values()]):
        if error is not None:
            raise SystemExit(f"report-size: cell {key[:8]} failed: {error}")
        progress(f"report-size: a cell measured in {seconds:.0f} s")
    content = {probe: store.read(cell) for probe, cell in first.items()}
    for cell in planned.cells:
        if not store.has(cell):
            store.write(cell, content[cell.identity["probe"]["name"]])
    return store


def chromium_path() -> str:
    """Where a Chromium is.

    Raises:
        SystemExit: there is none.
    """
    named = os.environ.get("WORLDNETS_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise SystemExit("no Chromium found: put one on the PATH, or name one in WORLDNETS_CHROMIUM")
    return found


def opened(path: Path, chromium: str) -> dict[str, float]:
    """Milliseconds from navigation to the load event, to the first paint and to verdicts whose links work.

    And from a click on the last of them until its section is laid out and has the focus. The browser is started for it.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        begun = time.perf_counter()
        page.goto(path.as_uri())
        page.locator(".matrix tbody a").first.wait_for()
        ready = 1e3 * (time.perf_counter() - begun)
        link = page.locator(".matrix tbody tr:last-child a").last
        target = str(link.get_attribute("href"))
        clicked = time.perf_counter()
        link.click()
        page.wait_for_function("place => document.activeElement === document.querySelector(place)", arg=target)
        landed = 1e3 * (time.perf_counter() - clicked)
        seen: dict[str, float] = page.evaluate(
            """() => ({
                load: performance.getEntriesByType("navigation")[0].loadEventEnd,
                paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
            })"""
        )
        browser.close()
    return {**seen, "ready": ready, "landed": landed}


def measure(repeats: int = 5, worlds: int = CELLS // (len(HEADS) * len(PAID) * len(PROBES))) -> str:
    """The table, as Markdown."""
    chromium = chromium_path()
    with tempfile.TemporaryDirectory() as folder:
        store = made(Path(folder) / "run", worlds)
        results = Results(store)
        begun = _clocks()
        verdicts = results.verdicts
        concluded = _clocks()
        text = render(results)
        rendered = _clocks()
        page = Path(folder) / "report.html"
        page.write_text(text, "utf-8")
        taken = [opened(page, chromium) for _ in range(repeats)]
    size = len(text.encode())
    rows = [
        ("conclusions drawn from the cells", _took(begun, concluded)),
        ("page written", _took(concluded, rendered)),
        ("size", f"{size / 1e6:.1f} MB, {size / len(store.conditions) / 1e3:.1f} kB a condition"),
        ("opens: first paint", _spread(taken, "paint")),
        ("opens: load event", _spread(taken, "load")),
        ("opens: verdicts there, links work", _spread(taken, "ready")),
        ("from a click on the last verdict to its section, laid out and in focus", _spread(taken, "landed")),
    ]
    about = f"{len(store.conditions):,} conditions of one cell each, {len(verdicts):,} verdicts, {worlds} worlds"
    lines = ["| what | measured |", "|---|---|", *(f"| {what} | {value} |" for what, value in rows)]
    load = os.getloadavg()[0]
    what = (
        f"{about}; opening: medians of {repeats} (and their range), a browser started for each; "
        f"{load:.1f} processes were running on the machine"
    )
    return "\n".join([*lines, "", f"{what}; {where(['worldnets', 'jinja2', 'playwright'])}"])


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _took(begun: tuple[float, float], ended: tuple[float, float]) -> str:
    """Processor time says more than wall time on a machine that others use."""
    wall, own = (b - a for a, b in zip(begun, ended, strict=True))
    return f"{own:.1f} s of processor time, {wall:.1f} s in all"


def _spread(taken: list[dict[str, float]], name: str) -> str:
    values = [one[name] / 1e3 for one in taken]
    return f"{statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    print(measure())
