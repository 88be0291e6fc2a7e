"""The ordered rules of the modularity probe: is the module called world-model just that, and do actors keep apart?

Of one condition, at the last checkpoint, the first that applies. "Clearly" = estimate ≥ its margin and lower limit of
the two-sided 1 − α interval over seeds > 0; of several actors any may show it, at α over their number.

1. `no-world-model`: with all actors trained, the upper limit of the share of the pie that W captures is below
   `least_share`.
2. `optimistic`: for some actor, optimism clearly ≥ `optimism`.
3. `leaks-value`: for some actor, leakage clearly ≥ δ; its interval is over seeds and placebos.
4. `impure`: for some actor, the share of the pie that training it cost W is clearly ≥ ε.
5. `pure`: W captures more than `least_share` (lower limit), and for every actor these three are below their margins:
   upper limit of leakage < δ and of the cost < ε at level α, optimism within ± `optimism` by two one-sided tests.
6. `inconclusive`.

Of several actors on one world-model, with `moved by` (j, k) what training j adds to k's return:

1. `harming`: for some j ≠ k clearly ≤ −δ.   2. `helping`: for some j ≠ k clearly ≥ δ.
3. `independent`: for every j ≠ k within ± δ, by two one-sided tests.   4. `inconclusive`.
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
NAMES = ("no-world-model", "optimistic", "leaks-value", "impure", "pure", "inconclusive")
TOGETHER = ("harming", "helping", "independent", "inconclusive")


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        delta: leakage that counts, a share of the errors' energy; return that counts, a share of what is at stake.
        epsilon: loss of captured share that counts.
        optimism: that counts, in units of what the best outcome is worth.
        least_share: of the pie that a world-model captures.
        alpha: level of every test.
    """

    delta: float = 0.10
    epsilon: float = 0.10
    optimism: float = 0.02
    least_share: float = 0.10
    alpha: float = 0.05


@dataclass(frozen=True)
class Judged:
    """What the first rule is asked about; S seeds, K actors.

    Attributes:
        actors: their names.
        share: captured with all actors trained, [S].
        cost: share captured without any actor less that of each actor's own run, [S, K].
        optimism, leakage: [S, K].
        by_chance: leakage of placebos, less their mean, [S, K, Q].
    """

    actors: tuple[str, ...]
    share: Floats
    cost: Floats
    optimism: Floats
    leakage: Floats
    by_chance: Floats

    @property
    def sound(self) -> NDArray[np.bool_]:
        """Seeds all of whose numbers are finite."""
        chance = self.by_chance.reshape(len(self.share), -1)
        beside = np.concatenate([self.share[:, None], self.cost, self.optimism, self.leakage, chance], axis=1)
        return np.asarray(np.isfinite(beside).all(1))

    def of(self, seeds: NDArray[np.bool_]) -> Judged:
        """Some of the seeds."""
        cut = (part[seeds] for part in (self.share, self.cost, self.optimism, self.leakage, self.by_chance))
        return Judged(self.actors, *cut)


def against_chance(leakage: Floats, by_chance: Floats) -> Estimate:
    """Mean leakage over seeds of one actor, with what an objective's shape alone can make of it.

    error² = variance over seeds / S + variance over placebos · (1 + 1/Q), as of one more draw beside Q; degrees of
    freedom by Satterthwaite.

    Args:
        leakage: [S].
        by_chance: of placebos, less their mean, [S, Q].
    """
    own = over_seeds(leakage)
    count = by_chance.shape[1]
    shape = by_chance.mean(0).var(ddof=1) * (1 + 1 / count) if count > 1 else 0.0
    total = own.error**2 + shape
    scale = own.error**4 / own.freedom + shape**2 / max(count - 1, 1)
    with np.errstate(invalid="ignore"):
        freedom = np.where(scale > 0, total**2 / np.where(scale > 0, scale, 1.0), own.freedom)
    return replace(own, error=np.sqrt(total), freedom=np.asarray(freedom))


