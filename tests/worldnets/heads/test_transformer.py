"""The transformer head: its formula, and that float32 is enough for it."""

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy.special import softmax

from tests.worldnets.heads.sequences import frame_inputs, generator, shaken
from worldnets.heads import build_head


def norm(layer, x):
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return scaled * np.asarray(layer.scale, dtype=float) + np.asarray(layer.offset, dtype=float)


def affine(layer, x):
    return x @ np.asarray(layer.weight, dtype=float).T + np.asarray(layer.bias, dtype=float)


def by_the_book(head, x):
    """The outputs after each frame in float64: one position, one attention head at a time."""
    frames = x.reshape(head.positions.shape[0], -1).astype(float)
    stream = affine(head.embedding, frames) + np.asarray(head.positions, dtype=float)
    for block in head.blocks:
        parts = affine(block.projection, norm(block.attention_norm, stream))
        width, size = stream.shape[1], stream.shape[1] // block.heads
        mixed = np.zeros_like(stream)
        for t in range(len(stream)):
            for h in range(block.heads):
                own = slice(h * size, (h + 1) * size)
                query, keys, values = (
                    parts[t, own],
                    parts[: t + 1, width:][:, own],
                    parts[: t + 1, 2 * width :][:, own],
                )
                mixed[t, own] = softmax(keys @ query / np.sqrt(size)) @ values
        stream = stream + affine(block.mixing, mixed)
        hidden = affine(block.expansion, norm(block.perceptron_norm, stream))
        cubic = np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)  # GELU in its tanh form
        stream = stream + affine(block.contraction, hidden * 0.5 * (1 + np.tanh(cubic)))
    return affine(head.readout, norm(head.norm, stream))


@pytest.fixture(scope="module")
def head():
    return shaken(build_head("transformer", generator(), frame_inputs(5), 3, {"width": 8, "heads": 2}))


@eqx.filter_jit
def answers(head, x):
    """Outputs, outputs after each frame, and the gradient of something of them."""
    return head(x), head.at_each_step(x), jax.grad(lambda head: (head(x) ** 2).sum())(head)


@pytest.mark.parametrize("size", [0.0, 1e-20, 1.0, 1e6, 1e15])
def test_outputs_are_those_of_a_pre_norm_causal_transformer_for_features_of_any_size(head, size):
    x = (size * np.random.default_rng(2).standard_normal(15)).astype(np.float32)
    last, every, slopes = answers(head, x)
    np.testing.assert_allclose(every, by_the_book(head, x), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(last, by_the_book(head, x)[-1], rtol=1e-3, atol=1e-4)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_norms_keep_their_digits_far_from_zero(head):
    layer = head.blocks[0].attention_norm
    x = np.random.default_rng(2).standard_normal((3, 8)).astype(np.float32)
    np.testing.assert_allclose(
        layer(x + np.float32(1000)), norm(layer, (x + np.float32(1000)).astype(float)), atol=1e-4
    )


def test_first_weights_have_the_stated_variances_smaller_where_they_add_to_the_stream():
    head = build_head("transformer", generator(), frame_inputs(400, 8), 3, {"width": 128, "depth": 3})
    block = head.blocks[1]
    for layer, scale in [
        (block.projection, 1),
        (block.expansion, 1),
        (block.mixing, 1 / 6),
        (block.contraction, 1 / 6),
    ]:
        np.testing.assert_allclose(np.var(layer.weight) * layer.weight.shape[1], scale, rtol=0.05)
    np.testing.assert_allclose(np.var(head.positions), 1, rtol=0.05)
