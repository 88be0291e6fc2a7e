import itertools
import math

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError
from worldnets.inference import Inference, TemporalInference
from worldnets.worlds.hidden_markov import (
    hidden_markov,
    mess3_matrices,
    rrxor_matrices,
    stationary,
    zero_one_random_matrices,
)

# Matrices written out by hand, beside the builders' formulas.
B, Y = 0.075, 0.9
MESS3 = np.array(
    [
        [[0.85 * Y, B * 0.05, B * 0.05], [0.85 * 0.05, B * Y, B * 0.05], [0.85 * 0.05, B * 0.05, B * Y]],
        [[B * Y, 0.85 * 0.05, B * 0.05], [B * 0.05, 0.85 * Y, B * 0.05], [B * 0.05, 0.85 * 0.05, B * Y]],
        [[B * Y, B * 0.05, 0.85 * 0.05], [B * 0.05, B * Y, 0.85 * 0.05], [B * 0.05, B * 0.05, 0.85 * Y]],
    ]
)
RRXOR = np.zeros((2, 5, 5))
RRXOR[0, 0, 1] = RRXOR[1, 0, 2] = RRXOR[0, 1, 3] = RRXOR[1, 1, 4] = RRXOR[0, 2, 4] = RRXOR[1, 2, 3] = 0.5
RRXOR[0, 3, 0] = RRXOR[1, 4, 0] = 1.0
Z1R = np.zeros((2, 3, 3))
Z1R[0, 0, 1] = Z1R[1, 1, 2] = 1.0
Z1R[0, 2, 0] = Z1R[1, 2, 0] = 0.5
PROCESSES = {"mess3": MESS3, "rrxor": RRXOR, "zero_one_random": Z1R}


def power(matrices):
    """π by letting the process run, every other step left out because some processes have a period."""
    moves = matrices.sum(axis=0)
    run = np.linalg.matrix_power((moves + np.eye(len(moves))) / 2, 4096)
    return run[0]


def alphas(matrices, length):
    """π T^{o_1} ⋯ T^{o_length} for every string of tokens, in lexicographic order: [strings, states]."""
    rows = power(matrices)[None]
    for _ in range(length):
        rows = np.stack([rows @ matrix for matrix in matrices], axis=1).reshape(-1, len(matrices[0]))
    return rows


def entropy(p):
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=-1)


def next_token_entropy(matrices, length):
    """H(next token | length tokens) in nats, over every string."""
    rows = alphas(matrices, length)
    joint = np.stack([(rows @ matrix).sum(axis=1) for matrix in matrices], axis=1)
    weight = joint.sum(axis=1)
    seen = weight > 0
    return float(weight[seen] @ entropy(joint[seen] / weight[seen, None]))


def asked(net, length, tokens):
    """Every string of tokens as the evidence of frames 1 … length."""
    strings = np.array(list(itertools.product(range(tokens), repeat=length)), dtype=np.int16)
    codes = np.full((len(strings), len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index[f"token_{t}"] for t in range(1, length + 1)]] = strings.reshape(tokens**length, length)
    return codes


def passed(name, length, frames=9):
    """Probability, belief about the state, and prediction of every string, by message passing."""
    net = load_dataset(name, frames=frames).net
    engine = Inference(net)
    codes = asked(net, length, len(PROCESSES[name]))
    state = f"state_{length}" if length else "state_1"
    beliefs = engine.query(codes, [state, f"token_{length + 1}"])
    return np.exp(engine.log_evidence(codes)), beliefs[state], beliefs[f"token_{length + 1}"]


@pytest.mark.parametrize(
    ("name", "made"),
    [("mess3", mess3_matrices()), ("rrxor", rrxor_matrices()), ("zero_one_random", zero_one_random_matrices())],
)
def test_the_matrices_are_the_published_ones(name, made):
    np.testing.assert_allclose(made, PROCESSES[name], atol=1e-15)
    np.testing.assert_allclose(stationary(made), power(PROCESSES[name]), atol=1e-12)


