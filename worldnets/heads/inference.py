"""The head without parameters: what the world-model itself believes of each target, by exact message passing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.heads.believer import Believer
from worldnets.heads.floor import floored
from worldnets.heads.growing import StageInputs
from worldnets.heads.growing_evidence import StageEvidence
from worldnets.heads.row_table import RowTable
from worldnets.net import WorldNet
from worldnets.objectives.clip import Clip
from worldnets.roles import Target, outcome_count

if TYPE_CHECKING:
    from worldnets.training_plan import Plan


class Posterior:
    """ln W(y | evidence) of every target y, from code arrays whose columns are another net's variables.

    Evidence may be unobserved (−1): it is then summed over. Whatever else the codes hold is hidden from W. Outcomes
    that W holds impossible or almost so get `heads.floor.FLOOR`; where W holds the *evidence* impossible, it has no
    opinion, and all outcomes are equally probable.

    Args:
        world_model: W; its variables may stand in any order.
        net: the net whose columns code arrays have.
        evidence: what W is shown; none is allowed.
        targets: what W is asked.
        rounds: of loopy messages; None: exact.

    Raises:
        TrainingError: W lacks a variable of the evidence or of a target, or knows other states of it.
    """

    def __init__(
        self,
        world_model: WorldNet,
        net: WorldNet,
        evidence: Sequence[str],
        targets: Sequence[Target],
        rounds: int | None = None,
    ) -> None:
        asked = [v for target in targets for v in target.variables]
        world_model.check_variables(asked, error=TrainingError)
        self._believer = Believer(world_model, net, evidence, rounds)
        self._believer.knows(asked)
        self._targets, self._columns = targets, self._believer.columns
        counts = [outcome_count(net, target) for target in targets]
        cards = net.cardinalities[self._columns].tolist()
        self._counts, self._rows = counts, RowTable(cards, sum(counts), self._answer)

    @property
    def world_model(self) -> WorldNet:
        """W."""
        return self._believer.world_model

    def __call__(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """float64 [rows, total outcomes], nats, each target's outcomes side by side and normalised."""
        return self._rows(np.take(codes, self._columns, axis=1))

    def _answer(self, states: NDArray[np.int16]) -> NDArray[np.float64]:
        # All targets of one variable come from one propagation.
        single = [target.variables[0] for target in self._targets if len(target.variables) == 1]
        beliefs = dict(zip(single, self._believer.beliefs(states, single), strict=True))
        log_q = np.empty((len(states), sum(self._counts)))
        first = 0
        for target, count in zip(self._targets, self._counts, strict=True):
            if len(target.variables) == 1:
                probability = beliefs[target.variables[0]]
            else:
                probability = self._believer.joint(states, target.variables)
            with np.errstate(divide="ignore"):
                log_q[:, first : first + count] = floored(np.log(probability))
            first += count
        return log_q


class InferenceHead:
    """The world-model's own predictor: `Posterior`, nothing learned.

    Its world-model is the one behind the inputs, or with raw evidence the dataset's own net. Where that grows in
    training, so do its answers; that is its only state. This is the curve that the heads' depth is held against
    (theory, section 5). An objective that asks several questions of a clip must ask for one frame after the other, as
    `continuation_autoregressive` and `likelihood` do: each is then answered by itself.
    """

    grows = True

    def __init__(self, plan: Plan, made: dict[tuple[int, int], tuple[Any, Posterior]], updates: int = 0) -> None:
        self._plan, self._made, self._updates = plan, made, updates
        self._posterior(-1)  # a world-model that does not fit is refused now

    @classmethod
    def build(cls, generator: np.random.Generator, plan: Plan) -> Self:
        """The head of every seed; `generator` is not used.

        Raises:
            TrainingError: the world-model lacks a variable of the evidence or of a target, or knows other states of it.
        """
        return cls(plan, {})

    def state(self) -> dict[str, NDArray[Any]]:
        """How many updates a head with parameters would have made: which world-model it is."""
        return {"updates": np.array(self._updates)}

    def restored(self, state: Mapping[str, NDArray[Any]]) -> InferenceHead:
        """The head at another time."""
        return InferenceHead(self._plan, self._made, int(state["updates"]))

    def step(self, clips: NDArray[np.int16]) -> float:
        """The loss of a batch in bits; nothing is learned from it."""
        codes, outcomes = self._plan.examples(clips)
        starts = np.cumsum([0, *self._plan.counts[:-1]])
        nats, per_clip = 0.0, self._plan.per_clip
        for question in range(per_clip):
            log_q = self._posterior(question - per_clip)(codes[question::per_clip])
            nats -= np.take_along_axis(log_q, outcomes[question::per_clip] + starts, axis=1).sum(axis=1).mean()
        self._updates += 1
        return float(nats) / math.log(2)

    def log_probabilities(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln q [rows, total outcomes], as `Posterior` has it."""
        return self._posterior(-1)(codes)

    def _posterior(self, question: int) -> Posterior:
        """Of one of the questions that the objective asks about a clip, −1 the last: that is the task itself."""
        plan, view = self._plan, self._plan.inputs.at(self._updates)
        key = id(view), question
        if key not in self._made:
            evidence, targets = plan.task.evidence, plan.task.targets
            if question < -1:
                clip = Clip(plan.dataset, plan.objective.name)
                shown = len(clip.frames) + question
                evidence, targets = clip.evidence(shown), clip.targets(shown + 1)
            model = plan.dataset.net if view.world_model is None else view.world_model
            rounds = None
            if isinstance(view, StageInputs | StageEvidence):
                evidence, rounds = tuple(v for v in evidence if v in view.evidence), view.stage.rounds
            # The view is kept beside it: an object's id is its own for as long as it lives.
            self._made[key] = view, Posterior(model, plan.dataset.net, evidence, targets, rounds)
        return self._made[key][1]

    def __repr__(self) -> str:
        return f"InferenceHead({self._posterior(-1).world_model!r})"
