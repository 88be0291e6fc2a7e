"""The messages of one round and what they are made of, as pure JAX functions over flat arrays of messages.

`to_factors` and `to_variables` are the two halves of a round; the formulas stand at the head of `rounds`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from worldnets.inference.loopy.algebra import Algebra, Array
from worldnets.inference.loopy.graph import FactorGraph, Indices, Wiring, best_split, needs_normalising, size_classes

DIRECT_DEGREE = 8  # up to here all products but one are taken from both ends, in one fused pass


class Tables(NamedTuple):
    """The factors as one round reads them.

    Attributes:
        cells: for each factor group [F, a, b], f^{1/ρ_f} over its largest cell, in the algebra's numbers.
        log_scale: for each factor group [F], the logarithm of that largest cell (of f^{1/ρ_f}).
        constant: scalar, Σ ln of the factors without variables.
    """

    cells: tuple[Array, ...]
    log_scale: tuple[Array, ...]
    constant: Array


class Weights(NamedTuple):
    """Tree-reweighting.

    Attributes:
        factors: for each factor group [F], ρ_f.
        incoming: for each variable group [D, V], ρ of the factor of each message, 1 where padded.
        counting: for each variable group [V], 1 − Σ_{f∋v} ρ_f.
    """

    factors: tuple[Array, ...]
    incoming: tuple[Array, ...]
    counting: tuple[Array, ...]


def weights_of(graph: FactorGraph, rho: NDArray[np.float64], dtype: str) -> Weights:
    """Weights per group from ρ per factor, [factors]."""
    edge_rho = np.append(rho[[f for f, _ in graph.edges]], 1.0)
    edge_of_place = np.append(graph.wiring.edge_of_place, len(graph.edges))
    incoming = [edge_rho[edge_of_place[group.incoming[:, :, 0]]] for group in graph.wiring.variables]
    real = [edge_of_place[group.incoming[:, :, 0]] < len(graph.edges) for group in graph.wiring.variables]
    counting = [1.0 - np.where(there, values, 0.0).sum(0) for there, values in zip(real, incoming, strict=True)]
    place = lambda arrays: tuple(jnp.asarray(a, dtype) for a in arrays)
    return Weights(place(rho[members] for members in graph.group_factors), place(incoming), place(counting))


def prepare(algebra: Algebra, wiring: Wiring, log_tables: Array, weights: Weights | None) -> Tables:
    """Tables of every group from the flat vector of log cells, each scaled by its largest cell."""
    padded = jnp.concatenate([log_tables, jnp.full((1,), -jnp.inf, log_tables.dtype)])
    cells, scales = [], []
    for i, group in enumerate(wiring.factors):
        table = padded[group.cells]
        if weights is not None:
            table = table / weights.factors[i][:, None, None]
        largest = jax.lax.stop_gradient(table.max((1, 2)))
        scale = jnp.where(jnp.isfinite(largest), largest, 0.0)
        cells.append(algebra.from_log(table - scale[:, None, None]))
        scales.append(scale)
    return Tables(tuple(cells), tuple(scales), log_tables[wiring.constants].sum())


def to_factors(
    algebra: Algebra, wiring: Wiring, local: Array, messages: Array, weights: Weights | None
) -> tuple[Array, list[Array]]:
    """Variable→factor messages (flat, of any scale) and unnormalised beliefs per group [V, S, R].

    All products but one over D messages take 3·(D − 1) multiplications. No division, so zeros need no care. Products
    too small to be trusted become zero throughout, and so does all that is downstream of them: the totals there tell.
    """
    rows = local.shape[1]
    local = with_slot(local, algebra.zero)
    outgoing, beliefs = [], []
    for i, group in enumerate(wiring.variables):
        rho = None if weights is None else weights.incoming[i]
        out, belief = from_variables(algebra, take(messages, group.incoming), take(local, group.states), rho)
        outgoing.append(out.reshape(-1, rows))
        beliefs.append(belief)
    return _flat(outgoing, algebra.zero, local), beliefs


def from_variables(algebra: Algebra, into: Array, local: Array, rho: Array | None) -> tuple[Array, Array]:
    """Messages [D, V, S, R] and beliefs [V, S, R] of one group of variables, both unnormalised.

    The messages are normalised where their number and length could make them small (`needs_normalising`).

    Args:
        into: [D, V, S, R], messages from the factors.
        local: [V, S, R], φ.
        rho: [D, V], weights of those factors, or None for 1.
    """
    seen = into if rho is None else algebra.power(into, rho[:, :, None, None])
    degree, _, states, _ = seen.shape
    if degree <= DIRECT_DEGREE:
        before = [local]
        for message in seen[:-1]:
            before.append(algebra.times(before[-1], message))
        belief = algebra.times(before[-1], seen[-1])
        parts = before[-1:]
        after = seen[-1]
        for d in range(degree - 2, -1, -1):
            parts.insert(0, algebra.times(before[d], after))
            after = algebra.times(after, seen[d])
        out = jnp.stack(parts)
    else:
        out, belief = _by_halves(algebra, seen, local)
    if rho is not None:
        out = algebra.times(out, _own_part(algebra, into, rho[:, :, None, None]))
    return (algebra.normalise(out, 2)[0] if needs_normalising(degree, states) else out), belief


def _by_halves(algebra: Algebra, into: Array, local: Array) -> tuple[Array, Array]:
    """All products but one of many messages: pairs are multiplied upwards, and swapped on the way down."""
    levels = [into]
    while len(levels[-1]) > 1:
        level = levels[-1]
        half = len(level) // 2
        above = jnp.concatenate([algebra.times(level[:half], level[half : 2 * half]), level[2 * half :]])
        levels.append(algebra.rescale(above, 2) if len(levels) >= 3 else above)
    out = local[None]
    belief = algebra.times(local, levels[-1][0])
    for depth, level in list(enumerate(levels[:-1]))[::-1]:
        half = len(level) // 2
        pairs = out[:half]
        parts = [algebra.times(pairs, level[half : 2 * half]), algebra.times(pairs, level[:half]), out[half:]]
        out = jnp.concatenate(parts)
        out = algebra.rescale(out, 2) if depth >= 2 else out
    return out, belief


def _own_part(algebra: Algebra, message: Array, rho: Array) -> Array:
    """m^{ρ − 1}: what a message keeps back from its own factor. A state the factor forbids stays forbidden."""
    there = message > algebra.zero
    reweighted = algebra.from_log((rho - 1.0) * jnp.where(there, algebra.to_log(message), 0.0))
    return jnp.where(rho == 1.0, algebra.one, jnp.where(there, reweighted, algebra.zero))


def to_variables(
    algebra: Algebra, wiring: Wiring, splits: Sequence[int], tables: Tables, messages: Array
) -> tuple[list[Array], list[Array]]:
    """Factor→variable messages before normalising, and the messages that came in: [axes, s, R] for each size class."""
    classes, incoming = size_classes(wiring), []
    into: dict[tuple[int, int], Array] = {}
    for _, blocks in classes:
        places = [wiring.factors[g].incoming[axis] for g, axis in blocks]
        incoming.append(take(messages, jnp.concatenate(places)))
        ends = np.cumsum([0, *map(len, places)])
        into |= {block: incoming[-1][ends[k] : ends[k + 1]] for k, block in enumerate(blocks)}
    out: dict[tuple[int, int], Array] = {}
    for g, (group, split, table) in enumerate(zip(wiring.factors, splits, tables.cells, strict=True)):
        found = from_group(algebra, table, split, [into[g, axis] for axis in range(len(group.incoming))])
        out |= {(g, axis): message for axis, message in enumerate(found)}
    return [jnp.concatenate([out[block] for block in blocks]) for _, blocks in classes], incoming


def from_group(algebra: Algebra, table: Array, split: int, into: list[Array]) -> list[Array]:
    """All messages of one group of factors: tables [F, a, b] or [F, a, b, R], messages in and out [F, s, R] per axis.

    Each table is contracted twice, with the product of the messages into either half of its axes.
    """
    if len(into) == 1:
        return [jnp.broadcast_to(table.reshape(*into[0].shape[:2], -1), into[0].shape)]
    left, right = into[:split], into[split:]
    over_left = algebra.contract(table, _outer(algebra, right))
    over_right = algebra.contract(table.swapaxes(1, 2), _outer(algebra, left))
    return [*_leave_one_out(algebra, over_left, left), *_leave_one_out(algebra, over_right, right)]


def factor_belief(algebra: Algebra, table: Array, split: int, into: list[Array]) -> Array:
    """Unnormalised beliefs b_f ∝ f Π n of a group of factors, [F, a, b, R]; arguments as those of `from_group`."""
    table = table if table.ndim == 4 else table[..., None]
    left, right = into[:split], into[split:]
    belief = algebra.times(table, _outer(algebra, left)[:, :, None])
    return algebra.times(belief, _outer(algebra, right)[:, None]) if right else belief


def _outer(algebra: Algebra, messages: list[Array]) -> Array:
    product = messages[0]
    for message in messages[1:]:
        both = algebra.times(product[:, :, None], message[:, None])
        product = both.reshape(both.shape[0], -1, both.shape[-1])
    return product


def _leave_one_out(algebra: Algebra, potential: Array, messages: list[Array]) -> list[Array]:
    """For each axis, the sum over all other axes of potential [F, Π s, R] times the other axes' messages."""
    if len(messages) == 1:
        return [potential]
    split = best_split(tuple(message.shape[1] for message in messages))
    left, right = messages[:split], messages[split:]
    over_left, over_right = _outer(algebra, left), _outer(algebra, right)
    square = potential.reshape(potential.shape[0], over_left.shape[1], over_right.shape[1], potential.shape[-1])
    return [
        *_leave_one_out(algebra, algebra.total(algebra.times(square, over_right[:, None]), 2), left),
        *_leave_one_out(algebra, algebra.total(algebra.times(square, over_left[:, :, None]), 1), right),
    ]


