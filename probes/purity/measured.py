"""What a purity cell stores: the numbers of a group of seeds at every checkpoint, and what W* says beside them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.purity.model import GROUPED, Numbers, measure_model, stacked
from probes.purity.truth import Truth
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from worldnets.net import WorldNet

Floats = NDArray[np.float64]
FORMAT = 1  # of a measured cell
NAME = "purity"


@dataclass(frozen=True)
class About:
    """What does not depend on the world-model: `Truth` in plain numbers.

    Attributes:
        reference: "exact" where W* is the world, "learned" where it is itself a learned model.
        observed: how many observables are compared, and `configurations` how many joint states they have or, where
            they were sampled, how many different clips there are; `clips` is 0 where every configuration is there.
        kinds: names of the kinds of latent.
        nodes, intervened, set_to: the node that is set, its kind, and the state it is set to, by intervention.
        objectives: names of the losses.
        structure: bits; information: bits, [L]; effect, seeing: bits, [D]; unseen: [D]; least, surface: bits, [J].
        structure_groups, information_groups: in each group of clips, [G], [G, L].
    """

    reference: str
    observed: int
    configurations: int
    clips: int
    kinds: tuple[str, ...]
    nodes: tuple[str, ...]
    intervened: tuple[str, ...]
    set_to: tuple[str, ...]
    objectives: tuple[str, ...]
    structure: Floats
    information: Floats
    effect: Floats
    seeing: Floats
    unseen: Floats
    least: Floats
    surface: Floats
    structure_groups: Floats | None = None
    information_groups: Floats | None = None


@dataclass(frozen=True)
class Measured:
    """A group of seeds at every checkpoint.

    Attributes:
        objective: what the world-models were trained for; "" where they were not.
        seeds: of each column.
        steps: training step of each checkpoint, [T].
        about: what W* says.
        numbers: [T, S, …]; NaN for a seed that had diverged.
        training: the trace's own losses, [T, S] bits; NaN where there are none.
    """

    objective: str
    seeds: tuple[int, ...]
    steps: NDArray[np.int64]
    about: About
    numbers: Numbers
    training: Floats


def about(truth: Truth) -> About:
    """`Truth` in plain numbers."""
    grouped = truth.information_groups
    return About(
        reference=truth.dataset.reference,
        observed=len(truth.observed),
        configurations=len(truth.rows),
        clips=truth.clips,
        kinds=tuple(truth.latents),
        nodes=tuple(asked.node for asked in truth.interventions for _ in asked.states),
        intervened=tuple(asked.kind for asked in truth.interventions for _ in asked.states),
        set_to=tuple(label for asked in truth.interventions for label in asked.labels),
        objectives=tuple(loss.objective for loss in truth.losses),
        structure=np.array(truth.structure),
        information=np.array([truth.information[kind] for kind in truth.latents]),
        effect=np.concatenate([np.zeros(0), *(asked.effect for asked in truth.interventions)]),
        seeing=np.concatenate([np.zeros(0), *(asked.seeing for asked in truth.interventions)]),
        unseen=np.concatenate([np.zeros(0), *(asked.unseen for asked in truth.interventions)]),
        least=np.array([loss.least for loss in truth.losses]),
        surface=np.array([loss.surface for loss in truth.losses]),
        structure_groups=truth.structure_groups,
        information_groups=None if grouped is None else np.stack([grouped[kind] for kind in truth.latents], axis=-1),
    )


def measure_models(
    truth: Truth,
    seeds: Sequence[int],
    steps: Sequence[int] | NDArray[np.int64],
    model: Callable[[int, int], WorldNet | None],
    objective: str = "",
    training: Floats | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Any world-models, checkpoint by checkpoint.

    Args:
        truth: what W* says.
        seeds, steps: of the columns and the checkpoints.
        model: (checkpoint number, seed) → the world-model; None where the seed has diverged.
        objective: what they were trained for.
        training: losses in training, [T, S].
        progress: called as progress(done, total) after each checkpoint.

    Raises:
        ProbeError: not one world-model.
    """
    rows: list[list[Numbers | None]] = []
    for checkpoint in range(len(steps)):
        nets = [model(checkpoint, int(seed)) for seed in seeds]
        rows.append([None if net is None else measure_model(truth, net) for net in nets])
        if progress is not None:
            progress(checkpoint + 1, len(steps))
    if not any(numbers is not None for row in rows for numbers in row):
        raise ProbeError("every seed diverged", mend="train with a smaller learning rate")
    shape = (len(steps), len(seeds))
    losses = np.full(shape, np.nan) if training is None else np.asarray(training, dtype=np.float64)
    columns, taken = tuple(int(seed) for seed in seeds), np.asarray(steps, dtype=np.int64)
    return Measured(objective, columns, taken, about(truth), stacked(rows), losses)


