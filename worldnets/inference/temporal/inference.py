"""Exact queries about worlds that run in time, without unrolling them: `TemporalInference`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import CapacityError, EvidenceError, QueryError
from worldnets.inference.arguments import check_dtype, check_threads
from worldnets.inference.compiled import available_threads
from worldnets.inference.planner import MEMORY_LIMIT
from worldnets.inference.temporal.beliefs import TemporalBeliefs, TemporalCounts
from worldnets.inference.temporal.contraction import Array
from worldnets.inference.temporal.evidence import ClipCodes, clip_codes
from worldnets.inference.temporal.passes import TemporalPasses
from worldnets.inference.temporal.tree import interface
from worldnets.temporal import TwoSliceNet

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.inference.temporal.stream import Stream


@dataclass(frozen=True, repr=False)
class TemporalPlan:
    """What a frame costs; printing it gives the report.

    Attributes:
        interface: the variables with children in the next frame; per independent part, a joint over them is carried.
        parts: groups of variables that no arrow joins.
        interface_states: joint states carried, summed over parts.
        cliques, cells: of the tree of a frame, summed over parts.
        multiply_adds: per row and frame of filtering, reporting nothing.
    """

    interface: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]
    interface_states: int
    cliques: int
    cells: int
    multiply_adds: int

    def __repr__(self) -> str:
        return "\n".join(
            (
                f"TemporalPlan, {len(self.parts)} independent part(s)",
                f"  interface      {self.interface_states:>12,}  joint states of ({', '.join(self.interface)})",
                f"  cliques        {self.cliques:>12,}  per frame",
                f"  cells          {self.cells:>12,}  per frame",
                f"  multiply-adds  {self.multiply_adds:>12,}  per row and frame of filtering",
            )
        )

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, report

        return card("How a frame is answered", None, report(repr(self)))


class TemporalInference(TemporalPasses):
    """Exact filtering, smoothing, prediction and expected counts on a two-slice net, batched over rows.

    Answers equal those of `Inference(net.unroll(T))`; the cost of a frame does not depend on the number of frames.
    Messages are rescaled in every frame, so that clips of thousands of frames neither underflow nor lose zeros of
    deterministic tables. Rows in which early and late evidence contradict each other by more than the number type can
    hold are noticed and done again in log space, which is slower (a stream, which keeps no past, cannot do that: in it
    a state that became 10^300 times less probable than another is lost).

    Evidence is either a table of state labels with the columns of the unrolled clip, `frame_name(v, t)` (None, NaN,
    pd.NA or no column: unobserved), or an integer array [rows, frames, variables of a frame] of positions in
    `net.states[v]`, −1 where unobserved.

    Args:
        net: the template.
        dtype: "float64" or "float32": the type of tables, messages and beliefs. Log evidence is float64.
        threads: threads over rows; default the processors this process may use.
        memory_limit: bytes; what would take more is refused (`CapacityError`) before allocating.

    Source: Murphy 2002, Dynamic Bayesian Networks, sections 3.2–3.4.
    """

    def __init__(
        self,
        net: TwoSliceNet,
        dtype: str = "float64",
        threads: int | None = None,
        memory_limit: float = MEMORY_LIMIT,
    ) -> None:
        if not isinstance(net, TwoSliceNet):
            found, mend = type(net).__name__, "give a TwoSliceNet, or use Inference"
            raise QueryError("temporal queries are about two-slice nets", found=found, mend=mend)
        check_dtype(dtype)
        check_threads(threads)
        super().__init__(net, dtype, threads or available_threads(), memory_limit)

    @property
    def plan(self) -> TemporalPlan:
        """What a frame costs."""
        trees = [process.later for process in self.processes]
        return TemporalPlan(
            interface=interface(self.net),
            parts=tuple(process.variables for process in self.processes),
            interface_states=sum(tree.cells(tree.future) for tree in trees),
            cliques=sum(len(tree.scopes) - 2 for tree in trees),
            cells=sum(tree.cells(node) for tree in trees for node in range(tree.past)),
            multiply_adds=sum(
                process.filtering(2, frozenset(self.net.variables), ()).multiply_adds for process in self.processes
            ),
        )

    def filter(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_t | e_1..t) for every frame t.

        Args:
            evidence: one row per clip, in either form.
            frames: frames of the clip; default the last one named by the evidence.
            variables: the variables of a frame to report, default all.
        Returns:
            TemporalBeliefs, `b[v]` of shape [rows, frames, states]. Beliefs of an impossible row are 0 from the frame
            `b.impossible_from` on.
        Raises:
            EvidenceError: unknown variables or states, a wrong shape.
            QueryError: an unknown variable asked for.
            CapacityError: the answer would not fit in `memory_limit`.
        """
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return self._filtered(clip, len(clip), self._names(variables), 1, "filtered", evidence)

    def smooth(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_t | e_1..T) for every frame t: the posteriors of the unrolled clip.

        Arguments, errors: as in `filter`. All beliefs of an impossible row are 0.
        """
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return self._smoothed(clip, len(clip), self._names(variables), "smoothed", evidence)

    def fixed_lag(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        lag: int,
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_t | e_1..min(t + lag, T)) for every frame t; lag 0 is filtering, lag ≥ T − 1 smoothing.

        Each frame costs `lag` steps backward. Arguments, errors: as in `filter`. Beliefs of a frame are 0 where
        what they have seen is impossible.
        """
        _check_count(lag, "lag", "frames to look ahead")
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return self._smoothed(clip, lag, self._names(variables), "fixed-lag", evidence)

    def rollout(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames_ahead: int,
        frames: int | None = None,
        variables: Iterable[str] | None = None,
    ) -> TemporalBeliefs:
        """W(v_{T+h} | e_1..T) for h = 1, …, `frames_ahead`; T may be 0.

        Arguments, errors: as in `filter`; `b.first_frame` is T + 1.
        """
        _check_count(frames_ahead, "frames_ahead", "frames to predict")
        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        last = len(clip) + frames_ahead
        return self._filtered(clip, last, self._names(variables), len(clip) + 1, "predicted", evidence)

    def log_evidence(
        self, evidence: pd.DataFrame | NDArray[np.integer], frames: int | None = None
    ) -> NDArray[np.float64]:
        """ln W(e_1..T) of every row in nats, shape [rows]; -inf where impossible."""
        return self.filter(evidence, frames, ()).log_evidence

    def expected_counts(
        self,
        evidence: pd.DataFrame | NDArray[np.integer],
        frames: int | None = None,
        lengths: NDArray[np.integer] | None = None,
        weights: ArrayLike | None = None,
    ) -> TemporalCounts:
        """Posterior family marginals summed over rows and frames: the E-step of learning with tied tables.

        Args:
            evidence: one row per clip, in either form.
            frames: frames of the clip; default the last one named by the evidence.
            lengths: [rows], how many of them each clip really has (default all): later frames count nothing. Evidence
                there is refused.
            weights: [rows], how much each row counts; default 1.
        Raises:
            EvidenceError: as in `filter`, or lengths or weights that do not fit the evidence.

        Source: Dempster, Laird & Rubin 1977; Murphy 2002, section 4.2 for tables tied over time.
        """
        from worldnets.inference.temporal.counts import temporal_counts

        clip = clip_codes(self.net, evidence, frames, self.memory_limit)
        return temporal_counts(self, clip, _checked_lengths(clip, lengths), _checked_weights(clip, weights))

    def stream(self, variables: Iterable[str] | None = None, lag: int = 0) -> Stream:
        """An object that takes one frame of evidence at a time, in constant memory.

        Args:
            variables: the variables of a frame to report, default all.
            lag: frames of evidence after a frame that its belief waits for.
        """
        from worldnets.inference.temporal.stream import Stream

        _check_count(lag, "lag", "frames to wait")
        return Stream(self, self._names(variables), lag)

    def _names(self, variables: Iterable[str] | None) -> tuple[str, ...]:
        if variables is None:
            return self.net.variables
        if isinstance(variables, str):
            raise QueryError("variables is one text", found=repr(variables), mend=f"give a list: [{variables!r}]")
        names = tuple(dict.fromkeys(variables))
        self.net.initial.check_variables(names, error=QueryError)
        return names

    def _filtered(
        self, clip: ClipCodes, last: int, names: tuple[str, ...], shown_from: int, kind: str, evidence: Any
    ) -> TemporalBeliefs:
        """Filter to frame `last` (unobserved after the clip), reporting frames from `shown_from` on."""
        rows = clip.shape[2]
        tables, increments = self._tables(names, last + 1 - shown_from, rows), np.zeros((len(clip), rows))
        self.filter_pass(clip, last, names, shown_from, tables, increments)
        return self._result(kind, names, tables, increments, shown_from, 0, evidence)

    def _smoothed(self, clip: ClipCodes, lag: int, names: tuple[str, ...], kind: str, evidence: Any) -> TemporalBeliefs:
        frames, _, rows = clip.shape
        tables, increments = self._tables(names, frames, rows), np.zeros((frames, rows))
        lost = self.smooth_pass(clip, lag, names, tables, increments)
        self.in_log_space(clip, lost, lag, names, 1, tables, increments)
        return self._result(kind, names, tables, increments, 1, lag, evidence)

    def _tables(self, names: Sequence[str], frames: int, rows: int) -> dict[str, Array]:
        """Empty belief arrays [frames, states, rows], refused if they would not fit."""
        states = sum(len(self.net.states[v]) for v in names)
        needed = states * frames * rows * np.dtype(self.dtype).itemsize
        if needed > self.memory_limit:
            raise CapacityError(
                "the beliefs asked for need too much memory",
                found=f"{needed / 2**30:.3g} GiB for {rows:,} rows × {frames:,} frames × {states:,} states",
                expected=f"at most {self.memory_limit / 2**30:.3g} GiB",
                mend="ask for fewer variables or rows at a time, raise memory_limit, or use stream()",
            )
        return {v: np.empty((frames, len(self.net.states[v]), rows), dtype=self.dtype) for v in names}

    def _result(
        self,
        kind: str,
        names: Sequence[str],
        tables: dict[str, Array],
        increments: NDArray[np.float64],
        first_frame: int,
        lag: int,
        evidence: Any,
    ) -> TemporalBeliefs:
        impossible = np.logical_or.accumulate(increments == -np.inf, axis=0)
        increments[impossible] = -np.inf
        index = None if isinstance(evidence, np.ndarray) else evidence.index
        states = {v: self.net.states[v] for v in names}
        log_evidence = increments.sum(axis=0)
        result = TemporalBeliefs(kind, states, tables, log_evidence, increments.T, first_frame, index)
        # What is impossible in one independent part is impossible in all.
        for row in np.flatnonzero(~result.possible):
            since = max(0, int(result.impossible_from[row]) - lag - first_frame)
            for table in tables.values():
                table[since:, :, row] = 0.0
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.net, self.dtype, self.threads, self.memory_limit)

    def __repr__(self) -> str:
        return f"TemporalInference({self.net!r}, dtype={self.dtype!r}, threads={self.threads})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, note

        return card(repr(self), None, note("engine.plan says what a frame takes"))


