"""A net as flat arrays: what compiled planners and kernels read instead of names and tables of many axes."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.net import FactorNet, WorldNet

Index = NDArray[np.int32]


class Network(NamedTuple):
    """Variables are columns of the code array; factor i of a `WorldNet` is the table of its variable i."""

    cards: Index  # [variables] number of states
    scope_start: Index  # [factors + 1] slice of `scope` and `stride` of each factor
    scope: Index  # columns, in the order of the table's axes
    stride: Index  # entries of the table per step of that variable's state
    table_start: NDArray[np.int64]  # [factors] where each table begins in `tables`
    tables: NDArray[np.floating[Any]]  # all tables, flat, last axis fastest; factors divided by their largest entry
    log_scale: float  # nats, the logarithm of what all tables together were divided by
    directed: bool  # whether variables without evidence below them may be pruned


def network(net: WorldNet | FactorNet, dtype: type[np.floating[Any]] = np.float64) -> Network:
    """The arrays of a net; made once per net and type, since nets are frozen."""
    key = f"_network_{np.dtype(dtype).name}"
    cached = net.__dict__.get(key)
    if cached is not None:
        return cached
    directed = isinstance(net, WorldNet)
    tables, log_scale = [table.ravel() for _, table in net.factors], 0.0
    if not directed:  # products of entries like e^300 would overflow
        largest = [float(table.max(initial=0.0)) or 1.0 for table in tables]
        tables = [table / one for table, one in zip(tables, largest, strict=True)]
        log_scale = math.fsum(map(math.log, largest))
    sizes = [table.size for _, table in net.factors]
    arrays = Network(
        cards=net.cardinalities.astype(np.int32),
        scope_start=np.cumsum([0, *(len(scope) for scope, _ in net.factors)], dtype=np.int32),
        scope=np.array([net.index[v] for scope, _ in net.factors for v in scope], dtype=np.int32),
        stride=np.array(
            [math.prod(table.shape[axis + 1 :]) for _, table in net.factors for axis in range(table.ndim)],
            dtype=np.int32,
        ),
        table_start=np.cumsum([0, *sizes])[:-1].astype(np.int64),
        tables=np.concatenate([np.empty(0), *tables]).astype(dtype),
        log_scale=log_scale,
        directed=directed,
    )
    net.__dict__[key] = arrays
    return arrays
