"""Two ways to hold the numbers of sum-product: probabilities, which is fast, and logarithms, which never underflow.

Both offer the same operations, so that a round is written once. `normalise` also says whether its totals can be
trusted: in `Probability` a total below `tiny` may have lost terms to underflow, in `Logarithm` only a true zero fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import jax
from jax import numpy as jnp
from jax.lax import stop_gradient

Array = jax.Array


@dataclass(frozen=True)
class Probability:
    """Numbers as they are; totals below `tiny` are not trusted."""

    tiny: float
    zero: ClassVar[float] = 0.0
    one: ClassVar[float] = 1.0

    def times(self, x: Array, y: Array) -> Array:
        """x · y."""
        return x * y

    def contract(self, table: Array, messages: Array) -> Array:
        """Σ_b table[f, a, b] · messages[f, b, r], shape [f, a, r]; a table may have rows of its own, [f, a, b, r]."""
        if table.ndim == 4:
            return (table * messages[:, None]).sum(2)
        return jnp.einsum("fab,fbr->far", table, messages, precision=jax.lax.Precision.HIGHEST)

    def total(self, x: Array, axis: int) -> Array:
        """The sum over an axis."""
        return x.sum(axis)

    def normalise(self, x: Array, axis: int) -> tuple[Array, Array]:
        """x divided by its sum, zero where that cannot be trusted; and whether it can, the axis kept with size 1."""
        total = x.sum(axis, keepdims=True)
        sound = total >= self.tiny
        return x * jnp.where(sound, 1.0 / jnp.where(sound, total, 1.0), 0.0), sound

    def rescale(self, x: Array, axis: int) -> Array:
        """x divided by its largest entry; zero throughout if that cannot be trusted, so that later totals show it."""
        largest = stop_gradient(x.max(axis, keepdims=True))
        sound = largest >= self.tiny
        return x * jnp.where(sound, 1.0 / jnp.where(sound, largest, 1.0), 0.0)

    def power(self, x: Array, exponent: Array) -> Array:
        """x^exponent for exponents > 0."""
        return jnp.where(x > 0, jnp.where(x > 0, x, 1.0) ** exponent, 0.0)

    def from_log(self, x: Array) -> Array:
        """The number whose logarithm is x."""
        return jnp.exp(x)

    def to_log(self, x: Array) -> Array:
        """ln x, 0 where x = 0: such terms are multiplied by zero."""
        return jnp.log(jnp.where(x > 0, x, 1.0))

    def to_probability(self, x: Array) -> Array:
        """The number itself."""
        return x


@dataclass(frozen=True)
class Logarithm:
    """Numbers as their natural logarithms, zero as −∞."""

    zero: ClassVar[float] = -jnp.inf
    one: ClassVar[float] = 0.0

    def times(self, x: Array, y: Array) -> Array:
        """ln(e^x · e^y)."""
        return x + y

    def contract(self, table: Array, messages: Array) -> Array:
        """ln Σ_b exp(table[f, a, b] + messages[f, b, r]), shape [f, a, r]; a table may have rows of its own."""
        return self.total((table if table.ndim == 4 else table[..., None]) + messages[:, None], 2)

    def total(self, x: Array, axis: int) -> Array:
        """ln Σ exp x over an axis; −∞ with gradient zero where every term is −∞."""
        largest = stop_gradient(x.max(axis, keepdims=True))
        shift = jnp.where(jnp.isfinite(largest), largest, 0.0)
        # Where x = −∞ the derivative of exp would be 0 · ∞ further out: such terms are taken out before and after.
        there = x > -jnp.inf
        total = jnp.where(there, jnp.exp(jnp.where(there, x - shift, 0.0)), 0.0).sum(axis, keepdims=True)
        return jnp.where(total > 0, jnp.log(jnp.where(total > 0, total, 1.0)) + shift, -jnp.inf).squeeze(axis)

    def normalise(self, x: Array, axis: int) -> tuple[Array, Array]:
        """x less the logarithm of its sum, and whether that sum is above zero."""
        total = jnp.expand_dims(self.total(x, axis), axis)
        possible = total > -jnp.inf
        return x - jnp.where(possible, total, 0.0), possible

    def rescale(self, x: Array, axis: int) -> Array:
        """x less its largest entry."""
        largest = stop_gradient(x.max(axis, keepdims=True))
        return x - jnp.where(jnp.isfinite(largest), largest, 0.0)

    def power(self, x: Array, exponent: Array) -> Array:
        """ln (e^x)^exponent for exponents > 0."""
        return x * exponent

    def from_log(self, x: Array) -> Array:
        """The logarithm itself."""
        return x

    def to_log(self, x: Array) -> Array:
        """ln of the number, 0 where it is zero: such terms are multiplied by zero."""
        return jnp.where(x > -jnp.inf, x, 0.0)

    def to_probability(self, x: Array) -> Array:
        """e^x."""
        there = x > -jnp.inf
        return jnp.where(there, jnp.exp(jnp.where(there, x, 0.0)), 0.0)


Algebra = Probability | Logarithm


def algebra_of(space: str, dtype: str) -> Algebra:
    """The algebra of a name, "probability" or "logarithm"."""
    if space == "logarithm":
        return Logarithm()
    return Probability(1e-60 if dtype == "float64" else 1e-18)
