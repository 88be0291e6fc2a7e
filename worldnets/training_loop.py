"""The compiled loop under `train`: one group of seeds of a differentiable head, block by block."""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from worldnets.heads.base import Head, is_parameter
from worldnets.objectives.base import Objective
from worldnets.penalties import DescriptionLength, ParameterPenalty, Penalty, Rounds, SpectralDecoupling
from worldnets.training_memory import Memory
from worldnets.training_plan import GROUP, Optimizer, Plan

BLOCK_ROWS = 8192  # rows of one seed made at a time: a block is this many divided by the batch size, in steps


Report = Callable[[int, float], None]

# Groups run in threads. What is held: the making of clips and beliefs, which uses every processor by itself, and the
# sending off of a block, so that the first group compiles for all; JAX works on the blocks of several groups at once.
_making, _sending = threading.Lock(), threading.Lock()


class GroupRun(NamedTuple):
    """One group's result; columns are slots."""

    parameters: list[list[NDArray[Any]]]  # [checkpoints] of the head's parameters, each [GROUP, …]
    losses: NDArray[np.float64]  # [checkpoints, GROUP]
    diverged: list[int | None]  # [GROUP] first step that was not finite


def train_group(
    plan: Plan,
    group: int,
    kept: tuple[int, ...],
    slots: Sequence[int],
    report: Report | None = None,
    memory: Memory | None = None,
    width: int = GROUP,
) -> GroupRun:
    """Train seeds group·width … group·width + width − 1 to the last checkpoint, always all of them.

    Args:
        plan: what to train.
        group: which seeds.
        kept: steps of the checkpoints, rising.
        slots: the seeds someone asked for; once all of these have diverged, the loop stops.
        report: called with the step and the mean loss of those seeds, in bits, after every block.
        memory: where the state is kept now and then, and found again after an interruption.
        width: seeds side by side. Another number gives other bits: benchmarks only.
    """
    heads = [plan.build(group * width + slot) for slot in range(width)]
    leaves, structure = jax.tree.flatten(heads[0])
    rest = tuple(None if is_parameter(leaf) else leaf for leaf in leaves)
    how = (plan.objective, plan.counts, plan.per_clip, plan.penalties, plan.optimizer, plan.learning_rate)
    stacked = zip(*(_parameters(head) for head in heads), strict=True)
    parameters = [jnp.asarray(np.stack(column)) for column in stacked]
    with _sending:
        start, advance = _compiled(structure, rest, *how)
        state = start(parameters)
    saved = {0: parameters}
    last = max(kept[-1], 1)  # a run that keeps checkpoint 0 alone still makes one step, for its loss
    losses = np.full((last, width), np.nan, dtype=np.float32)
    begin = 0
    before = None if memory is None else memory.recall(group)
    if before is not None:
        begin, parameters, state, saved = _resumed(before, parameters, state)
        losses[:begin] = before["losses"]
    block = block_steps(plan)
    pending: list[tuple[int, int, int, jax.Array]] = []
    # JAX works on a block while the next one's clips are made here: calls return before they are done.
    for first, features, outcomes in _blocks(plan, group, begin, last, width):
        _collect(pending, losses, slots, report)
        if first and not np.isfinite(losses[first - 1, slots]).any():
            break
        if memory is not None and first > begin and memory.due():
            memory.keep(group, _state(first, parameters, state, saved, losses))
        end = min(first + block, last)
        step = first
        for stop in [*(t for t in kept if first < t < end), end]:
            bounds = np.int32(step - first), np.int32(stop - first)
            with _sending:
                parameters, state, new = advance(parameters, state, features, outcomes, *bounds)
            pending.append((first, step, stop, new))
            saved[stop] = parameters
            step = stop
        saved = {t: leaves for t, leaves in saved.items() if t in kept or t == step}
    _collect(pending, losses, slots, report)
    if memory is not None and begin < last:
        memory.keep(group, _state(last, parameters, state, saved, losses))
    lost = [np.full(leaf.shape, np.nan, dtype=leaf.dtype) for leaf in parameters]
    checkpoints = [[np.array(leaf) for leaf in saved.get(t, lost)] for t in kept]
    return finished(checkpoints, losses, kept)


