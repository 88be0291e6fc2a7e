"""The sampled reference: worlds with too many contexts to write down.

N clips from W* in G independent groups. For each clip, p_k comes by message passing and q_k by M exact conditional draws of the evidence
behind rung k. All draws are made once and shared by every checkpoint, seed and head (common random numbers). Four things keep
the error small (theory, section 4):

- outcomes are summed with weights p_k, never sampled;
- both losses of C_k = L_{k−1} − L_k are averaged with the *same* weights p_k on the *same* clips. E[p_k | x_{E_{k−1}}] = p_{k−1} leaves the
  mean as it is, while the noise now vanishes for a head that uses all of a rung and for a head that uses none of it;
- where there is much to be known (a rare alarm) clips are picked more often, and weighted down: from many candidates, by systematic
  sampling in proportion to a mixture of 1 and the bits that message passing finds in them;
- clips of a group that agree on x_{E_k} pool their draws, and ln q_k has its bias of order 1/M removed by a jackknife.

Clips, draws and pools of different groups are independent, so that the spread over groups is the whole Monte-Carlo error.

Source: Särndal, Swensson & Wretman 1992, Model Assisted Survey Sampling, section 3.6 (sampling in proportion to size).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from probes.pie import Information, Pie, shallow_rungs
from probes.regression import RungRegression, refitted_loss
from probes.sources import Codes, Source, distinct, posterior_of_distinct, stream
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

JACKKNIFE_FROM = 32  # draws; with fewer, the correction itself is too noisy
CHUNK_BYTES = 128 * 2**20
TINY = 1e-300


@dataclass(frozen=True)
class Average:
    """Means of the head over sets of rows: `matrix` [sets, rows] holds multiplicities over set size, `size` [sets] the draws in each."""

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
        ladder: p_k(y|x) for k = 0…K on the clips, [K+1, N, outcomes].
        inputs: distinct code rows a head must be evaluated on, [rows, width].
        clip_rows: place of each clip in `inputs`, [N].
        restricted: averages for k = 0…K−1 (k = 0: one pool of prior draws per group).
        pool: independent prior draws, by group: the average of rung 0, and the partners of own bits and reliance, [P, width].
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
    clips: int = 1024,
    candidates: int = 16384,
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
        raise ProbeError("too few clips or draws", found=(clips, draws, groups), expected="≥ 2 groups of ≥ 2 clips, ≥ 1 draw")
    count, n = len(rungs), size * groups
    columns = [np.array([source.columns[name] for name in rung], dtype=np.int64) for rung in rungs]
    clip, weight, ladder = _picked(source, columns, target, size, max(size, candidates // groups), groups, seed)
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
        masked = _masked(clip, np.concatenate(columns[:k]))
        agreeing = _agreeing(masked, group)
        drawn = source.draw(masked, draws, stream(seed, 2, k))
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
        agreeing = _agreeing(_masked(held, columns[k]), np.arange(len(held)) // per_holder)
        pair_partner.append(partner[possible])
        pair_rows.append(start + np.arange(int(possible.sum())))
        put(mixed[possible], agreeing, np.repeat(agreeing, each)[possible])
    inputs, place = distinct(np.concatenate(blocks))
    averages = [_average(of_clip, of_row, place[first : first + len(of_row)], len(inputs)) for of_clip, of_row, first in sets]
    return Design(
        rungs=tuple(map(tuple, rungs)),
        target=target,
        groups=groups,
        draws=draws,
        clips=clip,
        weight=weight,
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


class SampledReference:
    """What W* knows about one target on one ladder, by clips and exact conditional draws.

    Args:
        source: the world.
        design: its clips and draws for this ladder and target.

    Attributes:
        inputs: the code rows a head must be evaluated on.
        outcomes: number of outcomes.
        about: the `Information` of the reference.
        ladder: p_k(y|x) for k = 0…K on the clips, [K+1, N, outcomes].
    """

    def __init__(self, source: Source, design: Design) -> None:
        target = design.target
        self.design = design
        self.inputs: Codes = design.inputs
        self.count, self.outcomes = len(design.rungs), source.outcome_count(target)
        self.n = len(design.clips)
        columns = [np.array([source.columns[name] for name in rung], dtype=np.int64) for rung in design.rungs]
        self.ladder: Floats = design.ladder
        # p(y | x_k alone), what own bits are scored with.
        self._alone = [
            posterior_of_distinct(source, _masked(design.holders, seen), target)[1] for seen in columns
        ]
        self._reliance_weight = self._reliance_weights(source, target)
        gain = (self.ladder[1:] * _log2_ratio(self.ladder[1:], self.ladder[:-1])).sum(-1)
        groups = self._grouped(gain[:, :, None])[..., 0]
        prior = self.ladder[0, 0]
        self._entropy = -float((prior[prior > 0] * np.log2(prior[prior > 0])).sum())
        information = groups.mean(0)
        self.regression = RungRegression(design.weight / design.groups, self.ladder, information)
        self.about = Information(
            rungs=design.rungs,
            information=information,
            entropy=self._entropy,
            own_ceiling=self._own(self._perfect(source, target)).mean(0)[:, 0],
            own_skipped=design.skipped,
            reliance_skipped=design.skipped,
            condition=self.regression.condition,
            merged=self.regression.merged,
            groups=groups,
            rows=len(self.inputs),
            clips=self.n,
            draws=design.draws,
        )

    def measure(self, log_q: NDArray[np.floating]) -> Pie:
        """The pie of heads given by their log-probabilities in nats on `inputs`, [..., rows, outcomes]."""
        q = np.asarray(log_q)
        if q.shape[-2:] != (len(self.inputs), self.outcomes):
            expected = f"[..., {len(self.inputs)}, {self.outcomes}]"
            mend = "evaluate the head on every row of reference.inputs"
            raise ProbeError("log q has the wrong shape", found=q.shape, expected=expected, mend=mend)
        lead = q.shape[:-2]
        q = q.reshape(-1, *q.shape[-2:])
        block = max(1, CHUNK_BYTES // (8 * 4 * math.prod(q.shape[1:])))
        parts = [self._measure(q[i : i + block].astype(np.float64)) for i in range(0, len(q), block)]
        grouped = [np.concatenate(arrays, axis=1).reshape(-1, *lead, self.count) for arrays in list(zip(*parts, strict=True))[:3]]
        prior, weights, floored = (np.concatenate(arrays) for arrays in list(zip(*parts, strict=True))[3:])
        captured = grouped[0].mean(0)
        # L_k and KL_k follow from rung 0 and the captured bits, so that the identities of the pie hold exactly.
        loss = prior.reshape(*lead, 1) - np.concatenate([np.zeros((*lead, 1)), np.cumsum(captured, -1)], axis=-1)
        left = np.concatenate([[0.0], np.cumsum(self.about.information)])
        return Pie(
            captured=captured,
            rung_loss=loss,
            rung_divergence=loss - (self._entropy - left),
            own=grouped[1].mean(0),
            reliance=grouped[2].mean(0),
            weights=weights.reshape(*lead, self.count),
            floored=floored.reshape(lead),
            captured_groups=grouped[0],
            own_groups=grouped[1],
            reliance_groups=grouped[2],
        )

    def refitted(self, log_q: NDArray[np.floating]) -> Floats:
        """Captured bits after one temperature and bias per rung has been refitted, [..., K]; no theorem bounds these by I_k."""
        q = np.asarray(log_q, dtype=np.float64)
        lead = q.shape[:-2]
        q = q.reshape(-1, *q.shape[-2:])
        restricted = self._restricted(q.transpose(1, 2, 0))
        weight = self.design.weight / self.design.weight.sum()
        losses = []
        for k in range(1, self.count + 1):
            # As in C_k, both losses of a difference are scored on the same weights p_k.
            upper = refitted_loss(weight, self.ladder[k], restricted[k].transpose(2, 0, 1))
            lower = refitted_loss(weight, self.ladder[k], restricted[k - 1].transpose(2, 0, 1))
            losses.append(lower - upper)
        return np.stack(losses, axis=-1).reshape(*lead, self.count)

    def _measure(self, log_q: Floats) -> tuple[Floats, ...]:
        # Heads last from here on: [rows, outcomes, heads] makes every average one sparse product.
        last = np.ascontiguousarray(log_q.transpose(1, 2, 0))
        restricted = self._restricted(last)
        gain = np.stack(
            [(self.ladder[k][..., None] * (restricted[k] - restricted[k - 1])).sum(1) for k in range(1, self.count + 1)]
        ) / math.log(2)
        captured = self._grouped(gain).transpose(0, 2, 1)
        first = restricted[0][:: self.n // self.design.groups]  # the same for all clips of a group
        prior = -(self.ladder[0, 0][:, None] * first).sum(1).mean(0) / math.log(2)
        own = self._own(np.exp(last)).transpose(0, 2, 1)
        reliance = self._reliance(last).transpose(0, 2, 1)
        weights, floored = self.regression.weights(log_q[:, self.design.clip_rows])
        return captured, own, reliance, prior, weights, floored

    def _restricted(self, last: Floats) -> list[Floats]:
        # ln q_k on the clips, [N, outcomes, heads] for k = 0…K.
        q = np.exp(last)
        return [_log_mean(average, q)[average.of_clip] for average in self.design.restricted] + [
            np.maximum(last[self.design.clip_rows], -700.0)
        ]

    def _own(self, q: Floats) -> Floats:
        # U_k by group, [G, K, heads]. As in C_k, both losses are scored on the same weights p(y|x_k). q⊥_0 is pooled over all groups; each
        # group keeps its first-order share of it, so that the spread over groups stays the Monte-Carlo error.
        answer = []
        for average, alone in zip(self.design.own, self._alone, strict=True):
            gain = _log_mean(average, q)[average.of_clip]
            mean = (average.matrix @ q.reshape(len(q), -1)).reshape(-1, *q.shape[1:])[average.of_clip]
            by_group = mean.reshape(self.design.groups, -1, *q.shape[1:]).mean(1)
            pooled = np.maximum(by_group.mean(0), TINY)
            correction = by_group.var(0, ddof=1) / (2 * self.design.groups * pooled**2)
            share = np.repeat(by_group / pooled - 1.0, len(gain) // self.design.groups, axis=0)
            gain = (alone[..., None] * (gain - np.log(pooled) - correction)).sum(1) - (self.ladder[0, 0][:, None] * share).sum(1)
            answer.append(gain.reshape(self.design.groups, -1, gain.shape[-1]).mean(1) / math.log(2))
        return np.stack(answer, axis=1)

    def _reliance(self, last: Floats) -> Floats:
        # R_k by group, [G, K, heads].
        flat = np.maximum(last, -700.0).reshape(-1, last.shape[-1])
        return np.stack([weight @ flat for weight in self._reliance_weight], axis=1) / -math.log(2)

    def _reliance_weights(self, source: Source, target: str) -> list[sparse.csr_matrix]:
        # Per rung [G, rows·outcomes]: weight of each redrawn pair, less the weight of the partner's own evidence, both with p_K(y | x_j).
        # A partner none of whose pairs is possible is left out.
        d, outcomes = self.design, np.arange(self.outcomes)
        truth = posterior_of_distinct(source, d.pool, target)[1]
        group = np.arange(len(d.pool)) // (len(d.pool) // d.groups)
        answer = []
        for partner, rows in zip(d.pair_partner, d.pair_rows, strict=True):
            times = np.bincount(partner, minlength=len(d.pool))
            met = np.flatnonzero(times)
            share = 1.0 / np.bincount(group[met], minlength=d.groups)[group]
            weight = np.concatenate([(share / np.maximum(times, 1))[partner], -share[met]])
            clip, place = np.concatenate([partner, met]), np.concatenate([rows, d.pool_rows[met]])
            value = (weight[:, None] * truth[clip]).ravel()
            cell = (place[:, None] * self.outcomes + outcomes).ravel()
            shape = (d.groups, len(self.inputs) * self.outcomes)
            answer.append(sparse.csr_matrix((value, (np.repeat(group[clip], self.outcomes), cell)), shape=shape))
        return answer

    def _grouped(self, values: Floats) -> Floats:
        # [K, N, heads] -> weighted means by clip group, [G, K, heads].
        weighted = values * self.design.weight[:, None]
        return weighted.reshape(len(values), self.design.groups, -1, values.shape[-1]).sum(2).transpose(1, 0, 2)

    def _perfect(self, source: Source, target: str) -> Floats:
        # The exact predictor where own bits look at it, [rows, outcomes, 1].
        needed = np.unique(np.concatenate(self.design.pair_rows))
        q = np.zeros((len(self.inputs), self.outcomes, 1))
        q[needed, :, 0] = source.posterior(self.inputs[needed], target)[1]
        return q

    @functools.cached_property
    def mc_note(self) -> str:
        """One line on the sample."""
        d = self.design
        return f"{self.n} clips in {d.groups} groups, {d.draws} draws per clip and rung, {len(self.inputs)} distinct rows"

    def __repr__(self) -> str:
        return f"SampledReference({self.mc_note}, {self.outcomes} outcomes)"


def _picked(
    source: Source, columns: list[Ints], target: str, size: int, candidates: int, groups: int, seed: int
) -> tuple[Codes, Floats, Floats]:
    # Clips picked from candidates, group by group: codes [N, width], weights [N], ladder [K+1, N, Y].
    pool = source.simulate(candidates * groups, stream(seed, 0))
    sets = [np.concatenate(columns[:k]) if k else np.zeros(0, dtype=np.int64) for k in range(len(columns) + 1)]
    ladder = np.stack([posterior_of_distinct(source, _masked(pool, seen), target)[1] for seen in sets])
    bits = np.maximum((ladder[1:] * _log2_ratio(ladder[1:], ladder[:-1])).sum(-1), 0.0)
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
    return pool[chosen], np.concatenate(weights), ladder[:, chosen]


def _masked(codes: Codes, columns: Ints) -> Codes:
    masked = np.full_like(codes, -1)
    masked[:, columns] = codes[:, columns]
    return masked


def _agreeing(masked: Codes, group: Ints) -> Ints:
    # Clips of one group with the same evidence get the same number.
    joined = np.concatenate([group[:, None].astype(np.int16), masked], axis=1)
    return distinct(joined)[1]


def _average(of_clip: Ints, of_row: Ints, rows: Ints, width: int) -> Average:
    sets = int(of_clip.max()) + 1
    size = np.bincount(of_row, minlength=sets).astype(np.float64)
    weight = 1.0 / size[of_row]
    return Average(sparse.csr_matrix((weight, (of_row, rows)), shape=(sets, width)), size, of_clip)


def _log_mean(average: Average, q: Floats) -> Floats:
    # ln of the mean over each set, [sets, outcomes, heads], with the jackknife's correction + s²/(2·M·mean²) from 32 draws on (its leading
    # term: the full jackknife is −∞ when a single draw carries all the mass).
    shape = (-1, *q.shape[1:])
    flat = q.reshape(len(q), -1)
    mean = np.maximum(average.matrix @ flat, TINY)
    log = np.log(mean)
    enough = average.size >= JACKKNIFE_FROM
    if enough.any():
        square = average.matrix @ flat**2
        variance = np.maximum(square - mean**2, 0.0) / np.maximum(average.size - 1, 1.0)[:, None]
        log += np.where(enough[:, None], variance / (2 * mean**2), 0.0)
    return log.reshape(shape)


def _log2_ratio(top: Floats, bottom: Floats) -> Floats:
    return np.log2(np.where(top > 0, top, 1.0) / np.where(top > 0, bottom, 1.0))
