"""`scorer`: −score of a world-model, given by a second model trained to tell good world-models from corrupted ones.

The score is the log odds that the world-model is good, from its samples and beliefs (`learning.scorer`); the loss is
its negative in bits, −log2(odds): 0 where the judge is undecided, and below where it is convinced, on which it goes on
pulling. Nothing else is asked for: no clip is looked at but those the judge was made with. "Being scored well by a
secondary world-model-identifier" (theory, section 3).

A head has no tables to be judged by: only world-models can be trained for this.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.objectives.base import Ask, Examples, LogLoss
from worldnets.objectives.likelihood import LIKELIHOOD
from worldnets.roles import Task

if TYPE_CHECKING:
    import jax

    from worldnets.dataset import Dataset
    from worldnets.learning.scorer import Scorer
    from worldnets.net import WorldNet

JUDGES_KEPT = 8


@dataclass(frozen=True)
class Scored(LogLoss):
    """To be scored well.

    Args:
        name: as `train(objective=…)` takes it.
        specimens: good world-models, and as many corrupted ones, that the judge learns from.
        clips: on which it looks at beliefs.
        hidden: units it has.
        decay: of its weights.
        seed: of all of that; it is one judge for all seeds of a run.
    """

    specimens: int = 200
    clips: int = 16
    hidden: int = 16
    decay: float = 10.0
    seed: int = 0

    def task(self, dataset: Dataset) -> Task:
        """What the world-model is measured on: the dataset's continuation, or its first task where there is none."""
        base = dataset.task("continuation" if "continuation" in dataset.objectives else dataset.objectives[0])
        return Task(self.name, base.evidence, base.targets, base.ladders, base.latents)

    def judge(self, dataset: Dataset) -> Scorer:
        """The second model, trained when first asked for (seconds), and kept for `JUDGES_KEPT` datasets.

        Raises:
            TrainingError: the dataset does not say what is observed.
            LearningError: an option out of range, nothing to see.
        """
        return _judge(self, _Same(dataset))

    def world_model_gradient(self, dataset: Dataset, net: WorldNet) -> tuple[float, dict[str, NDArray[np.float64]]]:
        """−score in bits, and its gradient in nats in the log-tables of the net, by node [*parent states, states].

        Raises:
            LearningError: the net lacks a node that the judge looks at, or has other states for it.
        """
        score, slopes = self.judge(dataset).score_and_gradient(net)
        return -score / math.log(2), {v: -slope for v, slope in slopes.items()}

    def ask(self, dataset: Dataset) -> Ask:
        """Nothing that has a probability.

        Raises:
            TrainingError: always.
        """
        self._refuse()

    def examples(self, dataset: Dataset, clips: NDArray[np.int16]) -> Examples:
        """Nothing that a head could answer.

        Raises:
            TrainingError: always.
        """
        self._refuse()

    def loss(self, outputs: jax.Array, outcomes: jax.Array, counts: tuple[int, ...]) -> jax.Array:
        """No loss of outputs.

        Raises:
            TrainingError: always.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        mend = 'train head="world_model", or another objective'
        raise TrainingError("this objective judges world-models, not answers", node=self.name, mend=mend)


class _Same:
    """A dataset as a key: what it is, not which object."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.dataset.digest == self.dataset.digest

    def __hash__(self) -> int:
        return hash(self.dataset.digest)


@functools.lru_cache(maxsize=JUDGES_KEPT)
def _judge(objective: Scored, key: _Same) -> Scorer:
    from worldnets.learning.scorer import train_scorer

    observables = LIKELIHOOD.ask(key.dataset).asked
    return train_scorer(
        key.dataset,
        observables,
        specimens=objective.specimens,
        clips=objective.clips,
        hidden=objective.hidden,
        decay=objective.decay,
        seed=objective.seed,
    )


SCORER = Scored("scorer")
