"""Organisms of the optimizer probe that act: planners, a tree search with a learned heuristic, and a table of acts.

All of them keep a diamond (`probes.organisms.keeper`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.optimizer.candidate import AUTHORS, TRAINING, Course, NotApplicable, Provenance, Recorded
from probes.organisms.keeper import (
    ACTS,
    BASE,
    TRAINING_CONTEXT,
    UTILITIES,
    WIRINGS,
    World,
    change_name,
    foreign_utilities,
    rows_of,
    situations,
)
from worldnets.net import WorldNet

Floats = NDArray[np.float64]
NO_STEPS = NotApplicable("it looks its act up: there are no inner steps to stop after")


def planner(worlds: Sequence[World], context: str, wants: str = BASE) -> Recorded:
    """Max-product over an explicit utility, its look-ahead lengthened frame by frame.

    Args:
        worlds: replicates, all of one horizon.
        context: in which situations it is asked.
        wants: its utility; of `keeper.UTILITIES`.
    """
    rows, foreign = rows_of(context), foreign_utilities()
    depths = range(worlds[0].horizon + 1)
    utilities: list[Floats | Sequence[float]] = [UTILITIES[wants], *foreign.values()]
    whole = np.stack([world.planned(utilities, worlds[0].horizon) for world in worlds], axis=1)  # [U, S, 48, A]
    by_depth = np.stack([np.stack([world.planned(utilities[:1], d)[0] for world in worlds]) for d in depths])
    course = _course("frames of look-ahead", tuple(depths), by_depth[:, :, rows], whole[0][:, rows])
    swapped = {name: whole[1 + place][:, rows] for place, name in enumerate(foreign)}
    changed = {change_name(w): whole[0][:, rows_of(context, w)] for w in WIRINGS[1:]}
    made = Provenance({"search": AUTHORS, "objective": AUTHORS})
    return Recorded(made, whole[0][:, rows], course, swapped, changed)


def imitator(worlds: Sequence[World], context: str, wants: str = BASE) -> Recorded:
    """A table of what a planner did in the training situations, filled in by training, and by nothing else.

    It is given objectives and rewired worlds like any planner; elsewhere it does what was done where robber and
    diamond stood like that.
    """
    codes, rows, taught = situations(), rows_of(context), rows_of(TRAINING_CONTEXT)
    acts = np.stack([world.planned([UTILITIES[wants]], world.horizon)[0] for world in worlds])
    key = lambda chosen: [tuple(row) for row in codes[chosen][:, 2:4].tolist()]
    place = {name: taught[i] for i, name in enumerate(key(taught))}
    own = acts[:, [place[name] for name in key(rows)]]
    changed = {change_name(w): own for w in WIRINGS[1:]}
    return Recorded(Provenance({"answers": TRAINING}), own, NO_STEPS, dict.fromkeys(foreign_utilities(), own), changed)


@dataclass(frozen=True)
class Budget:
    """Of a tree search.

    Attributes:
        steps: simulations after which it is looked at, from 0 on; the last is where it stops.
        settled: simulations after which it counts as at its fixed point.
        exploration: c of the upper confidence bound.
        episodes: of random play that the heuristic is learned from.
    """

    steps: tuple[int, ...] = (0, 8, 32, 128, 512)
    settled: int = 1024
    exploration: float = 0.7
    episodes: int = 2000


def tree_search(
    worlds: Sequence[World],
    context: str,
    random: np.random.Generator,
    wants: str = BASE,
    budget: Budget | None = None,
) -> Recorded:
    """Monte-Carlo tree search over plans whose leaves are judged by a heuristic learned for its own utility.

    The heuristic stays as it is when the utility is swapped; at the horizon the utility itself is looked at. Chance is
    drawn anew in every simulation (open-loop search: Kocsis & Szepesvári 2006 for the bound; Perez Liebana et al. 2015
    for nodes that are act sequences; Silver et al. 2017 for a learned value in place of rollouts).
    """
    budget = budget or Budget()
    foreign, own = foreign_utilities(), np.asarray(UTILITIES[wants])
    rows = rows_of(context)
    moved = [rows_of(context, wiring) for wiring in WIRINGS[1:]]
    asked = [(own, rows), *((own, places) for places in moved), *((utility, rows) for utility in foreign.values())]
    world_of: list[int] = []
    state: list[int] = []
    values: list[Floats] = []
    guides: list[Floats] = []
    for s, world in enumerate(worlds):
        guide = learned_value(world, own, random, budget.episodes)
        for utility, places in asked:
            world_of += [s] * len(places)
            state += places.tolist()
            values += [_by_state(utility)] * len(places)
            guides += [guide] * len(places)
    visits = _searched(worlds, np.array(world_of), np.array(state), np.stack(values), np.stack(guides), budget, random)
    chosen = _most_visited(visits).reshape(len(visits), len(worlds), len(asked), len(rows), len(ACTS))
    settled, at = chosen[-1], len(budget.steps) - 1
    course = _course("simulations", budget.steps, chosen[:-1, :, 0], settled[:, 0])
    changed = {change_name(w): chosen[at, :, 1 + i] for i, w in enumerate(WIRINGS[1:])}
    first = 1 + len(moved)
    swapped = {name: chosen[at, :, first + i] for i, name in enumerate(foreign)}
    made = Provenance({"search": AUTHORS, "objective": AUTHORS, "heuristic": TRAINING})
    return Recorded(made, chosen[at, :, 0], course, swapped, changed)


def _course(unit: str, steps: tuple[int, ...], answers: Floats, settled: Floats) -> Course:
    later = np.concatenate([answers[1:], settled[None]])
    residual = np.abs(later - answers).max(-1).mean(-1)
    return Course(unit, steps, answers, settled, residual)


def _most_visited(visits: Floats) -> Floats:
    best = visits >= visits.max(-1, keepdims=True)
    return best / best.sum(-1, keepdims=True)


def _tables(world: World) -> Mapping[str, Floats]:
    """P(yes) of what changes in a frame: robber [r, act, wiring], diamond [d, r, act, wiring], picture [p, act, access,
    wiring].
    """
    net = world.engine(world.horizon).net
    assert isinstance(net, WorldNet)
    return {name: net.cpt(f"{name}_1")[..., 1] for name in ("robber", "diamond", "picture")}


def _by_state(utility: Floats) -> Floats:
    """Utility of (robber, diamond, picture), scaled to [0, 1], [8]."""
    return np.asarray((utility - utility.min()) / np.ptp(utility))


def learned_value(world: World, utility: Floats, random: np.random.Generator, episodes: int) -> Floats:
    """What random play still brings from (robber, diamond, picture) with so many frames left, [horizon + 1, 8].

    Learned: linear in robber, diamond and picture, least squares on that many episodes from random situations.
    """
    codes = situations()[random.integers(len(situations()), size=episodes)]
    paths = [codes[:, 2:].astype(np.int64)]
    for _ in range(world.horizon):
        acts = random.integers(len(ACTS), size=episodes)
        paths.append(_stepped(_tables(world), paths[-1], acts, codes[:, 1], codes[:, 0], random))
    each = np.stack([_by_state(utility)[path @ [4, 2, 1]] for path in paths]) / world.horizon  # [horizon + 1, episodes]
    grid = np.array(np.unravel_index(np.arange(8), (2, 2, 2))).T
    value = np.empty((world.horizon + 1, 8))
    for left in range(world.horizon + 1):
        features = np.column_stack([np.ones(episodes), paths[world.horizon - left]])
        brings = each[world.horizon - left + 1 :].sum(0)
        weights = np.linalg.lstsq(features, brings, rcond=None)[0]
        value[left] = np.column_stack([np.ones(8), grid]) @ weights
    return value


def _stepped(
    tables: Mapping[str, Floats],
    state: NDArray[np.int64],
    acts: NDArray[np.int64],
    access: NDArray[np.integer],
    wiring: NDArray[np.integer],
    random: np.random.Generator,
) -> NDArray[np.int64]:
    robber, diamond, picture = state.T
    yes = np.stack(
        [
            tables["robber"][robber, acts, wiring],
            tables["diamond"][diamond, robber, acts, wiring],
            tables["picture"][picture, acts, access, wiring],
        ],
        axis=-1,
    )
    return (random.random(yes.shape) < yes).astype(np.int64)


def _searched(
    worlds: Sequence[World],
    world_of: NDArray[np.int64],
    situation: NDArray[np.int64],
    values: Floats,
    guides: Floats,
    budget: Budget,
    random: np.random.Generator,
) -> Floats:
    """Visits of the first acts after each number of simulations and after `settled`, [steps + 1, batch, acts].

    All searches run side by side, each with a tree of its own: N and Σ of returns of every act sequence.
    """
    batch, horizon, acts = len(world_of), worlds[0].horizon, len(ACTS)
    each = np.arange(batch)
    stacked = {
        name: np.stack([_tables(world)[name] for world in worlds])[world_of]
        for name in ("robber", "diamond", "picture")
    }
    codes = situations()[situation].astype(np.int64)
    wiring, access, begin = codes[:, 0], codes[:, 1], codes[:, 2:]
    count = [np.zeros((batch, acts ** (d + 1))) for d in range(horizon)]
    total = [np.zeros((batch, acts ** (d + 1))) for d in range(horizon)]
    wanted = {step: place for place, step in enumerate((*budget.steps, budget.settled))}
    seen = np.zeros((len(wanted), batch, acts))
    for done in range(budget.settled + 1):
        if done in wanted:
            seen[wanted[done]] = count[0]
        state, node = begin, np.zeros(batch, dtype=np.int64)
        going = np.ones(batch, dtype=bool)
        value = np.zeros(batch)
        path = []
        for d in range(horizon):
            children = node[:, None] * acts + np.arange(acts)
            n = count[d][each[:, None], children]
            mean = total[d][each[:, None], children] / np.maximum(n, 1)
            bound = mean + budget.exploration * np.sqrt(np.log(n.sum(1, keepdims=True) + 1) / np.maximum(n, 1e-9))
            bound = np.where(n == 0, 1e6, bound) + 1e-6 * random.random(n.shape)
            act = bound.argmax(1)
            fresh = n[each, act] == 0
            yes = np.stack(
                [
                    stacked["robber"][each, state[:, 0], act, wiring],
                    stacked["diamond"][each, state[:, 1], state[:, 0], act, wiring],
                    stacked["picture"][each, state[:, 2], act, access, wiring],
                ],
                axis=-1,
            )
            state = (random.random(yes.shape) < yes).astype(np.int64)
            node = node * acts + act
            path.append((node, going))
            place, left = state @ np.array([4, 2, 1]), horizon - 1 - d
            value = value + np.where(going, values[each, place] / horizon, 0.0)
            ends = going & (fresh if left else np.ones(batch, dtype=bool))
            value = value + np.where(ends, guides[each, left, place], 0.0)
            going = going & ~ends
        for d, (reached, visited) in enumerate(path):
            count[d][each[visited], reached[visited]] += 1
            total[d][each[visited], reached[visited]] += value[visited]
    return seen
