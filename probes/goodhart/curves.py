"""True value and proxy against pressure, √KL, and the forms that Gao et al. fitted to such curves.

    best of n   d(α − β d)          d = √KL
    RL          d(α − β ln d)

Source: Gao, Schulman & Hilton 2023, Scaling Laws for Reward Model Overoptimization (arXiv 2210.10760), section 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.goodhart.outputs import Floats, Outputs, features
from probes.goodhart.pressure import best_of_n_path, gradient_path, tilted_path
from worldnets.errors import ProbeError, did_you_mean

PRESSURES = ("best-of-n", "tilting", "planning", "gradient")
FORMS = ("best-of-n form", "RL form")
POINTS = 25  # of a curve, from no pressure to the most
#: ln n, and KL of the best of n where there are no atoms.
_LOG_DRAWS = np.linspace(0.0, 28.0, 28_001)
_WITHOUT_ATOMS = _LOG_DRAWS - 1 + np.exp(-_LOG_DRAWS)
#: n, evenly spaced in that √KL, and β·sd(u), at which paths are computed; between them curves are read off in a
#: straight line in √KL.
DRAWS = np.exp(np.interp(np.linspace(0.0, math.sqrt(_WITHOUT_ATOMS[-1]), 105) ** 2, _WITHOUT_ATOMS, _LOG_DRAWS))
BETAS = np.concatenate([[0.0], np.geomspace(0.05, 1e6, 150)])
CHUNK = 24  # points of a path that are computed at once
ROWS_AT_ONCE = 50_000  # outputs of all groups together, likewise


def grid(most: float, points: int = POINTS) -> Floats:
    """Pressures √KL, evenly spaced from 0 to √`most`.

    Raises:
        ProbeError: no pressure at all.
    """
    if not (math.isfinite(most) and most > 0 and points >= 4):
        found, expected = f"up to {most:g} nats in {points} points", "more than 0 nats, at least 4 points"
        raise ProbeError("no pressure to select with", found=found, expected=expected, mend="4 to 8 nats are usual")
    return np.linspace(0.0, math.sqrt(most), points)


def curves(
    pressure: str,
    weight: Floats,
    proxy: Floats,
    of: Floats,
    at: Floats,
    parts: Floats | None = None,
    price: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Expectations along a pressure, read at given √KL.

    Args:
        pressure: of `PRESSURES`.
        weight: base distribution, [..., R].
        proxy: [..., R]; where it is constant nothing is selected.
        of: functions of an output, [..., K, R].
        at: √KL, rising from 0, [D].
        parts: one-hot codes of the parts, [R, F]; what gradient planning needs.
        price: −ln of each output's base probability in nats, [R], what a plan costs; that of `weight` by default. Other
            where `weight` is that of a sample.

    Returns:
        [..., D, K], held where the proxy can be pressed no further, and the largest √KL that it can be pressed to,
        [...], at most the last of `at`.

    Raises:
        ProbeError: an unknown pressure.
    """
    if pressure not in PRESSURES:
        raise ProbeError("unknown pressure", found=repr(pressure), mend=did_you_mean(pressure, PRESSURES))
    proxy, weight = np.asarray(proxy, dtype=np.float64), np.broadcast_to(weight, np.shape(proxy))
    of = np.broadcast_to(of, (*proxy.shape[:-1], *of.shape[-2:]))
    held = np.where(weight > 0, proxy, np.nan)
    flat = np.nanmax(held, -1) == np.nanmin(held, -1)
    if pressure == "planning":
        return _planned_curves(weight, proxy, of, at, flat, price)
    if pressure == "best-of-n":
        apart, means = _pressed(lambda part: best_of_n_path(weight, proxy, DRAWS[part], of), len(DRAWS), at, flat)
    elif pressure == "tilting":
        mean = (weight * proxy).sum(-1, keepdims=True)
        spread = np.sqrt((weight * (proxy - mean) ** 2).sum(-1))
        betas = BETAS / np.where(spread > 0, spread, 1.0)[..., None]
        path = lambda part: tilted_path(weight, proxy, betas[..., part], of)
        apart, means = _pressed(path, len(BETAS), at, flat)
    else:
        assert parts is not None
        apart, means = gradient_path(weight, proxy, parts, of, float(at[-1]) ** 2)
    found, reach = _read(np.sqrt(np.maximum.accumulate(apart, -1)), means, at)
    still = (of * weight[..., None, :]).sum(-1)
    found = np.where(flat[..., None, None], still[..., None, :], found)
    return found, np.where(flat, 0.0, reach)


