"""Reference predictors of the next token, memorizers and derivers; and silly ones, that no head should be made of.

With t tokens seen, the last of them i; c_j and c_ij how often j was seen, and how often it followed i:

    retrieval, unigram    Σ_n w_n P_n[i, j],  w_n ∝ Π_s π_n(token s)     worlds told by single tokens
    retrieval, bigram     Σ_n w_n P_n[i, j],  w_n ∝ W_n(tokens 1 … t)    the memorizer: Bayes over the N worlds
    inference, unigram    (c_j + α) / (t + kα)
    inference, bigram     (c_ij + α) / (c_i + kα)                         the deriver: Bayes under the Dirichlet prior

π_n is world n's long run. In a meta-world of hidden chains, P_n[i, ·] is world n's own filtered prediction, the
memorizer is "retrieval, exact", and the two counts are no Bayes of anything. Its deriver, "inference, exact", is a
search: Bayes over `draws` worlds freshly drawn from the prior (self-normalised importance sampling), which becomes
exact as draws grow; how far it is from that is measured by the difference of two halves.

Source: Park, Lubana, Pres & Tanaka 2024, arXiv 2412.01003, sections 4 and 5 (the four predictors).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from probes.derivation.meta_worlds import SEARCHED, Floats, MetaWorld, Tokens, Worlds

SIMPLE_RETRIEVAL, RETRIEVAL = "retrieval, unigram", "retrieval, bigram"
UNIGRAM, BIGRAM = "inference, unigram", "inference, bigram"
EXACT_RETRIEVAL, EXACT_INFERENCE = "retrieval, exact", "inference, exact"
#: References of each kind of meta-world, simple first within memorizers and within derivers; the last of each is exact.
REFERENCES = {
    "chains": (SIMPLE_RETRIEVAL, RETRIEVAL, UNIGRAM, BIGRAM),
    "hidden_chains": (SIMPLE_RETRIEVAL, EXACT_RETRIEVAL, UNIGRAM, BIGRAM, EXACT_INFERENCE),
}
CONTROLS = ("uniform", "last token again", "answers shifted", "another clip's memory")
CELLS = 1 << 21  # clips × worlds (× states) held at once


class Predictions(NamedTuple):
    """What was said after each of some numbers of tokens: P positions, R clips, k tokens.

    Attributes:
        simple: Σ_n w_n p_n with the worlds told by single tokens, [R, P, k].
        exact: with the worlds told by all they say, [R, P, k].
        effective: 1 / Σ w_n², the number of worlds that have a say in `exact`, [R, P].
    """

    simple: Floats
    exact: Floats
    effective: Floats


def retrieved(worlds: Worlds, clips: Tokens, positions: Sequence[int] | NDArray[np.integer]) -> Predictions:
    """Mixtures of the predictions of N worlds by their posteriors, equally probable before.

    Args:
        worlds: N of them.
        clips: [R, T].
        positions: numbers of tokens seen, 1 … T, rising.
    """
    wanted = {int(t): place for place, t in enumerate(positions)}
    last = max(wanted)
    shape = (len(clips), len(wanted), worlds.tokens)
    found = Predictions(np.empty(shape), np.empty(shape), np.empty(shape[:2]))
    for rows in _chunks(len(clips), worlds):
        for t, told in enumerate(worlds.reading(clips[rows, :last]), start=1):
            if t in wanted:
                place = wanted[t]
                weights = _normalised(told.log_likelihood)
                found.exact[rows, place] = told.ahead(weights)
                found.effective[rows, place] = 1 / (weights**2).sum(-1)
                found.simple[rows, place] = told.ahead(_normalised(told.log_unordered))
    return found


def true_predictions(
    worlds: Worlds, which: NDArray[np.integer], clips: Tokens, positions: Sequence[int] | NDArray[np.integer]
) -> Floats:
    """What the world each clip was drawn from says, [R, P, k]: [R, P, k] of W_which(token t + 1 | tokens 1 … t)."""
    wanted = {int(t): place for place, t in enumerate(positions)}
    found = np.empty((len(clips), len(wanted), worlds.tokens))
    for rows in _chunks(len(clips), worlds):
        for t, told in enumerate(worlds.reading(clips[rows, : max(wanted)]), start=1):
            if t in wanted:
                found[rows, wanted[t]] = told.own(which[rows])
    return found


def counted(
    clips: Tokens, tokens: int, alpha: float, positions: Sequence[int] | NDArray[np.integer]
) -> tuple[Floats, Floats]:
    """Add-α counts of tokens, and of what followed the last token: two arrays [R, P, k]."""
    unigram, bigram = (np.empty((len(clips), len(positions), tokens)) for _ in range(2))
    rows = np.arange(len(clips))
    seen, followed = np.zeros((len(clips), tokens)), np.zeros((len(clips), tokens, tokens))
    wanted = {int(t): place for place, t in enumerate(positions)}
    for t in range(1, max(wanted) + 1):
        now = clips[:, t - 1]
        seen[rows, now] += 1
        if t > 1:
            followed[rows, clips[:, t - 2], now] += 1
        if t in wanted:
            own = followed[rows, now]
            unigram[:, wanted[t]] = (seen + alpha) / (t + tokens * alpha)
            bigram[:, wanted[t]] = (own + alpha) / (own.sum(-1, keepdims=True) + tokens * alpha)
    return unigram, bigram


class Said(NamedTuple):
    """References and controls on some clips.

    Attributes:
        references: name → [R, P, k], in the order of `REFERENCES`.
        controls: name → [R, P, k].
        searched: mean number of worlds that have a say in the search at the last position; NaN where there is none.
        halves: E KL between the two halves of the search, bits; NaN where there is none.
    """

    references: dict[str, Floats]
    controls: dict[str, Floats]
    searched: float
    halves: float


def said(world: MetaWorld, clips: Tokens, positions: NDArray[np.integer], draws: int, seed: int) -> Said:
    """All predictors of a meta-world.

    Args:
        world: whose.
        clips: [R, T].
        positions: numbers of tokens seen.
        draws: worlds of a search; not used where counting is enough.
        seed: of the order in which clips lend each other their memory.
    """
    memory = retrieved(world.trained, clips, positions)
    unigram, bigram = counted(clips, world.trained.tokens, float(world.parameters["alpha"]), positions)
    found = {SIMPLE_RETRIEVAL: memory.simple}
    effective = halves = float("nan")
    if world.kind == "chains":
        exact = bigram
        found |= {RETRIEVAL: memory.exact, UNIGRAM: unigram, BIGRAM: bigram}
    else:
        first = retrieved(world.from_prior(draws, SEARCHED), clips, positions)
        other = retrieved(world.from_prior(draws, SEARCHED + draws), clips, positions)
        exact = (first.exact + other.exact) / 2
        effective = float((first.effective + other.effective)[:, -1].mean())
        halves = float(_divergence(first.exact, other.exact).mean())
        found |= {EXACT_RETRIEVAL: memory.exact, UNIGRAM: unigram, BIGRAM: bigram, EXACT_INFERENCE: exact}
    again = np.zeros_like(exact)
    for place, t in enumerate(positions):
        again[np.arange(len(clips)), place, clips[:, int(t) - 1]] = 1.0
    order = np.random.default_rng(seed).permutation(len(clips))
    controls = {
        "uniform": np.full_like(exact, 1 / exact.shape[-1]),
        "last token again": again,
        "answers shifted": np.roll(exact, 1, axis=-1),
        "another clip's memory": memory.exact[np.roll(order, 1)[np.argsort(order)]],
    }
    return Said(found, controls, effective, halves)


def is_retrieval(name: str) -> bool:
    """Whether a reference is a memorizer."""
    return name.startswith("retrieval")


def _chunks(rows: int, worlds: Worlds) -> Iterator[slice]:
    size = max(1, CELLS // (worlds.count * worlds.hidden))
    for first in range(0, rows, size):
        yield slice(first, min(first + size, rows))


def _normalised(log_weights: Floats) -> Floats:
    weights = np.exp(log_weights - log_weights.max(-1, keepdims=True))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def _divergence(p: Floats, q: Floats) -> Floats:
    safe = np.maximum(q, 1e-12)
    return np.asarray((p * np.log2(np.maximum(p, 1e-12) / safe)).sum(-1))
