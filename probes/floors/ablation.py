"""Taking a belief out of a head: the answer's change when what decodes it is set to its mean.

Activations a, centred, are whitened: a − μ = U Λ^½ z, cov z = 1. What decodes a belief b linearly is the space Q of
cov(z, b). Without it, z − Q Qᵀ z, *no* linear readout finds anything of b, and nothing else is changed more than
needed. The null is a random space of as many dimensions in the same whitened coordinates, so that it takes out as much
variance, relative to what there is in each direction.

Source: Belrose et al. 2023, "LEACE: Perfect linear concept erasure in closed form", theorem 4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
FLAT = 1e-6  # variance of a direction, relative to the largest, below which activations do not vary along it
ABSENT = 1e-3  # of the largest correlation of a belief: smaller ones are no dimension of it


@dataclass(frozen=True, eq=False)
class Whitened:
    """Activations of one head, whitened over clips.

    Attributes:
        mean: μ, [units].
        whole: z, [rows, r], r directions along which there is any variance.
        back: Λ^½ Uᵀ, [r, units].
    """

    mean: Floats
    whole: Floats
    back: Floats

    def space_of(self, belief: Floats, weight: Floats) -> Floats:
        """The space that decodes a belief [rows, states]: orthonormal columns [r, dimensions]."""
        centred = belief - weight @ belief
        left, size, _ = np.linalg.svd((self.whole * weight[:, None]).T @ centred, full_matrices=False)
        return left[:, size > max(ABSENT * size.max(initial=0.0), 1e-9)][:, : belief.shape[1] - 1]

    def random_space(self, normal: Floats) -> Floats:
        """A random space [r, dimensions] from normal draws [units, dimensions], of which the first r rows are used."""
        return np.linalg.qr(normal[: len(self.back)])[0]

    def without(self, activations: Floats, space: Floats) -> Floats:
        """Activations [rows, units] with what lies in a space set to its mean."""
        return activations - (self.whole @ space) @ (space.T @ self.back)


def whitened(activations: Floats, weight: Floats) -> Whitened:
    """Whiten activations [rows, units] under weights of clips [rows] that sum to 1."""
    mean = weight @ activations
    centred = activations - mean
    values, vectors = np.linalg.eigh((centred * weight[:, None]).T @ centred)
    kept = values > FLAT * max(values.max(initial=0.0), 1e-30)
    root = np.sqrt(values[kept])
    return Whitened(mean, centred @ vectors[:, kept] / root, root[:, None] * vectors[:, kept].T)


def normals(units: int, dimensions: int, draws: int, seed: int) -> list[Floats]:
    """Draws behind random spaces, the same for every head of that many units."""
    random = np.random.default_rng([seed, units, dimensions])
    return [random.standard_normal((units, dimensions)) for _ in range(draws)]


def changes(whole: NDArray[np.float64], others: Sequence[NDArray[np.float64]], shares: Floats) -> Floats:
    """KL(q‖q') in bits of changed answers, in each group of clips.

    Args:
        whole: ln q, [rows, outcomes of all targets].
        others: ln q' of each version, likewise.
        shares: of the rows in each group, [G, rows].

    Returns:
        [versions, G], all targets added up.
    """
    q = np.exp(whole)
    return np.stack([shares @ (q * (whole - other)).sum(1) for other in others]) / np.log(2)
