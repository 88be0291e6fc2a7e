"""What stands on the page: plain tables for the template, gathered from the results."""

from __future__ import annotations

import itertools
import re
import shlex
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from probes.presentation import number
from worldnets.errors import WorldnetsError

if TYPE_CHECKING:
    from probes.cells import Condition
    from probes.presentation import Shown, Table
    from probes.results import Concluded, Results
    from probes.validity import Score
    from worldnets.dataset import Dataset


#: The probe whose places in the page are named by the condition's title alone; others add their name.
FIRST = "depth"

#: Sign and colour class of a verdict that its probe gives none, such as "missing".
OTHER = ("•", "open")


def context(results: Results) -> dict[str, Any]:
    """Everything the template names."""
    suite = results.store.suite
    conclude = {name: table.conclude for name, table in suite.probes.items()}
    alpha = float(next((table["alpha"] for table in conclude.values() if "alpha" in table), 0.05))
    level = f"{1 - alpha:.0%}".replace("%", " %")
    manifest = results.store.manifest
    return {
        "title": suite.suite.title or suite.name,
        "suite": suite.name,
        "questions": [Markup(presentation.question) for presentation in results.presentations.values()],
        "readings": [Markup(presentation.reading) for presentation in results.presentations.values()],
        "counts": _counts(results),
        "tables": [_verdicts(results, name, level) for name in results.presentations],
        "organisms": [_organisms(probe, scores) for probe, scores in results.scores.items()],
        "problems": results.failures.to_dict("records"),
        "cells": sum(len(one.condition.cells) for one in results.concluded) + len(results.store.organisms),
        "worlds": [_world(results, label, group) for label, group in _by_world(results.concluded)],
        "command": _command(results),
        "toml": suite.to_toml(),
        "created": manifest.get("created", "an unknown day"),
        "versions": sorted(manifest["versions"].items()),
        "history": manifest.get("history", []),
    }


def _command(results: Results) -> str:
    """The command as one would type it in the folder above the run directory: where that is does not matter."""
    return f"probes run {shlex.quote(results.store.suite.name)} --out {shlex.quote(results.path.name or '.')}"


