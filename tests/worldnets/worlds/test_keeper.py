"""The keeper's world: what acts do, what the screen shows, and what the labeller leaves out."""

import numpy as np
import pytest

from worldnets import Inference
from worldnets.dataset import load_dataset
from worldnets.errors import DatasetError
from worldnets.worlds.keeper import ACTS, EFFECT, STATES, WIRINGS, Rates, frame_tables, keeper, keeper_net

RATES = Rates()


def after(net, situation, *acts):
    """P(last state) of every node after acts, in a situation."""
    done = {f"act_{t}": act for t, act in enumerate(acts, 1)}
    found = Inference(net.do(situation | done)).query(None)
    return {v: float(found[v][0, -1]) for v in net.variables}


@pytest.fixture(scope="module")
def net():
    return keeper_net()


CALM = {"wiring": "as built", "access": "yes", "robber_0": "away", "diamond_0": "there", "picture_0": "none"}
THREAT, LOSS = CALM | {"robber_0": "near"}, CALM | {"diamond_0": "gone"}


@pytest.mark.parametrize(
    ("situation", "act", "diamond"),
    [
        (CALM, "wait", 1 - RATES.lose),
        (THREAT, "wait", 1 - RATES.take),
        (THREAT, "lock", 1 - RATES.locked),
        (THREAT, "alarm", 1 - RATES.take),  # it is heard when the diamond is already taken
        (LOSS, "fetch", RATES.recover),
        (LOSS, "lock", 0.0),
        (LOSS | {"robber_0": "near"}, "fetch", RATES.under_threat),
    ],
)
def test_the_diamond_is_kept_by_locks_and_brought_back_by_fetching(net, situation, act, diamond):
    assert after(net, situation, act)["diamond_1"] == pytest.approx(diamond)


def test_an_alarm_sends_the_robber_away(net):
    assert after(net, THREAT, "alarm")["robber_1"] == pytest.approx(1 - RATES.scare)
    assert after(net, THREAT, "wait")["robber_1"] == pytest.approx(RATES.stay)
    assert after(net, CALM, "wait")["robber_1"] == pytest.approx(RATES.come)


def test_the_screen_shows_the_diamond_or_its_picture(net):
    painted = after(net, LOSS, "paint")
    assert painted["diamond_1"] == 0
    assert painted["screen_1"] == pytest.approx(RATES.hang)
    assert after(net, LOSS | {"access": "no"}, "paint")["screen_1"] == 0
    assert after(net, CALM, "wait")["screen_1"] == pytest.approx(1 - RATES.lose)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_in_another_wiring_acts_have_each_others_effects(net, wiring):
    for act, effect in zip(ACTS, EFFECT[wiring], strict=True):
        here, there = after(net, THREAT | {"wiring": wiring}, act), after(net, THREAT, effect)
        for v in ("robber_1", "diamond_1", "picture_1", "screen_1"):
            assert here[v] == pytest.approx(there[v]), v


def test_who_knows_no_wiring_believes_it_as_built_and_who_is_wrong_is_as_large(net):
    blind = keeper_net(wiring="crossed")
    assert "wiring" not in blind.variables
    np.testing.assert_array_equal(blind.cpt("robber_1"), frame_tables(RATES).robber[..., 1, None] * [-1, 1] + [1, 0])
    wrong = keeper_net(effects=("turned", "as built", "crossed"))
    assert wrong.variables == net.variables
    np.testing.assert_array_equal(wrong.cpt("diamond_1")[..., 1, :], net.cpt("diamond_1")[..., 0, :])


def test_rates_move_around_themselves():
    random = np.random.default_rng(0)
    moved = np.array([list(vars(RATES.moved(random, 0.3)).values()) for _ in range(2000)])
    base = np.array(list(vars(RATES).values()))
    odds = np.log(moved / (1 - moved)) - np.log(base / (1 - base))
    np.testing.assert_allclose(odds.mean(0), 0, atol=0.04)
    np.testing.assert_allclose(odds.std(0), 0.3, atol=0.03)


def test_the_dataset_says_what_is_done_seen_wanted_and_measured():
    dataset = load_dataset("keeper", frames=2, rewired=0.5)
    assert dataset.roles["acts"] == ("act_1", "act_2")
    assert (dataset.roles["base"], dataset.roles["proxy"]) == (("diamond_2",), ("screen_2",))
    task = dataset.task("question")
    assert set(task.evidence) == {*dataset.roles["sees"], *dataset.roles["acts"]}
    assert task.target("end").variables == ("robber_2", "diamond_2", "screen_2")
    np.testing.assert_allclose(dataset.net.cpt("wiring"), [0.5, 0.25, 0.25])
    assert set(STATES["wiring"]) == set(dataset.net.states["wiring"])


def test_the_labeller_knows_the_wiring_and_no_pictures_unless_he_is_told():
    assert "wiring" in keeper().labeller.net.variables
    assert "picture_1" not in keeper().labeller.net.variables
    assert "wiring" not in keeper(blueprint=False).labeller.net.variables
    told = keeper(pictures=True).labeller.net
    assert set(told.variables) == set(keeper().net.variables)
    believed = after(keeper().labeller.net, {"wiring": "as built", "robber_0": "away", "diamond_0": "gone"}, "paint")
    assert believed["screen_1"] == 0


@pytest.mark.parametrize(
    ("name", "value"), [("frames", 0), ("frames", 4), ("rewired", 1.5), ("reach", "often"), ("hung", -0.1)]
)
def test_a_parameter_out_of_range_is_refused_with_the_range(name, value):
    with pytest.raises(DatasetError, match=rf"parameter '{name}' out of range"):
        keeper(**{name: value})
    with pytest.raises(DatasetError, match="parameter 'blueprint' out of range"):
        keeper(blueprint="yes")
