"""Expectation–maximisation where all is observed but one chain of hidden states: autoregressive hidden Markov models.

Every node of a frame depends on that frame's hidden state and on what is observed anyway (nodes of the frame before,
known latents). So the E step is forward–backward over the chain alone, all clips at once, however wide a frame is;
general expectation–maximisation over time (`worldnets.learning.temporal`) would carry the observed nodes along.

Sources: Poritz 1982, "Linear predictive hidden Markov models"; Hamilton 1989; Rabiner 1989, section IV.B.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ITERATIONS = 500


@dataclass(frozen=True, eq=False)
class Emission:
    """One node's family at one place of the clip, every frame's observations together.

    Attributes:
        row: [clips, frames], which joint state its observed parents are in.
        state: [clips, frames], its own.
        rows, states: how many there are.
    """

    row: NDArray[np.int64]
    state: NDArray[np.int64]
    rows: int
    states: int


@dataclass(frozen=True, eq=False)
class Chain:
    """Parameters: of the first hidden state [H], of the next one [H, H], and of each node [rows, H, states]."""

    start: Floats
    move: Floats
    first: tuple[Floats, ...]
    later: tuple[Floats, ...]


def learn_chain(
    first: Sequence[Emission],
    later: Sequence[Emission],
    hidden: int,
    *,
    pseudocount: float,
    restarts: int,
    seed: int = 0,
    tolerance: float = 1e-3,
) -> Chain:
    """The chain under which clips are most probable (times the density of a Dirichlet(pseudocount + 1) prior).

    Of some random starts the best end is kept. A start's tables are the counts without hidden states, each entry times
    a draw from the exponential distribution: a function of (seed, restart). The objective never falls; a run stops when
    it gains less than `tolerance` bits per clip.

    Args:
        first: the nodes of frame 1, [clips, 1].
        later: the nodes of frames 2 … T, [clips, T − 1]; their tables are tied.
        hidden: states of the chain.
        pseudocount: of every entry of every table.
    """
    best: tuple[float, Chain] | None = None
    for restart in range(restarts):
        chain = _begin(first, later, hidden, pseudocount, np.random.default_rng([seed, restart]))
        value = -math.inf
        for _ in range(ITERATIONS):
            counts, log_likelihood = _expected(chain, first, later)
            before, value = value, log_likelihood + _log_prior(chain, pseudocount)
            if (value - before) / math.log(2) < tolerance * len(later[0].row):
                break
            chain = _maximised(counts, pseudocount)
        if best is None or value > best[0]:
            best = value, chain
    assert best is not None
    return best[1]


def _begin(
    first: Sequence[Emission], later: Sequence[Emission], hidden: int, pseudocount: float, random: np.random.Generator
) -> Chain:
    def table(emission: Emission) -> Floats:
        cell = emission.row * emission.states + emission.state
        counts = np.bincount(cell.ravel(), minlength=emission.rows * emission.states) + pseudocount
        shared = counts.reshape(emission.rows, 1, emission.states)
        return _rows(shared * random.exponential(size=(emission.rows, hidden, emission.states)))

    # Staying is likelier than moving: a hidden state that is redrawn in every frame remembers nothing.
    move = _rows(random.exponential(size=(hidden, hidden)) + hidden * np.eye(hidden))
    start = _rows(random.exponential(size=hidden) + 1.0)
    return Chain(start, move, tuple(map(table, first)), tuple(map(table, later)))


def _expected(chain: Chain, first: Sequence[Emission], later: Sequence[Emission]) -> tuple[Chain, float]:
    """Expected counts of all entries, and ln Π_clips W(clip) in nats."""
    seen = np.concatenate([_log_seen(chain.first, first), _log_seen(chain.later, later)], axis=1)
    largest = seen.max(axis=2, keepdims=True)
    likelihood = np.exp(seen - largest)  # [clips, frames, H]
    clips, frames, hidden = likelihood.shape
    forward, backward = np.empty_like(likelihood), np.empty_like(likelihood)
    scale = np.empty((clips, frames))
    for t in range(frames):
        before = chain.start if t == 0 else forward[:, t - 1] @ chain.move
        now = before * likelihood[:, t]
        scale[:, t] = now.sum(axis=1)
        forward[:, t] = now / scale[:, t, None]
    backward[:, -1] = 1.0
    moved = np.zeros((hidden, hidden))
    for t in range(frames - 1, 0, -1):
        ahead = likelihood[:, t] * backward[:, t] / scale[:, t, None]
        moved += forward[:, t - 1].T @ ahead
        backward[:, t - 1] = ahead @ chain.move.T
    posterior = forward * backward
    at_first = tuple(_weighted(emission, posterior[:, :1]) for emission in first)
    at_later = tuple(_weighted(emission, posterior[:, 1:]) for emission in later)
    counts = Chain(posterior[:, 0].sum(axis=0), moved * chain.move, at_first, at_later)
    return counts, float(np.log(scale).sum() + largest.sum())


def _log_seen(tables: Sequence[Floats], emissions: Sequence[Emission]) -> Floats:
    """ln W(all nodes of a frame | hidden state, what else they depend on), [clips, frames, H]."""
    total = np.zeros((*emissions[0].row.shape, tables[0].shape[1]))
    for table, emission in zip(tables, emissions, strict=True):
        total += np.log(table)[emission.row, :, emission.state]
    return total


def _weighted(emission: Emission, posterior: Floats) -> Floats:
    cell = (emission.row * emission.states + emission.state).ravel()
    size = emission.rows * emission.states
    by_hidden = posterior.reshape(-1, posterior.shape[2]).T
    columns = [np.bincount(cell, weights=column, minlength=size).astype(np.float64) for column in by_hidden]
    return np.stack(columns, axis=-1).reshape(emission.rows, emission.states, -1).swapaxes(1, 2)


def _maximised(counts: Chain, pseudocount: float) -> Chain:
    return _of_each(counts, lambda table: _rows(table + pseudocount))


def _log_prior(chain: Chain, pseudocount: float) -> float:
    tables = (chain.start, chain.move, *chain.first, *chain.later)
    return pseudocount * float(sum(np.log(table).sum() for table in tables))


def _of_each(chain: Chain, change: object) -> Chain:
    assert callable(change)
    first, later = (tuple(map(change, tables)) for tables in (chain.first, chain.later))
    return Chain(change(chain.start), change(chain.move), first, later)


def _rows(table: Floats) -> Floats:
    return table / table.sum(axis=-1, keepdims=True)
