"""Penalties: what training pays for besides its objective, and the book of their names.

A penalty has a `strength` and is one of three kinds. Parameter penalties add up a cost of every single parameter; they
are written once, for JAX and NumPy alike, because heads are trained with the one and world-models with the other.
Output penalties look at what a head puts out. Evidence dropout looks at neither: it hides evidence while training.

    loss = mean bits · ln 2 + Σ penalties, in nats
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.registry import Registry, normalised
from worldnets.uniform import uniform

if TYPE_CHECKING:
    import jax

    from worldnets.heads.base import Head
    from worldnets.roles import Task

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Penalty:
    """What all penalties share; frozen and hashable, because a compiled loop is kept per set of penalties."""

    strength: float

    #: As `train(penalties={…})` takes it.
    name: ClassVar[str] = "penalty"

    def __post_init__(self) -> None:
        number = self.strength
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float)
            or not (math.isfinite(number) and number >= 0)
        ):
            mend = "leave it out for no penalty"
            raise TrainingError("a strength is no number ≥ 0", node=self.name, found=repr(number), mend=mend)
        object.__setattr__(self, "strength", float(number))

    def settings(self) -> dict[str, Any]:
        """All of its options, plain."""
        return json.loads(json.dumps(dataclasses.asdict(self)))


@dataclass(frozen=True)
class ParameterPenalty(Penalty):
    """A cost of parameters, one by one."""

    def cost(self, parameter: Any, module: Any = np) -> Any:
        """Nats, summed over an array of parameters; `module` computes: NumPy or jax.numpy."""
        raise NotImplementedError

    def slope(self, parameter: Floats) -> Floats:
        """∂cost/∂parameter, of the parameter's shape."""
        raise NotImplementedError


@dataclass(frozen=True)
class WeightDecay(ParameterPenalty):
    """strength/2 · Σ θ²: under plain gradient descent, weights shrink by learning rate × strength at every step.

    Under Adam this is the L2 term inside the gradient, not the decoupled decay of AdamW (Loshchilov & Hutter 2019).
    """

    name: ClassVar[str] = "weight_decay"

    def cost(self, parameter: Any, module: Any = np) -> Any:
        """Nats."""
        return 0.5 * self.strength * (parameter**2).sum()

    def slope(self, parameter: Floats) -> Floats:
        """Nats per unit."""
        return self.strength * parameter


@dataclass(frozen=True)
class L1(ParameterPenalty):
    """strength · Σ |θ|: presses parameters that are hardly needed to zero.

    Under Adam this is the term inside the gradient; parameters come near zero without being exactly zero.

    Source: Tibshirani 1996, "Regression Shrinkage and Selection via the Lasso", equation 1.
    """

    name: ClassVar[str] = "l1"

    def cost(self, parameter: Any, module: Any = np) -> Any:
        """Nats."""
        return self.strength * abs(parameter).sum()

    def slope(self, parameter: Floats) -> Floats:
        """Nats per unit; 0 at 0."""
        return self.strength * np.sign(parameter)


@dataclass(frozen=True)
class DescriptionLength(ParameterPenalty):
    """strength · Σ 2·log2(1 + |θ|/step) bits: the length of θ on a grid, in a universal code.

    An integer n ≥ 1 takes 2⌊log2 n⌋ + 1 bits in Elias's γ code; with n = 1 + |θ|/step this is its smooth form without
    the constant. Lengths count against the loss of one clip: strength 1/N is the two-part code for N clips.

    `free` names parameters of the head, by attribute, that nothing is paid for: `["halting"]` prices the tables of
    `message_passing` and leaves the distribution over its rounds alone, whose shortest description is the uniform one.

    Source: Elias 1975, "Universal codeword sets and representations of the integers"; Rissanen 1983 for the idea.
    """

    name: ClassVar[str] = "description_length"
    step: float = 0.05
    free: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.step, int | float) and math.isfinite(self.step) and self.step > 0):
            raise TrainingError("the grid's step is no number > 0", node=self.name, found=repr(self.step), mend="0.05")
        if isinstance(self.free, str):
            raise TrainingError("free is a text", node=self.name, found=self.free, mend="give a list")
        object.__setattr__(self, "free", tuple(self.free))

    def settings(self) -> dict[str, Any]:
        """As of any penalty; `free` only where something is: a request without it stays the request it was."""
        found = super().settings()
        if not self.free:
            del found["free"]
        return found

    def cost(self, parameter: Any, module: Any = np) -> Any:
        """Nats: bits · ln 2."""
        return 2 * self.strength * module.log1p(abs(parameter) / self.step).sum()

    def slope(self, parameter: Floats) -> Floats:
        """Nats per unit; 0 at 0."""
        return 2 * self.strength * np.sign(parameter) / (self.step + np.abs(parameter))


