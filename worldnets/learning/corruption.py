"""Good world-models and corrupted ones: what a judge of world-models is trained on.

Good: the tables of W* counted anew from a finite number of its clips. Corrupted: such a net, damaged in one of several
ways, by a grade from 0 (hardly) to 1 (all of it). A judge so has to tell damage from the accidents of a finite sample.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from worldnets.dataset import Dataset
from worldnets.inference.sampling import simulate
from worldnets.learning.model_class import ModelClass
from worldnets.learning.tables import Entries
from worldnets.net import WorldNet

FEWEST_CLIPS, MOST_CLIPS = 300, 3000  # that a good net's tables are counted from
LOWEST_GRADE = 0.02  # grades are log-uniform from here to 1
NONE = "none"  # the damage of good world-models

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Specimen:
    """A world-model, and what is wrong with it.

    Attributes:
        net: the world-model.
        damage: `NONE`, or the name of what was done to it.
        grade: how much of that, 0 … 1.
    """

    net: WorldNet
    damage: str
    grade: float


@dataclass(frozen=True, eq=False)
class Damager:
    """What damage needs to know.

    Attributes:
        model_class: the structure, with what is known and what is shared.
        latents: nodes no one observes.
        frames: the observed nodes of each frame, in one order in all frames; () where frames differ or there are none.
    """

    model_class: ModelClass
    latents: tuple[str, ...]
    frames: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, dataset: Dataset, model_class: ModelClass, observables: Sequence[str]) -> Damager:
        """That of a dataset."""
        seen = set(observables)
        latents = [v for v in dataset.net.variables if v not in seen and v not in model_class.known]
        frames = tuple(tuple(v for v in frame if v in seen) for frame in dataset.world.frames)
        states = {tuple(dataset.net.states[v] for v in frame) for frame in frames}
        alike = len(frames) > 1 and len(states) == 1
        return cls(model_class, tuple(latents), frames if alike else ())

    @property
    def latent_tables(self) -> list[str]:
        """The tables of latents that are learned and have a choice."""
        hidden = {self.model_class.owners[v] for v in self.latents if len(self.model_class.net.states[v]) > 1}
        return [v for v in self.model_class.free.variables if v in hidden]

    def kinds(self) -> list[str]:
        """The damage that can be done here."""
        return [name for name, (_, applies) in DAMAGE.items() if applies(self)]

    def damaged(self, parameters: Entries, kind: str, grade: float, generator: np.random.Generator) -> WorldNet:
        """A net with these parameters, damaged."""
        return DAMAGE[kind][0](self, parameters, grade, generator)

    def net(self, parameters: Entries) -> WorldNet:
        """The net with these parameters."""
        return self.model_class.net_of(self.model_class.entries(parameters))


def refitted(dataset: Dataset, model_class: ModelClass, clips: int, seed: int) -> Entries:
    """Parameters counted from so many clips of the dataset's net, latents included, and one imagined clip: W* itself.

    So where nothing was counted, W*'s own numbers stand.
    """
    drawn = simulate(dataset.net, clips, seed)
    counts = model_class.summed(model_class.every.count(drawn, dataset.net.index, np.ones(clips)))
    return model_class.free.normalised(counts + model_class.tables_of(dataset.net))


def gallery(
    dataset: Dataset, model_class: ModelClass, observables: Sequence[str], specimens: int, seed: int
) -> list[Specimen]:
    """So many good world-models, then as many corrupted ones, the kinds of damage in turn.

    Number i depends on (seed, i) and the number of specimens alone.
    """
    damager = Damager.of(dataset, model_class, observables)
    kinds, made = damager.kinds(), []
    for i in range(2 * specimens):
        generator = np.random.default_rng([seed, 2, i])
        clips = round(np.exp(generator.uniform(np.log(FEWEST_CLIPS), np.log(MOST_CLIPS))))
        parameters = refitted(dataset, model_class, clips, int(generator.integers(2**62)))
        if i < specimens:
            made.append(Specimen(damager.net(parameters), NONE, 0.0))
            continue
        kind, grade = kinds[i % len(kinds)], float(LOWEST_GRADE ** generator.uniform())
        made.append(Specimen(damager.damaged(parameters, kind, grade, generator), kind, grade))
    return made


def _noise(damager: Damager, parameters: Entries, grade: float, generator: np.random.Generator) -> WorldNet:
    """Every distribution mixed with one drawn from the flat Dirichlet distribution, weight `grade`."""
    drawn = damager.model_class.free.normalised(generator.standard_exponential(len(parameters)))
    return damager.net((1 - grade) * parameters + grade * drawn)


def _uniform_latents(damager: Damager, parameters: Entries, grade: float, generator: np.random.Generator) -> WorldNet:
    """The tables of latents mixed with the uniform distribution, weight `grade`."""
    tables = damager.model_class.by_table(parameters.copy())
    for v in damager.latent_tables:
        tables[v] = (1 - grade) * tables[v] + grade / tables[v].shape[-1]
    return damager.net(damager.model_class.flat(tables))


def _permuted_states(damager: Damager, parameters: Entries, grade: float, generator: np.random.Generator) -> WorldNet:
    """Some latents' own tables with their states permuted, while their children read them as before."""
    tables = damager.model_class.by_table(parameters.copy())
    for v in _some(damager.latent_tables, grade, generator):
        shift = int(generator.integers(1, tables[v].shape[-1]))
        tables[v] = np.roll(tables[v], shift, axis=-1)
    return damager.net(damager.model_class.flat(tables))


