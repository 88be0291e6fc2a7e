"""The translation index of a head: where it stands on the line from the human simulator to the direct translator.

On the rows on which the two references differ, with probabilities floored, the head is fitted by

    log q = log h + w·(log p − log h) − log Z(row),

weighted least squares with weights W*(row)·(½p + ½h)(y | row), rows centred over y under those weights, which removes Z
(this is the rung regression of `probes.regression` with two rungs). w is 0 for the human simulator h and 1 for the
direct translator p. How well the line describes the head says

    R² = 1 − what the line leaves of the head / what the nearest line leaves of a head that does not look at the row,

1 for anything on the line, 0 for the best constant answer, less for what is farther off than that; cut at −1. (The
usual R², of the variance of log q, counts a mixture of probabilities as noise: where one reference is sure and the
other is not, it moves hardly at all.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.reporter.rows import Rows
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
LEAST = 1e-12
WORST = -1.0  # R² is cut here: how far beyond useless says nothing


@dataclass(frozen=True)
class Found:
    """A number of some heads, [...], and its deviation in every group of clips, [G, ...]; None where it is exact."""

    value: Floats
    groups: Floats | None


def floored(probabilities: Floats, floor: float) -> Floats:
    """ln of probabilities none of which is below the floor (before they are normalised again)."""
    kept = np.maximum(probabilities, floor)
    return np.log(kept / kept.sum(-1, keepdims=True))


class Index:
    """The fit of heads to the line, on some rows; what does not depend on a head is computed once."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        kept = rows.apart
        self.shares = rows.shares[:, kept]
        self._human = floored(rows.human[kept], rows.floor)
        self._way = floored(rows.direct[kept], rows.floor) - self._human
        self._weight = 0.5 * (rows.direct[kept] + rows.human[kept])
        self._length = self.shares @ self._inner(self._way, self._way)
        self._constant = [self._constant_residual(shares) for shares in _leaving_out(self.shares)]

    def of(self, log_q: Floats) -> tuple[Found, Found]:
        """Index w and R² of heads, from ln q [..., R, A]."""
        kept = np.exp(log_q[..., self.rows.apart, :])
        off = floored(kept, self.rows.floor) - self._human
        along = self._summed(self._inner(off, self._way))
        size = self._summed(self._inner(off, off))

        def weight(mean: Callable[[Floats], Floats], _: int) -> Floats:
            return np.asarray(mean(along) / mean(self._length))

        def fit(mean: Callable[[Floats], Floats], left_out: int) -> Floats:
            rest = np.maximum(mean(size) - mean(along) ** 2 / mean(self._length), 0.0)
            return np.asarray(np.maximum(1 - rest / self._constant[left_out], WORST))

        return jackknifed(weight, len(self.shares)), jackknifed(fit, len(self.shares))

    def _inner(self, one: Floats, other: Floats) -> Floats:
        # Σ_y u·a·b of arrays centred over y under u, [..., R].
        u = self._weight
        mean = (u * one).sum(-1), (u * other).sum(-1)
        return np.asarray((u * one * other).sum(-1) - mean[0] * mean[1])

    def _summed(self, values: Floats) -> Floats:
        return np.moveaxis(values @ self.shares.T, -1, 0)  # [G, ...]

    def _constant_residual(self, shares: Floats) -> float:
        """What the line leaves, at the best w, of the constant answer that it leaves least of."""
        u = self._weight
        metric = u[:, :, None] * np.eye(u.shape[1]) - u[:, :, None] * u[:, None, :]
        constant = np.einsum("r,rab->ab", shares, metric)
        fixed = np.stack([self._way, self._human])  # unknown multiple of the one, the other as it is
        through = np.einsum("r,rab,krb->ka", shares, metric, fixed)
        inside = np.einsum("r,kra,rab,lrb->kl", shares, fixed, metric, fixed, optimize=True)
        # min over k, w of |k − w·way − human|²: normal equations of (k, w); k is free up to an added constant.
        left = np.block([[constant, -through[:1].T], [-through[:1], inside[:1, :1]]])
        right = np.concatenate([through[1], -inside[0, 1:]])
        return max(float(inside[1, 1] - right @ np.linalg.pinv(left, rcond=1e-10) @ right), LEAST)


def jackknifed(estimate: Callable[[Callable[[Floats], Floats], int], Floats], groups: int) -> Found:
    """A function of means over groups of clips: on all groups, and what each group moves it by.

    Args:
        estimate: from (the mean over some groups of an array [G, ...], which one is left out: 0 none, g + 1 group g).
        groups: G; one is exact.
    """
    whole = estimate(lambda array: np.asarray(array.mean(0)), 0)
    if groups == 1:
        return Found(whole, None)
    without = np.stack(
        [estimate(lambda a, g=g: np.asarray(np.delete(a, g, 0).mean(0)), g + 1) for g in range(groups)]  # type: ignore[misc]
    )
    moved = (groups - 1) * (whole - without)
    return Found(whole, moved - moved.mean(0))


