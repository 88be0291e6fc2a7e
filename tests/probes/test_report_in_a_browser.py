"""The report as a person meets it: from disk, with eyes, a keyboard, a screen reader, a printer, and a large run."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest

from probes import report
from probes.catalogue.depth import measure_heads, pack
from probes.ladder import References, Sampling
from probes.report import render
from probes.results import Concluded, Results
from probes.runner import plan
from probes.sources import TableSource
from probes.store import Store
from probes.suite import read_suite
from tests.probes.report.browser import LITTLE_CONTRAST, chromium, focused, opened
from tests.tiny_suite import tiny_suite

ATTACKS = (
    '<img src=x onerror="alert(1)">',
    "<script>window.hacked = 1; alert(2)</script>",
    '"><svg onload=alert(3)>',
    "</noscript><script>window.hacked = 1</script>",
    "javascript:alert(4)",
    "</style><iframe src=https://example.org>",
)
CELLS = 2000


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Two heads that were never trained: what their cells hold is planted."""
    random = np.random.default_rng(4)
    made = References(TableSource(random.random((3, 4, 3))), Sampling(method="enumerate")).get([["x1"], ["x2"]], "y")
    rows = np.ravel_multi_index(made.inputs.T, (3, 4))
    heads = np.log(random.dirichlet(np.ones(3), (3, 8, 12)))
    measured = measure_heads(made, "y", range(8), np.array([0, 9, 30]), lambda t: heads[t][:, rows])
    planned = plan(read_suite(tiny_suite("title = 'Two heads'")))
    store = Store.create(tmp_path_factory.mktemp("runs") / "run", planned.suite, planned.conditions)
    for cell in planned.cells:
        store.write(cell, pack([measured], "depth", 8))
    return store


@pytest.fixture(scope="module")
def hostile(store):
    """A run whose every name is an attack: of worlds, heads, inputs, cells, errors; one failed, one is missing."""
    named = [
        replace(
            store.conditions[1],
            title=f"{attack}/question/mlp/evidence",
            label=attack,
            head={**store.conditions[1].head, "name": attack},
            inputs=attack,
        )
        for attack in ATTACKS
    ]
    named[2:2] = [replace(named[1], seeds=16), replace(named[0], training={**named[0].training, "steps": 31})]
    made = Store.create(store.path.parent / "hostile", store.suite, named)
    (good,) = store.conditions[1].cells
    for one in (*named[:2], *named[4:]):
        made.write(one.cells[0], store.read(good))
    made.fail(named[2].cells[1], f"ValueError: {ATTACKS[0]}", f"Traceback {ATTACKS[1]}\n{ATTACKS[3]}")
    return made


@pytest.fixture(scope="module", params=["plain", "large"])
def page_file(request, hostile):
    before = report.LARGE
    report.LARGE = 0 if request.param == "large" else before
    path = hostile.path / f"{request.param}.html"
    path.write_text(render(Results(hostile)), "utf-8")
    report.LARGE = before
    return path


@pytest.fixture(scope="module")
def plain(store):
    path = store.path / "report.html"
    path.write_text(render(Results(store)), "utf-8")
    return path


class Copied(Results):
    """A large run in memory: one conclusion under many names."""

    def __init__(self, store, conditions):
        super().__init__(Store(store.path, store.manifest, store.suite, conditions))
        self.first = Results(store).concluded[-1]
        self.cells = store.read(self.first.condition.cells[0])
        first = self.first
        self.concluded = tuple(Concluded(one, first.conclusion, headlines=first.headlines) for one in conditions)

    def measured(self, condition):
        return [self.cells]


