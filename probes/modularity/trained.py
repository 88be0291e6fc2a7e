"""World-model, critics and actors trained on the same clips, apart or end to end.

With v_k what actor k wants, c_k what its critic says, π_k its choice and W the world-model they share, a clip (x, a, y)
costs, in nats and in units of what the best outcome is worth,

    prediction   −ln W(y | x, a)                           all updates of W where modules are trained apart
    valuation    Σ_k (c_k(y) − v_k(y))²                    all updates of c_k there
    return       −pressure · Σ_k (what π_k brings)         of each actor that is trained

and one optimizer descends their sum. What an act brings is either *real*, π_k(a | x)/m(a) · v_k(y) (clips show acts
drawn by m whatever the situation, so that this is unbiased for E[v_k | π_k]), or *imagined*,
Σ_a π_k(a | x) Σ_y W(y | x, a) c_k(y).
*Apart*: no gradient of the return reaches W or c. *End to end*: all of it does. Who is supplied with a planner has no
actor to be trained: end to end the return goes through the plan into W and c, apart it goes nowhere.

Source: real returns are off-policy policy gradients (Precup, Sutton & Singh 2000); returns imagined with gradients
through the model are those of Hafner et al. 2020 (arXiv 1912.01603); gradients through a planner into its model, Tamar
et al. 2016 (arXiv 1602.02867).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.modularity.decision import Decision, one_target
from probes.modularity.rows import exchanges
from worldnets.errors import ProbeError, did_you_mean
from worldnets.roles import outcome_index
from worldnets.training_plan import GROUP

if TYPE_CHECKING:
    from probes.modularity.modules import Modules
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
BLOCK = 512  # updates whose clips are made at a time


@dataclass(frozen=True)
class Regime:
    """How modules are trained.

    Attributes:
        name: of the condition.
        together: whether the return's gradient goes through critic and world-model.
        imagined: whether the return is what world-model and critic say, and not what came.
        predicts: whether prediction and valuation are paid for at all.
    """

    name: str
    together: bool
    imagined: bool = False
    predicts: bool = True


REGIMES = {
    one.name: one
    for one in (
        Regime("apart", False),
        Regime("end-to-end", True),
        Regime("imagined", True, imagined=True),
        Regime("return-alone", True, predicts=False),
    )
}


@dataclass(frozen=True)
class Condition:
    """One way to be trained.

    Attributes:
        regime: apart, end to end, …
        planner: whether one is supplied.
    """

    regime: Regime
    planner: bool

    @property
    def name(self) -> str:
        """Such as "end-to-end, planner"."""
        return f"{self.regime.name}, {'planner' if self.planner else 'no planner'}"


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of it. T checkpoints, N runs that differ in which actors are trained, S seeds.

    Attributes:
        trained: of each run which actors are, [N, K].
        log_model: ln W(y | x, a), [T, N, S, X, A, Y].
        critics: c_k(y), [T, N, S, K, Y].
        policies: π_k(a | x), [T, N, S, K, X, A].
        followed: the same at the end where acts have other acts' effects and the world-model says so, by the
            interventions of `rows.exchanges`, [D, N, S, K, X, A].
        models: parameters of the world-models at the end, [N][S].
    """

    trained: NDArray[np.bool_]
    log_model: Floats
    critics: Floats
    policies: Floats
    followed: Floats
    models: tuple[tuple[Any, ...], ...] = ()


def conditions_of(regimes: Sequence[str], planners: Sequence[str]) -> tuple[Condition, ...]:
    """Every regime with and without a planner, as asked.

    Raises:
        ProbeError: an unknown regime, something else than "planner" and "no planner", or none of either.
    """
    known = {"planner": True, "no planner": False}
    for what, given, names in (("regime", regimes, REGIMES), ("planner", planners, known)):
        for name in given:
            if name not in names:
                raise ProbeError(f"unknown {what}", found=repr(name), mend=did_you_mean(name, list(names)))
        if not given:
            raise ProbeError(f"no {what} to train under", mend=f"name some of {list(names)}")
    return tuple(
        Condition(REGIMES[regime], known[planner])
        for planner in dict.fromkeys(planners)
        for regime in dict.fromkeys(regimes)
    )


def runs_of(actors: int) -> NDArray[np.bool_]:
    """Which actors are trained in each run, [N, K]: none; each alone; all but each; all. None of them twice."""
    alone = np.eye(actors, dtype=bool)
    every = [np.zeros(actors, dtype=bool), *alone, *~alone, np.ones(actors, dtype=bool)]
    kept = dict.fromkeys(tuple(run.tolist()) for run in every)
    return np.array(list(kept))