def _check_count(value: int, name: str, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise QueryError(f"{name} is a number of {what}", found=repr(value), expected="an integer ≥ 0", mend="use one")


def _checked_lengths(clip: ClipCodes, lengths: NDArray[np.integer] | None) -> NDArray[np.int64]:
    frames, _, rows = clip.shape
    if lengths is None:
        return np.full(rows, frames, dtype=np.int64)
    found = np.asarray(lengths)
    if found.shape != (rows,) or found.dtype.kind not in "iu" or ((found < 0) | (found > frames)).any():
        shown, expected = f"{found.dtype} {list(found.shape)}", f"integers [{rows}] from 0 to {frames}"
        raise EvidenceError("lengths do not fit the clips", found=shown, expected=expected, mend="one length per row")
    late = (clip >= 0).any(axis=1) & (np.arange(frames)[:, None] >= found)
    if late.any():
        frame, row = (int(i) for i in np.argwhere(late)[0])
        raise EvidenceError(
            "evidence after the end of a clip", row=row, found=f"frame {frame + 1}", expected=f"≤ {int(found[row])}"
        )
    return found.astype(np.int64)


def _checked_weights(clip: ClipCodes, weights: ArrayLike | None) -> NDArray[np.float64]:
    rows = clip.shape[2]
    found = np.ones(rows) if weights is None else np.asarray(weights, dtype=np.float64)
    if found.shape != (rows,) or not np.isfinite(found).all():
        expected = f"finite numbers [{rows}]"
        raise EvidenceError(
            "weights do not fit the rows", found=list(found.shape), expected=expected, mend="one per row"
        )
    return found
