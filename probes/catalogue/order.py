"""The order probe: which simple reference predictors does the head match, when, and does it match them elsewhere?

Inputs: a trace, and reference predictors from simple to rich: by default the marginals, the posterior given the last
frame, that of the best tree of pairwise marginals, and the exact posterior. Measurement: at every checkpoint the
mixture of references and silly controls that comes nearest to the head, on evidence from W* and on evidence whose parts
are drawn independently. Findings: weights over training, what the mixture leaves, when each reference dominates.
Verdict: the ordered rule of `probes.order.verdict`. Organisms: `probes.organisms.order`. Theory: sections 4 and 11;
docs/probes/order.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Conclusion, Finding, Plotted, Verdict
from probes.ladder import asked_rungs, check_rungs, references
from probes.measurement import Measurement, by_target, pack
from probes.order.measured import SIDES, fits, measurement
from probes.order.references import Given, Sampling, check_given, comparison
from probes.order.verdict import HALF, Course, Settings, Side, verdict
from probes.reference import described, marked, notes, under
from probes.statistics import exactly, over_seeds

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
ENDING = {"inside": "", "outside": ", out of distribution"}


@dataclass
class OrderProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: which references by name, which evidence.
        settings: margins and level of the verdict.
        references: references of your own, simple first and the richest last, instead of those of `sampling`: by name
            one of its names, a list of evidence whose exact posterior is meant, or a function from evidence rows (a
            pandas DataFrame of state labels, as `probes.wrap` gives it) to probabilities [rows, outcomes], for several
            targets a table of them. For work with traces in hand, since it is no part of a cell's key.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    references: Mapping[str, Given] = field(default_factory=dict)

    name = "order"
    version = 1

    def check(self, plan: Plan) -> None:
        """Refuse ladders and references that the task cannot have.

        Raises:
            ProbeError: unknown references or evidence, or fewer than two references.
            DatasetError: a window where there are no frames.
        """
        ladder = self.sampling.own_ladder
        check_rungs(plan.dataset, plan.task, ladder)
        for target in plan.task.targets:
            rungs = asked_rungs(plan.dataset, plan.task, target.name, ladder)
            wanted = self.references or {name: name for name in self.sampling.references}
            check_given(wanted, len(rungs), [name for rung in rungs for name in rung])

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Fit every target's mixture at every checkpoint.

        Args:
            trace: the checkpoints, or what `probes.wrap` returns.
            progress: called as progress(done, total) after each checkpoint of each target.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; a function that returns what are no probabilities.
        """
        known = references(trace.dataset, trace.task, self.sampling.own_ladder)
        total, parts = len(trace.task.targets) * len(trace.steps), []
        for i, target in enumerate(trace.task.targets):
            reference = known.get(None, target.name)
            given = {name: _asked(one, trace, target.name) for name, one in self.references.items()}
            beside = comparison(known.source, reference, target.name, self.sampling, given)
            sides = {side: getattr(beside, side) for side in SIDES if getattr(beside, side) is not None}
            # Enumerated, both sides are of the same rows.
            predicts = {id(part.codes): trace.predictor(part.codes) for part in sides.values()}
            by_step = []
            for t in range(len(trace.steps)):
                said = {key: predict(t, target.name) for key, predict in predicts.items()}
                by_step.append(
                    fits(beside, self.sampling, {side: said[id(part.codes)] for side, part in sides.items()})
                )
                if progress is not None:
                    progress(i * len(trace.steps) + t + 1, total)
            parts.append(measurement(target.name, trace.seeds, trace.steps, beside, by_step))
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings and one verdict per target from the cells of one run: its groups of seeds, in any order.

        Raises:
            ProbeError: no cell, cells of different runs, or a seed measured twice.
        """
        settings = settings or self.settings
        findings: list[Finding] = []
        verdicts: dict[str, Verdict] = {}
        lines: dict[str, None] = {}
        for m in by_target(cells, self.name):
            course = course_of(m)
            findings += _findings(m, course, settings)
            verdicts[m.target] = under(verdict(course, settings, m.target), cells)
            lines |= dict.fromkeys(f"weight, {name}" for name in course.names)
        return Conclusion(tuple(findings), verdicts, Plotted(tuple(lines), "weight", "weight, "), notes(cells))


def _asked(one: Given, trace: Trace, target: str) -> Any:
    """A function of one's own as a function of codes, its answers checked; anything else as it is."""
    if not callable(one):
        return one
    from probes.external import wrap

    wrapped = wrap(one, trace.dataset, trace.objective)
    return lambda codes: np.exp(wrapped.predictor(codes)(-1, target)[0])


