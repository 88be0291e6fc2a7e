"""When message passing rescales, by number type."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """When a clique is rescaled, and the scale carried in the row's log evidence: before a product can underflow.

    Children's messages sum to 1, so `messages` of them in a row cannot underflow the type unless they contradict each
    other by more than `tiny`; a clique whose total still falls below `tiny` is rescaled before it is divided by.
    """

    messages: int
    tiny: float


LIMITS = {"float64": Limits(3, 1e-100), "float32": Limits(1, 1e-15)}
