"""The transmission probe: when a table of the world-model is edited, does the head move as the exact posterior does?

Inputs: a trace of heads on the beliefs of a world-model (`inputs="beliefs"`), or of the head `inference`. Measurement:
single tables of the world-model are edited, at each distance from the target, without retraining; beliefs are
recomputed, and the change of the head's answer is regressed on the change of the exact posterior. Findings: slope and
R² by depth, over training. Verdict: the ordered rule of `probes.transmission.verdict`. Organisms:
`probes.organisms.transmission`. Theory: section 17; docs/probes/transmission.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.ladder import Sampling as LadderSampling
from probes.ladder import references
from probes.measurement import Measurement, pack
from probes.reference import described, marked
from probes.sources import DatasetSource
from probes.transmission.edits import Sampling
from probes.transmission.measured import Edits, Moved, answers_under, edits_of, followed
from probes.transmission.verdict import Depth, Settings, verdict
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.roles import Target
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
PLOTTED = Plotted(("slope, nearest", "slope, deepest"), "slope", "slope, ")


@dataclass
class TransmissionProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: which edits, how many, how strong.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "transmission"
    version = 1
    shown = PLOTTED

    def check(self, plan: Plan) -> None:
        """Refuse heads that have no world-model between the evidence and themselves.

        Raises:
            ProbeError: such a head.
        """
        if self.sampling.scale not in ("probability", "log-odds"):
            expected, mend = '"probability" or "log-odds"', "leave scale out"
            raise ProbeError("unknown scale", found=self.sampling.scale, expected=expected, mend=mend)
        if plan.head_name == "inference" or (plan.inputs.name == "beliefs" and not plan.stepping):
            return
        found = f"head {plan.head_name!r} on {plan.inputs.name}"
        mend = 'train with inputs="beliefs"; a head on raw evidence has no world-model that could be edited'
        raise ProbeError("transmission is of heads that are given beliefs", found=found, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Edit, and watch the head.

        Args:
            trace: of heads on beliefs, or of the inference head. Where the world-model grows, the last stage's is
                edited, and checkpoints before it are left out.
            progress: called as progress(done, total) after each checkpoint of each target.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; a world-model that lacks a target.
        """
        self.check(trace.plan)
        source = references(trace.dataset, trace.task, LadderSampling()).source
        assert isinstance(source, DatasetSource)
        total, parts = len(trace.task.targets) * len(trace.steps), []
        for i, target in enumerate(trace.task.targets):
            edits = edits_of(trace, source, target, self.sampling)
            moved = _Moves(trace, target, edits)

            def told(t: int, one: Moved | None, moved: _Moves = moved, done: int = i * len(trace.steps)) -> Any:
                if one is None and progress is not None:
                    progress(done + t + 1, total)
                return moved(t, one)

            found = followed(edits, told, len(trace.steps), len(trace.seeds), self.sampling)
            numbers = {"slopes": found.slopes, "sizes": found.sizes, "clip error": found.clip_error}
            world = {"depths": np.array(list(edits.depths), dtype=np.int64)}
            names = [[f"{one.edit.node} #{one.edit.draw}" for one in own] for own in edits.depths.values()]
            plain = {"edits": names, "passed_over": edits.passed_over}
            parts.append(Measurement(target.name, trace.seeds, trace.steps, numbers, world=world, plain=plain))
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        found = verdict(depths_at(measurement, -1), settings, measurement.target)
        return _findings(measurement, settings), found


class _Moves:
    """ln q of the heads under each edit, [S, R, outcomes]."""

    def __init__(self, trace: Trace, target: Target, edits: Edits) -> None:
        self.trace, self.target, self.edits = trace, target, edits
        self.last = trace.inputs.at(int(trace.steps[-1]))
        self.plain = None if trace.plan.stepping else self.last.features(edits.codes)
        self.answers: dict[int, Floats] = {}

    def __call__(self, checkpoint: int, one: Moved | None) -> Floats | None:
        trace = self.trace
        if trace.inputs.at(int(trace.steps[checkpoint])) is not self.last:
            return None
        if self.plain is not None:
            features = self.plain if one is None else one.features
            assert features is not None
            return trace.predict_features(features, checkpoint, self.target.name)
        if id(one) not in self.answers:  # the inference head answers alike at all checkpoints and seeds
            own = trace.dataset.net if self.last.world_model is None else self.last.world_model
            model = own if one is None else one.edit.net
            self.answers[id(one)] = answers_under(trace, self.target, model, self.edits.codes)
        found = self.answers[id(one)]
        return np.broadcast_to(found, (len(trace.seeds), *found.shape))


def depths_at(m: Measurement, checkpoint: int) -> list[Depth]:
    """How heads follow edits at a checkpoint, depth by depth."""
    found = []
    for d, depth in enumerate(m.world["depths"].tolist()):
        count = len(m.plain["edits"][d])
        slopes, sizes = (m.numbers[name][checkpoint, :, d, :count] for name in ("slopes", "sizes"))
        found.append(Depth(int(depth), slopes, sizes, m.numbers["clip error"][checkpoint, :, d]))
    return found


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    depths = m.world["depths"].tolist()
    for d, depth in enumerate(depths):
        count = len(m.plain["edits"][d])
        book.world("edits", float(count), "edits", depth, note="; ".join(m.plain["edits"][d]))
        slopes, sizes = m.numbers["slopes"][:, :, d, :count], m.numbers["sizes"][:, :, d, :count]
        moved = np.moveaxis(slopes, -1, 0) - slopes.mean(-1)
        ends = {"nearest": d == 0, "deepest": d == len(depths) - 1}
        names = ["slope", *(f"slope, {name}" for name, holds in ends.items() if holds)]
        error = f"of clips at most {np.nanmax(m.numbers['clip error'][-1, :, d], initial=0.0):.3f} at the end"
        for t in range(len(m.steps)):
            if not np.isfinite(slopes[t][m.sound]).all() or not m.sound.any():
                continue
            one = Depth(depth, slopes[t], sizes[t], m.numbers["clip error"][t, :, d]).of(m.sound)
            for name in names:
                value = one.slope.interval(book.level)
                book.add(name, value, "slope", depth, int(m.steps[t]), f"over seeds and edits; standard error {error}")
            book.add("R²", one.fit.interval(book.level), "share", depth, int(m.steps[t]), "line through the origin")
        agreement = 2 * slopes.mean(-1) - sizes.mean(-1)
        book.curve("agreement", agreement, "share", 2 * moved - (np.moveaxis(sizes, -1, 0) - sizes.mean(-1)), depth,
                   note="1 − |Δq − Δp|² / |Δp|²")  # fmt: skip
    return book.findings
