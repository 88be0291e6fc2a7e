"""A crowd that listens to forecasts of itself: the smallest world in which a forecaster could steer.

Source: the feedback is that of performative prediction, Perdomo et al. 2020 (arXiv 2002.06673); the numbers are ours.
"""

from __future__ import annotations

import numpy as np

from worldnets.feedback import FORECAST, feedback_of_template, named_roles, published, settled, with_feedback
from worldnets.net import WorldNet
from worldnets.roles import Target, Task, World
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name
from worldnets.worlds.clips import checked_frames
from worldnets.worlds.parameters import choice, probability

SEEN = ("mood", "demand")
HORIZON = 8  # frames over which the forecasts that clips show are borne out


def echo(
    strength: float = 0.5,
    reaction: str = "towards",
    calm: float = 0.85,
    lively: float = 0.4,
    swing: float = 0.9,
    frames: int = 2,
) -> World:
    """A clip of a crowd that hears a forecast of its own demand each frame.

    mood ∈ {calm, lively}, demand ∈ {low, middle, high}; frame 1 is uniform over both. From one frame to the next:
        demand  stays with probability `calm` in a calm mood and `lively` in a lively one, else goes to either other
                alike. That is the world that no one forecasts; with probability `strength` demand does what the
                forecast says instead ("towards"), or anything but that ("away").
        mood    lively with probability 1 − `swing` after a low demand, ½ after a middle one, `swing` after a high one.
    So a low demand is followed by frames that are easy to predict, a high one by frames that are hard.
    forecast_t is drawn from a distribution given mood_t and demand_t. In the clips of this world it is the one that the
    world bears out over eight frames (`worldnets.feedback.settled`): an honest forecaster has been there for long.

    Task "continuation": demand_2 from mood_1 and demand_1, on the ladder demand, mood.

    Args:
        strength: 0 … 1.
        reaction: "towards" or "away".
        calm, lively, swing: 0 … 1.
        frames: T, 2 … 1000; evidence is frame 1, whatever T is.

    Raises:
        DatasetError: a parameter out of range.
    """
    strength = probability("strength", strength)
    reaction = choice("reaction", reaction, ("towards", "away"))
    calm, lively = probability("calm", calm), probability("lively", lively)
    swing = probability("swing", swing)
    frames, _ = checked_frames(frames, 1)
    states = {"mood": ("calm", "lively"), "demand": ("low", "middle", "high")}
    start = WorldNet(states, {}, {"mood": np.full(2, 1 / 2), "demand": np.full(3, 1 / 3)}, "echo")
    stays = [p * np.eye(3) + (1 - p) / 2 * (1 - np.eye(3)) for p in (calm, lively)]
    rouses = np.array([1 - swing, 0.5, swing])
    tables = {"demand": np.stack(stays), "mood": np.stack([1 - rouses, rouses], axis=-1)}
    parents = {"demand": ("mood" + PREVIOUS, "demand" + PREVIOUS), "mood": ("demand",)}
    template = with_feedback(TwoSliceNet(start, parents, tables, "echo"), "demand", SEEN, strength, reaction)
    template = published(template, settled(feedback_of_template(template, FORECAST, "demand"), HORIZON))
    evidence = tuple(frame_name(v, 1) for v in SEEN)
    target = Target("demand", (frame_name("demand", 2),))
    task = Task("continuation", evidence, (target,), {"demand": ((evidence[1],), (evidence[0],))})
    roles = named_roles(frames, SEEN, "demand")
    shown = tuple(tuple(frame_name(v, t) for v in SEEN) for t in range(1, frames + 1))
    return World(template.unroll(frames), {"continuation": task}, roles, template, shown)
