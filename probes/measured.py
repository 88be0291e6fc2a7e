"""What a cell stores: the pie of a group of seeds at every checkpoint, as plain arrays and plain metadata."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.pie import GROUPED, Information, Pie, concatenate
from probes.reference import RealLoss, marked, side_by_side
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
FORMATS = (1, 2)  # of a measured cell; 2 where the world-model changes in training: `model` by checkpoint
REAL = ("head", "head_groups", "model", "model_groups")  # arrays of a `RealLoss`


@dataclass(frozen=True)
class Measured:
    """One target of one cell: a group of seeds, measured at every checkpoint. Plain arrays and plain metadata.

    Attributes:
        target: name of the target.
        seeds: seed of each column.
        steps: training step of each checkpoint, [T].
        about: rung information and ceilings of the reference.
        pie: its arrays, [T, S, …].
        refitted: C_k at the last checkpoint after one temperature and bias per rung, [S, K].
        model: C_k of the world-model's own predictor at each checkpoint, [T, K]: I_k itself where the head sits on W*,
            NaN where the world-model has no such target. Of a world-model that never changes one row is stored, [K].
        real: losses on real test clips, where the reference is learned from real clips.
    """

    target: str
    seeds: tuple[int, ...]
    steps: NDArray[np.int64]
    about: Information
    pie: Pie
    refitted: Floats
    model: Floats
    real: RealLoss | None = None


def pack(measured: Sequence[Measured], probe: str, version: int) -> dict[str, Any]:
    """Measured targets as one JSON-able dict and one dict of arrays."""
    arrays: dict[str, NDArray[Any]] = {}
    targets = []
    grows = not all(
        np.array_equal(m.model, np.broadcast_to(m.model[0], m.model.shape), equal_nan=True) for m in measured
    )
    for i, m in enumerate(measured):
        about = {f.name: getattr(m.about, f.name) for f in fields(Information)}
        plain = {key: value for key, value in about.items() if not isinstance(value, np.ndarray)}
        plain["condition"] = float(plain["condition"]) if np.isfinite(plain["condition"]) else None
        targets.append({"name": m.target, "about": plain})
        arrays |= {f"{i}.about.{key}": value for key, value in about.items() if isinstance(value, np.ndarray)}
        for f in fields(Pie):
            if getattr(m.pie, f.name) is not None:
                arrays[f"{i}.pie.{f.name}"] = getattr(m.pie, f.name)
        arrays[f"{i}.refitted"], arrays[f"{i}.model"] = m.refitted, m.model if grows else m.model[0]
        arrays["steps"] = m.steps
        if m.real is not None:
            targets[-1]["real"] = {"clips": m.real.clips, "sources": m.real.sources}
            arrays |= {f"{i}.real.{key}": np.asarray(getattr(m.real, key)) for key in REAL}
    metadata = {
        "probe": probe,
        "version": version,
        "format": FORMATS[grows],
        "seeds": list(measured[0].seeds),
        "targets": targets,
    }
    return {"metadata": metadata, "arrays": arrays}


def unpack(cell: Mapping[str, Any], probe: str = "depth") -> list[Measured]:
    """The inverse of `pack`, also after a way through JSON and .npz.

    Raises:
        ProbeError: a cell of another probe or of a newer format.
    """
    metadata, arrays = cell["metadata"], cell["arrays"]
    if metadata.get("probe") != probe or metadata.get("format") not in FORMATS:
        found = f"{metadata.get('probe')} format {metadata.get('format')}"
        expected = f"{probe} format {' or '.join(map(str, FORMATS))}"
        raise ProbeError("not a cell of this probe", found=found, expected=expected, mend="measure again")
    measured = []
    for i, target in enumerate(metadata["targets"]):
        about = dict(target["about"])
        about["rungs"] = tuple(map(tuple, about["rungs"]))
        about["merged"] = tuple(map(tuple, about["merged"]))
        about["condition"] = np.inf if about["condition"] is None else about["condition"]
        for key in ("information", "own_ceiling", "own_skipped", "reliance_skipped", "groups", "own_groups"):
            about[key] = np.asarray(arrays[f"{i}.about.{key}"]) if f"{i}.about.{key}" in arrays else None
        pie: dict[str, Any] = {
            f.name: np.asarray(arrays[f"{i}.pie.{f.name}"]) if f"{i}.pie.{f.name}" in arrays else None
            for f in fields(Pie)
        }
        seeds, steps = tuple(metadata["seeds"]), np.asarray(arrays["steps"])
        refitted, model = np.asarray(arrays[f"{i}.refitted"]), np.asarray(arrays[f"{i}.model"])
        model = np.broadcast_to(model, (len(steps), model.shape[-1]))
        real = None
        if "real" in target:
            losses: dict[str, Any] = {key: np.asarray(arrays[f"{i}.real.{key}"]) for key in REAL}
            real = RealLoss(**target["real"], **losses)
        measured.append(Measured(target["name"], seeds, steps, Information(**about), Pie(**pie), refitted, model, real))
    return measured


def of_seeds(cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
    """A cell with the columns of some of its seeds only: what is left of a group that is larger than asked for."""
    metadata = cell["metadata"]
    chosen = [column for column, seed in enumerate(metadata["seeds"]) if seed in wanted]
    parts = []
    for m in unpack(cell, metadata["probe"]):
        arrays = {f.name: getattr(m.pie, f.name) for f in fields(Pie)}
        for name, value in arrays.items():
            if value is not None:
                arrays[name] = np.take(value, chosen, axis=2 if name in GROUPED else 1)
        seeds = tuple(m.seeds[column] for column in chosen)
        real = m.real and m.real.of_seeds(chosen)
        parts.append(replace(m, seeds=seeds, pie=Pie(**arrays), refitted=m.refitted[chosen], real=real))
    return marked(pack(parts, metadata["probe"], metadata["version"]), metadata.get("reference"))


def joined(parts: Sequence[Measured]) -> Measured:
    """One target's groups of seeds side by side, in the order of the seeds.

    Raises:
        ProbeError: groups of different runs, or a seed measured twice.
    """
    first = parts[0]
    for other in parts[1:]:
        same = other.target == first.target and np.array_equal(other.steps, first.steps)
        if not (same and np.array_equal(other.about.information, first.about.information)):
            raise ProbeError(
                "cells of different runs or references",
                node=other.target,
                mend="conclude from one run's groups of seeds",
            )
    seeds = [seed for part in parts for seed in part.seeds]
    if len(set(seeds)) < len(seeds):
        raise ProbeError("a seed was measured twice", found=sorted(s for s in set(seeds) if seeds.count(s) > 1))
    order = np.argsort(seeds, kind="stable")
    joined = concatenate([part.pie for part in parts], axis=1)
    arrays = {f.name: getattr(joined, f.name) for f in fields(Pie)}
    for name, value in arrays.items():
        if value is not None:
            arrays[name] = np.take(value, order, axis=2 if name in GROUPED else 1)
    refitted = np.concatenate([part.refitted for part in parts])[order]
    ordered = tuple(seeds[i] for i in order)
    losses = [part.real for part in parts if part.real is not None]
    real = side_by_side(losses).of_seeds(order) if losses else None
    return Measured(first.target, ordered, first.steps, first.about, Pie(**arrays), refitted, first.model, real)
