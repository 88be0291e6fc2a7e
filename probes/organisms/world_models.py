"""Planted world-models whose purity is known: what the purity probe is judged on (theory, section 16).

They live in a small vault (3 frames, one pixel each), whose 64 clips are written down. Each makes one world-model from
a random generator: the seeds of a run are so many independent draws, before training (random tables) and after.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.purity.truth import Sampling, Truth, kinds_of, observables, truth
from worldnets.net import WorldNet
from worldnets.registry import Registry

if TYPE_CHECKING:
    from worldnets.dataset import Dataset

Floats = NDArray[np.float64]
Maker = Callable[[WorldNet, np.random.Generator], WorldNet]


@dataclass(frozen=True)
class WorldModel:
    """A kind of world-model.

    Attributes:
        name, about: its name and one sentence.
        verdict: what the purity probe must say about it.
        make: from W* and a random generator, one of them.
        learned: whether it began as random tables; one that did not was always as it is.
        other: where half of the seeds are of another kind, how these are made.
    """

    name: str
    about: str
    verdict: str
    make: Maker
    learned: bool = True
    other: Maker | None = None


@functools.cache
def small_vault() -> Dataset:
    """The world: 3 frames of one pixel and a sensor, the camera panning from door to person to diamond."""
    from worldnets.dataset import load_dataset

    return load_dataset("vault", frames=3, pixels=1)


def small_truth(sampling: Sampling | None = None) -> Truth:
    """What W* says of it, exactly unless clips are asked for."""
    dataset = small_vault()
    return truth(dataset, dataset.net, sampling)


def with_tables(net: WorldNet, change: Callable[[str, Floats], Floats]) -> WorldNet:
    """The same graph with other tables; nodes without chance, such as the camera's direction, keep theirs."""
    fixed = {v for v in net.variables if set(np.unique(net.cpt(v))) <= {0.0, 1.0} and not _moves(v)}
    tables = {v: net.cpt(v) if v in fixed else change(v, np.asarray(net.cpt(v))) for v in net.variables}
    return WorldNet(net.states, net.parent_sets, tables, net.name)


def _moves(variable: str) -> bool:
    return not variable.startswith("camera")


def random_tables(net: WorldNet, random: np.random.Generator) -> WorldNet:
    """Every row of every table drawn from a flat Dirichlet distribution: what training begins with."""
    return with_tables(net, lambda _, table: random.dirichlet(np.ones(table.shape[-1]), table.shape[:-1]))


def blurred(net: WorldNet, share: float, only: str = "") -> WorldNet:
    """Tables mixed with the uniform one, (1 − share)·table + share/states: of nodes whose name begins with `only`."""
    return with_tables(
        net, lambda v, table: (1 - share) * table + share / table.shape[-1] if v.startswith(only) else table
    )


def nearly(net: WorldNet, random: np.random.Generator) -> WorldNet:
    """W* up to what a good fit leaves over: tables blurred by half a percent, a percent at most."""
    return blurred(net, 0.005 * random.uniform(0, 2))


def relabelled(net: WorldNet, random: np.random.Generator) -> WorldNet:
    """The states of every kind of latent in another order, the same in all frames."""
    orders: dict[str, NDArray[np.int64]] = {}
    for nodes in kinds_of(small_vault()).values():
        order = random.permutation(len(net.states[nodes[0]]))
        orders |= dict.fromkeys(nodes, order)
    tables = {}
    for v in net.variables:
        table = np.asarray(net.cpt(v))
        for axis, name in enumerate((*net.parents(v), v)):
            table = np.take(table, orders[name], axis=axis) if name in orders else table
        tables[v] = table
    return WorldNet(net.states, net.parent_sets, tables, net.name)


def renamed(net: WorldNet, names: Mapping[str, str]) -> WorldNet:
    """The same net with nodes under each other's names; those must have equally many states."""
    to = {v: names.get(v, v) for v in net.variables}
    states = {v: net.states[v] for v in net.variables}
    parents = {to[v]: tuple(to[p] for p in net.parents(v)) for v in net.variables}
    return WorldNet(states, parents, {to[v]: net.cpt(v) for v in net.variables}, net.name)


