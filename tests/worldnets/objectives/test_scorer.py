"""Being scored well by a judge of world-models: what it brings, and how it is gamed."""

import math

import numpy as np
import pytest

from worldnets import Inference, load_dataset, train
from worldnets.distinct import distinct
from worldnets.errors import TrainingError
from worldnets.heads.base import REGISTRY as HEADS
from worldnets.objectives import REGISTRY
from worldnets.objectives.scorer import Scored


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=3)


@pytest.fixture(scope="module")
def objective():
    small = Scored("scorer_of_few", specimens=60, clips=6)
    REGISTRY.register("scorer_of_few", small)
    return small


def divergence(dataset, model):
    codes = np.full((20_000, len(dataset.net.variables)), -1, dtype=np.int16)
    columns = [dataset.net.index[v] for v in dataset.roles["observed"]]
    codes[:, columns] = dataset.simulate(20_000, 99)[:, columns]
    rows, which = distinct(codes)
    weights = np.bincount(which) / len(codes)
    nats = Inference(dataset.net).log_evidence(rows) - Inference(model).log_evidence(rows)
    return float(weights @ nats) / math.log(2)


def test_the_loss_is_minus_the_score_in_bits_and_the_judge_is_made_once(vault, objective):
    judge = objective.judge(vault)
    assert objective.judge(load_dataset("vault", frames=3)) is judge
    bits, slopes = objective.world_model_gradient(vault, vault.net)
    score, of_score = judge.score_and_gradient(vault.net)
    assert bits == pytest.approx(-score / math.log(2))
    assert all(np.array_equal(slopes[v], -of_score[v]) for v in vault.net.variables)


def test_pressed_on_the_score_goes_on_rising_while_the_world_model_gets_worse(vault, objective):
    trace = train(vault, "world_model", "scorer_of_few", seeds=2, steps=300, learning_rate=0.03,
                  checkpoints=[0, 1, 3, 10, 300], head_options={"initialisation": "noisy", "scale": 0.5})  # fmt: skip
    for seed in (0, 1):
        nets = [trace.world_model(c, seed) for c in range(5)]
        scores = [objective.judge(vault).score(net) for net in nets]
        away = [divergence(vault, net) for net in nets]
        assert scores == sorted(scores)
        assert scores[-1] > objective.judge(vault).score(vault.net)
        assert away[-1] > 1.5 * min(away)
    assert trace.losses[-1].max() < trace.losses[0].min()


def test_only_world_models_can_be_trained_for_it(vault, objective):
    for head in ("mlp", "linear"):
        with pytest.raises(TrainingError, match=r"'scorer_of_few'.*judges world-models.*head=\"world_model\""):
            train(vault, head, "scorer_of_few", steps=2, seeds=1)
    with pytest.raises(TrainingError, match="judges world-models"):
        objective.ask(vault)
    assert "world_model" in HEADS.names()


def test_it_is_measured_on_the_datasets_own_task(vault, objective):
    task = objective.task(vault)
    assert task.objective == "scorer_of_few"
    assert task.evidence == vault.task("continuation").evidence
    assert REGISTRY.get("scorer").task(load_dataset("cue_parity")).targets[0].variables == ("answer",)


def test_a_world_without_time_has_a_judge_too(objective):
    dataset = load_dataset("cue_parity")
    trace = train(dataset, "world_model", "scorer_of_few", seeds=1, steps=30, learning_rate=0.1, checkpoints=[0, 30])
    assert trace.losses[1, 0] < trace.losses[0, 0]
