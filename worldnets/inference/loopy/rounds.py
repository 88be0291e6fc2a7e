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
from jax import numpy as jnp

from worldnets.inference.loopy.algebra import Algebra, Array
from worldnets.inference.loopy.graph import VariableIndices, Wiring, size_classes
from worldnets.inference.loopy.messages import (
    Tables,
    Weights,
    damped,
    normalised,
    prepare,
    take,
    to_factors,
    to_variables,
    with_slot,
)


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
            energy -= (b * take(with_slot(log_local, 0.0), group.states)).sum((0, 1))
    return energy


def _counting(group: VariableIndices, wiring: Wiring, weights: Weights | None, i: int) -> Array:
    if weights is not None:
        return weights.counting[i]
    return 1.0 - (group.incoming[:, :, 0] < len(wiring.uniform)).sum(0)


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
    return with_slot(start, algebra.one)


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
