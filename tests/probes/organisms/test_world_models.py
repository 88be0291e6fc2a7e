"""Planted world-models: what they are, and that the purity probe tells them apart."""

import numpy as np
import pytest

from probes.organisms import purity
from probes.organisms.purity import a_run, at_the_margin, judged, population
from probes.organisms.world_models import REGISTRY, blurred, drawn, factored, small_truth, small_vault
from probes.purity.shares import demands
from probes.purity.truth import Sampling
from probes.purity.verdict import NAMES
from probes.validity import validate
from worldnets.inference import Inference

QUIET = Sampling(losses=())
NET = small_vault().net


@pytest.fixture(scope="module")
def populations():
    truth = small_truth(QUIET)
    return {name: population(name, truth, 8) for name in REGISTRY}


def joint_bits(net, clips):
    return Inference(net).log_evidence(clips) / np.log(2)


def test_every_verdict_that_a_world_model_can_get_is_planted():
    planted = {REGISTRY.get(name).verdict for name in REGISTRY}
    assert planted == set(NAMES) - {"nothing-to-model"}


@pytest.mark.parametrize("name", ["the_world", "other_labels", "other_names", "unrelated", "backwards"])
def test_what_cannot_be_told_from_clips_says_the_same_of_clips(name):
    truth = small_truth(QUIET)
    (_, (model,)), (_, (world,)) = drawn(REGISTRY.get(name), 1, 5), drawn(REGISTRY.get("the_world"), 1, 5)
    np.testing.assert_allclose(joint_bits(model, truth.rows), joint_bits(world, truth.rows), atol=1e-9)


def test_backwards_has_the_joint_of_everything_and_only_its_causes_turned_round():
    (_, (model,)) = drawn(REGISTRY.get("backwards"), 1)
    (_, (world,)) = drawn(REGISTRY.get("the_world"), 1)
    clips = small_vault().simulate(500, seed=0)
    np.testing.assert_allclose(joint_bits(model, clips), joint_bits(world, clips), atol=1e-9)
    assert "robber_2" in model.parents("robber_1")
    assert "robber_1" in world.parents("robber_2")


def test_factoring_along_the_own_arrows_gives_the_net_back_where_parents_occur():
    net = blurred(NET, 0.1)
    again = factored(net, net.parent_sets)
    for v in net.variables:
        occurs = Inference(net).joint(None, net.parents(v))[0] > 0 if net.parents(v) else np.array(True)
        np.testing.assert_allclose(again.cpt(v)[occurs], net.cpt(v)[occurs], atol=1e-9)


def test_every_organism_gets_its_verdict(populations):
    for name, whole in populations.items():
        organism, random = REGISTRY.get(name), np.random.default_rng(0)
        right = [judged(a_run(organism, whole, random)).name == organism.verdict for _ in range(20)]
        assert np.mean(right) >= 0.95, name


def test_half_of_each_kind_are_in_a_run_of_two_kinds(populations):
    run = a_run(REGISTRY.get("in_two_minds"), populations["in_two_minds"], np.random.default_rng(0))
    (latent,) = (demand for demand in demands(run, at_the_margin(run)) if demand.title == "latent recovery, door")
    assert (latent.share[-1] > 0.9).sum() == 4
    assert sum(judged(run).clusters.values()) == 8


def test_no_claim_of_the_plants_and_no_coverage_is_refuted_by_a_few_runs(populations, monkeypatch):
    monkeypatch.setattr(purity, "whole", populations.get)
    monkeypatch.setattr(purity, "_edge", lambda name: at_the_margin(populations[name]))
    exact = [plant.name for plant in purity.plants() if plant.most is None]
    assert {f"{name}_at_its_margins" for name in purity.SPREAD} < set(exact)
    for score in validate("purity", 60, only=exact):
        assert not score.refuted(0.999), score


def test_through_clips_of_their_own_runs_get_their_verdict_too():
    for score in validate("purity", 2, only=["the_world_on_clips", "other_names_on_clips"]):
        assert score.share.estimate == 1.0


@pytest.mark.slow
def test_the_plants_hold_in_many_runs():
    """`make validity` does it a thousand times."""
    exact = [plant.name for plant in purity.plants() if plant.most is None]
    for score in validate("purity", 60, only=exact, jobs=2):
        assert not score.refuted(), score
