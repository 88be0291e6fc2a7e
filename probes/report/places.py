"""Where things stand in the page: ids that are unique whatever people name things, and what each condition came to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from probes.results import Concluded, Results

#: The probe whose places in the page are named by the condition's title alone; others add their name.
FIRST = "depth"

#: What is said where there is no verdict: sign and colour class.
ABSENT = {"failed": ("✗", "bad"), "missing": ("∅", "bad"), "no verdict": ("!", "bad")}

#: Sign and colour class of a verdict that its probe gives none.
OTHER = ("•", "open")


def identifier(*parts: object) -> str:
    """An HTML id: letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(str(part) for part in parts).lower()).strip("-") or "part"


class Ids:
    """Ids of one page: one that is taken gets a number, so that names which differ in signs alone stay apart."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self._taken = set(taken)

    def new(self, *parts: object) -> str:
        """An id that no other thing has."""
        wanted = identifier(*parts)
        found, count = wanted, 1
        while found in self._taken:
            count += 1
            found = f"{wanted}-{count}"
        self._taken.add(found)
        return found


class Row(NamedTuple):
    """One verdict of one condition, or that there is none.

    Attributes:
        one: the condition and its conclusion.
        values: its row of `Results.verdicts`.
        verdict: the word that is shown.
        mark, kind: its sign and colour class.
        place: id of the condition's section.
        link: where a reader goes from here: that section, or what went wrong.
    """

    one: Concluded
    values: Mapping[Any, Any]
    verdict: str
    mark: str
    kind: str
    place: str
    link: str

    @property
    def probe(self) -> str:
        """Whose verdict it is."""
        return str(self.one.condition.probe["name"])


class Problem(NamedTuple):
    """Cells that are not there for one reason.

    Attributes:
        id: its place.
        state: "failed", "no conclusion" or "missing".
        error, traceback: "" where nothing was said.
        cells: names.
    """

    id: str
    state: str
    error: str
    traceback: str
    cells: list[str]


def problems(results: Results) -> tuple[list[Problem], dict[int, str]]:
    """What is not there, cells with one reason together, failures first; and the place of each condition's reason."""
    groups: dict[tuple[str, str, str], Problem] = {}
    said: dict[int, tuple[str, str, str]] = {}
    waiting = _without(results)
    for row in results.failures.to_dict("records"):
        reason = (str(row["state"]), str(row["error"]), str(row["traceback"]))
        groups.setdefault(reason, Problem("", *reason, [])).cells.append(str(row["cell"]))
        number = next(waiting, None)
        if number is not None:
            said.setdefault(number, reason)
    order = {"failed": 0, "no conclusion": 1, "missing": 2}
    listed = sorted(groups.items(), key=lambda item: order.get(item[0][0], 3))
    ids = {reason: f"problem-{k}" for k, (reason, _) in enumerate(listed, 1)}
    return [group._replace(id=ids[reason]) for reason, group in listed], {k: ids[why] for k, why in said.items()}


def _without(results: Results) -> Iterator[int]:
    """For each row of `Results.failures` that is about a condition, the condition's number; organisms come after."""
    for number, one in enumerate(results.concluded):
        if one.conclusion is None:
            yield from [number] * (one.missing or 1)


def rows(results: Results, reasons: Mapping[int, str], ids: Ids) -> list[Row]:
    """Every row of the verdict table with its place in the page."""
    answer = []
    records = iter(results.verdicts.to_dict("records"))
    for number, one in enumerate(results.concluded):
        probe = str(one.condition.probe["name"])
        place = ids.new(one.condition.title) if probe == FIRST else ids.new(one.condition.title, probe)
        if one.conclusion is None:
            state = "no verdict" if not one.missing else "failed" if "failed" in one.problem else "missing"
            link = reasons.get(number, "problems")
            answer.append(Row(one, next(records), state, *ABSENT[state], place, link))
            continue
        signs = results.presentations[probe].signs
        for _ in one.conclusion.verdicts:
            values = next(records)
            verdict = str(values["verdict"])
            answer.append(Row(one, values, verdict, *signs.get(verdict, OTHER), place, place))
    return answer
