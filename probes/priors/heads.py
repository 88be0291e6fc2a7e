"""Description length of trained heads: two-part, and prequential.

Two-part: parameters rounded to a grid, in the adaptive code of `coding`, plus N times the loss of the head so rounded,
at the grid where the sum is shortest. Beforehand all that changes no answer is taken out:

    message_passing, linear of one target: logits of a distribution are shifted to mean zero
    mlp with ReLU: each hidden unit is rescaled so that its weights in and out have one norm; a unit that nothing goes
        into or out of is zero; the order of hidden units, log2(width!) bits, is not told

Of other heads nothing is taken out. A head that says what is known beforehand has a short code at once: at its best
grid everything is zero.

Prequential: the bits of N clips of training, each batch coded by the head as it stood before that batch. A trace
carries exactly that: its losses are means over fresh batches, each taken before its update.

Sources: Rissanen 1978; Dawid 1984; Blier & Ollivier 2018, "The Description Length of Deep Learning Models" (the
prequential code of a network).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.ladder import Reference
from probes.path.clips import Clips
from probes.priors.coding import grid_length, off_grid, on_grid, table_length
from worldnets.errors import ProbeError
from worldnets.heads.base import is_parameter
from worldnets.trace import Trace

Floats = NDArray[np.float64]
#: Grids of heads: steps in a unit.
HEAD_GRIDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


@dataclass(frozen=True)
class HeadLengths:
    """Two-part codes of all seeds at one checkpoint, [S] each; NaN of seeds that diverged.

    Attributes:
        parameters: bits of parameters at the best grid.
        loss: bits per clip there.
        whole: bits of parameters plus N · loss.
        per_unit: that grid.
    """

    parameters: Floats
    loss: Floats
    whole: Floats
    per_unit: Floats


def two_part_lengths(
    trace: Trace,
    checkpoint: int,
    known: Sequence[tuple[str, Reference]],
    clips: int,
    grids: Sequence[float] = HEAD_GRIDS,
) -> HeadLengths:
    """The two-part code of every seed's head at a checkpoint.

    Args:
        trace: of a differentiable head.
        checkpoint: position in its steps.
        known: name and reference of every target: the loss is their sum.
        clips: N.
        grids: to choose from.

    Raises:
        ProbeError: a head that makes its own updates.
    """
    if trace.plan.stepping:
        mend = "measure heads that are trained by gradient"
        raise ProbeError("a head without parameters of its own kind", node=trace.head, mend=mend)
    at = checkpoint % len(trace.steps)
    leaves, order = canonical(trace, at)
    sound = np.all([np.isfinite(leaf).reshape(len(leaf), -1).all(1) for leaf in leaves], axis=0)
    view = trace.inputs.at(int(trace.steps[at]))
    shown = [(name, Clips.of(reference), view.features(reference.inputs)) for name, reference in known]
    rows = []
    for per_unit in grids:
        whole = [on_grid(np.where(_like(sound, leaf), leaf, 0.0), per_unit) for leaf in leaves]
        bits = np.array([_bits(whole, s, per_unit, order) for s in range(len(sound))])
        rounded = _with(trace, at, [off_grid(leaf, per_unit) for leaf in whole])
        loss = sum(clips_of.loss(rounded.predict_features(seen, 0, name)) for name, clips_of, seen in shown)
        rows.append((bits, np.asarray(loss, dtype=np.float64)))
    bits, loss = (np.stack(part) for part in zip(*rows, strict=True))  # [grids, S]
    best = (bits + clips * loss).argmin(0)
    pick = lambda values: np.where(sound, values[best, np.arange(len(sound))], np.nan)
    found, lost = pick(bits), pick(loss)
    return HeadLengths(found, lost, found + clips * lost, np.where(sound, np.asarray(grids)[best], np.nan))


def prequential_lengths(trace: Trace) -> Floats:
    """Bits of all clips of training, each batch coded by the head before it, [S]."""
    since = np.diff(trace.steps, prepend=0)
    if int(trace.steps[-1]) != trace.last:
        mend = "keep the last step among the checkpoints"
        raise ProbeError("the trace ends before its training", found=int(trace.steps[-1]), mend=mend)
    rows = since > 0
    return np.asarray(trace.plan.batch * (since[rows, None] * trace.losses[rows]).sum(0), dtype=np.float64)


def canonical(trace: Trace, checkpoint: int) -> tuple[list[Floats], float]:
    """Parameters of all seeds, [S, …] each, with what changes no answer taken out, and the bits of the units' order."""
    import jax

    leaves = [np.asarray(leaf[checkpoint], dtype=np.float64) for leaf in jax.tree.leaves(trace.parameters)
              if is_parameter(leaf)]  # fmt: skip
    if trace.head == "message_passing":
        return [leaf - leaf.mean(-1, keepdims=True) for leaf in leaves], 0.0
    if trace.head == "mlp":
        order = sum(math.lgamma(leaf.shape[1] + 1) for leaf in leaves[1:-2:2]) / math.log(2)
        return (_balanced(leaves) if trace.head_options["activation"] in ("relu", "identity") else leaves), order
    return leaves, 0.0


def _balanced(leaves: list[Floats]) -> list[Floats]:
    """Weights [S, out, in] and biases [S, out], layer by layer, each hidden unit's norms made equal."""
    found = [leaf.copy() for leaf in leaves]
    for layer in range(0, len(found) - 2, 2):
        weight, bias, onward = found[layer], found[layer + 1], found[layer + 2]
        into = np.sqrt((weight**2).sum(-1) + bias**2)  # [S, units]
        out = np.sqrt((onward**2).sum(-2))
        alive = (into > 0) & (out > 0)
        scale = np.where(alive, np.sqrt(out / np.where(into > 0, into, 1.0)), 0.0)
        found[layer], found[layer + 1] = weight * scale[..., None], bias * scale
        found[layer + 2] = onward * np.where(alive, 1 / np.where(scale > 0, scale, 1.0), 0.0)[:, None, :]
        # A unit that nothing goes into but its bias has been kept: into holds the bias.
    return found


def _bits(whole: Sequence[NDArray[np.int64]], seed: int, per_unit: float, order: float) -> float:
    flat = np.concatenate([leaf[seed].reshape(-1) for leaf in whole])
    return max(table_length(flat) + grid_length(per_unit) - order, float(grid_length(per_unit)))


def _with(trace: Trace, checkpoint: int, leaves: Sequence[Floats]) -> Trace:
    """The trace with one checkpoint, whose parameters are these."""
    filled = trace.plan.filled([leaf[None].astype(np.float32) for leaf in leaves])
    one = slice(checkpoint, checkpoint + 1)
    return replace(trace, parameters=filled, steps=trace.steps[one].copy(), losses=trace.losses[one].copy())


def _like(sound: NDArray[np.bool_], leaf: NDArray[Any]) -> NDArray[np.bool_]:
    return sound.reshape(-1, *[1] * (leaf.ndim - 1))
