"""The path probe: does it matter by which way a head came to where it is?

Inputs: a trace that was trained along a growth (`worldnets.growth`), or one on its end with a growth in `sampling`.
Measurement: companions with the same seeds and clips are trained, fresh on the end (for as many steps in all, and for
as many steps as the grown head had there) and deep first; at the end their captured bits, how far their functions lie
from each other beside how far two seeds do, and the loss barrier on the line between their parameters after matching
hidden units (`probes.path`). Verdict: the ordered rule of `probes.path.verdict`. Organisms: `probes.organisms.path`.
Theory: section 7; docs/probes/path.md. The path dependence of a learned world-model itself: `probes.path.discovery`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes import ladder
from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.ladder import references
from probes.measurement import Measurement, pack
from probes.path.measured import PAIRS, ROLES, measure_target, pseudo_values, train_runs
from probes.path.verdict import Contrasts, Settings, verdict
from probes.pie import LEAST_RUNG, depth
from probes.reference import described, marked
from probes.statistics import over_seeds
from probes.verdict import Settings as Split
from probes.verdict import split
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.dataset import Dataset
    from worldnets.growth import Growth
    from worldnets.heads.inputs import Inputs
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
MANY_STEPS = 1_000_000  # stands for the steps of a run whose number is not known yet
SHOWN = Plotted(
    ("efficiency, deep, grown", "efficiency, deep, fresh", "efficiency, deep, reversed"),
    "deep efficiency",
    "efficiency, deep, ",
)


@dataclass(frozen=True)
class Sampling(ladder.Sampling):
    """How it is measured: the references, and the growth of a trace that has none.

    Attributes:
        kind, stages: of the growth, as of `worldnets.learning.GrowthPlan`.
        by: its ladder: "task" or "distance".
        rows, rows_seed, latents: of a growth by class: how many clips are learned from, which, and its last stage.
        barrier: whether lines between parameters are walked.
    """

    kind: str = "radius"
    stages: int | None = None
    by: str = "task"
    rows: int = 4000
    rows_seed: int = 0
    latents: bool = False
    barrier: bool = True

    @property
    def of_references(self) -> ladder.Sampling:
        """The part that references depend on, so that other probes share them."""
        return ladder.Sampling(**{f.name: getattr(self, f.name) for f in fields(ladder.Sampling)})


@dataclass
class PathProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: references, and the growth of a trace that has none.
        settings: margins and level of the verdict.
        ladders: ladders of your own by target name; the task's where there is none.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    ladders: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    name = "path"
    version = 1
    shown = SHOWN

    def check(self, plan: Plan) -> None:
        """Refuse what cannot be grown.

        Raises:
            ProbeError: a head that makes its own updates and does not look at `inputs.at(step)`; a growth of one stage.
            TrainingError: the growth of `sampling` does not fit the task.
        """
        self._growth(plan.dataset, plan.objective.name, plan.inputs)
        if plan.stepping and not getattr(plan.kind, "grows", False):
            mend = "probe a differentiable head"
            raise ProbeError("this head cannot be trained on what grows", found=plan.head_name, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Train the companions and measure all of them.

        Args:
            trace: a grown run, or a fresh one.
            progress: called as progress(done, total) after each training, and each checkpoint of each run and target.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; a ladder that is not one.
            TrainingError: too few steps for the stages; every seed of a companion diverged.
        """
        self.check(trace.plan)
        if int(trace.steps[-1]) != trace.last:
            found, mend = f"{int(trace.steps[-1])} of {trace.last} steps", "keep a checkpoint at the last step"
            raise ProbeError("the end of the run was not kept", found=found, mend=mend)
        growth, own = self._growth(trace.dataset, trace.objective, trace.inputs)
        task = trace.task
        total = 4 + (3 * len(trace.steps) + 1) * len(task.targets)
        done = 0

        def step(count: int = 1) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(min(done, total), total)

        runs = train_runs(trace, growth, own, lambda *_: step())
        known = references(trace.dataset, task, self.sampling.of_references)
        parts = [
            measure_target(
                runs,
                target.name,
                known.get(self.ladders.get(target.name, task.ladders[target.name]), target.name),
                growth,
                self.sampling.barrier,
                step,
            )
            for target in task.targets
        ]
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        book, verdict = conclude_target(measurement, settings)
        return book.findings, verdict

    def _growth(self, dataset: Dataset, objective: str, view: Inputs) -> tuple[Growth, bool]:
        """The growth, and whether it is the trace's own."""
        from worldnets.heads.inputs import inputs
        from worldnets.heads.staged import growth_of
        from worldnets.learning import GrowthPlan

        own = growth_of(view)
        if own is not None and len(own.stages) > 1:
            return own, True
        s = self.sampling
        options: dict[str, dict[str, Any]] = {
            "radius": {"stages": s.stages, "ladder": s.by},
            "rounds": {"stages": s.stages},
            "class": {"rows": s.rows, "seed": s.rows_seed, "latents": s.latents},
        }
        plan = GrowthPlan.of({"kind": s.kind, **options.get(s.kind, {})})
        growth = plan.build(dataset, objective, view.world_model)
        if len(growth.stages) < 2:
            mend = "give the target a ladder of two rungs or more, or another kind of growth"
            raise ProbeError("a growth of one stage is no way", node=objective, found=repr(growth), mend=mend)
        inputs(view.name, dataset.net, view.task, growth, dataset.world.frames, training_steps=MANY_STEPS)
        return growth, False


