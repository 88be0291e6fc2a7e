"""Naming the initialisation of a run that was held out, and what sharing one does to agreement; whole runs permuted.

Runs are a crossing of I initialisations and O data orders, none twice. A run's responses are a vector of D numbers,
taken relative to the mean over initialisations of its data order, so that what a data order does to all runs names
nothing. Each data order is held out in turn, with all of its runs: a held-out run is given the name of the
initialisation whose other runs have the nearest mean. Under the hypothesis that initialisations are but names, runs of
one data order may change places: a permutation changes names within data orders.

Sources: nearest centroids, Tibshirani, Hastie, Narasimhan & Chu 2002 (PNAS 99:6567), without shrinkage; p-values,
Phipson & Smyth 2010 (Statistical Applications in Genetics 9:39); variance components of a crossing, Searle, Casella &
McCulloch 1992, ch. 4; matrices of pairs, Mantel 1967 (Cancer Research 27:209).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.statistics import Estimate, Interval, binomial_interval, over_seeds

Floats = NDArray[np.float64]
Names = NDArray[np.intp]
ROUNDING = 1e-24  # of the mean square of responses: what is relative to others and smaller is none
TIE = 1e-9  # of the largest score: heads that answer alike get the names of all


class Tested(NamedTuple):
    """A statistic and how often names given at random do as well.

    Attributes:
        value: the statistic.
        p: (1 + permutations that do as well) / (1 + permutations).
        most: upper 95 % limit of p, given how few permutations were made.
    """

    value: float
    p: float
    most: float


def names(initialisations: int, orders: int, count: int, seed: int = 0) -> Names:
    """Permutations of names within data orders, [1 + count, orders, initialisations]; the first changes nothing.

    Entry [b, o, k] says which run of data order o bears the name k. The names of the first data order stay: to change
    all alike would change nothing.
    """
    random = np.random.default_rng([stream_of(seed), initialisations, orders])
    drawn = np.argsort(random.random((count, orders, initialisations)), axis=-1)
    found = np.concatenate([np.zeros((1, orders, initialisations), dtype=np.intp), drawn])
    found[0] = found[:, 0] = np.arange(initialisations)
    return found


def stream_of(seed: int) -> int:
    """What permutations of a seed are drawn from."""
    return 10_007 + seed


def relative(responses: Floats) -> Floats:
    """Responses [I, O, D] less the mean over initialisations of their data order."""
    return responses - responses.mean(0)


def products(responses: Floats) -> Floats:
    """Inner products of relative responses, [I, O, I, O]."""
    flat = relative(responses).reshape(-1, responses.shape[-1])
    return (flat @ flat.T).reshape(responses.shape[:2] * 2)


def named(inner: Floats, given: Names) -> Floats:
    """Credit of every run under every permutation, [B, I, O]: 1 where it gets its own name, 1/m where m names tie.

    Args:
        inner: `products` of the responses.
        given: `names`.
    """
    count, orders, size = given.shape
    apart = inner.copy()
    own = np.arange(orders)
    apart[:, own, :, own] = 0.0  # nothing of the data order that is held out
    scores = np.zeros((size, orders, count, size))
    for o in range(orders):
        scores += np.take(apart[:, :, :, o], given[:, o], axis=2)
    pairs = np.zeros((orders, orders, count, size))
    for o, other in itertools.product(range(orders), repeat=2):
        pairs[o, other] = inner[given[:, o], o, given[:, other], other]
    lengths = pairs.sum((0, 1)) - pairs.sum(1) - pairs.sum(0) + pairs[own, own]  # [orders held out, B, names]
    scores = 2 * scores / (orders - 1) - lengths / (orders - 1) ** 2  # [I, O, B, names]
    best = scores.max(-1, keepdims=True)
    nearest = scores >= best - TIE * (1e-12 + np.abs(best))
    right = np.zeros((count, size, orders))
    for o in range(orders):
        own_name = np.argsort(given[:, o])[..., None]
        right[:, :, o] = np.take_along_axis(nearest[:, o].swapaxes(0, 1), own_name, axis=-1)[..., 0]
    return right / np.moveaxis(nearest.sum(-1), -1, 0)


def named_by(responses: Floats, classifier: Any) -> Floats:
    """Credit of every run, [I, O], from any classifier of scikit-learn's, data orders held out in turn.

    Args:
        responses: [I, O, D].
        classifier: with `fit` and `predict`; it is cloned.
    """
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

    size, orders, width = responses.shape
    name = np.repeat(np.arange(size), orders)
    order = np.tile(np.arange(orders), size)
    rows = relative(responses).reshape(-1, width)
    said = cross_val_predict(classifier, rows, name, groups=order, cv=LeaveOneGroupOut())
    return np.asarray(said == name, dtype=np.float64).reshape(size, orders)


def tested(values: Floats) -> Tested:
    """The first of some values against the others, larger ones being as good or better."""
    rest = values[1:]
    as_good = int((rest >= values[0] - 1e-12).sum())
    p = (1 + as_good) / (1 + len(rest))
    return Tested(float(values[0]), p, binomial_interval(1 + as_good, 1 + len(rest), 0.90).high)


def components(responses: Floats) -> Floats:
    """Shares of the variance between runs that is due to initialisation, data order and both together, [3].

    With mean squares M of a crossing without repeats, summed over the D responses: (M_i − M_both)/O, (M_o − M_both)/I,
    M_both. The first two may be negative. NaN where all runs answer alike.
    """
    size, orders, _ = responses.shape
    whole, by_size, by_order = responses.mean((0, 1)), responses.mean(1), responses.mean(0)
    rest = responses - by_size[:, None] - by_order + whole
    both = (rest**2).sum() / ((size - 1) * (orders - 1))
    first = orders * ((by_size - whole) ** 2).sum() / (size - 1)
    second = size * ((by_order - whole) ** 2).sum() / (orders - 1)
    parts = np.array([(first - both) / orders, (second - both) / size, both])
    total = parts.sum()
    return parts / total if total > 0 else np.full(3, np.nan)


def same_choice(choices: Floats) -> Floats:
    """Share of rows on which two runs choose the same outcome, [I, O, I, O], from choices [I, O, rows]."""
    flat = choices.reshape(-1, choices.shape[-1])
    return (flat[:, None] == flat[None]).mean(-1).reshape(choices.shape[:2] * 2)


def between(pairs: Floats) -> Floats:
    """Means over pairs of runs of different data orders, by their initialisations, [I, I], symmetric.

    Args:
        pairs: of runs, [I, O, I, O], symmetric.
    """
    orders = pairs.shape[1]
    every = pairs.sum((1, 3)) - np.einsum("iojo->ij", pairs)
    return np.asarray(every / (orders * (orders - 1)))


def same_and_strangers(means: Floats) -> tuple[float, float]:
    """Means of runs that share an initialisation, and of those that do not, from `between`."""
    size = len(means)
    same = float(np.trace(means)) / size
    return same, (float(means.sum()) - size * same) / (size * (size - 1))


def gain(means: Floats) -> float:
    """(same − strangers)/(1 − strangers): how much less runs of one initialisation disagree than strangers.

    NaN where strangers always agree.
    """
    same, strangers = same_and_strangers(means)
    return (same - strangers) / (1 - strangers) if strangers < 1 - 1e-12 else math.nan


def gains(pairs: Floats, given: Names) -> Floats:
    """`gain` under every permutation of names, [B]."""
    _, orders, size = given.shape
    twos = list(itertools.combinations(range(orders), 2))
    same = np.stack([pairs[given[:, o], o, given[:, other], other].mean(-1) for o, other in twos]).mean(0)
    strangers = (size * float(between(pairs).mean()) - same) / (size - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(strangers < 1 - 1e-12, (same - strangers) / (1 - strangers), np.nan))


def likeness(responses: Floats) -> Floats:
    """Cosine of relative responses of pairs of runs, [I, O, I, O]; 0 of a run that does as its data order does."""
    inner = products(responses)
    size, orders = inner.shape[:2]
    length = np.sqrt(np.maximum(np.einsum("ioio->io", inner), 0.0))
    scale = length[:, :, None, None] * length
    apart = scale > ROUNDING * float((responses**2).sum(-1).mean())
    return np.divide(inner, scale, out=np.zeros_like(inner), where=apart).reshape(size, orders, size, orders)


def correlation(one: Floats, other: Floats) -> Estimate:
    """Correlation over pairs of runs of different data orders, with the jackknife's error over initialisations.

    NaN where either matrix is the same for all pairs.

    Args:
        one, other: of pairs of runs, [I, O, I, O], symmetric.
    """
    moments = [between(part) for part in (one, other, one * other, one**2, other**2)]

    def of(some: Names) -> Floats:
        x, y, xy, xx, yy = (part[np.ix_(some, some)].mean() for part in moments)
        scale = (xx - x**2) * (yy - y**2)
        return np.asarray((xy - x * y) / math.sqrt(scale) if scale > 1e-24 else math.nan)

    return jackknife(of, len(one))


def jackknife(statistic: Callable[[Names], Floats], size: int) -> Estimate:
    """A statistic of some initialisations, with the jackknife's error over them, elementwise.

    Args:
        statistic: of the positions of the initialisations to use.
        size: I.

    Source: Arvesen 1969, "Jackknifing U-statistics", Annals of Mathematical Statistics 40:2076.
    """
    every = np.arange(size)
    whole = np.asarray(statistic(every))
    without = np.stack([statistic(np.delete(every, i)) for i in range(size)], axis=-1)
    found = over_seeds(size * whole[..., None] - (size - 1) * without)
    return replace(found, mean=whole)


def share_named(credit: Floats, level: float) -> Interval:
    """Share of runs that got their own name, [I, O] → t-interval over initialisations, never narrower than that of as
    many independent trials.
    """
    found = over_seeds(credit.mean(1)).interval(level)
    trials = binomial_interval(math.floor(credit.sum() + 1e-9), credit.size, level)
    low, high = min(found.low, trials.low), max(found.high, trials.high)
    return Interval(found.estimate, max(low, 0.0), min(high, 1.0), level, "t and exact binomial", len(credit))


def enough(initialisations: int, orders: int, alpha: float) -> bool:
    """Whether there are permutations enough that one in them could be rarer than α."""
    return (orders - 1) * math.lgamma(initialisations + 1) > -math.log(alpha)
