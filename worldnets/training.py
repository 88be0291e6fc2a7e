"""Training: one loop for every head and objective, many seeds at once, checkpoints on a schedule -> `Trace`.

What determines the bits of a seed's result: the dataset, head, inputs, objective, penalties, optimizer, learning rate,
batch size, the seed, and another seed where the data order is that seed's. Not: which other seeds are asked for (they
are trained in whole groups of `GROUP`, each seed in its slot), how many steps are trained after a checkpoint, where
checkpoints are, how many processes run beside it, whether it was interrupted and went on. (Where the world-model grows,
stages begin at shares of the number of steps.)
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.dataset import Dataset
from worldnets.errors import StoreError, TrainingError
from worldnets.growth import Growth, growth_digest
from worldnets.heads.base import Head
from worldnets.heads.staged import Staged, growth_of
from worldnets.inference.compiled import available_threads
from worldnets.net import WorldNet
from worldnets.net_archive import net_digest
from worldnets.trace import Trace
from worldnets.training_groups import Progress, train_groups
from worldnets.training_loop import GroupRun
from worldnets.training_memory import Memory
from worldnets.training_plan import GROUP, OPTIMIZERS, Optimizer, Plan, plan_training, stream

__all__ = ["GROUP", "OPTIMIZERS", "Optimizer", "Progress", "Trace", "checkpoint_steps", "retrained", "stream", "train"]


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
    world_model: WorldNet | Growth | None = None,
    penalties: Mapping[str, Any] | None = None,
    data_order: int | None = None,
    save_to: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    threads: int | None = None,
) -> Trace:
    """Train a head on fresh clips, several seeds at once.

    Step t of seed s descends the objective's mean loss over clips t·batch … (t + 1)·batch − 1 of the seed's own stream
    (no clip is ever seen twice), starting from parameters of the seed's own (see `stream`). A twin dataset
    (`Dataset.with_redrawn`) gives the same clips in the same order but for the redrawn evidence. Losses are reported in
    bits, but gradients are those of the loss in nats, so that a learning rate means what it means elsewhere.

    Args:
        dataset: what to train on; `load_dataset` gives one.
        head: a registered head, "linear", "mlp", … (`probes list heads`).
        objective: "continuation", "question", … (`probes list objectives`); the dataset must have such a task.
        inputs: "evidence" (raw) or "beliefs" (of the world-model, about the task's latents).
        seeds: n for seeds 0 … n − 1, or the seeds themselves.
        steps: updates.
        batch: clips per update.
        optimizer: "adam" or "sgd".
        learning_rate: default 3e-3 for adam, .05 for sgd.
        checkpoints: how many (see `checkpoint_steps`), or at which steps.
        head_options: options of the head, e.g. {"width": 32}.
        world_model: whose beliefs the head is given; the dataset's own net, W*, by default. A `Growth` gives the
            beliefs of one stage after the other; `steps` then says when each begins. With inputs="evidence" a `Growth`
            whose stages differ in evidence says what the head is shown.
        penalties: what is paid for besides the objective, by name: a strength, or a table of options such as
            {"evidence_dropout": {"strength": 0.5, "variables": ["cue"]}}. See `worldnets.penalties`.
        data_order: a seed whose clips, labels and dropped evidence all seeds are given, in that order, so that they
            differ in their first parameters alone; each has its own by default. Seeds trained once for each of several
            data orders cross initialisations with orders.
        save_to: a file for the trace. While training, what is unfinished stands in the same name + ".partial", from
            which the same call goes on after an interruption; when that is done the trace is there, and the same call
            again reads it.
        progress: called as `progress(step, steps, loss)` while training, steps counted over all groups of seeds,
            loss the latest mean in bits over the seeds that are going.
        threads: groups of `GROUP` seeds trained at once; as many as there are processors by default. It changes how
            long training takes and no bit of its result.

    Returns:
        The checkpoints, in the order in which the seeds were given. A seed whose loss or parameters stop being finite
        is marked in `Trace.diverged`, and the others go on.

    Raises:
        UnknownNameError: an unknown head, objective, penalty or optimizer.
        TrainingError: an option out of range, a task the dataset does not have, or every seed has diverged.
        StoreError: what stands at `save_to` is of another run, or cannot be written.
    """
    plan = plan_training(
        dataset,
        head,
        objective,
        inputs=inputs,
        batch=_whole("batch", batch, 1),
        optimizer=optimizer,
        learning_rate=learning_rate,
        head_options=head_options,
        world_model=world_model,
        penalties=penalties,
        training_steps=_whole("steps", steps, 1),
        data_order=data_order,
    )
    asked = _seeds(seeds)
    kept = _kept(checkpoints, _whole("steps", steps, 1))
    memory = None
    if save_to is not None:
        finished = _finished(Path(save_to), plan, asked, kept, int(steps))
        if finished is not None:
            return finished
        memory = Memory(Path(f"{os.fspath(save_to)}.partial"), _request(plan, asked, kept))
    groups = sorted({seed // GROUP for seed in asked})
    slots = {group: [seed % GROUP for seed in asked if seed // GROUP == group] for group in groups}
    beside = available_threads() if threads is None else _whole("threads", threads, 1)
    runs = train_groups(plan, slots, kept, progress, memory, beside)
    trace = _gathered(runs, asked, plan, kept, int(steps))
    if all(step is not None for step in trace.diverged):
        first = min(step for step in trace.diverged if step is not None)
        raise TrainingError(
            f"every seed diverged, the first at step {first} (learning rate {plan.learning_rate:g})",
            node=f"{plan.head_name} on {dataset.name}",
            found="a loss or parameters that are not finite",
            mend=f"train with a smaller learning rate, such as {plan.learning_rate / 10:g}",
        )
    if memory is not None:
        trace.save(Path(save_to))  # type: ignore[arg-type]
        memory.forget()
    return trace


def _request(plan: Plan, asked: tuple[int, ...], kept: tuple[int, ...]) -> dict[str, Any]:
    """What determines a run, for the file of an unfinished one."""
    model, view = plan.inputs.world_model, plan.inputs
    growth = None
    if isinstance(view, Staged):
        growth = [growth_digest(view.growth), list(view.starts)]
    return {
        "dataset": plan.dataset.digest,
        "objective": plan.objective.name,
        "labels": plan.objective.labelled_by(plan.dataset),
        "head": plan.head_name,
        "head_options": plan.head_options,
        "inputs": plan.inputs.name,
        "world_model": None if model is None else net_digest(model),
        **({} if growth is None else {"growth": growth}),
        **plan.settings,
        "seeds": list(asked),
        "checkpoints": list(kept),
    }


def _finished(path: Path, plan: Plan, asked: tuple[int, ...], kept: tuple[int, ...], steps: int) -> Trace | None:
    """The trace of this very run, where it is finished."""
    if not path.exists():
        return None
    trace = Trace.load(path, dataset=plan.dataset)
    same = (
        _request(trace.plan, trace.seeds, tuple(trace.steps.tolist())) == _request(plan, asked, kept)
        and trace.settings["steps"] == steps
    )
    if not same:
        mend = "save elsewhere, or delete the file"
        raise StoreError("a trace of another run stands there", file=path, found=repr(trace), mend=mend)
    return trace


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


def _gathered(
    runs: Mapping[int, GroupRun], asked: tuple[int, ...], plan: Plan, kept: tuple[int, ...], steps: int
) -> Trace:
    """The seeds asked for, in order: parameters [checkpoints, seeds, …], losses [checkpoints, seeds], divergence."""
    where = [(runs[seed // GROUP], seed % GROUP) for seed in asked]
    count = len(where[0][0].parameters[0])
    leaves: list[NDArray[Any]] = [
        np.stack([np.stack([run.parameters[c][p][slot] for run, slot in where]) for c in range(len(kept))])
        for p in range(count)
    ]
    losses = np.stack([run.losses[:, slot] for run, slot in where], axis=1)
    diverged = tuple(run.diverged[slot] for run, slot in where)
    parameters: Head | dict[str, NDArray[Any]] = plan.filled(leaves)
    return Trace(plan, asked, np.array(kept, dtype=np.int64), parameters, losses, diverged, steps)


def retrained(trace: Trace, progress: Progress | None = None, **changes: Any) -> Trace:
    """The same request with some changes: the twin of a run, a run with another cap, the same head grown.

    Seeds, clips, steps, checkpoints, head, objective, inputs, optimizer and penalties are those of `trace` but for what
    `changes` says; so a change of the dataset to its twin leaves first parameters and the order of clips as they were.

    Args:
        trace: whose request.
        progress: as for `train`.
        changes: arguments of `train`, `dataset` among them. `head_options` and `penalties` replace all of the trace's.

    Raises:
        TrainingError: as `train`.
    """
    view = trace.inputs
    model: WorldNet | Growth | None = growth_of(view) or view.world_model
    if model is trace.dataset.net:
        model = None  # the oracle stays the oracle where the dataset changes
    settings = dict(trace.settings)
    request: dict[str, Any] = {
        "dataset": trace.dataset,
        "head": trace.head,
        "objective": trace.objective,
        "inputs": view.name,
        "seeds": trace.seeds,
        "checkpoints": tuple(int(step) for step in trace.steps),
        "head_options": dict(trace.head_options),
        "world_model": model,
        **settings,
    }
    if "steps" in changes and "checkpoints" not in changes:
        request["checkpoints"] = len(trace.steps)
    return train(**{**request, **changes}, progress=progress)
