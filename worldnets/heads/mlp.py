"""The multi-layer perceptron: `depth` hidden layers of `width` units, then an affine readout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import equinox as eqx
import jax
import numpy as np

from worldnets.errors import TrainingError, did_you_mean
from worldnets.heads.base import checked_integer
from worldnets.heads.linear import SCALES, Linear

if TYPE_CHECKING:
    from worldnets.heads.inputs import Inputs

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jax.numpy.tanh, "gelu": jax.nn.gelu, "identity": lambda x: x}


class MLP(eqx.Module):
    """h_0 = x, h_i = σ(W_i h_{i−1} + b_i) for i = 1..depth, outputs W h_depth + b."""

    layers: tuple[Linear, ...]
    activation: str = eqx.field(static=True)

    @classmethod
    def build(
        cls,
        generator: np.random.Generator,
        inputs: Inputs,
        outputs: int,
        *,
        width: int = 64,
        depth: int = 2,
        activation: str = "relu",
    ) -> Self:
        """Draw hidden weights from N(0, 2 / inputs), the readout's, which no ReLU follows, from N(0, 1 / inputs).

        Biases are zero.

        Args:
            generator: source of the draws, first layer first.
            inputs: what the head is given.
            outputs: outputs.
            width: units of a hidden layer.
            depth: hidden layers.
            activation: "relu", "tanh" or "gelu"; with "identity" the head is a linear one of rank ≤ width.

        Raises:
            TrainingError: a width or depth that is no whole number ≥ 1, an unknown activation.

        Source: He et al. 2015, "Delving Deep into Rectifiers", equation 10.
        """
        checked_integer("width", width, "mlp")
        checked_integer("depth", depth, "mlp", highest=64)
        if activation not in ACTIVATIONS:
            mend = did_you_mean(activation, ACTIVATIONS)
            raise TrainingError("unknown activation", node="mlp", found=repr(activation), mend=mend)
        sizes = [inputs.width, *[width] * (depth - 1)]
        hidden = [Linear.drawn(generator, size, width, SCALES["he"]) for size in sizes]
        readout = Linear.drawn(generator, width, outputs, SCALES["lecun"])
        return cls((*hidden, readout), activation)

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [features]."""
        return self.layers[-1](self._hidden(features))

    def activations(self, features: jax.Array) -> jax.Array:
        """Units of the last hidden layer, [rows, width], for features [rows, features]."""
        return jax.vmap(self._hidden)(features)

    def answer(self, activations: jax.Array, features: jax.Array) -> jax.Array:
        """Outputs [rows, outputs] from the last hidden layer's units [rows, width]."""
        return jax.vmap(self.layers[-1])(activations)

    def _hidden(self, features: jax.Array) -> jax.Array:
        hidden = features
        for layer in self.layers[:-1]:
            hidden = ACTIVATIONS[self.activation](layer(hidden))
        return hidden