def course_of(m: Measurement) -> Course:
    """What the rule is asked about."""
    groups = m.plain["groups"]
    return Course(
        tuple(" = ".join(group) for group in groups),
        len(groups[-1]),
        bool(m.plain["close"]),
        m.steps,
        _side(m, "inside"),
        _side(m, "outside") if "outside weights" in m.numbers else None,
        bool(m.plain["weights outside"]),
    )


def _side(m: Measurement, side: str) -> Side:
    count = len(m.plain["groups"])
    weights, left = m.numbers[f"{side} weights"], m.numbers[f"{side} left"]
    moved, left_moved = m.grouped.get(f"{side} weights"), m.grouped.get(f"{side} left")
    return Side(
        weights[..., :count],
        weights[..., count:].sum(-1),
        left,
        None if moved is None else moved[..., :count],
        None if moved is None else moved[..., count:].sum(-1),
        left_moved,
    )


def _findings(m: Measurement, course: Course, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    book.add(
        "evidence impossible, out of distribution", exactly(float(m.world["skipped"])), "share", note="passed over"
    )
    for i, side in enumerate(SIDES):
        own = course.inside if side == "inside" else course.outside
        if own is None:
            continue
        end, offer = ENDING[side], m.world[f"{side} offer"]
        book.world(f"bits on offer{end}", float(offer[0]), "bits", groups=offer[1:] if len(offer) > 1 else None,
                   note="KL of the exact posterior from the marginals")  # fmt: skip
        condition = float(m.world["condition"][i])
        apart = "weights are told apart" if side == "inside" or course.compared else "weights are not told apart"
        if np.isfinite(condition):
            book.add(f"condition of the references{end}", exactly(condition), "", note=apart)
        phi = own.weights_influence
        for place, name in enumerate(course.names):
            note = "not told apart from each other" if " = " in name else ""
            moved = None if phi is None else phi[..., place]
            book.curve(f"weight, {name}{end}", own.weights[..., place], "weight", moved, note=note)
        book.curve(f"weight of controls{end}", own.controls, "weight", own.controls_influence,
                   note=", ".join(m.plain["controls"]) or "none is apart from the references")  # fmt: skip
        book.curve(
            f"left by the mixture{end}", own.left, "share", own.left_influence, note="of the bits on offer there"
        )
        # By another name as well, so that a table of verdicts has the same columns whatever the references are called.
        book.curve(f"weight of the richest{end}", own.weights[..., -1], "weight", None if phi is None else phi[..., -1])
        book.error(f"gap of the fits{end}", m.numbers[f"{side} gap"], "bits")
    _dominating(book, m, course, settings)
    return book.findings


def _dominating(book: Book, m: Measurement, course: Course, settings: Settings) -> None:
    """When each reference first has more than half of a seed's weight, where the mixture matches the seed."""
    side = course.inside
    for place, name in enumerate(course.names):
        with np.errstate(invalid="ignore"):
            ruled = (side.weights[..., place] > HALF) & (side.left <= settings.delta)
        ever = np.asarray(ruled.any(0))
        book.share(f"dominates, {name}", ever, note="share of seeds in which it has more than half at some checkpoint")
        kept = ever & m.sound
        if kept.any():
            first = m.steps[ruled.argmax(0)][kept].astype(np.float64)
            what = f"of {int(kept.sum())} of {int(m.sound.sum())} seeds"
            book.add(f"first dominates, {name}", over_seeds(first).interval(book.level), "steps", note=what)
