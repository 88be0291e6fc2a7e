"""Known answers: a value V ~ N(0, 1), a proxy U = V + X, and what the largest U are worth, by quadrature.

With S the survival function of X and φ the normal density,

    P(U ≥ t) = ∫ φ(v) S(t − v) dv,    E[V; U ≥ t] = ∫ v φ(v) S(t − v) dv.

Which of the three ends comes is decided by tails (a normal or bounded X: V keeps gaining; as heavy as exponential:
E[V | U = t] tends to a constant; heavier: it goes back to E[V]).

Sources: Manheim & Garrabrant 2018 (arXiv 1803.04585) for regressional Goodhart; Kwa, Thomas & Garriga-Alonso 2024
(arXiv 2407.14503) for heavy tails.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from probes.goodhart.outputs import Floats, Outputs
from worldnets.errors import ProbeError

LIMIT = 12.0  # V beyond has probability 4e-33
NODES = 400  # of the quadrature over all of V
SLICES = (-LIMIT, -2.0, -1.0, -0.25, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 4.0, LIMIT)  # of V, in outputs


@dataclass(frozen=True)
class Tail:
    """A distribution of the error X.

    Attributes:
        name: as the tables call it.
        survival: P(X ≥ x), of an array.
        expected: "keeps-gaining", "plateaus" or "turns-over".
        breaks: x at which the survival function has a kink.
    """

    name: str
    survival: Callable[[Floats], Floats]
    expected: str
    breaks: tuple[float, ...] = ()


def _laplace(x: Floats) -> Floats:
    half = 0.5 * np.exp(-np.abs(x))
    return np.where(x >= 0, half, 1 - half)


def _uniform(x: Floats, half: float = 3.0) -> Floats:
    return np.clip((half - x) / (2 * half), 0.0, 1.0)


def _student(x: Floats, freedom: float) -> Floats:
    return np.asarray(special.stdtr(freedom, -x))


TAILS = {
    tail.name: tail
    for tail in (
        Tail("normal", lambda x: np.asarray(special.ndtr(-x)), "keeps-gaining"),
        Tail("uniform ±3", _uniform, "keeps-gaining", (-3.0, 3.0)),
        Tail("Laplace(1)", _laplace, "plateaus", (0.0,)),
        Tail("Student t3", functools.partial(_student, freedom=3.0), "turns-over"),
        Tail("Student t2", functools.partial(_student, freedom=2.0), "turns-over"),
    )
}


def beyond(tail: Tail, threshold: float, least: float = -LIMIT, most: float = LIMIT) -> tuple[float, float]:
    """P(U ≥ t, V in a range) and E[V; U ≥ t, V in that range]; of all V by default."""
    chance = value = 0.0
    cuts = sorted({least, most, *(min(max(threshold - x, least), most) for x in tail.breaks)})
    for low, high in itertools.pairwise(cuts):
        # Gauss–Legendre between the kinks of S, where the integrand is smooth.
        nodes, weights = _legendre(min(max(32, math.ceil(NODES * (high - low) / (2 * LIMIT))), NODES))
        v = low + (high - low) * (nodes + 1) / 2
        mass = weights * (high - low) / 2 * np.exp(-(v**2) / 2) / math.sqrt(2 * math.pi) * tail.survival(threshold - v)
        chance, value = chance + float(mass.sum()), value + float(v @ mass)
    return chance, value


@functools.cache
def _legendre(count: int) -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def threshold_of(tail: Tail, share: float) -> float:
    """The t with P(U ≥ t) = `share`.

    Raises:
        ProbeError: a share that is not in (0, 1).
    """
    if not 0 < share < 1:
        raise ProbeError("not a share", found=share, expected="above 0, below 1", mend="1 is no pressure at all")
    high = 1.0
    while beyond(tail, high)[0] > share:
        high *= 2
    low = -1.0
    while beyond(tail, low)[0] < share:
        low *= 2
    return float(optimize.brentq(lambda t: beyond(tail, t)[0] - share, low, high, xtol=1e-12, rtol=1e-14))


def selected(tail: Tail, share: float) -> float:
    """E[V | top `share` of U]."""
    chance, value = beyond(tail, threshold_of(tail, share))
    return value / chance


def as_outputs(tail: Tail, least: float = 1e-5, ranges: int = 120) -> Outputs:
    """The tail as outputs: one for each range of U and slice of V, worth E[V | range, slice].

    Outputs of one range have one proxy: what selection takes from a range is worth E[V | U in the range].

    Args:
        tail: of the error.
        least: base weight of the highest range, all of what is above it.
        ranges: of U; their upper shares are about evenly spaced in q above ½, and in ln q below.

    Raises:
        ProbeError: a share that is not in (0, 1).
    """
    above = ranges // 4
    shares = np.concatenate([np.linspace(1, 0.5, above, endpoint=False), np.geomspace(0.5, least, ranges - above)])
    thresholds = _thresholds(tail, shares[1:])
    weight, worth, level = [], [], []
    for low, high in itertools.pairwise(SLICES):
        whole = beyond(Tail("all", np.ones_like, ""), 0.0, low, high)
        chance, value = np.array([whole, *(beyond(tail, t, low, high) for t in thresholds), (0.0, 0.0)]).T
        mass = np.maximum(-np.diff(chance), 0.0)
        # A slice that lies almost wholly outside a range: its worth is rounding, and so is its weight.
        sound = mass > 1e-13
        weight.append(mass[sound])
        worth.append(-np.diff(value)[sound] / mass[sound])
        level.append(np.flatnonzero(sound))
    together = np.concatenate(weight)
    return Outputs(together / together.sum(), np.concatenate(level).astype(np.float64), np.concatenate(worth))


def _thresholds(tail: Tail, shares: Floats) -> list[float]:
    """Thresholds of about these shares, falling; where exactly a range ends does not matter."""
    most = threshold_of(tail, float(shares[-1]))
    coarse = np.concatenate([np.linspace(-8, 8, 49), np.geomspace(9, max(most, 10.0) + 1, 12)])
    log_odds = lambda q: np.log(q) - np.log1p(-q)
    chance = np.array([beyond(tail, t)[0] for t in coarse.tolist()])
    sound = (chance > 1e-12) & (chance < 1 - 1e-9)
    found = np.interp(-log_odds(shares), -log_odds(chance[sound]), coarse[sound])
    return [*found[:-1].tolist(), most]
