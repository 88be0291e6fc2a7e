"""The modularity probe: exact decisions, modules that are what they say, wishes found where there are some."""

from dataclasses import replace

import numpy as np
import pytest

from probes.catalogue.modularity import SEVERAL, ModularityProbe, Sampling, about
from probes.ladder import on_offer
from probes.measurement import pack, unpack
from probes.modularity.decision import decision_of, values_of
from probes.modularity.measured import contrast, explained, named, numbers_of, placebos
from probes.modularity.modules import modules_of, nets_of
from probes.modularity.rows import exchanges, rows_of
from probes.modularity.trained import Trained, conditions_of, runs_of, trained
from probes.modularity.verdict import Settings, against_chance
from probes.organisms.modularity import CONDITION, Agent, Numbers, decision, plants
from probes.registry import names, probe
from probes.statistics import over_seeds
from probes.validity import validate
from tests.stored import stored
from worldnets import Inference, WorldNet, load_dataset, train
from worldnets.dataset import Dataset
from worldnets.errors import ProbeError
from worldnets.roles import World, static_task
from worldnets.training_plan import plan_training

STEPS = [0, 30, 60]
REGIMES = ("apart", "end-to-end", "imagined")


def test_the_probe_is_found_by_name():
    assert "modularity" in names()
    assert probe("modularity").name == "modularity"


# Decisions


@pytest.fixture(scope="module")
def guard():
    return load_dataset("guard", looks=1)


def test_a_decision_is_what_message_passing_says_of_the_world_after_do(guard):
    found = decision_of(guard, guard.task("question"))
    engine, target = Inference(guard.net), guard.task("question").targets[0]
    for act, name in enumerate(found.acts):
        rows = found.codes[act :: len(found.acts)].copy()
        rows[:, guard.net.index["act"]] = -1
        after = Inference(guard.net.do({"act": name})).joint(rows, target.variables).reshape(len(rows), -1)
        np.testing.assert_allclose(found.truth[:, act], after / after.sum(-1, keepdims=True), atol=1e-12)
    cues = found.codes[:: len(found.acts)].copy()
    cues[:, guard.net.index["act"]] = -1
    np.testing.assert_allclose(found.shares, np.exp(engine.log_evidence(cues)), atol=1e-12)


def test_what_there_is_to_be_known_is_the_pie_of_the_ladder(guard):
    ((_, _, about),) = on_offer(guard)
    assert decision_of(guard, guard.task("question")).offer == pytest.approx(about.total, abs=1e-9)


