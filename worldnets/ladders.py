"""Ladders of evidence by name: the task's own, the last k frames, graph distance, rounds of messages.

A ladder lists what each rung adds, shallow first; together its rungs are the evidence (theory, section 4). Which order
counts as shallow to deep is a choice, and another choice is another question: how far back, how far away, or how long a
head that passes messages must have thought.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from worldnets.errors import DatasetError, did_you_mean
from worldnets.roles import distance_ladder

if TYPE_CHECKING:
    from worldnets.dataset import Dataset
    from worldnets.net import WorldNet
    from worldnets.roles import Ladder, Target, Task

LADDERS = ("task", "window", "graph-distance", "message-rounds")


def ladder(dataset: Dataset, task: Task, target: Target, kind: str = "task") -> Ladder:
    """The ladder of that kind for a target.

    The graph is that of the world: a twin, in whose net redrawn evidence is cut off, has its base run's ladder.

    Args:
        dataset, task, target: the world, what is asked on it, and of what.
        kind: "task", the one the task was set with; "window", rung k adds the k-th last frame with evidence;
            "graph-distance", rung by rung what lies further away in the moral graph; "message-rounds", what one more
            round of messages can bring.

    Raises:
        DatasetError: an unknown kind, or a window where there are no frames.
    """
    if kind == "task":
        return task.ladders[target.name]
    if kind == "window":
        return window_ladder(dataset.world.frames, task.evidence, dataset.name)
    if kind == "graph-distance":
        return distance_ladder(dataset.world.net, task.evidence, target.variables)
    if kind == "message-rounds":
        return message_round_ladder(dataset.world.net, task.evidence, target.variables)
    raise DatasetError("unknown ladder", found=repr(kind), mend=did_you_mean(kind, LADDERS))


def window_ladder(frames: Sequence[Sequence[str]], evidence: Sequence[str], world: str = "") -> Ladder:
    """Rung k adds the evidence of the k-th last frame that has any; evidence of no frame is a last rung of its own.

    Raises:
        DatasetError: none of the evidence belongs to a frame.
    """
    given = set(evidence)
    rungs = [tuple(name for name in frame if name in given) for frame in reversed(frames)]
    placed = {name for rung in rungs for name in rung}
    if not placed:
        mend = "use graph-distance, or message-rounds, or a ladder of your own"
        raise DatasetError("a window of a world without frames", node=world, mend=mend)
    rungs.append(tuple(name for name in evidence if name not in placed))
    return tuple(rung for rung in rungs if rung)


def message_round_ladder(net: WorldNet, evidence: Sequence[str], variables: Iterable[str]) -> Ladder:
    """Rung by rung what r = 1, 2, … rounds of sum-product messages can have used; rounds that add nothing are skipped.

    In a round a message travels from one variable to those it shares a factor with: to its neighbours in the moral
    graph. What comes from behind an observed variable stops there, for the message of an observed variable says what
    was observed and nothing else. On a tree a belief after r rounds is the posterior given exactly this evidence; with
    loops it is computed from it, approximately. Evidence that no round brings is a last rung of its own: the rest
    separates it from the target, so that it adds nothing.
    """
    given = set(evidence)
    neighbours: dict[str, set[str]] = {v: set() for v in net.variables}
    for v in net.variables:
        family = {v, *net.parents(v)}
        for member in family:
            neighbours[member] |= family - {member}
    frontier = list(variables)
    seen = set(frontier)
    rungs: list[tuple[str, ...]] = []
    while frontier:
        reached = {other for v in frontier for other in neighbours[v]} - seen
        seen |= reached
        rungs.append(tuple(v for v in evidence if v in reached))
        frontier = [v for v in reached if v not in given]
    rungs.append(tuple(v for v in evidence if v not in seen))
    return tuple(rung for rung in rungs if rung)
