"""Organisms of the fingerprint probe: runs whose answers carry a planted share of their initialisation, or none.

Answers of run (i, o): √size·a_i + √order·b_o + √rest·e_io, with a, b and e standard normal in every response, and
size + order + rest = 1. On further rows a run chooses as all others do on a share of them; on the others it chooses as
its initialisation would with probability √gain, else at random: sharing an initialisation then removes `gain` of the
disagreement.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from probes.catalogue.fingerprint import FingerprintProbe
from probes.measurement import Measurement, pack
from probes.validity import Outcome, Plant, Role

TARGET = "target"
STEPS = np.array([1000], dtype=np.int64)
OUTCOMES = 3
SURPRISE = np.array([8.0, 14.0])


@dataclass(frozen=True)
class Planted:
    """What runs are drawn around.

    Attributes:
        size: share of the initialisation in answers to never-seen combinations.
        reserved: the same, to the reserved symbol.
        order: share of the data order, in all.
        gain: of strangers' disagreement, what sharing the initialisation removes.
        common: share of further rows on which all runs choose alike.
        second: size of every other initialisation, where they split in two.
        copies: how many initialisations in a row are one and the same, under other names.
        initialisations, orders: how many.
        responses, rows: numbers of each condition, and further rows.
    """

    size: float = 0.0
    reserved: float = 0.9
    order: float = 0.1
    gain: float = 0.0
    common: float = 0.4
    second: float | None = None
    copies: int = 1
    initialisations: int = 8
    orders: int = 4
    responses: int = 64
    rows: int = 64

    def cell(self, repeat: int) -> dict[str, object]:
        """One repeat, as the probe measures."""
        random = np.random.default_rng([67, repeat])
        size = np.full(self.initialisations, self.size)
        if self.second is not None:
            size[::2] = self.second
        numbers = {
            "novel": self._answers(random, size),
            "seen": self._answers(random, size / 2),
            "reserved": self._answers(random, np.full(self.initialisations, self.reserved)),
        }
        for name in ("choices", "choices seen"):
            numbers[name] = self._choices(random)
        numbers["loss"] = np.ones(self.initialisations)
        seeds = tuple(range(self.initialisations))
        plain = {"symbol": "cue", "orders": self.orders, "rows": self.responses}
        world = {"surprise": SURPRISE, "impossible": np.array(0.25)}
        whole = {name: array[None] for name, array in numbers.items()}
        measured = Measurement(TARGET, seeds, STEPS, whole, world=world, plain=plain)
        return pack([measured], FingerprintProbe.name, FingerprintProbe.version)

    def _answers(self, random: np.random.Generator, size: np.ndarray) -> np.ndarray:
        shape = (self.initialisations, self.orders, self.responses)
        own = random.standard_normal((self.initialisations, 1, self.responses))[self._who()]
        order, rest = random.standard_normal((1, *shape[1:])), random.standard_normal(shape)
        part = size[:, None, None]
        left = np.maximum(1 - part - self.order, 0.0)
        answers: np.ndarray = np.sqrt(part) * own + math.sqrt(self.order) * order + np.sqrt(left) * rest
        return answers

    def _choices(self, random: np.random.Generator) -> np.ndarray:
        shape = (self.initialisations, self.orders, self.rows)
        every = random.integers(OUTCOMES, size=self.rows)
        own = random.integers(OUTCOMES, size=(self.initialisations, 1, self.rows))[self._who()]
        chosen = np.where(random.random(shape) < math.sqrt(self.gain), own, random.integers(OUTCOMES, size=shape))
        return np.where(random.random(self.rows) < self.common, every, chosen).astype(np.float64)

    def _who(self) -> np.ndarray:
        return np.arange(self.initialisations) // self.copies * self.copies


def repeated(planted: Planted, repeat: int) -> Outcome:
    """The verdict and the intervals of one repeat."""
    found = FingerprintProbe().conclude([planted.cell(repeat)])
    intervals = {}
    if planted.second is None and planted.copies == 1 and planted.initialisations >= 8:
        truths = {"disagreement gone": planted.gain}
        if planted.size + planted.order <= 1:
            truths["share of initialisation, never-seen combinations"] = planted.size
        for name, truth in truths.items():
            one = found.last(name, TARGET)
            if one is not None:
                intervals[name] = (one.value, truth)
    return Outcome(found.verdict.name, intervals)


def _plant(name: str, about: str, role: Role, claim: str | tuple[str, ...], planted: Planted) -> Plant:
    return Plant(name, about, role, claim, functools.partial(repeated, planted))


ANY_NAMED = ("named", "named-and-predicts", "named-without-agreement")


def plants() -> tuple[Plant, ...]:
    """All of them."""
    return (
        _plant("strong", "half of the variance of answers is the initialisation's, and .4 of disagreement", "right",
               "named-and-predicts", Planted(0.5, gain=0.4)),
        _plant("in_name_only", "half of the variance, but no more agreement than among strangers", "right",
               "named-without-agreement", Planted(0.5)),
        _plant("none", "nothing of the initialisation anywhere, the reserved symbol included", "right", "not-named",
               Planted(0.0, reserved=0.0)),
        _plant("reserved", "nothing in never-seen combinations, .9 in the reserved symbol", "right", "only-reserved",
               Planted(0.0)),
        _plant("data_order", "nothing of the initialisation, .8 of the data order", "right", "only-reserved",
               Planted(0.0, order=0.8, reserved=0.15)),
        _plant("sixteen", "16 initialisations of 2 runs each, .4 of the variance", "right", "named-and-predicts",
               Planted(0.4, gain=0.4, initialisations=16, orders=2)),
        _plant("two_runs", "two initialisations of two runs each: two ways to name them", "right",
               ("inconclusive", "not-named"), Planted(0.9, initialisations=2, orders=2)),
        _plant("under_two_names", "every initialisation stands there twice: half of the names are a coin's", "right",
               (*ANY_NAMED, "inconclusive"), Planted(0.6, copies=2, gain=0.3)),
        _plant("half_of_them", "every other initialisation leaves .6, the others nothing", "right", ANY_NAMED,
               Planted(0.0, second=0.6)),
        _plant("unmarked", "nothing of the initialisation, whatever it predicts", "null", ANY_NAMED,
               Planted(0.0, gain=0.4)),
        _plant("named_at_margin", ".40 of the way from chance is named, on average", "null", "not-named",
               Planted(0.0905)),
        _plant("no_agreement", "named, and nothing of strangers' disagreement gone", "null", "named-and-predicts",
               Planted(0.5)),
        _plant("agreement_at_margin", "named, and .10 of disagreement gone", "null", "named-without-agreement",
               Planted(0.5, gain=0.10)),
        _plant("a_fifth", "a fifth of the variance", "power", ANY_NAMED, Planted(0.2)),
        _plant("a_quarter_gone", "named, and .25 of disagreement gone", "power", "named-and-predicts",
               Planted(0.5, gain=0.25)),
    )  # fmt: skip
