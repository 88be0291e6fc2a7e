"""Edits of one table of a world-model: which tables there are to edit, how deep they lie, and what an edit is.

An edit mixes every row of a node's table with a row drawn from Dirichlet(1):

    W'(v | parents) = (1 − s)·W(v | parents) + s·R(v | parents)

so that it is still a world of the same states and arrows, in which nothing possible has become impossible.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import networkx as nx
import numpy as np

from probes.sources import stream
from worldnets.net import WorldNet

Scale = Literal["probability", "log-odds"]


@dataclass(frozen=True)
class Sampling:
    """How transmission is measured.

    Attributes:
        clips: evidence rows, drawn from W*, the same for every edit, checkpoint, seed and head.
        groups: groups of clips, whose spread is the error that clips leave.
        edits: per depth; nodes take turns, each edit with a Dirichlet draw of its own.
        depths: at most so many, the nearest to the target.
        strength: s, how much of a table is replaced.
        least_effect: root mean square change of the exact posterior's probabilities below which an edit is passed over.
        scale: what changes are measured in: "probability", or "log-odds" (log-probabilities less their mean over
            outcomes, none below 1e-6).
        seed: stream of clips and edits.
    """

    clips: int = 1024
    groups: int = 16
    edits: int = 16
    depths: int = 6
    strength: float = 0.5
    least_effect: float = 0.01
    scale: str = "probability"
    seed: int = 0


class Edit(NamedTuple):
    """A table changed.

    Attributes:
        node: whose.
        draw: number of the Dirichlet draw.
        net: the world-model with that table in place of its own.
    """

    node: str
    draw: int
    net: WorldNet


def moral_distances(net: WorldNet, variables: Iterable[str]) -> dict[str, int]:
    """Distance of every node from a set of nodes in the moral graph; nodes that no path reaches are left out."""
    graph = nx.Graph()
    graph.add_nodes_from(net.variables)
    for v in net.variables:
        family = [v, *net.parents(v)]
        graph.add_edges_from((a, b) for i, a in enumerate(family) for b in family[i + 1 :])
    return dict(nx.multi_source_dijkstra_path_length(graph, set(variables)))


def certain(net: WorldNet) -> tuple[str, ...]:
    """Nodes without chance, whose state the tables alone settle: they are as good as seen, and block like evidence."""
    state: dict[str, int] = {}
    for v in net.order:
        if all(p in state for p in net.parents(v)):
            row = net.cpt(v)[tuple(state[p] for p in net.parents(v))]
            if row.max() == 1.0:
                state[v] = int(row.argmax())
    return tuple(state)


def editable(
    net: WorldNet, target: Sequence[str], evidence: Sequence[str], given: Sequence[str] | None = None
) -> dict[int, tuple[str, ...]]:
    """Nodes whose tables the posterior of a target depends on, by depth: moral-graph distance from the target.

    A table is a parent that its node alone has; that the posterior depends on it is d-connection of this parent and
    the target given the evidence.

    Args:
        net: the world-model.
        target: the target's variables.
        evidence: what is seen.
        given: what beliefs are about, for heads that are given nothing else: only tables that matter to the target
            through these beliefs are taken, that is, d-separated from it once these nodes are known too. The target's
            own table, say, is no part of any belief about its parents: no such head could follow it.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(net.variables)
    graph.add_edges_from((p, v) for v in net.variables for p in net.parents(v))
    table = object()
    known = certain(net)
    seen, asked = set(evidence) | set(known) - set(target), set(target)
    found: dict[int, list[str]] = {}
    for v, depth in sorted(moral_distances(net, target).items(), key=lambda item: net.index[item[0]]):
        if len(net.states[v]) < 2 or v in known:
            continue  # a node without chance is not made to have some
        graph.add_edge(table, v)
        matters = not nx.is_d_separator(graph, {table}, asked, seen)
        if matters and given is not None:
            matters = nx.is_d_separator(graph, {table}, asked, seen | (set(given) - asked))
        graph.remove_node(table)
        if matters:
            found.setdefault(depth, []).append(v)
    return {depth: tuple(found[depth]) for depth in sorted(found)}


def edited(net: WorldNet, node: str, draw: int, sampling: Sampling) -> Edit:
    """The world-model with one table mixed with a random one; the same for the same node, draw and seed."""
    random = np.random.default_rng(stream(sampling.seed, 31, net.index[node], draw))
    table = net.cpt(node)
    other = random.dirichlet(np.ones(table.shape[-1]), size=table.shape[:-1])
    mixed = (1 - sampling.strength) * table + sampling.strength * other.reshape(table.shape)
    mixed = mixed / mixed.sum(-1, keepdims=True)
    return Edit(node, draw, WorldNet(net.states, net.parent_sets, {**net.cpts, node: mixed}, net.name))


def candidates(nodes: Sequence[str], net: WorldNet, sampling: Sampling, most: int) -> Iterable[Edit]:
    """Edits of these nodes in turn, in an order of the sampling's own, `most` of them; made when asked for."""
    order = np.random.default_rng(stream(sampling.seed, 32)).permutation(len(nodes))
    for draw in range(most):
        yield edited(net, nodes[int(order[draw % len(nodes)])], draw, sampling)
