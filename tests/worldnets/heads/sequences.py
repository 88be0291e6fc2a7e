"""What tests of sequence heads share: inputs of frames without a world, and heads away from their first parameters."""

from types import SimpleNamespace

import jax
import numpy as np


def generator():
    return np.random.default_rng(7)


def frame_inputs(frames=4, features=3):
    """`frames` frames of `features` features, one frame after the other."""
    steps = tuple(tuple(range(t * features, (t + 1) * features)) for t in range(frames))
    return SimpleNamespace(width=frames * features, steps=steps)


def shaken(head):
    """The head with every parameter moved, biases too."""
    random = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: (leaf + 0.3 * random.standard_normal(leaf.shape)).astype(np.float32), head)
