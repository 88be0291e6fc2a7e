"""Expectation–maximisation: tables of a given structure where variables, or single entries, are not observed.

Only what is not observed takes part in the iteration. Families whose variables every row shows are counted once; the
others make a factor graph of their own, in which the rows that agree on *its* variables are one row with their weight.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.distinct import distinct
from worldnets.errors import LearningError
from worldnets.inference import Inference
from worldnets.inference.arguments import check_threads
from worldnets.inference.codes import UNOBSERVED
from worldnets.inference.compiled import available_threads
from worldnets.inference.evidence import Observed, observe
from worldnets.inference.family_walk import family_totals
from worldnets.inference.workers import over_rows
from worldnets.learning.data import Data, Rows, States
from worldnets.learning.learned import Learned, Run, take_back
from worldnets.learning.tables import Entries, Families, Prior, Structure, log_likelihood, parent_sets
from worldnets.net import Factor, FactorNet, Label, WorldNet

Latents = Mapping[str, int | Sequence[Label]]

SMALL = 1e6  # rows × entries that one thread has counted before another is awake
CALM = 5  # steps in a row that must agree that little is left to be gained …
LEAST = 20  # … after as many: near the saddle where all hidden states are alike, hardly anything is gained
SLACK = 1e-9  # nats a row, and of the log likelihood: how far it may fall by rounding


def expectation_maximisation(
    data: Data,
    structure: Structure,
    latents: Latents | None = None,
    *,
    restarts: int = 10,
    seed: int = 0,
    start: WorldNet | None = None,
    iterations: int = 1000,
    tolerance: float = 1e-5,
    pseudocount: float = 0.0,
    equivalent_sample_size: float = 0.0,
    states: States | None = None,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    threads: int | None = None,
    name: str = "",
) -> Learned:
    """Tables that make the rows probable, −log2 Σ_hidden W(row, hidden), by expectation–maximisation.

    E step: n(x_v, parents) = Σ_rows w·W(x_v, parents | row), exact. M step: each table is its expected counts plus the
    prior's, normalised. The likelihood (with a prior: times the prior's density, Π W^α) never falls; that is checked
    in every step. Each restart begins elsewhere; the best by that likelihood of the training rows is returned.

    A restart stops when what is left to be gained, by Aitken's extrapolation δ·r/(1 − r) of the latest gain δ and its
    ratio r < 1 to the one before, has been at most `tolerance` in 5 steps in a row, and not before 20 steps: near the
    saddle where all latent states are alike, hardly anything is gained either.

    Where a restart begins: families with a latent variable at draws from the flat Dirichlet distribution; others at
    their counts in the rows that show the family whole, plus one, in later restarts times a draw from the exponential
    distribution. Draws depend on (seed, restart) only.

    Args:
        data: `Rows`, or a table of state labels with missing entries; without columns for latents.
        structure: the parents of each variable, latents included: a mapping, a networkx `DiGraph`, or a `WorldNet`.
            Then its states are taken as well, and its variables without a column are latent.
        latents: for each variable that no one observes its number of states (labelled 0, 1, …) or their labels.
        restarts: how many random starts there are.
        seed: of the starts, and of the draw of a share to hold out.
        start: a net to begin one more run from, before the random ones; `restarts=0` for that run alone. Entries
            that are zero in it stay zero.
        iterations: most M steps of a run.
        tolerance: bits per row.
        pseudocount, equivalent_sample_size: counts α beside the expected ones, as of `dirichlet`: the most probable
            tables under a Dirichlet(α + 1) prior (MAP). Without, states that are never counted get probability zero.
        states, weights, held_out: as of `maximum_likelihood`.
        threads: over runs, or over the rows of a single one; default the processors this process may use. The result
            does not depend on it.
        name: of the net.

    Returns:
        Learned; `history` has a `Run` for each start. Its `update` takes partial E steps: the expected counts of
        earlier rows stay as they are, the new rows' are iterated to convergence, from the present tables. That climbs
        the same bound on the likelihood of all rows (`bits` is then at most that far from it: an upper limit), and
        needs no earlier row.
    Raises:
        LearningError: fewer than two rows; a latent with a column, with one state, or with more states than rows;
            a row that is impossible under `start`; options out of range; as `Rows`.
        NetError: a structure with a cycle.
        EvidenceError: a label that is none of the given states.
        CapacityError: tables or cliques that would not fit.

    Sources: Dempster, Laird & Rubin 1977; Lauritzen 1995 (expected counts); Neal & Hinton 1998 (partial E steps);
    Böhning et al. 1994 (Aitken's extrapolation).
    """
    learner = Maximising(Prior(pseudocount, equivalent_sample_size), iterations, tolerance, threads)
    _check_counts(restarts=restarts, seed=seed)
    if restarts == 0 and start is None:
        raise LearningError("nothing to start from", mend="restarts ≥ 1, or give start=")
    if isinstance(structure, WorldNet):
        states = {**structure.states, **(states or {})}
    rows, test = take_back(data, held_out, seed, states, weights)
    rows.require()
    space = _all_states(rows, structure, latents or {})
    parents = parent_sets(structure, tuple(space))
    runs = restarts + (start is not None)
    problem = Problem.of(rows, space, parents, 1 if runs > 1 else threads)
    none = problem.nothing()
    starts: list[tuple[str, Entries]] = []
    if start is not None:
        starts.append(("the net given", problem.begin_at(start)))
    for restart in range(restarts if len(problem.free) else min(restarts, 1)):
        starts.append((f"restart {restart}", problem.begin(restart, seed)))
    found: list[Any] = [None] * len(starts)

    def climb(first: int, last: int) -> None:
        for i in range(first, last):
            found[i] = learner.climb(problem, starts[i][1], none, starts[i][0])

    over_rows(threads or available_threads(), len(starts), 1, 1, climb)
    best = min(range(len(found)), key=lambda i: found[i].run.bits[-1])
    learned = learner.learned(problem, found[best], none, name)
    return replace(learned, history=tuple(one.run for one in found), kept=best).measured_on(test)


@dataclass(frozen=True)
class Statistics:
    """What is kept of rows that were learned from.

    Attributes:
        counts: expected counts of all families.
        entropy: Σ_rows w·H(hidden | row) under the tables that those were counted by, nats: with it the counts bound
            the likelihood of those rows under any tables, Σ counts·ln W + entropy ≤ Σ_rows w·ln W(row).
        rows: Σ weights.
    """

    counts: Entries
    entropy: float
    rows: float


@dataclass(frozen=True, eq=False)
class Climb:
    """Where a run ended: tables of the free families with the expected counts under them, and ln likelihood, nats."""

    entries: Entries
    expected: Entries
    log_evidence: float
    run: Run


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows to be explained, divided into what is counted once and what is iterated.

    Attributes:
        rows: all of them.
        states: of all variables, latents included.
        families: all.
        free: families with a variable that some row does not show.
        fixed: the others.
        fixed_counts: of those.
        engine: of the free families as factors; None if there are none.
        seen: the different rows of what the free families hold.
        weights: how many rows each of those stands for.
        kind: for each row, which of those it is.
    """

    rows: Rows
    states: Mapping[str, tuple[Label, ...]]
    families: Families
    free: Families
    fixed: Families
    fixed_counts: Entries
    engine: Inference | None
    seen: Observed | None
    weights: NDArray[np.float64]
    kind: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        rows: Rows,
        states: Mapping[str, tuple[Label, ...]],
        parents: Mapping[str, tuple[str, ...]],
        threads: int | None,
    ) -> Problem:
        """Divide the families; `threads` over rows, where there are enough of them."""
        families = Families.of(states, parents)
        shown = (rows.codes != UNOBSERVED).all(axis=0)
        column = {v: i for i, v in enumerate(rows.variables)}
        whole = {v for v in states if v in column and shown[column[v]]}
        touched = [v for v, scope in zip(families.variables, families.scopes, strict=True) if not whole >= set(scope)]
        free = Families.of(states, parents, touched)
        fixed = Families.of(states, parents, [v for v in states if v not in set(touched)])
        counts = fixed.count(rows.codes, column, rows.weights)
        divided = functools.partial(cls, rows, states, families, free, fixed, counts)
        if not touched:
            return divided(None, None, np.empty(0), np.empty(0, np.intp))
        inside = {v for scope in free.scopes for v in scope}
        own = {v: states[v] for v in states if v in inside}
        factors = free.tables(free.normalised(np.ones(len(free))))
        net = FactorNet(own, tuple(Factor(s, factors[s[-1]]) for s in free.scopes))
        codes = np.full((len(rows), len(own)), UNOBSERVED, dtype=np.int16)
        for i, v in enumerate(own):
            if v in column:
                codes[:, i] = rows.codes[:, column[v]]
        kinds, kind = distinct(codes)
        weights = np.bincount(kind, rows.weights, minlength=len(kinds)).astype(np.float64)
        engine = Inference(net, threads=threads if len(kinds) * len(free) > SMALL else 1)
        return divided(engine, observe(net, kinds), weights, kind)

    def nothing(self) -> Statistics:
        """The statistics of no rows."""
        return Statistics(np.zeros(len(self.families)), 0.0, 0.0)

    def begin(self, restart: int, seed: int) -> Entries:
        """Where the free families begin; see `expectation_maximisation`."""
        random = np.random.default_rng([seed, restart])
        counts, column = np.ones(len(self.free)), {v: i for i, v in enumerate(self.rows.variables)}
        drawn = random.standard_exponential(len(self.free))
        for scope, low, high in zip(self.free.scopes, self.free.start[:-1], self.free.start[1:], strict=True):
            if all(v in column for v in scope):
                own = Families.of(self.states, {scope[-1]: scope[:-1]}, scope[-1:])
                whole = (self.rows.codes[:, [column[v] for v in scope]] != UNOBSERVED).all(axis=1)
                counts[low:high] += own.count(self.rows.codes[whole], column, self.rows.weights[whole])
                if restart == 0:
                    drawn[low:high] = 1.0
        return self.free.normalised(counts * drawn)

    def begin_at(self, start: WorldNet) -> Entries:
        """The free families' tables of a net.

        Raises:
            LearningError: a net of another structure or other states.
        """
        for v, scope in zip(self.families.variables, self.families.scopes, strict=True):
            if v not in start.states or start.states[v] != self.states[v] or (*start.parent_sets[v], v) != scope:
                mend = "start from a net with the structure's variables, parents (in order) and states"
                found = None if v not in start.states else (start.states[v], start.parent_sets[v])
                raise LearningError(
                    "a start of another structure",
                    node=v,
                    found=found,
                    expected=(self.states[v], scope[:-1]),
                    mend=mend,
                )
        return self.free.entries(start.cpts)

    def expect(self, entries: Entries) -> tuple[Entries, NDArray[np.float64]]:
        """The E step: expected counts of the free families, and ln evidence of each different row."""
        if self.engine is None or self.seen is None:
            return np.zeros(0), np.zeros(0)
        return family_totals(self.engine, self.seen, self.weights, None, entries)

    def join(self, fixed: Entries, free: Entries) -> Entries:
        """Entries of all families from those of both kinds."""
        return self.families.entries({**self.fixed.tables(fixed), **self.free.tables(free)})

    def parts(self, entries: Entries) -> tuple[Entries, Entries]:
        """The inverse of `join`."""
        tables = self.families.tables(entries)
        return self.fixed.entries(tables), self.free.entries(tables)

    def possible(self, log_evidence: NDArray[np.float64]) -> bool:
        """Whether every row that counts can happen."""
        return not ((log_evidence == -np.inf) & (self.weights > 0)).any()


