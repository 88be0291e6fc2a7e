"""Penalties: their formulas, their slopes, and what they do to a trained head."""

import jax
import numpy as np
import pytest

from worldnets import load_dataset, train
from worldnets.errors import TrainingError, UnknownNameError
from worldnets.penalties import L1, DescriptionLength, EvidenceDropout, WeightDecay, penalties_of, penalty_settings
from worldnets.training_plan import plan_training

SHORT = {"objective": "question", "steps": 200, "batch": 64, "seeds": 2, "learning_rate": 0.05}


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("cue_parity", noise=1)


@pytest.mark.parametrize("penalty", [WeightDecay(0.3), L1(0.3), DescriptionLength(0.2, step=0.1)])
def test_the_slope_is_the_derivative_of_the_cost_in_numpy_and_in_jax(penalty):
    theta = np.array([[-2.0, -0.3], [0.7, 5.0]])
    h = 1e-6
    for place in np.ndindex(theta.shape):
        up, down = theta.copy(), theta.copy()
        up[place] += h
        down[place] -= h
        assert penalty.slope(theta)[place] == pytest.approx((penalty.cost(up) - penalty.cost(down)) / (2 * h), rel=1e-6)
    in_jax = jax.grad(lambda x: penalty.cost(x, jax.numpy))(theta.astype(np.float32))
    np.testing.assert_allclose(in_jax, penalty.slope(theta), rtol=1e-5)


def test_description_length_counts_bits_of_a_universal_code():
    # |θ|/step = 3 takes 2·log2(4) = 4 bits; a cost is in nats.
    assert DescriptionLength(1.0, step=0.5).cost(np.array([1.5])) == pytest.approx(4 * np.log(2))
    assert DescriptionLength(1.0).cost(np.zeros(9)) == 0


@pytest.mark.slow
def test_what_is_free_is_not_paid_for_and_all_else_is():
    dataset = load_dataset("vault", frames=3, pixels=1)
    request = {"steps": 60, "batch": 32, "seeds": 2, "checkpoints": [60], "learning_rate": 0.05}
    halting = {"head_options": {"clusters": "frames", "halting": True}}
    ends = {}
    for free in ((), ("halting",), ("logits",)):
        paid = {"description_length": {"strength": 0.03, "free": list(free)}}
        trace = train(dataset, "message_passing", "question", **request, **halting, penalties=paid)
        assert trace.settings["penalties"]["description_length"].get("free", []) == list(free)
        parameters = trace.parameters
        ends[free] = (np.abs(parameters.halting).mean(), np.mean([np.abs(part).mean() for part in parameters.logits]))
    assert ends[()][0] < 0.5 * ends["halting",][0]  # when to halt is pressed to uniform only where it is paid for
    assert ends["halting",][1] < 0.5 * ends["logits",][1]  # tables still pay where halting does not


