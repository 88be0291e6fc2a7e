r"""Synchronous rounds of loopy sum-product and the Bethe free energy, as pure JAX functions over flat messages.

A state of the message passing is the flat array of factor→variable messages, [places, rows], each summing to 1. With
local evidence φ_v, factor weights ρ_f (all 1 unless reweighted) and messages m:

    n_{v→f}(x_v) ∝ φ_v(x_v) Π_{g∋v} m_{g→v}(x_v)^{ρ_g} / m_{f→v}(x_v)
    m_{f→v}(x_v) ∝ Σ_{x_f \ x_v} f(x_f)^{1/ρ_f} Π_{u∈f, u≠v} n_{u→f}(x_u)
    b_v(x_v) ∝ φ_v(x_v) Π_{f∋v} m_{f→v}(x_v)^{ρ_f}        b_f(x_f) ∝ f(x_f)^{1/ρ_f} Π_{u∈f} n_{u→f}(x_u)

    F = Σ_f [ρ_f Σ b_f ln b_f − Σ b_f ln f] + Σ_v [(1 − Σ_{f∋v} ρ_f) Σ b_v ln b_v − Σ b_v ln φ_v]   (nats)

The entropy of b_f needs no sum over cells: ln b_f is a sum of ln f / ρ_f, logarithms of messages and a constant.

Sources: Yedidia, Freeman & Weiss 2005, "Constructing free-energy approximations and generalized belief propagation
algorithms", for messages and F; for ρ ≠ 1 Wainwright, Jaakkola & Willsky 2005, "A new class of upper bounds on the log
partition function", and Wiegerinck & Heskes 2003, "Fractional belief propagation". In symbols of the second, ρ_f is
an edge's ρ_e and m their M.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from worldnets.inference.loopy.algebra import Algebra, Array
from worldnets.inference.loopy.graph import (
    FactorGraph,
    Indices,
    VariableIndices,
    Wiring,
    best_split,
    needs_normalising,
    size_classes,
)

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


class Rounds(NamedTuple):
    """What a run of rounds leaves behind, for each of R rows.

    Attributes:
        messages: [places + 1, R], factor→variable one round on, in the algebra's numbers.
        beliefs: [states, R], probabilities in the net's order of variables.
        bethe: [R], free energy of the last state.
        energies: [capacity + 1, R], free energy after round i.
        changes: [capacity + 1, R], the largest change of a factor→variable message in round i + 1.
        pending: [R], the largest change that one more, undamped, round would make.
        sound: [R], False where a total could not be trusted or (in logarithms) was truly zero, at some time.
        found: [capacity + 1, R], whether that had been so after round i.
    """

    messages: Array
    beliefs: Array
    bethe: Array
    energies: Array
    changes: Array
    pending: Array
    sound: Array
    found: Array


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
    local = _with_slot(local, algebra.zero)
    outgoing, beliefs = [], []
    for i, group in enumerate(wiring.variables):
        rho = None if weights is None else weights.incoming[i]
        out, belief = from_variables(algebra, _take(messages, group.incoming), _take(local, group.states), rho)
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
        incoming.append(_take(messages, jnp.concatenate(places)))
        ends = np.cumsum([0, *map(len, places)])
        into |= {block: incoming[-1][ends[k] : ends[k + 1]] for k, block in enumerate(blocks)}
    out: dict[tuple[int, int], Array] = {}
    for g, (group, split, table) in enumerate(zip(wiring.factors, splits, tables.cells, strict=True)):
        found = from_group(algebra, table, split, [into[g, axis] for axis in range(len(group.incoming))])
        out |= {(g, axis): message for axis, message in enumerate(found)}
    return [jnp.concatenate([out[block] for block in blocks]) for _, blocks in classes], incoming


def from_group(algebra: Algebra, table: Array, split: int, into: list[Array]) -> list[Array]:
    """All messages of one group of factors: tables [F, a, b], messages in and out [F, s, R] per axis.

    Each table is contracted twice, with the product of the messages into either half of its axes.
    """
    if len(into) == 1:
        return [jnp.broadcast_to(table.reshape(len(table), -1, 1), into[0].shape)]
    left, right = into[:split], into[split:]
    over_left = algebra.contract(table, _outer(algebra, right))
    over_right = algebra.contract(table.transpose(0, 2, 1), _outer(algebra, left))
    return [*_leave_one_out(algebra, over_left, left), *_leave_one_out(algebra, over_right, right)]


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


def free_energy(
    algebra: Algebra,
    wiring: Wiring,
    tables: Tables,
    outgoing: list[Array],
    incoming: list[Array],
    beliefs: list[Array],
    log_local: Array | None,
    weights: Weights | None,
) -> Array:
    """Bethe (or reweighted) free energy in nats, [R], of unnormalised beliefs and messages: the head of this module.

    Every axis of a factor gives the factor's normaliser, and counts for its share of it.
    """
    rows, dtype = beliefs[0].shape[-1], beliefs[0].dtype
    energy = jnp.full((rows,), -jnp.where(jnp.isfinite(tables.constant), tables.constant, 0.0), dtype)
    for (_, blocks), out, into in zip(size_classes(wiring), outgoing, incoming, strict=True):
        product = algebra.times(out, into)
        log_total = algebra.to_log(algebra.total(product, 1))
        marginal = algebra.to_probability(algebra.normalise(product, 1)[0])
        share = jnp.concatenate(
            [jnp.full(len(tables.log_scale[g]), 1.0 / len(wiring.factors[g].incoming), dtype) for g, _ in blocks]
        )
        scale = jnp.concatenate([tables.log_scale[g] for g, _ in blocks])
        of_axes = (marginal * algebra.to_log(into)).sum(1) - share[:, None] * (log_total + scale[:, None])
        if weights is not None:
            of_axes = jnp.concatenate([weights.factors[g] for g, _ in blocks])[:, None] * of_axes
        energy += of_axes.sum(0)
    for i, (group, product) in enumerate(zip(wiring.variables, beliefs, strict=True)):
        belief, _ = algebra.normalise(product, 1)
        b = algebra.to_probability(belief)
        energy += (_counting(group, wiring, weights, i)[:, None] * (b * algebra.to_log(belief)).sum(1)).sum(0)
        if log_local is not None:
            energy -= (b * _take(_with_slot(log_local, 0.0), group.states)).sum((0, 1))
    return energy


def _counting(group: VariableIndices, wiring: Wiring, weights: Weights | None, i: int) -> Array:
    if weights is not None:
        return weights.counting[i]
    return 1.0 - (group.incoming[:, :, 0] < len(wiring.uniform)).sum(0)


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


def largest_change(algebra: Algebra, new: Array, old: Array) -> Array:
    """Largest absolute difference of the messages' probabilities, [R]."""
    return jnp.abs(algebra.to_probability(new) - algebra.to_probability(old)).max(0, initial=0.0)


