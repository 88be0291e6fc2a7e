"""What memorizing and deriving cost: work per token, deriving once and running often, length of the description; and
how fast a deriver learns a world beside gradient descent.

Work counts multiply-adds and table reads; one is a number multiplied, added, divided or read. With N worlds, k tokens
and H hidden states, per token:

    memorizer, chains          N·(k + 2)                  read and add ln P_n, normalise, mix N rows
    deriver, chains            2k + 1                     one count, k additions, k divisions
    memorizer, hidden chains   N·(H² + H·(k + 2) + 2)      move, weigh and normalise N beliefs, mix N·H rows
    deriver, hidden chains     the same with the worlds of its search for N
    a derived chain            k                          read a row
    a derived hidden chain     H² + H·(k + 2)

Deriving once is the deriver's work over a clip, and writing down what came out. n* is the number of clips of one world
from which on deriving once and running what was derived is less work than running the memorizer,
once / (T·(memorizer − derived)); infinite where the memorizer is no more work than what was derived.

Description lengths are two-part codes: ½·log2 n bits for a number that n observations fix (Rissanen 1978), worlds'
tables for the memorizer, the prior's α for the deriver. Programs are not counted: neither has more than a few lines.

Source: Rissanen 1978, Automatica 14:465; Dawid 1984, Journal of the Royal Statistical Society A 147:278 (prequential).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.derivation.meta_worlds import Floats, MetaWorld, Tokens
from probes.derivation.predictors import counted

if TYPE_CHECKING:
    from worldnets.trace import Trace

RATES = (0.03, 0.1, 0.3, 1.0, 3.0)  # of online gradient descent; the best is chosen in hindsight, in its favour
GRIDS = tuple(2.0**-power for power in range(9))


@dataclass(frozen=True)
class Costs:
    """Of one meta-world.

    Attributes:
        memorizer, deriver, derived: work per token of retrieval, of inference, and of a world once it is derived.
        once: work of deriving it from one clip.
        break_even: n*, clips of one world; infinite where deriving once never pays.
        memorizer_bits, deriver_bits: description lengths.
    """

    memorizer: float
    deriver: float
    derived: float
    once: float
    break_even: float
    memorizer_bits: float
    deriver_bits: float


def costs(world: MetaWorld, draws: int, clips_seen: int) -> Costs:
    """Work and description lengths.

    Args:
        world: the meta-world.
        draws: worlds a search for the deriver goes through, where there is one.
        clips_seen: in training; more of them fix a memorizer's tables, and the prior, to more digits.
    """
    count, tokens, frames = world.trained.count, world.trained.tokens, world.frames
    tokens_seen = clips_seen * frames
    if world.kind == "chains":
        memorizer, deriver, derived = float(count * (tokens + 2)), float(2 * tokens + 1), float(tokens)
        once = float(frames * 1 + 2 * tokens**2)
        rows, free = count * tokens, tokens - 1
        memorizer_bits = rows * free * _digits(tokens_seen / rows)
        deriver_bits = _digits(rows * free)
    else:
        states = int(world.parameters["states"])
        one = states**2 + states * (tokens + 2)
        memorizer, deriver, derived = float(count * (one + 2)), float(draws * (one + 2)), float(one)
        once = float(frames * draws * (one + 2))
        numbers = count * states * (states - 1 + tokens - 1)
        memorizer_bits = numbers * _digits(tokens_seen / (count * states))
        deriver_bits = _digits(count * states * (states - 1)) + _digits(count * states * (tokens - 1))
    gain = frames * (memorizer - derived)
    return Costs(memorizer, deriver, derived, once, once / gain if gain > 0 else math.inf, memorizer_bits, deriver_bits)


def _digits(observations: float) -> float:
    return 0.5 * math.log2(max(observations, 2.0))


def prequential(world: MetaWorld, clips: Tokens) -> dict[str, Floats]:
    """Bits to send each clip, token after token, by learners that start from nothing: [R] by name.

    "counts" is the add-α bigram predictor, which on chains is the deriver. "sgd" is a table of logits θ_ij, uniform at
    first, that makes one step of gradient descent on every token, at the learning rate of `RATES` that does best in
    hindsight over all clips. The first token costs log2 k for either.
    """
    tokens, alpha = world.trained.tokens, float(world.parameters["alpha"])
    rows, length = np.arange(len(clips)), clips.shape[1]
    _, bigram = counted(clips, tokens, alpha, range(1, length))
    counts = math.log2(tokens) - np.log2(np.take_along_axis(bigram, clips[:, 1:, None].astype(np.int64), -1)).sum(
        (1, 2)
    )
    by_rate = []
    for rate in RATES:
        logits = np.zeros((len(clips), tokens, tokens))
        bits = np.full(len(clips), math.log2(tokens))
        for t in range(1, length):
            before, now = clips[:, t - 1], clips[:, t]
            own = logits[rows, before]
            q = np.exp(own - own.max(-1, keepdims=True))
            q /= q.sum(-1, keepdims=True)
            bits -= np.log2(q[rows, now])
            q[rows, now] -= 1
            logits[rows, before] = own - rate * q
        by_rate.append(bits)
    return {"counts": counts, "sgd": min(by_rate, key=lambda bits: float(bits.mean()))}


def head_work(trace: Trace) -> float:
    """Work of a head per token, a lower bound: one for every weight that multiplies, and attention's own products."""
    import jax

    weights = sum(
        math.prod(leaf.shape[2:])
        for path, leaf in jax.tree_util.tree_flatten_with_path(trace.parameters)[0]
        if getattr(leaf, "ndim", 0) == 4 and "positions" not in jax.tree_util.keystr(path)
    )
    if trace.head != "transformer":
        return float(weights)
    # Each position looks at half of the others, on average: scores and mixtures of values.
    options = trace.head_options
    return float(weights + options["depth"] * options["width"] * len(trace.inputs.steps))


