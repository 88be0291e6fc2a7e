"""Matching hidden units: of two heads of one kind, the second with its units in the order of the first's.

A hidden layer computes the same in any order of its units, so two heads that learned the same may lie far apart in
parameters. Units are matched layer by layer on what they do: the order (and, where the layer's activation is odd, the
signs) that maximises Σ_u |correlation| between the first head's unit u and the unit put in its place, over clips x ~ W*
and frames, is the solution of a linear assignment problem. What a head computes is not changed.

Sources: Li, Yosinski, Clune, Lipson & Hopcroft 2015, "Convergent Learning"; Ainsworth, Hayase & Srinivasa 2023, "Git
Re-Basin", section 3.1 (matching activations); Entezari, Sedghi, Saukh & Neyshabur 2022, "The Role of Permutation
Invariance in Linear Mode Connectivity".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldnets.trace import Trace

Floats = NDArray[np.float64]
ODD = ("tanh", "identity")  # activations f(−a) = −f(a): units may also change their sign


def matchable(trace: Trace) -> bool:
    """Whether it is known which units of the head may change places: linear heads, perceptrons and gated networks."""
    return trace.head in MATCHING


def units_named(trace: Trace) -> str:
    """What was matched, for notes."""
    return MATCHING[trace.head][0]


def matched(first: Any, second: Any, kind: str, features: NDArray[np.float32], weight: Floats) -> Any:
    """The second head with its hidden units in the order of the first's.

    Args:
        first, second: heads of one kind and of the same shapes, parameters as NumPy arrays.
        kind: name of the head.
        features: of the clips, [N, features].
        weight: of the clips, [N].
    """
    return MATCHING[kind][1](first, second, features, weight)


def assignment(one: Floats, other: Floats, weight: Floats, signs: bool) -> tuple[NDArray[np.intp], Floats]:
    """Which unit of the other layer goes where, and with which sign.

    Args:
        one, other: activations, [N, units].
        weight: of the rows, [N].
        signs: whether a unit may also be turned round.

    Returns:
        order [units]: unit order[u] of the other layer is put at place u; sign [units] of that unit.
    """
    from scipy.optimize import linear_sum_assignment

    def standardised(values: Floats) -> Floats:
        centred = values - weight @ values
        spread = np.sqrt(weight @ centred**2)
        return np.asarray(centred / np.where(spread > 0, spread, np.inf))

    correlation = standardised(one).T @ (weight[:, None] * standardised(other))
    _, order = linear_sum_assignment(np.abs(correlation) if signs else correlation, maximize=True)
    sign = np.where(correlation[np.arange(len(order)), order] < 0, -1.0, 1.0) if signs else np.ones(len(order))
    return np.asarray(order, dtype=np.intp), sign


def _linear(first: Any, second: Any, features: NDArray[np.float32], weight: Floats) -> Any:
    return second


def _perceptron(first: Any, second: Any, features: NDArray[np.float32], weight: Floats) -> Any:
    import equinox as eqx

    one, other = _perceptron_units(first, features), _perceptron_units(second, features)
    layers = list(second.layers)
    for place, (own, units) in enumerate(zip(one, other, strict=True)):
        order, sign = assignment(own, units, weight, first.activation in ODD)
        here, after = layers[place], layers[place + 1]
        layers[place] = _with(here, weight=here.weight[order] * sign[:, None], bias=here.bias[order] * sign)
        layers[place + 1] = _with(after, weight=after.weight[:, order] * sign)
    return eqx.tree_at(lambda head: head.layers, second, tuple(layers))


def _perceptron_units(head: Any, features: NDArray[np.float32]) -> list[Floats]:
    from worldnets.heads.mlp import ACTIVATIONS

    hidden: Any = features
    found = []
    for layer in head.layers[:-1]:
        hidden = np.asarray(ACTIVATIONS[head.activation](hidden @ layer.weight.T + layer.bias))
        found.append(hidden.astype(np.float64))
    return found


def _gated(first: Any, second: Any, features: NDArray[np.float32], weight: Floats) -> Any:
    # The candidate's tanh and the gates' mean make −h as good as h, gates reading it with the other sign.
    import equinox as eqx

    one, other = _gated_units(first, features), _gated_units(second, features)
    layers, readout = list(second.layers), second.readout
    for place, (own, units) in enumerate(zip(one, other, strict=True)):
        frames = own.shape[0]
        every = np.tile(weight, frames) / frames
        order, sign = assignment(own.reshape(-1, own.shape[-1]), units.reshape(-1, units.shape[-1]), every, signs=True)
        width = len(order)
        rows = np.concatenate([order, width + order, 2 * width + order])
        turn = np.concatenate([np.ones(2 * width), sign])  # gates keep their sign, candidates take their unit's
        here = layers[place]
        into = _with(here.into, weight=here.into.weight[rows] * turn[:, None], bias=here.into.bias[rows] * turn)
        recurrent = here.recurrent[rows][:, order] * turn[:, None] * sign
        layers[place] = _with(here, into=into, recurrent=recurrent, candidate_bias=here.candidate_bias[order] * sign)
        if place + 1 < len(layers):
            after = layers[place + 1]
            layers[place + 1] = _with(after, into=_with(after.into, weight=after.into.weight[:, order] * sign))
        else:
            readout = _with(readout, weight=readout.weight[:, order] * sign)
    return eqx.tree_at(lambda head: (head.layers, head.readout), second, (tuple(layers), readout))


def _gated_units(head: Any, features: NDArray[np.float32]) -> list[Floats]:
    """States of each layer, [frames, N, units]."""
    import jax

    from worldnets.heads.frames import read_frames

    states = jax.vmap(lambda row: read_frames(row, head.steps))(features)
    found = []
    for layer in head.layers:
        states = jax.vmap(layer)(states)
        found.append(np.asarray(states, dtype=np.float64).transpose(1, 0, 2))
    return found


def _with(part: Any, **changes: Any) -> Any:
    """A module with some of its arrays replaced, in their own type."""
    import dataclasses

    import jax

    cast = {
        name: value.astype(getattr(part, name).dtype) if isinstance(value, np.ndarray | jax.Array) else value
        for name, value in changes.items()
    }
    return dataclasses.replace(part, **cast)


#: By head: what is matched, in words, and how.
MATCHING: dict[str, tuple[str, Callable[[Any, Any, NDArray[np.float32], Floats], Any]]] = {
    "linear": ("no hidden units", _linear),
    "mlp": ("hidden units of each layer in the order that correlates best", _perceptron),
    "gru": ("units of each layer in the order, and with the signs, that correlate best", _gated),
}
