"""The other engines: the same net, the same evidence, every posterior of every variable as an array.

Whatever would be unfair to them is left outside their clocks: evidence comes as the dictionaries they want, and the
cost of a pattern's first row is spread over as many rows as worldnets gets.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from evidence_rows import Rows

import worldnets as wn
from worldnets.inference import Beliefs

AGREEMENT = 1e-9  # largest difference between a peer's posteriors and ours that is put down to rounding
MOST_ROWS = 500
Posteriors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Peer:
    """One way of using another library.

    Attributes:
        name: shown in tables.
        answer: yields the posteriors of each row of evidence; lazily, so that its clock can stop between rows.
        plans_once: whether only the first row pays for planning.
    """

    name: str
    answer: Callable[[list[dict[str, int]]], Iterator[Posteriors]]
    plans_once: bool

    def seconds_per_row(self, rows: Rows, budget: float, least: int = 3) -> Callable[[], float]:
        """Prepare to answer rows until `budget` seconds are spent (`least` rows at any rate): seconds per row.

        If only the first row pays for planning, what it took more than the others is divided by all of `rows`.
        """
        evidence = rows.as_dictionaries(MOST_ROWS)

        def run() -> float:
            taken: list[float] = []
            begun = time.perf_counter()
            answers = self.answer(evidence)
            while len(taken) < len(evidence) and (len(taken) < least or sum(taken) < budget):
                next(answers)
                taken.append(time.perf_counter() - begun)
                begun = time.perf_counter()
            if not self.plans_once or len(taken) < 2:
                return float(np.mean(taken))
            later = float(np.mean(taken[1:]))
            return later + max(0.0, taken[0] - later) / len(rows)

        return run


def pyagrum_peers(net: wn.WorldNet, same_pattern: bool) -> list[Peer]:
    """pyAgrum's two engines on one thread; where masks differ, with a new engine per row and with one for all rows.

    With one pattern, one engine answers all rows and is only told what changed (`chgEvidence`).
    """
    import pyagrum

    pyagrum.setNumberOfThreads(1)
    twin = to_pyagrum(net)
    engines = {"Lazy": pyagrum.LazyPropagation, "Shafer-Shenoy": pyagrum.ShaferShenoyInference}
    if same_pattern:
        return [Peer(name, _pyagrum(twin, engine, net, "change"), True) for name, engine in engines.items()]
    return [
        Peer(f"{name}, {shown}", _pyagrum(twin, engine, net, how), False)
        for name, engine in engines.items()
        for how, shown in (("new", "new engines"), ("set", "one engine"))
    ]


def _pyagrum(
    twin: Any, engine_class: Any, net: wn.WorldNet, how: str
) -> Callable[[list[dict[str, int]]], Iterator[Posteriors]]:
    import pyagrum

    def answer(evidence: list[dict[str, int]]) -> Iterator[Posteriors]:
        engine: Any = None
        for observed in evidence:
            if engine is None or how == "new":
                engine = engine_class(twin)
                engine.setNumberOfThreads(1)
                engine.setEvidence(observed)
            elif how == "set":
                engine.setEvidence(observed)
            else:
                for variable, code in observed.items():
                    engine.chgEvidence(variable, code)
            try:
                engine.makeInference()
                yield {v: engine.posterior(v).toarray() for v in net.variables}
            except pyagrum.GumException:  # it takes evidence whose probability underflows for impossible
                engine = None
                yield {}

    return answer


def to_pyagrum(net: wn.WorldNet) -> Any:
    """The same net in pyAgrum, with the tables of `net.cpt`, whose rows sum to 1."""
    import pyagrum

    twin = pyagrum.BayesNet(net.name)
    for v in net.variables:
        twin.add(pyagrum.LabelizedVariable(v, v, [str(label) for label in net.states[v]]))
    for v in net.variables:
        for parent in net.parents(v):
            twin.addArc(parent, v)
    for v in net.variables:
        table, family = twin.cpt(v), [*net.parents(v), v]
        axes = [family.index(name) for name in reversed(list(table.names))]
        table[:] = np.ascontiguousarray(net.cpt(v).transpose(axes))
    return twin


def pgmpy_peer(net: wn.WorldNet) -> Peer:
    """pgmpy: one elimination per hidden variable, the only way that fits in memory."""
    from pgmpy.inference import VariableElimination

    oracle = VariableElimination(net.to_pgmpy())

    def answer(evidence: list[dict[str, int]]) -> Iterator[Posteriors]:
        for codes in evidence:
            observed = {v: net.states[v][code] for v, code in codes.items()}
            hidden = [v for v in net.variables if v not in observed]
            yield {v: oracle.query([v], evidence=observed, show_progress=False).values for v in hidden}

    return Peer("pgmpy", answer, False)


@dataclass(frozen=True)
class Agreement:
    """How a peer's posteriors compare with ours.

    Attributes:
        difference: largest absolute difference over the rows where the peer's posteriors are distributions.
        broken: rows where they are not (NaN, all zero, or an error raised): evidence so long that its probability
            is no longer a double.
    """

    difference: float
    broken: int

    @property
    def holds(self) -> bool:
        """Whether the peer gave the same answers, rounding aside."""
        return self.difference <= AGREEMENT


def agreement(peer: Peer, rows: Rows, beliefs: Beliefs) -> Agreement:
    """Compare the posteriors of the first rows with ours, of which there are as many as are to be compared."""
    evidence, worst, broken = rows.as_dictionaries(len(beliefs)), 0.0, 0
    for i, observed in enumerate(evidence):
        # A row of its own after the first, so that an engine told only of changes is checked too.
        *_, posteriors = peer.answer([evidence[0], observed] if i else [observed])
        if not posteriors or any(
            abs(float(p.sum()) - 1.0) > 1e-6 or not np.isfinite(p).all() for p in posteriors.values()
        ):
            broken += 1
            continue
        worst = max(worst, *(float(np.abs(beliefs[v][i] - p).max()) for v, p in posteriors.items()))
    return Agreement(worst, broken)
