"""The complexity probe: as the world-model deepens, does a head's own complexity follow, saturate or jump?

Inputs: a trace of heads whose world-model grows in stages (`worldnets.growth.Growth`). Measurement: at the end of every
stage the description length of each head (`probes.priors.heads`: two-part, its parameters' bits), the rounds it takes
where it learns how many, what it captures, and what the world-model's own predictor captures; beside it the same head
on the growth's end alone, which says what training time does without deepening. Verdict: the ordered rule of
`probes.complexity.verdict`. Organisms: `probes.organisms.complexity`. Theory: section 12; docs/probes/complexity.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.catalogue.depth import model_captured
from probes.complexity.verdict import Grown, Settings, verdict
from probes.finding import Finding, Plotted, Verdict
from probes.ladder import Sampling, references
from probes.measurement import Measurement, pack
from probes.path.clips import Clips
from probes.priors.heads import two_part_lengths
from probes.reference import described, marked
from probes.statistics import exactly, over_seeds
from worldnets.errors import ProbeError
from worldnets.heads.staged import Staged, growth_of

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
SHOWN = Plotted(("growth, head", "growth, world-model"), "share of the end", "growth, ")


@dataclass
class ComplexityProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: of the references.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "complexity"
    version = 1
    shown = SHOWN

    def check(self, plan: Plan) -> None:
        """Refuse what does not grow, and heads without parameters that are numbers of their own.

        Raises:
            ProbeError: such a request.
        """
        if plan.stepping:
            mend = "measure heads that are trained by gradient"
            raise ProbeError(
                "a head that makes its own updates has no description here", node=plan.head_name, mend=mend
            )
        growth = growth_of(plan.inputs)
        if growth is None or len(growth.stages) < 2:
            mend = 'train with world_model=by_radius(dataset, objective), or growth = { kind = "radius" } in a suite'
            raise ProbeError("the world-model does not grow", node=plan.dataset.name, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Describe the heads before training and at the end of every stage, grown and fresh.

        A trace without a checkpoint at the end of each stage is trained again with them; the bits of a run do not hang
        on its checkpoints.

        Args:
            trace: of heads that grow.
            progress: called as progress(done, total).

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`.
            TrainingError: every fresh head diverged.
        """
        from worldnets.training import retrained

        self.check(trace.plan)
        view, task = trace.inputs, trace.task
        assert isinstance(view, Staged)
        ends = (0, *(start - 1 for start in view.starts[1:]), trace.last)
        if len(set(ends)) < len(ends):
            mend = "train longer: two steps or more in every stage"
            raise ProbeError("a stage too short to be measured at its end", found=list(view.starts), mend=mend)
        total, done = 2 + 2 * len(ends) + len(task.targets), 0

        def step() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        has_all = set(ends) <= set(trace.steps.tolist())
        grown = trace if has_all else retrained(trace, checkpoints=ends)
        step()
        fresh = retrained(trace, world_model=view.growth.fresh(), checkpoints=ends)
        step()
        known = references(trace.dataset, task, self.sampling)
        pairs = [(target.name, known.get(task.ladders[target.name], target.name)) for target in task.targets]
        clips = trace.last * trace.plan.batch
        lengths: dict[str, list[Floats]] = {"grown": [], "fresh": []}
        for name, run in (("grown", grown), ("fresh", fresh)):
            for end in ends:
                lengths[name].append(two_part_lengths(run, run.checkpoint(end), pairs, clips).parameters)
                step()
        parts = []
        for target in task.targets:
            reference = known.get(task.ladders[target.name], target.name)
            about, rows = reference.about, Clips.of(reference)
            log_q = grown.predictor(reference.inputs)
            loss = np.stack([rows.loss(log_q(grown.checkpoint(end), target.name)) for end in ends])
            model = model_captured(grown, reference, target)
            whole = about.information if model is None else model[[grown.checkpoint(end) for end in ends[1:]]]
            own = np.broadcast_to(np.atleast_2d(whole).sum(-1), (len(ends) - 1,))
            pie = float(about.information.sum())
            numbers = {
                "description": np.stack(lengths["grown"]),
                "description, fresh": np.stack(lengths["fresh"]),
                "captured": (about.entropy - loss) / max(pie, 1e-12),
            }
            if hasattr(grown.plan.kind, "rounds"):
                numbers["rounds"] = _rounds(grown, ends)
            plain = {"stages": [stage.name for stage in view.growth.stages], "pie": pie}
            world = {"model": np.array(own, dtype=np.float64)}
            parts.append(Measurement(target.name, trace.seeds, np.array(ends), numbers, world=world, plain=plain))
            step()
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        book, verdict = conclude_target(measurement, settings)
        return book.findings, verdict


def _rounds(trace: Trace, ends: Sequence[int]) -> Floats:
    """Mean rounds of every head, [T, S]."""
    heads = [[trace.at(trace.checkpoint(end), seed) for seed in trace.seeds] for end in ends]
    return np.array([[float(head.rounds()) for head in row] for row in heads])  # type: ignore[union-attr]


def conclude_target(m: Measurement, settings: Settings) -> tuple[Book, Verdict]:
    """All findings of one target, and its verdict."""
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    model, lengths = m.world["model"], m.numbers["description"]
    book.curve("description", lengths, "bits", note="of the parameters, on the best grid")
    book.curve("description, fresh", m.numbers["description, fresh"], "bits", note="the same head on the end alone")
    book.curve("captured", m.numbers["captured"], "share")
    if "rounds" in m.numbers:
        book.curve("rounds", m.numbers["rounds"], "rounds")
    for j, bits in enumerate(model):
        note = f"stage “{m.plain['stages'][j]}”"
        book.add("captured, world-model", exactly(float(bits)), "bits", None, int(m.steps[j + 1]), note)
    grown = Grown(list(m.plain["stages"]), model, lengths, m.numbers["captured"][-1])
    kept = grown.of(np.asarray(m.sound))
    if m.sound.any() and model[-1] > 0 and kept.scale > 0:
        scale = kept.scale
        book.curve("growth, head", (lengths - lengths[0]) / scale, "share", note="of its longest description")
        for j, share in enumerate(model / model[-1]):
            book.add("growth, world-model", exactly(float(share)), "share", None, int(m.steps[j + 1]))
        beyond = np.full((len(model), lengths.shape[1]), np.nan)
        beyond[:, m.sound] = kept.beyond
        for j, stage in enumerate(m.plain["stages"]):
            found = over_seeds(beyond[j][m.sound]).interval(book.level)
            book.add(f"growth beyond the world-model's, {stage}", found, "share", None, int(m.steps[j + 1]))
    return book, verdict(grown, settings, m.target)