@pytest.mark.parametrize(("name", "length"), [("mess3", 6), ("rrxor", 8), ("zero_one_random", 6)])
def test_beliefs_are_products_of_the_matrices(name, length):
    for t in (1, 2, length):
        rows = alphas(PROCESSES[name], t)
        weight, belief, _ = passed(name, t)
        np.testing.assert_allclose(weight, rows.sum(axis=1), atol=1e-12)
        seen = weight > 0
        np.testing.assert_allclose(belief[seen], rows[seen] / rows[seen].sum(axis=1, keepdims=True), atol=1e-12)


@pytest.mark.parametrize(("name", "lengths"), [("mess3", range(8)), ("rrxor", range(9)), ("zero_one_random", range(7))])
def test_what_message_passing_predicts_has_the_entropy_of_the_brute_sum(name, lengths):
    for t in lengths:
        weight, _, prediction = passed(name, t)
        assert weight @ entropy(prediction) == pytest.approx(next_token_entropy(PROCESSES[name], t), abs=1e-12)


def test_the_next_token_of_mess3_has_the_known_entropies():
    found = [weight @ entropy(prediction) for weight, _, prediction in (passed("mess3", t) for t in range(9))]
    assert found[:5] == pytest.approx([1.0986, 0.8577, 0.8134, 0.7981, 0.7947], abs=5e-5)
    assert found[8] == pytest.approx(0.7935, abs=5e-5)


def test_the_entropy_rate_of_mess3_lies_between_its_bounds():
    # H(token | all tokens and the state before the first) ≤ h ≤ H(token | all tokens): Cover & Thomas, theorem 4.5.1.
    tokens, known = 8, np.eye(3)
    lower = 0.0
    for state in known:
        rows = state[None]
        for _ in range(tokens):
            rows = np.stack([rows @ matrix for matrix in MESS3], axis=1).reshape(-1, 3)
        joint = np.stack([(rows @ matrix).sum(axis=1) for matrix in MESS3], axis=1)
        lower += (joint.sum(axis=1) @ entropy(joint / joint.sum(axis=1, keepdims=True))) / 3
    weight, _, prediction = passed("mess3", tokens)
    upper = weight @ entropy(prediction)
    assert 0 < upper - lower < 1e-4
    assert 0.7934 < lower < upper < 0.7935


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.3, 0.8)])
def test_the_entropy_rate_of_rrxor_is_that_of_two_bits_in_three_tokens(first, second):
    def h(p):
        return -p * math.log2(p) - (1 - p) * math.log2(1 - p)

    rate = (h(first) + h(second)) / 3
    net = load_dataset("rrxor", first=first, second=second, frames=3).net
    codes = np.full((5, len(net.variables)), -1, dtype=np.int16)
    codes[:, net.index["state_1"]] = range(5)
    engine = Inference(net)
    # Every state tells which state follows which token, so that the entropy rate is H(token | state).
    weight = np.exp(engine.log_evidence(codes))
    assert weight @ entropy(engine.query(codes, ["token_2"])["token_2"]) / math.log(2) == pytest.approx(rate)
    myopic = [next_token_entropy(rrxor_matrices(first, second), t) / math.log(2) for t in range(13)]
    assert all(a >= b - 1e-12 >= rate for a, b in itertools.pairwise(myopic))


@pytest.mark.parametrize("one", [0.5, 0.8])
def test_the_entropy_rate_of_zero_one_random_is_reached_after_three_tokens(one):
    rate = -(one * math.log(one) + (1 - one) * math.log(1 - one)) / 3
    engine = Inference(net := load_dataset("zero_one_random", one=one, frames=6).net)
    found = []
    for t in range(6):
        codes = asked(net, t, 2)
        prediction = engine.query(codes, [f"token_{t + 1}"])[f"token_{t + 1}"]
        found.append(np.exp(engine.log_evidence(codes)) @ entropy(prediction))
    assert found[2] > rate + 0.01
    assert found[3:] == pytest.approx([rate] * 3, abs=1e-12)


