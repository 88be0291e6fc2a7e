"""Tables counted from complete rows, for a structure that is given: maximum likelihood, and Dirichlet-smoothed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from worldnets.errors import LearningError
from worldnets.learning.data import Data, Rows, States
from worldnets.learning.learned import Learned, take_back
from worldnets.learning.tables import Entries, Families, Prior, Structure, log_likelihood, parent_sets
from worldnets.net import WorldNet


def maximum_likelihood(
    data: Data,
    structure: Structure,
    *,
    states: States | None = None,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    seed: int = 0,
    name: str = "",
) -> Learned:
    """The tables under which complete rows are most probable: W(x_v | parents) = n(x_v, parents) / n(parents).

    Where the parents' states were never seen together, the distribution is uniform. A state that was never counted has
    probability zero, and so have rows that show it: `dirichlet` has none of that.

    Args:
        data: `Rows`, or a table of state labels; nothing may be missing.
        structure: the parents of each variable: a mapping, a `WorldNet` (whose states are taken as well) or a networkx
            `DiGraph`.
        states: the states of each variable, where they are not to be learnt from the data (`Rows.from_labels`).
        weights: [rows], how much each row counts.
        held_out: rows to measure on; or a share of `data` to keep back and measure on.
        seed: of the draw of that share.
        name: of the net.

    Returns:
        Learned, whose `update` gives the tables of one fit on all rows (to the last bit, if weights are whole).
    Raises:
        LearningError: fewer than two rows, a missing entry, variables that rows and structure do not share; as `Rows`.
        NetError: a structure with a cycle.
        EvidenceError: a label that is none of the given states.
        CapacityError: tables that would not fit.
    """
    return counted(data, structure, Prior(), states, weights, held_out, seed, name)


def dirichlet(
    data: Data,
    structure: Structure,
    *,
    pseudocount: float | None = None,
    equivalent_sample_size: float | None = None,
    states: States | None = None,
    weights: ArrayLike | None = None,
    held_out: Data | float | None = None,
    seed: int = 0,
    name: str = "",
) -> Learned:
    """Tables smoothed by a Dirichlet prior: (n(x_v, parents) + α) / (n(parents) + Σ α), the posterior's mean.

    α is `pseudocount` for every entry, or `equivalent_sample_size` divided by the number of the table's entries (BDeu);
    without either, an equivalent sample size of 1.

    Args:
        data, structure, states, weights, held_out, seed, name: as of `maximum_likelihood`.
        pseudocount, equivalent_sample_size: the prior; one of the two.

    Returns, Raises:
        As `maximum_likelihood`; also LearningError: both priors at once, or a negative one.

    Source: Heckerman, Geiger & Chickering 1995, section 8.
    """
    prior = Prior.given(pseudocount, equivalent_sample_size)
    return counted(data, structure, prior, states, weights, held_out, seed, name)


@dataclass(frozen=True)
class Counting:
    """Goes on counting: `Learned.statistics["counts"]` holds n(x_v, parents) by variable, without the prior."""

    prior: Prior

    def learned(self, net_of: WorldNet | Rows, families: Families, counts: Entries, rows: float, name: str) -> Learned:
        """The net of these counts."""
        entries = families.normalised(counts + families.prior(self.prior))
        parents = {scope[-1]: scope[:-1] for scope in families.scopes}
        net = WorldNet(net_of.states, parents, families.tables(entries), name)
        method = f"Dirichlet counts ({self.prior})" if self.prior else "maximum likelihood"
        bits = -log_likelihood(counts, entries) / rows / math.log(2)
        return Learned(net, method, rows, bits, self, {"counts": families.tables(counts)})

    def update(self, learned: Learned, more: Rows) -> Learned:
        """The same tables as one fit on all rows."""
        families, old = of_net(learned.net), learned.statistics["counts"]
        counts = families.entries(old) + count(families, more.in_states(learned.net.states))
        return self.learned(learned.net, families, counts, learned.rows + more.total, learned.net.name)


def counted(
    data: Data,
    structure: Structure,
    prior: Prior,
    states: States | None,
    weights: ArrayLike | None,
    held_out: Data | float | None,
    seed: int,
    name: str,
) -> Learned:
    """Both of the above."""
    if isinstance(structure, WorldNet):
        states = {**structure.states, **(states or {})}
    rows, test = take_back(data, held_out, seed, states, weights)
    rows.require(complete=True)
    rows = ordered_as(rows, structure)
    families = Families.of(rows.states, parent_sets(structure, rows.variables))
    learned = Counting(prior).learned(rows, families, count(families, rows), rows.total, name)
    return learned.measured_on(test)


def of_net(net: WorldNet) -> Families:
    """The families of a net."""
    return Families.of(net.states, net.parent_sets)


def count(families: Families, rows: Rows) -> Entries:
    """The counts of complete rows (one row is enough).

    Raises:
        LearningError: a missing entry.
    """
    rows.require(complete=True, rows=1)
    return families.count(rows.codes, {v: i for i, v in enumerate(rows.variables)}, rows.weights)


def ordered_as(rows: Rows, structure: Structure) -> Rows:
    """Columns in the order of the structure's variables, if that is a net; its variables must be the columns.

    Raises:
        LearningError: a column that the net lacks, or a variable without a column.
    """
    if not isinstance(structure, WorldNet):
        return rows
    for v in rows.variables:
        if v not in structure.states:
            mend = "drop the column, or give a structure that has it"
            raise LearningError("the structure lacks a column's variable", found=repr(v), mend=mend)
    for v in structure.variables:
        if v not in rows.states:
            mend = "give the column; variables that no one observes are learned by expectation_maximisation"
            raise LearningError("the structure names a variable without a column", found=repr(v), mend=mend)
    return rows.in_states({v: rows.states[v] for v in structure.variables})
