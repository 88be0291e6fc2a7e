"""Gradients of beliefs and of log evidence in the log-tables, family marginals, and expected counts.

Let A(θ | e) = ln Σ_x Π_f θ_f(x_f)·[x agrees with e] be the log evidence as a function of free, unnormalised tables θ.
Then ∂A / ∂ln θ_f(x_f) is the family marginal W(x_f | e), and the Jacobian of the family marginals, the Hessian of A, is
symmetric. So the vector–Jacobian product of the beliefs with g is *one* directional derivative of the family marginals:
in the direction that adds g_v(x_v) to the log-potential of each variable v,

    ∂ Σ_v g_v·b_v / ∂ln θ_f(x_f) = Cov(1[X_f = x_f], Σ_v g_v(X_v) | e).

It costs two or three walks of the plan, whatever the number of tables, and needs no record of a query.

An entry that is zero has logarithm −inf: perturbations multiply it, so it stays zero and its gradient is 0, by
convention. Rows of probability zero contribute 0.

Sources: Darwiche 2003, "A differential approach to inference in Bayesian networks"; Lauritzen 1995, "The EM algorithm
for graphical association models with missing data" (expected counts).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import EvidenceError, QueryError
from worldnets.inference.families import Mask, planner, same_structure
from worldnets.inference.family_walk import Directions, family_totals, side_by_side
from worldnets.net import FactorNet, WorldNet

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.inference.exact import Do, Evidence, Inference, Likelihood
    from worldnets.inference.temporal.beliefs import TemporalCounts
    from worldnets.temporal import TwoSliceNet

Tables = dict[str, NDArray[np.floating]] | list[NDArray[np.floating]]


@dataclass(frozen=True, eq=False, repr=False)
class ExpectedCounts:
    """How often each family's states are expected among the rows.

    Attributes:
        tables: Σ_rows w·W(parents, variable | row), a dict of arrays [*parent states, states] by variable; for a
            `FactorNet` a list, one array per factor.
        log_evidence: [rows], ln W(evidence) in nats, for the likelihood beside the counts.
        possible: [rows], False where the evidence has probability zero: such rows count nowhere.
    """

    tables: Tables
    log_evidence: NDArray[np.float64]

    @property
    def possible(self) -> Mask:
        """Whether each row's evidence can happen, shape [rows]."""
        return self.log_evidence > -np.inf

    def __getitem__(self, family: Any) -> NDArray[np.floating]:
        """The table of a variable, or of the factor of that number."""
        try:
            return cast("dict[Any, NDArray[np.floating]]", self.tables)[family]
        except (KeyError, IndexError, TypeError):
            known = list(self.tables) if isinstance(self.tables, dict) else f"0 to {len(self.tables) - 1}"
            mend = "name a variable of the net (the number of a factor, for a FactorNet)"
            raise QueryError("no such family", found=repr(family), expected=known, mend=mend) from None

    def __repr__(self) -> str:
        impossible = int((~self.possible).sum())
        note = f", {impossible} impossible" if impossible else ""
        return f"ExpectedCounts({len(self.tables)} families from {len(self.log_evidence)} rows{note})"

    def _items(self) -> list[tuple[Any, NDArray[np.floating]]]:
        return list(self.tables.items() if isinstance(self.tables, dict) else enumerate(self.tables))

    def to_pandas(self) -> pd.DataFrame:
        """One row per cell of every table: family, cell (positions of the states), count."""
        import pandas as pd

        rows = [
            {"family": family, "cell": cell, "count": float(table[cell])}
            for family, table in self._items()
            for cell in np.ndindex(*table.shape)
        ]
        return pd.DataFrame(rows, columns=["family", "cell", "count"])

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, table

        rows = [(str(family), "×".join(map(str, t.shape)), float(t.sum())) for family, t in self._items()]
        return card(repr(self), None, table(("family", "table", "rows counted"), rows))


def vjp(
    engine: Inference,
    evidence: Evidence = None,
    belief_cotangents: Mapping[str, ArrayLike] | None = None,
    log_evidence_cotangents: ArrayLike | None = None,
    *,
    likelihood: Likelihood | None = None,
    do: Do | None = None,
    per_row: bool = False,
    net: WorldNet | FactorNet | None = None,
) -> Tables:
    """Gradient in the log-tables of Σ_rows [Σ_v g_v·b_v + h·log evidence]: the vector–Jacobian product with (g, h).

    The tables are treated as free log-potentials: an entry's perturbation is not undone in the rest of its row. To
    follow distributions that stay normalised, pass the result to `on_simplex`.

    Args:
        engine: the `Inference` whose beliefs are differentiated.
        evidence, likelihood, do: as the class `Inference` says. A variable that is set has no table: its gradient is 0.
        belief_cotangents: g, by variable, arrays [rows, states].
        log_evidence_cotangents: h, [rows].
        per_row: keep the rows apart; every table gets a leading axis of rows.
        net: tables to use in place of the engine's, of the same structure: plans are kept, numbers filled in.
    Returns:
        ∂/∂ln W(v | parents) by variable, shape [*parent states, states]; for a `FactorNet` a list, one per factor.
    Raises:
        EvidenceError: unknown variables or states in the evidence.
        QueryError: a cotangent of an unknown variable or of the wrong shape.
        NetError: `net` has another structure.
        CapacityError: the plan, or with `per_row` the result, exceeds the engine's memory limit.
    """
    own, seen = engine._seen(evidence, likelihood, do)
    directions = directions_of(engine.net, belief_cotangents or {}, len(seen))
    if log_evidence_cotangents is None:
        weights = np.zeros(len(seen))
    else:
        weights = _row_numbers("the cotangents of the log evidence", log_evidence_cotangents, len(seen))
    entries, _ = family_totals(own, seen, weights, directions, _values(engine, own, net, do), per_row)
    return _as_tables(engine, own, entries, do)


