"""The world-model as a head: a Bayes net whose tables are learned through its own beliefs, by any objective.

No map from features is trained here: what the objective asks for, the net answers by message passing, and the gradient
goes through that answer into the tables (`learning.gradient`). So the world-model that a proxy grows can be taken out,
`trace.world_model(checkpoint, seed)`, and held against the world (theory, section 3).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from worldnets.distinct import distinct
from worldnets.errors import TrainingError, did_you_mean
from worldnets.heads.floor import floored
from worldnets.net import WorldNet
from worldnets.penalties import ParameterPenalty
from worldnets.roles import Task
from worldnets.twin import COPY, UNSEEN

if TYPE_CHECKING:
    from worldnets.inference.exact import Inference
    from worldnets.learning.descent import Moments
    from worldnets.learning.model_class import Logits, ModelClass
    from worldnets.learning.tables import Entries
    from worldnets.temporal import TwoSliceNet
    from worldnets.training_plan import Plan

STRUCTURES = ("true", "given", "marginals")
INITIALISATIONS = ("random", "true", "noisy")


class Loss(Protocol):
    """What a world-model pays, and how that changes with its tables."""

    def __call__(self, entries: Entries, clips: NDArray[np.int16]) -> tuple[float, Entries]:
        """Bits, and the gradient in nats in the logarithm of every entry of every table."""
        ...


@dataclass(frozen=True, eq=False)
class Setting:
    """What all seeds and checkpoints of a request have in common."""

    model_class: ModelClass
    kinds: tuple[str, ...]
    task: Task
    columns: Mapping[str, int]
    loss: Loss
    optimizer: str
    learning_rate: float
    penalties: tuple[ParameterPenalty, ...]


class WorldModel:
    """A Bayes net with tables softmax(logits), asked what the objective asks.

    The loss of a clip is −log2 W(asked | given), in bits, exact; its gradient is that of our own message passing. An
    objective that judges world-models otherwise, such as `scorer`, has a method `world_model_gradient(dataset, net)`,
    which gives the loss in bits and its gradient in nats in the log-tables; it is then asked in place of that.

    State: "logits/NODE", the logits of the table of that node, [*parent states, states]; a table shared by nodes of
    several frames is named after the first of them. "first_moment", "second_moment" [parameters] and "updates" are the
    optimizer's.

    Predictions are the exact posterior of each target given the task's evidence. Evidence that the world-model holds
    impossible tells it nothing: it answers as if it had seen none. Probabilities are floored at `heads.floor.FLOOR`.
    """

    pays: ClassVar[tuple[type, ...]] = (ParameterPenalty,)
    instead: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "rounds": 'exact beliefs take no rounds; train "message_passing", whose rounds can be paid for',
            "spectral_decoupling": 'a world-model puts out beliefs; keep its logits small by "weight_decay"',
        }
    )

    def __init__(self, setting: Setting, logits: Logits, moments: Moments) -> None:
        self._setting, self._logits, self._moments = setting, logits, moments

    @classmethod
    def build(
        cls,
        generator: np.random.Generator,
        plan: Plan,
        *,
        structure: str = "true",
        tied: bool | None = None,
        initialisation: str = "random",
        scale: float = 1.0,
        known: Sequence[str] = ("schedule",),
        latent_states: Mapping[str, int] | None = None,
    ) -> Self:
        """A world-model before training.

        Args:
            generator: source of the first logits.
            plan: the request.
            structure: "true", the world's own graph and states; "given", those of `train(inputs="beliefs",
                world_model=net)`, such as a net learned otherwise; "marginals", the world's nodes without any arrow.
            tied: whether the frames 2, 3, … share tables; the default is yes where the world is an unrolled two-slice
                net (and with structure "given" only if asked for).
            initialisation: "random", logits drawn from N(0, scale²); "true", the logarithms of the structure's own
                tables (probabilities below 1e-6 begin there); "noisy", those plus N(0, scale²).
            scale: standard deviation.
            known: roles, nodes, or variables of the template whose tables are the structure's and not learned. The
                default is the world's schedule, nodes without chance such as a camera's direction; worlds without one
                pass over it.
            latent_states: another number of states for nodes, or variables of the template, that are neither observed
                nor asked for.

        Raises:
            TrainingError: an option out of range; a net that lacks a node that the objective names, or has other states
                for it; an optimizer other than adam and sgd.
            LearningError: frames that cannot share tables, nothing left to learn.
        """
        from worldnets.learning.descent import OPTIMIZERS, Moments

        _check_choice("structure", structure, STRUCTURES)
        _check_choice("initialisation", initialisation, INITIALISATIONS)
        if tied is not None and not isinstance(tied, bool):
            raise _refused("tied is neither true, false nor left out", tied, "leave it out")
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 <= scale < math.inf:
            raise _refused("scale is no number ≥ 0", scale, "give scale=1.0")
        if plan.optimizer.name not in OPTIMIZERS:
            raise _refused("world-models descend by adam or sgd", plan.optimizer.name, 'give optimizer="adam"')
        if latent_states and initialisation != "random":
            mend = 'give initialisation="random"'
            raise _refused("tables over other states have no numbers to begin with", initialisation, mend)
        model_class, kinds = _model_class(plan, structure, tied, known, latent_states or {})
        first = np.zeros(len(model_class))
        if initialisation != "random":
            first += model_class.logits_of(model_class.net)
        if initialisation != "true":
            first += scale * generator.standard_normal(len(first))
        paid = tuple(penalty for penalty in plan.penalties if isinstance(penalty, ParameterPenalty))
        columns = MappingProxyType(dict(plan.dataset.net.index))
        loss = _loss(plan, model_class, columns)
        how = (plan.optimizer.name, plan.learning_rate, paid)
        setting = Setting(model_class, kinds, plan.task, columns, loss, *how)
        return cls(setting, first, Moments.none(len(first)))

    @functools.cached_property
    def net(self) -> WorldNet:
        """The world-model as it stands; nodes are the structure's."""
        model_class = self._setting.model_class
        return model_class.net_of(model_class.entries(model_class.probabilities(self._logits)))

    @property
    def model_class(self) -> ModelClass:
        """Its structure, and which tables are learned, shared or given."""
        return self._setting.model_class

    @property
    def template(self) -> TwoSliceNet | None:
        """The two-slice net it is the unrolling of, if its tables are tied."""
        from worldnets.learning.model_class import template_of

        kinds = self._setting.kinds
        return template_of(self.net, kinds) if kinds and len(self.net.variables) > len(kinds) else None

    def state(self) -> dict[str, NDArray[Any]]:
        """Logits by table, and the optimizer's moments."""
        tables = self._setting.model_class.by_table(self._logits.copy())
        return {
            **{f"logits/{v}": table for v, table in tables.items()},
            "first_moment": self._moments.first.copy(),
            "second_moment": self._moments.second.copy(),
            "updates": np.array(self._moments.updates),
        }

    def restored(self, state: Mapping[str, NDArray[Any]]) -> WorldModel:
        """The same head in that state."""
        from worldnets.learning.descent import Moments

        model_class = self._setting.model_class
        logits = model_class.flat({v: state[f"logits/{v}"] for v in model_class.free.variables})
        moments = Moments(state["first_moment"].copy(), state["second_moment"].copy(), int(state["updates"]))
        return WorldModel(self._setting, logits, moments)

    def step(self, clips: NDArray[np.int16]) -> float:
        """One update; the mean bits of the clips before it, not finite where the run has diverged."""
        from worldnets.learning.descent import descend

        setting, model_class = self._setting, self._setting.model_class
        if not np.isfinite(self._logits).all():
            return math.nan
        probabilities = model_class.probabilities(self._logits)
        bits, slopes = setting.loss(model_class.entries(probabilities), clips)
        gradient = model_class.gradient(probabilities, slopes)
        for penalty in setting.penalties:
            gradient += penalty.slope(self._logits)
        how = (setting.optimizer, setting.learning_rate)
        self._logits, self._moments = descend(*how, self._logits, gradient, self._moments)
        vars(self).pop("net", None)
        vars(self).pop("_engine", None)
        return bits

    def log_probabilities(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln q [rows, total outcomes]: the posterior of each target given the task's evidence."""
        task, net = self._setting.task, self.net
        shown, which = distinct(np.take(codes, [self._setting.columns[v] for v in task.evidence], axis=1))
        rows = np.full((len(shown), len(net.variables)), -1, dtype=np.int16)
        for column, state in self._certain.items():
            rows[:, column] = state
        rows[:, [net.index[v] for v in task.evidence]] = shown
        found = []
        for target in task.targets:
            q = self._engine.joint(rows, target.variables).reshape(len(rows), -1)
            lost = ~(q.sum(axis=1) > 0)
            if lost.any():
                q[lost] = self._engine.joint(np.full_like(rows[:1], -1), target.variables).reshape(1, -1)
            with np.errstate(divide="ignore"):
                found.append(floored(np.log(q)))
        return np.concatenate(found, axis=1)[which]

    @functools.cached_property
    def _engine(self) -> Inference:
        from worldnets.inference import Inference

        return Inference(self.net)

    @functools.cached_property
    def _certain(self) -> dict[int, int]:
        """Columns of nodes without chance, such as a camera's direction, and their states: observing them is free."""
        from worldnets.learning.model_class import certain_states

        asked = {v for target in self._setting.task.targets for v in target.variables}
        known = certain_states(self._setting.model_class.net)
        given = self._setting.model_class.known
        return {self.net.index[v]: s for v, s in known.items() if v not in asked and given >= self.net.ancestors([v])}

    def __repr__(self) -> str:
        return f"WorldModel({self._setting.model_class!r}, {self._moments.updates} updates)"


def _model_class(
    plan: Plan, structure: str, tied: bool | None, known: Sequence[str], latent_states: Mapping[str, int]
) -> tuple[ModelClass, tuple[str, ...]]:
    """The class asked for, and the variables of one frame if tables are tied."""
    from worldnets.learning.model_class import ModelClass, nodes_called, with_states, without_arrows

    dataset = plan.dataset
    own = plan.inputs.world_model
    if structure == "given":
        if own is None:
            mend = 'train(…, inputs="beliefs", world_model=net)'
            raise _refused("no world-model is given to take the structure from", f"inputs={plan.inputs.name!r}", mend)
        if not isinstance(own, WorldNet):
            raise _refused("a structure is one net", own, "give train(world_model=…) a WorldNet")
        net = own
    else:
        if own is not None:
            mend = 'train with inputs="evidence", or take that net: head_options={"structure": "given"}'
            raise _refused("a world-model is given evidence, not beliefs", f"inputs={plan.inputs.name!r}", mend)
        net = dataset.net if structure == "true" else without_arrows(dataset.net)
    template = dataset.world.template
    if tied and template is None:
        raise _refused("the world is no unrolled two-slice net", f"tied={tied}", "leave tied out")
    tie = dataset.template is not None and structure != "given" if tied is None else tied
    kinds = template.variables if template is not None and tie else ()
    names = template.variables if template is not None else ()
    if isinstance(known, str) or not all(isinstance(name, str) for name in known):
        raise _refused("known is no list of names", known, 'give known=["sensor"]')
    given = [v for name in known for v in _expanded(plan, net, name)]
    if latent_states:
        counts = {v: count for name, count in latent_states.items() for v in nodes_called(net, names, [name])}
        net = with_states(net, counts)
    _check_states(plan, net)
    return ModelClass.of(net, kinds, nodes_called(net, names, given)), kinds


def _expanded(plan: Plan, net: WorldNet, name: str) -> Sequence[str]:
    """The nodes of a role, or the name itself."""
    roles = plan.dataset.roles
    if name in roles or name == "schedule":
        named = set(roles.get(name, ()))
        return [v for v in net.variables if v.removesuffix(COPY).removesuffix(UNSEEN) in named]
    template = plan.dataset.world.template
    kinds = () if template is None else template.variables
    if name not in net.states and name not in kinds:
        mend = did_you_mean(name, [*roles, *kinds, *net.variables])
        raise TrainingError("nothing of this name is known", node="world_model", found=repr(name), mend=mend)
    return [name]


def _check_states(plan: Plan, net: WorldNet) -> None:
    """Whatever the task or the objective names must be there, with the dataset's states."""
    task, named = plan.task, dict.fromkeys(plan.task.evidence)
    named |= dict.fromkeys(v for target in task.targets for v in target.variables)
    if not hasattr(plan.objective, "world_model_gradient"):
        ask = plan.objective.ask(plan.dataset)
        named |= dict.fromkeys((*ask.given, *ask.asked))
    for v in named:
        if net.states.get(v) != plan.dataset.net.states[v]:
            mend = "what is observed or asked for must be in the world-model, with the dataset's states"
            found, expected = net.states.get(v, "no such node"), plan.dataset.net.states[v]
            raise TrainingError("a node of another kind", node=v, found=found, expected=expected, mend=mend)


def _loss(plan: Plan, model_class: ModelClass, columns: Mapping[str, int]) -> Loss:
    judge = getattr(plan.objective, "world_model_gradient", None)
    if judge is None:
        from worldnets.learning.gradient import ConditionalLoss

        ask = plan.objective.ask(plan.dataset)
        return ConditionalLoss(model_class, ask.given, ask.asked, columns, plan.batch).slopes

    def judged(entries: Entries, clips: NDArray[np.int16]) -> tuple[float, Entries]:
        bits, slopes = judge(plan.dataset, model_class.net_of(entries))
        return bits, model_class.every.entries(slopes)

    return judged


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise _refused(f"{name} is none of {', '.join(choices)}", value, did_you_mean(value, choices))


def _refused(what: str, found: Any, mend: str) -> TrainingError:
    shown = found if isinstance(found, str) else repr(found)
    return TrainingError(what, node="world_model", found=shown, mend=mend)
