"""A trace: the checkpoints of one training run over its seeds, what they predict, and the file they live in."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset, load_dataset
from worldnets.errors import StoreError, TrainingError, WorldnetsError, did_you_mean
from worldnets.files import write_atomically
from worldnets.heads.base import Head, build_head, is_parameter
from worldnets.heads.inputs import Features, Inputs, inputs
from worldnets.objectives.base import REGISTRY as OBJECTIVES
from worldnets.objectives.base import log_probabilities, output_columns, output_count
from worldnets.roles import Task, outcome_count

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

GROUP = 8  # seeds trained side by side, always this many: a seed's bits depend on how many there are
FORMAT = 1  # of the saved file; raised whenever an older reader would misread a newer file
KIND = "worldnets trace"
CHUNK = 1024  # rows predicted in one compiled call, padded, so that a row's bits never depend on the others
EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member of a saved file: the same trace is the same bytes


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Checkpoints of one head, trained for one objective on one dataset, over several seeds.

    Args:
        dataset: what it was trained on.
        objective: name of the objective.
        head: name of the head.
        head_options: all of its options.
        inputs: what the head is given.
        seeds: one per column of everything below.
        steps: training steps of the checkpoints, int64 [checkpoints], rising.
        parameters: the head as a pytree whose parameters are float32 [checkpoints, seeds, …].
        losses: bits per row, float64 [checkpoints, seeds]: the mean over the batches since the checkpoint before,
            each batch fresh and taken before its update. That of checkpoint 0 is the first batch's.
        diverged: per seed the first step whose loss or parameters were not finite, else None. From then
            on such a seed's losses, parameters and predictions are NaN.
        settings: everything else that determined the run, plain JSON.
    """

    dataset: Dataset
    objective: str
    head: str
    head_options: Mapping[str, Any]
    inputs: Inputs
    seeds: tuple[int, ...]
    steps: NDArray[np.int64]
    parameters: Head
    losses: NDArray[np.float64]
    diverged: tuple[int | None, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = functools.partial(object.__setattr__, self)
        put("head_options", MappingProxyType(dict(self.head_options)))
        put("settings", MappingProxyType(dict(self.settings)))
        for array in (self.steps, self.losses):
            array.setflags(write=False)

    @functools.cached_property
    def task(self) -> Task:
        """Evidence and targets of the objective."""
        return OBJECTIVES.get(self.objective).task(self.dataset)

    @functools.cached_property
    def counts(self) -> tuple[int, ...]:
        """Outcomes of each target, in the task's order."""
        return tuple(outcome_count(self.dataset.net, target) for target in self.task.targets)

    def checkpoint(self, step: int) -> int:
        """Position of the checkpoint taken at a step.

        Raises:
            TrainingError: none was taken there.
        """
        found = np.flatnonzero(self.steps == step)
        if not len(found):
            nearest = int(self.steps[np.abs(self.steps - step).argmin()])
            mend = f"the nearest is {nearest}; name the steps to keep with train(checkpoints=[…])"
            raise TrainingError("no checkpoint was taken at this step", found=step, mend=mend)
        return int(found[0])

    def at(self, checkpoint: int, seed: int) -> Head:
        """One head as it stood at a checkpoint (by position), callable on one feature vector."""
        import jax

        if seed not in self.seeds:
            mend = did_you_mean(seed, self.seeds)
            raise TrainingError("the trace does not have this seed", found=seed, mend=mend)
        column = self.seeds.index(seed)
        pick = lambda leaf: leaf[checkpoint, column] if is_parameter(leaf) else leaf
        return jax.tree.map(pick, self.parameters)

    def predict(self, codes: NDArray[np.integer[Any]], checkpoint: int) -> NDArray[np.float64]:
        """ln q(y | x) of every outcome of every target, in nats.

        Args:
            codes: clips or evidence rows, int16 [rows, net variables]; only the task's evidence is looked at.
            checkpoint: its position in `steps`; −1 is the last.
        Returns:
            float64 [seeds, rows, total outcomes], normalised per target; NaN for a seed that has diverged.
        """
        return self.predict_features(self.inputs.features(codes), checkpoint)

    def predict_target(self, codes: NDArray[np.integer[Any]], checkpoint: int, target: str) -> NDArray[np.float64]:
        """`predict`, of one target only: float64 [seeds, rows, outcomes of the target]."""
        return self.predict_features(self.inputs.features(codes), checkpoint, target)

    def predict_features(self, features: Features, checkpoint: int, target: str | None = None) -> NDArray[np.float64]:
        """`predict` (or, with a target, `predict_target`) where the features are at hand: float32 [rows, width].

        A row's bits depend neither on the rows nor on the seeds that are predicted with it.
        """
        outputs = self._outputs(features, checkpoint)
        if target is None:
            return log_probabilities(outputs, self.counts)
        place = self.task.targets.index(self.task.target(target))
        return log_probabilities(outputs[..., output_columns(self.counts, place)], self.counts[place : place + 1])

    def _outputs(self, features: Features, checkpoint: int) -> NDArray[np.float32]:
        if features.ndim != 2 or features.shape[1] != self.inputs.width:
            mend = "pass trace.inputs.features(codes)"
            raise TrainingError(
                "features of the wrong shape", found=features.shape, expected=f"(rows, {self.inputs.width})", mend=mend
            )
        rows = len(features)
        outputs = np.empty((len(self.seeds), rows, output_count(self.counts)), dtype=np.float32)
        groups: dict[int, list[int]] = {}
        for column, seed in enumerate(self.seeds):
            groups.setdefault(seed // GROUP, []).append(column)
        for columns in groups.values():
            # Every seed predicts in the slot it was trained in, beside empty slots: the same program, the same bits.
            slots = [self.seeds[column] % GROUP for column in columns]
            heads = self._padded(checkpoint, columns, slots)
            for first in range(0, rows, CHUNK):
                chunk = np.zeros((CHUNK, features.shape[1]), dtype=np.float32)
                part = features[first : first + CHUNK]
                chunk[: len(part)] = part
                outputs[columns, first : first + CHUNK] = np.asarray(_forward()(heads, chunk))[slots, : len(part)]
        return outputs

    def _padded(self, checkpoint: int, columns: list[int], slots: list[int]) -> Head:
        import jax

        def pad(leaf: Any) -> Any:
            if not is_parameter(leaf):
                return leaf
            full = np.zeros((GROUP, *leaf.shape[2:]), dtype=leaf.dtype)
            full[slots] = leaf[checkpoint][columns]
            return jax.numpy.asarray(full)

        return jax.tree.map(pad, self.parameters)

    def to_pandas(self) -> pd.DataFrame:
        """Losses in bits: one row per checkpoint (index: step), one column per seed."""
        import pandas as pd

        index = pd.Index(self.steps, name="step")
        return pd.DataFrame(self.losses, index=index, columns=pd.Index(self.seeds, name="seed"))

    def plot(self, axes: Axes | None = None) -> Axes:
        """Training loss in bits against steps (symmetric-log axis), one line per seed."""
        import matplotlib.pyplot as plt

        axes = plt.subplots()[1] if axes is None else axes
        for seed, losses in zip(self.seeds, self.losses.T, strict=True):
            axes.plot(self.steps, losses, label=f"seed {seed}", linewidth=1)
        axes.set(xscale="symlog", xlabel="training step", ylabel="loss (bits per row)", title=repr(self))
        return axes

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the trace to one file, whole or not at all; the same trace gives the same bytes.

        The file is a zip of `metadata.json` and one `.npy` per array (so `numpy.load` reads the arrays): no pickle, a
        format number, and a checksum of everything in it.

        Raises:
            StoreError: the file cannot be written, or the world-model behind the inputs is not the dataset's own net.
        """
        if getattr(self.inputs, "world_model", self.dataset.net) is not self.dataset.net:
            mend = "save the world-model beside it; traces on other world-models than W* have no file form yet"
            raise StoreError("the inputs go through a world-model that the dataset does not have", file=path, mend=mend)
        arrays = {f"parameters/{name}": leaf for name, leaf in _named_parameters(self.parameters).items()}
        arrays |= {"steps": self.steps, "losses": self.losses}
        members = {f"{name}.npy": _npy(array) for name, array in arrays.items()}
        metadata = {
            "kind": KIND,
            "format": FORMAT,
            "dataset": self.dataset.spec,
            "dataset_digest": self.dataset.digest,
            "objective": self.objective,
            "head": self.head,
            "head_options": dict(self.head_options),
            "inputs": self.inputs.name,
            "seeds": self.seeds,
            "diverged": self.diverged,
            "settings": dict(self.settings),
            "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in members.items()},
        }
        members = {"metadata.json": json.dumps(metadata, indent=1, sort_keys=True).encode(), **members}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, EPOCH), content)
        return write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | os.PathLike[str], dataset: Dataset | None = None) -> Self:
        """Read a saved trace; nothing in the file is executed.

        Args:
            path: the file.
            dataset: the dataset it was trained on, where its name does not lead to it from here.

        Raises:
            StoreError: no such file, not a trace, of a newer format, damaged, or trained on a dataset, head or
                objective that is no longer what it was.
        """
        metadata, arrays = _read(path)
        try:
            spec = metadata["dataset"]
            given = load_dataset(**spec) if dataset is None else dataset
            if given.digest != metadata["dataset_digest"]:
                mend = "train again, or pass the dataset as it was: Trace.load(path, dataset=…)"
                raise StoreError("the dataset has changed since the trace was saved", file=path, found=spec, mend=mend)
            objective, head, options = metadata["objective"], metadata["head"], metadata["head_options"]
            task = OBJECTIVES.get(objective).task(given)
            view = inputs(metadata["inputs"], given.net, task)
            outputs = output_count([outcome_count(given.net, target) for target in task.targets])
            seeds, steps, losses = tuple(metadata["seeds"]), arrays["steps"], arrays["losses"]
            skeleton = build_head(head, np.random.default_rng(0), view.width, outputs, options)
            named = {
                name.removeprefix("parameters/"): a for name, a in arrays.items() if name.startswith("parameters/")
            }
            parameters = _filled(skeleton, named, (len(steps), len(seeds)))
            if losses.shape != (len(steps), len(seeds)) or len(metadata["diverged"]) != len(seeds):
                raise _damaged(path, f"losses of shape {losses.shape} for {len(steps)} checkpoints, {len(seeds)} seeds")
            diverged = tuple(metadata["diverged"])
            return cls(
                given, objective, head, options, view, seeds, steps, parameters, losses, diverged, metadata["settings"]
            )
        except StoreError as error:
            raise error.at(file=path) from None
        except WorldnetsError as error:
            mend = "install or load what it was trained with, or train again"
            raise StoreError(f"the trace cannot be rebuilt here: {error}", file=path, mend=mend) from error
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error

    def __repr__(self) -> str:
        lost = sum(step is not None for step in self.diverged)
        what = f"{self.head} on {self.inputs.name} of {self.dataset.name}/{self.objective}"
        how = f"{len(self.seeds)} seeds, {len(self.steps)} checkpoints to step {int(self.steps[-1])}"
        return f"Trace({what}, {how}{f', {lost} diverged' if lost else ''})"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p><code>{escape(repr(self))}</code>, training loss in bits:</p>{self.to_pandas().to_html()}"


@functools.cache
def _forward() -> Any:
    # Heads [GROUP slots] on features [rows, width] -> outputs [slots, rows, outputs].
    import equinox as eqx
    import jax

    @eqx.filter_jit
    def apply(heads: Any, features: Any) -> Any:
        return eqx.filter_vmap(lambda head: jax.vmap(head)(features), in_axes=(eqx.if_array(0),))(heads)

    return apply


def _named_parameters(tree: Head) -> dict[str, NDArray[Any]]:
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves if is_parameter(leaf)}


def _filled(skeleton: Head, named: Mapping[str, NDArray[Any]], leading: tuple[int, int]) -> Head:
    import jax

    expected = {name: (*leading, *leaf.shape) for name, leaf in _named_parameters(skeleton).items()}
    found = {name: array.shape for name, array in named.items()}
    if found != expected:
        mend = "the head's code or options have changed; train again"
        raise StoreError("the parameters are not those of this head", found=found, expected=expected, mend=mend)
    fill = lambda path, leaf: named[jax.tree_util.keystr(path)] if is_parameter(leaf) else leaf
    return jax.tree_util.tree_map_with_path(fill, skeleton)


def _npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _damaged(path: str | os.PathLike[str], detail: str) -> StoreError:
    return StoreError("not a readable trace", file=path, found=detail, mend="delete the file and train again")


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        mend = "check the path; a trace is written by trace.save(path)"
        raise StoreError("cannot read", file=path, found=error.strerror or str(error), mend=mend) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        metadata = json.loads(members.pop("metadata.json"))
        if metadata["kind"] != KIND:
            raise _damaged(path, f"a file of kind {metadata['kind']!r}")
        if metadata["format"] > FORMAT:
            mend = "read it with the version of worldnets that wrote it, or a newer one"
            raise StoreError("a newer file format", file=path, found=metadata["format"], expected=FORMAT, mend=mend)
        if {name: hashlib.sha256(member).hexdigest() for name, member in members.items()} != metadata["sha256"]:
            raise _damaged(path, "arrays that do not match their checksums")
        read = functools.partial(np.lib.format.read_array, allow_pickle=False)
        return metadata, {name.removesuffix(".npy"): read(io.BytesIO(member)) for name, member in members.items()}
    except (zipfile.BadZipFile, zlib.error, struct.error, KeyError, TypeError, ValueError, EOFError, OSError) as error:
        if isinstance(error, StoreError):
            raise
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    except (NotImplementedError, RuntimeError, OverflowError, MemoryError) as error:  # what zipfile says of odd headers
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