def verdict(judged: Judged, settings: Settings, target: str) -> Verdict:
    """The verdict about one condition; seeds with a number that is not finite diverged and are left out."""
    base, notes = _begun(judged.sound, settings, target)
    if base.seeds < 2:
        return base
    kept, s = judged.of(judged.sound), settings
    share = over_seeds(kept.share)
    p = float(share.p_below(s.least_share))
    if p <= s.alpha:
        text = f"With all actors trained it captures less than {s.least_share:.0%} of what there is to be known"
        statement = Statement(text, share.interval(1 - s.alpha), p, True)
        return _said(base, "no-world-model", [*notes, f"{text}: {statement.interval}."], [statement])
    notes.append(f"With all actors trained it captures {share.interval(1 - s.alpha)} of what there is to be known.")
    named = ("optimistic", "leaks-value", "impure")
    about = {
        "optimistic": (
            kept.optimism,
            s.optimism,
            "What {} wants is foretold too often after its acts, by at least {:g}",
        ),
        "leaks-value": (
            kept.leakage,
            s.delta,
            "What {} wants explains the errors of its world-model, by at least {:g}",
        ),
        "impure": (kept.cost, s.epsilon, "Training {} costs the world-model at least {:g} of the pie"),
    }
    shown: dict[str, list[Statement]] = {}
    for name in named:
        values, margin, text = about[name]
        each = [over_seeds(column) for column in values.T]
        if name == "leaks-value":
            each = leaks(kept)
        tests = [
            _clear(one, margin, text.format(actor, margin), s.alpha / len(each))
            for actor, one in zip(kept.actors, each, strict=True)
        ]
        told = "; ".join(f"{actor} {one.interval(1 - s.alpha)}" for actor, one in zip(kept.actors, each, strict=True))
        label = {"optimistic": "Optimism", "leaks-value": "Leakage", "impure": "Cost of purity"}[name]
        notes.append(f"{label}: {told}.")
        shown[name] = [test for test in tests if test.holds]
    for name in named:
        if shown[name]:
            worst = min(shown[name], key=lambda test: test.p)
            p = min(1.0, worst.p * len(kept.actors))
            return replace(_said(base, name, [*notes, f"{worst.text} ({worst.interval})."], shown[name]), p=p)
    inside = _inside(kept, s)
    if all(test.holds for test in inside):
        return _said(base, "pure", notes, inside)
    open_to = [test for test in inside if not test.holds]
    text = "; ".join(f"{test.text[0].lower()}{test.text[1:]} ({test.interval})" for test in open_to)
    needed = _needed(kept, s)
    return replace(_said(base, "inconclusive", [*notes, f"Not shown that {text}."], []), seeds_needed=needed)


def together(moved: Floats, actors: Sequence[str], settings: Settings, target: str) -> Verdict:
    """The verdict about several actors on one world-model.

    Args:
        moved: what training actor j adds to the return of actor k, [S, K, K].
        actors: their names.
        settings: margins and level.
        target: what the verdict is about.
    """
    sound = np.asarray(np.isfinite(moved).all((1, 2)))
    base, notes = _begun(sound, settings, target)
    if base.seeds < 2:
        return base
    s, count = settings, len(actors)
    pairs = [(j, k) for j in range(count) for k in range(count) if j != k]
    each = {pair: over_seeds(moved[sound][:, pair[0], pair[1]]) for pair in pairs}
    level = 1 - s.alpha
    notes += [
        f"Training {actors[j]} adds {one.interval(level)} to the return of {actors[k]}." for (j, k), one in each.items()
    ]
    for name, sign in (("harming", -1.0), ("helping", 1.0)):
        tests = []
        for (j, k), one in each.items():
            way = "costs" if sign < 0 else "gains"
            text = f"Training {actors[j]} {way} {actors[k]} at least {s.delta:g} of its return"
            tests.append(_clear(replace(one, mean=sign * one.mean), s.delta, text, s.alpha / len(pairs)))
        held = [test for test in tests if test.holds]
        if held:
            return replace(_said(base, name, notes, held), p=min(1.0, min(test.p for test in held) * len(pairs)))
    inside = []
    for (j, k), one in each.items():
        p = float(one.p_within(s.delta))
        text = f"Training {actors[j]} changes the return of {actors[k]} by less than {s.delta:g}"
        inside.append(Statement(text, one.interval(1 - 2 * s.alpha), p, p <= s.alpha))
    if all(test.holds for test in inside):
        return _said(base, "independent", notes, inside)
    return _said(base, "inconclusive", [*notes, "Neither clearly apart nor clearly within the margin."], [])


