"""A checked request to train: everything that determines the bits of a seed's run, and how a seed's head begins."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset
from worldnets.errors import TrainingError, did_you_mean
from worldnets.growth import Growth
from worldnets.heads.base import REGISTRY as HEADS
from worldnets.heads.base import Head, SteppingHead, build_head, is_parameter, is_stepping
from worldnets.heads.base import head_options as complete_options
from worldnets.heads.inputs import Inputs
from worldnets.heads.inputs import inputs as make_inputs
from worldnets.net import WorldNet
from worldnets.objectives.base import REGISTRY as OBJECTIVES
from worldnets.objectives.base import Examples, Objective, output_count
from worldnets.penalties import DescriptionLength, EvidenceDropout, Penalty, Rounds, penalties_of, penalty_settings
from worldnets.registry import Registry, normalised
from worldnets.roles import Task, outcome_count

GROUP = 8  # seeds trained side by side, always this many: a seed's bits depend on how many there are


@dataclass(frozen=True)
class Optimizer:
    """A first-order optimizer: its name in Optax and the learning rate used when none is given."""

    name: str
    learning_rate: float

    def transformation(self, learning_rate: float) -> Any:
        """The Optax gradient transformation."""
        import optax

        return getattr(optax, self.name)(learning_rate)


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer", {"adam": Optimizer("adam", 3e-3), "sgd": Optimizer("sgd", 0.05)}
)


def stream(seed: int, purpose: str) -> int:
    """The random stream of a seed for one purpose: a number below 2**63.

    The first eight bytes, big-endian, of SHA-256 of the text "worldnets/{purpose}/{seed}", shifted right by one bit.
    Purposes in use: "training clips" (the seed given to `Dataset.simulate`, whose row r is the run's r-th clip), "first
    parameters" (the seed of NumPy's PCG64 behind `build`), "labels" (of a human labeller) and "dropped evidence".
    """
    digest = hashlib.sha256(f"worldnets/{purpose}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, eq=False)
class Plan:
    """A checked request.

    Attributes:
        dataset: what to train on.
        task: evidence and targets of the objective.
        counts: outcomes of each target.
        objective: what is asked.
        head_name, head_options: which head, and all of its options.
        inputs: what the head is given.
        batch: clips per update.
        optimizer, learning_rate: how a differentiable head descends.
        penalties: what is paid for besides.
        data_order: whose clips, labels and dropped evidence all seeds are trained on; None: each on its own.
    """

    dataset: Dataset
    task: Task
    counts: tuple[int, ...]
    objective: Objective
    head_name: str
    head_options: dict[str, Any]
    inputs: Inputs
    batch: int
    optimizer: Optimizer
    learning_rate: float
    penalties: tuple[Penalty, ...] = ()
    data_order: int | None = None

    @functools.cached_property
    def kind(self) -> type[Head] | type[SteppingHead]:
        """The head's class."""
        return HEADS.get(self.head_name)

    @property
    def stepping(self) -> bool:
        """Whether the head makes its own updates."""
        return is_stepping(self.kind)

    @functools.cached_property
    def per_clip(self) -> int:
        """Rows of examples that one clip makes."""
        return self.objective.per_clip(self.dataset)

    @functools.cached_property
    def answers(self) -> int:
        """How often a head answers on one row: once, or after each of its frames."""
        return len(self.inputs.steps) if each_step(self.objective) else 1

    def build(self, seed: int) -> Head:
        """The differentiable head of a seed before training."""
        return build_head(self.head_name, _generator(seed), self.inputs, output_count(self.counts), self.head_options)

    def build_stepping(self, seed: int) -> SteppingHead:
        """The stepping head of a seed before training."""
        kind = self.kind
        assert is_stepping(kind)
        return kind.build(_generator(seed), self, **self.head_options)

    @functools.cached_property
    def skeleton(self) -> Any:
        """A pytree like a head's parameters: the differentiable head itself, or the state of a stepping one."""
        return self.build_stepping(0).state() if self.stepping else self.build(0)

    def kept(self, leaf: object) -> bool:
        """Is this leaf of the skeleton one that a trace keeps?"""
        return self.stepping or is_parameter(leaf)

    def filled(self, arrays: Sequence[NDArray[Any]]) -> Any:
        """The skeleton with these arrays in place of the leaves that are kept, in order."""
        import jax

        own = iter(arrays)
        return jax.tree.map(lambda leaf: next(own) if self.kept(leaf) else leaf, self.skeleton)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything else that determines a run, plain JSON; penalties and data order only where there are some."""
        plain: dict[str, Any] = {
            "batch": self.batch,
            "optimizer": self.optimizer.name,
            "learning_rate": self.learning_rate,
        }
        if self.penalties:
            plain["penalties"] = penalty_settings(self.penalties)
        return plain if self.data_order is None else plain | {"data_order": self.data_order}

    def order(self, seed: int) -> int:
        """The seed whose clips a seed is trained on: its own, unless there is one data order for all."""
        return seed if self.data_order is None else self.data_order

    def clips(self, seed: int, rows: int, first: int) -> NDArray[np.int16]:
        """A seed's training clips first … first + rows − 1, labels in place."""
        own = self.order(seed)
        clips = self.dataset.simulate(rows, stream(own, "training clips"), first)
        return self.objective.labelled(self.dataset, clips, stream(own, "labels"), first)

    def dropped(self, seed: int, rows: int, first: int) -> NDArray[np.bool_] | None:
        """Evidence that dropout hides of these clips, [rows, evidence]; None where nothing is dropped."""
        for penalty in self.penalties:
            if isinstance(penalty, EvidenceDropout):
                return penalty.hidden(self.task, stream(self.order(seed), "dropped evidence"), first, rows)
        return None

    def hide(self, codes: NDArray[np.int16], dropped: NDArray[np.bool_] | None) -> NDArray[np.int16]:
        """Codes with the dropped evidence unobserved; `dropped` is one row per clip, codes one or more."""
        if dropped is None:
            return codes
        columns = [self.dataset.net.index[v] for v in self.task.evidence]
        hidden = codes.copy()
        hidden[:, columns] = np.where(np.repeat(dropped, len(codes) // len(dropped), axis=0), -1, codes[:, columns])
        return hidden

    def examples(self, clips: NDArray[np.int16], dropped: NDArray[np.bool_] | None = None) -> Examples:
        """What the head is shown of clips, dropped evidence hidden, and what then came."""
        codes, outcomes = self.objective.examples(self.dataset, clips)
        return Examples(self.hide(codes, dropped), outcomes)


def plan_training(
    dataset: Dataset,
    head: str = "mlp",
    objective: str = "continuation",
    *,
    inputs: str = "evidence",
    batch: int = 128,
    optimizer: str = "adam",
    learning_rate: float | None = None,
    head_options: Mapping[str, Any] | None = None,
    world_model: WorldNet | Growth | None = None,
    penalties: Mapping[str, Any] | None = None,
    training_steps: int | None = None,
    data_order: int | None = None,
) -> Plan:
    """Check a request; arguments and errors are those of `worldnets.train`, whose `steps` are `training_steps` here."""
    if not isinstance(dataset, Dataset):
        mend = 'load it first: train(load_dataset("vault"), …)'
        raise TrainingError("training needs a dataset", found=repr(dataset), expected="a Dataset", mend=mend)
    complete = complete_options(head, head_options)
    what = OBJECTIVES.get(objective)
    if hasattr(what, "world_model_gradient") and not hasattr(HEADS.get(head), "net"):
        mend = 'train head="world_model", or another objective'
        raise TrainingError("this objective judges world-models, not answers", node=what.name, found=head, mend=mend)
    how = OPTIMIZERS.get(optimizer)
    paid = penalties_of(penalties)
    task = what.task(dataset)
    counts = tuple(outcome_count(dataset.net, target) for target in task.targets)
    partial = what.hides(dataset) or any(isinstance(penalty, EvidenceDropout) for penalty in paid)
    view = make_inputs(inputs, dataset.net, task, world_model, dataset.world.frames, partial, training_steps)
    _check_growth(view, HEADS.get(head), normalised(head))
    if each_step(what):
        _check_each_step(what, HEADS.get(head), normalised(head))
    _check_penalties(paid, HEADS.get(head), normalised(head), task)
    if what.per_clip(dataset) > 1 and any(isinstance(penalty, EvidenceDropout) for penalty in paid):
        _check_dropout_by_frames(HEADS.get(head), normalised(head))
    rate = how.learning_rate if learning_rate is None else learning_rate
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not (math.isfinite(rate) and rate > 0):
        mend = f"leave it out for {how.learning_rate:g}"
        raise TrainingError("the learning rate is no number > 0", node=how.name, found=repr(rate), mend=mend)
    if data_order is not None and (isinstance(data_order, bool) or not isinstance(data_order, int) or data_order < 0):
        mend = "name the seed whose clips all seeds are to see, or leave it out"
        raise TrainingError("data_order is no seed", found=repr(data_order), expected="a whole number ≥ 0", mend=mend)
    return Plan(
        dataset, task, counts, what, normalised(head), complete, view, batch, how, float(rate), paid, data_order
    )


def each_step(objective: Objective) -> bool:
    """Whether an objective asks for an answer after each frame."""
    return bool(getattr(objective, "each_step", False))


def _check_each_step(objective: Objective, kind: type[Head] | type[SteppingHead], head: str) -> None:
    # A world-model is scored on one conditional probability of the whole clip: it needs no answers on the way.
    if not hasattr(kind, "at_each_step") and not hasattr(kind, "net"):
        mend = 'train "gru" or "transformer", or this head on "continuation_autoregressive"'
        raise TrainingError("this head does not answer after each frame", node=objective.name, found=head, mend=mend)


def _check_growth(view: Inputs, kind: type[Head] | type[SteppingHead], head: str) -> None:
    if getattr(view, "growth", None) is not None and is_stepping(kind) and not getattr(kind, "grows", False):
        mend = 'train it on what does not grow, or train a head that is differentiable, "scikit_learn" or "inference"'
        raise TrainingError("inputs that grow are not for this head", found=head, mend=mend)


def _check_penalties(
    penalties: tuple[Penalty, ...], kind: type[Head] | type[SteppingHead], head: str, task: Task
) -> None:
    for penalty in penalties:
        if isinstance(penalty, EvidenceDropout):
            for v in penalty.variables or ():
                if v not in task.evidence:
                    mend = did_you_mean(v, task.evidence)
                    raise TrainingError("only evidence can be dropped", node=penalty.name, found=repr(v), mend=mend)
        elif is_stepping(kind) and not isinstance(penalty, getattr(kind, "pays", ())):
            mend = getattr(kind, "instead", {}).get(penalty.name, "leave the penalty out, or train another head")
            raise TrainingError(f"the head {head!r} cannot pay this penalty", found=penalty.name, mend=mend)
        elif isinstance(penalty, Rounds) and not hasattr(kind, "rounds"):
            mend = 'train "message_passing" with head_options={"halting": true}'
            raise TrainingError(f"the head {head!r} takes no rounds to pay for", found=penalty.name, mend=mend)
        if isinstance(penalty, DescriptionLength):
            known: list[str] = []
            if dataclasses.is_dataclass(kind):
                known = [field.name for field in dataclasses.fields(kind)]
            for name in penalty.free:
                if name not in known:
                    mend = did_you_mean(name, known) if known else "leave free out: this head is paid for as a whole"
                    raise TrainingError("the head has no such parameters", node=head, found=repr(name), mend=mend)


def _check_dropout_by_frames(kind: type[Head] | type[SteppingHead], head: str) -> None:
    # Frames that are evidence in one example are asked for in another: a stepping head that makes its own examples
    # from clips would be asked for what is hidden. World-models neither give nor ask what is dropped.
    if is_stepping(kind) and not hasattr(kind, "net"):
        mend = 'train a differentiable head, such as "gru", or without evidence dropout'
        raise TrainingError("evidence dropout frame by frame is not for this head", found=head, mend=mend)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(stream(seed, "first parameters")))
