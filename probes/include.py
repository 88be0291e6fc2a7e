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

from probes.suite import SUITE_LIMIT, Include, Job, Settings, Suite, built_in, parse_suite
from probes.suites import suite_names
from worldnets.errors import SuiteError, did_you_mean
from worldnets.files import read_whole

#: Suites that one suite includes, by others too: more than anybody means.
MOST = 256


def expanded(suite: Suite, file: object = None, folder: Path | None = None) -> Suite:
    """The suite with the jobs of those it includes before its own; the same one where it includes none.

    Args:
        suite: as it stands in its file.
        file: only says where errors are.
        folder: where the files are that it may include.

    Raises:
        SuiteError: no such suite, suites that include each other, or two margins for one probe.
    """
    return _expanded(suite, file, folder, (), [])


def _expanded(suite: Suite, file: object, folder: Path | None, within: tuple[str, ...], read: list[str]) -> Suite:
    """`within`: names of the suites that include it, outermost first; `read`: of all that have been read so far."""
    if not suite.include:
        return suite
    jobs: list[Job] = []
    concluded: dict[str, tuple[dict[str, Any], str]] = {}
    organisms: dict[str, int] = {}
    for number, entry in enumerate(suite.include, 1):
        try:
            other, source = _included(entry, folder, (*within, suite.name), read)
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


def _included(entry: Include, folder: Path | None, within: tuple[str, ...], read: list[str]) -> tuple[Suite, str]:
    """The suite an entry names, itself expanded, and what to call it."""
    name = entry.suite
    read.append(name)
    if len(read) > MOST:
        raise SuiteError("too many suites included", expected=f"at most {MOST}", mend="write the jobs into fewer files")
    if name.endswith(".toml"):
        if folder is None:
            raise SuiteError("a suite file included from nowhere", found=name, mend="include suites by their names")
        place = folder / name
        # A suite file may be a stranger's: it reads nothing outside its own folder.
        mend = "put it beside the suite that includes it, and give its file name alone"
        if os.path.basename(name) != name or place.is_symlink():
            raise SuiteError("an included file lies elsewhere", found=name, mend=mend)
        try:
            content = read_whole(place, SUITE_LIMIT, follow_links=False)
        except (OSError, ValueError) as error:
            found = f"{name}: {getattr(error, 'strerror', None) or error}"
            raise SuiteError("cannot read the included suite", found=found, mend=mend) from error
    elif name in suite_names():
        content = built_in(name)
    else:
        mend = did_you_mean(name, suite_names()) + "; a file is named with its ending .toml"
        raise SuiteError("unknown suite", found=repr(name), mend=mend)
    suite = parse_suite(content, name)
    if suite.name in within:
        circle = " → ".join([*within[within.index(suite.name) :], suite.name])
        raise SuiteError("suites include each other", found=circle, mend="leave one of them out, or name them apart")
    return _expanded(suite, name, folder, within, read), name


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
