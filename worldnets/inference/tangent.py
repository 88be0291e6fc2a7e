"""The compiled loops of gradients: the directional derivative of the exact walk, a chunk of rows at a time.

Perturb the log-potential of every variable v by ε·g_v(x_v). With G(x) = Σ_v g_v(x_v), the derivative at ε = 0 of a
cell's unnormalised product is the product times an expectation of G, and products of messages are sums of such
expectations. So beside each number that `kernels.collect` computes stands its *slope*, the derivative of its logarithm:

    collect      ρ(s) = E[G below the sepset | sepset state s, evidence below]       (a mean: no scale, no underflow)
    distribute   κ(cell) = E[G | cell, evidence] − E[G | evidence]

and the tangent of a family marginal is Σ_cells belief·κ = Cov(1[family state], G | evidence). Since slopes are
derivatives of logarithms, the rescaling of the walk leaves them alone. This is forward-mode differentiation of the
walk, equivalently the expectation semiring (Li & Eisner 2009, "First- and second-order expectation semirings with
applications to minimum-risk training on translation forests", section 3).

Arrays are batch-last as in `kernels`; nothing is summed over rows but in `accumulate`, whose order is fixed.
"""

from __future__ import annotations

import math

import numpy as np

from worldnets.inference.compiled import compiled


@compiled
def tabulate(t, clique_start, values, base):  # type: ignore[no-untyped-def]
    """Fill a plan with new numbers: `base` [cells], each clique's product divided by its largest.

    `t` is a `families.Tabulation`, `values` [entries] all tables one after the other. Returns the logarithm of what
    `base` was divided by (nats).
    """
    log_scale = 0.0
    product = np.empty(0 if clique_start.size < 2 else np.max(clique_start[1:] - clique_start[:-1]))
    for c in range(clique_start.size - 1):
        begin, size = clique_start[c], clique_start[c + 1] - clique_start[c]
        for i in range(size):
            product[i] = 1.0
        for term in range(t.term_start[c], t.term_start[c + 1]):
            first, largest = t.term_entry_start[term], 0.0
            for i in range(size):
                product[i] *= values[t.entries[first + i]]
                largest = max(largest, product[i])
            if largest > 0.0:  # many small entries would underflow; a table of zeros stays what it is
                log_scale += math.log(largest)
                for i in range(size):
                    product[i] /= largest
        for i in range(size):
            base[begin + i] = product[i]
    return log_scale


@compiled
def load_slopes(w, state_start, slopes, sloped, codes, first, n, log_evidence, arena_slope, carries):  # type: ignore[no-untyped-def]
    """Write g_v beside the indicators of every variable with `sloped[v]`; `carries` [message rows] says where.

    A variable that a row observes adds a constant to G, which no covariance sees: its slope is 0, as are all slopes of
    impossible rows.
    """
    for row in range(w.message_rows):
        carries[row] = False
    for v in range(w.indicator_row.size):
        row = w.indicator_row[v]
        if row < 0 or not sloped[v]:
            continue
        for s in range(state_start[v + 1] - state_start[v]):
            carries[row + s] = True
            for b in range(n):
                free = codes[v, first + b] < 0 and log_evidence[b] > -np.inf
                arena_slope[row + s, b] = slopes[state_start[v] + s, first + b] if free else 0.0


