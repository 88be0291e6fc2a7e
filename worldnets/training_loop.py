"""The compiled loop under `train`: one group of seeds, block by block."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from worldnets.dataset import Dataset
from worldnets.heads.base import Head, build_head, is_parameter
from worldnets.heads.inputs import Inputs
from worldnets.objectives.base import Objective, output_count
from worldnets.registry import Registry
from worldnets.roles import Task, outcome_index
from worldnets.trace import GROUP

BLOCK_ROWS = 8192  # rows of one seed made at a time: a block is this many divided by the batch size, in steps


@dataclass(frozen=True)
class Optimizer:
    """A first-order optimizer: its name in Optax and the learning rate used when none is given."""

    name: str
    learning_rate: float

    def transformation(self, learning_rate: float) -> Any:
        """The Optax gradient transformation."""
        import optax

        return getattr(optax, self.name)(learning_rate)


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer", {"adam": Optimizer("adam", 3e-3), "sgd": Optimizer("sgd", 0.05)}
)


def stream(seed: int, purpose: str) -> int:
    """The random stream of a seed for one purpose: a number below 2**63.

    The first eight bytes, big-endian, of SHA-256 of the text "worldnets/{purpose}/{seed}", shifted right by one bit.
    Purposes in use: "training clips" (the seed given to `Dataset.simulate`, whose row r is the run's r-th clip) and
    "first parameters" (the seed of NumPy's PCG64 behind `Head.build`).
    """
    digest = hashlib.sha256(f"worldnets/{purpose}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True, eq=False)
class Plan:
    """A checked request."""

    dataset: Dataset
    task: Task
    counts: tuple[int, ...]
    objective: Objective
    head_name: str
    head_options: dict[str, Any]
    inputs: Inputs
    batch: int
    optimizer: Optimizer
    learning_rate: float

    @property
    def block(self) -> int:
        """Steps of a block."""
        return max(1, BLOCK_ROWS // self.batch)

    def build(self, seed: int) -> Head:
        """The head of a seed before training."""
        generator = np.random.Generator(np.random.PCG64(stream(seed, "first parameters")))
        return build_head(self.head_name, generator, self.inputs.width, output_count(self.counts), self.head_options)


class GroupRun(NamedTuple):
    """One group's result; columns are slots."""

    parameters: list[list[NDArray[np.floating]]]  # [checkpoints] of the head's parameters, each [GROUP, …]
    losses: NDArray[np.float64]  # [checkpoints, GROUP]
    diverged: list[int | None]  # [GROUP] first step that was not finite


def train_group(
    plan: Plan,
    group: int,
    kept: tuple[int, ...],
    slots: Sequence[int],
    report: Callable[[int, float], None] | None,
) -> GroupRun:
    """Train seeds group·GROUP … group·GROUP + GROUP − 1 to the last checkpoint, always all of them.

    Args:
        plan: what to train.
        group: which seeds.
        kept: steps of the checkpoints, rising.
        slots: the seeds someone asked for; once all of these have diverged, the loop stops.
        report: called with the step and the mean loss of those seeds, in bits, after every block.
    """
    heads = [plan.build(group * GROUP + slot) for slot in range(GROUP)]
    leaves, structure = jax.tree.flatten(heads[0])
    rest = tuple(None if is_parameter(leaf) else leaf for leaf in leaves)
    start, advance = _compiled(structure, rest, plan.objective, plan.counts, plan.optimizer, plan.learning_rate)
    stacked = zip(*(_parameters(head) for head in heads), strict=True)
    parameters = [jnp.asarray(np.stack(column)) for column in stacked]
    state = start(parameters)
    saved = {0: parameters}
    last = max(kept[-1], 1)  # a run that keeps checkpoint 0 alone still makes one step, for its loss
    losses = np.full((last, GROUP), np.nan, dtype=np.float32)
    pending: list[tuple[int, int, int, jax.Array]] = []
    # JAX works on a block while the next one's clips are made here: calls return before they are done.
    for first, features, outcomes in _blocks(plan, group, last):
        _collect(pending, losses, slots, report)
        if first and not np.isfinite(losses[first - 1, slots]).any():
            break
        end = min(first + plan.block, last)
        step = first
        for stop in [*(t for t in kept if first < t < end), end]:
            parameters, state, new = advance(
                parameters, state, features, outcomes, np.int32(step - first), np.int32(stop - first)
            )
            pending.append((first, step, stop, new))
            saved[stop] = parameters
            step = stop
    _collect(pending, losses, slots, report)
    lost = [np.full(leaf.shape, np.nan, dtype=leaf.dtype) for leaf in parameters]
    checkpoints = [[np.array(leaf) for leaf in saved.get(t, lost)] for t in kept]
    means, diverged = _window_means(losses, kept), _diverged(losses, checkpoints, kept)
    for slot, broken in enumerate(diverged):
        for c, t in enumerate(kept):
            if broken is not None and t >= broken:
                means[c, slot] = np.nan
                for leaf in checkpoints[c]:
                    leaf[slot] = np.nan
    return GroupRun(checkpoints, means, diverged)


def _blocks(plan: Plan, group: int, last: int) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.int32]]]:
    """First step, features [block, GROUP, batch, features] and outcomes [block, GROUP, batch, targets] of each block.

    The last block is filled up with zeros: blocks of one shape are compiled once.
    """
    streams = [stream(group * GROUP + slot, "training clips") for slot in range(GROUP)]
    net = plan.dataset.net
    for first in range(0, last, plan.block):
        steps = min(plan.block, last - first)
        shape = (GROUP, steps, plan.batch)
        clips = [plan.dataset.simulate(steps * plan.batch, seed, first * plan.batch) for seed in streams]
        codes = np.concatenate(clips)
        asked = np.stack([outcome_index(codes, net, target) for target in plan.task.targets], axis=-1)
        features = np.zeros((plan.block, GROUP, plan.batch, plan.inputs.width), dtype=np.float32)
        features[:steps] = plan.inputs.features(codes).reshape(*shape, -1).swapaxes(0, 1)
        outcomes = np.zeros((plan.block, GROUP, plan.batch, len(plan.counts)), dtype=np.int32)
        outcomes[:steps] = asked.reshape(*shape, -1).swapaxes(0, 1)
        yield first, features, outcomes