@pytest.mark.parametrize(("name", "count", "certain", "length"), [("rrxor", 36, 5, 8), ("zero_one_random", 7, 3, 4)])
def test_there_are_as_many_beliefs_as_published(name, count, certain, length):
    found = {tuple(np.round(power(PROCESSES[name]), 9) + 0.0)}
    for t in range(1, length + 1):
        weight, belief, _ = passed(name, t)
        found |= {tuple(row) for row in np.round(belief[weight > 0], 9) + 0.0}
    assert len(found) == count
    assert sum(max(belief) == 1.0 for belief in found) == certain


def test_no_single_earlier_token_tells_anything_about_the_next_one_in_rrxor():
    net = load_dataset("rrxor", frames=7).net
    engine = Inference(net)
    for t in range(1, 7):
        codes = np.full((2, len(net.variables)), -1, dtype=np.int16)
        codes[:, net.index[f"token_{t}"]] = (0, 1)
        np.testing.assert_allclose(engine.query(codes, ["token_7"])["token_7"], 0.5, atol=1e-12)


@pytest.mark.parametrize("name", list(PROCESSES))
def test_filtering_a_long_clip_multiplies_the_matrices(name):
    """Belief after 400 tokens, and ln W(tokens), by the template and by normalised products."""
    given = load_dataset(name, frames=400, context=100)
    clip = given.simulate(2, seed=1).reshape(2, 400, 2).copy()
    clip[:, :, given.template.variables.index("state")] = -1
    beliefs = TemporalInference(given.template).filter(clip, variables=["state"])
    log_evidence = TemporalInference(given.template).log_evidence(clip)
    for row, tokens in enumerate(clip[:, :, given.template.variables.index("token")]):
        alpha, total = power(PROCESSES[name]), 0.0
        for t, token in enumerate(tokens):
            alpha = alpha @ PROCESSES[name][token]
            total += math.log(alpha.sum())
            alpha = alpha / alpha.sum()
            if t in (0, 1, 50, 399):
                np.testing.assert_allclose(beliefs["state"][row, t], alpha, atol=1e-10)
        assert log_evidence[row] == pytest.approx(total, abs=1e-8)


def linear_r2(features, beliefs, weight):
    """Share of the beliefs' variance that a weighted linear readout explains, all states together."""
    design = np.concatenate([np.ones((len(features), 1)), features], axis=1)
    scale = np.sqrt(weight)[:, None]
    coefficients = np.linalg.lstsq(design * scale, beliefs * scale, rcond=None)[0]
    left = weight @ ((beliefs - design @ coefficients) ** 2)
    return 1 - left.sum() / (weight @ ((beliefs - weight @ beliefs) ** 2)).sum()


def test_the_beliefs_of_mess3_are_as_linear_as_is_known():
    """Over every position 1 … 8, tokens coded one-hot from the last one back; tokens before the first are zeros."""
    net = load_dataset("mess3").net
    engine = Inference(net)
    features, beliefs, predictions, weights = [], [], [], []
    for t in range(1, 9):
        codes = asked(net, t, 3)
        answer = engine.query(codes, [f"state_{t}", f"token_{t + 1}"])
        shown = np.eye(3)[codes[:, [net.index[f"token_{i}"] for i in range(t, 0, -1)]]].reshape(len(codes), -1)
        features.append(np.pad(shown, ((0, 0), (0, 3 * (8 - t)))))
        beliefs.append(answer[f"state_{t}"])
        predictions.append(answer[f"token_{t + 1}"])
        weights.append(np.exp(engine.log_evidence(codes)) / 8)
    rows, belief, weight = np.concatenate(features), np.concatenate(beliefs), np.concatenate(weights)
    found = [linear_r2(rows[:, : 3 * k], belief, weight) for k in (1, 2, 3, 8)]
    assert found == pytest.approx([0.834, 0.943, 0.962, 0.966], abs=5e-4)
    assert linear_r2(np.concatenate(predictions), belief, weight) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", list(PROCESSES))
