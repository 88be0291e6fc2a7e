"""Planted sweeps over a cap: what the capacity probe is judged on (theory, section 16).

A member of a *population* is one seed: a head under each of four caps, each log q = log p_0 + Σ_k w_k·(log p_k −
log p_{k−1}) + field on a world that is written down. A population is measured once; a run is eight members, drawn
without repetition, seen exactly or through evaluation clips of the run's own that its seeds share. So the truth of
every difference is known: it is the population's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.capacity.verdict import Settings
from probes.catalogue.capacity import conclude_target
from probes.enumerated import EnumeratedReference
from probes.measurement import Measurement
from probes.organisms.mixtures import hidden_chain
from probes.path.clips import Clips
from probes.validity import Outcome, Plant

Floats = NDArray[np.float64]
MEMBERS = 400
STEPS = np.array([2000], dtype=np.int64)
CLIPS, GROUPS = 2048, 16  # where a run is seen through clips
LABELS = ("width 2", "width 8", "width 32", "width 128")


@dataclass(frozen=True)
class Caps:
    """A population of seeds.

    Attributes:
        deep: weight of the deep rungs under each cap, tight to loose; that of the shallow ones is `shallow`.
        own: position of the trace's own cap.
        other: weights of every second member, where half of the seeds are of another kind.
        noise: standard deviation of a head's own deviation from each weight.
        shared: standard deviation of a seed's deviation from each weight, the same under all caps.
        field: standard deviation of a head's own random function of (x, y), nats.
        shallow: weight of the shallow rungs.
        surface: whether the world has hardly anything deep.
        clips: whether runs are seen through finite evaluation clips.
    """

    deep: tuple[float, ...]
    own: int = 1
    other: tuple[float, ...] | None = None
    noise: float = 0.05
    shared: float = 0.05
    field: float = 0.1
    shallow: float = 1.0
    surface: bool = False
    clips: bool = False


@dataclass(frozen=True)
class Population:
    """Members, measured: captured bits row by row [M, V, N, K], losses [M, V], and where."""

    reference: EnumeratedReference
    contributions: Floats
    loss: Floats
    own: int

    def difference(self, position: int) -> float:
        """The population's own Δ of a cap."""
        pie = self.reference.about.information
        captured = np.einsum("r,mvrk->vk", self.reference.weight, self.contributions) / MEMBERS
        deep = captured[:, 1:].sum(-1) / pie[1:].sum()
        return float(deep[position] - deep[self.own])


def population(caps: Caps, seed: int = 0) -> Population:
    """Four hundred members."""
    random = np.random.default_rng(seed)
    reference = hidden_chain(frames=3, stay=0.6) if caps.surface else hidden_chain()
    logs = np.log(np.maximum(reference.ladder, 1e-12))
    count, rungs = len(caps.deep), len(logs) - 1
    deep = np.tile(np.array(caps.deep), (MEMBERS, 1))
    if caps.other is not None:
        deep[1::2] = caps.other
    weights = np.where(np.arange(rungs) == 0, caps.shallow, deep[..., None])
    weights = weights + caps.shared * random.standard_normal((MEMBERS, 1, rungs))
    weights = weights + caps.noise * random.standard_normal((MEMBERS, count, rungs))
    q = np.tensordot(weights, np.diff(logs, axis=0), axes=1) + logs[0]
    q += caps.field * random.standard_normal(q.shape)
    q -= q.max(-1, keepdims=True)
    q -= np.log(np.exp(q).sum(-1, keepdims=True))
    flat = q.reshape(-1, *q.shape[2:])
    rows = reference.contributions(flat).reshape(MEMBERS, count, -1, rungs)
    return Population(reference, rows, Clips.of(reference).loss(q), caps.own)