def family_marginals(
    engine: Inference, evidence: Evidence = None, *, likelihood: Likelihood | None = None, do: Do | None = None
) -> Tables:
    """Posterior of every family given each row, W(parents, variable | row): zero away from what the row observes.

    Returns:
        Arrays [rows, *parent states, states] by variable, for a `FactorNet` a list; 0 in impossible rows.
    Raises:
        EvidenceError: unknown variables or states in the evidence.
        CapacityError: the plan or the result exceeds the engine's memory limit (`expected_counts` sums as it goes).
    """
    own, seen = engine._seen(evidence, likelihood, do)
    entries, _ = family_totals(own, seen, np.ones(len(seen)), None, per_row=True)
    return _as_tables(engine, own, entries, do)


def expected_counts(
    engine: Inference,
    evidence: Evidence,
    weights: ArrayLike | None = None,
    *,
    likelihood: Likelihood | None = None,
    do: Do | None = None,
    net: WorldNet | FactorNet | None = None,
) -> ExpectedCounts:
    """Expected counts of every family's states, Σ_rows w·W(family | row): the E step of expectation–maximisation.

    Where everything is observed this is counting. It is also the gradient of Σ_rows w·log evidence in the log-tables.

    Args:
        engine: the `Inference` that answers.
        evidence, likelihood, do: as the class `Inference` says. A variable that is set has no table: it counts nowhere.
        weights: [rows], how much each row counts; default 1.
        net: tables to use in place of the engine's, of the same structure, as EM has them from step to step: plans
            are kept, numbers filled in.
    Raises:
        NetError: `net` has another structure.
        EvidenceError: unknown variables or states in the evidence, weights of the wrong shape or not finite.
        CapacityError: the plan exceeds the engine's memory limit.
    """
    own, seen = engine._seen(evidence, likelihood, do)
    row_weights = np.ones(len(seen)) if weights is None else _row_numbers("weights", weights, len(seen))
    if not np.isfinite(row_weights).all():
        row = int(np.flatnonzero(~np.isfinite(row_weights))[0])
        raise EvidenceError("a weight is not a finite number", row=row, found=row_weights[row], mend="use numbers")
    entries, log_evidence = family_totals(own, seen, row_weights, None, _values(engine, own, net, do))
    return ExpectedCounts(_as_tables(engine, own, entries, do), log_evidence)


@overload
def reestimate(net: WorldNet, counts: ExpectedCounts, pseudocount: float = 0.0) -> WorldNet: ...


@overload
def reestimate(
    net: TwoSliceNet, counts: TemporalCounts, pseudocount: float = 0.0, *, tied: bool = True
) -> TwoSliceNet: ...


def reestimate(
    net: WorldNet | TwoSliceNet, counts: ExpectedCounts | TemporalCounts, pseudocount: float = 0.0, *, tied: bool = True
) -> WorldNet | TwoSliceNet:
    """The net whose tables are the normalised counts: the M step of expectation–maximisation.

    With `pseudocount` 0 its likelihood of the counted rows is never below the net's (Dempster, Laird & Rubin 1977).

    Args:
        net: the net that was counted under; a row of a table that was never counted keeps its numbers.
        counts: of `expected_counts`, with weights ≥ 0; of a two-slice net, of `TemporalInference.expected_counts`.
        pseudocount: added to each entry that is not zero in `net`.
        tied: of a two-slice net: whether a variable with the same parents in frame 1 as later has one table for all
            frames (then the two should be equal before, or the likelihood may fall once).
    Raises:
        EvidenceError: a negative pseudocount, or a negative count (of negative weights).
        QueryError: counts of the other kind of net.
    """
    from worldnets.inference.temporal.beliefs import TemporalCounts
    from worldnets.inference.temporal.counts import reestimate_over_time
    from worldnets.temporal import TwoSliceNet

    if isinstance(net, TwoSliceNet) != isinstance(counts, TemporalCounts):
        mend = "count with Inference for a WorldNet, with TemporalInference for a TwoSliceNet"
        raise QueryError("counts of another kind of net", found=repr(counts), mend=mend)
    if isinstance(net, TwoSliceNet) and isinstance(counts, TemporalCounts):
        return reestimate_over_time(net, counts, pseudocount, tied)
    assert isinstance(net, WorldNet)
    assert isinstance(counts, ExpectedCounts)
    lowest = min([pseudocount, *(float(counts[v].min()) for v in net.variables)])
    if not lowest >= 0:
        raise EvidenceError("counts must not be negative", found=lowest, mend="use weights and pseudocounts ≥ 0")
    cpts = {}
    for v in net.variables:
        table = counts[v] + pseudocount * (net.cpt(v) > 0)
        total = table.sum(axis=-1, keepdims=True)
        cpts[v] = np.where(total > 0, table / np.where(total > 0, total, 1.0), net.cpt(v))
    return WorldNet(net.states, net.parent_sets, cpts, net.name)


