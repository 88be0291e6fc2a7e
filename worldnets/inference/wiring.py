"""From a clique tree to the flat index arrays that the kernels walk, compiled: the loops of `planner.py`."""

from __future__ import annotations

import math

import numpy as np

from worldnets.inference.compiled import compiled


@compiled
def homes(tree, scope_start, scope):  # type: ignore[no-untyped-def]
    """For each scope of free variables the smallest clique that holds it; the root for an empty one."""
    cliques, variables = tree.parent.size, tree.cards.size
    cells = np.ones(cliques)
    holding_start = np.zeros(variables + 1, np.int32)
    for c in range(cliques):
        for k in range(tree.member_start[c], tree.member_start[c + 1]):
            cells[c] *= tree.cards[tree.members[k]]
            holding_start[tree.members[k] + 1] += 1
    for v in range(variables):
        holding_start[v + 1] += holding_start[v]
    filled = holding_start.copy()
    holding = np.empty(tree.members.size, np.int32)
    for c in range(cliques):
        for k in range(tree.member_start[c], tree.member_start[c + 1]):
            v = tree.members[k]
            holding[filled[v]] = c
            filled[v] += 1
    found = np.empty(scope_start.size - 1, np.int32)
    for s in range(found.size):
        begin, end = scope_start[s], scope_start[s + 1]
        found[s] = cliques - 1
        least = np.inf
        if end == begin:
            continue
        v = scope[begin]
        for h in range(holding_start[v], holding_start[v + 1]):
            c = holding[h]
            if cells[c] >= least:
                continue
            inside = 0
            for k in range(begin, end):
                for m in range(tree.member_start[c], tree.member_start[c + 1]):
                    inside += tree.members[m] == scope[k]
            if inside == end - begin:
                found[s], least = c, cells[c]
    return found


@compiled
def fill(w, tree, factor_home, column):  # type: ignore[no-untyped-def]
    """Multiply every table into its clique and keep the cells that are not zero.

    Args:
        factor_home: [factors] a clique, or -1 for tables that are not used, sliced, or numbers.
        column: [free variables] column of each.
    Returns:
        (clique starts, cells, base, log scale): `cells` are places in the full table of the clique; base values are
        divided by the largest of their clique, and the log scale (nats) is the logarithm of all those together.
    """
    cliques = tree.parent.size
    head, following = np.full(cliques, -1, np.int32), np.empty(factor_home.size, np.int32)
    for f in range(factor_home.size - 1, -1, -1):
        if factor_home[f] >= 0:
            following[f] = head[factor_home[f]]
            head[factor_home[f]] = f
    start = np.zeros(cliques + 1, np.int32)
    total, largest_size = 0, 1
    for c in range(cliques):
        size = _full_size(tree, c)
        total += size
        largest_size = max(largest_size, size)
    cells, base = np.empty(total, np.int64), np.empty(total, w.tables.dtype)
    full = np.empty(largest_size)
    strides, sizes = np.empty(70, np.int64), np.empty(70, np.int64)
    kept, log_scale = 0, 0.0
    for c in range(cliques):
        size = _full_size(tree, c)
        begin, end = tree.member_start[c], tree.member_start[c + 1]
        for i in range(size):
            full[i] = 1.0
        f = head[c]
        while f >= 0:
            for k in range(begin, end):
                sizes[k - begin], strides[k - begin] = tree.cards[tree.members[k]], 0
                for m in range(w.scope_start[f], w.scope_start[f + 1]):
                    if w.scope[m] == column[tree.members[k]]:
                        strides[k - begin] = w.stride[m]
            largest = _times_table(full, size, w.tables, w.table_start[f], sizes, strides, end - begin)
            # Many small entries would underflow; a table of zeros stays what it is.
            if largest > 0.0:
                log_scale += math.log(largest)
                for i in range(size):
                    full[i] /= largest
            f = following[f]
        start[c] = kept
        for i in range(size):
            if full[i] != 0.0:
                cells[kept], base[kept] = i, full[i]
                kept += 1
        if kept == start[c]:  # a world of probability zero: keep one zero cell so that it stays impossible
            cells[kept], base[kept] = 0, 0.0
            kept += 1
    start[cliques] = kept
    return start, cells[:kept].copy(), base[:kept].copy(), log_scale


