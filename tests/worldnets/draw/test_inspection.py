"""A net as markup: the numbers shown are those given, boxes open their tables, and names stay text."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest

import worldnets as wn
from worldnets.draw import inspect_net
from worldnets.draw.tables import ROWS_SHOWN, conditional_table, probability

SVG = "{http://www.w3.org/2000/svg}"


def boxes(drawing, net):
    """Variable → the words in its box, in the order they are written."""
    root = ElementTree.fromstring(drawing.svg)
    groups = [g for g in root.iter(f"{SVG}g") if g.get("data-variable")]
    return {net.variables[int(g.get("data-variable"))]: [t.text for t in g.iter(f"{SVG}text")] for g in groups}


def words(drawing):
    return [text.text for text in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")]


def tables(drawing):
    """Variable → its table in the page, as text."""
    found = re.findall(r'<details class="cpt".*?title="Table of (.*?)".*?<table>(.*?)</table>', drawing.html, re.DOTALL)
    return {v: re.sub(r"<[^>]+>", " ", table).split() for v, table in found}


def test_boxes_say_names_states_and_the_beliefs_that_were_computed(sprinkler):
    evidence = {"grass": "wet"}
    beliefs = wn.Inference(sprinkler).query(pd.DataFrame([evidence]))
    drawing = sprinkler.draw(beliefs, evidence)
    rain = beliefs["rain"][0]
    assert boxes(drawing, sprinkler)["rain"] == ["rain", "no", f"{100 * rain[0]:.0f}%", "yes", f"{100 * rain[1]:.0f}%"]
    assert boxes(drawing, sprinkler)["grass"] == ["grass", "dry", "0%", "wet", "100%"]
    assert "observed" in words(drawing)


def test_bars_are_as_long_as_beliefs_are_large(sprinkler):
    drawing = sprinkler.draw({"rain": [0.25, 0.75]}, before={"rain": [0.5, 0.5]})
    root = ElementTree.fromstring(drawing.svg)
    lengths = [float(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("class") == "bar"]
    whole = next(float(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("class") == "trough")
    np.testing.assert_allclose(np.array(lengths) / whole, [0.25, 0.75], atol=1e-3)
    assert len([line for line in root.iter(f"{SVG}line") if line.get("class") == "tick"]) == 2


def test_every_box_opens_its_table_and_the_table_is_the_net_s(sprinkler):
    shown = tables(sprinkler.draw())
    assert shown["rain"] == ["W(rain)", "no", "yes", "0.8", "0.2"]
    assert shown["grass"][-12:] == ["no", "on", "0.2", "0.8", "yes", "off", "0.1", "0.9", "yes", "on", "0.01", "0.99"]
    assert set(shown) == set(sprinkler.variables)


def test_tables_that_are_asked_for_are_in_the_picture_too(sprinkler):
    assert "W(grass | rain, sprinkler)" in words(sprinkler.draw(cpts=["grass"]))
    assert not [w for w in words(sprinkler.draw()) if w.startswith("W(")]


def test_a_large_table_says_how_much_is_left_out():
    states = {"a": tuple(range(100)), "b": tuple(range(20))}
    net = wn.WorldNet(states, {"b": ("a",)}, {"a": np.full(100, 0.01), "b": np.full((100, 20), 0.05)})
    table = conditional_table(net, "b")
    assert len(table.rows) == ROWS_SHOWN
    assert table.note == "36 more rows and 4 more states: net.cpt('b') has all"


def test_more_tables_than_a_page_bears_are_left_out_and_said():
    states = {f"v{i}": tuple(range(16)) for i in range(45)}
    parents = {f"v{i}": (f"v{i - 1}", f"v{i - 2}") for i in range(2, 45)}
    cpts = {v: np.full([16] * (len(parents.get(v, ())) + 1), 1 / 16) for v in states}
    drawing = wn.WorldNet(states, parents, cpts).draw()
    assert "<details" not in drawing.html
    assert "Too many tables for one page" in drawing.html


def test_a_probability_is_never_rounded_to_certainty():
    assert [probability(p) for p in (0.0, 1.0, 0.12345, 1e-9, 1 - 1e-9)] == ["0", "1", "0.1235", "1e-09", "1 − 1.0e-09"]


def test_the_frames_of_a_clip_are_columns(sprinkler):
    first = wn.WorldNet({"door": ("shut", "open")}, {}, {"door": [0.5, 0.5]})
    template = wn.TwoSliceNet(first, {"door": ("door[t-1]",)}, {"door": [[0.9, 0.1], [0.3, 0.7]]})
    assert words(template.draw(frames=3)) == ["frame 1", "frame 2", "frame 3", "door", "door", "door"]
    seen = pd.DataFrame({"door_1": ["open"]})
    filtered = wn.TemporalInference(template).rollout(seen, 1)
    drawing = template.draw(filtered)
    np.testing.assert_allclose(filtered["door"][0, 0], [0.3, 0.7])
    assert boxes(drawing, template.unroll(2))["door_2"] == ["door", "shut", "30%", "open", "70%"]
    with pytest.raises(wn.errors.QueryError, match="no clip"):
        sprinkler.draw(arrangement="frames")


def test_what_is_set_by_do_is_told_from_what_is_observed(sprinkler):
    drawing = sprinkler.draw(evidence={"rain": "yes"}, do={"grass": "wet"})
    assert {"observed", "set by do()"} <= set(words(drawing))
    assert drawing.svg.count("stroke-dasharray") == 2  # the arrows that do() cuts


def test_a_part_of_a_net_is_drawn_alone(sprinkler):
    drawing = sprinkler.draw(variables=["rain", "grass"])
    assert set(boxes(drawing, sprinkler)) == {"rain", "grass"}
    assert drawing.svg.count("<polygon") == 1


def test_a_factor_net_has_links_and_no_tables(sprinkler):
    net = wn.FactorNet(sprinkler.states, sprinkler.factors, "lawn")
    drawing = net.draw()
    assert "<polygon" not in drawing.svg
    assert "<details" not in drawing.html
    with pytest.raises(wn.errors.QueryError, match="no conditional tables"):
        net.draw(cpts=["rain"])


def test_impossible_evidence_is_said(sprinkler):
    assert "This evidence is impossible: no beliefs." in words(sprinkler.draw({"rain": [0.0, 0.0]}))


def test_a_dataset_is_drawn_in_the_colours_of_its_roles():
    dataset = wn.load_dataset("cue_parity", bits=2, noise=1)
    assert {"targets", "observed", "latents"} <= set(words(dataset.draw()))


def test_hostile_names_stay_text():
    bad = "</title><script>alert(1)</script>\"'&"
    net = wn.WorldNet({bad: (bad, "1"), "b": (0, 1)}, {"b": (bad,)}, {bad: [0.5, 0.5], "b": [[1, 0], [0, 1]]}, bad)
    drawing = net.draw({bad: [0.5, 0.5]}, {bad: bad}, cpts=["b"], title=bad)
    assert "<script" not in drawing.html
    ElementTree.fromstring(drawing.html)


def test_the_same_input_gives_the_same_bytes_without_matplotlib():
    code = (
        "import worldnets as wn, sys, hashlib\n"
        "net = wn.WorldNet({'a': (0, 1), 'b': (0, 1)}, {'b': ('a',)}, {'a': [.5, .5], 'b': [[.1, .9], [.2, .8]]})\n"
        "digest = hashlib.sha256(net.draw().html.encode()).hexdigest()\n"
    )
    shown = f"{code}print(digest, 'matplotlib' in sys.modules)"
    there = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True).stdout.split()
    here = {}
    exec(code, here)
    assert there == [here["digest"], "False"]


def test_the_figure_for_paper_is_the_matplotlib_one(sprinkler):
    figure = sprinkler.draw({"rain": [0.3, 0.7]}, groups={"causes": ["rain"]}).figure()
    assert "70%" in [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"groups": {"g": ["ran"]}}, wn.errors.QueryError, "did you mean 'rain'"),
        ({"beliefs": {"ran": [1, 0]}}, wn.errors.QueryError, "did you mean 'rain'"),
        ({"evidence": {"rain": "maybe"}}, wn.errors.EvidenceError, "unknown state"),
        ({"cpts": ["ran"]}, wn.errors.QueryError, "did you mean 'rain'"),
        ({"variables": ["ran"]}, wn.errors.QueryError, "did you mean 'rain'"),
        ({"variables": []}, wn.errors.QueryError, "no variables"),
    ],
)
def test_what_cannot_be_drawn_is_said(sprinkler, options, error, says):
    with pytest.raises(error, match=says):
        inspect_net(sprinkler, **options)


def test_a_plan_plays_its_messages(sprinkler):
    plan = wn.Inference(sprinkler).plan
    assert plan.animate().html == wn.draw_messages(plan).html


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_table_opens_by_keyboard_and_by_click_without_scripts(sprinkler, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    page_path = sprinkler.draw().save(tmp_path / "net.html")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(page_path.as_uri())
        table = page.locator("table", has_text="W(rain)")
        assert not table.is_visible()
        box = page.locator('summary[title="Table of grass"]').bounding_box()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert table.is_visible()
        assert page.locator('summary[title="Table of grass"]').bounding_box() == box  # though the page grew
        page.click('summary[title="Table of grass"]')
        assert page.locator("table", has_text="W(grass | rain, sprinkler)").is_visible()
        page.goto(wn.Inference(sprinkler).plan.animate().save(tmp_path / "plan.html").as_uri())
        assert page.locator("svg").is_visible()  # an animation stands still, and shows no controls that do nothing
        assert not page.locator(".controls").is_visible()
        browser.close()
