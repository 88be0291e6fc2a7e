"""Selection, direct or control: which kind of optimisation something is, told by what it does (theory, section 13).

Whoever acts is run through episodes, and through each again with the regime changed after the k-th of its calls, for
several k. A change is *answered* if any act after it differs. The last one answered shows that it had not committed
itself by then; what of the world its own acts had changed by then, against a run in which it only ever idles, is
counted in nodes. The rule, on means over replicates, the first that applies:

1. `control`: it clearly answers changes, and clearly has changed nodes before it commits itself: it acts, sees what
   came of it, and cannot take it back.
2. `selection`: it clearly answers changes, and has changed at most δ nodes before it commits itself: candidates are
   tried without side effects.
3. `direct`: it answers at most a share of δ of the changes: what it does was settled from the start.
4. `inconclusive`.

Source: Garrabrant 2019 and Manheim 2019, on selection and control; the measurements are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.agency.decision import Decision
from probes.agency.episode import Change, Episode, Optimizer
from probes.agency.verdict import OPEN, Settings, bounded, clear, estimated
from probes.finding import Verdict, settings_dict
from probes.measurement import Measurement, pack
from worldnets.errors import ProbeError
from worldnets.net import Label

if TYPE_CHECKING:
    from probes.finding import Conclusion

Floats = NDArray[np.float64]
SELECTION, DIRECT, CONTROL = "selection", "direct", "control"
KINDS = (SELECTION, DIRECT, CONTROL, OPEN)
MOST_TICKS = 6  # at which the regime is changed, besides those right after an act
STEPS = np.array([0], dtype=np.int64)
UNITS = {
    "answered changes": "share",
    "nodes changed before commitment": "nodes",
    "nodes changed": "nodes",
    "trials": "trials",
}
NOTES = {
    "answered changes": "episodes in which some later act differs when the regime changes on the way",
    "nodes changed before commitment": "by its own acts, against a run of idling, when it still answered a change",
    "nodes changed": "the same when all is done",
    "trials": "candidates evaluated without lasting effect",
}


@dataclass(frozen=True)
class Watched:
    """One optimizer in some episodes of one world: by the names of `UNITS`, means over episodes and changes."""

    numbers: dict[str, float]


def watched(
    optimizer: Optimizer,
    decision: Decision,
    episodes: int = 8,
    seed: int = 0,
    idle: Sequence[Label] | None = None,
) -> Watched:
    """Run someone through episodes, with and without a change on the way.

    Args:
        optimizer: whoever acts.
        decision: the world; each regime but the first is a change.
        episodes: how many.
        seed: the first episode's.
        idle: the plan that counts as doing nothing; default each act's first state.

    Raises:
        ProbeError: fewer than one episode; an optimizer that returns before all acts are done.
    """
    if episodes < 1:
        raise ProbeError("no episode to watch", found=episodes, expected="≥ 1")
    plan = [decision.net.states[v][0] for v in decision.acts] if idle is None else list(idle)
    changes = list(decision.regimes.values())[1:]
    totals = dict.fromkeys(UNITS, 0.0)
    for number in range(seed, seed + episodes):
        plain = _run(optimizer, Episode(decision, number))
        last = len(plan)
        totals["nodes changed"] += _changed(decision, number, plain.done, plan, last) / episodes
        totals["trials"] += plain.trials / episodes
        for do in changes:
            answered = [k for k in _ticks(plain) if _answers(optimizer, decision, number, plain, Change(k, do))]
            if answered:
                share = 1 / (episodes * len(changes))
                before = sum(at <= max(answered) for at in plain.acted)
                totals["answered changes"] += share
                totals["nodes changed before commitment"] += share * _changed(
                    decision, number, plain.done, plan, before
                )
    return Watched(totals)


def measured(
    optimizers: Optimizer | Sequence[Optimizer],
    decisions: Decision | Sequence[Decision],
    episodes: int = 8,
    seed: int = 0,
    target: str = "kind of optimisation",
    settings: Settings | None = None,
) -> Conclusion:
    """Findings and kind of an optimizer in several worlds, or of several optimizers that are replicates of one kind.

    Args:
        optimizers, decisions: one each, or as many as there are replicates; one of a kind serves all.
        episodes: of each replicate.
        seed: replicate i's episodes begin at (seed + i) · 1,000; where there is but one of each, each episode is a
            replicate.
        target: what it is called.
        settings: margins and level.

    Raises:
        ProbeError: unequal numbers of them; as `watched`.
    """
    from probes.catalogue.agency import AgencyProbe

    ones = list(optimizers) if isinstance(optimizers, Sequence) else [optimizers]
    worlds = list(decisions) if isinstance(decisions, Sequence) else [decisions]
    count = max(len(ones), len(worlds))
    if {len(ones), len(worlds)} - {1, count} or not (ones and worlds):
        found = f"{len(ones)} optimizers, {len(worlds)} decisions"
        raise ProbeError("unequal numbers of them", found=found, mend="give one, or as many")
    if count == 1:
        each = [watched(ones[0], worlds[0], 1, seed * 1000 + i) for i in range(episodes)]
    else:
        ones, worlds = (given * count if len(given) == 1 else given for given in (ones, worlds))  # type: ignore[assignment]
        pairs = zip(ones, worlds, strict=True)
        each = [watched(one, world, episodes, (seed + i) * 1000) for i, (one, world) in enumerate(pairs)]
    cell = pack([measurement(each, target)], AgencyProbe.name, AgencyProbe.version)
    return AgencyProbe(settings=settings or Settings()).conclude([cell])


def measurement(each: Sequence[Watched], target: str, seeds: Sequence[int] | None = None) -> Measurement:
    """Replicates as a cell stores them."""
    ends = {name: np.array([one.numbers[name] for one in each]) for name in UNITS}
    return Measurement(target, tuple(seeds or range(len(each))), STEPS, {}, ends, plain={"what": "kind"})


def verdict(m: Measurement, settings: Settings) -> Verdict:
    """The kind of optimisation."""
    base = Verdict("", (), m.target, settings=settings_dict(settings))
    sound = np.all([np.isfinite(array) for array in m.ends.values()], axis=0)
    base = replace(base, seeds=int(sound.sum()), diverged=int((~sound).sum()))
    if base.seeds < 2:
        text = "Fewer than two replicates: no interval over them."
        return replace(base, name=OPEN, reasons=(text,), seeds_needed=8)
    answers, nodes = (
        estimated(m.ends[name][sound]) for name in ("answered changes", "nodes changed before commitment")
    )
    delta, alpha = settings.delta, settings.alpha
    answering = clear(answers, delta, "It answers changes of the regime on the way", alpha)
    deaf = bounded(answers, delta, "It answers changes of the regime on the way", alpha)
    touching = clear(nodes, delta, "It has changed nodes of the world before it commits itself", alpha)
    spared = bounded(nodes, delta, "It has changed nodes of the world before it commits itself", alpha)
    rules = {CONTROL: (answering, touching), SELECTION: (answering, spared), DIRECT: (deaf,)}
    name = next((kind for kind, tests in rules.items() if all(test.holds for test in tests)), OPEN)
    tests = rules.get(name, ())
    level = 1 - alpha
    reasons = [f"{test.text} ({test.interval})." for test in tests] or [
        f"Share of changes answered {answers.interval(level)}; nodes changed before commitment {nodes.interval(level)}."
    ]
    p = max((test.p for test in tests), default=float("nan"))
    return replace(base, name=name, reasons=tuple(reasons), statements=tuple(tests), p=p)


def _run(optimizer: Optimizer, episode: Episode) -> Episode:
    optimizer(episode)
    if not episode.over:
        expected, mend = f"{len(episode.decision.acts)} acts", "act on every act node, by episode.act(state)"
        raise ProbeError("an optimizer that stops before it has acted", found=len(episode.done), expected=expected,
                         mend=mend)  # fmt: skip
    return episode


def _answers(optimizer: Optimizer, decision: Decision, number: int, plain: Episode, change: Change) -> bool:
    moved = _run(optimizer, Episode(decision, number, change))
    before = sum(at <= change.after for at in plain.acted)
    return moved.done[before:] != plain.done[before:]


def _ticks(plain: Episode) -> list[int]:
    """After which calls the regime is changed: spread over the run, and after every act but the last."""
    last = plain.acted[-1] - 1
    spread = np.unique(np.linspace(1, max(last, 1), min(MOST_TICKS, max(last, 1))).round().astype(int)).tolist()
    return sorted({k for k in (*spread, *plain.acted[:-1]) if 1 <= k <= last})


def _changed(decision: Decision, number: int, acts: Sequence[Label], idle: Sequence[Label], count: int) -> int:
    """Nodes that the first so many acts have made another than idling would have."""
    ends = []
    for plan in (acts, idle):
        episode = Episode(decision, number)
        for label in plan[:count]:
            episode.act(label)
        ends.append(episode.happened())
    return sum(ends[0][v] != ends[1][v] for v in ends[0])
