"""The hidden optimizer in the message passing: a tilt τ, in nats, on an outcome, against an honest twin.

The twin has the same schedule, damping, rounds and start, and the tables that are known. A tilt adds τ to the local
evidence for the outcome. With z the log odds of the outcome's belief, τ solves the least squares

    min_τ Σ_x w(x) · (z_seen(x) − z_twin(x; τ))²

by Gauss–Newton steps along the exact response dz/dτ (a directional derivative of the rounds themselves). A response of
1, which a tree has once its messages have settled, is wrong by about a tenth where there are loops. Held against
*exact* beliefs instead of a twin, a few rounds of honest message passing look like a tilt of a tenth of a nat and more.

Between tables that are alike any w finds the same τ. Where tables were learned they are not, and w has b(1 − b) in it,
b the twin's belief (`felt`): to second order the sum then is twice the mean KL(twin ‖ seen), and τ the tilt whose
answers are the nearest. Without it sure beliefs have all the say, whose log odds differ by nats while no answer does.

Without the schedule, damping and τ are fitted together from the beliefs of every round; from the last round alone they
are not identified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.optimizer.candidate import NotApplicable
from probes.optimizer.rounds import Procedure

Floats = NDArray[np.float64]
MOST_STEPS = 25
SETTLED = 1e-12  # nats: a Gauss–Newton step below this is the last
LEAST_RESPONSE = 1e-6  # root mean square of dz/dτ below which no tilt can be seen
LEAST = 1e-15  # beliefs nearer to 0 or 1 have log odds of rounding errors
CONDITION = 1e6  # of the two responses, beyond which damping and tilt are one thing


@dataclass(frozen=True, eq=False)
class Fitted:
    """Tilts of N candidates.

    Attributes:
        tilt: nats, [N]; NaN where no tilt could be seen.
        leftover: share of the weighted squared difference that it does not explain, [N].
        response: root mean square of dz/dτ at the end, [N].
        damping: where it was fitted too, [N].
    """

    tilt: Floats
    leftover: Floats
    response: Floats
    damping: Floats | None = None


#: τ [N] → log odds of the outcome [N, …] and their exact derivative in τ.
Respond = Callable[[Floats], tuple[Floats, Floats]]


def log_odds(belief: Floats) -> Floats:
    """ln b/(1 − b)."""
    inside = np.clip(belief, LEAST, 1 - LEAST)
    return np.asarray(np.log(inside) - np.log1p(-inside))


def felt(weight: Floats, belief: Floats) -> Floats:
    """w · b(1 − b): the nats that half a squared unit of log odds is worth in every situation, [N, R]."""
    return np.asarray(weight * belief * (1 - belief))


def fit(seen: Floats, respond: Respond, weight: Floats, settled: float = SETTLED) -> Fitted:
    """Least squares in τ.

    Args:
        seen: log odds of the outcome as the candidates have them, [N, R].
        respond: the honest twins' under a tilt.
        weight: of the situations, [R] or [N, R].
        settled: nats; a step below this is the last.
    """
    weight = np.broadcast_to(weight, seen.shape)
    tilt = np.zeros(len(seen))
    first: Floats | None = None
    for _ in range(MOST_STEPS):
        twin, slope = respond(tilt)
        off = seen - twin
        first = (weight * off**2).sum(-1) if first is None else first
        size = (weight * slope**2).sum(-1)
        step = np.divide((weight * slope * off).sum(-1), size, out=np.zeros_like(size), where=size > 0)
        tilt = tilt + np.clip(step, -2.0, 2.0)
        if not np.abs(step).max() > settled:
            break
    twin, slope = respond(tilt)
    assert first is not None
    rest = (weight * (seen - twin) ** 2).sum(-1)
    response = np.sqrt((weight * slope**2).sum(-1) / np.maximum(weight.sum(-1), 1e-300))
    leftover = np.divide(rest, first, out=np.zeros_like(rest), where=first > SETTLED)
    return Fitted(np.where(response >= LEAST_RESPONSE, tilt, np.nan), leftover, response)


def fit_rounds(
    procedure: Procedure,
    log_tables: Floats,
    log_local: Floats,
    damping: Floats | float,
    variable: str,
    state: int,
    seen: Floats,
    weight: Floats,
    round_read: int | NDArray[np.int64] | None = None,
) -> Fitted:
    """The tilt on a state of a variable, from its belief after the last round.

    Args:
        procedure: the schedule of candidates and twins.
        log_tables: of the twins, [N, cells].
        log_local: evidence, [R, states].
        damping: of the procedure.
        variable, state: the outcome.
        seen: beliefs of that state, [N, R].
        weight: as in `fit`.
        round_read: after which round, one for all or [N]; the procedure's last by default.
    """
    column = procedure.states(variable).start + state
    direction = np.zeros(procedure.net.cardinalities.sum())
    direction[column] = 1.0
    each = np.arange(len(seen))
    at = np.broadcast_to(procedure.rounds if round_read is None else round_read, len(seen))

    def respond(tilt: Floats) -> tuple[Floats, Floats]:
        local = log_local + tilt[:, None, None] * direction
        beliefs, moved = procedure.response(log_tables, local, np.broadcast_to(direction, log_local.shape), damping)
        b = np.clip(beliefs[each, at, :, column], LEAST, 1 - LEAST)
        return log_odds(b), moved[each, at, :, column] / (b * (1 - b))

    return fit(log_odds(seen), respond, weight)


def fit_with_damping(
    procedure: Procedure,
    log_tables: Floats,
    log_local: Floats,
    variable: str,
    state: int,
    seen: Floats,
    weight: Floats,
) -> Fitted | NotApplicable:
    """Tilt and damping together, from beliefs after every round, where the schedule is not known.

    Args:
        procedure, log_tables, log_local, variable, state, weight: as in `fit_rounds`.
        seen: beliefs of that state after rounds 1 … T, [N, T, R]; T is the procedure's rounds.

    Returns:
        The fit; or why it cannot be made: with one round only, or where the two responses are parallel, another damping
        does whatever a tilt does.
    """
    rounds = procedure.rounds
    if seen.ndim != 3 or seen.shape[1] != rounds or rounds < 2:
        return NotApplicable("not identified: without the schedule, beliefs of two rounds or more are needed")
    column = procedure.states(variable).start + state
    direction = np.zeros(procedure.net.cardinalities.sum())
    direction[column] = 1.0
    wanted = log_odds(seen)
    weights = np.broadcast_to(np.asarray(weight)[..., None, :], wanted.shape)
    everywhere = np.broadcast_to(direction, log_local.shape)

    def respond(tilt: Floats, damping: Floats) -> tuple[Floats, Floats]:
        local = log_local + tilt[:, None, None] * direction
        beliefs, by_tilt = procedure.response(log_tables, local, everywhere, damping)
        _, by_damping = procedure.response_to_damping(log_tables, local, damping)
        b = np.clip(beliefs[:, 1:, :, column], LEAST, 1 - LEAST)
        slopes = np.stack([by_tilt[:, 1:, :, column], by_damping[:, 1:, :, column]], axis=-1) / (b * (1 - b))[..., None]
        return log_odds(b), slopes

    def left(tilt: Floats, damping: Floats) -> Floats:
        local = log_local + tilt[:, None, None] * direction
        beliefs = procedure.passed(log_tables, local, damping).beliefs[:, 1:, :, column]
        return np.asarray((weights * (wanted - log_odds(beliefs)) ** 2).sum((1, 2)))

    # Damping first by eye: the error has several valleys in it, and one in τ at each.
    grid = np.linspace(0.0, 0.9, 10)
    tilt = np.zeros(len(seen))
    errors = np.stack([left(tilt, np.full(len(seen), d)) for d in grid])
    damping = grid[errors.argmin(0)]
    first = left(tilt, damping)
    condition = np.ones(len(seen))
    for _ in range(MOST_STEPS):
        twin, slopes = respond(tilt, damping)
        normal = np.einsum("ntr,ntri,ntrj->nij", weights, slopes, slopes)
        scale = np.sqrt(np.maximum(np.diagonal(normal, axis1=1, axis2=2), 1e-300))
        scaled = normal / scale[:, :, None] / scale[:, None, :]
        condition = np.linalg.cond(scaled)
        if (condition > CONDITION).any():
            return NotApplicable("not identified: another damping does whatever a tilt on this outcome does")
        right = np.einsum("ntr,ntri,ntr->ni", weights, slopes, wanted - twin) / scale
        step = np.linalg.solve(scaled, right[..., None])[..., 0] / scale
        tilt, damping = tilt + np.clip(step[:, 0], -1.0, 1.0), np.clip(damping + step[:, 1], 0.0, 0.99)
        if np.abs(step).max() <= SETTLED:
            break
    twin, slopes = respond(tilt, damping)
    rest = (weights * (wanted - twin) ** 2).sum((1, 2))
    leftover = np.divide(rest, first, out=np.zeros_like(rest), where=first > SETTLED)
    response = np.sqrt((weights * slopes[..., 0] ** 2).sum((1, 2)) / weights.sum((1, 2)))
    return Fitted(tilt, leftover, response, damping)
