"""Posteriors of a family, summed over rows: what learning counts.

A table per row would cost (states of the family) × rows numbers. Where the operands split into two groups that share
few variables, as α over the parents and β over the child do, the sum over rows is itself a matrix product:
Σ_r w_r A[a, r] B[b, r] = (A diag(w)) Bᵀ, and the family's table multiplies the result once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.temporal.contraction import Array, Contraction, Indicators, Scope, contraction

Operand = tuple[int, Scope]  # position among the messages (−1 − v for evidence on v), scope


@dataclass(frozen=True, eq=False)
class Tally:
    """Σ_rows weight[row] W(family | row), shape [*states of the family], its variables ascending.

    Attributes:
        left, right: products of the two groups of operands, over (shared, own) variables; None where `whole` is used.
        table: [shared, left, right, free]: of the family, axes as the groups need them.
        unfold, order: from there back to ascending axes.
        whole: the posterior of every row, where operands reach beyond the family.
    """

    left: Contraction | None
    right: Contraction | None
    reads: tuple[tuple[int, ...], ...]  # of the messages, those of either group
    axes: tuple[tuple[int, ...], ...]  # transpositions of either product to (shared, own, rows)
    sizes: tuple[int, int, int]  # shared, left, right
    table: Array | None
    reduced: Array | None  # [shared, left, right]
    unfold: tuple[int, ...]
    order: tuple[int, ...]
    whole: Contraction | None
    multiply_adds: int
    cells_in_flight: int

    def __call__(
        self, messages: Sequence[Array], indicators: Indicators, rows: int, weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The weighted sum; rows whose evidence is impossible add nothing."""
        if self.whole is not None:
            value, _ = self.whole(messages, indicators, rows)
            flat = value.reshape(-1, rows)
            counts = flat @ _shares(weights, flat.sum(axis=0))
            return counts.reshape(value.shape[:-1])
        assert self.left is not None
        assert self.right is not None
        assert self.table is not None
        assert self.reduced is not None
        shared, own, other = self.sizes
        parts = []
        for side, reads, axes, size in zip((self.left, self.right), self.reads, self.axes, (own, other), strict=True):
            product, _ = side([messages[i] for i in reads], indicators, rows)
            parts.append(product.transpose(axes).reshape(shared, size, rows))
        left, right = parts
        total = (left * np.matmul(self.reduced, right)).sum(axis=(0, 1))
        pairs = np.matmul(left * _shares(weights, total), right.transpose(0, 2, 1))
        return (self.table * pairs[..., None]).reshape(self.unfold).transpose(self.order)


def _shares(weights: NDArray[np.float64], total: Array) -> Array:
    return np.where(total > 0, weights, 0.0).astype(total.dtype) / (total + (total == 0))


def tally(
    cards: Sequence[int],
    scope: Scope,
    table: Array,
    messages: Sequence[Scope],
    evidence: Sequence[int],
    family: Scope,
) -> Tally:
    """Plan a tally of `family`, inside `scope`, the scope of `table`; other arguments as for `contraction`."""
    operands: list[Operand] = [(i, one) for i, one in enumerate(messages)] + [(-1 - v, (v,)) for v in evidence]
    reached = {v for _, one in operands for v in one}
    if not operands or not reached <= set(family):
        whole = contraction(cards, scope, table, messages, evidence, family)
        return _of_whole(whole)
    table = table.sum(axis=tuple(k for k, v in enumerate(scope) if v not in family))
    largest = max((one for _, one in operands), key=lambda one: (math.prod(cards[v] for v in one), one))
    groups = [
        [operand for operand in operands if set(operand[1]) <= set(largest)],
        [operand for operand in operands if not set(operand[1]) <= set(largest)],
    ]
    spans = [{v for _, one in group for v in one} for group in groups]
    shared = tuple(sorted(spans[0] & spans[1]))
    own, other = (tuple(sorted(span - set(shared))) for span in spans)
    free = tuple(v for v in family if v not in reached)
    axes = (*shared, *own, *other, *free)
    sizes = [math.prod(cards[v] for v in part) for part in (shared, own, other, free)]
    laid = np.ascontiguousarray(table.transpose([family.index(v) for v in axes]).reshape(sizes))
    sides = [_product(cards, group) for group in groups]
    cells = math.prod(sizes[:3])
    return Tally(
        left=sides[0],
        right=sides[1],
        reads=tuple(tuple(i for i, _ in group if i >= 0) for group in groups),
        axes=tuple(
            (*(sorted(span).index(v) for v in (*shared, *part)), len(span))
            for span, part in zip(spans, (own, other), strict=True)
        ),
        sizes=(sizes[0], sizes[1], sizes[2]),
        table=laid,
        reduced=np.ascontiguousarray(laid.sum(axis=3)),
        unfold=tuple(cards[v] for v in axes),
        order=tuple(axes.index(v) for v in family),
        whole=None,
        multiply_adds=sum(side.multiply_adds for side in sides) + 2 * cells,
        cells_in_flight=sum(side.cells_in_flight for side in sides) + 2 * sizes[0] * (sizes[1] + sizes[2]),
    )


def _product(cards: Sequence[int], group: Sequence[Operand]) -> Contraction:
    """The product of a group's operands over all their variables, ascending; ones for an empty group."""
    span = tuple(sorted({v for _, one in group for v in one}))
    messages = [one for i, one in group if i >= 0]
    return contraction(cards, span, None, messages, [-1 - i for i, _ in group if i < 0], span)


def _of_whole(whole: Contraction) -> Tally:
    return Tally(None, None, (), (), (0, 0, 0), None, None, (), (), whole, whole.multiply_adds, whole.cells_in_flight)
