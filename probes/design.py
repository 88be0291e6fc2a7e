"""What a sampled reference draws, once for all heads: clips, conditional draws, and independent pairs.

N clips in G independent groups, picked from many candidates by systematic sampling in proportion to a mixture of 1 and
the bits that message passing finds in them, and weighted by the inverse: a rare alarm is worth more evaluations than
another quiet minute. What is known of all candidates corrects the weights (`probes.calibration`). For every rung, M
exact conditional draws of the evidence behind it. A pool of independent clips per group stands for the prior, and lends
its evidence to the redraws of own bits and reliance.

Source: Särndal, Swensson & Wretman 1992, Model Assisted Survey Sampling, section 3.6 (sampling in proportion to size).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from probes.calibration import MOST_COVARIATES, calibrated, covariates
from probes.pie import shallow_rungs
from probes.sources import Codes, Source, posterior_of_distinct, stream
from worldnets.distinct import distinct
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Average:
    """Means of the head over sets of rows: `matrix` [sets, rows] holds multiplicities over set size, `size` [sets] the
    draws in each.
    """

    matrix: sparse.csr_matrix
    size: Floats
    of_clip: Ints  # the set that belongs to each clip, [N], or to each holder for own bits


@dataclass(frozen=True, eq=False)
class Design:
    """Clips and draws of one ladder and target, shared by every head.

    Attributes:
        rungs: the evidence each rung adds.
        target: the target.
        groups: number of clip groups; clip i belongs to group i // (clips / groups).
        clips: their codes, [N, width].
        weight: share of W* each clip stands for within its group; sums to about 1 over a group, [N].
        estimator: turns what clips give into an estimate per group, weights calibrated (`probes.calibration`), [G, N].
        ladder: p_k(y|x) for k = 0…K on the clips, [K+1, N, outcomes].
        inputs: distinct code rows a head must be evaluated on, [rows, width].
        clip_rows: place of each clip in `inputs`, [N].
        restricted: averages for k = 0…K−1 (k = 0: one pool of prior draws per group).
        pool: independent prior draws, by group: the average of rung 0, and the partners of own bits and reliance, [P,
            width].
        pool_rows: place of each pool clip in `inputs`, [P].
        holders: clips straight from W*, whose x_k is held fixed for own bits, [H, width].
        own: averages for own bits of each rung, over the partners' other evidence.
        pair_rows: rows of the (x_k of holder i, x_{−k} of pool clip j) pairs of each rung, [K][pairs].
        pair_partner: pool clip j of each possible pair, [K][pairs].
        skipped: share of the pairs that are impossible under W*, [K].
    """

    rungs: tuple[tuple[str, ...], ...]
    target: str
    groups: int
    draws: int
    clips: Codes
    weight: Floats
    estimator: Floats
    ladder: Floats
    inputs: Codes
    clip_rows: Ints
    pool: Codes
    pool_rows: Ints
    restricted: tuple[Average, ...]
    holders: Codes
    own: tuple[Average, ...]
    pair_rows: tuple[Ints, ...]
    pair_partner: tuple[Ints, ...]
    skipped: Floats


def sampled_design(
    source: Source,
    rungs: Sequence[Sequence[str]],
    target: str,
    clips: int = 3072,
    candidates: int = 32768,
    draws: int = 32,
    pool: int = 4096,
    holders: int = 128,
    partners: int = 48,
    groups: int = 16,
    seed: int = 0,
) -> Design:
    """Draw the clips, conditional draws and independent pairs of a ladder.

    Args:
        source, rungs: the world and the evidence each rung adds.
        target: the target; its bits decide which clips are picked.
        clips: N, rounded up to a multiple of `groups`.
        candidates: clips from W* out of which these are picked.
        draws: M conditional draws per clip and rung.
        pool: prior draws for q_0, all groups together.
        holders: clips whose rungs are paired with independent clips, for own bits and reliance.
        partners: independent clips for each holder.
        groups: independent groups of clips; their spread is the Monte-Carlo error.
        seed: stream of the sample.

    Raises:
        ProbeError: fewer than two groups, or fewer than two clips in each.
    """
    size = -(-clips // groups)
    if groups < 2 or size < 2 or draws < 1:
        raise ProbeError(
            "too few clips or draws", found=(clips, draws, groups), expected="≥ 2 groups of ≥ 2 clips, ≥ 1 draw"
        )
    count, n = len(rungs), size * groups
    columns = [np.array([source.columns[name] for name in rung], dtype=np.int64) for rung in rungs]
    clip, weight, ladder, estimator = _picked(
        source, columns, target, size, max(size, candidates // groups), groups, seed
    )
    group = np.arange(n) // size
    blocks: list[Codes] = [clip]
    sets: list[tuple[Ints, Ints, int]] = []  # (set of each clip, set of each drawn row, first drawn row) per average
    start = n

    def put(codes: Codes, of_clip: Ints, of_row: Ints) -> None:
        nonlocal start
        blocks.append(codes)
        sets.append((of_clip, of_row, start))
        start += len(codes)

    per_group = max(2, -(-pool // groups))
    prior = source.simulate(per_group * groups, stream(seed, 1))
    put(prior, group, np.repeat(np.arange(groups), per_group))
    for k in range(1, count):
        seen = masked(clip, np.concatenate(columns[:k]))
        agreeing = _agreeing(seen, group)
        drawn = source.draw(seen, draws, stream(seed, 2, k))
        put(drawn.reshape(n * draws, -1), agreeing, np.repeat(agreeing, draws))
    pair_rows, pair_partner, skipped = [], [], np.empty(count)
    per_holder, each = -(-holders // groups), min(partners, per_group)
    held = source.simulate(per_holder * groups, stream(seed, 3))
    holder = np.repeat(np.arange(len(held)), each)  # i
    met = np.arange(per_holder * each) % per_group
    partner = (np.arange(groups)[:, None] * per_group + met).reshape(-1)  # j
    for k in range(count):
        mixed = prior[partner].copy()
        mixed[:, columns[k]] = held[holder][:, columns[k]]
        possible = np.isfinite(posterior_of_distinct(source, mixed, target)[0])
        skipped[k] = 1.0 - possible.mean()
        agreeing = _agreeing(masked(held, columns[k]), np.arange(len(held)) // per_holder)
        pair_partner.append(partner[possible])
        pair_rows.append(start + np.arange(int(possible.sum())))
        put(mixed[possible], agreeing, np.repeat(agreeing, each)[possible])
    inputs, place = distinct(np.concatenate(blocks))
    averages = [
        _average(of_clip, of_row, place[first : first + len(of_row)], len(inputs)) for of_clip, of_row, first in sets
    ]
    return Design(
        rungs=tuple(map(tuple, rungs)),
        target=target,
        groups=groups,
        draws=draws,
        clips=clip,
        weight=weight,
        estimator=estimator,
        ladder=ladder,
        inputs=inputs,
        clip_rows=place[:n],
        pool=prior,
        pool_rows=place[n : n + len(prior)],
        restricted=tuple(averages[:count]),
        holders=held,
        own=tuple(averages[count:]),
        pair_rows=tuple(place[rows] for rows in pair_rows),
        pair_partner=tuple(pair_partner),
        skipped=skipped,
    )


def masked(codes: Codes, columns: Ints) -> Codes:
    """The codes with everything but some columns hidden."""
    hidden = np.full_like(codes, -1)
    hidden[:, columns] = codes[:, columns]
    return hidden


def log2_ratio(top: Floats, bottom: Floats) -> Floats:
    """log2(top / bottom), 0 where top is 0."""
    return np.log2(np.where(top > 0, top, 1.0) / np.where(top > 0, bottom, 1.0))


def _picked(
    source: Source, columns: list[Ints], target: str, size: int, candidates: int, groups: int, seed: int
) -> tuple[Codes, Floats, Floats, Floats]:
    # Clips picked from candidates, group by group: codes [N, width], weights [N], ladder [K+1, N, Y], estimator [G, N].
    pool = source.simulate(candidates * groups, stream(seed, 0))
    sets = [np.concatenate(columns[:k]) if k else np.zeros(0, dtype=np.int64) for k in range(len(columns) + 1)]
    ladder = np.stack([posterior_of_distinct(source, masked(pool, seen), target)[1] for seen in sets])
    bits = np.maximum((ladder[1:] * log2_ratio(ladder[1:], ladder[:-1])).sum(-1), 0.0)
    deep = bits[shallow_rungs(bits.mean(1)) :].sum(0)
    score = 0.5 + sum(0.25 * part / max(part.mean(), 1e-9) for part in (bits.sum(0), deep))
    offset = np.random.default_rng(stream(seed, 4)).random(groups)
    rows, weights = [], []
    for g in range(groups):
        members = np.arange(g * candidates, (g + 1) * candidates)
        members = members[np.argsort(score[members], kind="stable")]
        reach = np.cumsum(score[members])
        points = (offset[g] + np.arange(size)) * reach[-1] / size
        picked = members[np.minimum(np.searchsorted(reach, points, side="right"), candidates - 1)]
        rows.append(picked)
        weights.append(reach[-1] / (candidates * size * score[picked]))
    chosen = np.concatenate(rows)
    weight = np.concatenate(weights)
    known = covariates(pool, columns, bits, int(MOST_COVARIATES * len(chosen)))
    estimator = calibrated(weight, known[chosen], known.reshape(groups, candidates, -1).mean(1), groups)
    return pool[chosen], weight, ladder[:, chosen], estimator


def _agreeing(masked: Codes, group: Ints) -> Ints:
    # Clips of one group with the same evidence get the same number.
    joined = np.concatenate([group[:, None].astype(np.int16), masked], axis=1)
    return distinct(joined)[1]


def _average(of_clip: Ints, of_row: Ints, rows: Ints, width: int) -> Average:
    sets = int(of_clip.max()) + 1
    size = np.bincount(of_row, minlength=sets).astype(np.float64)
    weight = 1.0 / size[of_row]
    return Average(sparse.csr_matrix((weight, (of_row, rows)), shape=(sets, width)), size, of_clip)
