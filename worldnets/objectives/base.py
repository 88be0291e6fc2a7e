"""What an objective is: what it asks of heads and of world-models, and the loss of a head's logits on the outcomes.

To a head, an objective is a task (evidence and targets) with examples made from clips. To a world-model, a net that
can be asked anything, it is one conditional probability: W(asked | given).

`counts[i]` is the number of outcomes of target i. A head's outputs serve the targets one after the other, in the
task's order: one output for a target of two outcomes, the log odds of the second; else one logit per outcome. (A logit
each for two outcomes would double the step that plain gradient descent makes in their difference, and add nothing.)
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.registry import Registry
from worldnets.roles import Task, outcome_index

if TYPE_CHECKING:
    import jax

    from worldnets.dataset import Dataset
    from worldnets.heads.base import Head


class Ask(NamedTuple):
    """What a world-model is scored on: −log2 W(asked | given)."""

    given: tuple[str, ...]
    asked: tuple[str, ...]


class Examples(NamedTuple):
    """What a head is shown and what then came: `per_clip` rows for each clip, one clip after the other.

    Attributes:
        codes: [rows, net variables]; of these a head sees the task's evidence.
        outcomes: int64 [rows, targets].
    """

    codes: NDArray[np.int16]
    outcomes: NDArray[np.int64]


class Objective(Protocol):
    """Something a head can be trained for; frozen and hashable, because a compiled loop is kept per objective."""

    @property
    def name(self) -> str:
        """Its name, as `train(objective=…)` takes it."""
        ...

    def __hash__(self) -> int:
        """Equal objectives, equal hash."""
        ...

    def task(self, dataset: Dataset) -> Task:
        """What a trained head answers and probes measure; `TrainingError` where it asks for what is not there."""
        ...

    def ask(self, dataset: Dataset) -> Ask:
        """What a world-model is scored on."""
        ...

    def labelled(self, dataset: Dataset, clips: NDArray[np.int16], seed: int, first: int) -> NDArray[np.int16]:
        """Clips as the labeller answered them; row i depends on clip i and (seed, first + i) alone."""
        ...

    def labelled_by(self, dataset: Dataset) -> dict[str, Any]:
        """What the labels depend on besides the world, plain JSON: part of what determines a run."""
        ...

    def per_clip(self, dataset: Dataset) -> int:
        """Rows of `examples` that one clip makes."""
        ...

    def hides(self, dataset: Dataset) -> bool:
        """Whether some rows of `examples` show less than all of the task's evidence."""
        ...

    def examples(self, dataset: Dataset, clips: NDArray[np.int16]) -> Examples:
        """What a head is shown of clips [clips, net variables], and what then came."""
        ...

    def outputs(self, head: Head, features: jax.Array) -> jax.Array:
        """What a differentiable head is asked for features [rows, features]; the loss looks at nothing else of it."""
        ...

    def loss(self, outputs: jax.Array, outcomes: jax.Array, counts: tuple[int, ...]) -> jax.Array:
        """Bits [rows] of a head's outputs [rows, output_count(counts)] on outcomes int32 [rows, targets]."""
        ...


REGISTRY: Registry[Objective] = Registry(
    "objective",
    {
        "continuation": "worldnets.objectives.continuation:CONTINUATION",
        "continuation_all": "worldnets.objectives.continuation:CONTINUATION_ALL",
        "continuation_autoregressive": "worldnets.objectives.continuation:CONTINUATION_AUTOREGRESSIVE",
        "continuation_each_step": "worldnets.objectives.each_step:CONTINUATION_EACH_STEP",
        "likelihood": "worldnets.objectives.likelihood:LIKELIHOOD",
        "question": "worldnets.objectives.question:QUESTION",
        "question_human": "worldnets.objectives.question:QUESTION_HUMAN",
        "question_human_judged": "worldnets.objectives.question:QUESTION_HUMAN_JUDGED",
        "question_human_judged_closely": "worldnets.objectives.question:QUESTION_HUMAN_JUDGED_CLOSELY",
        "question_judged": "worldnets.objectives.question:QUESTION_JUDGED",
        "question_judged_closely": "worldnets.objectives.question:QUESTION_JUDGED_CLOSELY",
        "scorer": "worldnets.objectives.scorer:SCORER",
        "world": "worldnets.objectives.world:WORLD",
    },
    group="worldnets.objectives",
)


