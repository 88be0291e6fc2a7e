"""One world-model, measured: divergence on observables, information about latents, errors of do(), proxy losses."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.purity import readout
from probes.purity.interventions import LEAST_RATIO, answer, error_of
from probes.purity.truth import Truth, entropy

if TYPE_CHECKING:
    from worldnets.net import WorldNet

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """What is measured of one world-model; as arrays with leading axes [T, S] of many.

    L kinds of latent, D interventions (each state of each node that is set), J objectives, G groups of clips, M states
    of the latent that has most.

    Attributes:
        divergence: KL(W*‖W) on the observables, bits.
        floored: configurations (or distinct clips) to which W gives less than 1e-12 of what W* does; each counts as
            39.9 bits, so that the divergence is then a lower bound.
        floored_share: their probability under W*.
        recovered: Σ_t information about each kind of latent in a readout of W's beliefs, bits, [L].
        relabelled: the same without a readout, the states only relabelled, bits, [L].
        labels: the relabelling, for each true state the state that stands for it; −1 beyond a kind's states, [L, M].
        error: of each intervention, bits, [D].
        variation: mean total variation of each intervention, [D].
        losses: of each objective, bits, [J].
        divergence_groups, recovered_groups, relabelled_groups: in each group of clips, [G], [G, L], [G, L]; None where
            every configuration is there.
    """

    divergence: Floats
    floored: Floats
    floored_share: Floats
    recovered: Floats
    relabelled: Floats
    labels: Floats
    error: Floats
    variation: Floats
    losses: Floats
    divergence_groups: Floats | None
    recovered_groups: Floats | None
    relabelled_groups: Floats | None


#: Fields with the groups of clips as their first axis.
GROUPED = ("divergence_groups", "recovered_groups", "relabelled_groups")


def measure_model(truth: Truth, model: WorldNet) -> Numbers:
    """Every number of one world-model.

    Args:
        truth: of the world, made for this world-model or one with the same nodes.
        model: the world-model.
    """
    from worldnets.inference import Inference

    engine = Inference(model)
    own = np.full((len(truth.rows), len(model.variables)), -1, dtype=np.int16)
    net = truth.dataset.net
    own[:, [model.index[v] for v in truth.observed]] = truth.rows[:, [net.index[v] for v in truth.observed]]
    nodes = [v for kind in truth.latents.values() for v in kind]
    beliefs = engine.query(own, variables=nodes)
    ratio = (beliefs.log_evidence - np.where(truth.weight > 0, truth.log_truth, 0.0)) / math.log(2)
    floor = math.log2(LEAST_RATIO)
    low = (ratio < floor) & (truth.weight > 0)
    bits = np.where(truth.weight > 0, -np.maximum(ratio, floor), 0.0)
    posterior = {v: np.asarray(beliefs[v], dtype=np.float64) for v in nodes}
    if not beliefs.possible.all():  # what a world-model holds impossible leaves it with what it believed before
        before = engine.query(None, variables=nodes)
        for v in nodes:
            posterior[v][~beliefs.possible] = before[v][0]
    latents = [_latent(truth, kind, posterior) for kind in truth.latents]
    labels = {kind: latent.labels for kind, latent in zip(truth.latents, latents, strict=True)}
    wrong = [error_of(asked.answers, answer(engine, asked, labels[asked.kind])) for asked in truth.interventions]
    grouped = truth.groups is not None
    return Numbers(
        divergence=np.array(truth.weight @ bits),
        floored=np.array(float(low.sum())),
        floored_share=np.array(truth.weight[low].sum()),
        recovered=np.array([latent.recovered for latent in latents]),
        relabelled=np.array([latent.relabelled for latent in latents]),
        labels=_padded([latent.labels for latent in latents]),
        error=np.concatenate([np.zeros(0), *(bits for bits, _ in wrong)]),
        variation=np.concatenate([np.zeros(0), *(variation for _, variation in wrong)]),
        losses=np.array([loss.of(engine) for loss in truth.losses]),
        divergence_groups=truth.groups @ bits if truth.groups is not None else None,
        recovered_groups=np.stack([latent.recovered_groups for latent in latents], -1) if grouped else None,
        relabelled_groups=np.stack([latent.relabelled_groups for latent in latents], -1) if grouped else None,
    )


@dataclass(frozen=True)
class _Latent:
    labels: tuple[int, ...]
    recovered: float
    relabelled: float
    recovered_groups: Floats
    relabelled_groups: Floats


def _latent(truth: Truth, kind: str, posterior: dict[str, Floats]) -> _Latent:
    nodes = truth.latents[kind]
    said = np.concatenate([posterior[v] for v in nodes])
    known = [truth.posterior[v] for v in nodes]
    open_to = sum(float(entropy(truth.prior[v])) for v in nodes)

    def joint(weight: Floats) -> Floats:
        return np.concatenate([weight[:, None] * p for p in known])

    whole = joint(truth.weight)
    labels = readout.relabelling(whole, said)
    plain = np.concatenate(known)
    rows = readout.relabelled_bits(plain, said, labels).reshape(len(nodes), -1).sum(0)
    # Rows of a group are judged by the readout fitted to the other half of the groups.
    by_half = [
        readout.read_bits(plain, said, readout.fitted(joint(fit), said, labels)).reshape(len(nodes), -1).sum(0)
        for fit in truth.fitting
    ]
    relabelled = open_to + float(truth.weight @ rows)
    if truth.groups is None:
        recovered = open_to + float(truth.weight @ by_half[0])
        return _Latent(labels, recovered, relabelled, np.zeros(0), np.zeros(0))
    crossed = np.stack([by_half[g % 2] for g in range(len(truth.groups))])
    groups = open_to + (truth.groups * crossed).sum(1)
    return _Latent(labels, float(groups.mean()), relabelled, groups, open_to + truth.groups @ rows)


def _padded(labels: list[tuple[int, ...]]) -> Floats:
    most = max((len(own) for own in labels), default=0)
    return np.array([[*own, *[-1] * (most - len(own))] for own in labels], dtype=np.float64).reshape(len(labels), most)


def stacked(columns: list[list[Numbers | None]]) -> Numbers:
    """Numbers of many world-models, [T][S] → arrays [T, S, …], groups first; NaN where there is none.

    Raises:
        ValueError: none is there at all.
    """
    model = next(numbers for row in columns for numbers in row if numbers is not None)
    arrays: dict[str, Any] = {}
    for field in fields(Numbers):
        example = getattr(model, field.name)
        if example is None:
            arrays[field.name] = None
            continue
        missing = np.full_like(example, np.nan)
        both = np.stack([[missing if one is None else getattr(one, field.name) for one in row] for row in columns])
        arrays[field.name] = np.moveaxis(both, 2, 0) if field.name in GROUPED else both
    return Numbers(**arrays)
