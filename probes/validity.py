"""How a probe earns trust: what is planted must be found, what is not must not be (theory, section 16).

A probe's *plants* are organisms brought to its own road from measurements to verdict, cheap enough for a thousand
repeats. `validate` counts; the command `probes validate` prints, and writes docs/validity.md (`probes.validity_page`).
A repeat is a function of its seed alone, so that counts depend neither on the number of jobs nor on their order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from probes.statistics import Interval, binomial_interval
from worldnets.errors import ProbeError, did_you_mean
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
        most: repeats at most, where one takes long; None where as many are made as are asked for.
    """

    name: str
    about: str
    role: Role
    claim: str | tuple[str, ...]
    repeat: Callable[[int], Outcome]
    most: int | None = None

    def repeats(self, asked: int) -> int:
        """How many are made where so many are asked for."""
        return asked if self.most is None else min(asked, self.most)

    @property
    def claims(self) -> tuple[str, ...]:
        """The verdicts that count."""
        return (self.claim,) if isinstance(self.claim, str) else self.claim


@dataclass(frozen=True)
class Tally:
    """Counts over some repeats of one plant; those of different repeats add up.

    Attributes:
        verdicts: how often each was given.
        held, asked: for each finding of known truth, how many intervals held it, and of how many.
    """

    verdicts: Mapping[str, int]
    held: Mapping[str, int]
    asked: Mapping[str, int]

    def __add__(self, other: Tally) -> Tally:
        pairs = zip((self.verdicts, self.held, self.asked), (other.verdicts, other.held, other.asked), strict=True)
        return Tally(*(dict(Counter(one) + Counter(another)) for one, another in pairs))


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
    def limit(self) -> float:
        """What the share must reach, or, of a null, must not exceed."""
        return {"right": LEAST_RIGHT, "power": LEAST_POWER, "null": MOST_FALSE}[self.plant.role]

    @property
    def holds(self) -> bool:
        """Whether the share is what the plant's role asks, by its confidence limit."""
        return self.share.high <= self.limit if self.plant.role == "null" else self.share.low >= self.limit

    def covered(self, name: str) -> bool:
        """Whether a finding's coverage is compatible with .93 to .97: its interval meets that range."""
        share = self.coverage[name]
        return share.high >= LEAST_COVERAGE and share.low <= MOST_COVERAGE

    @property
    def passed(self) -> bool:
        """Whether the share holds and every coverage does."""
        return self.holds and all(map(self.covered, self.coverage))

    @property
    def found(self) -> str:
        """In a word: "yes", "no" where something is refuted, "open" where there are too few repeats to say."""
        return "yes" if self.passed else "no" if self.refuted() else "open"

    def refuted(self, level: float = 0.99) -> list[str]:
        """What these repeats alone rule out at that level: "claim" and names of findings; empty where nothing.

        The test for few repeats, with which a limit cannot be met even where all goes well: the claim is refuted when
        the exact binomial interval of its share lies on the wrong side of what its role asks, a coverage when its
        interval lies outside .93 to .97.
        """
        made = round(self.share.estimate * self.repeats)
        share = binomial_interval(made, self.repeats, level)
        wrong = share.low > self.limit if self.plant.role == "null" else share.high < self.limit
        refuted = ["claim"] if wrong else []
        for name, covered in self.coverage.items():
            found = binomial_interval(round(covered.estimate * covered.n), covered.n, level)
            if found.high < LEAST_COVERAGE or found.low > MOST_COVERAGE:
                refuted.append(name)
        return refuted


#: Plants by probe: "module:NAME" of a tuple, or of a function without arguments that returns one.
PLANTS: Registry[Sequence[Plant] | Callable[[], Sequence[Plant]]] = Registry(
    "probe with organisms",
    {
        "agency": "probes.organisms.agency:plants",
        "capacity": "probes.organisms.capacity:plants",
        "complexity": "probes.organisms.complexity:plants",
        "crowding": "probes.organisms.crowding:plants",
        "depth": "probes.organisms.depth:plants",
        "derivation": "probes.organisms.derivation:plants",
        "early": "probes.organisms.early:plants",
        "fingerprint": "probes.organisms.fingerprint:plants",
        "floors": "probes.organisms.floors:plants",
        "goodhart": "probes.organisms.goodhart:plants",
        "modularity": "probes.organisms.modularity:plants",
        "optimizer": "probes.organisms.optimizer:plants",
        "order": "probes.organisms.order:plants",
        "path": "probes.organisms.path:plants",
        "priors": "probes.organisms.priors:plants",
        "purity": "probes.organisms.purity:plants",
        "reporter": "probes.organisms.reporter:plants",
        "steering": "probes.organisms.steering:plants",
        "transmission": "probes.organisms.transmission:plants",
    },
    group="probes.organisms",
)


def plants(probe: str) -> tuple[Plant, ...]:
    """The plants of a probe.

    Raises:
        UnknownNameError: a probe that has none.
        ProbeError: two plants of one name.
    """
    found = PLANTS.get(probe)
    known = tuple(found() if callable(found) else found)
    twice = [name for name, count in Counter(plant.name for plant in known).items() if count > 1]
    if twice:
        raise ProbeError("two organisms of one name", node=probe, found=twice[0], mend="rename one of them")
    return known


def chosen(probes: Sequence[str] | None = None, only: Sequence[str] | None = None) -> dict[str, tuple[Plant, ...]]:
    """The plants of some probes, all by default; those of the names in `only`, where it is given.

    Raises:
        UnknownNameError: an unknown probe.
        ProbeError: a name in `only` that none of these probes has.
    """
    known = {name: plants(name) for name in dict.fromkeys(PLANTS.names() if probes is None else probes)}
    if only is None:
        return known
    names = [plant.name for own in known.values() for plant in own]
    for name in only:
        if name not in names:
            raise ProbeError("unknown organism", found=repr(name), mend=did_you_mean(name, names))
    kept = {probe: tuple(plant for plant in own if plant.name in only) for probe, own in known.items()}
    return {probe: own for probe, own in kept.items() if own}


