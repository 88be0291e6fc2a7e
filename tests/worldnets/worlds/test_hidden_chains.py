import itertools

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.dataset_check import check_dataset
from worldnets.errors import DatasetError
from worldnets.inference import Inference
from worldnets.worlds.hidden_chains import drawn_hidden_chains


def written_out(given, tokens):
    """W(tokens, chain) and W(next token, tokens, chain), summed over all paths of hidden states."""
    p = given.parameters
    moves, shows = drawn_hidden_chains(p["chains"], p["states"], p["tokens"], p["alpha"], p["beta"], p["seed"])
    found = np.zeros((p["chains"], p["tokens"]))
    for n, path in itertools.product(range(p["chains"]), itertools.product(range(p["states"]), repeat=len(tokens) + 1)):
        weight = 1 / p["chains"] / p["states"]
        for before, after in itertools.pairwise(path):
            weight *= moves[n, before, after]
        for state, token in zip(path, tokens, strict=False):
            weight *= shows[n, state, token]
        found[n] += weight * shows[n, path[-1]]
    return found


@pytest.mark.parametrize(
    "parameters", [{"frames": 5}, {"frames": 4, "chains": 1, "tokens": 5}, {"frames": 5, "states": 3, "alpha": 2.0}]
)
def test_message_passing_is_bayes_over_chains_and_paths(parameters):
    given = load_dataset("hidden_chains", **parameters)
    task = given.task("continuation")
    columns = [given.net.index[v] for v in task.evidence]
    clips = given.simulate(6, seed=2)
    codes = np.full_like(clips, -1)
    codes[:, columns] = clips[:, columns]
    token = task.targets[0].variables[0]
    beliefs = Inference(given.net).query(codes, ["chain", token])
    for row in range(len(clips)):
        joint = written_out(given, clips[row, columns].tolist())
        np.testing.assert_allclose(beliefs[token][row], joint.sum(0) / joint.sum(), atol=1e-10)
        np.testing.assert_allclose(beliefs["chain"][row], joint.sum(1) / joint.sum(), atol=1e-10)


def test_a_chain_is_the_same_however_many_there_are():
    few, many = (drawn_hidden_chains(n, 2, 3, 0.5, 1.5, seed=7) for n in (3, 9))
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other[:3])
    later = drawn_hidden_chains(2, 2, 3, 0.5, 1.5, seed=7, first=5)
    np.testing.assert_array_equal(later[0], many[0][5:7])


def test_the_question_is_about_the_chain_and_where_it_is():
    task = load_dataset("hidden_chains", frames=4).task("question")
    assert [target.name for target in task.targets] == ["chain", "state"]
    assert task.targets[1].variables == ("state_3",)


def test_the_built_in_dataset_is_sound():
    assert [str(result) for result in check_dataset(load_dataset("hidden_chains")) if not result.ok] == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"chains": 0}, "a meta-world of no worlds; found 0"),
        ({"chains": -3}, "a meta-world of no worlds; found -3"),
        ({"chains": 20000}, "'chains' out of range"),
        ({"states": 1}, "'states' out of range"),
        ({"tokens": 1}, "'tokens' out of range"),
        ({"alpha": 0.0}, "'alpha' out of range"),
        ({"beta": -1.0}, "'beta' out of range"),
        ({"frames": 1}, "'frames' out of range"),
        ({"chains": 16384, "states": 8, "frames": 500}, "a clip too large"),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_the_mend(parameters, message):
    with pytest.raises(DatasetError, match=message) as caught:
        load_dataset("hidden_chains", **parameters)
    assert caught.value.mend