@compiled
def ascend(w, n, pot, arena, scale, arena_slope, carries, cell_slope):  # type: ignore[no-untyped-def]
    """After `kernels.collect`: the slope of every cell in `cell_slope` [cells, ≥ n], of every message in `arena_slope`.

    Only operands that carry a slope are added up; a clique with none has slope 0.
    """
    used = np.empty(w.operand_evidence.size, np.int64)
    for c in range(w.clique_start.size - 1):
        begin, end = w.clique_start[c], w.clique_start[c + 1]
        low, high = w.sepset_row[c], w.sepset_row[c + 1]
        count = 0
        for o in range(w.operand_start[c], w.operand_start[c + 1]):
            if carries[w.rows[w.operand_row_start[o]]]:
                used[count] = w.operand_row_start[o]
                count += 1
        for s in range(low, high):
            carries[s] = count > 0
            for b in range(n):
                arena_slope[s, b] = 0.0
        _sum_and_send(w, begin, end, n, used, count, pot, arena_slope, cell_slope)
        if count == 0:
            continue
        for s in range(low, high):
            for b in range(n):
                message = arena[s, b]
                arena_slope[s, b] = arena_slope[s, b] * scale[c, b] / message if message > 0.0 else 0.0


@compiled
def _sum_and_send(w, begin, end, n, used, count, pot, arena_slope, cell_slope):  # type: ignore[no-untyped-def]
    """Add the operands' slopes up in each cell, and the cells' products × slopes onto the sepset."""
    for i in range(begin, end):
        to, k = w.sepset_rows[i], i - begin
        if count == 0:
            for b in range(n):
                cell_slope[i, b] = 0.0
        elif count == 1:
            one = w.rows[used[0] + k]
            for b in range(n):
                slope = arena_slope[one, b]
                cell_slope[i, b] = slope
                arena_slope[to, b] += pot[i, b] * slope
        elif count == 2:
            one, two = w.rows[used[0] + k], w.rows[used[1] + k]
            for b in range(n):
                slope = arena_slope[one, b] + arena_slope[two, b]
                cell_slope[i, b] = slope
                arena_slope[to, b] += pot[i, b] * slope
        else:
            one = w.rows[used[0] + k]
            for b in range(n):
                cell_slope[i, b] = arena_slope[one, b]
            for o in range(1, count):
                row = w.rows[used[o] + k]
                for b in range(n):
                    cell_slope[i, b] += arena_slope[row, b]
            for b in range(n):
                arena_slope[to, b] += pot[i, b] * cell_slope[i, b]


@compiled
def descend(w, n, pot, arena, scale, arena_slope, cell_slope, read, slope_read):  # type: ignore[no-untyped-def]
    """`kernels.distribute` with slopes: the readouts in `read`, their tangents in `slope_read` [readout rows, ≥ n]."""
    for row in range(w.readout_rows):
        for b in range(n):
            read[row, b] = 0.0
            slope_read[row, b] = 0.0
    last = w.clique_start.size - 2
    for c in range(last, -1, -1):
        low = w.sepset_row[c]
        for o in range(w.marginal_start[c], w.marginal_start[c + 1]):
            first = w.marginal_row_start[o]
            for s in range(w.sepset_row[c + 1] - low):
                belief, one = w.sepset_readout[c] + s, w.rows[first + s]
                for b in range(n):
                    read[one, b] += read[belief, b]
                    slope_read[one, b] += slope_read[belief, b]
        if w.readout_start[c] == w.readout_start[c + 1]:
            continue
        for s in range(w.sepset_row[c + 1] - low):
            row, belief = low + s, w.sepset_readout[c] + s
            for b in range(n):
                if c == last:
                    arena[row, b] = scale[c, b]
                    arena_slope[row, b] = -arena_slope[row, b]
                else:
                    # As in `distribute`: new sepset belief over old message, 0/0 = 0. The slope of that ratio.
                    message, marginal = arena[row, b], read[belief, b]
                    arena[row, b] = marginal / message * scale[c, b] if message > 0.0 else 0.0
                    above = slope_read[belief, b] / marginal if marginal > 0.0 else 0.0
                    arena_slope[row, b] = above - arena_slope[row, b]
        for o in range(w.readout_start[c], w.readout_start[c + 1], 2):
            count = min(2, w.readout_start[c + 1] - o)
            _read_out(w, c, n, o, count, pot, arena, arena_slope, cell_slope, read, slope_read)


