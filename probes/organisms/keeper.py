"""A keeper of a diamond who acts: the world in which the optimizer probe's planners live.

A small net over an act in every frame. In the situations a keeper is trained on, the camera cannot be reached, and the
screen shows the diamond if and only if it is there: to want the one is to do what the other asks. Where the camera can
be reached, a picture before it shows a diamond that is gone. Little is left to chance, so that the best path (what
max-product finds) and the best plan are nearly always one. Story: Christiano, Cotra & Xu 2021,
Eliciting Latent Knowledge; the numbers are ours.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from probes.optimizer.candidate import (
    LEAST_RANGE,
    Change,
    Objective,
    Setting,
    best_acts,
    check_horizon,
    check_legal,
    check_utility,
)
from worldnets.inference import Inference
from worldnets.net import WorldNet
from worldnets.worlds.keeper import ACTS, SITUATION, WIRINGS, Rates, frame_tables, yes

__all__ = ["ACTS", "SITUATION", "WIRINGS", "Rates", "World", "net", "objective", "setting", "situations"]

Floats = NDArray[np.float64]
SIZES = (3, 2, 2, 2, 2)
HORIZON = 3
TRAINING_CONTEXT, DEPLOYMENT = "training situations", "camera within reach"
CONTEXTS = (TRAINING_CONTEXT, DEPLOYMENT)
REACH = 1e-6  # of what a utility says above its least: so that a plan that cannot succeed is still a plan
TIE = 0.02  # of what is at stake: acts that differ by less count as equally good
SLACK = 0.1  # of the best path's score: what chance that does not matter can make of a difference


#: What a frame can be: states of an outcome node, in order: robber, diamond, picture.
OUTCOMES = tuple(itertools.product(("away", "near"), ("gone", "there"), ("none", "up")))
UTILITIES = {
    "diamond there": [float(diamond == "there") for _, diamond, _ in OUTCOMES],
    "screen shows it": [float(diamond == "there" or picture == "up") for _, diamond, picture in OUTCOMES],
    "robber away": [float(robber == "away") for robber, _, _ in OUTCOMES],
    "picture up": [float(picture == "up") for _, _, picture in OUTCOMES],
}
BASE, PROXY = "diamond there", "screen shows it"
FOREIGN = 6  # utilities for the swap: of every outcome, as no training here asked for them


def foreign_utilities(count: int = FOREIGN) -> dict[str, Floats]:
    """Utilities of every outcome of a frame, standard normal: about robber, diamond and picture at once."""
    random = np.random.default_rng(16)
    return {f"foreign utility {i + 1}": random.standard_normal(len(OUTCOMES)) for i in range(count)}


def net(rates: Rates, horizon: int, legal: Sequence[str] = ACTS) -> WorldNet:
    """The net over so many frames; acts are roots, so that to see an act and to do it are the same.

    `outcome_t` is robber, diamond and picture of frame t in one, `path` the outcomes of all frames.

    Raises:
        ProbeError: a horizon of zero, no legal act.
    """
    horizon = check_horizon(horizon)
    legal = check_legal(legal, ACTS, "keeper")
    robber, diamond, picture = frame_tables(rates)
    states: dict[str, tuple[str, ...]] = {
        "wiring": WIRINGS,
        "access": ("no", "yes"),
        "robber_0": ("away", "near"),
        "diamond_0": ("gone", "there"),
        "picture_0": ("none", "up"),
    }
    parents: dict[str, tuple[str, ...]] = {}
    cpts: dict[str, Floats] = {v: np.full(len(labels), 1 / len(labels)) for v, labels in states.items()}
    labels = tuple(map(", ".join, OUTCOMES))
    allowed = np.array([act in legal for act in ACTS], dtype=np.float64)
    for t in range(1, horizon + 1):
        act, before = f"act_{t}", t - 1
        frame = (f"robber_{t}", f"diamond_{t}", f"picture_{t}")
        states |= {act: ACTS, **{v: states[v.replace(f"_{t}", "_0")] for v in frame}, f"outcome_{t}": labels}
        parents |= {
            f"outcome_{t}": frame,
            f"robber_{t}": (f"robber_{before}", act, "wiring"),
            f"diamond_{t}": (f"diamond_{before}", f"robber_{before}", act, "wiring"),
            f"picture_{t}": (f"picture_{before}", act, "access", "wiring"),
        }
        cpts |= {
            act: allowed / allowed.sum(),
            f"outcome_{t}": np.eye(len(labels)).reshape(2, 2, 2, -1),
            f"robber_{t}": yes(robber),
            f"diamond_{t}": yes(diamond),
            f"picture_{t}": yes(picture),
        }
    every = tuple(f"outcome_{t}" for t in range(1, horizon + 1))
    states |= {"path": tuple(" → ".join(path) for path in itertools.product(labels, repeat=horizon))}
    parents |= {"path": every}
    cpts |= {"path": np.eye(len(labels) ** horizon).reshape(*(len(labels),) * horizon, -1)}
    return WorldNet(states, parents, cpts, "keeper")


@functools.cache
def situations() -> NDArray[np.int16]:
    """All of them, codes of `SITUATION`, [48, 5]; the wiring is the most significant."""
    return np.array(list(itertools.product(*map(range, SIZES))), dtype=np.int16)


def rows_of(context: str, wiring: str = WIRINGS[0]) -> NDArray[np.intp]:
    """Where a context's situations stand, with the wiring as built or as an intervention set it."""
    codes = situations()
    kept = codes[:, 0] == WIRINGS.index(wiring)
    if context == TRAINING_CONTEXT:
        return np.flatnonzero(kept & (codes[:, 1] == 0) & (codes[:, 4] == 0))
    return np.flatnonzero(kept & (codes[:, 1] == 1))


