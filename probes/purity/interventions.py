"""do(): what a world-model says would be seen if a latent were set, whatever its causes.

Asked of each kind of latent at one early node: set to each of its states, what do the observables from then on show?

    error_z = mean over states s of  Σ_e KL( W*(e | do(z = s)) ‖ W(e | do(z = π s)) )   bits,

e running over the observables of z's frame and later (of a static world, over all), π the relabelling under which W's
beliefs about z say most. Two floors make it readable: the *effect*, the error of who answers that nothing changes
(W*(e)), and the error of who takes seeing for doing (W*(e | z = s)). Accuracy is 1 − error / effect.

Source: Pearl 2009, Causality, section 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldnets.objectives.clip import frame_of

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.inference import Inference

Floats = NDArray[np.float64]
LEAST_RATIO = 1e-12  # W is taken to give an outcome at least this part of what W* gives it: 39.9 bits at most


@dataclass(frozen=True, eq=False)
class Intervention:
    """One latent set to each of the states that occur, and what W* then shows.

    Attributes:
        kind, node: what is set.
        states: codes of the states it is set to; those that never occur in W* are left out, for no one could learn what
            they do.
        effects: the observables that are looked at.
        answers: for each of these W*(e | do(node = s)), [states set, states of e].
        effect: error of who answers that nothing changes, bits.
        seeing: error of who answers W*(e | node = s), bits.
    """

    kind: str
    node: str
    states: tuple[int, ...]
    effects: tuple[str, ...]
    answers: tuple[Floats, ...]
    effect: float
    seeing: float


Interventions = tuple[Intervention, ...]


def interventions(
    dataset: Dataset, engine: Inference, kinds: Mapping[str, Sequence[str]], observed: Sequence[str], frame: int
) -> Interventions:
    """What W* answers, for each kind of latent at its latest node up to `frame`, at its first where there is none."""
    net, made = dataset.net, []
    for kind, nodes in kinds.items():
        node = _at(nodes, frame) if dataset.world.frames else nodes[0]
        effects = _later(node, observed) if dataset.world.frames else tuple(observed)
        alone = engine.query(None, variables=[node, *effects])
        states = tuple(int(s) for s in np.flatnonzero(alone[node][0] > 0))
        if not effects or len(states) < 2:
            continue
        codes = np.full((len(states), len(net.variables)), -1, dtype=np.int16)
        labels = [net.states[node][s] for s in states]
        done = engine.query(codes, variables=effects, do={node: labels})
        codes[:, net.index[node]] = states
        seen = engine.query(codes, variables=effects)
        answers = tuple(np.asarray(done[e], dtype=np.float64) for e in effects)
        still = [np.broadcast_to(np.asarray(alone[e]), a.shape) for e, a in zip(effects, answers, strict=True)]
        made.append(
            Intervention(
                kind,
                node,
                states,
                effects,
                answers,
                effect=error_of(answers, still)[0],
                seeing=error_of(answers, [np.asarray(seen[e]) for e in effects])[0],
            )
        )
    return tuple(made)


def answer(engine: Inference, asked: Intervention, relabelling: Sequence[int]) -> list[Floats]:
    """What a world-model says: W(e | do(node = π s)) of each effect, [states set, states of e].

    Args:
        engine: of the world-model.
        asked: the intervention.
        relabelling: π, for each state of W*'s node that of the world-model's.
    """
    net = engine.net
    labels = [net.states[asked.node][relabelling[s]] for s in asked.states]
    codes = np.full((len(labels), len(net.variables)), -1, dtype=np.int16)
    done = engine.query(codes, variables=asked.effects, do={asked.node: labels})
    return [np.asarray(done[e], dtype=np.float64) for e in asked.effects]


def error_of(truth: Sequence[Floats], said: Sequence[Floats]) -> tuple[float, float]:
    """Mean over the states set of the sum over effects of KL in bits, and of the mean over effects of total variation.

    Args:
        truth, said: of each effect, [states set, states of e].
    """
    bits, variation = [], []
    for p, q in zip(truth, said, strict=True):
        bounded = np.maximum(q, LEAST_RATIO * p)
        bits.append((p * np.log2(np.where(p > 0, p, 1.0) / np.where(p > 0, bounded, 1.0))).sum(-1))
        variation.append(0.5 * np.abs(p - q).sum(-1))
    return float(np.sum(bits, axis=0).mean()), float(np.mean(variation))


def _at(nodes: Sequence[str], frame: int) -> str:
    placed = [(place[1], v) for v in nodes if (place := frame_of(v)) is not None]
    early = [v for at, v in placed if at <= frame]
    return early[-1] if early else nodes[0]


def _later(node: str, observed: Sequence[str]) -> tuple[str, ...]:
    place = frame_of(node)
    if place is None:
        return tuple(observed)
    return tuple(v for v in observed if (at := frame_of(v)) is None or at[1] >= place[1])
