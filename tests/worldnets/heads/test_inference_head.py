"""The head without parameters: exact posteriors, and what it says where there are none."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from worldnets import Inference, WorldNet, load_dataset, train
from worldnets.dataset import Dataset
from worldnets.errors import TrainingError
from worldnets.heads.floor import FLOOR
from worldnets.heads.inference import InferenceHead, Posterior
from worldnets.roles import Target, Task, World
from worldnets.training_plan import plan_training


@pytest.fixture(scope="module")
def net():
    """y -> z -> (a binary, b ternary)."""
    return WorldNet(
        {"y": (0, 1), "z": ("low", "high"), "b": ("r", "g", "b"), "a": (0, 1)},
        {"z": ["y"], "a": ["z"], "b": ["z"]},
        {
            "y": [0.4, 0.6],
            "z": [[0.7, 0.3], [0.2, 0.8]],
            "a": [[0.9, 0.1], [0.25, 0.75]],
            "b": [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]],
        },
    )


@pytest.fixture(scope="module")
def task():
    targets = (Target("y", ("y",)), Target("both", ("z", "y")), Target("z", ("z",)))
    ladder = (("a",), ("b",))
    return Task("question", ("b", "a"), targets, {target.name: ladder for target in targets})


def posterior(world_model, net, task):
    return Posterior(world_model, net, task.evidence, task.targets)


def joint(net):
    return np.einsum("y,yz,za,zb->bayz", net.cpt("y"), net.cpt("z"), net.cpt("a"), net.cpt("b"))


def test_the_head_is_the_exact_posterior_of_every_target_with_evidence_observed_or_not(net, task):
    log_q = posterior(net, net, task)
    table = joint(net)
    for b in (-1, 0, 1, 2):
        for a in (-1, 0, 1):
            own = table.sum(0, keepdims=True) if b < 0 else table[b : b + 1]
            own = (own.sum(1) if a < 0 else own[:, a])[0]
            own = own / own.sum()
            expected = np.concatenate([own.sum(1), own.T.reshape(-1), own.sum(0)])
            # What stands in the targets' own columns must not count.
            found = log_q(np.array([[1, 0, b, a]], dtype=np.int16))[0]
            np.testing.assert_allclose(np.exp(found), expected, atol=1e-12)


def test_its_training_loss_is_the_conditional_entropy(net, task):
    dataset = Dataset("small", {}, World(net, {"question": task}, {}))
    trace = train(dataset, "inference", "question", steps=400, batch=256, seeds=2, checkpoints=[400])
    table = joint(net)
    conditional = lambda p: -(p * np.log2(p / p.sum((2, 3), keepdims=True))).sum()
    both = conditional(table)
    alone = [conditional(table.sum(axis, keepdims=True)) for axis in (2, 3)]
    np.testing.assert_allclose(trace.losses[-1], both + sum(alone), atol=0.02)  # sd .005
    assert np.array_equal(trace.predict(dataset.simulate(9, 0), 0)[0], trace.predict(dataset.simulate(9, 0), 0)[1])


def test_an_impossible_outcome_gets_the_floor_and_impossible_evidence_leaves_all_open():
    net = WorldNet(
        {"y": (0, 1), "x": (0, 1, 2)}, {"x": ["y"]}, {"y": [0.5, 0.5], "x": [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]]}
    )
    task = Task("question", ("x",), (Target("y", ("y",)),), {"y": (("x",),)})
    log_q = posterior(net, net, task)(np.array([[-1, 0], [-1, 2]], dtype=np.int16))
    np.testing.assert_allclose(log_q, [[0, math.log(FLOOR)], [-math.log(2), -math.log(2)]], atol=1e-6)


def test_it_answers_from_the_world_model_behind_the_inputs():
    dataset = load_dataset("cue_parity", noise=1)
    other = load_dataset("cue_parity", noise=1, strength=0.7).net
    shuffled = WorldNet(
        {v: other.states[v] for v in reversed(other.variables)},
        {v: other.parents(v) for v in other.variables},
        dict(other.cpts),
    )
    request = {"objective": "question", "inputs": "beliefs", "steps": 2, "seeds": 1, "checkpoints": [2]}
    trace = train(dataset, "inference", world_model=shuffled, **request)
    codes = dataset.simulate(50, seed=1)
    np.testing.assert_allclose(trace.predict(codes, 0)[0], posterior(other, dataset.net, trace.task)(codes), atol=1e-12)
    assert not np.allclose(trace.predict(codes, 0)[0], posterior(dataset.net, dataset.net, trace.task)(codes), atol=0.1)


def test_it_follows_a_world_model_that_grows(net, task):
    class Growing:
        """Inputs whose world-model changes at step 2."""

        def __init__(self, first, second):
            self.stages = first, second

        def at(self, step):
            return self.stages[step >= 2]

    biased = WorldNet(net.states, {v: net.parents(v) for v in net.variables}, {**net.cpts, "y": [0.9, 0.1]})
    dataset = Dataset("small", {}, World(net, {"question": task}, {}))
    stages = [SimpleNamespace(world_model=model) for model in (biased, net)]
    plan = SimpleNamespace(inputs=Growing(*stages), dataset=dataset, task=task, counts=(2, 4, 2), per_clip=1)
    plan.examples = lambda clips: (clips, np.zeros((len(clips), 3), dtype=np.int64))
    head = InferenceHead.build(np.random.default_rng(0), plan)
    codes = dataset.simulate(20, seed=0)
    seen = []
    for _ in range(3):
        seen.append((head.state(), head.log_probabilities(codes)))
        head.step(codes)
    assert np.array_equal(seen[1][1], posterior(biased, net, task)(codes))
    assert np.array_equal(seen[2][1], posterior(net, net, task)(codes))
    assert np.array_equal(head.restored(seen[1][0]).log_probabilities(codes), seen[1][1])


@pytest.mark.parametrize(("objective", "first"), [("continuation_autoregressive", 2), ("likelihood", 0)])
def test_asked_frame_after_frame_it_pays_for_the_answer_to_each_question(objective, first):
    vault = load_dataset("vault", frames=4, context=2)
    plan = plan_training(vault, "inference", objective, batch=16)
    clips = plan.clips(0, 16, 0)
    engine, nats = Inference(vault.net), np.zeros(16)
    for before in range(first, 4):
        seen = [vault.net.index[v] for frame in vault.world.frames[:before] for v in frame]
        codes = np.full_like(clips, -1)
        codes[:, seen] = clips[:, seen]
        shown = tuple(f"pixel{i}_{before + 1}" for i in (1, 2))
        asked = clips[:, [vault.net.index[v] for v in shown]]
        nats -= np.log(engine.joint(codes, shown)[np.arange(16), asked[:, 0], asked[:, 1]])
    np.testing.assert_allclose(plan.build_stepping(0).step(clips), nats.mean() / math.log(2), rtol=1e-9)


def test_a_world_model_that_lacks_a_target_or_knows_other_states_is_refused(net, task):
    bare = WorldNet(
        {"z": net.states["z"], "a": (0, 1), "b": net.states["b"]},
        {"a": ["z"], "b": ["z"]},
        {"z": [0.5, 0.5], "a": net.cpt("a"), "b": net.cpt("b")},
    )
    with pytest.raises(TrainingError, match="'y'"):
        posterior(bare, net, task)
    other = WorldNet({**net.states, "y": ("no", "yes")}, {v: net.parents(v) for v in net.variables}, dict(net.cpts))
    with pytest.raises(TrainingError, match="node 'y': the world-model has other states"):
        posterior(other, net, task)
