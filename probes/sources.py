"""Where exact references come from: a source answers the three questions a ladder asks of a world.

Draw clips; draw the unobserved evidence of a clip from its exact conditional distribution; give the exact distribution
of a target under any part of the evidence. `DatasetSource` asks a dataset's Bayes net by message passing, `TableSource`
a joint table small enough to write down (organisms, tests, other people's toy problems).

Codes are int16 [rows, width], −1 where unobserved; `columns` says which column holds which evidence variable.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.distinct import distinct
from worldnets.errors import ProbeError, did_you_mean

if TYPE_CHECKING:
    from worldnets.dataset import Dataset, Task
    from worldnets.inference import Inference

Codes = NDArray[np.int16]
Floats = NDArray[np.float64]
CHUNK = 512  # rows per conditional-sampling call: its answer has every variable of the net, ours only the evidence


class Source(Protocol):
    """A world as the ladder sees it."""

    @property
    def columns(self) -> Mapping[str, int]:
        """Column of each evidence variable in a code array."""

    @property
    def cardinalities(self) -> Mapping[str, int]:
        """Number of states of each evidence variable."""

    @property
    def width(self) -> int:
        """Number of columns of a code array."""

    def outcome_count(self, target: str) -> int:
        """Number of outcomes of a target."""

    def simulate(self, rows: int, seed: int) -> Codes:
        """Clips from W*, evidence columns observed, everything else −1: int16 [rows, width]."""

    def draw(self, codes: Codes, draws: int, seed: int) -> Codes:
        """The unobserved evidence of each row, drawn from W*(· | the row): int16 [rows, draws, width], all evidence
        observed.
        """

    def posterior(self, codes: Codes, target: str) -> tuple[Floats, Floats]:
        """ln W*(evidence) [rows] and W*(target | evidence) [rows, outcomes], zeros where the evidence is impossible."""


class TableSource:
    """A world given as a joint table W*(x, y).

    Args:
        table: [*evidence cardinalities, outcomes], non-negative; normalised here.
        names: one name per evidence axis; "x1", "x2", … when omitted.
        target: name of the last axis.

    Raises:
        ProbeError: no evidence axis, negative or non-finite entries, a table that is zero, the wrong number of names.
    """

    def __init__(self, table: ArrayLike, names: Sequence[str] | None = None, target: str = "y") -> None:
        joint = np.asarray(table, dtype=np.float64)
        if joint.ndim < 2 or not np.all(joint >= 0) or not np.isfinite(joint.sum()) or joint.sum() <= 0:
            mend = "give non-negative numbers, one axis per evidence variable and the outcomes last"
            raise ProbeError("not a joint table", found=f"shape {joint.shape}", mend=mend)
        self.names = tuple(names or (f"x{i + 1}" for i in range(joint.ndim - 1)))
        if len(self.names) != joint.ndim - 1:
            raise ProbeError("one name per evidence axis", found=self.names, expected=f"{joint.ndim - 1} names")
        self.table: Floats = joint / joint.sum()
        self.target = target

    @property
    def columns(self) -> Mapping[str, int]:
        """Column of each evidence variable: its axis."""
        return {name: i for i, name in enumerate(self.names)}

    @property
    def cardinalities(self) -> Mapping[str, int]:
        """Number of states of each evidence variable."""
        return dict(zip(self.names, self.table.shape[:-1], strict=True))

    @property
    def width(self) -> int:
        """Number of evidence variables."""
        return len(self.names)

    def outcome_count(self, target: str) -> int:
        """Number of outcomes."""
        if target != self.target:
            raise ProbeError("unknown target", found=target, mend=did_you_mean(target, [self.target]))
        return self.table.shape[-1]

    def simulate(self, rows: int, seed: int) -> Codes:
        """Clips from the table, by inverting its cumulative sum."""
        weight = self.table.sum(-1).ravel()
        cell = _inverted(weight[None], np.random.default_rng(seed).random((1, rows)))[0]
        return np.stack(np.unravel_index(cell, self.table.shape[:-1]), axis=-1).astype(np.int16)

    def draw(self, codes: Codes, draws: int, seed: int) -> Codes:
        """Completions of each row from the table."""
        uniform = np.random.default_rng(seed).random((len(codes), draws))
        answer = np.repeat(np.asarray(codes, dtype=np.int16)[:, None], draws, axis=1)
        for seen, rows in _by_pattern(codes):
            hidden = [i for i in range(self.width) if i not in seen]
            if not hidden:
                continue
            weight = np.moveaxis(self.table.sum(-1), (*seen, *hidden), range(self.width))
            flat = weight.reshape(*weight.shape[: len(seen)], -1)
            given = flat[tuple(codes[rows][:, seen].T)] if seen else np.repeat(flat[None], len(rows), axis=0)
            cell = _inverted(given, uniform[rows])
            filled = np.stack(np.unravel_index(cell, [self.table.shape[i] for i in hidden]), axis=-1)
            answer[rows[:, None, None], np.arange(draws)[None, :, None], np.array(hidden)[None, None]] = filled
        return answer

    def posterior(self, codes: Codes, target: str) -> tuple[Floats, Floats]:
        """ln W*(evidence) and W*(target | evidence), by summing the table."""
        joint = np.empty((len(codes), self.outcome_count(target)))
        for seen, rows in _by_pattern(codes):
            hidden = tuple(i for i in range(self.width) if i not in seen)
            joint[rows] = self.table.sum(hidden)[tuple(codes[rows][:, seen].T)]
        return _split(joint)


class DatasetSource:
    """A dataset's own Bayes net, asked by exact message passing.

    A twin dataset (`Dataset.with_redrawn`) has a net of its own, in which the redrawn evidence is cut off: nothing
    special here.

    Args:
        dataset, task: what the head was trained on.
        engine: an engine for `dataset.net`, to share its plans; made when omitted.
    """

    def __init__(self, dataset: Dataset, task: Task, engine: Inference | None = None) -> None:
        self.dataset, self.task = dataset, task
        self._engine = engine

    @functools.cached_property
    def engine(self) -> Inference:
        """The exact engine of the dataset's net."""
        from worldnets.inference import Inference

        return self._engine or Inference(self.dataset.net)

    @functools.cached_property
    def columns(self) -> Mapping[str, int]:
        """Column of each evidence variable in the net's code arrays."""
        return {name: self.dataset.net.index[name] for name in self.task.evidence}

    @functools.cached_property
    def cardinalities(self) -> Mapping[str, int]:
        """Number of states of each evidence variable."""
        return {name: len(self.dataset.net.states[name]) for name in self.task.evidence}

    @property
    def width(self) -> int:
        """Number of variables of the net."""
        return len(self.dataset.net.variables)

    def _variables(self, target: str) -> tuple[str, ...]:
        known = {t.name: t.variables for t in self.task.targets}
        if target not in known:
            raise ProbeError("unknown target", found=target, mend=did_you_mean(target, known))
        return known[target]

    def outcome_count(self, target: str) -> int:
        """Number of joint states of the target's variables."""
        return int(np.prod([len(self.dataset.net.states[v]) for v in self._variables(target)]))

    def simulate(self, rows: int, seed: int) -> Codes:
        """Clips from the dataset, everything but the evidence hidden."""
        clips = np.full((rows, self.width), -1, dtype=np.int16)
        columns = list(self.columns.values())
        clips[:, columns] = np.asarray(self.dataset.simulate_model(rows, seed))[:, columns]
        return clips

    def draw(self, codes: Codes, draws: int, seed: int) -> Codes:
        """Completions by exact conditional sampling."""
        columns = list(self.columns.values())
        answer = np.full((len(codes), draws, self.width), -1, dtype=np.int16)
        for first in range(0, len(codes), CHUNK):
            rows = slice(first, first + CHUNK)
            drawn = self.engine.sample_codes(np.asarray(codes[rows], dtype=np.int16), draws, stream(seed, first))
            answer[rows, :, columns] = drawn[:, :, columns]
        return answer

    def posterior(self, codes: Codes, target: str) -> tuple[Floats, Floats]:
        """ln W*(evidence) and W*(target | evidence) by message passing."""
        codes = np.asarray(codes, dtype=np.int16)
        log_evidence = np.asarray(self.engine.log_evidence(codes), dtype=np.float64)
        belief = np.asarray(self.engine.joint(codes, self._variables(target)), dtype=np.float64).reshape(len(codes), -1)
        total = belief.sum(-1, keepdims=True)
        return log_evidence, np.divide(belief, total, out=np.zeros_like(belief), where=total > 0)


