"""The compiled loop of expected counts: many chunks of rows in one call, so that rows go over threads without the lock.

The steps and their order are those of `family_walk` where nothing has a slope: the same bits.
"""

from __future__ import annotations

import numpy as np

from worldnets.inference.compiled import compiled
from worldnets.inference.kernels import collect, distribute
from worldnets.inference.tangent import accumulate, weigh


@compiled
def tally(w, families, evidence, weights, first, last, step, width, limits, space, log_evidence, totals):  # type: ignore[no-untyped-def]
    """Add Σ w·family marginals of rows first … last onto `totals` [entries], and write their `log_evidence` (nats).

    Rows are summed in blocks of `step`, and the blocks' sums added up in order.

    Args:
        w, families: an `arrays.Wiring` and the `families.FamilyCells` that belong to it.
        evidence: codes [variables, rows], likelihood and soft_start as of `kernels.collect`.
        weights: [rows]; not looked at where a row is impossible.
        step, width: rows of a block, and of a chunk.
        space: pot, arena, active, scale, log_z and read of `family_walk._Workspace`.
    """
    codes, likelihood, soft_start = evidence
    pot, arena, active, scale, log_z, read = space
    own, sums = np.empty(width, pot.dtype), np.empty(totals.size)
    whole = read.shape[0] - 1
    for block in range(first, last, step):
        sums[:] = 0.0
        for start in range(block, min(block + step, last), width):
            n = min(width, last - start)
            collect(w, codes, likelihood, soft_start, start, n, pot, arena, active, scale, log_z, limits, False)
            for b in range(n):
                log_evidence[start + b] = log_z[b]
                own[b] = weights[start + b] if log_z[b] > -np.inf else 0.0
                read[whole, b] = own[b]
            distribute(w, n, pot, arena, scale, read, False)
            weigh(w.output_start[-1], n, own, read, read, False)
            accumulate(families, codes, start, n, read, sums)
        for entry in range(totals.size):
            totals[entry] += sums[entry]
