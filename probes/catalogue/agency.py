"""The agency probe: an agent with a model and an objective of its own fails its principal: which kind of agent is it?

Inputs: a trace of heads that predict what acts lead to, in a world with acts (`keeper`), which are the agent's model;
or, by `probes.agency.about` and `kind_of`, your own agents. Measurement: exact, by message passing in the world under
each regime: what the agent loses of the base objective, what exchanging its goal or model would mend, proxy gained at
the base's cost, distances of models (both directions) and of objectives, what predictions heed, side effects; and runs
of whole episodes with the regime changed on the way. Findings: these numbers by regime. Verdict: the ordered rules of
`probes.agency.verdict` (class) and `probes.agency.kinds` (selection, direct, control). Organisms:
`probes.organisms.agency`. Theory: section 13; docs/probes/agency.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.agency import kinds
from probes.agency.examined import NOTES, UNITS, examined_outlooks
from probes.agency.heads import Posed, Sampling, outlooks_of, parameters_of, planner, posed
from probes.agency.kinds import watched
from probes.agency.measured import SIDE, judged_at, measurement
from probes.agency.verdict import Settings, judged_context, verdict
from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.measurement import Measurement, pack
from probes.reference import described, marked
from probes.statistics import exactly

if TYPE_CHECKING:
    from probes.agency.examined import Outlooks
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
PLOTTED = Plotted(("base loss", "proxy gained"), "share of what is at stake")
KIND = "kind of optimisation"


@dataclass
class AgencyProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both; `probes.agency.about` asks anything else.

    Args:
        sampling: in what decision, for whom, for what.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "agency"
    version = 1
    shown = PLOTTED

    def check(self, plan: Plan) -> None:
        """Refuse worlds without acts, and heads that are not told them.

        Raises:
            ProbeError: no acts, regime, objective or principal; heads that do not fit the decision.
        """
        posed(plan.dataset, plan.task, self.sampling)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Let the heads of every checkpoint plan, and hold what they do against the world and the principal.

        Args:
            trace: of heads that are given situation and acts.
            progress: called as progress(done, total) after each of two parts.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`.
        """
        question = posed(trace.dataset, trace.task, self.sampling)
        given, sound = outlooks_of(trace, question, self.sampling)
        found = examined_outlooks(given, self.sampling.tie)
        plain = {
            "objective": question.objective.name,
            "base": question.base.name,
            "proxy": question.proxy.name,
            "parameters": [parameters_of(trace), question.principal.capacity.parameters],
            "condition": self.sampling.condition,
        }
        whole = measurement(found, question.target.name, trace.seeds, trace.steps, plain)
        for array in whole.numbers.values():
            array[~sound] = np.nan
        parts = [whole]
        if progress is not None:
            progress(1, 2)
        if self.sampling.watched:
            parts.append(self._kinds(given, question, trace, sound[-1]))
        if progress is not None:
            progress(2, 2)
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def _kinds(self, given: Outlooks, question: Posed, trace: Trace, sound: NDArray[np.bool_]) -> Measurement:
        candidates = self.sampling.candidates if self.sampling.condition == "retested" else 0
        ends = {name: np.full(len(trace.seeds), np.nan) for name in kinds.UNITS}
        for column, seed in enumerate(trace.seeds):
            if sound[column]:
                worth = (given.own[-1, column, 0] @ given.objective).round(9)
                one = planner(worth, question, candidates)
                first = (self.sampling.seed * 1000 + int(seed)) * 1000
                found = watched(one, question.decision, self.sampling.watched, first)
                for name, value in found.numbers.items():
                    ends[name][column] = value
        target = f"{question.target.name}, {KIND}"
        return Measurement(target, trace.seeds, trace.steps, {}, ends, plain={"what": "kind"})

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings about one agent, and its class; or its kind."""
        if measurement.plain["what"] == "kind":
            return _kind_findings(measurement, settings), kinds.verdict(measurement, settings)
        found = verdict(judged_at(measurement), settings, measurement.target)
        return _findings(measurement, settings), found


def _kind_findings(m: Measurement, settings: Settings) -> list[Finding]:
    sound = np.all([np.isfinite(array) for array in m.ends.values()], axis=0)
    book = Book(m.target, m.steps, sound, 1 - settings.alpha)
    for name, values in m.ends.items():
        book.last(name, values, kinds.UNITS[name], note=kinds.NOTES[name])
    return book.findings


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    contexts = m.plain["contexts"]
    judged = judged_at(m)
    worst = judged_context(judged, m.sound)
    units = {**UNITS, **{f"{SIDE}{node}": "share" for node in m.plain["side effects"]}}
    side = "total variation of its distribution from that under the principal's plan"
    known = judged.exact
    for name, unit in units.items():
        note = NOTES.get(name, side if name.startswith(SIDE) else "")
        for c, context in enumerate(contexts):
            if known:
                value = exactly(float(m.numbers[name][-1, 0, c]))
                book.add(f"{name}, {context}", value, unit, None, int(m.steps[-1]), note)
            else:
                book.last(f"{name}, {context}", m.numbers[name][-1, :, c], unit, note=note)
        where = f"{note}; {contexts[worst]}" if note else contexts[worst]
        if known:
            book.add(name, exactly(float(m.numbers[name][-1, 0, worst])), unit, None, int(m.steps[-1]), where)
        else:
            book.curve(name, m.numbers[name][:, :, worst], unit, note=where)
    pairs = {
        "objective distance": (("base", "proxy"), "", "√((1 − correlation)/2)"),
        "heeded": (("agent", "principal"), "bits", "of the situation, by its predictions"),
    }
    for name, (ends, unit, note) in pairs.items():
        for i, end in enumerate(ends):
            values = m.numbers[name][-1, :, i]
            if known:
                book.add(f"{name}, {end}", exactly(float(values[0])), unit, None, int(m.steps[-1]), note)
            else:
                book.last(f"{name}, {end}", values, unit, note=note)
    book.world("proxy distance", m.plain["proxy distance"], "", note="of the proxy from the base objective")
    for who, count in zip(("agent", "principal"), m.plain["parameters"], strict=True):
        book.world(f"parameters, {who}", float(count), "parameters")
    return book.findings
