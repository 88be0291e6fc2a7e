"""The six organisms of the depth probe, and the small world they live in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from probes.enumerated import EnumeratedReference
from probes.organisms.base import Organism

Floats = NDArray[np.float64]


def hidden_chain(frames: int = 4, stay: float = 0.9, noise: float = 0.25) -> EnumeratedReference:
    """A hidden bit that stays as it is with probability `stay` and is seen through `noise`; the target is the bit now,
    rung k the frame k − 1 back.

    At the defaults the rungs offer .189, .090, .040 and .017 bits: 44 % of the pie lies beyond the last frame.
    """
    move = np.array([[stay, 1 - stay], [1 - stay, stay]])
    see = np.array([[1 - noise, noise], [noise, 1 - noise]])
    hidden = np.zeros((2, 2, 2))  # [contexts, hidden bit of the oldest frame so far, target]
    hidden[:, [0, 1], [0, 1]] = 0.5 * see.T
    for _ in range(frames - 1):
        back = np.einsum("czy,zw,wa->cawy", hidden, move, see)
        hidden = back.reshape(-1, 2, 2)
    return EnumeratedReference(hidden.sum(1).reshape(*[2] * frames, 2))


def _shallow(progress: Floats, places: Floats) -> Floats:
    # Shallow rungs are learned within the first two hundredths of the run.
    learned = 1.0 - np.exp(-progress / 0.005)
    return np.where(places == 0, learned[..., None], 0.0)


def _rising(progress: Floats, places: Floats, end: float) -> Floats:
    # Deep rungs arrive one after the other, the last of them a quarter of the way through.
    middle = 0.05 + 0.2 * places
    with np.errstate(over="ignore"):
        arrived = 1.0 / (1.0 + np.exp(-(progress[..., None] - middle) / 0.02))
    return _shallow(progress, places) + np.where(places > 0, end * arrived, 0.0)


def _forgetting(progress: Floats, places: Floats) -> Floats:
    kept = np.where(progress > 0.5, np.maximum(0.1, 1.0 - 2.5 * (np.minimum(progress, 1.0) - 0.5)), 1.0)
    early = np.clip(progress / 0.1, 0.0, 1.0)[..., None]
    return _shallow(progress, places) + np.where(places > 0, early * kept[..., None], 0.0)


ALWAYS_SHALLOW = Organism("always_shallow", "learns the shallow rungs and nothing else", "stagnating", _shallow)
DEEPENING = Organism(
    "deepening", "learns rung after rung until it is exact", "deepening", lambda t, places: _rising(t, places, 1.0)
)
FROZEN_HALF_WAY = Organism(
    "frozen_half_way",
    "learns half of the deep bits, then nothing more",
    "stagnating",
    lambda t, places: _rising(np.minimum(t, 0.5), places, 0.3),
)
UNTRAINED = Organism(
    "untrained",
    "a random function, far from the truth, that training never changes",
    "untrained",
    lambda t, places: np.zeros((*np.shape(t), len(places))),
    field=1.0,
)
PERFECT = Organism(
    "perfect", "exact from the first step", "deep-throughout", lambda t, places: np.ones((*np.shape(t), len(places)))
)
DEEP_THEN_FORGOTTEN = Organism(
    "deep_then_forgotten", "learns everything, then loses what is deep", "regressing", _forgetting
)
