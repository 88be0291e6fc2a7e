"""The world-model as a head: what it pays, how it moves, what it answers."""

import math

import numpy as np
import pytest

from worldnets import Inference, TwoSliceNet, WorldNet, load_dataset, train
from worldnets.distinct import distinct
from worldnets.errors import LearningError, TrainingError
from worldnets.heads.floor import FLOOR
from worldnets.trace import Trace
from worldnets.training_plan import plan_training

LN2 = math.log(2)


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=3)


def built(dataset, objective="likelihood", seed=0, options=None, **request):
    plan = plan_training(dataset, "world_model", objective, head_options=options, batch=32, **request)
    return plan, plan.build_stepping(seed)


def divergence(dataset, model, clips=20_000):
    """KL(W*‖W) on the observables in bits, estimated on shared clips: both log probabilities are exact."""
    codes = np.full((clips, len(dataset.net.variables)), -1, dtype=np.int16)
    columns = [dataset.net.index[v] for v in dataset.roles["observed"]]
    codes[:, columns] = dataset.simulate(clips, 99)[:, columns]
    rows, which = distinct(codes)
    weights = np.bincount(which) / clips
    return float(weights @ (Inference(dataset.net).log_evidence(rows) - Inference(model).log_evidence(rows))) / LN2


def test_at_the_true_tables_it_answers_as_the_world_does_from_the_evidence_alone(vault):
    _, head = built(vault, "continuation", options={"initialisation": "true"})
    task, clips = vault.task("continuation"), vault.simulate(200, 1)
    shown = np.full_like(clips, -1)
    columns = [vault.net.index[v] for v in task.evidence]
    shown[:, columns] = clips[:, columns]
    expected = Inference(vault.net).joint(shown, task.targets[0].variables).reshape(200, -1)
    np.testing.assert_allclose(np.exp(head.log_probabilities(clips)), expected, atol=1e-4)
    assert np.array_equal(head.log_probabilities(clips), head.log_probabilities(shown))


def test_several_targets_stand_side_by_side_each_normalised(vault):
    plan, head = built(vault, "world")
    log_q = head.log_probabilities(vault.simulate(20, 1))
    assert log_q.shape == (20, sum(plan.counts))
    sums = np.add.reduceat(np.exp(log_q), np.cumsum((0, *plan.counts[:-1])), axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-12)


def test_one_step_goes_down_the_loss_and_its_penalties_by_the_learning_rate(vault):
    penalties = {"weight_decay": 0.3, "description_length": {"strength": 0.01, "step": 0.1}}
    plan, head = built(vault, "question", optimizer="sgd", learning_rate=0.5, penalties=penalties)
    clips, before = plan.clips(0, 32, 0), head.state()
    assert head.step(clips) == pytest.approx(bits(plan, before, clips))
    after = head.state()
    rng = np.random.default_rng(0)
    for name in ("logits/diamond_2", "logits/robber_1", "logits/pixel1_2"):
        for place in rng.integers(before[name].size, size=4):
            slopes = []
            for sign in (1, -1):
                moved = {key: array.copy() for key, array in before.items()}
                moved[name].flat[place] += sign * 1e-5
                nats = bits(plan, moved, clips) * LN2
                nats += sum(p.cost(a) for p in plan.penalties for key, a in moved.items() if key.startswith("logits/"))
                slopes.append(nats / 2e-5)
            step = (before[name] - after[name]).flat[place] / 0.5
            assert step == pytest.approx(slopes[0] - slopes[1], abs=1e-6)


def bits(plan, state, clips):
    """−log2 W(asked | given), the mean over clips, from two queries of the net in that state."""
    head = plan.build_stepping(0).restored(state)
    ask = plan.objective.ask(plan.dataset)
    total = 0.0
    for names, sign in ((ask.given, 1), ((*ask.given, *ask.asked), -1)):
        codes = np.full_like(clips, -1)
        columns = [plan.dataset.net.index[v] for v in names]
        codes[:, columns] = clips[:, columns]
        total += sign * Inference(head.net).log_evidence(codes).mean() / LN2
    return total


