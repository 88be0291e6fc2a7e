"""What runs are shown: clips of the world, never-seen combinations of seen symbols, and a symbol that is reserved.

A symbol is a state of one evidence variable; a combination is a whole row of evidence. A combination is never-seen when
no run of the crossing was trained on it, and its symbols are seen when every data order holds each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.sources import stream
from worldnets.distinct import distinct
from worldnets.errors import ProbeError
from worldnets.inference import Inference
from worldnets.reserved import RESERVED, alike, with_reserved
from worldnets.trace import Trace
from worldnets.training import retrained
from worldnets.training_plan import Plan

Codes = NDArray[np.int16]
Floats = NDArray[np.float64]
LEAST_ROWS = 4  # of each kind
CANDIDATES = 64  # combinations drawn for each that is wanted, before those that were seen are left out
ENUMERATED = 1 << 16  # so many combinations at most are written down instead of drawn
TRAINED_AT_ONCE = 1 << 16  # training rows held at a time


@dataclass(frozen=True)
class Sampling:
    """How a fingerprint is taken.

    Attributes:
        orders: data orders that every initialisation is trained with: runs per initialisation.
        rows: of each condition, at most; half as many for targets of many outcomes, and so on.
        numbers: of each condition, rows × outcomes, at most.
        reserved: whether one kind of evidence has a symbol that no clip shows.
        seed: stream of the rows.
    """

    orders: int = 4
    rows: int = 64
    numbers: int = 512
    reserved: bool = True
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Shown:
    """Evidence rows, [rows, net variables]; everything but evidence is −1.

    Attributes:
        seen: of fresh clips from the world.
        novel: never-seen combinations: what fingerprints are taken from.
        others: further ones: on these it is looked how runs generalise.
        reserved: clips with the reserved symbol in place of one; None where none was reserved.
        symbol: the variable that shows it.
        surprise: −log2 W*(row) in bits on average, of `seen` and of those of `novel` that W* holds possible.
        impossible: share of `novel` that W* holds impossible.
    """

    seen: Codes
    novel: Codes
    others: Codes
    reserved: Codes | None
    symbol: str
    surprise: tuple[float, float]
    impossible: float


def crossed(trace: Trace, sampling: Sampling) -> list[Trace]:
    """The trace's request, once for each data order: run (s, o) begins as seed s and is given the clips of seed o.

    Raises:
        ProbeError: one initialisation only.
    """
    if len(trace.seeds) < 2:
        mend = "train at least two seeds"
        raise ProbeError("one initialisation only: there is nothing to tell it from", found=trace.seeds, mend=mend)
    dataset = trace.dataset
    if sampling.reserved:
        dataset = with_reserved(dataset, alike(trace.task, symbol_of(trace.plan)))
    return [retrained(trace, dataset=dataset, data_order=order) for order in range(sampling.orders)]


def symbol_of(plan: Plan) -> str:
    """The variable in whose place the reserved symbol stands: the first of the shallowest evidence."""
    return plan.task.ladders[plan.task.targets[0].name][0][0]


def shown(runs: Sequence[Trace], sampling: Sampling) -> Shown:
    """Rows for these runs.

    Raises:
        ProbeError: no never-seen combination of seen symbols is left.
    """
    plan = runs[0].plan
    net, columns = plan.dataset.net, evidence_columns(plan)
    rows = min(sampling.rows, max(LEAST_ROWS, sampling.numbers // max(plan.counts)))
    fresh = plan.dataset.simulate(rows, stream(sampling.seed, 61))[:, columns]
    combinations = unseen(runs, 2 * rows, sampling.seed)
    replaced, symbol = None, ""
    if sampling.reserved:
        symbol, replaced = symbol_of(plan), fresh.copy()
        replaced[:, plan.task.evidence.index(symbol)] = net.states[symbol].index(RESERVED)
    whole = lambda part: _whole(part, columns, len(net.variables))
    engine = Inference(net)
    known, new = (-engine.log_evidence(whole(part)) / math.log(2) for part in (fresh, combinations))
    possible = np.isfinite(new)
    surprise = float(known.mean()), float(new[possible].mean()) if possible.any() else math.inf
    return Shown(
        whole(fresh),
        whole(combinations[::2]),
        whole(combinations[1::2]),
        None if replaced is None else whole(replaced),
        symbol,
        surprise,
        float(1 - possible.mean()),
    )


def unseen(runs: Sequence[Trace], most: int, seed: int) -> Codes:
    """Combinations that no run was trained on, of symbols that every data order holds, [rows, evidence].

    Symbols are drawn independently of one another, each as often as training shows it; where there are few
    combinations in all, they are gone through. No combination stands there twice.

    Raises:
        ProbeError: fewer than twice `LEAST_ROWS` are left.
    """
    plan = runs[0].plan
    cards = plan.dataset.net.cardinalities[evidence_columns(plan)].tolist()
    counts = _symbols(runs, cards)
    symbols = [np.flatnonzero((own > 0).all(0)) for own in counts]
    random = np.random.default_rng(stream(seed, 62))
    if math.prod(map(len, symbols)) <= ENUMERATED:
        every = np.stack([grid.reshape(-1) for grid in np.meshgrid(*symbols, indexing="ij")], axis=1)
        candidates = every[random.permutation(len(every))].astype(np.int16)
    else:
        drawn = []
        for own, known in zip(counts, symbols, strict=True):
            often = own.sum(0)[known].astype(np.float64)
            drawn.append(random.choice(known, size=CANDIDATES * most, p=often / often.sum()))
        candidates = np.stack(drawn, axis=1).astype(np.int16)
        first = np.unique(distinct(candidates)[1], return_index=True)[1]
        candidates = candidates[np.sort(first)]
    new = np.ones(len(candidates), dtype=bool)
    for run in runs:
        for part in _trained(run):
            which = distinct(np.concatenate([candidates, part]))[1]
            new &= ~np.isin(which[: len(candidates)], which[len(candidates) :])
    left = candidates[new][:most]
    if len(left) < 2 * LEAST_ROWS:
        found = f"{len(left)} of {len(candidates):,} combinations"
        mend = "train on fewer clips, or in a world with more evidence"
        raise ProbeError("no never-seen combination of seen symbols is left", found=found, mend=mend)
    return left


def evidence_columns(plan: Plan) -> list[int]:
    """Where the task's evidence stands in a code array."""
    return [plan.dataset.net.index[v] for v in plan.task.evidence]


def _trained(run: Trace) -> list[Codes]:
    """The evidence of all clips a run was trained on, in parts."""
    plan, total = run.plan, run.last * run.plan.batch
    columns, seed = evidence_columns(plan), plan.order(run.seeds[0])
    parts = range(0, total, TRAINED_AT_ONCE)
    return [plan.clips(seed, min(TRAINED_AT_ONCE, total - first), first)[:, columns] for first in parts]


def _symbols(runs: Sequence[Trace], cards: Sequence[int]) -> list[NDArray[np.int64]]:
    """How often each data order shows each symbol, [orders, states] of each evidence variable."""
    counts = [np.zeros((len(runs), card), dtype=np.int64) for card in cards]
    for order, run in enumerate(runs):
        for part in _trained(run):
            for own, column in zip(counts, part.T, strict=True):
                own[order] += np.bincount(column, minlength=own.shape[1])
    return counts


def _whole(part: Codes, columns: Sequence[int], width: int) -> Codes:
    codes = np.full((len(part), width), -1, dtype=np.int16)
    codes[:, columns] = part
    return codes