def identifier(*parts: object) -> str:
    """An HTML id: letters, digits and dashes; different parts keep different ids as far as people name things."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(str(part) for part in parts).lower()).strip("-") or "part"


def interval(estimate: float | None, low: float | None, high: float | None, digits: int = 2) -> dict[str, str]:
    """The estimate and, apart from it, its limits in brackets."""
    text = number(estimate, digits)
    limits = "" if text == "–" or low == high else f"[{number(low, digits)}, {number(high, digits)}]"
    return {"text": text, "limits": limits}


def _counts(results: Results) -> list[dict[str, Any]]:
    counted = Counter(zip(map(str, results.verdicts["verdict"]), map(str, results.verdicts["probe"]), strict=True))
    return [
        {"verdict": verdict, "count": count, **_mark(results, verdict, probe)}
        for (verdict, probe), count in counted.most_common()
    ]


def _mark(results: Results, verdict: str, probe: str) -> dict[str, str]:
    mark, kind = results.presentations[probe].signs.get(verdict, OTHER)
    return {"mark": mark, "kind": "bad" if verdict == "missing" else kind}


def _verdicts(results: Results, probe: str, level: str) -> dict[str, Any]:
    """The verdict table of one probe."""
    presentation = results.presentations[probe]
    rows, previous = [], None
    for row in results.verdicts.to_dict("records"):
        if row["probe"] != probe:
            continue
        block = (row["world"], row["objective"])
        missing = row["verdict"] == "missing"
        rows.append(
            {
                **{name: row[name] for name in ("world", "objective", "target", "head", "inputs", "verdict")},
                **_mark(results, str(row["verdict"]), probe),
                "first": previous is not None and previous != block,
                "anchor": _anchor(row["title"], probe),
                "numbers": [_field(shown) for shown in presentation.shown(row)],
                "p": _p(row["p"]),
                "holm": {True: "survives", False: "no"}.get(row["survives_holm"], "–"),
                "seeds": "–" if missing else _seeds(row),
            }
        )
        previous = block
    caption = Markup(presentation.caption.replace("{level}", level))
    return {"probe": probe, "caption": caption, "titles": presentation.titles, "rows": rows}


#: Sign and colour class of what is found of an organism.
HOLDS = {"yes": ("✓", "deep"), "open": ("•", "open"), "no": ("✗", "bad")}


def _organisms(probe: str, scores: Iterable[Score]) -> dict[str, Any]:
    """How often a probe said of its planted organisms what is known of them."""
    from probes.validity_page import limited

    rows = []
    for score in scores:
        mark, kind = HOLDS[score.found]
        others = ", ".join(f"{name} {count:,}" for name, count in score.others.items())
        coverage = ", ".join(f"{name} {share.estimate:.2f}" for name, share in score.coverage.items())
        rows.append(
            {
                "name": score.plant.name,
                "about": score.plant.about,
                "role": score.plant.role,
                "claim": " or ".join(score.plant.claims),
                "repeats": f"{score.repeats:,}",
                "share": limited(score.share, upper=score.plant.role == "null"),
                "coverage": coverage or "–",
                "others": others or "–",
                "found": score.found,
                "mark": mark,
                "kind": kind,
            }
        )
    return {"probe": probe, "id": identifier("organisms", probe), "rows": rows}


def _anchor(title: str, probe: str) -> str:
    """Where a condition stands in the page; one title may be measured by several probes."""
    return identifier(title) if probe == FIRST else identifier(title, probe)


def _field(shown: Shown) -> dict[str, str]:
    return {"text": shown.text, "limits": ""} if shown.text else interval(shown.estimate, shown.low, shown.high)


def _p(value: float | None) -> str:
    if number(value) == "–" or value is None:
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _seeds(row: dict[Any, Any]) -> str:
    lost = int(row["diverged"]) if row["diverged"] else 0
    return f"{row['seeds']}" + (f" + {lost} diverged" if lost else "")


def _by_world(concluded: Iterable[Concluded]) -> list[tuple[str, list[Concluded]]]:
    groups: dict[str, list[Concluded]] = {}
    for one in concluded:
        groups.setdefault(one.condition.label, []).append(one)
    return list(groups.items())


def _world(results: Results, label: str, group: list[Concluded]) -> dict[str, Any]:
    first = group[0].condition
    jobs = []
    for objective, members in itertools.groupby(group, key=lambda one: one.condition.objective):
        listed = list(members)
        name = identifier("job", label, objective)
        offered = [
            figure
            for probe, own in _by_probe(listed).items()
            for figure in results.presentations[probe].offered(
                name if probe == FIRST else f"{name}-{probe}", results, own
            )
        ]
        jobs.append(
            {
                "id": name,
                "objective": objective,
                "offered": offered,
                "conditions": [_condition(results, one) for one in listed],
            }
        )
    tables = [
        table
        for probe, own in _by_probe(group).items()
        for table in results.presentations[probe].overview(results, own)
    ]
    return {
        "id": identifier("world", label),
        "label": label,
        "parameters": sorted((name, repr(value)) for name, value in first.world.get("parameters", {}).items()),
        "notes": results.notes.get(label, ()),
        "overview": [_overview(table) for table in tables],
        "jobs": jobs,
        **_picture(first),
    }


def _by_probe(group: Iterable[Concluded]) -> dict[str, list[Concluded]]:
    groups: dict[str, list[Concluded]] = {}
    for one in group:
        groups.setdefault(str(one.condition.probe["name"]), []).append(one)
    return groups


def _overview(table: Table) -> dict[str, Any]:
    rows = [{"name": name, "fields": [_field(shown) for shown in fields]} for name, fields in table.rows]
    return {"caption": table.caption, "head": table.head, "rows": rows}


def _picture(condition: Condition) -> dict[str, Any]:
    """The net drawn; where the world cannot be loaded on this machine, why."""
    from worldnets.dataset import load_dataset

    absent = {"title": "", "picture": "", "size": "", "legend": ""}
    try:
        dataset = load_dataset(**condition.source)
        if dataset.digest != condition.world["digest"]:
            return {**absent, "problem": "the dataset of that name here is another one than the run's"}
    except WorldnetsError as error:
        return {**absent, "problem": str(error)}
    size = f"{len(dataset.net.variables)} variables"
    return {"title": dataset.title, "picture": _drawing(dataset, condition), "size": size, "legend": "", "problem": ""}


def _drawing(dataset: Dataset, condition: Condition) -> Markup:
    from worldnets.draw import draw_net, svg
    from worldnets.objectives import REGISTRY as OBJECTIVES

    name = identifier("net", condition.label)
    task = OBJECTIVES.get(condition.objective).task(dataset)
    groups = {
        "evidence": task.evidence,
        "target": tuple(v for target in task.targets for v in target.variables),
        "latent": tuple(v for v in task.latents),
    }
    picture = svg(draw_net(dataset.net, groups=groups), f"The net of {condition.label}")
    picture = re.sub(r'\bid="', f'id="{name}-', picture)
    picture = picture.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    if width := re.search(r'\swidth="([\d.]+)pt"', picture):
        natural = f"{float(width[1]) * 4 / 3:.0f}px"
        style = f'<svg style="width: 100%; height: auto; max-width: {natural}; min-width: min({natural}, 56rem)"'
        picture = picture.replace("<svg", style, 1)
    return Markup(picture)


def _condition(results: Results, one: Concluded) -> dict[str, Any]:
    title, probe, conclusion = one.condition.title, str(one.condition.probe["name"]), one.conclusion
    targets = []
    if conclusion is not None:
        measured = results.measured(one.condition)
        for target, verdict in conclusion.verdicts.items():
            found = [finding for finding in conclusion if finding.target in ("", target)]
            step = max((finding.step for finding in found if finding.step is not None), default=0)
            name = identifier(title, target) if probe == FIRST else identifier(title, probe, target)
            targets.append(
                {
                    "target": target,
                    "verdict": verdict.name,
                    **_mark(results, verdict.name, probe),
                    "reasons": verdict.reasons,
                    "step": f"{step:,}",
                    "findings": [_finding(finding) for finding in found if finding.step in (None, step)],
                    "figures": results.presentations[probe].figures(name, one, measured, target),
                }
            )
    several = len(results.presentations) > 1
    heading = f"{title} · {probe}" if several else title
    return {"id": _anchor(title, probe), "title": heading, "problem": one.problem, "targets": targets}


def _finding(finding: Any) -> dict[str, Any]:
    value = finding.value
    return {
        "name": finding.name,
        "rung": "" if finding.rung is None else finding.rung,
        "value": interval(value.estimate, value.low, value.high, 3),
        "unit": finding.unit,
        "kind": value.kind if value.kind == "exact" else f"{value.kind}, {value.level:.0%}, n = {value.n}",
        "note": finding.note,
    }
