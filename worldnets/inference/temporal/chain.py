"""A two-slice net as a Markov chain: how frames of few joint states are counted without a word of Python per frame.

The *states* of the chain are the joint states i of the interface (`tree.interface`). Frames with the same evidence are
of one *kind*; each kind e has a matrix W(e, i | i before), a sum of *cells*: products of one entry of every variable's
table. Both passes then only multiply matrices, in compiled loops (`chain_kernels`), and what they leave per kind is
shared out over the cells' entries at the end.

*Entries* are those of all tables: first the tables of frame 1, then those of later frames, variables in the net's
order, each table in C order. Several vectors of entries (*columns*: restarts) go through the clips together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.temporal.evidence import ClipCodes
from worldnets.inference.temporal.tree import interface
from worldnets.inference.workers import over_rows
from worldnets.temporal import PREVIOUS, TwoSliceNet

MOST_CELLS = 2**18  # of all kinds of frames together
MOST_STATES = 16  # beyond, products of whole matrices take longer than messages over all clips at once (`passes`)
MOST_AXES = 32
CHUNK_FRAMES = 2048  # clips are counted in chunks of about so many frames, each with sums of its own …
SUMMED_CELLS = 2**22  # of the sums of all chunks, for one column
MOST_CHUNKS = 16  # … added up in order: the bits do not depend on the threads
KEPT_CELLS = 2**22  # of forward messages that a thread keeps
COLUMN_CELLS = 2**15  # matrices of all columns that are worked on together have at most about so many cells
TOLERANCE = 1e-8  # of Σ_i α_t(i) β_t(i) = 1; rounding leaves about 1e-13 in clips of thousands of frames

Entries = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the tables of a two-slice net lie among the entries."""

    variables: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]  # of the tables of frame 1, then of those of later frames

    @classmethod
    def of(cls, net: TwoSliceNet) -> Layout:
        """The layout of a net's tables."""
        first = (net.initial.cpt(v).shape for v in net.variables)
        return cls(net.variables, (*first, *(np.shape(net.cpts[v]) for v in net.variables)))

    @property
    def starts(self) -> list[int]:
        """The first entry of each table, and the number of entries."""
        return [int(i) for i in np.cumsum([0, *(math.prod(shape) for shape in self.shapes)])]

    def entries(self, initial: Mapping[str, ArrayLike], later: Mapping[str, ArrayLike]) -> Entries:
        """All tables as one vector."""
        tables = [np.asarray(given[v], dtype=np.float64) for given in (initial, later) for v in self.variables]
        return np.concatenate([table.ravel() for table in tables])

    def tables(self, entries: Entries) -> tuple[dict[str, Entries], dict[str, Entries]]:
        """The inverse of `entries`: the tables of frame 1, and those of later frames."""
        parts = np.split(entries, self.starts[1:-1])
        found = [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]
        half = len(self.variables)
        first, later = found[:half], found[half:]
        return dict(zip(self.variables, first, strict=True)), dict(zip(self.variables, later, strict=True))


