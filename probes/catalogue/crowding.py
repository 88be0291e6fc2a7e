"""The crowding probe: does shallow evidence keep deep evidence from being learned?

Inputs: a trace, and a ladder of evidence for each target. Measurement: a *twin* is trained with the same seeds and the
same clips but for the shallow evidence, which is drawn anew so that it tells nothing; at every checkpoint own bits,
reliance, captured bits and the pull on every rung, of the run and of its twin, each in its own world
(`probes.crowding`). Findings: u = U_deep / U*_deep of both, crowding = u(twin) − u(base), delay, starvation. Verdict:
the ordered rule of `probes.crowding.verdict`. Organisms: `probes.organisms.crowding`. Theory: section 6;
docs/probes/crowding.md.

Remedies are conditions: the same probe on runs with spectral decoupling, weight decay, dropout of the shallow evidence
or a larger learning rate. A twin is trained with whatever its base was trained with.

Source: Pezeshki et al. 2021, "Gradient Starvation: A Learning Proclivity in Neural Networks" (NeurIPS).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes import ladder
from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.crowding.delay import delay
from probes.crowding.measured import DEEP, SHALLOW, Sampling, measure_pair, nothing_deep, split_ladder
from probes.crowding.verdict import Runs, Settings, verdict
from probes.finding import Finding, Plotted, Verdict
from probes.ladder import references
from probes.measurement import Measurement, pack
from probes.pie import LEAST_RUNG
from probes.reference import described, marked
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.dataset import Dataset
    from worldnets.heads.inputs import Inputs
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
TWIN = ", twin"
SHARES = Plotted(("own share", "own share, twin", "crowding"), "share of deep own bits")


@dataclass
class CrowdingProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: enumeration or sample, its size, and where the ladder is cut.
        settings: margins and level of the verdict.
        ladders: ladders of your own by target name; the task's where there is none.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    ladders: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    name = "crowding"
    version = 1
    shown = SHARES

    def check(self, plan: Plan) -> None:
        """Refuse what has no twin.

        Raises:
            ProbeError: the dataset is itself a twin, or the head sits on a learned or growing world-model, which would
                have to be learned again in the twin's world.
        """
        _check(plan.dataset, plan.inputs)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Train the twin, and measure both at every checkpoint.

        Targets whose shallow evidence is the same share a twin.

        Args:
            trace: the run.
            progress: called as progress(done, total) after each checkpoint of each run and target.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: a ladder that is not one, or a trace that has no twin.
            TrainingError: every seed of the twin diverged.
        """
        from worldnets.training import retrained

        _check(trace.dataset, trace.inputs)
        dataset, task, sampling = trace.dataset, trace.task, self.sampling.of_references
        known = references(dataset, task, sampling)
        twins: dict[frozenset[str], Trace] = {}
        parts, done, total = [], 0, 2 * len(trace.steps) * len(task.targets)

        def step() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        for target in task.targets:
            rungs = self.ladders.get(target.name, task.ladders[target.name])
            split = split_ladder(known, ladder.checked_rungs(rungs, known.source), target.name, self.sampling)
            if not split.deep:
                parts.append(nothing_deep(target.name, trace.seeds, trace.steps, split))
                continue
            cut = frozenset(split.shallow)
            if cut not in twins:
                twins[cut] = retrained(trace, dataset=dataset.with_redrawn(split.shallow))
            twin = twins[cut]
            beside = references(twin.dataset, twin.task, sampling)
            parts.append(measure_pair(trace, twin, split, target.name, (known, beside), step))
        return marked(pack(parts, self.name, self.version), described(dataset))

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        return conclude_target(measurement, settings)


