"""First-order descent on one vector of parameters: the update rules of `optax.sgd` and `optax.adam`, in NumPy.

A learning rate means the same as in the compiled loop of the other heads (a test holds the two together). Calling
Optax for a vector this short would cost more than the gradient of a batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError

OPTIMIZERS = ("adam", "sgd")
FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8  # Optax's defaults

Vector = NDArray[np.float64]


class Moments(NamedTuple):
    """What Adam remembers; plain descent only counts.

    Attributes:
        first, second: running means of the gradient and of its square, [parameters].
        updates: how many there were.
    """

    first: Vector
    second: Vector
    updates: int = 0

    @classmethod
    def none(cls, parameters: int) -> Moments:
        """Before the first update."""
        return cls(np.zeros(parameters), np.zeros(parameters))


def descend(
    optimizer: str, learning_rate: float, parameters: Vector, gradient: Vector, moments: Moments
) -> tuple[Vector, Moments]:
    """Parameters and moments after one update.

    sgd: θ − η·g. adam: θ − η·m̂ / (√v̂ + ε), with m̂ = m / (1 − .9^t), v̂ = v / (1 − .999^t), where m and v are running
    means of g and g².

    Raises:
        TrainingError: an optimizer that is neither.

    Source: Kingma & Ba 2015, "Adam", algorithm 1.
    """
    updates = moments.updates + 1
    if optimizer not in OPTIMIZERS:
        raise TrainingError("world-models descend by adam or sgd", found=optimizer, mend='give optimizer="adam"')
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging run's numbers are infinite, then NaN
        if optimizer == "sgd":
            return parameters - learning_rate * gradient, Moments(moments.first, moments.second, updates)
        first = FIRST_DECAY * moments.first + (1 - FIRST_DECAY) * gradient
        second = SECOND_DECAY * moments.second + (1 - SECOND_DECAY) * gradient**2
        step = first / (1 - FIRST_DECAY**updates) / (np.sqrt(second / (1 - SECOND_DECAY**updates)) + EPSILON)
        return parameters - learning_rate * step, Moments(first, second, updates)
