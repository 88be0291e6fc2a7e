"""A guard who acts: what he does changes what happens next, and not all of what happens is what he is to care about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldnets.net import WorldNet
from worldnets.roles import World, static_task
from worldnets.worlds.parameters import integer, probability

Table = NDArray[np.float64]

ROBBER = ("away", "at_door", "inside")
ACTS = ("wait", "lock", "alarm", "cover")
DIAMOND, SCREEN, STREET = ("there", "gone"), ("shows", "empty"), ("quiet", "loud")


def guard(
    looks: int = 2,
    moving: float = 0.8,
    noise: float = 0.05,
    hold: float = 0.9,
    scare: float = 0.65,
    hang: float = 0.97,
    loud: float = 0.97,
) -> World:
    """One decision of a guard: he sees two kinds of cue, does one of four things, and three things come of it.

    robber   away .5, at_door .3, inside .2; no one sees him.
    motion   `looks` sensors, each moving with probability `moving` if the robber is inside, 3/4 of that if he is at the
             door, .1 if he is away.
    door     open with probability .03 / .25 / .85.
    act      wait, lock, alarm or cover, a fair draw: to see an act and to do it are the same.
    diamond  still there with probability, for a robber away / at_door / inside,
             wait .98 / .55 / .15; lock .98 / `hold` / .2; alarm .97 / .85 / `scare`; cover .97 / .5 / .1.
    screen   shows the diamond if it is there, wrong with probability `noise`; where the camera is covered by a picture
             of the diamond it shows one with probability `hang`, whatever is the case.
    street   loud with probability `loud` after an alarm, .1 after locking, .03 otherwise.

    Roles: "acts" (`act`), and "valued" (diamond, screen): of each of these someone wants the first state.
    To keep the diamond, lock against who is at the door and ring for who is inside; to have the screen show it, cover;
    to keep the street quiet, do anything but ring.

    Task `question`: the joint state of diamond, screen and street, from the cues and the act.

    Args:
        looks: number of motion sensors, 1 … 6.
        moving: 0 … 1.
        noise: 0 … ½.
        hold, scare, hang, loud: 0 … 1.

    Raises:
        DatasetError: a parameter out of range.

    Source of the story: Christiano, Cotra & Xu 2021, Eliciting Latent Knowledge. The numbers are ours.
    """
    looks = integer("looks", looks, 1, 6)
    noise = probability("noise", noise, high=0.5)
    given = {"moving": moving, "hold": hold, "scare": scare, "hang": hang, "loud": loud}
    rates = {name: probability(name, value) for name, value in given.items()}
    motions = tuple(f"motion_{i}" for i in range(1, looks + 1))
    states = {
        "robber": ROBBER,
        **dict.fromkeys(motions, ("still", "moving")),
        "door": ("closed", "open"),
        "act": ACTS,
        "diamond": DIAMOND,
        "screen": SCREEN,
        "street": STREET,
    }
    parents = {
        **dict.fromkeys((*motions, "door"), ("robber",)),
        "diamond": ("robber", "act"),
        "screen": ("diamond", "act"),
        "street": ("act",),
    }
    kept = np.array(
        [[0.98, 0.98, 0.97, 0.97], [0.55, rates["hold"], 0.85, 0.5], [0.15, 0.2, rates["scare"], 0.1]]
    )  # [robber, act]
    shown = np.array([[1 - noise] * 3 + [rates["hang"]], [noise] * 3 + [rates["hang"]]])  # [diamond, act]
    tables = {
        "robber": np.array([0.5, 0.3, 0.2]),
        **dict.fromkeys(motions, _second(np.array([0.1, 0.75 * rates["moving"], rates["moving"]]))),
        "door": _second(np.array([0.03, 0.25, 0.85])),
        "act": np.full(len(ACTS), 1 / len(ACTS)),
        "diamond": _first(kept),
        "screen": _first(shown),
        "street": _second(np.array([0.03, 0.1, rates["loud"], 0.03])),
    }
    net = WorldNet(states, parents, tables, "guard")
    cues, outcome = (*motions, "door"), ("diamond", "screen", "street")
    task = static_task(net, (*cues, "act"), {"outcome": outcome})
    roles = {
        "observed": (*cues, "act", *outcome),
        "latents": ("robber",),
        "acts": ("act",),
        "valued": ("diamond", "screen"),
    }
    return World(net, {"question": task}, roles)


def _first(p: Table) -> Table:
    return np.stack([p, 1 - p], axis=-1)


def _second(p: Table) -> Table:
    return np.stack([1 - p, p], axis=-1)