def on_simplex(net: WorldNet, gradients: Mapping[str, NDArray[np.floating]]) -> dict[str, NDArray[np.floating]]:
    """Gradients that keep each distribution normalised: g − W(v | parents)·Σ_states g, from those of `vjp`.

    This is the gradient in the logits of `softmax`, whose log is the log-CPT; its sum over a variable's states is 0.
    Arrays may have leading axes (rows).
    """
    return {v: g - net.cpt(v) * g.sum(axis=-1, keepdims=True) for v, g in gradients.items()}


def _values(
    engine: Inference, own: Inference, net: WorldNet | FactorNet | None, do: Do | None
) -> NDArray[np.float64] | None:
    """The entries of `net`, for the engine that the interventions leave; None for its own."""
    if net is None or net is engine.net:
        return None
    values = same_structure(planner(engine).layout, net)
    if do and isinstance(net, WorldNet):
        values = same_structure(planner(own).layout, net.without_causes(do))
    planner(own).admit(values)
    return values


def _as_tables(engine: Inference, own: Inference, entries: NDArray[np.floating], do: Do | None) -> Tables:
    """[…, entries] as one array per family: a dict by variable, for a `FactorNet` a list; zeros for what is set."""
    net, tables = engine.net, planner(own).layout.tables(entries)
    if not isinstance(net, WorldNet):
        return tables
    by_variable = dict(zip(net.variables, tables, strict=True))
    return {
        v: np.zeros((*entries.shape[:-1], *net.cpt(v).shape)) if v in (do or ()) else table
        for v, table in by_variable.items()
    }


def directions_of(net: WorldNet | FactorNet, cotangents: Mapping[str, ArrayLike], rows: int) -> Directions | None:
    """Cotangents of beliefs, by variable [rows, states], side by side; None if there are none.

    Raises:
        QueryError: an unknown variable, or an array of the wrong shape.
    """
    net.check_variables(cotangents, error=QueryError)
    if not cotangents:
        return None
    arrays = []
    for variable, cotangent in cotangents.items():
        array, expected = np.asarray(cotangent, dtype=np.float64), (rows, len(net.states[variable]))
        if array.shape != expected:
            mend = "one number per row and state, as b[variable] has"
            raise QueryError(
                "a cotangent has the wrong shape", node=variable, found=array.shape, expected=expected, mend=mend
            )
        arrays.append(array)
    return side_by_side(net, tuple(cotangents), np.concatenate(arrays, axis=1))


def _row_numbers(what: str, numbers: ArrayLike, rows: int) -> NDArray[np.float64]:
    array = np.asarray(numbers, dtype=np.float64)
    if array.shape != (rows,):
        raise EvidenceError(
            f"{what} must be one number per row", found=array.shape, expected=(rows,), mend="give [rows]"
        )
    return array


def check_tables(net: WorldNet | FactorNet, tables: Mapping[str, Any] | Sequence[Any]) -> list[Any]:
    """Tables by variable, or one per factor, in the order of `net.factors`.

    Raises:
        QueryError: one missing, too many, or of the wrong shape.
    """
    names: list[Any] = list(net.variables) if isinstance(net, WorldNet) else list(range(len(net.factors)))
    given: dict[Any, Any] = dict(tables) if isinstance(tables, Mapping) else dict(enumerate(tables))
    for name, (scope, table) in zip(names, net.factors, strict=True):
        if name not in given:
            raise QueryError("no table", node=name, mend=f"give an array over ({', '.join(scope)})")
        if tuple(np.shape(given[name])) != table.shape:
            found = tuple(np.shape(given[name]))
            mend = "one axis per variable of the family, the variable's own last"
            raise QueryError("a table has the wrong shape", node=name, found=found, expected=table.shape, mend=mend)
    if len(given) > len(names):
        extra = next(name for name in given if name not in names)
        raise QueryError(
            "a table of no family", found=repr(extra), mend="one table per variable (or factor) of the net"
        )
    return [given[name] for name in names]
