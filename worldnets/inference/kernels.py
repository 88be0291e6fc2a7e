"""The compiled loops of exact message passing: one walk over any plan, a chunk of rows at a time.

Arrays are batch-last: every inner loop runs over the rows of a chunk, which lie side by side. Nothing is ever summed
over rows, so a row's bits do not depend on the chunk, the thread, or the other rows.

Source: Lauritzen & Spiegelhalter 1988; the division of sepsets on the way back is Jensen, Lauritzen & Olesen 1990.
"""

from __future__ import annotations

import math

import numpy as np

from worldnets.inference.compiled import compiled
from worldnets.inference.random import mix, uniform

FUSED = 3  # operands multiplied in one pass; more would need more alias checks than the compiler makes


@compiled
def collect(w, codes, likelihood, soft_start, first, n, pot, arena, active, scale, log_evidence, limits, maximise):  # type: ignore[no-untyped-def]
    """Messages from the leaves to the root for rows first … first + n of `codes` [variables, rows].

    Soft evidence stands in `likelihood` [soft states, rows], a variable's from line `soft_start` [variables] on (-1:
    none).

    Leaves the products in `pot` [cells, ≥ n], the messages (scaled to sum 1) and indicators in `arena`, the inverse
    of what each clique's message was divided by in `scale` [cliques, ≥ n], and log Z in `log_evidence` [≥ n] (nats).
    With `maximise`, messages are maxima instead of sums, and log Z is the logarithm of the largest product.
    """
    for v in range(w.indicator_row.size):
        row = w.indicator_row[v]
        soft = soft_start[v]
        active[v] = soft >= 0
        if row < 0:
            continue
        for b in range(n):
            if codes[v, first + b] >= 0:
                active[v] = True
                break
        if active[v]:
            for s in range(w.cards[v]):
                for b in range(n):
                    code = codes[v, first + b]
                    arena[row + s, b] = 1.0 if code < 0 or code == s else 0.0
                if soft >= 0:
                    for b in range(n):
                        arena[row + s, b] *= likelihood[soft + s, first + b]

    running = np.ones(n)  # the product of scales not yet turned into logarithms
    used = np.empty(w.operand_evidence.size, np.int32)
    for b in range(n):
        log_evidence[b] = 0.0
    _slice_tables(w, codes, first, n, arena, running, log_evidence, limits)
    for c in range(w.clique_start.size - 1):
        begin, end = w.clique_start[c], w.clique_start[c + 1]
        low, high = w.sepset_row[c], w.sepset_row[c + 1]
        operands, messages = 0, 0
        for o in range(w.operand_start[c], w.operand_start[c + 1]):
            v = w.operand_evidence[o]
            if v < 0 or active[v]:
                used[operands] = w.operand_row_start[o]
                operands += 1
                messages += v < 0
        for s in range(low, high):
            for b in range(n):
                arena[s, b] = 0.0
        if operands <= FUSED and messages <= limits.messages and not maximise:
            _multiply_and_send(w, begin, end, n, used, operands, pot, arena)
        else:
            _multiply(w, begin, end, n, used, operands, messages, pot, arena, log_evidence, limits)
            _send(w, begin, end, n, pot, arena, maximise)
        if _totals(low, high, n, arena, scale[c]) < limits.tiny:
            _rescale(pot, begin, end, n, scale[c], limits.tiny, log_evidence)
            for s in range(low, high):
                for b in range(n):
                    arena[s, b] = 0.0
            _send(w, begin, end, n, pot, arena, maximise)
            _totals(low, high, n, arena, scale[c])
        smallest = 1.0
        for b in range(n):
            total = scale[c, b]
            running[b] *= total
            smallest = min(smallest, running[b])
            scale[c, b] = 1.0 / total if total > 0.0 else 0.0
        for s in range(low, high):
            for b in range(n):
                arena[s, b] *= scale[c, b]
        if smallest < limits.tiny:
            _take_logarithms(running, log_evidence, n, limits.tiny)
    _take_logarithms(running, log_evidence, n, np.inf)
    if w.clique_start.size > 1:
        for b in range(n):
            if log_evidence[b] == -np.inf:  # a table with nothing unobserved in it may be what forbids the row
                scale[w.clique_start.size - 2, b] = 0.0