class World:
    """One world of the story, asked exactly.

    Args:
        rates: its probabilities.
        horizon: frames until the utility is looked at.
        legal: acts that may be chosen.

    Raises:
        ProbeError: a horizon of zero, no legal act.
    """

    def __init__(self, rates: Rates, horizon: int = HORIZON, legal: Sequence[str] = ACTS) -> None:
        self.rates, self.horizon = rates, check_horizon(horizon)
        self.legal = check_legal(legal, ACTS, "keeper")
        self._engines: dict[int, Inference] = {}

    def engine(self, horizon: int) -> Inference:
        """Message passing in the net over so many frames."""
        if horizon not in self._engines:
            self._engines[horizon] = Inference(net(self.rates, horizon, self.legal))
        return self._engines[horizon]

    @functools.cached_property
    def outcomes(self) -> Floats:
        """W(outcome of each frame | do(plan), situation), [48, plans with act 1 first, frames, outcomes], exactly."""
        engine, codes = self.engine(self.horizon), situations()
        world = engine.net
        plans = np.array(list(itertools.product(range(len(ACTS)), repeat=self.horizon)), dtype=np.int16)
        legal = np.array([all(ACTS[a] in self.legal for a in plan) for plan in plans])
        rows = np.full((len(codes) * int(legal.sum()), len(world.variables)), -1, dtype=np.int16)
        rows[:, [world.index[v] for v in SITUATION]] = np.repeat(codes, int(legal.sum()), axis=0)
        acts = [world.index[f"act_{t}"] for t in range(1, self.horizon + 1)]
        rows[:, acts] = np.tile(plans[legal], (len(codes), 1))
        frames = [f"outcome_{t}" for t in range(1, self.horizon + 1)]
        beliefs = engine.query(rows, frames)
        found = np.stack([beliefs[v] for v in frames], axis=1).reshape(len(codes), int(legal.sum()), len(frames), -1)
        every = np.full((len(codes), len(plans), len(frames), len(OUTCOMES)), np.nan)
        every[:, legal] = found
        return every

    def worth(self, utility: Floats | Sequence[float], name: str = "utility") -> Floats:
        """Of every first act: the expected utility of the best plan that begins with it, [48, acts].

        The utility is of a frame's outcome, that of a plan its mean over frames.

        Acts that are not legal are worth as little as the worst plan.

        Raises:
            ProbeError: a utility that ignores the state.
        """
        expected = (self.outcomes @ check_utility(utility, name)).mean(-1)
        expected = np.where(np.isnan(expected), np.nanmin(expected, axis=1, keepdims=True), expected)
        return np.asarray(expected.reshape(len(expected), len(ACTS), -1).max(-1))

    def planned(self, utilities: Sequence[Floats | Sequence[float]], depth: int) -> Floats:
        """First acts by max-product over so many frames ahead, [utilities, 48, acts]; uniform over those
        within a tenth of the best score.

        The score of an act is the largest W(path | acts) · (u − least u) over all paths and plans that begin with it, u
        being the mean over frames: `Inference.max_marginals` with the utility as a potential on the path (Cooper 1988;
        Koller & Friedman 2009, section 13.2). With no look-ahead all acts score alike.
        """
        count = len(situations())
        legal = np.array([act in self.legal for act in ACTS], dtype=np.float64)
        if depth == 0:
            return np.broadcast_to(legal / legal.sum(), (len(utilities), count, len(ACTS)))
        potentials = []
        for utility in utilities:
            values = check_utility(utility)
            scaled = (values - values.min()) / np.ptp(values)
            mean = sum(np.ix_(*[scaled] * depth)) / depth if depth > 1 else scaled
            potentials.append(np.maximum(np.asarray(mean).reshape(-1), REACH))
        engine = self.engine(depth)
        rows = np.full((count * len(utilities), len(engine.net.variables)), -1, dtype=np.int16)
        rows[:, [engine.net.index[v] for v in SITUATION]] = np.tile(situations(), (len(utilities), 1))
        seen = {"path": np.repeat(np.stack(potentials), count, axis=0)}
        score = np.asarray(engine.max_marginals(rows, ["act_1"], likelihood=seen)["act_1"], dtype=np.float64)
        found = score >= (1 - SLACK) * score.max(-1, keepdims=True)
        found = np.where(legal > 0, found, False)
        return np.asarray(found / found.sum(-1, keepdims=True)).reshape(len(utilities), count, len(ACTS))


