"""Evidence changed by widgets: after every change, what is shown is the exact answer to the evidence as it stands."""

import sys

import numpy as np
import pandas as pd
import pytest

import worldnets as wn
from worldnets.draw import explore
from worldnets.draw.given import percent


def exact(net, evidence, do=None):
    table = pd.DataFrame({v: pd.Series([s], dtype=object) for v, s in evidence.items()}, index=[0])
    return wn.Inference(net).query(table, do=do)


def agree(explorer, evidence, do=None):
    """The explorer, its line and its picture are those of this evidence."""
    truth = exact(explorer.net, evidence, do)
    assert explorer.evidence == evidence
    assert explorer.interventions == (do or {})
    np.testing.assert_array_equal(explorer.beliefs.table, truth.table)
    assert explorer.log_evidence == truth.log_evidence[0]
    told, picture = explorer.controls.told.value, explorer.controls.picture.value
    assert explorer.told in told
    assert picture == explorer.drawing.html
    for v in explorer.net.variables:
        for p in truth[v][0]:
            assert f">{percent(float(p))}<".replace("<1", "&lt;1").replace(">>", ">&gt;") in picture


def test_a_dropdown_changes_evidence_beliefs_picture_and_log_evidence(sprinkler):
    explorer = sprinkler.explore()
    controls = explorer.controls
    assert list(controls.lines) == list(sprinkler.variables)  # few variables: a line for each from the start
    agree(explorer, {})
    assert explorer.told == "Nothing is observed."
    controls.lines["grass"].state.label = "wet"
    agree(explorer, {"grass": "wet"})
    assert f"{exact(sprinkler, {'grass': 'wet'}).log_evidence[0]:.4g}".replace("-", "−") in explorer.told
    controls.lines["rain"].state.label = "yes"
    agree(explorer, {"grass": "wet", "rain": "yes"})
    controls.lines["grass"].state.label = "unobserved"
    agree(explorer, {"rain": "yes"})


def test_do_is_an_intervention_and_not_an_observation(sprinkler):
    explorer = sprinkler.explore({"grass": "wet"})
    explorer.controls.lines["grass"].how.value = "set by do()"
    agree(explorer, {}, {"grass": "wet"})
    np.testing.assert_allclose(explorer.beliefs["rain"][0], [0.8, 0.2])  # its cause hears nothing of it
    explorer.controls.lines["grass"].how.value = "seen"
    agree(explorer, {"grass": "wet"})


def test_what_is_done_from_python_shows_in_the_widgets(sprinkler):
    explorer = sprinkler.explore()
    lines = explorer.controls.lines
    explorer.observe("rain", "yes").do("grass", "dry")
    assert (lines["rain"].state.label, lines["grass"].state.label, lines["grass"].how.value) == (
        "yes",
        "dry",
        "set by do()",
    )
    agree(explorer, {"rain": "yes"}, {"grass": "dry"})
    explorer.controls.clear.click()
    assert [line.state.label for line in lines.values()] == ["unobserved"] * 3
    agree(explorer, {})


def test_impossible_evidence_is_said_and_leaves_no_stale_belief():
    net = wn.WorldNet({"a": (0, 1), "b": (0, 1)}, {"b": ("a",)}, {"a": [0.5, 0.5], "b": [[1, 0], [0, 1]]})
    explorer = net.explore({"a": 0})
    explorer.controls.lines["b"].state.value = 1
    assert not explorer.possible
    assert "impossible" in explorer.controls.told.value
    assert "This evidence is impossible" in explorer.controls.picture.value
    assert ">100%<" not in explorer.controls.picture.value
    explorer.controls.lines["a"].state.value = 1
    agree(explorer, {"a": 1, "b": 1})


