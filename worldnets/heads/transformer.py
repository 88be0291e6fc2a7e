"""The transformer: a small causal one over frames, pre-norm, positions learned, answering from the last frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp

from worldnets.errors import TrainingError
from worldnets.heads.base import checked_integer
from worldnets.heads.frames import Steps, read_frames
from worldnets.heads.linear import SCALES, Linear

if TYPE_CHECKING:
    from worldnets.heads.inputs import Inputs

EXPANSION = 4  # hidden units of a block's perceptron, in widths
SMALLEST = 1e-5  # added to a variance, so that a constant vector is no division by zero


class Norm(eqx.Module):
    """scale ∘ (x − mean x) / √(var x + 1e-5) + offset, over the units of one position.

    Source: Ba, Kiros & Hinton 2016, "Layer Normalization", equation 3.
    """

    scale: jax.Array
    offset: jax.Array

    @classmethod
    def initial(cls, width: int) -> Self:
        """Scale one, offset zero."""
        return cls(np.ones(width, dtype=np.float32), np.zeros(width, dtype=np.float32))  # type: ignore[arg-type]

    def __call__(self, x: jax.Array) -> jax.Array:
        """[positions, width] → [positions, width]."""
        centred = x - x.mean(axis=-1, keepdims=True)
        # Of the centred values: E[x²] − E[x]² would lose all digits in float32 where the mean is large.
        variance = (centred**2).mean(axis=-1, keepdims=True)
        return centred * jax.lax.rsqrt(variance + SMALLEST) * self.scale + self.offset


class Block(eqx.Module):
    """x ← x + attention(norm x), then x ← x + MLP(norm x).

    Each of `heads` attention heads has width/heads units: position t mixes the values of positions s ≤ t with weights
    softmax_s(q_t · k_s / √(width/heads)). The perceptron has one hidden layer of 4·width GELU units.

    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3; norms before each part as in Xiong et al. 2020,
    "On Layer Normalization in the Transformer Architecture".
    """

    attention_norm: Norm
    projection: Linear  # to queries, keys and values, below each other
    mixing: Linear
    perceptron_norm: Norm
    expansion: Linear
    contraction: Linear
    heads: int = eqx.field(static=True)

    @classmethod
    def drawn(cls, generator: np.random.Generator, width: int, heads: int, depth: int) -> Self:
        """Weights from N(0, 1 / inputs); of the two that add to x from N(0, 1 / (2·depth·inputs)); biases zero."""
        draw = lambda features, outputs, scale: Linear.drawn(generator, features, outputs, scale)
        lecun, residual = SCALES["lecun"], SCALES["lecun"] / (2 * depth)
        return cls(
            Norm.initial(width),
            draw(width, 3 * width, lecun),
            draw(width, width, residual),
            Norm.initial(width),
            draw(width, EXPANSION * width, lecun),
            draw(EXPANSION * width, width, residual),
            heads,
        )

    def __call__(self, x: jax.Array, last_only: bool = False) -> jax.Array:
        """[positions, width] → the same, or only its last row, [1, width], at a fraction of the cost."""
        x = (x[-1:] if last_only else x) + self._attention(self.attention_norm(x), last_only)
        hidden = jax.nn.gelu(_each(self.expansion, self.perceptron_norm(x)))
        return x + _each(self.contraction, hidden)

    def _attention(self, x: jax.Array, last_only: bool) -> jax.Array:
        positions, width = x.shape
        size = width // self.heads
        parts = jnp.split(_each(self.projection, x), 3, axis=-1)
        queries, keys, values = (part.reshape(positions, self.heads, size) for part in parts)
        if last_only:
            queries = queries[-1:]
        scores = jnp.einsum("qhd,khd->hqk", queries, keys) / math.sqrt(size)
        if not last_only:  # the last position may look at all
            future = ~np.tri(positions, dtype=bool)
            scores = jnp.where(future, -jnp.inf, scores)  # every row keeps its own position: no row is −∞ throughout
        mixed = jnp.einsum("hqk,khd->qhd", jax.nn.softmax(scores, axis=-1), values)
        return _each(self.mixing, mixed.reshape(-1, width))


class Transformer(eqx.Module):
    """x_t = E frame_t + e + p_t, `depth` blocks, a norm; outputs W x_T + b from the last frame."""

    embedding: Linear
    positions: jax.Array
    blocks: tuple[Block, ...]
    norm: Norm
    readout: Linear
    steps: Steps = eqx.field(static=True)

    @classmethod
    def build(
        cls,
        generator: np.random.Generator,
        inputs: Inputs,
        outputs: int,
        *,
        width: int = 32,
        depth: int = 2,
        heads: int = 4,
    ) -> Self:
        """Draw weights from N(0, 1 / inputs), those of layers that add to x from N(0, 1 / (2·depth·inputs)).

        Positions come from N(0, 1), the size of an embedded frame; biases are zero, scales of norms one.

        Args:
            generator: source of the draws, from the frames to the readout.
            inputs: what the head is given, read in the order of `inputs.steps`.
            outputs: outputs.
            width: units of a position.
            depth: blocks.
            heads: attention heads of a block; they share the width evenly.

        Raises:
            TrainingError: an option that is no whole number ≥ 1, a width that `heads` does not divide; inputs that have
                no frames.

        Source: the shrinking of residual weights with depth, Radford et al. 2019 (GPT-2), section 2.3.
        """
        checked_integer("width", width, "transformer")
        checked_integer("depth", depth, "transformer", highest=64)
        checked_integer("heads", heads, "transformer")
        if width % heads:
            mend = f"give a width that is a multiple of {heads}, or other heads"
            raise TrainingError("heads do not share the width evenly", node="transformer", found=width, mend=mend)
        steps = inputs.steps
        embedding = Linear.drawn(generator, len(steps[0]), width, SCALES["lecun"])
        positions = generator.standard_normal((len(steps), width)).astype(np.float32)
        blocks = tuple(Block.drawn(generator, width, heads, depth) for _ in range(depth))
        readout = Linear.drawn(generator, width, outputs, SCALES["lecun"])
        return cls(embedding, positions, blocks, Norm.initial(width), readout, steps)  # type: ignore[arg-type]

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [features]."""
        return self.readout(self._last(features))

    def activations(self, features: jax.Array) -> jax.Array:
        """What is read out at the last position, after the last norm: [rows, width] for features [rows, features]."""
        return jax.vmap(self._last)(features)

    def answer(self, activations: jax.Array, features: jax.Array) -> jax.Array:
        """Outputs [rows, outputs] from the normed last position [rows, width]."""
        return jax.vmap(self.readout)(activations)

    def at_each_step(self, features: jax.Array) -> jax.Array:
        """Outputs [steps, outputs] as they would be if the frames ended there; the last row is the answer."""
        x = self._embedded(features)
        for block in self.blocks:
            x = block(x)
        return _each(self.readout, self.norm(x))

    def _last(self, features: jax.Array) -> jax.Array:
        x = self._embedded(features)
        for block in self.blocks[:-1]:
            x = block(x)
        return self.norm(self.blocks[-1](x, last_only=True))[0]

    def _embedded(self, features: jax.Array) -> jax.Array:
        return _each(self.embedding, read_frames(features, self.steps)) + self.positions


def _each(layer: Linear, x: jax.Array) -> jax.Array:
    # One product with all positions as its rows; a layer vmapped over positions gives the transpose and turns it round.
    return x @ layer.weight.T + layer.bias
