"""The fingerprint probe: can the initialisation be named from answers to never-seen combinations of seen symbols?

Inputs: a trace of heads on raw evidence. Measurement: the same request is trained again with every initialisation
crossed with every data order, one kind of evidence having a symbol that no clip shows; answers to clips of the world,
to never-seen combinations and to the reserved symbol. Findings: share of held-out runs that are given the right
initialisation, what share of the variance it is, how far runs that share one agree on further combinations, over
training. Verdict: the ordered rule of `probes.fingerprint.verdict`. Organisms: `probes.organisms.fingerprint`.
Theory: section 15; docs/probes/fingerprint.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.fingerprint.naming import (
    Names,
    between,
    components,
    correlation,
    jackknife,
    likeness,
    named,
    names,
    products,
    same_choice,
    share_named,
    tested,
)
from probes.fingerprint.symbols import Sampling, crossed, shown
from probes.fingerprint.verdict import Crossing, Settings, check, gained, verdict
from probes.measurement import Measurement, pack
from probes.statistics import Estimate, exactly
from probes.transmission.measured import scaled
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.presentation import Presentation
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
#: Conditions, and what they are called.
CONDITIONS = {
    "novel": "never-seen combinations",
    "seen": "clips of the world",
    "reserved": "the reserved symbol",
}
PLOTTED = Plotted(tuple(f"named, {name}" for name in CONDITIONS.values()), "share", "named, ")


@dataclass
class FingerprintProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: how many data orders, how many rows.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "fingerprint"
    version = 1
    shown = PLOTTED

    @property
    def presentation(self) -> Presentation:
        """Who is named, and what it predicts."""
        from probes.report.fingerprint import PRESENTATION

        return PRESENTATION

    def check(self, plan: Plan) -> None:
        """Refuse heads that see no symbols, and crossings that leave nothing to hold out.

        Raises:
            ProbeError: such a request.
        """
        check(2, self.sampling.orders)
        if plan.inputs.name != "evidence":
            mend = 'train with inputs="evidence"; beliefs are no symbols, and a reserved one has none'
            raise ProbeError("heads that are not given symbols", found=plan.inputs.name, mend=mend)
        if plan.dataset.reference != "exact":
            mend = "take a known world: its clips can be drawn in any order, and it has room for a reserved symbol"
            raise ProbeError("real clips come in one order", node=plan.dataset.name, mend=mend)
        if plan.data_order is not None:
            mend = "leave data_order out: the probe crosses initialisations with data orders itself"
            raise ProbeError("a trace of one data order", found=plan.data_order, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Train the crossing, and ask.

        Args:
            trace: whose request is trained; its seeds are the initialisations.
            progress: called as progress(done, total) after each data order, and after each checkpoint of each.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; one seed; no never-seen combination left.
        """
        self.check(trace.plan)
        runs = crossed(trace, self.sampling)
        rows = shown(runs, self.sampling)
        asked = {"novel": rows.novel, "seen": rows.seen, "choices": rows.others, "choices seen": rows.seen}
        if rows.reserved is not None:
            asked["reserved"] = rows.reserved
        found: dict[str, dict[str, list[Floats]]] = {target.name: {} for target in trace.task.targets}
        for o, run in enumerate(runs):
            for name, codes in asked.items():
                predict = run.predictor(codes)
                for target in found:
                    log_q = np.stack([predict(t, target) for t in range(len(trace.steps))])
                    found[target].setdefault(name, []).append(_chosen(log_q) if "choices" in name else _flat(log_q))
            if progress is not None:
                progress(o + 1, len(runs))
        losses = np.mean([run.losses for run in runs], axis=0)
        parts = []
        for target, answers in found.items():
            numbers = {name: np.stack(own, axis=2) for name, own in answers.items()} | {"loss": losses}
            world = {"surprise": np.array(rows.surprise), "impossible": np.array(rows.impossible)}
            plain = {"symbol": rows.symbol, "orders": len(runs), "rows": len(rows.novel)}
            parts.append(Measurement(target, trace.seeds, trace.steps, numbers, world=world, plain=plain))
        return pack(parts, self.name, self.version)

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict; a seed one of whose runs diverged is left out.

        Raises:
            ProbeError: fewer than two seeds are left.
        """
        sound = measurement.sound
        found = verdict(crossing_of(measurement, -1), settings, measurement.target)
        diverged = int((~sound).sum())
        if diverged:
            note = f"{diverged} of {len(sound)} seeds are left out: a run of theirs diverged."
            found = replace(found, reasons=(note, *found.reasons), diverged=diverged)
        return _findings(measurement, settings), found


def crossing_of(m: Measurement, checkpoint: int) -> Crossing:
    """The answers at a checkpoint, of sound seeds.

    Raises:
        ProbeError: fewer than two.
    """
    check(int(m.sound.sum()), int(m.plain["orders"]))
    at = {name: array[checkpoint][m.sound] for name, array in m.numbers.items() if name != "loss"}
    return Crossing(at["novel"], at["choices"], at.get("reserved"))


def _flat(log_q: Floats) -> Floats:
    """Centred log-probabilities of all rows, [T, S, D], from ln q [T, S, rows, outcomes]."""
    logs = scaled(log_q, "log-odds")
    return logs.reshape(*logs.shape[:2], -1)


def _chosen(log_q: Floats) -> Floats:
    """The outcome held most probable, [T, S, rows]; NaN where the run has diverged."""
    lost = np.isnan(log_q).any(-1)
    return np.where(lost, np.nan, np.where(np.isnan(log_q), 0.0, log_q).argmax(-1))


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    size, orders = int(m.sound.sum()), int(m.plain["orders"])
    own = names(size, orders, 0)
    book.add("chance", exactly(1 / size), "share", note="of a run to be given its own name")
    for place, kind in enumerate(("clips of the world", "never-seen combinations")):
        book.world(f"surprise of {kind}", float(m.world["surprise"][place]), "bits", note="−log2 W* of the evidence")
    book.world("impossible combinations", float(m.world["impossible"]), "share", note="of the never-seen ones, in W*")
    book.curve("loss", m.numbers["loss"], "bits", note="in training, mean over data orders")
    for t, step in enumerate(m.steps.tolist()):
        at = {name: array[t][m.sound] for name, array in m.numbers.items() if name != "loss"}
        if not all(np.isfinite(array).all() for array in at.values()):
            continue
        for name, words in CONDITIONS.items():
            if name in at:
                credit = named(products(at[name]), own)[0]
                book.add(f"named, {words}", share_named(credit, book.level), "share", None, step)
        for name, words in CONDITIONS.items():
            if name in at and (found := _shares(at[name])) is not None:
                book.add(f"share of initialisation, {words}", found.interval(book.level, 0), "share", None, step,
                         "of the variance of answers between runs")  # fmt: skip
                book.add(f"share of data order, {words}", found.interval(book.level, 1), "share", None, step)
        for name, ending in (("choices", ""), ("choices seen", ", clips of the world")):
            _agreement(book, at[name], own, ending, step)
    _last(book, m, settings, size, orders)
    return book.findings


def _shares(responses: Floats) -> Estimate | None:
    """Variance shares with the jackknife's error, elementwise; None where all runs answer alike."""
    size = len(responses)
    parts = [jackknife(lambda some, i=i: components(responses[some])[i], size) for i in range(2)]  # type: ignore[misc]
    if not all(np.isfinite(part.mean) for part in parts):
        return None
    stacked = {name: np.array([getattr(part, name) for part in parts]) for name in
               ("mean", "error", "freedom", "spread", "clip_error")}  # fmt: skip
    return Estimate(**{name: array.astype(np.float64).reshape(2) for name, array in stacked.items()}, n=size)


