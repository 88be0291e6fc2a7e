"""The priors probe: which penalty moves heads towards deriving at run time, and which away?

Inputs: a trace of message-passing heads that learn how many rounds to take. Measurement: the same request is trained
anew paying for description, for rounds, and for both; what is derived at run time, bits captured, rounds used and
description lengths are compared; heads of fixed rounds share one budget in the outer loop (`probes.priors.pressure`).
On the vault the five programs of theory §12 run beside, one situation per seed, and the exchange rate at which the
choice between H_sd and H_fh flips is held against its symbolic value (`probes.priors.flip`). Verdicts: the ordered
rules of `probes.priors.verdict`, and of `flip` on each clock. Organisms: `probes.organisms.priors`. Theory: section 12;
docs/probes/priors.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Conclusion, Plotted, Verdict
from probes.ladder import references
from probes.measurement import Measurement, by_target, pack
from probes.priors import flip
from probes.priors.pressure import PAID, Sampling, head_lengths, measure_target, trained
from probes.priors.situation import Sizes
from probes.priors.verdict import Pressed, Settings, chosen, verdict
from probes.reference import described, marked, notes, under
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

SHOWN = Plotted(("derived, no penalty", "derived, speed", "derived, complexity"), "derived at run time", "derived, ")
UNITS = {"loss": "bits", "derived": "share", "captured": "share", "at once": "share", "rounds": "rounds",
         "bits": "bits", "two-part": "bits", "prequential": "bits"}  # fmt: skip


@dataclass
class PriorsProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: references, prices, outer loop.
        settings: margins and level of the verdicts.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "priors"
    version = 2  # 2: when to halt is no longer paid for as description

    def check(self, plan: Plan) -> None:
        """Refuse heads that take no rounds of their own choice, or that pay for rounds or description already.

        Raises:
            ProbeError: such a request.
        """
        halting = plan.head_name == "message_passing" and bool(plan.head_options.get("halting"))
        if not halting:
            mend = 'train "message_passing" with head_options={"halting": true}'
            raise ProbeError("priors are of heads that learn how many rounds to take", node=plan.head_name, mend=mend)
        for penalty in plan.penalties:
            if penalty.name in PAID:
                mend = "leave it out: the probe trains with it and without"
                raise ProbeError("the heads pay already", node=penalty.name, found=penalty.strength, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Train under every penalty and in the outer loop, measure the ends, and run the five programs on a vault.

        Args:
            trace: of heads without penalty.
            progress: called as progress(done, total) after each training and each measurement.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`; a ladder that is not one.
            TrainingError: every seed diverged under some penalty.
        """
        self.check(trace.plan)
        sampling, task, done = self.sampling, trace.task, 0
        total = 4 + len(sampling.rounds) + 4 + len(task.targets) + 1

        def step() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        runs = trained(trace, sampling, step)
        known = references(trace.dataset, task, sampling.of_references)
        pairs = [(target.name, known.get(task.ladders[target.name], target.name)) for target in task.targets]
        lengths = []
        for one in runs.conditions:
            lengths.append(head_lengths(one, pairs))
            step()
        parts = []
        for name, reference in pairs:
            parts.append(measure_target(runs, name, reference, lengths))
            step()
        if sampling.programs and trace.dataset.name == "vault":
            sizes = Sizes(horizon=sampling.horizon)
            parts += flip.measured(trace.seeds, sizes, int(trace.steps[-1]))
        step()
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings and verdicts, one per target of the heads and one per clock of the programs.

        Raises:
            ProbeError: no cell, cells of different runs, a seed measured twice, or every seed diverged.
        """
        settings = settings or self.settings
        found: list[Any] = []
        verdicts: dict[str, Verdict] = {}
        for m in by_target(cells, self.name):
            if "clock" in m.plain:
                book, verdicts[m.target] = flip.concluded(m, settings.of_programs)
            else:
                book, one = conclude_target(m, settings)
                verdicts[m.target] = under(one, cells)
            found += book.findings
        return Conclusion(tuple(found), verdicts, SHOWN, notes(cells))


def conclude_target(m: Measurement, settings: Settings) -> tuple[Book, Verdict]:
    """All findings of one target of the heads, and its verdict."""
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    conditions = list(m.plain["conditions"])
    for name, unit in UNITS.items():
        if name not in m.numbers:
            continue
        for v, condition in enumerate(conditions):
            values = m.numbers[name][..., v]
            book.curve(f"{name}, {condition}", values, unit)
            if v:
                book.curve(f"change of {name}, {condition}", values - m.numbers[name][..., 0], unit)
    loop, pie = list(m.plain["loop"]), float(m.plain["pie"])
    for r, (rounds, steps) in enumerate(zip(loop, m.plain["loop steps"], strict=True)):
        note = f"{steps:,} steps: the budget"
        book.curve(f"outer loop, loss, {rounds} rounds", m.numbers["loop loss"][..., r], "bits", note=note)
        book.curve(f"outer loop, derived, {rounds} rounds", m.numbers["loop derived"][..., r], "share", note=note)
    pressed = Pressed(m.numbers["derived"][-1], m.numbers["captured"][-1], pie, loop, m.numbers["loop loss"][-1])
    kept = pressed.of(np.asarray(m.sound))
    if len(kept.derived) > 1:
        choice = chosen(kept, settings)
        for rounds, one in zip(loop, choice.behind, strict=True):
            book.add(f"outer loop, loss beyond the best, {rounds} rounds", one.interval(book.level), "share",
                     None, int(m.steps[-1]), "of the pie")  # fmt: skip
    return book, verdict(pressed, settings, m.target)