def _parameters(head: Head) -> list[NDArray[np.floating]]:
    return [leaf for leaf in jax.tree.leaves(head) if is_parameter(leaf)]


@functools.lru_cache(maxsize=32)
def _compiled(
    structure: Any,
    rest: tuple[Any, ...],
    objective: Objective,
    counts: tuple[int, ...],
    optimizer: Optimizer,
    learning_rate: float,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Two compiled functions: first optimizer state, and some steps of a block.

    The second takes (parameters, state, features, outcomes, start, stop), makes the block's steps start … stop − 1 and
    returns (parameters, state, losses [block, GROUP] in bits, NaN elsewhere). `stop` is no constant of the program, so
    that checkpoints may lie anywhere without another compilation and without other bits.
    """
    import optax

    transformation = optimizer.transformation(learning_rate)

    def loss(parameters: list[jax.Array], features: jax.Array, outcomes: jax.Array) -> tuple[jax.Array, jax.Array]:
        own = iter(parameters)
        head = jax.tree.unflatten(structure, [next(own) if leaf is None else leaf for leaf in rest])
        bits = objective.loss(jax.vmap(head)(features), outcomes, counts).mean()
        return bits * math.log(2), bits

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

        losses = jnp.full((features.shape[0], GROUP), jnp.nan, dtype=jnp.float32)
        return jax.lax.fori_loop(start, stop, body, (parameters, state, losses))

    return jax.jit(jax.vmap(transformation.init)), jax.jit(advance)


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
    losses: NDArray[np.float32], checkpoints: list[list[NDArray[np.floating]]], kept: tuple[int, ...]
) -> list[int | None]:
    """First step of each slot at which the loss, or a kept parameter, was not finite."""
    found: list[int | None] = []
    for slot in range(GROUP):
        steps = np.flatnonzero(~np.isfinite(losses[:, slot]))[:1].tolist()
        broken = (not all(np.isfinite(leaf[slot]).all() for leaf in checkpoint) for checkpoint in checkpoints)
        steps += [step for step, bad in zip(kept, broken, strict=True) if bad][:1]
        found.append(min(steps, default=None))
    return found