@compiled
def _slice_tables(w, codes, first, n, arena, running, log_evidence, limits):  # type: ignore[no-untyped-def]
    """Read every sliced table at the observed states; those with nothing else in their scope are plain factors."""
    offsets = np.empty(n, np.int64)
    for f in range(w.slice_row.size - 1):
        _offsets(w, codes, first, n, w.slice_known[f], w.slice_known[f + 1], offsets)
        for row in range(w.slice_row[f], w.slice_row[f + 1]):
            cell = w.slice_cell[row]
            for b in range(n):
                arena[row, b] = w.tables[cell + offsets[b]]
    for f in range(w.scalar_cell.size):
        _offsets(w, codes, first, n, w.scalar_known[f], w.scalar_known[f + 1], offsets)
        smallest = 1.0
        for b in range(n):
            running[b] *= w.tables[w.scalar_cell[f] + offsets[b]]
            smallest = min(smallest, running[b])
        if smallest < limits.tiny:
            _take_logarithms(running, log_evidence, n, limits.tiny)


@compiled
def _offsets(w, codes, first, n, low, high, offsets):  # type: ignore[no-untyped-def]
    for b in range(n):
        offsets[b] = 0
    for m in range(low, high):
        column, stride = w.known_column[m], w.known_stride[m]
        for b in range(n):
            offsets[b] += codes[column, first + b] * stride


@compiled
def _multiply_and_send(w, begin, end, n, used, operands, pot, arena):  # type: ignore[no-untyped-def]
    """Fill the cells with table × operands and add them up onto the sepset, in one pass over memory."""
    for i in range(begin, end):
        value, to, k = w.base[i], w.sepset_rows[i], i - begin
        if operands == 0:
            for b in range(n):
                pot[i, b] = value
                arena[to, b] += value
        elif operands == 1:
            one = w.rows[used[0] + k]
            for b in range(n):
                product = value * arena[one, b]
                pot[i, b] = product
                arena[to, b] += product
        elif operands == 2:
            one, two = w.rows[used[0] + k], w.rows[used[1] + k]
            for b in range(n):
                product = value * arena[one, b] * arena[two, b]
                pot[i, b] = product
                arena[to, b] += product
        else:
            one, two, three = w.rows[used[0] + k], w.rows[used[1] + k], w.rows[used[2] + k]
            for b in range(n):
                product = value * arena[one, b] * arena[two, b] * arena[three, b]
                pot[i, b] = product
                arena[to, b] += product


@compiled
def _multiply(w, begin, end, n, used, operands, messages, pot, arena, log_evidence, limits):  # type: ignore[no-untyped-def]
    """Fill the cells with table × operands, one operand at a time, rescaling between messages."""
    for i in range(begin, end):
        value = w.base[i]
        for b in range(n):
            pot[i, b] = value
    for o in range(operands):
        for i in range(begin, end):
            row = w.rows[used[o] + i - begin]
            for b in range(n):
                pot[i, b] *= arena[row, b]
        # Indicators stand first among the operands: the messages are the last ones.
        message = o - (operands - messages) + 1
        if 0 < message < messages and message % limits.messages == 0:
            _rescale(pot, begin, end, n, np.zeros(n, pot.dtype), np.inf, log_evidence)


@compiled
def _send(w, begin, end, n, pot, arena, maximise):  # type: ignore[no-untyped-def]
    """Add the cells up onto the sepset, or take their maxima."""
    for i in range(begin, end):
        row = w.sepset_rows[i]
        if maximise:
            for b in range(n):
                arena[row, b] = max(arena[row, b], pot[i, b])
        else:
            for b in range(n):
                arena[row, b] += pot[i, b]


@compiled
def _totals(low, high, n, arena, totals):  # type: ignore[no-untyped-def]
    """Sums of a message into `totals` [≥ n]; returns the smallest that is not zero."""
    for b in range(n):
        totals[b] = 0.0
    for s in range(low, high):
        for b in range(n):
            totals[b] += arena[s, b]
    smallest = np.inf
    for b in range(n):
        if totals[b] > 0.0:
            smallest = min(smallest, totals[b])
    return smallest


