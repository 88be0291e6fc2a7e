"""The ordered rule of the floors probe: is a belief decodable beyond its floors, and is what is decodable used?

Rules in order, the first that applies, at the last checkpoint. "Clearly" = estimate ≥ δ and lower limit > 0.

1. `nothing-to-decode`: the exact belief varies by less than `least_variance` over clips.
2. `floors-at-ceiling`: the best floor leaves less than `least_room` of that variance: whoever answers at all, or reads
   the evidence at all, "contains" the belief; decodability shows nothing here.
3. `not-decodable`: the gain over the best floor is below δ (upper limit).
4. The gain is clearly above 0: `decodable-and-used` if the excess effect of taking it out clearly is too,
   `decodable-unused` if that is below δ (upper limit); else `inconclusive`.
5. `inconclusive`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Statement, Verdict, settings_dict
from probes.statistics import Estimate, over_seeds, seeds_needed

Floats = NDArray[np.float64]
MOST_SEEDS = 256


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        delta: the smallest gain, and the smallest excess effect, that count.
        alpha: level of every test.
        least_variance: of an exact belief (sum over states) that there is something to decode.
        least_room: of the belief's variance that the best floor must leave.
    """

    delta: float = 0.10
    alpha: float = 0.05
    least_variance: float = 0.005
    least_room: float = 0.02


@dataclass(frozen=True)
class Ends:
    """What the rule is asked about, at the last checkpoint. S seeds, G clip groups.

    Attributes:
        variance: of the exact belief.
        room: 1 − R² of the best floor, mean over seeds.
        gain: share of what the best floor leaves that the head's activations explain, [S].
        excess: effect of taking the belief out, less that of random subspaces, as a share of the effect of taking out
            everything, [S].
        gain_influence, excess_influence: deviations of clip groups, [G, S].
    """

    variance: float
    room: float
    gain: Floats
    excess: Floats
    gain_influence: Floats | None = None
    excess_influence: Floats | None = None


def verdict(ends: Ends, settings: Settings, target: str) -> Verdict:
    """The verdict about one latent; seeds with a number that is not finite diverged and are left out."""
    sound = np.isfinite(ends.gain) & np.isfinite(ends.excess)
    base = Verdict("", (), target, seeds=int(sound.sum()), diverged=int((~sound).sum()),
                   settings=settings_dict(settings))  # fmt: skip
    if ends.variance < settings.least_variance:
        text = f"The exact belief varies by {ends.variance:.4f} over clips: there is nothing to decode."
        return _named(base, "nothing-to-decode", text)
    if ends.room < settings.least_room:
        text = f"The best floor leaves {ends.room:.1%} of the belief's variance: that it is decodable shows nothing."
        return _named(base, "floors-at-ceiling", text)
    notes = [f"{base.diverged} of {len(sound)} seeds diverged and are left out."] if base.diverged else []
    if base.seeds < 2:
        return _named(base, "inconclusive", *notes, "Fewer than two seeds: no interval over seeds.")
    gain = over_seeds(ends.gain[sound], None if ends.gain_influence is None else ends.gain_influence[:, sound])
    level = 1 - settings.alpha
    words = f"Activations explain {gain.interval(level)} of what the best floor leaves of the belief's variance."
    below = _below(gain, "The gain over the best floor is", settings)
    if below.holds:
        return _named(base, "not-decodable", *notes, words, statements=[below])
    above = _clear(gain, "The gain over the best floor is", settings)
    if not above.holds:
        return _open(base, [*notes, words], gain, settings)
    excess = over_seeds(ends.excess[sound], None if ends.excess_influence is None else ends.excess_influence[:, sound])
    used = f"Taking it out does {excess.interval(level)} of what taking out everything does, beyond random subspaces."
    for name, test in (("decodable-and-used", _clear), ("decodable-unused", _below)):
        statement = test(excess, "The excess effect of taking it out is", settings)
        if statement.holds:
            return _named(base, name, *notes, words, used, statements=[above, statement])
    return _open(base, [*notes, words, used], excess, settings)


def _clear(estimate: Estimate, text: str, settings: Settings) -> Statement:
    p = float(estimate.p_above(0.0))
    holds = p <= settings.alpha and float(estimate.mean) >= settings.delta
    return Statement(
        f"{text} above 0, and at least {settings.delta:g}", estimate.interval(1 - settings.alpha), p, holds
    )


def _below(estimate: Estimate, text: str, settings: Settings) -> Statement:
    p = float(estimate.p_below(settings.delta))
    return Statement(f"{text} below {settings.delta:g}", estimate.interval(1 - settings.alpha), p, p <= settings.alpha)


def _open(base: Verdict, reasons: list[str], estimate: Estimate, settings: Settings) -> Verdict:
    distance = max(abs(float(estimate.mean)), abs(settings.delta - float(estimate.mean)))
    needed = seeds_needed(distance, float(estimate.spread), 1 - settings.alpha, most=MOST_SEEDS)
    last = f"No rule applies at α = {settings.alpha:g}."
    last += f" About {needed} seeds would decide." if needed else " More seeds alone would not decide it."
    return replace(_named(base, "inconclusive", *reasons, last), seeds_needed=needed)


def _named(base: Verdict, name: str, *reasons: str, statements: Sequence[Statement] = ()) -> Verdict:
    p = max((test.p for test in statements), default=math.nan)
    return replace(base, name=name, reasons=reasons, statements=tuple(statements), p=p)
