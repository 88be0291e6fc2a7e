"""Hypothesis strategies shared by the tests: random nets of many kinds, small enough to enumerate."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from worldnets.net import Factor, FactorNet, WorldNet

SHAPES = ("tree", "polytree", "dense", "sparse", "disconnected", "chain", "grid")
JOINT_LIMIT = 200_000


@st.composite
def world_nets(
    draw: st.DrawFn,
    max_variables: int = 8,
    max_cardinality: int = 5,
    max_joint: int = JOINT_LIMIT,
    shapes: tuple[str, ...] = SHAPES,
    names: st.SearchStrategy[str] | None = None,
    labels: st.SearchStrategy[str] | None = None,
) -> WorldNet:
    """A random net whose joint has at most `max_joint` cells; some tables hold zeros, some are deterministic.

    Variables are not listed in topological order. Names are plain unless strategies are given.
    """
    shape = draw(st.sampled_from(shapes))
    n = draw(st.integers(1, max_variables))
    sizes: list[int] = []
    for _ in range(n):
        room = max_joint // math.prod(sizes)
        sizes.append(draw(st.integers(1, max(1, min(max_cardinality, room)))))
    arrows = [_parents(draw, shape, i) for i in range(n)]
    plain = [f"v{i}" for i in range(n)]
    variables = plain if names is None else draw(st.lists(names, min_size=n, max_size=n, unique=True))
    states = {}
    for i, v in enumerate(variables):
        if labels is None:
            states[v] = tuple(f"s{k}" for k in range(sizes[i]))
        else:
            states[v] = tuple(draw(st.lists(labels, min_size=sizes[i], max_size=sizes[i], unique=True)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cpts = {
        v: random_table(random, (*(sizes[p] for p in arrows[i]), sizes[i]), draw(st.sampled_from(TABLES)))
        for i, v in enumerate(variables)
    }
    order = draw(st.permutations(range(n)))
    parents = {v: tuple(variables[p] for p in arrows[i]) for i, v in enumerate(variables)}
    return WorldNet({variables[i]: states[variables[i]] for i in order}, parents, cpts, name="random")


def _parents(draw: st.DrawFn, shape: str, i: int) -> list[int]:
    """Parents of variable `i` among those before it."""
    if i == 0 or (shape == "disconnected" and draw(st.booleans())):
        return []
    if shape == "chain":
        return [i - 1]
    if shape == "grid":  # three wide: parents to the left and above
        return [p for p, there in ((i - 1, i % 3 > 0), (i - 3, i >= 3)) if there]
    if shape == "tree":
        return [draw(st.integers(0, i - 1))]
    most = {"polytree": 2, "dense": 4, "sparse": 2, "disconnected": 2}[shape]
    if shape == "polytree":
        # Merging separate trees keeps it singly connected: take parents from the two halves of what stands before.
        half = i // 2
        return [draw(st.integers(0, i - 1))] if half == 0 or i % 3 else [half - 1, i - 1][: 1 + (half - 1 != i - 1)]
    least = min(i, most) if shape == "dense" else 0
    found = draw(st.lists(st.integers(0, i - 1), min_size=least, max_size=min(i, most), unique=True))
    return list(found)


TABLES = ("dense", "zeros", "deterministic", "extreme")


def random_table(random: np.random.Generator, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Rows over the last axis: strictly positive, with zeros, 0/1, or spanning many orders of magnitude."""
    if kind == "deterministic":
        return np.eye(shape[-1])[random.integers(shape[-1], size=shape[:-1])]
    weights = random.random(shape) + 1e-3
    if kind == "zeros":
        weights *= random.random(shape) < 0.5
        weights[..., 0] += weights.sum(-1) == 0
    elif kind == "extreme":
        weights = 10.0 ** random.uniform(-12, 0, shape)
    return weights / weights.sum(-1, keepdims=True)


@st.composite
def factor_nets(draw: st.DrawFn, max_variables: int = 6, max_cardinality: int = 4) -> FactorNet:
    """A random factor graph with states "0", "1", …; scopes may repeat, be empty, or leave variables out."""
    n = draw(st.integers(1, max_variables))
    sizes = [draw(st.integers(1, max_cardinality)) for _ in range(n)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scopes = draw(st.lists(st.lists(st.integers(0, n - 1), max_size=3, unique=True), max_size=6))
    factors = []
    for scope in scopes:
        table = random.random([sizes[v] for v in scope]) * (10.0 ** draw(st.sampled_from((-15, -3, 0, 3, 15))))
        factors.append(Factor(tuple(str(v) for v in scope), np.asarray(table)))
    return FactorNet({str(v): tuple(map(str, range(size))) for v, size in enumerate(sizes)}, tuple(factors), "random")


def joint(net: WorldNet | FactorNet) -> np.ndarray:
    """The product of all tables, one axis per variable in the net's order: the brute force to compare with."""
    table = np.ones(tuple(net.cardinalities))
    for scope, values in net.factors:
        axes = [net.index[v] for v in scope]
        order = np.argsort(axes)
        shape = [1] * table.ndim
        for axis in axes:
            shape[axis] = int(net.cardinalities[axis])
        table = table * np.transpose(values, order).reshape(shape)
    return table