def _agreement(book: Book, choices: Floats, own: Names, ending: str, step: int) -> None:
    pairs, size = same_choice(choices), len(choices)
    orders = choices.shape[1]

    def of(some: Names, strangers: bool) -> float:
        same, every = between(pairs[some][:, :, some], names(len(some), orders, 0))
        return float((len(some) * every - same[0]) / (len(some) - 1) if strangers else same[0])

    for name, apart in (("same initialisation", False), ("strangers", True)):
        least = 3 if not apart else 4
        value = jackknife(lambda some, apart=apart: of(some, apart), size) if size >= least else None  # type: ignore[misc]
        interval = exactly(of(np.arange(size), apart)) if value is None else value.interval(book.level)
        book.add(f"agreement, {name}{ending}", interval, "share", None, step, "of rows on which two runs choose alike")
    estimate = gained(choices, orders)
    if np.isfinite(estimate.mean) and np.isfinite(estimate.error):
        book.add(f"disagreement gone{ending}", estimate.interval(book.level), "share", None, step,
                 "(same − strangers) / (1 − strangers)")  # fmt: skip


def _last(book: Book, m: Measurement, settings: Settings, size: int, orders: int) -> None:
    """Permuted names, the data order's own name, and whether likeness goes with agreement, at the end."""
    step = int(m.steps[-1])
    at = {name: array[-1][m.sound] for name, array in m.numbers.items() if name != "loss"}
    given = names(size, orders, settings.permutations, settings.seed)
    turned = names(orders, size, 0)
    pairs = same_choice(at["choices"])
    for name, words in CONDITIONS.items():
        if name not in at:
            continue
        found = tested(named(products(at[name]), given).mean((1, 2)))
        note = f"{settings.permutations} permutations of names; upper limit of p {found.most:.3f}"
        book.add(f"p, {words}", exactly(found.p), "", None, step, note)
        credit = named(products(at[name].swapaxes(0, 1)), turned)[0]
        book.add(f"data order named, {words}", share_named(credit, book.level), "share", None, step,
                 f"by chance {1 / orders:.2f}")  # fmt: skip
        alike = likeness(at[name])
        values = correlation(alike, pairs, given)
        if size < 4 or not np.isfinite(values).all():
            continue
        p = tested(values).p

        def of(some: Names, alike: Floats = alike) -> float:
            part, other = alike[some][:, :, some], pairs[some][:, :, some]
            return float(correlation(part, other, names(len(some), orders, 0))[0])

        estimate = jackknife(of, size)
        if np.isfinite(estimate.error):
            book.add(f"likeness and agreement, {words}", estimate.interval(book.level), "correlation", None, step,
                     f"over pairs of runs; permuted p {p:.3f}")  # fmt: skip