@compiled
def _rescale(pot, begin, end, n, totals, below, log_evidence):  # type: ignore[no-untyped-def]
    """Divide the cells by their largest in the rows whose total lies below the limit; the others keep their bits."""
    largest = np.zeros(n, pot.dtype)
    for i in range(begin, end):
        for b in range(n):
            largest[b] = max(largest[b], pot[i, b])
    for b in range(n):
        if totals[b] < below and largest[b] > 0.0:
            log_evidence[b] += math.log(np.float64(largest[b]))
            largest[b] = 1.0 / largest[b]
        else:
            largest[b] = 1.0
    for i in range(begin, end):
        for b in range(n):
            pot[i, b] *= largest[b]


@compiled
def _take_logarithms(running, log_evidence, n, below):  # type: ignore[no-untyped-def]
    for b in range(n):
        if running[b] < below:
            log_evidence[b] += math.log(running[b]) if running[b] > 0.0 else -math.inf
            running[b] = 1.0


@compiled
def distribute(w, n, pot, arena, scale, read, maximise):  # type: ignore[no-untyped-def]
    """Beliefs from the root back to the leaves, adding up every readout of the plan in `read` [readout rows, ≥ n].

    With `maximise`, max-marginals: readouts are maxima.
    """
    for row in range(w.readout_rows):
        for b in range(n):
            read[row, b] = 0.0
    last = w.clique_start.size - 2
    for c in range(last, -1, -1):
        for o in range(w.marginal_start[c], w.marginal_start[c + 1]):
            first = w.marginal_row_start[o]
            for s in range(w.sepset_row[c + 1] - w.sepset_row[c]):
                belief, one = w.sepset_readout[c] + s, w.rows[first + s]
                for b in range(n):
                    value = read[belief, b]
                    read[one, b] = max(read[one, b], value) if maximise else read[one, b] + value
        if w.readout_start[c] == w.readout_start[c + 1]:
            continue
        low = w.sepset_row[c]
        # The factor that turns each cell's product into its belief: new sepset belief over old message.
        for s in range(w.sepset_row[c + 1] - low):
            belief = w.sepset_readout[c] + s
            for b in range(n):
                if c == last:
                    arena[low + s, b] = scale[c, b]
                else:
                    message = arena[low + s, b]
                    # 0/0 = 0: a sepset state that the row's evidence forbids has belief zero.
                    arena[low + s, b] = read[belief, b] / message * scale[c, b] if message > 0.0 else 0.0
        if maximise:
            for o in range(w.readout_start[c], w.readout_start[c + 1]):
                _read_maxima(w, c, n, o, pot, arena, read)
        else:
            for o in range(w.readout_start[c], w.readout_start[c + 1], 2):
                _read_out(w, c, n, o, min(2, w.readout_start[c + 1] - o), pot, arena, read)


@compiled
def _read_out(w, c, n, readout, count, pot, arena, read):  # type: ignore[no-untyped-def]
    """Add the beliefs of clique c's cells up onto one or two readouts."""
    begin, end = w.clique_start[c], w.clique_start[c + 1]
    first = w.readout_row_start[readout]
    if count == 1:
        for i in range(begin, end):
            factor, one = w.sepset_rows[i], w.rows[first + i - begin]
            for b in range(n):
                read[one, b] += pot[i, b] * arena[factor, b]
    else:
        second = w.readout_row_start[readout + 1]
        for i in range(begin, end):
            factor, one, two = w.sepset_rows[i], w.rows[first + i - begin], w.rows[second + i - begin]
            for b in range(n):
                belief = pot[i, b] * arena[factor, b]
                read[one, b] += belief
                read[two, b] += belief


@compiled
def _read_maxima(w, c, n, readout, pot, arena, read):  # type: ignore[no-untyped-def]
    """Take the maxima of clique c's max-marginals onto one readout."""
    begin, first = w.clique_start[c], w.readout_row_start[readout]
    for i in range(begin, w.clique_start[c + 1]):
        factor, one = w.sepset_rows[i], w.rows[first + i - begin]
        for b in range(n):
            read[one, b] = max(read[one, b], pot[i, b] * arena[factor, b])


