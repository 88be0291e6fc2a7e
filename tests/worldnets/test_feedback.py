"""Forecasts that feed back: the world under a publisher is what message passing says of it, whatever is published."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldnets import Inference, load_dataset
from worldnets.errors import DatasetError
from worldnets.feedback import (
    FORECAST,
    FORECASTS,
    easiest,
    feedback_of,
    feedback_of_template,
    hardness,
    played,
    published,
    reacting,
    settled,
    with_feedback,
)
from worldnets.net import WorldNet
from worldnets.roles import World
from worldnets.temporal import PREVIOUS, TwoSliceNet


def hidden_world(seed=0, reaction="towards", strength=0.4):
    """A hidden state that moves, a sign of it that is seen and forecast; tables at random."""
    random = np.random.default_rng(seed)
    table = lambda *shape: random.dirichlet(np.ones(shape[-1]), size=shape[:-1])
    states = {"hidden": (0, 1, 2), "sign": ("no", "yes")}
    start = WorldNet(states, {"sign": ("hidden",)}, {"hidden": random.dirichlet(np.ones(3)), "sign": table(3, 2)})
    parents = {"hidden": ("hidden" + PREVIOUS, "sign" + PREVIOUS), "sign": ("hidden",)}
    template = TwoSliceNet(start, parents, {"hidden": table(3, 2, 3), "sign": table(3, 2)})
    return with_feedback(template, "sign", ["sign"], strength, reaction)


def by_message_passing(template, feedback, q, horizon):
    """P̄(x, y) of the unrolled net with q in the forecast's place."""
    net = published(template, q).unroll(horizon + 1)
    engine = Inference(net)
    blank = np.full((1, len(net.variables)), -1, dtype=np.int16)
    found = 0.0
    for t in range(1, horizon + 1):
        asked = [f"{v}_{t}" for v in feedback.seen] + [f"{feedback.predicted}_{t + 1}"]
        found = found + engine.joint(blank, asked)[0].reshape(feedback.configurations, feedback.forecasts)
    return found / horizon


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["towards", "away"]), st.integers(1, 4))
def test_the_world_under_a_publisher_is_that_of_message_passing_hidden_states_included(seed, reaction, horizon):
    template = hidden_world(seed, reaction)
    feedback = feedback_of_template(template, FORECAST, "sign")
    q = np.random.default_rng(seed).dirichlet([1, 1], size=2)
    expected = by_message_passing(template, feedback, q, horizon)
    np.testing.assert_allclose(played(feedback, q, horizon), expected, atol=1e-12)


def test_moves_are_those_under_do_and_not_those_seen():
    template = hidden_world(3)
    feedback = feedback_of_template(template, FORECAST, "sign")
    net = template.unroll(2)
    codes = np.full((1, len(net.variables)), -1, dtype=np.int16)
    for f, label in enumerate(("no", "yes")):
        for z, (hidden, sign) in enumerate(itertools.product((0, 1, 2), ("no", "yes"))):
            done = {"hidden_1": hidden, "sign_1": sign, "forecast_1": label}
            expected = Inference(net.do(done)).joint(codes, ["hidden_2", "sign_2"])[0].reshape(-1)
            np.testing.assert_allclose(feedback.moves[f, z], expected, atol=1e-12)
    np.testing.assert_allclose(feedback.moves.sum(-1), 1)
    assert feedback.start.sum() == pytest.approx(1)


@pytest.mark.parametrize("reaction", ["towards", "away"])
@pytest.mark.parametrize("strength", [0.0, 0.5, 0.95])
def test_a_settled_forecast_is_borne_out_when_it_is_published(reaction, strength):
    feedback = feedback_of_template(hidden_world(5, reaction, strength), FORECAST, "sign")
    q = settled(feedback, 4)
    np.testing.assert_allclose(reacting(played(feedback, q, 4)), q, atol=1e-10)


