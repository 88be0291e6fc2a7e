"""The page of validity, docs/validity.md: written by `probes validate -o FILE` and by nothing else.

Every probe has its own section, with its own seeds and versions: counting one probe again leaves the others' alone.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from probes.statistics import Interval
from probes.validity import LEAST_COVERAGE, LEAST_POWER, LEAST_RIGHT, MOST_COVERAGE, MOST_FALSE, Score
from worldnets.files import write_atomically

PACKAGES = ("worldnets", "numpy", "scipy")
INTRODUCTION = f"""\
# Validity: what each probe says of what was planted

*Written by `probes validate -o docs/validity.md` (`make validity`); what is changed by hand is lost.*

Every probe is asked about organisms whose right answer is known because they were built that way, by its own road from
measurements to verdict, again and again with other random numbers. A figure counts by its exact binomial 95 % limit, in
brackets:

| role | the organism | share of repeats in which its claim is made |
|---|---|---|
| right | has the claimed answer by a wide margin | lower limit ≥ {LEAST_RIGHT:.2f} |
| power | has it by the effect that is stated | lower limit ≥ {LEAST_POWER:.2f} |
| null | lies exactly at the edge: the claim is false, or as good as false | upper limit ≤ {MOST_FALSE:.2f} |

Where the truth behind a finding is known as a number, its 95 % intervals must hold it: a coverage is right when its own
interval meets {LEAST_COVERAGE:.2f} to {MOST_COVERAGE:.2f}.
"""


def write(path: str | Path, scores: Mapping[str, Sequence[Score]], first: int = 0) -> None:
    """Write the sections of some probes into the page, made where there is none; sections of others stay.

    Args:
        path: the Markdown file.
        scores: by probe.
        first: the first repeat's seed.
    """
    file = Path(path)
    known = _sections(file.read_text(encoding="utf-8")) if file.exists() else {}
    known |= {probe: section(probe, own, first) for probe, own in scores.items()}
    blocks = [f"<!-- {probe}:begin -->\n{known[probe]}\n<!-- {probe}:end -->\n" for probe in sorted(known)]
    everything = table((Counted.of(probe, known[probe]) for probe in sorted(known)), "#{probe}")
    write_atomically(file, "\n".join([INTRODUCTION, f"## All probes\n\n{everything}\n", *blocks]))


def _sections(text: str) -> dict[str, str]:
    found = re.finditer(r"<!-- (\S+):begin -->\n(.*?)\n<!-- \1:end -->", text, flags=re.DOTALL)
    return {match[1]: match[2] for match in found}


@dataclass(frozen=True)
class Counted:
    """What a section of the page comes to.

    Attributes:
        probe: whose.
        planted: organisms that have the claimed answer (roles right and power).
        nulls: those at the edge of a claim.
        least_right: the lowest lower limit of an organism that has its answer by a wide margin; None without any.
        least_power: the same of those that have it by a stated effect.
        most_false: the highest upper limit of a null.
        intervals: how many findings' intervals were held against known numbers.
        failing: claims and coverages that do not hold.
    """

    probe: str
    planted: int
    nulls: int
    least_right: float | None
    least_power: float | None
    most_false: float | None
    intervals: int
    failing: int

    @classmethod
    def of(cls, probe: str, section: str) -> Counted:
        """Read off the tables of one section."""
        limits: dict[str, list[float]] = {"right": [], "power": [], "null": []}
        for role, limit in re.findall(r"\| (right|power|null) \| .*? \| [\d.]+ \([≥≤] ([\d.]+)\) \|", section):
            limits[role].append(float(limit))
        return cls(
            probe,
            len(limits["right"]) + len(limits["power"]),
            len(limits["null"]),
            min(limits["right"], default=None),
            min(limits["power"], default=None),
            max(limits["null"], default=None),
            len(re.findall(r"\| [\d.]+ \[[\d.]+, [\d.]+\] \|", section)),
            section.count(f"| {yes(False)} |"),
        )


def counted(text: str) -> list[Counted]:
    """What each section of the page comes to, in its order."""
    return [Counted.of(probe, section) for probe, section in _sections(text).items()]


def table(probes: Iterable[Counted], link: str) -> str:
    """One row per probe.

    Args:
        probes: what was counted.
        link: where a probe's name leads, with `{probe}` in it.
    """
    header = (
        "probe",
        "planted",
        "called right",
        "with a stated effect",
        "nulls",
        "called wrongly",
        "coverages",
        "fail",
    )
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for one in probes:
        fields = [
            f"[`{one.probe}`]({link.format(probe=one.probe)})",
            str(one.planted),
            _limit("≥", one.least_right),
            _limit("≥", one.least_power),
            str(one.nulls),
            _limit("≤", one.most_false),
            str(one.intervals or "–"),
            str(one.failing or "none"),
        ]
        lines.append(f"| {' | '.join(fields)} |")
    return "\n".join(lines)


def _limit(sign: str, limit: float | None) -> str:
    return "–" if limit is None else f"{sign} {limit:.3f}"


def section(probe: str, scores: Sequence[Score], first: int = 0) -> str:
    """One probe's tables, and how they were made."""
    most = max(score.repeats for score in scores)
    versions = ", ".join(
        [f"Python {platform.python_version()}", *(f"{package} {version(package)}" for package in PACKAGES)]
    )
    lines = [f"## {probe}", "", *_claims(scores)]
    if any(score.coverage for score in scores):
        lines += ["", *_coverage(scores)]
    fewer = {score.repeats for score in scores} - {most}
    but = "".join(f" ({count:,} where it says so)" for count in sorted(fewer))
    return "\n".join([*lines, "", f"{most:,} repeats of each{but}, seeds from {first} on; {versions}."])


def _claims(scores: Sequence[Score]) -> list[str]:
    lines = ["| organism | role | claim | share | holds | said instead |", "|---" * 6 + "|"]
    for score in scores:
        others = sorted(score.others.items(), key=lambda item: (-item[1], item[0]))
        instead = ", ".join(f"{name} {count:,}" for name, count in others)
        claim = " or ".join(score.plant.claims)
        few = f" ({score.repeats:,} repeats)" if score.plant.most is not None else ""
        about = f"**{score.plant.name}**: {_inside(score.plant.about)}{few}"
        share = limited(score.share, upper=score.plant.role == "null")
        lines.append(f"| {about} | {score.plant.role} | {claim} | {share} | {yes(score.holds)} | {instead} |")
    return lines


def _coverage(scores: Sequence[Score]) -> list[str]:
    lines = ["| organism | finding | 95 % intervals that hold the truth | holds |", "|---" * 4 + "|"]
    for score in scores:
        for name, share in score.coverage.items():
            held = f"{share.estimate:.3f} [{share.low:.3f}, {share.high:.3f}]"
            lines.append(f"| {score.plant.name} | {name} | {held} | {yes(score.covered(name))} |")
    return lines


def limited(share: Interval, upper: bool) -> str:
    """A share with the limit that counts: .993 (≥ .986)."""
    return f"{share.estimate:.3f} (≤ {share.high:.3f})" if upper else f"{share.estimate:.3f} (≥ {share.low:.3f})"


def yes(holds: bool) -> str:
    """In words, what does not hold in bold."""
    return "yes" if holds else "**no**"


def _inside(text: str) -> str:
    # What would end a field of a Markdown table.
    return " ".join(text.split()).replace("|", "\\|")
