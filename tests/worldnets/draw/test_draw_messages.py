"""Animations hold the numbers of every frame, and what stands still without scripts is the last one."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import pytest

import worldnets as wn
from worldnets.draw import draw_messages
from worldnets.draw.heat import heat_map
from worldnets.draw.history import ALL_SHOWN, SOME_SHOWN, checked, shown_graph
from worldnets.draw.plan import shown_tree
from worldnets.draw.schedule import passes

SVG = "{http://www.w3.org/2000/svg}"
NASTY = "a<b>&'\"</script>"


@dataclass(frozen=True)
class Recorded:
    """A history as loopy message passing hands it over."""

    sources: tuple
    targets: tuple
    changes: np.ndarray
    beliefs: dict


def recorded(net, rounds=4, seed=0):
    """Any numbers at all: pictures must show those they are given."""
    random = np.random.default_rng(seed)
    ends = []
    for scope, _ in net.factors:
        factor = f"f({', '.join(scope)})"
        ends += [pair for v in scope for pair in ((v, factor), (factor, v))]
    changes = random.random((rounds, len(ends))) * 10.0 ** -np.arange(rounds)[:, None]
    beliefs = {v: random.dirichlet(np.ones(len(states)), size=rounds + 1) for v, states in net.states.items()}
    sources, targets = zip(*ends, strict=True)
    return Recorded(sources, targets, changes, beliefs)


class _Reader(HTMLParser):
    def __init__(self, markup):
        super().__init__()
        self.elements = []
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


def _data(animation):
    (root,) = (attrs for _, attrs in _Reader(animation.html).elements if "data-frames" in attrs)
    return json.loads(root["data-frames"])


def _groups(svg, kind):
    return [g for g in ElementTree.fromstring(svg).iter() if g.get(f"data-{kind}") is not None]


def test_every_variable_factor_and_message_is_there(sprinkler):
    history = recorded(sprinkler)
    svg = draw_messages(sprinkler, history).svg
    assert {g.find(f"{SVG}title").text for g in _groups(svg, "variable")} == set(sprinkler.variables)
    assert {g.find(f"{SVG}title").text for g in _groups(svg, "factor")} == {
        "f(rain)",
        "f(sprinkler)",
        "f(rain, sprinkler, grass)",
    }
    said = [g.find(f"{SVG}title").text.split(":")[0] for g in _groups(svg, "message")]
    assert sorted(said) == sorted(f"{a} → {b}" for a, b in zip(history.sources, history.targets, strict=True))


def test_bars_are_as_long_as_beliefs_are_large_in_every_round(sprinkler):
    history = recorded(sprinkler)
    animation = draw_messages(sprinkler, history)
    expected = np.concatenate([history.beliefs[v] for v in sprinkler.variables], axis=1)
    np.testing.assert_allclose(_data(animation)["beliefs"], expected, atol=1e-4)
    widths = [float(bar.get("width")) / _data(animation)["width"] for bar in _groups(animation.svg, "bar")]
    np.testing.assert_allclose(widths, expected[-1], atol=2e-3)
    assert animation.frames == len(expected)


def test_the_frames_hold_every_change_of_every_message(sprinkler):
    history = recorded(sprinkler)
    data = _data(draw_messages(sprinkler, history))
    order = [f"{a} → {b}" for a, b in zip(history.sources, history.targets, strict=True)]
    columns = [order.index(message) for message in data["messages"]]
    np.testing.assert_allclose(data["changes"], history.changes[:, columns], rtol=6e-3)
    assert data["most"] == history.changes.max()


def test_each_round_tells_its_largest_change_and_the_message_that_moved_most(sprinkler):
    history = recorded(sprinkler)
    told = _data(draw_messages(sprinkler, history))["told"]
    assert told[0] == "The start, before the first round."
    for r, sentence in enumerate(told[1:]):
        e = int(history.changes[r].argmax())
        assert f"round {r + 1}: {history.changes[r].max():.2g}." in sentence
        assert f"Moved most: {history.sources[e]} → {history.targets[e]} by {history.changes[r, e]:.2g};" in sentence


def test_arrows_are_as_wide_as_their_message_changed(sprinkler):
    history = recorded(sprinkler)
    animation = draw_messages(sprinkler, history)
    last = _data(animation)["changes"][-1]
    for group in _groups(animation.svg, "message"):
        width = float(group.find(f"{SVG}path").get("stroke-width"))
        assert width == pytest.approx(1 + 5 * last[int(group.get("data-message"))] / history.changes.max(), abs=0.06)


def test_messages_up_and_down_a_line_point_opposite_ways(sprinkler):
    svg = draw_messages(sprinkler, recorded(sprinkler)).svg
    boxes = {
        g.find(f"{SVG}title").text: g.find(f"{SVG}rect") for kind in ("variable", "factor") for g in _groups(svg, kind)
    }
    for group in _groups(svg, "message"):
        target = boxes[group.find(f"{SVG}title").text.split(":")[0].split(" → ")[1]]
        x, y = map(float, group.find(f"{SVG}polygon").get("points").split()[1].split(","))
        left, top, width, height = (float(target.get(k)) for k in ("x", "y", "width", "height"))
        assert left - 4 <= x <= left + width + 4  # on the border of the box that receives it
        assert min(abs(y - top), abs(y - top - height)) < 0.2


def test_the_observed_are_marked(sprinkler):
    animation = draw_messages(sprinkler, recorded(sprinkler), {"grass": "wet"})
    boxes = {g.find(f"{SVG}title").text: g.find(f"{SVG}rect") for g in _groups(animation.svg, "variable")}
    marked = [name for name, box in boxes.items() if "observed" in box.get("class")]
    assert marked == ["grass (observed)"]


def test_of_many_states_the_bars_are_the_likely_ones_and_the_rest_together():
    net = wn.WorldNet({"v": tuple(range(30))}, {}, {"v": np.full(30, 1 / 30)})
    history = recorded(net)
    animation = draw_messages(net, history)
    shown = np.array(_data(animation)["beliefs"])
    assert shown.shape == (5, 8)
    np.testing.assert_allclose(shown.sum(axis=1), 1, atol=1e-3)
    assert "23 others" in animation.svg


def test_of_many_variables_a_connected_part_with_whole_factors_is_drawn():
    net = wn.load_dataset("alarm").net
    names = {v: f"{v}{copy}" for copy in (1,) for v in net.variables}
    states = {f"{v}{copy}": s for copy in (1, 2) for v, s in net.states.items()}
    parents = {f"{v}{copy}": tuple(f"{u}{copy}" for u in net.parents(v)) for copy in (1, 2) for v in net.variables}
    tables = {f"{v}{copy}": net.cpt(v) for copy in (1, 2) for v in net.variables}
    twice = wn.WorldNet(states, parents, tables)
    assert len(twice.variables) > ALL_SHOWN > len(names)
    history = recorded(twice)
    graph = shown_graph(twice, checked(twice, history), None)
    assert SOME_SHOWN - 5 < len(graph.variables) <= SOME_SHOWN
    drawn = {history.sources[e] for e in graph.messages} | {history.targets[e] for e in graph.messages}
    for scope, _ in twice.factors:
        assert (f"f({', '.join(scope)})" in drawn) == set(scope).issubset(graph.variables)
    reached, waiting = set(), [graph.variables[0]]
    while waiting:
        v = waiting.pop()
        if v not in reached:
            reached.add(v)
            waiting += [u for f, _ in twice.factors if v in f and set(f).issubset(graph.variables) for u in f]
    assert reached == set(graph.variables)
    most = np.unravel_index(history.changes.argmax(), history.changes.shape)[1]
    assert {history.sources[most], history.targets[most]} <= drawn
    assert f"of {len(twice.variables)} variables" in draw_messages(twice, history).html


def test_only_the_variables_asked_for_are_drawn_with_the_factors_around_them(sprinkler):
    svg = draw_messages(sprinkler, recorded(sprinkler), variables=["rain"]).svg
    assert [g.find(f"{SVG}title").text for g in _groups(svg, "variable")] == ["rain"]
    assert len(_groups(svg, "factor")) == 2
    assert len(_groups(svg, "message")) == 4


def test_names_with_markup_in_them_stay_text():
    net = wn.WorldNet(
        {NASTY: (NASTY, "no"), "b": (0, 1)}, {"b": (NASTY,)}, {NASTY: [0.5, 0.5], "b": np.full((2, 2), 0.5)}
    )
    history = recorded(net)
    animation = draw_messages(net, history, title=NASTY)
    elements = _Reader(animation.page()).elements
    assert [tag for tag, _ in elements].count("script") == 1
    assert not any(tag == "b" for tag, _ in elements)
    assert f"f({NASTY}, b) → b" in _data(animation)["messages"]
    assert ElementTree.fromstring(animation.svg).get("aria-label") == NASTY


def test_a_variable_called_like_a_factor_is_still_another_node():
    net = wn.WorldNet({"a": (0, 1), "f(a)": (0, 1)}, {"f(a)": ("a",)}, {"a": [0.5, 0.5], "f(a)": np.full((2, 2), 0.5)})
    rounds = checked(net, recorded(net))
    assert [rounds.name(e) for e in range(2)] == ["a → f(a)", "f(a) → a"]
    assert rounds.variables == ("a", "a", "a", "a", "f(a)", "f(a)")
    assert rounds.factors == (0, 0, 1, 1, 1, 1)
    assert rounds.to_factor == (True, False) * 3
    svg = draw_messages(net, recorded(net)).svg
    assert len(_groups(svg, "variable")) == 2
    assert len(_groups(svg, "factor")) == 2


def test_factors_of_one_scope_are_told_apart():
    table = np.ones((2, 2))
    net = wn.FactorNet({"a": (0, 1), "b": (0, 1)}, (wn.Factor(("a", "b"), table), wn.Factor(("a", "b"), table)))
    animation = draw_messages(net, recorded(net))
    assert len(_groups(animation.svg, "factor")) == 2
    assert len(set(_data(animation)["messages"])) == 8
    assert "a → f(a, b) #2" in _data(animation)["messages"]


def test_the_same_history_gives_the_same_bytes_and_nothing_is_fetched(sprinkler):
    first, second = (draw_messages(sprinkler, recorded(sprinkler)).page() for _ in range(2))
    assert first == second
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|@import|url\(|\bsrc=|\bhref=|fetch\(|import\(", first)


def test_the_player_can_be_used_without_a_mouse_and_respects_those_who_want_no_motion(sprinkler):
    animation = draw_messages(sprinkler, recorded(sprinkler))
    elements = _Reader(animation.html).elements
    (slider,) = (attrs for tag, attrs in elements if tag == "input")
    assert (slider["type"], slider["min"], slider["max"], slider["value"]) == ("range", "0", "4", "4")
    assert sum(tag == "button" for tag, _ in elements) == 3
    # Where scripts are off, controls that would do nothing are not shown.
    (controls,) = (attrs for _, attrs in elements if attrs.get("class") == "controls")
    assert "hidden" in controls
    assert ".controls[hidden] { display: none; }" in animation.html
    # Motion is asked for only where it is welcome: no transition outside that rule.
    style = re.search(r"<style>(.*?)</style>", animation.html, re.DOTALL)[1]
    calm = style[: style.index("@media (prefers-reduced-motion: no-preference)")]
    assert "transition" not in calm
    assert "animation" not in style


def test_a_history_without_rounds_is_a_still_picture(sprinkler):
    history = recorded(sprinkler, rounds=0)
    animation = draw_messages(sprinkler, history)
    assert animation.frames == 1
    assert "No message changed" in animation.html
    assert len(heat_map(checked(sprinkler, history)).axes) == 2


def test_messages_that_stand_still_are_drawn_thin(sprinkler):
    history = recorded(sprinkler)
    still = replace(history, changes=np.zeros_like(history.changes))
    animation = draw_messages(sprinkler, still)
    assert "No message moved" in _data(animation)["told"][1]
    widths = {g.find(f"{SVG}path").get("stroke-width") for g in _groups(animation.svg, "message")}
    assert widths == {"1.0"}


def test_the_heat_map_holds_the_changes_of_the_messages_that_moved_most(sprinkler):
    history = recorded(sprinkler)
    figure = draw_messages(sprinkler, history, title="a title").figure()
    above, below = figure.axes[:2]
    np.testing.assert_allclose(above.lines[0].get_ydata(), history.changes.max(axis=1))
    labels = [text.get_text() for text in below.get_yticklabels()]
    order = [f"{a} → {b}" for a, b in zip(history.sources, history.targets, strict=True)]
    cells = np.asarray(below.collections[0].get_array()).reshape(len(labels), -1)
    expected = np.maximum(history.changes[:, [order.index(label) for label in labels]].T, history.changes.max() * 1e-5)
    np.testing.assert_allclose(cells, expected)
    few = heat_map(checked(sprinkler, history), most=3)
    peaks = np.sort(history.changes.max(axis=0))[-3:]
    shown = np.asarray(few.axes[1].collections[0].get_array()).reshape(3, -1)
    np.testing.assert_allclose(np.sort(shown.max(axis=1)), peaks)
    assert "the 3 messages of 10" in [text.get_text() for text in few.texts][-1]


def test_viewers_without_pages_get_the_heat_map(sprinkler):
    first, second = (draw_messages(sprinkler, recorded(sprinkler))._repr_png_() for _ in range(2))
    assert first.startswith(b"\x89PNG")
    assert first == second


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"targets": ("rain",)}, "do not fit"),
        ({"changes": np.zeros((4, 3))}, "do not fit"),
        ({"changes": np.full((4, 10), np.nan)}, "round 1.*no sizes"),
        ({"sources": tuple("x" * 10), "targets": tuple("y" * 10)}, "another net"),
        ({"beliefs": {"ran": np.full((5, 2), 0.5)}}, "did you mean 'rain'"),
        ({"beliefs": {"rain": np.full((4, 2), 0.5)}}, "those before the first round included"),
        ({"beliefs": {"rain": np.full((5, 2), 0.7)}}, "no distribution"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(sprinkler, change, says):
    with pytest.raises(wn.errors.QueryError, match=says):
        draw_messages(sprinkler, replace(recorded(sprinkler), **change))


def test_what_cannot_be_animated_is_said(sprinkler):
    history, plan = recorded(sprinkler), wn.Inference(sprinkler).plan
    with pytest.raises(wn.errors.QueryError, match="sends no messages"):
        draw_messages(sprinkler)
    with pytest.raises(wn.errors.QueryError, match="give the plan alone"):
        draw_messages(plan, history)
    with pytest.raises(wn.errors.QueryError, match="did you mean 'rain'"):
        draw_messages(sprinkler, history, variables=["ran"])
    with pytest.raises(wn.errors.QueryError, match="give a list"):
        draw_messages(sprinkler, history, variables="rain")
    with pytest.raises(wn.errors.QueryError, match="name some"):
        draw_messages(sprinkler, history, variables=[])
    with pytest.raises(wn.errors.EvidenceError, match="unknown state"):
        draw_messages(sprinkler, history, {"rain": "maybe"})
    with pytest.raises(wn.errors.QueryError, match="use its `svg`"):
        draw_messages(plan).figure()


@pytest.fixture(scope="module")
def alarm():
    return wn.Inference(wn.load_dataset("alarm").net).plan


@pytest.mark.parametrize("together", [False, True])
def test_every_message_is_sent_once_each_way_and_never_before_what_it_waits_for(alarm, together):
    tree = shown_tree(alarm, 1000)
    steps = passes(tree, together)
    root = len(tree.cliques) - 1
    collected, told = set(), {root}
    for moving, up in steps:
        for c in moving:
            if up:  # all below have reported
                assert {d for d, p in enumerate(tree.parents) if p == c} <= collected
            else:  # collect is over, and the sender has heard from above
                assert len(collected) == root
                assert tree.parents[c] in told
        (collected if up else told).update(moving)
    assert sum(len(moving) for moving, _ in steps) == 2 * root
    assert told == set(range(root + 1))
    depth = [0] * (root + 1)
    for c in range(root - 1, -1, -1):
        depth[c] = depth[tree.parents[c]] + 1
    assert len(steps) == (2 * max(depth) if together else 2 * root)


def test_the_two_passes_are_numbered_on_the_arrows_and_told_step_by_step(alarm):
    animation = draw_messages(alarm)
    data = _data(animation)
    assert animation.frames == 2 * (len(alarm.cliques) - 1) + 1
    assert data["told"][1].startswith(f"Collect: ({', '.join(alarm.cliques[0])}) sends to")
    assert data["told"][-1].startswith("Distribute: ")
    assert data["told"][-1].split(") sends to (")[1].startswith(", ".join(alarm.cliques[0]))
    for link in _groups(animation.svg, "edge"):
        c = int(link.get("data-edge"))
        first = next(link.iter(f"{SVG}text")).text
        sent = [i + 1 for i, step in enumerate(data["steps"]) if step["edges"] == [c]]
        assert [data["steps"][i - 1]["up"] for i in sent] == [True, False]
        up, down = sent
        assert first == f"{up} ↑ ↓ {down}"
        assert data["parents"][str(c)] == alarm.parents[c]
        assert data["ready"][str(c)] == down


def test_one_clique_has_nothing_to_send():
    net = wn.WorldNet({"a": (0, 1)}, {}, {"a": [0.5, 0.5]})
    animation = draw_messages(wn.Inference(net).plan)
    assert animation.frames == 1
    assert "nothing to send" in animation.html
