"""The mesa-objective: which objectives of a stated family could a behaviour be the optimum of?

The *confidence set* holds every objective of which it is not shown that another explains the behaviour better:
objective j leaves it when, for some i, D_j − D_i is above 0 at level α / (m − 1) over replicates and situations, D_j
being the mean KL(answer ‖ optimum of j). It holds the best one with probability at least 1 − α.

Source: Hsu 1984, Annals of Statistics 12:1136 (constrained comparisons with the best); Bonferroni in place of his
critical values, since differences are paired and of unequal spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.statistics import Estimate, Interval, over_seeds

Floats = NDArray[np.float64]
ALIKE = 1e-12  # nats: differences below are rounding


@dataclass(frozen=True)
class Explained:
    """What a behaviour looks like the optimum of.

    Attributes:
        names: of the family.
        best: the objective with the least mean divergence.
        kept: the confidence set, in the family's order.
        divergence: nats, with its interval, of each objective of the family.
        excess: of each objective, how much worse than the one that shows it best, or than the best one.
        p: of that difference, two-sided; 1 for the best one itself.
    """

    names: tuple[str, ...]
    best: str
    kept: tuple[str, ...]
    divergence: tuple[Interval, ...]
    excess: tuple[Interval, ...]
    p: tuple[float, ...]


def over_groups(values: Floats) -> Estimate:
    """The mean over replicates of what groups of situations share, [S, G]."""
    mean = values.mean(-1)
    return over_seeds(mean, (values - mean[:, None]).T if values.shape[-1] > 1 else None)


def confidence_set(values: Floats, names: Sequence[str], alpha: float) -> Explained:
    """Compare each objective of a family with every other.

    Args:
        values: divergences in nats, [S, K, G].
        names: of the family, [K].
        alpha: the set lacks the best objective with at most this probability.
    """
    count = len(names)
    each = alpha / max(count - 1, 1)
    level = 1 - each
    means = values.mean((0, 2))
    best = int(means.argmin())
    excess, p, kept = [], [], []
    for j in range(count):
        against = []
        for i in range(count):
            if i != j:
                off = values[:, j] - values[:, i]
                off = np.where(np.abs(off) <= ALIKE, 0.0, off)
                found = over_groups(off)
                against.append((float(found.p_above(0.0)), found.interval(level)))
        shown = min(against, key=lambda one: (one[0], -one[1].estimate)) if against else None
        if shown is None:
            one = over_groups(values[:, j])
            excess.append(one.interval(level))
            p.append(1.0)
            kept.append(names[j])
            continue
        excess.append(shown[1])
        p.append(shown[0])
        if shown[0] > each or j == best:
            kept.append(names[j])
    divergence = tuple(over_groups(values[:, j]).interval(1 - alpha) for j in range(count))
    return Explained(tuple(names), names[best], tuple(kept), divergence, tuple(excess), tuple(p))
