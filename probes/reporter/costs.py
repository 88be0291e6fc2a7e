"""What either reference costs to compute from the evidence, by exact message passing in its own net.

Seed 001 argues that a speed prior keeps a program from deriving what it could have known: here, from simulating a
human. That needs the simulator to be the slower of the two. Whether it is can be counted.
"""

from __future__ import annotations

from typing import NamedTuple

import networkx as nx

from probes.reporter.rows import DIRECT, HUMAN
from worldnets.dataset import Dataset
from worldnets.errors import ProbeError
from worldnets.inference import Inference
from worldnets.net import WorldNet


class Cost(NamedTuple):
    """Exact inference of one clip: every node's belief from whatever evidence.

    Attributes:
        multiply_adds: work, at most.
        chain: messages that are sent one after the other along the junction tree's longest path.
    """

    multiply_adds: int
    chain: int


def costs(dataset: Dataset) -> dict[str, Cost]:
    """Of the direct translator in the world's net, and of the human simulator in the labeller's.

    Raises:
        ProbeError: no labeller.
    """
    labeller = dataset.world.labeller
    if labeller is None:
        mend = 'give the world a Labeller, or load one that has it, such as "vault"'
        raise ProbeError("this world has no labeller who could be simulated", node=dataset.name, mend=mend)
    return {DIRECT: _cost(dataset.net), HUMAN: _cost(labeller.net)}


def _cost(net: WorldNet) -> Cost:
    plan = Inference(net).plan
    tree: nx.Graph[int] = nx.Graph()
    tree.add_nodes_from(range(len(plan.parents)))
    tree.add_edges_from((clique, parent) for clique, parent in enumerate(plan.parents) if parent >= 0)
    longest = max(nx.diameter(tree.subgraph(part)) for part in nx.connected_components(tree))
    return Cost(int(plan.multiply_adds), int(longest))