def head_description(trace: Trace, loss_of: Any, clips_seen: int) -> NDArray[np.float64]:
    """Two-part description length of each seed's head at its end, bits [S]: an upper bound.

    The least over grids of: entropy-coded parameters on the grid, and what the grid adds to the loss of the clips that
    training saw. Units are not permuted nor rescaled, so that it is an upper bound of the description length of the
    theory, section 12.

    Args:
        trace: of a differentiable head.
        loss_of: a trace → bits per clip at its last checkpoint, [S].
        clips_seen: N, in training.
    """
    import jax

    from worldnets.heads.base import is_parameter

    last = jax.tree.map(lambda leaf: leaf[-1:] if is_parameter(leaf) else leaf, trace.parameters)
    kept = replace(trace, steps=trace.steps[-1:].copy(), losses=trace.losses[-1:].copy(), parameters=last)
    before, best = loss_of(kept), np.full(len(trace.seeds), np.inf)
    leaves = [leaf for leaf in jax.tree.leaves(last) if is_parameter(leaf)]
    for grid in GRIDS:

        def onto(leaf: Any, grid: float = grid) -> Any:
            return (np.round(leaf / grid) * grid).astype(leaf.dtype) if is_parameter(leaf) else leaf

        coarse = replace(kept, parameters=jax.tree.map(onto, last))
        lengths = np.array([
            _entropy_coded(np.concatenate([leaf[0, seed].ravel() for leaf in leaves]) / grid)
            for seed in range(len(trace.seeds))
        ])  # fmt: skip
        best = np.minimum(best, lengths + clips_seen * np.maximum(loss_of(coarse) - before, 0.0))
    return best


def _entropy_coded(values: Floats) -> float:
    """Bits of numbers on a grid of step 1: their empirical entropy, and 32 bits for each symbol of the code's table."""
    if not np.isfinite(values).all():
        return math.nan
    counts = np.unique(np.round(values), return_counts=True)[1]
    share = counts / counts.sum()
    return float(len(values) * -(share * np.log2(share)).sum() + 32 * len(counts))
