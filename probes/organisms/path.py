"""Planted heads that came by different ways: what the path probe is judged on (theory, section 16).

A member of a *population* is one seed: four heads (grown, fresh, short, reversed), each log q = log p_0 +
Σ_k w_k·(log p_k − log p_{k−1}) + field on a world that is written down, with weights of their own around those of the
plant. A population is measured once; a run is eight of its members, drawn without repetition, seen exactly or through
evaluation clips of the run's own that its seeds share. So every truth is known: it is the population's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from probes.catalogue.path import conclude_target
from probes.enumerated import EnumeratedReference
from probes.measurement import Measurement
from probes.organisms.mixtures import hidden_chain
from probes.path.clips import Clips
from probes.path.measured import PAIRS, ROLES
from probes.path.verdict import Settings
from probes.validity import Outcome, Plant
from worldnets.training_plan import GROUP

Floats = NDArray[np.float64]
MEMBERS = 400
STEPS = np.array([2000], dtype=np.int64)
CLIPS, GROUPS = 2048, 16  # where a run is seen through clips


@dataclass(frozen=True)
class Ways:
    """A population of seeds.

    Attributes:
        deep: weight of the deep rungs of the heads of each role; that of the shallow ones is 1.
        other: the same of every second member, where half of the seeds are of another kind.
        noise: standard deviation of a head's own deviation from each weight.
        shared: standard deviation of a seed's deviation from each weight, the same in all of its heads.
        field: standard deviation of a head's own random function of (x, y), nats.
        turned: strength of a fixed function, + in grown and − in all other heads, nats: another function, as deep.
        shallow: weight of the shallow rungs.
        world: "chain": four rungs, 44 % of the pie deep; "surface": hardly anything is deep.
        clips: whether runs are seen through finite evaluation clips.
    """

    deep: Mapping[str, float]
    other: Mapping[str, float] | None = None
    noise: float = 0.03
    shared: float = 0.03
    field: float = 0.1
    turned: float = 0.0
    shallow: float = 1.0
    world: str = "chain"
    clips: bool = False


@dataclass(frozen=True)
class Population:
    """What members are, measured: M members, N rows.

    Attributes:
        reference: the world.
        contributions: captured bits row by row, of each role, [M, N, K].
        divergence: KL of a member's heads row by row, by name as in a measurement, [M, N].
        between: symmetric KL of the fresh heads of two members, [M, M].
        loss: of each role, [M].
    """

    reference: EnumeratedReference
    contributions: Mapping[str, Floats]
    divergence: Mapping[str, Floats]
    between: Floats
    loss: Mapping[str, Floats]


@functools.cache
def _world(name: str) -> EnumeratedReference:
    return hidden_chain() if name == "chain" else hidden_chain(frames=3, stay=0.6)


def population(ways: Ways, seed: int = 0) -> Population:
    """Four hundred members."""
    random = np.random.default_rng(seed)
    reference = _world(ways.world)
    logs = np.log(np.maximum(reference.ladder, 1e-12))
    rungs = len(logs) - 1
    own = ways.shared * random.standard_normal((MEMBERS, rungs))
    pattern = np.random.default_rng(1).standard_normal(logs.shape[1])
    fixed = ways.turned * np.stack([pattern, -pattern], axis=-1) / 2
    log_q: dict[str, Floats] = {}
    for role in ROLES:
        deep = np.full(MEMBERS, ways.deep[role])
        if ways.other is not None:
            deep[1::2] = ways.other[role]
        weights = np.where(np.arange(rungs) == 0, ways.shallow, deep[:, None])
        weights = weights + own + ways.noise * random.standard_normal((MEMBERS, rungs))
        q = np.tensordot(weights, np.diff(logs, axis=0), axes=1) + logs[0]
        q += ways.field * random.standard_normal(q.shape) + (fixed if role == "grown" else -fixed)
        q -= q.max(-1, keepdims=True)
        log_q[role] = q - np.log(np.exp(q).sum(-1, keepdims=True))
    clips = Clips.of(reference)
    divergence = {}
    for name, (one, other) in PAIRS.items():
        divergence[f"divergence to {name}"] = clips.divergence(log_q[one], log_q[other])
        divergence[f"divergence from {name}"] = clips.divergence(log_q[other], log_q[one])
    every = clips.pairwise(log_q["fresh"])
    return Population(
        reference,
        {role: reference.contributions(q) for role, q in log_q.items()},
        divergence,
        (every + every.T) / 2,
        {role: clips.loss(q) for role, q in log_q.items()},
    )


def a_run(whole: Population, members: NDArray[np.integer], random: np.random.Generator | None = None) -> Measurement:
    """Eight members as a measured run; with a generator, through evaluation clips of its own."""
    reference = whole.reference
    weight = reference.weight
    information, grouped, world = reference.about.information, {}, {}
    if random is not None:
        counts = random.multinomial(CLIPS // GROUPS, weight, size=GROUPS)
        shares = counts / counts.sum(-1, keepdims=True)
        seen = reference.information_on_clips(counts)
        information, weight = seen.information, shares.mean(0)
        assert seen.groups is not None
        world["information groups"] = seen.groups
    numbers, ends = {}, {}
    for role in ROLES:
        rows = whole.contributions[role][members]
        numbers[f"captured, {role}"] = np.einsum("r,srk->sk", weight, rows)[None]
        numbers[f"loss, {role}"] = whole.loss[role][members][None]
        if random is not None:
            grouped[f"captured, {role}"] = np.einsum("gr,srk->gsk", shares, rows)[:, None]
    for name, rows in whole.divergence.items():
        ends[name] = rows[members] @ weight
    pairs = np.full((len(members), GROUP), np.nan)
    pairs[:, : len(members)] = whole.between[np.ix_(members, members)]
    np.fill_diagonal(pairs, np.nan)
    ends["divergence between seeds"] = pairs
    plain = {
        "rungs": [list(rung) for rung in reference.about.rungs],
        "stages": ["surface", "all"],
        "last steps": 1000,
        "steps": 2000,
        "matching": "not asked for",
    }
    return Measurement(
        "target",
        tuple(range(len(members))),
        STEPS,
        numbers,
        ends,
        grouped,
        {"information": information, **world},
        plain,
    )


def truths(whole: Population) -> dict[str, float]:
    """The population's own differences, by the names of findings."""
    reference = whole.reference
    deep = slice(1, None)
    pie = reference.about.information
    share = {
        role: float((reference.weight @ rows)[:, deep].sum(-1).mean() / pie[deep].sum())
        for role, rows in whole.contributions.items()
    }
    apart = [(whole.divergence[f"divergence {way} reversed"] @ reference.weight).mean() for way in ("to", "from")]
    between = whole.between.sum() / (MEMBERS * (MEMBERS - 1))
    return {
        "grown less reversed": share["grown"] - share["reversed"],
        "grown less fresh": share["grown"] - share["fresh"],
        "divergence beyond seeds": (float(np.mean(apart)) - between) / float(pie.sum()),
    }


