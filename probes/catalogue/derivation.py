"""The derivation probe: does a head memorise the worlds it was trained on, or derive the world of a clip at run time?

Inputs: a trace of heads that predict the next token of a meta-world (`chains`, `hidden_chains`). Measurement: at every
checkpoint the mixture of memorizers, derivers and silly predictors that comes nearest to the head, on clips of worlds
from the continuous prior that no one trained on, and on clips of training worlds. Findings: weights over training, what
the mixture leaves, divergence from the world, spread between seeds, when the head switched; work and description
length of memorizing, deriving and the head; bits of the deriver beside gradient descent on the same data. Verdict: the
ordered rule of `probes.derivation.verdict`. Organisms: `probes.organisms.derivation`. Theory: section 11;
docs/probes/derivation.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.derivation.measured import SIDES, kinds, measure, weights_of
from probes.derivation.meta_worlds import meta_world
from probes.derivation.predictors import is_retrieval
from probes.derivation.references import Sampling
from probes.derivation.verdict import BOTH, CONTROLS, DERIVER, MEMORIZER, Course, Settings, verdict
from probes.finding import Conclusion, Finding, Plotted, Verdict
from probes.measurement import Measurement, by_target, pack
from probes.statistics import clip_interval, exactly, over_seeds
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
#: What findings on either side are called.
ENDING = {"inside": ", training worlds", "outside": ""}
SHOWN = ("weight of memorizers", "weight of derivers", "weight of controls")


@dataclass
class DerivationProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: on which clips, how finely.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "derivation"
    version = 1

    def check(self, plan: Plan) -> None:
        """Refuse what is not asked for the next token of a meta-world.

        Raises:
            ProbeError: another dataset, a twin, another objective, or heads that are not given the tokens.
        """
        world = meta_world(plan.dataset)
        if len(plan.task.targets) != 1 or plan.task.targets[0].variables != (f"token_{len(plan.task.evidence) + 1}",):
            found, mend = plan.objective.name, 'train on "continuation_each_step", or on "continuation"'
            raise ProbeError("not asked for the next token", found=found, mend=mend)
        if len(plan.task.evidence) < 2 or world.frames < 3:
            found = f"{len(plan.task.evidence)} tokens of evidence"
            raise ProbeError("nothing to derive a world from", found=found, expected="≥ 2", mend="show more frames")
        if plan.inputs.name != "evidence" and not plan.stepping:
            mend = 'train with inputs="evidence"; beliefs about the chain are the memorizer\'s own work'
            raise ProbeError("heads that are not given the tokens", found=plan.inputs.name, mend=mend)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Hold every checkpoint against the references.

        Args:
            trace: the checkpoints.
            progress: called as progress(done, total) after each checkpoint.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`.
        """
        self.check(trace.plan)
        total = len(trace.steps)
        done = lambda count: None if progress is None else progress(count, total)
        return pack([measure(trace, self.sampling, done)], self.name, self.version)

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings and one verdict from the cells of one run: its groups of seeds, in any order.

        Raises:
            ProbeError: no cell, cells of different runs, or a seed measured twice.
        """
        settings = settings or self.settings
        findings: list[Finding] = []
        verdicts: dict[str, Verdict] = {}
        for m in by_target(cells, self.name):
            findings += _findings(m, settings)
            verdicts[m.target] = verdict(course_of(m), settings, m.target)
        return Conclusion(tuple(findings), verdicts, Plotted(SHOWN, "weight", "weight of "))


def course_of(m: Measurement, side: str = "outside") -> Course:
    """What the rule is asked about; on held-out worlds unless said otherwise."""
    weights, moved = weights_of(m, side)
    names = m.plain["names"]
    memorizer, deriver = [name for name in names if is_retrieval(name)][-1], names[-1]
    together = [group for group in m.plain["groups"] if memorizer in group and deriver in group]
    left = (m.numbers[f"{side} left"], m.grouped[f"{side} left"])
    one = (memorizer, deriver) if together else ()
    return Course(m.steps, weights, left[0], moved, left[1], one)


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    book.add("training worlds", exactly(float(m.plain["worlds"])), "worlds")
    _of_world(book, m)
    groups, kind = m.plain["groups"], kinds(m)
    for i, side in enumerate(SIDES):
        end = ENDING[side]
        weights, moved = weights_of(m, side)
        for what, name, note in (
            (MEMORIZER, "memorizers", "retrieval predictors together"),
            (DERIVER, "derivers", "inference predictors together"),
            (CONTROLS, "controls", ", ".join(m.plain["controls"])),
        ):
            book.curve(f"weight of {name}{end}", weights[..., what], "weight", moved[..., what], note=note)
        if "both" in kind:
            book.curve(f"weight of both kinds{end}", weights[..., BOTH], "weight", moved[..., BOTH])
        for place, group in enumerate(groups):
            note = "not told apart from each other" if len(group) > 1 else ""
            own, phi = m.numbers[f"{side} weights"][..., place], m.grouped[f"{side} weights"][..., place]
            book.curve(f"weight, {' = '.join(group)}{end}", own, "weight", phi, note=note)
        book.curve(f"left by the mixture{end}", m.numbers[f"{side} left"], "share", m.grouped[f"{side} left"],
                   note="of what the world is worth")  # fmt: skip
        for name, note in (
            ("excess", "E KL of the world's own prediction from the head's"),
            ("spread", "E KL of a seed's prediction from the mean over seeds"),
        ):
            book.curve(f"{name}{end}", m.numbers[f"{side} {name}"], "bits", m.grouped[f"{side} {name}"], note=note)
        condition = float(m.world["condition"][i])
        if np.isfinite(condition):
            book.add(f"condition of the references{end}", exactly(condition), "")
    _switches(book, m, settings)
    for name, unit, note in (
        ("work", "per token", "multiply-adds and table reads of the head, a lower bound"),
        ("description", "bits", "two-part description length of the head, an upper bound"),
    ):
        if name in m.ends:
            book.last(f"{name}, head", m.ends[name], unit, note=note)
    return book.findings


def _of_world(book: Book, m: Measurement) -> None:
    for side in SIDES:
        offer = m.world[f"{side} offer"]
        book.world(f"worth of the world{ENDING[side]}", float(offer[0]), "bits", groups=offer[1:],
                   note="E KL of the world's own prediction from the uniform one")  # fmt: skip
        for name, values in zip(m.plain["names"], m.world[f"{side} excess of references"], strict=True):
            book.world(f"excess of {name}{ENDING[side]}", float(values[0]), "bits", groups=values[1:])
    apart = m.world["apart"]
    memorizer = [i for i, name in enumerate(m.plain["names"]) if is_retrieval(name)][-1]
    book.world("memorizer and deriver apart", float(apart[-1, memorizer]), "bits", note="E KL on held-out worlds")
    for name in ("memorizer", "deriver", "derived"):
        book.world(f"work, {name}", float(m.world[name]), "per token", note="multiply-adds and table reads")
    book.world("work, deriving once", float(m.world["once"]), "", note="multiply-adds and table reads")
    if np.isfinite(m.world["break_even"]):
        note = "of one world, from which on deriving once and running that is less work than the memorizer"
        book.world("break-even", float(m.world["break_even"]), "clips", note=note)
    for name in ("memorizer", "deriver"):
        book.world(f"description, {name}", float(m.world[f"{name}_bits"]), "bits", note="two-part code")
    counts, descent = m.world["prequential counts"], m.world["prequential sgd"]
    note = "to send a clip of a held-out world, learning from nothing"
    book.add("prequential, counts", clip_interval(counts, book.level), "bits", note=note)
    note = f"{note}; best of several learning rates, in hindsight"
    book.add("prequential, gradient descent", clip_interval(descent, book.level), "bits", note=note)
    book.add("prequential, saved by counting", clip_interval(descent - counts, book.level), "bits", note="per clip")
    if np.isfinite(m.world["searched"]):
        book.world("search, worlds that have a say", float(m.world["searched"]), "worlds", note="after the last token")
        book.world("search, two halves apart", float(m.world["halves"]), "bits")


def _switches(book: Book, m: Measurement, settings: Settings) -> None:
    """When a seed's weight first passed to the other kind, for good."""
    weights, _ = weights_of(m, "outside")
    with np.errstate(invalid="ignore"):
        derives = weights[..., DERIVER] > weights[..., MEMORIZER]
        matched = (m.numbers["outside left"] <= settings.delta) & (weights[..., CONTROLS] <= settings.delta)
    for name, ends in (("deriver", derives), ("memorizer", ~derives)):
        kept = ends[-1] & matched[-1] & m.sound
        was = (~ends & matched).any(0) & kept
        note = "share of seeds that end with more of its weight, and had more of the other's before"
        book.share(f"switched to the {name}", was, note=note)
        if was.any():
            # The checkpoint after the last one at which it was otherwise.
            after = len(m.steps) - np.argmax(~ends[::-1], axis=0)
            steps = m.steps[np.minimum(after, len(m.steps) - 1)][was].astype(np.float64)
            what = f"of {int(was.sum())} of {int(m.sound.sum())} seeds"
            book.add(f"switch to the {name}", over_seeds(steps).interval(book.level), "steps", note=what)