@compiled
def _full_size(tree, c):  # type: ignore[no-untyped-def]
    size = np.int64(1)
    for k in range(tree.member_start[c], tree.member_start[c + 1]):
        size *= np.int64(tree.cards[tree.members[k]])
    return size


@compiled
def _times_table(full, size, tables, offset, sizes, strides, axes):  # type: ignore[no-untyped-def]
    """Multiply a table into the cells of a clique; returns the largest product."""
    index = np.zeros(70, np.int64)
    inner, step = sizes[axes - 1], strides[axes - 1]
    at, largest = offset, 0.0
    for first in range(0, size, inner):
        for k in range(inner):
            full[first + k] *= tables[at + k * step]
            largest = max(largest, full[first + k])
        for a in range(axes - 2, -1, -1):
            index[a] += 1
            at += strides[a]
            if index[a] < sizes[a]:
                break
            at -= strides[a] * sizes[a]
            index[a] = 0
    return largest


@compiled
def state_lists(tree, clique_start, cells, list_clique, list_first, scope_start, scope, list_start):  # type: ignore[no-untyped-def]  # fmt: skip
    """For every list and every kept cell of its clique: first row + joint state of the list's scope.

    Args:
        list_clique: [lists] the clique.
        list_first: [lists] the row of state 0.
        scope_start, scope: free variables of each list, the last one fastest.
        list_start: [lists + 1] where each list goes in the result.
    """
    rows = np.empty(list_start[list_start.size - 1], np.int32)
    strides, sizes = np.zeros(70, np.int64), np.ones(70, np.int64)
    for one in range(list_clique.size):
        c = list_clique[one]
        begin, end = tree.member_start[c], tree.member_start[c + 1]
        axes = end - begin
        size = 1
        for k in range(axes):
            sizes[k], strides[k] = tree.cards[tree.members[begin + k]], 0
            size *= sizes[k]
        stride = np.int64(1)
        for m in range(scope_start[one + 1] - 1, scope_start[one] - 1, -1):
            for k in range(axes):
                if tree.members[begin + k] == scope[m]:
                    strides[k] = stride
            stride *= np.int64(tree.cards[scope[m]])
        _states(
            cells,
            clique_start[c],
            clique_start[c + 1],
            size,
            sizes,
            strides,
            axes,
            list_first[one],
            rows,
            list_start[one],
        )
    return rows


@compiled
def _states(cells, low, high, size, sizes, strides, axes, row, rows, out):  # type: ignore[no-untyped-def]
    """One list: the odometer of the full table, written down where a cell is kept."""
    index = np.zeros(70, np.int64)
    inner = sizes[axes - 1] if axes > 0 else 1
    step = strides[axes - 1] if axes > 0 else 0
    next_cell = low
    for first in range(0, size, inner):
        while next_cell < high and cells[next_cell] < first + inner:
            rows[out + next_cell - low] = row + (cells[next_cell] - first) * step
            next_cell += 1
        for a in range(axes - 2, -1, -1):
            index[a] += 1
            row += strides[a]
            if index[a] < sizes[a]:
                break
            row -= strides[a] * sizes[a]
            index[a] = 0


@compiled
def sepset_lists(tree, list_clique, list_first, scope_start, scope, list_start):  # type: ignore[no-untyped-def]
    """For every list and every state of its clique's sepset: first row + joint state of the list's scope.

    Args: as of `state_lists`; every scope is part of the sepset.
    """
    rows = np.empty(list_start[list_start.size - 1], np.int32)
    for one in range(list_clique.size):
        c, low, high = list_clique[one], list_start[one], list_start[one + 1]
        for s in range(low, high):
            rows[s] = list_first[one]
        step = np.int64(1)  # of a member in the sepset, whose last one is fastest
        for k in range(tree.sepset_start[c + 1] - 1, tree.sepset_start[c] - 1, -1):
            card = np.int64(tree.cards[tree.sepset[k]])
            stride = np.int64(1)  # of the same member in the scope, 0 if it is not in it
            m = scope_start[one + 1] - 1
            while m >= scope_start[one] and scope[m] != tree.sepset[k]:
                stride *= np.int64(tree.cards[scope[m]])
                m -= 1
            if m >= scope_start[one]:
                for s in range(high - low):
                    rows[low + s] += s // step % card * stride
            step *= card
    return rows
