"""The gated recurrent network: reads the evidence frame by frame and answers from its last state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import equinox as eqx
import jax
import numpy as np
from jax import numpy as jnp

from worldnets.heads.base import checked_integer
from worldnets.heads.frames import Steps, read_frames
from worldnets.heads.linear import SCALES, Linear

if TYPE_CHECKING:
    from worldnets.heads.inputs import Inputs


class GatedLayer(eqx.Module):
    """One recurrent layer, from inputs x_t to states h_t of `width` units, h_0 = 0.

    r = σ(W_r x_t + b_r + U_r h_{t−1})                      how much of the past the candidate sees
    z = σ(W_z x_t + b_z + U_z h_{t−1})                      how much of the past stays
    n = tanh(W_n x_t + b_n + r ∘ (U_n h_{t−1} + c))         the candidate
    h_t = (1 − z) ∘ n + z ∘ h_{t−1}

    `into` is (W, b) and `recurrent` U, the rows of r, z, n below each other; `candidate_bias` is c. The reset gate acts
    after the product with U, so that one product a frame serves all three.

    Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder–Decoder", section 2.3, but for the place
    of r.
    """

    into: Linear
    recurrent: jax.Array
    candidate_bias: jax.Array

    @classmethod
    def drawn(cls, generator: np.random.Generator, features: int, width: int) -> Self:
        """W from N(0, 1 / features), U from N(0, 1 / width), biases zero."""
        into = Linear.drawn(generator, features, 3 * width, SCALES["lecun"])
        recurrent = Linear.drawn(generator, width, 3 * width, SCALES["lecun"]).weight
        return cls(into, recurrent, np.zeros(width, dtype=np.float32))  # type: ignore[arg-type]

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """States [steps, width] for inputs [steps, features]."""
        width = self.candidate_bias.shape[0]

        def step(state: jax.Array, into: jax.Array) -> tuple[jax.Array, jax.Array]:
            past = self.recurrent @ state
            reset, stay = jnp.split(jax.nn.sigmoid(into[: 2 * width] + past[: 2 * width]), 2)
            candidate = jnp.tanh(into[2 * width :] + reset * (past[2 * width :] + self.candidate_bias))
            state = (1 - stay) * candidate + stay * state
            return state, state

        # What does not depend on the state is one product for all frames.
        return jax.lax.scan(step, jnp.zeros(width, dtype=inputs.dtype), jax.vmap(self.into)(inputs))[1]


class GRU(eqx.Module):
    """`depth` gated layers, each reading the states of the one before; outputs W h_T + b from the last layer's end."""

    layers: tuple[GatedLayer, ...]
    readout: Linear
    steps: Steps = eqx.field(static=True)

    @classmethod
    def build(
        cls, generator: np.random.Generator, inputs: Inputs, outputs: int, *, width: int = 32, depth: int = 1
    ) -> Self:
        """Draw every weight from N(0, 1 / inputs of its unit); biases are zero.

        Args:
            generator: source of the draws, first layer first.
            inputs: what the head is given, read in the order of `inputs.steps`.
            outputs: outputs.
            width: units of a layer.
            depth: layers.

        Raises:
            TrainingError: a width or depth that is no whole number ≥ 1; inputs that have no frames.
        """
        checked_integer("width", width, "gru")
        checked_integer("depth", depth, "gru", highest=64)
        steps = inputs.steps
        sizes = [len(steps[0]), *[width] * (depth - 1)]
        layers = tuple(GatedLayer.drawn(generator, size, width) for size in sizes)
        return cls(layers, Linear.drawn(generator, width, outputs, SCALES["lecun"]), steps)

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [features]."""
        return self.readout(self._states(features)[-1])

    def activations(self, features: jax.Array) -> jax.Array:
        """The last layer's state after the last frame, [rows, width], for features [rows, features]."""
        return jax.vmap(lambda one: self._states(one)[-1])(features)

    def answer(self, activations: jax.Array, features: jax.Array) -> jax.Array:
        """Outputs [rows, outputs] from last states [rows, width]."""
        return jax.vmap(self.readout)(activations)

    def at_each_step(self, features: jax.Array) -> jax.Array:
        """Outputs [steps, outputs] as they would be if the frames ended there; the last row is the answer."""
        return jax.vmap(self.readout)(self._states(features))

    def _states(self, features: jax.Array) -> jax.Array:
        states = read_frames(features, self.steps)
        for layer in self.layers:
            states = layer(states)
        return states