@compiled
def posteriors(  # type: ignore[no-untyped-def]
    w, memory, codes, likelihood, soft_start, first, last, width, limits, maximise, beliefs, log_evidence
):
    """Rows first … last of a query: `beliefs` [outputs' states, rows] and `log_evidence` [rows] (nats) are filled.

    With `maximise` they are max-marginals, each divided by its largest, and the logarithm of the largest product.
    """
    # Working tables, each [rows of it, width], side by side in `memory`.
    sizes = (w.base.size * width, w.message_rows * width, w.readout_rows * width, (w.clique_start.size - 1) * width)
    pot = memory[: sizes[0]].reshape((w.base.size, width))
    at = sizes[0]
    arena = memory[at : at + sizes[1]].reshape((w.message_rows, width))
    at += sizes[1]
    read = memory[at : at + sizes[2]].reshape((w.readout_rows, width))
    at += sizes[2]
    scale = memory[at : at + sizes[3]].reshape((w.clique_start.size - 1, width))
    active = np.zeros(w.indicator_row.size, np.bool_)
    log_z = np.empty(width)
    total = np.empty(width, w.base.dtype)
    for start in range(first, last, width):
        n = min(width, last - start)
        collect(w, codes, likelihood, soft_start, start, n, pot, arena, active, scale, log_z, limits, maximise)
        for b in range(n):
            log_evidence[start + b] = log_z[b]
        if w.output_start.size == 1:
            continue
        distribute(w, n, pot, arena, scale, read, maximise)
        for o in range(w.output_start.size - 1):
            low, high = w.output_start[o], w.output_start[o + 1]
            # Rounding leaves sums of 1 ± 1e-15; dividing once makes every distribution sum to 1 to the last bits.
            for b in range(n):
                total[b] = 0.0
            for s in range(low, high):
                for b in range(n):
                    total[b] = max(total[b], read[s, b]) if maximise else total[b] + read[s, b]
            for b in range(n):
                total[b] = 1.0 / total[b] if total[b] > 0.0 else 0.0
            for s in range(low, high):
                for b in range(n):
                    beliefs[s, start + b] = read[s, b] * total[b]
        for o in range(w.sure_output.size):
            low, column = w.output_start[w.sure_output[o]], w.sure_column[o]
            for b in range(n):
                if log_z[b] > -np.inf:
                    beliefs[low + codes[column, start + b], start + b] = 1.0


@compiled
def conditional_samples(  # type: ignore[no-untyped-def]
    w, t, codes, likelihood, soft_start, first, last, width, limits, seed, numbers, samples, log_evidence
):
    """Fill `samples` [rows, draws, variables] from the posterior of each row; rows of probability zero get -1.

    `numbers` [rows] are the rows' own: a draw depends on (seed, number, draw) alone.

    After `collect`, the root's table is the joint of its variables and the evidence; below it each clique is drawn
    given the sepset already drawn (Dawid 1992, "Applications of a general propagation algorithm", section 5).
    """
    pot = np.empty((w.base.size, width), w.base.dtype)
    arena = np.empty((w.message_rows, width), w.base.dtype)
    scale = np.empty((w.clique_start.size - 1, width), w.base.dtype)
    active = np.zeros(w.indicator_row.size, np.bool_)
    log_z = np.empty(width)
    for start in range(first, last, width):
        n = min(width, last - start)
        collect(w, codes, likelihood, soft_start, start, n, pot, arena, active, scale, log_z, limits, False)
        for b in range(n):
            r = start + b
            log_evidence[r] = log_z[b]
            if log_z[b] == -np.inf:
                samples[r, :, :] = -1
                continue
            row_state = mix(mix(np.uint64(1), seed), numbers[r])
            for draw in range(samples.shape[1]):
                state = mix(row_state, np.uint64(draw))
                for v in range(samples.shape[2]):
                    samples[r, draw, v] = codes[v, r]
                for c in range(w.clique_start.size - 2, -1, -1):
                    group = _group(w, t, c, samples, r, draw)
                    low, high = t.group_start[group], t.group_start[group + 1]
                    total = 0.0
                    for k in range(low, high):
                        total += pot[t.group_cell[k], b]
                    threshold = uniform(state, np.uint64(c)) * total
                    chosen, running = w.clique_start[c], 0.0
                    for k in range(low, high):
                        chosen = t.group_cell[k]
                        running += pot[chosen, b]
                        if running > threshold:
                            break
                    _take(w, t, c, chosen, samples, r, draw)


