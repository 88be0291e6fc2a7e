"""The forecaster: an honest gradient leads to the settled forecast, the whole one to an easier world."""

import jax
import numpy as np
import pytest

from worldnets import load_dataset, train
from worldnets.errors import TrainingError
from worldnets.feedback import feedback_of, hardness, played, settled

KNOWN = {"seeds": 2, "steps": 400, "batch": 64, "learning_rate": 0.05, "checkpoints": [0, 400]}
ROWS = [(mood, demand) for mood in range(2) for demand in range(3)]


@pytest.fixture(scope="module")
def echo():
    return load_dataset("echo")


def table(trace, checkpoint=-1):
    net = trace.dataset.net
    codes = np.full((6, len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index["mood_1"], net.index["demand_1"]]] = ROWS
    return np.exp(trace.predict(codes, checkpoint))


def test_an_honest_forecaster_ends_at_the_settled_forecast(echo):
    trace = train(echo, "forecaster", **KNOWN)
    np.testing.assert_allclose(table(trace), np.broadcast_to(settled(feedback_of(echo), 8), (2, 6, 3)), atol=0.02)
    assert trace.losses[-1].max() < trace.losses[0].min()


def test_a_gradient_through_the_world_ends_in_a_world_that_is_easier_to_predict(echo):
    feedback = feedback_of(echo)
    steering, honest = (train(echo, "forecaster", head_options={"through": part}, **KNOWN) for part in (1.0, 0.0))
    easy, hard = (hardness(played(feedback, table(trace), 8)) for trace in (steering, honest))
    assert (easy < hard - 0.1).all()
    assert (steering.losses[-1] < honest.losses[-1] - 0.05).all()  # which is why it pays


def test_one_step_of_descent_is_that_of_finite_differences(echo):
    feedback = feedback_of(echo)
    known = {"seeds": 1, "steps": 1, "batch": 200, "optimizer": "sgd", "learning_rate": 1.0, "checkpoints": [0, 1]}
    for through in (0.0, 1.0, 0.25):
        trace = train(echo, "forecaster", head_options={"through": through, "horizon": 3}, **known)
        first, after = (np.asarray(trace.parameters["logits"][t, 0], dtype=np.float64) for t in (0, 1))
        clips = trace.plan.clips(0, 200, 0)
        place = clips[:, [trace.dataset.net.index[v] for v in ("mood_1", "demand_1")]] @ [3, 1]
        start = np.bincount(place, minlength=6) / 200

        def loss(logits, published, start=start):
            log_q = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            shown = published - np.log(np.exp(published).sum(-1, keepdims=True))
            return -(played(feedback, np.exp(shown), 3, start) * log_q).sum()

        slope = np.zeros_like(first)
        for at in np.ndindex(first.shape):
            nudge = np.zeros_like(first)
            nudge[at] = 1e-5
            own = (loss(first + nudge, first) - loss(first - nudge, first)) / 2e-5
            world = (loss(first, first + nudge) - loss(first, first - nudge)) / 2e-5
            slope[at] = own + through * world
        np.testing.assert_allclose(first - after, slope, atol=2e-5)


def test_a_head_restored_goes_on_with_the_same_bits(echo):
    plan = train(echo, "forecaster", **KNOWN | {"steps": 1, "checkpoints": [0, 1]}).plan
    head = plan.build_stepping(3)
    clips = plan.clips(3, 64, 0)
    head.step(clips)
    again = head.restored(head.state())
    assert head.step(clips) == again.step(clips)
    for one, other in zip(jax.tree.leaves(head.state()), jax.tree.leaves(again.state()), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "match"),
    [({"horizon": 0}, "horizon"), ({"through": 1.5}, "through"), ({"spread": -1.0}, "spread")],
)
def test_options_out_of_range_are_refused(echo, options, match):
    with pytest.raises(TrainingError, match=match):
        train(echo, "forecaster", steps=1, seeds=1, head_options=options)


def test_a_world_that_hears_no_forecast_and_another_task_are_refused(echo):
    with pytest.raises(TrainingError, match="needs a world that hears"):
        train(load_dataset("vault", frames=3), "forecaster", steps=1, seeds=1)
