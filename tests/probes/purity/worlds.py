"""Small worlds for the tests of purity, and sums over their whole joint tables to hold every number against."""

import math

import numpy as np
from hypothesis import strategies as st

from tests.strategies import TABLES, random_table, world_nets
from worldnets.dataset import Dataset
from worldnets.net import WorldNet
from worldnets.roles import World, static_task


def static_dataset(net, observed):
    """A dataset of a static net: some nodes are seen, the others latent."""
    asked = next(v for v in net.variables if v not in observed)
    task = static_task(net, observed, {"answer": [asked]})
    return Dataset("test", {}, World(net, {"question": task}, {"observed": tuple(observed)}))


@st.composite
def worlds(draw):
    """A dataset with at least one observable and one latent, and another world-model on the same nodes."""
    net = draw(world_nets(max_variables=6, max_cardinality=3, max_joint=2000).filter(lambda n: len(n.variables) > 1))
    count = draw(st.integers(1, len(net.variables) - 1))
    observed = draw(st.permutations(net.variables))[:count]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(TABLES))
    tables = {v: random_table(random, net.cpt(v).shape, kind) for v in net.variables}
    return static_dataset(net, sorted(observed, key=net.variables.index)), WorldNet(net.states, net.parent_sets, tables)


def joint(net, order=None):
    """W over all nodes in `order`, by multiplying tables: [*states]."""
    order = tuple(net.variables if order is None else order)
    letters = {v: chr(97 + i) for i, v in enumerate(order)}
    terms = [("".join(letters[v] for v in scope), table) for scope, table in net.factors]
    return np.einsum(",".join(t for t, _ in terms) + "->" + "".join(letters.values()), *(table for _, table in terms))


def marginal(net, variables):
    """W(variables), [*states], axes in the order asked for."""
    table = joint(net)
    kept = [net.index[v] for v in variables]
    table = table.sum(tuple(i for i in range(table.ndim) if i not in kept))
    return np.transpose(table, np.argsort(np.argsort(kept))) if kept else table


def bits(p):
    """H of a table of probabilities."""
    p = np.asarray(p).ravel()
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


def divergence(p, q, floor=1e-12):
    """KL in bits, q no smaller than a part `floor` of p."""
    p, q = p.ravel(), q.ravel()
    seen = p > 0
    return float((p[seen] * np.log2(p[seen] / np.maximum(q[seen], floor * p[seen]))).sum())


def mutual(net, one, others):
    """I(one; others) in bits."""
    return bits(marginal(net, [one])) + bits(marginal(net, others)) - bits(marginal(net, [one, *others]))


def size(net, variables):
    return math.prod(len(net.states[v]) for v in variables)