@pytest.fixture(scope="module")
def large(store):
    original = store.conditions[-1]
    conditions = tuple(
        replace(
            original,
            title=f"world-{world}/question/head-{head}/evidence",
            label=f"world-{world}",
            head={**original.head, "name": f"head-{head}"},
        )
        for world in range(CELLS // 20)
        for head in range(20)
    )
    path = store.path / "large.html"
    path.write_text(render(Copied(store, conditions)), "utf-8")
    return path


def lay_out_all(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")


def test_hostile_names_run_nothing_and_nothing_is_loaded(browser, page_file):
    with opened(browser, page_file) as (page, wrong):
        lay_out_all(page)
        page.wait_for_timeout(200)
        assert wrong == []
        assert page.evaluate("window.violations") == []
        assert page.evaluate("window.hacked") is None
        assert page.locator("iframe, img, object, embed").count() == 0
        assert page.locator("script").count() == 1
        shown = page.locator("body").inner_text()
        assert all(attack in shown for attack in ATTACKS)


def test_the_tab_key_reaches_the_skip_link_the_matrix_and_every_section(browser, page_file):
    with opened(browser, page_file) as (page, _):
        sections = set(
            page.evaluate("[...document.querySelectorAll('section')].map(s => s.getAttribute('aria-labelledby'))")
        )
        reached, first = set(), None
        for _ in range(400):
            page.keyboard.press("Tab")
            where = page.evaluate(
                """() => {
                    const one = document.activeElement;
                    const found = [one.className];
                    for (let s = one.closest("section"); s; s = s.parentElement.closest("section"))
                        found.push(s.getAttribute("aria-labelledby"));
                    return one === document.body ? null : found;
                }"""
            )
            if where is None:
                break
            first = first or where
            reached |= set(where[1:])
        assert first[0] == "skip"
        assert sections - reached == set()


def test_enter_on_a_verdict_opens_its_section_and_back_returns_to_it(browser, page_file):
    with opened(browser, page_file) as (page, _):
        links = page.locator(".matrix tbody a")
        for place in (0, links.count() - 1):
            link = links.nth(place)
            target = link.get_attribute("href").removeprefix("#")
            link.focus()
            page.keyboard.press("Enter")
            page.wait_for_function("id => document.activeElement.id === id", arg=target)
            top = page.evaluate("document.activeElement.getBoundingClientRect().top")
            assert -2 <= top < 700
            section = page.locator(f"section:has(> [id='{target}'])").first
            assert section.locator(".held").count() == 0
            assert section.locator("svg.chart").first.is_visible() or target.startswith("problem")
            page.go_back()
            page.wait_for_function(
                "n => document.activeElement === document.querySelectorAll('.matrix tbody a')[n]", arg=place
            )


def test_a_failed_verdict_leads_to_what_went_wrong(browser, page_file):
    with opened(browser, page_file) as (page, _):
        failed = page.locator(".matrix tbody a", has_text="failed")
        assert failed.count() == 1
        failed.click()
        assert focused(page).startswith("problem-")
        page.locator("#after-matrix summary", has_text="Traceback").first.click()
        assert ATTACKS[1] in page.locator("#after-matrix pre").first.inner_text()
        assert page.locator(".matrix tbody a", has_text="missing").count() == 1


def test_arrow_keys_go_from_verdict_to_verdict(browser, plain):
    with opened(browser, plain) as (page, _):
        at = "[...document.querySelectorAll('.matrix tbody a')].indexOf(document.activeElement)"
        page.locator(".matrix tbody a").first.focus()
        page.keyboard.press("ArrowRight")
        assert page.evaluate(at) == 1
        page.keyboard.press("ArrowRight")
        assert page.evaluate(at) == 1
        page.keyboard.press("Home")
        assert page.evaluate(at) == 0
        assert page.locator(".matrix tbody a[tabindex='0']").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser, page_file, plain, scheme):
    for path in (page_file, plain):
        with opened(browser, path, color_scheme=scheme) as (page, _):
            lay_out_all(page)
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
            assert page.evaluate(LITTLE_CONTRAST) == []


def test_everything_a_screen_reader_stops_at_has_a_name(browser, plain):
    with opened(browser, plain) as (page, _):
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    named = {"image", "link", "button", "searchbox", "table", "grid", "region", "heading", "navigation", "columnheader"}
    found = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n.get("ignored")]
    roles = {role for role, _ in found}
    assert {"image", "link", "grid", "table", "region", "heading", "rowheader"} <= roles
    kept = [node for node in nodes if not node.get("ignored") and node["role"]["value"] in named]
    assert [node for node in kept if not node["name"]["value"].strip()] == []
    figures = [name for role, name in found if role == "image"]
    assert any(name.startswith("Deep efficiency: cue_parity/question/mlp/evidence") for name in figures)
    assert any(name.startswith("The net of") for name in figures)


def test_nothing_is_cut_off_on_paper(browser, page_file):
    with opened(browser, page_file, viewport={"width": 1032, "height": 700}) as (page, _):
        page.emulate_media(media="print")
        page.wait_for_function("document.querySelectorAll('.held').length === 0")
        cut = """[...document.querySelectorAll(".scroll, pre, .card, table")]
            .filter((one) => one.checkVisibility() && getComputedStyle(one).overflow !== "visible")
            .filter((one) => one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1)
            .map((one) => one.outerHTML.slice(0, 90))"""
        assert page.evaluate(cut) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 1032
        assert page.locator("#after-matrix pre").first.is_visible()
        assert page.locator("h4").count() == page.locator("h4:visible").count() == 8
        pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type /Page\b", pdf)) >= 4


def test_a_narrow_window_does_not_scroll_sideways(browser, page_file):
    with opened(browser, page_file, viewport={"width": 360, "height": 740}) as (page, _):
        lay_out_all(page)
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.locator("svg.chart").first.bounding_box()["width"] > 250


def test_without_a_script_everything_is_there(browser, page_file):
    with opened(browser, page_file, java_script_enabled=False) as (page, _):
        charts = page.locator("svg.chart")
        assert charts.count() > 8
        charts.last.scroll_into_view_if_needed()
        assert charts.last.is_visible()
        assert not page.locator("#filter").is_visible()


def test_a_large_report_opens_in_two_seconds_and_every_verdict_leads_to_its_section(browser, large):
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    seconds = []
    for _ in range(3):
        with opened(browser, large) as (page, wrong):
            page.locator(".matrix tbody a").first.focus()
            seconds.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1e3)
            links = page.locator(".matrix tbody a")
            assert links.count() == CELLS
            assert page.locator(".held").count() > CELLS
            link = links.last
            target = link.get_attribute("href").removeprefix("#")
            page.keyboard.press("Control+End")
            link.focus()
            page.keyboard.press("Enter")
            page.wait_for_function("id => document.activeElement.id === id", arg=target)
            assert page.locator(f"section:has(> [id='{target}']) svg.chart").first.is_visible()
            assert abs(page.evaluate("document.activeElement.getBoundingClientRect().top")) < 100
            assert page.locator(".held").count() > CELLS - 20
            assert wrong == []
    assert min(seconds) < 2 * busy


def test_rows_of_a_large_matrix_can_be_filtered(browser, large):
    with opened(browser, large) as (page, _):
        page.locator("#filter").fill("world-77")
        assert page.locator(".filter [role=status]").inner_text() == f"1 of {CELLS // 20} rows"
        assert page.locator(".matrix tbody tr:visible").count() == 1
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert "world-77" in page.evaluate("document.activeElement.closest('tr')?.textContent ?? ''")
