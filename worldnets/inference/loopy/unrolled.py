"""Rounds of message passing as one differentiable function of the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import numpy as jnp

from worldnets.inference.loopy import rounds as rounds_of
from worldnets.inference.loopy.algebra import Array, algebra_of
from worldnets.inference.loopy.graph import FactorGraph
from worldnets.inference.loopy.messages import damped, prepare, weights_of
from worldnets.net import FactorNet, WorldNet


def unrolled(
    graph: FactorGraph,
    net: WorldNet | FactorNet,
    rounds: int,
    start_rounds: int,
    damping: float,
    reweighting: Any,
    space: str,
) -> Callable[..., tuple[Array, Array, Array]]:
    """See `LoopyInference.unrolled`."""
    cells, states = int(graph.factor_cells[-1]), int(net.cardinalities.sum())

    def propagate(log_tables: Array, log_local: Array, start: Array | None = None) -> tuple[Array, Array, Array]:
        log_tables, log_local = jnp.asarray(log_tables), jnp.asarray(log_local)
        if log_tables.shape != (cells,) or log_local.ndim != 2 or log_local.shape[1] != states:
            from worldnets.errors import QueryError

            raise QueryError(
                "arrays of the wrong shape",
                found=f"log_tables {list(log_tables.shape)}, log_local {list(log_local.shape)}",
                expected=f"[{cells}] and [rows, {states}]",
                mend="start from LoopyInference.log_tables and LoopyInference.log_local(evidence)",
            )
        dtype = jnp.result_type(log_tables, log_local)
        algebra = algebra_of(space, str(dtype))
        place = lambda x: jnp.asarray(x, dtype if x.dtype.kind == "f" else None)
        wiring = jax.tree.map(place, graph.wiring)
        weights = None if reweighting is None else weights_of(graph, np.asarray(reweighting), str(dtype))
        tables = prepare(algebra, wiring, log_tables.astype(dtype), weights)
        fraction = None if damping == 0.0 else jnp.asarray(damping, dtype)

        def advance(local: Array, messages: Array) -> Array:
            new = rounds_of.step(algebra, wiring, graph.splits, tables, local, messages, weights).messages
            return new if fraction is None else damped(algebra, new, messages, fraction, wiring)

        def body(local: Array) -> Callable[[Array, None], tuple[Array, Array]]:
            def one(messages: Array, _: None) -> tuple[Array, Array]:
                new = advance(local, messages)
                return new, jax.lax.stop_gradient(rounds_of.largest_change(algebra, new, messages))

            return one

        first = (wiring.uniform if start is None else jnp.asarray(start, dtype))[:, None]
        nothing = jnp.full((states, 1), algebra.one, dtype)
        first, _ = jax.lax.scan(body(nothing), rounds_of.started(algebra, first, nothing), None, length=start_rounds)
        local = algebra.from_log(log_local.astype(dtype)).T
        messages = jnp.broadcast_to(first, (first.shape[0], local.shape[1]))
        messages, changes = jax.lax.scan(body(local), messages, None, length=rounds)
        last = rounds_of.step(algebra, wiring, graph.splits, tables, local, messages, weights)
        finite = jnp.where(log_local > -jnp.inf, log_local, 0.0).T
        bethe = rounds_of.free_energy(
            algebra, wiring, tables, last.outgoing, last.incoming, last.beliefs, finite, weights
        )
        return rounds_of.in_net_order(algebra, wiring, last.beliefs).T, bethe, changes

    return propagate
