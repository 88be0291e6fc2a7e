"""Evidence to measure with: rows drawn from the net itself, so that none is impossible, and hidden in two ways.

"masks": every row observes variables of its own, each with probability `OBSERVED_SHARE`.
"pattern": all rows observe the same variables. Patterns are drawn over the sorted names of the variables, so that they
depend neither on the order of a file nor on who reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

import worldnets as wn
from worldnets.inference import UNOBSERVED, decode, simulate

OBSERVED_SHARE = 0.3
PATTERNS = 5  # of each net; results are geometric means over them


@dataclass(frozen=True)
class Rows:
    """Some rows of evidence, as everyone is given them.

    Attributes:
        frame: what worldnets is given: text labels, one column per variable that any row observes.
        codes: int16 [rows, variables], `UNOBSERVED` where hidden.
    """

    net: wn.WorldNet
    frame: pd.DataFrame
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def as_dictionaries(self, most: int) -> list[dict[str, int]]:
        """The first `most` rows as {variable: position of its state}, without what is hidden."""
        names = self.net.variables
        return [{names[i]: int(row[i]) for i in np.flatnonzero(row != UNOBSERVED)} for row in self.codes[:most]]


def random_masks(net: wn.WorldNet, rows: int, seed: int) -> Rows:
    """Rows drawn from the net, each variable of each observed with probability `OBSERVED_SHARE`."""
    codes = simulate(net, rows, seed)
    codes[np.random.default_rng(seed).random(codes.shape) >= OBSERVED_SHARE] = UNOBSERVED
    return _rows(net, codes)


def one_pattern(net: wn.WorldNet, pattern: int, rows: int, seed: int) -> Rows:
    """Rows drawn from the net that all observe the same variables: those of the pattern of that number."""
    codes = simulate(net, rows, seed)
    names = sorted(net.variables)
    seen = np.random.default_rng(pattern).random(len(names)) < OBSERVED_SHARE
    codes[:, [net.index[v] for v, shown in zip(names, seen, strict=True) if not shown]] = UNOBSERVED
    return _rows(net, codes)


def _rows(net: wn.WorldNet, codes: np.ndarray) -> Rows:
    observed = [v for v, any_row in zip(net.variables, (codes != UNOBSERVED).any(axis=0), strict=True) if any_row]
    return Rows(net, decode(net, codes, variables=observed).astype("str"), codes)