def test_a_built_in_process_passes_the_check_and_says_its_frames(name):
    given = load_dataset(name)
    assert [str(result) for result in check_dataset(given) if not result.ok] == []
    frames = given.parameters["frames"]
    assert given.world.frames == tuple((f"token_{t}",) for t in range(1, frames + 1))
    task = given.task("continuation")
    assert task.evidence == tuple(f"token_{t}" for t in range(1, frames))
    assert task.targets[0].variables == (f"token_{frames}",)
    assert task.ladders["next_frame"][:2] == ((f"token_{frames - 1}",), (f"token_{frames - 2}",))
    assert task.latents == (f"state_{frames - 1}",)
    question = given.task("question")
    assert question.targets[0].variables == (f"state_{frames - 1}",)
    assert question.latents == (f"state_{frames - 2}", f"token_{frames}")


def test_a_process_of_ones_own_has_the_labels_it_was_given():
    # The even process: blocks of ones of even length.
    even = [[[0.5, 0.0], [0.0, 0.0]], [[0.0, 0.5], [1.0, 0.0]]]
    world = hidden_markov(even, frames=4, context=1, states=("even", "odd"), tokens=("a", "b"))
    assert world.net.states["state_3"] == ("even", "odd")
    assert world.net.states["token_1"] == ("a", "b")
    assert world.net.cpt("state_1") == pytest.approx([2 / 3, 1 / 3])
    assert world.tasks["question"].latents == ("token_2",)
    assert np.array_equal(hidden_markov(even).net.states["token_1"], (0, 1))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("mess3", {"x": 0.0}, "remembers for ever where it began"),
        ("mess3", {"x": 0.6}, "'x' out of range; found 0.6"),
        ("mess3", {"alpha": -0.1}, "'alpha' out of range"),
        ("mess3", {"frames": 1}, "'frames' out of range; found 1; expected a whole number from 2 to 1000"),
        ("mess3", {"context": 9}, "'context' out of range"),
        ("rrxor", {"first": 1.0}, "a state that never occurs; found state 1"),
        ("rrxor", {"second": 2}, "'second' out of range"),
        ("zero_one_random", {"one": "fair"}, "'one' out of range"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_the_mend(name, parameters, message):
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset(name, **parameters)
    assert caught.value.mend


@pytest.mark.parametrize(
    ("matrices", "options", "message"),
    [
        (np.eye(3), {}, "of another shape; found \\(3, 3\\)"),
        (np.ones((1, 2, 2)) / 2, {}, "of another shape"),
        (np.ones((2, 2, 3)) / 6, {}, "of another shape"),
        ([[[1.0]], [[0.5, 0.5]]], {}, "no numbers in one shape"),
        (np.ones((2, 2, 2)), {}, "does not sum to 1; found Σ T\\[·, 0, ·\\] = 4"),
        (np.array([[[1.5]], [[-0.5]]]), {}, "no probability; found -0.5"),
        (np.full((2, 2, 2), np.nan), {}, "no probability"),
        (np.stack([np.eye(2), np.eye(2)]) / 2, {}, "remembers for ever"),
        (Z1R, {"states": ("a", "b")}, "'states' out of range"),
        (Z1R, {"tokens": ("a", "a")}, "'tokens' out of range"),
        (np.ones((64, 64, 64)) / 64**2, {"frames": 65}, "a clip too large"),
    ],
)
def test_what_is_no_process_is_refused_with_the_mend(matrices, options, message):
    with pytest.raises(DatasetError, match=message) as caught:
        hidden_markov(matrices, **options)
    assert caught.value.mend
