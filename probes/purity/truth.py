"""What W* says about its observables and its latents: the side of purity that does not depend on any world-model."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from probes.enumerated import LARGEST
from probes.purity.interventions import Intervention, interventions
from probes.purity.losses import ProxyLoss, proxy_losses
from probes.sources import stream
from worldnets.distinct import distinct
from worldnets.errors import ProbeError
from worldnets.objectives.clip import frame_of

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.net import WorldNet

Codes = NDArray[np.int16]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """How purity is measured: part of a cell's key.

    Attributes:
        method: all configurations of the observables, clips, or clips where there are more than 2^16 ("auto").
        clips: how many evaluation clips then.
        groups: independent groups of these clips, whose spread is the Monte-Carlo error.
        seed: stream of the clips; every checkpoint, seed and head of a world shares them.
        frame: where interventions are made: in this frame, or the latest there is before it. The first frame's latents
            stand for all that happened before the clip; in the second they are what the world makes of them.
        rare: W*-probability below which a configuration of a node's parents counts as hardly ever shown; interventions
            that lead there are told apart.
        losses: objectives whose loss is measured besides the one trained for, as far as the dataset has them.
    """

    method: Literal["auto", "enumerate", "sample"] = "auto"
    clips: int = 4096
    groups: int = 16
    seed: int = 0
    frame: int = 2
    rare: float = 1e-4
    losses: tuple[str, ...] = ("world", "likelihood", "continuation_all", "question")


@dataclass(frozen=True, eq=False)
class Truth:
    """What W* says where a world-model is judged: on configurations of the observables, or on clips drawn from W*.

    Attributes:
        dataset: the world.
        observed: the observables that are compared, those that the world-model has too.
        latents: the nodes of each kind of latent that are compared, in time order; of a static world each on its own.
        rows: all configurations of the observables, or the distinct clips: int16 [R, net variables], the rest −1.
        weight: W* of each configuration, or each clip's share: [R], summing to 1.
        groups: the same within each group of clips, [G, R]; None where every configuration is there.
        clips: how many there are in all groups; 0 where every configuration is there.
        log_truth: ln W*(observables) of each row, [R].
        posterior: W*(latent | row) of every latent node, [R, states].
        prior: W*(node) of every latent and every observable, [states].
        structure: Σ_o H(O) − H(O_1, O_2, …) bits: what who knows only how each observable is distributed lacks, that
            is KL(W*‖Π_o W*(o)); the total correlation (Watanabe 1960).
        information: Σ_t I(Z_t; observables) bits of each kind of latent.
        structure_groups, information_groups: the same in each group, [G] and by kind [G].
        interventions: what W* answers to do().
        losses: the objectives' expected losses.
    """

    dataset: Dataset
    observed: tuple[str, ...]
    latents: Mapping[str, tuple[str, ...]]
    rows: Codes
    weight: Floats
    groups: Floats | None
    clips: int
    log_truth: Floats
    posterior: Mapping[str, Floats]
    prior: Mapping[str, Floats]
    structure: float
    information: Mapping[str, float]
    structure_groups: Floats | None
    information_groups: Mapping[str, Floats] | None
    interventions: tuple[Intervention, ...]
    losses: tuple[ProxyLoss, ...]

    @property
    def exact(self) -> bool:
        """Whether every configuration is there."""
        return self.groups is None

    @functools.cached_property
    def fitting(self) -> tuple[Floats, ...]:
        """Weights [R] to fit a readout with: one set for everything, or one for even groups and one for odd ones.

        Clips of even groups are judged by what was fitted to odd ones, and the other way round. All configurations
        together are no sample: nothing can be fitted to its accidents.
        """
        if self.groups is None:
            return (self.weight,)
        return self.groups[1::2].mean(0), self.groups[::2].mean(0)


def kinds_of(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The nodes of each kind of latent, in time order: all nodes that are neither observed nor without chance.

    In a world of frames `robber_1`, `robber_2`, … are one kind, robber; in a static one each latent is a kind.
    """
    aside = {*observables(dataset), *dataset.roles.get("schedule", ())}
    kinds: dict[str, list[tuple[int, str]]] = {}
    for place, v in enumerate(dataset.net.variables):
        if v in aside:
            continue
        found = frame_of(v) if dataset.world.frames else None
        kind, at = (v, place) if found is None else found
        kinds.setdefault(kind, []).append((at, v))
    return {kind: tuple(v for _, v in sorted(nodes)) for kind, nodes in kinds.items()}


def observables(dataset: Dataset) -> tuple[str, ...]:
    """What can be seen of a clip: its frames, or the role "observed".

    Raises:
        ProbeError: the dataset does not say.
    """
    seen = tuple(v for frame in dataset.world.frames for v in frame) or dataset.roles.get("observed", ())
    if not seen:
        mend = 'name the observed nodes: roles={"observed": …}, or give the world its frames'
        raise ProbeError("the world does not say what is observed", node=dataset.name, mend=mend)
    return seen


