"""What is measured of heads at each checkpoint: index, fit, distance from the references, AUROC; their ensemble."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Measurement
from probes.reporter.index import LEAST, Found, Index, divergence, pseudo_values, told_apart
from probes.reporter.rows import Rows

if TYPE_CHECKING:
    from worldnets.trace import Trace

Floats = NDArray[np.float64]


def measured(trace: Trace, rows: Rows, progress: Callable[[int], None] | None = None) -> Measurement:
    """Where heads stand on some rows, at every checkpoint.

    Args:
        trace: whose heads.
        rows: where they are asked, for one target of the trace's task.
        progress: called with the number of checkpoints done.
    """
    index, predict = Index(rows), trace.predictor(rows.codes)
    found: dict[str, list[Found]] = {}
    log_q = np.zeros(0)
    for checkpoint in range(len(trace.steps)):
        log_q = predict(checkpoint, rows.target)
        for name, value in numbers(rows, index, log_q).items():
            found.setdefault(name, []).append(value)
        if progress is not None:
            progress(checkpoint + 1)
    return assembled(rows, index, found, log_q, trace.seeds, trace.steps)


def numbers(rows: Rows, index: Index, log_q: Floats) -> dict[str, Found]:
    """What is measured of heads at one checkpoint, from ln q [S, R, A]: each number is [S]."""
    weight, fit = index.of(log_q)
    found = {"index": weight, "fit": fit}
    found |= {f"divergence {place}": divergence(rows, name, log_q) for place, name in enumerate(rows.references)}
    return found | {name: told_apart(rows, log_q, mass) for name, mass in _masses(rows).items()}


def assembled(
    rows: Rows,
    index: Index,
    found: dict[str, list[Found]],
    log_q: Floats,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
) -> Measurement:
    """A measurement of what was found at each checkpoint, and of the ensemble of the last one, ln q [S, R, A]."""
    whole = replace(rows, shares=rows.shares.mean(0, keepdims=True))  # the spread over seeds is all that is asked here
    masses = _masses(whole)

    def ensemble(one: Floats) -> Floats:
        weight, fit = whole_index.of(one[None])
        areas = [told_apart(whole, one[None], mass).value[0] for mass in masses.values()]
        return np.array([weight.value[0], fit.value[0], *areas])

    whole_index = index if len(rows.shares) == 1 else Index(whole)

    names = ["index", "fit", *masses]
    pseudo = pseudo_values(ensemble, log_q, len(names))
    shares = rows.shares.mean(0)
    world = {"apart": np.array([shares[rows.apart].sum()])}
    if rows.tampered is not None:
        world["tampered"] = np.array([shares @ rows.tampered.sum(1)])
        world["tampered and apart"] = np.array([shares[rows.apart] @ rows.tampered[rows.apart].sum(1)])
    # What the references themselves would be counted as, beside which AUROC must be read.
    with np.errstate(divide="ignore"):
        known = [np.log(reference)[None] for reference in rows.references.values()]
    for name, mass in masses.items():
        world[name] = np.array([told_apart(whole, one, mass).value[0] for one in known])
    fits = whole_index.of(np.concatenate([np.maximum(one, np.log(LEAST)) for one in known]))
    world |= {"index": fits[0].value, "fit": fits[1].value}
    return Measurement(
        rows.target,
        tuple(seeds),
        steps,
        {name: np.stack([one.value for one in own]) for name, own in found.items()},
        {"ensemble": pseudo},
        {
            name: np.stack([one.groups for one in own if one.groups is not None], axis=1)
            for name, own in found.items()
            if own[0].groups is not None
        },
        world,
        {"references": list(rows.references), "ensemble": names},
    )


def _masses(rows: Rows) -> dict[str, Floats]:
    """W*(y, clip of that kind | row), by name of the AUROC."""
    found = {"auroc, apart": rows.direct * rows.apart[:, None]}
    return found if rows.tampered is None else {**found, "auroc, tampered": rows.tampered}
