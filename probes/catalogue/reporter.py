"""The reporter probe: does a question head say what is the case, or what the human labeller would say?

Inputs: a trace on any question that the world's labeller could be asked. Measurement: the head's answers beside two
exact references that see the same evidence, the direct translator W*(z | evidence) and the human simulator H(z | what
he sees), on clips on which these differ. Findings: the translation index and its R² over training, KL to every
reference, AUROC against the truth on clips tampered with, and what an ensemble of the seeds says. Verdict: the ordered
rule of `probes.reporter.verdict`. Organisms: `probes.organisms.reporter`. Theory: section 9; docs/probes/reporter.md.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.measurement import Measurement, pack
from probes.reference import described, marked
from probes.reporter.measured import measured
from probes.reporter.rows import Rows, Sampling, check_labeller, evaluation_world, rows_of
from probes.reporter.verdict import Ends, Settings, verdict
from worldnets.net_archive import net_digest

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.roles import Target
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
PLOTTED = Plotted(("translation index", "R²", "AUROC, tampered"), "index, R², AUROC")
MOST_KEPT = 4  # worlds whose rows are kept


@dataclass
class ReporterProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: where heads are asked.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "reporter"
    version = 1
    shown = PLOTTED

    def check(self, plan: Plan) -> None:
        """Refuse worlds without a labeller, and questions that he does not know.

        Raises:
            ProbeError: such a world or question, or an evaluation in a world with other nodes.
            DatasetError: an evaluation with parameters that the world does not have.
        """
        asked_in = evaluation_world(plan.dataset, self.sampling)
        for target in plan.task.targets:
            check_labeller(asked_in, target)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Ask the heads at every checkpoint.

        Args:
            trace: of any head on a question.
            progress: called as progress(done, total) after each checkpoint of each target.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; no clip on which the two references differ; tampered clips of one class only.
        """
        self.check(trace.plan)
        total, parts = len(trace.task.targets) * len(trace.steps), []
        for i, target in enumerate(trace.task.targets):
            told = None
            if progress is not None:
                told = functools.partial(_told, progress, i * len(trace.steps), total)
            parts.append(measured(trace, self._rows(trace, target), told))
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def _rows(self, trace: Trace, target: Target) -> Rows:
        world = evaluation_world(trace.dataset, self.sampling)
        other = trace.dataset if world is not trace.dataset else None
        labeller = world.world.labeller
        assert labeller is not None
        people = (net_digest(labeller.net), labeller.evidence)
        key = (world.digest, None if other is None else other.digest, people, trace.objective, target, self.sampling)
        if key not in _KEPT:
            _KEPT[key] = rows_of(world, trace.task, target, self.sampling, other)
            while len(_KEPT) > MOST_KEPT:
                _KEPT.popitem(last=False)
        return _KEPT[key]

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        m = measurement
        last = {name: m.grouped[name][:, -1] if name in m.grouped else None for name in ("index", "fit")}
        ends = Ends(m.numbers["index"][-1], m.numbers["fit"][-1], last["index"], last["fit"])
        found, findings = verdict(ends, settings, m.target), _findings(m, settings)
        nearest = _nearest(m)
        if found.name in ("neither", "inconclusive") and nearest is not None:
            found = replace(found, reasons=(*found.reasons, nearest))
        return findings, found


_KEPT: OrderedDict[Any, Rows] = OrderedDict()


def _told(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


TITLES = {
    "index": ("translation index", "weight", "0 the human simulator, 1 the direct translator"),
    "fit": ("R²", "share", "1 on the line between the two, 0 as far from it as the best constant answer"),
    "auroc, apart": ("AUROC, where they differ", "", "against the truth, on clips on which the two differ"),
    "auroc, tampered": ("AUROC, tampered", "", "against the truth, on clips tampered with"),
}


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    for name, (title, unit, note) in TITLES.items():
        if name in m.numbers:
            book.curve(title, m.numbers[name], unit, m.grouped.get(name), note=note)
    for place, name in enumerate(m.plain["references"]):
        key = f"divergence {place}"
        note = "KL(reference ‖ head) on clips on which the two differ"
        book.curve(f"divergence from {name}", m.numbers[key], "nats", m.grouped.get(key), note=note)
        for own, (title, unit, _) in TITLES.items():
            if own in m.world:
                book.world(f"{title}, of {name}", float(m.world[own][place]), unit)
    for place, own in enumerate(m.plain["ensemble"]):
        title, unit, _ = TITLES[own]
        values = m.ends["ensemble"][:, place]
        if np.isfinite(values[m.sound]).all():
            book.last(f"{title}, ensemble", values, unit, note="of the mean answer of all seeds, jackknifed")
    for name, title in (("apart", "clips on which the two differ"), ("tampered", "clips tampered with"),
                        ("tampered and apart", "clips tampered with on which the two differ")):  # fmt: skip
        if name in m.world:
            book.world(title, float(m.world[name][0]), "share")
    return book.findings


def _nearest(m: Measurement) -> str | None:
    names, kept = list(m.plain["references"]), m.sound
    if not kept.any():
        return None
    away = [float(m.numbers[f"divergence {place}"][-1][kept].mean()) for place in range(len(names))]
    place = int(np.argmin(away))
    return f"Of all references it is nearest to the {names[place]}, {away[place]:.3f} nats away."