def a_run(whole: Population, members: NDArray[np.integer], random: np.random.Generator | None = None) -> Measurement:
    """Members as a measured run; with a generator, through evaluation clips of its own."""
    reference, rows = whole.reference, whole.contributions[members]
    information, weight = reference.about.information, reference.weight
    grouped, world = {}, {}
    if random is not None:
        counts = random.multinomial(CLIPS // GROUPS, weight, size=GROUPS)
        shares = counts / counts.sum(-1, keepdims=True)
        seen = reference.information_on_clips(counts)
        information, weight = seen.information, shares.mean(0)
        assert seen.groups is not None
        world["information groups"] = seen.groups
        grouped["captured"] = np.einsum("gr,svrk->gsvk", shares, rows)[:, None]
    numbers = {"captured": np.einsum("r,svrk->svk", weight, rows)[None], "loss": whole.loss[members][None]}
    count = rows.shape[1]
    plain = {
        "cap": "width",
        "labels": list(LABELS[:count]),
        "own": whole.own,
        "rungs": [list(rung) for rung in reference.about.rungs],
        "parameters": [10 * 4**v for v in range(count)],
    }
    world = {"information": information, **world}
    return Measurement("target", tuple(range(len(members))), STEPS, numbers, {}, grouped, world, plain)


def _repeat(caps: Caps, margin: int | None = None, seeds: int = 8) -> Callable[[int], Outcome]:
    """The road from a repeat's seed to its outcome.

    Args:
        caps: the population.
        margin: position of the cap at whose true difference δ is put.
        seeds: of a run.
    """
    made: list[Population] = []

    def repeat(seed: int) -> Outcome:
        if not made:
            made.append(population(caps))
        whole, settings = made[0], Settings()
        if margin is not None:
            settings = replace(settings, delta=abs(whole.difference(margin)))
        random = np.random.default_rng(seed)
        if caps.other is None:
            members = random.choice(MEMBERS, seeds, replace=False)
        else:
            members = 2 * random.choice(MEMBERS // 2, seeds, replace=False) + np.arange(seeds) % 2
        book, found = conclude_target(a_run(whole, members, random if caps.clips else None), settings)
        last = {finding.name: finding.value for finding in book.findings}
        known = {}
        for v in range(len(caps.deep)):
            name = f"deeper under {LABELS[v]}"
            if name in last and caps.other is None:  # half of each kind is no draw from the population
                known[name] = (last[name], whole.difference(v))
        return Outcome(found.name, known)

    return repeat


def plants() -> tuple[Plant, ...]:
    """The organisms."""
    right = (
        ("too_small", "depth rises with every cap; clips", "capacity-limited", Caps((0.2, 0.4, 0.7, 0.9), clips=True)),
        ("large_enough", "tight caps cost depth, looser ones bring none", ENOUGH, Caps((0.3, 0.8, 0.82, 0.8))),
        ("simpler_is_deeper", "the tightest cap is the deepest", "cap-deepens", Caps((0.9, 0.4, 0.4, 0.35))),
        (
            "loosest_already",
            "nothing is looser, tighter is shallower",
            "no-cap-deepens",
            Caps((0.2, 0.5, 0.7, 0.8), own=3),
        ),
        ("valley", "both the tightest and the loosest are deeper", "no-simple-order", Caps((0.9, 0.3, 0.4, 0.9))),
        (
            "seeds_in_two",
            "a larger head helps half of the seeds; the others are deep already",
            "inconclusive",
            Caps((0.1, 0.1, 0.9, 0.9), other=(0.8, 0.9, 0.9, 0.9)),
        ),
        (
            "untrained",
            "heads that say little more than the prior, under every cap",
            "untrained",
            Caps((0.0,) * 4, shallow=0.0, noise=0.01, shared=0.01, field=0.03),
        ),
        ("surface", "a world with hardly anything deep", "nothing-deep", Caps((0.9,) * 4, surface=True)),
    )
    noisy = Caps((0.7,) * 4, noise=0.3)
    nulls = (
        ("no_cap_matters_noisy", "weights differ by .3 from head to head", "capacity-limited", noisy, None),
        ("no_cap_matters_through_clips", "the same; clips", "capacity-limited", replace(noisy, clips=True), None),
        ("no_cap_deepens", "the same, own cap the loosest", "cap-deepens", replace(noisy, own=3), None),
        ("at_the_margin", "a looser cap is deeper by exactly δ", ENOUGH, Caps((0.5, 0.55, 0.6, 0.65), noise=0.1), 3),
    )
    strong = Caps((0.4, 0.45, 0.45, 0.6), noise=0.06)
    words = "the loosest cap is deeper by .20, sd over seeds .09"
    return (
        *(Plant(name, about, "right", claim, _repeat(caps)) for name, about, claim, caps in right),
        *(Plant(name, about, "null", claim, _repeat(caps, at)) for name, about, claim, caps, at in nulls),
        Plant("a_fifth", words, "power", "capacity-limited", _repeat(strong)),
    )


ENOUGH = "not-capacity-limited"