def test_a_change_that_is_refused_changes_nothing(sprinkler):
    explorer = sprinkler.explore({"rain": "yes"})
    with pytest.raises(wn.errors.EvidenceError, match="unknown state"):
        explorer.observe("grass", "green")
    with pytest.raises(wn.errors.EvidenceError, match="did you mean 'rain'"):
        explorer.forget("ran")
    agree(explorer, {"rain": "yes"})
    with pytest.raises(wn.errors.EvidenceError, match="observed and set"):
        explore(sprinkler, {"rain": "yes"}, do={"rain": "no"})
    with pytest.raises(wn.errors.QueryError, match="another net"):
        explore(sprinkler, engine=wn.Inference(wn.WorldNet({"a": (0, 1)}, {}, {"a": [0.5, 0.5]})))


def test_in_a_large_net_variables_are_found_by_name():
    net = wn.load_dataset("alarm").net
    explorer = net.explore({"PRESS": "ZERO"}, variables=net.ancestors(["PRESS"]))
    controls = explorer.controls
    assert list(controls.lines) == ["PRESS"]
    controls.find.value = "hr"
    assert "HRBP" in controls.told.value
    assert list(controls.lines) == ["PRESS"]
    controls.find.value = "HRBP"
    assert controls.find.value == ""
    controls.lines["HRBP"].state.label = "HIGH"
    truth = exact(net, {"PRESS": "ZERO", "HRBP": "HIGH"})
    np.testing.assert_allclose(explorer.beliefs["INTUBATION"], truth["INTUBATION"], atol=1e-12)
    assert explorer.log_evidence == pytest.approx(truth.log_evidence[0], abs=1e-12)
    controls.lines["HRBP"].away.click()
    assert list(controls.lines) == ["PRESS"]
    assert explorer.evidence == {"PRESS": "ZERO"}


def test_a_clip_is_explored_in_columns_that_stand_still():
    first = wn.WorldNet({"door": ("shut", "open")}, {}, {"door": [0.5, 0.5]})
    template = wn.TwoSliceNet(first, {"door": ("door[t-1]",)}, {"door": [[0.9, 0.1], [0.3, 0.7]]})
    explorer = template.explore(frames=3)
    before = [part for part in explorer.drawing.svg.split("<") if "data-variable" in part or part.startswith("text")]
    assert "frame 3" in explorer.drawing.svg
    explorer.controls.lines["door_2"].state.label = "open"
    after = [part for part in explorer.drawing.svg.split("<") if "data-variable" in part or part.startswith("text")]
    names = ("frame", "door", "shut", "open")
    assert [p for p in before if p.endswith(names)] == [p for p in after if p.endswith(names)]
    np.testing.assert_allclose(explorer.beliefs["door_3"][0], [0.3, 0.7])


def test_a_factor_net_has_no_do(sprinkler):
    net = wn.FactorNet(sprinkler.states, sprinkler.factors)
    explorer = net.explore({"grass": "wet"})
    assert len(explorer.controls.lines["grass"].box.children) == 2
    np.testing.assert_allclose(explorer.beliefs["rain"], exact(sprinkler, {"grass": "wet"})["rain"])
    with pytest.raises(wn.errors.WorldnetsError):
        explorer.do("grass", "wet")


def test_without_ipywidgets_it_stands_still_and_says_what_is_missing(sprinkler, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "worldnets.draw.controls", raising=False)
    explorer = sprinkler.explore({"grass": "wet"})
    shown = explorer._repr_mimebundle_()
    assert sorted(shown) == ["text/html", "text/plain"]
    assert "pip install &#x27;worldnets[notebooks]&#x27;" in shown["text/html"]
    assert explorer.told in shown["text/html"]
    explorer.forget("grass").observe("rain", "yes")
    np.testing.assert_array_equal(explorer.beliefs.table, exact(sprinkler, {"rain": "yes"}).table)
    with pytest.raises(wn.errors.MissingDependencyError, match=r"worldnets\[notebooks\]"):
        explorer.controls  # noqa: B018


def test_with_ipywidgets_a_notebook_is_given_the_widgets_and_a_picture_for_viewers_without(sprinkler):
    shown = sprinkler.explore()._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert "<svg" in shown["text/html"]
    assert "pip install" not in shown["text/html"]