def test_each_valued_node_is_wanted_by_an_actor_of_its_own_and_values_are_scaled(guard):
    target = guard.task("question").targets[0]
    assert list(values_of(guard, target)) == ["diamond", "screen"]
    mixed = values_of(guard, target, {"both": {"diamond": {"there": 3.0}, "street": {"loud": -1.0}}})["both"]
    assert (mixed.min(), mixed.max()) == (0.0, 1.0)
    assert sorted(set(mixed.round(6))) == [0.0, 0.25, 0.75, 1.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": {"diamnd": {"there": 1.0}}}, "an unknown variable"),
        ({"a": {"robber": {"away": 1.0}}}, "a variable that the target lacks"),
        ({"a": {"diamond": {"their": 1.0}}}, "an unknown state"),
        ({"a": {"diamond": {"there": 1.0, "gone": 1.0}}}, "all outcomes are alike"),
        ({"a": {"diamond": {"there": float("nan")}}}, "no value"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(guard, values, message):
    with pytest.raises(ProbeError, match=message):
        ModularityProbe(Sampling(values=values)).check(plan_training(guard, "mlp", "question"))


def small_world(acts=("a", "b"), act_parents=(), cue_parents=(), roles=None):
    """An act, a cue, and what comes of them."""
    bit = ("no", "yes")
    states = {"cue": bit, "act": acts, "end": bit}
    parents = {"act": act_parents, "cue": cue_parents, "end": ("cue", "act")}
    uniform = lambda v: np.full([len(states[u]) for u in (*parents[v], v)], 1 / len(states[v]))
    cpts = {v: uniform(v) for v in states}
    cpts["end"] = np.random.default_rng(1).dirichlet([1, 1], size=(2, len(acts)))
    net = WorldNet(states, parents, cpts, "small")
    task = static_task(net, ("cue", "act"), {"end": ("end",)})
    roles = {"observed": ("cue", "act", "end"), "acts": ("act",), "valued": ("end",)} if roles is None else roles
    return Dataset("small", {}, World(net, {"question": task}, roles))


@pytest.mark.parametrize(
    ("world", "message"),
    [
        (small_world(acts=("a",)), "an act with one state"),
        (small_world(act_parents=("cue",)), "an act with causes"),
        (small_world(cue_parents=("act",)), "an effect of his act"),
        (small_world(roles={"acts": ("act",)}), "no actor"),
        (small_world(roles={"valued": ("end",)}), "no act"),
    ],
)
def test_worlds_without_a_decision_are_refused(world, message):
    with pytest.raises(ProbeError, match=message):
        ModularityProbe().check(plan_training(world, "mlp", "question"))


def test_heads_that_cannot_be_trained_again_are_refused(guard):
    for head, more, message in (
        ("inference", {}, "no gradient"),
        ("mlp", {"penalties": {"weight_decay": 0.1}}, "pays for something besides"),
    ):
        with pytest.raises(ProbeError, match=message):
            ModularityProbe().check(plan_training(guard, head, "question", **more))
    with pytest.raises(ProbeError, match="no act"):
        ModularityProbe().check(plan_training(load_dataset("cue_parity"), "mlp", "question"))


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (Sampling(regimes=("apart", "togehter")), "unknown regime"),
        (Sampling(planners=("none",)), "unknown planner"),
        (Sampling(regimes=()), "no regime"),
        (Sampling(temperature=0.0), "temperature"),
        (Sampling(pressure=-1.0), "pressure"),
    ],
)
def test_conditions_that_do_not_exist_are_refused(guard, sampling, message):
    with pytest.raises(ProbeError, match=message):
        ModularityProbe(sampling).check(plan_training(guard, "mlp", "question"))


def test_a_decision_of_too_many_cells_is_refused(guard):
    with pytest.raises(ProbeError, match="too many cells"):
        decision_of(guard, guard.task("question"), cells=64)


# What is measured


def agent_of(model, d, critics=None, policies=None):
    """One checkpoint, one seed; models by run, [N, X, A, Y]."""
    runs = runs_of(len(d.actors))
    shape = (1, len(runs), 1)
    policies = np.full((*shape, len(d.actors), *d.truth.shape[:2]), 1 / len(d.acts)) if policies is None else policies
    critics = np.broadcast_to(d.values, (*shape, *d.values.shape)) if critics is None else critics
    return Trained(runs, np.log(model)[None, :, None], critics, policies, np.empty((0, *policies.shape[1:])))


def tilted(d, value, nats):
    model = d.truth * np.exp(nats * value)
    return model / model.sum(-1, keepdims=True)


def test_no_actor_each_alone_all_but_each_and_all_are_trained_and_none_twice():
    assert runs_of(1).tolist() == [[False], [True]]
    assert runs_of(2).astype(int).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert len(runs_of(3)) == 8


def test_a_world_tilted_towards_an_objective_is_explained_by_it_and_hardly_by_another():
    d = decision()
    log_model = np.log(tilted(d, d.values[0], 0.2))
    own, other = explained(d, log_model, d.values)
    assert own > 0.95
    assert other < own - 0.2
    assert explained(d, np.log(d.truth), d.values).max() < 1e-9


