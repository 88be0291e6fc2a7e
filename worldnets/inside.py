"""Inside a trace's heads: what they hold before they answer, and what they answer when that is something else."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError
from worldnets.heads.base import Head, SteppingHead
from worldnets.objectives.base import log_probabilities, output_columns

if TYPE_CHECKING:
    from worldnets.heads.inputs import Features
    from worldnets.trace import Trace

Activations = NDArray[np.float32]


def has_inside(kind: type[Head] | type[SteppingHead]) -> bool:
    """Whether heads of a kind show their activations: they have methods `activations` and `answer`."""
    return hasattr(kind, "activations") and hasattr(kind, "answer")


class Inside:
    """What the heads of a trace hold on some rows of evidence; made by `Trace.inside`.

    Which activations a head shows is its own choice: the place that its answer is read from. Of a perceptron the last
    hidden layer, of a sequence head the state after the last frame, of message passing the logarithms of all messages
    after the last round, of a linear head its outputs.

    Args:
        trace: of a differentiable head that has methods `activations` and `answer`.
        codes: evidence rows, int16 [rows, net variables].

    Raises:
        TrainingError: a head that does not show its activations.
    """

    def __init__(self, trace: Trace, codes: NDArray[np.integer[Any]]) -> None:
        if not has_inside(trace.plan.kind):
            mend = "look into linear, mlp, gru, transformer or message_passing; give a head of your own both methods"
            found = "no methods `activations` and `answer`"
            raise TrainingError("this head does not show its activations", node=trace.head, found=found, mend=mend)
        self.trace, self.codes = trace, codes
        self._made: tuple[int, Any, Features] | None = None

    def _features(self, checkpoint: int) -> Features:
        view = self.trace.inputs.at(int(self.trace.steps[checkpoint]))
        if self._made is None or self._made[0] != id(view):
            self._made = id(view), view, view.features(self.codes)  # the view is kept: its id stays its own
        return self._made[2]

    def activations(self, checkpoint: int) -> Activations:
        """Float32 [seeds, rows, units]; NaN or infinite for a seed that has diverged.

        A row's bits depend neither on the rows nor on the seeds beside it.
        """
        return self.trace.applied(_activations(), checkpoint, self._features(checkpoint))

    def answers(self, activations: NDArray[np.floating], checkpoint: int, target: str | None = None) -> NDArray[Any]:
        """ln q in nats of heads that go on from these activations.

        Args:
            activations: [..., seeds, rows, units]; several versions at once along leading axes.
            checkpoint: position in `trace.steps`.
            target: a target's name; all targets' outcomes side by side without one.

        Returns:
            float64 [..., seeds, rows, outcomes]. From a head's own activations they are `Trace.predict`'s, up to
            rounding.

        Raises:
            TrainingError: an array that does not fit.
        """
        given = np.asarray(activations, dtype=np.float32)
        features, seeds = self._features(checkpoint), len(self.trace.seeds)
        if given.ndim < 3 or given.shape[-3:-1] != (seeds, len(features)):
            expected = f"[…, {seeds} seeds, {len(features)} rows, units]"
            mend = "change what `activations` gave, in place of its shape"
            raise TrainingError("activations of the wrong shape", found=given.shape, expected=expected, mend=mend)
        flat = given.reshape(-1, *given.shape[-3:])
        beside = np.moveaxis(flat, 1, 0).reshape(seeds, -1, flat.shape[-1])
        outputs = self.trace.applied(_answers(), checkpoint, np.tile(features, (len(flat), 1)), beside)
        counts = self.trace.counts
        if target is not None:
            place = self.trace.task.targets.index(self.trace.task.target(target))
            outputs, counts = outputs[..., output_columns(counts, place)], counts[place : place + 1]
        log_q = log_probabilities(outputs, counts).reshape(seeds, len(flat), len(features), -1)
        return np.moveaxis(log_q, 1, 0).reshape(*given.shape[:-1], -1)


@functools.cache
def _activations() -> Any:
    # Heads [slots] on features [rows, width] -> activations [slots, rows, units].
    import equinox as eqx

    @eqx.filter_jit
    def apply(heads: Any, features: Any) -> Any:
        return eqx.filter_vmap(lambda head: head.activations(features), in_axes=(eqx.if_array(0),))(heads)

    return apply


@functools.cache
def _answers() -> Any:
    # Heads [slots] on features [rows, width] and activations [slots, rows, units] -> outputs [slots, rows, outputs].
    import equinox as eqx

    @eqx.filter_jit
    def apply(heads: Any, features: Any, activations: Any) -> Any:
        answer = lambda head, own: head.answer(own, features)
        return eqx.filter_vmap(answer, in_axes=(eqx.if_array(0), 0))(heads, activations)

    return apply


def untrained(trace: Trace) -> Trace:
    """The heads of a trace before training, as its checkpoint 0 would have them: one checkpoint, at step 0.

    Raises:
        TrainingError: a head that makes its own updates.
    """
    import jax

    from worldnets.trace import Trace

    plan = trace.plan
    if plan.stepping:
        mend = "keep its checkpoint 0: train(checkpoints=[0, …])"
        raise TrainingError("a head that makes its own updates", node=trace.head, mend=mend)
    heads = [[leaf for leaf in jax.tree.leaves(plan.build(seed)) if plan.kept(leaf)] for seed in trace.seeds]
    leaves = [np.stack([np.asarray(leaf) for leaf in leaves])[None] for leaves in zip(*heads, strict=True)]
    losses, steps = np.full((1, len(trace.seeds)), np.nan), np.zeros(1, dtype=np.int64)
    return Trace(plan, trace.seeds, steps, plan.filled(leaves), losses, (None,) * len(trace.seeds), 0)
