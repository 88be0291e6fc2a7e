"""Training: one loop for every head and objective, many seeds at once, checkpoints on a schedule -> `Trace`.

What determines the bits of a seed's result: the dataset, head, inputs, objective, optimizer, learning rate, batch size
and the seed. Not: which other seeds are asked for (they are trained in whole groups of `GROUP`, each seed in its slot),
how many steps are trained after a checkpoint, where checkpoints are, how many processes run beside it.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset
from worldnets.errors import TrainingError
from worldnets.heads.base import Head, is_parameter
from worldnets.heads.base import head_options as complete_options
from worldnets.heads.inputs import inputs as make_inputs
from worldnets.net import WorldNet
from worldnets.objectives.base import REGISTRY as OBJECTIVES
from worldnets.registry import normalised
from worldnets.roles import outcome_count
from worldnets.trace import GROUP, Trace
from worldnets.training_loop import OPTIMIZERS, GroupRun, Optimizer, Plan, stream, train_group

__all__ = ["GROUP", "OPTIMIZERS", "Optimizer", "Progress", "Trace", "checkpoint_steps", "stream", "train"]

Progress = Callable[[int, int, float], None]


def checkpoint_steps(steps: int, count: int = 20) -> tuple[int, ...]:
    """The schedule of checkpoints: about `count` log-spaced training steps, rising.

    Always holds 0, 1, round(steps / 100), round(2·steps / 3) and `steps` (theory, section 5: the verdict looks there);
    the rest is round(steps^(i / (count − 2))), i = 0 … count − 2, without repeats.

    Raises:
        TrainingError: steps < 1 or count < 2.
    """
    steps, count = _whole("steps", steps, 1), _whole("checkpoints", count, 2)
    spaced = {round(steps ** (i / max(count - 2, 1))) for i in range(count - 1)}
    return tuple(sorted({0, 1, round(steps / 100), round(2 * steps / 3), steps} | spaced))


def train(
    dataset: Dataset,
    head: str = "mlp",
    objective: str = "continuation",
    *,
    inputs: str = "evidence",
    seeds: int | Sequence[int] = 8,
    steps: int = 2000,
    batch: int = 128,
    optimizer: str = "adam",
    learning_rate: float | None = None,
    checkpoints: int | Sequence[int] = 20,
    head_options: Mapping[str, Any] | None = None,
    world_model: WorldNet | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Train a head on fresh clips, several seeds at once.

    Step t of seed s descends the objective's mean loss over clips t·batch … (t + 1)·batch − 1 of the seed's own stream
    (no clip is ever seen twice), starting from parameters of the seed's own (see `stream`). A twin dataset
    (`Dataset.with_redrawn`) gives the same clips in the same order but for the redrawn evidence. Losses are reported in
    bits, but gradients are those of the loss in nats, so that a learning rate means what it means elsewhere.

    Args:
        dataset: what to train on; `load_dataset` gives one.
        head: a registered head, "linear", "mlp", …
        objective: "continuation", "question", …; the dataset must have such a task.
        inputs: "evidence" (raw) or "beliefs" (of the world-model, about the task's latents).
        seeds: n for seeds 0 … n − 1, or the seeds themselves.
        steps: updates.
        batch: clips per update.
        optimizer: "adam" or "sgd".
        learning_rate: default 3e-3 for adam, .05 for sgd.
        checkpoints: how many (see `checkpoint_steps`), or at which steps.
        head_options: options of the head, e.g. {"width": 32}.
        world_model: whose beliefs the head is given; the dataset's own net, W*, by default.
        progress: called as `progress(step, steps, loss)` while training, steps counted over all groups of seeds,
            loss the latest mean in bits over the seeds that are going.

    Returns:
        The checkpoints, in the order in which the seeds were given. A seed whose loss or parameters stop being finite
        is marked in `Trace.diverged`, and the others go on.

    Raises:
        UnknownNameError: an unknown head, objective or optimizer.
        TrainingError: an option out of range, a task the dataset does not have, or every seed has diverged.
    """
    plan = _planned(dataset, head, objective, inputs, batch, optimizer, learning_rate, head_options, world_model)
    asked = _seeds(seeds)
    kept = _kept(checkpoints, _whole("steps", steps, 1))
    groups = sorted({seed // GROUP for seed in asked})
    runs = {}
    for done, group in enumerate(groups):
        report = None
        if progress is not None:
            report = functools.partial(_report, progress, done * steps, len(groups) * steps)
        runs[group] = train_group(plan, group, kept, [seed % GROUP for seed in asked if seed // GROUP == group], report)
    parameters, losses, diverged = _gathered(runs, asked, plan)
    if all(step is not None for step in diverged):
        first = min(step for step in diverged if step is not None)
        raise TrainingError(
            f"every seed diverged, the first at step {first} (learning rate {plan.learning_rate:g})",
            node=f"{plan.head_name} on {dataset.name}",
            found="a loss or parameters that are not finite",
            mend=f"train with a smaller learning rate, such as {plan.learning_rate / 10:g}",
        )
    settings = {
        "steps": int(steps),
        "batch": plan.batch,
        "optimizer": plan.optimizer.name,
        "learning_rate": plan.learning_rate,
    }
    return Trace(
        dataset,
        plan.objective.name,
        plan.head_name,
        plan.head_options,
        plan.inputs,
        asked,
        np.array(kept, dtype=np.int64),
        parameters,
        losses,
        diverged,
        settings,
    )


def _planned(
    dataset: Dataset,
    head: str,
    objective: str,
    inputs: str,
    batch: int,
    optimizer: str,
    learning_rate: float | None,
    options: Mapping[str, Any] | None,
    world_model: WorldNet | None,
) -> Plan:
    if not isinstance(dataset, Dataset):
        mend = 'load it first: train(load_dataset("vault"), …)'
        raise TrainingError("training needs a dataset", found=repr(dataset), expected="a Dataset", mend=mend)
    complete = complete_options(head, options)
    what = OBJECTIVES.get(objective)
    how = OPTIMIZERS.get(optimizer)
    task = what.task(dataset)
    counts = tuple(outcome_count(dataset.net, target) for target in task.targets)
    view = make_inputs(inputs, dataset.net, task, world_model)
    rate = how.learning_rate if learning_rate is None else learning_rate
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not (math.isfinite(rate) and rate > 0):
        mend = f"leave it out for {how.learning_rate:g}"
        raise TrainingError("the learning rate is no number > 0", node=how.name, found=repr(rate), mend=mend)
    batch = _whole("batch", batch, 1)
    return Plan(dataset, task, counts, what, normalised(head), complete, view, batch, how, float(rate))


def _whole(name: str, value: Any, lowest: int) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TrainingError(f"{name} is no whole number", found=repr(value), mend=f"give {name} ≥ {lowest}") from None
    if number < lowest:
        raise TrainingError(
            f"{name} is too small", found=number, expected=f"≥ {lowest}", mend=f"give {name} ≥ {lowest}"
        )
    return number


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(seeds, str):
        raise TrainingError("seeds is a text", found=repr(seeds), mend="give a number of seeds, or a list of seeds")
    if not isinstance(seeds, Iterable):
        return tuple(range(_whole("seeds", seeds, 1)))
    asked = tuple(_whole("seed", seed, 0) for seed in seeds)
    if not asked:
        raise TrainingError("no seed to train", found="an empty list", mend="give at least one seed")
    twice = sorted({seed for seed in asked if asked.count(seed) > 1})
    if twice:
        raise TrainingError("a seed stands there twice", found=twice, mend="give each seed once")
    return asked


def _kept(checkpoints: int | Sequence[int], steps: int) -> tuple[int, ...]:
    if isinstance(checkpoints, str) or not isinstance(checkpoints, Iterable):
        return checkpoint_steps(steps, checkpoints)
    kept = tuple(sorted({_whole("checkpoint", step, 0) for step in checkpoints}))
    if not kept or kept[-1] > steps:
        mend = f"name steps from 0 to {steps}, or how many checkpoints to keep"
        raise TrainingError("checkpoints outside the training", found=list(kept), mend=mend)
    return kept


def _report(progress: Progress, before: int, total: int, step: int, loss: float) -> None:
    progress(before + step, total, loss)


def _gathered(
    runs: Mapping[int, GroupRun], asked: tuple[int, ...], plan: Plan
) -> tuple[Head, NDArray[np.float64], tuple[int | None, ...]]:
    """The seeds asked for, in order: parameters [checkpoints, seeds, …], losses [checkpoints, seeds], divergence."""
    where = [(runs[seed // GROUP], seed % GROUP) for seed in asked]
    leaves, structure = jax.tree.flatten(plan.build(asked[0]))
    checkpoints = range(len(where[0][0].parameters))
    stacked = iter(
        np.stack([np.stack([run.parameters[c][p][slot] for run, slot in where]) for c in checkpoints])
        for p in range(sum(map(is_parameter, leaves)))
    )
    head = jax.tree.unflatten(structure, [next(stacked) if is_parameter(leaf) else leaf for leaf in leaves])
    losses = np.stack([run.losses[:, slot] for run, slot in where], axis=1)
    return head, losses, tuple(run.diverged[slot] for run, slot in where)