def test_a_forecast_that_fulfils_itself_settles_where_nobody_listening_would_have_been():
    deaf = feedback_of(load_dataset("echo", strength=0.0))
    heard = feedback_of(load_dataset("echo", strength=0.7))
    np.testing.assert_allclose(settled(heard, 1), settled(deaf, 1), atol=1e-9)


def test_the_search_finds_the_easiest_of_all_publications_that_say_one_thing():
    for seed in range(4):
        feedback = feedback_of_template(hidden_world(seed, strength=0.6), FORECAST, "sign")
        every = np.eye(2)[np.array(list(itertools.product((0, 1), repeat=2)))]
        table, bits = easiest(feedback, 5)
        assert bits == pytest.approx(float(hardness(played(feedback, every, 5)).min()))
        assert bits == pytest.approx(float(hardness(played(feedback, table, 5))))
    feedback = feedback_of(load_dataset("echo"))
    every = np.eye(3)[np.array(list(itertools.product((0, 1, 2), repeat=6)))]
    assert easiest(feedback, 8)[1] == pytest.approx(float(hardness(played(feedback, every, 8)).min()))


def test_the_best_loss_of_a_forecaster_is_the_hardness():
    feedback = feedback_of(load_dataset("echo"))
    pairs = played(feedback, np.full((6, 3), 1 / 3), 3)
    loss = -(pairs * np.log2(reacting(pairs))).sum()
    assert float(hardness(pairs)) == pytest.approx(loss)


def test_worlds_without_feedback_and_forecasts_of_other_states_are_refused():
    with pytest.raises(DatasetError, match="no forecast feeds back"):
        feedback_of(load_dataset("vault", frames=3))
    template = hidden_world()
    cut = dict(template.parents) | {"sign": ("hidden",)}
    deaf = TwoSliceNet(template.initial, cut, dict(template.cpts) | {"sign": template.cpts["sign"][:, 0]})
    with pytest.raises(DatasetError, match="no forecast feeds back"):
        feedback_of_template(deaf, FORECAST, "sign")
    with pytest.raises(DatasetError, match="no such variable"):
        feedback_of_template(template, "prophecy", "sign")


def test_a_forecast_of_other_states_than_what_it_predicts_is_refused():
    template = hidden_world()
    states = dict(template.initial.states) | {FORECAST: ("never", "always")}
    start = WorldNet(states, template.initial.parent_sets, template.initial.cpts)
    with pytest.raises(DatasetError, match="other states"):
        feedback_of_template(TwoSliceNet(start, template.parents, template.cpts), FORECAST, "sign")
    world = load_dataset("echo").world
    roles = dict(world.roles) | {FORECASTS: ("mood_1",)}
    changed = World(world.net, world.tasks, roles, world.template, world.frames)
    dataset = load_dataset("echo")
    with pytest.raises(DatasetError, match="no forecast feeds back"):
        feedback_of(type(dataset)(dataset.name, dataset.parameters, changed))


def test_wrapping_refuses_what_is_no_feedback():
    template = hidden_world()
    bare = TwoSliceNet(
        WorldNet({"sign": ("no", "yes")}, {}, {"sign": [0.5, 0.5]}),
        {"sign": ("sign" + PREVIOUS,)},
        {"sign": [[0.9, 0.1], [0.2, 0.8]]},
    )
    for wrong, match in (
        ({"predicted": "sing"}, "no such variable"),
        ({"seen": []}, "sees nothing"),
        ({"strength": 1.2}, "no such reaction"),
        ({"reaction": "sideways"}, "no such reaction"),
    ):
        asked = {"predicted": "sign", "seen": ["sign"], "strength": 0.5, "reaction": "towards"} | wrong
        with pytest.raises(DatasetError, match=match):
            with_feedback(bare, **asked)
    with pytest.raises(DatasetError, match="already"):
        with_feedback(template, "sign", ["sign"], 0.5)