class Step(NamedTuple):
    """One round seen from a state: the undamped next state, and what the free energy of the first one is made of."""

    messages: Array  # [places + 1, R]
    sound: Array  # [R]
    beliefs: list[Array]
    outgoing: list[Array]
    incoming: list[Array]


def step(
    algebra: Algebra,
    wiring: Wiring,
    splits: Sequence[int],
    tables: Tables,
    local: Array,
    messages: Array,
    weights: Weights | None,
) -> Step:
    """All variable→factor messages, then all factor→variable messages."""
    into, beliefs = to_factors(algebra, wiring, local, messages, weights)
    outgoing, incoming = to_variables(algebra, wiring, splits, tables, into)
    new, sound = normalised(algebra, outgoing, local)
    return Step(new, sound & jnp.isfinite(tables.constant), beliefs, outgoing, incoming)


def trusted(algebra: Algebra, beliefs: list[Array]) -> Array:
    """Whether every belief's total can be trusted, [R]."""
    sound = jnp.ones(beliefs[0].shape[-1], bool)
    for belief in beliefs:
        sound &= algebra.normalise(belief, 1)[1].all((0, 1))
    return sound


def in_net_order(algebra: Algebra, wiring: Wiring, beliefs: list[Array]) -> Array:
    """Beliefs [states, R], normalised, as probabilities."""
    flat = [algebra.to_probability(algebra.normalise(b, 1)[0]).reshape(-1, b.shape[-1]) for b in beliefs]
    return jnp.concatenate(flat)[wiring.belief_places]


def local_evidence(algebra: Algebra, wiring: Wiring, codes: Array, log_likelihood: Array | None) -> tuple[Array, Array]:
    """φ as the algebra's numbers and ln φ with 0 for hard evidence and where φ = 0, both [states, R].

    Args:
        codes: [variables, R], observed states, −1 where unobserved.
        log_likelihood: [states, R] or None.
    """
    observed = codes[wiring.variable_of_state]
    agrees = (observed < 0) | (observed == wiring.code_of_state[:, None])
    dtype = wiring.uniform.dtype
    log_phi = jnp.zeros(observed.shape, dtype) if log_likelihood is None else log_likelihood.astype(dtype)
    log_phi = jnp.where(agrees, log_phi, -jnp.inf)
    phi = algebra.from_log(log_phi) if log_likelihood is not None else jnp.where(agrees, algebra.one, algebra.zero)
    return phi.astype(dtype), jnp.where(log_phi > -jnp.inf, log_phi, 0.0)


