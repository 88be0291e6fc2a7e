"""Proxy losses against sums over whole joint tables."""

import numpy as np
import pytest
from hypothesis import given, settings

from probes.organisms.world_models import blurred, small_vault
from probes.purity.losses import proxy_losses
from tests.probes.purity.worlds import bits, marginal, worlds
from worldnets import load_dataset
from worldnets.inference import Inference
from worldnets.net import WorldNet
from worldnets.objectives.base import REGISTRY

EVERY = ("world", "likelihood", "continuation", "continuation_all", "question", "question_human")


def losses(dataset, model, names=EVERY, objective="", clips=4096):
    found = proxy_losses(dataset, model, Inference(dataset.net), objective, names, clips, 0)
    return {loss.objective: loss for loss in found}


def cross(p, q):
    seen = p > 0
    with np.errstate(divide="ignore"):
        return float(-(p[seen] * np.log2(q[seen])).sum())


@given(worlds())
@settings(max_examples=30)
def test_losses_of_a_static_world_are_cross_entropies_of_its_joint_table(world):
    dataset, model = world
    net, engine = dataset.net, Inference(model)
    found = losses(dataset, model)
    assert set(found) == {"world", "likelihood", "question"}
    every, seen = net.variables, dataset.roles["observed"]
    asked = dataset.task("question").targets[0].variables
    wanted = {
        "world": cross(marginal(net, every), marginal(model, every)),
        "likelihood": cross(marginal(net, seen), marginal(model, seen)),
        "question": cross(marginal(net, [*seen, *asked]), marginal(model, [*seen, *asked]))
        - cross(marginal(net, seen), marginal(model, seen)),
    }
    least = {
        "world": bits(marginal(net, every)),
        "likelihood": bits(marginal(net, seen)),
        "question": bits(marginal(net, [*seen, *asked])) - bits(marginal(net, seen)),
    }
    for name, loss in found.items():
        assert loss.exact
        if np.isfinite(wanted[name]):
            assert loss.of(engine) == pytest.approx(wanted[name], abs=1e-8)
        assert loss.least == pytest.approx(least[name], abs=1e-8)
        assert loss.least <= loss.surface + 1e-9


def test_the_loss_of_a_clip_is_what_training_reports():
    # One seed at step 0: the trace's loss is that of its first batch, the probe's that of the whole world.
    import worldnets as wn

    dataset = small_vault()
    for objective in ("continuation", "question", "world", "likelihood"):
        trace = wn.train(
            dataset, "world_model", objective, seeds=1, steps=1, batch=20_000, optimizer="sgd", checkpoints=[0, 1]
        )
        found = losses(dataset, dataset.net, (), objective)[objective]
        assert found.of(Inference(trace.world_model(0, 0))) == pytest.approx(trace.losses[0, 0], abs=0.05)


def test_large_worlds_and_human_labels_are_answered_from_clips():
    dataset = load_dataset("vault", frames=7)
    found = losses(dataset, dataset.net, ("likelihood", "question_human", "continuation"), clips=2048)
    assert not any(loss.exact for loss in found.values())
    assert np.isnan(found["question_human"].least)
    engine = Inference(dataset.net)
    assert found["likelihood"].of(engine) == pytest.approx(found["likelihood"].least)
    human = dataset.world.labeller.net
    assert found["question_human"].of(engine) > 0.1  # W* is no human
    assert "sensor_1" not in human.index


def test_what_a_world_model_or_a_dataset_lacks_has_no_loss():
    dataset = small_vault()
    part = dataset.net.subnet([v for v in dataset.net.variables if v != "sensor_3"])
    assert set(losses(dataset, part)) == {"continuation", "continuation_all", "question", "question_human"}
    assert losses(load_dataset("cue_parity"), load_dataset("cue_parity").net, ("continuation",)) == {}


def test_a_world_model_that_holds_impossible_what_happens_has_an_infinite_loss():
    net = small_vault().net
    tables = {v: np.asarray(net.cpt(v)) for v in net.variables}
    tables["pixel1_3"] = np.broadcast_to([1.0, 0.0], tables["pixel1_3"].shape)
    engine = Inference(WorldNet(net.states, net.parent_sets, tables))
    for loss in losses(small_vault(), net, ("world", "likelihood", "continuation")).values():
        assert loss.of(engine) == np.inf


def test_another_structure_is_asked_for_its_own_families():
    dataset = small_vault()
    net, engine = dataset.net, Inference(dataset.net)
    apart = {v: engine.joint(None, [v])[0] for v in net.variables}
    alone = WorldNet(net.states, {}, apart)
    (loss,) = losses(dataset, alone, ("world",)).values()
    assert loss.of(Inference(alone)) == pytest.approx(sum(map(bits, apart.values())))
    assert loss.of(engine) == pytest.approx(loss.least)


def test_the_loss_of_a_judge_is_its_score_turned_round(monkeypatch):
    from worldnets.objectives.scorer import Scored

    monkeypatch.setattr(Scored, "world_model_gradient", lambda self, dataset, net: (len(net.variables) / 8, {}))
    dataset = small_vault()
    (loss,) = losses(dataset, dataset.net, (), "scorer").values()
    assert loss.of(Inference(blurred(dataset.net, 0.1))) == loss.least == len(dataset.net.variables) / 8
    assert np.isnan(loss.surface)
    assert "scorer" in REGISTRY
