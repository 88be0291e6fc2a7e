"""The proxy gap: of two runs that do equally well by a proxy, which is nearer to the world?

Runs are compared at matched proxy loss, for each seed at the loosest loss that both reach: the higher of their two
lowest. A run is looked at where it first gets there, between checkpoints by linear interpolation in the loss. Where one
of them never does better by the proxy than who knows no more than how each asked node is distributed, nothing has been
learned that could be compared: "not comparable" (theory, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.purity.measured import Measured, joined, taken, unpack
from probes.purity.shares import accuracy, demands, learnable, recovery, structure
from probes.purity.verdict import TITLES, Settings
from probes.statistics import Interval, over_seeds
from worldnets.errors import ProbeError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from worldnets.trace import Trace

Floats = NDArray[np.float64]
Run = Any  # a Trace, a cell, cells of one run, or Measured
DIVERGENCE = "divergence on observables"


@dataclass(frozen=True)
class ProxyGap:
    """How much purer one run is than another that does as well by a proxy.

    Attributes:
        proxy: the objective whose loss was matched.
        comparable: whether there is a loss that both reach.
        reason: in words, why, or why not.
        seeds: how many, paired.
        loss: the matched loss in bits, over seeds; None where not comparable.
        one, other: each run at that loss: divergence in bits, and shares of what W* has.
        gap: other − one, paired by seed.
    """

    proxy: str
    comparable: bool
    reason: str
    seeds: int
    loss: Interval | None = None
    one: Mapping[str, Interval] = field(default_factory=dict)
    other: Mapping[str, Interval] = field(default_factory=dict)
    gap: Mapping[str, Interval] = field(default_factory=dict)

    def to_pandas(self) -> pd.DataFrame:
        """One row per number: both runs and their difference."""
        import pandas as pd

        rows = [
            {"run": run, "number": name, **interval.to_dict()}
            for run, found in (("one", self.one), ("other", self.other), ("gap", self.gap))
            for name, interval in found.items()
        ]
        return pd.DataFrame(rows, columns=["run", "number", "estimate", "low", "high", "level", "kind", "n"])

    def plot(self, axes: Axes | None = None) -> Axes:
        """The gap of every number, other − one, with its limits."""
        from worldnets.draw.figure import literal, new_axes

        axes = new_axes(6.0, 0.8 + 0.3 * max(1, len(self.gap))) if axes is None else axes
        for i, value in enumerate(self.gap.values()):
            limits = [[value.estimate - value.low], [value.high - value.estimate]]
            axes.errorbar(value.estimate, i, xerr=limits, fmt="o", color="#0072b2")
        axes.set_yticks(range(len(self.gap)), [literal(name) for name in self.gap])
        axes.axvline(0, color="#7b8794", linewidth=0.8)
        axes.invert_yaxis()
        axes.set(xlabel=f"other − one at equal loss by {literal(self.proxy)}")
        return axes

    def __repr__(self) -> str:
        if not self.comparable:
            return f"ProxyGap({self.proxy!r}, not comparable)"
        numbers = ", ".join(f"{name} {interval}" for name, interval in self.gap.items())
        return f"ProxyGap({self.proxy!r} at {self.loss} bits, {self.seeds} seeds: {numbers})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        said = f"Proxy gap on {self.proxy!r}" if self.comparable else f"Not comparable on {self.proxy!r}"
        parts = [frame(self.to_pandas(), 30, index=False)] if self.comparable else []
        return card(said, {"why": self.reason, "seeds": self.seeds, "matched loss, bits": self.loss}, *parts)


def proxy_gap(
    one: Run, other: Run, proxy: str | None = None, settings: Settings | None = None, level: float = 0.95
) -> ProxyGap:
    """Purity of two runs of world-models at matched proxy loss.

    Args:
        one, other: traces, or measured cells of the purity probe (one, or all groups of seeds of a run).
        proxy: the objective whose loss is matched; the one both were trained for where it is left out.
        settings: which latents and interventions count, as in the verdict.
        level: of the intervals, over seeds that both have.

    Raises:
        ProbeError: runs on different worlds, no seed in common, a loss that was not measured of both.
    """
    first, second = _measured(one), _measured(other)
    if not np.array_equal(first.about.information, second.about.information):
        raise ProbeError("runs on different worlds", mend="compare runs on one world")
    name = _proxy(first, second, proxy)
    settings = settings or Settings()
    first, second = _paired(first, second)
    losses = [run.numbers.losses[..., run.about.objectives.index(name)] for run in (first, second)]
    surface = float(first.about.surface[first.about.objectives.index(name)])
    reached = np.max([loss.min(0) for loss in losses], axis=0)
    begun = np.min([loss[0] for loss in losses], axis=0) if math.isnan(surface) else np.full_like(reached, surface)
    count = len(reached)
    short = int((reached >= begun).sum())
    if count < 2 or short:
        what = "what the better of them began with" if math.isnan(surface) else f"{surface:.3f} bits, the surface,"
        text = f"In {short} of {count} seeds one of the runs never gets below {what} by {name}."
        return ProxyGap(name, False, text if count > 1 else "Fewer than two seeds in common.", count)
    numbers = [
        {what: _at(values, loss, reached) for what, values in _numbers(run, settings).items()}
        for run, loss in zip((first, second), losses, strict=True)
    ]
    differences = {what: numbers[1][what] - numbers[0][what] for what in numbers[0]}
    return ProxyGap(
        name,
        True,
        "At the loosest loss that both runs reach.",
        count,
        over_seeds(reached).interval(level),
        _intervals(numbers[0], level),
        _intervals(numbers[1], level),
        _intervals(differences, level),
    )


def _intervals(numbers: Mapping[str, Floats], level: float) -> dict[str, Interval]:
    return {what: over_seeds(values).interval(level) for what, values in numbers.items()}


def _measured(run: Run) -> Measured:
    if isinstance(run, Measured):
        return run
    if isinstance(run, Mapping):
        return unpack(run)
    if isinstance(run, Sequence):
        return joined([unpack(cell) for cell in run])
    return _of_trace(run)


def _of_trace(trace: Trace) -> Measured:
    from probes.catalogue.purity import PurityProbe

    return unpack(PurityProbe().measure(trace))


def _proxy(one: Measured, other: Measured, proxy: str | None) -> str:
    if proxy is None:
        if one.objective != other.objective:
            found = f"{one.objective!r} and {other.objective!r}"
            mend = 'say by which they are matched: proxy="likelihood"'
            raise ProbeError("the runs were trained for different proxies", found=found, mend=mend)
        proxy = one.objective
    known = [name for name in one.about.objectives if name in other.about.objectives]
    if proxy not in known:
        mend = f"{did_you_mean(proxy, known)}; more are measured with Sampling(losses=[…])"
        raise ProbeError("this loss was not measured of both runs", found=repr(proxy), mend=mend)
    return proxy


def _paired(one: Measured, other: Measured) -> tuple[Measured, Measured]:
    """The seeds that both have, and that diverged in neither."""

    def sound(run: Measured) -> set[int]:
        finite = np.asarray(np.isfinite(run.numbers.divergence).all(0))
        return {run.seeds[column] for column in np.flatnonzero(finite)}

    common = sorted(sound(one) & sound(other))
    if not common:
        mend = "train both with the same seeds"
        raise ProbeError("the runs have no seed in common", found=f"{one.seeds} and {other.seeds}", mend=mend)
    return taken(one, [one.seeds.index(s) for s in common]), taken(other, [other.seeds.index(s) for s in common])


def _numbers(run: Measured, settings: Settings) -> dict[str, Floats]:
    """What is compared, [T, S] each."""
    asked = demands(run, settings)
    kinds = [run.about.kinds.index(demand.name) for demand in asked if demand.part == "latents"]
    which = [place for demand in asked if demand.part == "do()" for place in learnable(run, demand.name, settings)]
    numbers = {DIVERGENCE: run.numbers.divergence}
    if float(run.about.structure) >= settings.least_bits:
        numbers[TITLES["observables"]] = structure(run)[0]
    if kinds:
        numbers[TITLES["latents"]] = recovery(run, kinds)[0]
    if which:
        numbers[TITLES["do()"]] = accuracy(run, which)
    return numbers


def _at(values: Floats, loss: Floats, level: Floats) -> Floats:
    """Of each seed the value where its loss first is at `level`, [S], from [T, S]."""
    found = np.empty(loss.shape[1])
    for seed in range(loss.shape[1]):
        t = int(np.argmax(loss[:, seed] <= level[seed]))
        found[seed] = values[t, seed]
        if t and np.isfinite(loss[t - 1, seed]) and loss[t - 1, seed] > loss[t, seed]:
            share = (loss[t - 1, seed] - level[seed]) / (loss[t - 1, seed] - loss[t, seed])
            found[seed] = (1 - share) * values[t - 1, seed] + share * values[t, seed]
    return found