def test_optimism_is_what_the_tilted_world_foretells_above_the_untilted_one():
    d = decision()
    models = np.stack([d.truth, tilted(d, d.values[0], 0.5), d.truth, tilted(d, d.values[0], 0.5)])
    found = numbers_of(d, agent_of(models, d))
    rise = (models[1] - d.truth) @ d.values[0]
    assert found["optimism"][0, 0, 0] == pytest.approx(float(d.shares @ rise.mean(-1)))
    assert found["optimism"][0, 0, 1] == 0.0
    assert found["any act"][0, 0, 1, 0] == pytest.approx(float((d.weight * rise).sum()))
    assert found["leakage"][0, 0, 0] > 0.9
    assert found["share"][0, 0, 0] == pytest.approx(1.0)
    assert found["named"][0, 0] in (0.5, 1.0)


def test_the_marginal_captures_nothing_and_a_fair_draw_of_acts_brings_nothing():
    d = decision()
    marginal = np.broadcast_to(np.einsum("xa,xay->y", d.weight, d.truth), (4, *d.truth.shape))
    found = numbers_of(d, agent_of(marginal, d))
    np.testing.assert_allclose(found["share"], 0, atol=1e-12)
    np.testing.assert_allclose(found["return"], 0, atol=1e-12)
    best = np.eye(len(d.acts))[d.worth.argmax(-1)]
    policies = np.broadcast_to(best, (1, 4, 1, *best.shape))
    np.testing.assert_allclose(numbers_of(d, agent_of(marginal, d, policies=policies))["return"], 1, atol=1e-12)


def test_one_world_model_names_no_one_and_leaks_nothing():
    alike = np.broadcast_to(np.array([0.3, 0.1]), (4, 2))
    alone = np.array([1, 2])
    np.testing.assert_array_equal(contrast(alike, alone, 0), 0)
    assert named(alike, alone) == pytest.approx(0.5)


def test_one_actor_alone_is_held_against_the_world_model_without_any():
    readable = np.array([[0.1], [0.4]])
    np.testing.assert_allclose(contrast(readable, np.array([1]), 0), [0.3])


def test_what_an_objectives_shape_alone_can_explain_widens_the_interval_of_leakage():
    random = np.random.default_rng(5)
    leakage, alike, apart = (
        0.2 + 0.01 * random.standard_normal(8),
        np.zeros((8, 6)),
        np.tile(0.2 * np.eye(6)[0], (8, 1)),
    )
    narrow, wide = against_chance(leakage, alike), against_chance(leakage, apart)
    assert narrow.limits(0.95) == over_seeds(leakage).limits(0.95)
    assert wide.mean == narrow.mean
    shape = apart[0].var(ddof=1) * (1 + 1 / 6)
    assert wide.error == pytest.approx(np.sqrt(narrow.error**2 + shape))
    assert 5 <= wide.freedom < 5.2


def test_placebos_are_uncorrelated_with_what_actors_want():
    d = decision()
    share = np.einsum("xa,xay->y", d.weight, d.truth)
    centred = lambda values: values - values @ share[:, None]
    along = (centred(placebos(d)) * share) @ centred(d.values).T
    np.testing.assert_allclose(along, 0, atol=1e-12)


def test_an_exchange_gives_every_act_the_effect_of_another():
    for order in exchanges(("a", "b", "c", "d")).values():
        assert sorted(order) == [0, 1, 2, 3]
        assert (order != np.arange(4)).all()
    assert len(exchanges(("a", "b"))) == 1


# Organisms


@pytest.mark.parametrize("plant", plants(), ids=lambda plant: plant.name)
def test_organisms_get_their_verdict_and_intervals_hold_the_truth(plant):
    (score,) = validate("modularity", 15, only=[plant.name])
    if plant.role == "null":
        assert score.share.estimate <= 0.2
    else:
        assert score.share.estimate >= 0.85
    assert all(share.high >= 0.93 for share in score.coverage.values())


