"""The early probe: does the first tenth of a run tell how it will end, and when depth arrives?

Inputs: a trace. Measurement: the depth probe's curves at every checkpoint, and own bits, reliance and pull of the deep
evidence (`probes.crowding.measured`). Forecast: from the checkpoints of the first tenth alone, by a forecaster that has
not seen this world (`probes.early`): probabilities of every verdict of the depth probe, and, for each seed in which
depth has not arrived yet, of when it does. Score: log2 of the probability of what happened, beside that of the base
rates. Verdict, the first rule that applies:

1. `nothing-deep`: the deep pie is < .05 bits.
2. `no-forecast`: there is no forecaster.
3. `no-call`: no verdict has a probability ≥ ½.
4. `called`: the likeliest verdict is the one the depth probe gives in the end; `miscalled`: it is another.

That is one outcome, and so no test: seeds of one run share their world, and are no independent forecasts. Whether
forecasts beat base rates is asked over worlds, each scored by what was fitted without it, and has a verdict of its own
(`probes.early.study`: `foreseen`, `misled`, `as-base-rates`, `inconclusive`); docs/probes/early.md. Organisms:
`probes.organisms.early`. Theory: section 17.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from probes import ladder
from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.crowding.measured import DEEP, Puller, Sampling, measure_run, split_ladder
from probes.early import features
from probes.early.forecaster import Library, read_library, shipped
from probes.finding import Conclusion, Finding, Plotted, Verdict, settings_dict
from probes.ladder import references
from probes.measurement import Measurement, by_target, pack
from probes.reference import described, marked, notes, under
from probes.statistics import exactly, over_seeds
from probes.verdict import Settings as DepthSettings
from probes.verdict import verdict as depth_verdict

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace

NAMES = ("nothing-deep", "no-forecast", "no-call", "called", "miscalled")
LEAST_CEILING = 0.05  # bits of deep own bits below which their share is undefined


@dataclass(frozen=True)
class Settings:
    """How it concludes, fixed before a run.

    Attributes:
        first: share of the run that a forecast may look at.
        call: probability from which the likeliest verdict is called.
        alpha: α of the depth probe's verdict and of intervals.
        forecaster: a file of forecasters; "" for those that come with the package.
        least_pie: bits below which the deep part of the pie is nothing.
    """

    first: float = 0.1
    call: float = 0.5
    alpha: float = 0.05
    forecaster: str = ""
    least_pie: float = 0.05


@dataclass
class EarlyProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both.

    Args:
        sampling: enumeration or sample, its size, and where the ladder is cut.
        settings: which part is looked at, margins, and whose forecasts.
        ladders: ladders of your own by target name; the task's where there is none.
    """

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)
    ladders: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    name = "early"
    version = 1

    def measure(self, trace: Trace, progress: Progress | None = None) -> dict[str, Any]:
        """Measure every target at every checkpoint.

        Args:
            trace: the run.
            progress: called as progress(done, total) after each checkpoint of each target.

        Raises:
            ProbeError: a ladder that is not one.
        """
        known = references(trace.dataset, trace.task, self.sampling.of_references)
        parts, total = [], len(trace.task.targets) * len(trace.steps)
        for i, target in enumerate(trace.task.targets):
            rungs = ladder.checked_rungs(self.ladders.get(target.name, trace.task.ladders[target.name]), known.source)
            split = split_ladder(known, rungs, target.name, self.sampling)
            plain = {"shallow_rungs": split.k0, "world": trace.dataset.name, "head": trace.head}
            if not split.deep:
                nothing = np.full((len(trace.steps), len(trace.seeds)), math.nan)
                numbers = dict.fromkeys(_CURVES, nothing)
                world = {"information": known.get(rungs, target.name).about.information, "ceiling": np.zeros(())}
                parts.append(Measurement(target.name, trace.seeds, trace.steps, numbers, world=world, plain=plain))
                continue
            reference = known.get((split.shallow, split.deep), target.name)
            puller, predict = Puller(reference, known.source, split, target.name), trace.predictor(reference.inputs)

            def log_q(checkpoint: int, predict: Any = predict, name: str = target.name, done: int = i) -> Any:
                if progress is not None:
                    progress(done * len(trace.steps) + checkpoint + 1, total)
                return predict(checkpoint, name)

            curves, groups = measure_run(reference, puller, log_q, len(trace.steps))
            parts.append(_measurement(trace, target.name, reference, curves, groups, plain))
        return marked(pack(parts, self.name, self.version), described(trace.dataset))

    def conclude(self, cells: Sequence[Mapping[str, Any]], settings: Settings | None = None) -> Conclusion:
        """Findings and one verdict per target from the cells of one run: its groups of seeds, in any order.

        Raises:
            ProbeError: no cell, cells of different runs, a seed measured twice, or a file of forecasters that is none.
        """
        settings = settings or self.settings
        known = read_library(Path(settings.forecaster)) if settings.forecaster else shipped()
        findings: list[Finding] = []
        verdicts: dict[str, Verdict] = {}
        for whole in by_target(cells, self.name):
            found, concluded = conclude_target(whole, settings, known)
            findings, verdicts[whole.target] = findings + found, under(concluded, cells)
        return Conclusion(tuple(findings), verdicts, CURVES, notes(cells))


_CURVES = ("deep", "shallow", "total", "own share", "pull", "reliance")
CURVES = Plotted(("deep efficiency", "shallow efficiency", "own share of deep bits"), "share")


