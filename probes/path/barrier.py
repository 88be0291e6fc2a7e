"""The loss barrier on the line between two heads (theory, section 7).

barrier(θ, θ') = max_λ [L((1 − λ)θ + λθ') − ((1 − λ)L(θ) + λL(θ'))], λ = 0, 1/POINTS, …, 1, L in bits on clips x ~ W*,
outcomes summed with weights p_K. It is never negative (λ = 0), and zero where the loss is convex, as of a linear head.

Source: Frankle, Dziugaite, Roy & Carbin 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", section 2;
Entezari et al. 2022, definition 3.1.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.path.clips import Clips
from probes.path.matching import matched
from worldnets.heads.base import is_parameter, outputs_of
from worldnets.objectives.base import log_probabilities, output_columns
from worldnets.trace import Trace

Floats = NDArray[np.float64]
POINTS = 10  # steps of the line
CHUNK = 1024  # rows in one compiled call


def barriers(
    one: Trace, other: Trace, pairs: Sequence[tuple[int, int]], target: str, clips: Clips, features: NDArray[np.float32]
) -> tuple[Floats, Floats]:
    """The barrier between heads at the end of two runs, before and after matching their units.

    Args:
        one, other: runs of one head with the same shapes; matchable (`probes.path.matching`).
        pairs: columns, of `one` and of `other`.
        target: whose loss.
        clips: x ~ W*.
        features: of the reference's rows, as the heads are given them at the end.

    Returns:
        Bits [pairs] as they are, and [pairs] matched; NaN where a head has diverged.
    """
    place = one.task.targets.index(one.task.target(target))
    columns, counts = output_columns(one.counts, place), one.counts[place : place + 1]
    own, plain, best = features[clips.rows], [], []
    for left, right in pairs:
        first, second = _end(one, left), _end(other, right)
        if not all(np.isfinite(leaf).all() for leaf in (*_parameters(first), *_parameters(second))):
            plain.append(np.nan)
            best.append(np.nan)
            continue
        for answers, end in ((plain, second), (best, matched(first, second, one.head, own, clips.weight))):
            outputs = _on_line(first, end, own)[..., columns]
            losses = clips.loss(log_probabilities(outputs, counts))
            share = np.linspace(0.0, 1.0, POINTS + 1)
            answers.append(float((losses - (1 - share) * losses[0] - share * losses[-1]).max()))
    return np.array(plain), np.array(best)


def _end(trace: Trace, column: int) -> Any:
    return trace.at(len(trace.steps) - 1, trace.seeds[column])


def _parameters(head: Any) -> list[NDArray[Any]]:
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(head) if is_parameter(leaf)]


def _on_line(first: Any, second: Any, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Outputs at every point of the line, [POINTS + 1, N, outputs]."""
    import jax

    share = np.linspace(0.0, 1.0, POINTS + 1, dtype=np.float32)

    def between(a: Any, b: Any) -> Any:
        if not is_parameter(a):
            return a
        weight = share.reshape(-1, *[1] * np.ndim(a))
        return ((1 - weight) * np.asarray(a) + weight * np.asarray(b)).astype(np.asarray(a).dtype)

    line = jax.tree.map(between, first, second)
    parts = []
    for begin in range(0, len(features), CHUNK):
        chunk = np.zeros((CHUNK, features.shape[1]), dtype=np.float32)
        part = features[begin : begin + CHUNK]
        chunk[: len(part)] = part
        parts.append(np.asarray(_forward()(line, chunk), dtype=np.float64)[:, : len(part)])
    return np.concatenate(parts, axis=1)


@functools.cache
def _forward() -> Any:
    import equinox as eqx

    @eqx.filter_jit
    def apply(heads: Any, features: Any) -> Any:
        return eqx.filter_vmap(lambda head: outputs_of(head, features), in_axes=(eqx.if_array(0),))(heads)

    return apply
