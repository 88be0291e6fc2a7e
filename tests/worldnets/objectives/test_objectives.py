"""Objectives: the log loss and the probabilities it belongs to."""

import jax
import numpy as np
import pytest

from worldnets import Inference, load_dataset, train
from worldnets.dataset import Dataset
from worldnets.errors import TrainingError, UnknownNameError
from worldnets.heads.inference import Posterior
from worldnets.net import WorldNet
from worldnets.objectives import REGISTRY, log_loss, log_probabilities, output_count
from worldnets.objectives.clip import Clip
from worldnets.objectives.question import labeller_answers, nats_apart
from worldnets.roles import Labeller, World

COUNTS = (2, 2, 3, 3, 2, 5)


def drawn(rows=40):
    rng = np.random.default_rng(3)
    outputs = (3 * rng.standard_normal((rows, output_count(COUNTS)))).astype(np.float32)
    return outputs, np.stack([rng.integers(count, size=rows) for count in COUNTS], axis=1).astype(np.int32)


def test_two_outcomes_take_one_output_and_more_take_one_each():
    assert output_count(COUNTS) == 1 + 1 + 3 + 3 + 1 + 5


def test_probabilities_sum_to_one_per_target_to_float64_precision():
    q = np.exp(log_probabilities(drawn()[0], COUNTS))
    sums = np.add.reduceat(q, np.cumsum((0, *COUNTS[:-1])), axis=-1)
    np.testing.assert_allclose(sums, 1, atol=1e-14)


def test_probabilities_are_softmax_and_logistic():
    outputs = np.array([[0.3, 1.0, 2.0, -1.0]])
    q = np.exp(log_probabilities(outputs, (2, 3)))[0]
    np.testing.assert_allclose(q[1], 1 / (1 + np.exp(-0.3)))
    np.testing.assert_allclose(q[2:], np.exp([1.0, 2.0, -1.0]) / np.exp([1.0, 2.0, -1.0]).sum())


def test_the_loss_is_minus_log2_of_the_probability_of_what_happened():
    outputs, outcomes = drawn()
    log_q = log_probabilities(outputs, COUNTS)
    columns = outcomes + np.cumsum((0, *COUNTS[:-1]))
    expected = -np.take_along_axis(log_q, columns, axis=1).sum(axis=1) / np.log(2)
    np.testing.assert_allclose(log_loss(jax.numpy.asarray(outputs), outcomes, COUNTS), expected, rtol=1e-5)


def test_extreme_outputs_give_finite_loss_and_log_probabilities():
    outputs = np.array([[500.0, -500.0, 1e4, -1e4, 0.0]], dtype=np.float32)
    assert np.all(np.isfinite(log_probabilities(outputs, (2, 2, 3))))
    assert np.isfinite(log_loss(jax.numpy.asarray(outputs), np.array([[0, 1, 1]]), (2, 2, 3)))


def test_a_world_without_time_has_no_continuation():
    with pytest.raises(TrainingError, match=r"cue_parity.*'continuation'.*tasks question.*question"):
        REGISTRY.get("continuation").task(load_dataset("cue_parity"))


def test_an_unknown_objective_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'question'"):
        REGISTRY.get("questoin")


# What is asked of the six-frame vault after three frames of context.
CONTEXT, FRAMES = 3, 6


@pytest.fixture(scope="module")
def vault():
    return load_dataset("vault", frames=FRAMES, context=CONTEXT)


def test_all_remaining_frames_are_targets_of_their_own(vault):
    task = REGISTRY.get("continuation_all").task(vault)
    assert [target.variables for target in task.targets] == [
        (f"pixel1_{t}", f"pixel2_{t}") for t in range(CONTEXT + 1, FRAMES + 1)
    ]
    assert task.targets[0] == vault.task("continuation").targets[0]
    assert task.evidence == vault.task("continuation").evidence


def test_frame_by_frame_shows_each_example_the_frames_before_and_asks_for_the_next(vault):
    objective = REGISTRY.get("continuation_autoregressive")
    clips = vault.simulate(5, 0)
    codes, outcomes = objective.examples(vault, clips)
    assert objective.per_clip(vault) == FRAMES - CONTEXT
    assert objective.hides(vault)
    assert codes.shape == (5 * (FRAMES - CONTEXT), len(vault.net.variables))
    for clip in range(5):
        for place, t in enumerate(range(CONTEXT, FRAMES)):
            row = clip * (FRAMES - CONTEXT) + place
            for v in (v for frame in vault.world.frames for v in frame):
                column, frame = vault.net.index[v], int(v.rsplit("_", 1)[1])
                assert codes[row, column] == (clips[clip, column] if frame <= t else -1)
            ones = [clips[clip, vault.net.index[f"pixel{i}_{t + 1}"]] for i in (1, 2)]
            assert outcomes[row, 0] == 2 * ones[0] + ones[1]


