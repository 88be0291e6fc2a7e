"""From a frame's tree to the list of array operations that answers one kind of question.

Messages are those of Shafer & Shenoy (1990): what a node sends is its table times what came in from everywhere else.
Nothing is divided out, so zeros need no care. A program computes each message it needs once, in an order found when
the program is made; running it costs nothing but the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.limits import LIMITS
from worldnets.inference.temporal.contraction import Array, Contraction, Indicators, Scope, contraction
from worldnets.inference.temporal.tally import Tally, tally
from worldnets.inference.temporal.tree import FrameTree

ONES = 1e-14  # a sum of probabilities this near to 1 is 1
PAST, FUTURE, FORWARD = range(3)  # slots of what a program is given: α of the frame before, β and α of this frame


@dataclass(frozen=True, eq=False)
class Step:
    """One contraction: slots read, slot written; whether it is rescaled to sum to 1, and whether that is evidence."""

    contraction: Contraction
    reads: tuple[int, ...]
    writes: int
    rescaled: bool
    counted: bool


@dataclass(frozen=True, eq=False)
class Program:
    """The operations of one frame for a batch of rows.

    Attributes:
        steps: in the order in which they run.
        results: the slots of what was asked for, in order.
        tallies: sums over rows, and the slots they read.
        log_scale: nats per frame, of the tables, where the forward message is among the results.
        tiny: probabilities below it are `deep`.
        multiply_adds, cells_in_flight: per row.
    """

    steps: tuple[Step, ...]
    results: tuple[int, ...]
    tallies: tuple[tuple[Tally, tuple[int, ...]], ...]
    slots: int
    identities: Mapping[int, Array]
    log_scale: float
    tiny: float

    @property
    def multiply_adds(self) -> int:
        """Multiplications and additions per row."""
        tallies = sum(one.multiply_adds for one, _ in self.tallies)
        return tallies + sum(step.contraction.multiply_adds for step in self.steps)

    @property
    def cells_in_flight(self) -> int:
        """Numbers held while a frame is done, per row."""
        tallies = sum(one.cells_in_flight for one, _ in self.tallies)
        return tallies + sum(step.contraction.cells_in_flight for step in self.steps)

    @property
    def cells_at_once(self) -> int:
        """Numbers that the largest step reads and writes, per row."""
        tallies = (one.cells_in_flight for one, _ in self.tallies)
        return max((*tallies, *(step.contraction.cells_in_flight for step in self.steps)), default=1)

    def run(
        self,
        codes: NDArray[np.intp],
        past: Array | None = None,
        future: Array | None = None,
        forward: Array | None = None,
        into: Sequence[Array] = (),
        weights: NDArray[np.float64] | None = None,
        deep: NDArray[np.bool_] | None = None,
    ) -> tuple[list[Array], NDArray[np.float64]]:
        """Run on one frame.

        Args:
            codes: [variables of the tree, rows], −1 where unobserved.
            past: α_{t−1} [*interface before, rows], scaled to sum 1.
            future: β_t [*interface, rows].
            forward: α_t [*interface, rows].
            into: where the last results are to be written, as many as there are arrays; the others are new arrays.
            weights: [rows], of the rows in tallies.
            deep: [rows], set where a message had a state so improbable that the next product could lose it.

        Returns:
            The results, each [*states, rows] and summing to 1 over states (0 where impossible), after them the tallies
            [*states]; and ln of the evidence of this frame given the past, [rows], where the forward message was asked
            for.
        """
        rows = codes.shape[1]
        indicators = Indicators(codes, self.identities)
        values: list[Array | None] = [None] * self.slots
        values[PAST], values[FUTURE], values[FORWARD] = past, future, forward
        log: NDArray[np.float64] = np.full(rows, self.log_scale)
        tiny = self.tiny
        # The last pass over a belief writes it where it is wanted.
        places = dict(zip(self.results[len(self.results) - len(into) :], into, strict=True))
        for step in self.steps:
            value, divided = step.contraction([values[i] for i in step.reads], indicators, rows)  # type: ignore[misc]
            if step.counted and divided is not None:
                log += divided
            if step.rescaled:
                total = value.reshape(-1, rows).sum(axis=0)
                total_or_one = total + (total == 0)  # x ≤ total: a quotient never overflows, and 0 stays 0
                value = np.divide(value, total_or_one, out=places.get(step.writes, value))
                if step.counted:
                    log += np.log(total, dtype=np.float64)
                    if deep is not None and value.min(initial=1.0) < tiny:
                        deep |= ((value > 0) & (value < tiny)).reshape(-1, rows).any(axis=0)
            values[step.writes] = value
        for slot, place in zip(self.results[len(self.results) - len(into) :], into, strict=True):
            if values[slot] is not place:
                place[...] = values[slot]
        results = [values[i] for i in self.results]
        for sum_up, reads in self.tallies:
            assert weights is not None
            results.append(sum_up([values[i] for i in reads], indicators, rows, weights))  # type: ignore[misc]
        return results, log  # type: ignore[return-value]


class _Compiler:
    """Collects the steps that a question needs; each message becomes one step, however many readers it has.

    Messages that no evidence and nothing from other frames reaches do not depend on the row: they become part of the
    reader's table (most often they are all ones, and vanish).
    """

    def __init__(self, tree: FrameTree, dtype: str, observed: Iterable[str], future: bool, forward: bool) -> None:
        self.tree, self.dtype, self.given_future, self.given_forward = tree, dtype, future, forward
        self.observed = {tree.names.index(v) for v in observed}
        self.most = LIMITS[dtype].messages
        self.log_scale = tree.log_scale
        self.steps: dict[int, Step] = {}  # by the slot written
        self.constants: dict[int, Array] = {}
        self.scopes: list[Scope] = [tree.scopes[tree.past], tree.scopes[tree.future], tree.scopes[tree.future]]
        self.weights = [1, 1, 1]
        self.made: dict[tuple[int, int], int] = {}
        self.towards_future = {tree.future: -1}
        queue = [tree.future]
        for node in queue:  # grows while it is read
            for other, _ in tree.neighbours[node]:
                if other not in self.towards_future:
                    self.towards_future[other] = node
                    queue.append(other)

    def message(self, source: int, target: int) -> int:
        """The slot of the message from one node to its neighbour."""
        waiting = [(source, target)]
        while waiting:  # no recursion: trees may be thousands of cliques deep
            one = waiting[-1]
            needed = [(other, one[0]) for other in self._sources(*one) if (other, one[0]) not in self.made]
            if needed and one not in self.made:
                waiting += needed
                continue
            waiting.pop()
            if one not in self.made:
                self.made[one] = self._send(*one)
        return self.made[source, target]

    def _sources(self, node: int, apart_from: int | None) -> list[int]:
        """The neighbours whose messages a node reads; messages that were given are not computed."""
        tree = self.tree
        if node == tree.past or (node == tree.future and apart_from is not None):
            return []
        if self.given_forward and apart_from == tree.future:
            return []
        return [
            other
            for other, _ in tree.neighbours[node]
            if other != apart_from
            and (self.given_future or other != tree.future)
            and (tree.scopes[other] or other != tree.past)
        ]

    def _send(self, source: int, target: int) -> int:
        tree = self.tree
        if source == tree.past:
            return PAST
        if source == tree.future:
            return FUTURE
        if target == tree.future and self.given_forward:
            return FORWARD
        sepset = next(scope for node, scope in tree.neighbours[source] if node == target)
        # Messages on the way to the future node make up α_t, whose scale is the evidence of the frame.
        counted = self.towards_future[source] == target
        return self.contract(source, self.incoming(source, target), sepset, target in (tree.past, tree.future), counted)

    def incoming(self, node: int, apart_from: int | None) -> list[int]:
        """The slots of what a node receives."""
        found = [self.message(source, node) for source in self._sources(node, apart_from)]
        if node == self.tree.future and self.given_future:
            found.append(FUTURE)
        return found

    def contract(self, node: int, reads: Sequence[int], result: Scope, last: bool, counted: bool) -> int:
        """The slot of Σ table × operands × evidence of a node, over `result`; scaled to sum to 1 if `last`."""
        tree = self.tree
        table, reads, evidence = self._operands(node, reads, counted)
        if not reads and not evidence and not last:
            return self._constant(node, table, result, counted)
        if table is None and not evidence and len(reads) == 1 and self.scopes[reads[0]] == result:
            (slot,) = reads
            if last and slot in self.steps:
                self.steps[slot] = replace(self.steps[slot], rescaled=True)
                self.weights[slot] = 1
            return slot
        if table is None and not set(evidence).union(*(self.scopes[i] for i in reads)).issuperset(tree.scopes[node]):
            table = self._ones(node)
        return self._add(tree.scopes[node], table, reads, evidence, result, last, counted)

    def tally(self, family: Scope) -> tuple[Tally, tuple[int, ...]]:
        """The tally of a family, read off the smallest clique that holds it, and the slots it reads."""
        tree = self.tree
        cliques = [node for node in range(tree.past) if set(tree.scopes[node]).issuperset(family)]
        node = min(cliques, key=tree.cells)
        table, reads, evidence = self._operands(node, self.incoming(node, None), False)
        table = self._ones(node) if table is None else table
        scopes = [self.scopes[i] for i in reads]
        return tally(tree.cards, tree.scopes[node], table, scopes, evidence, family), tuple(reads)

    def _operands(self, node: int, reads: Sequence[int], counted: bool) -> tuple[Array | None, list[int], Scope]:
        """What a node multiplies: a table (None for ones), slots, and variables with evidence."""
        evidence = tuple(v for v in self.tree.evidence[node] if v in self.observed)
        table = self._with_constants(node, [i for i in reads if i in self.constants], counted)
        reads = [i for i in reads if i not in self.constants]
        # A product of many messages could underflow before it is rescaled: those over one scope go a few at a time.
        while sum(self.weights[i] for i in reads) + bool(evidence) > self.most:
            reads.sort(key=lambda i: (len(self.scopes[i]), i))
            pairs = ((i, j) for k, i in enumerate(reads) for j in reads[k + 1 :])
            pair = next((pair for pair in pairs if set(self.scopes[pair[0]]) <= set(self.scopes[pair[1]])), None)
            if pair is None:
                break
            reads = [i for i in reads if i not in pair]
            scope = self.scopes[pair[1]]
            reads.append(self._add(scope, None, pair, (), scope, True, counted))
        return table, reads, evidence

    def _ones(self, node: int) -> Array:
        return np.ones([self.tree.cards[v] for v in self.tree.scopes[node]], dtype=self.dtype)

    def _with_constants(self, node: int, constants: Sequence[int], counted: bool) -> Array | None:
        """The table of a node times what never changes; None for ones."""
        tree, scope = self.tree, self.tree.scopes[node]
        table = None if node in tree.plain else tree.tables[node]
        for i in constants:
            constant = self.constants[i]
            if np.allclose(constant, 1.0, rtol=0.0, atol=ONES):
                continue
            laid = constant[tuple(slice(None) if v in self.scopes[i] else None for v in scope)]
            table = laid * (np.ones([tree.cards[v] for v in scope]) if table is None else table)
            largest = table.max()
            table = (table / largest).astype(self.dtype)
            self.log_scale += math.log(largest) if counted else 0.0
        return table

    def _constant(self, node: int, table: Array | None, result: Scope, counted: bool) -> int:
        """The slot of a message that depends on nothing."""
        scope = self.tree.scopes[node]
        full = np.ones([self.tree.cards[v] for v in scope]) if table is None else table.astype(np.float64)
        constant = full.sum(axis=tuple(k for k, v in enumerate(scope) if v not in result))
        largest = constant.max()
        self.log_scale += math.log(largest) if counted else 0.0
        self.scopes.append(result)
        self.weights.append(1)
        self.constants[len(self.scopes) - 1] = constant / largest
        return len(self.scopes) - 1

    def _add(
        self,
        scope: Scope,
        table: Array | None,
        reads: Sequence[int],
        evidence: Scope,
        result: Scope,
        rescaled: bool,
        counted: bool,
    ) -> int:
        weight = sum(self.weights[i] for i in reads) + bool(evidence)
        rescaled = rescaled or weight >= self.most
        planned = contraction(self.tree.cards, scope, table, [self.scopes[i] for i in reads], evidence, result)
        slot = len(self.scopes)
        self.steps[slot] = Step(planned, tuple(reads), slot, rescaled, counted)
        self.scopes.append(result)
        self.weights.append(1 if rescaled else max(1, weight))
        return slot

    def program(self, results: Sequence[int], families: Sequence[Scope] = ()) -> Program:
        """What was collected so far, as a program."""
        tallies = tuple(self.tally(family) for family in families)
        identities = {
            v: np.hstack([np.eye(self.tree.cards[v]), np.ones((self.tree.cards[v], 1))]).astype(self.dtype)
            for v in sorted(self.observed)
        }
        return Program(
            steps=tuple(self.steps.values()),
            results=tuple(results),
            tallies=tallies,
            slots=len(self.scopes),
            identities=identities,
            log_scale=self.log_scale,
            tiny=LIMITS[self.dtype].tiny,
        )


def filtering_program(tree: FrameTree, dtype: str, observed: Iterable[str], variables: Sequence[str]) -> Program:
    """Results: α_t, then W(v_t | e_1..t) of each variable; evidence is on `observed` only."""
    compiler = _Compiler(tree, dtype, observed, future=False, forward=False)
    (root, _), *_ = tree.neighbours[tree.future]
    alpha = compiler.message(root, tree.future)
    beliefs = [_belief(compiler, (tree.names.index(v),)) for v in variables]
    return compiler.program([alpha, *beliefs])


def smoothing_program(
    tree: FrameTree,
    dtype: str,
    observed: Iterable[str],
    variables: Sequence[str],
    families: Sequence[str] = (),
    backward: bool = True,
) -> Program:
    """Given α_{t−1}, α_t and β_t. Results: β_{t−1} if `backward`, each W(v_t | e), and each family's tally."""
    compiler = _Compiler(tree, dtype, observed, future=True, forward=True)
    results = []
    if backward:
        (leaf, _), *_ = tree.neighbours[tree.past]
        results.append(compiler.message(leaf, tree.past))
    results += [_belief(compiler, (tree.names.index(v),)) for v in variables]
    return compiler.program(results, [tuple(sorted(tree.families[v])) for v in families])


def _belief(compiler: _Compiler, scope: Scope) -> int:
    """The slot of the posterior over a scope, read off the smallest node that holds it."""
    tree = compiler.tree
    nodes = [node for node, held in enumerate(tree.scopes) if set(held).issuperset(scope) and node != tree.past]
    node = min(nodes, key=lambda node: (tree.cells(node), -node))
    return compiler.contract(node, compiler.incoming(node, None), scope, True, False)