@dataclass(frozen=True)
class Maximising:
    """Goes on maximising: `Learned.statistics` is a `Statistics`."""

    prior: Prior
    iterations: int
    tolerance: float
    threads: int | None

    def __post_init__(self) -> None:
        _check_counts(iterations=self.iterations)
        check_threads(self.threads)
        if not (isinstance(self.tolerance, int | float | np.number) and 0 <= self.tolerance < math.inf):
            raise LearningError("tolerance must be a number ≥ 0", found=self.tolerance, mend="bits per row: 1e-5")

    def climb(self, problem: Problem, entries: Entries, before: Statistics, shown: str) -> Climb:
        """One run of EM from these tables of the free families.

        Raises:
            LearningError: a row that is impossible where the run begins.
        """
        fixed_before, free_before = problem.parts(before.counts)
        constant = before.entropy
        if len(problem.fixed):
            counts = problem.fixed_counts + fixed_before
            constant += log_likelihood(counts, self._fixed(problem, before))
        support = entries > 0
        held = free_before + (problem.free.prior(self.prior) * support if len(problem.free) else 0.0)
        bit = math.log(2) * (problem.rows.total + before.rows)
        values: list[float] = []
        converged = False
        while True:
            expected, log_evidence = problem.expect(entries)
            if not values and not problem.possible(log_evidence):
                kind = int(np.flatnonzero((log_evidence == -np.inf) & (problem.weights > 0))[0])
                row = int(np.flatnonzero(problem.kind == kind)[0])
                raise LearningError(
                    "a row is impossible under the net to start from", row=row, mend="start from a net without zeros"
                )
            total = float(problem.weights @ log_evidence) if len(log_evidence) else 0.0
            values.append(total + constant + log_likelihood(held, entries))
            if len(values) > 1 and values[-1] < values[-2] - SLACK * max(bit, abs(values[-2])):
                found = f"{-values[-2] / bit:.9g}, then {-values[-1] / bit:.9g} bits per row"
                raise LearningError(
                    "the likelihood fell, which it cannot", found=found, mend="report this net and data"
                )
            converged = len(problem.free) == 0 or _settled(values, bit * self.tolerance)
            if converged or len(values) > self.iterations:
                break
            entries = problem.free.normalised(expected + held)
        return Climb(entries, expected, total, Run(shown, 0.0 - np.array(values) / bit, converged))

    def _fixed(self, problem: Problem, before: Statistics) -> Entries:
        fixed_before, _ = problem.parts(before.counts)
        return problem.fixed.normalised(problem.fixed_counts + fixed_before + problem.fixed.prior(self.prior))

    def learned(self, problem: Problem, climb: Climb, before: Statistics, name: str) -> Learned:
        """The net where a run ended, with the statistics of all rows so far."""
        entries = problem.join(self._fixed(problem, before), climb.entries)
        own = problem.join(problem.fixed_counts, climb.expected)
        entropy = climb.log_evidence - log_likelihood(climb.expected, climb.entries)
        after = Statistics(before.counts + own, before.entropy + entropy, before.rows + problem.rows.total)
        parents = {scope[-1]: scope[:-1] for scope in problem.families.scopes}
        net = WorldNet(problem.states, parents, problem.families.tables(entries), name)
        bits = -(log_likelihood(after.counts, entries) + after.entropy) / after.rows / math.log(2)
        method = "expectation–maximisation" + (f" ({self.prior})" if self.prior else "")
        return Learned(net, method, after.rows, bits, self, {"expected": after}, history=(climb.run,))

    def update(self, learned: Learned, more: Rows) -> Learned:
        """Partial E steps for the new rows, from the present tables, beside the counts of the earlier ones."""
        net, before = learned.net, learned.statistics["expected"]
        states = {v: net.states[v] for v in net.variables if v in more.states}
        problem = Problem.of(more.in_states(states), net.states, net.parent_sets, self.threads)
        entries = problem.begin_at(net)
        if not problem.possible(problem.expect(entries)[1]):
            # Zero entries can never rise: what earlier rows never showed is given one row's weight to begin with.
            one = problem.free.prior(Prior(equivalent_sample_size=1.0))
            entries = problem.free.normalised(problem.parts(before.counts)[1] + one)
        climb = self.climb(problem, entries, before, f"update by {problem.rows.total:.6g} rows")
        after = self.learned(problem, climb, before, net.name)
        return replace(after, history=(*learned.history, climb.run), kept=len(learned.history))


