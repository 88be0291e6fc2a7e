"""Training: the schedule, what determines a seed's bits, what it learns, and what it refuses."""

import hashlib
import os
import subprocess
import sys

import equinox as eqx
import jax
import numpy as np
import pytest

from worldnets import load_dataset, train
from worldnets.errors import TrainingError, UnknownNameError
from worldnets.heads import REGISTRY
from worldnets.heads.linear import Linear
from worldnets.heads.mlp import MLP
from worldnets.training import checkpoint_steps, retrained, stream

SHORT = {"head": "mlp", "objective": "question", "steps": 90, "batch": 32, "head_options": {"width": 8}}


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("cue_parity", noise=1)


@pytest.fixture(scope="module")
def trace(dataset):
    return train(dataset, **SHORT, checkpoints=[0, 1, 30, 90])


def leaves(trace):
    return jax.tree.leaves(trace.parameters)


def test_the_schedule_holds_the_steps_the_verdict_looks_at():
    for steps in (1, 2, 3, 7, 100, 2000, 12_800, 10**6):
        schedule = checkpoint_steps(steps)
        assert {0, 1, round(steps / 100), round(2 * steps / 3), steps} <= set(schedule)
        assert list(schedule) == sorted(set(schedule))
        assert len(schedule) <= 23


def test_the_schedule_is_log_spaced():
    assert checkpoint_steps(10_000, count=6) == (0, 1, 10, 100, 1000, 6667, 10_000)


def test_streams_are_fixed_numbers_that_differ_by_seed_and_purpose():
    assert (
        stream(0, "training clips") == 4587473197200599443
    )  # sha256sum of "worldnets/training clips/0", first 8 bytes, halved
    drawn = {stream(seed, purpose) for seed in range(200) for purpose in ("training clips", "first parameters")}
    assert len(drawn) == 400


def test_a_seed_has_the_same_bits_whatever_other_seeds_are_asked_for(dataset, trace):
    alone = train(dataset, **SHORT, checkpoints=[0, 1, 30, 90], seeds=[11, 3])
    assert alone.seeds == (11, 3)
    for some, all_of_them in zip(leaves(alone), leaves(trace), strict=True):
        assert np.array_equal(some[:, 1], all_of_them[:, 3])
    assert np.array_equal(alone.losses[:, 1], trace.losses[:, 3])


def test_neither_checkpoints_nor_later_steps_change_a_bit(dataset, trace):
    longer = train(dataset, **{**SHORT, "steps": 400}, checkpoints=[3, 29, 30, 31, 90, 300, 400])
    for some, others in zip(leaves(trace), leaves(longer), strict=True):
        assert np.array_equal(some[2], others[2])
        assert np.array_equal(some[3], others[4])


def test_another_process_on_one_processor_has_the_same_bits(dataset, trace):
    program = (
        "import hashlib, jax, os, numpy as np\n"
        "if hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])\n"
        "from worldnets import load_dataset, train\n"
        f"t = train(load_dataset('cue_parity', noise=1), **{SHORT!r}, checkpoints=[0, 1, 30, 90])\n"
        "print(hashlib.sha256(b''.join(np.asarray(a).tobytes() for a in jax.tree.leaves(t.parameters))).hexdigest())"
    )
    own = hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in leaves(trace))).hexdigest()
    # XLA reads its flags once: what a test of workers left there since would be the child's alone.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | {"JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert run.stdout.strip() == own


def test_one_step_of_sgd_is_the_hand_computed_one(dataset):
    # Logistic regression from zero: q = ½, so the gradient of the loss in nats is mean((½ − y)·x).
    trace = train(
        dataset, "linear", "question", optimizer="sgd", learning_rate=0.5, steps=1, batch=64, seeds=[2], checkpoints=[1]
    )
    codes = dataset.simulate(64, stream(2, "training clips"))
    x, y = trace.inputs.features(codes), codes[:, dataset.net.index["answer"]]
    gradient = ((0.5 - y)[:, None] * x).mean(axis=0)
    np.testing.assert_allclose(trace.parameters.weight[0, 0, 0], -0.5 * gradient, atol=1e-6)
    np.testing.assert_allclose(trace.parameters.bias[0, 0, 0], -0.5 * (0.5 - y).mean(), atol=1e-6)
    np.testing.assert_allclose(trace.losses, 1.0, atol=1e-6)  # one bit, before anything is learned


def test_a_linear_head_learns_the_cue_and_no_more(dataset):
    trace = train(dataset, "linear", "question", steps=600, learning_rate=0.02, seeds=2)
    surprise = -(0.98 * np.log2(0.98) + 0.02 * np.log2(0.02))
    np.testing.assert_allclose(trace.losses[-1], surprise, atol=0.03)


