"""Good world-models and corrupted ones."""

import numpy as np
import pytest

from worldnets import Inference, load_dataset
from worldnets.learning.corruption import DAMAGE, NONE, Damager, gallery, refitted
from worldnets.learning.model_class import ModelClass


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=4)


@pytest.fixture(scope="module")
def model_class(vault):
    return ModelClass.of(vault.net, vault.template.variables, vault.roles["schedule"])


@pytest.fixture(scope="module")
def damager(vault, model_class):
    return Damager.of(vault, model_class, vault.roles["observed"])


@pytest.fixture(scope="module")
def truth(vault, model_class):
    return model_class.tables_of(vault.net)


def damaged(damager, truth, kind, grade, seed=0):
    return damager.damaged(truth, kind, grade, np.random.default_rng(seed))


def test_tables_counted_from_more_clips_are_nearer_to_the_worlds(vault, model_class):
    truth = Inference(vault.net).log_evidence(clips := vault.simulate(3000, 9))

    def far(count):
        """KL(W*‖W) over all nodes; about parameters that matter / (2·clips), nats."""
        nets = [model_class.net_of(model_class.entries(refitted(vault, model_class, count, s))) for s in range(4)]
        return np.mean([(truth - Inference(net).log_evidence(clips)).mean() for net in nets])

    assert 0 < far(5000) < far(200) / 8


def test_where_nothing_was_counted_the_worlds_own_numbers_stand(vault, model_class, truth):
    one = model_class.by_table(refitted(vault, model_class, 1, 0))
    true = model_class.by_table(truth)
    rows = (one["robber_2"] == true["robber_2"]).all(axis=-1)
    assert rows.any()


def test_specimens_are_half_good_and_the_same_every_time(vault, model_class):
    made, again = (gallery(vault, model_class, vault.roles["observed"], 12, seed=3) for _ in range(2))
    assert [one.damage for one in made[:12]] == [NONE] * 12
    assert {one.damage for one in made[12:]} == set(DAMAGE)
    for one, other in zip(made, again, strict=True):
        assert (one.damage, one.grade) == (other.damage, other.grade)
        assert all(np.array_equal(one.net.cpt(v), other.net.cpt(v)) for v in one.net.variables)
    assert all(0.02 <= one.grade <= 1 for one in made[12:])


@pytest.mark.parametrize("kind", sorted(DAMAGE))
def test_damage_leaves_what_is_known_and_changes_the_world(vault, damager, truth, kind):
    net = damaged(damager, truth, kind, 0.5)
    assert all(np.array_equal(net.cpt(v), vault.net.cpt(v)) for v in vault.roles["schedule"])
    changed = [v for v in net.variables if net.parents(v) != vault.net.parents(v) or
               not np.allclose(net.cpt(v), vault.net.cpt(v))]  # fmt: skip
    assert changed


@pytest.mark.parametrize("kind", ["noise", "sharpened", "uniform_latents"])
def test_damage_by_degrees_vanishes_with_its_grade(vault, damager, truth, kind):
    net = damaged(damager, truth, kind, 0.0)
    for v in vault.net.variables:
        np.testing.assert_allclose(net.cpt(v), vault.net.cpt(v), atol=1e-12)


def test_with_all_arrows_cut_parents_say_nothing(damager, truth, vault):
    net = damaged(damager, truth, "cut_arrows", 1.0)
    table = net.cpt("door_2")
    assert np.ptp(table.reshape(-1, 2), axis=0).max() < 1e-12
    some = damaged(damager, truth, "cut_arrows", 0.02)
    assert sum(not np.allclose(some.cpt(v), vault.net.cpt(v)) for v in ("robber_2", "door_2", "diamond_2")) <= 1


def test_uniform_latents_are_uniform_at_full_grade_and_observables_keep_their_tables(damager, truth, vault):
    net = damaged(damager, truth, "uniform_latents", 1.0)
    np.testing.assert_allclose(net.cpt("robber_3"), 1 / 3)
    assert np.allclose(net.cpt("sensor_3"), vault.net.cpt("sensor_3"))


def test_permuted_states_permute_a_latents_own_table_and_no_childs(damager, truth, vault):
    net = damaged(damager, truth, "permuted_states", 1.0)
    for v in ("diamond_1", "diamond_2"):
        np.testing.assert_allclose(net.cpt(v), vault.net.cpt(v)[..., ::-1], atol=1e-12)
    assert np.allclose(net.cpt("pixel1_2"), vault.net.cpt("pixel1_2"))


def test_swapped_frames_show_what_the_other_frame_would(damager, truth, vault):
    net = damaged(damager, truth, "swapped_frames", 1.0, seed=1)
    one, other = Inference(net).query(), Inference(vault.net).query()
    swapped = {
        t: next(s for s in range(1, 5) if np.allclose(one[f"sensor_{t}"], other[f"sensor_{s}"])) for t in range(1, 5)
    }
    assert all(swapped[s] == t and s != t for t, s in swapped.items())
    for t, s in swapped.items():
        np.testing.assert_allclose(one[f"pixel1_{t}"], other[f"pixel1_{s}"], atol=1e-12)
        np.testing.assert_allclose(one[f"diamond_{t}"], other[f"diamond_{t}"], atol=1e-12)


def test_a_world_without_time_or_latents_is_damaged_in_fewer_ways():
    dataset = load_dataset("cue_parity")
    every = Damager.of(dataset, ModelClass.of(dataset.net), dataset.net.variables)
    assert set(every.kinds()) == {"noise", "sharpened", "cut_arrows"}
