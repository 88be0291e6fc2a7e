"""What there is to select from: outputs, how often they come by themselves, what a proxy says of them, what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
GROUPS = 16  # of drawn outputs
TOLERANCE = 1e-6  # by which a base distribution may miss 1


@dataclass(frozen=True, eq=False)
class Outputs:
    """A base distribution over R outputs, the proxy they are selected by, and their true value.

    Attributes:
        weight: base probability of each, [R], sums to 1.
        proxy: what is selected for, [R].
        value: expected true value of each, [R].
        sides: by name of a node that the true objective values and the proxy does not: its expected worth given that
            the output is *brought about*, [R].
        untouched: the same nodes' worth in the world left alone.
        groups: of outputs that were drawn, the independent group of each, [R]: the error of the draw is that of a
            delete-a-group jackknife. None: the base distribution is known.
        shown: codes of what outputs are made of, [R, parts]; what gradient planning moves. None: each output is one
            part with as many states as there are outputs.

    Raises:
        ProbeError: arrays of different lengths, numbers that are not finite, a base distribution that does not sum to
            1 or has a negative entry, a proxy that is constant, a proxy that is the true value itself.
    """

    weight: Floats
    proxy: Floats
    value: Floats
    sides: Mapping[str, Floats] = field(default_factory=dict)
    untouched: Mapping[str, float] = field(default_factory=dict)
    groups: NDArray[np.int64] | None = None
    shown: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        put = object.__setattr__
        for name in ("weight", "proxy", "value"):
            put(self, name, np.asarray(getattr(self, name), dtype=np.float64).reshape(-1))
        put(self, "sides", {name: np.asarray(own, dtype=np.float64).reshape(-1) for name, own in self.sides.items()})
        arrays = {"weight": self.weight, "proxy": self.proxy, "value": self.value} | dict(self.sides)
        for name, array in arrays.items():
            if len(array) != len(self.weight) or not len(array):
                found, expected = f"{len(array)} numbers", f"{max(len(self.weight), 1)}, one for each output"
                raise ProbeError("outputs of different numbers", node=name, found=found, expected=expected)
            if not np.isfinite(array).all():
                row = int(np.flatnonzero(~np.isfinite(array))[0])
                mend = "leave out outputs of which nothing is known"
                raise ProbeError("a number of an output is not finite", node=name, row=row, found=array[row], mend=mend)
        check_weight(self.weight)
        check_proxy(self.proxy[self.weight > 0], self.value[self.weight > 0])
        if self.groups is not None and (len(self.groups) != len(self.weight) or len(np.unique(self.groups)) < 2):
            expected = f"{len(self.weight)} numbers, at least two of them different"
            raise ProbeError("no groups of these outputs", found=f"{len(self.groups)} numbers", expected=expected)
        if self.shown is not None and (self.shown.ndim != 2 or len(self.shown) != len(self.weight)):
            expected = f"({len(self.weight)}, parts)"
            raise ProbeError("what outputs are made of has another shape", found=self.shown.shape, expected=expected)

    @classmethod
    def drawn(cls, proxy: ArrayLike, value: ArrayLike, sides: Mapping[str, ArrayLike] | None = None) -> Outputs:
        """Outputs drawn from the base distribution independently, each as likely as any other, in 16 groups."""
        count = np.asarray(proxy).size
        kept = {name: np.asarray(own, dtype=np.float64) for name, own in (sides or {}).items()}
        return cls(
            np.full(count, 1 / max(count, 1)),
            np.asarray(proxy),
            np.asarray(value),
            kept,
            groups=np.arange(count) % GROUPS,
        )

    def without(self, group: int) -> Floats:
        """Base weights where one group was never drawn."""
        assert self.groups is not None
        kept = np.where(self.groups == group, 0.0, self.weight)
        return np.asarray(kept / kept.sum())

    @property
    def mean(self) -> float:
        """True value under no pressure."""
        return float(self.weight @ self.value)

    @property
    def scale(self) -> float:
        """Standard deviation of the true value under no pressure: the unit of the verdict's margins."""
        return float(np.sqrt(self.weight @ (self.value - self.mean) ** 2))


def check_weight(weight: Floats) -> None:
    """Refuse what is no distribution.

    Raises:
        ProbeError: a negative entry, or a sum that is not 1.
    """
    total = float(weight.sum())
    if weight.min() < 0 or abs(total - 1) > TOLERANCE:
        found = f"sum {total:.9g}, least entry {float(weight.min()):.3g}"
        expected = f"no entry below 0, sum 1 within {TOLERANCE:g}"
        mend = "divide the weights by their sum"
        raise ProbeError("the base distribution is not normalised", found=found, expected=expected, mend=mend)


def check_proxy(proxy: Floats, value: Floats) -> None:
    """Refuse a proxy by which nothing can be learned about over-optimization.

    Raises:
        ProbeError: a constant proxy, or one that is the true value itself.
    """
    if np.ptp(proxy) == 0:
        mend = "give a proxy that ranks outputs"
        raise ProbeError("a constant proxy selects nothing", found=f"{float(proxy[0]):g} for every output", mend=mend)
    if np.array_equal(proxy, value):
        mend = "pass what outputs are selected by as the proxy, and what they are worth as the value"
        raise ProbeError("the proxy is the true value: there is nothing to over-optimise", mend=mend)


def features(shown: NDArray[np.integer] | None, rows: int) -> Floats:
    """One-hot codes of what outputs are made of, [R, Σ states]; what does not vary is left out."""
    if shown is None:
        return np.eye(rows)
    columns: Sequence[Floats] = [
        (column[:, None] == np.unique(column)).astype(np.float64)
        for column in np.asarray(shown).T
        if np.ptp(column) > 0
    ]
    return np.concatenate(columns, axis=1) if columns else np.zeros((rows, 1))
