"""`question`: −log2 q(latent answer | evidence), the answer to some question about what no one observes.

Who answers (theory, sections 3 and 9):

- `question`: an oracle; labels are what is the case.
- `question_human`: a human with a smaller net H of his own, who sees only the video. His label is drawn from
  H(answer | what he sees), so that the loss is least for the human simulator q = H. Where H holds the clip impossible
  (H knows of no tampering), he answers as if he had seen nothing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.distinct import distinct
from worldnets.errors import TrainingError
from worldnets.net_archive import net_digest
from worldnets.objectives.base import LogLoss, dataset_task
from worldnets.roles import Labeller, Task
from worldnets.uniform import uniform

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.inference.exact import Inference


@dataclass(frozen=True)
class Human(LogLoss):
    """The dataset's question, answered by its labeller."""

    def task(self, dataset: Dataset) -> Task:
        """The dataset's question.

        Raises:
            TrainingError: the dataset has no question, no labeller, or one who does not know what is asked for.
        """
        base = dataset_task(dataset, "question", self.name)
        labeller = dataset.world.labeller
        if labeller is None:
            mend = 'train on "question" (labels are what is the case), or load a dataset with one, such as "vault"'
            raise TrainingError("this dataset has no labeller", node=dataset.name, mend=mend)
        for target in base.targets:
            labeller.net.check_variables(target.variables, error=TrainingError)
        return Task(self.name, base.evidence, base.targets, base.ladders, base.latents)

    def labelled_by(self, dataset: Dataset) -> dict[str, Any]:
        """The labeller's net and what he sees."""
        labeller = dataset.world.labeller
        assert labeller is not None
        return {"labeller": net_digest(labeller.net), "sees": list(labeller.evidence)}

    def labelled(self, dataset: Dataset, clips: NDArray[np.int16], seed: int, first: int) -> NDArray[np.int16]:
        """The clips with the labeller's answers in place of the targets' states."""
        labeller = dataset.world.labeller
        assert labeller is not None
        answered = clips.copy()
        seen, which = distinct(clips[:, _columns(dataset, labeller.evidence)])
        patterns = np.full((len(seen), len(labeller.net.variables)), -1, dtype=np.int16)
        patterns[:, [labeller.net.index[v] for v in labeller.evidence]] = seen
        engine = _engine(labeller)
        targets = self.task(dataset).targets
        chance = uniform(seed, first, len(clips), len(targets))
        for place, target in enumerate(targets):
            belief = engine.joint(patterns, target.variables).reshape(len(patterns), -1)
            lost = ~(belief.sum(axis=1) > 0)
            if lost.any():
                belief[lost] = engine.joint(np.full_like(patterns[:1], -1), target.variables).reshape(1, -1)
            sizes = [len(labeller.net.states[v]) for v in target.variables]
            reached = np.cumsum(belief / belief.sum(axis=1, keepdims=True), axis=1)[which]
            reached[:, -1] = np.inf
            outcome = (chance[:, place, None] >= reached).sum(axis=1)
            answered[:, _columns(dataset, target.variables)] = np.stack(np.unravel_index(outcome, sizes), axis=-1)
        return answered


def _columns(dataset: Dataset, variables: tuple[str, ...]) -> list[int]:
    return [dataset.net.index[v] for v in variables]


@functools.lru_cache(maxsize=8)
def _engine(labeller: Labeller) -> Inference:
    from worldnets.inference.exact import Inference

    return Inference(labeller.net)


QUESTION = LogLoss("question")
QUESTION_HUMAN = Human("question_human")
