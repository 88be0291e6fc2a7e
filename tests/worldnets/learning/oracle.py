"""What the tests of learning compare with: enumeration, and planted worlds."""

from __future__ import annotations

import numpy as np

from tests.strategies import joint
from tests.worldnets.inference.test_exact import conditioned
from worldnets.inference import simulate
from worldnets.learning import Rows
from worldnets.net import WorldNet


def brute_bits(net, codes):
    """−log2 W(row) by summing the joint distribution over what a row does not show."""
    table = joint(net)
    with np.errstate(divide="ignore"):
        return -np.log2([conditioned(table, row).sum() for row in codes])


def brute_step(net, codes, weights, prior=0.0):
    """One step of EM by enumeration: the tables of the expected counts, uniform where nothing was counted."""
    table, total = joint(net), 0.0
    for row, weight in zip(codes, weights, strict=True):
        own = conditioned(table, row)
        total = total + weight * own / own.sum()
    found = {}
    for v in net.variables:
        family = [net.index[u] for u in (*net.parents(v), v)]
        others = tuple(i for i in range(table.ndim) if i not in family)
        counts = np.transpose(np.sum(total, axis=others), np.argsort(np.argsort(family))) + prior
        sums = counts.sum(axis=-1, keepdims=True)
        found[v] = np.where(sums > 0, counts / np.where(sums > 0, sums, 1), 1 / counts.shape[-1])
    return found


def latent_class(seed, classes=3, variables=6, states=3):
    """A planted latent class model: independent observables given a class that no one sees."""
    random = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(variables)]
    labels = {"class": tuple(range(classes)), **dict.fromkeys(names, tuple("abcdefgh"[:states]))}
    tables = {"class": random.dirichlet(np.full(classes, 5.0))}
    tables |= {v: random.dirichlet(np.ones(states), classes) for v in names}
    return WorldNet(labels, dict.fromkeys(names, ("class",)), tables, "latent class")


def observed(net, rows, seed, hidden=("class",)):
    """Rows of a net without the columns of its latents."""
    keep = [i for i, v in enumerate(net.variables) if v not in hidden]
    return Rows({net.variables[i]: net.states[net.variables[i]] for i in keep}, simulate(net, rows, seed)[:, keep])
