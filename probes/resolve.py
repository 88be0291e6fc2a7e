"""From a suite file to conditions: names looked up, worlds built once, every setting filled in."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from probes import suite as limits
from probes.cells import GROUP, Condition, Shared, canonical, growth_label, matching, penalty_label
from probes.settings import configured, measure_settings
from probes.suite import Settings
from worldnets.errors import SuiteError, WorldnetsError, did_you_mean

if TYPE_CHECKING:
    from probes.suite import Job, Suite
    from worldnets.dataset import Dataset


def resolve(suite: Suite) -> tuple[Condition, ...]:
    """Everything the suite asks for, in file order, each condition once.

    Raises:
        SuiteError: unknown names, two conditions with one title, a primary pattern that matches nothing.
        DatasetError: a world that cannot be built with its parameters.
    """
    check_size(suite)
    for name, settings in suite.probes.items():
        try:
            configured(name, settings.measure, settings.conclude)  # also where no job uses it
        except WorldnetsError as error:
            raise error.at(file=suite.name) from None
    worlds: dict[str, Dataset] = {}
    shared = Shared()
    conditions: list[Condition] = []
    for number, job in enumerate(suite.jobs, 1):
        try:
            conditions += _of_job(suite, job, worlds, shared)
        except WorldnetsError as error:
            raise error.at(file=suite.name, node=f"jobs[{number}]") from None
    _check_titles(conditions)
    primary = _primary(suite, conditions)
    return tuple(replace(condition, primary=condition.title in primary) for condition in conditions)


def check_size(suite: Suite) -> None:
    """Refuse a suite that crosses its lists to more conditions or cells than could be listed.

    Raises:
        SuiteError: more than `probes.suite.MOST_CONDITIONS` or `MOST_CELLS`.
    """
    conditions = cells = 0
    for job in suite.jobs:
        lists = (job.objective, job.heads, job.inputs, job.penalties or ({},), job.growth or ("none",))
        own = math.prod(map(len, (*lists, job.probes or suite.defaults.probes)))
        conditions += own
        cells += own * -(-(job.seeds or suite.defaults.seeds) // GROUP)
    for what, count, name in (("conditions", conditions, "MOST_CONDITIONS"), ("cells", cells, "MOST_CELLS")):
        most = getattr(limits, name)
        if count > most:
            mend = f"divide the suite into several, or raise probes.suite.{name}"
            found, expected = f"{count:,}", f"at most {most:,}"
            raise SuiteError(f"a suite of too many {what}", file=suite.name, found=found, expected=expected, mend=mend)


def world_identity(dataset: Dataset) -> dict[str, Any]:
    """What tells one world from another on any machine: its name without a path, parameters and content."""
    spec = dataset.spec
    return {
        "name": os.path.basename(os.path.normpath(spec["name"])),
        "parameters": spec["parameters"],
        "redrawn": spec["redrawn"],
        "digest": dataset.digest,
    }


def _of_job(suite: Suite, job: Job, worlds: dict[str, Dataset], shared: Shared) -> Iterator[Condition]:
    from worldnets.dataset import load_dataset
    from worldnets.heads import head_options
    from worldnets.learning import GrowthPlan
    from worldnets.penalties import penalty_settings
    from worldnets.training_plan import plan_training

    source = {"name": job.world, "parameters": dict(job.parameters), "redrawn": list(job.redrawn)}
    asked = canonical(source)
    if asked not in worlds:
        worlds[asked] = load_dataset(job.world, parameters=job.parameters, redrawn=job.redrawn)
    dataset = worlds[asked]
    world, spec = shared(world_identity(dataset)), shared(dataset.spec)
    label = job.label or world["name"] + ("-twin" if job.redrawn else "")
    asked_probes = job.probes or suite.defaults.probes
    if stray := next((name for name in job.measure if name not in asked_probes), None):
        mend = did_you_mean(stray, asked_probes)
        raise SuiteError("settings for a probe the job does not run", found=stray, mend=mend)
    growths = [None if table == "none" else GrowthPlan.of(table) for table in job.growth or ("none",)]
    for objective, head, inputs, table, growth, probe in product(
        job.objective, job.heads, job.inputs, job.penalties or ({},), growths, asked_probes
    ):
        given = suite.probes.get(probe, Settings())
        measuring = configured(probe, {**given.measure, **job.measure.get(probe, {})}, given.conclude)
        training = {**suite.defaults.settings(), **job.settings(), **head.settings()}
        how = {name: value for name, value in training.items() if name not in {"steps", "checkpoints"}}
        plan = plan_training(
            dataset,
            head.name,
            objective,
            inputs=inputs,
            head_options=head.options,
            penalties=table,
            world_model=None if growth is None else growth.build(dataset, objective),
            training_steps=training["steps"],
            **how,
        )
        measuring.check(plan)
        penalties = penalty_settings(plan.penalties)
        grows = {} if growth is None else growth.settings
        yield Condition(
            title=f"{label}/{objective}/{head.name}{penalty_label(penalties)}/{inputs}{growth_label(grows)}",
            label=label,
            probe=shared(
                {"name": measuring.name, "version": measuring.version, "measure": measure_settings(measuring)}
            ),
            world=world,
            source=spec,
            objective=objective,
            head=shared({"name": head.name, "options": head_options(head.name, head.options)}),
            inputs=inputs,
            training=shared(training),
            seeds=job.seeds or suite.defaults.seeds,
            penalties=shared(penalties),
            labels=shared(plan.objective.labelled_by(dataset)),
            growth=shared(grows),
        )


def _check_titles(conditions: list[Condition]) -> None:
    seen: dict[tuple[str, str], bytes] = {}
    for condition in conditions:
        name = (condition.title, str(condition.probe["name"]))
        identity = hashlib.sha256(canonical(condition.identity).encode()).digest()
        if name in seen:
            if seen[name] == identity:
                raise SuiteError("the same condition stands there twice", found=condition.title, mend="remove one")
            mend = 'give one of the jobs a label = "…", or list the head under two jobs with labels'
            raise SuiteError("two different conditions have one title", found=condition.title, mend=mend)
        seen[name] = identity


def _primary(suite: Suite, conditions: list[Condition]) -> set[str]:
    chosen: set[str] = set()
    for pattern in suite.suite.primary:
        try:
            chosen |= {condition.title for condition in matching(conditions, pattern)}
        except SuiteError as error:
            mend = "name titles world/objective/head/inputs that the jobs make; * stands for any text"
            raise SuiteError("a primary pattern matches nothing", found=error.found, mend=mend) from None
    return chosen
