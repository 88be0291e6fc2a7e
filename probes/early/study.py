"""Fitting forecasters on finished runs, and scoring them on worlds they have not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.early import features
from probes.early.forecaster import LEAST_RUNS, Forecaster, Library, fitted
from probes.finding import Statement, Verdict, settings_dict
from probes.measurement import Measurement
from probes.statistics import Estimate, Interval, over_seeds, seeds_needed
from probes.verdict import NAMES, Settings, verdict

Floats = NDArray[np.float64]
LEAST_WORLDS = 3


class Run(NamedTuple):
    """A finished run, as far as forecasts go.

    Attributes:
        world: its name.
        features: of the run, [F + 1].
        verdict: at the end.
        seeds: features of the seeds in which depth had not arrived in the first part, [S′, F].
        arrivals: when it did in each of these.
    """

    world: str
    features: Floats
    verdict: str
    seeds: Floats
    arrivals: tuple[str, ...]


def as_run(m: Measurement, share: float, settings: Settings | None = None) -> Run:
    """A measured target of a run."""
    sound = m.sound
    kept = m.taken(np.flatnonzero(sound))
    happened = features.arrivals(kept, share)
    still = [name != features.BEFORE for name in happened]
    seeds = features.of_seeds(kept, share)[still]
    names = tuple(name for name, open_ in zip(happened, still, strict=True) if open_)
    return Run(
        str(m.plain["world"]), features.of_run(m, share), verdict(features.curves(m), settings).name, seeds, names
    )


def library(runs: Sequence[Run], about: Mapping[str, Any], without: Sequence[str] | None = None) -> Library:
    """Forecasters on all runs (""), and on all but one world's, for every world that leaves enough.

    Args:
        runs: finished ones.
        about: where they come from.
        without: which worlds to leave out, one at a time; each of them by default.
    """
    worlds = sorted({run.world for run in runs}) if without is None else without
    verdicts, arrivals = (_forecasters(runs, kind, ("", *worlds)) for kind in ("verdicts", "arrivals"))
    return Library(verdicts, arrivals, dict(about))


def _forecasters(runs: Sequence[Run], kind: str, worlds: Sequence[str]) -> dict[str, Forecaster]:
    found = {}
    for world in worlds:
        rows, names = _examples([run for run in runs if run.world != world], kind)
        if len(names) >= LEAST_RUNS:
            found[world] = fitted(rows, names, NAMES if kind == "verdicts" else features.ARRIVALS)
    return found


def _examples(runs: Sequence[Run], kind: str) -> tuple[Floats, list[str]]:
    """Features and what happened: of runs, or of the seeds that were still open."""
    if kind == "verdicts":
        return np.array([run.features for run in runs]), [run.verdict for run in runs]
    seeds = [run.seeds for run in runs if len(run.arrivals)]
    return np.concatenate(seeds) if seeds else np.zeros((0, 0)), [name for run in runs for name in run.arrivals]


class HeldOut(NamedTuple):
    """Scores on worlds that were left out, in bits per forecast; the interval is over worlds.

    Attributes:
        worlds: their names.
        forecasts: how many in each.
        own, base: mean log2 score of the forecasts and of the base rates, by world.
    """

    worlds: tuple[str, ...]
    forecasts: tuple[int, ...]
    own: Floats
    base: Floats

    @property
    def estimate(self) -> Estimate:
        """The gain, own − base: the mean over worlds, each counting once."""
        return over_seeds(self.own - self.base)

    @property
    def gain(self) -> Interval:
        """Its 95 % interval over worlds."""
        return self.estimate.interval()


def held_out(runs: Sequence[Run], kind: str) -> HeldOut:
    """Score the forecasts of "verdicts" or "arrivals", each world by what was fitted without it.

    Left out are worlds nothing of which was open any more, and those without which too few runs are left.
    """
    worlds, counts, own, base = [], [], [], []
    names = sorted({run.world for run in runs})
    for world, forecaster in _forecasters(runs, kind, names).items():
        rows, happened = _examples([run for run in runs if run.world == world], kind)
        if happened:
            scores = forecaster.score(rows, happened)
            worlds.append(world)
            counts.append(len(happened))
            own.append(float(scores[0].mean()))
            base.append(float(scores[1].mean()))
    return HeldOut(tuple(worlds), tuple(counts), np.array(own), np.array(base))


@dataclass(frozen=True)
class Margins:
    """How a study concludes, fixed before it.

    Attributes:
        margin: gain in bits per forecast below which a forecast is as good as base rates.
        alpha: α.
    """

    margin: float = 0.1
    alpha: float = 0.05


def concluded(scores: HeldOut, margins: Margins | None = None) -> Verdict:
    """`foreseen`: the gain over base rates is > 0 (lower limit over worlds); `misled`: < 0; `as-base-rates`: equivalent
    to 0 within the margin; else `inconclusive`, or `too-few-worlds` where fewer than three have a score.
    """
    margins = margins or Margins()
    count = len(scores.worlds)
    base = Verdict("", (), seeds=count, settings=settings_dict(margins))
    if count < LEAST_WORLDS:
        text = f"{count} worlds have a score; an interval over worlds wants {LEAST_WORLDS} or more."
        return replace(base, name="too-few-worlds", reasons=(text,))
    gain = scores.estimate
    reason = f"Over {count} worlds left out in turn the gain over base rates is {scores.gain} bits per forecast."
    outer, inner = gain.interval(1 - margins.alpha), gain.interval(1 - 2 * margins.alpha)
    for name, p, interval, text in (
        ("foreseen", gain.p_above(0.0), outer, "Forecasts are better than base rates"),
        ("misled", gain.p_below(0.0), outer, "Forecasts are worse than base rates"),
        ("as-base-rates", gain.p_within(margins.margin), inner, f"The gain lies within ± {margins.margin:g} bits"),
    ):
        if float(p) <= margins.alpha:
            statement = Statement(text, interval, float(p), True)
            return replace(base, name=name, reasons=(reason,), statements=(statement,), p=float(p))
    needed = seeds_needed(abs(float(gain.mean)), float(gain.spread), 1 - margins.alpha)
    reasons = (reason, f"About {needed} worlds would decide.")
    return replace(base, name="inconclusive", reasons=reasons, seeds_needed=needed)
