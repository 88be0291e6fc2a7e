"""What a probe measured, as a cell stores it: named numbers of a group of seeds at every checkpoint.

One shape for all probes of the catalogue: by which axis an array belongs to seeds is said by where it stands, so that
groups of seeds are taken apart and joined without knowing what was measured.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import ProbeError

FORMAT = 1
#: The kinds of arrays, and the axis of the seeds in each.
SEED_AXIS = {"numbers": 1, "ends": 0, "grouped": 2, "world": None}


@dataclass(frozen=True)
class Measurement:
    """One target (or the run as a whole, "") of one cell. T checkpoints, S seeds, G groups of evaluation clips.

    Attributes:
        target: name of the target.
        seeds: seed of each column.
        steps: training step of each checkpoint, [T].
        numbers: of each seed at each checkpoint, [T, S, …]; NaN where a seed had diverged.
        ends: of each seed once, [S, …].
        grouped: deviation of each clip group's number from the mean of all groups, [G, T, S, …], where evaluation clips
            are shared by seeds: what intervals must carry besides the spread over seeds.
        world: the same for every seed, any shape; cells whose worlds differ are not joined.
        plain: JSON-able, the same for every seed.
    """

    target: str
    seeds: tuple[int, ...]
    steps: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]
    ends: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    grouped: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    world: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    plain: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind, axis in SEED_AXIS.items():
            for name, array in getattr(self, kind).items():
                if axis is not None and (array.ndim <= axis or array.shape[axis] != len(self.seeds)):
                    found, expected = f"{name} {array.shape}", f"{len(self.seeds)} seeds along axis {axis}"
                    raise ProbeError(f"an array of {kind} of the wrong shape", found=found, expected=expected)

    @property
    def sound(self) -> NDArray[np.bool_]:
        """Seeds all of whose numbers are finite at the last checkpoint, [S]; NaN in all seeds says nothing of one."""
        kept = np.ones(len(self.seeds), dtype=bool)
        for array in self.numbers.values():
            finite = np.isfinite(np.moveaxis(array[-1], 0, -1)).reshape(-1, len(self.seeds))
            kept &= (finite | ~finite.any(-1, keepdims=True)).all(0)
        return kept

    def taken(self, columns: Sequence[int] | NDArray[np.integer[Any]]) -> Measurement:
        """Some seeds, by their columns, in that order."""
        cut: dict[str, Any] = {
            kind: {name: np.take(array, columns, axis=axis) for name, array in getattr(self, kind).items()}
            for kind, axis in SEED_AXIS.items()
            if axis is not None
        }
        return replace(self, seeds=tuple(self.seeds[column] for column in columns), **cut)


def pack(parts: Sequence[Measurement], probe: str, version: int) -> dict[str, Any]:
    """Measured targets as a cell: one JSON-able dict and one dict of arrays."""
    arrays: dict[str, NDArray[Any]] = {"steps": parts[0].steps}
    for i, part in enumerate(parts):
        for kind in SEED_AXIS:
            arrays |= {f"{i}.{kind}.{name}": array for name, array in getattr(part, kind).items()}
    metadata = {
        "probe": probe,
        "version": version,
        "format": FORMAT,
        "seeds": list(parts[0].seeds),
        "targets": [{"name": part.target, "plain": dict(part.plain)} for part in parts],
    }
    return {"metadata": metadata, "arrays": arrays}


def unpack(cell: Mapping[str, Any], probe: str) -> list[Measurement]:
    """The inverse of `pack`, also after a way through JSON and .npz.

    Raises:
        ProbeError: a cell of another probe or of a newer format.
    """
    metadata, arrays = cell["metadata"], cell["arrays"]
    if metadata.get("probe") != probe or metadata.get("format") != FORMAT:
        found = f"{metadata.get('probe')} format {metadata.get('format')}"
        expected = f"{probe} format {FORMAT}"
        raise ProbeError("not a cell of this probe", found=found, expected=expected, mend="measure again")
    parts = []
    for i, target in enumerate(metadata["targets"]):
        kinds: dict[str, Any] = {
            kind: {
                name.removeprefix(f"{i}.{kind}."): np.asarray(array)
                for name, array in arrays.items()
                if name.startswith(f"{i}.{kind}.")
            }
            for kind in SEED_AXIS
        }
        seeds, steps = tuple(metadata["seeds"]), np.asarray(arrays["steps"])
        parts.append(Measurement(target["name"], seeds, steps, plain=target["plain"], **kinds))
    return parts


def of_seeds(cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
    """A cell with some of its seeds only: what is left of a group that is larger than asked for."""
    from probes.reference import marked

    metadata = cell["metadata"]
    parts = unpack(cell, metadata["probe"])
    chosen = [column for column, seed in enumerate(parts[0].seeds) if seed in wanted]
    cut = pack([part.taken(chosen) for part in parts], metadata["probe"], metadata["version"])
    return marked(cut, metadata.get("reference"))


def joined(parts: Sequence[Measurement]) -> Measurement:
    """One target's groups of seeds side by side, in the order of the seeds.

    Raises:
        ProbeError: groups of different runs, or a seed measured twice.
    """
    first = parts[0]
    for other in parts[1:]:
        same = other.target == first.target and np.array_equal(other.steps, first.steps) and other.plain == first.plain
        same = same and other.world.keys() == first.world.keys()
        if not (same and all(_equal(other.world[name], array) for name, array in first.world.items())):
            mend = "conclude from one run's groups of seeds"
            raise ProbeError("cells of different runs or references", node=other.target, mend=mend)
    seeds = [seed for part in parts for seed in part.seeds]
    if len(set(seeds)) < len(seeds):
        raise ProbeError("a seed was measured twice", found=sorted(s for s in set(seeds) if seeds.count(s) > 1))
    beside: dict[str, Any] = {
        kind: {
            name: np.concatenate([getattr(part, kind)[name] for part in parts], axis=axis)
            for name in getattr(first, kind)
        }
        for kind, axis in SEED_AXIS.items()
        if axis is not None
    }
    return replace(first, seeds=tuple(seeds), **beside).taken(np.argsort(seeds, kind="stable"))


def by_target(cells: Sequence[Mapping[str, Any]], probe: str) -> list[Measurement]:
    """The measurements of a run's cells, joined target by target.

    Raises:
        ProbeError: no cell, or cells that do not belong together.
    """
    if not cells:
        raise ProbeError("nothing was measured", mend="pass at least one cell")
    unpacked = [unpack(cell, probe) for cell in cells]
    if len({len(parts) for parts in unpacked}) > 1:
        raise ProbeError("cells of different runs or references", mend="conclude from one run's groups of seeds")
    return [joined(parts) for parts in zip(*unpacked, strict=True)]


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one, other, equal_nan=np.issubdtype(one.dtype, np.inexact))