@dataclass(frozen=True, eq=False)
class Frames:
    """The kinds of frames there are, as sums of products of table entries.

    Attributes:
        kinds: how many.
        factors: [variables, cells], the entry of each variable's table.
        target: [cells], where the product is added: in [kinds, states before, states] (frame 1: [kinds, states]).
    """

    kinds: int
    factors: NDArray[np.int32]
    target: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chain:
    """Clips of a two-slice net, ready to be counted under any tables; made by `chain`.

    Attributes:
        states: joint states of the interface.
        first, later: the kinds of frames.
        first_kind: [clips].
        kind, offset: of all later frames, clip after clip; those of clip n begin at `offset[n]`.
    """

    states: int
    first: Frames
    later: Frames
    first_kind: NDArray[np.int32]
    kind: NDArray[np.int32]
    offset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first_kind)

    def count(
        self, entries: Entries, weights: NDArray[np.float64] | None, threads: int
    ) -> tuple[Entries | None, NDArray[np.float64], NDArray[np.bool_]]:
        """Expected counts of all entries, and the evidence's probability.

        Args:
            entries: [entries, columns].
            weights: [clips]; None: only the log evidence is wanted.
            threads: how many.

        Returns:
            counts [entries, columns]; ln W(e) [clips, columns] in nats; and [clips, columns] what is left to
            arithmetic in log space because it is impossible or nearly so: it counts nothing.
        """
        counts = None if weights is None else np.zeros_like(entries)
        log_evidence = np.empty((len(self), entries.shape[1]))
        lost = np.empty(log_evidence.shape, dtype=np.bool_)
        longest = 1 + int(np.diff(self.offset).max(initial=0))
        matrices = max(1, self.later.kinds) * self.states**2
        width = max(1, min(COLUMN_CELLS // matrices, KEPT_CELLS // (longest * self.states)))
        for begin in range(0, entries.shape[1], width):
            part = slice(begin, begin + width)
            some = np.ascontiguousarray(entries[:, part])
            found, log_evidence[:, part], lost[:, part] = self._count(some, weights, threads)
            if counts is not None:
                counts[:, part] = found
        return counts, log_evidence, lost

    def _count(
        self, entries: Entries, weights: NDArray[np.float64] | None, threads: int
    ) -> tuple[Entries | None, NDArray[np.float64], NDArray[np.bool_]]:
        from worldnets.inference.temporal.chain_kernels import forward_backward, multiply, share_out

        columns, states = entries.shape[1], self.states
        start = np.zeros((self.first.kinds, states, columns))
        move = np.zeros((self.later.kinds, states, states, columns))
        multiply(self.first.factors, self.first.target, entries, start.reshape(-1, columns))
        multiply(self.later.factors, self.later.target, entries, move.reshape(-1, columns))
        wanted = weights is not None
        ends = self._chunks()
        at_start = np.zeros((len(ends) - 1, *start.shape)) if wanted else start[None]
        at_move = np.zeros((len(ends) - 1, *move.shape)) if wanted else move[None]
        used = np.ones(len(self)) if weights is None else weights
        log_evidence, error = np.empty((len(self), columns)), np.empty((len(self), columns))

        def passes(left_out: NDArray[np.bool_]) -> None:
            def work(first: int, last: int) -> None:
                for c in range(first, last):
                    own = c if wanted else 0
                    forward_backward(
                        self.first_kind,
                        self.kind,
                        self.offset,
                        ends[c],
                        ends[c + 1],
                        used,
                        left_out,
                        start,
                        move,
                        wanted,
                        log_evidence,
                        error,
                        at_start[own],
                        at_move[own],
                    )

            over_rows(threads, len(ends) - 1, 1, 1, work)

        passes(np.zeros(log_evidence.shape, dtype=np.bool_))
        lost = ~((error <= TOLERANCE) & (log_evidence > -np.inf))
        if not wanted:
            return None, log_evidence, lost
        if lost.any():
            at_start[:], at_move[:] = 0.0, 0.0
            passes(lost)
        counts = np.zeros_like(entries)
        for frames, sums in ((self.first, at_start), (self.later, at_move)):
            share_out(frames.factors, frames.target, entries, sums.sum(axis=0).reshape(-1, columns), counts)
        return counts, log_evidence, lost

    def _chunks(self) -> NDArray[np.int64]:
        """Ends of the chunks of clips, about equally many frames in each; they do not depend on the columns."""
        frames = self.offset + np.arange(len(self.offset))
        affordable = max(1, SUMMED_CELLS // max(1, self.later.kinds * self.states**2))
        chunks = max(1, min(MOST_CHUNKS, affordable, int(frames[-1]) // CHUNK_FRAMES))
        return np.unique(np.searchsorted(frames, np.linspace(0, frames[-1], chunks + 1)))


def chain(net: TwoSliceNet, clip: ClipCodes, lengths: NDArray[np.int64]) -> Chain | None:
    """The chain of a net and clips, or None where it would be too large to pay.

    Args:
        net: gives states and arrows; its tables play no part.
        clip: [frames, variables, clips].
        lengths: [clips], each at least 1.
    """
    carried = [net.initial.index[v] for v in interface(net)]
    cards = [int(card) for card in net.initial.cardinalities]
    states = math.prod(cards[v] for v in carried)
    if states > MOST_STATES or math.prod(cards) > MOST_CELLS or len(cards) + len(carried) > MOST_AXES:
        return None
    before = np.arange(clip.shape[0])[:, None] < lengths
    later = np.ascontiguousarray(clip[1:].transpose(2, 0, 1)[before[1:].T])  # [frames of all clips, variables]
    first_codes, first_kind = _kinds(np.ascontiguousarray(clip[0].T), cards)
    later_codes, kind = _kinds(later, cards)
    hidden = _hidden_states(later_codes, cards) * states
    if hidden > MOST_CELLS or _hidden_states(first_codes, cards) > MOST_CELLS:
        return None
    starts = Layout.of(net).starts
    half = len(cards)
    first_parents = [[net.initial.index[p] for p in net.initial.parents(v)] for v in net.variables]
    later_parents = [
        [net.initial.index[p.removesuffix(PREVIOUS)] + (half if p.endswith(PREVIOUS) else 0) for p in given]
        for given in (net.parents.get(v, ()) for v in net.variables)
    ]
    return Chain(
        states,
        _frames(first_codes, cards, carried, [], first_parents, starts[:half]),
        _frames(later_codes, cards, carried, carried, later_parents, starts[half:]),
        first_kind.astype(np.int32),
        kind.astype(np.int32),
        np.concatenate([[0], np.cumsum(lengths - 1)]).astype(np.int64),
    )


def _kinds(codes: NDArray[np.int16], cards: Sequence[int]) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
    """The different rows of [frames, variables], and which of them each is."""
    key = np.zeros(len(codes), dtype=np.int64)
    for column, states in zip(codes.T, cards, strict=True):
        key = key * (states + 1) + (column.astype(np.int64) + 1)
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    return codes[first], kind


def _hidden_states(kinds: NDArray[np.int16], cards: Sequence[int]) -> float:
    """Joint states that agree with a kind's evidence, summed over kinds."""
    return float(np.where(kinds == UNOBSERVED, np.array(cards, dtype=np.float64), 1.0).prod(axis=1).sum())


def _frames(
    kinds: NDArray[np.int16],
    cards: Sequence[int],
    carried: Sequence[int],
    before: Sequence[int],
    parents: Sequence[Sequence[int]],
    starts: Sequence[int],
) -> Frames:
    """The cells of all kinds.

    Args:
        carried: the variables of the interface; `before`: those that reach into the frame (none into frame 1).
        parents: of each variable, numbers of variables, or (variables + number) for one in the frame before.
        starts: the first entry of each table.
    """
    now = math.prod(cards[v] for v in carried)
    past = math.prod(cards[v] for v in before)
    factors, target = [], []
    for kind, codes in enumerate(kinds):
        ranges: Iterable[NDArray[np.int64]] = [np.arange(cards[v]) for v in before] + [
            np.arange(n) if code == UNOBSERVED else np.array([code]) for n, code in zip(cards, codes, strict=True)
        ]
        grid = np.meshgrid(*ranges, indexing="ij")
        value = dict(enumerate(grid[len(before) :]))
        value |= {len(cards) + v: grid[place] for place, v in enumerate(before)}
        shape = grid[0].shape
        factors.append(
            np.stack([starts[v] + _position([*parents[v], v], value, cards, shape) for v in range(len(cards))]).reshape(
                len(cards), -1
            )
        )
        into = _position([len(cards) + v for v in before], value, cards, shape)
        out = _position(carried, value, cards, shape)
        target.append(((kind * past + into) * now + out).ravel())
    if not target:
        return Frames(0, np.empty((len(cards), 0), dtype=np.int32), np.empty(0, dtype=np.int64))
    return Frames(len(kinds), np.concatenate(factors, axis=1).astype(np.int32), np.concatenate(target))


def _position(
    scope: Sequence[int], value: Mapping[int, NDArray[np.int64]], cards: Sequence[int], shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Mixed-radix number of the states of a scope, its first variable most significant."""
    position = np.zeros(shape, dtype=np.int64)
    for v in scope:
        position = position * cards[v % len(cards)] + value[v]
    return position
