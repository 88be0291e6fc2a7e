"""The floors probe: is a belief linearly decodable from a head beyond what floors explain, and is it used?

Inputs: a trace of heads that show their activations (`Trace.inside`), a task that names latents. Measurement: at every
checkpoint R² of the exact belief W*(z | evidence) decoded from activations, cross-validated over evidence, beside three
floors (the untrained head of the same seed, the raw evidence, the exact answer to the task) and the ceiling (the exact
belief itself, 1); and what happens to the head's answer when what decodes the belief is taken out of the activations,
against random subspaces. Verdict: the ordered rule of `probes.floors.verdict`. Organisms: `probes.organisms.floors`.
Theory: known answers A (decodable is not used), section 16; docs/probes/floors.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.floors.decoding import Evaluation, Sampling, evaluation
from probes.floors.measured import Looked, looked_into, share_of
from probes.floors.verdict import Ends, Settings, verdict
from probes.ladder import Sampling as LadderSampling
from probes.ladder import references
from probes.measurement import Measurement, pack
from probes.reference import described, marked
from probes.sources import DatasetSource
from probes.statistics import exactly
from worldnets.errors import ProbeError
from worldnets.inside import has_inside, untrained

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
MOST_KEPT = 4  # worlds whose clips are held at a time
PLOTTED = Plotted(("R²", "gain", "excess effect"), "share")


@dataclass
class FloorsProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: clips, folds, random subspaces.
        settings: margins and level of the verdict.

    Clips and exact beliefs are kept between calls: all checkpoints, seeds and heads of a world share them.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    _made: dict[tuple[Any, ...], Evaluation] = field(default_factory=dict, repr=False)

    name = "floors"
    version = 1
    shown = PLOTTED

    def check(self, plan: Plan) -> None:
        """Refuse heads that do not show their activations, and tasks without latents.

        Raises:
            ProbeError: such a head or task.
        """
        if plan.stepping or not has_inside(plan.kind):
            mend = "probe linear, mlp, gru, transformer or message_passing; or give the head the methods `activations` "
            found, mend = f"head {plan.head_name!r}", mend + "and `answer`"
            raise ProbeError("the head shows no activations to decode from", found=found, mend=mend)
        if plan.head_options.get("halting", False) is not False:
            found, mend = "halting", "train it without halting"
            raise ProbeError("answers of many rounds have no one set of messages", found=found, mend=mend)
        if not plan.task.latents:
            mend = "name latents in the dataset"
            raise ProbeError("the task names no latents to decode beliefs about", node=plan.task.objective, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Decode and ablate every latent's belief at every checkpoint.

        Args:
            trace: of heads that show their activations.
            progress: called as progress(done, total) after each checkpoint.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; too little evidence to hold any out.
        """
        self.check(trace.plan)
        known = self._evaluation(trace)
        start = trace if trace.steps[0] == 0 else untrained(trace)
        latents = trace.task.latents
        looked = looked_into(trace, known, latents, self.sampling.draws, self.sampling.seed, progress)
        inside = start.inside(known.codes).activations(0)
        first = np.stack([known.residuals(one, latents) for one in inside])  # [S, L, G]
        floors = {name: known.residuals(getattr(known, name), latents) for name in ("history", "readout")}
        parts = [
            _measurement(trace, known, z, looked, i, first[:, i], {name: found[i] for name, found in floors.items()})
            for i, z in enumerate(latents)
        ]
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        found = ends_of(measurement, settings)
        return _findings(measurement, settings), verdict(found, settings, measurement.target)

    def _evaluation(self, trace: Trace) -> Evaluation:
        key = (trace.dataset.digest, trace.objective, self.sampling)
        if key not in self._made:
            source = references(trace.dataset, trace.task, LadderSampling()).source
            assert isinstance(source, DatasetSource)
            while len(self._made) >= MOST_KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[key] = evaluation(trace.dataset, trace.task, source, self.sampling)
        return self._made[key]