@dataclass(frozen=True)
class LogLoss:
    """The log score Σ_targets −log2 q(y | x) of a task; what the objectives below share.

    As it stands it asks for the dataset's task of its own name, labelled by what is the case, one row per clip.
    """

    name: str

    def task(self, dataset: Dataset) -> Task:
        """The dataset's task of this name.

        Raises:
            TrainingError: the dataset has no such task, such as the continuation of a world without time.
        """
        return dataset_task(dataset, self.name, self.name)

    def ask(self, dataset: Dataset) -> Ask:
        """W(all targets, jointly | the task's evidence)."""
        task = self.task(dataset)
        return Ask(task.evidence, tuple(dict.fromkeys(v for target in task.targets for v in target.variables)))

    def labelled(self, dataset: Dataset, clips: NDArray[np.int16], seed: int, first: int) -> NDArray[np.int16]:
        """The clips as they are: the labels are what is the case."""
        return clips

    def labelled_by(self, dataset: Dataset) -> dict[str, Any]:
        """Nothing but the world."""
        return {}

    def per_clip(self, dataset: Dataset) -> int:
        """One."""
        return 1

    def hides(self, dataset: Dataset) -> bool:
        """No: all of the evidence is shown."""
        return False

    def examples(self, dataset: Dataset, clips: NDArray[np.int16]) -> Examples:
        """The clip's evidence and its targets' outcomes."""
        targets = self.task(dataset).targets
        outcomes = [outcome_index(clips, dataset.net, target) for target in targets]
        return Examples(clips, np.stack(outcomes, axis=-1))

    def outputs(self, head: Head, features: jax.Array) -> jax.Array:
        """Outputs [rows, output_count(counts)]."""
        from worldnets.heads.base import outputs_of

        return outputs_of(head, features)

    def loss(self, outputs: jax.Array, outcomes: jax.Array, counts: tuple[int, ...]) -> jax.Array:
        """Bits [rows]."""
        return log_loss(outputs, outcomes, counts)


def dataset_task(dataset: Dataset, name: str, objective: str) -> Task:
    """The task an objective rests on.

    Raises:
        TrainingError: the dataset has no such task.
    """
    if name not in dataset.objectives:
        raise TrainingError(
            f"this dataset cannot be trained on {objective!r}",
            node=dataset.name,
            found=f"tasks {', '.join(dataset.objectives)}",
            mend=f"{did_you_mean(name, dataset.objectives)} (objective=…), or load a dataset with such a task",
        )
    return dataset.task(name)


def output_count(counts: Sequence[int]) -> int:
    """Outputs of a head for targets with so many outcomes each."""
    return sum(map(_outputs, counts))


def log_loss(outputs: jax.Array, outcomes: jax.Array, counts: tuple[int, ...]) -> jax.Array:
    """Σ_i −log2 q_i(outcome i), in bits; q_i = softmax of target i's logits, or the logistic function of its log odds.

    Args:
        outputs: [rows, output_count(counts)].
        outcomes: int32 [rows, targets].
        counts: outcomes per target.
    Returns:
        Bits, [rows].
    """
    import jax

    total = jax.numpy.zeros(outputs.shape[0], dtype=outputs.dtype)
    for targets, columns, count in _runs(counts):
        block, truth = outputs[:, columns], outcomes[:, targets]
        if count == 2:
            total += jax.nn.softplus(jax.numpy.where(truth == 1, -block, block)).sum(axis=1)
            continue
        log_q = jax.nn.log_softmax(block.reshape(len(block), -1, count), axis=-1)
        # A comparison in place of indexing: the gradient of indexing is a scatter, slow on processors.
        hit = truth[:, :, None] == jax.numpy.arange(count)
        total -= jax.numpy.where(hit, log_q, 0.0).sum(axis=(1, 2))
    return total / math.log(2)


def log_probabilities(outputs: NDArray[np.floating], counts: Sequence[int]) -> NDArray[np.float64]:
    """ln q of every outcome of every target, in float64; outputs that are NaN give NaN.

    Args:
        outputs: [..., output_count(counts)].
        counts: outcomes per target.
    Returns:
        Nats, [..., sum(counts)], normalised per target.
    """
    log_q = np.empty((*outputs.shape[:-1], sum(counts)))
    first = 0
    for targets, columns, count in _runs(tuple(counts)):
        block = outputs[..., columns].astype(np.float64)
        last = first + count * (targets.stop - targets.start)
        with np.errstate(invalid="ignore"):  # a diverged head's outputs are inf or NaN
            if count == 2:
                log_q[..., first:last:2] = -np.logaddexp(0.0, block)
                log_q[..., first + 1 : last : 2] = -np.logaddexp(0.0, -block)
            else:
                block = block.reshape(*block.shape[:-1], -1, count)
                # Outcome by outcome: NumPy is slow to reduce a short last axis.
                block -= functools.reduce(np.maximum, np.moveaxis(block, -1, 0))[..., None]
                block -= np.log(functools.reduce(np.add, np.moveaxis(np.exp(block), -1, 0)))[..., None]
                log_q[..., first:last] = block.reshape(*block.shape[:-2], -1)
        first = last
    return log_q


def output_columns(counts: Sequence[int], target: int) -> slice:
    """Which outputs serve one target."""
    first = output_count(counts[:target])
    return slice(first, first + _outputs(counts[target]))


def _outputs(count: int) -> int:
    return 1 if count == 2 else count


def _runs(counts: tuple[int, ...]) -> Iterator[tuple[slice, slice, int]]:
    """Neighbouring targets with equally many outcomes: the targets, their outputs, outcomes of each."""
    target = first = 0
    for count, group in itertools.groupby(counts):
        targets = len(list(group))
        width = targets * _outputs(count)
        yield slice(target, target + targets), slice(first, first + width), count
        target, first = target + targets, first + width
