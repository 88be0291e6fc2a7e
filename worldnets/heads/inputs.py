"""What a head is given: the raw evidence of its task, or the beliefs of a world-model that saw that evidence."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError, TrainingError, did_you_mean
from worldnets.growth import Growth
from worldnets.net import WorldNet
from worldnets.roles import Task

if TYPE_CHECKING:
    from worldnets.inference.exact import Inference

Features = NDArray[np.float32]
NAMES = ("beliefs", "evidence")
TABLE_CELLS = 1 << 22  # largest table of beliefs kept, rows × features: 16 MiB


class Inputs(Protocol):
    """From code arrays to feature vectors; only the task's evidence columns are looked at."""

    @property
    def name(self) -> str:
        """Its name, as `train(inputs=…)` takes it."""
        ...

    @property
    def net(self) -> WorldNet:
        """The net whose columns code arrays have."""
        ...

    @property
    def task(self) -> Task:
        """What the head is asked."""
        ...

    @property
    def world_model(self) -> WorldNet | None:
        """Whose beliefs; None for raw evidence."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """What each feature says, e.g. `"HR=HIGH"`, in order."""
        ...

    @property
    def width(self) -> int:
        """Number of features."""
        ...

    @property
    def groups(self) -> Mapping[str, slice]:
        """The features of each variable."""
        ...

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """Features of each time step, in time order, all equally many: what sequence heads read.

        Raises:
            TrainingError: the features are not those of frames.
        """
        ...

    def at(self, training_step: int) -> Inputs:
        """The inputs in force at a training step: themselves, unless the world-model grows."""
        ...

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width] of a code array [rows, net variables]."""
        ...


def inputs(
    name: str,
    net: WorldNet,
    task: Task,
    world_model: WorldNet | Growth | None = None,
    frames: Sequence[Sequence[str]] = (),
    partial: bool = False,
    training_steps: int | None = None,
) -> Inputs:
    """The inputs of that name for a task.

    Args:
        name: "evidence" or "beliefs".
        net: the net whose columns the code arrays have.
        task: names the evidence and, for beliefs, the latents.
        world_model: whose beliefs; `net` itself by default (the oracle W*). One that grows gives the beliefs of its
            stages, in time; of raw evidence it gives what each stage shows.
        frames: observed nodes of each frame, for heads that read frame by frame.
        partial: whether evidence may be unobserved; beliefs always allow it.
        training_steps: how many there are in all: what the stages of a growth have their shares of.

    Raises:
        TrainingError: another name, a world-model given to inputs that look at none, or a growth without
            `training_steps`.
    """
    if name == "evidence" and isinstance(world_model, Growth):
        from worldnets.heads.growing_evidence import GrowingEvidence

        if training_steps is None:
            raise _no_steps(world_model)
        return GrowingEvidence(net, task, world_model, training_steps, frames, partial)
    if name == "evidence":
        if world_model is not None:
            mend = 'ask for inputs="beliefs", or leave world_model out'
            raise TrainingError("raw evidence goes through no world-model", found=repr(world_model), mend=mend)
        return EvidenceInputs(net, task, frames, partial)
    if name == "beliefs" and isinstance(world_model, Growth):
        from worldnets.heads.growing import GrowingInputs

        if training_steps is None:
            raise _no_steps(world_model)
        return GrowingInputs(net, task, world_model, training_steps)
    if name == "beliefs":
        if not isinstance(world_model, WorldNet | None):
            found, mend = type(world_model).__name__, "give a WorldNet, or a Growth"
            raise TrainingError("beliefs of what is no world-model", found=found, mend=mend)
        return BeliefInputs(net, task, world_model)
    raise TrainingError("unknown inputs", found=repr(name), mend=did_you_mean(name, NAMES))


def _no_steps(growth: Growth) -> TrainingError:
    mend = "say how many training steps there are"
    return TrainingError("stages have shares of the training steps", found=repr(growth), mend=mend)


