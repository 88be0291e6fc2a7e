"""Arithmetic of tables whose axes stand in elimination order, compiled.

The axes that a table shares with a larger one are *runs* of neighbouring axes, so that products and sums of the two are
loops over contiguous blocks. Sums run in a fixed order: a row's bits depend on nothing but the row.
"""

from __future__ import annotations

import math

from worldnets.inference.compiled import compiled


@compiled
def runs_of(buckets, bucket, axes, count, runs):  # type: ignore[no-untyped-def]
    """How a table over `axes` lies in a bucket: alternating runs of axes it has and has not, innermost first.

    Fills `runs[0]` with their lengths in cells, `runs[1]` with the smaller table's step (0: the axes are missing
    there); returns their number.
    """
    found, stride, k = 0, 1, count - 1
    begin = buckets.separator_start[bucket]
    for a in range(buckets.separator_start[bucket + 1] - 1, begin - 2, -1):
        axis = bucket if a < begin else buckets.separator[a]
        card = buckets.cards[axis]
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
def multiply(table, start, factor, origin, runs, count, assign):  # type: ignore[no-untyped-def]
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
def marginalise(table, start, sums, origin, runs, count):  # type: ignore[no-untyped-def]
    """Add the cells of a bucket up onto a smaller table; the mirror image of `multiply`."""
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
                sums[at + j] += total_of(table, cell, cell + inner)
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
def total_of(table, begin, end):  # type: ignore[no-untyped-def]
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
def dot(one, begin, two, start, size):  # type: ignore[no-untyped-def]
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
def rescale(table, begin, end):  # type: ignore[no-untyped-def]
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


@compiled
def divide(messages, start, belief, origin, size, scale):  # type: ignore[no-untyped-def]
    """Belief over message; 0/0 = 0, a separator state that the evidence forbids."""
    for k in range(size):
        old = messages[start + k]
        messages[start + k] = belief[origin + k] / old * scale if old > 0.0 else 0.0
