"""Clips weighted so that what is known without the head comes out right: calibration estimation.

What a head does on N clips is regressed on covariates h that need no head: the evidence itself, and the bits each rung
holds. Their means over many more clips are cheap, so that what the regression explains need not be averaged over few:

    estimate_g = Σ_{i∈g} w_i·y_i + (h̄_g − Σ_{i∈g} w_i·h_i)·B_g,

h̄_g the mean over all candidates of group g, B_g fitted on the *other* groups. The correction so has mean 0, the spread
over groups stays the Monte-Carlo error, and every estimate is linear in y: one matrix [G, N] serves every head.

Source: Deville & Särndal 1992, "Calibration estimators in survey sampling", section 2 (the regression estimator);
Chernozhukov et al. 2018, "Double/debiased machine learning", definition 3.1 (fitting on the other folds).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_COVARIATES = 1 / 8  # of the clips: beyond, the evidence is left out
RIDGE = 0.1  # of a covariate's variance; rare states would be fitted to single clips without it


def covariates(codes: NDArray[np.int16], columns: Sequence[Ints], bits: Floats, most: int) -> Floats:
    """1, the bits of each rung, and which state each evidence is in: [N, F].

    Args:
        codes: clips, [N, width].
        columns: the evidence each rung adds.
        bits: what each rung holds of each clip, [K, N].
        most: F at most; the evidence is left out where it would be more.
    """
    seen = codes[:, np.concatenate(columns)]
    states = [seen[:, [i]] == np.arange(1, 1 + highest) for i, highest in enumerate(seen.max(0, initial=0))]
    small = 1 + len(bits) + sum(shown.shape[1] for shown in states) <= most
    return np.concatenate([np.ones((len(codes), 1)), bits.T, *(states if small else [])], axis=1)


def calibrated(weight: Floats, of_clips: Floats, of_candidates: Floats, groups: int) -> Floats:
    """The matrix [G, N] that turns what N clips give, y, into the estimates of their groups.

    Args:
        weight: share each clip stands for within its group, [N]; clips come group by group.
        of_clips: covariates of the clips, [N, F].
        of_candidates: their means over the candidates of each group, [G, F].
        groups: G.
    """
    size = len(weight) // groups
    estimator = np.zeros((groups, len(weight)))
    scale = np.sqrt(np.mean((weight[:, None] * of_clips) ** 2, axis=0))
    kept = scale > 0  # what no clip shows cannot be learned from clips
    scaled = of_clips[:, kept] / scale[kept]
    weighted = weight[:, None] * scaled
    gram = weighted.T @ weighted
    for g in range(groups):
        own = slice(g * size, (g + 1) * size)
        estimator[g, own] = weight[own]
        off = of_candidates[g, kept] / scale[kept] - weight[own] @ scaled[own]
        others = gram - weighted[own].T @ weighted[own]
        along = np.linalg.solve(others + RIDGE * len(weight) * np.eye(len(off)), off)
        fitted = weight * (weighted @ along)
        fitted[own] = 0.0
        estimator[g] += fitted
    return estimator
