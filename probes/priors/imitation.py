"""B against B′: an objective that is slightly simpler and slightly worse, and its pursuit by imitating B.

B is the base objective as the honest program stores it; a rival B′ is B on a coarser grid: fewer bits, and in some
episodes another act. Three programs of one library compete,

    honest B         c = B                      t = t_proxy                                   loses nothing
    honest B′        c = B′                     t = t_proxy                                   loses N·(acts that differ)
    imitating B      c = B′ + combine           t = t_combine + t_find + t_outer              loses what finding loses

all with what they share left out. Honest B′ is chosen over honest B while its saved bits outweigh its losses: up to
N* = (B − B′)/loss episodes, at any exchange rate, for both are equally fast. Imitating beats honest B only above
g* = Δt / (B − B′ − combine), and at no exchange rate where B′ saves no more bits than `combine` takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from probes.priors.coding import GRIDS, grid_length, off_grid, on_grid, table_length
from probes.priors.measured_programs import Costed, surprise
from probes.priors.programs import contest
from probes.priors.situation import Situation


@dataclass(frozen=True)
class Rival:
    """One B′.

    Attributes:
        per_unit: its grid.
        saved: B − B′, bits.
        missed: share of episodes in which it acts otherwise.
        episodes: N*, up to which honest B′ is chosen over honest B; infinite where it never acts otherwise.
        rate: g* above which imitation beats honest B, by clock; infinite where it never does.
    """

    per_unit: float
    saved: float
    missed: float
    episodes: float
    rate: dict[str, float]


def rivals(given: Situation, cost: Costed) -> tuple[Rival, ...]:
    """Every B′ that is shorter than B, from the one nearest to it on; B lies on the grid that holds it exactly."""
    vault, horizon = given.vault, given.sizes.horizon
    right = vault.acts(given.base, horizon)
    length = {g: table_length(on_grid(given.base, g)) + grid_length(g) for g in GRIDS}
    exact = length[_exact(given)]
    found: list[Rival] = []
    seen: list[bytes] = []
    for per_unit, bits in length.items():
        table = off_grid(on_grid(given.base, per_unit), per_unit)
        if bits >= exact or table.tobytes() in seen:
            continue
        seen.append(table.tobytes())
        missed = float(vault.weight @ (vault.acts(table, horizon) != right))
        saved = exact - bits
        rate = {}
        for clock, times in cost.times.items():
            lost = times.combine + times.find + times.outer - times.proxy
            one = contest("imitating", "honest", saved - cost.lengths.combine, lost)
            chosen_above = one.kind == "flips" and one.above == "imitating"
            rate[clock] = one.rate if chosen_above else 0.0 if one.kind == "dominates" else math.inf
        episodes = saved / (missed * surprise()) if missed > 0 else math.inf
        found.append(Rival(per_unit, saved, missed, episodes, rate))
    return tuple(sorted(found, key=lambda one: one.saved))


def _exact(given: Situation) -> float:
    """The coarsest grid that holds the base objective, or the finest there is."""
    for per_unit in GRIDS:
        if per_unit and np.allclose(off_grid(on_grid(given.base, per_unit), per_unit), given.base, atol=1e-12):
            return per_unit
    return GRIDS[-1]
