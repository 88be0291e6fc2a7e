"""Usual growths: by evidence radius, by model class, by rounds."""

import numpy as np
import pytest

import worldnets as wn
from worldnets.errors import LearningError, TrainingError
from worldnets.heads.growing import GrowingInputs
from worldnets.inference import simulate
from worldnets.learning import Rows, held_out_bits, tied_expectation_maximisation
from worldnets.learning.growth import by_class, by_radius, by_rounds
from worldnets.worlds.hidden_markov import zero_one_random


@pytest.fixture(scope="module")
def vault():
    return wn.load_dataset("vault", frames=4)


def test_by_radius_goes_down_the_ladder_and_reversed_up(vault):
    growth = by_radius(vault, "continuation", shares=[1, 1, 2])
    task = vault.task("continuation")
    rungs = task.ladders["next_frame"]
    assert [set(stage.evidence) for stage in growth.stages] == [
        set(rungs[0]), {*rungs[0], *rungs[1]}, set(task.evidence),
    ]  # fmt: skip
    upwards = growth.reversed()
    assert [set(stage.evidence) for stage in upwards.stages] == [
        set(rungs[2]), {*rungs[1], *rungs[2]}, set(task.evidence),
    ]  # fmt: skip
    assert growth.starts(100) == upwards.starts(100) == (0, 25, 50)


def test_by_radius_may_go_by_distance_in_the_net():
    alarm = wn.load_dataset("alarm")
    objective = alarm.objectives[0]
    task = alarm.task(objective)
    growth = by_radius(alarm, objective, ladder="distance")
    assert growth.last.evidence == task.evidence
    sizes = [len(stage.evidence) for stage in growth.stages]
    assert sizes == sorted(set(sizes))


def test_by_rounds_ends_on_exact_beliefs(vault):
    growth = by_rounds(vault.net)
    assert [stage.rounds for stage in growth.stages] == [1, 2, 4, None]
    assert [stage.name for stage in growth.reversed().stages] == ["4 rounds", "2 rounds", "1 round", "exact"]


def test_by_class_learns_richer_and_richer_models_of_the_same_rows():
    world = zero_one_random(frames=6)
    template, net = world.template, world.net
    hidden = [i for i, v in enumerate(net.variables) if v.startswith("state")]
    shown = [i for i in range(len(net.variables)) if i not in hidden]
    states = {net.variables[i]: net.states[net.variables[i]] for i in shown}
    train, test = (Rows(states, np.array(simulate(net, rows, seed))[:, shown]) for rows, seed in ((1500, 1), (3000, 2)))
    growth = by_class(train, with_latents=template, restarts=4, options={"latents": {"iterations": 100}})
    assert [stage.name for stage in growth.stages] == ["marginals", "tree", "full", "latents"]
    bits = [held_out_bits(stage.world_model, test).bits for stage in growth.stages]
    assert bits[0] > bits[1] > bits[2] > bits[3]
    assert bits[3] - held_out_bits(net, test).bits < 0.1
    assert not any(growth.stages[0].world_model.parent_sets.values())
    task = world.tasks["continuation"]
    view = GrowingInputs(net, task, growth, 40)
    assert view.variables == (*task.latents, *task.targets[0].variables)
    codes = np.array(simulate(net, 20, 3))
    for v in task.latents:  # the first three know nothing of what is hidden
        np.testing.assert_allclose(view.at(0).features(codes)[:, view.groups[v]], 1 / 3)
        assert view.at(39).features(codes)[:, view.groups[v]].std() > 0.1


def test_by_class_takes_structures_and_world_models_that_are_there_already():
    world = zero_one_random(frames=4)
    shown = [v for v in world.net.variables if v.startswith("token")]
    codes = np.array(simulate(world.net, 400, 1))[:, [world.net.index[v] for v in shown]]
    rows = Rows({v: world.net.states[v] for v in shown}, codes)
    learned = tied_expectation_maximisation(rows, world.template, restarts=1, iterations=20)
    growth = by_class(rows, structure={"token_2": ["token_1"]}, with_latents=learned, shares=[1, 2, 3, 4])
    assert growth.stage("full").world_model.parents("token_2") == ("token_1",)
    assert growth.last.world_model is learned.net
    static = by_class(rows, structure={}, with_latents=world.net, restarts=1, options={"latents": {"iterations": 5}})
    assert set(static.last.world_model.variables) == set(world.net.variables)


def test_bad_growths_are_refused(vault):
    rows = Rows({"a": (0, 1), "b": (0, 1)}, [[0, 1], [1, -1], [1, 1]])
    with pytest.raises(TrainingError, match="not as many shares as stages"):
        by_radius(vault, "continuation", shares=[1, 2])
    with pytest.raises(TrainingError, match="what is no evidence"):
        by_radius(vault, "continuation", ladder=[["door_1"]])
    with pytest.raises(LearningError, match="a missing entry"):
        by_class(rows)
    with pytest.raises(LearningError, match="options of an unknown stage"):
        by_class(rows.take(slice(0, 1)), options={"forest": {}})
