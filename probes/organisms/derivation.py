"""Organisms of the derivation probe: heads mixed from memorizers, derivers and silly predictors with planted weights.

They predict clips of a small meta-world: chains of four tokens, of which eight were trained on, or hidden chains; and
of a large one of three tokens whose 1,024 chains leave nothing to tell memorizer and deriver apart by. A seed's weights
are the planted ones with the deriver's share moved by a number of its own; a seed has a small random function of its
own.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.catalogue.derivation import DerivationProbe
from probes.derivation.measured import SIDES, as_measured, beside
from probes.derivation.predictors import CONTROLS, REFERENCES, is_retrieval
from probes.derivation.references import Known, Sampling, known, positions_of
from probes.measurement import pack
from probes.order.measured import fits
from probes.order.mixture import Fit
from probes.order.references import FLOOR
from probes.validity import Outcome, Plant, Role
from worldnets.dataset import load_dataset

Floats = NDArray[np.float64]
Weights = tuple[float, ...]
STEPS = np.array([0, 10, 100, 1000], dtype=np.int64)
#: name → what `load_dataset` is asked for, and how finely it is sampled.
WORLDS: dict[str, tuple[dict[str, Any], Sampling]] = {
    "few": (
        {"name": "chains", "chains": 8, "tokens": 4, "alpha": 1.0, "frames": 32, "start": "uniform", "seed": 3},
        Sampling(clips=64, groups=16, positions=4),
    ),
    "many": (
        {"name": "chains", "chains": 1024, "tokens": 3, "alpha": 1.0, "frames": 65, "start": "uniform", "seed": 3},
        Sampling(clips=64, groups=16, positions=4),
    ),
    "hidden": (
        {"name": "hidden_chains", "chains": 4, "alpha": 0.3, "beta": 0.3, "frames": 32, "seed": 4},
        Sampling(clips=64, groups=16, positions=4, draws=512),
    ),
}
MEMORIZER: Weights = (0.05, 0.85, 0.0, 0.10)
DERIVER: Weights = (0.0, 0.10, 0.05, 0.85)
SHALLOW: Weights = (0.0, 0.05, 0.85, 0.10)
HALF: Weights = (0.05, 0.45, 0.05, 0.45)


@functools.cache
def meta_world_of(name: str) -> tuple[Known, Sampling]:
    """References of one of the meta-worlds."""
    options, sampling = WORLDS[name]
    dataset = load_dataset(**options)
    positions = positions_of(len(dataset.world.frames), sampling.positions)
    return known(dataset, sampling, tuple(positions.tolist())), sampling


@dataclass(frozen=True)
class Planted:
    """What seeds are drawn around.

    Attributes:
        course: weights of the references at each checkpoint, in their order.
        other: those of every other seed, where seeds split in two.
        control: weight of a control at the end, taken from all references alike: "answers shifted".
        silly: name of another control that is meant.
        spread: standard deviation over seeds of the derivers' share, at every checkpoint.
        field: standard deviation over clips and outcomes, in nats, of what is a seed's own.
        seeds: how many.
        world: one of `WORLDS`.
    """

    course: tuple[Weights, ...]
    other: tuple[Weights, ...] | None = None
    control: float = 0.0
    silly: str = "answers shifted"
    spread: float = 0.04
    field: float = 0.02
    seeds: int = 8
    world: str = "few"

    def log_q(self, repeat: int) -> dict[str, Floats]:
        """ln q of the seeds at each checkpoint on each side, [T, S, rows, outcomes]."""
        about, _ = meta_world_of(self.world)
        random = np.random.default_rng([43, repeat])
        weights = np.broadcast_to(np.array(self.course)[:, None], (len(STEPS), self.seeds, len(self.course[0]))).copy()
        if self.other is not None:
            weights[:, ::2] = np.array(self.other)[:, None]
        derives = np.array([not is_retrieval(name) for name in about.names])
        share = weights[..., derives].sum(-1)
        mixed = (share > 0) & (share < 1)  # the pure ones stay what they are
        new = np.where(mixed, np.clip(share + self.spread * random.standard_normal(share.shape), 0.0, 1.0), share)
        for chosen, before, after in ((derives, share, new), (~derives, 1 - share, 1 - new)):
            factor = np.divide(after, before, out=np.zeros_like(after), where=before > 0)
            weights[..., chosen] *= factor[..., None]
        every = np.zeros((*weights.shape[:2], len(about.names) + len(CONTROLS)))
        every[..., : len(about.names)] = weights
        every[-1] *= 1 - self.control
        every[-1, :, len(about.names) + CONTROLS.index(self.silly)] = self.control
        found = {}
        for side in SIDES:
            predictors = about.part(side).predictors
            bare = (predictors - FLOOR / predictors.shape[-1]) / (1 - FLOOR)
            q = np.tensordot(every, bare, axes=1)
            log = np.log((1 - FLOOR) * q + FLOOR / q.shape[-1])
            log = log + self.field * random.standard_normal((self.seeds, *bare.shape[1:]))
            found[side] = np.asarray(log - np.log(np.exp(log).sum(-1, keepdims=True)))
        return found

    def cell(self, repeat: int) -> dict[str, object]:
        """One repeat, as the probe measures."""
        about, sampling = meta_world_of(self.world)
        spoken = self.log_q(repeat)
        flat = {side: spoken[side].reshape(-1, *spoken[side].shape[2:]) for side in SIDES}
        whole = fits(about.comparison, sampling, flat)  # type: ignore[arg-type]
        by_step = [{side: _rows(fit, t, self.seeds) for side, fit in whole.items()} for t in range(len(STEPS))]
        told = [{side: beside(spoken[side][t], about.part(side)) for side in SIDES} for t in range(len(STEPS))]
        seeds = tuple(range(self.seeds))
        measured = as_measured(seeds, STEPS, about, sampling, by_step, told, 1000, {})
        return pack([measured], DerivationProbe.name, DerivationProbe.version)


def _rows(fit: Fit, checkpoint: int, seeds: int) -> Fit:
    rows = slice(checkpoint * seeds, (checkpoint + 1) * seeds)
    assert fit.weight_groups is not None
    assert fit.left_groups is not None
    return Fit(fit.weights[rows], fit.left[rows], fit.gap[rows], fit.weight_groups[:, rows], fit.left_groups[:, rows])


def repeated(planted: Planted, repeat: int) -> Outcome:
    """The verdict and the intervals of one repeat."""
    found = DerivationProbe().conclude([planted.cell(repeat)])
    intervals = {}
    names = REFERENCES[meta_world_of(planted.world)[0].world.kind]
    share = sum(w for w, name in zip(planted.course[-1], names, strict=True) if not is_retrieval(name))
    # Where heads are mixtures, and nothing else, their weights are known.
    if planted.other is None and planted.control == 0 and planted.field <= 0.02 and 0.1 < share < 0.95:
        last = found.last("weight of derivers", "next token")
        if last is not None and planted.world == "few":
            intervals["weight of derivers"] = (last.value, share)
    return Outcome(found.verdict.name, intervals)


def _plant(name: str, about: str, role: Role, claim: str | tuple[str, ...], planted: Planted) -> Plant:
    return Plant(name, about, role, claim, functools.partial(repeated, planted))


def steady(weights: Weights) -> tuple[Weights, ...]:
    """The same at every checkpoint."""
    return (weights,) * len(STEPS)


def _hidden(weights: Weights) -> tuple[Weights, ...]:
    # The hidden meta-world has a reference more: the counts of pairs are none of Bayes there.
    return steady((*weights[:2], weights[2], 0.0, weights[3]))


def plants() -> tuple[Plant, ...]:
    """All of them."""
    derive = ("deriving", "switched-to-deriving")
    memorise = ("memorizing", "switched-to-memorizing")
    pure_memorizer, pure_deriver = (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
    return (
        _plant("memorizer", "Bayes over the training worlds, pure", "right", "memorizing",
               Planted(steady(pure_memorizer))),
        _plant("deriver", "Bayes under the prior, pure", "right", "deriving", Planted(steady(pure_deriver))),
        _plant("mostly_memorizer", "memorizers .90, the deriver .10; sd .04 over 8 seeds", "right", "memorizing",
               Planted(steady(MEMORIZER))),
        _plant("mostly_deriver", "derivers .90, the memorizer .10; sd .04", "right", "deriving",
               Planted(steady(DERIVER))),
        _plant("counts_tokens", "the unigram deriver .85, the bigram one .10", "right", "deriving-shallow",
               Planted(steady(SHALLOW))),
        _plant("half_and_half", "memorizers .50, derivers .50; sd .04", "right", "between", Planted(steady(HALF))),
        _plant("learns_to_derive", "a memorizer until half-way, then a deriver", "right", "switched-to-deriving",
               Planted((MEMORIZER, MEMORIZER, DERIVER, DERIVER))),
        _plant("drifts_back", "a deriver until half-way, then a memorizer", "right", "switched-to-memorizing",
               Planted((DERIVER, DERIVER, MEMORIZER, MEMORIZER))),
        _plant("answers_shifted", "the deriver with its answers permuted", "right", "neither",
               Planted(steady(DERIVER), control=1.0)),
        _plant("says_nothing", "the uniform predictor: an untrained head", "right", "neither",
               Planted(steady(DERIVER), control=1.0, silly="uniform")),
        _plant("someone_elses", "the memory of another clip", "right", "neither",
               Planted(steady(DERIVER), control=1.0, silly="another clip's memory")),
        _plant("random_function", "the deriver times a seed's random function of 1.5 nats", "right", "neither",
               Planted(steady(DERIVER), field=1.5)),
        _plant("many_worlds", "1,024 worlds of three tokens: a deriver that nothing tells from a memorizer", "right",
               "not-identifiable", Planted(steady(DERIVER), world="many")),
        _plant("hidden_memorizer", "hidden chains: memorizers .90", "right", "memorizing",
               Planted(_hidden(MEMORIZER), world="hidden")),
        _plant("hidden_deriver", "hidden chains: the deriver by search .85", "right", "deriving",
               Planted(_hidden(DERIVER), world="hidden")),
        _plant("two_clusters", "half of the seeds memorise, half derive", "right", "inconclusive",
               Planted(steady(DERIVER), other=steady(MEMORIZER))),
        _plant("two_seeds", "derivers .90, two seeds that hardly differ", "right", "deriving",
               Planted(steady(DERIVER), spread=0.002, field=0.001, seeds=2)),
        _plant("deriver_at_margin", "derivers .75, sd .08: at the edge of deriving", "null", derive,
               Planted(steady((0.0, 0.25, 0.0, 0.75)), spread=0.08)),
        _plant("memorizer_at_margin", "memorizers .75, sd .08: at the edge of memorizing", "null", memorise,
               Planted(steady((0.0, 0.75, 0.0, 0.25)), spread=0.08)),
        _plant("barely_both", "derivers .25, sd .08: at the edge of between", "null", "between",
               Planted(steady((0.0, 0.75, 0.0, 0.25)), spread=0.08)),
        _plant("controls_at_margin", "a control at .10: at the edge of neither", "null", "neither",
               Planted(steady(DERIVER), control=0.10)),
        _plant("never_other", "derivers .90 throughout but .25 at first, sd .08: at the edge of having memorised",
               "null", "switched-to-deriving",
               Planted(((0.0, 0.75, 0.0, 0.25), DERIVER, DERIVER, DERIVER), spread=0.08)),
        _plant("derives_enough", "derivers .87, sd .08 over 8 seeds", "power", derive,
               Planted(steady((0.0, 0.13, 0.0, 0.87)), spread=0.08)),
        _plant("memorises_enough", "memorizers .87, sd .08", "power", memorise,
               Planted(steady((0.0, 0.87, 0.0, 0.13)), spread=0.08)),
        _plant("enough_of_both", "derivers .40, sd .08", "power", "between",
               Planted(steady((0.0, 0.6, 0.0, 0.4)), spread=0.08)),
        _plant("a_third_silly", "a control at .30", "power", "neither", Planted(steady(DERIVER), control=0.30)),
    )  # fmt: skip
