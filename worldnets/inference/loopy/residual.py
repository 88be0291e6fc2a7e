"""The residual schedule: the message with the largest pending change is sent next.

Every factor→variable message keeps the value it would be sent with now. Sending one changes what its variable tells
its other factors, and with that what those factors would send: only these are computed anew. Variable→factor messages
are not scheduled, they are read off when needed. A *round* is as many single messages sent as there are
factor→variable messages, so that rounds cost the network as many messages as synchronous ones; rows schedule
independently of each other. Ties go to the first edge.

Source: Elidan, McGraw & Koller 2006, "Residual belief propagation: informed scheduling for asynchronous message
passing".
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from worldnets.inference.loopy import rounds as synchronous
from worldnets.inference.loopy.algebra import Algebra, Array
from worldnets.inference.loopy.graph import (
    FactorGraph,
    Indices,
    Wiring,
    group_multiply_adds,
    size_classes,
    variable_multiply_adds,
)
from worldnets.inference.loopy.messages import Tables, Weights, damped, from_group, from_variables, prepare, to_factors
from worldnets.inference.loopy.rounds import Rounds


class Neighbours(NamedTuple):
    """Who must be told when a variable hears something new; a JAX pytree of index arrays.

    With E edges, P places of factor→variable and Q of variable→factor messages; `beyond` marks padding that is written
    nowhere.

    Attributes:
        variable: [E], the variable of each edge.
        places: [E + 1, S], its states among the factor→variable messages (padded: P, a slot that holds a one).
        outgoing: [E + 1, S], its states among the variable→factor messages (padded: beyond).
        edges: [V, D], the edges of each variable (padded: E).
        states: [V, S], its states among all states (padded: the last place, a zero).
        factors: per factor group [V, D_g], its members that each variable is in (padded: F, no factor).
        group_edges: per factor group and axis [F + 1], the edge (padded: beyond).
        group_places: per factor group and axis [F + 1, s], states among factor→variable messages (padded: beyond).
        group_incoming: per factor group and axis [F + 1, s], among variable→factor messages (padded: Q, a zero).
    """

    variable: Indices
    places: Indices
    outgoing: Indices
    edges: Indices
    states: Indices
    factors: tuple[Indices, ...]
    group_edges: tuple[tuple[Indices, ...], ...]
    group_places: tuple[tuple[Indices, ...], ...]
    group_incoming: tuple[tuple[Indices, ...], ...]


BEYOND = 2**30


def neighbours(graph: FactorGraph, variables: int) -> Neighbours:
    """Index the neighbourhoods of a factor graph."""
    wiring, edges = graph.wiring, graph.edges
    count, ones = len(edges), len(wiring.uniform)
    widest = max((len(p) for p in graph.factor_places), default=1)
    width = max([widest, *(int(c) + 1 for c in wiring.code_of_state)])
    places = np.full((count + 1, width), ones, np.int32)
    outgoing = np.full((count + 1, width), BEYOND, np.int32)
    at: list[list[int]] = [[] for _ in range(variables)]
    for e, (_, v) in enumerate(edges):
        places[e, : len(graph.factor_places[e])] = graph.factor_places[e]
        outgoing[e, : len(graph.variable_places[e])] = graph.variable_places[e]
        at[v].append(e)
    around = np.full((variables, max(1, max(map(len, at)))), count, np.int32)
    states = np.full((variables, width), len(wiring.variable_of_state), np.int32)
    for v in range(variables):
        around[v, : len(at[v])] = at[v]
        own = np.flatnonzero(wiring.variable_of_state == v)
        states[v, : len(own)] = own
    group_of, row_of = {}, {}
    for g, members in enumerate(graph.group_factors):
        for row, f in enumerate(members):
            group_of[int(f)], row_of[int(f)] = g, row
    factors = []
    for g, members in enumerate(graph.group_factors):
        rows = [[row_of[edges[e][0]] for e in es if group_of[edges[e][0]] == g] for es in at]
        table = np.full((variables, max(map(len, rows))), len(members), np.int32)
        for v, some in enumerate(rows):
            table[v, : len(some)] = some
        factors.append(table)
    begins, begin = {}, 0
    for size, blocks in size_classes(wiring):
        for g, axis in blocks:
            begins[g, axis] = begin
            begin += size * len(wiring.factors[g].cells)
    group_edges, group_places, group_incoming = [], [], []
    for g, group in enumerate(wiring.factors):
        these_edges, these_places, these_incoming = [], [], []
        for axis, incoming in enumerate(group.incoming):
            members, states_wide = incoming.shape
            own = np.reshape(begins[g, axis] + np.arange(members * states_wide), (members, states_wide))
            edge = wiring.edge_of_place[own[:, 0]]
            real = wiring.edge_of_place[own] < count
            these_edges.append(np.append(edge, BEYOND).astype(np.int32))
            these_places.append(_with_row(np.where(real, own, BEYOND), BEYOND))
            these_incoming.append(_with_row(incoming, _variable_places(wiring)))
        group_edges.append(tuple(these_edges))
        group_places.append(tuple(these_places))
        group_incoming.append(tuple(these_incoming))
    return Neighbours(
        np.array([v for _, v in edges], np.int32),
        places,
        outgoing,
        around,
        states,
        tuple(factors),
        tuple(group_edges),
        tuple(group_places),
        tuple(group_incoming),
    )


def _variable_places(wiring: Wiring) -> int:
    return sum(group.incoming.size for group in wiring.variables)


def _with_row(table: Indices, value: int) -> Indices:
    return np.concatenate([table, np.full((1, table.shape[1]), value)]).astype(np.int32)


def multiply_adds(graph: FactorGraph, around: Neighbours) -> int:
    """Multiplications and additions of one residual round for one row, padding included.

    As many messages are sent as there are edges, each with all that its variable and the factors around it then say.
    """
    each = variable_multiply_adds(around.edges.shape[1], around.states.shape[1])
    for group, split, members in zip(graph.wiring.factors, graph.splits, around.factors, strict=True):
        shape = tuple(places.shape[1] for places in group.incoming)
        each += members.shape[1] * group_multiply_adds(shape, split)
    return len(graph.edges) * each


class _Row(NamedTuple):
    """One row's state: current and pending factor→variable messages, variable→factor messages, and pending changes."""

    messages: Array
    pending: Array
    into: Array
    priority: Array
    sound: Array


