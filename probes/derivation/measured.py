"""Heads held against the references of their meta-world: what a cell stores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.derivation.costs import costs, head_description, head_work
from probes.derivation.predictors import is_retrieval
from probes.derivation.references import Known, Sampling, excess_of, known, positions_of
from probes.measurement import Measurement
from probes.order.measured import fits, measurement
from probes.order.mixture import Fit
from worldnets.heads.base import is_stepping
from worldnets.step_answers import answers_at_each_step

if TYPE_CHECKING:
    from probes.order.references import Part
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
SIDES = ("inside", "outside")
#: ln q of heads at a checkpoint on each side, [S, rows, tokens].
Answered = Callable[[int], Mapping[str, Floats]]


def positions_for(plan: Plan, sampling: Sampling) -> tuple[int, ...]:
    """Numbers of tokens seen at which heads of this request answer."""
    frames = len(plan.dataset.world.frames)
    if getattr(plan.objective, "each_step", False):
        return tuple(positions_of(frames, sampling.positions).tolist())
    return (len(plan.task.evidence),)


def measure(trace: Trace, sampling: Sampling, done: Callable[[int], None]) -> Measurement:
    """Mixtures, divergences and costs of the heads of a trace.

    Args:
        trace: of heads that predict the next token of a meta-world.
        sampling: on which clips.
        done: called with the number of checkpoints that are measured.

    Raises:
        ProbeError: the dataset is no meta-world.
    """
    about = known(trace.dataset, sampling, positions_for(trace.plan, sampling))
    spoken = answered(trace, about)
    by_step, told = [], []
    for t in range(len(trace.steps)):
        log_q = spoken(t)
        by_step.append(fits(about.comparison, sampling, log_q))  # type: ignore[arg-type]
        told.append({side: beside(log_q[side], about.part(side)) for side in SIDES})
        done(t + 1)
    settings = trace.settings
    clips_seen = int(settings["steps"]) * int(settings["batch"])
    ends = {"work": np.full(len(trace.seeds), head_work(trace))} if not trace.plan.stepping else {}
    if not is_stepping(trace.plan.kind):
        loss = lambda one: answered_loss(one, about)
        ends["description"] = head_description(trace, loss, clips_seen)
    return as_measured(trace.seeds, trace.steps, about, sampling, by_step, told, clips_seen, ends)


def as_measured(
    seeds: tuple[int, ...],
    steps: NDArray[np.int64],
    about: Known,
    sampling: Sampling,
    by_step: list[dict[str, Fit]],
    told: list[dict[str, dict[str, Floats]]],
    clips_seen: int,
    ends: Mapping[str, Floats],
) -> Measurement:
    """Everything in the shape of a cell; organisms take the same road."""
    measured = measurement("next token", seeds, steps, about.comparison, by_step)
    numbers, grouped, world = dict(measured.numbers), dict(measured.grouped), dict(measured.world)
    for side in SIDES:
        for name in ("excess", "spread"):
            every = np.stack([one[side][name] for one in told])  # [T, S, 1 + G]
            numbers[f"{side} {name}"] = every[..., 0]
            grouped[f"{side} {name}"] = np.moveaxis(every[..., 1:] - every[..., :1], -1, 0)
        world[f"{side} excess of references"] = np.stack([about.excess[side][name] for name in about.names])
    price = costs(about.world, sampling.draws, clips_seen)
    for name in ("memorizer", "deriver", "derived", "once", "break_even", "memorizer_bits", "deriver_bits"):
        world[name] = np.array(getattr(price, name))
    world |= {f"prequential {name}": bits for name, bits in about.prequential.items()}
    world["searched"], world["halves"] = np.array(about.searched), np.array(about.halves)
    plain = {
        **measured.plain,
        "names": list(about.names),
        "kind": about.world.kind,
        "worlds": about.world.trained.count,
        "tokens": about.world.trained.tokens,
        "frames": about.world.frames,
        "positions": [int(t) for t in about.positions],
    }
    return replace(measured, numbers=numbers, grouped=grouped, world=world, ends=dict(ends), plain=plain)


def beside(log_q: Floats, part: Part) -> dict[str, Floats]:
    """Divergences of heads in bits, all rows and then each group, [S, 1 + G].

    excess is E KL(world ‖ q_s); spread E KL(q_s ‖ mean over seeds of q), over the seeds that are finite: how far heads
    that were trained alike part from each other.
    """
    excess = excess_of(np.where(np.isfinite(log_q), log_q, np.nan), part)
    finite = np.isfinite(log_q).all((1, 2))
    spread = np.full_like(excess, np.nan)
    if finite.any():
        q = np.exp(log_q[finite])
        mean = np.log(q.mean(0))
        rows = (q * (log_q[finite] - mean)).sum(-1) / math.log(2)
        assert part.group is not None
        by_group = rows.reshape(len(q), int(part.group.max()) + 1, -1).mean(-1)
        spread[finite] = np.concatenate([by_group.mean(-1, keepdims=True), by_group], axis=-1)
    return {"excess": excess, "spread": spread}


def answered(trace: Trace, about: Known) -> Answered:
    """What heads say on both sides, at the positions of the references."""
    width = len(trace.dataset.net.variables)
    codes = np.concatenate([about.world.codes(about.clips[side], width) for side in SIDES])
    half, tokens = len(about.clips["inside"]), about.world.trained.tokens
    target = trace.task.targets[0].name
    if getattr(trace.plan.objective, "each_step", False):
        every = answers_at_each_step(trace, codes)
        at = about.positions - 1
        whole = lambda checkpoint: every(checkpoint)[:, :, at]
    else:
        predict = trace.predictor(codes)
        whole = lambda checkpoint: predict(checkpoint, target)[:, :, None]

    def spoken(checkpoint: int) -> dict[str, Floats]:
        log_q = whole(checkpoint)
        sides = {"inside": log_q[:, :half], "outside": log_q[:, half:]}
        return {side: own.reshape(len(own), -1, tokens) for side, own in sides.items()}

    return spoken


def answered_loss(trace: Trace, about: Known) -> Floats:
    """Bits per clip on training worlds, beyond those of the world itself, [S], scaled up from the positions."""
    log_q = answered(trace, about)(-1)["inside"]
    asked = about.world.frames - 1 if len(about.positions) > 1 else 1
    return excess_of(log_q, about.part("inside"))[:, 0] * asked


def weights_of(m: Measurement, side: str) -> tuple[Floats, Floats]:
    """Weights of memorizers, derivers, the exact deriver, what stands for both kinds, and controls: [T, S, 5].

    Returns:
        And the deviations of clip groups, [G, T, S, 5].
    """
    chosen = kinds(m)
    count = len(m.plain["groups"])
    pick = np.zeros((m.numbers[f"{side} weights"].shape[-1], 5))
    for place, kind in enumerate(chosen):
        if kind == "retrieval":
            pick[place, 0] = 1
        elif kind == "inference":
            pick[place, 1] = 1
            if m.plain["names"][-1] in m.plain["groups"][place]:
                pick[place, 2] = 1
        else:
            pick[place, 3] = 1
    pick[count:, 4] = 1
    return m.numbers[f"{side} weights"] @ pick, m.grouped[f"{side} weights"] @ pick


def kinds(m: Measurement) -> list[str]:
    """Of each group of references that are told apart: "retrieval", "inference", or "both"."""
    found = []
    for group in m.plain["groups"]:
        which = {is_retrieval(name) for name in group}
        found.append("both" if len(which) > 1 else "retrieval" if which == {True} else "inference")
    return found
