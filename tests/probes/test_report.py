import base64
import hashlib
import re
from dataclasses import asdict, replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from probes import report
from probes.catalogue.depth import DepthProbe, measure_heads, pack
from probes.ladder import References, Sampling
from probes.presentation import number
from probes.report import palette, render
from probes.report.depth import rung_labels
from probes.report.fields import interval
from probes.report.figures import efficiency_over_training, pie_over_training
from probes.report.places import Ids, identifier
from probes.results import Results
from probes.runner import plan
from probes.sources import TableSource
from probes.store import Store
from probes.suite import read_suite
from probes.worker import work
from probes.worklist import cells_of
from tests.tiny_suite import tiny_suite

HOSTILE = '<script>alert("1")</script>'

TINY = tiny_suite(f"title = '{HOSTILE}'")

VOID = {"meta", "link", "br", "wbr", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects ids, links and the order of headings, and checks that tags close."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.headings, self.open, self.loads = [], [], [], [], []
        self.captions = self.tables = self.images = self.described = self.scripts = 0
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        self.loads += [given[name] for name in ("src", "srcset", "data", "action") if name in given]
        self.loads += [tag] if tag in {"iframe", "object", "embed", "link"} else []
        self.scripts += tag == "script"
        self.loads += [name for name in given if name.startswith("on")]
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag == "svg" and "svg" not in self.open and "aria-hidden" not in given:
            self.images += 1
            self.described += given.get("role") == "img" and bool(given.get("aria-label"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    planned = plan(read_suite(TINY))
    made = Store.create(tmp_path_factory.mktemp("runs") / "run", planned.suite, planned.conditions)
    work(str(made.path), [asdict(cell) for cell in planned.cells])
    return made


@pytest.fixture(scope="module")
def text(store):
    return render(Results(store))


def test_the_page_is_self_contained_and_loads_nothing(text):
    page = Page(text)
    assert page.loads == []
    assert all(link.startswith("#") for link in page.links)
    outside = [url for url in re.findall(r"https?://[^\s\"'<>)]+", text) if "www.w3.org/" not in url]
    assert outside == []
    assert "@import" not in text
    assert "url(" not in text


def test_one_script_is_allowed_and_it_is_the_one_on_the_page(text):
    (script,) = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    policy = re.search('http-equiv="Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src 'none'" in policy
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert Page(text).scripts == 1


def test_a_large_page_is_a_small_one_whose_sections_are_kept_as_text(store, text, monkeypatch):
    monkeypatch.setattr(report, "LARGE", 0)
    large = render(Results(store))
    held = re.sub(r'<div class="held"><noscript>(.*?)</noscript></div>', r"\1", large, flags=re.DOTALL)
    assert large.count("<noscript>") > len(store.conditions)
    assert re.sub('<p class="all" hidden>.*?</p>\n', "", held).replace('class="card long"', 'class="card"') == text
    assert Page(large).ids == Page(text).ids


def test_ids_are_unique_links_lead_somewhere_and_headings_do_not_skip(text):
    page = Page(text)
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    referenced = {name for names in re.findall(r'aria-labelledby="([^"]+)"', text) for name in names.split()}
    assert referenced <= set(page.ids)
    assert page.headings[0] == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))


def test_every_table_has_a_caption_and_every_figure_a_description(text):
    page = Page(text)
    assert page.tables == page.captions
    assert page.images == page.described >= 2 * 3 + 2


def test_the_verdict_matrix_comes_first_and_names_every_condition(store, text):
    first = text.index("<table")
    assert text.index('id="verdicts"') < first < text.index('id="problems"') < text.index('id="how"')
    matrix = text[first : text.index("</table>")]
    assert '<th scope="colgroup" colspan="2"><a href="#numbers-depth">depth</a></th>' in matrix
    assert all(f'href="#{identifier(condition.title)}"' in matrix for condition in store.conditions)
    assert all(sign in text for sign, _ in palette.VERDICTS.values() if f">{sign}<" in text)
    for condition in store.conditions:
        assert f'id="{identifier(condition.title)}"' in text
        assert f'href="#{identifier(condition.title)}"' in text
    assert "probes run tiny --out run" in text


def test_the_same_run_directory_gives_the_same_bytes(store, text):
    assert render(Results(store)) == text


def test_markup_in_names_and_errors_is_shown_as_text(store, tmp_path):
    linear, mlp = cells_of(store.conditions)
    hostile = Store.create(tmp_path / "run", store.suite, store.conditions)
    hostile.write(mlp, store.read(mlp))
    hostile.fail(linear, f"ValueError: {HOSTILE}", f"Traceback {HOSTILE} $x_")
    text = render(Results(hostile))
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert Page(text).loads == []
    assert Page(text).scripts == 1


def test_failed_and_missing_cells_are_shown_and_get_no_verdict(store, tmp_path):
    linear, _ = cells_of(store.conditions)
    partial = Store.create(tmp_path / "run", store.suite, store.conditions)
    partial.fail(linear, "ValueError: planted", "Traceback: planted deep inside")
    text = render(Results(partial))
    assert text.count("1 failed, 1 not run yet") == 2
    assert "planted deep inside" in text
    matrix = text[text.index("<table") : text.index("</table>")]
    said = [(link, " ".join(re.sub("<[^>]+>", " ", words).replace("&nbsp;", " ").split()))
            for link, words in re.findall(r'<td><a class="v bad" href="#([^"]+)">(.*?)</a>', matrix)]  # fmt: skip
    assert said == [("problem-1", "✗ failed"), ("problem-2", "∅ missing")]
    assert re.findall(r'id="problem-\d"[^>]*>(\w+): ', text) == ["failed", "missing"]


def test_a_world_that_cannot_be_loaded_here_is_said_and_stops_nothing(store, tmp_path):
    gone = [replace(c, source={"name": "/nowhere/cue", "parameters": {}, "redrawn": []}) for c in store.conditions]
    moved = Store.create(tmp_path / "run", store.suite, gone)
    for cell in cells_of(gone):
        moved.write(cell, store.read(cell))
    assert "could not be drawn here" in render(Results(moved))


def test_figures_keep_their_bytes_and_use_the_colours_of_the_page():
    steps, information = np.array([0, 1, 10, 100]), np.array([0.5, 0.3])
    captured = np.outer(np.linspace(0, 1, 4), information)
    draw = lambda: pie_over_training('<b>&"', steps, information, captured, ["1: $a_b$", "2: <i>"])
    svg = draw()
    assert svg == draw()
    assert 'class="a r2-0"' in svg
    assert 'class="a r2-1"' in svg
    assert "&lt;b&gt;&amp;&quot;" in svg
    assert "<i>" not in svg
    assert "$a_b$" in svg
    assert "#" not in re.sub("&#?[a-z0-9]+;", "", svg)  # no colour of its own
    seeds = np.repeat(np.linspace(0, 1, 4)[:, None], 8, axis=1)
    mean = seeds.mean(1)
    drawn = efficiency_over_training("t", steps, seeds, mean, mean, mean, np.ones(4), 0.1)
    assert "Seeds end at 1.00, 1.00" in drawn


def test_rung_colours_darken_from_shallow_to_deep_in_both_themes():
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for stops, paper in ((palette.LIGHT, 1.0), (palette.DARK, luminance("#181b21"))):
        for count in (2, 3, 5, 8):
            light = [luminance(colour) for colour in palette.scale(count, stops)]
            assert light == sorted(light, reverse=True)
            contrast = [(max(one, paper) + 0.05) / (min(one, paper) + 0.05) for one in light]
            assert min(contrast) >= 3.0
    assert palette.scale(1) == [palette.LIGHT[-1]]


def test_numbers_have_a_minus_sign_no_negative_zero_and_a_dash_for_nothing():
    assert [number(x) for x in (-0.5, -0.001, 0.25, None, float("nan"))] == ["−0.50", "0.00", "0.25", "–", "–"]
    assert interval(1.0, 1.0, 1.0)["limits"] == ""
    assert interval(0.5, 0.25, 0.75) == {"text": "0.50", "limits": "[0.25, 0.75]"}


def test_rungs_are_named_by_their_frame_or_their_first_evidence():
    assert rung_labels([["a_5", "b_5"], ["a_4", "b_3"], ["x"], ["x", "y", "z", "w"]]) == [
        "1: frame 5",
        "2: a_4, b_3",
        "3: x",
        "4: x, y + 2",
    ]


def test_convergence_is_drawn_where_efficiencies_rest_on_clips_and_says_the_largest_error():
    random = np.random.default_rng(4)
    table = random.random((3, 4, 3))
    heads = np.log(random.dirichlet(np.ones(3), (2, 2, 12)))
    drawn = []
    for method in ("sample", "enumerate"):
        sampling = Sampling(method=method, clips=128, candidates=512, pool=256)
        made = References(TableSource(table), sampling).get([["x1"], ["x2"]], "y")
        rows = np.ravel_multi_index(made.inputs.T, (3, 4))
        measured = measure_heads(made, "y", (0, 1), np.array([0, 9]), lambda t, rows=rows: heads[t][:, rows])
        cell = pack([measured], "depth", 1)
        one = SimpleNamespace(conclusion=DepthProbe().conclude([cell]), condition=SimpleNamespace(title="planted"))
        drawn.append(DepthProbe().presentation.figures("name", one, [cell], "y"))
        worst = measured.pie.mc_error(measured.about, [1, 2]).max()
    sampled, exact = drawn
    assert len(sampled) == len(exact) + 1
    assert "± δ/5 = 0.02" in sampled[-1].caption
    assert "From 128 clips" in sampled[-1].svg
    assert worst == 0.0
    assert not any("Convergence" in figure.svg for figure in exact)


def test_ids_stay_apart_when_names_differ_in_signs_alone():
    ids = Ids(("verdicts",))
    assert [ids.new(name) for name in ("a b", "a-b", "A/B", "verdicts", "<>")] == [
        "a-b",
        "a-b-2",
        "a-b-3",
        "verdicts-2",
        "part",
    ]
