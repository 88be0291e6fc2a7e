"""Decisions, objectives and models: exact where they must be, and refused where they make no sense."""

import math

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import settings as how
from hypothesis import strategies as some

from probes.agency import (
    Agent,
    Decision,
    NetModel,
    Principal,
    TableModel,
    Utility,
    examined,
    held_constant,
    objective_distance,
    strictly_smaller,
)
from probes.agency.examined import best, examined_outlooks, outlooks
from probes.agency.models import Capacity, free_parameters
from worldnets import Inference, WorldNet
from worldnets.errors import EvidenceError, ProbeError
from worldnets.net import Factor
from worldnets.worlds.keeper import SITUATION, keeper_net


@pytest.fixture(scope="module")
def net():
    return keeper_net(reach=0.7)


@pytest.fixture(scope="module")
def decision(net):
    return Decision.changing(net, ("act_1",), SITUATION, "wiring")


def party(decision, own=None, held=None, goal="diamond_1", base="diamond_1", proxy="screen_1", acts=None):
    net = decision.net
    agent = Agent(NetModel(own or net), Utility.of(goal, net), acts)
    return agent, Principal(NetModel(held or net), Utility.of(base, net), Utility.of(proxy, net))


def test_regimes_are_the_states_that_training_never_shows(decision):
    assert decision.contexts == ("as trained", "do(wiring = crossed)", "do(wiring = turned)")
    np.testing.assert_allclose(decision.weights.sum(1), 1)
    wiring = decision.situations[:, 0]
    for c in range(3):
        assert set(wiring[decision.weights[c] > 0]) == {c}


def test_the_worlds_answer_to_a_plan_is_do_of_regime_and_plan(net, decision):
    found = decision.world(("diamond_1", "screen_1"))
    row, plan = 5, 3
    for c, do in enumerate(decision.regimes.values()):
        labels = {v: net.states[v][s] for v, s in zip(SITUATION, decision.situations[row], strict=True)}
        if decision.weights[c, row] == 0:
            continue
        seen = {v: label for v, label in labels.items() if v not in do}
        engine = Inference(net.do({**do, "act_1": net.states["act_1"][plan]}))
        codes = np.full((1, len(net.variables)), -1, dtype=np.int16)
        for v, label in seen.items():
            codes[0, net.index[v]] = net.code(v, label)
        expected = engine.joint(codes, ["diamond_1", "screen_1"]).reshape(-1)
        np.testing.assert_allclose(found[c, row, plan], expected, atol=1e-12)


def test_acts_with_causes_are_set_and_not_seen():
    # The act is usually done by who knows z; to do it is not to learn z.
    bit = ("no", "yes")
    net = WorldNet({"z": bit, "act": bit, "y": bit, "r": bit}, {"act": ("z",), "y": ("act", "z", "r")},
                   {"z": [0.5, 0.5], "act": [[0.9, 0.1], [0.1, 0.9]], "r": [1, 0],
                    "y": [[[[0.8, 0.2], [0.5, 0.5]], [[0.4, 0.6], [0.5, 0.5]]],
                          [[[0.7, 0.3], [0.5, 0.5]], [[0.1, 0.9], [0.5, 0.5]]]]})  # fmt: skip
    decision = Decision.changing(net, ("act",), (), "r")
    found = decision.world(("y",))[0, 0, :, 1]
    np.testing.assert_allclose(found, [(0.2 + 0.6) / 2, (0.3 + 0.9) / 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acts": ()}, "a decision without an act"),
        ({"acts": ("act_2",)}, "an unknown act"),
        ({"sees": ("robber_1",)}, "what is seen hangs on the acts"),
        ({"regimes": {"as trained": {}}}, "no regime to change to"),
        ({"regimes": {"as trained": {}, "same": {}}}, "a regime that changes nothing"),
        ({"regimes": {"as trained": {}, "acts": {"act_1": "wait"}}}, "a regime sets an act"),
    ],
)
def test_decisions_that_are_none_are_refused(net, change, message):
    given = {"acts": ("act_1",), "sees": SITUATION, "regimes": {"as trained": {}, "r": {"wiring": "crossed"}}} | change
    with pytest.raises(ProbeError, match=message):
        Decision(net, **given)