@compiled
def _read_out(w, c, n, readout, count, pot, arena, arena_slope, cell_slope, read, slope_read):  # type: ignore[no-untyped-def]
    """Add the beliefs of clique c's cells, and their tangents, up onto one or two readouts."""
    begin, end = w.clique_start[c], w.clique_start[c + 1]
    first = w.readout_row_start[readout]
    if count == 1:
        for i in range(begin, end):
            factor, one = w.sepset_rows[i], w.rows[first + i - begin]
            for b in range(n):
                belief = pot[i, b] * arena[factor, b]
                read[one, b] += belief
                slope_read[one, b] += belief * (cell_slope[i, b] + arena_slope[factor, b])
    else:
        second = w.readout_row_start[readout + 1]
        for i in range(begin, end):
            factor, one, two = w.sepset_rows[i], w.rows[first + i - begin], w.rows[second + i - begin]
            for b in range(n):
                belief = pot[i, b] * arena[factor, b]
                tangent = belief * (cell_slope[i, b] + arena_slope[factor, b])
                read[one, b] += belief
                read[two, b] += belief
                slope_read[one, b] += tangent
                slope_read[two, b] += tangent


@compiled
def weigh(rows, n, weights, read, slope_read, sloped):  # type: ignore[no-untyped-def]
    """Weight the first `rows` readouts by row; with `sloped`, add them onto `slope_read`, otherwise in place."""
    for row in range(rows):
        for b in range(n):
            if sloped:
                slope_read[row, b] += read[row, b] * weights[b]
            else:
                read[row, b] *= weights[b]


@compiled
def accumulate(f, codes, first, n, numbers, totals):  # type: ignore[no-untyped-def]
    """Add the families' `numbers` [readout rows + 1, ≥ n], summed over the chunk's rows, onto `totals` [entries].

    `f` is a `families.FamilyCells`, whose last readout row stands for "wholly observed".
    """
    offsets = np.empty(n, np.int64)
    for family in range(f.read_start.size):
        row = f.read_start[family]
        if f.known_start[family] == f.known_start[family + 1]:
            for cell in range(f.cell_start[family], f.cell_start[family + 1]):
                # Four sums, so that one addition need not wait for the one before it.
                one, two, three, four, b = 0.0, 0.0, 0.0, 0.0, 0
                while b + 4 <= n:
                    one += numbers[row, b]
                    two += numbers[row, b + 1]
                    three += numbers[row, b + 2]
                    four += numbers[row, b + 3]
                    b += 4
                while b < n:
                    one += numbers[row, b]
                    b += 1
                totals[f.cell[cell]] += (one + two) + (three + four)
                row += 1
        else:
            _offsets(f, family, codes, first, n, offsets)
            for cell in range(f.cell_start[family], f.cell_start[family + 1]):
                entry = f.cell[cell]
                for b in range(n):
                    totals[entry + offsets[b]] += numbers[row, b]
                row += 1


@compiled
def spread(f, codes, first, n, numbers, tables):  # type: ignore[no-untyped-def]
    """As `accumulate`, but each row is written to its own column of `tables` [entries, rows], which holds zeros."""
    offsets = np.empty(n, np.int64)
    for family in range(f.read_start.size):
        row = f.read_start[family]
        _offsets(f, family, codes, first, n, offsets)
        for cell in range(f.cell_start[family], f.cell_start[family + 1]):
            entry = f.cell[cell]
            for b in range(n):
                tables[entry + offsets[b], first + b] = numbers[row, b]
            row += 1


@compiled
def _offsets(f, family, codes, first, n, offsets):  # type: ignore[no-untyped-def]
    """How far a family's entries lie from `cell` at the states that each row observes."""
    for b in range(n):
        offsets[b] = 0
    for m in range(f.known_start[family], f.known_start[family + 1]):
        column, stride = f.known_column[m], f.known_stride[m]
        for b in range(n):
            offsets[b] += codes[column, first + b] * stride
