"""What the loopy tests compare with: message passing by plain loops, and nets that share one compilation."""

from __future__ import annotations

import numpy as np

from tests.strategies import TABLES, random_table
from worldnets.inference import UNOBSERVED
from worldnets.net import Factor, FactorNet, WorldNet


def plain_rounds(net, codes, rounds, *, damping=0.0, rho=None, local=None, start="uniform"):
    """One row of sum-product by its textbook sums, nothing grouped, padded or reused.

    Returns beliefs by variable after each round (index 0: the start) and the Bethe free energy after each round.
    """
    rho = np.ones(len(net.factors)) if rho is None else rho
    free = {v: np.ones(len(net.states[v])) for v in net.variables}
    if start == "prior":
        found = {}
        messages = plain_start(net)
        for _ in range(200):
            messages = _round(net, messages, free, rho, 0.0)
    else:
        messages = plain_start(net)
    found = {v: values.copy() for v, values in free.items()}
    for v, code in zip(net.variables, codes, strict=True):
        if code != UNOBSERVED:
            found[v] = found[v] * (np.arange(len(found[v])) == code)
        if local is not None and v in local:
            found[v] = found[v] * local[v]
    beliefs, energies = [], []
    for r in range(rounds + 1):
        if r:
            messages = _round(net, messages, found, rho, damping)
        beliefs.append({v: _belief(net, messages, found, rho, v) for v in net.variables})
        energies.append(_energy(net, messages, found, rho))
    return beliefs, energies


def plain_start(net):
    return {
        (f, v): np.full(len(net.states[v]), 1 / len(net.states[v]))
        for f, (scope, _) in enumerate(net.factors)
        for v in scope
    }


def _to_factor(net, messages, local, rho, f, v):
    product = local[v].copy()
    for (g, u), message in messages.items():
        if u == v and g != f:
            product = product * message ** rho[g]
    own = messages[f, v]
    if rho[f] != 1:
        product = np.where(own > 0, product * np.where(own > 0, own, 1.0) ** (rho[f] - 1), 0.0)
    return product / product.sum()


def _joint(net, messages, local, rho, f):
    scope, table = net.factors[f]
    product = table ** (1 / rho[f])
    for axis, v in enumerate(scope):
        shape = [1] * table.ndim
        shape[axis] = -1
        product = product * _to_factor(net, messages, local, rho, f, v).reshape(shape)
    return product


def _round(net, messages, local, rho, damping):
    new = {}
    for f, v in messages:
        scope, table = net.factors[f]
        product = table ** (1 / rho[f])
        for axis, u in enumerate(scope):
            if u != v:
                shape = [1] * table.ndim
                shape[axis] = -1
                product = product * _to_factor(net, messages, local, rho, f, u).reshape(shape)
        message = product.sum(axis=tuple(i for i, u in enumerate(scope) if u != v))
        message = (message / message.sum()) ** (1 - damping) * messages[f, v] ** damping
        new[f, v] = message / message.sum()
    return new


def _belief(net, messages, local, rho, v):
    product = local[v].copy()
    for (f, u), message in messages.items():
        if u == v:
            product = product * message ** rho[f]
    return product / product.sum()


def _energy(net, messages, local, rho):
    """Σ_f [ρ_f Σ b ln b − Σ b ln f] + Σ_v [(1 − Σ ρ) Σ b ln b − Σ b ln φ], cell by cell."""
    log = lambda x: np.log(np.where(x > 0, x, 1.0))
    total = 0.0
    for f, (_, table) in enumerate(net.factors):
        b = _joint(net, messages, local, rho, f)
        b = b / b.sum()
        total += rho[f] * (b * log(b)).sum() - (b * log(table)).sum()
    for v in net.variables:
        b = _belief(net, messages, local, rho, v)
        counting = 1 - sum(rho[f] for f, (scope, _) in enumerate(net.factors) if v in scope)
        total += counting * (b * log(b)).sum() - (b * log(local[v])).sum()
    return total


