"""Classes of world-models by their logits: what is shared, what is known, what is free."""

import numpy as np
import pytest

from worldnets import Inference, WorldNet, load_dataset
from worldnets.errors import LearningError
from worldnets.learning.model_class import (
    FLOOR,
    ModelClass,
    certain_states,
    shared_tables,
    template_of,
    with_states,
    without_arrows,
)


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=4)


@pytest.fixture(scope="module")
def tied(vault):
    return ModelClass.of(vault.net, vault.template.variables, vault.roles["schedule"])


def test_frames_from_the_second_on_share_their_tables(vault, tied):
    assert shared_tables(vault.net, vault.template.variables)["door_4"] == "door_2"
    assert "camera_2" not in tied.free.variables
    assert {"door_1", "door_2"} <= set(tied.free.variables)
    assert "door_3" not in tied.free.variables
    net = tied.net_of(tied.entries(tied.probabilities(np.random.default_rng(0).normal(size=len(tied)))))
    assert np.array_equal(net.cpt("door_4"), net.cpt("door_2"))
    assert not np.array_equal(net.cpt("sensor_1"), net.cpt("sensor_2"))
    assert np.array_equal(net.cpt("camera_3"), vault.net.cpt("camera_3"))


def test_logits_of_a_net_give_its_tables_back_down_to_the_floor(vault, tied):
    net = tied.net_of(tied.entries(tied.probabilities(tied.logits_of(vault.net))))
    for v in vault.net.variables:
        np.testing.assert_allclose(net.cpt(v), vault.net.cpt(v), atol=3 * FLOOR)


def test_probabilities_are_distributions_whatever_the_size_of_the_logits(tied):
    for scale in (0.0, 1.0, 1e3):
        p = tied.probabilities(scale * np.random.default_rng(1).normal(size=len(tied)))
        sums = np.add.reduceat(p, tied.free.row_start)
        np.testing.assert_allclose(sums, 1, atol=1e-14)


def test_a_gradient_in_the_logits_sums_to_nothing_in_each_distribution(tied):
    rng = np.random.default_rng(2)
    p = tied.probabilities(rng.normal(size=len(tied)))
    gradient = tied.gradient(p, rng.normal(size=len(tied.every)))
    np.testing.assert_allclose(np.add.reduceat(gradient, tied.free.row_start), 0, atol=1e-12)


def test_an_unrolled_net_gives_its_template_back(vault):
    template = template_of(vault.net, vault.template.variables)
    assert dict(template.parents) == dict(vault.template.parents)
    again = template.unroll(4)
    for v in vault.net.variables:
        assert again.parents(v) == vault.net.parents(v)
        assert np.array_equal(again.cpt(v), vault.net.cpt(v))


def test_without_arrows_every_node_keeps_its_marginal(vault):
    flat = without_arrows(vault.net)
    assert not any(flat.parent_sets.values())
    beliefs = Inference(vault.net).query()
    for v in vault.net.variables:
        np.testing.assert_allclose(flat.cpt(v), beliefs[v][0], atol=1e-12)


def test_nodes_without_chance_are_found_with_their_states(vault):
    found = certain_states(vault.net)
    assert list(found) == [f"camera_{t}" for t in range(1, 5)]
    clip = vault.simulate(1, 0)[0]
    assert all(clip[vault.net.index[v]] == state for v, state in found.items())


def test_other_states_make_tables_uniform_and_leave_the_rest(vault):
    net = with_states(vault.net, {"robber_1": 5})
    assert net.states["robber_1"] == (0, 1, 2, 3, 4)
    assert (net.cpt("robber_1") == 0.2).all()
    assert net.cpt("door_1").shape == (5, 2)
    assert (net.cpt("door_1") == 0.5).all()
    assert np.array_equal(net.cpt("sensor_3"), vault.net.cpt("sensor_3"))


def test_what_cannot_be_is_refused(vault):
    kinds = vault.template.variables
    with pytest.raises(LearningError, match=r"'door_2'.*known for some of its nodes; found door_3"):
        ModelClass.of(vault.net, kinds, ["door_3"])
    with pytest.raises(LearningError, match=r"no such node; found 'dor'.*did you mean 'door'"):
        ModelClass.of(vault.net, kinds, ["dor"])
    with pytest.raises(LearningError, match="nothing to learn"):
        ModelClass.of(vault.net, kinds, kinds)
    with pytest.raises(LearningError, match="no unrolled two-slice net"):
        ModelClass.of(load_dataset("cue_parity").net, ["cue"])
    with pytest.raises(LearningError, match="another structure"):
        ModelClass.of(vault.net).tables_of(without_arrows(vault.net))
    with pytest.raises(LearningError, match="a number of states that is none; found 0"):
        with_states(vault.net, {"door_1": 0})


def test_frames_that_differ_cannot_share_tables():
    states = dict.fromkeys(("a_1", "b_1", "a_2", "b_2", "a_3", "b_3"), (0, 1))
    parents = {"a_2": ("a_1",), "a_3": ("b_2",)}
    half = {v: np.full((2,) * (len(parents.get(v, ())) + 1), 0.5) for v in states}
    with pytest.raises(LearningError, match=r"'a_3'.*different families cannot share a table"):
        ModelClass.of(WorldNet(states, parents, half), ["a", "b"])