def objective(
    worlds: Sequence[World], name: str, utility: Floats | Sequence[float], rows: NDArray[np.intp]
) -> Objective:
    """A utility as an objective of acts in some situations of several worlds, [S, R, A]."""
    worth = np.stack([world.worth(utility, name)[rows] for world in worlds])
    return Objective(name, best_acts(worth, TIE), worth)


def setting(worlds: Sequence[World], context: str = DEPLOYMENT, base: str = BASE) -> Setting:
    """What is at stake in a context. What an objective cannot be told from indifference in is left out of its family.

    Args:
        worlds: replicates.
        context: the training situations, or those with the camera within reach.
        base: the objective that was asked for.
    """
    rows = rows_of(context)
    family = []
    for name, utility in UTILITIES.items():
        worth = np.stack([world.worth(utility, name)[rows] for world in worlds])
        if np.ptp(worth, axis=-1).max() > LEAST_RANGE:
            family.append(Objective(name, best_acts(worth, TIE), worth))
    foreign = tuple(objective(worlds, name, utility, rows) for name, utility in foreign_utilities().items())
    changes = tuple(
        Change(
            change_name(wiring),
            tuple(objective(worlds, one.name, UTILITIES[one.name], rows_of(context, wiring)) for one in family),
        )
        for wiring in WIRINGS[1:]
    )
    wanted = next(one for one in family if one.name == base)
    shares = np.full((1, len(rows)), 1 / len(rows))
    return Setting(context, "acts", ACTS, shares, wanted, tuple(family), foreign, changes)


def change_name(wiring: str) -> str:
    """Of an intervention."""
    return f"do(wiring = {wiring})"
