"""What a head is, and how one is built from its name and options.

A head is one small class. Most are *differentiable*: an Equinox module that maps one feature vector [features] to its
outputs [outputs] (logits; `worldnets.objectives.base` says which), with a class method `build` that draws its first
parameters. Others are *stepping*: they make their own updates, batch by batch, and say what state that leaves. Training
and traces do the rest (seeds, batches, saving).
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from worldnets.errors import TrainingError, did_you_mean
from worldnets.registry import Registry

if TYPE_CHECKING:
    import jax

    from worldnets.heads.inputs import Inputs
    from worldnets.training_plan import Plan


class Head(Protocol):
    """A differentiable head: an Equinox module, callable on one feature vector.

    Its inexact array leaves are its parameters; everything else must be the same for every seed.
    """

    @classmethod
    def build(cls, generator: np.random.Generator, inputs: Inputs, outputs: int, **options: Any) -> Self:
        """A head with its first parameters drawn from `generator`, float32.

        NumPy draws them, not JAX: compiling the draws would take longer than most training runs here.
        A head made of Equinox layers takes its key as `jax.random.key(generator.integers(2**32))`.

        Args:
            generator: source of all randomness of the initialisation.
            inputs: what the head is given: `inputs.width` features; `inputs.steps` for heads that read frames.
            outputs: number of outputs.
            **options: keyword-only arguments, every one with a default; a wrong value raises `TrainingError`.
        """
        ...

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [features]."""
        ...


class SteppingHead(Protocol):
    """A head that makes its own updates: another library's classifier, or a world-model learned through its beliefs.

    Seeds are trained one after the other. What training changes is `state`, arrays whose names and shapes are fixed
    from the start: a trace keeps them like the parameters of any head. A class attribute `pays` names the kinds of
    penalty its updates take into account (`worldnets.penalties`); evidence dropout, which only hides, needs no mention.
    Another, `instead`, may say for penalties by name what to do in their place. `grows = True` says that its updates go
    by `plan.inputs.at(updates made)`, so that its inputs may grow while it is trained; others are refused a growth.
    """

    @classmethod
    def build(cls, generator: np.random.Generator, plan: Plan, **options: Any) -> Self:
        """A head before training; `plan` is the whole request, `options` as for `Head.build`."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that training changes; arrays of numbers."""
        ...

    def restored(self, state: Mapping[str, NDArray[Any]]) -> Self:
        """The same head in a state it once had; the same bits from there on."""
        ...

    def step(self, clips: NDArray[np.int16]) -> float:
        """One update on clips [batch, net variables], with labels in place and hidden evidence −1.

        Returns:
            The batch's mean loss in bits before the update; a number that is not finite says the run has diverged.
        """
        ...

    def log_probabilities(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
        """ln q of every outcome of every target, float64 [rows, total outcomes], normalised per target."""
        ...


REGISTRY: Registry[type[Head] | type[SteppingHead]] = Registry(
    "head",
    {
        "forecaster": "worldnets.heads.forecaster:Forecaster",
        "gru": "worldnets.heads.gru:GRU",
        "inference": "worldnets.heads.inference:InferenceHead",
        "linear": "worldnets.heads.linear:Linear",
        "message_passing": "worldnets.heads.message_passing:MessagePassing",
        "mlp": "worldnets.heads.mlp:MLP",
        "scikit_learn": "worldnets.heads.scikit_learn:ScikitLearn",
        "transformer": "worldnets.heads.transformer:Transformer",
        "world_model": "worldnets.heads.world_model:WorldModel",
    },
    group="worldnets.heads",
)


def head_options(name: str, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All options of a head, its defaults changed by the given ones; plain JSON, so that they can be a key.

    Raises:
        UnknownNameError: no such head.
        TrainingError: an option it does not have, or a value that is no JSON.
    """
    known = {
        key: parameter.default
        for key, parameter in inspect.signature(REGISTRY.get(name).build).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for key in options or {}:
        if key not in known:
            mend = did_you_mean(key, known) if known else "leave head_options out"
            raise TrainingError("the head has no such option", node=name, found=repr(key), mend=mend)
    complete = {**known, **(options or {})}
    try:
        return dict(json.loads(json.dumps(complete, allow_nan=False)))
    except (TypeError, ValueError) as error:
        mend = "options are numbers, texts, true/false and lists of these"
        raise TrainingError("a head option that is no JSON", node=name, found=str(error), mend=mend) from None


def is_stepping(kind: type[Head] | type[SteppingHead]) -> TypeGuard[type[SteppingHead]]:
    """Does this kind of head make its own updates?"""
    return hasattr(kind, "step")


def build_head(
    name: str,
    generator: np.random.Generator,
    inputs: Inputs,
    outputs: int,
    options: Mapping[str, Any] | None = None,
) -> Head:
    """A registered differentiable head with fresh parameters.

    Raises:
        UnknownNameError: no such head.
        TrainingError: an unknown option or a value out of range; a head that makes its own updates.
    """
    kind = REGISTRY.get(name)
    if is_stepping(kind):
        mend = f'build it with {kind.__name__}.build(generator, plan), or train it: wn.train(dataset, "{name}")'
        raise TrainingError("this head makes its own updates", node=name, mend=mend)
    return cast(type[Head], kind).build(generator, inputs, outputs, **head_options(name, options))


def checked_integer(name: str, value: Any, head: str, lowest: int = 1, highest: int = 65_536) -> int:
    """An option that must be a whole number within bounds.

    Raises:
        TrainingError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        expected = f"a whole number from {lowest} to {highest}"
        mend = f"give {name}={lowest} or more"
        raise TrainingError(f"{name} is out of range", node=head, found=repr(value), expected=expected, mend=mend)
    return value


def checked_choice(name: str, value: Any, known: Sequence[str], head: str) -> str:
    """An option that must be one of some names.

    Raises:
        TrainingError: it is not.
    """
    if not isinstance(value, str) or value not in known:
        raise TrainingError(f"unknown {name}", node=head, found=repr(value), mend=did_you_mean(value, known))
    return value


def checked_number(name: str, value: Any, head: str, lowest: float = 0.0, below: float = math.inf) -> float:
    """An option that must be a finite number, lowest ≤ value < below.

    Raises:
        TrainingError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value < below:
        expected = f"a number from {lowest:g}" + ("" if math.isinf(below) else f" to below {below:g}")
        mend = f"give {name}={lowest:g} or more"
        raise TrainingError(f"{name} is out of range", node=head, found=repr(value), expected=expected, mend=mend)
    return float(value)


def outputs_of(head: Head, features: jax.Array) -> jax.Array:
    """Outputs [rows, outputs] of a differentiable head for features [rows, features].

    A head may have a method `on_rows` for that, where it is faster than row by row; it must compute the same.
    """
    import jax

    together = getattr(head, "on_rows", None)
    return jax.vmap(head)(features) if together is None else together(features)


def is_parameter(leaf: object) -> bool:
    """Is this leaf of a head trained? Inexact arrays are."""
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype") and bool(np.issubdtype(leaf.dtype, np.inexact))
