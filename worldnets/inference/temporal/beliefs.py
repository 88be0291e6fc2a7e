"""What temporal queries return: marginals of every frame, with the evidence's probability beside them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import QueryError, did_you_mean
from worldnets.temporal import frame_name

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHOWN_ROWS = 10


@dataclass(frozen=True, eq=False, repr=False)
class TemporalBeliefs:
    """Marginals W(v_t | evidence) of every row, frame and variable asked for.

    Attributes:
        kind: "filtered", "smoothed", "fixed-lag" or "predicted": which evidence each frame's belief has seen.
        states: the variables with their states.
        tables: for each variable its beliefs, [frames, states, rows]; `b[v]` shows them as [rows, frames, states].
        log_evidence: [rows], ln W(e_1..T) in nats; -inf where impossible.
        increments: [rows, frames of evidence], ln W(e_t | e_1..t−1) in nats; they sum to `log_evidence`. From the frame
            on in which a row became impossible, -inf.
        first_frame: the number of the first frame shown; frames count from 1.
        index: row labels of the evidence.
    """

    kind: str
    states: Mapping[str, tuple[Hashable, ...]]
    tables: Mapping[str, NDArray[np.floating]]
    log_evidence: NDArray[np.float64]
    increments: NDArray[np.float64]
    first_frame: int = 1
    index: pd.Index | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables asked for."""
        return tuple(self.states)

    @property
    def frames(self) -> range:
        """The numbers of the frames shown."""
        count = len(next(iter(self.tables.values()))) if self.tables else 0
        return range(self.first_frame, self.first_frame + count)

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Whether each row's evidence, all frames together, can happen, shape [rows]."""
        return self.log_evidence > -np.inf

    @property
    def impossible_from(self) -> NDArray[np.int64]:
        """The first frame t with W(e_1..t) = 0, shape [rows]; 0 for rows that are possible."""
        wrong = self.increments == -np.inf
        if not wrong.shape[1]:
            return np.zeros(len(self), dtype=np.int64)
        return np.where(self.possible, 0, wrong.argmax(axis=1) + 1)

    def __getitem__(self, variable: str) -> NDArray[np.floating]:
        """Beliefs of one variable, shape [rows, frames, states] (a view: the rows are contiguous in memory).

        Raises:
            QueryError: the variable was not asked for.
        """
        if variable not in self.tables:
            raise QueryError(
                "this variable was not queried",
                found=repr(variable),
                mend=f"name it in variables=[…]; {did_you_mean(variable, self.states)}",
            )
        return self.tables[variable].transpose(2, 0, 1)

    def of_row(self, row: int) -> dict[str, NDArray[np.floating]]:
        """One row's beliefs by the names of the clip, "umbrella_2" → [states].

        Raises:
            QueryError: no such row.
        """
        if not -len(self) <= row < len(self):
            expected = f"0 to {len(self) - 1}"
            raise QueryError("no such row of beliefs", found=row, expected=expected, mend="change `row`")
        return {frame_name(v, t): self[v][row, i] for v in self.states for i, t in enumerate(self.frames)}

    def __len__(self) -> int:
        return len(self.log_evidence)

    def to_pandas(self) -> pd.DataFrame:
        """One row per (row of evidence, frame), columns (variable, state).

        The last column, (`log_evidence`, "nats"), is ln W(e_t | e_1..t−1), missing in frames without evidence.
        """
        return self._table(len(self))

    def _table(self, rows: int) -> pd.DataFrame:
        import pandas as pd

        index = pd.RangeIndex(len(self)) if self.index is None else self.index
        count = len(self.frames)
        parts = [self[v][:rows].reshape(-1, len(labels)) for v, labels in self.states.items()]
        columns = [(v, label) for v, labels in self.states.items() for label in labels]
        frame = pd.DataFrame(
            np.hstack(parts) if parts else np.empty((rows * count, 0)),
            index=pd.MultiIndex.from_product([index[:rows], self.frames], names=["row", "frame"]),
            columns=pd.MultiIndex.from_tuples(columns, names=["variable", "state"]),
        )
        shown = np.full((min(rows, len(self)), count), np.nan)
        seen = self.increments[:rows, self.first_frame - 1 : self.first_frame - 1 + count]
        shown[:, : seen.shape[1]] = seen
        frame[("log_evidence", "nats")] = shown.ravel()
        return frame

    def __repr__(self) -> str:
        impossible = int((~self.possible).sum())
        note = f", {impossible} impossible" if impossible else ""
        frames = f"frames {self.frames.start}–{self.frames.stop - 1}" if len(self.frames) else "no frames"
        return f"TemporalBeliefs({self.kind}, {len(self)} rows, {frames}, {len(self.states)} variables{note})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, frame, note

        total = len(self) * len(self.frames)
        more = note(f"{total - SHOWN_ROWS:,} more rows: .to_pandas() has all") if total > SHOWN_ROWS else ""
        return card(repr(self), None, frame(self._table(min(len(self), SHOWN_ROWS)).head(SHOWN_ROWS)), more)

    def plot(self, variables: Sequence[str] | None = None, *, row: int = 0, **options: Any) -> Figure:
        """Stacked bars of one row's beliefs, one panel per variable and one bar per frame.

        Raises:
            QueryError: no such row, or a variable that was not queried.
        """
        import pandas as pd

        from worldnets.draw.beliefs import draw_beliefs
        from worldnets.inference.beliefs import Beliefs

        of_row = self.of_row(row)
        tables = [np.stack([of_row[frame_name(v, t)] for t in self.frames]) for v in self.states]
        index = pd.Index([f"frame {t}" for t in self.frames])
        beliefs = Beliefs(self.states, np.hstack(tables), np.zeros(len(self.frames)), index)
        return draw_beliefs(beliefs, variables, **options)


@dataclass(frozen=True, eq=False, repr=False)
class TemporalCounts:
    """Expected sufficient statistics of a two-slice net: posterior family marginals, summed over rows and frames.

    Attributes:
        initial: for each variable Σ_rows W(family in frame 1 | e), in the shape of `net.initial.cpt(v)`.
        transition: for each variable Σ_rows Σ_{t≥2} W(family in frame t | e), in the shape of `net.cpts[v]`.
        log_evidence: [rows], ln W(e) in nats; rows that are impossible (-inf) count nothing.
    """

    initial: Mapping[str, NDArray[np.float64]]
    transition: Mapping[str, NDArray[np.float64]]
    log_evidence: NDArray[np.float64]

    @property
    def possible(self) -> NDArray[np.bool_]:
        """Whether each row's evidence can happen, shape [rows]."""
        return self.log_evidence > -np.inf

    def __repr__(self) -> str:
        total = float(self.log_evidence[self.possible].sum())
        return f"TemporalCounts({len(self.initial)} families, {len(self.log_evidence)} rows, {total:.6g} nats)"

    def to_pandas(self) -> pd.DataFrame:
        """One row per cell of every table: frames ("first", "later"), variable, cell (positions of states), count."""
        import pandas as pd

        rows = [
            {"frames": frames, "variable": v, "cell": cell, "count": float(table[cell])}
            for frames, tables in (("first", self.initial), ("later", self.transition))
            for v, table in tables.items()
            for cell in np.ndindex(*table.shape)
        ]
        return pd.DataFrame(rows, columns=["frames", "variable", "cell", "count"])

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        rows = [(v, "×".join(map(str, self.transition[v].shape)), float(t.sum())) for v, t in self.initial.items()]
        return card(repr(self), None, table(("variable", "table of later frames", "rows counted"), rows))
