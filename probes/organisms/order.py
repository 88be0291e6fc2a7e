"""Organisms of the order probe: heads mixed from references with planted weights, on the road to a verdict.

They live in a world in which four references are four predictors. The target is a bit; the first rung is a weak cue for
it, the second another cue, independent of the first given the target, and the third are two fair bits whose parity
follows the target. What goes pair by pair is all in the cues: the best tree has them and nothing of the parity.
A seed's weights are the planted ones, moved towards or away from the richest reference by a number of its own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.catalogue.order import OrderProbe
from probes.enumerated import EnumeratedReference, enumerated
from probes.measurement import pack
from probes.order.measured import SIDES, fits, measurement
from probes.order.mixture import Fit
from probes.order.references import DEFAULT, FLOOR, Comparison, Part, Sampling, comparison
from probes.sources import TableSource
from probes.validity import Outcome, Plant, Role

Floats = NDArray[np.float64]
Weights = tuple[float, float, float, float]
TARGET = "y"
RUNGS = (("x1",), ("x2",), ("x3", "x4"))
STEPS = np.array([0, 10, 100, 1000], dtype=np.int64)
MARGINALS: Weights = (1.0, 0.0, 0.0, 0.0)
LAST: Weights = (0.1, 0.9, 0.0, 0.0)
TREE: Weights = (0.05, 0.1, 0.8, 0.05)
FULL: Weights = (0.05, 0.05, 0.1, 0.8)
ON_THE_WAY = (MARGINALS, LAST, TREE)


def layered_source(parity: float = 0.85) -> TableSource:
    """The world; `parity` is how often the last two bits' parity is the target."""
    y = np.array([0.4, 0.6])
    first, second = np.array([[0.75, 0.25], [0.3, 0.7]]), np.array([[0.7, 0.3], [0.15, 0.85]])  # [y, cue]
    follows = np.array([[parity, 1 - parity], [1 - parity, parity]])  # [y, parity]
    bits = np.arange(2)
    pairs = 0.5 * follows[:, (bits[:, None] ^ bits)]  # [y, x3, x4]
    return TableSource(np.einsum("y,ya,yb,ycd->abcdy", y, first, second, pairs), target=TARGET)


@functools.cache
def layered(parity: float = 0.85, references: tuple[str, ...] = DEFAULT) -> tuple[EnumeratedReference, Comparison]:
    """Its exact reference, and what heads there are compared with."""
    source, sampling = layered_source(parity), Sampling(references)
    reference = enumerated(source, RUNGS, TARGET)
    return reference, comparison(source, reference, TARGET, sampling)


@dataclass(frozen=True)
class Planted:
    """What seeds are drawn around.

    Attributes:
        course: weights of marginals, last frame, pairwise tree and full at each checkpoint.
        outside: weights out of distribution at the end; None where they are the same.
        other: weights of every other seed, where they split in two.
        spread: standard deviation over seeds of what is moved towards the richest reference at every checkpoint but the
            first.
        field: standard deviation over contexts, in nats, of what is a seed's own at every checkpoint.
        control: weight of a control at the end, taken from all references alike: "answers permuted".
        seeds: how many.
        parity: of the world.
    """

    course: tuple[Weights, ...] = (*ON_THE_WAY, FULL)
    outside: Weights | None = None
    other: tuple[Weights, ...] | None = None
    spread: float = 0.04
    field: float = 0.02
    control: float = 0.0
    seeds: int = 8
    parity: float = 0.85
    references: tuple[str, ...] = DEFAULT

    def log_q(self, repeat: int) -> dict[str, Floats]:
        """ln q of the seeds at each checkpoint on each side, [T, S, contexts, outcomes]."""
        random = np.random.default_rng([41, repeat])
        _, known = layered(self.parity)
        inside = known.inside
        shape = (len(STEPS), self.seeds)
        weights = np.broadcast_to(np.array(self.course)[:, None], (*shape, 4)).copy()
        if self.other is not None:
            weights[:, ::2] = np.array(self.other)[:, None]
        control = np.zeros(shape)
        control[-1] = self.control
        moved = self.spread * random.standard_normal(shape)
        own = self.field * random.standard_normal((self.seeds, *inside.predictors.shape[1:]))
        found = {"inside": _heads(weights, moved, control, own, inside)}
        if self.outside is not None:
            weights = weights.copy()
            weights[-1] = self.outside
        found["outside"] = _heads(weights, moved, control, own, inside)  # enumerated: the same rows
        return found

    def cell(self, repeat: int) -> dict[str, object]:
        """One repeat, as the probe measures."""
        _, known = layered(self.parity, self.references)
        said = self.log_q(repeat)
        flat = {side: said[side].reshape(-1, *said[side].shape[2:]) for side in SIDES}
        whole = fits(known, Sampling(self.references), flat)
        by_step = [{side: _rows(fit, t, self.seeds) for side, fit in whole.items()} for t in range(len(STEPS))]
        measured = measurement(TARGET, tuple(range(self.seeds)), STEPS, known, by_step)
        return pack([measured], OrderProbe.name, OrderProbe.version)


