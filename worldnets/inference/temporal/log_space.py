"""The same messages in log space, for the few rows whose evidence outruns the number type.

Rescaled messages lose a state that evidence makes 10^300 times less probable than another, which is right unless later
evidence brings it back by as much. In log space nothing is lost, at the cost of an exponential per cell; the engine
takes this way only for rows where a message nearly underflowed and past and future contradict each other that much.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.temporal.contraction import Scope
from worldnets.inference.temporal.tree import FrameTree

Log = NDArray[np.float64]  # [*states, rows], natural logarithms


class LogFrame:
    """All messages of one frame in log space.

    Args:
        tree: the frame's tree.
        codes: [variables of the tree, rows], −1 where unobserved.
        past, future: ln α_{t−1} and ln β_t over the interfaces, [*states, rows]; None for zeros.
    """

    def __init__(self, tree: FrameTree, codes: NDArray[np.intp], past: Log | None, future: Log | None) -> None:
        self.tree, self.rows = tree, codes.shape[1]
        self.own = [self._own(node, codes) for node in range(len(tree.scopes))]
        if past is not None:
            self.own[tree.past] = self.own[tree.past] + past
        if future is not None:
            self.own[tree.future] = self.own[tree.future] + future
        self.messages: dict[tuple[int, int], Log] = {}
        outwards = [(tree.future, -1)]
        for node, above in outwards:  # grows while it is read
            outwards += [(other, node) for other, _ in tree.neighbours[node] if other != above]
        edges = outwards[1:]
        for node, above in [*edges[::-1], *((above, node) for node, above in edges)]:
            sepset = next(scope for other, scope in tree.neighbours[node] if other == above)
            self.messages[node, above] = _sum_to(self._received(node, above), tree.scopes[node], sepset)

    def _own(self, node: int, codes: NDArray[np.intp]) -> Log:
        tree, scope = self.tree, self.tree.scopes[node]
        table = tree.tables[node]
        shape = (*(tree.cards[v] for v in scope), self.rows)
        total = np.zeros(shape) if table is None else np.broadcast_to(np.log(table)[..., None], shape).copy()
        for v in tree.evidence[node]:
            states = np.arange(tree.cards[v])[:, None]
            agrees = (codes[v] == UNOBSERVED) | (states == codes[v])
            total += _laid(np.where(agrees, 0.0, -np.inf), (v,), scope)
        return total

    def _received(self, node: int, apart_from: int | None) -> Log:
        total = self.own[node]
        for other, sepset in self.tree.neighbours[node]:
            if other != apart_from:
                total = total + _laid(self.messages[other, node], sepset, self.tree.scopes[node])
        return total

    def alpha(self) -> Log:
        """ln Σ over everything but the interface, without β_t: ln W(e_t, i_t | e_1..t−1) if α_{t−1} was normalised."""
        ((root, _),) = self.tree.neighbours[self.tree.future]
        return self.messages[root, self.tree.future] + self.tree.log_scale

    def beta(self) -> Log:
        """ln β_{t−1}, up to a constant per row."""
        ((leaf, _),) = self.tree.neighbours[self.tree.past]
        return self.messages[leaf, self.tree.past]

    def posterior(self, scope: Scope) -> NDArray[np.float64]:
        """W(scope | all that came in), [*states, rows]; `scope` ascending."""
        tree = self.tree
        nodes = [node for node, held in enumerate(tree.scopes) if set(held).issuperset(scope) and node != tree.past]
        node = min(nodes, key=tree.cells)
        value = _sum_to(self._received(node, None), tree.scopes[node], scope)
        total = _total(value)
        return np.exp(value - np.where(np.isfinite(total), total, 0.0))


def log_passes(
    trees: Sequence[FrameTree], codes: Sequence[NDArray[np.intp]], lag: int
) -> tuple[NDArray[np.float64], Iterator[tuple[int, LogFrame]]]:
    """Forward through all frames, then frame by frame with what comes up to `lag` frames later.

    Args:
        trees, codes: of every frame.

    Returns:
        ln W(e_t | e_1..t−1) [frames, rows] in nats, and an iterator over (frame from 0, its messages), from the last.
    """
    alphas: list[Log] = []
    increments = []
    for tree, now in zip(trees, codes, strict=True):
        alpha = LogFrame(tree, now, alphas[-1] if alphas else None, None).alpha()
        increments.append(_total(alpha))
        alphas.append(alpha - np.where(np.isfinite(increments[-1]), increments[-1], 0.0))

    def frames() -> Iterator[tuple[int, LogFrame]]:
        last = len(trees) - 1
        beta: Log | None = None
        for t in range(last, -1, -1):
            near = beta
            if t + lag < last:
                near = None
                for seen in range(t + lag, t, -1):
                    near = _centred(LogFrame(trees[seen], codes[seen], None, near).beta())
            frame = LogFrame(trees[t], codes[t], alphas[t - 1] if t else None, near)
            yield t, frame
            if t and t - 1 + lag >= last:
                beta = _centred(frame.beta())

    rows = codes[0].shape[1] if len(codes) else 0
    return np.array(increments).reshape(len(trees), rows), frames()


def _total(value: Log) -> Log:
    flat = value.reshape(-1, value.shape[-1])
    largest = flat.max(axis=0)
    shift = np.where(np.isfinite(largest), largest, 0.0)
    return np.log(np.exp(flat - shift).sum(axis=0)) + shift


def _centred(value: Log) -> Log:
    largest = value.reshape(-1, value.shape[-1]).max(axis=0)
    return value - np.where(np.isfinite(largest), largest, 0.0)


def _sum_to(value: Log, scope: Scope, result: Scope) -> Log:
    axes = tuple(k for k, v in enumerate(scope) if v not in result)
    if not axes:
        return value
    largest = value.max(axis=axes, keepdims=True)
    shift = np.where(np.isfinite(largest), largest, 0.0)
    return np.log(np.exp(value - shift).sum(axis=axes)) + shift.squeeze(axis=axes)


def _laid(value: Log, scope: Scope, span: Scope) -> Log:
    return value[(*(slice(None) if v in scope else None for v in span), slice(None))]