def test_a_regime_that_every_clip_shows_is_none_to_change_to():
    net = keeper_net(wiring=(0.4, 0.3, 0.3))
    with pytest.raises(ProbeError, match="no regime to change to"):
        Decision.changing(net, ("act_1",), SITUATION, "wiring")
    assert len(Decision.changing(net, ("act_1",), SITUATION, "wiring", "as built").contexts) == 3
    with pytest.raises(ProbeError, match="an unknown regime"):
        Decision.changing(net, ("act_1",), SITUATION, "wirings")


def test_objectives_are_read_from_words(net):
    assert Utility.of("diamond_1", net).name == "diamond_1 = there"
    assert Utility.of("robber_1 = away", net).terms[0].table.tolist() == [1, 0]
    for text, message in (("diamnd_1", "unknown node"), ("diamond_1 = lost", "unknown state")):
        with pytest.raises(ProbeError, match=message):
            Utility.of(text, net)


@pytest.mark.parametrize("terms", [(), (Factor(("diamond_1",), np.array([2.0, 2.0])),)])
def test_an_objective_that_is_constant_is_refused(terms):
    with pytest.raises(ProbeError, match=r"without a term|ignores the state"):
        Utility("nothing", terms)


def test_terms_add_up_whatever_the_order_of_outcomes(net):
    table = np.array([[0.0, 1.0], [5.0, 2.0]])
    both = Utility("both", (Factor(("screen_1", "diamond_1"), table), Factor(("robber_1",), np.array([1.0, 0.0]))))
    whole = both.over(net, ("diamond_1", "robber_1", "screen_1")).reshape(2, 2, 2)
    for d, r, s in np.ndindex(2, 2, 2):
        assert whole[d, r, s] == table[s, d] + (r == 0)
    with pytest.raises(ProbeError, match="about what is no outcome"):
        both.over(net, ("diamond_1",))


def test_objectives_are_as_far_apart_as_they_disagree_on_what_happens():
    weight, one = np.array([0.2, 0.3, 0.5]), np.array([0.0, 1.0, 3.0])
    assert objective_distance(one, 4 * one - 7, weight) == pytest.approx(0, abs=1e-7)
    assert objective_distance(one, -one, weight) == pytest.approx(1)
    assert objective_distance(np.array([1.0, 0, 0, 1]), np.array([1.0, 0, 1, 0]), np.ones(4)) == pytest.approx(
        math.sqrt(0.5)
    )
    with pytest.raises(ProbeError, match="constant over all that can happen"):
        objective_distance(one, np.array([1.0, 1.0, 2.0]), np.array([0.5, 0.5, 0.0]))


def test_a_model_over_unknown_variables_or_other_states_is_refused(net, decision):
    bit = ("no", "yes")
    strange = WorldNet({"act_1": net.states["act_1"], "wind": bit}, {}, {"act_1": [0.2] * 5, "wind": [0.5, 0.5]})
    with pytest.raises(ProbeError, match="a model over unknown variables; found 'wind'"):
        examined(*party(decision, own=strange), decision)
    other = WorldNet({"act_1": bit}, {}, {"act_1": [0.5, 0.5]})
    with pytest.raises(ProbeError, match="other states"):
        examined(*party(decision, held=other), decision)
    for gone, message in (("act_1", "lacks an act"), ("diamond_1", "lacks an outcome")):
        poor = held_constant(net, {gone: net.states[gone][0]})
        with pytest.raises(ProbeError, match=message):
            examined(*party(decision, own=poor), decision)


def test_parties_without_model_or_objective_are_refused(net):
    wants = Utility.of("diamond_1", net)
    with pytest.raises(ProbeError, match=r"an agent without a model.*NetModel"):
        Agent(None, wants)
    with pytest.raises(ProbeError, match="a principal without a model"):
        Principal(None, wants, wants)
    with pytest.raises(ProbeError, match="no objective"):
        Agent(NetModel(net), "diamond_1")


def test_acts_must_be_distributions_over_plans(decision):
    with pytest.raises(ProbeError, match="acts of another shape"):
        examined(*party(decision, acts=np.ones((2, 2))), decision)
    with pytest.raises(ProbeError, match="acts that are no distribution"):
        examined(*party(decision, acts=np.ones((len(decision.situations), 5))), decision)


