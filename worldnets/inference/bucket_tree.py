"""Bucket-tree elimination, compiled: one row of evidence at a time, each with an elimination order of its own.

Observed variables are cut out of the graph, so a row with much evidence leaves small cliques behind, whatever the net's
own treewidth. Every unobserved variable v has a bucket: the table over v and its separator, the neighbours v had when
it was eliminated. All axes stand in elimination order. Then a message to the bucket above is a sum over the first axis,
and every product or sum runs over contiguous blocks, because the axes two tables share are runs in both.

Sources: Dechter 1999, "Bucket elimination"; Kask, Dechter, Larrosa & Dechter 2005, "Unifying tree decompositions for
reasoning in graphical models", section 5.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from worldnets.inference.bucket_tables import divide, dot, marginalise, multiply, rescale, runs_of, total_of
from worldnets.inference.compiled import compiled
from worldnets.inference.elimination import triangulate

ATTEMPT_PRICE = 500.0  # cells per variable whose sums take ten times as long as another elimination order
AXES = 70  # of a table, at most, and some to spare

Array = Any


class Buckets(NamedTuple):
    """The bucket tree of one row; a bucket is known by its place in the elimination order."""

    column: Array  # [buckets] the column of the variable eliminated there
    cards: Array  # [buckets] its number of states
    separator_start: Array  # [buckets + 1] slice of `separator`
    separator: Array  # buckets of the separator's variables, ascending
    parent: Array  # [buckets] the bucket its message goes to, the first of its separator; -1 for a root
    child_head: Array  # [buckets] first child, -1 for none
    child_next: Array  # [buckets] next child of the same parent
    factor_head: Array  # [buckets] first table multiplied into it
    factor_next: Array  # [factors] next table of the same bucket
    table_at: Array  # [buckets + 1] where its cells begin
    message_at: Array  # [buckets + 1] where its message begins


class Row(NamedTuple):
    """What is known in one row."""

    codes: Array  # [variables]
    likelihood: Array  # [soft states]
    soft_start: Array  # [variables]


class Desk(NamedTuple):
    """Working memory."""

    tables: Array  # all buckets
    messages: Array  # all messages
    inverse: Array  # [buckets] one over what a message was divided by
    scratch: Array  # one table or message
    axes: Array  # [AXES] buckets of a table's axes
    odometer: Array  # [3, AXES] strides, sizes, index
    runs: Array  # [3, AXES], see `runs_of`


@compiled
def posteriors(  # type: ignore[no-untyped-def]
    w,
    codes,
    likelihood,
    soft_start,
    wanted,
    output_start,
    first,
    last,
    limits,
    memory_cells,
    beliefs,
    log_evidence,
    multiply_adds,
):
    """Fill `beliefs` [rows, states of wanted variables] and `log_evidence` [rows] (nats) of rows first … last.

    Args:
        w: a `Network`.
        codes: int16 [rows, variables].
        likelihood: [soft states, rows], the likelihoods of variables with soft evidence.
        soft_start: [variables] line of `likelihood` where a variable's begin, -1 for none.
        wanted: bool [variables].
        output_start: [variables] first column of a wanted variable in `beliefs`.
        memory_cells: a row that needs more cells than this stops the walk.
        multiply_adds: [rows], multiplications and additions performed.

    Returns:
        The row that needs too much memory and its number of cells, or (-1, 0).
    """
    variables, factors = w.cards.size, w.table_start.size
    kept, used = np.empty(variables, np.bool_), np.empty(factors, np.bool_)
    local = np.empty(variables, np.int32)  # number among the free variables, -1 if not free
    place = np.empty(variables, np.int32)  # bucket, -1 if not free
    free, waiting = np.empty(variables, np.int32), np.empty(variables, np.int32)
    bits = np.empty(variables)
    adjacent = np.empty((variables, variables), np.bool_)
    neighbours = np.empty((variables, variables), np.int32)
    degree = np.empty(variables, np.int32)
    tables, messages = np.empty(1024, w.tables.dtype), np.empty(1024, w.tables.dtype)
    scratch, inverse = np.empty(1024, w.tables.dtype), np.empty(variables)
    axes, odometer, runs = np.empty(AXES, np.int32), np.empty((3, AXES), np.int64), np.empty((3, AXES), np.int64)
    for r in range(first, last):
        for v in range(variables):
            kept[v] = not w.directed or wanted[v] or codes[r, v] >= 0 or soft_start[v] >= 0
        if w.directed:
            _mark_ancestors(w, kept, waiting)
        count = 0
        for v in range(variables):
            local[v] = -1
            if kept[v] and codes[r, v] < 0:
                local[v], free[count], bits[count] = count, v, math.log2(w.cards[v])
                count += 1
        for f in range(factors):
            used[f] = True
            for k in range(w.scope_start[f], w.scope_start[f + 1]):
                used[f] = used[f] and kept[w.scope[k]]
        order, start, separator, cells = triangulate(
            w.scope_start,
            w.scope,
            used,
            local,
            bits[:count],
            ATTEMPT_PRICE,
            adjacent,
            neighbours,
            degree,
        )
        if cells > memory_cells:
            return r, cells
        buckets = _buckets(w, free[order], start, separator, used, place)
        if buckets.table_at[count] > tables.size:
            tables = np.empty(buckets.table_at[count] * 5 // 4, w.tables.dtype)
        if buckets.message_at[count] > messages.size:
            messages = np.empty(buckets.message_at[count] * 5 // 4, w.tables.dtype)
        largest = _largest(w, buckets, used, place)
        if largest > scratch.size:
            scratch = np.empty(largest, w.tables.dtype)

        row = Row(codes[r], likelihood[:, r], soft_start)
        desk = Desk(tables, messages, inverse, scratch, axes, odometer, runs)
        constants = _numbers(w, row, used, place, limits)
        log_z, adds = _collect(w, buckets, row, place, limits, desk)
        log_evidence[r] = constants + log_z
        if log_evidence[r] == -math.inf:
            for v in range(variables):
                if wanted[v]:
                    for s in range(w.cards[v]):
                        beliefs[r, output_start[v] + s] = 0.0
        else:
            adds += _distribute(buckets, wanted, output_start, r, desk, beliefs)
            for v in range(variables):
                if wanted[v] and codes[r, v] >= 0:
                    for s in range(w.cards[v]):
                        beliefs[r, output_start[v] + s] = 1.0 if s == codes[r, v] else 0.0
        multiply_adds[r] = adds
    return -1, 0.0


@compiled
def _buckets(w, column, start, separator, used, place):  # type: ignore[no-untyped-def]
    """Lay out the tree of an elimination order; fills `place` [variables]."""
    count, factors = column.size, used.size
    cards = w.cards[column]
    parent, child_head = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    child_next, factor_head = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    factor_next = np.full(factors, -1, np.int32)
    table_at, message_at = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for i in range(count):
        size = np.int64(1)
        for k in range(start[i], start[i + 1]):
            size *= cards[separator[k]]
        message_at[i + 1] = message_at[i] + size
        table_at[i + 1] = table_at[i] + size * cards[i]
        if start[i + 1] > start[i]:
            parent[i] = separator[start[i]]
    for i in range(count - 1, -1, -1):
        if parent[i] >= 0:
            child_next[i] = child_head[parent[i]]
            child_head[parent[i]] = i
    for v in range(place.size):
        place[v] = -1
    for i in range(count):
        place[column[i]] = i
    # A table goes to the bucket of the variable in it that is eliminated first.
    for f in range(factors - 1, -1, -1):
        lowest = count
        if used[f]:
            for k in range(w.scope_start[f], w.scope_start[f + 1]):
                if place[w.scope[k]] >= 0:
                    lowest = min(lowest, place[w.scope[k]])
        if lowest < count:
            factor_next[f] = factor_head[lowest]
            factor_head[lowest] = f
    return Buckets(
        column, cards, start, separator, parent, child_head, child_next, factor_head, factor_next, table_at, message_at
    )


@compiled
def _largest(w, buckets, used, place):  # type: ignore[no-untyped-def]
    """Cells of the largest table or message that has to be laid out anew."""
    largest = np.int64(1)
    for i in range(buckets.column.size):
        largest = max(largest, buckets.message_at[i + 1] - buckets.message_at[i])
    for f in range(used.size):
        if used[f]:
            size = np.int64(1)
            for k in range(w.scope_start[f], w.scope_start[f + 1]):
                if place[w.scope[k]] >= 0:
                    size *= w.cards[w.scope[k]]
            largest = max(largest, size)
    return largest


@compiled
def _numbers(w, row, used, place, limits):  # type: ignore[no-untyped-def]
    """Logarithm (nats) of everything whose variables are all observed: whole tables, and their soft evidence."""
    running, log_z = 1.0, 0.0
    for f in range(used.size + place.size):
        if f < used.size:
            if not used[f]:
                continue
            offset, known = w.table_start[f], True
            for k in range(w.scope_start[f], w.scope_start[f + 1]):
                known = known and place[w.scope[k]] < 0
                offset += row.codes[w.scope[k]] * np.int64(w.stride[k])
            if not known:
                continue
            running *= w.tables[offset]
        else:
            v = f - used.size
            if row.soft_start[v] < 0 or row.codes[v] < 0:
                continue
            running *= row.likelihood[row.soft_start[v] + row.codes[v]]
        if running < limits.tiny:
            log_z += _log(running)
            running = 1.0
    return log_z + _log(running)


@compiled
def _log(value):  # type: ignore[no-untyped-def]
    return math.log(value) if value > 0.0 else -math.inf


@compiled
def _collect(w, buckets, row, place, limits, desk):  # type: ignore[no-untyped-def]
    """Messages from the leaves to the roots: fills `tables`, `messages` (scaled to sum 1) and `inverse` scales.

    Returns the logarithm (nats) of what was divided out, and the multiply-adds.
    """
    running, log_z, adds = 1.0, 0.0, np.int64(0)
    for i in range(buckets.column.size):
        width = buckets.message_at[i + 1] - buckets.message_at[i]
        done = _product(w, buckets, i, row, place, desk, False)
        total = _send(buckets, i, desk)
        if total < limits.tiny:
            # Once more, dividing by the largest cell after every operand: messages that contradict each other.
            log_z += _product(w, buckets, i, row, place, desk, True)
            total = _send(buckets, i, desk)
        adds += np.int64(done) + width * buckets.cards[i]
        running *= total
        desk.inverse[i] = 1.0 / total if total > 0.0 else 0.0
        for k in range(buckets.message_at[i], buckets.message_at[i] + width):
            desk.messages[k] *= desk.inverse[i]
        if running < limits.tiny:
            log_z += _log(running)
            running = 1.0
    return log_z + _log(running), adds


@compiled
def _product(w, buckets, i, row, place, desk, careful):  # type: ignore[no-untyped-def]
    """Multiply everything that belongs to bucket i into its table.

    Returns the multiplications; if `careful`, the logarithm (nats) of what the cells were divided by instead.
    """
    low, high = buckets.table_at[i], buckets.table_at[i + 1]
    tables = desk.tables
    operands, log_scale = 0, 0.0
    f = buckets.factor_head[i]
    while f >= 0:
        count = _gather(w, f, row, place, desk)
        found = runs_of(buckets, i, desk.axes, count, desk.runs)
        multiply(tables, low, desk.scratch, 0, desk.runs, found, operands == 0)
        operands += 1
        if careful:
            log_scale += rescale(tables, low, high)
        f = buckets.factor_next[f]
    c = buckets.child_head[i]
    while c >= 0:
        found = _separator_runs(buckets, i, c, desk.runs)
        multiply(tables, low, desk.messages, buckets.message_at[c], desk.runs, found, operands == 0)
        operands += 1
        if careful:
            log_scale += rescale(tables, low, high)
        c = buckets.child_next[c]
    if operands == 0:
        for k in range(low, high):
            tables[k] = 1.0
    soft = row.soft_start[buckets.column[i]]
    if soft >= 0:
        width = (high - low) // buckets.cards[i]
        for s in range(buckets.cards[i]):
            for k in range(low + s * width, low + (s + 1) * width):
                tables[k] *= row.likelihood[soft + s]
        operands += 1
        if careful:
            log_scale += rescale(tables, low, high)
    return log_scale if careful else float(operands * (high - low))


@compiled
def _send(buckets, i, desk):  # type: ignore[no-untyped-def]
    """Sum the table of bucket i over its own variable, the first axis; returns the sum of the message."""
    tables, messages = desk.tables, desk.messages
    low, start = buckets.table_at[i], buckets.message_at[i]
    width = buckets.message_at[i + 1] - start
    for k in range(width):
        messages[start + k] = tables[low + k]
    for s in range(1, buckets.cards[i]):
        for k in range(width):
            messages[start + k] += tables[low + s * width + k]
    return total_of(messages, start, start + width)


@compiled
def _distribute(buckets, wanted, output_start, r, desk, beliefs):  # type: ignore[no-untyped-def]
    """Beliefs from the roots to the leaves, only towards buckets that are asked for; returns the multiply-adds."""
    count = buckets.column.size
    tables, messages, inverse, scratch, runs = desk.tables, desk.messages, desk.inverse, desk.scratch, desk.runs
    below, needed = np.zeros(count, np.bool_), np.empty(count, np.bool_)  # something below, or here, is asked for
    adds = np.int64(0)
    for i in range(count):
        needed[i] = below[i] or wanted[buckets.column[i]]
        if needed[i] and buckets.parent[i] >= 0:
            below[buckets.parent[i]] = True
    for i in range(count - 1, -1, -1):
        if not needed[i]:
            continue
        low, start, p = buckets.table_at[i], buckets.message_at[i], buckets.parent[i]
        width = buckets.message_at[i + 1] - start
        # The message becomes what turns the table into the belief: new separator belief over old message.
        if p < 0:
            messages[start] = inverse[i]
        else:
            above, size = buckets.table_at[p], buckets.table_at[p + 1] - buckets.table_at[p]
            if size == width:  # the separator is the whole bucket above
                divide(messages, start, tables, above, width, inverse[i])
            else:
                for k in range(width):
                    scratch[k] = 0.0
                found = _separator_runs(buckets, p, i, runs)
                marginalise(tables, above, scratch, 0, runs, found)
                divide(messages, start, scratch, 0, width, inverse[i])
                adds += size
        v = buckets.column[i]
        total = 0.0
        for s in range(buckets.cards[i]):
            one = low + s * width
            if below[i]:
                for k in range(width):
                    tables[one + k] *= messages[start + k]
            if wanted[v]:
                share = total_of(tables, one, one + width) if below[i] else dot(tables, one, messages, start, width)
                beliefs[r, output_start[v] + s] = share
                total += share
        adds += (int(below[i]) + int(wanted[v])) * width * buckets.cards[i]
        if wanted[v]:
            scale = 1.0 / total if total > 0.0 else 0.0
            for s in range(buckets.cards[i]):
                beliefs[r, output_start[v] + s] *= scale
    return adds


@compiled
def _mark_ancestors(w, kept, waiting):  # type: ignore[no-untyped-def]
    """Mark everything upstream of what is marked; the scope of factor v is its parents and v."""
    top = 0
    for v in range(kept.size):
        if kept[v]:
            waiting[top] = v
            top += 1
    while top > 0:
        top -= 1
        v = waiting[top]
        for k in range(w.scope_start[v], w.scope_start[v + 1]):
            if not kept[w.scope[k]]:
                kept[w.scope[k]] = True
                waiting[top] = w.scope[k]
                top += 1


@compiled
def _gather(w, f, row, place, desk):  # type: ignore[no-untyped-def]
    """Table f at the observed states, its free axes in elimination order; `axes` gets their buckets.

    Returns the number of free axes.
    """
    offset = w.table_start[f]
    axes, out, index = desk.axes, desk.scratch, desk.odometer[2]
    strides, sizes = desk.odometer[0], desk.odometer[1]
    count, cells = 0, 1
    for k in range(w.scope_start[f], w.scope_start[f + 1]):
        v = w.scope[k]
        bucket = place[v]
        if bucket < 0:
            offset += row.codes[v] * np.int64(w.stride[k])
            continue
        at = count
        while at > 0 and axes[at - 1] > bucket:
            axes[at], strides[at], sizes[at] = axes[at - 1], strides[at - 1], sizes[at - 1]
            at -= 1
        axes[at], strides[at], sizes[at] = bucket, w.stride[k], w.cards[v]
        count += 1
        cells *= w.cards[v]
    inner, step = sizes[count - 1], strides[count - 1]
    for a in range(count):
        index[a] = 0
    at = offset
    for start in range(0, cells, inner):
        for k in range(inner):
            out[start + k] = w.tables[at + k * step]
        for a in range(count - 2, -1, -1):
            index[a] += 1
            at += strides[a]
            if index[a] < sizes[a]:
                break
            at -= strides[a] * sizes[a]
            index[a] = 0
    return count


@compiled
def _separator_runs(buckets, bucket, child, runs):  # type: ignore[no-untyped-def]
    """The runs of a child's separator in the bucket above it."""
    begin, end = buckets.separator_start[child], buckets.separator_start[child + 1]
    return runs_of(buckets, bucket, buckets.separator[begin:end], end - begin, runs)
