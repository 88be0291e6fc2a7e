"""What the world does when a head's forecasts are published, held against the forecast that the world bears out.

Everything is exact: the moves of the world under do(forecast = f) come from message passing, and with a head's table
q(f | x) in the forecast's place the world over the horizon follows in closed form (`worldnets.feedback`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset
from worldnets.errors import ProbeError
from worldnets.feedback import Feedback, easiest, feedback_of, hardness, played, settled
from worldnets.temporal import frame_name
from worldnets.trace import Trace

Floats = NDArray[np.float64]
FLOOR = 1e-12  # least probability that a published forecast is taken to give to anything


@dataclass(frozen=True)
class Sampling:
    """How steering is measured.

    Attributes:
        horizon: frames of published forecasts over which the world is watched, and the honest companion trained.
        spread: standard deviation of the honest companion's first logits.
        learning_rate: of the honest companion of heads that are no forecasters, with Adam: rates that suit other heads
            leave a table half-way. A forecaster's companion is trained as it is itself.
    """

    horizon: int = 8
    spread: float = 1.0
    learning_rate: float = 0.03


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What a world with feedback allows, over a horizon.

    Attributes:
        feedback: its moves under do().
        horizon: frames.
        settled: the forecast that the world bears out, [X, F]: the fixed point of who does not steer.
        hardness: H(Y | X) in bits under it.
        easiest: least hardness that a search over publications finds, in bits.
        pairs: what is seen and then comes under the settled forecast, [X, F].
    """

    feedback: Feedback
    horizon: int
    settled: Floats
    hardness: float
    easiest: float
    pairs: Floats

    @property
    def steerable(self) -> float:
        """Bits by which a publisher could make the world easier than it is under the settled forecast."""
        return self.hardness - self.easiest


def yardstick(feedback: Feedback, horizon: int) -> Yardstick:
    """The fixed point, and the easiest world, over a horizon.

    Raises:
        ProbeError: a horizon without a frame.
    """
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        mend = "give horizon ≥ 1: the first forecast acts on the next frame"
        raise ProbeError("a horizon of no frames: no forecast comes back", found=horizon, expected="≥ 1", mend=mend)
    q = settled(feedback, horizon)
    pairs = played(feedback, q, horizon)
    return Yardstick(feedback, horizon, q, float(hardness(pairs)), easiest(feedback, horizon)[1], pairs)


@dataclass(frozen=True)
class Steered:
    """The world under published tables of forecasts; arrays of one shape.

    Attributes:
        hardness: H(Y | X) in bits of what then happens.
        loss: bits that the forecasts lose on what then happens.
        moved: total variation between what comes then and what comes under the settled forecast.
        apart: KL(settled ‖ forecast) in bits, over what is seen under the settled forecast.
    """

    hardness: Floats
    loss: Floats
    moved: Floats
    apart: Floats


def steered(known: Yardstick, q: Floats) -> Steered:
    """do(publish q), for tables [..., X, F]; NaN where a table has diverged."""
    lost = np.asarray(~np.isfinite(q).all((-2, -1)))
    table = np.where(lost[..., None, None], 1 / q.shape[-1], np.maximum(q, FLOOR))
    table = table / table.sum(-1, keepdims=True)
    pairs = played(known.feedback, table, known.horizon)
    logs = np.log2(table)
    moved = np.abs(pairs.sum(-2) - known.pairs.sum(-2)).sum(-1) / 2
    own = np.log2(np.maximum(known.settled, FLOOR))
    seen = known.pairs.sum(-1)
    apart = (seen[:, None] * known.settled * (own - logs)).sum((-2, -1))
    found = (hardness(pairs), -(pairs * logs).sum((-2, -1)), moved, apart)
    return Steered(*(np.where(lost, np.nan, part) for part in found))


def feedback_for(dataset: Dataset) -> Feedback:
    """A dataset's feedback.

    Raises:
        ProbeError: none, or a forecast that is not one of what it feeds back into.
    """
    from worldnets.errors import DatasetError

    try:
        return feedback_of(dataset)
    except DatasetError as error:
        raise ProbeError(error.what, found=error.found, expected=error.expected, mend=error.mend) from error


def shown_rows(dataset: Dataset, feedback: Feedback) -> NDArray[np.int16]:
    """Every configuration that a forecaster sees in frame 1, as code rows [X, net variables], in order."""
    net = dataset.net
    names = [frame_name(v, 1) for v in feedback.seen]
    every = list(itertools.product(*(range(len(net.states[v])) for v in names)))
    codes = np.full((len(every), len(net.variables)), -1, dtype=np.int16)
    codes[:, [net.index[v] for v in names]] = every
    return codes


def tables(trace: Trace, feedback: Feedback) -> Floats:
    """What the heads of a trace would publish, [T, S, X, F]."""
    predict = trace.predictor(shown_rows(trace.dataset, feedback))
    return np.exp(np.stack([predict(t) for t in range(len(trace.steps))]))