def test_written_down_beliefs_are_a_model_like_any_other(net, decision):
    agent, principal = party(decision)
    beliefs = agent.model.outlook(decision, ("diamond_1", "screen_1"))
    table = Agent(TableModel(beliefs), agent.objective)
    for name, value in examined(agent, principal, decision).numbers.items():
        np.testing.assert_allclose(examined(table, principal, decision).numbers[name], value, atol=1e-12)
    with pytest.raises(ProbeError, match="beliefs of another shape"):
        TableModel(beliefs[:, :2]).outlook(decision, ("diamond_1", "screen_1"))


def test_base_loss_is_regret_by_hand(net, decision):
    always = np.zeros((len(decision.situations), 5))
    always[:, 0] = 1  # waits
    agent, principal = party(decision, acts=always)
    found = examined(agent, principal, decision)
    there = decision.world(("diamond_1",))[..., 1]
    for c, weight in enumerate(decision.weights):
        best, worst = weight @ there[c].max(-1), weight @ there[c].min(-1)
        expected = (best - weight @ there[c, :, 0]) / (best - worst)
        assert found.numbers["base loss"][c] == pytest.approx(expected)
    assert found.numbers["base loss, principal"] == pytest.approx(0)


def test_models_are_apart_in_both_directions_by_kl(net, decision):
    wrong = keeper_net(reach=0.7, effects=("crossed", "as built", "turned"))
    agent, principal = party(decision, own=wrong)
    found = examined(agent, principal, decision)
    names = ("diamond_1", "screen_1")
    p, q = (np.maximum(model.outlook(decision, names), 1e-6) for model in (agent.model, principal.model))
    for one, other, name in ((p, q, "agent from principal"), (q, p, "principal from agent")):
        kl = (one * np.log2(one / other)).sum(-1).mean(-1)
        expected = decision.weights @ kl
        np.testing.assert_allclose(found.numbers[f"model distance, {name}"], expected, rtol=1e-3, atol=1e-3)
    both = [found.numbers[f"model distance, {name}"] for name in ("agent from principal", "principal from agent")]
    np.testing.assert_allclose(found.numbers["model distance"], np.mean(both, axis=0))
    assert found.numbers["model distance"][2] == pytest.approx(0, abs=1e-9)  # turned is turned to both


def test_holding_constant_cuts_tables_and_makes_a_strictly_smaller_net(net):
    small = held_constant(net, {"wiring": "as built"})
    assert "wiring" not in small.variables
    np.testing.assert_array_equal(small.cpt("robber_1"), net.cpt("robber_1")[..., 0, :])
    assert free_parameters(small) < free_parameters(net)
    one, other = NetModel(small).capacity, NetModel(net).capacity
    assert strictly_smaller(one, other)
    assert not strictly_smaller(other, one)
    assert not strictly_smaller(Capacity(1, frozenset()), other)  # of a table it cannot be said
    with pytest.raises(ProbeError, match="an unknown node"):
        held_constant(net, {"wire": "as built"})
    with pytest.raises(EvidenceError, match="unknown state"):
        held_constant(net, {"wiring": "cut"})
    with pytest.raises(ProbeError, match="nothing is held constant"):
        held_constant(net, {})


def test_an_embedded_agent_of_a_principal_that_knows_the_world_foresees_nothing(net, decision):
    # A strictly smaller model, cut out of the principal's, predicts at most what that does: it can be no super.
    small = held_constant(net, {"wiring": "as built"})
    for goal in ("diamond_1", "screen_1", "robber_1 = away", "diamond_1 = gone"):
        found = examined(*party(decision, own=small, goal=goal), decision)
        assert (found.numbers["foresight"] <= 1e-9).all()
        assert (found.numbers["foresight, all plans"] <= 1e-9).all()
        assert found.heeded[0] < found.heeded[1]


def test_trials_of_the_base_objective_mend_what_a_goal_spoils(decision):
    given = outlooks(*party(decision, goal="screen_1", held=keeper_net(reach=0.7, pictures=False)), decision)
    losses = [examined_outlooks(given).numbers["base loss"]]
    losses += [examined_outlooks(given.retested(count)).numbers["base loss"] for count in (1, 3, 5)]
    assert losses[0][0] > 0.3
    assert (np.diff([loss[0] for loss in losses[1:]]) <= 1e-12).all()
    assert losses[-1] == pytest.approx(0, abs=1e-12)  # all plans are tried: it is the principal's selection
    with pytest.raises(ProbeError, match="no candidate"):
        given.retested(0)


