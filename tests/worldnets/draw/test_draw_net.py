"""Pictures say what the numbers say."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import worldnets as wn
from worldnets.draw import draw_beliefs, draw_net, svg
from worldnets.draw.boxes import apart
from worldnets.draw.given import distance


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


def _lengths(figure, colour):
    """Lengths of the bars of one colour, as shares of a whole one."""
    from matplotlib.collections import PatchCollection
    from matplotlib.colors import to_rgba

    paths = [
        path.get_extents().width
        for collection in figure.axes[0].collections
        if isinstance(collection, PatchCollection) and np.allclose(collection.get_facecolor()[:1], to_rgba(colour))
        for path in collection.get_paths()
    ]
    return np.array(paths) / 0.42


def test_bars_are_as_long_as_the_two_beliefs_are_large(sprinkler):
    now, other = {"rain": [0.3, 0.7]}, {"rain": [0.9, 0.1]}
    figure = draw_net(sprinkler, now, beside=other)
    np.testing.assert_allclose(_lengths(figure, "#0072B2"), [0.3, 0.7])
    np.testing.assert_allclose(_lengths(figure, "#009E73"), [0.9, 0.1])
    assert [word for word in _words(figure) if word.endswith("%")] == ["30%", "90%", "70%", "10%"]


def test_the_distance_printed_is_the_divergence_in_bits_or_the_total_variation(sprinkler):
    now, other = {"rain": [0.5, 0.5]}, {"rain": [0.25, 0.75]}
    bits = 0.5 * np.log2(0.5 / 0.25) + 0.5 * np.log2(0.5 / 0.75)
    assert f"KL {bits:.2g} bits" in _words(draw_net(sprinkler, now, beside=other))
    assert "TV 0.25" in _words(draw_net(sprinkler, now, before=other, distance="tv"))
    assert not [w for w in _words(draw_net(sprinkler, now, before=other)) if "KL" in w or "TV" in w]


@pytest.mark.parametrize(
    ("now", "other", "bits"),
    [
        ([1.0, 0.0], [0.5, 0.5], 1.0),
        ([0.5, 0.5], [1.0, 0.0], np.inf),
        ([0.5, 0.5], [0.5, 0.5], 0.0),
        ([0.0, 0.0], [0.5, 0.5], np.nan),
    ],
)
def test_the_divergence_at_the_ends_is_what_its_definition_says(now, other, bits):
    assert distance(np.array(now), np.array(other), "kl") == pytest.approx(bits, nan_ok=True)


def test_a_divergence_is_never_rounded_to_nothing():
    assert apart(1e-9, "kl") == "KL <.001 bits"
    assert apart(0.0, "kl") == "KL 0 bits"
    assert apart(np.inf, "kl") == "KL ∞ bits"


def test_hard_and_soft_evidence_are_told_apart(sprinkler):
    figure = draw_net(sprinkler, evidence={"grass": "wet"}, likelihood={"rain": [[0.5, 0.5], [0.2, 0.8]]}, row=1)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["observed", "soft evidence", "its likelihood"]
    boxes = [patch for patch in figure.axes[0].patches if type(patch).__name__ == "FancyBboxPatch"]
    assert sum(patch.get_linestyle() not in ("-", "solid") for patch in boxes) == 1  # rain's is dashed
    assert sum(patch.get_edgecolor() == boxes[-1].get_edgecolor() for patch in boxes) == 2


def test_rings_stand_at_the_likelihood_scaled_to_its_largest_entry(sprinkler):
    figure = draw_net(sprinkler, {"rain": [0.5, 0.5]}, likelihood={"rain": [0.2, 0.8]})
    figure.draw_without_rendering()
    rings = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    troughs = next(c for c in figure.axes[0].collections if len(c.get_paths()) == 2)
    left = troughs.get_paths()[0].get_extents().x0
    np.testing.assert_allclose((np.array(rings) - left) / 0.42, [0.25, 1.0])


def test_a_likelihood_that_says_nothing_is_no_evidence(sprinkler):
    assert draw_net(sprinkler, likelihood={"rain": [3.0, 3.0]}).axes[0].get_legend() is None


def test_evidence_may_be_the_table_that_was_asked(sprinkler):
    table = pd.DataFrame({"grass": [None, "wet"], "rain": ["yes", None]})
    assert sorted(_words(draw_net(sprinkler, evidence=table))) == ["grass", "rain", "sprinkler", "yes"]
    assert sorted(_words(draw_net(sprinkler, evidence=table, row=1))) == ["grass", "rain", "sprinkler", "wet"]


def test_impossible_evidence_is_said_and_draws_no_belief(sprinkler):
    figure = draw_net(sprinkler, {"rain": [0.0, 0.0]})
    assert "impossible" in figure.axes[0].get_legend().get_texts()[-1].get_text()
    np.testing.assert_allclose(_lengths(figure, "#0072B2"), [0, 0])


def test_long_names_are_cut_and_names_are_never_read_as_formulas():
    long = "x" * 300
    net = wn.WorldNet({"$a_1$ & _b": (long, "_hidden")}, {}, {"$a_1$ & _b": [0.5, 0.5]})
    figure = draw_net(net, {"$a_1$ & _b": [0.5, 0.5]})
    figure.draw_without_rendering()
    words = _words(figure)
    assert "x" * 21 + "…" in words
    assert any(word.replace("\\$", "$") == "$a_1$ & _b" for word in words)
    assert figure.get_figwidth() < 4


def test_the_legend_fits_a_narrow_net():
    net = wn.WorldNet({"a": (0, 1)}, {}, {"a": [0.5, 0.5]})
    figure = draw_net(net, {"a": [0.5, 0.5]}, {"a": 1}, beside={"a": [0.5, 0.5]}, names=("exact beliefs", "loopy ones"))
    figure.draw_without_rendering()
    legend, page = figure.axes[0].get_legend().get_window_extent(), figure.bbox
    assert page.x0 - 1 <= legend.x0
    assert legend.x1 <= page.x1 + 1
    assert page.y0 - 1 <= legend.y0


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"beliefs": {"rain": [0.3, 0.3]}}, wn.errors.QueryError, "no distribution"),
        ({"beliefs": {"rain": [np.nan, 1]}}, wn.errors.QueryError, "no distribution"),
        ({"before": {"rain": [1, 0]}, "beside": {"rain": [1, 0]}}, wn.errors.QueryError, "one comparison"),
        ({"distance": "js"}, wn.errors.QueryError, "unknown distance"),
        ({"likelihood": {"rain": [1, 2, 3]}}, wn.errors.EvidenceError, "one number per state"),
        ({"likelihood": {"rain": [[1, 2]]}, "row": 1}, wn.errors.EvidenceError, "no such row"),
        ({"likelihood": {"rain": [-1, 2]}}, wn.errors.EvidenceError, "not negative"),
        ({"likelihood": {"ran": [1, 2]}}, wn.errors.EvidenceError, "did you mean 'rain'"),
        ({"evidence": pd.DataFrame({"rain": ["yes"]}), "row": 1}, wn.errors.EvidenceError, "no such row"),
    ],
)
def test_what_does_not_fit_the_net_is_refused(sprinkler, options, error, says):
    with pytest.raises(error, match=says):
        draw_net(sprinkler, **options)


def test_rows_that_are_not_there_and_beliefs_of_another_net_are_refused(sprinkler):
    beliefs = wn.Inference(sprinkler).query(pd.DataFrame({"grass": [None, "wet"]}))
    with pytest.raises(wn.errors.QueryError, match="no such row"):
        draw_net(sprinkler, beliefs, row=2)
    with pytest.raises(wn.errors.QueryError, match="no such row"):
        draw_net(sprinkler, beliefs, before=-3)
    other = wn.WorldNet({"rain": ("none", "some")}, {}, {"rain": [0.5, 0.5]})
    with pytest.raises(wn.errors.QueryError, match="another net"):
        draw_net(sprinkler, wn.Inference(other).query(pd.DataFrame(index=[0])))
