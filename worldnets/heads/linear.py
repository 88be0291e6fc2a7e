"""The linear head: W x + b."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import equinox as eqx
import jax
import numpy as np

from worldnets.errors import TrainingError, did_you_mean

if TYPE_CHECKING:
    from worldnets.heads.inputs import Inputs

SCALES = {"zero": 0.0, "lecun": 1.0, "he": 2.0}  # variance of a weight × inputs of its unit


class Linear(eqx.Module):
    """An affine map, W x + b, with W of shape [outputs, features]; multinomial logistic regression per target."""

    weight: jax.Array
    bias: jax.Array

    @classmethod
    def build(
        cls, generator: np.random.Generator, inputs: Inputs, outputs: int, *, initialisation: str = "zero"
    ) -> Self:
        """Draw W from N(0, scale / features); b is zero.

        Args:
            generator: source of the draws.
            inputs: what the head is given.
            outputs: outputs.
            initialisation: "zero" (scale 0; the loss is convex, so nothing needs breaking), "lecun" (1) or "he" (2).

        Raises:
            TrainingError: an unknown initialisation.

        Source: He et al. 2015, "Delving Deep into Rectifiers", equation 10.
        """
        if initialisation not in SCALES:
            mend = did_you_mean(initialisation, SCALES)
            raise TrainingError("unknown initialisation", node="linear", found=repr(initialisation), mend=mend)
        return cls.drawn(generator, inputs.width, outputs, SCALES[initialisation])

    @classmethod
    def drawn(cls, generator: np.random.Generator, features: int, outputs: int, scale: float) -> Self:
        """W from N(0, scale / features), b zero; the layer that other heads are made of."""
        weight = generator.standard_normal((outputs, features)) * np.sqrt(scale / max(features, 1))
        return cls(weight.astype(np.float32), np.zeros(outputs, dtype=np.float32))  # type: ignore[arg-type]

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [features]."""
        return self.weight @ features + self.bias

    def activations(self, features: jax.Array) -> jax.Array:
        """Its outputs, [rows, outputs]: there is nothing else inside."""
        return jax.vmap(self)(features)

    def answer(self, activations: jax.Array, features: jax.Array) -> jax.Array:
        """The activations themselves."""
        return activations