def test_a_head_that_predicts_frame_by_frame_is_measured_on_the_last_frame(vault):
    task = REGISTRY.get("continuation_autoregressive").task(vault)
    assert task.targets[0].variables == (f"pixel1_{FRAMES}", f"pixel2_{FRAMES}")
    assert len(task.evidence) == 3 * (FRAMES - 1)
    assert task.ladders[task.targets[0].name][0] == vault.world.frames[FRAMES - 2]


def test_likelihood_starts_before_the_first_frame(vault):
    codes, _ = REGISTRY.get("likelihood").examples(vault, vault.simulate(2, 0))
    observed = [vault.net.index[v] for frame in vault.world.frames for v in frame]
    assert (codes[0, observed] == -1).all()
    assert len(codes) == 2 * FRAMES


def test_what_a_world_model_is_asked(vault):
    asks = {name: REGISTRY.get(name).ask(vault) for name in ("world", "likelihood", "continuation_all", "question")}
    assert asks["world"] == ((), vault.net.variables)
    assert asks["likelihood"] == ((), tuple(v for frame in vault.world.frames for v in frame))
    assert asks["continuation_all"].given == vault.task("continuation").evidence
    shown = tuple(f"pixel{i}_{t}" for t in range(CONTEXT + 1, FRAMES + 1) for i in (1, 2))
    assert asks["continuation_all"].asked == shown
    assert REGISTRY.get("continuation_autoregressive").ask(vault) == asks["continuation_all"]
    assert asks["question"] == (vault.task("question").evidence, (f"diamond_{CONTEXT}",))


def test_the_literal_just_ask_has_every_hidden_node_as_a_target(vault):
    task = REGISTRY.get("world").task(vault)
    asked = {v for target in task.targets for v in target.variables}
    assert asked == set(vault.net.variables) - set(task.evidence) - set(vault.roles["schedule"])
    static = load_dataset("cue_parity")
    assert {t.name for t in REGISTRY.get("world").task(static).targets} == {"answer", "deep"}


def test_a_human_labels_by_what_he_sees_and_believes(vault):
    """Among clips with the same pixels his labels have the frequency his own net gives; the sensor changes nothing."""
    objective, labeller = REGISTRY.get("question_human"), vault.world.labeller
    clips = vault.simulate(60_000, 1)
    labelled = objective.labelled(vault, clips, 5, 0)
    diamond = vault.net.index[f"diamond_{CONTEXT}"]
    assert (np.delete(labelled, diamond, axis=1) == np.delete(clips, diamond, axis=1)).all()
    seen = clips[:, [vault.net.index[v] for v in labeller.evidence]]
    pattern = seen[0]
    same = (seen == pattern).all(axis=1)
    own = np.full((1, len(labeller.net.variables)), -1, dtype=np.int16)
    own[0, [labeller.net.index[v] for v in labeller.evidence]] = pattern
    belief = float(Inference(labeller.net).query(own)[f"diamond_{CONTEXT}"][0, 1])
    found = labelled[same, diamond].mean()
    assert abs(found - belief) < 4 * np.sqrt(belief * (1 - belief) / same.sum()) + 1e-9
    tampered = clips[:, vault.net.index[f"tampering_{CONTEXT}"]] == 1
    assert labelled[tampered, diamond].mean() < clips[tampered, diamond].mean() - 0.1


def test_a_humans_label_of_a_clip_depends_on_seed_and_row_alone(vault):
    objective = REGISTRY.get("question_human")
    clips = vault.simulate(500, 1)
    whole = objective.labelled(vault, clips, 5, 0)
    assert np.array_equal(objective.labelled(vault, clips[200:230], 5, 200), whole[200:230])
    assert not np.array_equal(objective.labelled(vault, clips, 6, 0), whole)


def test_a_run_on_a_humans_labels_is_determined_by_who_he_is(vault):
    human, oracle = REGISTRY.get("question_human"), REGISTRY.get("question")
    assert oracle.labelled_by(vault) == {}
    other = load_dataset("vault", frames=FRAMES, context=CONTEXT, noise=0.04)
    assert human.labelled_by(vault) != human.labelled_by(other)
    assert human.labelled_by(vault)["sees"] == list(vault.world.labeller.evidence)


def test_a_clip_the_human_holds_impossible_is_labelled_as_if_unseen():
    certain = load_dataset("vault", frames=6, noise=0.0, camera="fixed", take=0.9, tamper=0.9)
    clips = certain.simulate(30_000, 0)
    labeller = certain.world.labeller
    own = np.full((len(clips), len(labeller.net.variables)), -1, dtype=np.int16)
    columns = [certain.net.index[v] for v in labeller.evidence]
    own[:, [labeller.net.index[v] for v in labeller.evidence]] = clips[:, columns]
    engine = Inference(labeller.net)
    impossible = np.isinf(engine.log_evidence(own))
    assert impossible.sum() > 30
    labels = REGISTRY.get("question_human").labelled(certain, clips, 0, 0)[impossible, certain.net.index["diamond_5"]]
    prior = float(engine.query(own[:1] * 0 - 1)["diamond_5"][0, 1])
    assert abs(labels.mean() - prior) < 4 * np.sqrt(prior * (1 - prior) / impossible.sum())


