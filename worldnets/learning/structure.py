"""Structures learned from complete rows: the best tree (Chow–Liu), and hill climbing with BIC through pgmpy."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import CapacityError, LearningError, did_you_mean
from worldnets.inference.blas import one_blas_thread
from worldnets.learning.counts import Counting, count
from worldnets.learning.data import Data, Rows, States
from worldnets.learning.learned import Learned, Run, take_back
from worldnets.learning.score import Score
from worldnets.learning.tables import Families, Prior, Structure, log_likelihood, parent_sets
from worldnets.net import Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIR_CELLS = 2**27
GRAM_ROWS = 1024  # one-hot rows at a time
LEAST_GAIN = 1e-4  # nats of BIC that a step must gain
NO_INFORMATION = 1e-12  # bits: what rounding leaves of zero


def chow_liu(
    data: Data,
    *,
    root: str | None = None,
    pseudocount: float | None = None,
    equivalent_sample_size: float | None = None,
    states: States | None = None,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    seed: int = 0,
    name: str = "",
) -> Learned:
    """The tree under which complete rows are most probable: a maximum spanning tree of their mutual information.

    Variables that carry no information about each other (less than 1e-12 bits) are not joined, so the tree may be a
    forest. Arrows lead away from `root`; which variable that is changes no probability (before smoothing).

    Args:
        data, states, weights, held_out, seed, name: as of `maximum_likelihood`.
        root: of its tree; default the first variable. Other trees of a forest have their first variable as root.
        pseudocount, equivalent_sample_size: the prior of the tables, as of `dirichlet`; without either, an equivalent
            sample size of 1 (0: maximum likelihood). The tree is chosen by the counts alone.

    Returns:
        Learned, whose `update` adds to the counts of all pairs: the tree and tables of one fit on all rows.
    Raises:
        LearningError: fewer than two rows, a missing entry, an unknown root; as `Rows`.
        EvidenceError: a label that is none of the given states.
        CapacityError: counts of pairs that would not fit.

    Source: Chow & Liu 1968, "Approximating discrete probability distributions with dependence trees".
    """
    rows, test = take_back(data, held_out, seed, states, weights)
    rows.require(complete=True)
    if root is not None and root not in rows.states:
        raise LearningError("no such root", found=repr(root), mend=did_you_mean(root, rows.variables))
    prior = Prior.given(pseudocount, equivalent_sample_size)
    learner = ChowLiu(prior, rows.variables[0] if root is None else root)
    return learner.learned(rows.states, pair_counts(rows), rows.total, name).measured_on(test)


def mutual_information(data: Data, states: States | None = None, weights: ArrayLike | None = None) -> pd.DataFrame:
    """Mutual information of all pairs of columns of complete rows, bits; entropies on the diagonal.

    I(a; b) = Σ p(a, b) log2 p(a, b) / (p(a) p(b)) of the rows' own frequencies.

    Raises:
        As `chow_liu`.
    """
    import pandas as pd

    rows, _ = take_back(data, None, 0, states, weights)
    rows.require(complete=True)
    table = information(pair_counts(rows), rows.states)
    return pd.DataFrame(table, index=list(rows.variables), columns=list(rows.variables))


def pair_counts(rows: Rows) -> NDArray[np.float64]:
    """How often each two states stand together, [states of all variables, states of all variables].

    A product of one-hot rows: whole weights give whole counts, exact up to 2^53.

    Raises:
        CapacityError: more than `MOST_PAIR_CELLS` of them.
    """
    start = np.cumsum([0, *rows.cardinalities])
    size = int(start[-1])
    if size**2 > MOST_PAIR_CELLS:
        mend = "learn from fewer variables, or merge states"
        raise CapacityError(
            "counts of pairs that would not fit",
            found=f"{size**2:.3g}",
            expected=f"at most {MOST_PAIR_CELLS}",
            mend=mend,
        )
    counts = np.zeros((size, size))
    with one_blas_thread():  # of several, on a machine that is busy, each waits for the others
        for first in range(0, len(rows), GRAM_ROWS):
            codes, weights = rows.codes[first : first + GRAM_ROWS], rows.weights[first : first + GRAM_ROWS]
            one_hot = np.zeros((len(codes), size))
            one_hot[np.arange(len(codes))[:, None], codes + start[:-1]] = 1.0
            counts += one_hot.T @ (one_hot * weights[:, None])
    return counts


def information(counts: NDArray[np.float64], states: Mapping[str, tuple[Label, ...]]) -> NDArray[np.float64]:
    """The matrix of `mutual_information` from `pair_counts`; symmetric to the last bit, never negative."""
    start = np.cumsum([0, *(len(labels) for labels in states.values())])
    marginal = np.diag(counts)
    total = marginal[: start[1]].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(counts > 0, counts * np.log2(counts * total / np.multiply.outer(marginal, marginal)), 0.0)
    sums = np.add.reduceat(np.add.reduceat(terms, start[:-1], axis=0), start[:-1], axis=1) / total
    upper = np.triu(np.maximum(sums, 0.0))
    return upper + np.triu(upper, 1).T


@dataclass(frozen=True)
class ChowLiu:
    """Goes on learning a tree: `Learned.statistics["pairs"]` holds the counts of pairs."""

    prior: Prior
    root: str

    def learned(
        self, states: Mapping[str, tuple[Label, ...]], pairs: NDArray[np.float64], rows: float, name: str
    ) -> Learned:
        """The tree of these counts."""
        parents = self._arrows(states, pairs)
        families = Families.of(states, {v: (p,) if p is not None else () for v, p in parents.items()})
        names = list(states)
        start = dict(zip(names, np.cumsum([0, *(len(labels) for labels in states.values())])[:-1], strict=True))
        at = {v: slice(start[v], start[v] + len(states[v])) for v in names}
        tables = {v: np.diag(pairs)[at[v]] if p is None else pairs[at[p], at[v]] for v, p in parents.items()}
        counts = families.entries(tables)
        entries = families.normalised(counts + families.prior(self.prior))
        net = WorldNet(states, {s[-1]: s[:-1] for s in families.scopes}, families.tables(entries), name)
        bits = -log_likelihood(counts, entries) / rows / math.log(2)
        return Learned(net, f"Chow–Liu tree ({self.prior})", rows, bits, self, {"pairs": pairs})

    def _arrows(self, states: Mapping[str, tuple[Label, ...]], pairs: NDArray[np.float64]) -> dict[str, str | None]:
        import networkx as nx

        names, bits = list(states), information(pairs, states)
        graph = nx.Graph()
        graph.add_nodes_from(names)
        graph.add_weighted_edges_from(
            (names[i], names[j], bits[i, j])
            for i in range(len(names))
            for j in range(i + 1, len(names))
            if bits[i, j] > NO_INFORMATION
        )
        tree = nx.maximum_spanning_tree(graph)
        parents: dict[str, str | None] = {}
        for root in (self.root, *names):
            if root not in parents:
                parents[root] = None
                parents.update({child: parent for parent, child in nx.bfs_edges(tree, root)})
        return {v: parents[v] for v in names}

    def update(self, learned: Learned, more: Rows) -> Learned:
        """The same tree and tables as one fit on all rows."""
        rows = more.in_states(learned.net.states).require(complete=True, rows=1)
        pairs = learned.statistics["pairs"] + pair_counts(rows)
        return self.learned(learned.net.states, pairs, learned.rows + rows.total, learned.net.name)


def hill_climb(
    data: Data,
    *,
    max_parents: int = 4,
    restarts: int = 1,
    seed: int = 0,
    seconds: float = math.inf,
    start: Structure | None = None,
    pseudocount: float | None = None,
    equivalent_sample_size: float | None = None,
    states: States | None = None,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    name: str = "",
) -> Learned:
    """A structure that no single added, removed or turned arrow improves, by BIC; then its smoothed tables.

    BIC = Σ_v [Σ n(x_v, parents) ln n(x_v, parents)/n(parents) − (ln N)/2 · (states_v − 1) · Π states of parents], N
    the rows' weight. The search is pgmpy's (`pgmpy.causal_discovery.HillClimbSearch`, without a tabu list, which a
    climb that must gain in each step has no use for); scores are counted here, once per set of parents.

    Moves that BIC cannot tell apart, as the two directions of a lone arrow, are told apart by `seed`, by less than
    1e-5 nats a move: the result is a function of rows, options and seed.

    Args:
        data, states, weights, held_out, name: as of `maximum_likelihood`.
        max_parents: most parents of a variable.
        restarts: how many climbs; the first from `start`, or from no arrows, the others from random structures. The
            one with the best BIC is returned.
        seed: of the random structures, of the order between equals, and of the draw of a share to hold out.
        seconds: after which no step is begun; the structure reached by then is returned, `converged` False. (The
            result then depends on the machine.)
        start: the structure the first climb begins from.
        pseudocount, equivalent_sample_size: the prior of the tables, as of `chow_liu`; the search does not use it.

    Returns:
        Learned; `history` has a `Run` for each climb, in bits per row: −BIC / (N ln 2). Its `update` keeps the
        different rows there were, adds the new ones, and climbs on from the structure it has.
    Raises:
        LearningError: fewer than two rows, a missing entry, options out of range, a start with too many parents; as
            `Rows`.
        NetError: a start with a cycle.
        EvidenceError: a label that is none of the given states.
        CapacityError: tables that would not fit.

    Source: Koller & Friedman 2009, section 18.4.3; Schwarz 1978 (BIC).
    """
    rows, test = take_back(data, held_out, seed, states, weights)
    rows.require(complete=True)
    prior = Prior.given(pseudocount, equivalent_sample_size)
    learner = HillClimbing(prior, max_parents, restarts, seed, seconds)
    begin = dict.fromkeys(rows.variables, ()) if start is None else parent_sets(start, rows.variables)
    return learner.learned(rows, begin, name).measured_on(test)


@dataclass(frozen=True)
class HillClimbing:
    """Goes on climbing: `Learned.statistics["rows"]` holds the different rows with their weights."""

    prior: Prior
    max_parents: int
    restarts: int
    seed: int
    seconds: float

    def __post_init__(self) -> None:
        for what, least in (("max_parents", 0), ("restarts", 1), ("seed", 0)):
            number = getattr(self, what)
            if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
                mend = f"e.g. {what}={max(least, 1)}"
                raise LearningError(f"{what} must be a whole number ≥ {least}", found=number, mend=mend)
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float) or not self.seconds > 0:
            raise LearningError("seconds must be a number > 0", found=self.seconds, mend="e.g. seconds=60")

    def learned(self, rows: Rows, begin: Mapping[str, tuple[str, ...]], name: str) -> Learned:
        """The best of the climbs, the first of which begins there."""
        for v, parents in begin.items():
            if len(parents) > self.max_parents:
                mend = "allow more parents, or start from a sparser structure"
                expected = f"at most {self.max_parents}"
                raise LearningError(
                    "a start with too many parents", node=v, found=parents, expected=expected, mend=mend
                )
        deadline = time.monotonic() + self.seconds
        kept, _ = rows.distinct()
        score = Score(kept, self.seed)
        found = []
        for restart in range(self.restarts):
            here = begin if restart == 0 else self._random(rows.variables, restart)
            found.append(self._climb(score, here, deadline, restart))
        best = min(range(len(found)), key=lambda i: found[i][1].bits[-1])
        families = Families.of(rows.states, found[best][0])
        result = Counting(self.prior).learned(rows, families, count(families, kept), rows.total, name)
        return replace(
            result,
            method=f"hill climbing with BIC ({self.prior})",
            learner=self,
            statistics={"rows": kept},
            history=tuple(run for _, run in found),
            kept=best,
        )

    def _climb(
        self, score: Score, begin: Mapping[str, tuple[str, ...]], deadline: float, restart: int
    ) -> tuple[dict[str, tuple[str, ...]], Run]:
        from pgmpy.base import DAG
        from pgmpy.causal_discovery import HillClimbSearch

        graph = DAG()
        graph.add_nodes_from(begin)
        graph.add_edges_from((p, v) for v, parents in begin.items() for p in parents)
        bits, converged = [score.bits(begin)], False
        here = {v: tuple(parents) for v, parents in begin.items()}
        while not converged and time.monotonic() < deadline:
            search = HillClimbSearch(
                scoring_method=score.for_pgmpy(),
                start_dag=graph,
                max_indegree=self.max_parents,
                tabu_length=0,
                return_type="dag",
                epsilon=LEAST_GAIN,
                max_iter=1,  # a step at a time: so it can be stopped, and its path is known
                show_progress=False,
            )
            graph = search.fit(score.frame).causal_graph_
            there = {v: tuple(sorted(graph.predecessors(v), key=score.columns.__getitem__)) for v in begin}
            converged = all(set(there[v]) == set(here[v]) for v in there)
            if not converged:
                here = there
                bits.append(score.bits(here))
        if restart:
            shown = f"seed {self.seed}, restart {restart}"
        else:
            shown = "the structure given" if any(begin.values()) else "no arrows"
        return here, Run(shown, np.array(bits), converged)

    def _random(self, variables: tuple[str, ...], restart: int) -> dict[str, tuple[str, ...]]:
        """A random order, and for each variable up to two parents among those before it."""
        random = np.random.default_rng([self.seed, restart])
        order = [variables[i] for i in random.permutation(len(variables))]
        parents: dict[str, tuple[str, ...]] = {}
        for i, v in enumerate(order):
            size = min(i, self.max_parents, int(random.integers(3)))
            parents[v] = tuple(order[j] for j in random.choice(i, size, replace=False)) if size else ()
        return {v: parents[v] for v in variables}

    def update(self, learned: Learned, more: Rows) -> Learned:
        """One climb from the present structure, on all rows so far."""
        rows = learned.statistics["rows"].joined(more.require(complete=True, rows=1))
        after = replace(self, restarts=1).learned(rows, learned.net.parent_sets, learned.net.name)
        return replace(after, learner=self, history=(*learned.history, *after.history), kept=len(learned.history))
