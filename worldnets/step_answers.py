"""What the sequence heads of a trace answer after each frame of a clip, read in one pass."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.objectives.base import log_probabilities

if TYPE_CHECKING:
    from worldnets.trace import Trace

Answers = Callable[[int], NDArray[np.float64]]


def answers_at_each_step(trace: Trace, codes: NDArray[np.integer[Any]]) -> Answers:
    """A function of a checkpoint (by position): ln q of the next frame after each frame of these rows.

    Args:
        trace: of heads that were trained for an answer after each frame (`continuation_each_step`).
        codes: clips or evidence rows, int16 [rows, net variables]; only the task's evidence is looked at.

    Returns:
        A function that returns nats, float64 [seeds, rows, steps, total outcomes], normalised per target; entry t − 1
        of the steps is what is said of frame t + 1. The last one is what `trace.predictor` returns. NaN for a seed that
        has diverged.

    Raises:
        TrainingError: heads that were trained for an answer at the end only, or that have none on the way.
    """
    if not (getattr(trace.plan.objective, "each_step", False) and hasattr(trace.plan.kind, "at_each_step")):
        mend = 'train "gru" or "transformer" with objective="continuation_each_step"'
        found = f"{trace.head} on {trace.objective}"
        raise TrainingError("heads that were not asked for an answer after each frame", found=found, mend=mend)
    held: dict[int, Any] = {}

    def answers(checkpoint: int) -> NDArray[np.float64]:
        view = trace.inputs.at(int(trace.steps[checkpoint]))
        if id(view) not in held:
            held.clear()
            held[id(view)] = view.features(codes)
        outputs = trace.applied(_every(), checkpoint, held[id(view)])
        return log_probabilities(outputs, trace.counts)

    return answers


@functools.cache
def _every() -> Any:
    # Heads [slots] on features [rows, width] → outputs [slots, rows, steps, outputs].
    import equinox as eqx
    import jax

    @eqx.filter_jit
    def apply(heads: Any, features: Any) -> Any:
        arrays, rest = eqx.partition(heads, eqx.is_array)

        def one(own: Any) -> Any:
            return jax.vmap(eqx.combine(own, rest).at_each_step)(features)

        return jax.lax.map(one, arrays)

    return apply
