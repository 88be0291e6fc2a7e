"""Exact inference for many rows at once: `Inference`, the engine every probe and head sits on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import EvidenceError, ImpossibleEvidenceError, QueryError
from worldnets.inference.answer import Answerer, Outputs
from worldnets.inference.arguments import check_dtype, check_net, check_threads
from worldnets.inference.beliefs import Beliefs, MaxMarginals, MostProbable
from worldnets.inference.codes import Codes
from worldnets.inference.compiled import available_threads
from worldnets.inference.evidence import Observed, decode, intervene, observe
from worldnets.inference.plan import Plan
from worldnets.inference.planner import MEMORY_LIMIT
from worldnets.net import FactorNet, Label, WorldNet

if TYPE_CHECKING:
    import pandas as pd

    from worldnets.inference.gradient import ExpectedCounts, Tables

Evidence = Any  # a pandas DataFrame of state labels, a code array, or None
Likelihood = Mapping[str, ArrayLike]
Do = Mapping[str, Any]


class Inference:
    """Exact posteriors, log evidence, most probable states and conditional samples, batched over rows.

    Every question takes three kinds of evidence. *Hard*: one row per query, a table of state labels (None, NaN, pd.NA
    or no column: unobserved) or a code array; None observes nothing. *Soft*: `likelihood`, for each variable λ(v) ∝
    P(what was seen | v), shape [rows, states], or [states] for all rows alike. *Interventional*: `do`, for each
    variable a state, or one per row, that it is set to whatever its parents are; probabilities are then those of the
    net without its table (a `FactorNet` has no interventions).

    How rows are answered (`docs/decisions/exact-engine.md`): few rows, and rows whose masks differ in nets with large
    cliques, get an elimination order each; rows that observe the same variables share a plan from which those are cut
    out; the others share a plan in which evidence multiplies indicators. The choice depends on the net, the masks and
    the number of rows, by predicted cost. Under one way and plan a row's result has the same bits whatever rows or
    threads are beside it.

    Args:
        net: a `WorldNet`, or a `FactorNet` (then log evidence is ln Z).
        dtype: "float64" or "float32": the type of tables, messages and beliefs. Log evidence is float64.
        threads: threads over rows; default the processors this process may use.
        memory_limit: bytes; a query whose tables would take more is refused (`CapacityError`) before allocating.

    Sources: Lauritzen & Spiegelhalter 1988; Jensen, Lauritzen & Olesen 1990; Dechter 1999.
    """

    def __init__(
        self,
        net: WorldNet | FactorNet,
        dtype: str = "float64",
        threads: int | None = None,
        memory_limit: float = MEMORY_LIMIT,
    ) -> None:
        check_net(net)
        check_dtype(dtype)
        check_threads(threads)
        self.net, self.dtype, self.threads = net, dtype, threads or available_threads()
        self.memory_limit = memory_limit
        self._answers = Answerer(net, dtype, self.threads, memory_limit)
        self._mutilated: dict[frozenset[str], Inference] = {}

    @property
    def plan(self) -> Plan:
        """The plan of the latest query; before any, that of all marginals with evidence anywhere.

        Of rows that got an elimination order each, the plan of the first row's mask.
        """
        return self._answers.plan

    def query(
        self,
        evidence: Evidence = None,
        variables: Iterable[str] | None = None,
        on_impossible: Literal["flag", "raise"] = "flag",
        *,
        likelihood: Likelihood | None = None,
        do: Do | None = None,
    ) -> Beliefs:
        """Posterior marginals W(v | evidence) of every row.

        Args:
            evidence, likelihood, do: as the class says.
            variables: what to report, default all.
            on_impossible: what evidence of probability zero does: its row is flagged (beliefs 0, log evidence -inf,
                `possible` False), or an error is raised.
        Returns:
            Beliefs, `b[v]` of shape [rows, states].
        Raises:
            EvidenceError: unknown variables or states in the evidence, a likelihood of the wrong shape or range.
            QueryError: an unknown variable asked for.
            ImpossibleEvidenceError: with `on_impossible="raise"`, naming the first such row.
            CapacityError: the tables would take more than the memory limit.
        """
        engine, seen = self._seen(evidence, likelihood, do)
        outputs = self._singles(variables)
        table, log_evidence, multiply_adds = engine._answers.posteriors(seen, outputs)
        if on_impossible == "raise":
            _refuse_impossible(log_evidence, seen.index)
        return Beliefs({v: self.net.states[v] for (v,) in outputs}, table, log_evidence, seen.index, multiply_adds)

    def joint(
        self,
        evidence: Evidence,
        variables: Sequence[str],
        *,
        likelihood: Likelihood | None = None,
        do: Do | None = None,
    ) -> NDArray[np.floating]:
        """Posterior W(variables | evidence) of the variables together, shape [rows, *states]; 0 in impossible rows.

        Raises:
            EvidenceError, QueryError, CapacityError: as in `query`.
        """
        scope = (variables,) if isinstance(variables, str) else tuple(variables)
        self.net.check_variables(scope, error=QueryError)
        if len(set(scope)) != len(scope) or not scope:
            raise QueryError("a joint posterior is over distinct variables", found=list(scope), mend="name each once")
        engine, seen = self._seen(evidence, likelihood, do)
        table, _, _ = engine._answers.posteriors(seen, (scope,))
        return table.reshape(len(seen), *(len(self.net.states[v]) for v in scope))

    def log_evidence(
        self, evidence: Evidence, *, likelihood: Likelihood | None = None, do: Do | None = None
    ) -> NDArray[np.float64]:
        """The logarithm of W(evidence) (of Z for a `FactorNet`) in nats, shape [rows]; -inf where impossible.

        With soft evidence, of Σ_x W(x, evidence) Π λ(x); with interventions, of W(evidence | do(…)).
        """
        engine, seen = self._seen(evidence, likelihood, do)
        return engine._answers.posteriors(seen, ())[1]

    def map(self, evidence: Evidence, *, likelihood: Likelihood | None = None, do: Do | None = None) -> MostProbable:
        """The most probable joint state of all variables given each row: argmax_x W(x, evidence), by max-product.

        Of states that are equally probable one is returned, always the same.

        Returns:
            MostProbable: `.states`, a table of labels, and `.log_probability`, ln max_x W(x, evidence) in nats (for a
            `FactorNet`, of the product of factors).
        Raises:
            EvidenceError, CapacityError: as in `query`.

        Source: Dawid 1992, "Applications of a general propagation algorithm", section 4.
        """
        engine, seen = self._seen(evidence, likelihood, do)
        states, log_probability = engine._answers.most_probable(seen, self._singles(None))
        return MostProbable(decode(self.net, states, index=seen.index), states, log_probability)

    def max_marginals(
        self,
        evidence: Evidence,
        variables: Iterable[str] | None = None,
        *,
        likelihood: Likelihood | None = None,
        do: Do | None = None,
    ) -> MaxMarginals:
        """How good the best joint state with v = s is: max over x with x_v = s of W(x, evidence), relative to the best.

        Returns:
            MaxMarginals: `m[v]` of shape [rows, states], 1 at states of a most probable joint state; 0 where no joint
                state
            agrees with the evidence.
        Raises:
            EvidenceError, QueryError, CapacityError: as in `query`.

        Source: Koller & Friedman 2009, section 13.2.
        """
        engine, seen = self._seen(evidence, likelihood, do)
        outputs = self._singles(variables)
        table, log_probability, multiply_adds = engine._answers.posteriors(seen, outputs, maximise=True)
        states = {v: self.net.states[v] for (v,) in outputs}
        return MaxMarginals(states, table, log_probability, seen.index, multiply_adds)

    def sample(
        self,
        evidence: Evidence,
        draws: int = 100,
        seed: int = 0,
        *,
        likelihood: Likelihood | None = None,
        do: Do | None = None,
    ) -> pd.DataFrame:
        """Exact draws from W(· | evidence), as a table of labels indexed by (row, draw).

        Raises:
            ImpossibleEvidenceError: a row of probability zero has no posterior to draw from.
            EvidenceError, CapacityError: as in `query`.
        """
        import pandas as pd

        samples, log_evidence, index = self._samples(evidence, draws, seed, likelihood, do)
        labels = pd.RangeIndex(len(samples)) if index is None else index
        _refuse_impossible(log_evidence, labels)
        frame = decode(self.net, samples.reshape(-1, samples.shape[-1]))
        frame.index = pd.MultiIndex.from_product([labels, range(draws)], names=["row", "draw"])
        return frame

    def sample_codes(
        self,
        codes: Codes,
        draws: int,
        seed: int = 0,
        *,
        likelihood: Likelihood | None = None,
        do: Do | None = None,
    ) -> Codes:
        """Exact draws of all variables from the posterior of each row.

        Draw j of row i depends only on (seed, i, j), the row's evidence, and whether all rows observe the same
        variables (then those are cut out of the graph; otherwise one plan serves all masks).

        Returns:
            int16 [rows, draws, variables]; -1 throughout in impossible rows.
        """
        return self._samples(codes, draws, seed, likelihood, do)[0]

    def expected_counts(self, evidence: Evidence, weights: ArrayLike | None = None, **more: Any) -> ExpectedCounts:
        """Σ_rows w·W(parents, variable | row) for every variable; `gradient.expected_counts` says more."""
        from worldnets.inference.gradient import expected_counts

        return expected_counts(self, evidence, weights, **more)

    def vjp(
        self,
        evidence: Evidence = None,
        belief_cotangents: Mapping[str, ArrayLike] | None = None,
        log_evidence_cotangents: ArrayLike | None = None,
        **more: Any,
    ) -> Tables:
        """Gradient in the log-tables of Σ_rows [Σ_v g_v·b_v + h·log evidence]; `gradient.vjp` says more."""
        from worldnets.inference.gradient import vjp

        return vjp(self, evidence, belief_cotangents, log_evidence_cotangents, **more)

    def _samples(
        self, evidence: Evidence, draws: int, seed: int, likelihood: Likelihood | None, do: Do | None
    ) -> tuple[Codes, NDArray[np.float64], pd.Index | None]:
        if not all(isinstance(number, int | np.integer) and number >= 0 for number in (draws, seed)):
            raise EvidenceError("draws and seed are not counts", found=(draws, seed), mend="use whole numbers ≥ 0")
        engine, seen = self._seen(evidence, likelihood, do)
        return *engine._answers.samples(seen, draws, seed, self._singles(None)), seen.index

    def _seen(self, evidence: Evidence, likelihood: Likelihood | None, do: Do | None) -> tuple[Inference, Observed]:
        """All evidence, checked, and the engine of the net that the interventions leave."""
        seen = observe(self.net, evidence, likelihood)
        if not do:
            return self, seen
        seen = intervene(self.net, seen, do)
        key = frozenset(do)
        if key not in self._mutilated:
            assert isinstance(self.net, WorldNet)  # `intervene` refuses others
            net = self.net.without_causes(key)
            self._mutilated[key] = Inference(net, self.dtype, self.threads, self.memory_limit)
        return self._mutilated[key], seen

    def _singles(self, variables: Iterable[str] | None) -> Outputs:
        if variables is None:
            return tuple((v,) for v in self.net.variables)
        if isinstance(variables, str):
            raise QueryError("variables is one text", found=repr(variables), mend=f"give a list: [{variables!r}]")
        names = tuple(dict.fromkeys(variables))
        self.net.check_variables(names, error=QueryError)
        return tuple((v,) for v in names)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.net, self.dtype, self.threads, self.memory_limit)

    def __repr__(self) -> str:
        return f"Inference({self.net!r}, dtype={self.dtype!r}, threads={self.threads})"

    def _repr_html_(self) -> str:
        from worldnets.draw.cards import card, note

        return card(repr(self), None, note("engine.plan says what a query takes, and shows the junction tree"))


def _refuse_impossible(log_evidence: NDArray[np.float64], index: pd.Index | None) -> None:
    impossible = np.flatnonzero(log_evidence == -np.inf)
    if len(impossible):
        row: Label = int(impossible[0]) if index is None else index[impossible[0]]
        raise ImpossibleEvidenceError(
            "evidence of probability zero",
            row=row,
            found=f"{len(impossible)} such row(s) of {len(log_evidence)}",
            mend="drop the row, or query with on_impossible='flag'",
        )