def random_tree(random, variables, most_states=4, kinds=TABLES):
    """A random polytree: its factor graph has no loop. Up to three parents, tables of every kind."""
    parents = {}
    parts = []  # variables of each part that is not connected yet
    for i in range(variables):
        taken = [parts.pop(random.integers(len(parts))) for _ in range(min(len(parts), random.integers(0, 4)))]
        parents[i] = [int(random.choice(part)) for part in taken]
        parts.append(sorted({i, *(v for part in taken for v in part)}))
    sizes = random.integers(1, most_states + 1, variables)
    tables = {}
    for i in range(variables):
        shape = (*(sizes[p] for p in parents[i]), sizes[i])
        tables[i] = random_table(random, shape, str(random.choice(kinds)))
    return sizes, parents, tables


def side_by_side(pieces, prefix="n"):
    """Many nets as one: components do not touch, so one compilation serves them all. Returns it and names per piece."""
    states, parents, cpts, names = {}, {}, {}, []
    for k, (sizes, above, tables) in enumerate(pieces):
        name = {i: f"{prefix}{k}_{i}" for i in range(len(sizes))}
        names.append([name[i] for i in range(len(sizes))])
        for i, size in enumerate(sizes):
            states[name[i]] = tuple(f"s{c}" for c in range(size))
            parents[name[i]] = tuple(name[p] for p in above[i])
            cpts[name[i]] = tables[i]
    return WorldNet(states, parents, cpts, "side by side"), names


def piece(net, names):
    """One of the nets of `side_by_side` alone."""
    return WorldNet(
        {v: net.states[v] for v in names}, {v: net.parents(v) for v in names}, {v: net.cpt(v) for v in names}
    )


def moral_distances(net):
    """Distances in the moral graph, [variables, variables]."""
    import networkx as nx

    graph = nx.moral_graph(net.graph)
    far = np.full((len(net.variables),) * 2, 10**6)
    for v, lengths in nx.all_pairs_shortest_path_length(graph):
        for u, length in lengths.items():
            far[net.index[v], net.index[u]] = length
    return far


def random_loopy_net(random, variables=9, most_states=4):
    """A factor graph with loops, arities 0 to 4, mixed cardinalities and some zeros."""
    sizes = random.integers(1, most_states + 1, variables)
    factors = [Factor((), np.asarray(2.5)), Factor(("v0",), random.random(sizes[0]) + 0.1)]
    for arity in (2, 2, 2, 2, 2, 3, 3, 4, 2, 3):
        scope = random.choice(variables, arity, replace=False)
        table = random.random(tuple(sizes[scope])) ** 3 + 1e-3
        table *= random.random(table.shape) < 0.9
        table.flat[0] += 0.1
        factors.append(Factor(tuple(f"v{v}" for v in scope), table))
    return FactorNet({f"v{v}": tuple(range(s)) for v, s in enumerate(sizes)}, tuple(factors), "loopy")


def ising(side, coupling, field, seed=0, frustrated=False):
    """A square grid of spins; `frustrated` draws the signs of the couplings."""
    random = np.random.default_rng(seed)
    states = {f"s{i}_{j}": (-1, 1) for i in range(side) for j in range(side)}
    factors = [Factor((v,), np.exp(field * random.normal() * np.array([-1.0, 1.0]))) for v in states]
    for i in range(side):
        for j in range(side):
            for a, b in ((i + 1, j), (i, j + 1)):
                if max(a, b) < side:
                    strength = coupling * (random.choice([-1, 1]) if frustrated else 1)
                    table = np.exp(strength * np.array([[1.0, -1.0], [-1.0, 1.0]]))
                    factors.append(Factor((f"s{i}_{j}", f"s{a}_{b}"), table))
    return FactorNet(states, tuple(factors), "Ising")
