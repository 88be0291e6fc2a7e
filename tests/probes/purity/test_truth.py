"""What W* says, against sums over its whole joint table."""

import numpy as np
import pytest
from hypothesis import given, settings

from probes.organisms.world_models import small_truth, small_vault
from probes.purity.truth import Sampling, configurations, kinds_of, truth
from tests.probes.purity.worlds import bits, marginal, mutual, static_dataset, worlds
from worldnets import load_dataset
from worldnets.errors import ProbeError
from worldnets.net import WorldNet

QUIET = Sampling(losses=())


@given(worlds())
@settings(max_examples=40)
def test_structure_information_and_posteriors_are_those_of_the_joint_table(world):
    dataset, _ = world
    net, found = dataset.net, truth(dataset, dataset.net, QUIET)
    seen = found.observed
    assert found.exact
    assert found.weight.sum() == pytest.approx(1)
    alone = sum(bits(marginal(net, [v])) for v in seen)
    assert found.structure == pytest.approx(alone - bits(marginal(net, seen)), abs=1e-9)
    np.testing.assert_allclose(found.weight, marginal(net, seen).ravel(), atol=1e-12)
    for kind, nodes in found.latents.items():
        assert nodes == (kind,)
        assert found.information[kind] == pytest.approx(mutual(net, kind, seen), abs=1e-9)
        both = marginal(net, [*seen, kind]).reshape(len(found.rows), -1)
        np.testing.assert_allclose(found.weight[:, None] * found.posterior[kind], both, atol=1e-12)


def test_latents_of_one_kind_stand_together_in_time_order_and_nodes_without_chance_are_no_latents():
    kinds = kinds_of(load_dataset("vault", frames=11, pixels=1))
    assert list(kinds) == ["robber", "door", "diamond", "tampering"]
    assert kinds["door"] == tuple(f"door_{t}" for t in range(1, 12))


def test_clips_give_what_enumeration_gives_within_their_error():
    exact, sampled = small_truth(QUIET), small_truth(Sampling(method="sample", clips=16384, losses=()))
    assert (sampled.exact, sampled.clips, exact.clips) == (False, 16384, 0)
    error = sampled.structure_groups.std(ddof=1) / 4
    assert abs(sampled.structure - exact.structure) < 4 * error < 0.1
    for kind, information in exact.information.items():
        groups = sampled.information_groups[kind]
        assert groups.mean() == pytest.approx(sampled.information[kind])
        assert abs(sampled.information[kind] - information) < 4 * groups.std(ddof=1) / 4 < 0.15


def test_groups_of_clips_are_fitted_crosswise():
    sampled = small_truth(Sampling(method="sample", clips=64, groups=4, losses=()))
    even, odd = sampled.fitting
    np.testing.assert_allclose(even, sampled.groups[[1, 3]].mean(0))
    np.testing.assert_allclose(odd, sampled.groups[[0, 2]].mean(0))
    assert len(small_truth(QUIET).fitting) == 1


def test_only_shared_names_are_compared():
    dataset = small_vault()
    part = dataset.net.subnet([v for v in dataset.net.variables if not v.startswith(("sensor", "tampering", "pixel"))])
    with pytest.raises(ProbeError, match="none of the observables"):
        truth(dataset, part, QUIET)
    human = dataset.world.labeller.net
    found = truth(dataset, human, QUIET)
    assert found.observed == tuple(f"pixel1_{t}" for t in (1, 2, 3))
    assert list(found.latents) == ["robber", "door", "diamond"]


def test_other_states_of_an_observable_and_worlds_that_say_nothing_are_refused():
    dataset = small_vault()
    net = dataset.net
    states = dict(net.states) | {"pixel1_1": ("black", "white")}
    with pytest.raises(ProbeError, match=r"other states.*pixel1_1|pixel1_1.*other states"):
        truth(dataset, WorldNet(states, net.parent_sets, net.cpts), QUIET)
    few = Sampling(method="sample", clips=3, groups=2)
    with pytest.raises(ProbeError, match="too few clips"):
        truth(dataset, net, few)
    large = load_dataset("vault", frames=7)
    with pytest.raises(ProbeError, match="too many configurations"):
        truth(large, large.net, Sampling(method="enumerate"))


def test_configurations_count_with_the_last_variable_fastest():
    net = WorldNet({"a": (0, 1), "b": (0, 1, 2), "c": (0, 1)}, {}, {"a": [0.5] * 2, "b": [1 / 3] * 3, "c": [0.5] * 2})
    codes = configurations(net, ["c", "b"])
    assert codes[:, 0].tolist() == [-1] * 6
    assert codes[:, [2, 1]].tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_a_world_without_a_word_on_what_is_seen_is_refused():
    dataset = static_dataset(small_vault().net, ["pixel1_1"])
    object.__setattr__(dataset.world, "roles", {})
    with pytest.raises(ProbeError, match="what is observed"):
        truth(dataset, dataset.net, QUIET)
