"""Planted pairs of runs get the verdicts they were planted for; `probes validate crowding` has the whole table."""

import numpy as np
import pytest

from probes.organisms.crowding import WORLDS, planted, plants, twin_of
from probes.validity import validate

PLANTS = {plant.name: plant for plant in plants()}


@pytest.mark.parametrize("name", [name for name, plant in PLANTS.items() if plant.role == "right"])
def test_organisms_with_one_answer_get_it(name):
    (score,) = validate("crowding", 20, only=[name])
    assert score.share.estimate >= 0.9, score.others


@pytest.mark.parametrize("name", [name for name, plant in PLANTS.items() if plant.role == "null"])
def test_what_is_not_there_is_hardly_ever_claimed(name):
    (score,) = validate("crowding", 60, only=[name])
    assert score.share.estimate <= 0.15, score.others  # .05 at most in truth: 60 repeats exceed .15 once in a thousand


@pytest.mark.parametrize("name", [name for name, plant in PLANTS.items() if plant.role == "power"])
def test_stated_effects_are_found(name):
    (score,) = validate("crowding", 20, only=[name])
    assert score.share.estimate >= 0.8, score.others


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("redrawn", [False, True])
def test_weights_of_one_are_the_exact_predictor(world, redrawn):
    table = twin_of(WORLDS[world]()) if redrawn else WORLDS[world]()
    exact = (table / table.sum(-1, keepdims=True)).reshape(4, 2)
    np.testing.assert_allclose(np.exp(planted(WORLDS[world](), redrawn, np.ones((2, 1, 1))))[0, 0], exact)


def test_a_twins_cue_tells_nothing_and_is_distributed_as_before():
    for make in WORLDS.values():
        table = make()
        twin = twin_of(table)
        np.testing.assert_allclose(twin.sum((1, 2)), table.sum((1, 2)))
        np.testing.assert_allclose(twin.sum(0), table.sum(0))
        np.testing.assert_allclose(twin.sum(1), np.outer(table.sum((1, 2)), table.sum((0, 1))))
