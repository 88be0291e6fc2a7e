"""Forecasts that feed back: a prediction published in one frame is a parent of what it predicts in the next.

`with_feedback` makes such a world of any two-slice net; `Feedback` is what exact inference says of it under do(): the
moves of the world for every forecast that may be published. From these the world under any publisher follows in closed
form, the forecast that the world bears out (`settled`) among it.

Source: Perdomo, Zrnic, Mendler-Dünner & Hardt 2020, "Performative prediction" (arXiv 2002.06673): what is settled here
is performatively stable there.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import DatasetError
from worldnets.net import WorldNet
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name

if TYPE_CHECKING:
    from worldnets.dataset import Dataset

Floats = NDArray[np.float64]
FORECAST = "forecast"
#: Roles of a world with feedback: the forecasts, and the nodes they are about, in time order.
FORECASTS, PREDICTED = "forecasts", "predicted"
LARGEST_FRAME = 512  # joint states of a frame without its forecast
TINY = 1e-300
SETTLED, ROUNDS = 1e-13, 10_000


def with_feedback(
    template: TwoSliceNet, predicted: str, seen: Sequence[str], strength: float, reaction: str = "towards"
) -> TwoSliceNet:
    """A two-slice net in which a forecast of `predicted` is published each frame, and the next frame reacts to it.

    W'(y_{t+1} | its parents, forecast_t = f) = (1 − s)·W(y_{t+1} | its parents) + s·R_f(y_{t+1}), where R_f is certain
    of f ("towards": a prophecy that fulfils itself) or of anything else alike ("away": one that defeats itself). Who
    publishes has seen the nodes `seen` of the frame; for now the forecast is uniform (`published` says otherwise).

    Args:
        template: the world without forecasts.
        predicted: the variable that is forecast.
        seen: variables of a frame that the forecaster sees.
        strength: s, 0 … 1.
        reaction: "towards" or "away".

    Raises:
        DatasetError: a strength or reaction that is none, variables the template does not have or that have no room.
    """
    for v in (predicted, *seen):
        if v not in template.states:
            known = ", ".join(template.variables)
            raise DatasetError("the world has no such variable", found=repr(v), expected=f"one of {known}")
    if FORECAST in template.states:
        mend = "a world has one forecast; rename the variable"
        raise DatasetError("something is called a forecast already", node=FORECAST, mend=mend)
    if not seen or len(set(seen)) < len(seen):
        raise DatasetError("a forecaster sees nothing, or something twice", found=tuple(seen), mend="name each once")
    if not 0 <= strength <= 1 or reaction not in ("towards", "away"):
        found, expected = f"{reaction}, strength {strength}", '"towards" or "away", strength 0 … 1'
        raise DatasetError("no such reaction to a forecast", found=found, expected=expected)
    states = dict(template.states) | {FORECAST: template.states[predicted]}
    size = len(states[predicted])
    if size < 2:
        raise DatasetError("nothing to forecast", node=predicted, found=states[predicted], expected="two states")
    follow = np.eye(size) if reaction == "towards" else (1 - np.eye(size)) / (size - 1)
    uniform = np.full([*(len(states[v]) for v in seen), size], 1 / size)
    first, initial = {FORECAST: tuple(seen)}, template.initial
    start = WorldNet(states, dict(initial.parent_sets) | first, dict(initial.cpts) | {FORECAST: uniform}, template.name)
    table = np.asarray(template.cpts[predicted])[..., None, :]
    parents = dict(template.parents) | first
    parents[predicted] = (*template.parents.get(predicted, ()), FORECAST + PREVIOUS)
    tables = dict(template.cpts) | {FORECAST: uniform, predicted: (1 - strength) * table + strength * follow}
    return TwoSliceNet(start, parents, tables, template.name)


def published(template: TwoSliceNet, q: Floats) -> TwoSliceNet:
    """The world in which forecasts are drawn from q(f | what is seen), [seen configurations, states].

    Raises:
        NetError: rows that are no distributions.
    """
    table = np.asarray(q).reshape(template.initial.cpt(FORECAST).shape)
    initial = template.initial
    start = WorldNet(initial.states, initial.parent_sets, dict(initial.cpts) | {FORECAST: table}, initial.name)
    return TwoSliceNet(start, template.parents, dict(template.cpts) | {FORECAST: table}, template.name)


@dataclass(frozen=True, eq=False)
class Feedback:
    """What a world with feedback does, Z joint states of a frame, X configurations of what is seen, F forecasts.

    Attributes:
        variables: of a frame but the forecast: Z counts their joint states, the first most significant.
        seen: those that the forecaster sees: X counts theirs.
        predicted: what is forecast.
        start: W(z_1), [Z].
        moves: W(z_{t+1} | z_t, do(forecast_t = f)), [F, Z, Z].
        sees, says: the configuration seen in each state, and the state of what is predicted, [Z].
    """

    variables: tuple[str, ...]
    seen: tuple[str, ...]
    predicted: str
    start: Floats
    moves: Floats
    sees: NDArray[np.intp]
    says: NDArray[np.intp]

    @property
    def configurations(self) -> int:
        """X."""
        return int(self.sees.max()) + 1

    @property
    def forecasts(self) -> int:
        """F."""
        return len(self.moves)

    @property
    def indicators(self) -> tuple[Floats, Floats]:
        """What is seen, and what comes, as indicators: [Z, X] and [Z, F]."""
        return np.eye(self.configurations)[self.sees], np.eye(self.forecasts)[self.says]


def feedback_of_template(template: TwoSliceNet, forecast: str, predicted: str) -> Feedback:
    """The moves of a template under do(forecast), by message passing.

    Raises:
        DatasetError: a forecast that is no parent of the next frame's `predicted` or of something else, that has other
            states, or that is made from what lies in other frames; frames of too many states.
    """
    from worldnets.inference import Inference

    for v in (forecast, predicted):
        if v not in template.states:
            known = ", ".join(template.variables)
            raise DatasetError("the world has no such variable", found=repr(v), expected=f"one of {known}")
    fed = [v for v in template.variables if forecast + PREVIOUS in template.parents.get(v, ())]
    if fed != [predicted] or any(forecast in template.parents.get(v, ()) for v in template.variables):
        mend = f"make {forecast}{PREVIOUS} a parent of {predicted!r} and of nothing else: worldnets.with_feedback does"
        raise DatasetError("no forecast feeds back into what it predicts", node=forecast, found=fed, mend=mend)
    if template.states[forecast] != template.states[predicted]:
        raise DatasetError(
            "a forecast of other states than what it predicts",
            node=forecast,
            found=template.states[forecast],
            expected=template.states[predicted],
            mend="give the forecast the states of what it predicts",
        )
    seen = tuple(template.initial.parents(forecast))
    if not seen or seen != tuple(template.parents.get(forecast, ())):
        mend = "let the forecast have parents in its own frame, the same in every frame"
        raise DatasetError("a forecast that is not made from its own frame", node=forecast, found=seen, mend=mend)
    own = tuple(v for v in template.variables if v != forecast)
    sizes = [len(template.states[v]) for v in own]
    count = math.prod(sizes)
    if count > LARGEST_FRAME:
        raise DatasetError("frames of too many states", found=count, expected=f"at most {LARGEST_FRAME}")
    net = template.unroll(2)
    now, following = ([frame_name(v, t) for v in own] for t in (1, 2))
    every = list(itertools.product(*(template.states[v] for v in own)))
    engine = Inference(net)
    blank = np.full((count, len(net.variables)), -1, dtype=np.int16)
    do: dict[str, Any] = {v: [state[i] for state in every] for i, v in enumerate(now)}
    moves = [
        engine.joint(blank, following, do=do | {frame_name(forecast, 1): label}).reshape(count, count)
        for label in template.states[forecast]
    ]
    start = np.asarray(engine.joint(blank[:1], now), dtype=np.float64).reshape(count)
    codes = np.stack(np.unravel_index(np.arange(count), sizes))
    shown = [own.index(v) for v in seen]
    sees = np.ravel_multi_index(tuple(codes[shown]), [sizes[i] for i in shown])
    return Feedback(own, seen, predicted, start, np.stack(moves), sees, codes[own.index(predicted)])


def feedback_of(dataset: Dataset) -> Feedback:
    """The feedback of a dataset, by its roles "forecasts" and "predicted".

    Raises:
        DatasetError: none, or one as `feedback_of_template` refuses it.
    """
    template, roles = dataset.template, dataset.roles
    if template is None or not roles.get(FORECASTS) or not roles.get(PREDICTED):
        mend = 'load "echo", or make a world with worldnets.feedback.with_feedback and name its roles'
        raise DatasetError("no forecast feeds back in this world", node=dataset.name, mend=mend)
    forecast, predicted = (roles[name][0].rpartition("_")[0] for name in (FORECASTS, PREDICTED))
    return feedback_of_template(template, forecast, predicted)


def played(feedback: Feedback, q: Any, horizon: int, start: Any = None, xp: Any = np) -> Any:
    """What is seen and what then comes, P̄(x, y) over `horizon` published forecasts, [..., X, F].

    Frame t's states μ_t follow from μ_1 by M_q(z, z') = Σ_f q(f | x(z))·W(z' | z, do(f)); P̄ is the mean over t of
    the joint distribution of x(z_t) and y(z_{t+1}).

    Args:
        feedback: the world.
        q: what is published, [..., X, F].
        horizon: frames.
        start: μ_1 [Z]; the world's own by default.
        xp: NumPy, or a module like it.
    """
    seen, said = (xp.asarray(part) for part in feedback.indicators)
    moves = xp.einsum("...zf,fzw->...zw", xp.einsum("zx,...xf->...zf", seen, q), xp.asarray(feedback.moves))
    now = xp.asarray(feedback.start if start is None else start)
    comes = xp.einsum("...zw,wy->...zy", moves, said)
    found: Any = 0.0
    for _ in range(horizon):
        found = found + xp.einsum("...z,zx,...zy->...xy", now, seen, comes)
        now = xp.einsum("...z,...zw->...w", now, moves)
    return found / horizon


def reacting(pairs: Floats) -> Floats:
    """The world's answer P(y | x) from `played`, [..., X, F]; uniform where x does not occur."""
    whole = pairs.sum(-1, keepdims=True)
    return np.where(whole > TINY, pairs / np.maximum(whole, TINY), 1 / pairs.shape[-1])


def hardness(pairs: Floats) -> Floats:
    """H(Y | X) in bits of `played`, [...]: what the best forecaster who sees x would still lose."""
    whole = pairs.sum(-1, keepdims=True)
    logs = np.log2(np.maximum(pairs, TINY)) - np.log2(np.maximum(whole, TINY))
    return np.asarray(-(pairs * logs).sum((-1, -2)))


def settled(feedback: Feedback, horizon: int) -> Floats:
    """The forecast that the world bears out when it is published, q = P(y | x) under do(publish q), [X, F].

    By iteration from what the world answers to uniform forecasts: the fixed point of a forecaster who takes the world
    as it is, and does not steer.

    Raises:
        DatasetError: it does not settle.
    """
    q = np.full((feedback.configurations, feedback.forecasts), 1 / feedback.forecasts)
    for _ in range(ROUNDS):
        following = reacting(played(feedback, q, horizon))
        if np.abs(following - q).max() < SETTLED:
            return following
        q = (q + following) / 2  # half-way: a world that turns away from forecasts would have it swing for ever
    mend = "lower the strength of the reaction"
    raise DatasetError("the world bears no forecast out", found=f"{ROUNDS} rounds without an end", mend=mend)


def easiest(feedback: Feedback, horizon: int) -> tuple[Floats, float]:
    """The publication under which the world is easiest to predict that a search finds, [X, F], and its hardness.

    Publications that say one thing for sure, changed one configuration at a time as long as that helps, from every
    publication that always says the same, and from the settled one.
    """
    states, certain = feedback.forecasts, np.eye(feedback.forecasts)
    begins = [np.full(feedback.configurations, f) for f in range(states)]
    begins.append(settled(feedback, horizon).argmax(-1))
    found: tuple[Floats, float] | None = None
    for begin in begins:
        said, best = begin.copy(), math.inf
        while True:
            tried = np.repeat(said[None], feedback.configurations * states, axis=0)
            place = np.arange(len(tried))
            tried[place, place // states] = place % states
            bits = hardness(played(feedback, certain[tried], horizon))
            if bits.min() >= best - 1e-12:
                break
            said, best = tried[int(bits.argmin())], float(bits.min())
        if found is None or best < found[1]:
            found = certain[said], best
    assert found is not None
    return found


def named_roles(frames: int, seen: Sequence[str], predicted: str) -> Mapping[str, tuple[str, ...]]:
    """Roles of a clip of `frames` frames."""
    return {
        FORECASTS: tuple(frame_name(FORECAST, t) for t in range(1, frames + 1)),
        PREDICTED: tuple(frame_name(predicted, t) for t in range(2, frames + 1)),
        "observed": tuple(frame_name(v, t) for t in range(1, frames + 1) for v in seen),
    }