def _check(dataset: Dataset, inputs: Inputs) -> None:
    from worldnets.heads.growing import GrowingInputs

    if dataset.redrawn:
        mend = "measure the base run: the probe trains its twin itself"
        raise ProbeError("a twin has no twin", node=dataset.name, found=", ".join(dataset.redrawn), mend=mend)
    model = inputs.world_model
    if isinstance(inputs, GrowingInputs) or (model is not None and model is not dataset.net):
        what = "a growing world-model" if isinstance(inputs, GrowingInputs) else f"world-model {model!r}"
        mend = 'give the head raw evidence, inputs="evidence", or the beliefs of the dataset\'s own net'
        raise ProbeError("a twin would need a world-model of its own", node=dataset.name, found=what, mend=mend)


def runs_of(m: Measurement, settings: Settings) -> Runs:
    """What the rule is asked about one target."""
    shares: list[Floats] = []
    influences: list[Floats | None] = []
    ceilings = tuple(float(m.world[f"{prefix}ceiling"][DEEP]) for prefix in ("", "twin "))
    for prefix, ceiling in zip(("", "twin "), ceilings, strict=True):
        own = m.numbers[f"{prefix}own"][..., DEEP]
        share = own / ceiling if ceiling >= settings.least_ceiling else np.full(own.shape, math.nan)
        phi: Floats | None = None
        if f"{prefix}own" in m.grouped and f"{prefix}ceiling_groups" in m.world:
            group = m.world[f"{prefix}ceiling_groups"][:, DEEP]
            drawn = (group - group.mean())[:, None, None]
            phi = (m.grouped[f"{prefix}own"][..., DEEP] - share * drawn) / max(ceiling, 1e-12)
        shares.append(share)
        influences.append(phi)
    starved = None
    if "pull" in m.numbers:
        starved = starved_seeds(deep_pull(m), shares[0], settings.half)
    return Runs(m.steps, shares[0], shares[1], (ceilings[0], ceilings[1]), influences[0], influences[1], starved)


def deep_pull(m: Measurement, prefix: str = "") -> Floats:
    """Pull on all deep evidence together, the sum over the deep rungs, [T, S]."""
    return np.asarray(m.numbers[f"{prefix}pull"][..., m.plain["shallow_rungs"] :].sum(-1))


def starved_seeds(pull: Floats, share: Floats, half: float) -> NDArray[np.bool_]:
    """Seeds whose pull on the deep evidence had fallen to half of its largest so far while u was below `half`, [S]."""
    highest = np.maximum.accumulate(pull, axis=0)
    return np.asarray(((pull <= highest / 2) & (highest > 0) & (share < half)).any(0))


def conclude_target(m: Measurement, settings: Settings) -> tuple[list[Finding], Verdict]:
    """All findings of one target, and its verdict."""
    runs = runs_of(m, settings)
    concluded = verdict(runs, settings, m.target)
    split = m.plain["rungs"], int(m.plain["shallow_rungs"])
    sound = np.asarray(
        np.isfinite(m.numbers["own"][..., DEEP]).all(0) & np.isfinite(m.numbers["twin own"][..., DEEP]).all(0)
    )
    book = Book(m.target, m.steps, sound, 1 - settings.alpha)
    if "information" not in m.world:
        return book.findings, concluded
    if not sound.any():
        mend = "train with a smaller learning rate"
        raise ProbeError("every seed diverged, or its twin did", node=m.target, mend=mend)
    for prefix, ending in (("", ""), ("twin ", TWIN)):
        _about(book, m, prefix, ending, split)
        _curves(book, m, prefix, ending, split[1])
    if np.isfinite(runs.crowding[:, sound]).any():
        book.curve("own share", runs.base, "share", runs.base_influence, note="of the deep evidence")
        book.curve("own share, twin", runs.twin, "share", runs.twin_influence, note="of the deep evidence")
        book.curve("crowding", runs.crowding, "share", runs.influence, note="u(twin) − u(base)")
        kept = runs.of(sound)
        timed = delay(m.steps, kept.base, kept.twin, settings.half, 1 - settings.alpha)
        book.share("reached half", ~_all_seeds(timed.base.never, sound), f"u ≥ {settings.half:g} within the budget")
        book.share("reached half, twin", ~_all_seeds(timed.twin.never, sound), f"u ≥ {settings.half:g}")
        if timed.value is not None:
            step, how = int(m.steps[-1]), f"steps to u = {settings.half:g}, base over twin"
            book.add("delay", timed.value, "ratio", None, step, f"{how}; {timed.note}" if timed.note else how)
        if runs.starved is not None:
            book.share("starved", runs.starved, "seeds whose deep pull halved before half of the own bits were there")
    return book.findings, concluded