def _measurement(
    trace: Trace,
    target: str,
    reference: Any,
    curves: Mapping[str, Any],
    groups: Mapping[str, Any],
    plain: dict[str, Any],
) -> Measurement:
    about = reference.about
    offered, ceiling = about.information, float(about.own_ceiling[DEEP])
    captured, own = curves["captured"], curves["own"][..., DEEP]
    least = np.maximum(offered, 1e-12)
    numbers = {
        "deep": captured[..., 1] / least[1],
        "shallow": captured[..., 0] / least[0],
        "total": captured.sum(-1) / max(float(offered.sum()), 1e-12),
        "own share": own / ceiling if ceiling >= LEAST_CEILING else np.full(own.shape, math.nan),
        "pull": curves["pull"][..., int(plain["shallow_rungs"]) :].sum(-1),
        "reliance": curves["reliance"][..., DEEP],
    }
    grouped = {}
    if "captured" in groups and about.groups is not None:
        each = groups["captured"]
        for name, part in (("deep", slice(1, 2)), ("total", slice(0, 2))):
            bits, share = each[..., part].sum(-1), about.groups[:, part].sum(-1)[:, None, None]
            grouped[name] = (bits - numbers[name] * share) / max(float(offered[part].sum()), 1e-12)
            grouped[name] -= grouped[name].mean(0)
    world = {"information": offered, "ceiling": np.array(ceiling)}
    plain = {**plain, "task_rungs": plain["shallow_rungs"], "shallow_rungs": 1}
    return Measurement(target, trace.seeds, trace.steps, numbers, grouped=grouped, world=world, plain=plain)


def conclude_target(m: Measurement, settings: Settings, known: Library | None) -> tuple[list[Finding], Verdict]:
    """All findings of one target, and its verdict."""
    level, sound = 1 - settings.alpha, m.sound
    base = Verdict(
        "", (), m.target, seeds=int(sound.sum()), diverged=int((~sound).sum()), settings=settings_dict(settings)
    )
    information = np.asarray(m.world["information"])
    deep_pie = float(information[int(m.plain["shallow_rungs"]) :].sum())
    if deep_pie < settings.least_pie:
        text = (
            f"The deep rungs offer {deep_pie:.3f} bits, less than {settings.least_pie:g}: there is no depth to arrive."
        )
        return [], _named(base, "nothing-deep", text)
    book = Book(m.target, m.steps, sound, level)
    for name, what, unit in (
        ("deep", "deep efficiency", "share"),
        ("shallow", "shallow efficiency", "share"),
        ("own share", "own share of deep bits", "share"),
        ("pull", "pull on deep rungs", "bits"),
        ("reliance", "reliance on deep evidence", "bits"),
    ):
        book.curve(what, m.numbers[name], unit, m.grouped.get(name))
    kept = m.taken(np.flatnonzero(sound))
    happened = features.arrivals(kept, settings.first)
    steps = features.arrival_steps(kept)
    if len(steps) > 1 and np.isfinite(steps).all() and (steps > 0).all():
        logs = over_seeds(np.log(steps)).interval(level)
        note = "geometric mean over seeds; deep efficiency ½, interpolated between checkpoints"
        limits = {part: math.exp(getattr(logs, part)) for part in ("estimate", "low", "high")}
        book.add(
            "step at which depth arrives",
            type(logs)(**limits, level=level, kind=logs.kind, n=logs.n),
            "steps",
            note=note,
        )
    book.share("seeds in which depth arrives", _in_all(sound, np.isfinite(steps)))
    book.share("seeds in which depth had arrived", _in_all(sound, np.array([h == features.BEFORE for h in happened])))
    ended = depth_verdict(features.curves(m), DepthSettings(alpha=settings.alpha)).name
    verdicts, arrivals = (None, None) if known is None else known.of(str(m.plain["world"]))
    if verdicts is None:
        text = "No forecaster is there: fit one on a finished run (docs/probes/early.md)."
        return book.findings, _named(base, "no-forecast", text)
    x = features.of_run(m, settings.first)
    probabilities = verdicts.probabilities(x)
    for name, probability in zip(verdicts.outcomes, probabilities, strict=True):
        book.add(f"forecast: {name}", exactly(float(probability)), "probability", note="of the depth probe's verdict")
    own, rate = verdicts.score(x[None], [ended])
    book.add("log score of the verdict", exactly(float(own[0])), "bits", note=f"the verdict was {ended}")
    book.add("log score of the verdict, base rates", exactly(float(rate[0])), "bits", note=f"the verdict was {ended}")
    still = np.array([name != features.BEFORE for name in happened])
    if arrivals is not None and still.any():
        open_ = [name for name in happened if name != features.BEFORE]
        each, rates = arrivals.score(features.of_seeds(kept, settings.first)[still], open_)
        note = "mean over seeds in which depth had not arrived: they share a world, so no interval"
        book.add("log score of depth's arrival", exactly(float(each.mean())), "bits", note=note)
        book.add("log score of depth's arrival, base rates", exactly(float(rates.mean())), "bits", note=note)
    best = int(np.argmax(probabilities))
    likeliest, chance = verdicts.outcomes[best], f"{probabilities[best]:.0%}"
    said = f"From the first {settings.first:.0%} the likeliest verdict was {likeliest}, with {chance}"
    if probabilities[best] < settings.call:
        return book.findings, _named(base, "no-call", f"{said}: less than {settings.call:.0%}; it became {ended}.")
    name = "called" if likeliest == ended else "miscalled"
    return book.findings, _named(base, name, f"{said}; it became {ended}.")


def _named(base: Verdict, name: str, reason: str) -> Verdict:
    return Verdict(**{**vars(base), "name": name, "reasons": (reason,)})


def _in_all(sound: Any, flags: Any) -> Any:
    whole = np.zeros(len(sound), dtype=bool)
    whole[sound] = flags
    return whole
