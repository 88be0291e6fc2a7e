"""A loss after every frame, in one pass: the bits of a clip, and what heads then answer."""

from dataclasses import replace

import numpy as np
import pytest

from worldnets import load_dataset, train
from worldnets.dataset import Dataset
from worldnets.errors import TrainingError
from worldnets.objectives import REGISTRY
from worldnets.step_answers import answers_at_each_step
from worldnets.training_plan import plan_training

EACH = "continuation_each_step"
OPTIONS = {"gru": {"width": 6}, "transformer": {"width": 8, "depth": 2, "heads": 2}}


@pytest.fixture(scope="module", params=list(OPTIONS))
def trace(request):
    dataset = load_dataset("chains", chains=2, tokens=3, frames=6, start="uniform")
    return train(dataset, request.param, EACH, seeds=2, steps=60, batch=16, checkpoints=[0, 60], threads=1,
                 head_options=OPTIONS[request.param])  # fmt: skip


def test_a_clip_costs_the_bits_of_its_frames_one_after_the_other(trace):
    clips = trace.plan.clips(1, 16, 0)
    log_q = answers_at_each_step(trace, clips)(0)[1]  # [rows, steps, tokens]
    later = clips[:, [trace.dataset.net.index[f"token_{t}"] for t in range(2, 7)]]
    bits = -np.take_along_axis(log_q, later[..., None].astype(np.int64), -1).sum((1, 2)) / np.log(2)
    assert trace.losses[0, 1] == pytest.approx(bits.mean(), rel=1e-4)


def test_training_lowers_the_bits_of_all_frames(trace):
    assert (trace.losses[1] < trace.losses[0]).all()
    clips = trace.dataset.simulate(400, seed=99)
    later = clips[:, [trace.dataset.net.index[f"token_{t}"] for t in range(2, 7)], None].astype(np.int64)
    before, after = (
        -np.take_along_axis(answers_at_each_step(trace, clips)(c).mean(0), later, -1).mean((0, 2)) for c in (0, 1)
    )
    assert (after < before).all()


def test_the_last_answer_is_what_the_trace_predicts(trace):
    codes = trace.dataset.simulate(5, seed=3)
    every = answers_at_each_step(trace, codes)(1)
    assert every.shape == (2, 5, 5, 3)
    np.testing.assert_allclose(every[:, :, -1], trace.predict(codes, 1), atol=1e-5)
    np.testing.assert_allclose(np.exp(every).sum(-1), 1.0)


def test_an_answer_on_the_way_depends_on_no_later_frame(trace):
    codes = trace.dataset.simulate(4, seed=5)
    other = codes.copy()
    for t in (4, 5):
        column = trace.dataset.net.index[f"token_{t}"]
        other[:, column] = (codes[:, column] + 1) % 3
    one, changed = (answers_at_each_step(trace, rows)(1) for rows in (codes, other))
    np.testing.assert_allclose(one[:, :, :3], changed[:, :, :3], atol=1e-6)
    assert np.abs(one[:, :, 3:] - changed[:, :, 3:]).max() > 1e-3


def test_a_frame_of_several_targets_has_an_outcome_of_each():
    vault = load_dataset("vault", frames=4)
    objective = REGISTRY.get(EACH)
    clips = vault.simulate(3, seed=0)
    targets = objective.task(vault).targets
    outcomes = objective.examples(vault, clips).outcomes
    assert outcomes.shape == (3, 3 * len(targets))
    last = REGISTRY.get("continuation").examples(vault, clips).outcomes
    np.testing.assert_array_equal(outcomes[:, -len(targets) :], last)


def test_a_world_model_is_asked_for_all_frames_but_the_first():
    asked = REGISTRY.get(EACH).ask(load_dataset("chains", frames=4))
    assert asked.given == ("token_1",)
    assert asked.asked == ("token_2", "token_3", "token_4")


def test_a_head_that_answers_at_the_end_only_is_refused():
    with pytest.raises(TrainingError, match=r"does not answer after each frame; found mlp.*gru"):
        plan_training(load_dataset("chains"), "mlp", EACH)


def test_heads_that_were_trained_for_the_end_are_not_asked_on_the_way():
    dataset = load_dataset("chains", chains=2, frames=4)
    ended = train(dataset, "gru", "continuation", seeds=1, steps=1, batch=4, checkpoints=[1], head_options={"width": 2})
    with pytest.raises(TrainingError, match="not asked for an answer after each frame"):
        answers_at_each_step(ended, dataset.simulate(2, seed=0))


def test_frames_that_show_nothing_are_refused():
    known = load_dataset("chains", frames=4)
    odd = Dataset("odd", {}, replace(known.world, frames=((), *known.world.frames[1:])))
    with pytest.raises(TrainingError, match="a frame that shows nothing"):
        REGISTRY.get(EACH).task(odd)
