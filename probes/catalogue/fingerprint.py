"""The fingerprint probe: can the initialisation be named from answers to never-seen combinations of seen symbols?

Inputs: a trace of heads on raw evidence. Measurement: the same request is trained again with every initialisation
crossed with every data order, one kind of evidence having a symbol that no clip shows; answers to clips of the world,
to never-seen combinations and to the reserved symbol. Findings: share of held-out runs that are given the right
initialisation, what share of the variance it is, how far runs that share one agree on further combinations, over
training. Verdict: the ordered rule of `probes.fingerprint.verdict`. Organisms: `probes.organisms.fingerprint`.
Theory: section 15; docs/probes/fingerprint.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Verdict
from probes.fingerprint.naming import (
    between,
    components,
    correlation,
    jackknife,
    likeness,
    named,
    names,
    products,
    same_and_strangers,
    same_choice,
    share_named,
)
from probes.fingerprint.symbols import Sampling, crossed, shown
from probes.fingerprint.verdict import Crossing, Settings, check, gained, verdict
from probes.measurement import Measurement, pack
from probes.statistics import exactly
from probes.transmission.measured import scaled
from worldnets.errors import ProbeError

if TYPE_CHECKING:
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
        if self.sampling.reserved and (plan.per_clip > 1 or plan.answers > 1):
            mend = 'train on "continuation" or "question", or measure with reserved = false'
            raise ProbeError(
                "evidence that is asked for, too, has no reserved symbol", found=plan.objective.name, mend=mend
            )
        if plan.data_order is not None:
            mend = "leave data_order out: the probe crosses initialisations with data orders itself"
            raise ProbeError("a trace of one data order", found=plan.data_order, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Train the crossing, and ask.

        Args:
            trace: whose request is trained; its seeds are the initialisations.
            progress: called as progress(done, total) after each data order has been trained and asked.

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
                _shares(book, at[name], words, step)
        for name, ending in (("choices", ""), ("choices seen", ", clips of the world")):
            _agreement(book, at[name], ending, step)
    _last(book, m, size, orders)
    return book.findings


def _shares(book: Book, responses: Floats, words: str, step: int) -> None:
    if len(responses) < 3:
        return
    found = jackknife(lambda some: components(responses[some]), len(responses))
    if np.isfinite(found.error).all():
        for place, whose in enumerate(("initialisation", "data order")):
            book.add(f"share of {whose}, {words}", found.interval(book.level, place), "share", None, step,
                     "of the variance of answers between runs")  # fmt: skip


def _agreement(book: Book, choices: Floats, ending: str, step: int) -> None:
    if len(choices) < 3:
        return
    means = between(same_choice(choices))
    found = jackknife(lambda some: np.array(same_and_strangers(means[np.ix_(some, some)])), len(choices))
    for place, name in enumerate(("same initialisation", "strangers")):
        book.add(f"agreement, {name}{ending}", found.interval(book.level, place), "share", None, step,
                 "of rows on which two runs choose alike")  # fmt: skip
    estimate = gained(choices)
    if np.isfinite(estimate.error):
        book.add(f"disagreement gone{ending}", estimate.interval(book.level), "share", None, step,
                 "(same − strangers) / (1 − strangers)")  # fmt: skip


def _last(book: Book, m: Measurement, size: int, orders: int) -> None:
    """Whether the data order is named, and whether likeness goes with agreement, at the end."""
    step = int(m.steps[-1])
    at = {name: array[-1][m.sound] for name, array in m.numbers.items() if name != "loss"}
    turned, pairs = names(orders, size, 0), same_choice(at["choices"])
    for name, words in CONDITIONS.items():
        if name not in at:
            continue
        credit = named(products(at[name].swapaxes(0, 1)), turned)[0]
        book.add(f"data order named, {words}", share_named(credit, book.level), "share", None, step,
                 f"by chance {1 / orders:.2f}")  # fmt: skip
        found = correlation(likeness(at[name]), pairs) if size > 2 else None
        if found is not None and np.isfinite(found.error):
            note = "over pairs of runs of different data orders: of their likeness here and their agreement elsewhere"
            book.add(f"likeness and agreement, {words}", found.interval(book.level), "correlation", None, step, note)