def test_evidence_that_is_dropped_is_neither_given_nor_asked(vault):
    plan, head = built(vault, "likelihood", penalties={"evidence_dropout": 0.5})
    clips = plan.hide(plan.clips(0, 32, 0), plan.dropped(0, 32, 0))
    assert (clips < 0).any()
    assert head.step(clips) == pytest.approx(bits(plan, plan.build_stepping(0).state(), clips), abs=1e-9)


def test_asked_for_everything_it_becomes_the_world(vault):
    trace = train(vault, "world_model", "world", seeds=1, steps=500, learning_rate=0.05, checkpoints=[0, 500])
    first, last = (trace.world_model(c, 0) for c in range(2))
    assert divergence(vault, first) > 2
    assert divergence(vault, last) < 0.02
    beliefs = [Inference(net).query(vault.sample(50, 5)[list(vault.roles["observed"])]) for net in (vault.net, last)]
    np.testing.assert_allclose(beliefs[1]["diamond_3"], beliefs[0]["diamond_3"], atol=0.1)


def test_asked_for_the_next_frame_it_learns_that_and_hardly_what_it_was_not_asked_for(vault):
    trace = train(vault, "world_model", "continuation", seeds=1, steps=500, learning_rate=0.05, checkpoints=[0, 500])
    floor = train(vault, "world_model", "continuation", seeds=1, steps=1, checkpoints=[0], batch=4096,
                  head_options={"initialisation": "true"})  # fmt: skip
    assert trace.losses[-1, 0] == pytest.approx(floor.losses[0, 0], abs=0.05)
    assert divergence(vault, trace.world_model(-1, 0)) > 1


def test_from_a_saved_state_it_goes_on_with_the_same_bits(vault):
    plan, head = built(vault)
    clips = [plan.clips(0, 32, 32 * i) for i in range(6)]
    for batch in clips[:3]:
        head.step(batch)
    other = plan.build_stepping(1).restored(head.state())
    assert [head.step(batch) for batch in clips[3:]] == [other.step(batch) for batch in clips[3:]]
    assert all(np.array_equal(a, b) for a, b in zip(head.state().values(), other.state().values(), strict=True))


def test_a_trace_of_world_models_is_saved_and_read(vault, tmp_path):
    trace = train(vault, "world_model", "likelihood", seeds=2, steps=20, checkpoints=[0, 20],
                  penalties={"weight_decay": 1e-3})  # fmt: skip
    back = Trace.load(trace.save(tmp_path / "trace"))
    codes = vault.simulate(5, 0)
    assert np.array_equal(back.predict(codes, -1), trace.predict(codes, -1))
    assert np.array_equal(back.world_model(-1, 1).cpt("door_2"), trace.world_model(-1, 1).cpt("door_2"))
    assert trace.parameters["logits/door_2"].shape == (2, 2, 2, 3, 2)


def test_its_template_unrolls_to_its_net(vault):
    _, head = built(vault)
    assert isinstance(head.template, TwoSliceNet)
    unrolled = head.template.unroll(3)
    for v in vault.net.variables:
        assert np.array_equal(unrolled.cpt(v), head.net.cpt(v))
    _, free = built(vault, options={"tied": False})
    assert free.template is None
    assert "logits/door_3" in free.state()


def test_the_schedule_is_known_and_so_is_whatever_is_named(vault):
    _, head = built(vault, options={"known": ["schedule", "sensor", "hidden_from_labeller"]})
    assert not [name for name in head.state() if "camera" in name or "sensor" in name]
    assert np.array_equal(head.net.cpt("sensor_2"), vault.net.cpt("sensor_2"))
    _, all_learned = built(vault, options={"known": []})
    assert "logits/camera_1" in all_learned.state()


