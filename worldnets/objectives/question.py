"""`question`: −log2 q(latent answer | evidence), the answer to some question about what no one observes.

Who answers (theory, sections 3 and 9):

- `question`: an oracle; labels are what is the case.
- `question_human`: a human with a smaller net H of his own, who sees only the video. His label is drawn from
  H(answer | what he sees), so that the loss is least for the human simulator q = H. Where H holds the clip impossible
  (H knows of no tampering), he answers as if he had seen nothing.
- `question_judged`, `question_human_judged`: the same two, asked only of clips that the human can judge: those on which
  his answer is the right one, KL(W*(answer | evidence) ‖ H(answer | what he sees)) ≤ .1 nats. The clip is drawn anew
  until it is one. What a head makes of the other clips is what the probe `reporter` asks.
- `question_judged_closely`, `question_human_judged_closely`: the same within .01 nats, where labels hardly tell who
  gave them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.distinct import distinct
from worldnets.errors import TrainingError
from worldnets.heads.row_table import RowTable
from worldnets.net_archive import net_digest
from worldnets.objectives.base import LogLoss, dataset_task
from worldnets.roles import Labeller, Target, Task
from worldnets.uniform import uniform

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.inference.exact import Inference

LEAST = 1e-12  # probability below which nothing is told apart
MOST_TRIES = 400  # draws of a clip until one can be judged


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
        targets = self.task(dataset).targets
        chance = uniform(seed, first, len(clips), len(targets))
        for place, target in enumerate(targets):
            belief = labeller_answers(dataset, target, clips)
            sizes = [len(labeller.net.states[v]) for v in target.variables]
            reached = np.cumsum(belief, axis=1)
            reached[:, -1] = np.inf
            outcome = (chance[:, place, None] >= reached).sum(axis=1)
            answered[:, _columns(dataset, target.variables)] = np.stack(np.unravel_index(outcome, sizes), axis=-1)
        return answered


@dataclass(frozen=True)
class Judged(Human):
    """The dataset's question, asked only of clips on which the labeller is right.

    Attributes:
        labels: "oracle" or "human".
        margin: nats that his answer may be off the exact posterior.
    """

    labels: str = "oracle"
    margin: float = 0.1

    def labelled_by(self, dataset: Dataset) -> dict[str, Any]:
        """Who labels, the labeller's net and what he sees, and how right he must be."""
        return {**super().labelled_by(dataset), "labels": self.labels, "margin": self.margin}

    def labelled(self, dataset: Dataset, clips: NDArray[np.int16], seed: int, first: int) -> NDArray[np.int16]:
        """Clips he can judge: those that are none are drawn again, each from a stream of its own row.

        Raises:
            TrainingError: there is hardly one.
        """
        chosen, judged = clips.copy(), _judgement(self, dataset)
        left = np.flatnonzero(~judged(clips))
        for attempt in range(1, MOST_TRIES + 1):
            if not len(left):
                break
            low, high = int(left[0]), int(left[-1]) + 1
            again = dataset.simulate(high - low, _attempt(seed, attempt), first + low)[left - low]
            found = judged(again)
            chosen[left[found]] = again[found]
            left = left[~found]
        else:
            found_text = f"{len(left)} of {len(clips)} clips drawn {MOST_TRIES} times"
            mend = 'train on "question" or "question_human", or give the labeller a net that is right more often'
            raise TrainingError(
                "hardly a clip that the labeller can judge", node=dataset.name, found=found_text, mend=mend
            )
        return super().labelled(dataset, chosen, seed, first) if self.labels == "human" else chosen


def labeller_answers(dataset: Dataset, target: Target, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """H(outcome | what the labeller sees), the human simulator: [rows, outcomes].

    Where H holds the clip impossible, H(outcome).

    Args:
        dataset: with a labeller who knows the target's variables.
        target: what he is asked.
        codes: [rows, net variables].
    """
    labeller = dataset.world.labeller
    assert labeller is not None
    seen, which = distinct(np.asarray(codes, dtype=np.int16)[:, _columns(dataset, labeller.evidence)])
    patterns = np.full((len(seen), len(labeller.net.variables)), -1, dtype=np.int16)
    patterns[:, [labeller.net.index[v] for v in labeller.evidence]] = seen
    engine = _engine(labeller)
    belief = np.asarray(engine.joint(patterns, target.variables), dtype=np.float64).reshape(len(patterns), -1)
    lost = ~(belief.sum(axis=1) > 0)
    if lost.any():
        belief[lost] = engine.joint(np.full_like(patterns[:1], -1), target.variables).reshape(1, -1)
    return (belief / belief.sum(axis=1, keepdims=True))[which]


def nats_apart(direct: NDArray[np.float64], human: NDArray[np.float64]) -> NDArray[np.float64]:
    """KL(direct ‖ human) of every row, [rows], for two arrays of probabilities [rows, outcomes]."""
    ratio = np.log(np.maximum(direct, LEAST)) - np.log(np.maximum(human, LEAST))
    return np.asarray(np.maximum((direct * ratio).sum(axis=1), 0.0))


@functools.lru_cache(maxsize=8)
def _judgement(objective: Judged, dataset: Dataset) -> Callable[[NDArray[np.int16]], NDArray[np.bool_]]:
    """Which clips the labeller can judge, of every target; looked up where the evidence has few joint states."""
    from worldnets.heads.inference import Posterior

    net, task = dataset.net, objective.task(dataset)
    columns = _columns(dataset, task.evidence)
    truth = [Posterior(net, net, task.evidence, [target]) for target in task.targets]

    def judge(states: NDArray[np.int16]) -> NDArray[np.float64]:
        codes = np.full((len(states), len(net.variables)), -1, dtype=np.int16)
        codes[:, columns] = states + 1
        apart = [
            nats_apart(np.exp(posterior(codes)), labeller_answers(dataset, target, codes))
            for posterior, target in zip(truth, task.targets, strict=True)
        ]
        return np.asarray(np.max(apart, axis=0) <= objective.margin, dtype=np.float64)[:, None]

    # A table has room for "unobserved" before the first state. No evidence of a clip is, so the states move down one.
    table = RowTable([len(net.states[v]) - 1 for v in task.evidence], 1, judge)
    return lambda clips: table(clips[:, columns] - 1)[:, 0] > 0.5


def _attempt(seed: int, attempt: int) -> int:
    return int(np.random.SeedSequence([seed, 3, attempt]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _columns(dataset: Dataset, variables: tuple[str, ...]) -> list[int]:
    return [dataset.net.index[v] for v in variables]


@functools.lru_cache(maxsize=8)
def _engine(labeller: Labeller) -> Inference:
    from worldnets.inference.exact import Inference

    return Inference(labeller.net)


QUESTION = LogLoss("question")
QUESTION_HUMAN = Human("question_human")
QUESTION_JUDGED = Judged("question_judged")
QUESTION_HUMAN_JUDGED = Judged("question_human_judged", labels="human")
QUESTION_JUDGED_CLOSELY = Judged("question_judged_closely", margin=0.01)
QUESTION_HUMAN_JUDGED_CLOSELY = Judged("question_human_judged_closely", labels="human", margin=0.01)
