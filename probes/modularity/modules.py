"""The modules of an agent in JAX: world-model, critic, and actor or planner, each a function of its own parameters.

Every module is either narrowly tailored to its job or generic:

    module       tailored                                      generic
    world-model  the head `world_model`: a net's tables        any other head
    critic       one number for every outcome                  `mlp` on the states of the outcome
    actor        `linear` on what the world-model predicts     `mlp` on that and on what is seen

A *planner*, where one is supplied, takes the actor's place: π(a | x) ∝ exp(E_W[c | x, a] / temperature), the best
act by the world-model and the critic it is given, blurred. It has no parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.modularity.decision import Decision, acts_of, one_target
from worldnets.errors import ProbeError
from worldnets.heads.base import build_head, is_parameter, outputs_of
from worldnets.heads.staged import Staged
from worldnets.training_plan import stream

if TYPE_CHECKING:
    from worldnets.roles import Task
    from worldnets.training_plan import Plan

Floats = NDArray[np.float64]
TAILORED, GENERIC = "tailored", "generic"
AXES = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"  # einsum knows no more


@dataclass(frozen=True, eq=False)
class Modules:
    """Modules without their parameters.

    Attributes:
        kind: `TAILORED` or `GENERIC`.
        first: seed → parameters before training: {"model": …, "critics": [K, …], "actors": [K, …]}.
        model: parameters → ln W [X, A, Y].
        critic: parameters of all critics → values [K, Y].
        actor: (parameters of all actors, ln W) → logits of acts [K, X, A].
        planner: (ln W, values) → logits of acts [K, X, A].
    """

    kind: str
    first: Callable[[int], Any]
    model: Callable[[Any], Any]
    critic: Callable[[Any], Any]
    actor: Callable[[Any, Any], Any]
    planner: Callable[[Any, Any], Any]


def check_plan(plan: Plan) -> None:
    """Refuse heads that are no world-model whose training could be gone through again here.

    Raises:
        ProbeError: a head that makes its own updates and is not `world_model`, inputs that grow, several frames.
    """
    if plan.stepping and plan.head_name != "world_model":
        mend = 'train "world_model", or a differentiable head such as "mlp"'
        raise ProbeError("no gradient reaches this head's parameters", node=plan.head_name, mend=mend)
    if isinstance(plan.inputs, Staged):
        raise ProbeError("the world-model grows", node=plan.dataset.name, mend="train without a growth")
    if plan.penalties:
        found = [penalty.name for penalty in plan.penalties]
        mend = "leave them out: the modules are trained for their losses alone"
        raise ProbeError("the head pays for something besides", node=plan.head_name, found=found, mend=mend)


def modules_of(plan: Plan, decision: Decision, temperature: float, width: int) -> Modules:
    """The modules around a trace's head, which is the world-model.

    Args:
        plan: of the trace.
        decision: what there is to decide.
        temperature: of the planner, in units of what the best outcome is worth.
        width: hidden units of generic critics and actors.

    Raises:
        ProbeError: as `check_plan`.
    """
    import jax
    from jax import numpy as jnp

    check_plan(plan)
    kind = TAILORED if plan.head_name == "world_model" else GENERIC
    first_model, model = (_tables if kind == TAILORED else _head)(plan, decision)
    count, acts, outcomes = len(decision.shares), len(decision.acts), len(decision.outcomes)
    actors = len(decision.actors)
    seen = np.eye(count, dtype=np.float32)
    shown = np.eye(outcomes, dtype=np.float32) if kind == TAILORED else _one_hot(plan, plan.task)
    given = acts * outcomes + (0 if kind == TAILORED else count)
    head, options = ("linear", {}) if kind == TAILORED else ("mlp", {"width": width, "depth": 1})
    build = lambda random, size, outputs: build_head(head, random, SimpleNamespace(width=size), outputs, options)
    critic, actor = (build(np.random.default_rng(0), *sizes) for sizes in ((shown.shape[1], 1), (given, acts)))

    def first(seed: int) -> Any:
        random = np.random.default_rng(stream(seed, "critics and actors"))
        critics = [_leaves(build(random, shown.shape[1], 1)) for _ in range(actors)]
        players = [_leaves(build(random, given, acts)) for _ in range(actors)]
        stacked = lambda each: [np.stack(column) for column in zip(*each, strict=True)]
        return {"model": first_model(seed), "critics": stacked(critics), "actors": stacked(players)}

    def judged(parameters: Any) -> Any:
        one = lambda leaves: outputs_of(_filled(critic, leaves), jnp.asarray(shown))[:, 0]
        return jax.vmap(one)(parameters)

    def chosen(parameters: Any, log_w: Any) -> Any:
        told = jnp.exp(log_w).reshape(count, -1)
        told = told if kind == TAILORED else jnp.concatenate([told, jnp.asarray(seen)], axis=-1)
        return jax.vmap(lambda leaves: outputs_of(_filled(actor, leaves), told))(parameters)

    def planned(log_w: Any, values: Any) -> Any:
        return jnp.einsum("xay,ky->kxa", jnp.exp(log_w), values) / temperature

    return Modules(kind, first, model, judged, chosen, planned)


def _head(plan: Plan, decision: Decision) -> tuple[Callable[[int], Any], Callable[[Any], Any]]:
    """A differentiable head as a world-model: its answers on every situation and act."""
    import jax
    from jax import numpy as jnp

    skeleton = plan.build(0)
    features = np.asarray(plan.inputs.at(0).features(decision.codes), dtype=np.float32)
    shape = (len(decision.shares), len(decision.acts), -1)

    def model(leaves: Any) -> Any:
        outputs = plan.objective.outputs(_filled(skeleton, leaves), jnp.asarray(features))
        if len(decision.outcomes) == 2:  # one output for two outcomes: the log odds of the second
            outputs = jnp.concatenate([jnp.zeros_like(outputs), outputs], axis=-1)
        return jax.nn.log_softmax(outputs, axis=-1).reshape(shape)

    return lambda seed: _leaves(plan.build(seed)), model


def _tables(plan: Plan, decision: Decision) -> tuple[Callable[[int], Any], Callable[[Any], Any]]:
    """The head `world_model` as a function of its logits: W(y | x, a) summed out over everything upstream."""
    import jax
    from jax import numpy as jnp

    def class_of(seed: int) -> Any:
        return plan.build_stepping(seed)

    model_class = class_of(0).model_class
    net, task = model_class.net, plan.task
    target = one_target(task)
    acts = acts_of(plan.dataset, task)
    cues = tuple(v for v in task.evidence if v not in acts)
    asked = (*cues, *acts, *target.variables)
    inside = [v for v in net.variables if v in net.ancestors(asked)]
    if len(inside) > len(AXES):
        raise ProbeError("a world-model of too many nodes", found=len(inside), expected=f"≤ {len(AXES)}",
                         mend="take a smaller world")  # fmt: skip
    letter = {v: AXES[i] for i, v in enumerate(inside)}
    scopes = ["".join(letter[u] for u in (*net.parent_sets[v], v)) for v in inside]
    formula = f"{','.join(scopes)}->{''.join(letter[v] for v in asked)}"
    free = list(model_class.free.variables)
    shape = (len(decision.shares), len(decision.acts), -1)

    def table(v: str, logits: list[Any]) -> Any:
        if v in model_class.known:
            return jnp.asarray(net.cpt(v), dtype=jnp.float32)
        return jax.nn.softmax(logits[free.index(model_class.owners[v])], axis=-1)

    def model(logits: Any) -> Any:
        joint = jnp.einsum(formula, *(table(v, logits) for v in inside), optimize="auto").reshape(shape)
        return jnp.log(jnp.maximum(joint, 1e-30)) - jnp.log(jnp.maximum(joint.sum(-1, keepdims=True), 1e-30))

    def first(seed: int) -> Any:
        state = class_of(seed).state()
        return [np.asarray(state[f"logits/{v}"], dtype=np.float32) for v in free]

    return first, model


def nets_of(plan: Plan, logits: list[NDArray[np.float32]]) -> Any:
    """The net with these logits, of a tailored world-model."""
    model_class = plan.build_stepping(0).model_class  # type: ignore[attr-defined]
    tables = dict(zip(model_class.free.variables, logits, strict=True))
    flat = model_class.flat({v: np.asarray(table, dtype=np.float64) for v, table in tables.items()})
    return model_class.net_of(model_class.entries(model_class.probabilities(flat)))


def _one_hot(plan: Plan, task: Task) -> NDArray[np.float32]:
    """States of an outcome's variables side by side, [Y, Σ states]."""
    sizes = [len(plan.dataset.net.states[v]) for v in one_target(task).variables]
    states = np.unravel_index(np.arange(int(np.prod(sizes))), sizes)
    return np.concatenate(
        [np.eye(size, dtype=np.float32)[own] for size, own in zip(sizes, states, strict=True)], axis=1
    )


def _leaves(head: Any) -> list[NDArray[np.float32]]:
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(head) if is_parameter(leaf)]


def _filled(head: Any, leaves: list[Any]) -> Any:
    import jax

    own = iter(leaves)
    return jax.tree.map(lambda leaf: next(own) if is_parameter(leaf) else leaf, head)