@functools.partial(jax.jit, static_argnames=("algebra", "splits", "capacity"))
def run(
    algebra: Algebra,
    wiring: Wiring,
    splits: tuple[int, ...],
    around: Neighbours,
    log_tables: Array,
    codes: Array,
    log_likelihood: Array | None,
    start: Array,
    rounds: Array,
    damping: Array | None,
    weights: Weights | None,
    edge_weights: Array | None,
    capacity: int,
) -> Rounds:
    """`rounds` residual rounds from the messages `start`; results as `rounds.run` gives them."""
    local, log_phi = synchronous.local_evidence(algebra, wiring, codes, log_likelihood)
    log_local = None if log_likelihood is None else log_phi
    tables = prepare(algebra, wiring, log_tables, weights)
    rows, dtype = local.shape[1], local.dtype
    messages = synchronous.started(algebra, start, local)
    send = jax.vmap(functools.partial(_send, algebra, splits, around, tables, damping, edge_weights))
    with_zero = jnp.concatenate([local, jnp.full((1, rows), algebra.zero, dtype)]).T
    count = len(around.variable)

    def look(messages: Array) -> tuple[Array, Array, synchronous.Step]:
        into, _ = to_factors(algebra, wiring, local, messages, weights)
        done = synchronous.step(algebra, wiring, splits, tables, local, messages, weights)
        new = done.messages
        if damping is not None:
            new = damped(algebra, new, messages, damping, wiring)
        return into, new, done

    into, pending, _ = look(messages)
    gap = jnp.abs(algebra.to_probability(pending[:-1]) - algebra.to_probability(messages[:-1]))
    priority = jnp.zeros((count + 1, rows), dtype).at[wiring.edge_of_place].max(gap)[:count]
    state = _Row(messages.T, pending.T, into.T, priority.T, jnp.ones(rows, bool))

    def one_round(state: _Row) -> tuple[_Row, Array]:
        def body(_: Array, carry: tuple[_Row, Array]) -> tuple[_Row, Array]:
            state, largest = carry
            largest = jnp.maximum(largest, state.priority.max(1))
            return send(state, with_zero), largest

        return jax.lax.fori_loop(0, count, body, (state, jnp.zeros(rows, dtype)))

    def body(i: Array, carry: tuple[_Row, Rounds]) -> tuple[_Row, Rounds]:
        state, seen = carry
        messages = state.messages.T
        _, _, done = look(messages)
        bethe = synchronous.free_energy(
            algebra, wiring, tables, done.outgoing, done.incoming, done.beliefs, log_local, weights
        )
        sound = seen.sound & done.sound & synchronous.trusted(algebra, done.beliefs) & state.sound
        if count:
            after, change = jax.lax.cond(i < rounds, one_round, lambda s: (s, jnp.zeros(rows, dtype)), state)
        else:
            after, change = state, jnp.zeros(rows, dtype)
        seen = Rounds(
            messages,
            synchronous.in_net_order(algebra, wiring, done.beliefs),
            bethe,
            seen.energies.at[i].set(bethe),
            seen.changes.at[i].set(change),
            synchronous.largest_change(algebra, done.messages, messages),
            sound,
            seen.found.at[i].set(~sound),
        )
        return after, seen

    none, per_round = jnp.zeros(rows, dtype), jnp.zeros((capacity + 1, rows), dtype)
    beliefs = jnp.zeros((len(wiring.belief_places), rows), dtype)
    found = jnp.zeros((capacity + 1, rows), bool)
    first = Rounds(messages, beliefs, none, per_round, per_round, none, jnp.ones(rows, bool), found)
    return jax.lax.fori_loop(0, rounds + 1, body, (state, first))[1]


