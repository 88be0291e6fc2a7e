"""The stationary distribution of a Markov chain: a world that has run for ever before its clip begins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError


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
