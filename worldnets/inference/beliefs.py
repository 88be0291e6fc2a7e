"""What queries return: posterior marginals, or the most probable state, with the evidence's probability beside them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import QueryError, did_you_mean
from worldnets.inference.codes import Codes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Beliefs:
    """Posterior marginals W(v | evidence) of every row.

    Attributes:
        states: the queried variables with their states.
        table: [rows, all queried states], the marginals side by side in the order of `states`.
        log_evidence: [rows], ln W(evidence) in nats (ln Z for a `FactorNet`); -inf where impossible.
        possible: [rows], False where the evidence has probability zero: all beliefs of that row are 0.
        index: row labels of the evidence.
        multiply_adds: [rows], multiplications and additions that answering took (of a plan that rows share: at most).
    """

    states: Mapping[str, tuple[Hashable, ...]]
    table: NDArray[np.floating]
    log_evidence: NDArray[np.float64]
    index: pd.Index | None = None
    multiply_adds: NDArray[np.int64] | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables asked for."""
        return tuple(self.states)

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Whether each row's evidence can happen, shape [rows]."""
        return self.log_evidence > -np.inf

    def __getitem__(self, variable: str) -> NDArray[np.floating]:
        """Marginals of one variable, shape [rows, states].

        Raises:
            QueryError: the variable was not asked for.
        """
        start = 0
        for v, labels in self.states.items():
            if v == variable:
                return self.table[:, start : start + len(labels)]
            start += len(labels)
        raise QueryError(
            "this variable was not queried",
            found=repr(variable),
            mend=f"name it in query(..., variables=[…]); {did_you_mean(variable, self.states)}",
        )

    def __len__(self) -> int:
        return len(self.log_evidence)

    def to_pandas(self) -> pd.DataFrame:
        """One row per row of evidence, columns (variable, state), and (`log_evidence`, "nats") last."""
        import pandas as pd

        columns = [(v, label) for v, labels in self.states.items() for label in labels]
        frame = pd.DataFrame(
            self.table, index=self.index, columns=pd.MultiIndex.from_tuples(columns, names=["variable", "state"])
        )
        frame[("log_evidence", "nats")] = self.log_evidence
        return frame

    def __repr__(self) -> str:
        impossible = int((~self.possible).sum())
        note = f", {impossible} impossible" if impossible else ""
        return f"{type(self).__name__}({len(self)} rows, {len(self.states)} variables{note})"

    def plot(self, variables: Sequence[str] | None = None, **options: Any) -> Figure:
        """Stacked bars of the beliefs, one panel per variable and one bar per row: `worldnets.draw.draw_beliefs`."""
        from worldnets.draw.beliefs import draw_beliefs

        return draw_beliefs(self, variables, **options)

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import ROWS_SHOWN, card, frame, note

        some = rows_of(self, slice(ROWS_SHOWN))
        more = note(f"{len(self) - len(some):,} more rows: .to_pandas() has all") if len(self) > len(some) else ""
        return card(repr(self), None, frame(some.to_pandas()), more)


def rows_of(beliefs: Beliefs, rows: slice) -> Beliefs:
    """Some rows of beliefs, as plain beliefs."""
    index = None if beliefs.index is None else beliefs.index[rows]
    return Beliefs(beliefs.states, beliefs.table[rows], beliefs.log_evidence[rows], index)


class MaxMarginals(Beliefs):
    """Max-marginals of every row: max over x with x_v = s of W(x, evidence), divided by the largest of all.

    `m[v]` has shape [rows, states]; a state with 1 belongs to a most probable joint state. `log_evidence` holds
    ln max_x W(x, evidence) in nats, which `log_probability` names properly.
    """

    @property
    def log_probability(self) -> NDArray[np.float64]:
        """The logarithm of the best joint probability, nats, shape [rows]; -inf where impossible."""
        return self.log_evidence


@dataclass(frozen=True, eq=False, repr=False)
class MostProbable:
    """The most probable joint state of every row (MAP).

    Attributes:
        states: one row per row of evidence, one column of labels per variable; missing throughout where impossible.
        codes: the same as a code array, int16 [rows, variables].
        log_probability: [rows], ln max_x W(x, evidence) in nats; -inf where impossible.
    """

    states: pd.DataFrame
    codes: Codes
    log_probability: NDArray[np.float64]

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Whether each row's evidence can happen, shape [rows]."""
        return self.log_probability > -np.inf

    def to_pandas(self) -> pd.DataFrame:
        """The table of labels."""
        return self.states

    def __repr__(self) -> str:
        return f"MostProbable({len(self.codes)} rows, {self.codes.shape[1]} variables)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame

        return card(repr(self), None, frame(self.states))
