"""The exact reference: every context of a small world written down, every average a sum.

The joint table W*(x, y) has one axis per rung, [n_1, …, n_K, Y], n_k the configurations of the evidence that rung k
adds; a head restricted to rung k is the head summed over the axes behind k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from probes.pie import Information, Pie
from probes.regression import RungRegression, refitted_loss
from probes.sources import Codes, Source
from worldnets.errors import ProbeError

Floats = NDArray[np.float64]

LARGEST = 2**16  # contexts; beyond, the reference samples
CHUNK_BYTES = 64 * 2**20  # heads are measured a few at a time, so that a block of log q in float64 stays below this
TINY = 1e-300  # below it a restricted head's probability has underflowed; keeps −inf out of sums


class EnumeratedReference:
    """What W* knows about one target on one ladder, by enumeration.

    Args:
        table: W*(x, y), [n_1, …, n_K, outcomes], normalised here.
        rungs: the evidence each rung adds, for the record; numbers when omitted.
        inputs: code rows of all contexts in the table's order, [n_1·…·n_K, width]; only possible contexts are kept.

    Attributes:
        inputs: the code rows a head must be evaluated on: contexts of probability > 0.
        outcomes: number of outcomes.
        about: the `Information` of the reference.
        ladder: p_k(y|x) for k = 0…K on the rows of `inputs`, [K+1, rows, outcomes].
        weight: W*(x) on the rows of `inputs`.

    Raises:
        ProbeError: a table with fewer than two axes, or that is no distribution.
    """

    def __init__(
        self, table: Floats, rungs: Sequence[Sequence[str]] | None = None, inputs: Codes | None = None
    ) -> None:
        joint = np.asarray(table, dtype=np.float64)
        if joint.ndim < 2 or not np.all(joint >= 0) or not 0 < joint.sum() < math.inf:
            raise ProbeError("not a joint table", found=f"shape {joint.shape}", expected="[n_1, …, n_K, outcomes], ≥ 0")
        joint = joint / joint.sum()
        self.sizes, self.outcomes = joint.shape[:-1], joint.shape[-1]
        self.count = len(self.sizes)
        weight = joint.sum(-1)
        self.possible = np.flatnonzero(weight.ravel() > 0)
        self.weight: Floats = weight.ravel()[self.possible]
        if inputs is None:
            inputs = np.stack(np.unravel_index(np.arange(weight.size), self.sizes), axis=-1).astype(np.int16)
        self.inputs: Codes = np.ascontiguousarray(inputs[self.possible])
        # Rung tables: joint of (x_{E_k}, y), [n_1·…·n_k, Y], k = 0…K.
        self._joint = [
            joint.reshape(math.prod(self.sizes[:k]), -1, self.outcomes).sum(1) for k in range(self.count + 1)
        ]
        self._posterior = [_ratio(rung, rung.sum(-1, keepdims=True)) for rung in self._joint]
        entropy = [-_plogp(rung, posterior) for rung, posterior in zip(self._joint, self._posterior, strict=True)]
        self.ladder: Floats = np.stack([p[self._parents(k)] for k, p in enumerate(self._posterior)])
        information = np.maximum(-np.diff(entropy), 0.0)
        self._entropy = np.array(entropy)
        self._redraws(joint)
        self.regression = RungRegression(self.weight, self.ladder, information)
        self.about = Information(
            rungs=tuple(map(tuple, rungs)) if rungs else tuple((f"rung {k + 1}",) for k in range(self.count)),
            information=information,
            entropy=float(entropy[0]),
            own_ceiling=self._own(self.ladder[-1][..., None])[0],
            own_skipped=self._own_skipped,
            reliance_skipped=self._own_skipped,
            condition=self.regression.condition,
            merged=self.regression.merged,
            groups=None,
            own_groups=None,
            rows=len(self.inputs),
        )

    def measure(self, log_q: NDArray[np.floating]) -> Pie:
        """The pie of heads given by their log-probabilities in nats on `inputs`, [..., rows, outcomes]."""
        q, lead = _leading(log_q, len(self.inputs), self.outcomes)
        block = max(1, CHUNK_BYTES // (8 * math.prod(self.sizes) * self.outcomes))
        parts = [self._measure(np.asarray(q[i : i + block], dtype=np.float64)) for i in range(0, len(q), block)]
        return Pie(
            *(np.concatenate(arrays).reshape((*lead, *arrays[0].shape[1:])) for arrays in zip(*parts, strict=True))
        )

    def measure_on_clips(self, log_q: NDArray[np.floating], counts: NDArray[np.integer]) -> Pie:
        """The same heads seen through finite evaluation clips: captured bits are averages over clips, by groups.

        Everything else stays exact. The matching information is `information_on_clips(counts)`.

        Args:
            counts: how often each row of `inputs` occurs in each clip group, [groups, rows].
        """
        exact = self.measure(log_q)
        q, lead = _leading(log_q, len(self.inputs), self.outcomes)
        share = counts / counts.sum(-1, keepdims=True)
        groups = np.einsum("gr,brk->gbk", share, self.contributions(q.astype(np.float64)), optimize=True)
        captured = groups.mean(0).reshape(*lead, self.count)
        grouped = groups.reshape(len(counts), *lead, self.count)
        fixed = {"rung_loss": exact.rung_loss, "rung_divergence": exact.rung_divergence, "own": exact.own}
        rest = {"reliance": exact.reliance, "weights": exact.weights, "floored": exact.floored}
        return Pie(captured=captured, **fixed, **rest, captured_groups=grouped)

    def information_on_clips(self, counts: NDArray[np.integer]) -> Information:
        """The information as finite evaluation clips see it, the partner of `measure_on_clips`."""
        share = counts / counts.sum(-1, keepdims=True)
        gain = np.zeros((self.count, len(self.inputs)))
        for k in range(self.count):
            gain[k] = (self.ladder[k + 1] * _log2_ratio(self.ladder[k + 1], self.ladder[k])).sum(-1)
        groups = share @ gain.T
        fields = {name: getattr(self.about, name) for name in self.about.__dataclass_fields__}
        return Information(**{**fields, "information": groups.mean(0), "groups": groups, "clips": int(counts.sum())})

    def contributions(self, log_q: Floats) -> Floats:
        """Captured bits context by context, Σ_y p_k·log2(q_k/q_{k−1}), [heads, rows, K]; their W*-average is C_k."""
        restricted = self._restricted(_heads_last(log_q))
        answer = np.empty((len(log_q), len(self.inputs), self.count))
        for k in range(self.count):
            gain = restricted[k + 1][self._parents(k + 1)] - restricted[k][self._parents(k)]
            p = self.ladder[k + 1][..., None]
            answer[..., k] = (p * np.where(p > 0, gain, 0.0)).sum(1).T / math.log(2)
        return answer

    def refitted(self, log_q: NDArray[np.floating]) -> Floats:
        """Captured bits after one temperature and bias per rung has been refitted, [..., K]; no theorem bounds these by
        I_k.
        """
        q, lead = _leading(log_q, len(self.inputs), self.outcomes)
        restricted = self._restricted(_heads_last(q.astype(np.float64)))
        losses = [self._entropy[0] * np.ones(len(q))]  # rung 0: the bias alone reaches the marginal
        for k in range(1, self.count + 1):
            weight = self._joint[k].sum(-1)
            seen = weight > 0
            heads = np.ascontiguousarray(restricted[k][seen].transpose(2, 0, 1))
            losses.append(refitted_loss(weight[seen], self._posterior[k][seen], heads))
        return -np.diff(np.stack(losses, axis=-1), axis=-1).reshape(*lead, self.count)

    def _parents(self, k: int) -> NDArray[np.int64]:
        # Position of each input row's rung-k configuration.
        return self.possible // math.prod(self.sizes[k:])

    def _full(self, values: Floats) -> Floats:
        # From rows of `inputs` to all contexts, 0 in the impossible ones.
        if len(self.possible) == math.prod(self.sizes):
            return values
        full = np.zeros((math.prod(self.sizes), *values.shape[1:]))
        full[self.possible] = values
        return full

    # Below, heads come last: [rows, outcomes, heads] makes every sum over contexts a sum of contiguous rows.

    def _restricted(self, last: Floats, q: Floats | None = None) -> list[Floats]:
        # ln q_k on all configurations of rung k, [n_1·…·n_k, Y, heads]; 0 in configurations of probability zero.
        q = np.exp(last) if q is None else q
        mass = self._full(q * self.weight[:, None, None])
        answer = [self._full(last)]
        for k in range(self.count - 1, -1, -1):
            mass = mass.reshape(-1, self.sizes[k], *last.shape[1:]).sum(1)
            weight = self._joint[k].sum(-1)[:, None, None]
            answer.append(np.log(np.maximum(_ratio(mass, weight), TINY)))
        return answer[::-1]

    def _measure(self, log_q: Floats) -> tuple[Floats, ...]:
        last = _heads_last(log_q)
        q = np.exp(last)
        loss = np.empty((len(log_q), self.count + 1))
        for k, restricted in enumerate(self._restricted(last, q)):
            loss[:, k] = -_weighted(self._joint[k], restricted) / math.log(2)
        weights, floored = self.regression.weights(log_q)
        if np.isfinite(last).all():
            redrawn = (self._reliance_weight @ last.reshape(-1, len(log_q))).T
        else:
            redrawn = np.stack([_weighted(w, last) for w in self._reliance_weight], axis=-1)
        bounded = np.isfinite(loss[:, -1:])  # a head that is certain of what is false has no loss to add to
        reliance = np.where(bounded, redrawn / -math.log(2) - np.where(bounded, loss[:, -1:], 0.0), np.nan)
        return -np.diff(loss, axis=1), loss, loss - self._entropy, self._own(q), reliance, weights, floored

    def _redraws(self, joint: Floats) -> None:
        # Weights for own bits and reliance: rung k and the rest of the evidence paired independently, impossible pairs
        # skipped.
        weight = joint.sum(-1)
        self._own_joint, own_weight, reliance_weight = [], [], []
        self._own_skipped = np.empty(self.count)
        mask = weight > 0
        for k in range(self.count):
            others = tuple(a for a in range(self.count) if a != k)
            rung = weight.sum(others, keepdims=True)
            rest = weight.sum(k, keepdims=True)
            self._own_skipped[k] = max(0.0, 1.0 - float((rung * rest * mask).sum()))
            own = _ratio(rest * mask, (rest * mask).sum(others, keepdims=True))
            rows = np.indices(self.sizes)[k].ravel()[self.possible], np.arange(len(self.possible))
            entries = np.broadcast_to(own, weight.shape).ravel()[self.possible]
            own_weight.append(sparse.csr_matrix((entries, rows), shape=(self.sizes[k], len(self.possible))))
            self._own_joint.append(joint.sum(others))
            redraw = _ratio(rung * mask, (rung * mask).sum(k, keepdims=True))[..., None] * joint.sum(k, keepdims=True)
            reliance_weight.append(redraw.reshape(-1, self.outcomes)[self.possible].ravel())
        self._own_weight, self._reliance_weight = sparse.vstack(own_weight, format="csr"), np.stack(reliance_weight)

    def _own(self, q: Floats) -> Floats:
        # U_k, [heads, K], of q [rows, outcomes, heads].
        own = np.empty((q.shape[-1], self.count))
        averaged = (self._own_weight @ q.reshape(len(q), -1)).reshape(-1, *q.shape[1:])
        for k, redrawn in enumerate(np.split(averaged, np.cumsum(self.sizes)[:-1])):
            joint = self._own_joint[k]
            prior = np.tensordot(joint.sum(-1), redrawn, axes=1)
            gain = np.log2(np.maximum(redrawn, TINY)) - np.log2(np.maximum(prior, TINY))
            own[:, k] = _weighted(joint, gain)
        return own

    def __repr__(self) -> str:
        return f"EnumeratedReference({'×'.join(map(str, self.sizes))} contexts, {self.outcomes} outcomes)"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card

        return card(repr(self)) + self.about._repr_html_()


def enumerated(source: Source, rungs: Sequence[Sequence[str]], target: str) -> EnumeratedReference:
    """The enumerated reference of a target in a source: one exact query per context.

    Raises:
        ProbeError: more than 2^16 contexts.
    """
    names = [name for rung in rungs for name in rung]
    cards = [source.cardinalities[name] for name in names]
    if math.prod(cards) > LARGEST:
        raise ProbeError(
            "too many contexts to enumerate", found=math.prod(cards), expected=f"≤ {LARGEST}", mend="sample"
        )
    codes = np.full((math.prod(cards), source.width), -1, dtype=np.int16)
    codes[:, [source.columns[name] for name in names]] = np.stack(
        np.unravel_index(np.arange(len(codes)), cards), axis=-1
    )
    log_evidence, belief = source.posterior(codes, target)
    table = np.exp(log_evidence)[:, None] * belief
    sizes = [math.prod(source.cardinalities[name] for name in rung) for rung in rungs]
    return EnumeratedReference(table.reshape(*sizes, -1), rungs, codes)


def _leading(log_q: NDArray[np.floating], rows: int, outcomes: int) -> tuple[NDArray[np.floating], tuple[int, ...]]:
    q = np.asarray(log_q)
    if q.shape[-2:] != (rows, outcomes):
        mend = "evaluate the head on every row of reference.inputs"
        raise ProbeError("log q has the wrong shape", found=q.shape, expected=f"[..., {rows}, {outcomes}]", mend=mend)
    return q.reshape(-1, rows, outcomes), q.shape[:-2]


def _ratio(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.zeros(np.broadcast_shapes(top.shape, bottom.shape)), where=bottom > 0)


def _plogp(joint: Floats, posterior: Floats) -> float:
    seen = joint > 0
    return float((joint[seen] * np.log2(posterior[seen])).sum())


def _log2_ratio(top: Floats, bottom: Floats) -> Floats:
    return np.log2(np.where(top > 0, top, 1.0) / np.where(top > 0, bottom, 1.0))


def _heads_last(log_q: Floats) -> Floats:
    return np.ascontiguousarray(log_q.transpose(1, 2, 0))


def _weighted(weight: Floats, values: Floats) -> Floats:
    # Σ over the first two axes of values [rows, outcomes, heads], weight 0 winning over −inf.
    flat, mass = values.reshape(-1, values.shape[-1]), weight.reshape(-1)
    if np.all(mass > 0):
        return mass @ flat
    return mass[mass > 0] @ flat[mass > 0]
