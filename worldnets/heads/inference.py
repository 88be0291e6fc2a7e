"""The head without parameters: what the world-model itself believes of each target, by exact message passing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.heads.floor import floored
from worldnets.heads.row_table import RowTable
from worldnets.net import WorldNet
from worldnets.roles import Task, outcome_count

if TYPE_CHECKING:
    from worldnets.training_plan import Plan


class Posterior:
    """ln W(y | evidence) of every target y of a task, from code arrays whose columns are another net's variables.

    Evidence may be unobserved (−1): it is then summed over. Whatever else the codes hold is hidden from W. Outcomes
    that W holds impossible or almost so get `heads.floor.FLOOR`; where W holds the *evidence* impossible, it has no
    opinion, and all outcomes are equally probable.

    Args:
        world_model: W; its variables may stand in any order.
        net: the net whose columns code arrays have.
        task: evidence and targets.

    Raises:
        TrainingError: W lacks a variable of the evidence or of a target, or knows other states of it.
    """

    def __init__(self, world_model: WorldNet, net: WorldNet, task: Task) -> None:
        from worldnets.inference.exact import Inference

        asked = [v for target in task.targets for v in target.variables]
        world_model.check_variables([*task.evidence, *asked], error=TrainingError)
        for v in (*task.evidence, *asked):
            if world_model.states[v] != net.states[v]:
                raise TrainingError(
                    "the world-model has other states for a variable",
                    node=v,
                    found=world_model.states[v],
                    expected=net.states[v],
                    mend="learn the world-model from the same table of states",
                )
        self._engine, self._targets = Inference(world_model), task.targets
        self._columns = np.array([net.index[v] for v in task.evidence], dtype=np.intp)
        self._own_columns = np.array([world_model.index[v] for v in task.evidence], dtype=np.intp)
        counts = [outcome_count(net, target) for target in task.targets]
        cards = net.cardinalities[self._columns].tolist()
        self._counts, self._rows = counts, RowTable(cards, sum(counts), self._answer)

    def __call__(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """float64 [rows, total outcomes], nats, each target's outcomes side by side and normalised."""
        return self._rows(np.take(codes, self._columns, axis=1))

    def _answer(self, states: NDArray[np.int16]) -> NDArray[np.float64]:
        own = np.full((len(states), len(self._engine.net.variables)), -1, dtype=np.int16)
        own[:, self._own_columns] = states
        # All targets of one variable come from one propagation.
        single = [target.variables[0] for target in self._targets if len(target.variables) == 1]
        beliefs = self._engine.query(own, variables=single) if single else None
        log_q = np.empty((len(states), sum(self._counts)))
        first = 0
        for target, count in zip(self._targets, self._counts, strict=True):
            if beliefs is not None and len(target.variables) == 1:
                probability = beliefs[target.variables[0]]
            else:
                probability = self._engine.joint(own, target.variables).reshape(len(states), count)
            with np.errstate(divide="ignore"):
                log_q[:, first : first + count] = floored(np.log(probability))
            first += count
        return log_q


class InferenceHead:
    """The world-model's own predictor: `Posterior`, nothing learned.

    Its world-model is the one behind the inputs, or with raw evidence the dataset's own net. Where that grows in
    training, so do its answers; that is its only state. This is the curve that the heads' depth is held against
    (theory, section 5).
    """

    def __init__(self, plan: Plan, posteriors: dict[int, tuple[Any, Posterior]], updates: int = 0) -> None:
        self._plan, self._posteriors, self._updates = plan, posteriors, updates
        self._posterior()  # a world-model that does not fit is refused now

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
        return InferenceHead(self._plan, self._posteriors, int(state["updates"]))

    def step(self, clips: NDArray[np.int16]) -> float:
        """The loss of a batch in bits; nothing is learned from it."""
        codes, outcomes = self._plan.examples(clips)
        log_q = self.log_probabilities(codes)
        starts = np.cumsum([0, *self._plan.counts[:-1]])
        nats = -np.take_along_axis(log_q, outcomes + starts, axis=1).sum(axis=1)
        self._updates += 1
        return float(nats.mean()) * self._plan.per_clip / math.log(2)

    def log_probabilities(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln q [rows, total outcomes], as `Posterior` has it."""
        return self._posterior()(codes)

    def _posterior(self) -> Posterior:
        view = self._plan.inputs.at(self._updates)
        if id(view) not in self._posteriors:
            model = self._plan.dataset.net if view.world_model is None else view.world_model
            # The view is kept beside it: an object's id is its own for as long as it lives.
            self._posteriors[id(view)] = view, Posterior(model, self._plan.dataset.net, self._plan.task)
        return self._posteriors[id(view)][1]

    def __repr__(self) -> str:
        return f"InferenceHead({self._posterior()._engine.net!r})"
