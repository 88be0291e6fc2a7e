"""The ordered rule of the transmission probe: does the head run through its world-model?

Slope β: the head's change per change of the exact posterior, through the origin. Fit: R² = β² / mean ⟨Δq, Δq⟩, every
edit counted alike (its ⟨Δp, Δp⟩ is 1). Rules in order, the first that applies, at the last checkpoint:

1. `nothing-to-transmit`: no edit moves the posterior in a way that the head could be told of.
2. `insensitive`: at every depth β is equivalent to 0 within ± δ.
3. `runs-through-the-world-model`: at every depth β is equivalent to 1 within ± δ, and R² above `least_fit`.
4. `partly`: at some depth the head clearly does not follow (β outside 1 ± δ, or R² below `least_fit`), and at some
   depth it clearly does (β ≥ δ and above 0); each at level α over the number of depths.
5. `inconclusive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, over_seeds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        delta: how near to 1, or to 0, a slope must be to count as that.
        alpha: level of every test.
        least_fit: R² of a head whose change is that of the posterior, and not something that merely goes with it.
    """

    delta: float = 0.10
    alpha: float = 0.05
    least_fit: float = 0.80


@dataclass(frozen=True)
class Depth:
    """How heads follow the edits of one depth. S seeds, E edits.

    Attributes:
        depth: moral-graph distance from the target.
        slopes, sizes: of each seed and edit, [S, E].
        clip_error: due to the clips, [S].
    """

    depth: int
    slopes: Floats
    sizes: Floats
    clip_error: Floats

    def of(self, seeds: NDArray[np.bool_]) -> Depth:
        """Some of the seeds."""
        return replace(self, slopes=self.slopes[seeds], sizes=self.sizes[seeds], clip_error=self.clip_error[seeds])

    @property
    def slope(self) -> Estimate:
        """Mean slope: seeds and edits are crossed random effects, and clips add their own error."""
        each = self.slopes.mean(1)
        estimate = self._crossed(each, (self.slopes - each[:, None]).T)
        return replace(estimate, error=np.sqrt(estimate.error**2 + self.clip_error.mean() ** 2))

    @property
    def fit(self) -> Estimate:
        """R² of the line through the origin, likewise."""
        return self._crossed(*self.fits())

    def _crossed(self, values: Floats, influence: Floats) -> Estimate:
        # Satterthwaite's degrees of freedom are estimated from two variances of a few degrees each, and come out too
        # many: at the margin an equivalence at .05 held .066 of the time. Those of the larger variance bound them.
        estimate = over_seeds(values, influence)
        seeds, edits = self.slopes.shape
        larger = edits if estimate.clip_error**2 > estimate.spread**2 / seeds else seeds
        return replace(estimate, freedom=np.minimum(estimate.freedom, larger - 1))

    def fits(self) -> tuple[Floats, Floats]:
        """R² of each seed [S], and what each edit moves it by [E, S]."""
        slope, size = self.slopes.mean(1), np.maximum(self.sizes.mean(1), 1e-12)
        fit = slope**2 / size
        moved = 2 * slope * (self.slopes.T - slope) - fit * (self.sizes.T - self.sizes.mean(1))
        return fit, moved / size


def verdict(depths: Sequence[Depth], settings: Settings, target: str) -> Verdict:
    """The verdict about one target; seeds with a number that is not finite diverged and are left out."""
    base = Verdict("", (), target, settings=settings_dict(settings))
    if not depths:
        text = "No edit moves the exact posterior through what the head is given: there is nothing to follow."
        return replace(base, name="nothing-to-transmit", reasons=(text,))
    sound = np.all([np.isfinite(one.slopes).all(1) & np.isfinite(one.sizes).all(1) for one in depths], axis=0)
    base = replace(base, seeds=int(sound.sum()), diverged=int((~sound).sum()))
    notes = [f"{base.diverged} of {len(sound)} seeds diverged and are left out."] if base.diverged else []
    if base.seeds < 2:
        reasons = (*notes, "Fewer than two seeds: no interval over seeds.")
        return replace(base, name="inconclusive", reasons=reasons, seeds_needed=8)
    kept = [one.of(sound) for one in depths]
    slopes, fits = [one.slope for one in kept], [one.fit for one in kept]
    level, inner, delta, alpha = 1 - settings.alpha, 1 - 2 * settings.alpha, settings.delta, settings.alpha
    notes += [
        f"Edits at depth {one.depth}: slope {slope.interval(level)}, R² {fit.interval(level)}."
        for one, slope, fit in zip(kept, slopes, fits, strict=True)
    ]

    def near(value: float) -> list[Statement]:
        found = []
        for one, slope in zip(kept, slopes, strict=True):
            p = float(replace(slope, mean=slope.mean - value).p_within(delta))
            text = f"At depth {one.depth} the slope is within {delta:g} of {value:g}"
            found.append(Statement(text, slope.interval(inner), p, p <= alpha))
        return found

    fitted = []
    for one, fit in zip(kept, fits, strict=True):
        p = float(fit.p_above(settings.least_fit))
        text = f"At depth {one.depth} R² is above {settings.least_fit:g}"
        fitted.append(Statement(text, fit.interval(level), p, p <= alpha))
    for name, tests in (("insensitive", near(0.0)), ("runs-through-the-world-model", [*near(1.0), *fitted])):
        if all(test.holds for test in tests):
            worst = max(test.p for test in tests)
            return replace(base, name=name, reasons=tuple(notes), statements=tuple(tests), p=worst)
    each = alpha / len(kept)
    off, on = [], []
    for one, slope, fit in zip(kept, slopes, fits, strict=True):
        for text, found in (
            (f"the slope is below {1 - delta:g}", slope.p_below(1 - delta)),
            (f"the slope is above {1 + delta:g}", slope.p_above(1 + delta)),
            (f"R² is below {settings.least_fit:g}", fit.p_below(settings.least_fit)),
        ):
            about = fit if text.startswith("R²") else slope
            off.append(
                Statement(f"At depth {one.depth} {text}", about.interval(1 - each), float(found), bool(found <= each))
            )
        p_on = float(slope.p_above(0.0))
        follows = p_on <= each and float(slope.mean) >= delta
        text = f"At depth {one.depth} the head follows, slope at least {delta:g}"
        on.append(Statement(text, slope.interval(1 - each), p_on, follows))
    off, on = [test for test in off if test.holds], [test for test in on if test.holds]
    if off and on:
        tests = [min(off, key=lambda test: test.p), min(on, key=lambda test: test.p)]
        worst = min(1.0, max(test.p for test in tests) * len(kept))
        reasons = (*notes, *(f"{test.text} ({test.interval})." for test in tests))
        return replace(base, name="partly", reasons=reasons, statements=tuple(tests), p=worst)
    reasons = (*notes, f"No rule applies at α = {alpha:g}: more edits or more seeds would narrow these intervals.")
    return replace(base, name="inconclusive", reasons=reasons)
