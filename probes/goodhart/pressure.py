"""Selection under pressure, exactly: the distribution over outputs, and its divergence from the base in nats.

- **best of n** (`best_of_n`): n outputs are drawn, the one of the highest proxy is kept. With F the base distribution
  function of the proxy, F(y−) its limit from below, an atom y is kept with probability F(y)^n − F(y−)^n. Ties, outputs
  whose proxies are the same number, are broken by drawing order: the first drawn is kept, so that outputs of one atom
  come in proportion to their base weight. KL = Σ_y p_n(y) ln(p_n(y) / p(y)) over atoms, nothing being added within one;
  ln n − (n−1)/n is its value where there are no atoms, and an upper bound everywhere.
- **tilting** (`tilted`): the distribution ∝ p(x)·exp(β u(x)) that maximises E[u] − KL/β: selection under a KL penalty.
- **top share** (`top_share`): the best share q of all outputs, the atom at the edge in part; KL = −ln q without atoms.
- **planning** (`planned`): max-product over p(x)·exp(β u(x)): one output, the mode, KL = −ln p(x). Modes that tie are
  kept in proportion to their base weight.
- **gradient** (`gradient_path`): E[u] ascended in the potentials of outputs' parts, p(x)·Π_v exp θ_v(x_v) / Z, from
  θ = 0: planning by gradient, which cannot prefer one whole output to another but by its parts.

All are functions of a base distribution [R] and proxies [..., R], and return [..., R].

Sources: KL of best-of-n, Hilton 2023 (KL divergence of max-of-n) and Beirami et al. 2024 (arXiv 2401.01879: the bound);
Gao, Schulman & Hilton 2023 (arXiv 2210.10760) for √KL as the scale of pressure; planning as inference, Attias 2003.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from probes.goodhart.outputs import Floats
from worldnets.errors import ProbeError

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Outputs in the order of their proxies, with the mass of each one's atom. [..., R] each.

    Attributes:
        order: output at each rank, lowest proxy first.
        weight: base weight at each rank.
        below, above: ln of F(y−) and of F(y) of the atom at each rank.
    """

    order: Indices
    weight: Floats
    below: Floats
    above: Floats


def ranked(weight: Floats, proxy: Floats) -> Ranked:
    """Sort, and find the atoms: outputs of one proxy."""
    proxy = np.asarray(proxy, dtype=np.float64)
    weight = np.asarray(weight, dtype=np.float64) / np.sum(weight, axis=-1, keepdims=True)
    order = np.argsort(proxy, axis=-1, kind="stable")
    sorted_proxy = np.take_along_axis(proxy, order, -1)
    own = np.take_along_axis(np.broadcast_to(weight, proxy.shape), order, -1)
    # Mass from the top down: where F is near 1 it is 1 − F that must keep its digits.
    tail = np.cumsum(own[..., ::-1], axis=-1)[..., ::-1]
    count = proxy.shape[-1]
    places = np.broadcast_to(np.arange(count), proxy.shape)
    starts = np.concatenate([np.ones_like(places[..., :1], bool), np.diff(sorted_proxy, axis=-1) > 0], axis=-1)
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=-1)
    last_flag = np.concatenate([starts[..., 1:], np.ones_like(starts[..., :1])], axis=-1)
    last = np.minimum.accumulate(np.where(last_flag, places, count - 1)[..., ::-1], axis=-1)[..., ::-1]
    padded = np.concatenate([tail, np.zeros_like(tail[..., :1])], axis=-1)
    beyond = np.take_along_axis(padded, last + 1, -1)  # 1 − F(y)
    from_here = np.take_along_axis(tail, first, -1)  # 1 − F(y−)
    with np.errstate(divide="ignore"):
        below = np.log1p(-np.minimum(np.where(first == 0, 1.0, from_here), 1.0))
        above = np.log1p(-np.minimum(beyond, 1.0))
    return Ranked(order, own, below, above)