def _settled(values: list[float], tolerance: float) -> bool:
    """Whether nothing is gained any more, or Aitken's extrapolation has often enough seen hardly anything left."""
    if len(values) < 2:
        return False
    if values[-1] - values[-2] <= 4 * np.finfo(np.float64).eps * abs(values[-1]):
        return True
    if len(values) < max(LEAST, CALM + 2):
        return False
    gains = np.diff(values[-CALM - 2 :])
    ratios = gains[1:] / gains[:-1]
    left = gains[1:] * ratios / (1 - np.minimum(ratios, 1 - 1e-12))
    return bool(((ratios < 1) & (left <= tolerance)).all())


def _check_counts(**numbers: Any) -> None:
    for what, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 0:
            raise LearningError(f"{what} must be a whole number ≥ 0", found=number, mend=f"e.g. {what}=10")


def _all_states(rows: Rows, structure: Structure, latents: Latents) -> dict[str, tuple[Label, ...]]:
    """The states of all variables: the net's order if the structure is one, else columns, then latents."""
    found = dict(rows.states)
    if isinstance(structure, WorldNet):
        for v in rows.variables:
            if v not in structure.states:
                mend = "drop the column, or give a structure that has it"
                raise LearningError("the structure lacks a column's variable", found=repr(v), mend=mend)
        found = {v: rows.states.get(v, labels) for v, labels in structure.states.items()}
    for v, given in latents.items():
        if v in rows.states:
            mend = "drop the column, or leave the variable out of latents="
            raise LearningError("a latent variable with a column", node=v, mend=mend)
        found[v] = tuple(range(given)) if isinstance(given, int | np.integer) else tuple(given)
    for v, labels in found.items():
        if v in rows.states:
            continue
        if len(labels) < 2:
            mend = "give it at least two states, or leave it out"
            raise LearningError("a latent variable that cannot vary", node=v, found=len(labels), mend=mend)
        if len(labels) > len(rows):
            mend = "give it fewer states, or learn from more rows"
            raise LearningError(
                "a latent variable with more states than there are rows",
                node=v,
                found=len(labels),
                expected=f"at most {len(rows)}",
                mend=mend,
            )
    return found