def _heads(weights: Floats, moved: Floats, control: Floats, own: Floats, part: Part) -> Floats:
    moved = moved * (weights.max(-1) < 1)  # the pure ones stay what they are
    pulled = weights.copy()
    rest = 1 - weights[..., 3]
    rich = np.clip(weights[..., 3] + moved, 0.0, 1.0)
    pulled[..., :3] *= np.divide(1 - rich, rest, out=np.zeros_like(rest), where=rest > 0)[..., None]
    pulled[..., 3] = rich
    every = np.concatenate([pulled * (1 - control[..., None]), control[..., None]], axis=-1)
    q = np.tensordot(every, _bare(part)[:5], axes=1)
    log = np.log((1 - FLOOR) * q + FLOOR / q.shape[-1]) + own
    return np.asarray(log - np.log(np.exp(log).sum(-1, keepdims=True)))


def _bare(part: Part) -> Floats:
    return (part.predictors - FLOOR / part.predictors.shape[-1]) / (1 - FLOOR)


def _rows(fit: Fit, checkpoint: int, seeds: int) -> Fit:
    rows = slice(checkpoint * seeds, (checkpoint + 1) * seeds)
    return Fit(fit.weights[rows], fit.left[rows], fit.gap[rows])


def repeated(planted: Planted, repeat: int) -> Outcome:
    """The verdict and the intervals of one repeat."""
    found = OrderProbe().conclude([planted.cell(repeat)])
    intervals = {}
    same = planted.other is None and planted.outside is None
    # Where heads are mixtures, and nothing else, their weights are known.
    if same and planted.control == 0 and planted.field <= 0.02 and 0.2 < planted.course[-1][3] < 0.9:
        for name in ("weight, full", "weight, full, out of distribution"):
            last = found.last(name, TARGET)
            if last is not None:
                intervals[name] = (last.value, planted.course[-1][3])
    return Outcome(found.verdict.name, intervals)


def _plant(name: str, about: str, role: Role, claim: str | tuple[str, ...], planted: Planted) -> Plant:
    return Plant(name, about, role, claim, functools.partial(repeated, planted))


def plants() -> tuple[Plant, ...]:
    """All of them."""
    half: Weights = (0.05, 0.05, 0.4, 0.5)
    ordered = ("in-order", "full-throughout", "out-of-order")
    stops = (MARGINALS, LAST, LAST, LAST)
    return (
        _plant("in_order", "marginals, last frame, tree, then full at .8; sd .04 over 8 seeds", "right", "in-order",
               Planted()),
        _plant("stops_early", "marginals, then the last frame at .9 for good", "right", "stops-early", Planted(stops)),
        _plant("full_throughout", "full at .8 from the first checkpoint on", "right", "full-throughout",
               Planted((FULL, FULL, FULL, FULL))),
        _plant("full_then_forgotten", "full at .8 half-way, the last frame at the end", "right", "out-of-order",
               Planted((MARGINALS, TREE, FULL, LAST))),
        _plant("detour", "tree, then last frame, then full", "right", "out-of-order",
               Planted((MARGINALS, TREE, LAST, FULL))),
        _plant("labels_swapped", "the exact posterior with its answers permuted", "right", "matches-none",
               Planted(control=1.0)),
        _plant("random_function", "the full mixture times a seed's random function of 1.5 nats", "right",
               "matches-none", Planted(field=1.5)),
        _plant("elsewhere_simple", "full at .8 in distribution, the last frame at .9 out of it", "right",
               "other-out-of-distribution", Planted(outside=LAST)),
        _plant("nothing_deep", "parity follows the target in half of all cases, and only it is beside the marginals",
               "right", "nothing-deep", Planted(parity=0.5, references=("marginals", "pairwise tree", "full"))),
        _plant("two_clusters", "half of the seeds end at full, half at the last frame", "right",
               ("inconclusive", "stops-early"), Planted(other=stops)),
        _plant("two_seeds", "in order, two seeds that hardly differ", "right", "in-order",
               Planted(spread=0.002, field=0.001, seeds=2)),
        _plant("no_more_than_half", "full at .5, sd .1: at the edge of dominating", "null", ordered,
               Planted((*ON_THE_WAY, half), spread=0.1)),
        _plant("no_less_than_half", "full at .5, sd .1: at the edge of stopping", "null", "stops-early",
               Planted((*ON_THE_WAY, half), spread=0.1)),
        _plant("controls_at_the_margin", "controls at .10: at the edge of matching none", "null", "matches-none",
               Planted(control=0.10)),
        _plant("same_elsewhere", "the same mixture in and out of distribution, random functions of .1 nats", "null",
               "other-out-of-distribution", Planted(field=0.1)),
        _plant("just_dominating", "full at .65, sd .08 over 8 seeds", "power", "in-order",
               Planted((*ON_THE_WAY, (0.05, 0.05, 0.25, 0.65)), spread=0.08)),
        _plant("other_by_a_quarter", "full at .8 in distribution, .55 out of it", "power", "other-out-of-distribution",
               Planted(outside=(0.05, 0.05, 0.35, 0.55))),
    )  # fmt: skip
