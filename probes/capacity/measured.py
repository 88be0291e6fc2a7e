"""One head under several caps, measured at the end of equally long runs with the same seeds and clips."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.capacity.caps import Cap
from probes.ladder import Reference
from probes.measurement import Measurement
from probes.pie import Pie
from worldnets.heads.base import is_parameter
from worldnets.trace import Trace

Floats = NDArray[np.float64]


def measure_target(
    runs: Sequence[Trace], cap: Cap, target: str, reference: Reference, step: Callable[[], None]
) -> Measurement:
    """One target of the runs of a sweep, in its order.

    Numbers are [1, S, V, …] (V caps), taken at the end of each run.
    """
    pies: list[Pie] = []
    for run in runs:
        log_q = run.predictor(reference.inputs)(len(run.steps) - 1, target)
        pies.append(reference.measure(log_q))
        step()
    own = runs[cap.own]
    about = reference.about
    numbers = {
        "captured": np.stack([pie.captured for pie in pies], axis=1)[None],
        "loss": np.stack([pie.loss for pie in pies], axis=1)[None],
    }
    grouped, world = {}, {"information": about.information}
    if about.groups is not None:
        parts = [pie.captured_groups for pie in pies if pie.captured_groups is not None]
        grouped["captured"] = np.stack(parts, axis=2)[:, None]
        world["information groups"] = about.groups
    plain = {
        "cap": cap.name,
        "labels": list(cap.labels),
        "own": cap.own,
        "rungs": [list(rung) for rung in about.rungs],
        "parameters": [parameters(run) for run in runs],
    }
    return Measurement(target, own.seeds, own.steps[-1:], numbers, {}, grouped, world, plain)


def parameters(run: Trace) -> int:
    """Numbers that one head's training may move."""
    import jax

    if run.plan.stepping:
        leaves: Sequence[Any] = list(run.plan.skeleton.values()) if isinstance(run.plan.skeleton, Mapping) else []
    else:
        leaves = [leaf for leaf in jax.tree.leaves(run.plan.skeleton) if is_parameter(leaf)]
    return sum(math.prod(np.shape(leaf)) for leaf in leaves)
