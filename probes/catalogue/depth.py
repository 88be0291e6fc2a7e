"""The depth probe: do a head's heuristics deepen into the world-model, or stagnate on its surface?

Inputs: a trace (checkpoints of a head over seeds) and a ladder of evidence for each target. Measurement: the loss pie
at every checkpoint against exact references (`probes.ladder`). Verdict: the ordered rule of `probes.verdict`.
Organisms: `probes.organisms`. Theory: sections 4 and 5; docs/probes/depth.md.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Described
from probes.finding import Conclusion, Finding, Verdict
from probes.ladder import Reference, Sampling, check_rungs, references
from probes.measured import Measured, joined, of_seeds, pack, unpack
from probes.pie import LEAST_RUNG, Information, Pie, stack
from probes.reference import HeldOutClips, RealLoss, described, marked, notes, under
from probes.statistics import exactly
from probes.verdict import Curves, Settings, split, verdict
from worldnets.distinct import distinct
from worldnets.errors import ProbeError
from worldnets.inference.blas import one_blas_thread
from worldnets.inference.compiled import available_threads
from worldnets.net_archive import net_digest

if TYPE_CHECKING:
    from probes.presentation import Presentation
    from worldnets.heads.inputs import Inputs
    from worldnets.roles import Target
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
_OWN: WeakKeyDictionary[Any, dict[Any, Floats]] = WeakKeyDictionary()  # by reference: captured by world-models as such
LEAST_PROBABILITY = 1e-12  # what a world-model is taken to give to an outcome, or a context, it holds impossible
ABOVE_REFERENCE = "loss on real clips, above the reference"


class Measurable(Protocol):
    """What `measure_heads` needs of a reference."""

    about: Information

    def measure(self, log_q: NDArray[np.floating]) -> Pie:
        """The pie of heads."""

    def refitted(self, log_q: NDArray[np.floating]) -> Floats:
        """Captured bits after recalibration."""


@dataclass(repr=False)
class DepthProbe(Described):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: which ladder; enumeration or sample, and its size.
        settings: margins and level of the verdict.
        ladders: as `sampling.rungs`, and before it; for work with traces in hand, since it is no part of a cell's key.

    References are kept between calls, so that all cells on one world share them: clips, draws and messages are made
    once.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    ladders: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    _real: dict[tuple[str, str], HeldOutClips] = field(default_factory=dict, repr=False)

    name = "depth"
    version = 3

    @property
    def presentation(self) -> Presentation:
        """Deep efficiency, the gap and the pie."""
        from probes.report.depth import PRESENTATION

        return PRESENTATION

    def check(self, plan: Plan) -> None:
        """Refuse ladders that the task cannot have.

        Raises:
            ProbeError: rungs for none of its targets, or with other evidence than its own.
            DatasetError: a window where there are no frames.
        """
        check_rungs(plan.dataset, plan.task, self.sampling)

    def measure(self, trace: Trace, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
        """Measure every target at every checkpoint.

        Args:
            trace: the checkpoints.
            progress: called as progress(done, total) after each checkpoint of each target.

        Returns:
            {"metadata": JSON-able dict, "arrays": {name: array}}: what a cell stores. The same trace and sampling give
            the same bits.

        Raises:
            ProbeError: a ladder that is not one.
        """
        task, dataset = trace.task, trace.dataset
        key = (dataset.digest, trace.objective)
        known = references(dataset, task, self.sampling)
        if dataset.reference == "learned" and key not in self._real:
            self._real[key] = HeldOutClips(dataset, task.evidence)
        clips = self._real.get(key)
        on_clips = None if clips is None else trace.predictor(clips.codes)
        total = len(task.targets) * len(trace.steps)
        measured = []
        for i, target in enumerate(task.targets):
            reference = known.get(self.ladders.get(target.name), target.name)
            predict = trace.predictor(reference.inputs)

            def log_q(checkpoint: int, predict: Any = predict, name: str = target.name) -> NDArray[np.floating]:
                return predict(checkpoint, name)

            def report(measured_here: int, done: int = i * len(trace.steps)) -> None:
                if progress is not None:
                    progress(done + measured_here, total)

            model = model_captured(trace, reference, target)
            threads = available_threads() if trace.shareable else 1
            found = measure_heads(reference, target.name, trace.seeds, trace.steps, log_q, model, threads, report)
            real = None if clips is None else clips.loss(trace, target, on_clips)
            measured.append(found if real is None else replace(found, real=real))
        return marked(pack(measured, self.name, self.version), described(dataset))

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings and one verdict per target from the cells of one run: its groups of seeds, in any order.

        Raises:
            ProbeError: no cell, cells of different runs, or a seed measured twice.
        """
        if not cells:
            raise ProbeError("nothing was measured", mend="pass at least one cell")
        settings = settings or self.settings
        unpacked = [unpack(cell) for cell in cells]
        findings: list[Finding] = []
        verdicts: dict[str, Verdict] = {}
        for parts in zip(*unpacked, strict=True):
            whole = joined(parts)
            found, concluded = conclude_target(whole, settings)
            beside = [f.value for f in found if f.name == ABOVE_REFERENCE]
            findings, verdicts[whole.target] = findings + found, under(concluded, cells, beside[-1] if beside else None)
        return Conclusion(tuple(findings), verdicts, notes=notes(cells))

    def of_seeds(self, cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
        """A measured cell with some of its seeds only."""
        return of_seeds(cell, wanted)

    def run(self, trace: Trace, progress: Callable[[int, int], None] | None = None) -> Conclusion:
        """Measure a trace and conclude."""
        return self.conclude([self.measure(trace, progress)])


def measure_heads(
    reference: Reference | Measurable,
    target: str,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
    log_q: Callable[[int], NDArray[np.floating]],
    model: Floats | None = None,
    threads: int = 1,
    report: Callable[[int], None] | None = None,
) -> Measured:
    """The pie of any heads, checkpoint by checkpoint.

    Args:
        reference: what the world knows.
        target: its name.
        seeds, steps: of the columns and the checkpoints.
        log_q: checkpoint number -> ln q on the rows of `reference.inputs`, [seeds, rows, outcomes]; NaN for a seed that
            diverged.
        model: C_k of the world-model's own predictor, [T, K], or [K] where it never changes; I_k, that of W*, when
            omitted.
        threads: checkpoints measured at once; it changes no bit.
        report: called with the number of checkpoints done, after each.
    """
    refitted = np.full((len(seeds), len(reference.about.information)), np.nan)

    def pie(checkpoint: int) -> Pie:
        q = log_q(checkpoint)
        found = reference.measure(q)
        if checkpoint == len(steps) - 1:
            sound = np.isfinite(found.captured).all(-1)
            if sound.any():
                refitted[sound] = reference.refitted(q[sound])
        return found

    pies: list[Pie] = []
    with one_blas_thread(), ThreadPoolExecutor(threads, "worldnets measuring") as pool:
        for found in pool.map(pie, reversed(range(len(steps)))):  # the last is refitted too, and takes longest
            pies.insert(0, found)
            if report is not None:
                report(len(pies))
    about = reference.about
    own = np.broadcast_to(about.information if model is None else model, (len(steps), len(about.information)))
    columns, taken = tuple(int(s) for s in seeds), np.asarray(steps, dtype=np.int64)
    return Measured(target, columns, taken, about, stack(pies), refitted, own)


def curves_of(pie: Pie, about: Information, steps: NDArray[np.int64], settings: Settings) -> Curves:
    """What the verdict is asked about: efficiencies of the deep, the shallow and all rungs over training."""
    rungs = len(about.information)
    k0 = split(about.information, settings)
    parts = _parts(k0, rungs)
    deep, shallow, total = (pie.efficiency(about, parts[name]) for name in ("deep", "shallow", "total"))
    phi_deep, phi_total = (pie.influence(about, parts[name]) for name in ("deep", "total"))
    return Curves(steps, deep, shallow, total, about.information, k0, phi_deep, phi_total)


def _parts(k0: int, rungs: int) -> dict[str, range]:
    return {"deep": range(k0 + 1, rungs + 1), "shallow": range(1, k0 + 1), "total": range(1, rungs + 1)}


def conclude_target(m: Measured, settings: Settings) -> tuple[list[Finding], Verdict]:
    """All findings of one target, and its verdict."""
    about, pie, rungs = m.about, m.pie, len(m.about.information)
    curves = curves_of(pie, about, m.steps, settings)
    k0 = curves.shallow_rungs
    parts = _parts(k0, rungs)
    curve = {"deep": curves.deep, "shallow": curves.shallow, "total": curves.total}
    shallow_phi = pie.influence(about, parts["shallow"])
    phi = {"deep": curves.deep_influence, "shallow": shallow_phi, "total": curves.total_influence}
    sound = np.asarray(np.isfinite(pie.captured).all((0, 2)))
    if not sound.any():
        raise ProbeError("every seed diverged", node=m.target, mend="train with a smaller learning rate")
    level = 1 - settings.alpha
    book = Book(m.target, m.steps, sound, level)
    for k in range(rungs):
        note = "shallow" if k < k0 else "deep"
        book.world(
            "information",
            about.information[k],
            "bits",
            k + 1,
            _column(about.groups, k),
            f"{note}: {', '.join(about.rungs[k])}",
        )
        skipped = (
            f"{about.own_skipped[k]:.1%} of the redraws impossible and skipped; leaves the distribution on purpose"
        )
        book.world("own bits, ceiling", about.own_ceiling[k], "bits", k + 1, _column(about.own_groups, k), skipped)
    book.world("depth, attainable", about.attainable_depth, "rungs")
    book.world("condition number of the rungs", about.condition, "", note=_merged(about))
    for name in parts:
        book.curve(f"efficiency, {name}", curve[name], "share", phi[name])
        book.error(f"Monte-Carlo error of efficiency, {name}", pie.mc_error(about, parts[name]), "share")
    on_truth = (m.model == about.information).all(1)
    deep = max(about.information[k0:].sum(), 1e-12)
    model = np.where(on_truth, 1.0, m.model[:, k0:].sum(1) / deep)
    if about.information[k0:].sum() >= LEAST_RUNG:
        for t in np.flatnonzero(np.isfinite(model)):
            whose = "the head sits on W* itself" if on_truth[t] else "of the world-model's own posterior"
            note = f"deep rungs; {whose}" if on_truth[t] else f"deep rungs, {whose}"
            book.add("efficiency, world-model", exactly(float(model[t])), "share", step=int(m.steps[t]), note=note)
    book.curve("loss", pie.loss, "bits")
    book.curve("depth", pie.depth, "rungs", some=True)
    for k in range(rungs):
        book.curve("captured bits", pie.captured[..., k], "bits", _about_mean(pie.captured_groups, k), k + 1)
        book.curve("own bits", pie.own[..., k], "bits", _about_mean(pie.own_groups, k), k + 1)
        share, phi_own = pie.own_share(about, k + 1)
        book.curve("own bits, share of ceiling", share, "share", phi_own, k + 1)
        book.curve("reliance", pie.reliance[..., k], "bits", _about_mean(pie.reliance_groups, k), k + 1)
        if about.information[k] >= LEAST_RUNG:
            book.curve("efficiency", pie.efficiency(about, [k + 1]), "share", pie.influence(about, [k + 1]), k + 1)
            book.last("captured bits, refitted", m.refitted[:, k], "bits", k + 1, "one temperature and bias per rung")
        shared = _group_note(about, k)
        if shared is not None and about.information[k] >= LEAST_RUNG:
            book.last("regression weight", pie.weights[-1, :, k], "weight", k + 1, shared)
    book.last("share of regression weight below the floor", pie.floored[-1], "share")
    if m.real is not None:
        _beside(book, m.real)
    if settings.ceiling == "world-model":
        if not np.isfinite(model[-1]):
            mend = 'conclude with ceiling = "exact"'
            raise ProbeError("the world-model has no predictor of its own for this target", node=m.target, mend=mend)
        curves = replace(curves, ceiling=float(model[-1]), ceiling_kind="world-model")
    return book.findings, verdict(curves, settings, m.target)


def _beside(book: Book, real: RealLoss) -> None:
    """What heads and the learned reference lose on real test clips; intervals over seeds and groups of sources."""
    grouped = len(real.model_groups) > 1
    clips = f"{real.clips:,} real test clips of {real.sources:,} sources"
    whole = real.model + real.model_groups if grouped else None
    book.world("loss on real clips, learned reference", float(real.model), "bits", groups=whole, note=clips)
    excess, excess_groups = real.over_model
    book.curve("loss on real clips", real.head, "bits", real.head_groups if grouped else None)
    book.curve(ABOVE_REFERENCE, excess, "bits", excess_groups if grouped else None)


def model_captured(trace: Trace, reference: Reference, target: Target) -> Floats | None:
    """C_k of the posterior under the world-model the head is given, at every checkpoint, [T, K]; None where that is
    always W*.
    """
    from worldnets.heads.growing import sees_all

    truth, made = trace.dataset.net, {}
    rows = []
    for step in trace.steps:
        view = trace.inputs.at(int(step))
        if sees_all(view) and (view.world_model is None or view.world_model is truth):
            rows.append(reference.about.information)
            continue
        if id(view) not in made:
            made[id(view)] = view, _own_captured(view, trace, reference, target)
        rows.append(made[id(view)][1])
    return np.stack(rows) if made else None


def _own_captured(view: Inputs, trace: Trace, reference: Reference, target: Target) -> Floats:
    """C_k of a world-model's own posterior, as it stands while these inputs are in force.

    A stage of a growing world-model may see only part of the evidence, and answer after some rounds of messages.
    """
    from worldnets.heads.believer import Believer
    from worldnets.heads.growing import StageInputs
    from worldnets.heads.growing_evidence import StageEvidence

    truth = trace.dataset.net
    model = truth if view.world_model is None else view.world_model  # of raw evidence: what W* makes of what is shown
    if any(v not in model.states or model.states[v] != truth.states[v] for v in target.variables):
        return np.full(len(reference.about.information), np.nan)
    stage = view if isinstance(view, StageInputs | StageEvidence) else None
    seen, rounds = (trace.task.evidence, None) if stage is None else (stage.evidence, stage.stage.rounds)
    known = _OWN.setdefault(reference, {})
    key = (net_digest(model), tuple(seen), rounds, target.variables)
    if key not in known:  # every head on that stage asks for the same
        believer = Believer(model, truth, seen, rounds)
        shown, rows = distinct(reference.inputs[:, believer.columns])
        belief = believer.joint(shown, target.variables)[rows]
        known[key] = reference.measure(np.log(np.maximum(belief, LEAST_PROBABILITY))).captured
    return known[key]


def _column(groups: Floats | None, k: int) -> Floats | None:
    return None if groups is None else groups[:, k]


def _about_mean(groups: Floats | None, k: int) -> Floats | None:
    return None if groups is None else groups[..., k] - groups[..., k].mean(0)


def _merged(about: Information) -> str:
    merged = [group for group in about.merged if len(group) > 1]
    return "; ".join(f"rungs {', '.join(map(str, group))} merged in the regression" for group in merged)


def _group_note(about: Information, k: int) -> str | None:
    group = next((group for group in about.merged if k + 1 in group), None)
    if group is None:
        return None
    return "" if len(group) == 1 else f"shared by rungs {', '.join(map(str, group))}: not identified apart"


__all__ = [
    "DepthProbe",
    "Measured",
    "conclude_target",
    "curves_of",
    "measure_heads",
    "model_captured",
    "pack",
    "unpack",
]
