"""Measuring a run and its twin: own bits, reliance, captured bits and pull, checkpoint by checkpoint.

The task's ladder is cut in two: the shallow rungs up to k0, and everything beyond as one deep rung, so that own bits
are those of the deep evidence taken together. Pull is kept for every rung of the task's own ladder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.design import masked
from probes.enumerated import EnumeratedReference
from probes.ladder import Sampling as LadderSampling
from probes.measurement import Measurement
from probes.pie import shallow_rungs
from probes.regression import FLOOR
from probes.sources import posterior_of_distinct
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.ladder import Reference, References, Rungs
    from probes.sources import Source
    from worldnets.trace import Trace

Floats = NDArray[np.float64]
SHALLOW, DEEP = 0, 1
#: What is measured of either run, [T, S, 2] (shallow, deep), and "pull", [T, S, K].
CURVES = ("own", "reliance", "captured", "pull")


@dataclass(frozen=True)
class Sampling(LadderSampling):
    """How it is measured: enumeration or sample, and where the ladder is cut.

    Attributes:
        shallow_share: the shallow rungs, whose evidence the twin has drawn anew, hold at least this share of the pie.
        shallow_rungs: k0 itself, when fixed beforehand.
    """

    shallow_share: float = 0.5
    shallow_rungs: int | None = None

    @property
    def of_references(self) -> LadderSampling:
        """The part that references depend on, so that other probes share them."""
        return LadderSampling(**{f.name: getattr(self, f.name) for f in fields(LadderSampling)})


@dataclass(frozen=True)
class Split:
    """A ladder cut in two.

    Attributes:
        rungs: the task's ladder.
        k0: its shallow rungs.
    """

    rungs: Rungs
    k0: int

    @property
    def shallow(self) -> tuple[str, ...]:
        """Evidence of the shallow rungs."""
        return tuple(name for rung in self.rungs[: self.k0] for name in rung)

    @property
    def deep(self) -> tuple[str, ...]:
        """Evidence beyond them; empty where the ladder has one rung."""
        return tuple(name for rung in self.rungs[self.k0 :] for name in rung)


def split_ladder(known: References, rungs: Sequence[Sequence[str]], target: str, sampling: Sampling) -> Split:
    """Where a ladder is cut: k0 rungs hold at least `sampling.shallow_share` of the pie, or are given outright.

    Raises:
        ProbeError: a fixed k0 that leaves no rung on one of the sides.
    """
    ladder = tuple(tuple(rung) for rung in rungs)
    fixed = sampling.shallow_rungs
    if fixed is not None:
        if not 1 <= fixed <= max(1, len(ladder) - 1):
            expected = f"1 to {max(1, len(ladder) - 1)} shallow rungs"
            raise ProbeError("no such split", node=target, found=fixed, expected=expected)
        return Split(ladder, fixed)
    if len(ladder) == 1:
        return Split(ladder, 1)
    information = known.get(ladder, target).about.information
    return Split(ladder, shallow_rungs(information, sampling.shallow_share))


class Puller:
    """Pull on every rung: g_k = E[Σ_y (p_K − q)(y|x) · log2(p_k / p_{k−1})(y|x)], in bits.

    The residual (1_y − q) still correlated with what rung k has to say: minus the slope of the loss along a step of the
    log-probabilities in that direction, so 0 for the exact predictor, and 0 on a rung that says nothing. Labels are
    summed with weights p_K, never sampled; probabilities below 1e-6 are raised to it inside the logarithm.

    Args:
        reference: the two-rung reference, whose rows and clips are used.
        source: the world it is of.
        split: the ladder.
        target: the target.

    Attributes:
        floored: share of the clips with a probability below 1e-6.

    Source: Pezeshki et al. 2021, section 3 (a feature starves when the residual no longer points along it).
    """

    def __init__(self, reference: Reference, source: Source, split: Split, target: str) -> None:
        if isinstance(reference, EnumeratedReference):
            clips, self.weight, self.groups = reference.inputs, reference.weight, 0
            self.rows: slice | NDArray[np.int64] = slice(None)
        else:
            design = reference.design
            clips, self.weight, self.groups = design.clips, design.weight, design.groups
            self.rows = design.clip_rows
        self.truth: Floats = reference.ladder[-1]
        ladder = [reference.ladder[0]]
        for k in range(1, len(split.rungs)):
            if k == split.k0:
                ladder.append(reference.ladder[1])
                continue
            columns = np.array([source.columns[name] for rung in split.rungs[:k] for name in rung], dtype=np.int64)
            ladder.append(posterior_of_distinct(source, masked(clips, columns), target)[1])
        ladder.append(self.truth)
        low = np.stack(ladder) < FLOOR
        self.increments: Floats = np.diff(np.log2(np.maximum(np.stack(ladder), FLOOR)), axis=0)
        self.floored = float((low.any((0, 2)) * self.weight).sum() / self.weight.sum())

    def __call__(self, log_q: NDArray[np.floating]) -> tuple[Floats, Floats | None]:
        """(g_k of every seed [S, K], the same in each clip group [G, S, K] or None) of ln q [S, rows, outcomes]."""
        residual = self.truth - np.exp(np.asarray(log_q, dtype=np.float64)[:, self.rows])
        pulled = np.stack([(residual * step).sum(-1) for step in self.increments], axis=-1) * self.weight[:, None]
        if not self.groups:
            return pulled.sum(1), None
        grouped = pulled.reshape(len(pulled), self.groups, -1, pulled.shape[-1]).sum(2).transpose(1, 0, 2)
        return grouped.mean(0), grouped


def measure_run(
    reference: Reference,
    puller: Puller,
    log_q: Callable[[int], NDArray[np.floating]],
    checkpoints: int,
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """One run's curves by name, and their values in each group of clips where there are any.

    Args:
        reference: two rungs, shallow and deep.
        puller: of the same.
        log_q: checkpoint → ln q on `reference.inputs`, [S, rows, outcomes].
        checkpoints: how many.

    Returns:
        ({name: [T, S, …]}, {name: [G, T, S, …]}).
    """
    found: dict[str, list[Floats]] = {name: [] for name in CURVES}
    grouped: dict[str, list[Floats]] = {name: [] for name in CURVES}
    for checkpoint in range(checkpoints):
        q = log_q(checkpoint)
        pie, (pull, pull_groups) = reference.measure(q), puller(q)
        values = {"own": pie.own, "reliance": pie.reliance, "captured": pie.captured, "pull": pull}
        groups = {
            "own": pie.own_groups,
            "reliance": pie.reliance_groups,
            "captured": pie.captured_groups,
            "pull": pull_groups,
        }
        for name, value in values.items():
            found[name].append(value)
            of_groups = groups[name]
            if of_groups is not None:
                grouped[name].append(of_groups)
    curves = {name: np.stack(values) for name, values in found.items()}
    return curves, {name: np.stack(values, axis=1) for name, values in grouped.items() if values}


def about(reference: Reference, prefix: str = "") -> dict[str, NDArray[Any]]:
    """What there is to be had, as arrays of a measurement: information and ceilings of own bits, [2]."""
    known = reference.about
    world: dict[str, NDArray[Any]] = {
        f"{prefix}information": known.information,
        f"{prefix}ceiling": known.own_ceiling,
        f"{prefix}skipped": known.own_skipped,
    }
    if known.own_groups is not None and known.groups is not None:
        world |= {f"{prefix}information_groups": known.groups, f"{prefix}ceiling_groups": known.own_groups}
    return world


def measure_pair(
    base: Trace,
    twin: Trace,
    split: Split,
    target: str,
    known: tuple[References, References],
    progress: Callable[[], None] | None = None,
) -> Measurement:
    """A run and its twin on one target.

    Args:
        base, twin: their traces, of the same seeds and checkpoints.
        split: the ladder.
        target: its name.
        known: references of the base's world and of the twin's.
        progress: called after each checkpoint of either.
    """
    numbers: dict[str, Floats] = {}
    grouped: dict[str, Floats] = {}
    world: dict[str, NDArray[Any]] = {}
    for prefix, trace, references in (("", base, known[0]), ("twin ", twin, known[1])):
        reference = references.get((split.shallow, split.deep), target)
        puller = Puller(reference, references.source, split, target)
        predict = trace.predictor(reference.inputs)

        def log_q(checkpoint: int, predict: Any = predict) -> NDArray[np.floating]:
            if progress is not None:
                progress()
            return predict(checkpoint, target)

        curves, groups = measure_run(reference, puller, log_q, len(trace.steps))
        numbers |= {prefix + name: values for name, values in curves.items()}
        grouped |= {prefix + name: values - values.mean(0) for name, values in groups.items()}
        world |= about(reference, prefix) | {f"{prefix}floored": np.array(puller.floored)}
    return measurement(target, base.seeds, base.steps, split, numbers, world, grouped)


def measurement(
    target: str,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
    split: Split,
    numbers: dict[str, Floats],
    world: dict[str, NDArray[Any]],
    grouped: dict[str, Floats] | None = None,
) -> Measurement:
    """The measurement of a run and its twin from its parts; diverged seeds' numbers are NaN."""
    plain = {"rungs": [list(rung) for rung in split.rungs], "shallow_rungs": split.k0}
    columns, taken = tuple(int(seed) for seed in seeds), np.asarray(steps, dtype=np.int64)
    return Measurement(target, columns, taken, numbers, {}, grouped or {}, world, plain)


def nothing_deep(target: str, seeds: Sequence[int], steps: NDArray[np.int64], split: Split) -> Measurement:
    """The measurement where nothing lies beyond the shallow rungs: no twin is trained."""
    nothing = {f"{prefix}ceiling": np.zeros(2) for prefix in ("", "twin ")}
    numbers = {f"{prefix}own": np.full((len(steps), len(seeds), 2), math.nan) for prefix in ("", "twin ")}
    return measurement(target, seeds, steps, split, numbers, dict(nothing))