def test_weight_decay_makes_the_first_step_of_plain_descent_that_much_smaller(dataset):
    request = {**SHORT, "steps": 1, "optimizer": "sgd", "head": "linear", "head_options": {"initialisation": "he"}}
    free, paid = train(dataset, **request), train(dataset, **request, penalties={"weight_decay": 2.0})
    before = free.parameters.weight[0]
    np.testing.assert_allclose(
        paid.parameters.weight[1], free.parameters.weight[1] - 0.05 * 2.0 * before, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize(
    "penalty", [{"weight_decay": 0.05}, {"l1": 0.05}, {"description_length": 0.05}, {"spectral_decoupling": 0.1}]
)
def test_a_penalised_head_is_smaller_and_says_what_it_paid(dataset, penalty):
    free = train(dataset, "linear", **SHORT)
    paid = train(dataset, "linear", **SHORT, penalties=penalty)
    assert np.abs(paid.parameters.weight[-1]).sum() < 0.9 * np.abs(free.parameters.weight[-1]).sum()
    assert next(iter(paid.settings["penalties"])) == next(iter(penalty))
    assert "penalties" not in free.settings


def test_a_head_that_misses_the_cue_half_of_the_time_loses_its_bits_half_of_the_time(dataset):
    hidden = {"evidence_dropout": {"strength": 0.5, "variables": ["cue"]}}
    trace = train(dataset, "linear", **{**SHORT, "batch": 512}, penalties=hidden, checkpoints=[100, 200])
    entropy = -0.98 * np.log2(0.98) - 0.02 * np.log2(0.02)  # what the cue leaves open
    np.testing.assert_allclose(trace.losses[-1], 0.5 * 1 + 0.5 * entropy, atol=0.02)


def test_what_is_hidden_as_evidence_is_still_asked_for_frame_by_frame():
    vault = load_dataset("vault", frames=5, context=2)
    plan = plan_training(vault, "gru", "continuation_autoregressive", penalties={"evidence_dropout": 0.5})
    clips, dropped = plan.clips(0, 50, 0), plan.dropped(0, 50, 0)
    shown, whole = plan.examples(clips, dropped), plan.examples(clips)
    assert np.array_equal(shown.outcomes, whole.outcomes)
    columns = [vault.net.index[v] for v in plan.task.evidence]
    expected = np.where(np.repeat(dropped, plan.per_clip, axis=0), -1, whole.codes[:, columns])
    assert np.array_equal(shown.codes[:, columns], expected)
    trace = train(vault, "mlp", "likelihood", penalties={"evidence_dropout": 0.5}, steps=3, seeds=1, batch=16)
    assert np.isfinite(trace.losses).all()
    with pytest.raises(TrainingError, match="frame by frame is not for this head; found scikit_learn"):
        plan_training(vault, "scikit_learn", "likelihood", penalties={"evidence_dropout": 0.5})


def test_hidden_evidence_is_a_function_of_seed_and_row_at_the_stated_rate(dataset):
    penalty, task = EvidenceDropout(0.3), dataset.task("question")
    whole = penalty.hidden(task, 7, 0, 20_000)
    assert np.array_equal(penalty.hidden(task, 7, 500, 10), whole[500:510])
    np.testing.assert_allclose(whole.mean(axis=0), 0.3, atol=0.015)
    only = EvidenceDropout(0.3, ("cue",)).hidden(task, 7, 0, 1000)
    assert only[:, task.evidence.index("cue")].any()
    assert only.sum() == only[:, task.evidence.index("cue")].sum()


def test_penalties_go_through_json_and_back():
    given = {"weight_decay": 1e-3, "evidence_dropout": {"strength": 0.2, "variables": ["a"]}, "spectral_decoupling": 0}
    made = penalties_of(given)
    assert [penalty.name for penalty in made] == ["evidence_dropout", "weight_decay"]
    assert penalties_of(penalty_settings(made)) == made
    assert penalties_of(None) == ()


@pytest.mark.parametrize(
    ("penalties", "message"),
    [
        ({"weight_decay": -1}, "a strength is no number ≥ 0; found -1"),
        ({"weight_decay": float("nan")}, "a strength is no number"),
        ({"weight_decay": True}, "a strength is no number"),
        ({"weight_decay": {"strenght": 1}}, "did you mean 'strength'"),
        ({"weight_decay": {}}, "the penalty has no strength"),
        ({"description_length": {"strength": 1, "step": 0}}, "step is no number > 0"),
        ({"description_length": {"strength": 1, "free": "weight"}}, "free is a text"),
        ({"description_length": {"strength": 1, "free": ["wieght"]}}, "no such parameters.*did you mean 'weight'"),
        ({"evidence_dropout": 1.0}, "always hidden"),
        ({"evidence_dropout": {"strength": 0.5, "variables": "cue"}}, "variables is a text"),
        ({"evidence_dropout": {"strength": 0.5, "variables": ["queue"]}}, "did you mean 'cue'"),
        ({"rounds": 0.1}, "takes no rounds to pay for"),
        ("weight_decay", "no table of names and strengths"),
    ],
)
def test_a_wrong_penalty_is_refused_with_its_mend(dataset, penalties, message):
    with pytest.raises(TrainingError, match=message):
        train(dataset, "linear", **SHORT, penalties=penalties)


def test_an_unknown_penalty_gets_the_nearest_name(dataset):
    with pytest.raises(UnknownNameError, match="did you mean 'weight_decay'"):
        train(dataset, "linear", **SHORT, penalties={"weight_decya": 1})
