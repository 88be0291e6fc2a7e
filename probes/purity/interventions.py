"""do(): what a world-model says would be seen if a latent were set, whatever its causes.

Asked of each kind of latent at one early node: set to one of its states, what do the observables from then on show?

    error = Σ_e KL( W*(e | do(z = s)) ‖ W(e | do(z = π s)) )   bits,

e running over the observables of z's frame and later (of a static world, over all), π the relabelling under which W's
beliefs about z say most. Two floors make it readable: the *effect*, the error of who answers that nothing changes
(W*(e)), and the error of who takes seeing for doing (W*(e | z = s)). Accuracy is 1 − Σ error / Σ effect, over states.

An intervention can lead where the world never goes (a robber inside, the door shut): what W* says then rests on rows of
its tables that no clip, however many and with every latent labelled, could teach anyone. `unseen` is the probability of
that; where it is large, an answer is measured, but not demanded (the positivity condition of causal inference).

Source: Pearl 2009, Causality, section 3.2; Rosenbaum & Rubin 1983, Biometrika 70:41 (positivity).
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
    from worldnets.net import WorldNet

Codes = NDArray[np.int16]
Floats = NDArray[np.float64]
LEAST_RATIO = 1e-12  # W is taken to give an outcome at least this part of what W* gives it: 39.9 bits at most


@dataclass(frozen=True, eq=False)
class Intervention:
    """One latent set to each of its states in turn, and what W* then shows. States that never occur are left out.

    Attributes:
        kind, node: what is set.
        states: codes of the states it is set to, [S].
        labels: these states in words.
        effects: the observables that are looked at.
        answers: for each of these W*(e | do(node = s)), [S, states of e].
        effect: error of who answers that nothing changes, bits, [S].
        seeing: error of who answers W*(e | node = s), bits, [S].
        unseen: probability, under do(), of a configuration of some node's parents that clips hardly ever show; of the
            node worst hit, [S].
    """

    kind: str
    node: str
    states: tuple[int, ...]
    labels: tuple[str, ...]
    effects: tuple[str, ...]
    answers: tuple[Floats, ...]
    effect: Floats
    seeing: Floats
    unseen: Floats


def interventions(
    dataset: Dataset,
    engine: Inference,
    kinds: Mapping[str, Sequence[str]],
    observed: Sequence[str],
    frame: int,
    rare: float,
) -> tuple[Intervention, ...]:
    """What W* answers, for each kind of latent at its latest node up to `frame`, at its first where there is none.

    Args:
        dataset, engine: the world, and exact inference in its net.
        kinds: nodes of each kind of latent, in time order.
        observed: the observables.
        frame: where to intervene.
        rare: W*-probability below which a configuration counts as hardly ever shown.
    """
    net, made = dataset.net, []
    in_time = bool(dataset.world.frames)
    for kind, nodes in kinds.items():
        node = _at(nodes, frame) if in_time else nodes[0]
        effects = _later(node, observed) if in_time else tuple(observed)
        alone = engine.query(None, variables=[node, *effects])
        states = tuple(int(s) for s in np.flatnonzero(alone[node][0] > 0))
        if not effects or len(states) < 2:
            continue
        codes = np.full((len(states), len(net.variables)), -1, dtype=np.int16)
        labels = [net.states[node][s] for s in states]
        done = engine.query(codes, variables=effects, do={node: labels})
        seen = codes.copy()
        seen[:, net.index[node]] = states
        watched = engine.query(seen, variables=effects)
        answers = tuple(np.asarray(done[e], dtype=np.float64) for e in effects)
        still = [np.broadcast_to(np.asarray(alone[e]), a.shape) for e, a in zip(effects, answers, strict=True)]
        made.append(
            Intervention(
                kind,
                node,
                states,
                tuple(map(str, labels)),
                effects,
                answers,
                effect=error_of(answers, still)[0],
                seeing=error_of(answers, [np.asarray(watched[e]) for e in effects])[0],
                unseen=_unseen(engine, net, node, codes, labels, rare),
            )
        )
    return tuple(made)


def answer(engine: Inference, asked: Intervention, relabelling: Sequence[int]) -> list[Floats]:
    """What a world-model says: W(e | do(node = π s)) of each effect, [S, states of e].

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


def error_of(truth: Sequence[Floats], said: Sequence[Floats]) -> tuple[Floats, Floats]:
    """For each state set: the sum over effects of KL in bits, and the mean over effects of total variation, [S] each.

    Args:
        truth, said: of each effect, [S, states of e].
    """
    bits, variation = [], []
    for p, q in zip(truth, said, strict=True):
        bounded = np.maximum(q, LEAST_RATIO * p)
        bits.append((p * np.log2(np.where(p > 0, p, 1.0) / np.where(p > 0, bounded, 1.0))).sum(-1))
        variation.append(0.5 * np.abs(p - q).sum(-1))
    return np.maximum(np.sum(bits, axis=0), 0.0), np.mean(variation, axis=0)


def _unseen(engine: Inference, net: WorldNet, node: str, codes: Codes, labels: Sequence[object], rare: float) -> Floats:
    worst = np.zeros(len(codes))
    for v in net.variables:
        parents = net.parents(v)
        if v == node or not parents:
            continue
        usual = np.asarray(engine.joint(None, parents)[0])
        then = np.asarray(engine.joint(codes, parents, do={node: list(labels)}))
        worst = np.maximum(worst, (then * (usual < rare)).reshape(len(codes), -1).sum(1))
    return worst


def _at(nodes: Sequence[str], frame: int) -> str:
    placed = [(place[1], v) for v in nodes if (place := frame_of(v)) is not None]
    early = [v for at, v in placed if at <= frame]
    return early[-1] if early else nodes[0]


def _later(node: str, observed: Sequence[str]) -> tuple[str, ...]:
    place = frame_of(node)
    if place is None:
        return tuple(observed)
    return tuple(v for v in observed if (at := frame_of(v)) is None or at[1] >= place[1])