def _of_ranks(outputs: Ranked, n: float) -> tuple[Floats, Floats]:
    # p_n over p of the atom at each rank, and p_n of each rank.
    with np.errstate(invalid="ignore"):  # outputs of no weight below all others: F is 0 on both sides of them
        log_mass = outputs.above + _log1mexp(outputs.above - outputs.below)
        log_kept = n * outputs.above + _log1mexp(n * (outputs.above - outputs.below))
        log_ratio = np.where(np.isfinite(log_mass) & np.isfinite(log_kept), log_kept - log_mass, -np.inf)
    return log_ratio, outputs.weight * np.exp(log_ratio)


def _log1mexp(gap: Floats) -> Floats:
    # ln(1 − e^−gap) for gap ≥ 0.
    with np.errstate(divide="ignore", invalid="ignore"):
        small = np.log(-np.expm1(-gap))
        large = np.log1p(-np.exp(-gap))
    return np.where(gap < math.log(2), small, large)


def best_of_n(weight: Floats, proxy: Floats, n: float) -> Floats:
    """Distribution over outputs of the best of n draws, [..., R]; n may be any number ≥ 1.

    Raises:
        ProbeError: fewer than one draw.
    """
    check_draws(n)
    outputs = ranked(weight, proxy)
    _, kept = _of_ranks(outputs, n)
    found = np.empty_like(kept)
    np.put_along_axis(found, outputs.order, kept, -1)
    return found


def best_of_n_path(weight: Floats, proxy: Floats, draws: Floats, of: Floats) -> tuple[Floats, Floats]:
    """KL in nats and expectations under the best of n, for every n of `draws`.

    Args:
        weight, proxy: [R] (or [..., R]) and [..., R].
        draws: [N], each ≥ 1.
        of: functions of an output, [..., K, R].

    Returns:
        [..., N] and [..., N, K].
    """
    outputs = ranked(weight, proxy)
    gathered = np.take_along_axis(
        np.broadcast_to(of, (*proxy.shape[:-1], *of.shape[-2:])), outputs.order[..., None, :], -1
    )
    divergence, means = [], []
    for n in np.asarray(draws, dtype=np.float64):
        log_ratio, kept = _of_ranks(outputs, float(n))
        divergence.append(np.where(kept > 0, kept * np.where(kept > 0, log_ratio, 0.0), 0.0).sum(-1))
        means.append((gathered * kept[..., None, :]).sum(-1))
    return np.maximum(np.stack(divergence, -1), 0.0), np.stack(means, -2)


def tilted(weight: Floats, proxy: Floats, beta: float | Floats) -> Floats:
    """The base distribution times exp(β u), normalised, [..., R].

    Args:
        beta: inverse temperature in nats per unit of the proxy, a number or [...].

    Raises:
        ProbeError: a β that is not finite.
    """
    if not np.isfinite(beta).all():
        raise ProbeError("an inverse temperature that is not finite", found=beta, mend="use a large one")
    with np.errstate(divide="ignore"):
        return np.asarray(special.softmax(np.log(weight) + np.asarray(beta)[..., None] * proxy, axis=-1))


def top_share(weight: Floats, proxy: Floats, share: float) -> Floats:
    """Distribution over the best `share` of outputs, the atom at the edge in part, [..., R].

    Raises:
        ProbeError: a share that is not in (0, 1].
    """
    if not 0 < share <= 1:
        expected = "above 0, at most 1"
        raise ProbeError("not a share", found=share, expected=expected, mend="1 is no pressure at all")
    outputs = ranked(weight, proxy)
    beyond, atom = -np.expm1(outputs.above), np.exp(outputs.above) - np.exp(outputs.below)
    taken = np.clip(share - beyond, 0.0, atom)
    kept = outputs.weight * np.divide(taken, atom, out=np.zeros_like(atom), where=atom > 0)
    found = np.empty_like(kept)
    np.put_along_axis(found, outputs.order, kept / kept.sum(-1, keepdims=True), -1)
    return found


def planned(weight: Floats, proxy: Floats, beta: float) -> Floats:
    """The mode of p(x)·exp(β u(x)), as a distribution: ties in proportion to base weight, [..., R]."""
    with np.errstate(divide="ignore"):
        score = np.log(weight) + beta * proxy
    best = np.where(score >= score.max(-1, keepdims=True) - 1e-12, weight, 0.0)
    return np.asarray(best / best.sum(-1, keepdims=True))