@dataclass(frozen=True)
class SpectralDecoupling(Penalty):
    """strength/2 · mean over rows of Σ outputs²: keeps logits small, so that no feature starves the others.

    Source: Pezeshki et al. 2021, "Gradient Starvation", equation 18.
    """

    name: ClassVar[str] = "spectral_decoupling"

    def of_outputs(self, outputs: jax.Array) -> jax.Array:
        """Nats, for outputs [rows, outputs]."""
        return 0.5 * self.strength * (outputs**2).sum(axis=-1).mean()


@dataclass(frozen=True)
class Rounds(Penalty):
    """strength · rounds of message passing the head takes, in nats per round: a speed prior.

    For heads that decide how many they take: those with a method `rounds`, such as `message_passing` with halting.
    """

    name: ClassVar[str] = "rounds"

    def of_head(self, head: Head) -> jax.Array:
        """Nats."""
        return self.strength * head.rounds()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class EvidenceDropout(Penalty):
    """While training, hide each variable of the evidence with probability `strength`, clip by clip.

    To raw evidence a hidden variable is 0 (its midpoint), to beliefs it is unobserved. `variables` limits it, for
    instance to the shallow rung. Not a cost: nothing is added to the loss.

    Source: Srivastava et al. 2014, "Dropout", on inputs; without rescaling, for hidden is a state of its own here.
    """

    name: ClassVar[str] = "evidence_dropout"
    variables: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength >= 1:
            mend = "give a probability below 1"
            raise TrainingError("evidence that is always hidden", node=self.name, found=self.strength, mend=mend)
        if self.variables is not None:
            if isinstance(self.variables, str):
                raise TrainingError("variables is a text", node=self.name, found=self.variables, mend="give a list")
            object.__setattr__(self, "variables", tuple(self.variables))

    def hidden(self, task: Task, seed: int, first: int, rows: int) -> NDArray[np.bool_]:
        """Which of the task's evidence is hidden, [rows, evidence]; row i depends on (seed, first + i) alone."""
        chance = uniform(seed, first, rows, len(task.evidence)) < self.strength
        if self.variables is not None:
            chance &= np.isin(task.evidence, self.variables)
        return chance


REGISTRY: Registry[type[Penalty]] = Registry(
    "penalty",
    {
        "description_length": DescriptionLength,
        "evidence_dropout": EvidenceDropout,
        "l1": L1,
        "rounds": Rounds,
        "spectral_decoupling": SpectralDecoupling,
        "weight_decay": WeightDecay,
    },
    group="worldnets.penalties",
)


def penalties_of(given: Mapping[str, Any] | None) -> tuple[Penalty, ...]:
    """Penalties by name, each a strength or a table of options; sorted by name, those of strength 0 left out.

    Raises:
        UnknownNameError: no such penalty.
        TrainingError: an unknown option, a strength that is no number ≥ 0.
    """
    if given is not None and not isinstance(given, Mapping):
        mend = 'write penalties={"weight_decay": 1e-3}'
        raise TrainingError("penalties are no table of names and strengths", found=repr(given), mend=mend)
    made: dict[str, Penalty] = {}
    for name, options in (given or {}).items():
        kind = REGISTRY.get(name)
        table = dict(options) if isinstance(options, Mapping) else {"strength": options}
        known = [field.name for field in dataclasses.fields(kind)]
        for key in table:
            if key not in known:
                mend = did_you_mean(key, known)
                raise TrainingError("the penalty has no such option", node=name, found=repr(key), mend=mend)
        if "strength" not in table:
            raise TrainingError("the penalty has no strength", node=name, mend="give strength=…")
        made[normalised(name)] = kind(**table)
    return tuple(made[name] for name in sorted(made) if made[name].strength > 0)


def penalty_settings(penalties: tuple[Penalty, ...]) -> dict[str, Any]:
    """Penalties as plain JSON, `penalties_of` of which is these again: `{}` where there are none."""
    return {penalty.name: penalty.settings() for penalty in penalties}
