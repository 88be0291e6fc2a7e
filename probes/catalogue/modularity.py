"""The modularity probe: is the module called world-model just that when actors are trained on it, apart or end to end?

Inputs: a trace of a world-model of a world with acts: the head `world_model` (narrowly tailored) or any differentiable
head (generic). Measurement: critics and actors are trained beside it, on the trace's own clips, budget and first
parameters, apart and end to end, with a planner supplied and without one, for no actor, for each and for all of them
(`probes.modularity`): purity, optimism, leakage of what is wanted into the world-model's errors, returns, interference
between actors, and the optimizer row of every module. Verdict: the ordered rules of `probes.modularity.verdict`.
Organisms: `probes.organisms.modularity`. Theory: section 14; docs/probes/modularity.md.
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
from probes.measurement import Measurement, by_target, pack
from probes.modularity.decision import Decision, acts_of, decision_of, one_target, values_of
from probes.modularity.measured import numbers_of, places
from probes.modularity.modules import TAILORED, check_plan, modules_of, nets_of
from probes.modularity.rows import rows_of
from probes.modularity.trained import Trained, conditions_of, trained
from probes.modularity.verdict import Judged, Settings, against_chance, together, verdict
from probes.optimizer.verdict import Settings as RowSettings
from probes.optimizer.verdict import summary
from probes.optimizer.verdict import verdict as row_verdict
from probes.reference import described, marked, notes, under
from probes.statistics import exactly, over_seeds
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
SHOWN = Plotted(("share, no actor", "share, all actors"), "share of what there is to be known", "share, ")
SEVERAL = "several actors"


@dataclass(frozen=True)
class Sampling:
    """How modules are trained and measured: part of a cell's key.

    Attributes:
        regimes: of `trained.REGIMES`.
        planners: "planner", "no planner" or both.
        values: what each actor wants, by actor, node and state; a state that is not named is worth 0. By default one
            actor for each node of the role "valued", who wants its first state.
        pressure: nats that a return from nothing to the best is worth, beside −ln W of a clip.
        temperature: of planners, in units of what the best outcome is worth.
        width: hidden units of generic critics and actors.
    """

    regimes: tuple[str, ...] = ("apart", "end-to-end", "imagined")
    planners: tuple[str, ...] = ("planner", "no planner")
    values: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    pressure: float = 0.1
    temperature: float = 0.1
    width: int = 32


@dataclass
class ModularityProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: which conditions, what actors want, how hard they press.
        settings: margins and level of the verdicts.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "modularity"
    version = 1
    shown = SHOWN

    def check(self, plan: Plan) -> None:
        """Refuse what has no act, no actor, or no world-model that could be trained again.

        Raises:
            ProbeError: such a request, an unknown regime, an objective over unknown variables, settings out of range.
        """
        check_plan(plan)
        acts_of(plan.dataset, plan.task)
        values_of(plan.dataset, one_target(plan.task), self.sampling.values)
        conditions_of(self.sampling.regimes, self.sampling.planners)
        for name, value in (("temperature", self.sampling.temperature), ("pressure", self.sampling.pressure)):
            if not (np.isfinite(value) and value > 0):
                raise ProbeError(f"{name} is no number > 0", found=value, mend=f"leave {name} out")

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Train the modules in every condition, and measure them.

        Args:
            trace: of world-models.
            progress: called as progress(done, total): once trained, then after each condition.

        Returns:
            What a cell stores: for each condition one measurement of its own and one of each module. The same trace and
            sampling give the same bits.

        Raises:
            ProbeError: as `check`; a trace of no updates, or without a checkpoint after one.
        """
        self.check(trace.plan)
        sampling = self.sampling
        conditions = conditions_of(sampling.regimes, sampling.planners)
        decision = decision_of(trace.dataset, trace.task, sampling.values)
        modules = modules_of(trace.plan, decision, sampling.temperature, sampling.width)
        steps = trace.steps.tolist()
        every = trained(trace.plan, decision, modules, conditions, trace.seeds, steps, sampling.pressure)
        told = progress or (lambda done, total: None)
        told(1, len(conditions) + 1)
        parts: list[Measurement] = []
        for place, one in enumerate(conditions):
            found = every[one.name]
            parts.append(condition_measurement(decision, found, one.name, modules.kind, trace.seeds, trace.steps))
            if modules.kind == TAILORED:
                ends = _latents(trace, found)
                parts[-1] = replace(parts[-1], ends=ends)
            parts += rows_of(decision, found, one, sampling.temperature, trace.seeds, trace.steps)
            told(place + 2, len(conditions) + 1)
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings, and for each condition a verdict on its world-model and one on its actors, from one run's cells.

        Raises:
            ProbeError: no cell, cells of different runs, or a seed measured twice.
        """
        settings = settings or self.settings
        every = by_target(cells, self.name)
        findings: list[Finding] = []
        verdicts: dict[str, Verdict] = {}
        for m in every:
            if "module" in m.plain:
                continue
            book, found = conclude_condition(m, settings)
            rows = [row for row in every if row.plain.get("condition") == m.target]
            said = [_row(row, book, settings) for row in rows]
            verdicts[m.target] = under(replace(found, reasons=(*found.reasons, *said)), cells)
            findings += book.findings
            if len(m.plain["actors"]) > 1:
                where = f"{m.target}, {SEVERAL}"
                verdicts[where] = under(together(m.numbers["moved by"][-1], m.plain["actors"], settings, where), cells)
                findings += _between(m, where, settings).findings
        return Conclusion(tuple(findings), verdicts, SHOWN, notes(cells))


def about(decision: Decision, found: Trained, name: str = "as given", settings: Settings | None = None) -> Conclusion:
    """Conclude about modules that were trained elsewhere, from what they say.

    Args:
        decision: `probes.modularity.decision.decision_of` gives one.
        found: ln W, critics and policies of every run and seed; `runs_of` says which runs there must be. One checkpoint
            is enough.
        name: of the condition.
        settings: margins and level.
    """
    steps = np.arange(found.log_model.shape[0], dtype=np.int64)
    m = condition_measurement(decision, found, name, "given", range(found.log_model.shape[2]), steps)
    return ModularityProbe(settings=settings or Settings()).conclude(
        [pack([m], ModularityProbe.name, ModularityProbe.version)]
    )


def condition_measurement(
    decision: Decision, found: Trained, name: str, kind: str, seeds: Sequence[int], steps: NDArray[np.int64]
) -> Measurement:
    """What is measured of one condition, as a cell stores it."""
    plain = {
        "kind": kind,
        "actors": list(decision.actors),
        "runs": found.trained.tolist(),
        "offer": decision.offer,
    }
    return Measurement(name, tuple(seeds), steps, numbers_of(decision, found), plain=plain)


def judged_of(m: Measurement) -> Judged:
    """What the rule is asked about, at the last checkpoint."""
    runs = np.array(m.plain["runs"], dtype=bool)
    alone, none, every, _ = places(runs)
    share = m.numbers["share"][-1]
    cost = share[:, [none]] - share[:, alone]
    ends = (m.numbers[name][-1] for name in ("optimism", "leakage", "placebo leakage"))
    return Judged(tuple(m.plain["actors"]), share[:, every], cost, *ends)


def conclude_condition(m: Measurement, settings: Settings) -> tuple[Book, Verdict]:
    """All findings of one condition, and the verdict on its world-model."""
    judged = judged_of(m)
    book = Book(m.target, m.steps, judged.sound, 1 - settings.alpha)
    book.add(
        "bits on offer",
        exactly(m.plain["offer"]),
        "bits",
        note=f"I(outcome; situation, act); {m.plain['kind']} modules",
    )
    alone, none, every, _ = places(np.array(m.plain["runs"], dtype=bool))
    numbers, actors = m.numbers, m.plain["actors"]
    for label, run in (("no actor", none), ("all actors", every)):
        book.curve(f"share, {label}", numbers["share"][..., run], "share", note="of the bits on offer")
        book.curve(f"divergence, {label}", numbers["divergence"][..., run], "bits", note="E KL(world ‖ world-model)")
    for k, actor in enumerate(actors):
        run = int(alone[k])
        book.curve(f"share, {actor}", numbers["share"][..., run], "share", note=f"trained with {actor} alone")
        book.curve(
            f"optimism, {actor}",
            numbers["optimism"][..., k],
            "value",
            note="after its own acts, over the run without actors",
        )
        book.curve(
            f"optimism whatever is done, {actor}", numbers["any act"][..., run, k], "value", note="over the truth"
        )
        _leakage(book, m, k, actor)
        book.curve(f"errors explained, {actor}", numbers["readable"][..., run, k], "share", note="by what it wants")
        book.curve(
            f"return, {actor}", numbers["return"][..., run, k], "share", note="of what is at stake, trained alone"
        )
        book.curve(f"critic above the truth, {actor}", numbers["overrated"][..., run, k], "value")
    chance = f"of actors; a guess is right {1 / len(actors):.2f} of the time"
    book.curve("errors name the actor", numbers["named"], "share", note=chance)
    book.findings[:] = [_within_one(one) if one.name == "errors name the actor" else one for one in book.findings]
    book.curve("optimism, placebo", numbers["placebo optimism"], "value", note="about what no one wants")
    size = np.sqrt((numbers["placebo leakage"] ** 2).mean((-1, -2)))
    book.curve("leakage, placebo", size, "share", note="of what no one wants: its root mean square")
    for name, unit in (("latents recovered", "share"), ("divergence on observables", "bits")):
        if name in m.ends:
            book.last(name, m.ends[name], unit, note="all actors trained; as the purity probe has it")
    return book, verdict(judged, settings, m.target)


def _leakage(book: Book, m: Measurement, k: int, actor: str) -> None:
    """Leakage of one actor over training, over seeds and placebos."""
    for t, step in enumerate(m.steps.tolist()):
        own, chance = m.numbers["leakage"][t, :, k][book.sound], m.numbers["placebo leakage"][t, :, k][book.sound]
        if own.size and np.isfinite(own).all() and np.isfinite(chance).all():
            value = against_chance(own, chance).interval(book.level)
            book.add(
                f"leakage, {actor}", value, "share", None, step, "of the energy of errors; over seeds and placebos"
            )


def _within_one(finding: Finding) -> Finding:
    """A share of seeds cannot lie outside 0 … 1, whatever a t-interval says."""
    value = finding.value
    return replace(finding, value=replace(value, low=max(value.low, 0.0), high=min(value.high, 1.0)))


def _between(m: Measurement, target: str, settings: Settings) -> Book:
    """What training each actor does to the others."""
    book = Book(target, m.steps, np.isfinite(m.numbers["moved by"][-1]).all((1, 2)), 1 - settings.alpha)
    actors = m.plain["actors"]
    for j, one in enumerate(actors):
        for k, other in enumerate(actors):
            name = f"training {one} on {other}"
            book.curve(f"return, {name}", m.numbers["moved by"][..., j, k], "share", note="of what is at stake")
            book.curve(f"choice moved, {name}", m.numbers["moves"][..., j, k], "share", note="total variation")
    return book


def _row(m: Measurement, book: Book, settings: Settings) -> str:
    """The optimizer row of a module in a sentence; its numbers go into the book."""
    module, how = m.plain["module"], RowSettings(alpha=settings.alpha)
    found = row_verdict(m, how)
    sound = np.all([np.isfinite(array).reshape(len(m.seeds), -1).all(1) for array in m.ends.values()], axis=0)
    if sound.sum() > 1:
        for name, estimate in summary(m.taken(np.flatnonzero(sound)), how).items():
            book.add(f"{name}, {module}", estimate.interval(book.level), "share", None, int(m.steps[-1]))
        regret = over_seeds(m.ends["regret"][sound].mean(1))
        book.add(
            f"regret, {module}", regret.interval(book.level), "", None, int(m.steps[-1]), f"under “{m.plain['base']}”"
        )
    return f"{module[0].upper()}{module[1:]}: {found.name}."


def _latents(trace: Trace, found: Trained) -> dict[str, Floats]:
    """What the purity probe measures of tailored world-models, with all actors trained, [S]."""
    from probes.purity.model import measure_model
    from probes.purity.truth import Sampling as PuritySampling
    from probes.purity.truth import truth

    _, _, every, _ = places(found.trained)
    known = truth(trace.dataset, trace.dataset.net, PuritySampling(losses=()), "")
    share, lost = np.full(len(trace.seeds), np.nan), np.full(len(trace.seeds), np.nan)
    information = sum(known.information.values())
    for s, logits in enumerate(found.models[every]):
        if not all(np.isfinite(table).all() for table in logits):
            continue
        one = measure_model(known, nets_of(trace.plan, logits))
        share[s] = float(one.recovered.sum()) / information if information > 0 else np.nan
        lost[s] = float(one.divergence)
    return {"latents recovered": share, "divergence on observables": lost}
