"""How a world-model looks from outside: statistics of its samples, and its beliefs. Differentiable in its tables.

- *Samples.* The probabilities of single observables and of pairs of them, within a frame and from frame to frame: what
  relative frequencies among n samples tend to, from which they differ by sd ≤ 1/(2√n). So this is the look of endlessly
  many samples: no noise, and a gradient, which samples of discrete nodes do not have.
- *Beliefs.* The posteriors of latents and targets given the evidence of some fixed clips.

With e an event such as {a = 1, b = 0}: ∂W(e)/∂ln θ = W(e) · (expected counts given e). So the gradient of either part
is one vector–Jacobian product of our own message passing.
"""

from __future__ import annotations

import functools
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset
from worldnets.distinct import distinct
from worldnets.errors import LearningError
from worldnets.inference import Inference
from worldnets.inference.codes import UNOBSERVED, Codes
from worldnets.inference.evidence import observe
from worldnets.inference.family_walk import marginals
from worldnets.inference.gradient import vjp
from worldnets.learning.model_class import certain_states
from worldnets.learning.tables import Entries
from worldnets.net import WorldNet

ENGINES_KEPT = 32
MOST_PAIRS = 300  # of observables, in worlds without frames

Features = NDArray[np.float64]
Back = Callable[[Features], dict[str, Entries]]


@dataclass(frozen=True, eq=False, repr=False)
class Appearance:
    """What is looked at.

    Features are, in this order, W(event) for each event, then, clip by clip, the belief in each state but the first of
    each believed node. They lie between 0 and 1.

    Args:
        net: whose nodes and states are meant; its tables play no part.
        events: codes [events, net variables]; −1 where an event says nothing.
        clips: codes [clips, net variables], the evidence for beliefs.
        believed: the nodes that beliefs are about.
    """

    net: WorldNet
    events: Codes
    clips: Codes
    believed: tuple[str, ...]
    _engines: OrderedDict[Any, Inference] = field(default_factory=OrderedDict, init=False)

    def __len__(self) -> int:
        """Features."""
        return len(self.events) + len(self.clips) * len(self._shown)

    @property
    def labels(self) -> list[str]:
        """What each feature says."""
        names, states = self.net.variables, self.net.states
        said = [
            ", ".join(f"{names[c]}={states[names[c]][row[c]]}" for c in np.flatnonzero(row != UNOBSERVED))
            for row in self.events
        ]
        beliefs = [f"{v}={label}" for v in self.believed for label in states[v][1:]]
        return said + [f"{belief} | clip {i + 1}" for i in range(len(self.clips)) for belief in beliefs]

    def of(self, world_model: WorldNet) -> Features:
        """The features of a world-model, [features].

        Raises:
            LearningError: a node that is looked at is missing, or has other states.
        """
        return self.look(world_model)[0]

    def look(self, world_model: WorldNet) -> tuple[Features, Back]:
        """The features of a world-model, and the function from cotangents [features] to the gradient in its log-tables.

        That gradient, of Σ cotangents · features, is a dict of arrays [*parent states, states] by node. Tables are free
        log-potentials to it, as `inference.gradient.vjp` says.

        Raises:
            LearningError: as `of`.
        """
        engine = self._engine(world_model)
        values = np.concatenate([world_model.cpts[v].ravel() for v in world_model.variables])
        certain = certain_states(world_model)
        events, clips = (self._in(world_model, codes, certain) for codes in (self.events, self.clips))
        _, log_events = marginals(engine, observe(engine.net, events), (), values)
        beliefs, _ = marginals(engine, observe(engine.net, clips), self.believed, values)
        probable = np.exp(log_events)

        def back(cotangents: Features) -> dict[str, Entries]:
            by_state = np.zeros((len(clips), len(beliefs)))
            by_state[:, self._shown] = cotangents[len(events) :].reshape(len(clips), -1)
            weights = {v: by_state[:, low:high] for v, (low, high) in zip(self.believed, self._spans, strict=True)}
            of_events = vjp(engine, events, None, cotangents[: len(events)] * probable, net=world_model)
            of_beliefs = vjp(engine, clips, weights, net=world_model)
            assert isinstance(of_events, dict)
            assert isinstance(of_beliefs, dict)
            return {v: of_events[v] + of_beliefs[v] for v in world_model.variables}

        return np.concatenate([probable, beliefs[self._shown].T.ravel()]), back

    @functools.cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """Where each believed node's states lie among all of them."""
        return list(itertools.pairwise([0, *itertools.accumulate(len(self.net.states[v]) for v in self.believed)]))

    @functools.cached_property
    def _shown(self) -> list[int]:
        """Which of these are features."""
        return [state for low, high in self._spans for state in range(low + 1, high)]

    @functools.cached_property
    def _looked_at(self) -> list[str]:
        seen = ((self.events != UNOBSERVED).any(axis=0) | (self.clips != UNOBSERVED).any(axis=0)).tolist()
        return [v for v, shown in zip(self.net.variables, seen, strict=True) if shown or v in self.believed]

    def _engine(self, world_model: WorldNet) -> Inference:
        """One for each structure, with the plans made for it."""
        key = tuple((v, world_model.states[v], world_model.parent_sets[v]) for v in world_model.variables)
        if key not in self._engines:
            for v in self._looked_at:
                if world_model.states.get(v) != self.net.states[v]:
                    found = world_model.states.get(v, "no such node")
                    mend = "judge world-models that have what the scorer looks at"
                    raise LearningError(
                        "a node of another kind", node=v, found=found, expected=self.net.states[v], mend=mend
                    )
            self._engines[key] = Inference(world_model, threads=1)
            while len(self._engines) > ENGINES_KEPT:
                self._engines.popitem(last=False)
        self._engines.move_to_end(key)
        return self._engines[key]

    def _in(self, world_model: WorldNet, codes: Codes, certain: dict[str, int]) -> Codes:
        """The same rows in a world-model's columns; nodes without chance are observed, which only makes it cheaper."""
        own = np.full((len(codes), len(world_model.variables)), UNOBSERVED, dtype=np.int16)
        for v, state in certain.items():
            own[:, world_model.index[v]] = state
        for v in self._looked_at:
            column = codes[:, self.net.index[v]]
            shown = column != UNOBSERVED
            own[shown, world_model.index[v]] = column[shown]
        return own

    def __repr__(self) -> str:
        beliefs = f"beliefs about {len(self.believed)} nodes in {len(self.clips)} clips"
        return f"Appearance({len(self.events)} events, {beliefs})"