def pack(measured: Measured, version: int) -> dict[str, Any]:
    """As a cell: one JSON-able dict, one dict of arrays."""
    arrays: dict[str, NDArray[Any]] = {"steps": measured.steps, "training": measured.training}
    plain: dict[str, Any] = {}
    for part, value in (("about", measured.about), ("numbers", measured.numbers)):
        for field in fields(value):
            entry = getattr(value, field.name)
            if isinstance(entry, np.ndarray):
                arrays[f"{part}.{field.name}"] = entry
            elif entry is not None:
                plain[field.name] = list(entry) if isinstance(entry, tuple) else entry
    metadata = {"probe": NAME, "version": version, "format": FORMAT, "objective": measured.objective}
    return {"metadata": {**metadata, "seeds": list(measured.seeds), "about": plain}, "arrays": arrays}


def unpack(cell: Mapping[str, Any]) -> Measured:
    """The inverse of `pack`, also after a way through JSON and .npz.

    Raises:
        ProbeError: a cell of another probe or of a newer format.
    """
    metadata, arrays = cell["metadata"], cell["arrays"]
    if metadata.get("probe") != NAME or metadata.get("format") != FORMAT:
        found = f"{metadata.get('probe')} format {metadata.get('format')}"
        expected = f"{NAME} format {FORMAT}"
        raise ProbeError("not a cell of this probe", found=found, expected=expected, mend="measure again")
    plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in metadata["about"].items()}
    plain |= {
        name.removeprefix("about."): np.asarray(array) for name, array in arrays.items() if name.startswith("about.")
    }
    numbers = {f.name: _array(arrays, f"numbers.{f.name}") for f in fields(Numbers)}
    return Measured(
        metadata["objective"],
        tuple(metadata["seeds"]),
        np.asarray(arrays["steps"]),
        About(**plain),
        Numbers(**numbers),
        np.asarray(arrays["training"]),
    )


def _array(arrays: Mapping[str, Any], name: str) -> Any:
    return np.asarray(arrays[name]) if name in arrays else None


def taken(measured: Measured, columns: Sequence[int] | NDArray[np.integer[Any]]) -> Measured:
    """Some seeds, by their columns, in that order."""
    arrays = {f.name: getattr(measured.numbers, f.name) for f in fields(Numbers)}
    for name, value in arrays.items():
        if value is not None:
            arrays[name] = np.take(value, columns, axis=2 if name in GROUPED else 1)
    seeds = tuple(measured.seeds[column] for column in columns)
    return replace(measured, seeds=seeds, numbers=Numbers(**arrays), training=measured.training[:, columns])


def of_seeds(cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
    """A cell with some of its seeds only."""
    measured = unpack(cell)
    chosen = [column for column, seed in enumerate(measured.seeds) if seed in wanted]
    return pack(taken(measured, chosen), cell["metadata"]["version"])


def joined(parts: Sequence[Measured]) -> Measured:
    """Groups of seeds side by side, in the order of the seeds.

    Raises:
        ProbeError: groups of different runs, or a seed measured twice.
    """
    first = parts[0]
    for other in parts[1:]:
        same = np.array_equal(other.steps, first.steps) and other.about.kinds == first.about.kinds
        if not (same and np.array_equal(other.about.information, first.about.information)):
            mend = "conclude from one run's groups of seeds"
            raise ProbeError("cells of different runs or worlds", found=other.objective, mend=mend)
    seeds = [seed for part in parts for seed in part.seeds]
    if len(set(seeds)) < len(seeds):
        raise ProbeError("a seed was measured twice", found=sorted(s for s in set(seeds) if seeds.count(s) > 1))
    arrays: dict[str, Any] = {}
    for field in fields(Numbers):
        values = [getattr(part.numbers, field.name) for part in parts]
        axis = 2 if field.name in GROUPED else 1
        arrays[field.name] = None if values[0] is None else np.concatenate(values, axis=axis)
    training = np.concatenate([part.training for part in parts], axis=1)
    side_by_side = replace(first, seeds=tuple(seeds), numbers=Numbers(**arrays), training=training)
    return taken(side_by_side, np.argsort(seeds, kind="stable"))
