"""Heads: what they compute, how they start, which options they take."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from worldnets.errors import TrainingError, UnknownNameError
from worldnets.heads import REGISTRY, build_head, head_options


def generator():
    return np.random.default_rng(7)


def given(width):
    """Inputs of so many features; these heads ask for no more."""
    return SimpleNamespace(width=width)


def test_linear_is_an_affine_map():
    head = build_head("linear", generator(), given(3), 2, {"initialisation": "he"})
    x = np.array([1.0, -2.0, 0.5], dtype=np.float32)
    np.testing.assert_allclose(head(x), np.asarray(head.weight) @ x + np.asarray(head.bias), rtol=1e-6)


def test_linear_starts_at_zero():
    head = build_head("linear", generator(), given(3), 2)
    assert not np.any(head.weight)
    assert not np.any(head.bias)


@pytest.mark.parametrize(
    ("activation", "formula"), [("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)], ids=["relu", "tanh"]
)
def test_mlp_is_layers_with_the_activation_between(activation, formula):
    head = build_head("mlp", generator(), given(4), 3, {"width": 5, "depth": 2, "activation": activation})
    x = np.linspace(-1, 1, 4).astype(np.float32)
    h = x
    for layer in head.layers[:-1]:
        h = formula(layer.weight @ h + layer.bias)
    np.testing.assert_allclose(head(x), head.layers[-1].weight @ h + head.layers[-1].bias, rtol=1e-5)
    assert [layer.weight.shape for layer in head.layers] == [(5, 4), (5, 5), (3, 5)]


def test_mlp_starts_with_the_stated_variances_and_zero_biases():
    head = build_head("mlp", generator(), given(400), 200, {"width": 300})
    variances = [float(np.var(layer.weight)) * layer.weight.shape[1] for layer in head.layers]
    np.testing.assert_allclose(variances, [2, 2, 1], rtol=0.03)
    assert not any(np.any(layer.bias) for layer in head.layers)


def test_parameters_are_float32_and_the_same_for_the_same_generator():
    leaves = [jax.tree.leaves(build_head("mlp", generator(), given(4), 2)) for _ in range(2)]
    assert all(leaf.dtype == np.float32 for leaf in leaves[0])
    assert all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


def test_options_are_completed_with_the_defaults():
    assert head_options("mlp", {"width": 32}) == {"width": 32, "depth": 2, "activation": "relu"}


@pytest.mark.parametrize(
    ("head", "options", "message"),
    [
        ("mlp", {"widht": 3}, "did you mean 'width'"),
        ("mlp", {"width": 0}, "width is out of range; found 0; expected a whole number"),
        ("mlp", {"width": 2.5}, "width is out of range"),
        ("mlp", {"depth": True}, "depth is out of range"),
        ("mlp", {"activation": "rellu"}, "did you mean 'relu'"),
        ("mlp", {"activation": object()}, "no JSON"),
        ("linear", {"initialisation": "hee"}, "did you mean 'he'"),
        ("linear", {"width": 3}, "no such option"),
    ],
)
def test_a_wrong_option_is_named_with_its_mend(head, options, message):
    with pytest.raises(TrainingError, match=message):
        build_head(head, generator(), given(4), 2, options)


def test_an_unknown_head_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match="did you mean 'linear'"):
        REGISTRY.get("liner")
