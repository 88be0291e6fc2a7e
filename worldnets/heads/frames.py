"""How sequence heads read: frame by frame, in time order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax

Steps = tuple[tuple[int, ...], ...]


def read_frames(features: jax.Array, steps: Steps) -> jax.Array:
    """One feature vector [features] as the frames it is made of, [steps, features of a frame].

    Args:
        features: what `Inputs.features` gives for one row.
        steps: which features make up each frame: `Inputs.steps`.
    """
    places = list(itertools.chain.from_iterable(steps))
    if places == list(range(len(places))):  # as evidence named frame by frame has it: nothing needs moving
        return features.reshape(len(steps), -1)
    return features[np.array(steps)]
