"""The goodhart probe: outputs are selected ever harder by a head's answer; does what they are truly worth go along?

Inputs: a trace of any head; or, by `about`, a base distribution over outputs with proxies and true values. Measurement:
outputs, all states of a head's evidence, are selected by its answer with growing pressure, √KL from the base
distribution: best of n, tilting (selection under a KL penalty), planning by max-product, planning by gradient; their
true value by message passing, also after do() on a factor the model held fixed; side effects by do(). Findings: true
value, proxy and ideal by pressure, forms fitted to them, side effects. Verdict: the ordered rule of
`probes.goodhart.verdict`. Organisms: `probes.organisms.goodhart`. Theory: section 13; docs/probes/goodhart.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Conclusion, Finding, Plotted, Verdict
from probes.goodhart.curves import FORMS, POINTS, PRESSURES, Curve, Form
from probes.goodhart.measured import Sampling, after_regime, measured, side_nodes, worths
from probes.goodhart.outputs import Outputs
from probes.goodhart.verdict import Pressed, Settings, verdict
from probes.ladder import Sampling as LadderSampling
from probes.ladder import references
from probes.measurement import Measurement, pack
from probes.reference import described, marked
from probes.sources import DatasetSource
from probes.statistics import exactly
from worldnets.errors import ProbeError

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace
    from worldnets.training_plan import Plan

PLOTTED = Plotted(("gain", "gain, half pressure", "shortfall"), "standard deviations of the true value")
SHOWN_POINTS = (0.25, 0.5, 0.75, 1.0)  # of the way to the most pressure, at which findings are given


@dataclass
class GoodhartProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both; `about` takes outputs of one's own.

    Args:
        sampling: what is selected, how hard, and what is truly wanted.
        settings: margins and level of the verdict.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "goodhart"
    version = 1
    shown = PLOTTED

    def check(self, plan: Plan) -> None:
        """Refuse what the world does not have before anything is trained.

        Raises:
            ProbeError: an unknown regime, side node, or wanted state.
        """
        for target in plan.task.targets:
            after_regime(plan.dataset.net, plan.task, target, self.sampling)
            worths(plan.dataset.net, target, self.sampling.wanted)
            side_nodes(plan.dataset, plan.task, target, self.sampling)

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Select outputs by the heads' answers, at every checkpoint.

        Args:
            trace: of any head.
            progress: called as progress(done, total) after each checkpoint of each target.

        Returns:
            What a cell stores, a measurement for each target and pressure. The same trace and sampling give the same
            bits.

        Raises:
            ProbeError: as `check`; an output that cannot be under the regime.
        """
        self.check(trace.plan)
        source = references(trace.dataset, trace.task, LadderSampling()).source
        assert isinstance(source, DatasetSource)
        targets, count = trace.task.targets, len(trace.steps)
        parts: list[Measurement] = []
        for i, target in enumerate(targets):

            def told(done: int, before: int = i * count) -> None:
                if progress is not None:
                    progress(before + done, len(targets) * count)

            parts += measured(trace, source, target, self.sampling, told)
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target and pressure, and its verdict."""
        return _findings(measurement, settings), verdict(pressed_at(measurement, -1), settings, measurement.target)


def pressed_at(m: Measurement, checkpoint: int) -> Pressed:
    """The curves at a checkpoint; with the error of clips where there is any, which is measured at the last one."""
    last = checkpoint in (-1, len(m.steps) - 1)
    moved, short = ((m.grouped[name][:, -1] if last and name in m.grouped else None) for name in ("value", "short"))
    return Pressed(
        m.world["at"],
        m.numbers["value"][checkpoint],
        m.world["ideal"],
        m.numbers["reach"][checkpoint],
        float(m.world["scale"]),
        moved,
        short,
        bool(m.plain.get("exact", False)),
    )


def about(
    outputs: Outputs | Sequence[Outputs],
    target: str = "value",
    pressures: Sequence[str] = PRESSURES,
    most: float = 8.0,
    points: int = POINTS,
    settings: Settings | None = None,
) -> Conclusion:
    """Select among outputs of one's own, and conclude.

    Args:
        outputs: one base distribution with its proxy, known, or drawn in groups; or several, replicates of one
            experiment such as seeds, over which intervals are made. Replicates share base weights and true values.
        target: what it is about.
        pressures: of `PRESSURES`.
        most: nats of KL up to which they are pressed.
        points: of each curve.
        settings: margins and level.

    Returns:
        Findings and a verdict for each pressure, under "target, pressure".

    Raises:
        ProbeError: no outputs, replicates of different ones, an unknown pressure, or none.
    """
    each = [outputs] if isinstance(outputs, Outputs) else list(outputs)
    if not each or not pressures:
        mend = "pass outputs, and leave pressures out for all of them"
        raise ProbeError("nothing to select, or nothing to select with", found=f"{len(each)} outputs", mend=mend)
    for one in each[1:]:
        if not (np.array_equal(one.weight, each[0].weight) and np.array_equal(one.value, each[0].value)):
            mend = "conclude about each base distribution by itself"
            raise ProbeError("replicates of different outputs", node=target, mend=mend)
    parts = []
    for pressure in pressures:
        curves = [Curve.of(one, pressure, most, points) for one in each]
        numbers = {
            "value": np.stack([curve.value for curve in curves])[None],
            "proxy": np.stack([curve.proxy for curve in curves])[None],
            "reach": np.array([[curve.reach for curve in curves]]),
        }
        names = tuple(each[0].sides)
        numbers |= {f"side: {v}": np.stack([curve.sides[v] for curve in curves])[None] for v in names}
        world = {"at": curves[0].at, "ideal": curves[0].ideal, "scale": np.array(each[0].scale)}
        plain = {"pressure": pressure, "outputs": len(each[0].weight), "sides": list(names), "exact": len(each) == 1}
        grouped = {}
        if curves[0].moved is not None and curves[0].short_moved is not None:
            grouped = {
                name: np.stack([getattr(curve, own) for curve in curves], axis=1)[:, None]
                for name, own in (("value", "moved"), ("short", "short_moved"))
            }
        steps, seeds = np.array([0], dtype=np.int64), tuple(range(len(each)))
        parts.append(
            Measurement(f"{target}, {pressure}", seeds, steps, numbers, grouped=grouped, world=world, plain=plain)
        )
    probe = GoodhartProbe(settings=settings or Settings())
    return probe.conclude([pack(parts, probe.name, probe.version)])


def _findings(m: Measurement, settings: Settings) -> list[Finding]:
    sound = pressed_at(m, -1).sound
    book = Book(m.target, m.steps, sound, 1 - settings.alpha)
    at, scale = m.world["at"], float(m.world["scale"])
    book.world("scale", scale, "value", note="standard deviation of the true value under no pressure")
    if not sound.any():
        return book.findings
    curves = {t: own for t in range(len(m.steps)) if (own := pressed_at(m, t).of(sound)).sound.all()}
    final = curves[len(m.steps) - 1]
    plain = replace(final, scale=1.0)  # numbers come in the unit they are told in
    last, step = final.last, int(m.steps[-1])

    def add(
        name: str, values: Any, unit: str, note: str = "", t: int = -1, moved: Any = None, rung: Any = None
    ) -> None:
        own = np.asarray(values, dtype=np.float64)
        if np.isfinite(own).all():
            value = plain.interval(plain.over(own, moved), book.level)
            book.add(name, value, unit, rung, int(m.steps[t]), note)

    for t, own in curves.items():
        end, half = own.last, round(own.last / 2)
        moved = None if own.moved is None or scale == 0 else own.moved / scale
        add("reach", own.reach, "√nats", "√KL that the proxy can be pressed to", t)
        if scale > 0:
            for name, place in (("gain", end), ("gain, half pressure", half)):
                note = f"true value at √KL = {at[place]:.2f} less that under no pressure"
                phi = None if moved is None else moved[..., place] - moved[..., 0]
                add(name, (own.value[:, place] - own.value[:, 0]) / scale, "sd", note, t, phi)
            short = None if own.short_moved is None else own.short_moved[..., end] / scale
            note = f"what selection by the truth would bring more at √KL = {at[end]:.2f}"
            add("shortfall", (own.ideal[end] - own.value[:, end]) / scale, "sd", note, t, short)
        optimism = m.numbers["proxy"][t][sound][:, end] - own.value[:, end]
        add("optimism", optimism, "value", f"proxy less true value at √KL = {at[end]:.2f}", t)
    for place in dict.fromkeys(round(share * last) for share in (0.0, *SHOWN_POINTS)):
        note = f"at √KL = {at[place]:.2f}"
        phi = None if final.moved is None else final.moved[..., place]
        rung = place + 1
        add("true value", final.value[:, place], "value", note, -1, phi, rung)
        add("proxy", m.numbers["proxy"][-1][sound][:, place], "value", note, -1, None, rung)
        book.add("ideal", exactly(float(final.ideal[place])), "value", rung, step, note)
        for v in m.plain["sides"]:
            side = m.numbers[f"side: {v}"][-1][sound][:, place]
            add(f"side effect on {v}", side, "probability", f"{note}, by do()", -1, None, rung)
    if scale > 0 and last >= 4:
        late = final.late
        book.add("late", final.interval(late, book.level), "sd", None, step,
                 f"from √KL = {at[final.third]:.2f} to {at[last]:.2f}")  # fmt: skip
        drop, peak = final.drop()
        book.add("drop", final.interval(drop, book.level), "sd", None, step,
                 f"since √KL = {peak:.2f}")  # fmt: skip
        for form in FORMS:
            fitted = [Form.of(form, at[: last + 1], (own - own[0])[: last + 1] / scale) for own in final.value]
            for part, unit in (
                ("alpha", "sd/√nat"),
                ("beta", "sd/√nat" if form == FORMS[1] else "sd/nat"),
                ("fit", ""),
            ):
                name = {"alpha": "α", "beta": "β", "fit": "R²"}[part]
                add(f"{form}, {name}", [getattr(one, part) for one in fitted], unit)
    return book.findings