def _about(book: Book, m: Measurement, prefix: str, ending: str, split: tuple[Sequence[Sequence[str]], int]) -> None:
    rungs, k0 = split
    evidence = (rungs[:k0], rungs[k0:])
    for part, place in (("shallow", SHALLOW), ("deep", DEEP)):
        groups = [m.world.get(f"{prefix}{name}_groups") for name in ("information", "ceiling")]
        columns = [None if group is None else group[:, place] for group in groups]
        names = ", ".join(name for rung in evidence[place] for name in rung)
        offered, ceiling = m.world[f"{prefix}information"][place], m.world[f"{prefix}ceiling"][place]
        book.world(f"information, {part}{ending}", float(offered), "bits", None, columns[0], names)
        skipped = (
            f"{float(m.world[f'{prefix}skipped'][place]):.1%} of the redraws impossible and skipped; "
            "leaves the distribution on purpose"
        )
        book.world(f"own bits ceiling, {part}{ending}", float(ceiling), "bits", None, columns[1], skipped)


def _curves(book: Book, m: Measurement, prefix: str, ending: str, k0: int) -> None:
    for name, title in (("own", "own bits"), ("reliance", "reliance")):
        phi = m.grouped.get(f"{prefix}{name}")
        for part, place in (("deep", DEEP), ("shallow", SHALLOW)):
            column = None if phi is None else phi[..., place]
            book.curve(f"{title}, {part}{ending}", m.numbers[f"{prefix}{name}"][..., place], "bits", column)
    information = m.world[f"{prefix}information"]
    for part, place in (("deep", DEEP), ("shallow", SHALLOW)):
        if information[place] >= LEAST_RUNG:
            efficiency = m.numbers[f"{prefix}captured"][..., place] / information[place]
            phi = m.grouped.get(f"{prefix}captured")
            column = None if phi is None else _ratio_influence(m, prefix, place, efficiency)
            book.curve(f"efficiency, {part}{ending}", efficiency, "share", column)
    pull, phi = m.numbers[f"{prefix}pull"], m.grouped.get(f"{prefix}pull")
    raised = float(m.world[f"{prefix}floored"])
    how = f"; probabilities below 1e-6 in {raised:.1%} of the clips" if raised > 0 else ""
    for k in range(pull.shape[-1]):
        column = None if phi is None else phi[..., k]
        note = f"{'shallow' if k < k0 else 'deep'} rung{how}"
        book.curve(f"pull{ending}", pull[..., k], "bits", column, k + 1, note)
    whole = None if phi is None else phi[..., k0:].sum(-1)
    book.curve(f"pull, deep{ending}", deep_pull(m, prefix), "bits", whole, note=f"all deep rungs{how}")


def _ratio_influence(m: Measurement, prefix: str, place: int, efficiency: Floats) -> Floats:
    information = m.world[f"{prefix}information"][place]
    group = m.world[f"{prefix}information_groups"][:, place]
    drawn = (group - group.mean())[:, None, None]
    return np.asarray((m.grouped[f"{prefix}captured"][..., place] - efficiency * drawn) / information)


def _all_seeds(of_sound: NDArray[np.bool_], sound: NDArray[np.bool_]) -> NDArray[np.bool_]:
    whole = np.zeros(len(sound), dtype=bool)
    whole[sound] = of_sound
    return whole