def test_noise_around_the_true_tables_grows_with_its_scale(vault):
    far = [divergence(vault, built(vault, options={"initialisation": "noisy", "scale": s})[1].net) for s in (0, 0.1, 1)]
    assert abs(far[0]) < 1e-3
    assert far[0] < far[1] < far[2]


def test_latents_can_have_another_number_of_states(vault):
    trace = train(vault, "world_model", "likelihood", seeds=1, steps=30, checkpoints=[0, 30],
                  head_options={"latent_states": {"robber": 5, "tampering": 1}})  # fmt: skip
    net = trace.world_model(-1, 0)
    assert net.states["robber_3"] == (0, 1, 2, 3, 4)
    assert net.cpt("robber_2").shape == (5, 2, 5)
    assert trace.losses[1, 0] < trace.losses[0, 0]


def test_without_arrows_it_learns_the_marginals_and_no_more(vault):
    trace = train(vault, "world_model", "likelihood", seeds=1, steps=400, learning_rate=0.05, checkpoints=[400],
                  head_options={"structure": "marginals", "tied": False})  # fmt: skip
    net = trace.world_model(-1, 0)
    assert not any(net.parent_sets.values())
    np.testing.assert_allclose(net.cpt("pixel1_2"), Inference(vault.net).query()["pixel1_2"][0], atol=0.03)


def test_a_net_of_ones_own_is_trained_on_from_where_it_stands(vault):
    names = (
        *vault.task("continuation").evidence,
        "robber_2",
        "door_2",
        "diamond_2",
        "tampering_2",
        "pixel1_3",
        "pixel2_3",
    )
    states = {v: vault.net.states[v] for v in names}
    parents = {v: ("diamond_2",) for v in names if v.startswith(("pixel", "sensor"))}
    rng = np.random.default_rng(0)
    shape = {v: (2, len(states[v])) if v in parents else (len(states[v]),) for v in names}
    own = WorldNet(states, parents, {v: rng.dirichlet(np.ones(s[-1]), size=s[:-1]) for v, s in shape.items()})
    options = {"structure": "given", "initialisation": "true"}
    trace = train(vault, "world_model", "continuation", seeds=1, steps=100, learning_rate=0.05, checkpoints=[0, 100],
                  inputs="beliefs", world_model=own, head_options=options)  # fmt: skip
    np.testing.assert_allclose(trace.world_model(0, 0).cpt("sensor_1"), own.cpt("sensor_1"), atol=1e-5)
    assert trace.losses[1, 0] < trace.losses[0, 0]
    with pytest.raises(TrainingError, match=r"a node of another kind.*no such node"):
        train(vault, "world_model", "likelihood", inputs="beliefs", world_model=own, head_options=options)


def test_of_a_twin_every_copy_of_the_schedule_is_known(vault):
    twin = vault.with_redrawn(["pixel1_2", "pixel2_2"])
    _, head = built(twin, "question")
    assert not [name for name in head.state() if "camera" in name]
    assert head.template is None
    assert math.isfinite(head.step(twin.simulate(32, 0)))


def test_a_static_world_has_a_world_model_too():
    dataset = load_dataset("cue_parity")
    trace = train(dataset, "world_model", "question", seeds=1, steps=300, learning_rate=0.1, checkpoints=[0, 300])
    assert trace.losses[1, 0] < trace.losses[0, 0] - 0.3


def test_evidence_it_holds_impossible_tells_it_nothing(vault):
    _, head = built(vault, "question", options={"initialisation": "true"})
    state = {name: 1e4 * array if name.startswith("logits/") else array for name, array in head.state().items()}
    sure = head.restored(state)
    codes = vault.simulate(400, 0)
    shown = np.full_like(codes, -1)
    columns = [vault.net.index[v] for v in vault.task("question").evidence]
    shown[:, columns] = codes[:, columns]
    lost = Inference(sure.net).log_evidence(shown) == -np.inf
    assert lost.any()
    log_q = sure.log_probabilities(codes)
    prior = Inference(sure.net).query(variables=["diamond_2"])["diamond_2"][0]
    np.testing.assert_allclose(np.exp(log_q[lost]), np.tile(prior, (lost.sum(), 1)), atol=2 * FLOOR)
    assert np.isfinite(log_q).all()