def appearance_of(dataset: Dataset, observables: Sequence[str], clips: int = 16, seed: int = 0) -> Appearance:
    """What there is to see of world-models for a dataset.

    Events: every state but the first of each observable, and every pair of such states of two observables within one
    frame or in consecutive ones; in a world without frames, of any two (`MOST_PAIRS` of them, drawn by the seed).
    Beliefs: about the latents and the targets of the dataset's continuation, or of its first task, given the evidence
    of that task in different clips drawn from the dataset by the seed.

    Raises:
        LearningError: no observable has two states.
    """
    net = dataset.net
    singles = [(v,) for v in observables]
    pairs = list(_pairs(dataset, observables))
    if not dataset.world.frames and len(pairs) > MOST_PAIRS:
        chosen = np.random.default_rng([seed, 1]).choice(len(pairs), MOST_PAIRS, replace=False)
        pairs = [pairs[i] for i in sorted(chosen)]
    rows = []
    for scope in (*singles, *pairs):
        for states in itertools.product(*(range(1, len(net.states[v])) for v in scope)):
            row = np.full(len(net.variables), UNOBSERVED, dtype=np.int16)
            row[[net.index[v] for v in scope]] = states
            rows.append(row)
    if not rows:
        raise LearningError(
            "nothing is to be seen", node=dataset.name, found=list(observables), mend="name observables"
        )
    task = dataset.task("continuation" if "continuation" in dataset.objectives else dataset.objectives[0])
    columns = [net.index[v] for v in task.evidence]
    drawn = dataset.simulate_model(64 * clips, seed)
    evidence = np.full_like(drawn, UNOBSERVED)
    evidence[:, columns] = drawn[:, columns]
    different, which = distinct(evidence)
    # The first so many that differ: frequent clips are likelier to be among them, as they should.
    order = dict.fromkeys(which.tolist())
    some = different[list(itertools.islice(order, clips))]
    asked = (v for target in task.targets for v in target.variables)
    believed = tuple(v for v in dict.fromkeys((*task.latents, *asked)) if len(net.states[v]) > 1)
    return Appearance(net, np.stack(rows), some, believed)


def _pairs(dataset: Dataset, observables: Sequence[str]) -> Iterable[tuple[str, str]]:
    frames = [[v for v in frame if v in set(observables)] for frame in dataset.world.frames]
    if not frames:
        yield from itertools.combinations(observables, 2)
        return
    for frame in frames:
        yield from itertools.combinations(frame, 2)
    for before, after in itertools.pairwise(frames):
        yield from itertools.product(before, after)