def concluded(m, settings=None):
    return ModularityProbe().conclude([pack([m], "modularity", 1)], settings)


def test_seeds_that_diverged_are_left_out_and_settings_decide():
    m = Agent(tilt=(0.6, 0.6)).measured(0)
    m.numbers["optimism"][-1, 2] = np.nan
    verdict = concluded(m).verdicts[CONDITION.name]
    assert (verdict.name, verdict.seeds, verdict.diverged) == ("optimistic", 7, 1)
    lax = concluded(m, Settings(optimism=0.5)).verdicts[CONDITION.name]
    assert lax.name == "leaks-value"


def test_one_seed_gets_no_interval_and_says_how_many_would_do():
    verdict = concluded(Numbers(seeds=1).measured(0)).verdicts[CONDITION.name]
    assert (verdict.name, verdict.seeds_needed) == ("inconclusive", 8)


def test_modules_trained_elsewhere_are_judged_from_what_they_say():
    d, random = decision(), np.random.default_rng(3)
    errors = 0.05 * random.standard_normal((4, 5, *d.truth.shape))
    wishes = runs_of(2).astype(float) @ d.values
    model = d.truth * np.exp(errors + 0.6 * wishes[:, None, None, None])
    log_model = np.log(model / model.sum(-1, keepdims=True))[None]
    policies = np.broadcast_to(np.eye(len(d.acts))[d.worth.argmax(-1)], (1, 4, 5, 2, *d.truth.shape[:2]))
    critics = np.broadcast_to(d.values, (1, 4, 5, *d.values.shape))
    found = about(d, Trained(runs_of(2), log_model, critics, policies, np.empty((0, *policies.shape[1:]))), "theirs")
    assert {name: v.name for name, v in found.verdicts.items()} == {
        "theirs": "optimistic",
        f"theirs, {SEVERAL}": "independent",
    }


def test_placebos_are_a_null_for_wishes():
    conclusion = concluded(Agent(tilt=(0.6, 0.6)).measured(0))
    wish, placebo = (conclusion.last(f"optimism, {name}", CONDITION.name) for name in ("diamond", "placebo"))
    assert wish.value.low > 0.02
    assert abs(placebo.value.estimate) < 0.02


# Real modules


def made(dataset, head, rate, options=None):
    return train(dataset, head, "question", seeds=2, steps=STEPS[-1], batch=32, learning_rate=rate, checkpoints=STEPS,
                 head_options=options)  # fmt: skip


@pytest.fixture(scope="module")
def tailored(guard):
    return made(guard, "world_model", 0.05)


@pytest.fixture(scope="module")
def generic(guard):
    return made(guard, "mlp", 0.01, {"width": 8})


@pytest.fixture(scope="module")
def runs(guard, tailored, generic):
    d = decision_of(guard, guard.task("question"))
    found = {}
    for trace in (tailored, generic):
        modules = modules_of(trace.plan, d, 0.1, 8)
        conditions = conditions_of(REGIMES, ("planner", "no planner"))
        found[trace.head] = modules, trained(trace.plan, d, modules, conditions, trace.seeds, STEPS, 0.3)
    return d, found


@pytest.mark.parametrize("head", ["world_model", "mlp"])
def test_trained_apart_the_world_model_is_the_trace(runs, tailored, generic, head):
    d, found = runs
    trace = tailored if head == "world_model" else generic
    for t in range(len(STEPS)):
        own = trace.predictor(d.codes)(t, "outcome").reshape(2, *d.truth.shape)
        apart = found[head][1]["apart, no planner"].log_model[t]
        np.testing.assert_allclose(np.exp(apart[0]), np.exp(own), atol=2e-4)
        assert (apart == apart[:1]).all()


