"""The ordered rule of the fingerprint probe: is the initialisation to be read from answers, and does it matter?

*Named*: the share of held-out runs that get the name of their own initialisation, from never-seen combinations of seen
symbols, on a scale from chance (0) to always (1), is at least δ, and names permuted within data orders do as well with
probability ≤ α (its upper limit, given how many permutations were made). Rules in order, the first that applies, at the
last checkpoint:

1. named, and then:
   `named-and-predicts`: runs that share an initialisation agree more than strangers do on further never-seen
   combinations: at least `gain` of strangers' disagreement is gone, permuted names do as well with probability ≤ α;
   `named-without-agreement`: less than `gain` of it is gone, by the upper limit;
   `named`: neither is clear, or strangers always agree.
2. The upper limit of the share is below δ on that scale: `only-reserved` where the reserved symbol names the
   initialisation; `not-named` else.
3. `inconclusive`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.finding import Statement, Verdict, settings_dict
from probes.fingerprint.naming import (
    Names,
    Tested,
    between,
    enough,
    gain,
    gains,
    jackknife,
    named,
    names,
    products,
    same_and_strangers,
    same_choice,
    share_named,
    tested,
)
from probes.statistics import Estimate, Interval
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """Margins and level, fixed before a run.

    Attributes:
        delta: of the way from chance to always, what counts as named.
        gain: of strangers' disagreement, what must be gone for a fingerprint to predict agreement.
        alpha: level of every test.
        permutations: of names.
        seed: stream of the permutations; the error of their number is carried.
    """

    delta: float = 0.40
    gain: float = 0.10
    alpha: float = 0.05
    permutations: int = 499
    seed: int = 0


@dataclass(frozen=True)
class Crossing:
    """What the rule is asked about. I initialisations, O data orders.

    Attributes:
        novel: responses to never-seen combinations, [I, O, D].
        choices: the outcome chosen on further ones, [I, O, N].
        reserved: responses to the reserved symbol, [I, O, D]; None where there was none.
    """

    novel: Floats
    choices: Floats
    reserved: Floats | None = None


@dataclass(frozen=True)
class Naming:
    """One condition's naming: share of runs named, and how often permuted names do as well."""

    share: Interval
    test: Tested
    chance: float

    def scaled(self, value: float) -> float:
        """A share on the scale from chance to always."""
        return (value - self.chance) / (1 - self.chance)


def verdict(crossing: Crossing, settings: Settings, target: str) -> Verdict:
    """The verdict about one target.

    Raises:
        ProbeError: one initialisation, or one run per initialisation.
    """
    size, orders = crossing.novel.shape[:2]
    check(size, orders)
    base = Verdict("", (), target, seeds=size, settings=settings_dict(settings))
    given = names(size, orders, settings.permutations, settings.seed)
    alpha, delta = settings.alpha, settings.delta
    found = naming(crossing.novel, given, 1 - 2 * alpha)
    share, chance = found.share, found.chance
    notes = [
        f"Of {size * orders} held-out runs {share.estimate:.0%} are given the name of their own initialisation "
        f"(by chance {chance:.0%}; permuted names do as well with p {found.test.p:.3f})."
    ]
    if _is_named(found, settings):
        text = f"The initialisation is named from never-seen combinations, {delta:.0%} of the way from chance or more"
        first = Statement(text, share, found.test.most, True)
        return _predicts(crossing, given, settings, replace(base, reasons=tuple(notes), statements=(first,)))
    if found.scaled(share.high) < delta:
        text = f"Less than {delta:.0%} of the way from chance to always is named"
        first = Statement(text, share, alpha, True)
        if crossing.reserved is not None:
            other = naming(crossing.reserved, given, 1 - 2 * alpha)
            notes.append(f"The reserved symbol names {other.share.estimate:.0%} (p {other.test.p:.3f}).")
            if _is_named(other, settings):
                second = Statement("The reserved symbol names the initialisation", other.share, other.test.most, True)
                held = (first, second)
                p = max(alpha, other.test.most)
                return replace(base, name="only-reserved", reasons=tuple(notes), statements=held, p=p)
        return replace(base, name="not-named", reasons=tuple(notes), statements=(first,), p=alpha)
    needed = None if enough(size, orders, alpha) else 8
    if needed:
        notes.append("So few runs have too few ways to be permuted for any naming to be beyond chance.")
    notes.append(f"No rule applies at α = {alpha:g}: more data orders or initialisations would decide.")
    return replace(base, name="inconclusive", reasons=tuple(notes), seeds_needed=needed or 2 * size)


def check(initialisations: int, orders: int) -> None:
    """Refuse what cannot be held out.

    Raises:
        ProbeError: one initialisation, or one run per initialisation.
    """
    if initialisations < 2:
        mend = "train at least two seeds; of those that diverged nothing is named"
        raise ProbeError("one initialisation only: there is nothing to tell it from", found=initialisations, mend=mend)
    if orders < 2:
        mend = "cross initialisations with at least two data orders: orders = 4"
        raise ProbeError("one run per initialisation: held out, it leaves none to know it by", found=orders, mend=mend)


def naming(responses: Floats, given: Names, level: float) -> Naming:
    """How well held-out runs are named from responses [I, O, D]."""
    credit = named(products(responses), given)
    return Naming(share_named(credit[0], level), tested(credit.mean((1, 2))), 1 / responses.shape[0])


def gained(choices: Floats) -> Estimate:
    """`gain` with the jackknife's error over initialisations, from choices [I, O, N]."""
    means = between(same_choice(choices))
    return jackknife(lambda some: np.asarray(gain(means[np.ix_(some, some)])), len(choices))


def _is_named(found: Naming, settings: Settings) -> bool:
    return found.test.most <= settings.alpha and found.scaled(found.share.estimate) >= settings.delta


def _predicts(crossing: Crossing, given: Names, settings: Settings, base: Verdict) -> Verdict:
    pairs = same_choice(crossing.choices)
    values = gains(pairs, given)
    p = max(statement.p for statement in base.statements)
    same, strangers = same_and_strangers(between(pairs))
    if not np.isfinite(values).all():
        text = "Runs of different initialisations never disagree on further never-seen combinations."
        return replace(base, name="named", reasons=(*base.reasons, text), p=p)
    test, estimate = tested(values), gained(crossing.choices)
    level = 1 - 2 * settings.alpha
    interval = estimate.interval(level)
    notes = (
        *base.reasons,
        f"On further never-seen combinations runs of one initialisation choose alike on {same:.0%} of rows, "
        f"strangers on {strangers:.0%}: {interval} of the disagreement is gone (p {test.p:.3f}).",
    )
    base = replace(base, reasons=notes)
    if test.most <= settings.alpha and test.value >= settings.gain:
        text = f"Sharing the initialisation removes {settings.gain:.0%} of disagreement off-distribution, or more"
        held = (*base.statements, Statement(text, interval, test.most, True))
        return replace(base, name="named-and-predicts", statements=held, p=max(p, test.most))
    if interval.high < settings.gain:
        text = f"Sharing the initialisation removes less than {settings.gain:.0%} of disagreement off-distribution"
        held = (*base.statements, Statement(text, interval, settings.alpha, True))
        return replace(base, name="named-without-agreement", statements=held, p=max(p, settings.alpha))
    return replace(base, name="named", p=p)