def block_steps(plan: Plan) -> int:
    """Steps of a block."""
    return max(1, BLOCK_ROWS // (plan.batch * plan.per_clip * plan.answers))


def finished(checkpoints: list[list[NDArray[Any]]], losses: NDArray[np.float32], kept: tuple[int, ...]) -> GroupRun:
    """Losses averaged between checkpoints; a slot's numbers from where it stopped being finite on are NaN.

    Args:
        checkpoints: as `GroupRun.parameters`; those of whole numbers stay as they are.
        losses: [steps, slots], NaN where a run ended before.
        kept: steps of the checkpoints.
    """
    means, diverged = _window_means(losses, kept), _diverged(losses, checkpoints, kept)
    for slot, broken in enumerate(diverged):
        for c, t in enumerate(kept):
            if broken is not None and t >= broken:
                means[c, slot] = np.nan
                for leaf in checkpoints[c]:
                    if np.issubdtype(leaf.dtype, np.inexact):
                        leaf[slot] = np.nan
    return GroupRun(checkpoints, means, diverged)


def _state(
    first: int, parameters: list[jax.Array], state: Any, saved: dict[int, list[jax.Array]], losses: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Everything the loop needs to go on at step `first`, as named arrays."""
    arrays = {"first": np.array(first), "losses": losses[:first]}
    arrays |= {f"parameters/{i}": np.asarray(leaf) for i, leaf in enumerate(parameters)}
    arrays |= {f"state/{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    for t, leaves in saved.items():
        arrays |= {f"saved/{t}/{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    return arrays


def _resumed(
    arrays: dict[str, NDArray[Any]], parameters: list[jax.Array], state: Any
) -> tuple[int, list[jax.Array], Any, dict[int, list[jax.Array]]]:
    """The inverse of `_state`; the first parameters and state give the number of leaves and their structure."""
    named = lambda kind, count: [jnp.asarray(arrays[f"{kind}/{i}"]) for i in range(count)]
    leaves, structure = jax.tree.flatten(state)
    steps = {int(name.split("/")[1]) for name in arrays if name.startswith("saved/")}
    saved = {t: named(f"saved/{t}", len(parameters)) for t in sorted(steps)}
    state = jax.tree.unflatten(structure, named("state", len(leaves)))
    return int(arrays["first"]), named("parameters", len(parameters)), state, saved


def _blocks(
    plan: Plan, group: int, begin: int, last: int, width: int
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.int32]]]:
    """First step, features [block, slots, rows, features] and outcomes [block, slots, rows, outcomes] of each block.

    The last block is filled up with zeros: blocks of one shape are compiled once.
    """
    seeds, block, rows = [group * width + slot for slot in range(width)], block_steps(plan), plan.batch * plan.per_clip
    for first in range(begin, last, block):
        with _making:
            steps = min(block, last - first)
            where = steps * plan.batch, first * plan.batch
            dropped = [hidden for seed in seeds if (hidden := plan.dropped(seed, *where)) is not None]
            clips = np.concatenate([plan.clips(seed, *where) for seed in seeds])
            examples = plan.examples(clips, np.concatenate(dropped) if dropped else None)
            shape = (width, steps, rows)
            features = np.zeros((block, width, rows, plan.inputs.width), dtype=np.float32)
            codes = examples.codes.reshape(*shape, -1)
            for stage_first, stage_last in _stages(plan, first, steps):
                part = codes[:, stage_first:stage_last]
                made = plan.inputs.at(first + stage_first).features(part.reshape(-1, codes.shape[-1]))
                features[stage_first:stage_last] = made.reshape(*part.shape[:3], -1).swapaxes(0, 1)
            outcomes = np.zeros((block, width, rows, examples.outcomes.shape[-1]), dtype=np.int32)
            outcomes[:steps] = examples.outcomes.reshape(*shape, -1).swapaxes(0, 1)
        yield first, features, outcomes


def _stages(plan: Plan, first: int, steps: int) -> Iterator[tuple[int, int]]:
    """Stretches of a block's steps with the same inputs."""
    views = [plan.inputs.at(first + step) for step in range(steps)]
    start = 0
    for step in range(1, steps + 1):
        if step == steps or views[step] is not views[start]:
            yield start, step
            start = step


def _parameters(head: Head) -> list[NDArray[np.floating]]:
    return [leaf for leaf in jax.tree.leaves(head) if is_parameter(leaf)]


@functools.lru_cache(maxsize=32)
def _compiled(
    structure: Any,
    rest: tuple[Any, ...],
    objective: Objective,
    counts: tuple[int, ...],
    per_clip: int,
    penalties: tuple[Penalty, ...],
    optimizer: Optimizer,
    learning_rate: float,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Two compiled functions: first optimizer state, and some steps of a block.

    The second takes (parameters, state, features, outcomes, start, stop), makes the block's steps start … stop − 1 and
    returns (parameters, state, losses [block, slots] in bits, NaN elsewhere). `stop` is no constant of the program, so
    that checkpoints may lie anywhere without another compilation and without other bits.
    """
    import optax

    transformation = optimizer.transformation(learning_rate)

    def loss(parameters: list[jax.Array], features: jax.Array, outcomes: jax.Array) -> tuple[jax.Array, jax.Array]:
        own = iter(parameters)
        head = jax.tree.unflatten(structure, [next(own) if leaf is None else leaf for leaf in rest])
        outputs = objective.outputs(head, features)
        bits = objective.loss(outputs, outcomes, counts).mean()
        if per_clip > 1:  # bits are those of a clip
            bits = bits * per_clip
        total = bits * math.log(2)
        for penalty in penalties:
            total += _paid(penalty, head, outputs, _priced(penalty, head, parameters))
        return total, bits

    def step(parameters: Any, state: Any, features: jax.Array, outcomes: jax.Array) -> tuple[Any, Any, jax.Array]:
        (_, bits), gradient = jax.value_and_grad(loss, has_aux=True)(parameters, features, outcomes)
        updates, state = transformation.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, bits

    def advance(
        parameters: Any, state: Any, features: jax.Array, outcomes: jax.Array, start: jax.Array, stop: jax.Array
    ) -> tuple[Any, Any, jax.Array]:
        def body(i: jax.Array, carry: tuple[Any, Any, jax.Array]) -> tuple[Any, Any, jax.Array]:
            parameters, state, losses = carry
            parameters, state, bits = jax.vmap(step)(parameters, state, features[i], outcomes[i])
            return parameters, state, losses.at[i].set(bits)

        losses = jnp.full(features.shape[:2], jnp.nan, dtype=jnp.float32)
        return jax.lax.fori_loop(start, stop, body, (parameters, state, losses))

    return jax.jit(jax.vmap(transformation.init)), jax.jit(advance)


def _priced(penalty: Penalty, head: Head, parameters: list[jax.Array]) -> list[jax.Array]:
    """The parameters that a penalty is paid for: all of the head's, but what it leaves free."""
    free = penalty.free if isinstance(penalty, DescriptionLength) else ()
    if not free:
        return parameters
    spared = {id(leaf) for name in free for leaf in jax.tree.leaves(getattr(head, name))}
    return [parameter for parameter in parameters if id(parameter) not in spared]


def _paid(penalty: Penalty, head: Head, outputs: jax.Array, parameters: list[jax.Array]) -> jax.Array | float:
    """Nats; evidence dropout, which is no cost, has been taken care of where clips are made."""
    if isinstance(penalty, ParameterPenalty):
        return sum(penalty.cost(parameter, jnp) for parameter in parameters)
    if isinstance(penalty, SpectralDecoupling):
        return penalty.of_outputs(outputs)
    return penalty.of_head(head) if isinstance(penalty, Rounds) else 0.0


def _collect(
    pending: list[tuple[int, int, int, jax.Array]],
    losses: NDArray[np.float32],
    slots: Sequence[int],
    report: Callable[[int, float], None] | None,
) -> None:
    """Wait for the calls sent off, write their losses where they belong, and report the latest."""
    stop = 0
    for first, start, stop, new in pending:
        losses[start:stop] = np.asarray(new)[start - first : stop - first]
    if pending and report is not None:
        latest = losses[stop - 1, slots]
        going = latest[np.isfinite(latest)]
        report(stop, float(going.mean(dtype=np.float64)) if going.size else math.nan)
    pending.clear()


def _window_means(losses: NDArray[np.float32], kept: tuple[int, ...]) -> NDArray[np.float64]:
    means, before = [], 0
    for step in kept:
        window = losses[before:step] if step else losses[:1]
        means.append(window.mean(axis=0, dtype=np.float64))
        before = step
    return np.array(means)


def _diverged(
    losses: NDArray[np.float32], checkpoints: list[list[NDArray[Any]]], kept: tuple[int, ...]
) -> list[int | None]:
    """First step of each slot at which the loss, or a kept parameter, was not finite."""
    found: list[int | None] = []
    for slot in range(losses.shape[1]):
        steps = np.flatnonzero(~np.isfinite(losses[:, slot]))[:1].tolist()
        broken = (not all(np.isfinite(leaf[slot]).all() for leaf in checkpoint) for checkpoint in checkpoints)
        steps += [step for step, bad in zip(kept, broken, strict=True) if bad][:1]
        found.append(min(steps, default=None))
    return found
