"""A judge of world-models: trained to tell good ones from corrupted ones by their samples and beliefs.

Score = ln odds that a world-model is good, as the judge sees it: a small network on the features of `appearance`,
trained on the specimens of `corruption`. The judge is right about what it was trained on and wrong elsewhere, so it can
be gamed: the world-model of highest score is not the best one (theory, sections 3 and 13).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset
from worldnets.errors import LearningError
from worldnets.inference.blas import one_blas_thread
from worldnets.learning.appearance import Appearance, Features, appearance_of
from worldnets.learning.corruption import NONE, gallery
from worldnets.learning.descent import Moments, descend
from worldnets.learning.model_class import ModelClass
from worldnets.learning.tables import Entries
from worldnets.net import WorldNet

if TYPE_CHECKING:
    import pandas as pd

LEAST_SPREAD = 1e-3  # features that vary less among specimens are measured in this unit
HELD_OUT = 0.25
UPDATES, LEARNING_RATE = 500, 0.01


@dataclass(frozen=True, eq=False, repr=False)
class Scorer:
    """A judge of world-models.

    score = u · tanh(A·z + a) + b, with z = (features − mean) / scale.

    Attributes:
        appearance: what it looks at.
        mean, scale: of the features among the world-models it was trained on.
        inner, inner_bias: A [features, hidden] and a [hidden].
        outer, outer_bias: u [hidden] and b.
        auroc: on held-out specimens, how often a good one scores higher than a corrupted one.
        auroc_by_damage: the same for each kind of damage.
        held_out: the held-out specimens: damage, grade and score, equally long.
    """

    appearance: Appearance
    mean: Features
    scale: Features
    inner: NDArray[np.float64]
    inner_bias: NDArray[np.float64]
    outer: NDArray[np.float64]
    outer_bias: float
    auroc: float
    auroc_by_damage: Mapping[str, float]
    held_out: Mapping[str, Sequence[str] | Sequence[float]]

    def score(self, world_model: WorldNet) -> float:
        """ln odds that a world-model is good, nats.

        Raises:
            LearningError: it lacks a node that is looked at, or has other states for it.
        """
        return self._judged(self.appearance.of(world_model))[0]

    def score_and_gradient(self, world_model: WorldNet) -> tuple[float, dict[str, Entries]]:
        """The score, and its gradient in the log-tables as free log-potentials, by node [*parent states, states].

        Raises:
            LearningError: as `score`.
        """
        features, back = self.appearance.look(world_model)
        score, slope = self._judged(features)
        return score, back(slope)

    def _judged(self, features: Features) -> tuple[float, Features]:
        hidden = np.tanh(((features - self.mean) / self.scale) @ self.inner + self.inner_bias)
        slope = self.inner @ (self.outer * (1 - hidden**2)) / self.scale
        return float(hidden @ self.outer) + self.outer_bias, slope

    def to_pandas(self) -> pd.DataFrame:
        """The held-out specimens, one row each: damage, grade, score in nats."""
        import pandas as pd

        return pd.DataFrame(dict(self.held_out))

    def __repr__(self) -> str:
        held = len(self.held_out["score"])
        return f"Scorer({len(self.appearance)} features, AUROC {self.auroc:.3f} on {held} held-out world-models)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        return card(repr(self), self.auroc_by_damage, frame(self.to_pandas()))


def train_scorer(
    dataset: Dataset,
    observables: Sequence[str],
    *,
    specimens: int = 200,
    clips: int = 16,
    hidden: int = 16,
    decay: float = 10.0,
    seed: int = 0,
) -> Scorer:
    """Train a judge of world-models for a dataset.

    A quarter of the specimens is held out. On the others the network minimises the mean log loss in nats plus
    decay / (4·specimens) · Σ θ², by Adam on all of them at once.

    Args:
        dataset: whose W* is the good world-model, up to finite samples.
        observables: nodes whose statistics are looked at.
        specimens: world-models of either sort, good and corrupted.
        clips: on which beliefs are looked at.
        hidden: units.
        decay: of the weights A and u, not of biases.
        seed: of all of it.

    Raises:
        LearningError: an option out of range, nothing to see.
    """
    for name, value, least in (("specimens", specimens, 8), ("clips", clips, 1), ("hidden", hidden, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise LearningError(f"{name} is no whole number ≥ {least}", found=repr(value), mend=f"give {name}={least}")
    if isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < math.inf:
        raise LearningError("decay is no number ≥ 0", found=repr(decay), mend="give decay=10")
    kinds = () if dataset.template is None else dataset.template.variables
    model_class = ModelClass.of(dataset.net, kinds, dataset.roles.get("schedule", ()))
    appearance = appearance_of(dataset, observables, clips, seed)
    made = gallery(dataset, model_class, observables, specimens, seed)
    features = np.stack([appearance.of(one.net) for one in made])
    damage = np.array([one.damage for one in made])
    good = damage == NONE
    test = np.arange(len(made)) % specimens < round(HELD_OUT * specimens)
    mean, scale = features[~test].mean(axis=0), np.maximum(features[~test].std(axis=0), LEAST_SPREAD)
    z = (features - mean) / scale
    network = _fitted(z[~test], good[~test], hidden, decay / len(made), seed)
    scores = np.tanh(z @ network.inner + network.inner_bias) @ network.outer + network.outer_bias
    right = functools.partial(auroc, scores[test & good])
    by_damage = {str(kind): right(scores[test & (damage == kind)]) for kind in dict.fromkeys(damage[test & ~good])}
    held_out = {
        "damage": damage[test].tolist(),
        "grade": [one.grade for one, held in zip(made, test, strict=True) if held],
        "score": scores[test].tolist(),
    }
    overall, seen = right(scores[test & ~good]), (MappingProxyType(by_damage), MappingProxyType(held_out))
    return Scorer(appearance, mean, scale, *network, overall, *seen)


def auroc(of_good: Features, of_corrupted: Features) -> float:
    """How often a good one scores higher, ties half: the area under the receiver's curve, Mann–Whitney's U / (n·m)."""
    difference = of_good[:, None] - of_corrupted[None, :]
    return float((np.sign(difference).mean() + 1) / 2)


class _Network(NamedTuple):
    inner: NDArray[np.float64]
    inner_bias: NDArray[np.float64]
    outer: NDArray[np.float64]
    outer_bias: float


def _fitted(z: NDArray[np.float64], good: NDArray[np.bool_], hidden: int, decay: float, seed: int) -> _Network:
    rows, features = z.shape
    sign = np.where(good, 1.0, -1.0)
    ends = np.cumsum([features * hidden, hidden, hidden, 1])
    is_weight = np.zeros(ends[-1])
    is_weight[: ends[0]] = is_weight[ends[1] : ends[2]] = 1.0

    def parts(vector: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        inner, *others = np.split(vector, ends[:-1])
        return [inner.reshape(features, hidden), *others]

    def slope(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        inner, inner_bias, outer, outer_bias = parts(vector)
        active = np.tanh(z @ inner + inner_bias)
        margin = sign * (active @ outer + outer_bias)
        pull = -sign / (1 + np.exp(np.minimum(margin, 700.0))) / rows
        through = pull[:, None] * outer * (1 - active**2)
        gradient = np.concatenate([(z.T @ through).ravel(), through.sum(axis=0), pull @ active, [pull.sum()]])
        return gradient + decay * vector * is_weight

    begin = np.random.default_rng([seed, 3]).standard_normal(ends[-1]) * is_weight
    begin[: ends[0]] /= math.sqrt(features)
    begin[ends[1] : ends[2]] /= math.sqrt(hidden)
    found, moments = begin, Moments.none(len(begin))
    with one_blas_thread():  # the same bits whatever runs beside it
        for _ in range(UPDATES):
            found, moments = descend("adam", LEARNING_RATE, found, slope(found), moments)
    inner, inner_bias, outer, outer_bias = parts(found)
    return _Network(inner, inner_bias, outer, float(outer_bias[0]))
