"""Features of a run's first tenth, and what became of it: when depth arrived, and the verdict at the end."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Measurement
from probes.verdict import Curves

Floats = NDArray[np.float64]

#: Of a seed; a run has their means over seeds, and the spread of the first.
NAMES = ("deep efficiency", "shallow efficiency", "deep rise", "own share", "pull", "reliance")
SPREAD = "spread of deep efficiency"
#: When depth arrives, as shares of the run: by each of these, or not at all.
BINS = ((0.2, "10–20 %"), (0.5, "20–50 %"), (1.0, "50–100 %"))
NEVER, BEFORE = "not within the run", "by 10 %"
ARRIVALS = (*(name for _, name in BINS), NEVER)
HALF = 0.5  # depth has arrived where deep efficiency is this share of its ceiling


def first_part(steps: NDArray[np.int64], share: float) -> int:
    """Position of the last checkpoint within that share of the run; the first one where there is no other."""
    inside = np.flatnonzero(steps <= share * steps[-1])
    return int(inside[-1]) if len(inside) else 0


def of_seeds(m: Measurement, share: float) -> Floats:
    """Features of each seed, [S, features], from checkpoints within the first `share` of the run."""
    now = first_part(m.steps, share)
    before = first_part(m.steps[: now + 1], 0.3)
    deep = m.numbers["deep"]
    columns = (
        deep[now],
        m.numbers["shallow"][now],
        deep[now] - deep[before],
        m.numbers["own share"][now],
        m.numbers["pull"][now],
        m.numbers["reliance"][now],
    )
    return np.stack([np.nan_to_num(column, nan=0.0) for column in columns], axis=-1)


def of_run(m: Measurement, share: float) -> Floats:
    """Features of a run: the seeds' means, and the spread of their deep efficiency, [features + 1]."""
    each = of_seeds(m, share)[m.sound]
    spread = float(each[:, 0].std(ddof=1)) if len(each) > 1 else 0.0
    return np.append(each.mean(0), spread)


def arrival_steps(m: Measurement, ceiling: float = 1.0) -> Floats:
    """Step at which deep efficiency reaches half of its ceiling, [S], interpolated in ln(1 + step); ∞ if never."""
    deep, clock = m.numbers["deep"], np.log1p(m.steps)
    found = np.full(deep.shape[1], math.inf)
    for seed in range(deep.shape[1]):
        there = np.flatnonzero(deep[:, seed] >= HALF * ceiling)
        if not len(there):
            continue
        t = int(there[0])
        if t == 0:
            found[seed] = float(m.steps[0])
            continue
        low, high = deep[t - 1, seed], deep[t, seed]
        share = (HALF * ceiling - low) / (high - low)
        found[seed] = math.expm1(clock[t - 1] + share * (clock[t] - clock[t - 1]))
    return found


def arrivals(m: Measurement, share: float) -> list[str]:
    """When depth arrived in each seed: `BEFORE` the forecast, one of the bins, or never."""
    names = []
    for step in arrival_steps(m) / m.steps[-1]:
        if step <= share:
            names.append(BEFORE)
        else:
            names.append(next((name for end, name in BINS if step <= end), NEVER))
    return names


def curves(m: Measurement) -> Curves:
    """What the depth probe's rule is asked about this run."""
    grouped: Mapping[str, Floats] = m.grouped
    return Curves(
        m.steps,
        m.numbers["deep"],
        m.numbers["shallow"],
        m.numbers["total"],
        m.world["information"],
        int(m.plain["shallow_rungs"]),
        grouped.get("deep"),
        grouped.get("total"),
    )
