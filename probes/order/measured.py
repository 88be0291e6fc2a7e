"""Heads held against references: numbers of every seed at a checkpoint, in distribution and out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Measurement
from probes.order.mixture import Fit, fitted
from probes.order.references import Comparison, Part, Sampling

Floats = NDArray[np.float64]
SIDES = ("inside", "outside")


def fits(known: Comparison, sampling: Sampling, log_q: Mapping[str, NDArray[np.floating]]) -> dict[str, Fit]:
    """The mixtures of heads on each side: log_q[side] is [H, rows of that side, outcomes]."""
    handicap = np.zeros(len(known.chosen))
    handicap[len(known.groups) :] = sampling.handicap * np.log(2)
    found = {}
    for side in SIDES:
        part: Part | None = getattr(known, side)
        if part is not None:
            found[side] = fitted(log_q[side], part.predictors[list(known.chosen)], part.weight, handicap, part.group)
    return found


def measurement(
    target: str, seeds: tuple[int, ...], steps: NDArray[np.int64], known: Comparison, by_step: list[dict[str, Fit]]
) -> Measurement:
    """One target's fits, checkpoint by checkpoint, as a cell stores them.

    `left` is the divergence that the mixture leaves as a share of the bits on offer there, E KL(p_K ‖ p_0).
    """
    numbers: dict[str, Floats] = {}
    grouped: dict[str, Floats] = {}
    world = {"apart": known.apart, "condition": np.array(known.condition), "skipped": np.array(known.skipped)}
    for side in SIDES:
        part: Part | None = getattr(known, side)
        if part is None:
            continue
        own = [fit[side] for fit in by_step]
        offer = part.offer
        world[f"{side} offer"] = offer
        scale = max(float(offer[0]), 1e-12)
        numbers[f"{side} weights"] = np.stack([fit.weights for fit in own])
        left = np.stack([fit.left for fit in own])
        numbers[f"{side} left"] = left / scale
        numbers[f"{side} gap"] = np.stack([fit.gap for fit in own])
        if part.group is None:
            continue
        grouped[f"{side} weights"] = np.stack([fit.weight_groups for fit in own if fit.weight_groups is not None], 1)
        groups = np.stack([fit.left_groups for fit in own if fit.left_groups is not None], 1)
        change = groups - left - (left / scale) * (offer[1:, None, None] - offer[0])
        grouped[f"{side} left"] = change / scale
    plain: dict[str, Any] = {
        "groups": [list(group) for group in known.groups],
        "controls": list(known.controls),
        "close": bool(known.close),
        "weights outside": bool(known.weights_outside),
        "rows": len(known.inside.codes),
    }
    return Measurement(target, seeds, steps, numbers, grouped=grouped, world=world, plain=plain)
