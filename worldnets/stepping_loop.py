"""The loop under `train` for heads that make their own updates: seed after seed, batch after batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.training_loop import GroupRun, Report, block_steps, finished
from worldnets.training_memory import Memory
from worldnets.training_plan import GROUP, Plan

Arrays = dict[str, NDArray[Any]]


def train_stepping(
    plan: Plan,
    group: int,
    kept: tuple[int, ...],
    slots: Sequence[int],
    report: Report | None = None,
    memory: Memory | None = None,
) -> GroupRun:
    """Train the seeds asked for of a group; the others' columns are NaN.

    Arguments as for `training_loop.train_group`. The leaves of the result are the state's arrays, sorted by name.
    """
    last = max(kept[-1], 1)
    losses = np.full((last, GROUP), np.nan, dtype=np.float32)
    states: dict[tuple[int, int], Arrays] = {}  # by slot and step
    before = None if memory is None else memory.recall(group)
    begin = dict.fromkeys(slots, 0)
    current: dict[int, Arrays] = {}
    if before is not None:
        losses[:] = before["losses"]
        for name, array in before.items():
            kind, *place, entry = name.split("/", 3) if "/" in name else (name, "")
            if kind == "saved":
                states.setdefault((int(place[0]), int(place[1])), {})[entry] = array
            elif kind == "current":
                begin[int(place[0])] = int(place[1])
                current.setdefault(int(place[0]), {})[entry] = array
    block = block_steps(plan)
    for done, slot in enumerate(slots):
        head = plan.build_stepping(group * GROUP + slot)
        if slot in current:
            head = head.restored(current[slot])
        if begin[slot] == 0:
            states[slot, 0] = head.state()
        for first in range(begin[slot], last, block):
            if memory is not None and first > begin[slot] and memory.due():
                current[slot], begin[slot] = head.state(), first
                memory.keep(group, _kept(losses, states, current, begin))
            steps = min(block, last - first)
            where = group * GROUP + slot, steps * plan.batch, first * plan.batch
            clips = plan.hide(plan.clips(*where), plan.dropped(*where))
            for step in range(first, first + steps):
                batch = clips[(step - first) * plan.batch : (step - first + 1) * plan.batch]
                losses[step, slot] = head.step(batch)
                if not math.isfinite(losses[step, slot]):
                    break
                if step + 1 in kept:
                    states[slot, step + 1] = head.state()
            if not math.isfinite(losses[first + steps - 1, slot]):
                break
            if report is not None:
                share = (done + (first + steps) / last) / len(slots)
                report(round(share * last), float(losses[first + steps - 1, slot]))
        current[slot], begin[slot] = head.state(), last
    if memory is not None:
        memory.keep(group, _kept(losses, states, current, begin))
    return finished(_stacked(states, kept, slots), losses, kept)


def _kept(
    losses: NDArray[np.float32],
    states: dict[tuple[int, int], Arrays],
    current: dict[int, Arrays],
    begin: dict[int, int],
) -> Arrays:
    arrays: Arrays = {"losses": losses.copy()}
    for (slot, step), state in states.items():
        arrays |= {f"saved/{slot}/{step}/{name}": array for name, array in state.items()}
    for slot, state in current.items():
        arrays |= {f"current/{slot}/{begin[slot]}/{name}": array for name, array in state.items()}
    return arrays


def _stacked(
    states: dict[tuple[int, int], Arrays], kept: tuple[int, ...], slots: Sequence[int]
) -> list[list[NDArray[Any]]]:
    """[checkpoints][arrays] of [GROUP, …]; what a diverged run never reached is NaN (0 in whole numbers)."""
    template = states[slots[0], 0]
    checkpoints = []
    for step in kept:
        leaves = []
        for name in sorted(template):
            like = np.asarray(template[name])
            empty = np.nan if np.issubdtype(like.dtype, np.inexact) else 0
            leaf = np.full((GROUP, *like.shape), empty, dtype=like.dtype)
            for slot in slots:
                if (slot, step) in states:
                    leaf[slot] = states[slot, step][name]
            leaves.append(leaf)
        checkpoints.append(leaves)
    return checkpoints