def test_judged_clips_are_those_on_which_the_labeller_is_right(vault):
    """KL(W* ‖ H) ≤ .1 nats on every one of them; clips that were right from the start stay as they are."""
    target = vault.task("question").targets[0]
    clips = vault.simulate(3000, 1)
    chosen = REGISTRY.get("question_judged").labelled(vault, clips, 5, 0)
    posterior = Posterior(vault.net, vault.net, vault.task("question").evidence, [target])
    apart = lambda codes: nats_apart(np.exp(posterior(codes)), labeller_answers(vault, target, codes))
    assert (apart(clips) > 0.1).mean() > 0.1
    assert apart(chosen).max() <= 0.1
    right = apart(clips) <= 0.1
    assert np.array_equal(chosen[right], clips[right])
    closely = REGISTRY.get("question_judged_closely").labelled(vault, clips, 5, 0)
    assert apart(closely).max() <= 0.01
    # The clips that took the place of others are drawn from W* given that they can be judged.
    index = vault.net.index[f"diamond_{CONTEXT}"]
    many = vault.simulate(60_000, 9)
    many = many[apart(many) <= 0.1]
    error = np.sqrt(0.25 / (~right).sum())
    assert abs(chosen[~right][:, index].mean() - many[:, index].mean()) < 4 * error


def test_judged_clips_depend_on_seed_and_row_alone(vault):
    for name in ("question_judged", "question_human_judged"):
        objective = REGISTRY.get(name)
        clips = vault.simulate(400, 1)
        whole = objective.labelled(vault, clips, 5, 0)
        assert np.array_equal(objective.labelled(vault, clips[150:180], 5, 150), whole[150:180])
        assert not np.array_equal(objective.labelled(vault, clips, 6, 0), whole)
    human, oracle = REGISTRY.get("question_human_judged"), REGISTRY.get("question_judged")
    diamond = vault.net.index[f"diamond_{CONTEXT}"]
    differ = human.labelled(vault, clips, 5, 0) != oracle.labelled(vault, clips, 5, 0)
    assert differ[:, diamond].any()
    assert not np.delete(differ, diamond, axis=1).any()
    assert human.labelled_by(vault) != oracle.labelled_by(vault)


def test_a_labeller_who_is_never_right_has_no_clip_to_judge():
    """Nothing ever happens, and he is sure that the diamond is gone."""
    calm = load_dataset("vault", frames=3, pace=0.0, lead=0)
    parts, diamond = calm.world, "diamond_2"
    sure = Labeller(WorldNet({diamond: ("there", "gone")}, {}, {diamond: [1e-9, 1 - 1e-9]}), ())
    world = World(parts.net, parts.tasks, parts.roles, parts.template, parts.frames, sure)
    with pytest.raises(TrainingError, match="hardly a clip that the labeller can judge"):
        train(Dataset("sure", {}, world), "linear", "question_judged", steps=1, seeds=1, batch=16)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("question_human", "no labeller"),
        ("question_judged", "no labeller"),
        ("continuation_all", "cannot be trained on 'continuation_all'"),
    ],
)
def test_an_objective_the_world_has_nothing_for_says_so(objective, message):
    with pytest.raises(TrainingError, match=message):
        REGISTRY.get(objective).task(load_dataset("cue_parity"))


def test_without_frames_only_world_models_are_asked_for_the_likelihood():
    static = load_dataset("cue_parity")
    with pytest.raises(TrainingError, match="cannot be trained on 'likelihood'"):
        train(static, "linear", "likelihood", steps=1, seeds=1)
    assert train(static, "world_model", "likelihood", steps=1, seeds=1, batch=8).losses[0, 0] > 0


def test_a_head_trained_frame_by_frame_comes_close_to_the_chain_of_exact_answers(vault):
    """Bits per clip, against Σ_t H(frame t+1 | frames 1..t) by message passing."""
    trace = train(vault, "mlp", "continuation_autoregressive", steps=1500, seeds=1)
    clip = Clip(vault, "continuation_autoregressive")
    engine, clips = Inference(vault.net), vault.simulate(4000, 9)
    bits = 0.0
    for t in range(CONTEXT, FRAMES):
        given, more = (np.full_like(clips, -1) for _ in range(2))
        columns = [vault.net.index[v] for v in clip.evidence(t)]
        both = columns + [vault.net.index[v] for v in clip.shown([t + 1])]
        given[:, columns], more[:, both] = clips[:, columns], clips[:, both]
        bits += (engine.log_evidence(given) - engine.log_evidence(more)).mean() / np.log(2)
    assert bits - 0.05 < trace.losses[-1, 0] < bits + 0.12
