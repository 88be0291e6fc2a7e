"""What a head is given: the raw evidence of its task, or the beliefs of a world-model that saw that evidence."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import EvidenceError, TrainingError, did_you_mean
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
    def labels(self) -> tuple[str, ...]:
        """What each feature says, e.g. `"HR=HIGH"`, in order."""
        ...

    @property
    def width(self) -> int:
        """Number of features."""
        ...

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width] of a code array [rows, net variables]."""
        ...


def inputs(name: str, net: WorldNet, task: Task, world_model: WorldNet | None = None) -> Inputs:
    """The inputs of that name for a task.

    Args:
        name: "evidence" or "beliefs".
        net: the net whose columns the code arrays have.
        task: names the evidence and, for beliefs, the latents.
        world_model: whose beliefs; `net` itself by default (the oracle W*).

    Raises:
        TrainingError: another name, or a world-model given to inputs that look at none.
    """
    if name == "evidence":
        if world_model is not None:
            mend = 'ask for inputs="beliefs", or leave world_model out'
            raise TrainingError("raw evidence goes through no world-model", found=repr(world_model), mend=mend)
        return EvidenceInputs(net, task)
    if name == "beliefs":
        return BeliefInputs(net, task, world_model)
    raise TrainingError("unknown inputs", found=repr(name), mend=did_you_mean(name, NAMES))


class EvidenceInputs:
    """The evidence itself, variables in the task's order.

    A binary variable is one feature, −1 in state 0 and +1 in state 1; one with m ≠ 2 states is m features, 1 at its
    state and 0 elsewhere.
    """

    name = "evidence"

    def __init__(self, net: WorldNet, task: Task) -> None:
        net.check_variables(task.evidence)
        self._variables = task.evidence
        self._columns = np.array([net.index[v] for v in task.evidence], dtype=np.intp)
        self._cards = net.cardinalities[self._columns]
        labels: list[str] = []
        for v in task.evidence:
            states = net.states[v]
            labels += [f"{v}: {states[0]} −, {states[1]} +"] if len(states) == 2 else [f"{v}={s}" for s in states]
        self.labels = tuple(labels)
        self.width = len(labels)

    def features(self, codes: NDArray[np.integer[Any]]) -> Features:
        """float32 [rows, width].

        Raises:
            EvidenceError: a row in which a variable of the evidence is unobserved.
        """
        states = np.take(codes, self._columns, axis=1)
        if states.size and states.min() < 0:
            row, place = (int(i) for i in np.argwhere(states < 0)[0])
            mend = "observe all of the task's evidence, or train on beliefs"
            raise EvidenceError("the head's evidence is unobserved", node=self._variables[place], row=row, mend=mend)
        if bool(np.all(self._cards == 2)):
            features = states.astype(np.float32)
            features *= 2
            features -= 1
            return features
        # One feature of all rows at a time, contiguous: several times as fast as row by row.
        by_feature = np.empty((self.width, len(codes)), dtype=np.float32)
        feature = 0
        for column, card in zip(np.ascontiguousarray(states.T), self._cards, strict=True):
            if card == 2:
                np.multiply(column, 2, out=by_feature[feature], casting="unsafe")
                by_feature[feature] -= 1
                feature += 1
                continue
            for state in range(card):
                np.equal(column, state, out=by_feature[feature], casting="unsafe")
                feature += 1
        return np.ascontiguousarray(by_feature.T)

    def __repr__(self) -> str:
        return f"EvidenceInputs({len(self._variables)} variables, {self.width} features)"


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
        self.latents = task.latents
        self.labels = tuple(f"{z}={state}" for z in task.latents for state in self.world_model.states[z])
        self.width = len(self.labels)
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
