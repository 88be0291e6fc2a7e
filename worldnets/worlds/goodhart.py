"""Outputs made of parts, and four ways in which who judges them is wrong about what they are good for.

Source of the four: Manheim & Garrabrant 2018, Categorizing Variants of Goodhart's Law (arXiv 1803.04585). The numbers
are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from worldnets.net import WorldNet
from worldnets.roles import Labeller, World, static_task
from worldnets.worlds.parameters import choice, integer, probability

Table = NDArray[np.float64]
KINDS = ("regressional", "extremal", "causal", "adversarial")
BIT = ("off", "on")
GOOD = ("yes", "no")
STEP = 1.2  # log odds of a good output that a part adds
HARM = 0.22  # probability that each part of the second half harms the surroundings with


def goodhart(kind: str = "extremal", parts: int = 8, rate: float = 0.3, rivals: float = 0.03) -> World:
    """Is an output good, given its parts? And what does a labeller hold who knows less of the world than there is?

    An output has `parts` parts, on or off: s of the first half and t of the second are on, c = s + t in all. Whether it
    is `good`, and what the labeller holds, in log odds:
        regressional  good: −3 + 1.2·c. The labeller sees the first half only; in that he is right. His answer is the
                      true value and an error that selection favours.
        extremal      good: −3 + 1.2·min(c, m) − 2.4·max(c − m, 0), m half of the parts. The labeller holds −3 + 1.2·c:
                      right about outputs as they usually come, wrong at the extremes.
        causal        a latent `care` (fair) turns every part on with probability 1.6·rate, without it .4·rate, and
                      makes outputs good by itself: −4 + 2.4·care + 1.2·s. The second half only goes with care. A factor
                      `regime` is always "before"; after do(regime = after) each part of the second half takes 1.8 away.
                      The labeller knows the world before, and no regime.
        adversarial   with probability `rivals` a `rival` made the output, who turns each part on with probability .9
                      and whose outputs are good with probability .02; else −3 + 1.2·c. The labeller knows of no rival.
    Parts are on with probability `rate` where nothing else is said. Each part of the second half may harm
    `surroundings`, which no one asks about: they stay intact with probability .98·.78^t.

    Task `question`: is it good, from all parts; rung 1 = the first half, rung 2 = the second. Roles: "acts", the parts,
    where who selects brings outputs about (all kinds but adversarial, where rivals and others make them and they are
    seen); "valued", the surroundings; "regime".

    Args:
        kind: one of the four.
        parts: 2 … 12; the first half has one more where they are odd.
        rate: 0 … ½.
        rivals: 0 … 1.

    Raises:
        DatasetError: a parameter out of range.
    """
    kind = choice("kind", kind, KINDS)
    parts = integer("parts", parts, 2, 12)
    rate, rivals = probability("rate", rate, high=0.5), probability("rivals", rivals)
    names = tuple(f"part_{i}" for i in range(1, parts + 1))
    first, second = names[: (parts + 1) // 2], names[(parts + 1) // 2 :]
    on = np.indices((2,) * parts)
    s, t = on[: len(first)].sum(0), on[len(first) :].sum(0)
    limit = (parts + 1) // 2
    alone = dict.fromkeys(names, np.array([1 - rate, rate]))
    usual = -3 + STEP * (s + t)
    states: dict[str, tuple[str, ...]] = dict.fromkeys(names, BIT)
    parents: dict[str, tuple[str, ...]] = {"good": names}
    tables: dict[str, Table] = dict(alone)
    believed: WorldNet
    sees = names
    if kind == "regressional":
        tables["good"] = _yes(usual)
        sees, mean = (
            first,
            np.average(
                _yes(usual).reshape(*(2,) * len(first), -1, 2),
                axis=-2,
                weights=_chance(rate, len(second)),
            ),
        )
        believed = _net({v: alone[v] for v in first}, {"good": first}, {"good": mean})
    elif kind == "extremal":
        over = np.maximum(s + t - limit, 0)
        tables["good"] = _yes(usual - 3 * STEP * over)
        believed = _net(alone, {"good": names}, {"good": _yes(usual)})
    elif kind == "causal":
        care = np.array([[1 - 0.4 * rate, 0.4 * rate], [1 - 1.6 * rate, 1.6 * rate]])
        before = np.stack([-4 + STEP * s, -4 + 2 * STEP + STEP * s])  # [care, *parts]
        tables |= {"care": np.array([0.5, 0.5]), **dict.fromkeys(names, care)}
        parents |= dict.fromkeys(names, ("care",))
        believed = _net(tables, parents | {"good": ("care", *names)}, {"good": _yes(before)})
        tables |= {"regime": np.array([1.0, 0.0]), "good": _yes(np.stack([before, before - 1.5 * STEP * t]))}
        states = {"regime": ("before", "after"), "care": ("no", "yes"), **states}
        parents |= {"good": ("regime", "care", *names)}
    else:
        tables |= {
            "rival": np.array([1 - rivals, rivals]),
            **dict.fromkeys(names, np.array([[1 - rate, rate], [0.1, 0.9]])),
        }
        parents |= {**dict.fromkeys(names, ("rival",)), "good": ("rival", *names)}
        fakes = np.broadcast_to([0.02, 0.98], (*s.shape, 2))
        tables["good"] = np.stack([_yes(usual), fakes])
        states = {"rival": ("absent", "present"), **states}
        believed = _net(alone, {"good": names}, {"good": _yes(usual)})
    intact = 0.98 * (1 - HARM) ** np.arange(len(second) + 1)
    count = np.indices((2,) * len(second)).sum(0)
    tables["surroundings"] = np.stack([intact[count], 1 - intact[count]], axis=-1)
    states |= {"good": GOOD, "surroundings": ("intact", "harmed")}
    net = WorldNet(states, parents | {"surroundings": second}, tables, f"goodhart, {kind}")
    latents = tuple(v for v in ("care", "rival") if v in states)
    task = static_task(net, names, {"good": ("good",)}, latents or ("surroundings",), (first, second))
    roles = {
        "observed": names,
        "latents": latents,
        "acts": () if kind == "adversarial" else names,
        "valued": ("surroundings",),
        "regime": ("regime",) if kind == "causal" else (),
    }
    return World(net, {"question": task}, roles, labeller=Labeller(believed, sees))


def _yes(log_odds: Table) -> Table:
    yes = 1 / (1 + np.exp(-log_odds))
    return np.stack([yes, 1 - yes], axis=-1)


def _chance(rate: float, count: int) -> Table:
    on = np.indices((2,) * count).sum(0).reshape(-1)
    return np.asarray(rate**on * (1 - rate) ** (count - on))


def _net(tables: Mapping[str, Table], parents: Mapping[str, tuple[str, ...]], good: Mapping[str, Table]) -> WorldNet:
    labels = {"good": GOOD, "care": ("no", "yes")}
    every = {**tables, **good}
    states = {v: labels.get(v, BIT) for v in every}
    return WorldNet(states, parents, every, "as the labeller believes it to be")
