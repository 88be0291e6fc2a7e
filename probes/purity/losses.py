"""Proxy losses: what a world-model is trained to make small, measured exactly where that can be done.

An objective asks a world-model for W(asked | given) (`worldnets.objectives`); its loss is E[−log2 W(asked | given)]
over W*, penalties left out. It is a sum over all configurations of what is given and asked where there are at most
2^16, a mean over clips where there are more, or where a human labels; for the objective `world`, which asks for
everything, the sum over nodes of E[−log2 W(v | its parents in W)].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from probes.enumerated import LARGEST
from probes.sources import stream
from worldnets.distinct import distinct
from worldnets.errors import WorldnetsError
from worldnets.objectives.base import REGISTRY, Ask, Objective

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.inference import Inference
    from worldnets.net import WorldNet

Codes = NDArray[np.int16]
Floats = NDArray[np.float64]


class ProxyLoss(Protocol):
    """One objective's loss, ready to be asked of world-models."""

    @property
    def objective(self) -> str:
        """Its name."""
        ...

    @property
    def least(self) -> float:
        """The loss of W* itself, bits; NaN where the labels are not W*'s."""
        ...

    @property
    def surface(self) -> float:
        """The loss of who knows how each asked node is distributed and nothing else, bits."""
        ...

    @property
    def exact(self) -> bool:
        """Whether it is a sum and not a mean over clips."""
        ...

    def of(self, engine: Inference) -> float:
        """Bits of the world-model that an engine answers for; infinite where it holds impossible what happens."""
        ...


@dataclass(frozen=True, eq=False)
class AskedRows:
    """Σ_rows weight·(log2 W(given) − log2 W(given, asked)).

    Attributes:
        objective, surface, exact, least: as `ProxyLoss` says.
        variables: columns of `rows`: what is given, then what is asked.
        rows: int16 [R, variables].
        given: how many of the variables are given.
        weight: W* of each row, or its share of the clips: [R].
    """

    objective: str
    variables: tuple[str, ...]
    rows: Codes
    given: int
    weight: Floats
    surface: float
    exact: bool
    least: float = math.nan

    def of(self, engine: Inference) -> float:
        """As `ProxyLoss.of`."""
        model = engine.net
        columns = [model.index[v] for v in self.variables]
        whole = np.full((len(self.rows), len(model.variables)), -1, dtype=np.int16)
        whole[:, columns] = self.rows
        seen = self.weight > 0
        said = engine.log_evidence(whole[seen])
        if self.given:
            contexts, which = distinct(self.rows[seen][:, : self.given])
            own = np.full((len(contexts), len(model.variables)), -1, dtype=np.int16)
            own[:, columns[: self.given]] = contexts
            said = said - engine.log_evidence(own)[which]
        return float(-(self.weight[seen] @ said) / math.log(2)) if np.isfinite(said).all() else math.inf


@dataclass(frozen=True, eq=False)
class AskedFamilies:
    """Σ_v E[−log2 W(v | parents)], the loss of the whole joint.

    Attributes:
        objective, surface, least, exact: as `ProxyLoss` says.
        world: exact inference in W*.
    """

    objective: str
    world: Inference
    surface: float
    least: float = math.nan
    exact: bool = True
    _joints: dict[tuple[str, ...], Floats] = field(default_factory=dict, repr=False)

    def of(self, engine: Inference) -> float:
        """As `ProxyLoss.of`."""
        bits = 0.0
        for scope, table in engine.net.factors:
            if scope not in self._joints:
                self._joints[scope] = _joint(self.world, scope)
            bits += cross_entropy(self._joints[scope], table)
        return bits


@dataclass(frozen=True, eq=False)
class Judged:
    """−score in bits, given by a second model: no loss of answers, and without a lower limit.

    Attributes:
        objective, surface, least, exact: as `ProxyLoss` says; nobody's knowledge of single nodes is scored.
        judge: from the world-model to bits.
    """

    objective: str
    judge: Callable[[WorldNet], float]
    surface: float = math.nan
    least: float = math.nan
    exact: bool = True

    def of(self, engine: Inference) -> float:
        """As `ProxyLoss.of`."""
        return self.judge(cast("WorldNet", engine.net))


def cross_entropy(joint: Floats, table: Floats) -> float:
    """Σ joint·(−log2 table) bits; infinite where the table says 0 to what happens."""
    seen = joint > 0
    with np.errstate(divide="ignore"):
        return float(-(joint[seen] * np.log2(table[seen])).sum())


def proxy_losses(
    dataset: Dataset,
    model: WorldNet,
    engine: Inference,
    objective: str,
    others: Sequence[str],
    clips: int,
    seed: int,
) -> tuple[ProxyLoss, ...]:
    """The loss trained for, and others, as far as dataset and world-model have what they ask for.

    Args:
        dataset, engine: the world, and exact inference in its net.
        model: a world-model.
        objective: the one trained for; "" for none.
        others: names of further objectives.
        clips, seed: for those that cannot be summed up.
    """
    names = dict.fromkeys([*([objective] if objective else []), *others])
    made = (_loss(dataset, model, engine, name, clips, seed) for name in names)
    return tuple(loss for loss in made if loss is not None)


def _loss(dataset: Dataset, model: WorldNet, engine: Inference, name: str, clips: int, seed: int) -> ProxyLoss | None:
    objective, net = REGISTRY.get(name), dataset.net
    judge = getattr(objective, "world_model_gradient", None)
    if judge is not None:
        scored = Judged(name, lambda model: float(judge(dataset, model)[0]))
        return replace(scored, least=scored.of(engine))
    ask = _ask(objective, dataset)
    if ask is None or any(model.states.get(v) != net.states[v] for v in (*ask.given, *ask.asked)):
        return None
    surface = sum(_entropy(engine, v) for v in ask.asked)
    if set(ask.asked) == set(net.variables) == set(model.variables):
        whole = AskedFamilies(name, engine, surface)
        return replace(whole, least=whole.of(engine))
    variables = (*ask.given, *ask.asked)
    columns = [net.index[v] for v in variables]
    drawn = np.asarray(dataset.simulate_model(clips, stream(seed, 1)))
    labelled = objective.labelled(dataset, drawn, stream(seed, 2), 0)
    by_truth = labelled is drawn or np.array_equal(labelled, drawn)
    cards = [len(net.states[v]) for v in variables]
    if by_truth and math.prod(cards) <= LARGEST:
        rows = np.stack(np.unravel_index(np.arange(math.prod(cards)), cards), axis=-1).astype(np.int16)
        codes = np.full((len(rows), len(net.variables)), -1, dtype=np.int16)
        codes[:, columns] = rows
        exact, weight = True, np.exp(engine.log_evidence(codes))
    else:
        rows, which = distinct(labelled[:, columns])
        exact, weight = False, np.bincount(which, minlength=len(rows)) / len(labelled)
    loss = AskedRows(name, variables, rows, len(ask.given), weight, surface, exact)
    return replace(loss, least=loss.of(engine)) if by_truth else loss


def _ask(objective: Objective, dataset: Dataset) -> Ask | None:
    # A world without time has no continuation, and some objectives are no conditional probability.
    try:
        return objective.ask(dataset)
    except WorldnetsError:
        return None


def _joint(engine: Inference, scope: tuple[str, ...]) -> Floats:
    return np.asarray(engine.joint(None, scope)[0], dtype=np.float64)


def _entropy(engine: Inference, variable: str) -> float:
    p = _joint(engine, (variable,))
    return float(-(p * np.log2(np.where(p > 0, p, 1.0))).sum())
