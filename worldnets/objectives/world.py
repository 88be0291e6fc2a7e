"""`world`: −log2 W(all nodes, latents included), the literal "just ask for the world-model".

Possible only here, where the world is at hand: the control beside which proxies are judged (theory, section 3). A
world-model is asked for the joint of everything. A head, which has no joint, is asked from its evidence for every node
that is not evidence, each on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worldnets.objectives.base import Ask, LogLoss
from worldnets.objectives.clip import frame_of
from worldnets.roles import Target, Task, distance_ladder

if TYPE_CHECKING:
    from worldnets.dataset import Dataset


@dataclass(frozen=True)
class EveryNode(LogLoss):
    """All nodes of the world's own net."""

    def task(self, dataset: Dataset) -> Task:
        """Evidence of the continuation, or of the first task where there is none; a target for every other node.

        In a world with frames every target has the ladder of the last k frames, elsewhere that of graph distance. Nodes
        with one state, or none the evidence leaves open by name (schedules), or that clips do not have, are no targets.
        """
        base = dataset.task("continuation" if "continuation" in dataset.objectives else dataset.objectives[0])
        net, given = dataset.world.net, {*base.evidence, *dataset.roles.get("schedule", ()), *dataset.unknown}
        asked = [v for v in net.variables if v not in given and len(net.states[v]) > 1]
        in_time = bool(dataset.world.frames) and all(frame_of(v) for v in asked)
        ladder = next(iter(base.ladders.values()))
        ladders = {v: ladder if in_time else distance_ladder(net, base.evidence, (v,)) for v in asked}
        return Task(self.name, base.evidence, tuple(Target(v, (v,)) for v in asked), ladders)

    def ask(self, dataset: Dataset) -> Ask:
        """W(everything that clips have)."""
        return Ask((), tuple(v for v in dataset.net.variables if v not in dataset.unknown))


WORLD = EveryNode("world")