def trained(
    plan: Plan,
    decision: Decision,
    modules: Modules,
    conditions: Sequence[Condition],
    seeds: Sequence[int],
    steps: Sequence[int],
    pressure: float,
) -> dict[str, Trained]:
    """Train every run of every condition on the trace's own clips, first parameters, optimizer and budget.

    Seeds are trained in whole groups, as `worldnets.train` does: a seed's bits do not depend on which others are asked.

    Args:
        plan: of the trace.
        decision, modules: what there is to decide, and by what.
        conditions: how; all of them side by side in one program.
        seeds: asked for.
        steps: of the checkpoints, rising.
        pressure: nats that a return from nothing to the best is worth.

    Returns:
        By the conditions' names.

    Raises:
        ProbeError: a budget of no updates, a pressure that is no number > 0.
    """
    if not len(steps) or steps[-1] < 1:
        mend = "train with steps ≥ 1, and keep a checkpoint there"
        raise ProbeError("a budget of no updates", found=[int(t) for t in steps], mend=mend)
    if not (math.isfinite(pressure) and pressure > 0):
        raise ProbeError("no pressure", found=pressure, expected="a number > 0", mend="leave it out")
    runs = runs_of(len(decision.actors))
    # Apart, what one actor learns changes nothing for the others: all of them and none of them say everything.
    made = {True: runs, False: runs[[0, -1]]}
    lanes = [(one, run) for one in conditions for run in made[one.regime.together]]
    groups = sorted({seed // GROUP for seed in seeds})
    kept = tuple(int(t) for t in steps)
    parts = {group: _group(plan, decision, modules, lanes, group, kept, pressure) for group in groups}
    where = [(parts[seed // GROUP], seed % GROUP) for seed in seeds]
    found, begin = {}, 0
    for one in conditions:
        end = begin + len(made[one.regime.together])
        log_model, critics, policies, followed = (
            np.stack([part[name][:, begin:end, slot] for part, slot in where], axis=2) for name in (*SHOWN, "followed")
        )
        models = tuple(
            tuple([leaf[n, slot] for leaf in part["models"]] for part, slot in where) for n in range(begin, end)
        )
        if not one.regime.together:
            log_model, critics = (np.repeat(array[:, -1:], len(runs), axis=1) for array in (log_model, critics))
            chosen = runs[None, :, None, :, None, None]
            policies, followed = (np.where(chosen, array[:, -1:], array[:, :1]) for array in (policies, followed))
            models = models[-1:] * len(runs)
        found[one.name] = Trained(runs, log_model, critics, policies, followed, models)
        begin = end
    return found


SHOWN = ("log_model", "critics", "policies")


def _group(
    plan: Plan,
    decision: Decision,
    modules: Modules,
    lanes: Sequence[tuple[Condition, NDArray[np.bool_]]],
    group: int,
    kept: tuple[int, ...],
    pressure: float,
) -> dict[str, Any]:
    """What the seeds of a group show at every checkpoint, [T, lanes, GROUP, …], and their last world-models."""
    import jax
    from jax import numpy as jnp

    seeds = [group * GROUP + slot for slot in range(GROUP)]
    beginnings = [modules.first(seed) for seed in seeds]
    by_seed = jax.tree.map(lambda *leaves: np.stack(leaves), *beginnings)
    parameters = jax.tree.map(lambda leaf: jnp.asarray(np.repeat(leaf[None], len(lanes), axis=0)), by_seed)
    number = lambda values: jnp.asarray(np.array(values, dtype=np.float32))
    lane = {
        "together": number([one.regime.together for one, _ in lanes]),
        "imagined": number([one.regime.imagined for one, _ in lanes]),
        "predicts": number([one.regime.predicts for one, _ in lanes]),
        "planner": number([one.planner for one, _ in lanes]),
        "pressure": number([run * pressure for _, run in lanes]),
    }
    start, advance, shown, follow = _compiled(plan, decision, modules)
    state = start(parameters)
    saved: dict[int, Any] = {0: shown(parameters, lane)}
    last = kept[-1]
    for first, situations, outcomes in _blocks(plan, decision, seeds, last):
        end = min(first + BLOCK, last)
        step = first
        for stop in [*(t for t in kept if first < t < end), end]:
            bounds = np.int32(step - first), np.int32(stop - first)
            parameters, state = advance(parameters, state, lane, situations, outcomes, *bounds)
            if stop in kept:
                saved[stop] = shown(parameters, lane)
            step = stop
    told = {name: np.stack([np.asarray(saved[t][i], dtype=np.float64) for t in kept]) for i, name in enumerate(SHOWN)}
    orders = [np.asarray(order) for order in exchanges(decision.acts).values()]
    told["followed"] = np.stack([np.asarray(follow(parameters, lane, order), dtype=np.float64) for order in orders])
    return {**told, "models": [np.asarray(leaf) for leaf in jax.tree.leaves(parameters["model"])]}


def _blocks(
    plan: Plan, decision: Decision, seeds: Sequence[int], last: int
) -> Iterator[tuple[int, NDArray[np.int32], NDArray[np.int32]]]:
    """First update, rows of `decision.codes` and outcomes of each block, [BLOCK, seeds, batch]."""
    net, target = plan.dataset.net, one_target(plan.task)
    columns = np.flatnonzero((decision.codes >= 0).all(0))
    strides = _strides(decision.codes[:, columns])
    for first in range(0, last, BLOCK):
        count = min(BLOCK, last - first)
        shape = (BLOCK, len(seeds), plan.batch)
        situations, outcomes = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
        for s, seed in enumerate(seeds):
            clips = plan.clips(seed, count * plan.batch, first * plan.batch)
            place = clips[:, columns].astype(np.int64) @ strides
            situations[:count, s] = place.reshape(count, -1)
            outcomes[:count, s] = outcome_index(clips, net, target).reshape(count, -1)
        yield first, situations, outcomes


def _strides(codes: NDArray[np.int16]) -> NDArray[np.int64]:
    """By which a row's place among all joint states follows from its codes, whatever the order of the columns."""
    sizes = codes.max(0).astype(np.int64) + 1
    strides = np.empty(len(sizes), dtype=np.int64)
    for column in range(len(sizes)):
        alone = (codes[:, np.arange(len(sizes)) != column] == 0).all(1) & (
            codes[:, column] == min(1, sizes[column] - 1)
        )
        strides[column] = np.flatnonzero(alone)[0]
    return strides


def _compiled(plan: Plan, decision: Decision, modules: Modules) -> tuple[Callable[..., Any], ...]:
    """First optimizer state; some updates of a block; what parameters show; policies where acts have others' effects.

    What tells conditions apart are numbers and no constants of the program, so that all are compiled, and run, at once.
    """
    import jax
    import optax
    from jax import numpy as jnp

    values = jnp.asarray(decision.values, dtype=jnp.float32)
    likely = jnp.asarray(np.log(decision.tried), dtype=jnp.float32)
    acts = len(decision.acts)
    transformation = plan.optimizer.transformation(plan.learning_rate)

    def policies(parameters: Any, log_w: Any, worth: Any, lane: Any) -> Any:
        planned, chosen = modules.planner(log_w, worth), modules.actor(parameters["actors"], log_w)
        return jax.nn.log_softmax(jnp.where(lane["planner"] > 0, planned, chosen), axis=-1)  # [K, X, A]

    def loss(parameters: Any, lane: Any, rows: Any, outcomes: Any) -> Any:
        log_w, worth = modules.model(parameters["model"]), modules.critic(parameters["critics"])
        x, a = rows // acts, rows % acts
        surprise = -log_w[x, a, outcomes].mean()
        misjudged = ((worth[:, outcomes] - values[:, outcomes]) ** 2).sum(0).mean()
        log_w, worth = (_let_through(lane["together"], part) for part in (log_w, worth))
        log_policy = policies(parameters, log_w, worth, lane)
        expected = jnp.einsum("xay,ky->kxa", jnp.exp(log_w), worth)
        imagined = (jnp.exp(log_policy) * expected).sum(-1)[:, x].mean(-1)
        real = (jnp.exp(log_policy[:, x, a] - likely[a]) * values[:, outcomes]).mean(-1)
        brings = jnp.where(lane["imagined"] > 0, imagined, real)
        return lane["predicts"] * (surprise + misjudged) - (lane["pressure"] * brings).sum()

    def step(parameters: Any, state: Any, lane: Any, rows: Any, outcomes: Any) -> Any:
        gradient = jax.grad(loss)(parameters, lane, rows, outcomes)
        updates, state = transformation.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state

    over_seeds = jax.vmap(step, in_axes=(0, 0, None, 0, 0))
    over_lanes = jax.vmap(over_seeds, in_axes=(0, 0, 0, None, None))

    def advance(parameters: Any, state: Any, lane: Any, rows: Any, outcomes: Any, first: Any, stop: Any) -> Any:
        def body(i: Any, carry: Any) -> Any:
            before, remembered = carry
            return over_lanes(before, remembered, lane, rows[i], outcomes[i])

        return jax.lax.fori_loop(first, stop, body, (parameters, state))

    def shown(parameters: Any, lane: Any) -> Any:
        log_w, worth = modules.model(parameters["model"]), modules.critic(parameters["critics"])
        return log_w, worth, jnp.exp(policies(parameters, log_w, worth, lane))

    def follow(parameters: Any, lane: Any, order: Any) -> Any:
        log_w, worth = modules.model(parameters["model"]), modules.critic(parameters["critics"])
        return jnp.exp(policies(parameters, log_w[:, order], worth, lane))

    start = jax.jit(jax.vmap(jax.vmap(transformation.init)))
    looked = jax.jit(jax.vmap(jax.vmap(shown, in_axes=(0, None))))
    return (
        start,
        jax.jit(advance),
        looked,
        jax.jit(jax.vmap(jax.vmap(follow, in_axes=(0, None, None)), in_axes=(0, 0, None))),
    )


def _let_through(share: Any, value: Any) -> Any:
    """The same value, with that share of its gradient."""
    import jax

    return jax.lax.stop_gradient(value) + share * (value - jax.lax.stop_gradient(value))
