"""The capacity probe: does a cap on a head's complexity keep it shallow, or make it deeper?

Inputs: a trace, and a cap (an option of its head such as width, depth or rounds, the rank of a linear head, or the
price of an L1, description-length or other penalty). Measurement: the same request is trained anew under every value of
the cap, same seeds and clips, and measured at its end: captured bits and loss (`probes.capacity`). Verdict: the ordered
rule of `probes.capacity.verdict`. Organisms: `probes.organisms.capacity`. Theory: section 8; docs/probes/capacity.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes import ladder
from probes.book import Book
from probes.capacity.caps import Cap, cap_of, changes, check
from probes.capacity.measured import measure_target
from probes.capacity.verdict import Settings, Sweep, verdict
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.ladder import references
from probes.measurement import Measurement, pack
from probes.pie import LEAST_RUNG, depth
from probes.reference import described, marked
from probes.statistics import exactly, over_seeds
from probes.verdict import Settings as Split
from probes.verdict import split

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
SHOWN = Plotted(("efficiency, deep, own cap",), "deep efficiency", "efficiency, deep, ")


@dataclass(frozen=True)
class Sampling(ladder.Sampling):
    """How it is measured: the references, and the sweep.

    Attributes:
        cap: "width", "depth", "rounds" or another numeric option of the head; "rank" of a linear head; "l1",
            "description_length", "weight_decay" or "rounds_price" (nats per round), where higher strength is a tighter
            cap; "" for the usual one of the head.
        values: of the sweep; none for the usual ones. The trace's own value is always among them.
    """

    cap: str = ""
    values: tuple[float, ...] = ()

    @property
    def of_references(self) -> ladder.Sampling:
        """The part that references depend on, so that other probes share them."""
        return ladder.Sampling(**{f.name: getattr(self, f.name) for f in fields(ladder.Sampling)})


@dataclass
class CapacityProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: references and sweep.
        settings: margins and level of the verdict.
        ladders: ladders of your own by target name; the task's where there is none.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    ladders: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    name = "capacity"
    version = 1
    shown = SHOWN

    def check(self, plan: Plan) -> None:
        """Refuse heads that have no such cap, or not with these values.

        Raises:
            ProbeError: such a head; values that are no numbers > 0, or the trace's own alone.
        """
        check(plan, self._cap(plan))

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Train the sweep, and measure the end of each run.

        Args:
            trace: one run of the sweep.
            progress: called as progress(done, total) after each training and each measurement.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; a ladder that is not one.
            TrainingError: every seed diverged under some cap.
        """
        from worldnets.training import retrained

        self.check(trace.plan)
        cap, task, done = self._cap(trace.plan), trace.task, 0
        total = len(cap.values) * (1 + len(task.targets))

        def step() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        end = int(trace.steps[-1])
        runs = []
        for position in range(len(cap.values)):
            own = position == cap.own
            change = changes(trace, cap, position)
            runs.append(trace if own else retrained(trace, steps=trace.last, checkpoints=(end,), **change))
            step()
        known = references(trace.dataset, task, self.sampling.of_references)
        parts = [
            measure_target(
                runs,
                cap,
                target.name,
                known.get(self.ladders.get(target.name, task.ladders[target.name]), target.name),
                step,
            )
            for target in task.targets
        ]
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        book, verdict = conclude_target(measurement, settings)
        return book.findings, verdict

    def _cap(self, plan: Plan) -> Cap:
        return cap_of(plan, self.sampling.cap, self.sampling.values)


def conclude_target(m: Measurement, settings: Settings) -> tuple[Book, Verdict]:
    """All findings of one target, and its verdict."""
    information, labels, own = m.world["information"], list(m.plain["labels"]), int(m.plain["own"])
    k0 = split(information, Split(shallow_share=settings.shallow_share, shallow_rungs=settings.shallow_rungs))
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    groups = m.world.get("information groups")
    for k, bits in enumerate(information):
        note = f"{'shallow' if k < k0 else 'deep'}: {', '.join(m.plain['rungs'][k])}"
        book.world("information", bits, "bits", k + 1, None if groups is None else groups[:, k], note)
    deep, phi = _efficiency(m, slice(k0, None))
    total, total_phi = _efficiency(m, slice(0, None))
    mean_rung, loss = depth(m.numbers["captured"]), m.numbers["loss"]
    for v, label in enumerate(labels):
        note = "the trace's own cap" if v == own else ""
        at = lambda groups, v=v: None if groups is None else groups[..., v]
        book.curve(f"efficiency, deep, {label}", deep[..., v], "share", at(phi), note=note)
        book.curve(f"efficiency, total, {label}", total[..., v], "share", at(total_phi), note=note)
        book.curve(f"depth, {label}", mean_rung[..., v], "rungs", some=True, note=note)
        book.curve(f"loss, {label}", loss[..., v], "bits", note=note)
        book.add(f"parameters, {label}", exactly(m.plain["parameters"][v]), "", note="of one head")
    book.curve("efficiency, deep, own cap", deep[..., own], "share", at_own(phi, own), note=labels[own])
    _against_own(book, m, labels, own, deep, phi)
    sweep = Sweep(
        labels,
        own,
        float(information[k0:].sum()),
        deep[-1].T,
        total[-1].T,
        None if phi is None else np.moveaxis(phi[:, -1], -1, 1),
    )
    return book, verdict(sweep, settings, m.target)


def at_own(groups: Floats | None, own: int) -> Floats | None:
    """Clip groups' deviations of the trace's own cap."""
    return None if groups is None else groups[..., own]


def _against_own(book: Book, m: Measurement, labels: Sequence[str], own: int, deep: Floats, phi: Floats | None) -> None:
    """Differences to the trace's own cap, seed by seed; the slope over the sweep."""
    if not np.isfinite(deep[-1][m.sound]).all():
        return
    for v, label in enumerate(labels):
        if v != own:
            gap = None if phi is None else phi[..., v] - phi[..., own]
            book.curve(f"deeper under {label}", deep[..., v] - deep[..., own], "share", gap, note=f"than {labels[own]}")
    place = np.arange(len(labels)) - (len(labels) - 1) / 2
    slope = deep[-1][m.sound] @ place / (place @ place)
    estimate = over_seeds(slope)
    note = "least-squares slope of deep efficiency over the sweep, tight to loose"
    book.add("change per step of the sweep", estimate.interval(book.level), "share", None, int(m.steps[-1]), note)


def _efficiency(m: Measurement, rungs: slice) -> tuple[Floats, Floats | None]:
    """ΣC/ΣI over rungs, [1, S, V], and the deviation of each clip group's contribution, [G, 1, S, V]."""
    captured, information = m.numbers["captured"], m.world["information"]
    whole = float(information[rungs].sum())
    if whole < LEAST_RUNG:
        return np.full(captured.shape[:3], np.nan), None
    share = captured[..., rungs].sum(-1) / whole
    groups = m.grouped.get("captured")
    if groups is None:
        return share, None
    offered = m.world["information groups"][:, rungs].sum(-1)[:, None, None, None]
    return share, (groups[..., rungs].sum(-1) - share * offered) / whole
