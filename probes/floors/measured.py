"""Looking into the heads of a trace, checkpoint by checkpoint: what is decoded, and what taking it out does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.floors.ablation import Whitened, changes, normals, whitened
from probes.floors.decoding import Evaluation
from probes.sources import stream

if TYPE_CHECKING:
    from probes.protocol import Progress
    from worldnets.trace import Trace

Floats = NDArray[np.float64]
LEAST_ANSWER = 1e-3  # bits; an answer that varies less has nothing that could be taken out
AT_ONCE = 8  # versions of the activations that are answered from in one call


@dataclass(frozen=True, eq=False)
class Looked:
    """T checkpoints, S seeds, L latents, G groups of clips; NaN where a seed had diverged.

    Attributes:
        residual: 1 − R², [T, S, L, G].
        effect: KL of the answer when the belief is taken out, bits, [T, S, L, G].
        random: the same for random subspaces of as many dimensions, their mean, [T, S, L, G].
        everything: the same when all activations are set to their means, [T, S, G].
        loss: bits that the answer loses against the exact one when the belief is taken out, [T, S, L].
        dimensions: of each belief, one less than its states, [L].
    """

    residual: Floats
    effect: Floats
    random: Floats
    everything: Floats
    loss: Floats
    dimensions: tuple[int, ...]


def looked_into(
    trace: Trace, known: Evaluation, latents: Sequence[str], draws: int, seed: int, progress: Progress | None = None
) -> Looked:
    """Decode and ablate at every checkpoint.

    Args:
        trace, known: whose heads, on which clips.
        latents: whose beliefs.
        draws, seed: of the random subspaces.
        progress: called as progress(done, total).
    """
    inside = trace.inside(known.codes)
    steps, seeds, groups = len(trace.steps), len(trace.seeds), len(known.shares)
    shape = (steps, seeds, len(latents), groups)
    residual, effect, random = (np.full(shape, np.nan) for _ in range(3))
    everything, loss = np.full((steps, seeds, groups), np.nan), np.full(shape[:3], np.nan)
    dimensions = tuple(known.beliefs[z].shape[1] - 1 for z in latents)
    for t in range(steps):
        activations = inside.activations(t)
        q = inside.answers(activations, t)
        sound = [s for s in range(seeds) if np.isfinite(activations[s]).all() and np.isfinite(q[s]).all()]
        whites = {s: whitened(activations[s].astype(np.float64), known.weight) for s in sound}
        for s in sound:
            residual[t, s] = known.residuals(activations[s], latents)
        versions = _versions(activations, whites, known, latents, dimensions, draws, stream(seed, 23))
        found = np.full((len(versions), seeds, groups), np.nan)
        lost = np.full((len(versions), seeds), np.nan)
        for first in range(0, len(versions), AT_ONCE):
            part = np.stack(versions[first : first + AT_ONCE])
            for own, other in enumerate(inside.answers(part, t), start=first):
                for s in sound:
                    found[own, s] = changes(q[s], [other[s]], known.shares)[0]
                    lost[own, s] = known.weight @ (known.answer * (q[s] - other[s])).sum(1) / np.log(2)
        everything[t] = found[0]
        effect[t], loss[t] = np.moveaxis(found[1 : 1 + len(latents)], 0, 1), lost[1 : 1 + len(latents)].T
        null = found[1 + len(latents) :].reshape(-1, draws, seeds, groups).mean(1)
        sizes = sorted(set(dimensions))
        for i, size in enumerate(dimensions):
            random[t, :, i] = null[sizes.index(size)]
        if progress is not None:
            progress(t + 1, steps)
    return Looked(residual, effect, random, everything, loss, dimensions)


def _versions(
    activations: NDArray[np.float32],
    whites: dict[int, Whitened],
    known: Evaluation,
    latents: Sequence[str],
    dimensions: Sequence[int],
    draws: int,
    seed: int,
) -> list[NDArray[np.float32]]:
    """All activations at their means, then each belief taken out, then random subspaces of each size."""
    count = 1 + len(latents) + draws * len(set(dimensions))
    versions = [np.zeros_like(activations) for _ in range(count)]
    for s, white in whites.items():
        own = activations[s].astype(np.float64)
        versions[0][s] = white.mean
        place = 1
        for z in latents:
            versions[place][s] = white.without(own, white.space_of(known.beliefs[z], known.weight))
            place += 1
        for size in sorted(set(dimensions)):
            for normal in normals(own.shape[1], size, draws, seed):
                versions[place][s] = white.without(own, white.random_space(normal))
                place += 1
    return versions


def share_of(difference: Floats, everything: Floats, moved: Floats, whole_moved: Floats) -> tuple[Floats, Floats]:
    """Differences as shares of the effect of taking out everything, and the influences of clip groups.

    Args:
        difference, everything: [T, S], bits.
        moved, whole_moved: deviations of their clip groups, [G, T, S].
    """
    bounded = np.maximum(everything, LEAST_ANSWER)
    share = difference / bounded
    return share, (moved - share * np.where(everything >= LEAST_ANSWER, whole_moved, 0.0)) / bounded
