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
        inside = {} if ways.other is not None else known  # half of each kind is no draw from the population
        return Outcome(found.name, {name: (last[name], truth) for name, truth in inside.items() if name in last})

    return repeat


def _ways(grown: float, fresh: float, short: float, reversed_: float) -> dict[str, float]:
    return {"grown": grown, "fresh": fresh, "short": short, "reversed": reversed_}


SAME = _ways(0.9, 0.9, 0.9, 0.9)


def plants() -> tuple[Plant, ...]:
    """The organisms."""
    same, four = Ways(SAME), _ways
    right = (
        ("same", "all ways lead to the same depth, and to functions as far apart as two seeds", PATHLESS, same),
        ("same_through_clips", "the same through clips that all seeds share", PATHLESS, Ways(SAME, clips=True)),
        ("budget_only", "depth goes by steps on the end and by nothing else", PATHLESS, Ways(four(0.6, 1.0, 0.4, 0.6))),
        ("order_counts", "who met the deep evidence first is shallow", PATH, Ways(four(0.9, 0.9, 0.9, 0.3))),
        ("grown_shallower", "who was grown is shallow, in either order", PATH, Ways(four(0.3, 0.95, 0.9, 0.3))),
        ("grown_deeper", "only who was grown is deep; clips", PATH, Ways(four(0.95, 0.4, 0.3, 0.95), clips=True)),
        (
            "another_function",
            "as deep, but grown heads lean on a fixed pattern",
            "other-function",
            Ways(SAME, turned=0.9),
        ),
        ("seeds_in_two", "half of the grown seeds are stuck", OPEN, Ways(SAME, other=four(0.0, 0.9, 0.9, 0.9))),
        (
            "untrained",
            "heads that say little more than the prior, by whichever way",
            "untrained",
            Ways(four(0.0, 0.0, 0.0, 0.0), shallow=0.0, noise=0.01, shared=0.01, field=0.03),
        ),
        ("surface", "a world with hardly anything deep", "nothing-deep", Ways(SAME, world="surface")),
    )
    nulls = (
        ("noise", "no difference; weights differ by .3 from head to head", PATH, Ways(SAME, noise=0.3), ""),
        ("noise_through_clips", "the same through shared clips", PATH, Ways(SAME, noise=0.3, clips=True), ""),
        (
            "at_the_margin",
            "order changes depth by exactly δ",
            PATHLESS,
            Ways(four(0.7, 0.7, 0.7, 0.6), noise=0.1),
            "depth",
        ),
        ("at_the_other_margin", "functions differ by exactly ε", PATHLESS, Ways(SAME, turned=0.6), "function"),
        ("no_other_function", "random functions of .4 nats, none fixed", "other-function", Ways(SAME, field=0.4), ""),
    )
    strong = Ways(four(0.75, 0.75, 0.75, 0.47), noise=0.13)
    return (
        *(Plant(name, about, "right", claim, _repeat(ways)) for name, about, claim, ways in right),
        *(Plant(name, about, "null", claim, _repeat(ways, at=at)) for name, about, claim, ways, at in nulls),
        Plant("a_fifth", "order changes deep efficiency by .20, sd over seeds .12", "power", PATH, _repeat(strong)),
    )


PATH, PATHLESS, OPEN = "path-dependent", "path-independent", "inconclusive"
