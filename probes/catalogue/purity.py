"""The purity probe: is the world-model that training made the world, or does it only look like it?

Inputs: a trace whose head is a world-model, such as `world_model`, trained through any objective. Measurement: at every
checkpoint and seed the world-model W beside W*, the dataset's own net: KL(W*‖W) on the observables, information about
the true latents in a readout of W's beliefs, answers to do() (`probes.purity`), and the proxy losses by which runs are
compared (`probes.purity.gap`). Verdict: the ordered rule of `probes.purity.verdict`. Organisms:
`probes.organisms.world_models`. Theory: section 3; docs/probes/purity.md.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Described
from probes.finding import Conclusion, Finding, Plotted
from probes.purity.measured import About, Measured, joined, measure_models, of_seeds, pack, unpack
from probes.purity.shares import accuracy, demands, learnable, recovery
from probes.purity.truth import Sampling, Truth, truth
from probes.purity.verdict import TARGET, TITLES, Settings, verdict
from probes.reference import described, marked, notes, under
from probes.statistics import exactly
from worldnets.errors import ProbeError, WorldnetsError
from worldnets.objectives import REGISTRY as OBJECTIVES

if TYPE_CHECKING:
    from probes.presentation import Presentation
    from probes.protocol import Progress
    from worldnets.net import WorldNet
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
_MEND = 'train the head "world_model", or another that has a net of its own'


@dataclass(repr=False)
class PurityProbe(Described):
    """`measure` a trace of world-models, `conclude` from measured cells, or `run` both.

    Args:
        sampling: clips where not everything can be summed up, where interventions are made, which losses.
        settings: margins and level of the verdict.

    What W* says is kept between calls, so that all cells on one world share it.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    _truths: dict[tuple[Any, ...], Truth] = field(default_factory=dict, repr=False)

    name = "purity"
    version = 1

    @property
    def presentation(self) -> Presentation:
        """Divergence, latent recovery and do() accuracy."""
        from probes.report.purity import PRESENTATION

        return PRESENTATION

    def check(self, plan: Plan) -> None:
        """Refuse heads that are no world-models, and losses of objectives that do not exist.

        Raises:
            ProbeError: such a head.
            UnknownNameError: such an objective.
        """
        for name in self.sampling.losses:
            OBJECTIVES.get(name)
        if not hasattr(plan.kind, "net"):
            raise ProbeError("purity is of world-models", found=f"head {plan.head_name!r}", mend=_MEND)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Measure the world-model of every seed at every checkpoint.

        Args:
            trace: its head must be a world-model.
            progress: called as progress(done, total) after each checkpoint.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: the head is no world-model, or has nothing in common with the world.
        """
        sound = [seed for seed, lost in zip(trace.seeds, trace.diverged, strict=True) if lost is None or lost > 0]
        if not sound:
            raise ProbeError("every seed diverged at once", mend="train with a smaller learning rate")
        first = _world_model(trace, 0, sound[0])
        key = (trace.dataset.digest, trace.objective, tuple(first.states.items()))
        if key not in self._truths:
            self._truths[key] = truth(trace.dataset, first, self.sampling, trace.objective)

        def model(checkpoint: int, seed: int) -> WorldNet | None:
            lost = trace.diverged[trace.seeds.index(seed)]
            return (
                None if lost is not None and lost <= trace.steps[checkpoint] else _world_model(trace, checkpoint, seed)
            )

        measured = measure_models(
            self._truths[key], trace.seeds, trace.steps, model, trace.objective, trace.losses, progress
        )
        return marked(pack(measured, self.version), described(trace.dataset))

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings and the verdict from the cells of one run: its groups of seeds, in any order.

        Raises:
            ProbeError: no cell, cells of different runs, or a seed measured twice.
        """
        if not cells:
            raise ProbeError("nothing was measured", mend="pass at least one cell")
        measured = joined([unpack(cell) for cell in cells])
        settings = settings or self.settings
        found = verdict(measured.steps, demands(measured, settings), settings)
        verdicts = {TARGET: under(found, cells)}
        return Conclusion(tuple(_findings(measured, settings)), verdicts, SHARES, notes(cells))

    def of_seeds(self, cell: Mapping[str, Any], wanted: Container[int]) -> dict[str, Any]:
        """A measured cell with some of its seeds only."""
        return marked(of_seeds(cell, wanted), cell["metadata"].get("reference"))

    def run(self, trace: Trace, progress: Progress | None = None) -> Conclusion:
        """Measure a trace and conclude."""
        return self.conclude([self.measure(trace, progress)])


