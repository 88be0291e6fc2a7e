"""Does the way matter? The ordered rule of the path probe (theory, section 7).

A pure function of arrays. e is the deep efficiency of a head at the end of its run: of the grown one, of a fresh one
with as many steps in all, of a short one (fresh, with as many steps as the grown one had on the end), and of the
reversed one (same end for as long, after the same stages, deep first).

    order  = e(grown) − e(reversed)      same stages, same budgets: nothing but the order differs
    total  = e(grown) − e(fresh)         same number of steps in all, fewer of them on the end
    last   = e(grown) − e(short)         same number of steps on the end, more of them in all
    excess = [KL between grown and reversed heads of one seed − KL between fresh heads of two seeds] / Σ I_k
             KL symmetric, of grown and fresh where there is no other order

A head that owes nothing to its way ends like the reversed one, and not below the short nor above the fresh one: what
lies between these two is budget, not path. "Clearly" = estimate ≥ δ and p ≤ α/2 (two claims are made, of the order and
against fresh heads; where there is no other order, p ≤ α). Rules in order, the first that applies:

1. `nothing-deep`: deep pie < .05 bits.
2. `untrained`: upper limit of ΣC/ΣI < .1, of each seed's best head, misused evidence counting as none used.
3. `path-dependent`: order clearly ≠ 0, or total and last both clearly > 0, or both clearly < 0. The reasons say whether
   grown heads are deeper or shallower.
4. |order| < δ, total < δ and last > −δ (one-sided, at α), and
   `other-function`: excess ≥ ε and its lower limit > 0: as deep, by another function; or
   `path-independent`: excess < ε (one-sided, at α).
5. `inconclusive`.

Where the seeds' differences split in two clusters the rules are asked of each; two answers are `inconclusive`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.clusters import judged_apart
from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, over_seeds, seeds_needed, two_clusters
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
NAMES = (
    "nothing-deep", "untrained", "path-dependent", "other-function", "path-independent", "inconclusive",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Margins and level of the verdict, fixed before a run.

    Attributes:
        delta: δ, the difference in deep efficiency that matters.
        epsilon: ε, the divergence between heads that matters, as a share of the pie, beyond that between seeds.
        alpha: α.
        shallow_share: the shallow rungs hold at least this share of the pie.
        shallow_rungs: k0 itself, when fixed beforehand.
        least_pie: bits below which the deep part of the pie is nothing.
        untrained_below: efficiency of the whole pie below which nothing has been learned.
        cluster_distance: width of the empty stretch that splits seeds in two, in efficiency; 2δ when None.
    """

    delta: float = 0.10
    epsilon: float = 0.10
    alpha: float = 0.05
    shallow_share: float = 0.5
    shallow_rungs: int | None = None
    least_pie: float = 0.05
    untrained_below: float = 0.1
    cluster_distance: float | None = None


@dataclass(frozen=True)
class Contrasts:
    """What the rule is asked about; S seeds, G groups of clips. All at the end of the runs.

    Attributes:
        deep_pie: bits of the deep rungs.
        learned: efficiency of the whole pie, the best of grown, fresh and reversed heads, misuse counting as none, [S].
        order, total, last: as above, [S]; `order` None where there is no other order.
        excess: [S]; NaN where there are fewer than three seeds.
        order_groups, total_groups, last_groups: deviation of each clip group's contribution, [G, S]; None when exact.
    """

    deep_pie: float
    learned: Floats
    order: Floats | None
    total: Floats
    last: Floats
    excess: Floats
    order_groups: Floats | None = None
    total_groups: Floats | None = None
    last_groups: Floats | None = None

    def of(self, seeds: NDArray[np.bool_]) -> Contrasts:
        """Some of the seeds."""
        cut: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            cut[f.name] = value[..., seeds] if isinstance(value, np.ndarray) else value
        return Contrasts(**cut)