def _cut_arrows(damager: Damager, parameters: Entries, grade: float, generator: np.random.Generator) -> WorldNet:
    """Some arrows without effect: the child's table averaged over that parent's states."""
    tables = damager.model_class.by_table(parameters.copy())
    for v, axis in _some(_arrows(damager), grade, generator):
        mean = tables[v].mean(axis=axis, keepdims=True)
        tables[v] = np.broadcast_to(mean, tables[v].shape).copy()
    return damager.net(damager.model_class.flat(tables))


def _swapped_frames(damager: Damager, parameters: Entries, grade: float, generator: np.random.Generator) -> WorldNet:
    """Some pairs of frames with what they show exchanged."""
    net, frames = damager.net(parameters), damager.frames
    order = generator.permutation(len(frames))
    pairs = [(frames[order[i]], frames[order[i + 1]]) for i in range(0, len(frames) - 1, 2)]
    name = {v: v for v in net.variables}
    for one, other in _some(pairs, grade, generator):
        for a, b in zip(one, other, strict=True):
            name[a], name[b] = b, a
    parents = {name[v]: tuple(name[p] for p in net.parent_sets[v]) for v in net.variables}
    cpts = {name[v]: net.cpts[v] for v in net.variables}
    return WorldNet(net.states, parents, cpts, net.name)


def _sharpened(damager: Damager, parameters: Entries, grade: float, generator: np.random.Generator) -> WorldNet:
    """Every distribution ∝ p^(1 + 2·grade): surer than it should be."""
    return damager.net(damager.model_class.free.normalised(parameters ** (1 + 2 * grade)))


def _arrows(damager: Damager) -> list[tuple[str, int]]:
    free = damager.model_class.free
    return [(scope[-1], axis) for scope in free.scopes for axis in range(len(scope) - 1)]


def _some(of: Sequence[T], grade: float, generator: np.random.Generator) -> list[T]:
    """That share of them, at least one, drawn without replacement."""
    chosen = generator.permutation(len(of))[: max(1, round(grade * len(of)))]
    return [of[i] for i in sorted(chosen)]


Damage = Callable[[Damager, Entries, float, np.random.Generator], WorldNet]

#: By name: what it does, and whether it can be done.
DAMAGE: Mapping[str, tuple[Damage, Callable[[Damager], bool]]] = {
    "noise": (_noise, lambda damager: True),
    "sharpened": (_sharpened, lambda damager: True),
    "cut_arrows": (_cut_arrows, lambda damager: bool(_arrows(damager))),
    "uniform_latents": (_uniform_latents, lambda damager: bool(damager.latent_tables)),
    "permuted_states": (_permuted_states, lambda damager: bool(damager.latent_tables)),
    "swapped_frames": (_swapped_frames, lambda damager: bool(damager.frames)),
}
