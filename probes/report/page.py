"""What stands on the page: plain tables for the template, gathered from the results."""

from __future__ import annotations

import itertools
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from probes.report.palette import sign
from worldnets.errors import WorldnetsError

if TYPE_CHECKING:
    from probes.cells import Condition
    from probes.results import Concluded, Results
    from worldnets.dataset import Dataset


def context(results: Results) -> dict[str, Any]:
    """Everything the template names."""
    suite = results.store.suite
    rung_counts: set[int] = set()
    conclude = {name: table.conclude for name, table in suite.probes.items()}
    alpha = float(next((table["alpha"] for table in conclude.values() if "alpha" in table), 0.05))
    manifest = results.store.manifest
    return {
        "title": suite.suite.title or suite.name,
        "suite": suite.name,
        "level": f"{1 - alpha:.0%}".replace("%", " %"),
        "counts": _counts(results),
        "rows": _rows(results),
        "problems": results.failures.to_dict("records"),
        "cells": sum(len(one.condition.cells) for one in results.concluded),
        "worlds": [_world(results, label, group, rung_counts) for label, group in _by_world(results.concluded)],
        "rung_counts": rung_counts,
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


def number(value: float | None, digits: int = 2) -> str:
    """A number with a proper minus sign, or a dash where there is none."""
    if value is None or not isinstance(value, int | float) or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")


def interval(estimate: float | None, low: float | None, high: float | None, digits: int = 2) -> dict[str, str]:
    """The estimate and, apart from it, its limits in brackets."""
    text = number(estimate, digits)
    limits = "" if text == "–" or low == high else f"[{number(low, digits)}, {number(high, digits)}]"
    return {"text": text, "limits": limits}


def _counts(results: Results) -> list[dict[str, Any]]:
    counted = Counter(str(name) for name in results.verdicts["verdict"])
    return [{"verdict": name, "count": count, **_mark(name)} for name, count in counted.most_common()]


def _mark(verdict: str) -> dict[str, str]:
    mark, kind = sign(verdict)
    return {"mark": mark, "kind": "bad" if verdict == "missing" else kind}


def _rows(results: Results) -> list[dict[str, Any]]:
    rows, previous = [], None
    for row in results.verdicts.to_dict("records"):
        block = (row["world"], row["objective"])
        missing = row["verdict"] == "missing"
        rows.append(
            {
                **{name: row[name] for name in ("world", "objective", "target", "head", "inputs", "verdict")},
                **_mark(str(row["verdict"])),
                "first": previous is not None and previous != block,
                "anchor": identifier(row["title"]),
                "efficiency": interval(row["efficiency"], row["efficiency_low"], row["efficiency_high"]),
                "gap": interval(row["gap"], row["gap_low"], row["gap_high"]),
                "bits": "–" if missing else f"{number(row['deep_pie'])} / {number(row['pie'])}",
                "p": _p(row["p"]),
                "holm": {True: "survives", False: "no"}.get(row["survives_holm"], "–"),
                "seeds": "–" if missing else _seeds(row),
            }
        )
        previous = block
    return rows


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


def _world(results: Results, label: str, group: list[Concluded], rung_counts: set[int]) -> dict[str, Any]:
    from probes.report.depth import pies

    first = group[0].condition
    jobs = []
    for objective, members in itertools.groupby(group, key=lambda one: one.condition.objective):
        listed = list(members)
        name = identifier("job", label, objective)
        jobs.append(
            {
                "id": name,
                "objective": objective,
                "pies": pies(name, results, listed, rung_counts),
                "conditions": [_condition(results, one, rung_counts) for one in listed],
            }
        )
    return {
        "id": identifier("world", label),
        "label": label,
        "parameters": sorted((name, repr(value)) for name, value in first.world.get("parameters", {}).items()),
        "jobs": jobs,
        **_picture(first),
    }


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

    name = identifier("net", condition.label)
    task = dataset.task(condition.objective)
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


def _condition(results: Results, one: Concluded, rung_counts: set[int]) -> dict[str, Any]:
    from probes.report.depth import figures

    title, conclusion = one.condition.title, one.conclusion
    targets = []
    if conclusion is not None:
        measured = results.measured(one.condition)
        for target, verdict in conclusion.verdicts.items():
            found = [finding for finding in conclusion if finding.target in ("", target)]
            step = max((finding.step for finding in found if finding.step is not None), default=0)
            targets.append(
                {
                    "target": target,
                    "verdict": verdict.name,
                    **_mark(verdict.name),
                    "reasons": verdict.reasons,
                    "step": f"{step:,}",
                    "findings": [_finding(finding) for finding in found if finding.step in (None, step)],
                    "figures": figures(identifier(title, target), one, measured, target, rung_counts),
                }
            )
    return {"id": identifier(title), "title": title, "problem": one.problem, "targets": targets}


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
