"""BIC of a variable's table, counted by us and handed to pgmpy's searches as a score of its own kind."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from worldnets.learning.data import Rows
from worldnets.learning.tables import Families, log_likelihood

if TYPE_CHECKING:
    import pandas as pd

BETWEEN_EQUALS = 1e-6  # nats: more than rounding, less than any gain


@dataclass(frozen=True, eq=False)
class Score:
    """BIC of families, nats, counted once per variable and set of parents.

    Args:
        rows: complete, weighted.
        seed: of the order between equals.
    """

    rows: Rows
    seed: int
    known: dict[tuple[str, tuple[str, ...]], float] = field(default_factory=dict)

    @functools.cached_property
    def columns(self) -> dict[str, int]:
        """Where each variable stands."""
        return {v: i for i, v in enumerate(self.rows.variables)}

    @functools.cached_property
    def frame(self) -> pd.DataFrame:
        """What pgmpy wants to see of the data, whose scores are ours: the names, and two rows."""
        import pandas as pd

        return pd.DataFrame(np.zeros((2, len(self.columns)), dtype=np.int64), columns=list(self.columns))

    def family(self, variable: str, parents: Iterable[str]) -> float:
        """BIC of a variable's table, whatever the order of its parents."""
        key = (variable, tuple(sorted(parents, key=self.columns.__getitem__)))
        value = self.known.get(key)
        if value is None:
            families = Families.of(self.rows.states, {variable: key[1]}, [variable])
            counts = families.count(self.rows.codes, self.columns, self.rows.weights)
            free = len(families) - len(families.row_start)
            value = log_likelihood(counts, families.normalised(counts)) - math.log(self.rows.total) / 2 * free
            self.known[key] = value
        return value

    def bits(self, structure: Mapping[str, Iterable[str]]) -> float:
        """−BIC / (N ln 2) of a structure: bits per row, what the tables cost to write down included."""
        return -sum(self.family(v, parents) for v, parents in structure.items()) / self.rows.total / math.log(2)

    def for_pgmpy(self) -> Any:
        """As a structure score of pgmpy, with an order between equals."""
        from pgmpy.structure_score import BaseStructureScore

        family, seed, columns = self.family, self.seed, self.columns

        class Counted(BaseStructureScore):
            def __init__(self) -> None:  # there are no data for pgmpy to prepare
                pass

            def local_score(self, variable: str, parents: tuple[str, ...]) -> float:
                text = repr((seed, variable, sorted(parents, key=columns.__getitem__))).encode()
                return family(variable, parents) + BETWEEN_EQUALS * crc32(text) / 2**32

        return Counted()
