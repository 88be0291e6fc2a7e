"""Heads that make their own updates."""

import math

import numpy as np
import pytest

from worldnets import load_dataset, train, training_memory
from worldnets.errors import TrainingError
from worldnets.heads import REGISTRY
from worldnets.trace import Trace


class Frequencies:
    """Counts outcomes, whatever the evidence: the smallest stepping head, with the add-one estimate as prediction."""

    def __init__(self, plan, counts, breaks):
        self.plan, self.counts, self.breaks = plan, counts, breaks

    @classmethod
    def build(cls, generator, plan, *, breaks: bool = False):
        first = np.ones(plan.counts[0]) + generator.random()
        return cls(plan, first, breaks and generator.random() < 0.5)

    def state(self):
        return {"counts": self.counts.copy()}

    def restored(self, state):
        return Frequencies(self.plan, np.array(state["counts"]), self.breaks)

    def step(self, clips):
        outcomes = self.plan.examples(clips).outcomes[:, 0]
        bits = -np.log2(self.counts / self.counts.sum())[outcomes].mean()
        self.counts += np.bincount(outcomes, minlength=len(self.counts))
        return math.nan if self.breaks else float(bits)

    def log_probabilities(self, codes):
        return np.tile(np.log(self.counts / self.counts.sum()), (len(codes), 1))


@pytest.fixture(scope="module")
def dataset():
    REGISTRY.register("frequencies", Frequencies)
    return load_dataset("vault", frames=3)


REQUEST = {"head": "frequencies", "objective": "question", "steps": 500, "batch": 32}


def test_a_stepping_head_learns_and_predicts_through_the_trace(dataset):
    trace = train(dataset, **REQUEST, seeds=[3, 10], checkpoints=[0, 1, 500])
    clips = dataset.simulate(20_000, seed=0)
    gone = clips[:, dataset.net.index["diamond_2"]].mean()
    predicted = np.exp(trace.predict(clips[:4], -1))
    assert predicted.shape == (2, 4, 2)
    np.testing.assert_allclose(predicted[..., 1], gone, atol=0.02)
    entropy = -gone * np.log2(gone) - (1 - gone) * np.log2(1 - gone)
    np.testing.assert_allclose(trace.losses[-1], entropy, atol=0.03)


def test_its_trace_is_saved_and_read_like_any_other(dataset, tmp_path):
    trace = train(dataset, **REQUEST, seeds=2)
    back = Trace.load(trace.save(tmp_path / "trace"))
    codes = dataset.simulate(3, 0)
    assert np.array_equal(back.predict(codes, 2), trace.predict(codes, 2))


def test_a_seed_has_the_same_bits_alone(dataset):
    together, alone = (train(dataset, **REQUEST, seeds=seeds) for seeds in ([0, 1, 2], [2]))
    assert np.array_equal(together.parameters["counts"][:, 2], alone.parameters["counts"][:, 0])
    assert np.array_equal(together.losses[:, 2], alone.losses[:, 0])


def test_a_diverging_seed_is_marked_and_the_others_go_on(dataset):
    trace = train(dataset, **REQUEST, seeds=8, head_options={"breaks": True}, checkpoints=[0, 500])
    lost = np.array([step is not None for step in trace.diverged])
    assert 0 < lost.sum() < 8
    predicted = trace.predict(dataset.simulate(3, 0), -1)
    assert np.isnan(predicted[lost]).all()
    assert np.isfinite(predicted[~lost]).all()


@pytest.mark.parametrize("after", [300, 800])
def test_an_interrupted_run_goes_on_with_the_same_bits(dataset, tmp_path, monkeypatch, after):
    class Interrupted(Exception):
        pass

    def progress(step, steps, loss):
        calls.append(step)
        if len(calls) * 128 >= after:
            raise Interrupted

    calls = []
    monkeypatch.setattr(training_memory.Memory, "due", lambda self: True)
    request = {**REQUEST, "batch": 64, "seeds": 2}
    whole = train(dataset, **request)
    with pytest.raises(Interrupted):
        train(dataset, **request, save_to=tmp_path / "trace", progress=progress)
    again = train(dataset, **request, save_to=tmp_path / "trace")
    assert np.array_equal(again.parameters["counts"], whole.parameters["counts"])
    assert np.array_equal(again.losses, whole.losses)


def test_a_penalty_it_cannot_pay_is_refused(dataset):
    with pytest.raises(TrainingError, match="'frequencies' cannot pay this penalty; found weight_decay"):
        train(dataset, **REQUEST, penalties={"weight_decay": 1.0})


def test_a_head_that_is_no_world_model_says_where_one_is(dataset):
    with pytest.raises(TrainingError, match=r"this head is no world-model.*trace\.inputs\.world_model"):
        train(dataset, **REQUEST, seeds=1).world_model(-1, 0)
