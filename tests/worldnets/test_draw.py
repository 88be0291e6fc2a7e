"""Pictures say what the numbers say."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import worldnets as wn
from worldnets.draw import draw_beliefs, draw_net, svg


@pytest.fixture
def sprinkler():
    return wn.WorldNet(
        {"rain": ("no", "yes"), "sprinkler": ("off", "on"), "grass": ("dry", "wet")},
        {"grass": ("rain", "sprinkler")},
        {"rain": [0.8, 0.2], "sprinkler": [0.6, 0.4], "grass": [[[0.9, 0.1], [0.2, 0.8]], [[0.1, 0.9], [0.01, 0.99]]]},
        "lawn",
    )


def _words(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_every_variable_is_named_once_and_every_arrow_drawn(sprinkler):
    figure = draw_net(sprinkler)
    assert sorted(_words(figure)) == ["grass", "rain", "sprinkler"]
    assert sum(type(patch).__name__ == "FancyArrowPatch" for patch in figure.axes[0].patches) == 2


def test_the_percentages_shown_are_the_posterior(sprinkler):
    evidence = {"grass": "wet"}
    beliefs = wn.Inference(sprinkler).query(pd.DataFrame([evidence]))
    words = _words(draw_net(sprinkler, beliefs, evidence))
    assert f"{100 * beliefs['rain'][0, 1]:.0f}%" in words
    assert f"{100 * beliefs['sprinkler'][0, 1]:.0f}%" in words
    assert "100%" in words


def test_a_probability_near_an_end_is_never_rounded_to_certainty(sprinkler):
    words = _words(draw_net(sprinkler, {"rain": [0.9999, 0.0001], "grass": [1.0, 0.0]}))
    assert ">99%" in words
    assert "<1%" in words
    assert {"100%", "0%"} <= set(words)


def test_a_variable_with_many_states_shows_the_likely_ones_and_the_sum_of_the_rest():
    table = np.arange(1, 21) / 210
    net = wn.WorldNet({"v": tuple(range(20))}, {}, {"v": table})
    words = _words(draw_net(net, {"v": table}))
    assert "13 others" in words
    assert f"{100 * table[:13].sum():.0f}%" in words
    assert "19" in words
    assert "12" not in words


def test_the_frames_of_a_clip_are_labelled_and_variables_lose_their_frame_number():
    step = [[0.9, 0.1], [0.3, 0.7]]
    initial = wn.WorldNet({"door": ("shut", "open")}, {}, {"door": [0.5, 0.5]})
    clip = wn.TwoSliceNet(initial, {"door": ("door[t-1]",)}, {"door": step}).unroll(3)
    assert _words(draw_net(clip)) == ["frame 1", "frame 2", "frame 3", "door", "door", "door"]
    assert _words(draw_net(clip, arrangement="layers")) == ["door_1", "door_2", "door_3"]


def test_a_group_that_colours_nothing_is_left_out_of_the_legend(sprinkler):
    figure = draw_net(sprinkler, groups={"causes": ["rain", "sprinkler"], "hidden": ["rain"], "seen": ["grass"]})
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["causes", "seen"]


def test_a_factor_net_is_drawn_without_arrow_heads():
    net = wn.FactorNet({"a": (0, 1), "b": (0, 1)}, (wn.Factor(("a", "b"), np.ones((2, 2))),))
    (edge,) = (p for p in draw_net(net).axes[0].patches if type(p).__name__ == "FancyArrowPatch")
    assert type(edge.get_arrowstyle()).__name__ == "Curve"


def test_a_picture_fits_into_axes_that_are_given(sprinkler):
    figure = Figure(figsize=(2, 2))
    ax = figure.add_subplot()
    assert draw_net(sprinkler, ax=ax) is figure
    figure.draw_without_rendering()
    frame = ax.get_window_extent()
    for text in ax.texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1


def test_no_name_is_wider_than_its_box(sprinkler):
    figure = draw_net(sprinkler)
    figure.draw_without_rendering()
    boxes = [p.get_window_extent() for p in figure.axes[0].patches if type(p).__name__ == "FancyBboxPatch"]
    for text in figure.axes[0].texts:
        word = text.get_window_extent()
        assert any(box.x0 <= word.x0 and word.x1 <= box.x1 and box.y0 <= word.y0 and word.y1 <= box.y1 for box in boxes)


def test_stacked_bars_of_beliefs_have_the_width_of_the_probabilities(sprinkler):
    beliefs = wn.Inference(sprinkler).query(pd.DataFrame({"grass": [None, "wet"]}), variables=["rain", "sprinkler"])
    figure = draw_beliefs(beliefs, labels=["nothing yet", "the grass is wet"])
    assert [ax.get_title() for ax in figure.axes] == ["rain", "sprinkler"]
    for ax, variable in zip(figure.axes, beliefs.variables, strict=True):
        widths = np.array([[bar.get_width() for bar in state] for state in ax.containers]).T
        np.testing.assert_allclose(widths, beliefs[variable])


def test_the_svg_of_a_picture_is_one_element_and_always_the_same_text(sprinkler):
    first, second = svg(draw_net(sprinkler), title='rain & "grass"'), svg(draw_net(sprinkler), title='rain & "grass"')
    assert first == second
    assert first.startswith("<svg")
    root = ElementTree.fromstring(first)
    assert root.get("aria-label") == 'rain & "grass"'
    assert not re.search(r"(?:href|src)=\"http", first)


def test_a_picture_shows_itself_in_a_notebook_and_leaves_pyplot_alone(sprinkler):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    assert draw_net(sprinkler)._repr_svg_().startswith("<svg")
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"groups": {"g": ["ran"]}}, wn.errors.QueryError, "did you mean 'rain'"),
        ({"beliefs": {"ran": [1, 0]}}, wn.errors.QueryError, "did you mean 'rain'"),
        ({"beliefs": {"rain": [1, 0, 0]}}, wn.errors.QueryError, "one probability per state"),
        ({"evidence": {"rain": "maybe"}}, wn.errors.EvidenceError, "unknown state"),
        ({"arrangement": "frames"}, wn.errors.QueryError, "no clip"),
    ],
)
def test_what_cannot_be_drawn_is_said(sprinkler, options, error, says):
    with pytest.raises(error, match=says):
        draw_net(sprinkler, **options)
