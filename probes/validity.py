"""How a probe earns trust: what is planted must be found, what is not must not be (theory, section 16).

A probe's *plants* are organisms brought to its own road from measurements to verdict, cheap enough for a thousand
repeats. `validate` counts; `probes validate` prints; docs/validity.md is written from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from probes.statistics import Interval, binomial_interval
from worldnets.errors import ProbeError
from worldnets.registry import Registry

if TYPE_CHECKING:
    import pandas as pd

Role = Literal["right", "null", "power"]
#: What each count must reach: "right" and "power" by their lower 95 % limit, "null" by its upper one.
LEAST_RIGHT, LEAST_POWER, MOST_FALSE = 0.93, 0.88, 0.07
LEAST_COVERAGE, MOST_COVERAGE = 0.93, 0.97


@dataclass(frozen=True)
class Outcome:
    """What one repeat gave.

    Attributes:
        verdict: the verdict's name.
        intervals: for each finding whose truth is known its interval and the truth, for coverage.
    """

    verdict: str
    intervals: Mapping[str, tuple[Interval, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plant:
    """An organism with a known answer, and the road to a verdict on it.

    Attributes:
        name: unique within its probe.
        about: one sentence: what it is, how its seeds differ, and for nulls and power the effect in numbers.
        role: "right": must get `claim`; "null": at the edge of the claim, must not get it (more often than α);
            "power": at the stated effect, must get it.
        claim: a verdict, or several of which any counts.
        repeat: seed of everything random in a repeat → what came out.
    """

    name: str
    about: str
    role: Role
    claim: str | tuple[str, ...]
    repeat: Callable[[int], Outcome]

    @property
    def claims(self) -> tuple[str, ...]:
        """The verdicts that count."""
        return (self.claim,) if isinstance(self.claim, str) else self.claim


@dataclass(frozen=True)
class Score:
    """One plant's count.

    Attributes:
        plant: which.
        repeats: how many.
        share: of the repeats in which the claim was made, with its exact binomial 95 % interval.
        coverage: for each finding the share of intervals that held the truth.
        others: verdicts that were given instead, with their counts.
    """

    plant: Plant
    repeats: int
    share: Interval
    coverage: Mapping[str, Interval]
    others: Mapping[str, int]

    @property
    def holds(self) -> bool:
        """Whether the share is what the plant's role asks, by its confidence limit."""
        if self.plant.role == "null":
            return self.share.high <= MOST_FALSE
        return self.share.low >= (LEAST_POWER if self.plant.role == "power" else LEAST_RIGHT)

    def covered(self, name: str) -> bool:
        """Whether a finding's coverage is compatible with .93 to .97: its interval meets that range."""
        share = self.coverage[name]
        return share.high >= LEAST_COVERAGE and share.low <= MOST_COVERAGE


#: Plants by probe: "module:NAME" of a tuple, or of a function without arguments that returns one.
PLANTS: Registry[Sequence[Plant] | Callable[[], Sequence[Plant]]] = Registry(
    "probe with organisms",
    {"floors": "probes.organisms.floors:plants", "transmission": "probes.organisms.transmission:plants"},
)


def plants(probe: str) -> tuple[Plant, ...]:
    """The plants of a probe.

    Raises:
        UnknownNameError: a probe that has none.
    """
    found = PLANTS.get(probe)
    return tuple(found() if callable(found) else found)


def validate(
    probe: str,
    repeats: int = 1000,
    first: int = 0,
    only: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Score]:
    """Count over repeats, one score per plant; the repeats' seeds are first … first + repeats − 1.

    Args:
        probe: name.
        repeats: how many of each plant.
        first: the first repeat's seed.
        only: names of plants; all by default.
        progress: called as progress(done, total), in plants.

    Raises:
        UnknownNameError: an unknown probe.
        ProbeError: fewer than one repeat, or an unknown plant.
    """
    if repeats < 1:
        raise ProbeError("no repeats", found=repeats, mend="give 1 or more; 1,000 for the published table")
    known = plants(probe)
    if only is not None:
        unknown = sorted(set(only) - {plant.name for plant in known})
        if unknown:
            names = ", ".join(plant.name for plant in known)
            raise ProbeError("unknown organism", found=unknown[0], mend=f"those of {probe} are {names}")
        known = tuple(plant for plant in known if plant.name in only)
    scores = []
    for done, plant in enumerate(known):
        scores.append(_score(plant, repeats, first))
        if progress is not None:
            progress(done + 1, len(known))
    return scores


def _score(plant: Plant, repeats: int, first: int) -> Score:
    made, others = 0, dict[str, int]()
    inside: dict[str, list[bool]] = {}
    for repeat in range(first, first + repeats):
        outcome = plant.repeat(repeat)
        if outcome.verdict in plant.claims:
            made += 1
        else:
            others[outcome.verdict] = others.get(outcome.verdict, 0) + 1
        for name, (interval, truth) in outcome.intervals.items():
            inside.setdefault(name, []).append(bool(interval.low <= truth <= interval.high))
    coverage = {name: binomial_interval(sum(held), len(held)) for name, held in inside.items()}
    return Score(plant, repeats, binomial_interval(made, repeats), coverage, others)


def to_pandas(scores: Sequence[Score]) -> pd.DataFrame:
    """One row per plant: role, claim, share with limits, whether it holds, what was said instead."""
    import pandas as pd

    rows = [
        {
            "organism": score.plant.name,
            "role": score.plant.role,
            "claim": " or ".join(score.plant.claims),
            "share": score.share.estimate,
            "low": score.share.low,
            "high": score.share.high,
            "holds": score.holds,
            "instead": ", ".join(f"{name} {count}" for name, count in sorted(score.others.items())),
        }
        for score in scores
    ]
    return pd.DataFrame(rows)