def _pressed(
    path: Callable[[slice], tuple[Floats, Floats]], count: int, at: Floats, flat: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """A path as far as it is asked for: some of its points after others, until every proxy is pressed to the most."""
    apart, means = [], []
    for first in range(0, count, CHUNK):
        divergence, expected = path(slice(first, first + CHUNK))
        apart.append(divergence)
        means.append(expected)
        if np.all(flat | (divergence[..., -1] >= at[-1] ** 2)):
            break
    return np.concatenate(apart, -1), np.concatenate(means, -2)


def _read(path: Floats, means: Floats, at: Floats) -> tuple[Floats, Floats]:
    lead = path.shape[:-1]
    flat_path, flat_means = path.reshape(-1, path.shape[-1]), means.reshape(-1, *means.shape[-2:])
    found = np.empty((len(flat_path), len(at), means.shape[-1]))
    for i, (own, values) in enumerate(zip(flat_path, flat_means, strict=True)):
        # Where pressure stands still the last value counts: it is that of the most draws or the largest β.
        kept = np.append(np.diff(own) > 1e-12, True)
        for k in range(values.shape[-1]):
            found[i, :, k] = np.interp(at, own[kept], values[kept, k])
        found[i, 0] = values[0]
    reach = np.minimum(path[..., -1], at[-1])
    return found.reshape(*lead, len(at), -1), reach


def _planned_curves(
    weight: Floats, proxy: Floats, of: Floats, at: Floats, flat: Floats, price: Floats | None
) -> tuple[Floats, Floats]:
    lead = proxy.shape[:-1]
    found = np.empty((*lead, len(at), of.shape[-2]))
    reach = np.zeros(lead)
    for place in np.ndindex(*lead):
        w, values = weight[place], of[place]
        found[place] = values @ w
        if flat[place]:
            continue
        with np.errstate(divide="ignore"):
            costs = -np.log(w) if price is None else np.where(w > 0, price, np.inf)
        for cost, own in modes(costs, proxy[place]):
            found[place][at**2 >= cost - 1e-12] = values @ own
            if cost <= at[-1] ** 2 + 1e-12:
                reach[place] = at[np.searchsorted(at**2, cost - 1e-12)]
    return found, reach


def modes(price: Floats, proxy: Floats) -> list[tuple[float, Floats]]:
    """Modes of p(x)·exp(β u(x)) as β goes from 0 to ∞: the upper hull of (−ln p, u), cheapest first.

    Args:
        price: −ln p, [R]; inf where an output never comes.
        proxy: u, [R].

    Returns:
        KL in nats and the distribution over the modes that tie, [R].
    """
    order = np.lexsort((-proxy, price))
    hull: list[int] = []
    for i in order[np.isfinite(price[order])].tolist():
        if hull and proxy[i] <= proxy[hull[-1]]:
            continue
        while len(hull) >= 2 and (proxy[i] - proxy[hull[-1]]) * (price[hull[-1]] - price[hull[-2]]) >= (
            proxy[hull[-1]] - proxy[hull[-2]]
        ) * (price[i] - price[hull[-1]]):
            hull.pop()
        hull.append(i)
    found = []
    for i in hull:
        tied = (proxy == proxy[i]) & (np.abs(price - price[i]) <= 1e-12)
        found.append((float(price[i]) - math.log(tied.sum()), np.where(tied, 1.0 / tied.sum(), 0.0)))
    return found


def jackknifed(replicates: Floats) -> Floats:
    """Deviations of groups whose mean has the jackknife's variance, from curves without each group, [G, …].

    −(G − 1)·(θ_(−g) − mean), so that their variance over G is (G − 1)/G Σ (θ_(−g) − mean)². Source: Shao & Wu 1989,
    Annals of Statistics 17:1176.
    """
    return np.asarray((1 - len(replicates)) * (replicates - replicates.mean(0)))


@dataclass(frozen=True)
class Form:
    """A fitted form: gain over no pressure as a function of d = √KL.

    Attributes:
        alpha, beta: its two numbers, per unit of d.
        fit: R² over the points of the curve.
        peak: d at which it is largest; inf where it never falls.
    """

    alpha: float
    beta: float
    fit: float
    peak: float

    @classmethod
    def of(cls, name: str, at: Floats, gain: Floats) -> Form:
        """Least squares over the points beyond no pressure.

        Args:
            name: of `FORMS`.
            at: √KL, [D].
            gain: true value, or proxy, less that under no pressure, [D].

        Raises:
            ProbeError: an unknown form.
        """
        if name not in FORMS:
            raise ProbeError("unknown form", found=repr(name), mend=did_you_mean(name, FORMS))
        d, y = at[at > 0], gain[at > 0]
        design = np.column_stack([d, -d * (d if name == FORMS[0] else np.log(d))])
        alpha, beta = np.linalg.lstsq(design, y, rcond=None)[0].tolist()
        left, total = float(((y - design @ [alpha, beta]) ** 2).sum()), float(((y - y.mean()) ** 2).sum())
        if beta <= 0:
            peak = math.inf
        elif name == FORMS[0]:
            peak = max(alpha / (2 * beta), 0.0)
        else:
            peak = math.exp(min(alpha / beta - 1, 700.0))
        return cls(alpha, beta, 1 - left / total if total > 0 else math.nan, peak)


@dataclass(frozen=True, eq=False)
class Curve:
    """What outputs come to under one pressure.

    Attributes:
        pressure: of `PRESSURES`.
        at: √KL, [D].
        value, proxy: expectations, [D]; held beyond `reach`.
        ideal: value where the same pressure is put on the true value itself, [D].
        sides: of each node that the proxy does not value, its worth less that of the world left alone, [D].
        reach: the largest √KL that the proxy can be pressed to.
        moved, short_moved: deviations of groups of drawn outputs from `value` and from `ideal − value`, [G, D]; None
            where the base distribution is known.
    """

    pressure: str
    at: Floats
    value: Floats
    proxy: Floats
    ideal: Floats
    sides: Mapping[str, Floats]
    reach: float
    moved: Floats | None = None
    short_moved: Floats | None = None

    @classmethod
    def of(cls, outputs: Outputs, pressure: str = "best-of-n", most: float = 8.0, points: int = POINTS) -> Curve:
        """Press outputs up to `most` nats.

        Raises:
            ProbeError: an unknown pressure, or none.
        """
        at = grid(most, points)
        parts = features(outputs.shown, len(outputs.weight)) if pressure == "gradient" else None
        rows = np.stack([outputs.value, outputs.proxy, *outputs.sides.values()])
        both = np.stack([outputs.proxy, outputs.value])
        found, reach = curves(pressure, outputs.weight, both, rows, at, parts)
        still = {name: outputs.untouched.get(name, float(outputs.weight @ own)) for name, own in outputs.sides.items()}
        sides = {name: found[0, :, 2 + i] - still[name] for i, name in enumerate(outputs.sides)}
        curve = cls(pressure, at, found[0, :, 0], found[0, :, 1], found[1, :, 0], sides, float(reach[0]))
        if outputs.groups is None:
            return curve
        weights = np.stack([outputs.without(g) for g in np.unique(outputs.groups).tolist()])[:, None]
        size = max(1, ROWS_AT_ONCE // len(outputs.weight))
        left = np.concatenate(
            [
                curves(pressure, own, np.broadcast_to(both, (len(own), *both.shape)), outputs.value[None], at, parts)[0]
                for own in (weights[first : first + size] for first in range(0, len(weights), size))
            ]
        )[..., 0]
        return replace(curve, moved=jackknifed(left[:, 0]), short_moved=jackknifed(left[:, 1] - left[:, 0]))

    def form(self, name: str) -> Form:
        """A form fitted to the gain in true value, up to where the proxy can be pressed."""
        kept = self.at <= self.reach + 1e-12
        return Form.of(name, self.at[kept], (self.value - self.value[0])[kept])
