"""`probes show NAME`: what a name stands for, in a few lines of text."""

from __future__ import annotations

import inspect
from typing import Any


def described(kind: str, name: str) -> str:
    """A paragraph about a world, head, objective, penalty, probe or suite.

    Raises:
        UnknownNameError, SuiteError, DatasetError: no such name, or it cannot be loaded.
    """
    return {
        "worlds": _world,
        "heads": _head,
        "objectives": _objective,
        "penalties": _penalty,
        "probes": _probe,
        "suites": _suite,
    }[kind](name)


def _world(name: str) -> str:
    from probes.ladder import on_offer
    from worldnets.dataset import load_dataset

    dataset = load_dataset(name)
    lines = [f"world {dataset.name}", *([dataset.title] if dataset.title else [])]
    lines.append(f"{len(dataset.net.variables)} variables; {len(dataset.net.cpts)} tables")
    lines += [f"  {key} = {value!r}" for key, value in dataset.parameters.items()]
    for objective in dataset.objectives:
        task = dataset.task(objective)
        lines.append(f"objective {objective}: {len(task.evidence)} evidence nodes")
        for target in task.targets:
            rungs = " | ".join(str(len(rung)) for rung in task.ladders[target.name])
            lines.append(
                f"  target {target.name} ({', '.join(target.variables)}); nodes per rung, shallow first: {rungs}"
            )
    lines.append("what can be known, in bits")
    for objective, name, about in on_offer(dataset):
        bits = " | ".join(f"{max(b, 0.0):.3f}" for b in about.information)
        spread = f" ± {about.total_error:.3f} (sampled)" if about.groups is not None else " (exact)"
        rest = f"{about.beyond_first:.0%} beyond the first rung"
        lines.append(f"  {objective}, {name}: {about.total:.3f}{spread}, by rung {bits}; {rest}")
    return "\n".join(lines)


def _head(name: str) -> str:
    from worldnets.heads import REGISTRY, head_options

    return _about(f"head {name}", REGISTRY.get(name), head_options(name))


def _objective(name: str) -> str:
    from worldnets.objectives import REGISTRY

    return _about(f"objective {name}", REGISTRY.get(name), {})


def _penalty(name: str) -> str:
    from dataclasses import MISSING, fields

    from worldnets.penalties import REGISTRY

    kind = REGISTRY.get(name)
    options = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    return _about(f"penalty {name}, strength given with it", kind, options)


def _probe(name: str) -> str:
    from probes.settings import conclude_settings, configured, measure_settings

    probe = configured(name, {}, {})
    settings = {**measure_settings(probe), **conclude_settings(probe)}
    return _about(f"probe {name}, version {probe.version}", probe, settings)


def _suite(name: str) -> str:
    from probes.suite import load_suite

    suite = load_suite(name)
    return f"# {suite.suite.title or suite.name}\n\n{suite.to_toml()}".rstrip()


def _about(title: str, thing: Any, options: dict[str, Any]) -> str:
    text = inspect.getdoc(thing) or inspect.getdoc(type(thing)) or ""
    return "\n".join([title, text.split("\n\n")[0], *(f"  {key} = {value!r}" for key, value in options.items())])
