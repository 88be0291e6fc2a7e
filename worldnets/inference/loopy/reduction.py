"""What is left of a net once it is known which nodes can be seen and which are asked for: a smaller factor graph.

Left out are nodes that tell nothing about the questions, and nodes without chance; a leaf that can only be seen is no
node of its own but a term of its factor, which depends on the row. Every cell of every factor says which entries of
the net's tables it multiplies, so that the tables may still change: nothing here depends on their numbers, but which
nodes are certain.

    1. barren nodes go: neither seen, nor asked for, nor above such a node (Shachter 1986);
    2. certain nodes go: their parents are, and their table leaves them one state. Their children keep a slice;
    3. a seen leaf e with parents u becomes the observed term p(e = what is seen | u), 1 where nothing is seen;
    4. leaves asked for together whose parents are nested become one compound node, other nodes what `clusters` says;
    5. a factor whose scope lies within another's is multiplied into it, but for observed terms over one node: those
       stay factors, so that on a tree evidence travels one moral-graph edge a round, as in the net's own graph;
    6. what is not connected with a question goes.

On a tree, beliefs after r rounds from the no-evidence fixed point are those of `LoopyInference` on the net itself.
Where there are loops, steps 4 and 5 close some of them, and beliefs differ.

Source: Shachter 1986, "Evaluating influence diagrams", for barren nodes; the rest is Kschischang, Frey & Loeliger 2001,
"Factor graphs and the sum-product algorithm", section VI (clustering, and eliminating what is observed).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import CapacityError, QueryError
from worldnets.inference.loopy.graph import FactorGraph, factor_graph
from worldnets.net import Factor, FactorNet, WorldNet

Entries = NDArray[np.int64]
MOST_STATES = 4_096  # of a compound node
MOST_CELLS = 1 << 20  # of a factor


class Term(NamedTuple):
    """One of the net's tables inside a factor.

    Attributes:
        variable: whose table.
        entries: which entry of it, in C order over [*parents, variable], every cell of the factor multiplies: [cells];
            of an observed term [states, cells], for each state that may be seen.
    """

    variable: str
    entries: Entries


@dataclass(frozen=True, eq=False, repr=False)
class Reduction:
    """A net's factor graph for some evidence and some questions.

    Attributes:
        net: what was reduced.
        certain: the nodes without chance, and their states.
        clusters: the (compound) nodes: members in order. A compound state numbers their joint states in C order.
        scopes: for each factor, positions of its clusters, rising. Cells are in C order over them.
        terms: for each factor, the tables that are multiplied whatever is seen.
        observed: for each factor, the terms of what is seen.
        seen: evidence nodes that are members of clusters: their evidence is local.
        factors: the clusters and scopes as a net whose tables are all ones.
        graph: its wiring.
    """

    net: WorldNet
    certain: Mapping[str, int]
    clusters: tuple[tuple[str, ...], ...]
    scopes: tuple[tuple[int, ...], ...]
    terms: tuple[tuple[Term, ...], ...]
    observed: tuple[tuple[Term, ...], ...]
    seen: tuple[str, ...]
    factors: FactorNet
    graph: FactorGraph

    def members(self, factor: int) -> tuple[str, ...]:
        """The net's nodes in a factor's scope: its cells are in C order over their states."""
        return tuple(v for c in self.scopes[factor] for v in self.clusters[c])

    @property
    def is_forest(self) -> bool:
        """Whether the factor graph has no loops, so that enough rounds are exact."""
        links = sum(map(len, self.scopes))
        return links == len(self.clusters) + len(self.scopes) - len(_components(len(self.clusters), self.scopes))

    def __repr__(self) -> str:
        cells = int(self.graph.factor_cells[-1])
        kind = "forest" if self.is_forest else "loops"
        return f"Reduction({len(self.clusters)} nodes, {len(self.scopes)} factors of {cells} cells, {kind})"


def reduced(
    net: WorldNet,
    evidence: Sequence[str],
    questions: Sequence[Sequence[str]],
    clusters: Sequence[Sequence[str]] = (),
) -> Reduction:
    """Reduce a net.

    Args:
        net: a Bayes net.
        evidence: nodes that may be observed, in any row or in none.
        questions: sets of nodes whose joint beliefs are wanted; none of them evidence.
        clusters: nodes to be taken together; those that are not left are passed over, those in none are single.

    Raises:
        EvidenceError: an unknown node.
        QueryError: no question, evidence that is asked for, a node in two clusters.
        CapacityError: a cluster with more than `MOST_STATES` states, a factor with more than `MOST_CELLS` cells.
    """
    asked = tuple(dict.fromkeys(v for question in questions for v in question))
    for names in (evidence, asked, *clusters):
        net.check_variables(names)
    if not asked or set(asked) & set(evidence):
        both = sorted(set(asked) & set(evidence))
        mend = "ask for at least one node, none of them evidence"
        raise QueryError("nothing to infer", found=f"asked for and seen: {both}" if both else "no question", mend=mend)
    kept = net.ancestors((*evidence, *asked))
    certain = _certain(net, kept, set(asked))
    left = [v for v in net.order if v in kept and v not in certain]
    above = {p for v in left for p in net.parents(v)}
    leaves = [v for v in evidence if v in kept and v not in certain and v not in above]
    inner = [v for v in left if v not in set(leaves)]
    grouped = _clusters(net, inner, above, certain, questions, clusters)
    place = {v: i for i, members in enumerate(grouped) for v in members}

    scopes: dict[str, tuple[int, ...]] = {}
    for v in left:
        own = () if v in leaves else (v,)
        scopes[v] = tuple(sorted({place[u] for u in (*net.parents(v), *own) if u not in certain}))
    hosts = _hosts(net, grouped, scopes, set(leaves))
    wanted = {place[v] for v in asked}
    alive = set().union(*(part for part in _components(len(grouped), hosts) if part & wanted))
    hosts = [scope for scope in hosts if set(scope) <= alive]

    number = {old: new for new, old in enumerate(sorted(alive))}
    nodes = tuple(grouped[c] for c in sorted(alive))
    factors = [tuple(number[c] for c in scope) for scope in hosts]
    terms: list[list[Term]] = [[] for _ in factors]
    observed: list[list[Term]] = [[] for _ in factors]
    for v in left:
        scope = tuple(number[c] for c in scopes[v] if c in number)
        if len(scope) < len(scopes[v]) or not scope:
            continue  # of another component, or seen without parents
        f = _host_of(scope, factors, nodes, net, exact=v in leaves and len(scope) == 1)
        members = [u for c in factors[f] for u in nodes[c]]
        (observed if v in leaves else terms)[f].append(Term(v, _entries(net, v, certain, members, v in leaves)))
    inside = {v for members in nodes for v in members}
    sizes = [math.prod(len(net.states[v]) for v in members) for members in nodes]
    names = ["+".join(members) for members in nodes]
    states = {name: tuple(range(size)) for name, size in zip(names, sizes, strict=True)}
    tables = [
        Factor(tuple(names[c] for c in scope), np.ones([sizes[c] for c in scope], dtype=np.float64))
        for scope in factors
    ]
    factor_net = FactorNet(states, tuple(tables), net.name)
    return Reduction(
        net,
        certain,
        nodes,
        tuple(factors),
        tuple(map(tuple, terms)),
        tuple(map(tuple, observed)),
        tuple(v for v in evidence if v in inside),
        factor_net,
        factor_graph(factor_net, {f for f, some in enumerate(observed) if some}),
    )


def _certain(net: WorldNet, kept: set[str], asked: set[str]) -> dict[str, int]:
    """Nodes that have one possible state, whatever is seen, found from the roots down."""
    found: dict[str, int] = {}
    for v in net.order:
        if v not in kept or v in asked:
            continue
        slices = tuple(found.get(p, slice(None)) for p in net.parents(v))
        possible = (net.cpt(v)[slices] > 0).reshape(-1, len(net.states[v])).any(axis=0)
        if possible.sum() == 1:
            found[v] = int(possible.argmax())
    return found


def _clusters(
    net: WorldNet,
    inner: Sequence[str],
    above: set[str],
    certain: Mapping[str, int],
    questions: Sequence[Sequence[str]],
    given: Sequence[Sequence[str]],
) -> list[tuple[str, ...]]:
    """The inner nodes, each in one cluster."""
    size = lambda members: math.prod(len(net.states[v]) for v in members)
    cluster: dict[str, tuple[str, ...]] = {}
    inside = set(inner)
    for names in given:
        members = tuple(v for v in inner if v in set(names))
        twice = [v for v in members if v in cluster]
        if twice:
            raise QueryError("a node in two clusters", node=twice[0], mend="name each node in one cluster")
        if size(members) > MOST_STATES:
            mend = "take fewer nodes together"
            expected = f"at most {MOST_STATES} joint states"
            raise CapacityError(
                "a cluster is too large", node=members[0], found=size(members), expected=expected, mend=mend
            )
        cluster |= dict.fromkeys(members, members)
    for question in questions:
        leaves = [v for v in question if v in inside and v not in above and v not in cluster]
        causes = {v: set(net.parents(v)) - certain.keys() for v in leaves}
        leaves.sort(key=lambda v: -len(causes[v]))
        while leaves:
            first, *others = leaves
            together = [first]
            for v in others:
                if causes[v] <= causes[first] and size([*together, v]) <= MOST_STATES:
                    together.append(v)
            members = tuple(v for v in question if v in together)
            cluster |= dict.fromkeys(members, members)
            leaves = [v for v in others if v not in together]
    return list(dict.fromkeys(cluster.get(v, (v,)) for v in inner))


def _hosts(
    net: WorldNet, clusters: Sequence[tuple[str, ...]], scopes: Mapping[str, tuple[int, ...]], leaves: set[str]
) -> list[tuple[int, ...]]:
    """Scopes of the factors: those of several clusters that lie in no other, and single ones that need their own."""
    several = list(dict.fromkeys(scope for scope in scopes.values() if len(scope) > 1))
    largest = [scope for scope in several if not any(set(scope) < set(other) for other in several)]
    covered = {c for scope in largest for c in scope}
    single = [scope for v, scope in scopes.items() if len(scope) == 1 and (v in leaves or scope[0] not in covered)]
    for scope in largest:
        cells = math.prod(len(net.states[v]) for c in scope for v in clusters[c])
        if cells > MOST_CELLS:
            members = ", ".join(v for c in scope for v in clusters[c])
            mend = "take fewer nodes together"
            raise CapacityError("a factor is too large", node=members, found=cells, expected=MOST_CELLS, mend=mend)
    return [*largest, *dict.fromkeys(single)]


def _host_of(
    scope: tuple[int, ...],
    factors: Sequence[tuple[int, ...]],
    clusters: Sequence[tuple[str, ...]],
    net: WorldNet,
    exact: bool,
) -> int:
    """The smallest factor around a scope; with `exact`, the one that has this scope and no other."""
    around = [f for f, other in enumerate(factors) if (scope == other if exact else set(scope) <= set(other))]
    cells = lambda f: math.prod(len(net.states[v]) for c in factors[f] for v in clusters[c])
    wide = [f for f in around if len(factors[f]) > 1]
    return min(wide or around, key=cells)


def _entries(net: WorldNet, v: str, certain: Mapping[str, int], members: Sequence[str], observed: bool) -> Entries:
    """Entries of the table of `v` for the joint states of `members`; of an observed leaf, for each of its states."""
    table = net.cpt(v)
    places = np.arange(table.size, dtype=np.int64).reshape(table.shape)
    axes = [u for u in (*net.parents(v), v) if u not in certain]
    places = places[tuple(certain.get(u, slice(None)) for u in (*net.parents(v), v))]
    if observed:
        places, axes = np.moveaxis(places, -1, 0), axes[:-1]
    extra = (len(net.states[v]),) if observed else ()
    order = sorted(range(len(axes)), key=lambda i: members.index(axes[i]))
    places = places.transpose([*range(len(extra)), *(len(extra) + i for i in order)])
    shape = [len(net.states[u]) for u in members]
    ones = [size if u in axes else 1 for u, size in zip(members, shape, strict=True)]
    return np.ascontiguousarray(np.broadcast_to(places.reshape(*extra, *ones), (*extra, *shape)).reshape(*extra, -1))


def _components(count: int, scopes: Iterable[tuple[int, ...]]) -> list[set[int]]:
    """Sets of clusters that factors connect."""
    component = [{c} for c in range(count)]
    for scope in scopes:
        joined = set().union(*(component[c] for c in scope))
        for c in joined:
            component[c] = joined
    return list({id(part): part for part in component}.values())
