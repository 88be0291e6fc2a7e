"""The part of the page about each world: its net, what it offers, and every condition with its figures and findings."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from probes.report.fields import field, interval
from probes.report.net import net_markup
from probes.report.places import FIRST, OTHER, Ids, Row
from probes.report.spark import sparkline
from worldnets.errors import WorldnetsError

if TYPE_CHECKING:
    from probes.cells import Condition
    from probes.finding import Finding
    from probes.presentation import Table
    from probes.results import Concluded, Results
    from worldnets.dataset import Dataset


def worlds(results: Results, rows: Iterable[Row], ids: Ids) -> Iterator[dict[str, Any]]:
    """One entry for each world, in the suite's order; its conditions are an iterator, made as they are asked for."""
    groups: dict[str, dict[str, Row]] = {}
    for row in rows:
        groups.setdefault(row.one.condition.label, {}).setdefault(row.place, row)
    drawn: dict[Any, Markup] = {}
    for label, places in groups.items():
        yield _world(results, label, list(places.values()), ids, drawn)


def _world(results: Results, label: str, group: list[Row], ids: Ids, drawn: dict[Any, Markup]) -> dict[str, Any]:
    first = group[0].one.condition
    jobs = []
    for objective, members in itertools.groupby(group, key=lambda row: row.one.condition.objective):
        listed = list(members)
        name = ids.new("job", label, objective)
        offered = [
            figure
            for probe, own in _by_probe(row.one for row in listed).items()
            for figure in results.presentations[probe].offered(
                name if probe == FIRST else f"{name}-{probe}", results, own
            )
        ]
        jobs.append(
            {
                "id": name,
                "objective": objective,
                "offered": offered,
                "conditions": (condition(results, row) for row in listed),
            }
        )
    tables = [
        table
        for probe, own in _by_probe(row.one for row in group).items()
        for table in results.presentations[probe].overview(results, own)
    ]
    return {
        "id": ids.new("world", label),
        "label": label,
        "parameters": sorted((name, repr(value)) for name, value in first.world.get("parameters", {}).items()),
        "notes": results.notes.get(label, ()),
        "overview": [_overview(table) for table in tables],
        "jobs": jobs,
        **_picture(first, drawn),
    }


def _by_probe(group: Iterable[Concluded]) -> dict[str, list[Concluded]]:
    groups: dict[str, list[Concluded]] = {}
    for one in group:
        groups.setdefault(str(one.condition.probe["name"]), []).append(one)
    return groups


def _overview(table: Table) -> dict[str, Any]:
    rows = [{"name": name, "fields": [field(shown) for shown in fields]} for name, fields in table.rows]
    return {"caption": table.caption, "head": table.head, "rows": rows}


def _picture(condition: Condition, drawn: dict[Any, Markup]) -> dict[str, Any]:
    """The net drawn; where the world cannot be loaded on this machine, why."""
    from worldnets.dataset import load_dataset

    absent = {"title": "", "picture": "", "size": ""}
    try:
        dataset = load_dataset(**condition.source)
        if dataset.digest != condition.world["digest"]:
            return {**absent, "problem": "the dataset of that name here is another one than the run's"}
    except WorldnetsError as error:
        return {**absent, "problem": str(error)}
    picture = _drawing(dataset, condition, drawn)
    return {
        "title": dataset.title,
        "picture": picture,
        "size": f"{len(dataset.net.variables)} variables",
        "problem": "",
    }


def _drawing(dataset: Dataset, condition: Condition, drawn: dict[Any, Markup]) -> Markup:
    """Worlds that differ in their tables only look the same, and are drawn once."""
    from worldnets.objectives import REGISTRY as OBJECTIVES

    task, net = OBJECTIVES.get(condition.objective).task(dataset), dataset.net
    roles = {
        "evidence": tuple(task.evidence),
        "target": tuple(v for target in task.targets for v in target.variables),
        "latent": tuple(task.latents),
    }
    look = (dataset.title, tuple((v, tuple(net.parents(v))) for v in net.variables), tuple(roles.items()))
    if look not in drawn:
        drawn[look] = net_markup(net, roles, dataset.title or condition.label)
    return drawn[look]


class Measured(Sequence[Mapping[str, Any]]):
    """What a condition's cells hold, read when it is first asked for: most figures are drawn from findings alone."""

    def __init__(self, results: Results, condition: Condition) -> None:
        self._results, self._condition = results, condition

    @functools.cached_property
    def _cells(self) -> list[dict[str, Any]]:
        return self._results.measured(self._condition)

    def __len__(self) -> int:
        return len(self._condition.cells)

    def __getitem__(self, index: Any) -> Any:
        return self._cells[index]


def condition(results: Results, row: Row) -> dict[str, Any]:
    """One condition: for every target its verdict, reasons, figures and findings."""
    one = row.one
    title, probe, conclusion = one.condition.title, row.probe, one.conclusion
    targets = []
    if conclusion is not None:
        measured = Measured(results, one.condition)
        signs = results.presentations[probe].signs
        for target, verdict in conclusion.verdicts.items():
            found = [finding for finding in conclusion if finding.target in ("", target)]
            step = max((finding.step for finding in found if finding.step is not None), default=0)
            mark, kind = signs.get(verdict.name, OTHER)
            targets.append(
                {
                    "target": target,
                    "verdict": verdict.name,
                    "mark": mark,
                    "kind": kind,
                    "reasons": verdict.reasons,
                    "step": f"{step:,}",
                    "findings": list(_findings(found, step)),
                    "figures": results.presentations[probe].figures(f"{row.place}-{target}", one, measured, target),
                }
            )
    several = len(results.presentations) > 1
    return {
        "id": row.place,
        "title": f"{title} · {probe}" if several else title,
        "problem": one.problem if conclusion is None else "",
        "link": row.link,
        "targets": targets,
    }


def _findings(found: Iterable[Finding], step: int) -> Iterator[dict[str, Any]]:
    """Each finding at the last step, with its course over training where it has one."""
    courses: dict[tuple[str, int | None], list[Finding]] = {}
    for finding in found:
        if finding.step is not None:
            courses.setdefault((finding.name, finding.rung), []).append(finding)
    for finding in found:
        if finding.step not in (None, step):
            continue
        value = finding.value
        course = courses.get((finding.name, finding.rung), ()) if finding.step is not None else ()
        yield {
            "name": finding.name,
            "rung": "" if finding.rung is None else finding.rung,
            "value": interval(value.estimate, value.low, value.high, 3),
            "unit": finding.unit,
            "kind": value.kind if value.kind == "exact" else f"{value.kind}, {value.level:.0%}, n = {value.n}",
            "note": finding.note,
            "course": sparkline([one.value for one in course]),
        }
