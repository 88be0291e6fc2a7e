"""The mixture of given predictors that comes nearest to a head, for many heads at once.

Minimise over the simplex  E_x KL(q ‖ Σ_i λ_i p_i) = const − Σ_{x,y} a(x,y)·ln Σ_i λ_i p_i(y|x),  a = W(x)·q(y|x).
That is convex, and is maximum likelihood of mixture proportions. The constraint Σλ = 1 can be traded for a term
Σ_i λ_i, which leaves λ ≥ 0 alone; what is left is solved by projected Newton steps, and by a step of EM where one of
these fails.

Source: Kim, Carbonetto, Stephens & Anitescu 2020, Journal of Computational and Graphical Statistics 29:261 (the
reformulation); Bertsekas 1982, SIAM Journal on Control and Optimization 20:221 (projected Newton); Lindsay 1983, Annals
of Statistics 11:86 (the gap).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
BLOCK_BYTES = 2**26
MOST_STEPS = 200
WARM_UP = 3  # steps of EM before the first of Newton's
TOLERANCE = 1e-10  # nats: the largest gap of a fit that counts as done
SUPPORT = 1e-9  # a weight below is none
RIDGE = 1e-12


@dataclass(frozen=True)
class Fit:
    """Mixtures of M predictors. H heads, G groups of rows.

    Attributes:
        weights: λ, [H, M]; NaN for heads that are not finite.
        left: E_x KL(q ‖ mixture) in bits, [H].
        gap: how far at most that is from the least possible one, in bits (Lindsay's bound), [H].
        weight_groups: first-order deviation of each group's λ, [G, H, M]; None without groups.
        left_groups: KL of each group, [G, H].
    """

    weights: Floats
    left: Floats
    gap: Floats
    weight_groups: Floats | None = None
    left_groups: Floats | None = None


def fitted(
    log_q: NDArray[np.floating],
    predictors: Floats,
    weight: Floats,
    handicap: Floats | None = None,
    group: NDArray[np.int64] | None = None,
) -> Fit:
    """Fit mixtures.

    Args:
        log_q: ln q of each head, [H, rows, outcomes].
        predictors: p_i, above 0, [M, rows, outcomes].
        weight: of each row; sums to 1, and to 1/G in each of G groups.
        handicap: nats that a predictor must pay for each unit of its weight, [M]: its probabilities count as
            e^−handicap of themselves, so that of mixtures that are equally near the one without it is taken.
        group: of each row, 0 … G − 1.

    Raises:
        ProbeError: arrays that do not fit each other, or a predictor without support.
    """
    heads = np.asarray(log_q, dtype=np.float64)
    shape = predictors.shape[1:]
    if heads.ndim != 3 or heads.shape[1:] != shape or weight.shape != shape[:1]:
        found = (heads.shape, predictors.shape, weight.shape)
        raise ProbeError("arrays do not fit", found=found, expected="[H, rows, Y], [M, rows, Y], [rows]")
    if not np.all(predictors > 0):
        raise ProbeError("a predictor without support", mend="mix a little of the uniform one into it")
    count = len(predictors)
    p = predictors.reshape(count, -1)
    cost = np.ones(count) if handicap is None else np.exp(-handicap)
    block = max(1, BLOCK_BYTES // (8 * p.size))
    parts = [
        _fitted(heads[i : i + block].reshape(-1, p.shape[1]), p, cost, weight, group, shape[-1])
        for i in range(0, len(heads), block)
    ]
    grouped: list[Floats | None] = [None, None]
    if group is not None:
        grouped = [np.concatenate([part[k] for part in parts], axis=1) for k in (3, 4)]
    return Fit(*(np.concatenate([part[k] for part in parts]) for k in range(3)), *grouped)


def _fitted(
    heads: Floats, p: Floats, cost: Floats, weight: Floats, group: NDArray[np.int64] | None, outcomes: int
) -> tuple[Floats, ...]:
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(heads).all(1))
    q = np.exp(np.where(finite[:, None], heads, 0.0))
    mass = np.repeat(weight, outcomes) * q
    mass /= mass.sum(1, keepdims=True)
    scaled = p * cost[:, None]
    lam, gap = _solved(mass, scaled)
    term = mass * (np.where(finite[:, None], heads, 0.0) - np.log(lam @ p)) / np.log(2)
    lam[~finite] = np.nan
    found: tuple[Floats, ...] = tuple(np.where(finite, values, np.nan) for values in (term.sum(1), gap / np.log(2)))
    if group is None:
        return lam, *found
    groups = int(group.max()) + 1
    member = (np.repeat(group, outcomes) == np.arange(groups)[:, None]) * float(groups)  # [G, rows·Y]
    left = np.where(finite, member @ term.T, np.nan)
    ratio = np.where(finite[:, None], mass / np.where(finite[:, None], lam, 1.0).dot(scaled), 0.0)
    moved = np.full((groups, len(lam), len(p)), np.nan)
    hessian = _hessian(ratio, mass, scaled)
    for h in np.flatnonzero(finite):
        on = lam[h] > SUPPORT
        score = member @ (ratio[h][:, None] * scaled[on].T) - 1.0
        moved[:, h] = 0.0
        moved[:, h, on] = np.linalg.lstsq(hessian[h][np.ix_(on, on)], score.T, rcond=1e-10)[0].T
    return lam, *found, moved, left


def _hessian(ratio: Floats, mass: Floats, p: Floats) -> Floats:
    # Σ a p_i p_j / mix², [H, M, M]; ratio is a / mix.
    root = ratio / np.sqrt(np.maximum(mass, 1e-300))
    rows = root[:, None, :] * p
    return rows @ rows.swapaxes(1, 2)


def _solved(mass: Floats, p: Floats) -> tuple[Floats, Floats]:
    """λ [H, M] and gaps [H] in nats."""
    count = len(p)
    lam, gap = np.full((len(mass), count), 1.0 / count), np.full(len(mass), np.inf)
    left = np.arange(len(mass))
    for step in range(MOST_STEPS):
        own, a = lam[left], mass[left]
        mix = own @ p
        ratio = a / mix
        gain = ratio @ p.T
        gap[left] = np.log(np.maximum(gain.max(1), 1.0))
        open_ = gap[left] > TOLERANCE
        if not open_.any():
            break
        left = left[open_]
        own, a, mix, ratio, gain = (part[open_] for part in (own, a, mix, ratio, gain))
        em = own * gain
        if step < WARM_UP:
            lam[left] = em / em.sum(1, keepdims=True)
            continue
        slope = 1.0 - gain
        held = (own <= SUPPORT) & (slope > 0)
        free = ~held
        hessian = _hessian(ratio, a, p) * (free[:, :, None] & free[:, None, :])
        size = np.trace(hessian, axis1=1, axis2=2)[:, None]
        hessian[:, range(count), range(count)] += np.where(held, 1.0, RIDGE * size)
        direction = -np.linalg.solve(hessian, np.where(free, slope, 0.0)[..., None])[..., 0]
        loss = -(a * np.log(mix)).sum(1)
        chosen, pending, length = em / em.sum(1, keepdims=True), np.arange(len(left)), 1.0
        for _ in range(12):
            tried = np.maximum(own[pending] + length * direction[pending], 0.0)
            tried /= np.maximum(tried.sum(1, keepdims=True), 1e-300)
            reached = tried @ p
            with np.errstate(divide="ignore"):
                new = -(a[pending] * np.log(np.maximum(reached, 1e-300))).sum(1)
            fall = ((tried - own[pending]) * slope[pending]).sum(1)
            better = (tried.sum(1) > 0.5) & (new <= loss[pending] + np.minimum(1e-4 * fall, 0.0) + 1e-15)
            chosen[pending[better]] = tried[better]
            pending = pending[~better]
            if not len(pending):
                break
            length /= 3.0
        lam[left] = chosen
    return lam, gap
