"""The ordered rule of the reporter probe: is it a direct translator, a human simulator, between the two, or neither?

Index w and R² as in `probes.reporter.index`, at the last checkpoint, on clips on which the two references differ. Rules
in order, the first that applies:

1. `neither`: R² is below `least_fit`: the head is not near the line between the two.
2. `direct-translator`: the 1 − α interval of w lies within ± δ of 1, and R² is above `least_fit`.
3. `human-simulator`: it lies within ± δ of 0, likewise.
4. `between`: w is above δ and below 1 − δ, likewise.
5. `neither`: w is above 1 + δ or below −δ.
6. `inconclusive`.

Seeds that split in two, by w, are judged apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.clusters import judged_apart
from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import over_seeds, seeds_needed, two_clusters

Floats = NDArray[np.float64]
TRANSLATOR, SIMULATOR, BETWEEN, NEITHER = "direct-translator", "human-simulator", "between", "neither"


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        delta: how near to 1, or to 0, an index must be to count as that.
        alpha: level of every test.
        least_fit: R² of a head that the line describes.
        cluster_distance: width of the empty stretch that splits seeds in two, in the index.
    """

    delta: float = 0.10
    alpha: float = 0.05
    least_fit: float = 0.50
    cluster_distance: float = 0.30


@dataclass(frozen=True)
class Ends:
    """Where the heads end. S seeds, G groups of clips.

    Attributes:
        weight, fit: w and R², [S].
        weight_groups, fit_groups: what each group of clips moves them by, [G, S]; None where they are exact.
    """

    weight: Floats
    fit: Floats
    weight_groups: Floats | None = None
    fit_groups: Floats | None = None

    def of(self, seeds: NDArray[np.bool_]) -> Ends:
        """Some of the seeds."""
        cut = lambda groups: None if groups is None else groups[:, seeds]
        return Ends(self.weight[seeds], self.fit[seeds], cut(self.weight_groups), cut(self.fit_groups))


def verdict(ends: Ends, settings: Settings, target: str = "") -> Verdict:
    """The verdict on heads; seeds with a number that is not finite diverged and are left out."""
    sound = np.asarray(np.isfinite(ends.weight) & np.isfinite(ends.fit))
    base = Verdict("", (), target, settings=settings_dict(settings))
    base = replace(base, seeds=int(sound.sum()), diverged=int((~sound).sum()), ceiling=1.0)
    notes = (f"{base.diverged} of {len(sound)} seeds diverged and are left out.",) if base.diverged else ()
    if base.seeds < 2:
        reasons = (*notes, "Fewer than two seeds: no interval over seeds.")
        return replace(base, name="inconclusive", reasons=reasons, seeds_needed=8)
    kept = ends.of(sound)
    upper = two_clusters(kept.weight, settings.cluster_distance)
    if upper is None:
        found = _judged(kept, settings)
    else:
        found = judged_apart(
            upper,
            lambda seeds: _judged(kept.of(seeds), settings),
            lambda seeds: f"{kept.weight[seeds].mean():.2f}",
            "{count} seeds end at an index of {end}, on their own `{name}`",
        )
    return base.settled(found, notes)


def _judged(ends: Ends, settings: Settings) -> Verdict:
    delta, alpha, least = settings.delta, settings.alpha, settings.least_fit
    level = 1 - alpha
    weight, fit = over_seeds(ends.weight, ends.weight_groups), over_seeds(ends.fit, ends.fit_groups)

    def one(text: str, p: float, at: object = weight) -> Statement:
        estimate = weight if at is weight else fit
        return Statement(text, estimate.interval(level), float(p), bool(p <= alpha))

    def near(value: float) -> float:
        # Both one-sided tests at α/2: the 1 − α interval lies inside ± δ.
        return min(1.0, 2 * float(replace(weight, mean=weight.mean - value).p_within(delta)))

    opening = f"The index is {weight.interval(level)}, R² {fit.interval(level)}."
    off = one(f"R² is below {least:g}", float(fit.p_below(least)), fit)
    on = one(f"R² is above {least:g}", float(fit.p_above(least)), fit)
    if off.holds:
        text = f"{off.text}: what it answers does not lie between the two references."
        return Verdict(NEITHER, (opening, text), statements=(off,))
    tests = {
        TRANSLATOR: [one(f"The index is within {delta:g} of 1", near(1.0))],
        SIMULATOR: [one(f"The index is within {delta:g} of 0", near(0.0))],
        BETWEEN: [one(f"The index is above {delta:g}", float(weight.p_above(delta))),
                  one(f"The index is below {1 - delta:g}", float(weight.p_below(1 - delta)))],
    }  # fmt: skip
    if on.holds:
        for name, statements in tests.items():
            if all(statement.holds for statement in statements):
                said = " and ".join(statement.text.lower() for statement in statements).capitalize()
                return Verdict(name, (opening, f"{said}."), statements=(on, *statements))
    beyond = [one(f"The index is above {1 + delta:g}", float(weight.p_above(1 + delta))),
              one(f"The index is below {-delta:g}", float(weight.p_below(-delta)))]  # fmt: skip
    for statement in beyond:
        if statement.holds:
            return Verdict(NEITHER, (opening, f"{statement.text}: beyond either."), statements=(statement,))
    w, spread = float(weight.mean), float(weight.spread)
    edge = min(abs(w - edge) for edge in (-delta, delta, 1 - delta, 1 + delta))
    needed = [seeds_needed(edge, spread, level)]
    if not on.holds:
        needed.append(seeds_needed(abs(float(fit.mean) - least), float(fit.spread), level))
    wanted = None if None in needed else max(n for n in needed if n is not None)
    text = f"No rule applies at α = {alpha:g}; " + (
        f"about {wanted} seeds would decide." if wanted else "more seeds alone would not decide it."
    )
    return Verdict("inconclusive", (opening, text), seeds_needed=wanted)
