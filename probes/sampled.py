"""The sampled reference: worlds with too many contexts to write down.

For each of N clips (`probes.design`), p_k comes by message passing and q_k by averaging the head over M exact
conditional draws of the evidence behind rung k. Four things keep the error small (theory, section 4):

- outcomes are summed with weights p_k, never sampled;
- both losses of C_k = L_{k−1} − L_k are averaged with the *same* weights p_k on the *same* clips. E[p_k | x_{E_{k−1}}]
  = p_{k−1} leaves the mean as it is; the noise vanishes for a head that uses nothing of a rung, and is small for an
  exact one;
- clips are picked where there is much to be known, and weighted down;
- clips that agree on x_{E_k} pool their draws, and ln q_k has its bias of order 1/M removed by a jackknife;
- from every clip Σ_y p_{k−1}·(q_k/q_{k−1} − 1) is taken off, a control variate: E[q_k | x_{E_{k−1}}] = q_{k−1}, so that
  its mean is 0. It is what is left, to first order, of a head that follows evidence in a direction of its own, as
  untrained heads do, and it is 0 for an exact one.

Clips, draws and pools of different groups are independent, so that the spread over groups is the whole Monte-Carlo
error.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from probes.design import Design, log2_ratio, masked
from probes.pie import Information, Pie
from probes.regression import RungRegression, refitted_loss
from probes.sources import Codes, Source, posterior_of_distinct
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]

JACKKNIFE_FROM = 32  # draws; with fewer, the correction itself is too noisy
CHUNK_BYTES = 128 * 2**20
MOST_CONTROL = 10.0
TINY = 1e-150  # a mean of zero; its square must not underflow


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
        averages = (*design.restricted, *design.own)
        self._matrix = sparse.vstack([average.matrix for average in averages], format="csr")
        self._size = np.concatenate([average.size for average in averages])
        ends = np.cumsum([len(average.size) for average in averages])
        self._parts = [slice(end - len(average.size), end) for end, average in zip(ends, averages, strict=True)]
        # p(y | x_k alone), what own bits are scored with.
        self._alone = [posterior_of_distinct(source, masked(design.holders, seen), target)[1] for seen in columns]
        self._reliance_weight = self._reliance_weights(source, target)
        gain = (self.ladder[1:] * log2_ratio(self.ladder[1:], self.ladder[:-1])).sum(-1)
        groups = self._grouped(gain[:, :, None])[..., 0]
        prior = self.ladder[0, 0]
        self._entropy = -float((prior[prior > 0] * np.log2(prior[prior > 0])).sum())
        information = groups.mean(0)
        self.regression = RungRegression(design.weight / design.groups, self.ladder, information)
        own = self._own(self._averaged(self._perfect(source, target)))[..., 0]
        self.about = Information(
            rungs=design.rungs,
            information=information,
            entropy=self._entropy,
            own_ceiling=own.mean(0),
            own_skipped=design.skipped,
            reliance_skipped=design.skipped,
            condition=self.regression.condition,
            merged=self.regression.merged,
            groups=groups,
            own_groups=own,
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
        grouped = [
            np.concatenate(arrays, axis=1).reshape(-1, *lead, self.count)
            for arrays in list(zip(*parts, strict=True))[:3]
        ]
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
        """Captured bits after one temperature and bias per rung has been refitted, [..., K]; no theorem bounds these by
        I_k.
        """
        q = np.asarray(log_q, dtype=np.float64)
        lead = q.shape[:-2]
        q = q.reshape(-1, *q.shape[-2:])
        last = np.ascontiguousarray(q.transpose(1, 2, 0))
        restricted = self._restricted(last, self._averaged(np.exp(last)))
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
        averaged = self._averaged(np.exp(last))
        restricted = self._restricted(last, averaged)
        gain = np.stack(
            [(self.ladder[k][..., None] * (restricted[k] - restricted[k - 1])).sum(1) for k in range(1, self.count + 1)]
        )
        gain = (gain - self._control(last, averaged)) / math.log(2)
        captured = self._grouped(gain).transpose(0, 2, 1)
        first = restricted[0][:: self.n // self.design.groups]  # the same for all clips of a group
        prior = -(self.ladder[0, 0][:, None] * first).sum(1).mean(0) / math.log(2)
        own = self._own(averaged).transpose(0, 2, 1)
        reliance = self._reliance(last).transpose(0, 2, 1)
        weights, floored = self.regression.weights(log_q[:, self.design.clip_rows])
        return captured, own, reliance, prior, weights, floored

    def _averaged(self, q: Floats) -> list[tuple[Floats, Floats]]:
        # Mean and ln of the mean of q [rows, outcomes, heads] over the sets of every average, one sparse product for
        # all. The logarithm carries the jackknife's correction + s²/(2·M·mean²) from 32 draws on (its leading term: the
        # full jackknife is −∞ when a single draw carries all the mass).
        flat = q.reshape(len(q), -1)
        mean = np.maximum(self._matrix @ flat, TINY)
        variance = np.maximum(self._matrix @ np.square(flat) - mean**2, 0.0) / np.maximum(self._size - 1, 1.0)[:, None]
        log = np.log(mean) + np.where(self._size >= JACKKNIFE_FROM, 0.5, 0.0)[:, None] * variance / mean**2
        shape = (-1, *q.shape[1:])
        return [(mean[part].reshape(shape), log[part].reshape(shape)) for part in self._parts]

    def _restricted(self, last: Floats, averaged: Sequence[tuple[Floats, Floats]]) -> list[Floats]:
        # ln q_k on the clips, [N, outcomes, heads] for k = 0…K.
        sets = zip(self.design.restricted, averaged, strict=False)
        whole = np.maximum(last[self.design.clip_rows], -700.0)
        return [log[average.of_clip] for average, (_, log) in sets] + [whole]

    def _control(self, last: Floats, averaged: Sequence[tuple[Floats, Floats]]) -> Floats:
        # Σ_y c·(q_k − q_{k−1}) on the clips, [K, N, heads], with c = min(p_{k−1}/q_{k−1}, MOST_CONTROL): 0 on average
        # for any c that knows rung k − 1 only. Unbounded, it would take over where a head is sure of what it has wrong.
        # q_k and q_{k−1} have draws of their own; the mean of 1/q_{k−1} is too large by the relative variance of
        # q_{k−1}, twice what its logarithm was corrected by.
        sets = zip(self.design.restricted, averaged, strict=False)
        means, inverses = [], []
        for average, (mean, log) in sets:
            means.append(mean[average.of_clip])
            inverses.append(((1.0 - 2.0 * (log - np.log(mean))) / mean)[average.of_clip])
        means.append(np.exp(np.maximum(last[self.design.clip_rows], -700.0)))
        gains = []
        for k, inverse in enumerate(inverses):
            p = self.ladder[k][..., None]
            free = p * (means[k + 1] * inverse - 1.0)
            bound = MOST_CONTROL * (means[k + 1] - means[k])
            gains.append(np.where(p * inverse < MOST_CONTROL, free, bound).sum(1))
        return np.stack(gains)

    def _own(self, averaged: Sequence[tuple[Floats, Floats]]) -> Floats:
        # U_k by group, [G, K, heads]. As in C_k, both losses are scored on the same weights p(y|x_k). q⊥_0 is pooled
        # over all groups; each group keeps its first-order share of it, so that the spread over groups stays the
        # Monte-Carlo error.
        groups, prior = self.design.groups, self.ladder[0, 0][:, None]
        answer = []
        for average, alone, (mean, log) in zip(self.design.own, self._alone, averaged[self.count :], strict=True):
            by_group = mean[average.of_clip].reshape(groups, -1, *mean.shape[1:]).mean(1)
            pooled = np.maximum(by_group.mean(0), TINY)
            base = np.log(pooled) + by_group.var(0, ddof=1) / (2 * groups * pooled**2)
            gain = (alone[..., None] * (log[average.of_clip] - base)).sum(1)
            share = (prior * (by_group / pooled - 1.0)).sum(1)
            answer.append((gain.reshape(groups, -1, gain.shape[-1]).mean(1) - share) / math.log(2))
        return np.stack(answer, axis=1)

    def _reliance(self, last: Floats) -> Floats:
        # R_k by group, [G, K, heads].
        flat = np.maximum(last, -700.0).reshape(-1, last.shape[-1])
        return np.stack([weight @ flat for weight in self._reliance_weight], axis=1) / -math.log(2)

    def _reliance_weights(self, source: Source, target: str) -> list[sparse.csr_matrix]:
        # Per rung [G, rows·outcomes]: weight of each redrawn pair, less the weight of the partner's own evidence, both
        # with p_K(y | x_j). A partner none of whose pairs is possible is left out.
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
        # [K, N, heads] -> estimates by clip group, [G, K, heads].
        return (self.design.estimator @ values).transpose(1, 0, 2)

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
        return (
            f"{self.n} clips in {d.groups} groups, {d.draws} draws per clip and rung, {len(self.inputs)} distinct rows"
        )

    def __repr__(self) -> str:
        return f"SampledReference({self.mc_note}, {self.outcomes} outcomes)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self)) + self.about._repr_html_()
