"""The picture of a plan shows its tree, its tables' sizes and nothing from elsewhere."""

import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import worldnets as wn
from tests.strategies import world_nets
from worldnets.draw.drawing import Drawing, escape
from worldnets.draw.plan import NAMED, draw_plan, plan_html, shown_tree
from worldnets.draw.tree import tidy

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "".join(["a<b>&'\"", "</script>", "\x00\n]]>"])


def _groups(svg, kind):
    root = ElementTree.fromstring(svg)
    return {int(g.get(f"data-{kind}")): g for g in root.iter(f"{SVG}g") if g.get(f"data-{kind}") is not None}


def _words(element):
    return [text.text for text in element.iter(f"{SVG}text")]


def _chain(length, states=2):
    names = [f"v{i}" for i in range(length)]
    step = np.full((states, states), 1 / states)
    return wn.WorldNet(
        {v: tuple(range(states)) for v in names},
        {v: (u,) for u, v in pairwise(names)},
        {v: step if i else step[0] for i, v in enumerate(names)},
        "chain",
    )


@pytest.fixture(scope="module")
def alarm():
    return wn.Inference(wn.load_dataset("alarm").net).plan


def test_every_clique_is_a_box_with_its_variables_and_its_cells(alarm):
    cells = np.diff(alarm.wiring.clique_start)
    boxes = _groups(draw_plan(alarm).svg, "clique")
    assert sorted(boxes) == list(range(len(alarm.cliques)))
    for c, box in boxes.items():
        head, *names = _words(box)
        assert tuple(names) == alarm.cliques[c]
        assert head.split()[0] == f"{cells[c]:,}"
        assert ("root" in head) == (c == len(alarm.cliques) - 1)


def test_every_message_has_an_arrow_and_its_sepset_on_a_plate(alarm):
    arrows = _groups(draw_plan(alarm).svg, "edge")
    assert sorted(arrows) == list(range(len(alarm.cliques) - 1))
    for c, arrow in arrows.items():
        assert tuple(_words(arrow)) == alarm.sepsets[c]
        assert f"to {alarm.parents[c]} over" in arrow.find(f"{SVG}title").text


def test_the_arrow_of_a_message_ends_at_the_parents_box(alarm):
    svg = draw_plan(alarm).svg
    boxes, arrows = _groups(svg, "clique"), _groups(svg, "edge")
    for c, arrow in arrows.items():
        head = next(p for p in arrow.iter(f"{SVG}polygon") if "up" in p.get("class"))
        x, y = map(float, head.get("points").split()[1].split(","))
        box = boxes[alarm.parents[c]].find(f"{SVG}rect")
        left, top, width, height = (float(box.get(k)) for k in ("x", "y", "width", "height"))
        assert left <= x <= left + width
        assert y == pytest.approx(top + height, abs=0.2)


def test_larger_tables_are_darker(alarm):
    boxes = _groups(draw_plan(alarm).svg, "clique")
    cells = np.diff(alarm.wiring.clique_start)
    darkness = []
    for c in range(len(cells)):
        band = next(r for r in boxes[c].iter(f"{SVG}rect") if r.get("class") == "cells")
        darkness.append(-sum(int(band.get("fill")[i : i + 2], 16) for i in (1, 3, 5)))
    order = np.argsort(cells, kind="stable")
    assert (np.diff(np.array(darkness)[order]) >= 0).all()
    assert len(set(darkness)) == len(set(cells))


