"""One message as array work: multiply what came in into a table, sum out what the receiver does not know.

Arrays carry the batch of rows on their *last* axis: a message over a scope has shape [*states of the scope, rows].
A scope is an ascending tuple of variable numbers, so that axes of different arrays always agree in order.

A table that does not depend on the row is the matrix of a linear map, so a message is a matrix product wherever sums
are taken (BLAS), and a lookup where nothing but evidence came in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scope = tuple[int, ...]
Array = NDArray[np.floating]
LOOKUP_CELLS = 2**20  # a table from evidence to message may have as many cells


@dataclass(frozen=True, eq=False)
class _Alignment:
    """How an operand is laid along the axes of a product: a transposition, then new axes of length 1."""

    operand: int  # position among the messages, or −1 − variable for an indicator
    axes: tuple[int, ...]
    index: tuple[Any, ...]

    def __call__(self, messages: Sequence[Array], indicators: Indicators) -> Array:
        array = messages[self.operand] if self.operand >= 0 else indicators[-1 - self.operand]
        return array.transpose(self.axes)[self.index]


class Indicators:
    """Evidence of one frame as operands: [states, rows], 1 where the state agrees; made when first asked for."""

    def __init__(self, codes: NDArray[np.intp], identities: Mapping[int, Array]) -> None:
        self.codes, self._identities = codes, identities
        self._made: dict[int, Array] = {}

    def __getitem__(self, variable: int) -> Array:
        if variable not in self._made:
            # An unobserved code is −1, and the last column is all ones.
            self._made[variable] = self._identities[variable].take(self.codes[variable], axis=1, mode="wrap")
        return self._made[variable]


@dataclass(frozen=True, eq=False)
class Contraction:
    """out[s, row] = Σ_{x agrees with s} table[x] Π_k message_k[x, row] Π_v [x_v agrees with the evidence on v].

    Built by `contraction`. Exactly one of three ways is taken: `lookup` (everything summed over is evidence),
    sums over a product of operands (`summed`; `matrix` None stands for a table of ones), or neither: only `constant`.
    Operands that live inside the result's scope are multiplied afterwards, where there are fewest cells.

    Attributes:
        multiply_adds: per row.
        cells_in_flight: numbers held per row.
    """

    shape: tuple[int, ...]  # of the result, without rows
    lookup: Array | None  # [cells, joint codes + 1 each]; columns scaled to a largest entry of 1
    lookup_log: NDArray[np.float64] | None  # [joint codes], nats: what the columns were divided by
    lookup_codes: tuple[tuple[int, int, int], ...]  # variable, its states + 1, stride
    matrix: Array | None  # [shared, new, summed]
    constant: Array | None  # [*shape, 1]
    sizes: tuple[int, int, int]  # shared, new, summed
    summed: tuple[_Alignment, ...]
    unfold: tuple[int, ...]  # shape [*shared, *new] of the sum
    order: tuple[int, ...]  # the transposition from there to the result's scope
    after: tuple[_Alignment, ...]
    multiply_adds: int
    cells_in_flight: int

    def __call__(
        self, messages: Sequence[Array], indicators: Indicators, rows: int
    ) -> tuple[Array, NDArray[np.float64] | None]:
        """The result [*shape, rows], and the logarithm in nats of what it was divided by (None: nothing)."""
        log, after = None, self.after
        if self.lookup is not None:
            assert self.lookup_log is not None
            position = self._position(indicators.codes)
            out = self.lookup.take(position, axis=1, mode="wrap")
            log = self.lookup_log.take(position, mode="wrap")
        elif self.summed:
            out = self._sum(messages, indicators, rows)
        else:
            first = np.ones((1,)) if self.constant is None else self.constant
            if not after:
                dtype = first.dtype
                return np.broadcast_to(first, (*self.shape, rows)).astype(dtype), log
            operand, after = after[0](messages, indicators), after[1:]
            if operand.shape[:-1] == self.shape and self.constant is None:
                out = operand.copy() if not after else operand * after[0](messages, indicators)
                after = after[1:]
            else:
                out = np.empty((*self.shape, rows), dtype=operand.dtype)
                np.multiply(operand, first.astype(operand.dtype, copy=False), out=out)
            for one in after:
                out *= one(messages, indicators)
            return out, log
        out = out.reshape(*self.unfold, rows).transpose(*self.order, len(self.order))
        for one in after:
            out *= one(messages, indicators)
        return out, log

    def _position(self, codes: NDArray[np.intp]) -> NDArray[np.intp]:
        (first, _, stride), *others = self.lookup_codes
        position = codes[first]
        if not others:
            return position  # −1, unobserved, wraps round to the last column
        position = np.where(position < 0, self.lookup_codes[0][1] - 1, position) * stride
        for variable, states, stride in others:
            position += np.where(codes[variable] < 0, states - 1, codes[variable]) * stride
        return position

    def _sum(self, messages: Sequence[Array], indicators: Indicators, rows: int) -> Array:
        shared, _, summed = self.sizes
        product = self.summed[0](messages, indicators)
        for one in self.summed[1:]:
            product = product * one(messages, indicators)
        product = product.reshape(shared, summed, rows)
        if self.matrix is None:
            return product.sum(axis=1)
        if shared == 1:
            return np.matmul(self.matrix[0], product[0])
        if summed == 1:  # no sum: NumPy multiplies such matrices one by one
            return self.matrix[:, :, 0, None] * product
        return np.matmul(self.matrix, product)


def contraction(
    cards: Sequence[int],
    scope: Scope,
    table: Array | None,
    messages: Sequence[Scope],
    evidence: Sequence[int],
    result: Scope,
) -> Contraction:
    """Plan a contraction.

    Args:
        cards: states of every variable.
        scope: of the table.
        table: shape [*states of the scope], or None for ones: then every variable of the result is in a message.
        messages: their scopes, inside `scope`.
        evidence: variables of `scope` whose indicators are multiplied in.
        result: the scope of the result, inside `scope`.
    """
    wanted = set(result)
    operands = [(i, one) for i, one in enumerate(messages)] + [(-1 - v, (v,)) for v in evidence]
    before = [(i, one) for i, one in operands if not wanted.issuperset(one)]
    after = [(i, one) for i, one in operands if wanted.issuperset(one)]
    reached = {v for _, one in before for v in one}
    if table is None and not wanted <= reached and before:
        # Without a table the sum alone must span the result.
        before, after = operands, []
        reached = {v for _, one in before for v in one}
    shared = tuple(v for v in result if v in reached)
    new = tuple(v for v in result if v not in reached)
    summed = tuple(v for v in scope if v in reached and v not in wanted)
    size = {part: math.prod(cards[v] for v in part) for part in (shared, new, summed)}

    lookup = lookup_log = matrix = constant = None
    lookup_codes: list[tuple[int, int, int]] = []
    choices = math.prod(cards[v] + 1 for v in summed)
    if table is None:
        reduced = None
    else:
        axes = tuple(k for k, v in enumerate(scope) if v not in wanted and v not in reached)
        left = [v for v in scope if v in wanted or v in reached]
        reduced = table.sum(axis=axes).transpose([left.index(v) for v in (*shared, *new, *summed)])
        if not before:
            constant = reduced[..., None]
        elif all(i < 0 for i, _ in before) and choices * size[new] <= LOOKUP_CELLS:
            lookup, lookup_log = _lookup_table(reduced.reshape(size[new], *(cards[v] for v in summed)))
            stride = choices
            for v in summed:
                stride //= cards[v] + 1
                lookup_codes.append((v, cards[v] + 1, stride))
            before = []
        else:
            matrix = np.ascontiguousarray(reduced.reshape(size[shared], size[new], size[summed]))

    span = (*shared, *summed)
    cells = size[shared] * size[summed]
    out_cells = math.prod(cards[v] for v in result)
    # A product of matrices multiplies and adds at every cell.
    work = cells * len(before) + (2 * cells * size[new] if before else 0) + out_cells * (len(after) + 1)
    return Contraction(
        shape=tuple(cards[v] for v in result),
        lookup=lookup,
        lookup_log=lookup_log,
        lookup_codes=tuple(lookup_codes),
        matrix=matrix,
        constant=constant,
        sizes=(size[shared], size[new], size[summed]),
        summed=tuple(_aligned(i, one, span) for i, one in before),
        unfold=tuple(cards[v] for v in (*shared, *new)),
        order=tuple((*shared, *new).index(v) for v in result),
        after=tuple(_aligned(i, one, result) for i, one in after),
        multiply_adds=work,
        cells_in_flight=2 * out_cells + (2 * cells if len(before) > 1 or shared else 0),
    )


def _lookup_table(table: Array) -> tuple[Array, NDArray[np.float64]]:
    """Columns for every joint code of the axes after the first; one more code per axis stands for "unobserved"."""
    for axis in range(1, table.ndim):
        table = np.concatenate([table, table.sum(axis=axis, keepdims=True)], axis=axis)
    columns = table.reshape(len(table), -1)
    largest = columns.max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)
    return np.ascontiguousarray(columns / largest), np.log(largest.astype(np.float64))


def _aligned(operand: int, scope: Scope, span: Scope) -> _Alignment:
    inside = [v for v in span if v in scope]
    axes = (*(scope.index(v) for v in inside), len(scope))
    index = (*(slice(None) if v in scope else None for v in span), slice(None))
    return _Alignment(operand, axes, index)
