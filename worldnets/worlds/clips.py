"""The two tasks of a clip: what comes next, and what is behind it; both on the ladder of the last k frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from worldnets.errors import DatasetError
from worldnets.net import WorldNet
from worldnets.roles import Target, Task
from worldnets.worlds.parameters import integer

LARGEST_JOINT_TARGET = 64  # outcomes of a next frame asked for as a whole; above, every node is a target of its own
LARGEST_CLIP = 1 << 24  # cells
LONGEST = 1000  # frames


def checked_frames(frames: int, context: int | None) -> tuple[int, int]:
    """T frames of which the first c are shown: 2 ≤ T ≤ 1000, 1 ≤ c < T; c is T − 1 where none is given.

    Raises:
        DatasetError: either out of range.
    """
    frames = integer("frames", frames, 2, LONGEST)
    return frames, frames - 1 if context is None else integer("context", context, 1, frames - 1)


def check_cells(cells: int, found: str) -> None:
    """Refuse a clip whose tables would fill the memory.

    Args:
        cells: of all tables together.
        found: how they come about.

    Raises:
        DatasetError: more than 2^24, 128 MiB.
    """
    if cells > LARGEST_CLIP:
        expected = f"at most {LARGEST_CLIP:,} cells in all tables"
        raise DatasetError("a clip too large", found=f"{found} = {cells:,}", expected=expected, mend="fewer frames")


def clip_tasks(
    net: WorldNet,
    frames: Sequence[Sequence[str]],
    context: int,
    question: Mapping[str, Sequence[str]],
    latents: Mapping[str, Sequence[str]],
) -> dict[str, Task]:
    """The tasks "continuation" and "question" of a clip that shows all it has observed.

    Evidence is frames 1 … c; rung 1 of the ladder is frame c, rung k adds frame c + 1 − k. The continuation asks for
    frame c + 1, as one joint target "next_frame" where it has few outcomes, else node by node; the question for
    `question`.

    Args:
        net: the unrolled net.
        frames: observed nodes of each frame, in time order.
        context: c.
        question: what is asked about the context, target name → variables; without any there is no such task.
        latents: for each of the two tasks, whose beliefs a belief-attached head is given.
    """
    evidence = tuple(v for frame in frames[:context] for v in frame)
    ladder = tuple(tuple(frame) for frame in reversed(frames[:context]))
    following = tuple(frames[context])
    if math.prod(len(net.states[v]) for v in following) <= LARGEST_JOINT_TARGET:
        continuation = [Target("next_frame", following)]
    else:
        continuation = [Target(v, (v,)) for v in following]
    asked = {
        "continuation": continuation,
        "question": [Target(name, tuple(variables)) for name, variables in question.items()],
    }
    return {
        objective: Task(
            objective,
            evidence,
            tuple(targets),
            {target.name: ladder for target in targets},
            tuple(latents[objective]),
        )
        for objective, targets in asked.items()
        if targets
    }
