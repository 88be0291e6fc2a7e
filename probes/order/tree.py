"""What a tree of pairwise marginals says about a target: the best one there is (Chow–Liu), or naive Bayes.

With all evidence seen only the target's neighbours in the tree matter: p(y | x) ∝ p(y) Π_n p(x_n | y). The marginals of
all pairs are W*'s own, by message passing; nothing is sampled unless there are too many of them.

Source: Chow & Liu 1968, IEEE Transactions on Information Theory 14:462.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from probes.sources import Codes, Source, stream

Floats = NDArray[np.float64]
TARGET = " target"
MOST_PAIRS = 40_000  # states of pairs of evidence to ask W* about; beyond, which are joined is seen from clips
CLIPS = 65_536


def tree_posterior(
    source: Source, evidence: Sequence[str], target: str, star: bool = False
) -> Callable[[Codes], Floats]:
    """A function (codes) → p(y | x), [rows, outcomes], under a tree over evidence and target fitted to W*.

    Args:
        source: W*.
        evidence: its variables; the target is one more.
        target: name of the target.
        star: join all evidence to the target and to nothing else, as naive Bayes does.
    """
    prior, beside = _with_target(source, evidence, target)
    joined = list(evidence) if star else _neighbours(source, evidence, target, prior, beside)
    tables = {name: beside[name] / np.maximum(prior, 1e-300) for name in joined}  # p(x_n | y), [states, outcomes]

    def posterior(codes: Codes) -> Floats:
        with np.errstate(divide="ignore"):
            log = np.tile(np.log(prior), (len(codes), 1))
            for name, table in tables.items():
                log += np.log(table)[codes[:, source.columns[name]]]
        top = log.max(1, keepdims=True)
        p = np.exp(log - np.where(np.isfinite(top), top, 0.0))
        total = p.sum(1, keepdims=True)
        return np.where(total > 0, p / np.where(total > 0, total, 1.0), prior)

    return posterior


def _with_target(source: Source, evidence: Sequence[str], target: str) -> tuple[Floats, dict[str, Floats]]:
    # p(y), and p(x_n, y) of every variable, [states, outcomes].
    cards = [source.cardinalities[name] for name in evidence]
    codes = np.full((1 + sum(cards), source.width), -1, dtype=np.int16)
    start = 1
    for name, card in zip(evidence, cards, strict=True):
        codes[start : start + card, source.columns[name]] = np.arange(card)
        start += card
    log_evidence, belief = source.posterior(codes, target)
    joint = np.exp(log_evidence)[:, None] * belief
    ends = 1 + np.cumsum([0, *cards])
    return joint[0], {name: joint[a:b] for name, a, b in zip(evidence, ends[:-1], ends[1:], strict=True)}


def _neighbours(
    source: Source, evidence: Sequence[str], target: str, prior: Floats, beside: dict[str, Floats]
) -> list[str]:
    from worldnets.learning.structure import ChowLiu
    from worldnets.learning.tables import Prior

    cards = [source.cardinalities[name] for name in evidence]
    start = np.cumsum([0, *cards])
    size = int(start[-1])
    pairs = np.zeros((size + len(prior), size + len(prior)))
    pairs[size:, size:] = np.diag(prior)
    for i, name in enumerate(evidence):
        at = slice(start[i], start[i + 1])
        pairs[at, size:], pairs[size:, at] = beside[name], beside[name].T
        pairs[at, at] = np.diag(beside[name].sum(1))
    rows = sum(a * b for a, b in itertools.combinations(cards, 2))
    if rows > MOST_PAIRS:
        one_hot = np.zeros((CLIPS, size), dtype=np.float32)
        clips = source.simulate(CLIPS, stream(0, 8))
        for i, name in enumerate(evidence):
            one_hot[np.arange(CLIPS), start[i] + clips[:, source.columns[name]]] = 1
        pairs[:size, :size] = one_hot.T @ one_hot / CLIPS
    elif rows:
        codes = np.full((rows, source.width), -1, dtype=np.int16)
        first = 0
        for i, j in itertools.combinations(range(len(cards)), 2):
            block = slice(first, first := first + cards[i] * cards[j])
            one, other = np.divmod(np.arange(cards[i] * cards[j]), cards[j])
            codes[block, source.columns[evidence[i]]], codes[block, source.columns[evidence[j]]] = one, other
        shared = np.exp(source.posterior(codes, target)[0])
        first = 0
        for i, j in itertools.combinations(range(len(cards)), 2):
            block = slice(first, first := first + cards[i] * cards[j])
            table = shared[block].reshape(cards[i], cards[j])
            pairs[start[i] : start[i + 1], start[j] : start[j + 1]] = table
            pairs[start[j] : start[j + 1], start[i] : start[i + 1]] = table.T
    states = {name: tuple(range(card)) for name, card in zip(evidence, cards, strict=True)}
    states[TARGET] = tuple(range(len(prior)))
    net = ChowLiu(Prior(), TARGET).learned(states, pairs, 1.0, "pairwise tree").net
    return [name for name in evidence if TARGET in net.parent_sets[name]]
