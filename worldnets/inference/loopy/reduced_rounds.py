"""Rounds on a reduced factor graph as one differentiable function of the net's tables and of what was seen.

Rows stand last in every array, once for every run that clamps something (`readout`). Tables are the same for all rows
but where an observed term is part of them:

    ln f(x_f | row) = Σ_terms ln table[entry(x_f)] + Σ_observed Σ_s 1[s is seen in the row] · ln table[entry(s, x_f)]
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from worldnets.inference.loopy import rounds as rounds_of
from worldnets.inference.loopy.algebra import Algebra, Array, Logarithm
from worldnets.inference.loopy.graph import Indices, Wiring
from worldnets.inference.loopy.messages import Tables, damped, factor_belief, take, to_factors
from worldnets.inference.loopy.readout import Readout
from worldnets.inference.loopy.reduction import Reduction

NEVER = -1e3  # nats: e^NEVER is zero in every number type, and no row's 0 · NEVER is the NaN that 0 · −∞ would be
LEAST = {"float32": 1e-30, "float64": 1e-250}  # beliefs below this are read as this


class GroupEntries(NamedTuple):
    """What the tables of one group of factors are made of: entries of the vector of all log tables.

    Two places follow that vector's end: 0 (nothing to multiply) and −∞ (a padded cell).

    Attributes:
        terms: [F, a, b, K], multiplied in every row.
        slots: [F, S], the indicators that concern each factor; padded: one beyond the last, which is always 0.
        observed: [F, S, a, b], the entry that each of them multiplies.
    """

    terms: Indices
    slots: Indices
    observed: Indices


class ReadEntries(NamedTuple):
    """How beliefs become answers, for all questions at once.

    Beliefs of clusters, then of the factors that are read, all runs of each number side by side, are one long vector;
    what follows its end is a zero.

    Attributes:
        factors: for each group of factors, which of its members are read.
        cells: [joint states of all parts, K], the places of that vector whose sum is the part's belief.
        parts: [outcomes of all questions, M], those of `cells` whose product is the answer; padded: one beyond, a one.
    """

    factors: tuple[Indices, ...]
    cells: Indices
    parts: Indices


class Begun(NamedTuple):
    """Rounds about to start: what they read, the messages they start from, and one round of them."""

    wiring: Wiring
    tables: Tables
    local: Array
    messages: Array
    advance: Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class ReducedRounds:
    """A `Reduction` and its `Readout` as index arrays; equal to any other with the same ones.

    Attributes:
        evidence: the nodes whose states are looked at; one indicator for each of their states, node by node.
        indicators: how many there are.
        runs: how many runs of rounds there are for each row.
    """

    evidence: tuple[str, ...]
    indicators: int
    runs: int
    wiring: Wiring
    splits: tuple[int, ...]
    groups: tuple[GroupEntries, ...]
    excluded: NDArray[np.bool_]  # [states, indicators]: states of clusters that an indicator rules out,
    clamped: NDArray[np.bool_]  # [states, runs]: or a run
    reading: ReadEntries
    _digest: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        plain = (self.evidence, self.indicators, self.runs, self.splits)
        digest = hashlib.sha256(repr(plain).encode())
        for leaf in jax.tree.leaves((self.wiring, self.groups, self.excluded, self.clamped, self.reading)):
            array = np.asarray(leaf)
            digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
        object.__setattr__(self, "_digest", digest.digest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReducedRounds) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def log_beliefs(
        self,
        algebra: Algebra,
        log_tables: Array,
        seen: Array,
        rounds: int,
        start_rounds: int,
        damping: float = 0.0,
        every: bool = False,
    ) -> Array:
        """Logarithms of the joint beliefs of all questions after `rounds` rounds.

        Args:
            algebra: the numbers to compute in.
            log_tables: [entries], the logarithms of all tables, none below `NEVER`.
            seen: [indicators, R], 1 for the state that is seen, 0 for others and where nothing is.
            rounds: at least 1.
            start_rounds: rounds without evidence first, from uniform messages.
            damping: in [0, 1).
            every: after each round.

        Returns:
            [outcomes of all questions, one after the other, R], or with `every` [rounds, outcomes, R].
        """
        begun = self._begun(algebra, log_tables, seen, start_rounds, damping)
        read = lambda messages: self._read(algebra, begun.wiring, begun.tables, begun.local, messages)
        if not every:
            return read(_repeated(begun.advance, begun.messages, rounds))

        def one(messages: Array, _: None) -> tuple[Array, Array]:
            new = begun.advance(messages)
            return new, read(new)

        return jax.lax.scan(jax.checkpoint(one), begun.messages, None, length=rounds)[1]

    def log_messages(
        self,
        algebra: Algebra,
        log_tables: Array,
        seen: Array,
        rounds: int,
        start_rounds: int,
        damping: float = 0.0,
    ) -> Array:
        """Logarithms of all messages after `rounds` rounds, [places, R · runs], none below ln `LEAST`.

        Arguments are those of `log_beliefs`, which reads its answers from these messages.
        """
        begun = self._begun(algebra, log_tables, seen, start_rounds, damping)
        messages = _repeated(begun.advance, begun.messages, rounds)[:-1]  # the last place is the empty slot
        least = np.log(LEAST[str(messages.dtype)])
        if isinstance(algebra, Logarithm):
            return jnp.maximum(messages, least)
        return jnp.log(jnp.maximum(messages, LEAST[str(messages.dtype)]))

    def read_messages(self, algebra: Algebra, log_tables: Array, seen: Array, log_messages: Array) -> Array:
        """Logarithms of the joint beliefs of all questions, [outcomes, R], as they are read from given messages."""
        begun = self._begun(algebra, log_tables, seen, 0, 0.0)
        slot = jnp.zeros((1, log_messages.shape[1]), log_messages.dtype)
        messages = algebra.from_log(jnp.concatenate([log_messages, slot]))
        return self._read(algebra, begun.wiring, begun.tables, begun.local, messages)

    def _begun(self, algebra: Algebra, log_tables: Array, seen: Array, start_rounds: int, damping: float) -> Begun:
        """Everything that rounds need, and the messages that they start from."""
        dtype, rows = log_tables.dtype, seen.shape[1]
        place = lambda x: jnp.asarray(x, dtype) if x.dtype.kind == "f" else x
        wiring = jax.tree.map(place, self.wiring)
        fraction = None if damping == 0.0 else jnp.asarray(damping, dtype)
        full = jnp.concatenate([log_tables, jnp.array([0.0, -jnp.inf], dtype)])
        seen = jnp.tile(seen.astype(dtype), (1, self.runs))

        def advance(tables: Tables, local: Array, messages: Array) -> Array:
            new = rounds_of.step(algebra, wiring, self.splits, tables, local, messages, None).messages
            return new if fraction is None else damped(algebra, new, messages, fraction, wiring)

        nothing = jnp.full((len(self.excluded), 1), algebra.one, dtype)
        start = rounds_of.started(algebra, wiring.uniform[:, None], nothing)
        plain = self._tables(algebra, full, None)
        start = _repeated(lambda messages: advance(plain, nothing, messages), start, start_rounds)
        tables, local = self._tables(algebra, full, seen), self._local(algebra, seen, rows)
        messages = jnp.broadcast_to(start, (len(start), local.shape[1]))
        return Begun(wiring, tables, local, messages, lambda messages: advance(tables, local, messages))

    def _tables(self, algebra: Algebra, full: Array, seen: Array | None) -> Tables:
        """Tables as rounds read them, each scaled by its largest cell; without evidence if `seen` is None."""
        cells, scales = [], []
        if seen is not None:
            seen = jnp.concatenate([seen, jnp.zeros((1, seen.shape[1]), seen.dtype)])
        for entries in self.groups:
            table = full[entries.terms].sum(-1)
            if seen is not None and entries.slots.shape[1]:
                found = jnp.einsum("fsab,fsr->fabr", full[entries.observed], seen[entries.slots])
                table = table[..., None] + found
            largest = jax.lax.stop_gradient(table.max((1, 2), keepdims=True))
            cells.append(algebra.from_log(table - largest))
            scales.append(jnp.zeros(len(table), table.dtype))
        return Tables(tuple(cells), tuple(scales), jnp.zeros((), full.dtype))

    def _local(self, algebra: Algebra, seen: Array, rows: int) -> Array:
        if not self.excluded.any() and self.runs == 1:
            return jnp.full((len(self.excluded), rows), algebra.one, seen.dtype)
        excluded = jnp.asarray(self.excluded, seen.dtype) @ seen
        clamped = jnp.repeat(jnp.asarray(self.clamped, seen.dtype), rows, axis=1)
        return algebra.from_log(NEVER * (excluded + clamped))

    def _read(self, algebra: Algebra, wiring: Wiring, tables: Tables, local: Array, messages: Array) -> Array:
        into, beliefs = to_factors(algebra, wiring, local, messages, None)
        found = [rounds_of.in_net_order(algebra, wiring, beliefs)]
        for g, members in enumerate(self.reading.factors):
            if len(members):
                arriving = [take(into, places[members]) for places in wiring.factors[g].incoming]
                belief = factor_belief(algebra, tables.cells[g][members], self.splits[g], arriving)
                belief = belief.reshape(len(members), -1, local.shape[1])
                found.append(algebra.to_probability(algebra.normalise(belief, 1)[0]).reshape(-1, local.shape[1]))
        found.append(jnp.zeros((1, local.shape[1]), local.dtype))
        by_run = jnp.concatenate(found).reshape(-1, local.shape[1] // self.runs)
        q = by_run[self.reading.cells].sum(1)
        least = LEAST[str(q.dtype)]
        log_q = jnp.log(jnp.where(q > least, q, least))
        return jnp.concatenate([log_q, jnp.zeros((1, log_q.shape[1]), log_q.dtype)])[self.reading.parts].sum(1)


def _repeated(round_of: Callable[[Array], Array], messages: Array, count: int) -> Array:
    # Only messages are kept for the gradient: computing a round again is faster than reading back all it had.
    body = jax.checkpoint(lambda messages, _: (round_of(messages), None))
    return jax.lax.scan(body, messages, None, length=count)[0]


def compiled(reduction: Reduction, reading: Readout, offsets: Mapping[str, int], entries: int) -> ReducedRounds:
    """Index arrays of a reduction.

    Args:
        reduction: the factor graph.
        reading: what is read from it.
        offsets: where each variable's table begins in the vector of all log tables; tied tables begin at one place.
        entries: length of that vector.
    """
    net, graph = reduction.net, reduction.graph
    absorbed = tuple(term.variable for terms in reduction.observed for term in terms)
    evidence = (*reduction.seen, *absorbed)
    sizes = [len(net.states[v]) for v in evidence]
    first = {v: int(start) for v, start in zip(evidence, np.cumsum([0, *sizes]), strict=False)}
    groups = tuple(
        _group(reduction, members, graph.wiring.factors[g].cells, offsets, entries, first, sum(sizes))
        for g, members in enumerate(graph.group_factors)
    )
    place = {v: c for c, members in enumerate(reduction.clusters) for v in members}
    bounds = np.cumsum([0, *reduction.factors.cardinalities])
    excluded = np.zeros((int(bounds[-1]), sum(sizes)), dtype=bool)
    clamped = np.zeros((int(bounds[-1]), len(reading.clamps)), dtype=bool)
    own = {v: slice(bounds[c], bounds[c + 1]) for v, c in place.items()}
    for v in reduction.seen:
        codes = _codes(reduction, place[v], v)
        excluded[own[v], first[v] : first[v] + len(net.states[v])] = codes[:, None] != np.arange(len(net.states[v]))
    for run, clamp in enumerate(reading.clamps):
        for v, state in clamp.items():
            clamped[own[v], run] |= _codes(reduction, place[v], v) != state
    return ReducedRounds(
        evidence,
        sum(sizes),
        len(reading.clamps),
        graph.wiring,
        graph.splits,
        groups,
        excluded,
        clamped,
        _read_entries(reduction, reading),
    )


def _codes(reduction: Reduction, cluster: int, v: str) -> NDArray[np.int64]:
    """The state of `v` in every compound state of its cluster."""
    members, states = reduction.clusters[cluster], reduction.net.states
    grid = np.indices([len(states[u]) for u in members]).reshape(len(members), -1)
    return np.asarray(grid[members.index(v)])


def _group(
    reduction: Reduction,
    factors: NDArray[np.int64],
    cells: Indices,
    offsets: Mapping[str, int],
    entries: int,
    first: Mapping[str, int],
    indicators: int,
) -> GroupEntries:
    states = reduction.net.states
    most = max([1, *(len(reduction.terms[f]) for f in factors)])
    slots = max(sum(len(states[term.variable]) for term in reduction.observed[f]) for f in factors)
    terms = np.full((*cells.shape, most), entries, dtype=np.int32)
    which = np.full((len(factors), slots), indicators, dtype=np.int32)
    observed = np.full((len(factors), slots, *cells.shape[1:]), entries, dtype=np.int32)
    for row, f in enumerate(factors):
        begin, end = reduction.graph.factor_cells[f : f + 2]
        real = cells[row] < reduction.graph.factor_cells[-1]
        local = np.where(real, cells[row] - begin, 0)
        assert not real.any() or local.max() < end - begin
        terms[row, ~real, 0] = entries + 1
        for k, term in enumerate(reduction.terms[f]):
            terms[row, real, k] = (offsets[term.variable] + term.entries[local])[real]
        at = 0
        for term in reduction.observed[f]:
            for state, own in enumerate(term.entries):
                which[row, at] = first[term.variable] + state
                observed[row, at, real] = (offsets[term.variable] + own[local])[real]
                at += 1
    return GroupEntries(terms, which, observed)


def _read_entries(reduction: Reduction, reading: Readout) -> ReadEntries:
    graph, runs = reduction.graph, len(reading.clamps)
    bounds = np.cumsum([0, *reduction.factors.cardinalities])
    parts = [part for question in reading.parts for part in question]
    wanted = {part.factor for part in parts}
    chosen = tuple(
        np.array([row for row, f in enumerate(members) if f in wanted], dtype=np.int32)
        for members in graph.group_factors
    )
    factor_at: dict[int, tuple[int, NDArray[np.int64]]] = {}  # of a factor: where it begins, and its (padded) cells
    at = int(bounds[-1])
    for g, rows in enumerate(chosen):
        for row in rows:
            f = int(graph.group_factors[g][row])
            padded = graph.wiring.factors[g].cells[row].reshape(-1)
            real = padded < graph.factor_cells[-1]
            factor_at[f] = at, np.where(real, padded - graph.factor_cells[f], -1)
            at += len(padded)
    cells: list[NDArray[np.int64]] = []
    answers: list[list[int]] = []
    for question, order in zip(reading.parts, reading.order, strict=True):
        product: list[list[int]] = [[]]
        for part in question:
            if part.cluster is not None:
                begin, outcome = int(bounds[part.cluster]), part.outcome
            else:
                begin, place = factor_at[part.factor or 0]
                outcome = np.where(place >= 0, part.outcome[place], -1)
            longer = []
            for before, run in zip(product, part.runs, strict=True):
                for state in range(int(part.outcome.max()) + 1):
                    longer.append([*before, len(cells)])
                    cells.append((begin + np.flatnonzero(outcome == state)) * runs + run)
            product = longer
        answers += [product[place] for place in order]
    return ReadEntries(chosen, _padded(cells, at * runs), _padded(answers, len(cells)))


def _padded(rows: Sequence[Sequence[int] | NDArray[np.int64]], value: int) -> Indices:
    table = np.full((len(rows), max(map(len, rows), default=0)), value, dtype=np.int32)
    for row, given in zip(table, rows, strict=True):
        row[: len(given)] = given
    return table
