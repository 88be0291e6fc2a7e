"""Two-slice nets and the clips they unroll to."""

from __future__ import annotations

import numpy as np
import pytest

from tests.strategies import joint
from worldnets.errors import NetError
from worldnets.net import WorldNet
from worldnets.temporal import TwoSliceNet, frame_name

STAY = np.array([[0.9, 0.1], [0.2, 0.8]])
SHOW = np.array([[0.7, 0.3], [0.4, 0.6]])


def hidden_markov(**changes):
    initial = WorldNet(
        {"z": ("a", "b"), "x": (0, 1)}, {"x": ("z",)}, {"z": np.array([0.5, 0.5]), "x": SHOW}, name="hmm"
    )
    parts = {"parents": {"z": ("z[t-1]",), "x": ("z",)}, "cpts": {"z": STAY, "x": SHOW}}
    return TwoSliceNet(initial, **{**parts, **changes})


def test_unrolling_multiplies_the_initial_and_the_transition_tables():
    net = hidden_markov().unroll(3)
    assert net.variables == ("z_1", "x_1", "z_2", "x_2", "z_3", "x_3")
    assert net.parents("z_3") == ("z_2",)
    assert net.parents("x_3") == ("z_3",)
    by_hand = np.einsum("a,ai,ab,bj,bc,ck->aibjck", [0.5, 0.5], SHOW, STAY, SHOW, STAY, SHOW)
    np.testing.assert_allclose(joint(net), by_hand, atol=1e-15)


def test_one_frame_is_the_initial_net_under_frame_names():
    template = hidden_markov()
    net = template.unroll(1)
    assert net.variables == (frame_name("z", 1), frame_name("x", 1)) == ("z_1", "x_1")
    np.testing.assert_array_equal(net.cpt("x_1"), template.initial.cpt("x"))
    assert net.states["x_1"] == (0, 1)


def test_frames_with_equal_variables_keep_apart_names_that_end_in_numbers():
    one = np.ones(1)
    initial = WorldNet({"a": ("s",), "a_1": ("s",)}, {}, {"a": one, "a_1": one})
    net = TwoSliceNet(initial, {}, {"a": one, "a_1": one}).unroll(2)
    assert net.variables == ("a_1", "a_1_1", "a_2", "a_1_2")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"cpts": {"z": STAY}}, "do not have the same variables"),
        ({"cpts": {"z": STAY, "x": SHOW, "w": STAY}}, "do not have the same variables"),
        ({"parents": {"z": ("z[t-1]",), "x": ("z",), "w": ()}}, "unknown variable"),
        ({"parents": {"z": ("w[t-1]",), "x": ("z",)}}, "a parent is missing"),
        ({"parents": {"z": ("x",), "x": ("z",)}}, "cycle"),
        ({"cpts": {"z": STAY * 0.9, "x": SHOW}}, "does not sum to 1"),
    ],
)
def test_a_template_that_makes_no_net_is_refused_when_it_is_built(changes, what):
    with pytest.raises(NetError, match=what):
        hidden_markov(**changes)


def test_the_mark_of_the_frame_before_is_reserved():
    initial = WorldNet({"z[t-1]": ("a",)}, {}, {"z[t-1]": np.ones(1)})
    with pytest.raises(NetError, match="reserved"):
        TwoSliceNet(initial, {}, {"z[t-1]": np.ones(1)})


def test_a_clip_has_at_least_one_frame():
    with pytest.raises(NetError, match="at least one frame"):
        hidden_markov().unroll(0)


def test_a_template_is_not_changed_from_outside():
    parents = {"z": ("z[t-1]",), "x": ("z",)}
    template = hidden_markov(parents=parents)
    parents["z"] = ()
    assert template.unroll(2).parents("z_2") == ("z_1",)
    build, arguments = template.__reduce__()
    np.testing.assert_array_equal(joint(build(*arguments).unroll(2)), joint(template.unroll(2)))
