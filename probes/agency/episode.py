"""One run through a world, as whoever acts in it lives it: looks, trials without lasting effect, acts that last.

Chance is fixed beforehand, a uniform number for every node, so that two runs of one episode differ only by what was
done in them: a node takes the state at which the cumulative sum of its row passes its number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.agency.decision import Decision
from worldnets.errors import ProbeError, did_you_mean
from worldnets.net import Label, WorldNet

#: Whoever acts: takes an episode, and has acted on every act node when it returns.
Optimizer = Callable[["Episode"], None]


@dataclass(frozen=True)
class Change:
    """A do() in the middle of an episode.

    Attributes:
        after: so many calls of the episode (looks, trials, acts).
        do: what is set, from then on.
    """

    after: int
    do: Mapping[str, Label]


class Episode:
    """What an optimizer is given.

    Every call of `look`, `trial` and `act` is a tick of the clock.

    Args:
        decision: the world; its first regime holds at the start.
        seed: of all chance in it.
        change: of the regime, in the middle.

    Attributes:
        decision: the world.
        random: chance of the optimizer's own, the same in every run of the episode.
        ticks: calls so far.
        done: acts so far, in order.
        acted: the tick of each of them.
        trials: how many.
    """

    def __init__(self, decision: Decision, seed: int, change: Change | None = None) -> None:
        self.decision, self.change = decision, change
        self.random = np.random.default_rng([71, seed])
        self._uniform = np.random.default_rng([72, seed])
        self._numbers = self._drawn(self._uniform)
        self.ticks, self.trials = 0, 0
        self.done: list[Label] = []
        self.acted: list[int] = []
        self._net = _under(decision.net, tuple(next(iter(decision.regimes.values())).items()))
        self._states: dict[str, int] = {}
        self._realise(self._states, [], self._numbers)

    @property
    def over(self) -> bool:
        """Whether all acts are done."""
        return len(self.done) == len(self.decision.acts)

    def look(self) -> dict[str, Label]:
        """Everything that has happened so far, acts included."""
        self._tick()
        return self._labels(self._states)

    def trial(self, *plan: Label) -> dict[str, Label]:
        """What comes of these acts from here on, with chance of its own; nothing of it lasts.

        Raises:
            ProbeError: another number of acts than are left, or an unknown one.
        """
        left = self.decision.acts[len(self.done) :]
        if len(plan) != len(left):
            raise ProbeError("a trial of another length", found=len(plan), expected=f"{len(left)} acts")
        self._tick()
        self.trials += 1
        states = dict(self._states)
        self._realise(states, [*self.done, *plan], self._drawn(self._uniform))
        return self._labels(states)

    def act(self, label: Label) -> None:
        """Do the next act, for good.

        Raises:
            ProbeError: no act left, or an unknown one.
        """
        if self.over:
            raise ProbeError("no act is left", found=len(self.done) + 1, expected=f"{len(self.decision.acts)} acts")
        self._code(self.decision.acts[len(self.done)], label)
        self._tick()
        self.done.append(label)
        self.acted.append(self.ticks)
        self._realise(self._states, self.done, self._numbers)

    def happened(self) -> dict[str, int]:
        """States of everything that has happened, acts left out, as codes; no tick."""
        return {v: state for v, state in self._states.items() if v not in self.decision.acts}

    def _tick(self) -> None:
        if self.change is not None and self.ticks == self.change.after:
            self._net = _under(self._net, tuple(self.change.do.items()))
            for v, label in self.change.do.items():
                if v in self._states:  # what already came of it stays as it is
                    self._states[v] = self._net.code(v, label)
        self.ticks += 1

    def _drawn(self, random: np.random.Generator) -> dict[str, float]:
        return dict(
            zip(self.decision.net.variables, random.random(len(self.decision.net.variables)).tolist(), strict=True)
        )

    def _realise(self, states: dict[str, int], acts: list[Label], numbers: Mapping[str, float]) -> None:
        known, rows, above = self.decision.acts[: len(acts)], _cumulative(self._net), self._net.parent_sets
        for v in self.decision.net.order:
            if v in states:
                continue
            if v in self.decision.acts:
                if v in known:
                    states[v] = self._code(v, acts[known.index(v)])
                continue
            parents = above[v]
            if all(p in states for p in parents):
                row = rows[v][tuple(states[p] for p in parents)]
                states[v] = min(int(row.searchsorted(numbers[v], side="right")), len(row) - 1)

    def _labels(self, states: Mapping[str, int]) -> dict[str, Label]:
        return {v: self.decision.net.states[v][state] for v, state in states.items()}

    def _code(self, node: str, label: Label) -> int:
        labels = self.decision.net.states[node]
        if label not in labels:
            raise ProbeError("an unknown act", node=node, found=repr(label), mend=did_you_mean(label, labels))
        return labels.index(label)


@functools.lru_cache(maxsize=512)
def _under(net: WorldNet, do: tuple[tuple[str, Label], ...]) -> WorldNet:
    # Nets are compared by identity; an episode is run again many times.
    return net.do(dict(do)) if do else net


@functools.lru_cache(maxsize=512)
def _cumulative(net: WorldNet) -> Mapping[str, NDArray[np.float64]]:
    return {v: np.cumsum(table, axis=-1) for v, table in net.cpts.items()}
