"""Conformance of a dataset: does it keep the promises that training and probes rely on?"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from worldnets.dataset import Dataset, load_dataset
from worldnets.episodes import PARTS
from worldnets.errors import WorldnetsError
from worldnets.roles import outcome_index, role_checks

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.episodes import RealClips


@dataclass(frozen=True)
class CheckResult:
    """One line of a conformance report."""

    name: str
    ok: bool
    message: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'} {self.name}: {self.message}" + ("" if self.ok else f" ({self.mend})")

    def __repr__(self) -> str:
        return f"CheckResult({str(self)!r})"

    def _repr_html_(self) -> str:
        return Checks([self])._repr_html_()


class Checks(list[CheckResult]):
    """A conformance report: its lines, and whether all of them are ok."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(result.ok for result in self)

    def to_pandas(self) -> pd.DataFrame:
        """One row per check: name, ok, message, mend."""
        import pandas as pd

        return pd.DataFrame([asdict(result) for result in self], columns=["name", "ok", "message", "mend"])

    def __str__(self) -> str:
        return "\n".join(map(str, self))

    def __repr__(self) -> str:
        failed = [result.name for result in self if not result.ok]
        return f"Checks({len(self) - len(failed)} ok{f', {len(failed)} failed: ' if failed else ''}{', '.join(failed)})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        rows = [("ok" if r.ok else "FAIL", r.name, r.message, r.mend) for r in self]
        failed = sum(not result.ok for result in self)
        said = f"{failed} of {len(self)} checks failed" if failed else f"{len(self)} checks, nothing wrong"
        return card(said, None, table(("", "check", "what was seen", "how to mend it"), rows, most=100))


def check_dataset(dataset: Dataset, rows: int = 200, seed: int = 0) -> Checks:
    """Does a dataset keep the promises that training and probes rely on? Structured results, failures included.

    Checks each task's roles and ladders, that clips can be drawn and a clip does not depend on how many are drawn with
    it, that targets vary, and that `spec` rebuilds the same dataset. Of real clips also that every part has some, that
    training clips show every state, and which learned world-model is the reference. How much information the evidence
    carries is a measurement and belongs to probes.
    """
    results = Checks()
    for task in dataset.world.tasks.values():
        for name, passed, message, mend in role_checks(task):
            results.append(_result(f"{task.objective}: {name}", passed, "as it should be" if passed else message, mend))
    results += [_samples(dataset, rows, seed), _varies(dataset, rows, seed), _rebuilds(dataset)]
    if dataset.episodes is not None:
        results += [_split(dataset.episodes), _seen(dataset.episodes), _reference(dataset)]
    return results


def _result(name: str, passed: bool, message: str, mend: str) -> CheckResult:
    return CheckResult(name, passed, message, "" if passed else mend)


def _samples(dataset: Dataset, rows: int, seed: int) -> CheckResult:
    codes = dataset.simulate(rows, seed)
    name, mend = "clips are drawn", "make simulate's row depend on (seed, first + i) only"
    known = np.array([v not in dataset.unknown for v in dataset.net.variables])
    complete = bool(np.all((codes >= 0) & (codes < dataset.net.cardinalities), where=known))
    again = dataset.simulate(rows - rows // 2, seed, first=rows // 2)
    if not complete:
        return CheckResult(name, False, "a drawn clip has an unobserved or unknown state", mend)
    same = np.array_equal(codes[rows // 2 :], again)
    message = f"{rows} clips, each the same whatever is drawn with it" if same else "a clip depends on the others"
    return _result(name, same, message, mend)


def _varies(dataset: Dataset, rows: int, seed: int) -> CheckResult:
    codes = dataset.simulate(rows, seed)
    constant = [
        f"{task.objective}/{target.name}"
        for task in dataset.world.tasks.values()
        for target in task.targets
        if len(np.unique(outcome_index(codes, dataset.net, target))) < 2
    ]
    message = f"constant in {rows} clips: {constant}" if constant else "every target takes more than one outcome"
    return _result("targets vary", not constant, message, "choose targets that are not nearly certain beforehand")


def _rebuilds(dataset: Dataset) -> CheckResult:
    name, mend = "spec rebuilds it", "load it by a name or folder instead of building the object in a script"
    if dataset.episodes is not None:
        mend = 'dataset.save("folder") and load_dataset("./folder")'
    try:
        spec: dict[str, Any] = json.loads(json.dumps(dataset.spec))
        same = load_dataset(**spec).digest == dataset.digest
    except WorldnetsError as error:
        return CheckResult(name, False, str(error), mend)
    return _result(name, same, "same tables and tasks" if same else "other tables or tasks come back", mend)


def _split(episodes: RealClips) -> CheckResult:
    counts = {part: episodes.count(part) for part in PARTS}
    message = ", ".join(f"{part} {count}" for part, count in counts.items())
    return _result("clips for every part", all(counts.values()), message, "split with another seed")


def _seen(episodes: RealClips, most: int = 20_000) -> CheckResult:
    layout, codes = episodes.layout, episodes.take("train", most).codes
    never = [
        f"{v}={labels[s]}"
        for column, (v, labels) in zip(codes.T, layout.states.items(), strict=True)
        for s in sorted(set(range(len(labels))) - set(np.unique(column).tolist()))
    ]
    shown = ", ".join(never[:6]) + (", …" if len(never) > 6 else "")
    message = f"never in training: {shown}" if never else f"in {len(codes)} training clips every state occurs"
    return _result("states are seen in training", not never, message, "merge rare states, or split with another seed")


def _reference(dataset: Dataset) -> CheckResult:
    candidates = dataset.candidates
    name, mend = "learned reference", "learn it from the episodes: worldnets.from_episodes"
    if candidates is None:
        return CheckResult(name, False, "no record of how the world-model was chosen", mend)
    return CheckResult(name, True, f"{candidates!r}")
