"""Loopy sum-product as a pure function of tables, local evidence and damping, with every round's beliefs.

What an honest twin is made of, and what the exact response of its beliefs to a tilt is taken of. The rounds are those
of `worldnets.inference.loopy.rounds`; damping is an argument here, so that it can be fitted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.loopy import LoopyInference
from worldnets.net import FactorNet, WorldNet

Floats = NDArray[np.float64]


class Passed(NamedTuple):
    """Rounds that were performed. T = rounds + 1, the first before any evidence was heard.

    Attributes:
        beliefs: [N, T, rows, states], of all variables side by side.
        changes: [N, T, rows], the largest change of a message in the next round.
        bethe: [N, T, rows], nats.
    """

    beliefs: Floats
    changes: Floats
    bethe: Floats


@dataclass(frozen=True, eq=False)
class Procedure:
    """Synchronous message passing on nets of one graph: a schedule, without tables.

    Args:
        net: any net with this graph; its tables are not looked at.
        rounds: how many are performed.
    """

    net: WorldNet | FactorNet
    rounds: int

    @functools.cached_property
    def start_rounds(self) -> int:
        """Rounds without evidence that lead to the no-evidence fixed point of a Bayes net: its longest path."""
        if isinstance(self.net, FactorNet):
            return len(self.net.variables)
        length: dict[str, int] = {}
        for v in self.net.order:
            length[v] = 1 + max((length[p] for p in self.net.parents(v)), default=0)
        return max(length.values(), default=0)

    @functools.cached_property
    def engine(self) -> LoopyInference:
        """Where graph and local evidence come from."""
        return LoopyInference(self.net)

    def states(self, variable: str) -> slice:
        """Where a variable's states lie among all states."""
        bounds = np.cumsum([0, *self.net.cardinalities])
        place = self.net.index[variable]
        return slice(int(bounds[place]), int(bounds[place + 1]))

    def passed(self, log_tables: Floats, log_local: Floats, damping: Floats | float = 0.0) -> Passed:
        """Perform the rounds.

        Args:
            log_tables: [N, cells], of N nets.
            log_local: [rows, states] or [N, rows, states]: 0 where nothing is known, −∞ for excluded states, a tilt in
                nats where there is one. The no-evidence start does not hear it.
            damping: a number or [N].
        """
        import jax

        with jax.enable_x64(True):
            found = self._compiled(*self._arguments(log_tables, log_local, damping))
            return Passed(*(np.asarray(array) for array in found))

    def response(
        self, log_tables: Floats, log_local: Floats, direction: Floats, damping: Floats | float = 0.0
    ) -> tuple[Floats, Floats]:
        """Beliefs [N, T, rows, states] and their exact derivative along a direction of local evidence."""
        import jax

        with jax.enable_x64(True):
            found = self._responding(*self._arguments(log_tables, log_local, damping), np.asarray(direction))
            return np.asarray(found[0]), np.asarray(found[1])

    def response_to_damping(
        self, log_tables: Floats, log_local: Floats, damping: Floats | float
    ) -> tuple[Floats, Floats]:
        """Beliefs and their exact derivative in the damping."""
        import jax

        with jax.enable_x64(True):
            found = self._damping(*self._arguments(log_tables, log_local, damping))
            return np.asarray(found[0]), np.asarray(found[1])

    def _arguments(self, log_tables: Floats, log_local: Floats, damping: Floats | float) -> tuple[Any, ...]:
        tables = np.atleast_2d(np.asarray(log_tables, dtype=np.float64))
        local = np.asarray(log_local, dtype=np.float64)
        local = np.broadcast_to(local, (len(tables), *local.shape[-2:]))
        return tables, local, np.broadcast_to(np.asarray(damping, dtype=np.float64), (len(tables),))

    @functools.cached_property
    def _one(self) -> Callable[..., Any]:
        import jax
        from jax import numpy as jnp

        from worldnets.inference.loopy import rounds as rounds_of
        from worldnets.inference.loopy.algebra import Logarithm
        from worldnets.inference.loopy.messages import damped, prepare

        class Supported(Logarithm):
            """Logarithms in which what is impossible stays so under any power, 0 among them: damping is traced."""

            def power(self, x: Any, exponent: Any) -> Any:
                there = x > -jnp.inf
                return jnp.where(there, jnp.where(there, x, 0.0) * exponent, -jnp.inf)

        graph, rounds, start_rounds = self.engine.graph, self.rounds, self.start_rounds
        states, algebra = int(self.net.cardinalities.sum()), Supported()

        def one(log_tables: Any, log_local: Any, damping: Any) -> Any:
            wiring = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if x.dtype.kind == "f" else x, graph.wiring)
            tables = prepare(algebra, wiring, log_tables, None)
            local = log_local.T
            finite = jnp.where(log_local > -jnp.inf, log_local, 0.0).T

            def look(known: Any, messages: Any) -> Any:
                return rounds_of.step(algebra, wiring, graph.splits, tables, known, messages, None)

            def body(messages: Any, _: None) -> Any:
                here = look(local, messages)
                beliefs = rounds_of.in_net_order(algebra, wiring, here.beliefs).T
                energy = rounds_of.free_energy(
                    algebra, wiring, tables, here.outgoing, here.incoming, here.beliefs, finite, None
                )
                new = damped(algebra, here.messages, messages, damping, wiring)
                moved = rounds_of.largest_change(algebra, new, messages)
                return new, (beliefs, jax.lax.stop_gradient(moved), energy)

            nothing = jnp.zeros((states, 1), jnp.float64)
            start = rounds_of.started(algebra, jnp.asarray(wiring.uniform)[:, None], nothing)
            start, _ = jax.lax.scan(lambda m, _: (look(nothing, m).messages, None), start, None, length=start_rounds)
            # Before any evidence is heard a belief is the start's: what the row's own local evidence adds comes with
            # the rounds.
            before = rounds_of.in_net_order(algebra, wiring, look(nothing, start).beliefs).T
            messages = jnp.broadcast_to(start, (start.shape[0], local.shape[1]))
            _, (beliefs, moved, energy) = jax.lax.scan(body, messages, None, length=rounds + 1)
            beliefs = jnp.concatenate([jnp.broadcast_to(before, beliefs[:1].shape), beliefs[1:]])
            return beliefs, moved, energy

        return one

    @functools.cached_property
    def _compiled(self) -> Callable[..., Any]:
        import jax

        return jax.jit(jax.vmap(self._one))

    @functools.cached_property
    def _responding(self) -> Callable[..., Any]:
        import jax
        from jax import numpy as jnp

        def along(tables: Any, local: Any, damping: Any, direction: Any) -> Any:
            beliefs = lambda known: self._one(tables, known, damping)[0]
            return jax.jvp(beliefs, (local,), (jnp.broadcast_to(direction, local.shape),))

        return jax.jit(jax.vmap(along, in_axes=(0, 0, 0, None)))

    @functools.cached_property
    def _damping(self) -> Callable[..., Any]:
        import jax
        from jax import numpy as jnp

        def along(tables: Any, local: Any, damping: Any) -> Any:
            return jax.jvp(lambda d: self._one(tables, local, d)[0], (damping,), (jnp.ones_like(damping),))

        return jax.jit(jax.vmap(along))