def _measurement(
    trace: Trace,
    known: Evaluation,
    latent: str,
    looked: Looked,
    place: int,
    first: Floats,
    floors: Mapping[str, Floats],
) -> Measurement:
    residual = looked.residual[:, :, place]  # [T, S, G]
    groups = {"residual": residual, "effect": looked.effect[:, :, place], "random": looked.random[:, :, place]}
    groups["everything"] = looked.everything
    numbers = {name: values.mean(-1) for name, values in groups.items()}
    numbers["loss added"] = looked.loss[:, :, place]
    grouped = {name: np.moveaxis(values - values.mean(-1, keepdims=True), -1, 0) for name, values in groups.items()}
    world = {f"{name}": values for name, values in floors.items()} | {
        "variance": np.array(known.variance(latent)),
        "ceiling": known.residuals(known.beliefs[latent], [latent])[0],
    }
    ends = {"untrained": first.mean(-1), "untrained groups": first}
    plain = {"clips": trace_clips(known), "rows": len(known.codes), "dimensions": looked.dimensions[place]}
    return Measurement(latent, trace.seeds, trace.steps, numbers, ends, grouped, world, plain)


def trace_clips(known: Evaluation) -> int:
    """Clips behind the distinct rows."""
    return round(1 / known.shares[known.shares > 0].min()) * len(known.shares)


def gains(m: Measurement, settings: Settings) -> tuple[Floats, Floats, Floats]:
    """The best floor's residual of each seed [S], gains [T, S] and their influences [G, T, S].

    gain = (F − A) / max(F, least room), F the smallest residual of the three floors, A the head's own; −1 where it is
    less: no readout is by so much worse than a floor but by chance.
    """
    groups = np.stack([np.broadcast_to(m.world[name], m.ends["untrained groups"].shape) for name in
                       ("history", "readout")] + [m.ends["untrained groups"]])  # fmt: skip
    best = groups.mean(-1).argmin(0)  # [S]
    floor = groups[best, np.arange(groups.shape[1])]  # [S, G]
    mean = floor.mean(-1)
    left = m.numbers["residual"]
    bounded = np.maximum(mean, settings.least_room)
    gain = np.maximum((mean - left) / bounded, -1.0)
    floor_moved = (floor - mean[:, None]).T[:, None]  # [G, 1, S]
    scale_moved = np.where(mean >= settings.least_room, floor_moved, 0.0)
    moved = (floor_moved - m.grouped["residual"] - gain * scale_moved) / bounded
    return mean, gain, np.where(gain > -1.0, moved, 0.0)


def excesses(m: Measurement) -> tuple[Floats, Floats]:
    """Excess effects [T, S] and their influences [G, T, S]; see `share_of`."""
    difference = m.numbers["effect"] - m.numbers["random"]
    moved = m.grouped["effect"] - m.grouped["random"]
    return share_of(difference, m.numbers["everything"], moved, m.grouped["everything"])


def ends_of(m: Measurement, settings: Settings) -> Ends:
    """What the rule is asked about."""
    floor, gain, gain_moved = gains(m, settings)
    excess, excess_moved = excesses(m)
    room, variance = float(floor[m.sound].mean()) if m.sound.any() else 1.0, float(m.world["variance"])
    return Ends(variance, room, gain[-1], excess[-1], gain_moved[:, -1], excess_moved[:, -1])


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    book.world("variance of the exact belief", float(m.world["variance"]), "", note="sum over states")
    ceiling = 1 - float(m.world["ceiling"].mean())
    book.add("R², exact belief", exactly(ceiling), "share", note="the ceiling: message passing itself, decoded alike")
    for name, title in (("history", "R², raw evidence"), ("readout", "R², exact answer")):
        groups = 1 - m.world[name]
        book.world(title, float(groups.mean()), "share", groups=groups, note="floor")
    book.last("R², untrained head", 1 - m.ends["untrained"], "share", note="floor; the same seed before training")
    _, gain, gain_moved = gains(m, settings)
    excess, excess_moved = excesses(m)
    book.curve("R²", 1 - m.numbers["residual"], "share", -m.grouped["residual"])
    book.curve("gain", gain, "share", gain_moved, note="share of what the best floor leaves unexplained")
    book.curve("effect of taking it out", m.numbers["effect"], "bits", m.grouped["effect"], note="KL of the answer")
    book.curve("effect of random subspaces", m.numbers["random"], "bits", m.grouped["random"])
    book.curve("effect of taking out everything", m.numbers["everything"], "bits", m.grouped["everything"])
    book.curve("loss added by taking it out", m.numbers["loss added"], "bits", note="against the exact answer")
    book.curve("excess effect", excess, "share", excess_moved)
    return book.findings
