"""What a world-model believes when it is shown some of the evidence and passes messages for so many rounds."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.net import WorldNet

if TYPE_CHECKING:
    from worldnets.inference.exact import Inference
    from worldnets.inference.loopy import LoopyInference

Floats = NDArray[np.float64]


class Believer:
    """Beliefs W(v | evidence), from code arrays whose columns are another net's variables.

    Evidence may be unobserved (−1): it is then summed over. Whatever else the codes hold is hidden from W.

    Args:
        world_model: W; its variables may stand in any order.
        net: the net whose columns code arrays have.
        evidence: the variables W is shown.
        rounds: of loopy messages from the no-evidence fixed point; None: exact.

    Raises:
        TrainingError: W lacks a variable of the evidence, or knows other states of it.
    """

    def __init__(
        self, world_model: WorldNet, net: WorldNet, evidence: Sequence[str], rounds: int | None = None
    ) -> None:
        world_model.check_variables(evidence, error=TrainingError)
        net.check_variables(evidence, error=TrainingError)
        self.world_model, self.net, self.evidence, self.rounds = world_model, net, tuple(evidence), rounds
        for v in evidence:
            self._check_states(v)
        self.columns = np.array([net.index[v] for v in evidence], dtype=np.intp)  # of the evidence, in code arrays
        self._own_columns = np.array([world_model.index[v] for v in evidence], dtype=np.intp)

    def knows(self, variables: Sequence[str]) -> bool:
        """Whether W has these variables.

        Raises:
            TrainingError: it has, but with other states.
        """
        for v in variables:
            if v in self.world_model.states:
                self._check_states(v)
        return all(v in self.world_model.states for v in variables)

    def beliefs(self, states: NDArray[np.integer[Any]], variables: Sequence[str]) -> list[Floats]:
        """Of each variable [rows, states]; uniform if W lacks it. All zeros in rows that W holds impossible.

        Args:
            states: codes of the evidence alone, [rows, evidence variables].
            variables: of `net`.
        """
        known = [v for v in variables if self.knows([v])]
        found = self._query(self._codes(states), known)
        return [
            found[v] if v in found else np.full((len(states), len(self.net.states[v])), 1.0 / len(self.net.states[v]))
            for v in variables
        ]

    def joint(self, states: NDArray[np.integer[Any]], variables: Sequence[str]) -> Floats:
        """W(variables | evidence), [rows, joint states], the first variable most significant.

        Loopy beliefs, which are of one variable at a time, are joined by the chain rule: each variable's given the
        evidence and those before it, after as many rounds.

        Raises:
            TrainingError: W lacks one of the variables.
        """
        if not self.knows(variables):
            lacking = [v for v in variables if v not in self.world_model.states]
            mend = "ask a world-model that has it"
            raise TrainingError("the world-model lacks a variable", node=lacking[0], mend=mend)
        codes = self._codes(states)
        if self.rounds is None:
            return np.asarray(self._exact.joint(codes, variables).reshape(len(codes), -1))
        joint = np.ones((len(codes), 1))
        for place, v in enumerate(variables):
            before = variables[:place]
            parts = []
            for fixed in itertools.product(*(range(len(self.net.states[u])) for u in before)):
                given = codes.copy()
                given[:, [self.world_model.index[u] for u in before]] = fixed
                parts.append(self._query(given, [v])[v])
            joint = (joint[:, :, None] * np.stack(parts, axis=1)).reshape(len(codes), -1)
        return joint

    def _codes(self, states: NDArray[np.integer[Any]]) -> NDArray[np.int16]:
        own = np.full((len(states), len(self.world_model.variables)), -1, dtype=np.int16)
        own[:, self._own_columns] = states
        return own

    def _query(self, codes: NDArray[np.int16], variables: Sequence[str]) -> dict[str, Floats]:
        if not variables:
            return {}
        if self.rounds is None:
            exact = self._exact.query(codes, variables=variables)
            return {v: np.asarray(exact[v], dtype=np.float64) for v in variables}
        loopy = self._loopy.query(codes, variables=variables, rounds=self.rounds, free_energy="last")
        return {v: np.asarray(loopy[v], dtype=np.float64) for v in variables}

    def _check_states(self, variable: str) -> None:
        if self.world_model.states[variable] != self.net.states[variable]:
            raise TrainingError(
                "the world-model has other states for a variable",
                node=variable,
                found=self.world_model.states[variable],
                expected=self.net.states[variable],
                mend="learn the world-model from the same table of states",
            )

    @functools.cached_property
    def _exact(self) -> Inference:
        from worldnets.inference.exact import Inference

        return Inference(self.world_model)

    @functools.cached_property
    def _loopy(self) -> LoopyInference:
        from worldnets.inference.loopy import LoopyInference

        return LoopyInference(self.world_model)
