"""The confidence probe: is a head as sure as it may be?

Inputs: any trace. Measurement: at every checkpoint and for every seed the temperature T at which q^(1/T), normalised,
loses least on clips of the world. Findings: ln T with intervals over seeds and clips. Verdict, at level α, the first
that applies: ln T clearly above the margin: `overconfident`; clearly below minus the margin: `underconfident`; inside
both: `calibrated`; else `inconclusive`. Organisms: `worldnets_lighthouse.organisms`. Source: Guo, Pleiss, Sun &
Weinberger 2017, On Calibration of Modern Neural Networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from probes.book import Book
from probes.catalogue.base import Catalogued
from probes.finding import Finding, Plotted, Statement, Verdict, settings_dict
from probes.measurement import Measurement, pack
from probes.report.plain import Picture, PlainPresentation
from probes.statistics import over_seeds
from worldnets.errors import ProbeError
from worldnets.roles import outcome_index

#: ln T that are tried: from a fiftieth to fifty times.
LOWEST, HIGHEST = -4.0, 4.0


@dataclass(frozen=True)
class Sampling:
    """How it measures.

    Attributes:
        clips: of the world, shared by all seeds and checkpoints.
        groups: of clips, for intervals.
        seed: of the clips.
    """

    clips: int = 4096
    groups: int = 16
    seed: int = 7

    def __post_init__(self) -> None:
        if self.groups < 2 or self.clips < 2 * self.groups or self.clips % self.groups:
            found = f"{self.clips} clips in {self.groups} groups"
            raise ProbeError("clips do not fall into groups", found=found, mend="give a multiple of two groups or more")


@dataclass(frozen=True)
class Settings:
    """How it concludes, fixed before a run.

    Attributes:
        margin: |ln T| that does not matter.
        alpha: level of the tests.
    """

    margin: float = 0.1
    alpha: float = 0.05


PRESENTATION = PlainPresentation(
    headlines_of={"ln_t": "ln T"},
    titles=("ln T",),
    signs={
        "calibrated": ("●", "deep"),
        "overconfident": ("○", "shallow"),
        "underconfident": ("◐", "coming"),
        "inconclusive": ("?", "open"),
    },
    question="Is the head as sure as it may be?",
    caption="ln of the temperature at which the head would lose least, with {level} intervals over seeds and clips.",
    reading="Overconfident: it would lose less at a higher temperature, that is, if it were less sure.",
    pictures=(Picture("Temperature", ("ln T",), "ln T", "Above 0 the head is too sure."),),
)


@dataclass
class ConfidenceProbe(Catalogued):
    """`measure` a trace, `conclude` from measured cells, or `run` both."""

    sampling: Sampling = field(default_factory=Sampling)
    settings: Settings = field(default_factory=Settings)

    name = "confidence"
    version = 1
    shown = Plotted(("ln T",), "nats")

    @property
    def presentation(self) -> PlainPresentation:
        """One number, one picture."""
        return PRESENTATION

    def measure(self, trace: Any, progress: Any = None) -> dict[str, Any]:
        """The best temperature of every seed at every checkpoint."""
        codes = trace.dataset.simulate(self.sampling.clips, self.sampling.seed)
        predict = trace.predictor(codes)
        parts = []
        for target in trace.task.targets:
            outcome = outcome_index(codes, trace.dataset.net, target)
            told = [
                temperatures(predict(t, target.name), outcome, self.sampling.groups) for t in range(len(trace.steps))
            ]
            numbers = {"ln T": np.stack([best for best, _ in told])}
            grouped = {"ln T": np.stack([groups for _, groups in told], axis=1)}
            parts.append(Measurement(target.name, trace.seeds, np.asarray(trace.steps), numbers, grouped=grouped))
            if progress is not None:
                progress(len(parts), len(trace.task.targets))
        return pack(parts, self.name, self.version)

    def concluded(self, measurement: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
        """All findings of one target, and its verdict."""
        return conclude(measurement, settings)


def temperatures(log_q: np.ndarray, outcome: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """ln T of every seed, and the deviations of clip groups from it.

    Newton's method on the mean loss, which is convex in β = 1/T; deviations are its influence by groups, −(g_k − ḡ)/h
    in β, where g and h are its first two derivatives: to first order what leaving groups out would change.

    Args:
        log_q: ln q, nats, [S, clips, outcomes].
        outcome: of every clip, [clips].
        groups: G; clips fall into them side by side.

    Returns:
        ln T, [S], NaN where a seed diverged; and [G, S].
    """
    seeds, clips, _ = log_q.shape
    chosen = log_q[:, np.arange(clips), outcome]
    beta = np.ones(seeds)
    for _ in range(25):
        slope, curve = _derivatives(log_q, chosen, beta)
        step = slope.mean(1) / np.maximum(curve.mean(1), 1e-12)
        beta = np.clip(beta - np.clip(step, -1.0, 1.0), np.exp(-HIGHEST), np.exp(-LOWEST))
    slope, curve = _derivatives(log_q, chosen, beta)
    by_group = slope.reshape(seeds, groups, -1).mean(2)
    change = -(by_group - by_group.mean(1, keepdims=True)) / np.maximum(curve.mean(1), 1e-12)[:, None]
    return -np.log(beta), -(change / beta[:, None]).T


def _derivatives(log_q: np.ndarray, chosen: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and second derivative of −ln softmax(β ln q)[outcome] in β, of every seed and clip, [S, clips]."""
    finite = np.maximum(log_q, -700.0)
    scaled = beta[:, None, None] * finite
    p = np.exp(scaled - scaled.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    mean = (p * finite).sum(-1)
    return mean - np.maximum(chosen, -700.0), (p * finite**2).sum(-1) - mean**2


def conclude(m: Measurement, settings: Settings) -> tuple[Sequence[Finding], Verdict]:
    """Findings and verdict from one target's numbers."""
    book = Book(m.target, m.steps, m.sound, 1 - settings.alpha)
    values, groups = m.numbers["ln T"], m.grouped["ln T"]
    book.curve("ln T", values, "nats", groups)
    sound = int(m.sound.sum())
    base = Verdict("inconclusive", (), m.target, settings=settings_dict(settings), seeds=sound)
    if sound < 2:
        return book.findings, base
    found = over_seeds(values[-1, m.sound], groups[:, -1, m.sound])
    tests = {
        "overconfident": ("ln T is above the margin", float(found.p_above(settings.margin))),
        "underconfident": ("ln T is below minus the margin", float(found.p_below(-settings.margin))),
        "calibrated": ("ln T is inside the margins", float(found.p_within(settings.margin))),
    }
    for name, (text, p) in tests.items():
        if p <= settings.alpha:
            statement = Statement(text, found.interval(1 - settings.alpha), p, True)
            return book.findings, _said(base, name, f"{text}: {statement.interval}.", statement)
    return book.findings, _said(base, "inconclusive", f"ln T is {found.interval(1 - settings.alpha)}.", None)


def _said(base: Verdict, name: str, reason: str, statement: Statement | None) -> Verdict:
    if statement is None:
        return replace(base, name=name, reasons=(reason,))
    return replace(base, name=name, reasons=(reason,), statements=(statement,), p=statement.p)


def of_numbers(ln_t: np.ndarray, groups: np.ndarray) -> Mapping[str, Any]:
    """A measurement of these numbers, [T, S] and [G, T, S]; for organisms."""
    steps = np.arange(len(ln_t), dtype=np.int64)
    seeds = tuple(range(ln_t.shape[1]))
    return Measurement("target", seeds, steps, {"ln T": ln_t}, grouped={"ln T": groups})
