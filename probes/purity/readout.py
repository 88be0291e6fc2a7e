"""What a world-model's beliefs say about the true latent: which of its states means which, and how much is in them.

W's latent may carry other names for the same states (label switching), and a model that never saw the latent has no
reason to use ours. So its beliefs b_t(s) = W(z_t = s | x) are read in two ways, one map for all frames of a kind:

- *relabelled*: r(z | b) = b(π z), π the assignment of states under which this says most. It is what do() uses.
- *read out*: r(z | b) = Σ_s A[z, s]·b(s), A a column-stochastic matrix fitted to the truth: a relabelling that may
  merge, split or mistrust states, and nothing more. A freer readout could decode the whole clip from a belief.

Information is Σ_t [H(Z_t) − E(−log2 r(Z_t | b_t))]. Since r is a distribution over Z_t given the clip, it is at most
Σ_t I(Z_t; X), whatever A; it may be negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Floats = NDArray[np.float64]
LEAST_BELIEF = 1e-6  # a belief below it counts as this: 20 bits at most for a state held impossible that is the case
BINS = 1024  # beliefs are gathered in about so many bins before a readout is fitted
MOST_ROUNDS, TOLERANCE = 300, 1e-6


def relabelling(joint: Floats, beliefs: Floats) -> tuple[int, ...]:
    """π: for each true state the state of the world-model's latent that stands for it.

    The assignment with the largest Σ E[1(Z = z)·log2 b(π z)]; where the world-model has fewer states, true states
    without a partner take the one that says most about them.

    Args:
        joint: weight(row)·W*(z | row), [rows, true states].
        beliefs: W(s | row), [rows, states].
    """
    said = joint.T @ np.log2(np.maximum(beliefs, LEAST_BELIEF))
    chosen = said.argmax(axis=1)
    rows, columns = linear_sum_assignment(-said)
    chosen[rows] = columns
    return tuple(int(s) for s in chosen)


def relabelled_bits(joint: Floats, beliefs: Floats, labels: tuple[int, ...]) -> Floats:
    """Σ_z joint·log2 b(π z) of each row, bits (negative), [rows]."""
    return np.asarray((joint * np.log2(np.maximum(beliefs[:, list(labels)], LEAST_BELIEF))).sum(-1))


def fitted(joint: Floats, beliefs: Floats, labels: tuple[int, ...] = ()) -> Floats:
    """A [true states, states], column-stochastic, with the largest Σ joint·ln Σ_s A[z, s]·b(s).

    The objective is concave in A; expectation-maximisation climbs it from the matrix of expected agreements. Beliefs
    are gathered in bins first, each at its mean, which moves A by about the squared width of a bin.

    Args:
        joint, beliefs: as for `relabelling`.
        labels: a relabelling; its matrix is taken where it is better, as for W* itself it is.
    """
    matrix = _climbed(*_gathered(joint, beliefs))
    if len(labels) == beliefs.shape[1] == len(set(labels)):
        plain = np.zeros_like(matrix)
        plain[range(len(labels)), list(labels)] = 1.0
        if read_bits(joint, beliefs, plain).sum() >= read_bits(joint, beliefs, matrix).sum():
            return plain
    return matrix


def _climbed(joint: Floats, beliefs: Floats) -> Floats:
    a = joint.T @ beliefs
    a /= np.maximum(a.sum(0), 1e-300)
    for _ in range(MOST_ROUNDS):
        mixed = np.maximum(beliefs @ a.T, 1e-300)
        step = a * ((joint / mixed).T @ beliefs)
        total = step.sum(0)
        step = np.where(total > 0, step / np.where(total > 0, total, 1.0), a)
        if np.abs(step - a).max() < TOLERANCE:
            return step
        a = step
    return a


def read_bits(joint: Floats, beliefs: Floats, matrix: Floats) -> Floats:
    """Σ_z joint·log2 Σ_s A[z, s]·b(s) of each row, bits (negative), [rows]."""
    return np.asarray((joint * np.log2(np.maximum(beliefs @ matrix.T, LEAST_BELIEF))).sum(-1))


def _gathered(joint: Floats, beliefs: Floats) -> tuple[Floats, Floats]:
    # Rows with nearly the same belief as one row, at their mean belief.
    states = beliefs.shape[1]
    width = max(2, int(BINS ** (1 / max(states - 1, 1))))
    if len(joint) <= BINS or (width + 1) ** (states - 1) > 64 * BINS:
        return joint, beliefs
    place = np.zeros(len(joint), dtype=np.int64)
    for s in range(states - 1):
        place = place * (width + 1) + np.rint(beliefs[:, s] * width).astype(np.int64)
    count = (width + 1) ** (states - 1)
    weight = joint.sum(1)
    mass = np.asarray(np.bincount(place, weight, count), dtype=np.float64)
    kept = np.flatnonzero(mass > 0)
    pooled: Floats = np.stack([np.bincount(place, column, count)[kept] for column in joint.T], axis=-1)
    mean: Floats = np.stack([np.bincount(place, weight * column, count)[kept] for column in beliefs.T], axis=-1)
    return pooled, mean / mass[kept, None]
