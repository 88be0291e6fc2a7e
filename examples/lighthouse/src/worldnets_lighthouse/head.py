"""The pairwise head: a softmax over features and all products of two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from worldnets.errors import TrainingError

if TYPE_CHECKING:
    from worldnets.heads.inputs import Inputs


class Pairwise(eqx.Module):
    """Outputs W φ(x) + b, where φ(x) holds x and all x_i x_j with i < j; W of shape [outputs, n + n(n − 1)/2]."""

    weight: jax.Array
    bias: jax.Array

    @classmethod
    def build(cls, generator: np.random.Generator, inputs: Inputs, outputs: int, *, scale: float = 0.0) -> Self:
        """Draw W from N(0, scale²); b is zero.

        Args:
            generator: source of the draws.
            inputs: what the head is given; `inputs.width` is n.
            outputs: outputs.
            scale: standard deviation of the first weights.

        Raises:
            TrainingError: a negative scale.
        """
        if not scale >= 0:
            raise TrainingError("a scale below 0", node="pairwise", found=scale, mend="give 0 or more")
        terms = inputs.width + inputs.width * (inputs.width - 1) // 2
        weight = scale * generator.standard_normal((outputs, terms))
        return cls(weight.astype(np.float32), np.zeros(outputs, dtype=np.float32))

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [n]."""
        return self.answer(self.activations(features[None]), features[None])[0]

    def activations(self, features: jax.Array) -> jax.Array:
        """φ of every row, [rows, terms]."""
        first, second = np.triu_indices(features.shape[1], 1)
        return jnp.concatenate([features, features[:, first] * features[:, second]], axis=1)

    def answer(self, activations: jax.Array, features: jax.Array) -> jax.Array:
        """Outputs from φ, [rows, outputs]."""
        return activations @ self.weight.T + self.bias
