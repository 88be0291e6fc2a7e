import itertools

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError
from worldnets.inference import Inference
from worldnets.worlds.chains import drawn_chains


def bayes(given, contexts):
    """Posterior over the chain, prediction of the next token and probability of each context, written out."""
    p = given.parameters
    moves = drawn_chains(p["chains"], p["tokens"], p["alpha"], p["seed"])
    if p["start"] == "uniform":
        begin = np.full((len(moves), p["tokens"]), 1 / p["tokens"])
    else:
        begin = np.stack([np.linalg.matrix_power((chain + np.eye(len(chain))) / 2, 2**20)[0] for chain in moves])
    weight = np.zeros((len(contexts), len(moves)))
    for row, tokens in enumerate(contexts):
        for n, chain in enumerate(moves):
            steps = np.prod([chain[i, j] for i, j in itertools.pairwise(tokens)])
            weight[row, n] = begin[n, tokens[0]] * steps / len(moves)
    posterior = weight / weight.sum(axis=1, keepdims=True)
    following = np.stack([posterior[row] @ moves[:, tokens[-1]] for row, tokens in enumerate(contexts)])
    return posterior, following, weight.sum(axis=1)


def encoded(given, contexts):
    codes = np.full((len(contexts), len(given.net.variables)), -1, dtype=np.int16)
    codes[:, [given.net.index[v] for v in given.task("question").evidence]] = contexts
    return codes


@pytest.mark.parametrize(
    "parameters",
    [
        {"frames": 6},
        {"frames": 6, "start": "uniform", "seed": 3},
        {"chains": 64, "tokens": 10, "alpha": 1.0, "frames": 40},
        {"chains": 1, "frames": 3},
        {"chains": 5, "tokens": 4, "alpha": 0.1, "frames": 9, "context": 4},
    ],
)
def test_message_passing_is_bayes_over_the_chains(parameters):
    given = load_dataset("chains", **parameters)
    task = given.task("continuation")
    columns = [given.net.index[v] for v in task.evidence]
    contexts = given.simulate(50, seed=1)[:, columns]
    posterior, following, weight = bayes(given, contexts)
    codes = encoded(given, contexts)
    engine = Inference(given.net)
    token = task.targets[0].variables[0]
    beliefs = engine.query(codes, ["chain", token])
    np.testing.assert_allclose(beliefs["chain"], posterior, atol=1e-10)
    np.testing.assert_allclose(beliefs[token], following, atol=1e-10)
    np.testing.assert_allclose(beliefs.log_evidence, np.log(weight), atol=1e-9)


def pie(joint):
    """I(Y; last k of X | last k − 1) in bits, of a joint table [x_1, …, x_c, y]."""

    def conditional(table):
        rows = table.reshape(-1, table.shape[-1])
        given = rows / rows.sum(axis=1, keepdims=True)
        return -(rows * np.log2(given)).sum()

    context = joint.ndim - 1
    return -np.diff([conditional(joint.sum(axis=tuple(range(context - k)))) for k in range(context + 1)])


def test_the_pie_is_that_of_the_card_and_deep_on_both_tasks():
    given = load_dataset("chains")
    contexts = np.array(list(itertools.product(range(3), repeat=8)))
    posterior, following, weight = bayes(given, contexts)
    shape = (3,) * 8
    found = {
        "continuation": pie((weight[:, None] * following).reshape(*shape, -1)),
        "question": pie((weight[:, None] * posterior).reshape(*shape, -1)),
    }
    expected = {
        "continuation": [0.123, 0.172, 0.068, 0.057, 0.046, 0.029, 0.024, 0.019],
        "question": [0.360, 0.515, 0.343, 0.275, 0.218, 0.172, 0.143, 0.119],
    }
    for objective, bits in found.items():
        assert bits == pytest.approx(expected[objective], abs=6e-4), objective
        share = np.cumsum(bits) / bits.sum()
        shallow = int(np.searchsorted(share, 0.5)) + 1
        assert bits[shallow:].sum() > 0.2  # a deep pie, and the border is not by a hair
        assert np.abs(share - 0.5).min() > 0.04


def test_a_chain_is_the_same_however_many_are_drawn():
    few, many = drawn_chains(3, 4, 0.5, 7), drawn_chains(9, 4, 0.5, 7)
    assert np.array_equal(few, many[:3])
    assert not np.allclose(many[0], drawn_chains(1, 4, 0.5, 8)[0])
    assert load_dataset("chains", seed=0).digest != load_dataset("chains", seed=1).digest


def test_rows_are_draws_from_the_dirichlet_distribution():
    rows = drawn_chains(2000, 3, 2.0, 0).reshape(-1, 3)
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(rows.mean(axis=0), 1 / 3, atol=0.01)
    # Var = m(1 − m)/(kα + 1)
    np.testing.assert_allclose(rows.var(axis=0), (2 / 9) / 7, atol=0.002)


def test_a_clip_that_starts_stationary_has_the_same_tokens_in_every_frame():
    given = load_dataset("chains", frames=5)
    beliefs = Inference(given.net).query(np.full((1, len(given.net.variables)), -1, dtype=np.int16))
    for t in range(2, 6):
        np.testing.assert_allclose(beliefs[f"token_{t}"], beliefs["token_1"], atol=1e-12)


def test_the_chain_is_the_only_latent_and_frames_are_tokens():
    given = load_dataset("chains", frames=4)
    assert given.roles["latents"] == ("chain",)
    assert given.world.frames == (("token_1",), ("token_2",), ("token_3",), ("token_4",))
    assert given.task("continuation").latents == ("chain",)
    assert given.task("question").latents == ("token_4",)
    assert given.task("question").ladders["chain"] == (("token_3",), ("token_2",), ("token_1",))
    assert [str(result) for result in check_dataset(load_dataset("chains")) if not result.ok] == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"chains": 0}, "a meta-world of no worlds; found 0; expected 1 to 16384. Mend: ask for at least one"),
        ({"tokens": 1}, "'tokens' out of range"),
        ({"alpha": 0.0}, "'alpha' out of range; found 0.0; expected a number from 0.01 to 1000"),
        ({"frames": 1}, "'frames' out of range"),
        ({"context": 9}, "'context' out of range"),
        ({"start": "anywhere"}, "'start' out of range"),
        ({"seed": -1}, "'seed' out of range"),
        ({"chains": 1024, "tokens": 10, "frames": 512}, "a clip too large; found 1024 chains × 10² moves × 512 frames"),
        ({"alpha": 0.01, "chains": 200}, "remembers for ever where it began.*let clips start"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_the_mend(parameters, message):
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset("chains", **parameters)
    assert caught.value.mend
    assert caught.value.node == "chains"
