"""The path dependence of a learned world-model itself: the same data, another order of discovery (theory, section 7).

Structure is climbed to from different beginnings (`worldnets.learning.hill_climb`): from `marginals`, no arrows, as a
growth by class begins; from the best `tree`; and from `dense`, as many arrows as the climb allows, in the order of the
world's variables, from which it prunes. All are given the same rows, and end where no single move improves BIC. What is
compared are ends: structure, and purity on what can be seen, KL(W* ‖ W) estimated on fresh clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.finding import Finding
from probes.statistics import over_seeds
from worldnets.errors import ProbeError, did_you_mean

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.learning import Rows
    from worldnets.net import WorldNet

Floats = NDArray[np.float64]
BEGINNINGS = ("marginals", "tree", "dense")
FRESH = 1_000_003  # added to the data's seed for clips to be judged on


@dataclass(frozen=True)
class Discovery:
    """Where the climbs ended, of several data sets.

    Attributes:
        beginnings: the orders of discovery.
        ends: the nets, [data sets][beginnings].
        arrows: how many each has, [data sets, beginnings].
        divergence: KL(W* ‖ W) on what can be seen, bits a clip, as estimated on `clips` fresh clips, [data sets,
            beginnings]; all beginnings are judged on the same clips.
        apart: share of the neighbours (an arrow either way) of two ends that only one of them has, [data sets,
            beginnings, beginnings]. Directions are left out: data do not tell all of them.
        gained: BIC of the end, bits a row, [data sets, beginnings].
        clips: how many.
    """

    beginnings: tuple[str, ...]
    ends: tuple[tuple[WorldNet, ...], ...]
    arrows: NDArray[np.int64]
    divergence: Floats
    apart: Floats
    gained: Floats
    clips: int

    def findings(self, level: float = 0.95) -> list[Finding]:
        """What depends on the way, with intervals over data sets: all beginnings against the first."""
        found, first = [], self.beginnings[0]
        for place, name in enumerate(self.beginnings):
            own = (("divergence on observables", self.divergence, "bits"), ("arrows", self.arrows, ""))
            for what, values, unit in own:
                interval = over_seeds(values[:, place].astype(np.float64)).interval(level)
                found.append(Finding(f"{what}, from {name}", interval, unit))
            if place:
                interval = over_seeds(self.divergence[:, place] - self.divergence[:, 0]).interval(level)
                note = "the same rows, the same fresh clips"
                found.append(Finding(f"divergence, from {name} less from {first}", interval, "bits", note=note))
                interval = over_seeds(self.apart[:, place, 0]).interval(level)
                found.append(Finding(f"neighbours of one end only, from {name} and {first}", interval, "share"))
        return found

    def __repr__(self) -> str:
        return f"Discovery({' | '.join(self.beginnings)}; {len(self.ends)} data sets, {self.clips:,} fresh clips)"


def discover(
    dataset: Dataset,
    objective: str,
    *,
    rows: int = 2000,
    seeds: Sequence[int] = range(4),
    beginnings: Sequence[str] = BEGINNINGS,
    max_parents: int = 3,
    pseudocount: float = 1.0,
    clips: int = 4000,
) -> Discovery:
    """Learn the same data in different orders, for several data sets.

    Args:
        dataset, objective: what training shows (`worldnets.learning.growth_plan.shown_rows`) is learned from.
        rows: clips of a data set.
        seeds: of the data sets.
        beginnings: where climbs start, of "marginals", "tree", "dense"; the first is what others are compared with.
        max_parents: of a variable.
        pseudocount: of the tables.
        clips: fresh ones, on which ends are judged.

    Raises:
        ProbeError: an unknown beginning, fewer than two of them, or no data sets.
        LearningError: as `hill_climb`.
    """
    from worldnets.learning.growth_plan import shown_rows
    from worldnets.learning.learned import bits_per_row

    for name in beginnings:
        if name not in BEGINNINGS:
            raise ProbeError("unknown beginning", found=repr(name), mend=did_you_mean(name, BEGINNINGS))
    if len(beginnings) < 2 or not len(seeds):
        found = f"{len(beginnings)} beginnings, {len(seeds)} data sets"
        raise ProbeError("nothing to compare", found=found, mend="give two beginnings and one data set, or more")
    ends, gained, divergence = [], [], []
    for seed in seeds:
        data = shown_rows(dataset, objective, rows, seed)
        fresh = shown_rows(dataset, objective, clips, FRESH + seed)
        truth = bits_per_row(dataset.net, fresh.codes_in(dataset.net))
        nets, scores = [], []
        for name in beginnings:
            net, score = _climbed(data, name, max_parents, pseudocount)
            nets.append(net)
            scores.append(score)
        ends.append(tuple(nets))
        gained.append(scores)
        divergence.append([float((bits_per_row(net, fresh.codes_in(net)) - truth).mean()) for net in nets])
    arrows = [[sum(len(net.parents(v)) for v in net.variables) for net in nets] for nets in ends]
    apart = [[[_apart(one, other) for other in nets] for one in nets] for nets in ends]
    return Discovery(
        tuple(beginnings), tuple(ends), np.array(arrows), np.array(divergence), np.array(apart), np.array(gained), clips
    )


def _climbed(data: Rows, beginning: str, max_parents: int, pseudocount: float) -> tuple[WorldNet, float]:
    from worldnets.learning import chow_liu, hill_climb

    start: dict[str, Sequence[str]] | WorldNet | None = None
    if beginning == "tree":
        start = chow_liu(data, pseudocount=pseudocount).net
    elif beginning == "dense":
        names = list(data.variables)
        start = {v: names[max(0, place - max_parents) : place] for place, v in enumerate(names)}
    learned = hill_climb(data, start=start, max_parents=max_parents, pseudocount=pseudocount)
    return learned.net, float(learned.history[learned.kept].bits[-1])


def _apart(one: WorldNet, other: WorldNet) -> float:
    """Share of the neighbours of either that only one of them has; 0 where neither has any."""
    first, second = ({frozenset((v, p)) for v in net.variables for p in net.parents(v)} for net in (one, other))
    return len(first ^ second) / max(len(first | second), 1)