def _leaving_out(shares: Floats) -> list[Floats]:
    groups = len(shares)
    rest = [np.delete(shares, g, 0).mean(0) for g in range(groups)] if groups > 1 else []
    return [shares.mean(0), *rest]


def divergence(rows: Rows, name: str, log_q: Floats) -> Found:
    """KL(reference ‖ head) on the rows on which the two references differ, nats, from ln q [..., R, A]."""
    kept, p = rows.apart, rows.references[name]
    shares = rows.shares[:, kept]
    bits = (p[kept] * (np.log(np.maximum(p[kept], LEAST)) - np.maximum(log_q[..., kept, :], np.log(LEAST)))).sum(-1)
    own, whole = np.moveaxis(bits @ shares.T, -1, 0), shares.sum(1)
    return jackknifed(lambda mean, _: np.asarray(mean(own) / mean(whole)), len(shares))


def auroc(score: Floats, positive: Floats, negative: Floats) -> Floats:
    """P(score of a positive > score of a negative) + ½ P(equal), the area under the ROC curve.

    Args:
        score: [..., R]; NaN gives NaN.
        positive, negative: mass of either class on each row, [R] or [weightings, R].

    Returns:
        [...], or [weightings, ...].

    Raises:
        ProbeError: one class only.

    Source: Hanley & McNeil 1982, Radiology 143:29.
    """
    positives, negatives = np.atleast_2d(positive), np.atleast_2d(negative)
    for name, mass in (("positive", positives), ("negative", negatives)):
        if not np.all(mass.sum(1) > 0):
            mend = "ask on clips of both kinds: more of them, or of a world in which both happen"
            raise ProbeError(
                "one class only: there is no curve to have an area under", found=f"no {name} clip", mend=mend
            )
    lead = score.shape[:-1]
    areas = np.full((len(positives), int(np.prod(lead))), np.nan)
    for place, own in enumerate(score.reshape(-1, score.shape[-1])):
        if not np.isfinite(own).all():
            continue
        order = np.argsort(own, kind="stable")
        starts = np.flatnonzero(np.diff(own[order], prepend=-np.inf) > 0)
        p, n = (np.add.reduceat(mass[:, order], starts, axis=1) for mass in (positives, negatives))
        below = np.cumsum(n, axis=1) - 0.5 * n
        areas[:, place] = (p * below).sum(1) / (positives.sum(1) * negatives.sum(1))
    found = areas.reshape(len(positives), *lead)
    return found if np.ndim(positive) > 1 else found[0]


def told_apart(rows: Rows, log_q: Floats, mass: Floats) -> Found:
    """AUROC of the outcome's probability against the truth, from ln q [..., R, A].

    Args:
        rows: where.
        log_q: of heads.
        mass: W*(y, one of the clips asked about | row), [R, A].
    """
    o = rows.outcome
    rest = np.logaddexp.reduce(np.delete(log_q, o, -1), axis=-1)
    with np.errstate(invalid="ignore"):
        score = np.maximum(log_q[..., o], np.log(LEAST)) - np.maximum(rest, np.log(LEAST))
    weightings = np.stack(_leaving_out(rows.shares))
    found = auroc(score, weightings * mass[:, o], weightings * (mass.sum(1) - mass[:, o]))
    if len(rows.shares) == 1:
        return Found(found[0], None)
    moved = (len(rows.shares) - 1) * (found[0] - found[1:])
    return Found(found[0], moved - moved.mean(0))


def together(log_q: Floats) -> Floats:
    """ln of the mean answer of an ensemble, from ln q [S, R, A]; members that diverged take no part."""
    sound = np.isfinite(log_q).all((1, 2))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(log_q[sound]).mean(0)))


def pseudo_values(statistic: Callable[[Floats], Floats], log_q: Floats, count: int) -> Floats:
    """Tukey's pseudo-values n·θ − (n − 1)·θ_without one of what an ensemble of all heads gives, [S, count].

    Their mean over seeds is the ensemble's number, less the bias of finite n, and their spread says how sure it is.
    NaN for members that diverged, and for all where fewer than two are left.

    Args:
        statistic: from ln q [R, A] to [count] numbers.
        log_q: of the heads, [S, R, A].
        count: how many numbers.

    Source: Tukey 1958, Annals of Mathematical Statistics 29:614.
    """
    sound = np.flatnonzero(np.isfinite(log_q).all((1, 2)))
    found, n = np.full((len(log_q), count), np.nan), len(sound)
    if n >= 2:
        whole = statistic(together(log_q))
        for member in sound:
            found[member] = n * whole - (n - 1) * statistic(together(log_q[sound[sound != member]]))
    return found