@functools.partial(jax.jit, static_argnames=("algebra", "splits", "capacity"))
def run(
    algebra: Algebra,
    wiring: Wiring,
    splits: tuple[int, ...],
    log_tables: Array,
    codes: Array,
    log_likelihood: Array | None,
    start: Array,
    rounds: Array,
    every: Array,
    damping: Array | None,
    weights: Weights | None,
    capacity: int,
) -> Rounds:
    """`rounds` synchronous rounds from the messages `start` ([places, 1 or R], probabilities); `capacity` ≥ rounds.

    The free energy is computed after each round if `every`, otherwise after the last.
    """
    local, log_phi = local_evidence(algebra, wiring, codes, log_likelihood)
    log_local = None if log_likelihood is None else log_phi
    tables = prepare(algebra, wiring, log_tables, weights)
    rows, dtype = local.shape[1], local.dtype
    messages = started(algebra, start, local)

    def body(i: Array, carry: Rounds) -> Rounds:
        # The pass that would be round i + 1 also evaluates the state after round i; the last pass only evaluates.
        done = step(algebra, wiring, splits, tables, local, carry.messages, weights)

        def evaluate() -> tuple[Array, Array, Array]:
            energy = free_energy(
                algebra, wiring, tables, done.outgoing, done.incoming, done.beliefs, log_local, weights
            )
            return energy, trusted(algebra, done.beliefs), in_net_order(algebra, wiring, done.beliefs)

        skip = lambda: (carry.bethe, carry.sound, carry.beliefs)
        bethe, fine, beliefs = jax.lax.cond(every | (i == rounds), evaluate, skip)
        new = done.messages if damping is None else damped(algebra, done.messages, carry.messages, damping, wiring)
        moved = largest_change(algebra, new, carry.messages)
        sound = carry.sound & done.sound & fine
        return Rounds(
            new,
            beliefs,
            bethe,
            carry.energies.at[i].set(bethe),
            carry.changes.at[i].set(moved),
            largest_change(algebra, done.messages, carry.messages) if damping is not None else moved,
            sound,
            carry.found.at[i].set(~sound),
        )

    none, per_round = jnp.zeros(rows, dtype), jnp.zeros((capacity + 1, rows), dtype)
    beliefs = jnp.zeros((len(wiring.belief_places), rows), dtype)
    found = jnp.zeros((capacity + 1, rows), bool)
    first = Rounds(messages, beliefs, none, per_round, per_round, none, jnp.ones(rows, bool), found)
    return jax.lax.fori_loop(0, rounds + 1, body, first)


def started(algebra: Algebra, start: Array, like: Array) -> Array:
    """Messages of a start ([places, 1 or R], probabilities) in the algebra's numbers, for every row, with the slot."""
    start = jnp.broadcast_to(start.astype(like.dtype), (start.shape[0], like.shape[1]))
    if algebra.one == 0.0:
        start = jnp.where(start > 0, jnp.log(jnp.where(start > 0, start, 1.0)), -jnp.inf)
    return _with_slot(start, algebra.one)


def _with_slot(messages: Array, value: float) -> Array:
    return jnp.concatenate([messages, jnp.full((1, messages.shape[1]), value, messages.dtype)])


def _flat(parts: list[Array], slot: float, like: Array) -> Array:
    return jnp.concatenate([*parts, jnp.full((1, like.shape[1]), slot, like.dtype)])


def _take(messages: Array, places: Array | Indices) -> Array:
    return messages.at[places].get(mode="promise_in_bounds")


@functools.partial(jax.jit, static_argnames=("algebra", "splits", "rounds"))
def recorded(
    algebra: Algebra,
    wiring: Wiring,
    splits: tuple[int, ...],
    log_tables: Array,
    codes: Array,
    log_likelihood: Array | None,
    start: Array,
    rounds: int,
    damping: Array | None,
    weights: Weights | None,
) -> tuple[Array, Array, Array]:
    """Every state of `rounds` rounds as probabilities.

    Returns:
        Factor→variable messages after round i [rounds + 1, places, R]; variable→factor messages of round i + 1, of any
        scale, [rounds + 1, places + 1, R]; beliefs after round i [rounds + 1, states, R].
    """
    local, _ = local_evidence(algebra, wiring, codes, log_likelihood)
    tables = prepare(algebra, wiring, log_tables, weights)

    def body(messages: Array, _: None) -> tuple[Array, tuple[Array, Array, Array]]:
        into, beliefs = to_factors(algebra, wiring, local, messages, weights)
        new = normalised(algebra, to_variables(algebra, wiring, splits, tables, into)[0], local)[0]
        new = new if damping is None else damped(algebra, new, messages, damping, wiring)
        states = in_net_order(algebra, wiring, beliefs)
        return new, (algebra.to_probability(messages[:-1]), algebra.to_probability(into), states)

    return jax.lax.scan(body, started(algebra, start, local), None, length=rounds + 1)[1]


def weights_of(graph: FactorGraph, rho: NDArray[np.float64], dtype: str) -> Weights:
    """Weights per group from ρ per factor, [factors]."""
    edge_rho = np.append(rho[[f for f, _ in graph.edges]], 1.0)
    edge_of_place = np.append(graph.wiring.edge_of_place, len(graph.edges))
    incoming = [edge_rho[edge_of_place[group.incoming[:, :, 0]]] for group in graph.wiring.variables]
    real = [edge_of_place[group.incoming[:, :, 0]] < len(graph.edges) for group in graph.wiring.variables]
    counting = [1.0 - np.where(there, values, 0.0).sum(0) for there, values in zip(real, incoming, strict=True)]
    place = lambda arrays: tuple(jnp.asarray(a, dtype) for a in arrays)
    return Weights(place(rho[members] for members in graph.group_factors), place(incoming), place(counting))