def _world_model(trace: Trace, checkpoint: int, seed: int) -> WorldNet:
    try:
        return trace.world_model(checkpoint, seed)
    except WorldnetsError as error:
        raise ProbeError("purity is of world-models", node=trace.head, found=error.what, mend=_MEND) from None


SHARES = Plotted(("structure captured", "latent recovery", "do() accuracy"), "share of what W* has")


def _findings(measured: Measured, settings: Settings) -> list[Finding]:
    about, numbers = measured.about, measured.numbers
    sound = np.asarray(np.isfinite(numbers.divergence).all(0))
    book = Book(TARGET, measured.steps, sound, 1 - settings.alpha)
    how = f"from {about.clips:,} clips" if about.clips else f"over all {about.configurations:,} configurations"
    note = f"what who knows only each observable's distribution lacks, {how}"
    if about.reference != "exact":
        note += "; W* is itself a learned model here"
    book.world("structure of the observables", float(about.structure), "bits", groups=about.structure_groups, note=note)
    for i, kind in enumerate(about.kinds):
        offered = None if about.information_groups is None else about.information_groups[:, i]
        name = f"information about the latent, {kind}"
        book.world(name, float(about.information[i]), "bits", groups=offered, note="in all that is seen")
    for i, name in enumerate(_named(about)):
        unseen = f"leads with probability {about.unseen[i]:.2f} to what clips hardly ever show"
        note = "" if about.unseen[i] <= settings.most_unseen else f"{unseen}: not demanded"
        book.world(f"effect of {name}", float(about.effect[i]), "bits", note=note)
        if about.effect[i] > 0:
            seeing = exactly(1.0 - about.seeing[i] / about.effect[i])
            book.add(f"accuracy of {name}, of who takes seeing for doing", seeing, "share")
    book.curve("divergence on observables", numbers.divergence, "bits", numbers.divergence_groups)
    if np.nanmax(numbers.floored, initial=0.0) > 0:
        book.curve("configurations held impossible", numbers.floored, "", note="each counts as 39.9 bits")
        book.curve("probability held impossible", numbers.floored_share, "share")
    asked = demands(measured, settings)
    for part, title in TITLES.items():
        members = [demand for demand in asked if demand.part == part]
        if part == "latents" and members:
            kinds = [about.kinds.index(demand.name) for demand in members]
            book.curve(title, *_with_unit(recovery(measured, kinds)), note="all kinds together")
            book.curve(f"{title}, relabelled only", *_with_unit(recovery(measured, kinds, relabelled=True)))
        if part == "do()" and members:
            which = np.concatenate([learnable(measured, demand.name, settings) for demand in members])
            book.curve(title, accuracy(measured, which), "share", note="all demanded interventions together")
        for demand in members:
            book.curve(demand.title, demand.share, "share", demand.influence)
    for i, name in enumerate(_named(about)):
        book.curve(f"error of {name}", numbers.error[..., i], "bits")
        book.curve(f"total variation of {name}", numbers.variation[..., i], "share")
    for i, kind in enumerate(about.kinds):
        labels = numbers.labels[..., i, :]
        renamed = (np.where(labels >= 0, labels, np.arange(labels.shape[-1])) != np.arange(labels.shape[-1])).any(-1)
        book.share(f"seeds that name states otherwise, {kind}", renamed[-1])
    for i, objective in enumerate(about.objectives):
        least = f"W* itself has {about.least[i]:.3f}" if np.isfinite(about.least[i]) else ""
        book.curve(f"loss, {objective}", numbers.losses[..., i], "bits", note=least)
    return book.findings


def _named(about: About) -> list[str]:
    return [f"do({node} = {state})" for node, state in zip(about.nodes, about.set_to, strict=True)]


def _with_unit(share: tuple[Floats, Floats | None]) -> tuple[Floats, str, Floats | None]:
    return share[0], "share", share[1]