def _send(
    algebra: Algebra,
    splits: tuple[int, ...],
    around: Neighbours,
    tables: Tables,
    damping: Array | None,
    edge_weights: Array | None,
    state: _Row,
    local: Array,
) -> _Row:
    """Send the message with the largest pending change of one row, and update what is pending around its variable."""
    edge = jnp.argmax(state.priority)
    places = around.places[edge]
    # Padding reads and writes the last slot, which holds a one on both sides.
    messages = state.messages.at[places].set(state.pending[places])
    priority = state.priority.at[edge].set(0.0)
    pending, into, sound = state.pending, state.into, state.sound

    variable = around.variable[edge]
    edges = around.edges[variable]
    heard = messages[around.places[edges]][:, None, :, None]
    rho = None if edge_weights is None else edge_weights[edges][:, None]
    told, _ = from_variables(algebra, heard, local[around.states[variable]][None, :, None], rho)
    into = into.at[around.outgoing[edges]].set(told[:, 0, :, 0], mode="drop")
    for g, table in enumerate(tables.cells):
        members = around.factors[g][variable]
        incoming = [into[index[members]][..., None] for index in around.group_incoming[g]]
        real = members < table.shape[0]
        chosen = table[jnp.minimum(members, table.shape[0] - 1)]
        outgoing = from_group(algebra, chosen, splits[g], incoming)
        for axis, out in enumerate(outgoing):
            where = around.group_places[g][axis][members]
            old = messages.at[where].get(mode="fill", fill_value=algebra.zero)
            new, fine = algebra.normalise(out[..., 0], 1)
            sound &= (fine[:, 0] | ~real).all()
            if damping is not None:
                mixed = algebra.times(algebra.power(new, 1.0 - damping), algebra.power(old, damping))
                new = algebra.normalise(mixed, 1)[0]
            pending = pending.at[where].set(new, mode="drop")
            change = jnp.abs(algebra.to_probability(new) - algebra.to_probability(old)).max(1)
            priority = priority.at[around.group_edges[g][axis][members]].set(change, mode="drop")
    return _Row(messages, pending, into, priority, sound)
