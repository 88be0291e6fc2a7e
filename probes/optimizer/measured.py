"""A candidate in a setting, as a cell stores it: what the six measurements rest on, by groups of situations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Measurement
from probes.optimizer.candidate import Candidate, NotApplicable, Setting, blurred, divergence

Floats = NDArray[np.float64]
LAPSE = 0.05  # ε, how often the best act is taken to be missed
LEAST_EXPLAINED = 1e-6  # what an objective's optimum that rules out what is believed is taken to give it


def measured(
    candidate: Candidate,
    setting: Setting,
    target: str,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
    numbers: Mapping[str, Floats] | None = None,
    lapse: float = LAPSE,
) -> Measurement:
    """Ask a candidate everything that it can be asked.

    Args:
        candidate, setting: who, and in which context.
        target: what it is asked about; the context is added.
        seeds: of the replicates, [S].
        steps: training steps of the checkpoints; a candidate that is not trained has one, 0.
        numbers: what was measured over training, [T, S, …].
        lapse: ε of an act that is not the best one.

    Returns:
        `ends`: "loss" [S, I + 1, K, G], regret under each objective of the family after so many steps, "distance"
        [S, I + 1, G] and "residual" [S, I + 1]; "kept", "swapped" [S, J, G], regrets under foreign objectives of the
        answers as they were and after the swap; "explained" and "explained, settled" [S, K, G], KL(answer ‖ optimum)
        for the family; "regret" [S, G] under the base objective; "tilt" and "leftover" [S, O]; "unmoved", "followed"
        [S, D, K, G], regrets under the family after changes, of the answers before and after.
        `plain["not applicable"]`: reasons, by measurement.
    """
    ends: dict[str, Floats] = {}
    reasons: dict[str, str] = {}
    kind = setting.kind
    own = np.asarray(candidate.answers(), dtype=np.float64)
    plain: dict[str, Any] = {
        "context": setting.context,
        "kind": kind,
        "family": [objective.name for objective in setting.family],
        "base": setting.base.name,
        "provenance": dict(candidate.provenance.parts),
        "lapse": lapse,
    }
    by_group = lambda values: np.ascontiguousarray(np.moveaxis(setting.grouped(values), 0, 1))
    explains = lambda answers: by_group(
        np.stack([_explained(answers, one.optimum, setting, lapse) for one in setting.family])
    )
    ends["explained"] = explains(own)
    ends["regret"] = setting.grouped(setting.base.regret(own))
    course = candidate.course()
    if isinstance(course, NotApplicable):
        reasons["search"] = course.reason
    else:
        ends["loss"] = _by_objective([by_group(one.regret(course.answers)) for one in setting.family])
        settled, after = (blurred(part, kind, lapse) for part in (course.settled, course.answers))
        ends["distance"] = by_group(divergence(settled, after))
        ends["residual"] = np.ascontiguousarray(course.residual.T)
        ends["explained, settled"] = explains(course.settled)
        if course.bethe is not None:
            ends["bethe"] = by_group(course.bethe)
        plain |= {"inner steps": list(course.steps), "inner unit": course.unit}
    _swaps(candidate, setting, own, by_group, ends, reasons, plain)
    _changes(candidate, setting, own, ends, reasons, plain)
    tilt = candidate.tilt()
    if isinstance(tilt, NotApplicable):
        reasons["tilt"] = tilt.reason
    else:
        ends["tilt"], ends["leftover"] = tilt.estimate, tilt.leftover
        plain |= {"tilted": list(tilt.outcomes), "tables read": tilt.read}
    plain["not applicable"] = reasons
    return Measurement(f"{target}, {setting.context}", tuple(seeds), steps, numbers or {}, ends, plain=plain)


def _by_objective(each: Sequence[Floats]) -> Floats:
    """[S, I + 1, G] of each objective → [S, I + 1, K, G]."""
    return np.stack(each, axis=2)


def _explained(answers: Floats, optimum: Floats, setting: Setting, lapse: float) -> Floats:
    optimum = blurred(np.broadcast_to(optimum, answers.shape), setting.kind, lapse)
    return divergence(answers, optimum, LEAST_EXPLAINED)


def _swaps(
    candidate: Candidate, setting: Setting, own: Floats, by_group: Any, ends: Any, reasons: Any, plain: Any
) -> None:
    kept, swapped = [], []
    for objective in setting.foreign:
        found = candidate.given(objective)
        if isinstance(found, NotApplicable):
            reasons["objective"] = found.reason
            return
        kept.append(objective.regret(own))
        swapped.append(objective.regret(np.asarray(found, dtype=np.float64)))
    if not kept:
        reasons["objective"] = "this context offers no objective outside of its training family"
        return
    ends["kept"], ends["swapped"] = by_group(np.stack(kept)), by_group(np.stack(swapped))
    plain["foreign"] = [objective.name for objective in setting.foreign]


def _changes(candidate: Candidate, setting: Setting, own: Floats, ends: Any, reasons: Any, plain: Any) -> None:
    if setting.kind == "beliefs":
        reasons["consequences"] = "its answers are beliefs and not acts: nothing is led to by them"
        return
    unmoved, followed = [], []
    for change in setting.changes:
        found = candidate.after(change)
        if isinstance(found, NotApplicable):
            reasons["consequences"] = found.reason
            return
        answers = np.asarray(found, dtype=np.float64)
        unmoved.append(np.stack([setting.grouped(one.regret(own)) for one in change.after], axis=1))
        followed.append(np.stack([setting.grouped(one.regret(answers)) for one in change.after], axis=1))
    if not unmoved:
        reasons["consequences"] = "this context offers no intervention on what acts lead to"
        return
    ends["unmoved"], ends["followed"] = np.stack(unmoved, axis=1), np.stack(followed, axis=1)
    plain["changes"] = [change.name for change in setting.changes]
