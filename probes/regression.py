"""Two fits beside the pie: the rung regression, and the bits a rung yields once its miscalibration is taken out.

Both are linear algebra on arrays that exist anyway; neither needs another evaluation of the head.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FLOOR = 1e-6  # probabilities below it are raised to it before a logarithm is regressed
MOST_CONDITION = 30.0  # above it, rungs are merged
LEAST_INCREMENT = 1e-9  # bits; a rung with less moves no prediction and has no weight


class RungRegression:
    """Weights w in log q = log p_0 + Σ_k w_k·(log p_k − log p_{k−1}) − log Z(x).

    Weighted least squares with weights W*(x)·(½p_K + ½p_0)(y|x), every context x centred over y under those weights
    (which removes Z). A perfect head has all weights 1, a head that stops at rung k0 has 1 up to k0 and 0 beyond. Where
    the condition number of the unit-scaled increments exceeds 30, neighbouring rungs are merged, always the pair that
    lowers it most.

    Args:
        weight: W*(x), [contexts].
        ladder: p_k(y|x), [K+1, contexts, outcomes].
        information: I_k, [K].

    Attributes:
        condition: condition number before merging (ratio of singular values; 1 where a single rung says anything).
        merged: the rungs that have a weight, 1-based, as groups that share one.

    Source: Belsley, Kuh & Welsch 1980, Regression Diagnostics, section 3.2 (the bound of 30 on scaled columns).
    """

    def __init__(self, weight: Floats, ladder: Floats, information: Floats) -> None:
        self.rungs = len(information)
        logs = np.log(np.maximum(ladder, FLOOR))
        v = weight[:, None] * 0.5 * (ladder[-1] + ladder[0])
        self._v = v / v.sum()
        self._tiny = (ladder < FLOOR).any(0)
        steps = np.diff(logs, axis=0)
        # Outcomes without weight (both p_K and p_0 are 0) take part in nothing: their centre is irrelevant.
        norm = self._v.sum(-1, keepdims=True)
        steps -= (steps * self._v).sum(-1, keepdims=True) / np.where(norm > 0, norm, 1.0)
        columns = (steps * np.sqrt(self._v)).reshape(self.rungs, -1)
        groups: list[tuple[int, ...]] = [(k,) for k in range(self.rungs) if information[k] > LEAST_INCREMENT]
        self.condition = _condition(columns, groups)
        while len(groups) > 1 and _condition(columns, groups) > MOST_CONDITION:
            groups = min(_mergers(groups), key=lambda candidate: _condition(columns, candidate))
        self.merged = tuple(tuple(k + 1 for k in group) for group in groups)
        self._groups = groups
        design = (
            np.stack([columns[list(group)].sum(0) for group in groups]) if groups else np.zeros((0, columns.shape[1]))
        )
        self._solve = np.linalg.pinv(design.T) * np.sqrt(self._v).reshape(-1)
        self._of_prior = self._solve @ logs[0].reshape(-1)

    def weights(self, log_q: Floats) -> tuple[Floats, Floats]:
        """Weights [..., K] (NaN for rungs that say nothing) and the share of the regression's weight on floored
        probabilities [...].

        Args:
            log_q: ln q(y|x) on the contexts, [..., contexts, outcomes].
        """
        lead, floor = log_q.shape[:-2], math.log(FLOOR)
        floored = np.full(lead, (self._tiny * self._v).sum())
        if not log_q.min(initial=0.0) >= floor:  # some are below, or NaN
            floored = ((self._tiny | (log_q < floor)) * self._v).sum((-1, -2))
            log_q = np.maximum(log_q, floor)
        fitted = log_q.reshape(*lead, -1) @ self._solve.T - self._of_prior
        weights = np.full((*lead, self.rungs), np.nan)
        for i, group in enumerate(self._groups):
            weights[..., list(group)] = fitted[..., i : i + 1]
        return weights, floored


def refitted_loss(weight: Floats, truth: Floats, log_q: Floats, steps: int = 60) -> Floats:
    """Least loss in bits after one temperature and one bias per outcome: min over τ ≥ 0, b of E[−log2 softmax(τ·log q +
    b)], [...].

    Convex; damped Newton over all heads at once. A head that is wrong about the sign gets τ = 0, that is, the outcome's
    marginal.

    Args:
        weight: W*(x), [contexts].
        truth: the distribution the outcome is drawn from in each context, [contexts, outcomes].
        log_q: ln q(y|x), [..., contexts, outcomes].

    Source: Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks" (temperature and vector
    scaling).
    """
    lead, outcomes = log_q.shape[:-2], truth.shape[-1]
    q = np.maximum(log_q.reshape(-1, *log_q.shape[-2:]), -50.0)
    q = q - q.max(-1, keepdims=True)
    mass = weight[:, None] * truth
    theta = np.zeros((len(q), outcomes))  # τ, then the biases of outcomes 1…; outcome 0 has none
    theta[:, 0] = 1.0
    damping = np.full(len(q), 1e-6)
    loss, gradient, hessian = _softmax_fit(theta, q, weight, mass)
    eye = np.eye(outcomes)
    for _ in range(steps):
        scale = np.maximum(np.trace(hessian, axis1=1, axis2=2), 1e-12)[:, None, None]
        step = np.linalg.solve(hessian + damping[:, None, None] * scale * eye, gradient[..., None])[..., 0]
        tried = _softmax_fit(theta - step, q, weight, mass)
        better = tried[0] <= loss
        settled = np.abs(loss - tried[0]) < 1e-10
        theta = np.where(better[:, None], theta - step, theta)
        loss = np.where(better, tried[0], loss)
        gradient = np.where(better[:, None], tried[1], gradient)
        hessian = np.where(better[:, None, None], tried[2], hessian)
        damping = np.where(better, np.maximum(damping / 10, 1e-9), np.minimum(damping * 10, 1e6))
        if settled.all():
            break
    marginal = mass.sum(0) / mass.sum()
    flat = -float((marginal[marginal > 0] * np.log(marginal[marginal > 0])).sum())
    return np.where(theta[:, 0] < 0, flat, np.minimum(loss, flat)).reshape(lead) / math.log(2)


def _softmax_fit(theta: Floats, q: Floats, weight: Floats, mass: Floats) -> tuple[Floats, Floats, Floats]:
    bias = np.concatenate([np.zeros((len(q), 1)), theta[:, 1:]], axis=1)
    z = theta[:, :1, None] * q + bias[:, None]
    z -= functools.reduce(np.maximum, np.moveaxis(z, -1, 0))[..., None]
    e = np.exp(z)
    over_outcomes, over_contexts = np.ones(q.shape[-1]), np.ones(q.shape[1])  # sums as products: far faster
    total = (e @ over_outcomes)[..., None]
    s = e / total
    loss = np.log(total[..., 0]) @ (mass @ over_outcomes) - z.reshape(len(z), -1) @ mass.reshape(-1)
    ws = weight[:, None] * s
    off = ws - mass
    gradient = np.concatenate([np.einsum("hco,hco->h", off, q)[:, None], (over_contexts @ off)[:, 1:]], axis=1)
    centred = q - np.einsum("hco,hco->hc", s, q)[..., None]
    moment = ws * centred
    hessian = np.empty((len(q), q.shape[-1], q.shape[-1]))
    hessian[:, 0, 0] = np.einsum("hco,hco->h", moment, centred)
    hessian[:, 0, 1:] = hessian[:, 1:, 0] = (over_contexts @ moment)[:, 1:]
    inner = -np.matmul(ws.transpose(0, 2, 1), s)
    diagonal = np.arange(q.shape[-1])
    inner[:, diagonal, diagonal] += over_contexts @ ws
    hessian[:, 1:, 1:] = inner[:, 1:, 1:]
    return loss, gradient, hessian


def _condition(columns: Floats, groups: list[tuple[int, ...]]) -> float:
    if len(groups) < 2:
        return 1.0
    design = np.stack([columns[list(group)].sum(0) for group in groups])
    norm = np.linalg.norm(design, axis=1, keepdims=True)
    gram = (design / norm) @ (design / norm).T if np.all(norm > 0) else np.zeros((len(groups),) * 2)
    values = np.linalg.eigvalsh(gram)
    return float(np.sqrt(values[-1] / values[0])) if values[0] > 1e-14 else math.inf


def _mergers(groups: list[tuple[int, ...]]) -> list[list[tuple[int, ...]]]:
    return [[*groups[:i], groups[i] + groups[i + 1], *groups[i + 2 :]] for i in range(len(groups) - 1)]