def test_the_twin_learns_by_step_800_what_the_base_has_not_learned_by_1600():
    # Known answer J, reduced: the loss that the parity could still remove, I(deep | cue) = .097 bits in the base and
    # .859 in the twin, is gone in the twin and whole in the base.
    base = load_dataset("cue_parity")
    settings = {"objective": "question", "optimizer": "sgd", "seeds": 8}
    left = train(base, **settings, steps=1600, checkpoints=[1500, 1600]).losses[-1]
    right = train(base.with_redrawn(["cue"]), **settings, steps=900, checkpoints=[800, 900]).losses[-1]
    assert np.all(left > 0.141 - 0.03)
    assert np.all(right < 0.141 + 0.5 * 0.859)
    assert right.mean() < 0.141 + 0.25 * 0.859


def test_beliefs_let_a_linear_head_learn_what_raw_evidence_does_not():
    # The belief about the deep bit is the parity, already computed.
    twin = load_dataset("cue_parity", noise=1).with_redrawn(["cue"])
    losses = {
        inputs: train(twin, "linear", "question", inputs=inputs, steps=400, learning_rate=0.02, seeds=2).losses[-1]
        for inputs in ("beliefs", "evidence")
    }
    assert np.all(losses["beliefs"] < 0.2)
    assert np.all(losses["evidence"] > 0.95)


def test_several_targets_of_several_states_are_learned_together():
    alarm = load_dataset("alarm")
    trace = train(alarm, "linear", "question", steps=300, batch=64, seeds=1)
    assert trace.losses[-1, 0] < 0.75 * trace.losses[0, 0]
    entropies = [np.log2(count) for count in trace.counts]
    np.testing.assert_allclose(trace.losses[0, 0], sum(entropies), rtol=1e-5)  # zero outputs: uniform


class Brittle(eqx.Module):
    """A head some of whose seeds blow up: its scale is drawn, and large scales diverge."""

    inner: Linear
    scale: jax.Array

    @classmethod
    def build(cls, generator, inputs, outputs, *, everywhere: bool = False):
        scale = 1e38 if everywhere or generator.random() < 0.5 else 1.0
        return cls(Linear.build(generator, inputs, outputs), np.array(scale, dtype=np.float32))

    def __call__(self, features):
        return self.inner(features * self.scale)


def test_a_diverging_seed_is_marked_and_the_others_go_on(dataset):
    REGISTRY.register("brittle", Brittle)
    trace = train(dataset, "brittle", "question", optimizer="sgd", steps=70, seeds=8, checkpoints=[0, 10, 70])
    lost = [step is not None for step in trace.diverged]
    assert 0 < sum(lost) < 8
    assert all(0 < step < 10 for step in trace.diverged if step is not None)
    assert np.isnan(trace.losses[-1, lost]).all()
    assert np.isfinite(trace.losses[-1, ~np.array(lost)]).all()
    assert f"{sum(lost)} diverged" in repr(trace)
    predicted = trace.predict(dataset.simulate(5, seed=0), -1)
    assert np.isnan(predicted).all(axis=(1, 2)).tolist() == lost


def test_when_every_seed_diverges_the_error_names_step_and_learning_rate(dataset):
    REGISTRY.register("brittle", Brittle)
    request = {"optimizer": "sgd", "steps": 500, "seeds": 2, "head_options": {"everywhere": True}}
    with pytest.raises(TrainingError, match=r"every seed diverged, the first at step 1 .*0\.05.*smaller learning rate"):
        train(dataset, "brittle", "question", **request)


def test_progress_rises_to_the_end_over_all_groups(dataset):
    calls = []
    train(dataset, **SHORT, seeds=[0, 9], progress=lambda *call: calls.append(call))
    steps, totals, losses = zip(*calls, strict=True)
    assert list(steps) == sorted(steps)
    assert steps[-1] == 180
    assert set(totals) == {180}
    assert np.all(np.isfinite(losses))


def test_groups_trained_at_once_have_the_bits_of_groups_trained_in_turn(dataset):
    request = SHORT | {"seeds": [0, 9, 17, 30], "checkpoints": [0, 30, 90]}
    calls = []
    in_turn = train(dataset, **request, threads=1)
    at_once = train(dataset, **request, threads=3, progress=lambda *call: calls.append(call))
    for some, others in zip(leaves(in_turn), leaves(at_once), strict=True):
        assert np.array_equal(some, others)
    assert np.array_equal(in_turn.losses, at_once.losses)
    steps = [step for step, _, _ in calls]
    assert steps == sorted(steps)
    assert steps[-1] == 4 * 90


