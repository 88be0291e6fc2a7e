"""Suites made of other suites: `[[include]]` takes over their jobs, so that the same cells are asked for.

What determines a cell goes with its job: the included suite's defaults, what its probes measure, its penalties. Labels
get a prefix, for a label is a world in tables and two suites may mean two worlds by one; labels are no part of a cell's
key. Conclusions are drawn once for the whole run, so the margins of a probe must be the same in all suites that name
them, or stand in the one that includes them. So does `primary`; organisms are counted as often as the most asking one
says.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from probes.suite import Include, Job, Settings, Suite, built_in, parse_suite
from probes.suites import suite_names
from worldnets.errors import SuiteError, did_you_mean


def expanded(suite: Suite, file: object = None, folder: Path | None = None, within: tuple[str, ...] = ()) -> Suite:
    """The suite with the jobs of those it includes before its own; the same one where it includes none.

    Args:
        suite: as it stands in its file.
        file: only says where errors are.
        folder: where the files are that it may include.
        within: names of the suites that include it, outermost first.

    Raises:
        SuiteError: no such suite, suites that include each other, or two margins for one probe.
    """
    if not suite.include:
        return suite
    jobs: list[Job] = []
    concluded: dict[str, tuple[dict[str, Any], str]] = {}
    organisms: dict[str, int] = {}
    for number, entry in enumerate(suite.include, 1):
        try:
            other, source = _included(entry, folder, (*within, suite.name))
        except SuiteError as error:
            raise error.at(file=file, node=f"include[{number}]") from None
        jobs += [_taken(job, other, entry) for job in other.jobs]
        for name, settings in other.probes.items():
            margins, before = concluded.setdefault(name, (settings.conclude, source))
            if name not in suite.probes and margins != settings.conclude:
                mend = f"give [probes.{name}.conclude] here: conclusions are drawn once for the whole run"
                raise SuiteError(
                    "two suites conclude differently", file=file, node=name, found=f"{before} and {source}", mend=mend
                )
        for name, repeats in other.organisms.items():
            organisms[name] = max(repeats, organisms.get(name, 0))
    own = {name: Settings(conclude=margins) for name, (margins, _) in concluded.items() if name not in suite.probes}
    change = {
        "include": (),
        "jobs": (*jobs, *suite.jobs),
        "probes": {**own, **suite.probes},
        "organisms": {**organisms, **suite.organisms},
    }
    return suite.model_copy(update=change)


def _included(entry: Include, folder: Path | None, within: tuple[str, ...]) -> tuple[Suite, str]:
    """The suite an entry names, itself expanded, and what to call it."""
    name = entry.suite
    if name.endswith(".toml"):
        if folder is None:
            raise SuiteError("a suite file included from nowhere", found=name, mend="include suites by their names")
        place = folder / name
        # A suite file may be a stranger's: it reads nothing outside its own folder.
        if os.path.basename(name) != name or place.is_symlink():
            mend = "put it beside the suite that includes it, and give its file name alone"
            raise SuiteError("an included file lies elsewhere", found=name, mend=mend)
        try:
            content = place.read_bytes()
        except OSError as error:
            raise SuiteError("cannot read the included suite", found=f"{name}: {error.strerror}") from error
    elif name in suite_names():
        content = built_in(name)
    else:
        mend = did_you_mean(name, suite_names()) + "; a file is named with its ending .toml"
        raise SuiteError("unknown suite", found=repr(name), mend=mend)
    suite = parse_suite(content, name)
    if suite.name in within:
        circle = " → ".join([*within[within.index(suite.name) :], suite.name])
        raise SuiteError("suites include each other", found=circle, mend="leave one of them out, or name them apart")
    return expanded(suite, name, folder, within), name


def _taken(job: Job, suite: Suite, entry: Include) -> Job:
    """A job of an included suite with all that its cells depend on."""
    world = os.path.basename(os.path.normpath(job.world)) + ("-twin" if job.redrawn else "")
    asked = job.probes or suite.defaults.probes
    measure = {name: {**_measure(suite, name), **job.measure.get(name, {})} for name in asked}
    change = {
        **suite.defaults.settings(),
        **job.settings(),
        "label": f"{entry.prefix or suite.name}.{job.label or world}",
        "probes": asked,
        "seeds": entry.seeds or job.seeds or suite.defaults.seeds,
        "measure": {name: settings for name, settings in measure.items() if settings},
    }
    return job.model_copy(update=change)


def _measure(suite: Suite, probe: str) -> dict[str, Any]:
    return suite.probes[probe].measure if probe in suite.probes else {}
