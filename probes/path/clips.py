"""The clips x ~ W* of a shared reference, and averages over them: for what compares heads with each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.enumerated import EnumeratedReference
from probes.ladder import Reference
from probes.sampled import SampledReference

Floats = NDArray[np.float64]
LEAST = -700.0  # nats: what a head is taken to give to an outcome it holds impossible


@dataclass(frozen=True)
class Clips:
    """Rows of `reference.inputs` that stand for x ~ W*.

    Attributes:
        rows: positions in `reference.inputs`, [N].
        weight: of each, adding up to 1, [N].
        truth: p_K(y | x), [N, outcomes].
        groups: independent groups of clips, one after the other and equally many in each; 0 when all is enumerated.
    """

    rows: NDArray[np.intp]
    weight: Floats
    truth: Floats
    groups: int

    @classmethod
    def of(cls, reference: Reference) -> Clips:
        """Those of an enumerated or sampled reference."""
        if isinstance(reference, EnumeratedReference):
            return cls(np.arange(len(reference.inputs)), reference.weight, reference.ladder[-1], 0)
        assert isinstance(reference, SampledReference)
        design = reference.design
        weight = design.weight / design.weight.sum()
        return cls(np.asarray(design.clip_rows, dtype=np.intp), weight, reference.ladder[-1], design.groups)

    def mean(self, values: Floats) -> Floats:
        """Σ_x weight·value over the last axis, [..., N] → [...]."""
        return np.asarray(values @ self.weight)

    def by_group(self, values: Floats) -> Floats | None:
        """The same in each group of clips, [G, ...]; None when enumerated."""
        if not self.groups:
            return None
        weighted = (values * self.weight).reshape(*values.shape[:-1], self.groups, -1).sum(-1) * self.groups
        return np.moveaxis(weighted, -1, 0)

    def loss(self, log_q: Floats) -> Floats:
        """E[−log2 q(y | x)], outcomes with weights p_K, [..., N, outcomes] → [...] bits."""
        return self.mean(-(self.truth * np.maximum(log_q, LEAST)).sum(-1)) / math.log(2)

    def divergence(self, log_p: Floats, log_q: Floats) -> Floats:
        """KL(p ‖ q) of each row, in bits, [..., N, outcomes] → [..., N]."""
        p = np.exp(log_p)
        gap = np.maximum(log_p, LEAST) - np.maximum(log_q, LEAST)
        return np.asarray((p * gap).sum(-1) / math.log(2))

    def pairwise(self, log_q: Floats) -> Floats:
        """E_x KL(q_i ‖ q_j) of all pairs of heads, [H, N, outcomes] → [H, H] bits."""
        flat = np.maximum(log_q, LEAST)
        weighted = np.exp(log_q) * self.weight[:, None]
        own = (weighted * flat).sum((1, 2))
        across = weighted.reshape(len(flat), -1) @ flat.reshape(len(flat), -1).T
        return np.asarray((own[:, None] - across) / math.log(2))
