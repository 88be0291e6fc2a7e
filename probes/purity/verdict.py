"""Is it the world? The ordered rule that turns shares into a verdict on a world-model (theory, section 3).

A pure function of arrays. Every demand on a world-model is a share that is 1 for W* and 0 for the surface:

    observables  1 − KL(W*‖W) / structure          structure = KL(W*‖Π_o W*(o)), bits
    latents      recovered / I(Z; observables)     one demand for each kind of latent
    do()         1 − error / effect                one demand for each kind of latent, over the states it is set to

A demand is *met* when the upper limit of its shortfall, 1 − share at the last step, is at most its margin ε, and
*failed* when the lower limit is above. All demands of a kind must be met together, so that each is tested at α
(Berger 1982); one failed demand is enough to fail them, so that failure of one of m is tested at α/m (Bonferroni).
Kinds of latent and effects of less than `least_bits` are not demanded, nor are answers that no data could teach. Rules
in order, the first that applies:

1. `nothing-to-model`: nothing is demanded.
2. `pure`: everything is met.
3. `observables-only`: the observables are met; of latents or do() one is failed.
4. Some demand is failed: `untrained` if at every checkpoint the upper limit of the structure's share is below
   `untrained_below`, and those of what latents and do() gained since the first checkpoint, step 0, are below δ;
   `impure` otherwise: not the world, and not shown to be right about what can be seen either.
5. `inconclusive`.

When the seeds split in two clusters at the end (by their worst demand, below 0 counting as 0), the rules are asked of
each cluster and of all: one answer stands, several are `inconclusive` and say which seeds went where.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, Interval, binomial_interval, over_seeds, seeds_needed, two_clusters
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
Part = Literal["observables", "latents", "do()"]
NAMES = ("nothing-to-model", "pure", "observables-only", "untrained", "impure", "inconclusive")
TITLES: dict[Part, str] = {
    "observables": "structure captured",
    "latents": "latent recovery",
    "do()": "do() accuracy",
}
TARGET = "world-model"  # what the verdict is on
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Settings:
    """Margins and level of the verdict, fixed before a run.

    Attributes:
        epsilon_observables: share of the structure that may be missing.
        epsilon_latents: share of the information about a latent that may be missing.
        epsilon_do: share of an effect that may be wrong.
        delta: δ, the gain in share over training that matters.
        alpha: α.
        least_bits: information and effects of less are not demanded; nor is a structure of less.
        most_unseen: interventions are demanded that lead to what clips hardly ever show with at most this probability.
        untrained_below: share of the structure below which nothing has been learned.
        cluster_distance: width of the empty stretch that splits seeds in two, in share.
    """

    epsilon_observables: float = 0.05
    epsilon_latents: float = 0.10
    epsilon_do: float = 0.10
    delta: float = 0.10
    alpha: float = 0.05
    least_bits: float = 0.05
    most_unseen: float = 0.05
    untrained_below: float = 0.1
    cluster_distance: float = 0.2


@dataclass(frozen=True)
class Demand:
    """One share over training.

    Attributes:
        part: which of the three.
        name: what of it, such as the kind of latent; "" for the observables.
        share: [T, S].
        influence: deviation of each clip group's contribution, [G, T, S]; None when exact.
        margin: ε.
    """

    part: Part
    name: str
    share: Floats
    influence: Floats | None = None
    margin: float = 0.1

    @property
    def title(self) -> str:
        """In words."""
        return TITLES[self.part] + (f", {self.name}" if self.name else "")

    def of(self, seeds: NDArray[np.bool_]) -> Demand:
        """The same for some seeds."""
        influence = None if self.influence is None else self.influence[..., seeds]
        return replace(self, share=self.share[:, seeds], influence=influence)

    def shortfall(self) -> Estimate:
        """1 − share at the last step."""
        return over_seeds(1.0 - self.share[-1], None if self.influence is None else -self.influence[:, -1])


def verdict(steps: NDArray[np.int64], demands: Sequence[Demand], settings: Settings | None = None) -> Verdict:
    """The verdict on a world-model.

    Seeds with a share that is not finite diverged: they are left out and counted.

    Args:
        steps: training step of each checkpoint, [T].
        demands: what is asked of it.
        settings: margins and level.

    Raises:
        ProbeError: arrays that do not fit together.
    """
    settings = settings or Settings()
    base = Verdict("", (), TARGET, ceiling=1.0, ceiling_kind="W*", settings=settings_dict(settings))
    if not demands:
        text = f"Neither structure nor latents nor effects of {settings.least_bits:g} bits: nothing to model."
        return replace(base, name="nothing-to-model", reasons=(text,))
    shape = demands[0].share.shape
    for demand in demands:
        if demand.share.shape != shape or shape[0] != len(steps):
            expected = f"[checkpoints, seeds] = ({len(steps)}, {shape[1]})"
            raise ProbeError(f"{demand.title} does not fit", found=demand.share.shape, expected=expected)
    finite = np.logical_and.reduce([np.isfinite(demand.share).all(0) for demand in demands])
    base = replace(base, seeds=int(finite.sum()), diverged=int((~finite).sum()))
    notes = [f"{base.diverged} of {len(finite)} seeds diverged and are left out."] if base.diverged else []
    if base.seeds < 2:
        few = (*notes, "Fewer than two seeds: no interval over seeds.")
        return replace(base, name="inconclusive", reasons=few, seeds_needed=8)
    rules = _Rules(steps, [demand.of(finite) for demand in demands], settings)
    found = rules.apply(clusters=True)
    return replace(base.settled(found, notes), at_ceiling=rules.near())


class _Rules:
    """The ordered rules, on seeds that are all finite."""

    def __init__(self, steps: NDArray[np.int64], demands: Sequence[Demand], settings: Settings) -> None:
        self.steps, self.demands, self.s = steps, list(demands), settings
        self.level = 1 - settings.alpha

    def near(self) -> Interval:
        """Share of the seeds that are each within every margin."""
        within = np.all([1.0 - demand.share[-1] <= demand.margin for demand in self.demands], axis=0)
        return binomial_interval(int(within.sum()), len(within), self.level)

    def apply(self, clusters: bool) -> Verdict:
        """Rules 2 to 5."""
        if clusters and (split := self._clusters()) is not None:
            return split
        met = [self._met(demand) for demand in self.demands]
        if all(statement.holds for statement in met):
            return Verdict("pure", (self._summary(), "Every demand is met."), statements=tuple(met))
        seen = [statement for statement, demand in zip(met, self.demands, strict=True) if demand.part == "observables"]
        beyond = self._failed([demand for demand in self.demands if demand.part != "observables"])
        if seen and all(statement.holds for statement in seen) and beyond is not None:
            reasons = [self._summary(), f"What can be seen is met; {beyond.text}: {beyond.interval}."]
            return Verdict("observables-only", tuple(reasons), statements=(*seen, beyond))
        failed = self._failed(self.demands)
        if failed is not None:
            return self._untrained() or self._impure(failed)
        return self._open()

    def _clusters(self) -> Verdict | None:
        # Below nothing it does not matter how far: a divergence has no ceiling.
        worst = np.maximum(np.min([demand.share[-1] for demand in self.demands], axis=0), 0.0)
        upper = two_clusters(worst, self.s.cluster_distance)
        if upper is None:
            return None
        sides = []
        for seeds in (~upper, upper):
            own = _Rules(self.steps, [demand.of(seeds) for demand in self.demands], self.s)
            sides.append((int(seeds.sum()), float(worst[seeds].mean()), own.apply(clusters=False)))
        words = [f"{count} seeds, whose worst share is {end:.2f}, are `{found.name}`" for count, end, found in sides]
        sentence = f"The seeds split in two: {words[0]}; {words[1]}."
        whole = self.apply(clusters=False)
        if {found.name for *_, found in sides} == {whole.name} - {"inconclusive"}:
            counted = {f"worst share {end:.2f}": count for count, end, _ in sides}
            return replace(whole, reasons=(*whole.reasons, sentence), clusters=counted)
        counted = {f"{found.name} (worst share {end:.2f})": count for count, end, found in sides}
        text = sentence + " One verdict for both would describe neither."
        return Verdict("inconclusive", (self._summary(), text), clusters=counted)

    def _met(self, demand: Demand) -> Statement:
        short = demand.shortfall()
        p = float(short.p_below(demand.margin))
        text = f"{demand.title} misses at most {demand.margin:g} of all there is"
        return Statement(text, short.interval(self.level), p, p <= self.s.alpha)

    def _failed(self, demands: Sequence[Demand]) -> Statement | None:
        """The demand that is failed most clearly, if one is, at α over their number."""
        found = []
        for demand in demands:
            short = demand.shortfall()
            p = min(1.0, len(demands) * float(short.p_above(demand.margin)))
            interval = short.interval(1 - self.s.alpha / len(demands))
            text = f"{demand.title} misses more than {demand.margin:g}"
            found.append(Statement(text, interval, p, p <= self.s.alpha))
        best = min(found, key=lambda statement: (statement.p, -statement.interval.estimate), default=None)
        return best if best is not None and best.holds else None

    def _untrained(self) -> Verdict | None:
        if self.steps[0] != 0:
            return None
        statements = []
        for part in TITLES:
            members = [demand for demand in self.demands if demand.part == part]
            if not members:
                continue
            share = np.mean([demand.share for demand in members], axis=0)
            if part == "observables":
                limit = self.s.untrained_below
                text = f"At no checkpoint is {limit:.0%} of the structure captured"
            else:
                share, limit = share - share[0], self.s.delta
                text = f"At no checkpoint has training added {limit:g} to {TITLES[part]}"
            estimate = over_seeds(share)
            p = estimate.p_below(limit)
            worst = int(np.argmax(p))
            holds = bool(np.all(p <= self.s.alpha))
            statements.append(Statement(text, estimate.interval(self.level, worst), float(p.max()), holds))
        if not statements or not all(statement.holds for statement in statements):
            return None
        reasons = [self._summary(), *(f"{x.text}: at worst {x.interval}." for x in statements)]
        return Verdict("untrained", tuple(reasons), statements=tuple(statements))

    def _impure(self, failed: Statement) -> Verdict:
        reasons = [self._summary(), f"{failed.text[:1].upper()}{failed.text[1:]}: {failed.interval}."]
        for demand in self.demands:
            if demand.part == "observables":
                short = demand.shortfall()
                decided = float(short.p_above(demand.margin)) <= self.s.alpha
                words = "is more than" if decided else "may or may not be within"
                missing = f"{short.interval(self.level)} of the structure, {words} the {demand.margin:g}"
                reasons.append(f"What it misses of what can be seen, {missing} that may be missing.")
        return Verdict("impure", tuple(reasons), statements=(failed,))

    def _open(self) -> Verdict:
        reasons, needed = [self._summary()], []
        for demand in self.demands:
            short = demand.shortfall()
            if float(short.p_below(demand.margin)) <= self.s.alpha:
                continue
            reasons.append(f"Open: {demand.title} misses {short.interval(self.level)}, ε = {demand.margin:g}.")
            room = (float(short.mean) - demand.margin) ** 2 - (2 * float(short.clip_error)) ** 2
            needed.append(
                seeds_needed(math.sqrt(room), float(short.spread), self.level, most=MOST_SEEDS) if room > 0 else None
            )
        known = [count for count in needed if count is not None]
        most = max(known) if len(known) == len(needed) and known else None
        reasons.append(f"About {most} seeds would decide." if most else "More seeds alone would not decide it.")
        return Verdict("inconclusive", tuple(reasons), seeds_needed=most)

    def _summary(self) -> str:
        words = []
        for part in TITLES:
            members = [demand for demand in self.demands if demand.part == part]
            if not members:
                continue
            worst = max(members, key=lambda demand: float(demand.shortfall().mean))
            share = over_seeds(worst.share[-1], None if worst.influence is None else worst.influence[:, -1])
            least = f"{TITLES[part]}, least for {worst.name}" if len(members) > 1 else worst.title
            words.append(f"{least}: {share.interval(self.level)}")
        return f"At step {self.steps[-1]:,}, of what W* has: {'; '.join(words)}."