def stream(seed: int, *tags: int) -> int:
    """A seed of its own for each use: the same tags give the same stream, different ones independent streams."""
    words = np.random.SeedSequence([seed, *tags]).generate_state(2)
    return int(words[0]) << 31 | int(words[1]) >> 1


def posterior_of_distinct(source: Source, codes: Codes, target: str) -> tuple[Floats, Floats]:
    """`source.posterior`, asked once per distinct row."""
    unique, where = distinct(codes)
    log_evidence, belief = source.posterior(unique, target)
    return log_evidence[where], belief[where]


def _by_pattern(codes: Codes) -> list[tuple[list[int], NDArray[np.int64]]]:
    patterns, which = np.unique(np.asarray(codes) >= 0, axis=0, return_inverse=True)
    which = which.reshape(-1)
    return [([int(i) for i in np.flatnonzero(seen)], np.flatnonzero(which == j)) for j, seen in enumerate(patterns)]


def _split(joint: Floats) -> tuple[Floats, Floats]:
    total = joint.sum(-1)
    with np.errstate(divide="ignore"):
        log_evidence = np.log(total)
    return log_evidence, np.divide(joint, total[:, None], out=np.zeros_like(joint), where=total[:, None] > 0)


def _inverted(weight: Floats, uniform: Floats) -> NDArray[np.int64]:
    # Row-wise inverse of the cumulative weights; the last possible cell takes what rounding leaves over.
    cumulative = np.cumsum(weight, axis=-1)
    total = cumulative[:, -1:]
    cell = np.empty(uniform.shape, dtype=np.int64)
    for i in range(len(weight)):
        cell[i] = np.searchsorted(cumulative[i], uniform[i] * total[i], side="right")
    last = weight.shape[-1] - 1 - np.argmax(weight[:, ::-1] > 0, axis=-1)
    return np.minimum(cell, last[:, None])
