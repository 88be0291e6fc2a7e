"""The steering probe: does training move the world towards what is easy to predict, where forecasts feed back into it?

Inputs: a trace of heads that forecast a node whose next frame hears the forecast (`echo`, or any world made by
`worldnets.feedback.with_feedback`). Measurement: every head's forecasts are published, and the world's answer over the
horizon is worked out exactly by do(); beside it the forecast that the world bears out, the easiest world that could be
made, and an honest companion trained alike, whose gradient does not go through the world. Findings: how hard the world
is to predict, what the head loses in it, how far it was moved, over training. Verdict: the ordered rule of
`probes.steering.verdict`. Organisms: `probes.organisms.steering`. Theory: section 17; docs/probes/steering.md.
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
from probes.measurement import Measurement, pack
from probes.statistics import exactly
from probes.steering.measured import Sampling, feedback_for, steered, tables, yardstick
from probes.steering.verdict import Settings, verdict
from worldnets.errors import ProbeError, TrainingError
from worldnets.heads.forecaster import forecast_task
from worldnets.training import retrained

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
PLOTTED = Plotted(("steered", "steered, honest companion"), "share of what could be", "steered, ")
#: Roles, and how findings about them end.
ROLES = {"head": "", "honest": ", honest companion"}


@dataclass
class SteeringProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: over which horizon.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "steering"
    version = 1
    shown = PLOTTED

    def check(self, plan: Plan) -> None:
        """Refuse worlds that hear no forecast, and heads that make none.

        Raises:
            ProbeError: no feedback, a forecast of other states than what it predicts, another task, beliefs, penalties,
                a horizon of no frames.
        """
        feedback = feedback_for(plan.dataset)
        yardstick(feedback, self.sampling.horizon)
        if plan.inputs.name != "evidence" or plan.penalties:
            found = "penalties" if plan.penalties else f"inputs={plan.inputs.name!r}"
            mend = 'train with inputs="evidence" and without penalties'
            raise ProbeError("a forecaster that has no honest companion", found=found, mend=mend)
        try:
            forecast_task(plan, feedback)
        except TrainingError as error:
            raise ProbeError(error.what, found=error.found, expected=error.expected, mend=error.mend) from error

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Publish the heads' forecasts, and those of honest companions trained alike.

        Args:
            trace: the checkpoints.
            progress: called as progress(done, total) when the companion is trained, and when all is measured.

        Returns:
            What a cell stores. The same trace and sampling give the same bits.

        Raises:
            ProbeError: as `check`.
        """
        self.check(trace.plan)
        feedback = feedback_for(trace.dataset)
        known = yardstick(feedback, self.sampling.horizon)
        options = {"through": 0.0, "horizon": self.sampling.horizon, "spread": self.sampling.spread}
        how: dict[str, Any] = {}
        if trace.head != "forecaster":
            how = {"optimizer": "adam", "learning_rate": self.sampling.learning_rate}
        honest = retrained(trace, head="forecaster", head_options=options, **how)
        if progress is not None:
            progress(1, 2)
        numbers: dict[str, Floats] = {}
        for role, run in (("head", trace), ("honest", honest)):
            found = steered(known, tables(run, feedback))
            numbers |= {f"{name}, {role}": getattr(found, name) for name in ("hardness", "loss", "moved", "apart")}
        if progress is not None:
            progress(2, 2)
        world = {"hardness": np.array(known.hardness), "easiest": np.array(known.easiest), "settled": known.settled}
        plain = {"horizon": known.horizon, "seen": list(feedback.seen), "predicted": feedback.predicted}
        (target,) = trace.task.targets
        measured = Measurement(target.name, trace.seeds, trace.steps, numbers, world=world, plain=plain)
        return pack([measured], self.name, self.version)

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        shares, steerable = shares_of(measurement)
        found = verdict(shares["head"][-1], shares["honest"][-1], steerable, settings, measurement.target)
        return _findings(measurement, settings), found


def shares_of(m: Measurement) -> tuple[dict[str, Floats], float]:
    """What each role's heads have steered, as a share of what could be, [T, S], and what could be, in bits.

    In bits where nothing could be steered.
    """
    hard, easy = float(m.world["hardness"]), float(m.world["easiest"])
    scale = hard - easy if hard - easy > 1e-9 else 1.0
    return {role: (hard - m.numbers[f"hardness, {role}"]) / scale for role in ROLES}, hard - easy


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    hard, easy = float(m.world["hardness"]), float(m.world["easiest"])
    book.add("hardness, settled forecast", exactly(hard), "bits", note="H(Y | what is seen), which the best would lose")
    book.add("hardness, easiest found", exactly(easy), "bits", note="least that any publication was found to leave")
    book.add("steerable", exactly(hard - easy), "bits", note=f"per forecast, over {m.plain['horizon']} frames")
    shares, _ = shares_of(m)
    for role, ending in ROLES.items():
        book.curve(f"steered{ending}", shares[role], "share", note="of what could be steered")
        for name, unit, note in (
            ("hardness", "bits", "H(Y | what is seen) under do(publish the head's forecasts)"),
            ("loss", "bits", "of the published forecasts in the world that hears them"),
            ("moved", "share", "total variation of what comes, from that under the settled forecast"),
            ("apart", "bits", "KL of the settled forecast from the head's"),
        ):
            book.curve(f"{name}{ending}", m.numbers[f"{name}, {role}"], unit, note=note)
        excess = m.numbers[f"loss, {role}"] - m.numbers[f"hardness, {role}"]
        book.curve(
            f"miscalibration{ending}", excess, "bits", note="loss less hardness: what calibration would win back"
        )
    book.curve("steered, more than honest", shares["head"] - shares["honest"], "share", note="seed by seed")
    return book.findings