@compiled
def _group(w, t, c, samples, r, draw):  # type: ignore[no-untyped-def]
    """Which group of clique c's cells agrees with the sepset's states, all of which have been chosen above."""
    group = w.sepset_row[c] - w.sepset_row[0]
    for m in range(t.member_start[c], t.member_start[c + 1]):
        if t.sepset_stride[m] > 0:
            group += t.sepset_stride[m] * samples[r, draw, t.member_column[m]]
    return group


@compiled
def _take(w, t, c, cell, samples, r, draw):  # type: ignore[no-untyped-def]
    """Write down the states of clique c's variables at a cell."""
    for m in range(t.member_start[c], t.member_start[c + 1]):
        states = t.member_states_start[m] - w.clique_start[c]
        samples[r, draw, t.member_column[m]] = t.member_states[states + cell]


@compiled
def most_probable(w, t, codes, likelihood, soft_start, first, last, width, limits, states, log_probability):  # type: ignore[no-untyped-def]
    """Fill `states` [rows, 1, variables] with the most probable joint state given each row; -1 where impossible.

    `log_probability` [rows] is the logarithm of its probability together with the evidence (nats). Of equally probable
    cells the first is taken. Source: Dawid 1992, section 4.
    """
    pot = np.empty((w.base.size, width), w.base.dtype)
    arena = np.empty((w.message_rows, width), w.base.dtype)
    scale = np.empty((w.clique_start.size - 1, width), w.base.dtype)
    active = np.zeros(w.indicator_row.size, np.bool_)
    log_z = np.empty(width)
    for start in range(first, last, width):
        n = min(width, last - start)
        collect(w, codes, likelihood, soft_start, start, n, pot, arena, active, scale, log_z, limits, True)
        for b in range(n):
            r = start + b
            # The root's message was the maximum; messages were scaled to sum 1, and log_z carries the scales.
            log_probability[r] = log_z[b]
            if log_z[b] == -np.inf:
                states[r, 0, :] = -1
                continue
            for v in range(states.shape[2]):
                states[r, 0, v] = codes[v, r]
            for c in range(w.clique_start.size - 2, -1, -1):
                group = _group(w, t, c, states, r, 0)
                low, high = t.group_start[group], t.group_start[group + 1]
                chosen = t.group_cell[low]
                for k in range(low + 1, high):
                    if pot[t.group_cell[k], b] > pot[chosen, b]:
                        chosen = t.group_cell[k]
                _take(w, t, c, chosen, states, r, 0)


@compiled
def ancestral_samples(program, seed, first, codes):  # type: ignore[no-untyped-def]
    """Fill `codes` [variables, rows] with draws from the joint; row r is drawn from (seed, first + r) alone.

    Rows are taken in chunks and each variable is drawn for a whole chunk: rows do not wait for each other, and counting
    the cumulative probabilities that lie below the random number needs no branch to be guessed.
    """
    rows = codes.shape[1]
    width = 256
    states = np.empty(width, np.uint64)
    cells = np.empty(width, np.int64)
    for start in range(0, rows, width):
        n = min(width, rows - start)
        for b in range(n):
            states[b] = mix(mix(np.uint64(0), seed), first + np.uint64(start + b))
        for i in range(program.column.size):
            column = program.column[i]
            for b in range(n):
                cells[b] = program.table_start[i]
            for p in range(program.parent_start[i], program.parent_start[i + 1]):
                parent, stride = program.parent_column[p], program.parent_stride[p]
                for b in range(n):
                    cells[b] += codes[parent, start + b] * stride
            last = program.cards[i] - 1
            for b in range(n):
                u = uniform(states[b], column)
                s = 0
                for k in range(last):
                    s += u >= program.cumulative[cells[b] + k]
                codes[column, start + b] = s