def conclude_target(m: Measurement, settings: Settings) -> tuple[Book, Verdict]:
    """All findings of one target, and its verdict."""
    information = m.world["information"]
    k0 = split(information, Split(shallow_share=settings.shallow_share, shallow_rungs=settings.shallow_rungs))
    parts = {"deep": slice(k0, None), "shallow": slice(0, k0), "total": slice(0, None)}
    roles = [role for role in ROLES if f"captured, {role}" in m.numbers]
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    groups = m.world.get("information groups")
    for k, bits in enumerate(information):
        note = f"{'shallow' if k < k0 else 'deep'}: {', '.join(m.plain['rungs'][k])}"
        book.world("information", bits, "bits", k + 1, None if groups is None else groups[:, k], note)
    deep: dict[str, tuple[Floats, Floats | None]] = {}
    for role in roles:
        captured = m.numbers[f"captured, {role}"]
        for name, rungs in parts.items():
            share, phi = _efficiency(m, role, rungs)
            book.curve(f"efficiency, {name}, {role}", share, "share", phi)
            if name == "deep":
                deep[role] = share, phi
        book.curve(f"depth, {role}", depth(captured), "rungs", some=True)
        book.curve(f"loss, {role}", m.numbers[f"loss, {role}"], "bits")
    differences: dict[str, tuple[Floats, Floats | None]] = {}
    words = {"reversed": "order", "fresh": "total", "short": "last"}
    for other, name in words.items():
        if other not in deep:
            continue
        value = deep["grown"][0] - deep[other][0]
        both = deep["grown"][1], deep[other][1]
        phi = None if both[0] is None or both[1] is None else both[0] - both[1]
        differences[name] = value[-1], None if phi is None else phi[:, -1]
        book.curve(f"grown less {other}", value, "share", phi, note="deep efficiency")
    pie = max(float(information.sum()), LEAST_RUNG)
    between = pseudo_values(m.ends["divergence between seeds"][m.sound], _seeds(m))
    excess = np.full(len(m.seeds), np.nan)
    for name in ("reversed", "fresh", "short"):
        if f"divergence to {name}" not in m.ends:
            continue
        to, back = m.ends[f"divergence to {name}"], m.ends[f"divergence from {name}"]
        book.last(f"divergence, grown from {name}", to, "bits", note="KL(grown ‖ other)")
        book.last(f"divergence, {name} from grown", back, "bits", note="KL(other ‖ grown)")
    first = next(name for name in ("reversed", "fresh") if f"divergence to {name}" in m.ends)
    symmetric = (m.ends[f"divergence to {first}"] + m.ends[f"divergence from {first}"]) / 2
    excess[m.sound] = (symmetric[m.sound] - between) / pie
    _pairs(book, "divergence between seeds", between, "bits", "symmetric; of fresh heads of two seeds")
    _pairs(book, "divergence beyond seeds", excess[m.sound], "share", f"grown and {first}; of the pie")
    _barrier_findings(book, m)
    whole = [_efficiency(m, role, parts["total"])[0][-1] for role in roles if role != "short"]
    contrasts = Contrasts(
        float(information[k0:].sum()),
        np.maximum(np.max(whole, axis=0), 0.0),
        differences["order"][0] if "order" in differences else None,
        differences["total"][0],
        differences["last"][0],
        excess,
        differences["order"][1] if "order" in differences else None,
        differences["total"][1],
        differences["last"][1],
    )
    return book, verdict(contrasts, settings, m.target)


def _seeds(m: Measurement) -> tuple[int, ...]:
    return tuple(seed for seed, kept in zip(m.seeds, m.sound, strict=True) if kept)


def _pairs(book: Book, name: str, values: Floats, unit: str, note: str) -> None:
    """A finding on pairs of seeds; seeds whose group is too small for pairs have none."""
    known = values[np.isfinite(values)]
    if known.size > 1:
        book.add(name, over_seeds(known).interval(book.level), unit, None, int(book.steps[-1]), note)


def _efficiency(m: Measurement, role: str, rungs: slice) -> tuple[Floats, Floats | None]:
    """ΣC/ΣI over rungs, [T, S], and the deviation of each clip group's contribution, [G, T, S]."""
    captured, information = m.numbers[f"captured, {role}"], m.world["information"]
    whole = float(information[rungs].sum())
    if whole < LEAST_RUNG:
        return np.full(captured.shape[:2], np.nan), None
    share = captured[..., rungs].sum(-1) / whole
    groups = m.grouped.get(f"captured, {role}")
    if groups is None:
        return share, None
    offered = m.world["information groups"][:, rungs].sum(-1)[:, None, None]
    return share, (groups[..., rungs].sum(-1) - share * offered) / whole


def _barrier_findings(book: Book, m: Measurement) -> None:
    for name in PAIRS:
        if f"barrier to {name}" in m.ends:
            book.last(f"barrier, grown and {name}", m.ends[f"barrier to {name}"], "bits", note="units as they are")
            matched = m.ends[f"barrier to {name}, matched"]
            book.last(f"barrier, grown and {name}, matched", matched, "bits", note=m.plain["matching"])
    if "barrier between seeds" in m.ends:
        note = "fresh heads of a seed and the next"
        book.last("barrier, between seeds", m.ends["barrier between seeds"], "bits", note=note)
        book.last("barrier, between seeds, matched", m.ends["barrier between seeds, matched"], "bits", note=note)
