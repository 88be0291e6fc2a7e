"""Which interventions are made, what floors they have, and which no data could teach."""

import numpy as np
import pytest

from probes.organisms.world_models import small_vault
from probes.purity.interventions import error_of
from probes.purity.truth import Sampling, truth
from tests.probes.purity.worlds import static_dataset
from worldnets import load_dataset
from worldnets.net import WorldNet

QUIET = Sampling(losses=())


def test_in_a_clip_the_second_frame_is_set_and_the_observables_from_then_on_are_looked_at():
    dataset = small_vault()
    asked = {one.kind: one for one in truth(dataset, dataset.net, QUIET).interventions}
    assert {one.node for one in asked.values()} == {"robber_2", "door_2", "diamond_2", "tampering_2"}
    assert asked["diamond"].effects == ("sensor_2", "pixel1_2", "sensor_3", "pixel1_3")
    assert asked["robber"].labels == ("away", "at_door", "inside")
    short = load_dataset("vault", frames=2, pixels=1)
    first = truth(short, short.net, Sampling(losses=(), frame=1)).interventions
    assert {one.node for one in first} == {"robber_1", "door_1", "diamond_1", "tampering_1"}


def test_a_robber_put_inside_behind_a_shut_door_is_what_no_clip_can_show():
    dataset = small_vault()
    asked = {one.kind: one for one in truth(dataset, dataset.net, QUIET).interventions}
    assert asked["robber"].unseen[2] > 0.5  # the door is shut as a rule, and never with a robber inside
    assert asked["robber"].unseen[:2].max() < 0.01
    assert asked["diamond"].unseen.max() < 0.001


def chain(z_causes_x):
    """z and x with the same joint distribution, the arrow either way."""
    both = np.array([[0.4, 0.1], [0.1, 0.4]])
    states = {"z": ("a", "b"), "x": (0, 1)}
    if z_causes_x:
        return WorldNet(states, {"x": ("z",)}, {"z": both.sum(1), "x": both / both.sum(1, keepdims=True)})
    return WorldNet(states, {"z": ("x",)}, {"x": both.sum(0), "z": (both / both.sum(0)).T})


def test_seeing_is_not_doing_where_the_arrow_points_the_other_way():
    cause, effect = (static_dataset(chain(way), ["x"]) for way in (True, False))
    (caused,) = truth(cause, cause.net, QUIET).interventions
    (alone,) = truth(effect, effect.net, QUIET).interventions
    np.testing.assert_allclose(caused.seeing, 0, atol=1e-12)
    assert caused.effect == pytest.approx([0.278, 0.278], abs=1e-3)  # 1 − H(.2)
    np.testing.assert_allclose(alone.effect, 0, atol=1e-12)
    assert alone.seeing.min() > 0.3


def test_states_that_never_occur_are_not_set_and_a_latent_without_chance_is_left_out():
    states = {"z": ("a", "b", "never"), "sure": ("yes",), "x": (0, 1)}
    tables = {"z": [0.5, 0.5, 0.0], "sure": [1.0], "x": [[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]]}
    dataset = static_dataset(WorldNet(states, {"x": ("z",)}, tables), ["x"])
    (asked,) = truth(dataset, dataset.net, QUIET).interventions
    assert (asked.node, asked.states, asked.labels) == ("z", (0, 1), ("a", "b"))


def test_the_error_is_a_sum_over_effects_and_the_variation_a_mean():
    p, q = np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    bits, variation = error_of([p, p], [q, p])
    assert bits == pytest.approx([0.5 + 0.5 * np.log2(2 / 3)])
    assert variation == pytest.approx([0.125])
    assert error_of([p], [np.array([[0.0, 1.0]])])[0] == pytest.approx([0.5 * np.log2(1e12) - 0.5])
