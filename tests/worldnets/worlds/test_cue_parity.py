import itertools
import math

import numpy as np
import pytest

from worldnets.dataset import load_dataset
from worldnets.errors import DatasetError
from worldnets.worlds.cue_parity import cue_parity


def joint(net):
    """All cells of a net of binary nodes, shape [2, …] in the order of its variables."""
    table = np.zeros((2,) * len(net.variables))
    for states in itertools.product((0, 1), repeat=len(net.variables)):
        state = dict(zip(net.variables, states, strict=True))
        table[states] = np.prod([net.cpt(v)[(*(state[u] for u in net.parents(v)), state[v])] for v in net.variables])
    return table


def entropy(table):
    positive = table[table > 0]
    return float(-(positive * np.log2(positive)).sum())


def information(net, about, evidence):
    """I(about; evidence) in bits, from the joint table."""

    def h(names):
        others = tuple(i for i, v in enumerate(net.variables) if v not in names)
        return entropy(table.sum(axis=others))

    table = joint(net)
    return h({about}) + h(set(evidence)) - h({about, *evidence})


def test_the_pie_is_the_published_one():
    net = cue_parity(noise=1).net
    bits = ["bit_1", "bit_2", "bit_3"]
    cue, all_evidence = information(net, "answer", ["cue"]), information(net, "answer", ["cue", *bits, "noise_1"])
    assert cue == pytest.approx(0.859, abs=5e-4)
    assert all_evidence - cue == pytest.approx(0.097, abs=5e-4)
    assert information(net, "answer", bits) == pytest.approx(0.859, abs=5e-4)


def test_the_parity_shows_the_deep_bit_exactly_and_no_part_of_it_tells_anything():
    net = cue_parity(noise=0).net
    table = joint(net)
    deep, bits = net.index["deep"], [net.index[f"bit_{i}"] for i in (1, 2, 3)]
    for states in np.argwhere(table > 0):
        assert states[bits].sum() % 2 == states[deep]
    for pair in itertools.combinations(["bit_1", "bit_2", "bit_3"], 2):
        assert information(net, "answer", pair) == pytest.approx(0, abs=1e-12)


def test_the_answer_and_every_single_bit_are_fair():
    net = cue_parity(strength=0.9, bits=4, noise=1).net
    table = joint(net)
    for i, v in enumerate(net.variables):
        others = tuple(j for j in range(table.ndim) if j != i)
        assert np.allclose(table.sum(axis=others), 0.5), v


@pytest.mark.parametrize("bits", [1, 5])
def test_any_length_of_parity_carries_the_same(bits):
    net = cue_parity(deep_strength=0.9, bits=bits, noise=0).net
    expected = 1 + 0.9 * math.log2(0.9) + 0.1 * math.log2(0.1)
    assert information(net, "answer", [f"bit_{i}" for i in range(1, bits + 1)]) == pytest.approx(expected)


def test_the_cue_is_the_shallow_rung_and_all_else_the_deep_one():
    task = load_dataset("cue_parity").task("question")
    assert task.ladders["answer"][0] == ("cue",)
    assert task.ladders["answer"][1] == (*(f"bit_{i}" for i in (1, 2, 3)), *(f"noise_{i}" for i in range(1, 9)))
    assert task.latents == ("deep",)


def test_in_the_twin_the_cue_tells_nothing_and_the_parity_as_much_as_before():
    net = load_dataset("cue_parity", noise=0).with_redrawn(["cue"]).net
    bits = ["bit_1", "bit_2", "bit_3"]
    assert information(net, "answer", ["cue"]) == pytest.approx(0, abs=1e-12)
    assert information(net, "answer", ["cue", *bits]) == pytest.approx(0.859, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("strength", 0.4),
        ("strength", 1.1),
        ("strength", "high"),
        ("deep_strength", float("nan")),
        ("bits", 0),
        ("bits", 13),
        ("bits", 2.0),
        ("bits", True),
        ("noise", -1),
        ("noise", None),
    ],
)
def test_a_parameter_out_of_range_is_refused_with_the_range(name, value):
    with pytest.raises(DatasetError, match=rf"parameter '{name}' out of range; found .*; expected .* Mend: set {name}"):
        cue_parity(**{name: value})