def divergence(chosen: Floats, weight: Floats) -> Floats:
    """KL(chosen ‖ base) in nats, [...].

    Raises:
        ProbeError: an output that the base distribution never gives.
    """
    if np.any((chosen > 0) & (weight == 0)):
        mend = "select among outputs that the base distribution gives"
        raise ProbeError("an output of base probability zero was selected", mend=mend)
    return np.asarray(special.rel_entr(chosen, weight).sum(-1))


def check_draws(n: float) -> float:
    """Refuse fewer than one draw.

    Raises:
        ProbeError: fewer than one, or no finite number.
    """
    if not (math.isfinite(n) and n >= 1):
        raise ProbeError("fewer than one draw", found=n, expected="n ≥ 1", mend="the best of 1 is no pressure at all")
    return n


def gradient_path(
    weight: Floats, proxy: Floats, parts: Floats, of: Floats, most: float, length: float = 0.08
) -> tuple[Floats, Floats]:
    """KL in nats and expectations while E[u] is ascended in the potentials of outputs' parts.

    θ ← θ + η·∂E[u]/∂θ with ∂E[u]/∂θ_v(s) = Cov(1[x_v = s], u), exact; η is set so that every step has the same length:
    η·sd of the direction = `length`, which is √(2 KL) of the step to second order.

    Args:
        weight, proxy: [..., R].
        parts: one-hot codes of the parts, [R, F].
        of: functions of an output, [..., K, R].
        most: nats at which to stop.
        length: of a step.

    Returns:
        [..., P] and [..., P, K], the base first. One whose gradient has vanished stays where it is.
    """
    with np.errstate(divide="ignore"):
        base = np.broadcast_to(np.log(weight), proxy.shape)
    scale = proxy.std(-1, keepdims=True)
    unit = (proxy - proxy.mean(-1, keepdims=True)) / np.where(scale > 0, scale, 1.0)
    potential, current = np.zeros_like(unit), np.exp(base)
    means = lambda: (of * current[..., None, :]).sum(-1)
    path, apart = [means()], [np.zeros(unit.shape[:-1])]
    for _ in range(math.ceil(4 * math.sqrt(2 * most) / length) + 8):
        centred = current * (unit - (current * unit).sum(-1, keepdims=True))
        direction = (centred @ parts) @ parts.T
        around = direction - (current * direction).sum(-1, keepdims=True)
        spread = np.sqrt((current * around**2).sum(-1))
        moving = (spread > 1e-12) & (apart[-1] < most)
        if not moving.any():
            break
        rate = np.where(moving, length / np.where(moving, spread, 1.0), 0.0)
        potential = potential + rate[..., None] * direction
        log_z = special.logsumexp(base + potential, axis=-1)
        current = np.exp(base + potential - log_z[..., None])
        path.append(means())
        apart.append(np.maximum((current * potential).sum(-1) - log_z, 0.0))
    return np.stack(apart, -1), np.stack(path, -2)


def tilted_path(weight: Floats, proxy: Floats, betas: Floats, of: Floats) -> tuple[Floats, Floats]:
    """KL in nats and expectations under tilting, for every β of `betas`, [..., N] in nats per unit of the proxy.

    Returns:
        [..., N] and [..., N, K].
    """
    with np.errstate(divide="ignore"):
        base = np.log(weight)
    top = proxy.max(-1, keepdims=True)
    apart, means = [], []
    for place in range(betas.shape[-1]):
        lifted = betas[..., place, None] * (proxy - top)
        log_z = special.logsumexp(base + lifted, axis=-1)
        current = np.exp(base + lifted - log_z[..., None])
        apart.append(np.maximum(np.where(current > 0, current * lifted, 0.0).sum(-1) - log_z, 0.0))
        means.append((of * current[..., None, :]).sum(-1))
    return np.stack(apart, -1), np.stack(means, -2)
