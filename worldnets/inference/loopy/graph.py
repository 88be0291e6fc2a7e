"""The wiring of a factor graph for batched message passing: who reads which message where, as frozen index arrays.

Messages live in two flat arrays, rows last: factor→variable and variable→factor. Factors of equal arity and like shape
form a group that is computed as one batched operation, so that the number of operations, and with it the compile time,
depends on the number of groups (`MOST_GROUPS`, or one per arity) and never on the size of the net. Shapes inside a
group are padded to the largest: padded cells of tables are zero, padded states of variables have probability zero.

Source: Kschischang, Frey & Loeliger 2001, "Factor graphs and the sum-product algorithm", section II.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.net import FactorNet, WorldNet

Indices = NDArray[np.int32]
MOST_GROUPS = 6  # of factors, and of variables
FACTOR_GROUP_COST = 400  # one more group costs as much per round as this many padded cells of tables,
VARIABLE_GROUP_COST = 50  # or this many padded states of messages
SAFE_SPREAD = 5_000.0  # messages that are uniform over S states have products of S^-(D - 1): below 1 / this, normalise


class FactorIndices(NamedTuple):
    """One group of F factors with k axes each, of padded sizes s_1 ≥ … ≥ s_k.

    Attributes:
        cells: [F, a, b], place of every cell in the flat table vector (padded: the last place, a zero); a and b are
            the products of the axis sizes before and after the group's split.
        incoming: for each axis [F, s], place of the variable→factor message's states (padded: the zero slot).
    """

    cells: Indices
    incoming: tuple[Indices, ...]


class VariableIndices(NamedTuple):
    """One group of V variables with up to D factors and S states.

    Attributes:
        incoming: [D, V, S], place of the factor→variable messages' states (padded: the slot that holds a one).
        states: [V, S], place of the variable's states in the flat vector of all states (padded: one beyond, a zero).
    """

    incoming: Indices
    states: Indices


class Wiring(NamedTuple):
    """The arrays a compiled round reads, a JAX pytree.

    Attributes:
        factors, variables: the groups. Flat factor→variable messages are the groups' axes, [F, s] each, ordered by
            their sizes s (`size_classes`), flat variable→factor messages the groups' [D, V, S] blocks; both have one
            slot more at the end, for padding to read.
        uniform: [factor→variable places], 1 / states of each message, 0 where padded.
        edge_of_place: [factor→variable places], the edge that a place belongs to; number of edges where padded.
        belief_places: [states], place of each state of the net in the groups' concatenated [V, S] beliefs.
        variable_of_state, code_of_state: [states], which variable a state belongs to and its position there.
        constants: [factors without variables], their cells in the flat table vector.
    """

    factors: tuple[FactorIndices, ...]
    variables: tuple[VariableIndices, ...]
    uniform: NDArray[np.float64]
    edge_of_place: Indices
    belief_places: Indices
    variable_of_state: Indices
    code_of_state: Indices
    constants: Indices


@dataclass(frozen=True, eq=False, repr=False)
class FactorGraph:
    """The factor graph of a net, compiled once.

    Attributes:
        edges: (factor, variable) positions, one per factor and axis, in the net's order of factors and axes.
        wiring: the index arrays.
        splits: for each factor group, how many axes stand before the split (static: part of the compiled program).
        group_factors: for each factor group, the positions of its factors in `net.factors`.
        factor_places, variable_places: for each edge the places of its states in the flat factor→variable and
            variable→factor messages.
        factor_cells: [factors + 1], where each factor's cells begin in the flat table vector.
        multiply_adds: one synchronous round, per row, padding included: see `round_multiply_adds`.
    """

    edges: tuple[tuple[int, int], ...]
    wiring: Wiring
    splits: tuple[int, ...]
    group_factors: tuple[NDArray[np.int64], ...]
    factor_places: tuple[Indices, ...]
    variable_places: tuple[Indices, ...]
    factor_cells: NDArray[np.int64]
    multiply_adds: int


def log_cells(net: WorldNet | FactorNet) -> NDArray[np.float64]:
    """The logarithms of all cells of all factors, in the order of `net.factors`, shape [cells]; zeros are −inf."""
    if not net.factors:
        return np.zeros(0)
    with np.errstate(divide="ignore"):
        return np.log(np.concatenate([np.ravel(table) for _, table in net.factors]))


def factor_graph(net: WorldNet | FactorNet, apart: Collection[int] = ()) -> FactorGraph:
    """Group, pad and index the factor graph of a net.

    Args:
        net: the net.
        apart: positions of factors that share no group with others, such as those whose tables depend on the row.
    """
    cardinalities = [int(c) for c in net.cardinalities]
    scopes = [tuple(net.index[v] for v in scope) for scope, _ in net.factors]
    edges = tuple((f, v) for f, scope in enumerate(scopes) for v in scope)
    edge_start = np.cumsum([0, *map(len, scopes)])
    sizes = [math.prod(cardinalities[v] for v in scope) for scope in scopes]
    factor_cells = np.cumsum([0, *sizes])
    state_start = np.cumsum([0, *cardinalities])

    # Axes by falling size, so that tables of like shape meet in one group.
    axes = [sorted(range(len(scope)), key=lambda i: -cardinalities[scope[i]]) for scope in scopes]
    shapes = [tuple(cardinalities[scopes[f][i]] for i in order) for f, order in enumerate(axes)]
    shaped = [(i, shape) for i, shape in enumerate(shapes) if shape]
    kinds = ([each for each in shaped if (each[0] in apart) == kept_apart] for kept_apart in (False, True))
    factor_groups = [group for kind in kinds for group in _grouped(kind, FACTOR_GROUP_COST)]
    at_variable: list[list[int]] = [[] for _ in cardinalities]
    for e, (_, v) in enumerate(edges):
        at_variable[v].append(e)
    degrees: list[tuple[int, tuple[int, ...]]] = [
        (v, (max(1, len(at_variable[v])), c)) for v, c in enumerate(cardinalities)
    ]
    variable_groups = _grouped(degrees, VARIABLE_GROUP_COST)

    factor_places: list[Indices] = [np.empty(0, np.int32)] * len(edges)
    at = 0
    for _, blocks in _by_size([shape for shape, _ in factor_groups]):
        for g, axis in blocks:
            shape, members = factor_groups[g]
            for row, f in enumerate(members):
                begin = at + row * shape[axis]
                places = np.arange(begin, begin + shapes[f][axis], dtype=np.int32)
                factor_places[edge_start[f] + axes[f][axis]] = places
            at += shape[axis] * len(members)
    one_slot = at
    variable_places: list[Indices] = [np.empty(0, np.int32)] * len(edges)
    at = 0
    for (degree, width), members in variable_groups:
        for row, v in enumerate(members):
            for d, e in enumerate(at_variable[v]):
                begin = at + (d * len(members) + row) * width
                variable_places[e] = np.arange(begin, begin + cardinalities[v], dtype=np.int32)
        at += degree * len(members) * width
    zero_slot = at

    belief_places = np.empty(state_start[-1], dtype=np.int32)
    variables, at = [], 0
    for (degree, width), members in variable_groups:
        incoming = np.full((degree, len(members), width), one_slot, dtype=np.int32)
        states = np.full((len(members), width), state_start[-1], dtype=np.int32)
        for row, v in enumerate(members):
            own = np.arange(state_start[v], state_start[v + 1])
            states[row, : len(own)] = own
            belief_places[own] = at + row * width + np.arange(len(own))
            for d, e in enumerate(at_variable[v]):
                incoming[d, row, : len(own)] = factor_places[e]
        at += len(members) * width
        variables.append(VariableIndices(incoming, states))

    factors, splits = [], []
    for shape, members in factor_groups:
        cells = np.full((len(members), *shape), factor_cells[-1], dtype=np.int32)
        into = tuple(np.full((len(members), width), zero_slot, dtype=np.int32) for width in shape)
        for row, f in enumerate(members):
            in_order = np.arange(factor_cells[f], factor_cells[f + 1]).reshape([cardinalities[v] for v in scopes[f]])
            inside: tuple[int | slice, ...] = (row, *(slice(size) for size in shapes[f]))
            cells[inside] = in_order.transpose(axes[f])
            for axis, i in enumerate(axes[f]):
                into[axis][row, : shapes[f][axis]] = variable_places[edge_start[f] + i]
        split = best_split(shape)
        before = math.prod(shape[:split])
        factors.append(FactorIndices(cells.reshape(len(members), before, -1), into))
        splits.append(split)

    uniform = np.zeros(one_slot)
    edge_of_place = np.full(one_slot, len(edges), dtype=np.int32)
    for e, places in enumerate(factor_places):
        uniform[places] = 1.0 / len(places)
        edge_of_place[places] = e
    wiring = Wiring(
        tuple(factors),
        tuple(variables),
        uniform,
        edge_of_place,
        belief_places,
        np.repeat(np.arange(len(cardinalities)), cardinalities).astype(np.int32),
        np.concatenate([np.arange(c) for c in cardinalities]).astype(np.int32),
        np.array([factor_cells[f] for f, scope in enumerate(scopes) if not scope], dtype=np.int32),
    )
    return FactorGraph(
        edges,
        wiring,
        tuple(splits),
        tuple(np.array(members) for _, members in factor_groups),
        tuple(factor_places),
        tuple(variable_places),
        factor_cells,
        round_multiply_adds(wiring, tuple(splits)),
    )


def size_classes(wiring: Wiring) -> list[tuple[int, list[tuple[int, int]]]]:
    """(s, [(factor group, axis), …]) for every axis size s, in the order of the flat factor→variable messages.

    Axes of one size are gathered, normalised and measured together.
    """
    return _by_size([tuple(places.shape[1] for places in group.incoming) for group in wiring.factors])


def _by_size(shapes: list[tuple[int, ...]]) -> list[tuple[int, list[tuple[int, int]]]]:
    blocks: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for g, shape in enumerate(shapes):
        for axis, size in enumerate(shape):
            blocks[size].append((g, axis))
    return sorted(blocks.items())


def best_split(shape: tuple[int, ...]) -> int:
    """How many axes to put before the split of a table, so that its two halves have the fewest states together."""
    if len(shape) < 2:
        return len(shape)
    return min(range(1, len(shape)), key=lambda i: math.prod(shape[:i]) + math.prod(shape[i:]))


def round_multiply_adds(wiring: Wiring, splits: tuple[int, ...]) -> int:
    """Multiplications and additions of one synchronous round for one row, padding included.

    A multiplication is one, an addition is one, and so a fused pair is two: the unit of the exact engine's
    `Plan.multiply_adds`. Factors, per group of F tables seen as [a, b] matrices: 4·F·a·b to contract each table with
    the product of the messages from either half (a·b of each kind, twice), plus the products of messages themselves
    and the sums that single them out (`_leave_one_out_multiply_adds`). Variables, per group: `variable_multiply_adds`.
    Normalising is one addition and one multiplication per state, of every factor→variable message. Powers (damping,
    reweighting) and maxima are not counted; nor are the free energy and the message changes, which are instruments.
    """
    total = 0
    for group, split in zip(wiring.factors, splits, strict=True):
        total += len(group.cells) * group_multiply_adds(tuple(places.shape[1] for places in group.incoming), split)
    for indices in wiring.variables:
        degree, count, width = indices.incoming.shape
        total += count * variable_multiply_adds(degree, width)
    return total


def variable_multiply_adds(degree: int, states: int) -> int:
    """Multiplications and additions of all messages of one variable with these (padded) numbers of factors and states.

    3·(D − 1)·S multiplications for all products but one over D messages, S for the belief; where messages are
    normalised (`needs_normalising`), an addition and a multiplication for each of their states.
    """
    return (3 * (degree - 1) + 1 + 2 * degree * needs_normalising(degree, states)) * states


def needs_normalising(degree: int, states: int) -> bool:
    """Whether products of messages from this many factors could become small enough to be mistaken for zero."""
    return states ** (degree - 1) > SAFE_SPREAD


def group_multiply_adds(shape: tuple[int, ...], split: int) -> int:
    """Multiplications and additions of all messages of one factor of this (padded) shape."""
    total = 2 * sum(shape)
    if len(shape) > 1:
        total += 4 * math.prod(shape)
        for half in (shape[:split], shape[split:]):
            total += _outer_multiply_adds(half) + _leave_one_out_multiply_adds(half)
    return total


def _outer_multiply_adds(shape: tuple[int, ...]) -> int:
    return sum(math.prod(shape[: i + 1]) for i in range(1, len(shape)))


def _leave_one_out_multiply_adds(shape: tuple[int, ...]) -> int:
    if len(shape) < 2:
        return 0
    split = best_split(shape)
    halves = shape[:split], shape[split:]
    rest = sum(_outer_multiply_adds(half) + _leave_one_out_multiply_adds(half) for half in halves)
    return 4 * math.prod(shape) + rest


def _grouped(shaped: list[tuple[int, tuple[int, ...]]], group_cost: float) -> list[tuple[tuple[int, ...], list[int]]]:
    """Members by padded shape: shapes of equal arity are merged while padding costs less than a group more would."""
    exact: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for member, shape in shaped:
        exact[shape].append(member)
    groups = sorted(exact.items())
    while True:
        best = None
        for arity in {len(shape) for shape, _ in groups}:
            among = [i for i, (shape, _) in enumerate(groups) if len(shape) == arity]
            if len(among) < 2:
                continue
            sizes = np.array([groups[i][0] for i in among], dtype=np.float64)
            counts = np.array([len(groups[i][1]) for i in among], dtype=np.float64)
            cost = sizes.prod(1) * counts
            merged = np.maximum(sizes[:, None], sizes[None]).prod(-1) * (counts[:, None] + counts)
            added = merged - cost[:, None] - cost
            added[np.tril_indices(len(among))] = np.inf
            i, j = divmod(int(added.argmin()), len(among))
            if best is None or added[i, j] < best[0]:
                best = (float(added[i, j]), among[i], among[j])
        if best is None or (best[0] > group_cost and len(groups) <= MOST_GROUPS):
            return groups
        _, i, j = best
        (shape, members), (other, others) = groups[i], groups[j]
        joined = (tuple(map(max, shape, other)), sorted(members + others))
        groups = sorted([*(group for k, group in enumerate(groups) if k not in (i, j)), joined])
