"""Checks that every engine makes of what it is given."""

from __future__ import annotations

from typing import Any

from worldnets.errors import QueryError
from worldnets.inference.limits import LIMITS
from worldnets.net import FactorNet, WorldNet


def check_net(net: object) -> None:
    """Raise unless this is a net whose variables all stand side by side."""
    if not isinstance(net, WorldNet | FactorNet):
        mend = "give a WorldNet or a FactorNet (a TwoSliceNet: TemporalInference, or unroll it)"
        raise QueryError("message passing is about nets", found=type(net).__name__, mend=mend)


def check_dtype(dtype: object) -> None:
    """Raise unless this names a number type that engines compute in."""
    if dtype not in LIMITS:
        raise QueryError("unknown number type", found=repr(dtype), expected="'float64' or 'float32'", mend="use one")


def check_threads(threads: Any) -> None:
    """Raise unless this is a number of threads, or None."""
    if threads is None or (isinstance(threads, int) and not isinstance(threads, bool) and threads >= 1):
        return
    raise QueryError("threads must be at least 1", found=repr(threads), mend="leave it out to use all processors")
