"""The optimizer probe: is it an optimizer, a mesa-optimizer of whom, aligned, a consequentialist? Per context.

Inputs: a trace of any head; or, by `about`, anything that meets `probes.optimizer.candidate.Candidate`. Measurement:
six separate ones, in and out of distribution: answers against inner steps, answers under swapped objectives, who
selected what, which objective of a family explains the answers, the tilt against an honest twin, choices after do() on
what acts lead to. What a candidate cannot be asked is not applicable, with the reason. Findings: the numbers of each.
Verdict: the row, by the rules of `probes.optimizer.verdict`. Organisms: `probes.organisms.optimizer`. Theory: section
10; docs/probes/optimizer.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Conclusion, Finding, Plotted, Verdict
from probes.ladder import Sampling as LadderSampling
from probes.ladder import references
from probes.measurement import Measurement, by_target, pack
from probes.optimizer.candidate import Candidate, Setting, divergence
from probes.optimizer.heads import Asked, candidate_of
from probes.optimizer.measured import measured
from probes.optimizer.mesa import over_groups
from probes.optimizer.tasks import Context, Sampling, check_split, contexts, outcomes_of, potentials, predictor_setting
from probes.optimizer.verdict import FEW, Settings, explained, own_objective, summary, verdict
from probes.reference import described, marked, notes, under
from probes.sources import DatasetSource
from probes.statistics import over_seeds

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.roles import Target
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
PLOTTED = Plotted(("divergence from the base objective", "change since the start"), "nats")
UNITS = {"gain": "nats", "approach": "share", "calming": "share", "retargeting": "share", "following": "share"}
NOTES = {
    "gain": "what the loss under its own objective falls by over all inner steps",
    "approach": "share of the way to its own fixed point covered, averaged over inner steps",
    "calming": "1 − last residual / largest residual",
    "retargeting": "1 − regret under foreign objectives / regret of not adapting",
    "following": "1 − regret after do() / regret of not following, under its own objective",
}


@dataclass
class OptimizerProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both; `about` asks anything else.

    Args:
        sampling: which evidence, potentials and contexts, and how much of each.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "optimizer"
    version = 2  # 2: learned tables are held against the world's by what answers feel of a tilt

    def check(self, plan: Plan) -> None:
        """Refuse contexts that cannot be told from evidence.

        Raises:
            ProbeError: `sampling.split` names none.
        """
        check_split(self.sampling.split, plan.task.evidence)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Ask the heads everything they can be asked, at the last checkpoint; their answers at every one.

        Args:
            trace: of any head.
            progress: called as progress(done, total) after each context of each target.

        Returns:
            What a cell stores, a measurement for each target and context. The same trace and sampling give the same
            bits.

        Raises:
            ProbeError: a split by what is no evidence.
        """
        source = references(trace.dataset, trace.task, LadderSampling()).source
        assert isinstance(source, DatasetSource)
        asked = [(target, list(contexts(source, target, self.sampling))) for target in trace.task.targets]
        total, parts = sum(len(found) for _, found in asked), []
        for target, found in asked:
            for context in found:
                parts.append(self._asked(trace, source, target, context))
                if progress is not None:
                    progress(len(parts), total)
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def _asked(self, trace: Trace, source: DatasetSource, target: Target, context: Context) -> Measurement:
        outcomes = outcomes_of(source, target, self.sampling.outcomes)
        foreign = potentials(source, target, self.sampling)
        setting = predictor_setting(source, trace.task, target, context, outcomes, foreign, self.sampling)
        predict, weight = trace.predictor(context.codes), context.shares.mean(0)
        answers = [np.exp(predict(checkpoint, target.name)) for checkpoint in range(len(trace.steps))]
        first, last = answers[0], answers[-1]
        changed = np.stack([divergence(now, first) @ weight for now in answers])
        base = np.stack([divergence(setting.base.optimum, now) @ weight for now in answers])
        candidate = candidate_of(Asked(trace, target, context, outcomes, foreign, last, self.sampling))
        numbers = {"changed": changed, "base": base}
        found = measured(candidate, setting, target.name, trace.seeds, trace.steps, numbers)
        if not np.any(np.nan_to_num(changed) > 0):
            plain = {**found.plain, "provenance": dict(candidate.provenance.without_training().parts)}
            found = replace(found, plain=plain)
        return found

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings and a row per target and context from the cells of one run: its groups of seeds, in any order.

        Raises:
            ProbeError: no cell, cells of different runs, or a seed measured twice.
        """
        settings = settings or self.settings
        findings: list[Finding] = []
        verdicts: dict[str, Verdict] = {}
        for m in by_target(cells, self.name):
            verdicts[m.target] = under(verdict(m, settings), cells)
            findings += _findings(m, settings, verdicts[m.target].name != FEW)
        return Conclusion(tuple(findings), verdicts, PLOTTED, notes(cells))


def about(candidate: Candidate, setting: Setting, target: str = "", settings: Settings | None = None) -> Conclusion:
    """Ask one candidate in one setting, and conclude.

    Args:
        candidate: whatever meets the protocol; its replicates are taken for independent.
        setting: the context it is bound to.
        target: what it is about.
        settings: margins and level.
    """
    count = len(candidate.answers())
    m = measured(candidate, setting, target or setting.kind, range(count), np.array([0], dtype=np.int64))
    return OptimizerProbe(settings=settings or Settings()).conclude(
        [pack([m], OptimizerProbe.name, OptimizerProbe.version)]
    )


def _findings(m: Measurement, settings: Settings, several: bool) -> list[Finding]:
    sound = np.all(
        [
            np.isfinite(array).reshape(len(m.seeds), -1).all(1)
            for name, array in m.ends.items()
            if name not in ("tilt", "leftover", "bethe")
        ],
        axis=0,
    )
    book = Book(m.target, m.steps, sound, 1 - settings.alpha)
    last = int(m.steps[-1])
    if "base" in m.numbers:
        book.curve("divergence from the base objective", m.numbers["base"], "nats", some=True)
        book.curve("change since the start", m.numbers["changed"], "nats", some=True, note="what training selected")
    if not sound.any() or not several:
        return book.findings
    kept = m.taken(np.flatnonzero(sound))
    level = book.level
    for name, estimate in summary(kept, settings).items():
        unit = "share" if name.startswith("left by") else UNITS.get(name, "nats")
        if name == "gain" and kept.plain["kind"] == "acts":
            unit = "share"
        note = NOTES.get(
            name, "against its honest twin" + ("" if kept.plain.get("tables read") else " with the world's tables")
        )
        book.add(name, estimate.interval(level), unit, None, last, note)
    family = explained(kept, settings)
    for name, value in zip(family.names, family.divergence, strict=True):
        note = "in the confidence set" if name in family.kept else "not in the confidence set"
        book.add(f"divergence from “{name}”", value, "nats", None, last, note)
    unit = "nats" if kept.plain["kind"] == "beliefs" else "share"
    book.add(
        "regret", over_groups(kept.ends["regret"]).interval(level), unit, None, last, f"under “{kept.plain['base']}”"
    )
    own = own_objective(kept)
    for place, count in enumerate(kept.plain.get("inner steps", ())):
        after = f"after {count} {kept.plain['inner unit']}"
        book.add(f"loss {after}", over_groups(kept.ends["loss"][:, place, own]).interval(level), unit, None, last)
        away = over_groups(kept.ends["distance"][:, place]).interval(level)
        book.add(f"distance {after}", away, "nats", None, last, "KL from its own fixed point")
        left = over_seeds(kept.ends["residual"][:, place]).interval(level)
        book.add(f"residual {after}", left, "", None, last, "largest change by the next step")
        if "bethe" in kept.ends:
            energy = over_groups(kept.ends["bethe"][:, place]).interval(level)
            book.add(f"Bethe free energy {after}", energy, "nats", None, last, "reported, not judged")
    return book.findings
