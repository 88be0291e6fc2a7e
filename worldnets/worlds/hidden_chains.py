"""A meta-world of hidden Markov chains: one of N is drawn, and never named; each clip is that chain, seen through
tokens.

As `worlds.chains`, but what moves is hidden: to know which world is at work one must know where it is, and to know
where it is one must know which world. Conjugacy is gone with it: no counts of tokens are enough to derive the world.

Source: hidden Markov chains, Rabiner 1989; that worlds are drawn from a Dirichlet distribution, Park et al. 2024 (arXiv
2412.01003), who do so for chains that are seen.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from worldnets.net import WorldNet
from worldnets.roles import World
from worldnets.temporal import frame_name
from worldnets.worlds.chains import LARGEST_SEED, MOST_CHAINS, check_some_worlds
from worldnets.worlds.clips import check_cells, checked_frames, clip_tasks
from worldnets.worlds.parameters import integer, probability


def hidden_chains(
    chains: int = 8,
    states: int = 2,
    tokens: int = 3,
    alpha: float = 0.5,
    beta: float = 0.5,
    frames: int = 9,
    context: int | None = None,
    seed: int = 0,
) -> World:
    """A clip of T tokens from one of N hidden Markov chains, all equally likely; each starts anywhere.

    Nodes: `chain` (which of the N), state_1 … state_T (no one observes them), token_1 … token_T.
        W(state_1 = s | chain) = 1/H;   W(state_t = s' | state_{t−1} = s, chain = n) = A_n[s, s'];
        W(token_t = o | state_t = s, chain = n) = B_n[s, o];
        rows A_n[s, ·] ~ Dirichlet(alpha, …, alpha), B_n[s, ·] ~ Dirichlet(beta, …, beta).
    Exact inference in this net is the memorizer of theory section 11. The deriver, Bayes under the Dirichlet
    distribution itself, has no closed form here: it needs a search.

    Tasks, both from tokens 1 … c = `context`, on the ladder of the last k tokens:
        continuation  token c + 1.
        question      which chain it is, and its state at c.

    Args:
        chains: N, 1 … 16384. Chain n is the same for every N: it is drawn from (seed, n).
        states: H, 2 … 64.
        tokens: k, 2 … 256.
        alpha, beta: .01 … 1000; small ones give worlds with habits, large ones worlds that are all alike.
        frames: T, 2 … 1000.
        context: c, 1 … T − 1; default T − 1.
        seed: of the worlds, 0 … 2^32 − 1; clips have a seed of their own.

    Raises:
        DatasetError: a parameter out of range; no worlds; N·H·(H + k)·T > 2^24 cells.
    """
    check_some_worlds(chains)
    chains = integer("chains", chains, 1, MOST_CHAINS)
    states, tokens = integer("states", states, 2, 64), integer("tokens", tokens, 2, 256)
    alpha, beta = probability("alpha", alpha, 0.01, 1000.0), probability("beta", beta, 0.01, 1000.0)
    frames, context = checked_frames(frames, context)
    seed = integer("seed", seed, 0, LARGEST_SEED)
    check_cells(
        chains * states * (states + tokens) * frames,
        f"{chains} chains × {states} states × ({states} + {tokens}) × {frames} frames",
    )
    moves, shows = drawn_hidden_chains(chains, states, tokens, alpha, beta, seed)
    shown = [(frame_name("token", t),) for t in range(1, frames + 1)]
    seen, hidden = [v for frame in shown for v in frame], [frame_name("state", t) for t in range(1, frames + 1)]
    labels = {"chain": range(chains), **{v: range(states) for v in hidden}, **{v: range(tokens) for v in seen}}
    parents: dict[str, tuple[str, ...]] = {v: ("chain", u) for u, v in itertools.pairwise(hidden)}
    parents |= {v: ("chain", u) for u, v in zip(hidden, seen, strict=True)}
    tables = {"chain": np.full(chains, 1 / chains), hidden[0]: np.full(states, 1 / states)}
    tables |= dict.fromkeys(hidden[1:], moves) | dict.fromkeys(seen, shows)
    order = ["chain", *itertools.chain.from_iterable(zip(hidden, seen, strict=True))]
    net = WorldNet({v: tuple(labels[v]) for v in order}, parents, tables, "hidden_chains")
    now = hidden[context - 1]
    asked = {"chain": ("chain",), "state": (now,)}
    tasks = clip_tasks(net, shown, context, asked, {"continuation": ("chain", now), "question": shown[context]})
    roles = {"observed": tuple(seen), "latents": ("chain", *hidden)}
    return World(net, tasks, roles, frames=tuple(shown))


def drawn_hidden_chains(
    chains: int, states: int, tokens: int, alpha: float, beta: float, seed: int = 0, first: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A_n[s, s'] and B_n[s, o] of chains first … first + N − 1 of a seed, [N, H, H] and [N, H, k]."""
    moves, shows = np.empty((chains, states, states)), np.empty((chains, states, tokens))
    for place in range(chains):
        random = np.random.default_rng((seed, first + place))
        moves[place] = random.dirichlet(np.full(states, alpha), size=states)
        shows[place] = random.dirichlet(np.full(tokens, beta), size=states)
    return moves, shows
