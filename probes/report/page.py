"""What stands on the page before and after the worlds: plain tables for the template, gathered from the results."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from probes.report.fields import field, p_value
from probes.report.matrix import matrices
from probes.report.places import Ids, Problem, Row, identifier, problems, rows
from probes.report.worlds import worlds

if TYPE_CHECKING:
    from probes.results import Results
    from probes.validity import Score

#: Ids of the page's own parts, which no name of a world or a condition may take.
OWN = ("verdicts", "problems", "numbers", "organisms", "worlds", "how", "after-matrix", "filter")


def context(results: Results) -> dict[str, Any]:
    """Everything the template names."""
    suite = results.store.suite
    conclude = {name: table.conclude for name, table in suite.probes.items()}
    alpha = float(next((table["alpha"] for table in conclude.values() if "alpha" in table), 0.05))
    level = f"{1 - alpha:.0%}".replace("%", " %")
    manifest = results.store.manifest
    absent, reasons = problems(results)
    names = list(results.presentations)
    ids = Ids((*OWN, *(one.id for one in absent), *(_part(name) for name in names), *map(_planted, results.scores)))
    found = rows(results, reasons, ids)
    return {
        "title": suite.suite.title or suite.name,
        "suite": suite.name,
        "facts": _facts(results, found),
        "matrices": matrices(found),
        "parts": {name: _part(name) for name in names},
        "tables": [_verdicts(results, name, level, [row for row in found if row.probe == name]) for name in names],
        "organisms": [_organisms(probe, scores) for probe, scores in results.scores.items()],
        "problems": absent,
        "absent": _counted(absent),
        "cells": sum(len(one.condition.cells) for one in results.concluded) + len(results.store.organisms),
        "worlds": worlds(results, found, ids),
        "command": _command(results),
        "toml": suite.to_toml(),
        "created": manifest.get("created", "an unknown day"),
        "versions": sorted(manifest["versions"].items()),
        "history": manifest.get("history", []),
    }


def _part(probe: str) -> str:
    return identifier("numbers", probe)


def _planted(probe: str) -> str:
    return identifier("organisms", probe)


def _command(results: Results) -> str:
    """The command as one would type it in the folder above the run directory: where that is does not matter."""
    return f"probes run {shlex.quote(results.store.suite.name)} --out {shlex.quote(results.path.name or '.')}"


def _facts(results: Results, found: Sequence[Row]) -> str:
    """What the run is made of, in one line."""
    counts = (
        (len({row.one.condition.label for row in found}), "world"),
        (len({str(row.values["head"]) for row in found}), "head"),
        (len(results.presentations), "probe"),
        (len(results.concluded), "condition"),
        (sum(row.one.conclusion is not None for row in found), "verdict"),
    )
    return ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in counts)


def _counted(absent: Iterable[Problem]) -> str:
    """How many cells are not there, by what became of them."""
    counts: Counter[str] = Counter()
    for problem in absent:
        counts[problem.state] += len(problem.cells)
    words = {"failed": "failed", "missing": "not run yet", "no conclusion": "without a conclusion"}
    return ", ".join(f"{count:,} {words.get(state, state)}" for state, count in counts.items())


#: What a row of a verdict table is about.
NAMES = ("world", "objective", "target", "head", "inputs")


def _verdicts(results: Results, probe: str, level: str, found: Sequence[Row]) -> dict[str, Any]:
    """The verdict table of one probe: its question, its numbers, and how they are read."""
    presentation = results.presentations[probe]
    told = {name: dict.fromkeys(str(row.values[name]) for row in found) for name in NAMES}
    # What is the same in every row stands in the caption: tables are wide enough with their numbers.
    names = ["world", *(name for name in NAMES[1:] if len(told[name]) > 1)]
    same = [f"{name} {next(iter(told[name]))}" for name in NAMES if name not in names and any(told[name])]
    lines, previous = [], None
    for row in found:
        values = row.values
        absent = row.one.conclusion is None
        lines.append(
            {
                "names": [str(values[name]) for name in names],
                "verdict": row.verdict,
                "mark": row.mark,
                "kind": row.kind,
                "link": row.link,
                "first": previous not in (None, values["world"]) and len(told["world"]) < len(found),
                "numbers": [field(shown) for shown in presentation.shown(values)],
                "p": p_value(values["p"]),
                "holm": {True: "survives", False: "no"}.get(values["survives_holm"], "–"),
                "seeds": "–" if absent else _seeds(values),
            }
        )
        previous = values["world"]
    counted = Counter((row.verdict, row.mark, row.kind) for row in found)
    return {
        "probe": probe,
        "id": _part(probe),
        "question": Markup(presentation.question),
        "counts": [{"count": n, "verdict": v, "mark": m, "kind": k} for (v, m, k), n in counted.most_common()],
        "caption": Markup(presentation.caption.replace("{level}", level)),
        "names": [name.capitalize() for name in names],
        "same": ", ".join(same),
        "reading": Markup(presentation.reading),
        "titles": presentation.titles,
        "rows": lines,
    }


def _seeds(row: Any) -> str:
    lost = int(row["diverged"]) if row["diverged"] else 0
    return f"{row['seeds']}" + (f" + {lost} diverged" if lost else "")


#: Sign and colour class of what is found of an organism.
HOLDS = {"yes": ("✓", "deep"), "open": ("•", "open"), "no": ("✗", "bad")}


def _organisms(probe: str, scores: Iterable[Score]) -> dict[str, Any]:
    """How often a probe said of its planted organisms what is known of them."""
    from probes.validity_page import limited

    lines = []
    for score in scores:
        mark, kind = HOLDS[score.found]
        others = ", ".join(f"{name} {count:,}" for name, count in score.others.items())
        coverage = ", ".join(f"{name} {share.estimate:.2f}" for name, share in score.coverage.items())
        lines.append(
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
    return {"probe": probe, "id": _planted(probe), "rows": lines}