def leaks(judged: Judged) -> list[Estimate]:
    """Leakage of each actor."""
    return [against_chance(judged.leakage[:, k], judged.by_chance[:, k]) for k in range(len(judged.actors))]


def _begun(sound: NDArray[np.bool_], settings: Settings, target: str) -> tuple[Verdict, list[str]]:
    base = Verdict("", (), target, settings=settings_dict(settings))
    base = replace(base, seeds=int(sound.sum()), diverged=int((~sound).sum()))
    notes = [f"{base.diverged} of {len(sound)} seeds diverged and are left out."] if base.diverged else []
    if base.seeds < 2:
        reasons = (*notes, "Fewer than two seeds: no interval over seeds.")
        return replace(base, name="inconclusive", reasons=reasons, seeds_needed=8), notes
    return base, notes


def _said(base: Verdict, name: str, reasons: Sequence[str], statements: Sequence[Statement]) -> Verdict:
    p = max((test.p for test in statements), default=float("nan"))
    return replace(base, name=name, reasons=tuple(reasons), statements=tuple(statements), p=p)


def _clear(one: Estimate, margin: float, text: str, alpha: float) -> Statement:
    p = float(one.p_above(0.0))
    return Statement(text, one.interval(1 - alpha), p, p <= alpha and float(one.mean) >= margin)


def _inside(kept: Judged, s: Settings) -> list[Statement]:
    share = over_seeds(kept.share)
    p = float(share.p_above(s.least_share))
    text = f"With all actors trained it captures more than {s.least_share:.0%} of what there is to be known"
    tests = [Statement(text, share.interval(1 - s.alpha), p, p <= s.alpha)]
    for k, actor in enumerate(kept.actors):
        optimism, cost, leakage = over_seeds(kept.optimism[:, k]), over_seeds(kept.cost[:, k]), leaks(kept)[k]
        p = float(optimism.p_within(s.optimism))
        text = f"What {actor} wants is foretold within ± {s.optimism:g} of what it is without it"
        tests.append(Statement(text, optimism.interval(1 - 2 * s.alpha), p, p <= s.alpha))
        for one, margin, words in (
            (leakage, s.delta, f"What {actor} wants explains less than {s.delta:g} of the errors of its world-model"),
            (cost, s.epsilon, f"Training {actor} costs less than {s.epsilon:g} of the pie"),
        ):
            p = float(one.p_below(margin))
            tests.append(Statement(words, one.interval(1 - s.alpha), p, p <= s.alpha))
    return tests


def _needed(kept: Judged, s: Settings) -> int | None:
    """Seeds with which each number's interval would leave its margin; None where one lies at its margin."""
    found = []
    asked = [(over_seeds(column), margin) for values, margin in ((kept.optimism, s.optimism), (kept.cost, s.epsilon))
             for column in values.T]  # fmt: skip
    for one, margin in [*asked, *((leak, s.delta) for leak in leaks(kept))]:
        # What placebos leave uncertain no seed removes: it is taken off the distance first.
        left = float(one.error) ** 2 - float(one.spread) ** 2 / one.n
        room = (margin - abs(float(one.mean))) ** 2 - 4 * max(left, 0.0)
        distance = math.sqrt(room) if room > 0 else 0.0
        found.append(seeds_needed(distance, float(one.spread), 1 - s.alpha, most=512))
    return None if any(one is None for one in found) else max((one for one in found if one is not None), default=None)
