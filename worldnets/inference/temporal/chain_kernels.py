"""The compiled loops of a two-slice net as a Markov chain over the joint states of its interface.

Several sets of tables, *columns*, go through the same clips side by side: they lie on the last axis, so that what
differs by clip (which matrix comes next) is looked up once for all of them. Nothing is summed over columns: the bits
of one do not depend on the others.

Source: Rabiner 1989, "A tutorial on hidden Markov models", section V.A (scaling).
"""

from __future__ import annotations

import math

import numpy as np

from worldnets.inference.compiled import compiled

RUNNING = 1e-100  # a product of scales below this becomes a logarithm
TINY = 1e-200  # a frame less probable than this is left to arithmetic in log space


@compiled
def multiply(factors, target, entries, out):  # type: ignore[no-untyped-def]
    """out[target[c], column] += Π_v entries[factors[v, c], column] for every cell c; `out` starts at zero."""
    variables, cells = factors.shape
    columns = entries.shape[1]
    product = np.empty(columns)
    for c in range(cells):
        for r in range(columns):
            product[r] = entries[factors[0, c], r]
        for v in range(1, variables):
            for r in range(columns):
                product[r] *= entries[factors[v, c], r]
        for r in range(columns):
            out[target[c], r] += product[r]


@compiled
def share_out(factors, target, entries, sums, counts):  # type: ignore[no-untyped-def]
    """counts[factors[v, c], column] += sums[target[c], column] · Π_u entries[factors[u, c], column], all v and c."""
    variables, cells = factors.shape
    columns = entries.shape[1]
    product = np.empty(columns)
    for c in range(cells):
        for r in range(columns):
            product[r] = sums[target[c], r]
        for v in range(variables):
            for r in range(columns):
                product[r] *= entries[factors[v, c], r]
        for v in range(variables):
            for r in range(columns):
                counts[factors[v, c], r] += product[r]


@compiled
def forward_backward(  # type: ignore[no-untyped-def]
    first_kind,
    kinds,
    offset,
    begin,
    end,
    weights,
    left_out,
    start,
    move,
    wanted,
    log_evidence,
    error,
    at_start,
    at_move,
):
    """Both passes over clips begin … end − 1.

    Args:
        first_kind: [clips], the kind of frame 1.
        kinds, offset: of frames 2, 3, … of all clips one after the other; those of clip n begin at `offset[n]`.
        weights: [clips].
        left_out: [clips, columns], what is passed over: it counts nothing, and its log evidence is −inf.
        start: [first kinds, states, columns], W(e_1, i_1).
        move: [kinds, states before, states, columns], W(e_t, i_t | i_t−1).
        wanted: whether sums are wanted, or log evidence only.
        log_evidence: [clips, columns], filled in, nats; −inf where a frame had less than `TINY`.
        error: [clips, columns], filled in: the largest |Σ_i α_t(i) β_t(i) − 1|, which is 0 but for rounding as long
            as no state that matters was lost to underflow: what α_t lost, some α_s, s < t, still has, and β_s knows
            what it led to.
        at_start, at_move: in the shapes of `start` and `move`; Σ w·(what W(family | e) is, over the table entry) is
            added: β_1/c_1 and α_t−1 β_t/c_t.
    """
    states, columns = start.shape[1], start.shape[2]
    longest = 0
    for n in range(begin, end):
        longest = max(longest, offset[n + 1] - offset[n])
    alpha = np.empty((longest + 1, states, columns))
    inverse = np.empty((longest + 1, columns))
    total, running, share = np.empty(columns), np.empty(columns), np.empty(columns)
    beta, before = np.empty((states, columns)), np.empty((states, columns))
    for n in range(begin, end):
        length = offset[n + 1] - offset[n]
        now = alpha[0]
        opening = start[first_kind[n]]
        for i in range(states):
            for r in range(columns):
                now[i, r] = 0.0 if left_out[n, r] else opening[i, r]
        for r in range(columns):
            log_evidence[n, r] = 0.0
            running[r] = 1.0
        for t in range(length + 1):
            now = alpha[t]
            if t > 0:
                past = alpha[t - 1]
                step = move[kinds[offset[n] + t - 1]]
                for j in range(states):
                    for r in range(columns):
                        now[j, r] = past[0, r] * step[0, j, r]
                for i in range(1, states):
                    for j in range(states):
                        for r in range(columns):
                            now[j, r] += past[i, r] * step[i, j, r]
            for r in range(columns):
                total[r] = now[0, r]
            for i in range(1, states):
                for r in range(columns):
                    total[r] += now[i, r]
            for r in range(columns):
                inverse[t, r] = 1.0 / total[r] if total[r] > TINY else 0.0
            for i in range(states):
                for r in range(columns):
                    now[i, r] *= inverse[t, r]
            smallest = 1.0
            for r in range(columns):
                running[r] *= total[r] if total[r] > TINY else 0.0
                smallest = min(smallest, running[r])
            if smallest < RUNNING:
                for r in range(columns):
                    if running[r] < RUNNING:
                        log_evidence[n, r] += math.log(running[r])
                        running[r] = 1.0
        for r in range(columns):
            log_evidence[n, r] += math.log(running[r])
            error[n, r] = 0.0
        for i in range(states):
            for r in range(columns):
                beta[i, r] = 1.0
        for t in range(length, 0, -1):
            kind = kinds[offset[n] + t - 1]
            step, sums, past = move[kind], at_move[kind], alpha[t - 1]
            for j in range(states):
                for r in range(columns):
                    beta[j, r] *= inverse[t, r]
            for r in range(columns):
                total[r] = 0.0
            for i in range(states):
                for r in range(columns):
                    before[i, r] = 0.0
                for j in range(states):
                    for r in range(columns):
                        before[i, r] += step[i, j, r] * beta[j, r]
                if wanted:
                    for r in range(columns):
                        share[r] = weights[n] * past[i, r]
                    for j in range(states):
                        for r in range(columns):
                            sums[i, j, r] += share[r] * beta[j, r]
                for r in range(columns):
                    total[r] += past[i, r] * before[i, r]
            for r in range(columns):
                wrong = abs(total[r] - 1.0)
                error[n, r] = wrong if not wrong <= error[n, r] else error[n, r]  # NaN stays
            beta, before = before, beta
        if wanted:
            opening_sums = at_start[first_kind[n]]
            for i in range(states):
                for r in range(columns):
                    opening_sums[i, r] += weights[n] * beta[i, r] * inverse[0, r]