def _repeat(ways: Ways, settings: Settings | None = None, at: str = "", seeds: int = 8) -> Callable[[int], Outcome]:
    """The road from a repeat's seed to its outcome.

    Args:
        ways: the population.
        settings: of the verdict.
        at: a difference at whose true size the margins are put.
        seeds: of a run.
    """
    made: list[tuple[Population, dict[str, float]]] = []

    def repeat(seed: int) -> Outcome:
        if not made:
            whole = population(ways)
            made.append((whole, truths(whole)))
        whole, known = made[0]
        chosen = settings or Settings()
        if at == "depth":
            chosen = replace(chosen, delta=abs(known["grown less reversed"]))
        elif at == "function":
            chosen = replace(chosen, epsilon=known["divergence beyond seeds"])
        random = np.random.default_rng(seed)
        if ways.other is None:
            members = random.choice(MEMBERS, seeds, replace=False)
        else:
            half = random.choice(MEMBERS // 2, seeds, replace=False)
            members = 2 * half + np.arange(seeds) % 2
        book, found = conclude_target(a_run(whole, members, random if ways.clips else None), chosen)
        last = {finding.name: finding.value for finding in book.findings}
        return Outcome(found.name, {name: (last[name], truth) for name, truth in known.items() if name in last})

    return repeat


def _ways(grown: float, fresh: float, short: float, reversed_: float) -> dict[str, float]:
    return {"grown": grown, "fresh": fresh, "short": short, "reversed": reversed_}


SAME = _ways(0.9, 0.9, 0.9, 0.9)


def plants() -> tuple[Plant, ...]:
    """The organisms."""
    rows = (
        ("same", "all ways lead to the same depth and to functions as far apart as two seeds", "right", "path-independent", Ways(SAME), {}),
        ("same, through clips", "the same, seen through 2,048 evaluation clips that all seeds share", "right", "path-independent", Ways(SAME, clips=True), {}),
        ("budget only", "a head is as deep as it had steps on the end: short .4, grown and reversed .6, fresh 1", "right", "path-independent", Ways(_ways(0.6, 1.0, 0.4, 0.6)), {}),
        ("order counts", "grown heads are deep, those that met the deep evidence first are not", "right", "path-dependent", Ways(_ways(0.9, 0.9, 0.9, 0.3)), {}),
        ("grown, shallower", "whoever was grown is shallow, in either order", "right", "path-dependent", Ways(_ways(0.3, 0.95, 0.9, 0.3)), {}),
        ("grown, deeper", "only who was grown is deep, in either order; through clips", "right", "path-dependent", Ways(_ways(0.95, 0.4, 0.3, 0.95), clips=True), {}),
        ("another function", "as deep by whichever way, but grown heads lean elsewhere on a fixed pattern of evidence", "right", "other-function", Ways(SAME, turned=0.9), {}),
        ("seeds in two", "half of the grown seeds are stuck, the other half are as deep as all others", "right", "inconclusive", Ways(_ways(0.9, 0.9, 0.9, 0.9), other=_ways(0.0, 0.9, 0.9, 0.9)), {}),
        ("untrained", "random functions, by whichever way", "right", "untrained", Ways(_ways(0.0, 0.0, 0.0, 0.0), shallow=0.0, field=1.0), {}),
        ("surface", "a world with hardly anything deep", "right", "nothing-deep", Ways(SAME, world="surface"), {}),
        ("noise", "no difference, heads of a seed differ by .3 in every weight", "null", "path-dependent", Ways(SAME, noise=0.3), {}),
        ("noise, through clips", "the same through shared evaluation clips", "null", "path-dependent", Ways(SAME, noise=0.3, clips=True), {}),
        ("at the margin", "order changes depth by exactly δ", "null", "path-independent", Ways(_ways(0.7, 0.7, 0.7, 0.6), noise=0.06), {"at": "depth"}),
        ("at the other margin", "functions differ by exactly ε beyond seeds", "null", "path-independent", Ways(SAME, turned=0.6), {"at": "function"}),
        ("no other function", "functions as far apart as those of two seeds, fields of .4 nats", "null", "other-function", Ways(SAME, field=0.4), {}),
        ("a fifth", "order changes deep efficiency by .20, its sd over seeds .10", "power", "path-dependent", Ways(_ways(0.75, 0.75, 0.75, 0.44), noise=0.13), {}),
    )  # fmt: skip
    return tuple(
        Plant(name, about, role, claim, _repeat(ways, **more))  # type: ignore[arg-type]
        for name, about, role, claim, ways, more in rows
    )
