"""The stationary distribution of a Markov chain: a world that has run for ever before its clip begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError

LEAK = 1e-9


def stationary_distribution(moves: NDArray[np.float64], mend: str) -> NDArray[np.float64]:
    """π with π = π T and Σ π = 1, [states].

    Args:
        moves: T, W(next state | state), [states, next states].
        mend: what to do where there are several.

    Raises:
        DatasetError: several distributions are stationary: where the chain is depends for ever on where it began.
    """
    size = len(moves)
    # π (I − T + 1) = 1, with 1 all ones, has exactly one solution where there is exactly one stationary distribution.
    system = np.eye(size) - moves + 1.0
    if np.linalg.matrix_rank(system) < size:
        found = f"{size} states that fall apart"
        raise DatasetError("a chain that remembers for ever where it began", found=found, mend=mend)
    answer: NDArray[np.float64] = np.maximum(np.linalg.solve(system.T, np.ones(size)), 0.0)
    return answer / answer.sum()


def stationary_distributions(moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """π_n = π_n T_n of many chains at once, [N, states], for tables [N, states, states].

    Each chain is taken to move anywhere once in a thousand million steps, so that there is one answer for each, and one
    that exists: a chain that falls apart gives some of its parts equal shares, where `stationary_distribution` refuses.
    """
    size = moves.shape[-1]
    anywhere = (1 - LEAK) * moves + LEAK / size
    system = np.eye(size) - anywhere + 1.0
    answer = np.maximum(np.linalg.solve(system.swapaxes(-1, -2), np.ones((len(moves), size, 1)))[..., 0], 0.0)
    return np.asarray(answer / answer.sum(-1, keepdims=True))
