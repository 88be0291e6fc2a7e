"""A trace: the checkpoints of one training run over its seeds, what they predict, and the file they live in."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.archive import damaged, read_archive, write_archive
from worldnets.dataset import Dataset, load_dataset
from worldnets.errors import StoreError, TrainingError, WorldnetsError, did_you_mean
from worldnets.growth import Growth, pack_growth, unpack_growth
from worldnets.heads.base import Head, is_parameter, outputs_of
from worldnets.heads.base import head_options as complete_options
from worldnets.heads.inputs import Features, Inputs
from worldnets.net import WorldNet
from worldnets.net_archive import pack_net, unpack_net
from worldnets.objectives.base import log_probabilities, output_columns
from worldnets.roles import Task
from worldnets.training_plan import GROUP, Plan, plan_training

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from worldnets.heads.base import SteppingHead
    from worldnets.inside import Inside

KIND = "worldnets trace"
FORMAT = 2  # of the saved file; raised whenever an older reader would misread a newer file
CHUNK = 1024  # rows predicted in one compiled call, padded, so that a row's bits never depend on the others

Predictor = Callable[..., NDArray[np.float64]]


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Checkpoints of one head, trained for one objective on one dataset, over several seeds.

    Args:
        plan: the request it answers.
        seeds: one per column of everything below.
        steps: training steps of the checkpoints, int64 [checkpoints], rising.
        parameters: of a differentiable head, the head as a pytree whose parameters are float32 [checkpoints, seeds, …];
            of a stepping head, the arrays of its state by name, [checkpoints, seeds, …].
        losses: bits per clip, float64 [checkpoints, seeds]: the mean over the batches since the checkpoint before,
            each batch fresh and taken before its update. That of checkpoint 0 is the first batch's.
        diverged: per seed the first step whose loss or parameters were not finite, else None. From then
            on such a seed's losses, parameters and predictions are NaN.
        last: updates made.
    """

    plan: Plan
    seeds: tuple[int, ...]
    steps: NDArray[np.int64]
    parameters: Any
    losses: NDArray[np.float64]
    diverged: tuple[int | None, ...]
    last: int

    def __post_init__(self) -> None:
        for array in (self.steps, self.losses):
            array.setflags(write=False)

    @property
    def dataset(self) -> Dataset:
        """What it was trained on."""
        return self.plan.dataset

    @property
    def objective(self) -> str:
        """Name of the objective."""
        return self.plan.objective.name

    @property
    def head(self) -> str:
        """Name of the head."""
        return self.plan.head_name

    @property
    def head_options(self) -> Mapping[str, Any]:
        """All of the head's options."""
        return MappingProxyType(self.plan.head_options)

    @property
    def inputs(self) -> Inputs:
        """What the head is given; `inputs.at(step)` where that changes in training."""
        return self.plan.inputs

    @property
    def settings(self) -> Mapping[str, Any]:
        """Everything else that determined the run, plain JSON."""
        return MappingProxyType({"steps": self.last, **self.plan.settings})

    @property
    def task(self) -> Task:
        """Evidence and targets of the objective."""
        return self.plan.task

    @property
    def counts(self) -> tuple[int, ...]:
        """Outcomes of each target, in the task's order."""
        return self.plan.counts

    @property
    def shareable(self) -> bool:
        """Whether threads may ask at once: not of heads that make their own updates, whose code promises nothing."""
        return not self.plan.stepping

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

    def at(self, checkpoint: int, seed: int) -> Head | SteppingHead:
        """One head as it stood at a checkpoint (by position).

        A differentiable one is callable on one feature vector; a stepping one has `log_probabilities`.
        """
        import jax

        if seed not in self.seeds:
            mend = did_you_mean(seed, self.seeds)
            raise TrainingError("the trace does not have this seed", found=seed, mend=mend)
        column = self.seeds.index(seed)
        if self.plan.stepping:
            return self._stepping.restored({name: leaf[checkpoint, column] for name, leaf in self.parameters.items()})
        pick = lambda leaf: leaf[checkpoint, column] if is_parameter(leaf) else leaf
        return jax.tree.map(pick, self.parameters)

    @functools.cached_property
    def _stepping(self) -> SteppingHead:
        # Any seed's: its state is replaced.
        return self.plan.build_stepping(self.seeds[0])

    def world_model(self, checkpoint: int, seed: int) -> WorldNet:
        """The world-model that a head of that kind, such as `world_model`, is at a checkpoint.

        Raises:
            TrainingError: the head is none, the seed is unknown or has diverged before.
        """
        found = self.diverged[self.seeds.index(seed)] if seed in self.seeds else None
        if found is not None and found <= self.steps[checkpoint]:
            raise TrainingError("the seed has diverged", found=seed, mend=f"look at a checkpoint before step {found}")
        net = getattr(self.at(checkpoint, seed), "net", None)
        if not isinstance(net, WorldNet):
            mend = 'train head="world_model"; the world-model under other heads is trace.inputs.world_model'
            raise TrainingError("this head is no world-model", found=self.head, mend=mend)
        return net

    def with_head_options(self, **options: Any) -> Trace:
        """The same parameters under other options of the head, such as other `rounds` than in training.

        Raises:
            TrainingError: an unknown option, or one that parameters depend on.
        """
        plan = replace(self.plan, head_options=complete_options(self.head, {**self.head_options, **options}))
        shapes = [tree.shape for tree in _kept_leaves(plan, plan.skeleton)]
        if shapes != [tree.shape[2:] for tree in _kept_leaves(self.plan, self.parameters)]:
            mend = "train anew with these options"
            raise TrainingError("the head's parameters depend on these options", found=sorted(options), mend=mend)
        return replace(self, plan=plan, parameters=plan.filled(_kept_leaves(self.plan, self.parameters)))

    def predictor(self, codes: NDArray[np.integer[Any]]) -> Predictor:
        """A function (checkpoint, target=None) → ln q of these rows; what can be prepared once is.

        Args:
            codes: clips or evidence rows, int16 [rows, net variables]; only the task's evidence is looked at.
        Returns:
            A function of a checkpoint's position in `steps` (−1 is the last), and of a target's name or None; if the
            trace is `shareable`, threads may share it. It returns ln q in nats, float64 [seeds, rows, outcomes],
            normalised per target; all targets' outcomes side by side without a name. NaN for a seed that has diverged.
        """
        held: list[tuple[Any, Features]] = []
        lock = threading.Lock()

        def features(checkpoint: int) -> Features:
            view = self.inputs.at(int(self.steps[checkpoint]))
            with lock:
                if not held or held[0][0] is not view:
                    held[:] = [(view, view.features(codes))]  # stages follow each other; one is held at a time
                return held[0][1]

        def predict(checkpoint: int, target: str | None = None) -> NDArray[np.float64]:
            if self.plan.stepping:
                return self._stepped(codes, checkpoint, target)
            return self.predict_features(features(checkpoint), checkpoint, target)

        return predict

    def predict(self, codes: NDArray[np.integer[Any]], checkpoint: int) -> NDArray[np.float64]:
        """ln q(y | x) of every outcome of every target, in nats: `predictor(codes)(checkpoint)`."""
        return self.predictor(codes)(checkpoint)

    def predict_target(self, codes: NDArray[np.integer[Any]], checkpoint: int, target: str) -> NDArray[np.float64]:
        """`predict`, of one target only: float64 [seeds, rows, outcomes of the target]."""
        return self.predictor(codes)(checkpoint, target)

    def _stepped(self, codes: NDArray[np.integer[Any]], checkpoint: int, target: str | None) -> NDArray[np.float64]:
        first, last = 0, sum(self.counts)
        if target is not None:
            place = self.task.targets.index(self.task.target(target))
            first, last = sum(self.counts[:place]), sum(self.counts[: place + 1])
        log_q = np.full((len(self.seeds), len(codes), last - first), np.nan)
        for column, seed in enumerate(self.seeds):
            lost = self.diverged[column]
            if lost is None or lost > self.steps[checkpoint]:
                head = self.at(checkpoint, seed)
                log_q[column] = head.log_probabilities(codes)[:, first:last]  # type: ignore[union-attr]
        return log_q

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
        return self.applied(_forward(), checkpoint, features)

    def applied(
        self, function: Callable[..., Any], checkpoint: int, features: Features, beside: NDArray[Any] | None = None
    ) -> NDArray[np.float32]:
        """A compiled function of heads and rows, at a checkpoint, in whole groups of seeds and chunks of rows.

        Args:
            function: (heads [slots], features [rows, width], perhaps arrays [slots, rows, …]) → [slots, rows, …].
            checkpoint: position in `steps`.
            features: float32 [rows, width].
            beside: float32 [seeds, rows, …], what each seed is given besides the features.

        Returns:
            float32 [seeds, rows, …]; a row's bits depend neither on the rows nor on the seeds computed with it.
        """
        rows, found = len(features), np.empty((len(self.seeds), len(features), 0), dtype=np.float32)
        groups: dict[int, list[int]] = {}
        for column, seed in enumerate(self.seeds):
            groups.setdefault(seed // GROUP, []).append(column)
        for columns in groups.values():
            # Every seed predicts in the slot it was trained in, beside empty slots: the same program, the same bits.
            slots = [self.seeds[column] % GROUP for column in columns]
            heads = self._padded(checkpoint, columns, slots)
            for first in range(0, max(rows, 1), CHUNK):  # no rows have a width too
                part = slice(first, min(first + CHUNK, rows))
                chunk = [_filled_up(features[part])]
                if beside is not None:
                    own = np.zeros((GROUP, CHUNK, *beside.shape[2:]), dtype=np.float32)
                    own[slots, : part.stop - first] = beside[columns, part]
                    chunk.append(own)
                values = np.asarray(function(heads, *chunk))
                if found.shape[2:] != values.shape[2:]:
                    found = np.empty((len(self.seeds), rows, *values.shape[2:]), dtype=np.float32)
                found[columns, part] = values[slots, : part.stop - first]
        return found

    def inside(self, codes: NDArray[np.integer[Any]]) -> Inside:
        """What the heads hold on these rows before they answer, and what they answer from something else.

        Args:
            codes: clips or evidence rows, int16 [rows, net variables]; only the task's evidence is looked at.

        Raises:
            TrainingError: a head that does not show its activations.
        """
        from worldnets.inside import Inside

        return Inside(self, codes)

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
        format number, and a checksum of everything in it. A world-model other than the dataset's own net is in it, and
        so is a growth with the world-models of all its stages.

        Raises:
            StoreError: the file cannot be written.
        """
        arrays = {f"parameters/{name}": leaf for name, leaf in _named(self.plan, self.parameters).items()}
        arrays |= {"steps": self.steps, "losses": self.losses}
        metadata: dict[str, Any] = {
            "dataset": self.dataset.spec,
            "dataset_digest": self.dataset.digest,
            "objective": self.objective,
            "head": self.head,
            "head_options": dict(self.head_options),
            "inputs": self.inputs.name,
            "seeds": self.seeds,
            "diverged": self.diverged,
            "settings": dict(self.settings),
        }
        model, growth = self.inputs.world_model, getattr(self.inputs, "growth", None)
        if growth is not None:
            metadata["growth"], tables = pack_growth(growth)
            arrays |= {f"growth/{name}": table for name, table in tables.items()}
        elif model is not None and model is not self.dataset.net:
            metadata["world_model"], tables = pack_net(model)
            arrays |= {f"world_model/{v}": table for v, table in tables.items()}
        return write_archive(path, KIND, FORMAT, metadata, arrays)

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
        metadata, arrays = read_archive(path, KIND, FORMAT)
        try:
            spec = metadata["dataset"]
            given = load_dataset(**spec) if dataset is None else dataset
            if given.digest != metadata["dataset_digest"]:
                mend = "train again, or pass the dataset as it was: Trace.load(path, dataset=…)"
                raise StoreError("the dataset has changed since the trace was saved", file=path, found=spec, mend=mend)
            settings = dict(metadata["settings"])
            last = settings.pop("steps")
            model: WorldNet | Growth | None = None
            if "growth" in metadata:
                model = unpack_growth(metadata["growth"], _under("growth/", arrays))
            elif "world_model" in metadata:
                model = unpack_net(metadata["world_model"], _under("world_model/", arrays))
            plan = plan_training(
                given,
                metadata["head"],
                metadata["objective"],
                inputs=metadata["inputs"],
                head_options=metadata["head_options"],
                world_model=model,
                training_steps=last,
                **settings,
            )
            seeds, steps, losses = tuple(metadata["seeds"]), arrays["steps"], arrays["losses"]
            parameters = _filled(plan, _under("parameters/", arrays), (len(steps), len(seeds)))
            if losses.shape != (len(steps), len(seeds)) or len(metadata["diverged"]) != len(seeds):
                detail = f"losses of shape {losses.shape} for {len(steps)} checkpoints, {len(seeds)} seeds"
                raise damaged(path, KIND, detail)
            return cls(plan, seeds, steps, parameters, losses, tuple(metadata["diverged"]), last)
        except StoreError as error:
            raise error.at(file=path) from None
        except WorldnetsError as error:
            mend = "install or load what it was trained with, or train again"
            raise StoreError(f"the trace cannot be rebuilt here: {error}", file=path, mend=mend) from error
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise damaged(path, KIND, f"{type(error).__name__}: {error}") from error

    def __repr__(self) -> str:
        lost = sum(step is not None for step in self.diverged)
        what = f"{self.head} on {self.inputs.name} of {self.dataset.name}/{self.objective}"
        how = f"{len(self.seeds)} seeds, {len(self.steps)} checkpoints to step {int(self.steps[-1])}"
        return f"Trace({what}, {how}{f', {lost} diverged' if lost else ''})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame, note

        return card(repr(self), None, note("Training loss in bits, by step and seed:"), frame(self.to_pandas(), 24))


def _filled_up(part: NDArray[Any]) -> NDArray[np.float32]:
    if len(part) == CHUNK:
        return part.astype(np.float32, copy=False)
    chunk = np.zeros((CHUNK, *part.shape[1:]), dtype=np.float32)
    chunk[: len(part)] = part
    return chunk


@functools.cache
def _forward() -> Any:
    # Heads [GROUP slots] on features [rows, width] -> outputs [slots, rows, outputs].
    import equinox as eqx
    import jax

    @eqx.filter_jit
    def apply(heads: Any, features: Any) -> Any:
        # One head after the other: products of two matrices are faster than stacks of them.
        arrays, rest = eqx.partition(heads, eqx.is_array)
        return jax.lax.map(lambda own: outputs_of(eqx.combine(own, rest), features), arrays)

    return apply


def _kept_leaves(plan: Plan, tree: Any) -> list[NDArray[Any]]:
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if plan.kept(leaf)]


def _named(plan: Plan, tree: Any) -> dict[str, NDArray[Any]]:
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves if plan.kept(leaf)}


def _under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _filled(plan: Plan, named: Mapping[str, NDArray[Any]], leading: tuple[int, int]) -> Any:
    wanted = _named(plan, plan.skeleton)
    expected = {name: (*leading, *leaf.shape) for name, leaf in wanted.items()}
    found = {name: array.shape for name, array in named.items()}
    if found != expected:
        mend = "the head's code or options have changed; train again"
        raise StoreError("the parameters are not those of this head", found=found, expected=expected, mend=mend)
    return plan.filled([named[name] for name in wanted])