def truth(dataset: Dataset, model: WorldNet, sampling: Sampling | None = None, objective: str = "") -> Truth:
    """What W* says about everything that a world-model and W* have in common.

    Args:
        dataset: its net is W*.
        model: a world-model; only nodes of the same name count, and these must have the same states if observed. What
            comes out serves all world-models with these nodes, whatever their arrows.
        sampling: how many clips, where to intervene, which losses.
        objective: whose loss is measured in any case.

    Raises:
        ProbeError: nothing observed in common, other states of an observable, too few clips or groups.
    """
    from worldnets.inference import Inference

    sampling, net = sampling or Sampling(), dataset.net
    observed = tuple(v for v in observables(dataset) if v in model.index)
    if not observed:
        mend = "give the world-model the names of the world"
        raise ProbeError("the world-model has none of the observables", node=dataset.name, mend=mend)
    for v in observed:
        if model.states[v] != net.states[v]:
            found, expected = model.states[v], net.states[v]
            mend = "learn the world-model from the same table of states"
            raise ProbeError("other states of an observable", node=v, found=found, expected=expected, mend=mend)
    kinds = {kind: tuple(v for v in nodes if v in model.index) for kind, nodes in kinds_of(dataset).items()}
    kinds = {kind: nodes for kind, nodes in kinds.items() if nodes}
    engine = Inference(net)
    rows, groups = _rows(dataset, observed, sampling)
    latents = [v for nodes in kinds.values() for v in nodes]
    beliefs = engine.query(rows, variables=latents)
    weight = np.exp(beliefs.log_evidence) if groups is None else groups.mean(0)
    weight = weight / weight.sum()
    nothing = np.full((1, len(net.variables)), -1, dtype=np.int16)
    alone = engine.query(nothing, variables=[*latents, *observed])
    prior = {v: np.asarray(alone[v][0], dtype=np.float64) for v in (*latents, *observed)}
    posterior = {v: np.asarray(beliefs[v], dtype=np.float64) for v in latents}
    surprise = -np.where(weight > 0, beliefs.log_evidence, 0.0) / math.log(2)
    surface = sum(entropy(prior[v]) for v in observed)
    left = {kind: sum(entropy(posterior[v]) for v in nodes) for kind, nodes in kinds.items()}
    open_to = {kind: sum(entropy(prior[v]) for v in nodes) for kind, nodes in kinds.items()}
    return Truth(
        dataset=dataset,
        observed=observed,
        latents=kinds,
        rows=rows,
        weight=weight,
        groups=groups,
        clips=0 if groups is None else len(groups) * (sampling.clips // len(groups)),
        log_truth=np.asarray(beliefs.log_evidence, dtype=np.float64),
        posterior=posterior,
        prior=prior,
        structure=float(surface - weight @ surprise),
        information={kind: float(open_to[kind] - weight @ left[kind]) for kind in kinds},
        structure_groups=None if groups is None else surface - groups @ surprise,
        information_groups=None if groups is None else {kind: open_to[kind] - groups @ left[kind] for kind in kinds},
        interventions=interventions(dataset, engine, kinds, observed, sampling.frame, sampling.rare),
        losses=proxy_losses(dataset, model, engine, objective, sampling.losses, sampling.clips, sampling.seed),
    )


def entropy(p: Floats) -> Floats:
    """H of distributions, in bits: [..., states] → [...]."""
    return np.asarray(-(p * np.log2(np.where(p > 0, p, 1.0))).sum(-1))


def configurations(net: WorldNet, variables: Iterable[str]) -> Codes:
    """Every joint state of some variables, the first most significant, all else hidden: int16 [Π states, variables]."""
    names = tuple(variables)
    cards = [len(net.states[v]) for v in names]
    codes = np.full((math.prod(cards), len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index[v] for v in names]] = np.stack(np.unravel_index(np.arange(len(codes)), cards), axis=-1)
    return codes


def _rows(dataset: Dataset, observed: tuple[str, ...], sampling: Sampling) -> tuple[Codes, Floats | None]:
    net = dataset.net
    count = math.prod(len(net.states[v]) for v in observed)
    if sampling.method == "enumerate" and count > LARGEST:
        raise ProbeError("too many configurations to enumerate", found=count, expected=f"≤ {LARGEST}", mend="sample")
    if sampling.method != "sample" and count <= LARGEST:
        return configurations(net, observed), None
    size = sampling.clips // max(sampling.groups, 1)
    if sampling.groups < 2 or size < 2:
        found = f"{sampling.clips} clips in {sampling.groups} groups"
        raise ProbeError("too few clips", found=found, expected="≥ 2 groups of ≥ 2 clips", mend="sample more")
    clips = np.full((size * sampling.groups, len(net.variables)), -1, dtype=np.int16)
    columns = [net.index[v] for v in observed]
    clips[:, columns] = np.asarray(dataset.simulate_model(len(clips), stream(sampling.seed, 0)))[:, columns]
    rows, which = distinct(clips)
    counts = np.zeros((sampling.groups, len(rows)))
    np.add.at(counts, (np.repeat(np.arange(sampling.groups), size), which), 1.0 / size)
    return rows, counts