def verdict(contrasts: Contrasts, settings: Settings, target: str = "") -> Verdict:
    """The conclusion; seeds whose numbers are not finite count as diverged."""
    base = Verdict("inconclusive", (), target, settings=settings_dict(settings))
    if contrasts.deep_pie < settings.least_pie:
        words = f"The deep rungs hold {contrasts.deep_pie:.3f} bits: no way can lead to more."
        return replace(base, name="nothing-deep", reasons=(words,), seeds=len(contrasts.learned))
    finite = np.isfinite(contrasts.total) & np.isfinite(contrasts.last) & np.isfinite(contrasts.learned)
    if contrasts.order is not None:
        finite &= np.isfinite(contrasts.order)
    kept = contrasts.of(finite)
    seeds = int(finite.sum())
    base = replace(base, seeds=seeds, diverged=int((~finite).sum()))
    notes = [f"{base.diverged} of {len(finite)} seeds diverged and are left out."] if base.diverged else []
    if not seeds:
        raise ProbeError("every seed diverged", node=target, mend="train with a smaller learning rate")
    if seeds < 3:
        words = "Fewer than three seeds: no interval over seeds, and no pairs of them to compare with."
        return replace(base, reasons=(*notes, words), seeds_needed=8)
    found = _Rules(kept, settings).apply(clusters=True)
    return base.settled(found, notes)