def test_no_two_boxes_overlap(alarm):
    rects = [g.find(f"{SVG}rect") for g in _groups(draw_plan(alarm).svg, "clique").values()]
    places = [[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in rects]
    for i, (x, y, w, h) in enumerate(places):
        for u, v, width, height in places[:i]:
            assert x + w <= u or u + width <= x or y + h <= v or v + height <= y


def test_the_notebook_shows_every_line_of_the_report_beside_the_tree(alarm):
    shown = alarm._repr_html_()
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", shown)
    words = re.sub(r"\s+", " ", " ".join(cells))
    for line in repr(alarm).splitlines()[1:]:
        assert re.sub(r"\s+", " ", escape(line.strip())) in words
    assert shown.count("<svg") == 1
    assert draw_plan(alarm).svg in shown


def test_a_plan_draws_itself(alarm):
    assert alarm.draw().svg == draw_plan(alarm).svg
    assert wn.draw_plan(alarm, largest=3).svg == alarm.draw(3).svg


def test_of_fewer_cliques_the_largest_stay_below_their_nearest_ancestors(alarm):
    tree = shown_tree(alarm, 5)
    cells = np.diff(alarm.wiring.clique_start)
    root = len(alarm.cliques) - 1
    assert root in tree.numbers
    left_out = np.delete(cells, list(tree.numbers))
    assert min(tree.cells[i] for i, c in enumerate(tree.numbers) if c != root) >= left_out.max()
    for i, c in enumerate(tree.numbers):
        above, passed = alarm.parents[c], 0
        while above >= 0 and above not in tree.numbers:
            above, passed = alarm.parents[above], passed + 1
        assert tree.skipped[i] == passed
        assert tree.parents[i] == (-1 if above < 0 else tree.numbers.index(above))
    assert "largest of 27 cliques" in draw_plan(alarm, 5).html


def test_more_cliques_than_can_be_named_are_dots_and_the_note_says_so():
    plan = wn.Inference(_chain(NAMED + 2)).plan
    drawing = draw_plan(plan)
    assert len(_groups(drawing.svg, "clique")) == len(plan.cliques) > NAMED
    assert "Too many cliques to name" in drawing.html
    assert "v0" not in [word for word in _words(ElementTree.fromstring(drawing.svg)) if word]
    assert ", ".join(plan.cliques[0]) in drawing.svg  # where one points


def test_a_plan_of_a_thousand_cliques_is_drawn_within_two_seconds():
    names = [f"v{i}" for i in range(1100)]
    parents = {v: (names[(i - 1) // 3],) for i, v in enumerate(names) if i}
    tables = {v: np.full((2, 2), 0.5) if v in parents else np.array([0.5, 0.5]) for v in names}
    plan = wn.Inference(wn.WorldNet(dict.fromkeys(names, (0, 1)), parents, tables)).plan
    start = time.perf_counter()
    shown = plan_html(plan)
    assert time.perf_counter() - start < 2
    assert shown.count("data-clique=") == len(plan.cliques) > 1000


def test_a_plan_with_nothing_left_says_so():
    net = _chain(3)
    engine = wn.Inference(net)
    engine.query(np.zeros((1, 3), dtype=np.int16))
    assert len(engine.plan.cliques) == 0
    assert "Nothing is unobserved" in engine.plan._repr_html_()


def test_parts_that_are_not_connected_are_joined_by_dashed_arrows():
    net = wn.WorldNet({"a": (0, 1), "b": (0, 1)}, {}, {"a": [0.5, 0.5], "b": [0.5, 0.5]})
    (arrow,) = _groups(draw_plan(wn.Inference(net).plan).svg, "edge").values()
    assert _words(arrow) == ["∅"]
    assert arrow.find(f"{SVG}path").get("stroke-dasharray")


def test_names_with_markup_in_them_stay_text():
    net = wn.WorldNet({NASTY: (0, 1), "b": (0, 1)}, {"b": (NASTY,)}, {NASTY: [0.5, 0.5], "b": np.full((2, 2), 0.5)})
    plan = wn.Inference(net).plan
    drawing = draw_plan(plan, title=NASTY)
    root = ElementTree.fromstring(drawing.svg)  # well-formed
    assert {element.tag for element in root.iter()} <= {
        SVG + tag for tag in ["svg", "title", "rect", "g", "path", "polygon", "text"]
    }
    assert "<script" not in plan._repr_html_()
    assert "a<b>&'\"</script>" in root.find(f"{SVG}title").text


def test_the_same_plan_gives_the_same_bytes_and_nothing_is_fetched(alarm):
    first, second = plan_html(alarm), plan_html(wn.Inference(wn.load_dataset("alarm").net).plan)
    assert first == second
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|\bsrc=|\bhref=", first)


def test_a_drawing_is_kept_as_a_page_or_as_a_picture(alarm, tmp_path):
    drawing = draw_plan(alarm)
    page = drawing.save(tmp_path / "tree.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert drawing.html in page
    assert drawing.save(tmp_path / "tree.svg").read_text(encoding="utf-8") == drawing.svg
    with pytest.raises(wn.errors.QueryError, match="change the ending"):
        drawing.save(tmp_path / "tree.png")


def test_a_picture_of_no_cliques_is_refused(alarm):
    with pytest.raises(wn.errors.QueryError, match="at least 1"):
        draw_plan(alarm, 0)


def test_drawing_a_plan_loads_no_plotting_library():
    code = (
        "import sys, worldnets as wn; wn.Inference(wn.load_dataset('cue_parity').net).plan._repr_html_();"
        "print([name for name in ('matplotlib', 'jax') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


@given(world_nets())
def test_any_plan_is_drawn_as_well_formed_markup_with_all_its_cliques(net):
    plan = wn.Inference(net).plan
    svg = draw_plan(plan).svg
    assert len(_groups(svg, "clique")) == len(plan.cliques)
    assert len(_groups(svg, "edge")) == max(len(plan.cliques) - 1, 0)


@given(st.data())
def test_boxes_of_a_tidy_tree_keep_their_distance_and_parents_stand_over_their_children(data):
    count = data.draw(st.integers(1, 25))
    parents = [data.draw(st.integers(i + 1, count - 1)) if i < count - 1 else -1 for i in range(count)]
    side = st.floats(1, 50)
    sizes = [(data.draw(side), data.draw(side)) for _ in range(count)]
    centres, (width, height) = tidy(parents, sizes, (3.0, 5.0))
    for i, ((x, y), (w, h)) in enumerate(zip(centres, sizes, strict=True)):
        assert x - w / 2 >= -1e-6
        assert x + w / 2 <= width + 1e-6
        assert y + h / 2 <= height + 1e-6
        for (u, v), (other, tall) in list(zip(centres, sizes, strict=True))[:i]:
            apart_across = abs(x - u) - (w + other) / 2
            apart_down = abs(y - v) - (h + tall) / 2
            assert apart_across >= 3 - 1e-6 or apart_down >= 5 - 1e-6
        below = [centres[c][0] for c in range(count) if parents[c] == i]
        if below:
            assert x == pytest.approx((min(below) + max(below)) / 2)


def test_a_drawing_says_what_it_is():
    assert repr(Drawing("a tree", "<svg/>", "<p/>")) == "Drawing('a tree')"