def normalised(algebra: Algebra, outgoing: list[Array], like: Array) -> tuple[Array, Array]:
    """Flat factor→variable messages that sum to 1, and soundness [R]."""
    sound = jnp.ones(like.shape[1], bool)
    flat = []
    for messages in outgoing:
        scaled, fine = algebra.normalise(messages, 1)
        sound &= fine.all((0, 1))
        flat.append(scaled.reshape(-1, like.shape[1]))
    return _flat(flat, algebra.one, like), sound


def damped(algebra: Algebra, new: Array, old: Array, damping: Array, wiring: Wiring) -> Array:
    """Logarithms averaged: new^{1 − damping} · old^{damping}, normalised again."""
    mixed = algebra.times(algebra.power(new, 1.0 - damping), algebra.power(old, damping))
    parts, at = [], 0
    for size, blocks in size_classes(wiring):
        count = sum(len(wiring.factors[g].cells) for g, _ in blocks)
        parts.append(mixed[at : at + count * size].reshape(count, size, -1))
        at += count * size
    return normalised(algebra, parts, new)[0]


def _flat(parts: list[Array], slot: float, like: Array) -> Array:
    return jnp.concatenate([*parts, jnp.full((1, like.shape[1]), slot, like.dtype)])


def with_slot(messages: Array, value: float) -> Array:
    """Messages [places, R] and after them the slot that padding reads."""
    return jnp.concatenate([messages, jnp.full((1, messages.shape[1]), value, messages.dtype)])


def take(messages: Array, places: Array | Indices) -> Array:
    """Messages at places that are known to exist."""
    return messages.at[places].get(mode="promise_in_bounds")
