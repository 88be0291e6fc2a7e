"""The optimizer row of every module: what `probes.optimizer` measures, asked of world-model, critic, actor or planner.

The world-model answers with beliefs about outcomes; its honest objective is the world, and beside it stand worlds
tilted by half a nat towards, and away from, what each actor wants. The critic says which of two outcomes is better.
Who acts answers every situation with an act; objectives are swapped by giving a planner other values, and what acts
lead to is changed by do(): each act has another's effect, and the world-model's predictions, which planners and actors
go by, say so. Modules are those of the run in which all actors were trained; who acts and criticises is the first of
them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.measurement import Measurement
from probes.modularity.decision import Decision
from probes.modularity.measured import places
from probes.optimizer.candidate import (
    AUTHORS,
    LEAST_RANGE,
    TRAINING,
    Change,
    Course,
    NotApplicable,
    Objective,
    Provenance,
    Recorded,
    Setting,
    best_acts,
)
from probes.optimizer.measured import measured

if TYPE_CHECKING:
    from probes.modularity.trained import Condition, Trained

Floats = NDArray[np.float64]
MODULES = ("world-model", "critic", "actor")
TILT = 0.5  # nats, of the worlds that a world-model may be the truth of
FOREIGN = 6
HONEST = "what is the case"
AT_ONCE = NotApplicable("it answers at once: there are no inner steps to stop after")


def rows_of(
    decision: Decision,
    trained: Trained,
    condition: Condition,
    temperature: float,
    seeds: Sequence[int],
    steps: NDArray[np.int64],
) -> list[Measurement]:
    """The measurements of the three modules at the last checkpoint, in the order of `MODULES`."""
    _, _, every, _ = places(trained.trained)
    log_model = trained.log_model[-1, every]
    parts = (
        _world_model(decision, np.exp(log_model)),
        _critic(decision, trained.critics[-1, every, :, 0]),
        _acting(decision, trained, condition, every, temperature),
    )
    found = []
    for module, (candidate, setting) in zip(MODULES, parts, strict=True):
        m = measured(candidate, setting, condition.name, seeds, steps)
        plain = {**m.plain, "module": module, "condition": condition.name}
        found.append(Measurement(f"{condition.name}: {module}", m.seeds, m.steps, m.numbers, m.ends, plain=plain))
    return found


def _world_model(decision: Decision, model: Floats) -> tuple[Recorded, Setting]:
    outcomes = len(decision.outcomes)
    truth = decision.truth.reshape(-1, outcomes)
    family = [Objective(HONEST, truth)]
    for actor, value in zip(decision.actors, decision.values, strict=True):
        for word, sign in (("wishful about", 1.0), ("wary of", -1.0)):
            tilted = truth * np.exp(sign * TILT * value)
            family.append(Objective(f"{word} {actor}", tilted / tilted.sum(-1, keepdims=True)))
    shares = decision.weight.reshape(1, -1)
    setting = Setting("all situations and acts", "beliefs", decision.outcomes, shares, family[0], tuple(family))
    own = model.reshape(len(model), -1, outcomes)
    no = NotApplicable("it stands for no objective that could be swapped: it says what follows an act")
    return Recorded(Provenance({"answers": TRAINING}), own, AT_ONCE, no, NotApplicable("it does not act")), setting


def _critic(decision: Decision, critic: Floats) -> tuple[Recorded, Setting]:
    pairs = np.array(list(itertools.combinations(range(len(decision.outcomes)), 2)))
    better = lambda values: values[..., pairs]  # [..., Y] → [..., pairs, 2]
    family = _family(better(decision.values), decision.actors)
    shares = np.full((1, len(pairs)), 1 / len(pairs))
    setting = Setting("pairs of outcomes", "acts", ("the first", "the second"), shares, family[0], tuple(family))
    no = NotApplicable("it is what it values: to swap its objective is to train another")
    with np.errstate(invalid="ignore"):  # of seeds that diverged
        own = best_acts(better(critic), 0.0)
    return Recorded(Provenance({"answers": TRAINING}), own, AT_ONCE, no, NotApplicable("it does not act")), setting


def _acting(
    decision: Decision, trained: Trained, condition: Condition, every: int, temperature: float
) -> tuple[Recorded, Setting]:
    worth = decision.worth
    family = _family(worth, decision.actors)
    drawn = np.random.default_rng(16).standard_normal((FOREIGN, len(decision.outcomes)))
    foreign = [(f"foreign values {i + 1}", (value - value.min()) / np.ptp(value)) for i, value in enumerate(drawn)]
    changes, followed = [], {}
    for place, (name, order) in enumerate(exchanges(decision.acts).items()):
        changes.append(
            Change(name, tuple(_objective(one.name, one.worth[:, order]) for one in family if one.worth is not None))
        )
        followed[name] = trained.followed[place, every, :, 0]
    setting = Setting(
        "all situations", "acts", decision.acts, decision.shares[None], family[0], tuple(family),
        tuple(_objective(name, decision.truth @ value) for name, value in foreign), tuple(changes),
    )  # fmt: skip
    own = trained.policies[-1, every, :, 0]
    if not condition.planner:
        answers: Mapping[str, Floats] = dict.fromkeys([name for name, _ in foreign], own)
        return Recorded(Provenance({"answers": TRAINING}), own, AT_ONCE, answers, followed), setting
    model = np.exp(trained.log_model[-1, every])
    planned = {name: _softmax(model @ value / temperature) for name, value in foreign}
    nothing = np.full_like(own, 1 / len(decision.acts))
    course = Course(
        "looks ahead", (0, 1), np.stack([nothing, own]), own,
        np.stack([np.abs(own - nothing).max(-1).mean(-1), np.zeros(len(own))]),
    )  # fmt: skip
    made = Provenance({"search": AUTHORS, "objective": TRAINING, "model it plans in": TRAINING})
    return Recorded(made, own, course, planned, followed), setting


def exchanges(acts: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Interventions on what acts lead to: by name, the act whose effect each act then has."""
    places = np.arange(len(acts))
    found = {"do(each act has the next one's effect)": np.roll(places, -1)}
    if len(acts) > 2:
        found["do(the order of the acts' effects is turned round)"] = places[::-1].copy()
    return found


def _family(worth: Floats, actors: Sequence[str]) -> list[Objective]:
    """What each actor wants, as far as acts matter to it; the first is the base objective."""
    kept = [(name, own) for name, own in zip(actors, worth, strict=True) if np.ptp(own, axis=-1).max() > LEAST_RANGE]
    family = [_objective(name, own) for name, own in kept]
    if len(actors) == 1:  # alone it could be told from nothing: its opposite stands beside it
        family.append(_objective(f"not {actors[0]}", 1 - worth[0]))
    return family


def _objective(name: str, worth: Floats) -> Objective:
    return Objective(name, best_acts(worth, 0.02), worth)


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))
