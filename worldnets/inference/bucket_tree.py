"""Bucket-tree elimination, compiled: one row of evidence at a time, each with an elimination order of its own.

Observed variables are cut out of the graph, so a row with much evidence leaves small cliques behind, whatever the net's
own treewidth. Every unobserved variable v has a bucket: the table over v and its separator, the neighbours v had when it
was eliminated. All axes stand in elimination order. Then a message to the bucket above is a sum over the first axis, and
every product or sum runs over contiguous blocks, because the axes two tables share are runs in both.

Sources: Dechter 1999, "Bucket elimination"; Kask, Dechter, Larrosa & Dechter 2005, "Unifying tree decompositions for
reasoning in graphical models", section 5.
"""

from __future__ import annotations

import math

import numpy as np

from worldnets.inference.compiled import compiled
from worldnets.inference.elimination import triangulate

CHEAP_CELLS = 20_000.0  # from here on trying more elimination rules costs less than it may save
DEAR_CELLS, RESTARTS = 1e6, 12


@compiled
def posteriors(w, codes, likelihood, soft_start, wanted, output_start, first, last, limits, memory_cells, beliefs, log_evidence, multiply_adds):  # type: ignore[no-untyped-def]  # fmt: skip
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
    variables = w.cards.size
    factors = w.table_start.size
    local = np.empty(variables, np.int32)  # position among the free variables, -1 if not free
    free = np.empty(variables, np.int32)
    kept = np.empty(variables, np.bool_)
    adjacent = np.zeros((variables, variables), np.bool_)
    neighbours = np.empty((variables, variables), np.int32)
    degree = np.empty(variables, np.int32)
    bits = np.empty(variables)
    waiting = np.empty(variables, np.int32)
    position = np.empty(variables, np.int32)
    used = np.empty(factors, np.bool_)
    factor_next = np.empty(factors, np.int32)
    factor_head = np.empty(variables, np.int32)
    child_head = np.empty(variables, np.int32)
    child_next = np.empty(variables, np.int32)
    parent = np.empty(variables, np.int32)
    needed = np.empty(variables, np.bool_)
    table_at = np.empty(variables + 1, np.int64)
    message_at = np.empty(variables + 1, np.int64)
    inverse = np.empty(variables)
    tables = np.empty(1024, w.tables.dtype)
    messages = np.empty(1024, w.tables.dtype)
    scratch = np.empty(1024, w.tables.dtype)
    runs = np.empty((3, 70), np.int64)
    axes = np.empty(variables, np.int32)
    for r in range(first, last):
        # Which variables matter, and which of them are free.
        for v in range(variables):
            kept[v] = not w.directed or wanted[v] or codes[r, v] >= 0 or soft_start[v] >= 0
        if w.directed:
            _mark_ancestors(w, kept, waiting)
        count = 0
        for v in range(variables):
            local[v] = -1
            if kept[v] and codes[r, v] < 0:
                local[v] = count
                free[count] = v
                bits[count] = math.log2(w.cards[v])
                count += 1

        for f in range(factors):
            used[f] = True
            for k in range(w.scope_start[f], w.scope_start[f + 1]):
                used[f] = used[f] and kept[w.scope[k]]
        order, separator_start, separator, least = triangulate(
            w.scope_start, w.scope, used, local, bits[:count], CHEAP_CELLS, DEAR_CELLS, RESTARTS, adjacent, neighbours, degree
        )
        if least > memory_cells:
            return r, least
        for i in range(count):
            position[order[i]] = i

        # From here on variables are known by their bucket: their place in the order.
        table_size, message_size = np.int64(0), np.int64(0)
        for i in range(count):
            child_head[i] = -1
            factor_head[i] = -1
        for i in range(count):
            size = 1
            for k in range(separator_start[i], separator_start[i + 1]):
                size *= w.cards[free[order[separator[k]]]]
            message_at[i] = message_size
            table_at[i] = table_size
            message_size += size
            table_size += size * w.cards[free[order[i]]]
            parent[i] = -1
            if separator_start[i + 1] > separator_start[i]:
                parent[i] = separator[separator_start[i]]
        for i in range(count - 1, -1, -1):
            if parent[i] >= 0:
                child_next[i] = child_head[parent[i]]
                child_head[parent[i]] = i
        table_at[count], message_at[count] = table_size, message_size
        if table_size > tables.size:
            tables = np.empty(table_size + table_size // 4, w.tables.dtype)
        if message_size > messages.size:
            messages = np.empty(message_size + message_size // 4, w.tables.dtype)

        # Tables go to the bucket of the variable in them that is eliminated first; without one they are numbers.
        running, log_z = 1.0, 0.0
        for f in range(factors - 1, -1, -1):
            if not used[f]:
                continue
            lowest, offset, size = variables, w.table_start[f], 1
            for k in range(w.scope_start[f], w.scope_start[f + 1]):
                v = w.scope[k]
                if local[v] >= 0:
                    lowest = min(lowest, position[local[v]])
                    size *= w.cards[v]
                else:
                    offset += codes[r, v] * np.int64(w.stride[k])
            if lowest < variables:
                factor_next[f] = factor_head[lowest]
                factor_head[lowest] = f
                if size > scratch.size:
                    scratch = np.empty(2 * size, w.tables.dtype)
            else:
                running *= w.tables[offset]
                if running < limits.tiny:
                    log_z += math.log(running) if running > 0.0 else -math.inf
                    running = 1.0
        for v in range(variables):  # soft evidence on an observed variable is a number too
            if soft_start[v] >= 0 and codes[r, v] >= 0:
                running *= likelihood[soft_start[v] + codes[r, v], r]
                if running < limits.tiny:
                    log_z += math.log(running) if running > 0.0 else -math.inf
                    running = 1.0

        # Collect: every bucket after all buckets below it.
        work = 0
        for i in range(count):
            v = free[order[i]]
            low, high = table_at[i], table_at[i + 1]
            card = w.cards[v]
            width = (high - low) // card
            careful = False
            while True:
                empty = True
                operands = 0
                f = factor_head[i]
                while f >= 0:
                    _gather(w, f, r, codes, local, position, scratch, axes)
                    scope = _runs(w, i, separator_start, separator, free, order, axes, _scope_size(w, f, local), runs)
                    _multiply(tables, low, scratch, 0, runs, scope, empty)
                    empty = False
                    operands += 1
                    if careful:
                        log_z += _rescale(tables, low, high)
                    f = factor_next[f]
                c = child_head[i]
                while c >= 0:
                    scope = _separator_runs(w, i, c, separator_start, separator, free, order, runs)
                    _multiply(tables, low, messages, message_at[c], runs, scope, empty)
                    empty = False
                    operands += 1
                    if careful:
                        log_z += _rescale(tables, low, high)
                    c = child_next[c]
                if empty:
                    for k in range(low, high):
                        tables[k] = 1.0
                if soft_start[v] >= 0:
                    for s in range(card):
                        value = likelihood[soft_start[v] + s, r]
                        for k in range(low + s * width, low + (s + 1) * width):
                            tables[k] *= value
                    operands += 1
                work += (operands + 1) * (high - low)
                start = message_at[i]
                for k in range(width):
                    messages[start + k] = tables[low + k]
                for s in range(1, card):
                    for k in range(width):
                        messages[start + k] += tables[low + s * width + k]
                total = _sum(messages, start, start + width)
                if careful or total >= limits.tiny:
                    break
                careful = True
            if careful:
                # The product may still be tiny: its own rescaling is the last one.
                log_z += _rescale(tables, low, high)
                for k in range(width):
                    messages[start + k] = tables[low + k]
                for s in range(1, card):
                    for k in range(width):
                        messages[start + k] += tables[low + s * width + k]
                total = _sum(messages, start, start + width)
            running *= total
            inverse[i] = 1.0 / total if total > 0.0 else 0.0
            for k in range(start, start + width):
                messages[k] *= inverse[i]
            if running < limits.tiny:
                log_z += math.log(running) if running > 0.0 else -math.inf
                running = 1.0
        log_z += math.log(running) if running > 0.0 else -math.inf
        log_evidence[r] = log_z
        if log_z == -math.inf:
            multiply_adds[r] = work
            for v in range(variables):
                if wanted[v]:
                    for s in range(w.cards[v]):
                        beliefs[r, output_start[v] + s] = 0.0
            continue

        # Distribute: only towards buckets that are asked for.
        for i in range(count):
            needed[i] = wanted[free[order[i]]]
        for i in range(count):
            if needed[i] and parent[i] >= 0:
                needed[parent[i]] = True
        for i in range(count - 1, -1, -1):
            if not needed[i]:
                continue
            v = free[order[i]]
            low, high, start = table_at[i], table_at[i + 1], message_at[i]
            card = w.cards[v]
            width = (high - low) // card
            p = parent[i]
            if p < 0:
                messages[start] = inverse[i]
            else:
                above = table_at[p]
                if table_at[p + 1] - above == width:  # the separator is the whole bucket above
                    for k in range(width):
                        old = messages[start + k]
                        messages[start + k] = tables[above + k] / old * inverse[i] if old > 0.0 else 0.0
                else:
                    if width > scratch.size:
                        scratch = np.empty(2 * width, w.tables.dtype)
                    for k in range(width):
                        scratch[k] = 0.0
                    scope = _separator_runs(w, p, i, separator_start, separator, free, order, runs)
                    _marginalise(tables, above, scratch, 0, runs, scope)
                    work += table_at[p + 1] - above
                    for k in range(width):
                        old = messages[start + k]
                        messages[start + k] = scratch[k] / old * inverse[i] if old > 0.0 else 0.0
            is_read = wanted[v]
            below = False
            c = child_head[i]
            while c >= 0:
                below = below or needed[c]
                c = child_next[c]
            total = 0.0
            for s in range(card):
                one = low + s * width
                if below:
                    for k in range(width):
                        tables[one + k] *= messages[start + k]
                    if is_read:
                        total += _read(beliefs, r, output_start[v] + s, _sum(tables, one, one + width))
                else:
                    total += _read(beliefs, r, output_start[v] + s, _dot(tables, one, messages, start, width))
            work += 2 * (high - low)
            if is_read:
                scale = 1.0 / total if total > 0.0 else 0.0
                for s in range(card):
                    beliefs[r, output_start[v] + s] *= scale
        for v in range(variables):
            if wanted[v] and codes[r, v] >= 0:
                for s in range(w.cards[v]):
                    beliefs[r, output_start[v] + s] = 1.0 if s == codes[r, v] else 0.0
        multiply_adds[r] = work
    return -1, 0.0


@compiled
def _read(beliefs, row, column, value):  # type: ignore[no-untyped-def]
    beliefs[row, column] = value
    return value


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
def _scope_size(w, f, local):  # type: ignore[no-untyped-def]
    """Number of free variables in the scope of factor f."""
    size = 0
    for k in range(w.scope_start[f], w.scope_start[f + 1]):
        size += local[w.scope[k]] >= 0
    return size


@compiled
def _gather(w, f, r, codes, local, position, out, axes):  # type: ignore[no-untyped-def]
    """Table f at the observed states, its free axes in elimination order; `axes` gets their buckets."""
    offset = w.table_start[f]
    strides = np.empty(70, np.int64)
    sizes = np.empty(70, np.int64)
    count, cells = 0, 1
    for k in range(w.scope_start[f], w.scope_start[f + 1]):
        v = w.scope[k]
        if local[v] < 0:
            offset += codes[r, v] * np.int64(w.stride[k])
            continue
        bucket = position[local[v]]
        at = count
        while at > 0 and axes[at - 1] > bucket:
            axes[at], strides[at], sizes[at] = axes[at - 1], strides[at - 1], sizes[at - 1]
            at -= 1
        axes[at], strides[at], sizes[at] = bucket, w.stride[k], w.cards[v]
        count += 1
        cells *= w.cards[v]
    inner, step = sizes[count - 1], strides[count - 1]
    index = np.zeros(70, np.int64)
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


@compiled
def _runs(w, bucket, separator_start, separator, free, order, axes, count, runs):  # type: ignore[no-untyped-def]
    """How a table over `axes` lies in a bucket: alternating runs of axes it has and has not, innermost first.

    Fills `runs[0]` with their lengths in cells, `runs[1]` with the smaller table's step (0: the axes are missing there);
    returns their number.
    """
    found, stride, k = 0, 1, count - 1
    for a in range(separator_start[bucket + 1] - 1, separator_start[bucket] - 2, -1):
        axis = bucket if a < separator_start[bucket] else separator[a]
        card = w.cards[free[order[axis]]]
        if k >= 0 and axes[k] == axis:
            if found > 0 and runs[1, found - 1] > 0:
                runs[0, found - 1] *= card
            else:
                runs[0, found], runs[1, found] = card, stride
                found += 1
            stride *= card
            k -= 1
        elif found > 0 and runs[1, found - 1] == 0:
            runs[0, found - 1] *= card
        else:
            runs[0, found], runs[1, found] = card, 0
            found += 1
    return found


@compiled
def _separator_runs(w, bucket, child, separator_start, separator, free, order, runs):  # type: ignore[no-untyped-def]
    """The runs of a child's separator in the bucket above it."""
    begin, end = separator_start[child], separator_start[child + 1]
    return _runs(w, bucket, separator_start, separator, free, order, separator[begin:end], end - begin, runs)


@compiled
def _multiply(table, start, factor, origin, runs, count, assign):  # type: ignore[no-untyped-def]
    """Multiply a smaller table into a bucket (or write it there, if it is the first)."""
    inner, present = runs[0, 0], runs[1, 0] > 0
    middle = runs[0, 1] if count > 1 else 1
    for r in range(2, count):
        runs[2, r] = 0
    cell, at = start, origin
    while True:
        if present:
            for _ in range(middle):
                if assign:
                    for k in range(inner):
                        table[cell + k] = factor[at + k]
                else:
                    for k in range(inner):
                        table[cell + k] *= factor[at + k]
                cell += inner
        else:
            for j in range(middle):
                value = factor[at + j]
                if assign:
                    for k in range(inner):
                        table[cell + k] = value
                else:
                    for k in range(inner):
                        table[cell + k] *= value
                cell += inner
        r = 2
        while r < count:
            runs[2, r] += 1
            at += runs[1, r]
            if runs[2, r] < runs[0, r]:
                break
            at -= runs[1, r] * runs[0, r]
            runs[2, r] = 0
            r += 1
        if r >= count:
            return


@compiled
def _marginalise(table, start, sums, origin, runs, count):  # type: ignore[no-untyped-def]
    """Add the cells of a bucket up onto a smaller table; the mirror image of `_multiply`."""
    inner, present = runs[0, 0], runs[1, 0] > 0
    middle = runs[0, 1] if count > 1 else 1
    for r in range(2, count):
        runs[2, r] = 0
    cell, at = start, origin
    while True:
        if present:
            for _ in range(middle):
                for k in range(inner):
                    sums[at + k] += table[cell + k]
                cell += inner
        else:
            for j in range(middle):
                sums[at + j] += _sum(table, cell, cell + inner)
                cell += inner
        r = 2
        while r < count:
            runs[2, r] += 1
            at += runs[1, r]
            if runs[2, r] < runs[0, r]:
                break
            at -= runs[1, r] * runs[0, r]
            runs[2, r] = 0
            r += 1
        if r >= count:
            return


@compiled
def _sum(table, begin, end):  # type: ignore[no-untyped-def]
    """A sum in a fixed order that leaves four additions in flight."""
    a = table[begin] - table[begin]
    b, c, d = a, a, a
    k = begin
    while k + 4 <= end:
        a += table[k]
        b += table[k + 1]
        c += table[k + 2]
        d += table[k + 3]
        k += 4
    while k < end:
        a += table[k]
        k += 1
    return (a + b) + (c + d)


@compiled
def _dot(one, begin, two, start, size):  # type: ignore[no-untyped-def]
    """Sum of products, in a fixed order."""
    a = one[begin] - one[begin]
    b, c, d = a, a, a
    k = 0
    while k + 4 <= size:
        a += one[begin + k] * two[start + k]
        b += one[begin + k + 1] * two[start + k + 1]
        c += one[begin + k + 2] * two[start + k + 2]
        d += one[begin + k + 3] * two[start + k + 3]
        k += 4
    while k < size:
        a += one[begin + k] * two[start + k]
        k += 1
    return (a + b) + (c + d)


@compiled
def _rescale(table, begin, end):  # type: ignore[no-untyped-def]
    """Divide cells by their largest; returns its logarithm (0 where all are zero)."""
    largest = table[begin]
    for k in range(begin, end):
        largest = max(largest, table[k])
    if largest <= 0.0:
        return 0.0
    scale = 1.0 / largest
    for k in range(begin, end):
        table[k] *= scale
    return math.log(largest)