class _Rules:
    """Rules 2 to 5, on finite seeds."""

    def __init__(self, contrasts: Contrasts, settings: Settings) -> None:
        self.c, self.s = contrasts, settings
        self.level, self.inner = 1 - settings.alpha, 1 - 2 * settings.alpha
        self.order = None if contrasts.order is None else over_seeds(contrasts.order, contrasts.order_groups)
        self.total = over_seeds(contrasts.total, contrasts.total_groups)
        self.last = over_seeds(contrasts.last, contrasts.last_groups)
        known = contrasts.excess[np.isfinite(contrasts.excess)]
        self.excess = over_seeds(known if known.size else np.array([np.nan]))

    def apply(self, clusters: bool) -> Verdict:
        learned = over_seeds(self.c.learned)
        p = float(learned.p_below(self.s.untrained_below))
        if p <= self.s.alpha:
            text = f"No way led to {self.s.untrained_below:.0%} of the pie"
            statement = Statement(text, learned.interval(self.level), p, True)
            return Verdict("untrained", (f"{text}: {statement.interval} at best.",), statements=(statement,))
        if clusters and (split := self._clusters()) is not None:
            return split
        return self._dependent() or self._same() or self._open()

    def _clusters(self) -> Verdict | None:
        distance = 2 * self.s.delta if self.s.cluster_distance is None else self.s.cluster_distance
        for values in (self.c.order, self.c.total):
            upper = None if values is None else two_clusters(values, distance)
            if upper is not None and values is not None:
                return judged_apart(
                    upper,
                    lambda seeds: _Rules(self.c.of(seeds), self.s).apply(clusters=False),
                    lambda seeds, values=values: f"{float(values[seeds].mean()):+.2f}",  # type: ignore[misc]
                    "{count} around {end}, on their own `{name}`",
                    "The seeds' differences in deep efficiency split in two",
                )
        return None

    def _clear(self, estimate: Estimate, text: str, alpha: float) -> tuple[int, Statement]:
        """+1, −1 or 0: clearly above, clearly below, neither; and the statement."""
        up, down = float(estimate.p_above(0.0)), float(estimate.p_below(0.0))
        p, sign = (up, 1) if float(estimate.mean) > 0 else (down, -1)
        holds = p <= alpha and abs(float(estimate.mean)) >= self.s.delta
        return (sign if holds else 0), Statement(text, estimate.interval(1 - alpha), p, holds)

    def _dependent(self) -> Verdict | None:
        alpha = self.s.alpha if self.order is None else self.s.alpha / 2
        reasons, statements = [], []
        if self.order is not None:
            sign, statement = self._clear(self.order, "Grown heads are not as deep as reversed ones", alpha)
            if sign:
                how = "deeper" if sign > 0 else "shallower"
                reasons.append(
                    f"Grown heads end {how} than reversed ones, which differ in nothing but the order of the stages: "
                    f"by {statement.interval} of the deep pie."
                )
                statements.append(statement)
        signs = [
            self._clear(self.total, "Grown heads are not as deep as fresh ones with as many steps", alpha),
            self._clear(self.last, "Grown heads are not as deep as fresh ones with as many steps on the end", alpha),
        ]
        if signs[0][0] and signs[0][0] == signs[1][0]:
            how = "deeper" if signs[0][0] > 0 else "shallower"
            reasons.append(
                f"Grown heads end {how} than fresh ones at either budget: by {signs[0][1].interval} of the deep pie at "
                f"equal steps in all, by {signs[1][1].interval} at equal steps on the end."
            )
            statements += [statement for _, statement in signs]
        return Verdict("path-dependent", tuple(reasons), statements=tuple(statements)) if reasons else None

    def _same(self) -> Verdict | None:
        statements = self._within()
        if not all(statement.holds for statement in statements):
            return None
        d = f"{self.s.delta:g}"
        reasons = []
        if self.order is not None:
            reasons.append(f"In whatever order, heads end equally deep: they differ by {statements[0].interval}.")
        reasons.append(
            f"They are deeper than fresh ones by {statements[-2].interval} at equal steps in all, less than {d}; "
            f"and by {statements[-1].interval} at equal steps on the end, more than −{d}."
        )
        if float(self.total.mean) < -self.s.delta:
            reasons.append("What they lack against fresh ones at equal steps in all is steps on the end, not the way.")
        excess = self.excess.interval(self.level)
        words = f"their function differs by {excess} of the pie more than that of two seeds"
        far, near = float(self.excess.p_above(0.0)), _one_sided(self.excess.p_below(self.s.epsilon))
        if far <= self.s.alpha and float(self.excess.mean) >= self.s.epsilon:
            statement = Statement("The way shows in the function", excess, far, True)
            return Verdict("other-function", (*reasons, f"But {words}."), statements=(*statements, statement))
        if near <= self.s.alpha:
            statement = Statement(
                f"The function differs by less than {self.s.epsilon:g} beyond seeds", excess, near, True
            )
            return Verdict("path-independent", (*reasons, f"And {words}."), statements=(*statements, statement))
        return None

    def _within(self) -> list[Statement]:
        """The statements that no difference in depth matters; each a one-sided test at α, or two."""
        s, found = self.s, []
        if self.order is not None:
            p = float(self.order.p_within(s.delta))
            found.append(
                Statement(
                    f"Order changes depth by less than {s.delta:g}", self.order.interval(self.inner), p, p <= s.alpha
                )
            )
        for estimate, p, text in (
            (self.total, _one_sided(self.total.p_below(s.delta)), "not deeper than fresh heads with as many steps"),
            (
                self.last,
                _one_sided(self.last.p_above(-s.delta)),
                "not shallower than fresh heads with as many steps on the end",
            ),
        ):
            found.append(
                Statement(f"Grown heads are {text}, by {s.delta:g}", estimate.interval(self.inner), p, p <= s.alpha)
            )
        return found

    def _open(self) -> Verdict:
        reasons = []
        if self.order is not None:
            reasons.append(f"Grown heads less reversed ones: {self.order.interval(self.level)} of the deep pie.")
        reasons.append(
            f"Grown less fresh ones: {self.total.interval(self.level)} at equal steps in all, "
            f"{self.last.interval(self.level)} at equal steps on the end."
        )
        reasons.append(
            f"Their function differs by {self.excess.interval(self.level)} of the pie more than that of two seeds."
        )
        needed = self._needed()
        reasons.append(
            f"About {needed} seeds would decide." if needed else "More seeds alone would not decide it: use more clips."
        )
        return Verdict("inconclusive", tuple(reasons), seeds_needed=needed)

    def _needed(self) -> int | None:
        """Seeds that would separate every open quantity from the margin it is nearest to, or from 0."""
        counts: list[int | None] = []
        open_ones = [(self.total, self.s.delta), (self.last, self.s.delta), (self.excess, self.s.epsilon)]
        if self.order is not None:
            open_ones.append((self.order, self.s.delta))
        for estimate, margin in open_ones:
            mean = abs(float(estimate.mean))
            room = max(mean, abs(margin - mean)) if mean >= margin else margin - mean
            inside = room**2 - (2 * float(estimate.clip_error)) ** 2
            counts.append(
                seeds_needed(math.sqrt(inside), float(estimate.spread), self.level, most=1000) if inside > 0 else None
            )
        return None if any(count is None for count in counts) else max(count for count in counts if count is not None)


def _one_sided(p: Floats | float) -> float:
    return float(p) / 2 if float(p) < 1 else 1.0
