"""Does a cap on complexity make heads deeper, or keep them shallow? The ordered rule (theory, section 8).

A pure function of arrays. e(c) is the deep efficiency at the end of equally long runs under cap c, tight to loose; own
is the cap that the trace itself had. Each other cap is compared with it seed by seed, Δ(c) = e(c) − e(own). "Clearly
deeper" = Δ ≥ δ and p ≤ α/m, m the number of other caps (Bonferroni: the best of m is looked for). Rules in order, the
first that applies:

1. `nothing-deep`: deep pie < .05 bits.
2. `untrained`: upper limit of ΣC/ΣI < .1 under every cap, misused evidence counting as none used.
3. `no-simple-order`: a tighter and a looser cap are both clearly deeper.
4. `cap-deepens`: a tighter cap is clearly deeper.
5. `capacity-limited`: a looser cap is clearly deeper.
6. `not-capacity-limited`: there are looser caps, and under none of them Δ is δ or more (one-sided, each at α).
7. `no-cap-deepens`: there is no looser cap, and under no tighter one is Δ δ or more (one-sided, each at α).
8. `inconclusive`.

Where the seeds' own efficiencies, or their differences, split in two clusters the rules are asked of each; two answers
are `inconclusive`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.clusters import judged_apart
from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, over_seeds, seeds_needed, two_clusters
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
NAMES = (
    "nothing-deep",
    "untrained",
    "no-simple-order",
    "cap-deepens",
    "capacity-limited",
    "not-capacity-limited",
    "no-cap-deepens",
    "inconclusive",
)


@dataclass(frozen=True)
class Settings:
    """Margins and level of the verdict, fixed before a run.

    Attributes:
        delta: δ, the difference in deep efficiency that matters.
        alpha: α.
        shallow_share: the shallow rungs hold at least this share of the pie.
        shallow_rungs: k0 itself, when fixed beforehand.
        least_pie: bits below which the deep part of the pie is nothing.
        untrained_below: efficiency of the whole pie below which nothing has been learned.
        cluster_distance: width of the empty stretch that splits seeds in two, in efficiency; 2δ when None.
    """

    delta: float = 0.10
    alpha: float = 0.05
    shallow_share: float = 0.5
    shallow_rungs: int | None = None
    least_pie: float = 0.05
    untrained_below: float = 0.1
    cluster_distance: float | None = None


@dataclass(frozen=True)
class Sweep:
    """What the rule is asked about: V caps, S seeds, G groups of clips.

    Attributes:
        labels: of the caps, tight to loose.
        own: position of the trace's own cap.
        deep_pie: bits of the deep rungs.
        deep, total: efficiency of the deep rungs and of all, [V, S].
        deep_groups: deviation of each clip group's contribution, [G, V, S]; None when exact.
    """

    labels: Sequence[str]
    own: int
    deep_pie: float
    deep: Floats
    total: Floats
    deep_groups: Floats | None = None

    def of(self, seeds: NDArray[np.bool_]) -> Sweep:
        """Some of the seeds."""
        groups = None if self.deep_groups is None else self.deep_groups[..., seeds]
        return replace(self, deep=self.deep[:, seeds], total=self.total[:, seeds], deep_groups=groups)

    def against_own(self, position: int) -> Estimate:
        """Δ of a cap, seed by seed."""
        phi = None if self.deep_groups is None else self.deep_groups[:, position] - self.deep_groups[:, self.own]
        return over_seeds(self.deep[position] - self.deep[self.own], phi)


def verdict(sweep: Sweep, settings: Settings, target: str = "") -> Verdict:
    """The conclusion; a seed that diverged under some cap is left out."""
    base = Verdict("inconclusive", (), target, settings=settings_dict(settings))
    if sweep.deep_pie < settings.least_pie:
        words = f"The deep rungs hold {sweep.deep_pie:.3f} bits: no capacity can reach more."
        return replace(base, name="nothing-deep", reasons=(words,), seeds=sweep.deep.shape[-1])
    finite = np.asarray(np.isfinite(sweep.deep).all(0) & np.isfinite(sweep.total).all(0))
    seeds = int(finite.sum())
    if not seeds:
        raise ProbeError("every seed diverged", node=target, mend="train with a smaller learning rate")
    base = replace(base, seeds=seeds, diverged=int((~finite).sum()))
    notes = [f"{base.diverged} of {len(finite)} seeds diverged and are left out."] if base.diverged else []
    if seeds < 2:
        words = "Fewer than two seeds: no interval over seeds."
        return replace(base, reasons=(*notes, words), seeds_needed=8)
    found = _Rules(sweep.of(finite), settings).apply(clusters=True)
    return base.settled(found, notes)


class _Rules:
    """Rules 2 to 8, on finite seeds."""

    def __init__(self, sweep: Sweep, settings: Settings) -> None:
        self.c, self.s = sweep, settings
        self.level, self.inner = 1 - settings.alpha, 1 - 2 * settings.alpha
        self.others = [v for v in range(len(sweep.labels)) if v != sweep.own]
        self.delta = {v: sweep.against_own(v) for v in self.others}

    def apply(self, clusters: bool) -> Verdict:
        if (answer := self._untrained()) is not None:
            return answer
        if clusters and (answer := self._clusters()) is not None:
            return answer
        return self._deeper() or self._enough() or self._open()

    def _untrained(self) -> Verdict | None:
        total = over_seeds(np.maximum(self.c.total, 0.0))
        p = total.p_below(self.s.untrained_below)
        if np.any(p > self.s.alpha):
            return None
        worst = int(np.argmax(total.limits(self.level)[1]))
        text = f"Under no cap does the head capture {self.s.untrained_below:.0%} of the pie"
        statement = Statement(text, total.interval(self.level, worst), float(p.max()), True)
        words = f"{text}: {statement.interval} at best ({self.c.labels[worst]})."
        return Verdict("untrained", (words,), statements=(statement,))

    def _clusters(self) -> Verdict | None:
        distance = 2 * self.s.delta if self.s.cluster_distance is None else self.s.cluster_distance
        own = self.c.deep[self.c.own]
        for values in (own, *(self.c.deep[v] - own for v in self.others)):
            upper = two_clusters(values, distance)
            if upper is not None:
                return judged_apart(
                    upper,
                    lambda seeds: _Rules(self.c.of(seeds), self.s).apply(clusters=False),
                    lambda seeds: f"{float(own[seeds].mean()):.2f}",
                    "{count} seeds, at {end} under their own cap, would be `{name}`",
                )
        return None

    def _deeper(self) -> Verdict | None:
        own = self.c.own
        sides = {"tighter": [v for v in self.others if v < own], "looser": [v for v in self.others if v > own]}
        found: dict[str, Statement] = {}
        for side, members in sides.items():
            clear = [statement for v in members if (statement := self._clear(v)).holds]
            if clear:
                found[side] = max(clear, key=lambda statement: statement.interval.estimate)
        if not found:
            return None
        words = [f"{statement.text}: by {statement.interval} of the deep pie." for statement in found.values()]
        name = "no-simple-order" if len(found) > 1 else "cap-deepens" if "tighter" in found else "capacity-limited"
        return Verdict(name, (*words, self._where()), statements=tuple(found.values()))

    def _clear(self, v: int) -> Statement:
        alpha, estimate = self.s.alpha / len(self.others), self.delta[v]
        p = float(estimate.p_above(0.0))
        text = f"Under {self.c.labels[v]} heads are deeper than under {self.c.labels[self.c.own]}"
        holds = p <= alpha and float(estimate.mean) >= self.s.delta
        # p is given as it stands after Bonferroni, so that it may be set beside α.
        return Statement(text, estimate.interval(1 - alpha), min(1.0, p * len(self.others)), holds)

    def _enough(self) -> Verdict | None:
        looser = [v for v in self.others if v > self.c.own]
        asked, statements = looser or self.others, []
        for v in asked:
            p = float(self.delta[v].p_below(self.s.delta))
            p = p / 2 if p < 1 else 1.0
            text = f"Under {self.c.labels[v]} heads are deeper by less than {self.s.delta:g}"
            statements.append(Statement(text, self.delta[v].interval(self.inner), p, p <= self.s.alpha))
        if not all(statement.holds for statement in statements):
            return None
        most = max(statements, key=lambda statement: statement.interval.high)
        words = (
            f"No {'looser' if looser else 'tighter'} cap makes heads deeper by {self.s.delta:g} than "
            f"{self.c.labels[self.c.own]}; at most by {most.interval} ({self.c.labels[asked[statements.index(most)]]})."
        )
        name = "not-capacity-limited" if looser else "no-cap-deepens"
        return Verdict(name, (words, self._where()), statements=tuple(statements))

    def _where(self) -> str:
        means = self.c.deep.mean(1)
        best = int(np.argmax(means))
        return f"Deepest of all are heads under {self.c.labels[best]}, with {means[best]:.2f} of the deep pie."

    def _open(self) -> Verdict:
        asked = [v for v in self.others if v > self.c.own] or self.others
        v = max(asked, key=lambda v: float(self.delta[v].mean))
        each = self.delta[v].interval(1 - self.s.alpha / len(self.others))
        words = (
            f"Under {self.c.labels[v]} heads are deeper by {each} (level for {len(self.others)} caps); no rule applies."
        )
        needed = self._needed(v)
        more = f"About {needed} seeds would decide." if needed else "More seeds alone would not decide it."
        return Verdict("inconclusive", (words, self._where(), more), seeds_needed=needed)

    def _needed(self, v: int) -> int | None:
        estimate = self.delta[v]
        mean = float(estimate.mean)
        room = mean if mean >= self.s.delta else self.s.delta - mean
        inside = room**2 - (2 * float(estimate.clip_error)) ** 2
        level = 1 - self.s.alpha / len(self.others)
        return seeds_needed(math.sqrt(inside), float(estimate.spread), level, most=1000) if inside > 0 else None
