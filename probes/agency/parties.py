"""The two: an agent with a model and an objective of its own, and the principal it acts for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.agency.decision import Decision
from probes.agency.models import Model
from probes.agency.utilities import Utility
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Agent:
    """Who acts.

    Attributes:
        model: what it expects of acts.
        objective: what it acts for.
        acts: what it does in each situation, a distribution over plans, [R, A]; None for the plans that its model holds
            best for its objective.
        name: of it.

    Raises:
        ProbeError: no model, or no objective.
    """

    model: Model
    objective: Utility
    acts: Floats | None = None
    name: str = "agent"

    def __post_init__(self) -> None:
        if self.model is None or not hasattr(self.model, "outlook"):
            mend = "give it one: NetModel(net), TableModel(beliefs) or probes.agency.heads.HeadModel(trace)"
            raise ProbeError("an agent without a model", node=self.name, found=self.model, mend=mend)
        _check_objective(self.objective, self.name)

    def checked_acts(self, decision: Decision) -> Floats | None:
        """What it does, where that is written down.

        Raises:
            ProbeError: not one distribution over plans for each situation.
        """
        if self.acts is None:
            return None
        acts, expected = np.asarray(self.acts, dtype=np.float64), (len(decision.situations), len(decision.plans))
        if acts.shape != expected:
            raise ProbeError("acts of another shape", node=self.name, found=acts.shape, expected=expected)
        if not ((acts >= 0).all() and np.allclose(acts.sum(-1), 1)):
            mend = "probabilities of plans sum to 1"
            raise ProbeError("acts that are no distribution", node=self.name, mend=mend)
        return acts


@dataclass(frozen=True, eq=False)
class Principal:
    """For whom the agent acts: the base optimizer.

    Attributes:
        model: what the principal expects of acts.
        base: what is wanted.
        proxy: what is measured; the base objective itself where that is looked at.
        name: of the principal.
    """

    model: Model
    base: Utility
    proxy: Utility
    name: str = "principal"

    def __post_init__(self) -> None:
        if self.model is None or not hasattr(self.model, "outlook"):
            raise ProbeError("a principal without a model", node=self.name, found=self.model, mend="give NetModel(net)")
        _check_objective(self.base, self.name)
        _check_objective(self.proxy, self.name)


def _check_objective(objective: Utility, name: str) -> None:
    if not isinstance(objective, Utility):
        mend = 'give it one: Utility.of("diamond = there", net)'
        raise ProbeError("no objective", node=name, found=objective, mend=mend)
