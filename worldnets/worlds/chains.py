"""A meta-world: one of N Markov chains is drawn, and never named; each clip is that chain at work.

Source: Park, Lubana, Pres & Tanaka 2024, "Competition dynamics shape algorithmic phases of in-context learning" (arXiv
2412.01003): finite mixtures of Markov chains, rows drawn from a Dirichlet distribution. That the number of worlds
decides between memorising and deriving: Raventós, Paul, Chen & Ganguli 2023 (arXiv 2306.15063).
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError
from worldnets.net import WorldNet
from worldnets.roles import World
from worldnets.temporal import frame_name
from worldnets.worlds.clips import check_cells, checked_frames, clip_tasks
from worldnets.worlds.parameters import choice, integer, probability
from worldnets.worlds.stationary import stationary_distribution

LARGEST_SEED = 2**32 - 1
MOST_CHAINS = 2**14


def chains(
    chains: int = 8,
    tokens: int = 3,
    alpha: float = 1.0,
    frames: int = 11,
    context: int | None = None,
    start: str = "stationary",
    seed: int = 0,
) -> World:
    """A clip of T tokens from one of N Markov chains, all equally likely.

    Nodes: `chain` (which of the N; no one observes it), token_1 … token_T.
        W(token_t = j | token_{t−1} = i, chain = n) = P_n[i, j];  rows P_n[i, ·] ~ Dirichlet(alpha, …, alpha).
    With n_ij the times that j follows i in the context, and s_n its start under chain n,
        W(chain = n | context) ∝ s_n(token_1) Π_ij P_n[i, j]^n_ij,
        W(token_{c+1} = j | context) = Σ_n W(chain = n | context) P_n[token_c, j].
    The latter is the memorizer of theory section 11.

    Tasks, both from tokens 1 … c = `context`, on the ladder of the last k tokens:
        continuation  token c + 1. The last token alone gives the average chain's move; what the others add, they add
                      by telling the chain.
        question      which chain it is. (A belief-attached head is given the belief about the token to come.)

    Args:
        chains: N, 1 … 16384. Chain n is the same for every N: it is drawn from (seed, n).
        tokens: k, 2 … 256.
        alpha: .01 … 1000; small ones give chains with habits, large ones chains that are all alike.
        frames: T, 2 … 1000.
        context: c, 1 … T − 1; default T − 1.
        start: "stationary" (each chain has run for ever) or "uniform".
        seed: of the chains, 0 … 2^32 − 1; clips have a seed of their own.

    Raises:
        DatasetError: a parameter out of range; no chains; N·k²·T > 2^24 cells; a drawn chain without one stationary
            distribution.
    """
    check_some_worlds(chains)
    chains = integer("chains", chains, 1, MOST_CHAINS)
    tokens = integer("tokens", tokens, 2, 256)
    alpha = probability("alpha", alpha, 0.01, 1000.0)
    frames, context = checked_frames(frames, context)
    start = choice("start", start, ("stationary", "uniform"))
    seed = integer("seed", seed, 0, LARGEST_SEED)
    check_cells(chains * tokens**2 * frames, f"{chains} chains × {tokens}² moves × {frames} frames")

    moves = drawn_chains(chains, tokens, alpha, seed)
    mend = 'raise alpha, take another seed, or let clips start "uniform"'
    begin = (
        np.full((chains, tokens), 1 / tokens)
        if start == "uniform"
        else np.stack([stationary_distribution(chain, mend) for chain in moves])
    )
    shown = [(frame_name("token", t),) for t in range(1, frames + 1)]
    names = [v for frame in shown for v in frame]
    states = {"chain": range(chains), **{v: range(tokens) for v in names}}
    parents = {names[0]: ("chain",)} | {v: ("chain", u) for u, v in itertools.pairwise(names)}
    tables = {"chain": np.full(chains, 1 / chains), names[0]: begin} | dict.fromkeys(names[1:], moves)
    net = WorldNet({v: tuple(labels) for v, labels in states.items()}, parents, tables, "chains")
    latents = {"continuation": ("chain",), "question": shown[context]}
    tasks = clip_tasks(net, shown, context, {"chain": ("chain",)}, latents)
    return World(net, tasks, {"observed": tuple(names), "latents": ("chain",)}, frames=tuple(shown))


def drawn_chains(chains: int, tokens: int, alpha: float = 1.0, seed: int = 0, first: int = 0) -> NDArray[np.float64]:
    """P_n[i, j] of chains first … first + N − 1 of a seed, [N, tokens, tokens]; rows come from Dirichlet(alpha)."""
    each = range(first, first + chains)
    return np.stack([np.random.default_rng((seed, n)).dirichlet(np.full(tokens, alpha), size=tokens) for n in each])


def check_some_worlds(chains: object) -> None:
    """Refuse a meta-world without worlds.

    Raises:
        DatasetError: none, or fewer.
    """
    if isinstance(chains, int) and not isinstance(chains, bool) and chains < 1:
        mend = "ask for at least one; chains=1 is one hard-coded world"
        raise DatasetError("a meta-world of no worlds", found=chains, expected=f"1 to {MOST_CHAINS}", mend=mend)