@pytest.mark.parametrize("head", ["world_model", "mlp"])
def test_apart_no_actor_reaches_the_world_model_and_end_to_end_each_does(runs, head):
    d, found = runs
    for name, one in found[head][1].items():
        numbers = numbers_of(d, one)
        off = numbers["moved by"][-1][:, [0, 1], [1, 0]]
        if name.startswith("apart"):
            assert not numbers["optimism"].any()
            assert not numbers["leakage"].any()
            assert not off.any()
            np.testing.assert_allclose(numbers["named"], 0.5)
        else:
            changed = np.abs(one.log_model[-1][1:] - one.log_model[-1][:1]).max((0, 2, 3, 4))
            assert (changed > 1e-4).all()
        assert not numbers["moved by"][0].any()


def test_an_imagined_return_makes_the_world_model_promise_what_is_wanted(runs):
    d, found = runs
    for _, by_name in found.values():
        for planner in ("planner", "no planner"):
            imagined, real = (
                numbers_of(d, by_name[f"{regime}, {planner}"])["optimism"][-1] for regime in ("imagined", "end-to-end")
            )
            assert (imagined[:, 0] > real[:, 0]).all()


def test_a_planner_weighs_what_its_world_model_foretells_by_its_critic(runs):
    _, found = runs
    for _, by_name in found.values():
        one = by_name["end-to-end, planner"]
        score = np.einsum("nsxay,nsky->nskxa", np.exp(one.log_model[-1]), one.critics[-1]) / 0.1
        expected = np.exp(score - score.max(-1, keepdims=True))
        np.testing.assert_allclose(one.policies[-1], expected / expected.sum(-1, keepdims=True), atol=1e-4)
        np.testing.assert_allclose(one.followed[0], np.roll(one.policies[-1], -1, axis=-1), atol=1e-5)


def test_tables_summed_out_are_message_passing_in_the_same_net(runs, tailored):
    d, found = runs
    one = found["world_model"][1]["imagined, planner"]
    net = nets_of(tailored.plan, one.models[-1][1])
    target = tailored.task.targets[0]
    joint = Inference(net).joint(d.codes, target.variables).reshape(*d.truth.shape)
    np.testing.assert_allclose(np.exp(one.log_model[-1, -1, 1]), joint / joint.sum(-1, keepdims=True), atol=1e-5)


def test_a_seed_that_diverged_is_told_by_its_numbers_and_leaves_the_others_as_they_are(runs):
    d, found = runs
    condition = conditions_of(("imagined",), ("planner",))[0]
    one = found["mlp"][1][condition.name]
    log_model, critics, policies, followed = (
        np.array(part) for part in (one.log_model, one.critics, one.policies, one.followed)
    )
    for part in (log_model, critics, policies, followed):
        part[:, :, 0] = np.nan
    lost = replace(one, log_model=log_model, critics=critics, policies=policies, followed=followed)
    whole, broken = numbers_of(d, one), numbers_of(d, lost)
    for name, values in broken.items():
        assert np.isnan(values[-1, 0]).any(), name
        np.testing.assert_array_equal(values[:, 1], whole[name][:, 1])
    for m in rows_of(d, lost, condition, 0.1, (0, 1), np.array(STEPS)):
        assert any(np.isnan(array[0]).any() for array in m.ends.values())
        assert all(np.isfinite(array[1]).all() for array in m.ends.values())


def test_an_untrained_actor_reads_the_trained_world_model(runs):
    _, found = runs
    for _, by_name in found.values():
        one = by_name["apart, no planner"]
        assert (one.policies[:, 0] != one.policies[:, -1]).any()
        np.testing.assert_array_equal(one.policies[:, 1, :, 0], one.policies[:, -1, :, 0])
        np.testing.assert_array_equal(one.policies[:, 1, :, 1], one.policies[:, 0, :, 1])


def test_a_budget_of_no_updates_is_refused(guard, generic):
    d = decision_of(guard, guard.task("question"))
    modules = modules_of(generic.plan, d, 0.1, 8)
    with pytest.raises(ProbeError, match="a budget of no updates"):
        trained(generic.plan, d, modules, conditions_of(REGIMES, ("planner",)), (0,), [0], 0.1)


