"""Description length of tables of numbers: rounded to a grid, and coded with an adaptive code.

A number θ on the grid of step s is the whole number round(θ/s). The whole numbers of a table are coded one after the
other, each with the frequencies of those before it (every one in the range counted half beforehand), which takes

    log2 [ Γ(n + m/2) / Γ(m/2) · Π_i Γ(1/2) / Γ(n_i + 1/2) ]  bits,

n numbers, m possible ones, n_i of each: the order in which they stand does not matter. Range and grid are told before.
A *two-part code* takes the grid on which bits plus N times the loss are fewest.

Sources: Krichevsky & Trofimov 1981, "The performance of universal encoding" (the code); Rissanen 1978, "Modeling by
shortest data description" (two parts).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from probes.priors.machine import gamma_length
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
#: Grids by the number of steps in a unit; 0 is none at all: everything is zero.
GRIDS = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 16.0, 24.0, 32.0, 64.0, 128.0)


def on_grid(numbers: NDArray[Any], per_unit: float) -> NDArray[np.int64]:
    """The whole numbers that stand for these on a grid of so many steps in a unit.

    Raises:
        ProbeError: a number that is not finite, a grid that is none.
    """
    if not (math.isfinite(per_unit) and per_unit >= 0):
        raise ProbeError("no grid", found=per_unit, expected="steps in a unit ≥ 0, finite", mend="such as 8")
    array = np.asarray(numbers, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ProbeError("a number that is not finite has no description", mend="leave out seeds that diverged")
    return np.rint(array * per_unit).astype(np.int64)


def off_grid(whole: NDArray[np.int64], per_unit: float) -> Floats:
    """The numbers that whole numbers stand for."""
    return np.asarray(whole / per_unit if per_unit else np.zeros(whole.shape), dtype=np.float64)


def table_length(whole: NDArray[np.int64]) -> float:
    """Bits of whole numbers: their range, then the numbers by the adaptive code."""
    flat = np.asarray(whole).reshape(-1)
    if not flat.size:
        return 0.0
    low, high = int(flat.min()), int(flat.max())
    possible = high - low + 1
    seen = np.unique(flat, return_counts=True)[1]
    nats = special.gammaln(flat.size + possible / 2) - special.gammaln(possible / 2)
    nats += (special.gammaln(0.5) - special.gammaln(seen + 0.5)).sum()
    told = gamma_length(2 * abs(low) + (low < 0) + 1) + gamma_length(possible)
    return float(nats / math.log(2)) + told


def grid_length(per_unit: float) -> int:
    """Bits that name a grid of `GRIDS`."""
    return math.ceil(math.log2(len(GRIDS)))


@dataclass(frozen=True)
class TwoPart:
    """A code in two parts, at the grid where it is shortest.

    Attributes:
        total: bits of both parts.
        parameters: bits of the first, the numbers.
        loss: bits of the second, N times the loss.
        per_unit: the grid.
    """

    total: float
    parameters: float
    loss: float
    per_unit: float


def two_part(
    numbers: NDArray[Any], loss: Callable[[Floats], float], grids: Sequence[float] = GRIDS, less: float = 0.0
) -> TwoPart:
    """The shortest two-part code of one table.

    Args:
        numbers: the table.
        loss: of the table as rounded, N times the bits per clip.
        grids: to choose from.
        less: bits that the order of the numbers would take and that need not be told.
    """
    found = []
    for per_unit in grids:
        whole = on_grid(numbers, per_unit)
        bits = max(table_length(whole) + grid_length(per_unit) - less, 0.0)
        found.append(TwoPart(0.0, bits, loss(off_grid(whole, per_unit)), per_unit))
    best = min(found, key=lambda one: one.parameters + one.loss)
    return TwoPart(best.parameters + best.loss, best.parameters, best.loss, best.per_unit)