class EvidenceInputs:
    """The evidence itself, variables in the task's order.

    A binary variable is one feature, −1 in state 0 and +1 in state 1; one with m ≠ 2 states is m features, 1 at its
    state and 0 elsewhere. The features of an unobserved variable are 0, where unobserved evidence is allowed.

    Args:
        net, task: as `inputs` takes them.
        frames: observed nodes of each frame, in time order.
        partial: whether evidence may be unobserved. A head that was never trained so would answer nonsense.
    """

    name = "evidence"
    world_model = None

    def __init__(self, net: WorldNet, task: Task, frames: Sequence[Sequence[str]] = (), partial: bool = False) -> None:
        net.check_variables(task.evidence)
        self.net, self.task, self.partial = net, task, partial
        self._frames = tuple(map(tuple, frames))
        self._columns = np.array([net.index[v] for v in task.evidence], dtype=np.intp)
        self._cards = net.cardinalities[self._columns]
        labels: list[str] = []
        groups: dict[str, slice] = {}
        for v in task.evidence:
            states = net.states[v]
            own = [f"{v}: {states[0]} −, {states[1]} +"] if len(states) == 2 else [f"{v}={s}" for s in states]
            groups[v] = slice(len(labels), len(labels) + len(own))
            labels += own
        self.labels = tuple(labels)
        self.groups: Mapping[str, slice] = MappingProxyType(groups)
        self.width = len(labels)

    @functools.cached_property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """Features of each frame of the evidence, in time order.

        Raises:
            TrainingError: a world without frames, frames of unequal features, or evidence outside of all frames.
        """
        mend = 'train a head that reads features side by side, such as "mlp"'
        shown = [[v for v in frame if v in self.groups] for frame in self._frames]
        steps = [
            tuple(i for v in frame for i in range(*self.groups[v].indices(self.width))) for frame in shown if frame
        ]
        if not steps:
            raise TrainingError("the evidence has no frames to read one by one", node=self.task.objective, mend=mend)
        if len({len(step) for step in steps}) > 1:
            found = [len(step) for step in steps]
            raise TrainingError("frames with unequally many features", node=self.task.objective, found=found, mend=mend)
        if sum(map(len, steps)) != self.width:
            outside = sorted(set(self.groups) - {v for frame in shown for v in frame})
            raise TrainingError("evidence outside of all frames", node=self.task.objective, found=outside, mend=mend)
        return tuple(steps)

    def at(self, training_step: int) -> EvidenceInputs:
        """These inputs: they never change."""
        return self

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width].

        Raises:
            EvidenceError: a row in which a variable of the evidence is unobserved, where that is not allowed.
        """
        states = np.take(codes, self._columns, axis=1)
        missing = states < 0 if states.size and states.min() < 0 else None
        if missing is not None and not self.partial:
            row, place = (int(i) for i in np.argwhere(missing)[0])
            mend = "observe all of the task's evidence, or train on beliefs or with evidence dropout"
            node = self.task.evidence[place]
            raise EvidenceError("the head's evidence is unobserved", node=node, row=row, mend=mend)
        if bool(np.all(self._cards == 2)):
            features = states.astype(np.float32)
            features *= 2
            features -= 1
            if missing is not None:
                features[missing] = 0
            return features
        # One feature of all rows at a time, contiguous: several times as fast as row by row.
        by_feature = np.empty((self.width, len(codes)), dtype=np.float32)
        feature = 0
        for place, (column, card) in enumerate(zip(np.ascontiguousarray(states.T), self._cards, strict=True)):
            if card == 2:
                np.multiply(column, 2, out=by_feature[feature], casting="unsafe")
                by_feature[feature] -= 1
                if missing is not None:
                    by_feature[feature, missing[:, place]] = 0
                feature += 1
                continue
            for state in range(card):
                np.equal(column, state, out=by_feature[feature], casting="unsafe")
                feature += 1
        return np.ascontiguousarray(by_feature.T)

    def __repr__(self) -> str:
        return f"EvidenceInputs({len(self.task.evidence)} variables, {self.width} features)"


class BeliefInputs:
    """Posterior marginals W(z | evidence) of the task's latents z, all states of each, one latent after the other.

    Beliefs are those of the *evidence only*: whatever else a code array holds is hidden from the world-model first.
    Evidence the world-model holds impossible gives zeros. Unobserved evidence is allowed.

    Rows with the same evidence are propagated once; where the evidence has few joint states their beliefs are kept.
    """

    name = "beliefs"

    def __init__(self, net: WorldNet, task: Task, world_model: WorldNet | None = None) -> None:
        self.world_model = net if world_model is None else world_model
        if not task.latents:
            mend = 'name latents in the dataset, or train with inputs="evidence"'
            raise TrainingError("the task names no latents to have beliefs about", node=task.objective, mend=mend)
        self.world_model.check_variables([*task.evidence, *task.latents], error=TrainingError)
        for v in task.evidence:
            if self.world_model.states[v] != net.states[v]:
                mend = "learn the world-model from the same table of states"
                raise TrainingError(
                    "the world-model has other states for a variable of the evidence",
                    node=v,
                    found=self.world_model.states[v],
                    expected=net.states[v],
                    mend=mend,
                )
        self.net, self.task, self.latents = net, task, task.latents
        self.labels = tuple(f"{z}={state}" for z in task.latents for state in self.world_model.states[z])
        self.width = len(self.labels)
        ends = np.cumsum([len(self.world_model.states[z]) for z in task.latents]).tolist()
        self.groups: Mapping[str, slice] = MappingProxyType(
            {z: slice(start, end) for z, start, end in zip(task.latents, [0, *ends], ends, strict=False)}
        )
        self._columns = np.array([net.index[v] for v in task.evidence], dtype=np.intp)
        self._own_columns = np.array([self.world_model.index[v] for v in task.evidence], dtype=np.intp)
        # One digit more than states: unobserved is a digit of its own.
        self._radix = [int(card) + 1 for card in net.cardinalities[self._columns]]
        self._joint = math.prod(self._radix)
        self._table: Features | None = None
        self._known: NDArray[np.bool_] | None = None

    @functools.cached_property
    def engine(self) -> Inference:
        """Exact inference in the world-model, float64."""
        from worldnets.inference.exact import Inference

        return Inference(self.world_model)

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """None: beliefs about the latents are not those of frames.

        Raises:
            TrainingError: always.
        """
        mend = 'train a sequence head with inputs="evidence"'
        raise TrainingError("beliefs are no frames to read one by one", node=self.task.objective, mend=mend)

    def at(self, training_step: int) -> BeliefInputs:
        """These inputs: their world-model does not change."""
        return self

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width]; all zeros where the evidence is impossible."""
        states = np.take(codes, self._columns, axis=1)
        if self._joint >= 1 << 62:
            return self._beliefs(states)
        key = np.zeros(len(states), dtype=np.int64)
        for place, radix in enumerate(self._radix):
            key = key * radix + (states[:, place].astype(np.int64) + 1)
        if self._joint * self.width > TABLE_CELLS:
            _, first, place_of = np.unique(key, return_index=True, return_inverse=True)
            return self._beliefs(states[first])[place_of]
        if self._table is None or self._known is None:
            self._table = np.zeros((self._joint, self.width), dtype=np.float32)
            self._known = np.zeros(self._joint, dtype=bool)
        new, first = np.unique(key, return_index=True)
        unknown = ~self._known[new]
        if unknown.any():
            self._table[new[unknown]] = self._beliefs(states[first[unknown]])
            self._known[new[unknown]] = True
        return self._table[key]

    def _beliefs(self, states: NDArray[np.integer[Any]]) -> Features:
        own = np.full((len(states), len(self.world_model.variables)), -1, dtype=np.int16)
        own[:, self._own_columns] = states
        beliefs = self.engine.query(own, variables=self.latents)
        return np.concatenate([beliefs[z] for z in self.latents], axis=1).astype(np.float32)

    def __repr__(self) -> str:
        return f"BeliefInputs({len(self.latents)} latents of {self.world_model!r}, {self.width} features)"
