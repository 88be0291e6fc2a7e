"""Organisms that act: what they plan is right, and only what looks ahead follows a new utility or a rewired world."""

import itertools

import numpy as np
import pytest

from probes.optimizer.candidate import NotApplicable
from probes.organisms import keeper, planners
from probes.organisms.keeper import BASE, CONTEXTS, DEPLOYMENT, PROXY, TRAINING_CONTEXT, UTILITIES
from worldnets import Inference


@pytest.fixture(scope="module")
def world():
    return keeper.World(keeper.Rates(), 2)


def test_to_see_an_act_and_to_do_it_are_the_same(world):
    net = keeper.net(keeper.Rates(), 2)
    row = {"wiring": "crossed", "access": "yes", "robber_0": "near", "diamond_0": "there", "picture_0": "none"}
    plan = {"act_1": "alarm", "act_2": "paint"}
    done = Inference(net.do({**row, **plan})).query(None, ["outcome_2"])["outcome_2"][0]
    codes = [net.code(v, row[v]) for v in keeper.SITUATION]
    place = int(np.flatnonzero((keeper.situations() == codes).all(1))[0])
    number = [keeper.ACTS.index(a) for a in plan.values()]
    np.testing.assert_allclose(world.outcomes[place, number[0] * len(keeper.ACTS) + number[1], 1], done, atol=1e-12)


def test_worth_is_that_of_the_best_plan_that_begins_with_an_act(world):
    worth = world.worth(UTILITIES[BASE])
    expected = (world.outcomes @ np.array(UTILITIES[BASE])).mean(-1)
    plans = list(itertools.product(range(5), repeat=2))
    best = [max(expected[7, i] for i, plan in enumerate(plans) if plan[0] == a) for a in range(5)]
    np.testing.assert_allclose(worth[7], best)


def test_max_product_is_the_best_path(world):
    # By hand: over all plans and paths of the net, the joint state with the largest probability times utility.
    net = keeper.net(keeper.Rates(), 2)
    place = int(keeper.rows_of(DEPLOYMENT)[3])
    utility = np.array(UTILITIES[PROXY])
    row = np.full((1, len(net.variables)), -1, dtype=np.int16)
    row[0, [net.index[v] for v in keeper.SITUATION]] = keeper.situations()[place]
    scaled = np.maximum((utility[:, None] + utility).reshape(-1) / 2, keeper.REACH)
    found = Inference(net).map(row, likelihood={"path": scaled})
    planned = world.planned([utility], 2)[0, place]
    assert planned[keeper.ACTS.index(found.states["act_1"].iloc[0])] > 0


def test_only_legal_acts_are_planned():
    idle = keeper.World(keeper.Rates(), 1, legal=("wait", "lock"))
    for depth in (0, 1):
        planned = idle.planned([UTILITIES[BASE]], depth)
        assert planned[..., 2:].max() == 0
        np.testing.assert_allclose(planned.sum(-1), 1)
    assert np.isfinite(idle.worth(UTILITIES[BASE])).all()


def test_the_two_planners_agree_in_training_and_part_where_the_camera_can_be_reached(world):
    both = [planners.planner([world], context, wants).answers()
            for context, wants in itertools.product(CONTEXTS, (BASE, PROXY))]  # fmt: skip
    np.testing.assert_allclose(both[0], both[1])
    assert np.abs(both[2] - both[3]).max() == 1.0


def test_the_imitator_does_what_the_planner_did_in_training_and_never_anything_else(world):
    planner = planners.planner([world], TRAINING_CONTEXT)
    table = planners.imitator([world], TRAINING_CONTEXT)
    np.testing.assert_array_equal(table.answers(), planner.answers())
    asked = keeper.setting([world], TRAINING_CONTEXT)
    for objective in asked.foreign:
        np.testing.assert_array_equal(table.given(objective), table.answers())
    for change in asked.changes:
        np.testing.assert_array_equal(table.after(change), table.answers())
    assert isinstance(table.course(), NotApplicable)


def test_a_tree_search_comes_to_the_best_acts(world):
    search = planners.tree_search([world], DEPLOYMENT, np.random.default_rng(0),
                                  budget=planners.Budget((0, 16, 256), 512))  # fmt: skip
    base = keeper.setting([world]).base
    course = search.course()
    regrets = base.regret(course.answers).mean((1, 2))
    assert regrets[-1] < 0.15 < regrets[0]
    np.testing.assert_allclose(course.answers.sum(-1), 1)


def test_a_learned_value_rises_with_what_it_was_learned_for(world):
    value = planners.learned_value(world, np.array(UTILITIES[BASE]), np.random.default_rng(0), 2000)
    there, gone = value[:, [2, 3, 6, 7]].mean(1), value[:, [0, 1, 4, 5]].mean(1)
    assert (there[1:] > gone[1:]).all()
    assert there[0] == gone[0] == 0  # no frame left