def test_what_stops_one_group_stops_those_beside_it(dataset):
    def progress(step, steps, loss):
        calls.append(step)
        raise KeyError("enough")

    calls = []
    with pytest.raises(KeyError, match="enough"):
        train(dataset, **(SHORT | {"steps": 100_000}), seeds=[0, 8, 16, 24], threads=2, progress=progress)
    assert len(calls) <= 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threads": 0}, "threads is too small; found 0"),
        ({"steps": 0}, "steps is too small; found 0"),
        ({"steps": 2.5}, "steps is no whole number"),
        ({"batch": 0}, "batch is too small"),
        ({"seeds": 0}, "seeds is too small"),
        ({"seeds": []}, "no seed"),
        ({"seeds": [1, 2, 1]}, r"a seed stands there twice; found \[1\]"),
        ({"seeds": [-1]}, "seed is too small; found -1"),
        ({"seeds": "8"}, "seeds is a text"),
        ({"learning_rate": 0}, "learning rate is no number > 0"),
        ({"learning_rate": float("nan")}, "learning rate is no number > 0"),
        ({"checkpoints": [0, 999]}, "checkpoints outside the training"),
        ({"checkpoints": []}, "checkpoints outside the training"),
        ({"inputs": "raw"}, "unknown inputs"),
        ({"objective": "continuation"}, "this dataset cannot be trained on 'continuation'"),
        ({"head_options": {"depht": 1}}, "did you mean 'depth'"),
    ],
)
def test_a_bad_request_is_refused_with_what_to_give_instead(dataset, change, message):
    with pytest.raises(TrainingError, match=message):
        train(dataset, **{**SHORT, **change})


@pytest.mark.parametrize("change", [{"head": "mpl"}, {"objective": "questions"}, {"optimizer": "adm"}])
def test_unknown_names_get_the_nearest_known_one(dataset, change):
    with pytest.raises(UnknownNameError, match="did you mean"):
        train(dataset, **{**SHORT, **change})


def test_a_name_in_place_of_a_dataset_is_told_how_to_load_it():
    with pytest.raises(TrainingError, match="load_dataset"):
        train("vault")


def test_a_head_is_one_small_class(dataset):
    class Scaled(eqx.Module):
        inner: MLP
        scale: float = eqx.field(static=True)

        @classmethod
        def build(cls, generator, inputs, outputs, *, scale: float = 2.0):
            return cls(MLP.build(generator, inputs, outputs, width=4), scale)

        def __call__(self, features):
            return self.inner(features) * self.scale

    REGISTRY.register("scaled", Scaled)
    trace = train(dataset, "scaled", "question", steps=200, seeds=1, head_options={"scale": 3.0})
    assert trace.losses[-1, 0] < 0.5
    assert trace.head_options == {"scale": 3.0}


def test_the_same_request_again_has_the_same_bits(dataset, trace):
    again = retrained(trace)
    for some, others in zip(leaves(again), leaves(trace), strict=True):
        assert np.array_equal(some, others)
    assert np.array_equal(again.losses, trace.losses)


def test_a_change_changes_what_it_names_and_nothing_else(trace):
    twin = retrained(trace, dataset=trace.dataset.with_redrawn(["cue"]), penalties={"weight_decay": 0.01}, steps=40)
    assert (twin.head, twin.objective, twin.seeds) == (trace.head, trace.objective, trace.seeds)
    assert dict(twin.settings)["penalties"]["weight_decay"]["strength"] == 0.01
    assert twin.steps[-1] == 40
    for some, others in zip(leaves(twin), leaves(trace), strict=True):
        assert np.array_equal(some[0], others[0])  # the same first parameters


def test_one_data_order_for_all_seeds_leaves_them_different_only_in_their_first_parameters(dataset, trace):
    plan = retrained(trace, data_order=3).plan
    assert np.array_equal(plan.clips(0, 40, 7), trace.plan.clips(3, 40, 7))
    assert np.array_equal(plan.clips(0, 40, 7), plan.clips(5, 40, 7))
    crossed = retrained(trace, data_order=3)
    for some, others in zip(leaves(crossed), leaves(trace), strict=True):
        assert np.array_equal(some[0], others[0])  # the same first parameters
        assert np.array_equal(some[-1, 3], others[-1, 3])  # seed 3 on its own clips is what it was
        assert not np.array_equal(some[-1, 4], others[-1, 4])


def test_a_data_order_is_saved_and_asked_for_again(trace, tmp_path):
    crossed = retrained(trace, data_order=2, steps=30)
    assert "data_order" not in trace.settings
    loaded = type(trace).load(crossed.save(tmp_path / "trace"))
    assert loaded.settings["data_order"] == 2
    assert np.array_equal(retrained(loaded).losses, crossed.losses)
    with pytest.raises(TrainingError, match="data_order"):
        retrained(trace, data_order=-1)