def validate(
    probe: str,
    repeats: int = 1000,
    first: int = 0,
    only: Sequence[str] | None = None,
    finished: Callable[[str, Score], None] | None = None,
    jobs: int = 1,
) -> list[Score]:
    """Count over repeats, one score per plant of one probe; see `validate_all`."""
    return validate_all([probe], repeats, first, only, finished, jobs)[probe]


def validate_all(
    probes: Sequence[str] | None = None,
    repeats: int = 1000,
    first: int = 0,
    only: Sequence[str] | None = None,
    finished: Callable[[str, Score], None] | None = None,
    jobs: int = 1,
) -> dict[str, list[Score]]:
    """Count over repeats, one score per plant; the repeats' seeds are first … first + repeats − 1.

    Args:
        probes: names; every probe with plants by default.
        repeats: how many of each plant.
        first: the first repeat's seed.
        only: names of plants; all by default.
        finished: called as finished(probe, score) when a plant has been counted, in the order of the work.
        jobs: worker processes; the counts do not depend on it.

    Raises:
        UnknownNameError: an unknown probe.
        ProbeError: fewer than one repeat, or an unknown plant.
    """
    if repeats < 1 or first < 0 or jobs < 1:
        found = f"{repeats} repeats from seed {first}, {jobs} jobs"
        raise ProbeError("nothing to count", found=found, mend="1,000 repeats from seed 0 make the published table")
    asked = chosen(probes, only)
    share = repeats if jobs == 1 else max(LEAST_CHUNK, -(-repeats // jobs))
    work = []
    for probe, own in asked.items():
        for plant in own:
            end = first + plant.repeats(repeats)
            work += [Work(probe, plant.name, start, min(share, end - start)) for start in range(first, end, share)]
    tallies: dict[tuple[str, str], Tally] = {}
    left = Counter((item.probe, item.plant) for item in work)
    scores: dict[tuple[str, str], Score] = {}
    by_name = {(probe, plant.name): plant for probe, own in asked.items() for plant in own}
    for item, tally in _counted(work, jobs):
        key = (item.probe, item.plant)
        tallies[key] = tallies[key] + tally if key in tallies else tally
        left[key] -= 1
        if not left[key]:
            scores[key] = scored(by_name[key], tallies[key])
            if finished is not None:
                finished(item.probe, scores[key])
    return {probe: [scores[probe, plant.name] for plant in own] for probe, own in asked.items()}


LEAST_CHUNK = 50  # repeats that are handed to a worker at once: what plants prepare they prepare in every worker


class Work(NamedTuple):
    """Some repeats of one plant, by name: what a worker process is told."""

    probe: str
    plant: str
    first: int
    repeats: int


def count(work: Work) -> Tally:
    """Repeat, and count what came out."""
    plant = next(plant for plant in plants(work.probe) if plant.name == work.plant)
    return tally(plant, range(work.first, work.first + work.repeats))


def tally(plant: Plant, seeds: Iterable[int]) -> Tally:
    """The counts of one plant over these repeats."""
    verdicts, held, asked = defaultdict[str, int](int), defaultdict[str, int](int), defaultdict[str, int](int)
    for seed in seeds:
        outcome = plant.repeat(seed)
        verdicts[outcome.verdict] += 1
        for name, (interval, truth) in outcome.intervals.items():
            asked[name] += 1
            held[name] += bool(interval.low <= truth <= interval.high)
    return Tally(dict(verdicts), dict(held), dict(asked))


def scored(plant: Plant, counts: Tally) -> Score:
    """A plant's score from its counts."""
    repeats = sum(counts.verdicts.values())
    made = sum(counts.verdicts.get(name, 0) for name in plant.claims)
    others = {name: times for name, times in sorted(counts.verdicts.items()) if name not in plant.claims}
    coverage = {name: binomial_interval(counts.held.get(name, 0), asked) for name, asked in counts.asked.items()}
    return Score(plant, repeats, binomial_interval(made, repeats), coverage, others)


def _counted(work: Sequence[Work], jobs: int) -> Iterator[tuple[Work, Tally]]:
    if jobs == 1:
        yield from ((item, count(item)) for item in work)
        return
    from concurrent.futures import as_completed

    from probes.backend import Processes

    with Processes(jobs).workers(len(work)) as executor:
        asked = {executor.submit(count, item): item for item in work}
        for future in as_completed(asked):
            yield asked[future], future.result()


def to_pandas(scores: Sequence[Score]) -> pd.DataFrame:
    """One row per plant: role, claim, share with limits, whether it holds, what was said instead."""
    import pandas as pd

    return pd.DataFrame([row(score) for score in scores])


def row(score: Score) -> dict[str, object]:
    """A score as plain values."""
    coverage = {
        name: {"share": share.estimate, "low": share.low, "high": share.high, "holds": score.covered(name)}
        for name, share in score.coverage.items()
    }
    return {
        "organism": score.plant.name,
        "about": score.plant.about,
        "role": score.plant.role,
        "claim": " or ".join(score.plant.claims),
        "repeats": score.repeats,
        "share": score.share.estimate,
        "low": score.share.low,
        "high": score.share.high,
        "holds": score.holds,
        "instead": ", ".join(f"{name} {count}" for name, count in sorted(score.others.items())),
        "coverage": coverage,
    }