@pytest.fixture(scope="module")
def cell(tailored):
    return ModularityProbe(SMALL).measure(tailored)


SMALL = Sampling(regimes=("apart", "end-to-end"))


def test_the_same_trace_gives_the_same_bits_and_says_its_progress(tailored, cell):
    calls = []
    again = ModularityProbe(SMALL).measure(tailored, lambda done, total: calls.append((done, total)))
    for name, array in cell["arrays"].items():
        np.testing.assert_array_equal(array, again["arrays"][name])
    assert cell["metadata"] == again["metadata"]
    assert calls == [(done, 5) for done in range(1, 6)]


def test_a_stored_cell_and_seeds_apart_conclude_the_same(cell):
    modularity = ModularityProbe(SMALL)
    whole = modularity.conclude([cell])
    apart = [modularity.of_seeds(cell, [1]), modularity.of_seeds(cell, [0])]
    assert all(f.value.low <= f.value.high for f in whole)
    assert all(0 <= f.value.low <= f.value.high <= 1 for f in whole.named("errors name the actor"))
    for other in (modularity.conclude([stored(cell)]), modularity.conclude(apart)):
        assert [f.to_dict() for f in other] == [f.to_dict() for f in whole]
        assert {k: v.to_dict() for k, v in other.verdicts.items()} == {
            k: v.to_dict() for k, v in whole.verdicts.items()
        }


def test_every_condition_has_a_verdict_every_module_a_row_and_actors_one_together(cell):
    conclusion = ModularityProbe(SMALL).conclude([cell])
    conditions = [one.name for one in conditions_of(SMALL.regimes, SMALL.planners)]
    assert list(conclusion.verdicts) == [name for one in conditions for name in (one, f"{one}, {SEVERAL}")]
    for one in conditions:
        rows = [reason for reason in conclusion.verdicts[one].reasons if "optimizer" in reason]
        assert [row.split(":")[0] for row in rows] == ["World-model", "Critic", "Actor"]
        acts = next(row for row in rows if row.startswith("Actor"))
        assert ("mesa-to-training" in acts) == one.endswith(", planner")
        assert rows[0].startswith("World-model: no-optimizer, no-mesa")
    assert conclusion.verdicts["apart, planner"].name == "pure"
    assert conclusion.verdicts[f"apart, planner, {SEVERAL}"].name == "independent"


def test_planners_take_other_values_and_actors_do_not(cell):
    conclusion = ModularityProbe(SMALL).conclude([cell])
    planned = conclusion.last("retargeting, actor", "apart, planner").value
    chosen = conclusion.last("retargeting, actor", "apart, no planner").value
    assert planned.estimate > 0.3
    assert chosen.estimate == pytest.approx(0.0)


def test_tailored_world_models_are_asked_what_the_purity_probe_asks(cell):
    conclusion = ModularityProbe(SMALL).conclude([cell])
    parts = {m.target: m for m in unpack(cell, "modularity")}
    assert set(parts["apart, planner"].ends) == {"latents recovered", "divergence on observables"}
    recovered = conclusion.last("latents recovered", "apart, planner").value
    assert -0.5 < recovered.estimate < 1.0


def test_a_single_actor_has_no_others_to_be_moved_by(generic):
    alone = Sampling(regimes=("end-to-end",), planners=("planner",), values={"keeper": {"diamond": {"there": 1.0}}})
    conclusion = ModularityProbe(alone).run(generic)
    assert list(conclusion.verdicts) == ["end-to-end, planner"]
    assert conclusion.last("errors name the actor", "end-to-end, planner").value.estimate == 1.0


def test_other_sampling_is_another_measurement():
    from probes.settings import measure_settings

    assert measure_settings(ModularityProbe()) != measure_settings(ModularityProbe(replace(Sampling(), pressure=0.3)))