def test_episodes_of_its_own_acts_mend_a_model_and_no_goal(net, decision):
    small = held_constant(net, {"wiring": "as built"})
    given = outlooks(*party(decision, own=small), decision)
    losses = [examined_outlooks(given).numbers["base loss"][1]]
    losses += [examined_outlooks(given.updated(1000, rounds=rounds)).numbers["base loss"][1] for rounds in (1, 2, 8)]
    assert losses[0] > 0.9
    assert (np.diff(losses) <= 1e-9).all()
    assert losses[-1] < 0.02  # what it tried and found wanting it does not try again
    wants = outlooks(*party(decision, goal="robber_1 = away"), decision)
    before, after = (examined_outlooks(one).numbers["base loss"][0] for one in (wants, wants.updated(1000)))
    assert after == pytest.approx(before, abs=1e-9)
    with pytest.raises(ProbeError, match="an update of nothing"):
        given.updated(-1)
    with pytest.raises(ProbeError, match="an update of nothing"):
        given.updated(1, rounds=0)


def test_side_effects_are_changes_in_what_is_valued_and_not_measured(decision):
    agent, principal = party(decision, goal="screen_1", held=keeper_net(reach=0.7, pictures=False))
    found = examined(agent, principal, decision)
    given = outlooks(agent, principal, decision)
    assert set(found.side_effects) == {"diamond_1"}
    there = decision.world(("diamond_1",))[0, ..., 1]
    policies = given.chosen()[0], best(given.principal, given.base)
    under = [decision.weights[0] @ (policy * there).sum(-1) for policy in policies]
    assert found.side_effects["diamond_1"][0] == pytest.approx(abs(under[0] - under[1]))
    assert found.side_effects["diamond_1"][0] > 0.2
    assert not examined(*party(decision, proxy="diamond_1"), decision).side_effects


def test_nothing_at_stake_is_refused(net):
    decision = Decision.changing(net, ("act_1",), SITUATION, "wiring")
    wants = Utility.of("robber_0 = away", net)
    held = Principal(NetModel(net), wants, Utility.of("diamond_1", net))
    with pytest.raises(ProbeError, match="nothing is at stake"):
        examined(Agent(NetModel(net), Utility.of("diamond_1", net)), held, decision)


@how(max_examples=20, deadline=None)
@drawn(some.integers(0, 2**32 - 1))
def test_whatever_anyone_believes_losses_are_shares_and_add_up(decision, seed):
    random = np.random.default_rng(seed)
    sizes = (len(decision.situations), 5, 4)
    own, held = (TableModel(random.dirichlet(np.ones(4), sizes[:2])) for _ in range(2))
    net = decision.net
    wants = [Utility.of(text, net) for text in ("diamond_1", "screen_1")]
    found = examined(Agent(own, wants[1]), Principal(held, *wants), decision).numbers
    for name in ("base loss", "base loss, principal", "own failure, in the world"):
        assert ((found[name] >= 0) & (found[name] <= 1 + 1e-12)).all()
    np.testing.assert_allclose(
        found["base loss"], found["base loss, principal"] + found["base loss, beyond the principal"], atol=1e-11
    )
    assert (found["own failure, by its model"] <= 0.011).all()  # it does what it believes best, up to ties
    for name in ("model distance", "world from agent", "world from principal"):
        assert (found[name] > 0).all()
    alike = examined(Agent(held, wants[0]), Principal(held, *wants), decision).numbers
    for name in ("base loss, beyond the principal", "mended by goal", "mended by model", "model distance", "foresight"):
        assert alike[name] == pytest.approx(0, abs=1e-9)


@how(max_examples=50, deadline=None)
@drawn(some.integers(0, 2**32 - 1), some.floats(0.1, 9), some.floats(-5, 5))
def test_scale_and_origin_of_an_objective_say_nothing(seed, scale, origin):
    random = np.random.default_rng(seed)
    one, other, weight = random.standard_normal(6), random.standard_normal(6), random.random(6) + 0.01
    apart = objective_distance(one, other, weight)
    assert 0 <= apart <= 1
    assert objective_distance(one, scale * other + origin, weight) == pytest.approx(apart, abs=1e-6)
    assert objective_distance(other, one, weight) == pytest.approx(apart, abs=1e-12)
    assert apart**2 + objective_distance(one, -other, weight) ** 2 == pytest.approx(1)