def factored(net: WorldNet, parents: Mapping[str, Sequence[str]]) -> WorldNet:
    """The joint distribution factored along other arrows, W(v | parents): the same where these separate v from the rest
    of its predecessors. Parents that never occur together leave v uniform.
    """
    from worldnets.inference import Inference

    engine, tables = Inference(net), {}
    for v in net.variables:
        joint = np.asarray(engine.joint(None, (*parents.get(v, ()), v))[0], dtype=np.float64)
        total = joint.sum(-1, keepdims=True)
        tables[v] = np.where(total > 0, joint / np.where(total > 0, total, 1.0), 1.0 / joint.shape[-1])
    return WorldNet(net.states, parents, tables, net.name)


def _swapped(net: WorldNet, random: np.random.Generator) -> WorldNet:
    pairs = [(f"door_{t}", f"tampering_{t}") for t in range(1, 4)]
    return renamed(nearly(net, random), {a: b for x, y in pairs for a, b in ((x, y), (y, x))})


def _unrelated(net: WorldNet, random: np.random.Generator) -> WorldNet:
    # The observables by the chain rule, each on all before it; every latent a root with its own distribution.
    seen = [v for v in net.variables if v in set(observables(small_vault()))]
    return factored(nearly(net, random), {v: seen[:place] for place, v in enumerate(seen)})


def _backwards(net: WorldNet, random: np.random.Generator) -> WorldNet:
    # Latents of frame t on those of frame t + 1, what is seen as it was: the same joint, with causes after effects.
    kinds = list(kinds_of(small_vault()))
    parents = {v: net.parents(v) for v in net.variables}
    for t in range(1, 4):
        after = [f"{kind}_{t + 1}" for kind in kinds] if t < 3 else []
        for place, kind in enumerate(kinds):
            parents[f"{kind}_{t}"] = (*(f"{other}_{t}" for other in kinds[:place]), *after)
    return factored(nearly(net, random), parents)


def _surface(net: WorldNet, random: np.random.Generator) -> WorldNet:
    return factored(nearly(net, random), {})


def _hazy(net: WorldNet, random: np.random.Generator) -> WorldNet:
    return blurred(net, random.uniform(0.08, 0.12))


THE_WORLD = WorldModel("the_world", "W* up to what a good fit leaves over", "pure", nearly)
OTHER_LABELS = WorldModel(
    "other_labels",
    "the same, the states of its latents called otherwise",
    "pure",
    lambda net, random: relabelled(nearly(net, random), random),
)
OTHER_NAMES = WorldModel(
    "other_names", "the same, but its door is the tampering and the other way round", "observables-only", _swapped
)
UNRELATED = WorldModel(
    "unrelated", "the same clips, with latents that have nothing to do with them", "observables-only", _unrelated
)
BACKWARDS = WorldModel(
    "backwards", "the same joint of everything, with causes after their effects", "observables-only", _backwards
)
HAZY = WorldModel("hazy", "tables blurred by about a tenth", "impure", _hazy)
SURFACE = WorldModel("surface", "every node on its own", "impure", _surface)
UNTRAINED = WorldModel("untrained", "random tables that training never changed", "untrained", random_tables, False)
IN_TWO_MINDS = WorldModel(
    "in_two_minds", "half of the seeds W*, half with other names", "inconclusive", nearly, other=_swapped
)

REGISTRY: Registry[WorldModel] = Registry(
    "world-model organism",
    {
        organism.name: organism
        for organism in (
            THE_WORLD,
            OTHER_LABELS,
            OTHER_NAMES,
            UNRELATED,
            BACKWARDS,
            HAZY,
            SURFACE,
            UNTRAINED,
            IN_TWO_MINDS,
        )
    },
)


def drawn(organism: WorldModel, count: int, seed: int = 0) -> tuple[list[WorldNet], list[WorldNet]]:
    """`count` seeds of an organism, before and after training; where there are two kinds, every other one of each."""
    random, net = np.random.default_rng(seed), small_vault().net
    makers = itertools.cycle([organism.make, organism.other or organism.make])
    ends = [maker(net, random) for maker, _ in zip(makers, range(count), strict=False)]
    return ([random_tables(net, random) for _ in ends] if organism.learned else ends), ends