@pytest.mark.filterwarnings("error")
def test_a_run_that_diverges_says_so_by_its_loss(vault):
    plan, head = built(vault, optimizer="sgd", learning_rate=1e300, penalties={"weight_decay": 10.0})
    losses = [head.step(plan.clips(0, 32, 32 * i)) for i in range(6)]
    assert math.isfinite(losses[0])
    assert not math.isfinite(losses[-1])
    with pytest.raises(TrainingError, match="every seed diverged"):
        train(vault, "world_model", "likelihood", seeds=2, steps=20, optimizer="sgd", learning_rate=1e300,
              penalties={"weight_decay": 10.0})  # fmt: skip


@pytest.mark.parametrize(
    ("penalty", "said"),
    [("rounds", "message_passing"), ("spectral_decoupling", 'keep its logits small by "weight_decay"')],
)
def test_penalties_without_meaning_here_say_what_to_do_instead(vault, penalty, said):
    with pytest.raises(TrainingError, match=rf"cannot pay this penalty; found {penalty}.*{said}"):
        train(vault, "world_model", "likelihood", penalties={penalty: 1.0})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"structure": "tru"}, "structure is none of true, given, marginals; found tru.*did you mean 'true'"),
        ({"structure": "given"}, r"no world-model is given.*world_model=net"),
        ({"initialisation": "zero"}, "initialisation is none of"),
        ({"scale": -1}, "scale is no number ≥ 0"),
        ({"tied": "yes"}, "tied is neither true, false"),
        ({"known": "camera"}, "known is no list of names"),
        ({"known": ["senser"]}, "nothing of this name is known.*did you mean 'sensor'"),
        ({"latent_states": {"diamond": 3}}, "a node of another kind"),
        ({"latent_states": {"robber": 4}, "initialisation": "true"}, "no numbers to begin with"),
    ],
)
def test_options_that_cannot_be_are_refused(vault, options, said):
    with pytest.raises(TrainingError, match=said):
        built(vault, "question", options=options)


def test_requests_that_cannot_be_are_refused(vault):
    with pytest.raises(TrainingError, match=r"given evidence, not beliefs.*given"):
        built(vault, "question", inputs="beliefs")
    with pytest.raises(TrainingError, match="no unrolled two-slice net; found tied=True"):
        built(load_dataset("cue_parity"), "question", options={"tied": True})
    with pytest.raises(LearningError, match="nothing to learn"):
        built(vault, "question", options={"known": list(vault.template.variables)})


def test_the_likelihood_of_a_world_without_time_trains_world_models_and_no_other_head():
    dataset = load_dataset("cue_parity")
    trace = train(dataset, "world_model", "likelihood", seeds=1, steps=200, learning_rate=0.1, checkpoints=[0, 200])
    observed = dataset.roles["observed"]
    entropy = -Inference(dataset.net).log_evidence(dataset.sample(4000, 3)[list(observed)]).mean() / LN2
    assert trace.losses[0, 0] > entropy + 1
    assert divergence(dataset, trace.world_model(-1, 0)) < 0.5
    with pytest.raises(TrainingError, match=r"cannot be trained on 'likelihood'"):
        train(dataset, "mlp", "likelihood", seeds=1, steps=2)


def test_after_an_update_it_answers_with_its_new_tables(vault):
    plan, head = built(vault, "question", learning_rate=0.3)
    codes = vault.simulate(10, 0)
    before, net = head.log_probabilities(codes), head.net
    head.step(plan.clips(0, 32, 0))
    after = head.log_probabilities(codes)
    assert not np.array_equal(head.net.cpt("diamond_1"), net.cpt("diamond_1"))
    assert np.array_equal(after, plan.build_stepping(1).restored(head.state()).log_probabilities(codes))
    assert np.abs(after - before).max() > 0.01
