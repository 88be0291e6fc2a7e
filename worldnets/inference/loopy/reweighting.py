"""How often each factor appears in a random acyclic part of the factor graph: the weights of tree-reweighting.

With ρ_f = P(f is in the part), the reweighted free energy is a mean over parts of free energies that are exact for
their part, so that its minimum is at most −ln Z: the estimate of ln Z is an upper bound. That holds for factors of any
arity when "acyclic" is said of the factor graph; for pairwise factors it is the bound over spanning trees.

Sources: Wainwright, Jaakkola & Willsky 2005, "A new class of upper bounds on the log partition function";
Kirchhoff 1847 for the uniform spanning tree (an edge's probability is its effective resistance).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import QueryError

TREES, FORESTS = "uniform-spanning-trees", "random-forests"
FORESTS_DRAWN = 64
TOLERANCE = 1e-9


def appearance(scopes: Sequence[tuple[int, ...]], variables: int, reweighting: Any) -> NDArray[np.float64]:
    """ρ of every factor, shape [factors]; 1 for factors over at most one variable.

    Args:
        scopes: positions of each factor's variables.
        variables: how many variables there are.
        reweighting: "uniform-spanning-trees" (pairwise factors only), "random-forests" (any arity: 64 or more greedy
            acyclic parts in random order, until each factor was in one; always the same ones), or an array [factors].

    Raises:
        QueryError: a factor over three or more variables with spanning trees; an array of another shape, with values
            outside (0, 1], or with more weight on a connected part than any acyclic choice has:
            Σ_f (|f| − 1) ρ_f ≤ variables − 1. (Necessary, not sufficient: the bound on ln Z is the caller's word.)
    """
    if isinstance(reweighting, str):
        if reweighting == TREES:
            return _spanning_trees(scopes, variables)
        if reweighting == FORESTS:
            return _forests(scopes, variables)
        expected = f"{TREES!r}, {FORESTS!r} or an array [factors]"
        raise QueryError("unknown reweighting", found=repr(reweighting), expected=expected, mend="use one of these")
    rho = np.asarray(reweighting, dtype=np.float64)
    mend = "give the probability of each factor in a random acyclic part of the factor graph"
    if rho.shape != (len(scopes),):
        raise QueryError("the weights have the wrong shape", found=rho.shape, expected=(len(scopes),), mend=mend)
    wrong = np.flatnonzero(~((rho > 0) & (rho <= 1)))
    if len(wrong):
        raise QueryError("a weight outside (0, 1]", row=int(wrong[0]), found=float(rho[wrong[0]]), mend=mend)
    for members, factors in _components(scopes, variables):
        weight = sum((len(scopes[f]) - 1) * rho[f] for f in factors)
        if weight > len(members) - 1 + TOLERANCE:
            found = f"Σ (|f| − 1) ρ_f = {weight:.6g} over {len(members)} connected variables"
            raise QueryError("more weight than acyclic parts have", found=found, expected=len(members) - 1, mend=mend)
    return rho


def _spanning_trees(scopes: Sequence[tuple[int, ...]], variables: int) -> NDArray[np.float64]:
    large = next((scope for scope in scopes if len(scope) > 2), None)
    if large is not None:
        raise QueryError(
            "spanning trees are defined for factors over two variables",
            found=f"a factor over {len(large)}",
            mend=f"use reweighting={FORESTS!r}",
        )
    rho = np.ones(len(scopes))
    for members, factors in _components(scopes, variables):
        at = {v: i for i, v in enumerate(members)}
        pairs = [(f, at[scopes[f][0]], at[scopes[f][1]]) for f in factors if len(scopes[f]) == 2]
        laplacian = np.zeros((len(members), len(members)))
        for _, i, j in pairs:
            laplacian[[i, j], [i, j]] += 1.0
            laplacian[[i, j], [j, i]] -= 1.0
        # Adding a constant matrix fills the null space: L⁺ + a constant, which resistances do not see.
        inverse = np.linalg.inv(laplacian + 1.0 / len(members)) if pairs else laplacian
        for f, i, j in pairs:
            rho[f] = min(1.0, inverse[i, i] + inverse[j, j] - 2.0 * inverse[i, j])
    return rho


def _forests(scopes: Sequence[tuple[int, ...]], variables: int) -> NDArray[np.float64]:
    random = np.random.default_rng(0)
    large = [f for f, scope in enumerate(scopes) if len(scope) > 1]
    count, drawn = np.zeros(len(scopes)), 0
    while drawn < FORESTS_DRAWN or (count[large] == 0).any():
        parent = list(range(variables))
        # Those seen least come first, so that each appears soon; ties at random.
        for f in sorted(large, key=lambda f: (count[f] if drawn % 2 else 0, random.random())):
            roots = {_root(parent, v) for v in scopes[f]}
            if len(roots) == len(scopes[f]):
                first = roots.pop()
                for other in roots:
                    parent[other] = first
                count[f] += 1
        drawn += 1
    rho = count / drawn
    rho[[f for f, scope in enumerate(scopes) if len(scope) < 2]] = 1.0
    return rho


def _components(scopes: Sequence[tuple[int, ...]], variables: int) -> list[tuple[list[int], list[int]]]:
    """(variables, factors) of every connected part."""
    parent = list(range(variables))
    for scope in scopes:
        for v in scope[1:]:
            parent[_root(parent, v)] = _root(parent, scope[0])
    parts: dict[int, tuple[list[int], list[int]]] = {}
    for v in range(variables):
        parts.setdefault(_root(parent, v), ([], []))[0].append(v)
    for f, scope in enumerate(scopes):
        if scope:
            parts[_root(parent, scope[0])][1].append(f)
    return list(parts.values())


def _root(parent: list[int], v: int) -> int:
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v
