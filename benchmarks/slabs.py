"""Slabs: a coordinate that tells an answer by a line, beside coordinates that tell it by five slabs.

Two forms of one world. `points` draws the continuous one of Shah et al. 2020; `slabs_dataset` is the same quantised, a
Bayes net whose every posterior is known, with a little noise in all coordinates: without any, the linear coordinate and
the slabs would settle each other, and no redraw of one without the other would be possible.

Source: Shah, Tamuly, Raghunathan, Jain & Netrapalli 2020, "The Pitfalls of Simplicity Bias in Neural Networks"
(arXiv 2006.07710), the dataset LMS-5 of section 3.
"""

from __future__ import annotations

from typing import Self

import equinox as eqx
import jax
import numpy as np

from worldnets.dataset import Dataset
from worldnets.heads.inputs import Inputs
from worldnets.heads.mlp import MLP
from worldnets.net import WorldNet
from worldnets.roles import Target, Task, World

#: Slabs of a coordinate from left to right: limits, and whether they belong to the positive class.
SLABS = ((-1.0, -0.76, 0), (-0.56, -0.32, 1), (-0.12, 0.12, 0), (0.32, 0.56, 1), (0.76, 1.0, 0))
LINE = ((-1.0, -0.1, 0), (0.1, 1.0, 1))
#: Probability of the negative class's slabs, left to right: the published masses, and the control's.
MASSES = {"three quarters in the middle": (0.125, 0.75, 0.125), "uniform": (1 / 3, 1 / 3, 1 / 3)}


def points(rows: int, coordinates: int, masses: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points before rotation, float64 [rows, coordinates], coordinate 0 the linear one, and classes, int [rows]."""
    random = np.random.default_rng(seed)
    answer = random.integers(0, 2, rows)
    sign = 2 * answer - 1
    line = sign * random.uniform(0.1, 1.0, rows)
    shape = (rows, coordinates - 1)
    positive = np.array([[low, high] for low, high, of in SLABS if of])[random.integers(0, 2, shape)]
    negative = np.array([[low, high] for low, high, of in SLABS if not of])[random.choice(3, shape, p=MASSES[masses])]
    limits = np.where(answer[:, None, None] == 1, positive, negative)
    slabs = limits[..., 0] + random.random(shape) * (limits[..., 1] - limits[..., 0])
    return np.column_stack([line, slabs]), answer


def slabs_dataset(
    masses: str, coordinates: int = 5, bins: int = 1, line_strength: float = 0.99, slab_strength: float = 1.0
) -> Dataset:
    """The quantised world: answer → each coordinate, all independent given the answer.

    Args:
        masses: a key of `MASSES`.
        coordinates: slab coordinates; with the linear one they are the evidence, on the rungs (line,), (slabs…).
        bins: of equal width in each slab and on each side of the line.
        line_strength, slab_strength: probability that a coordinate is drawn for the right class.
    """
    line, line_tables = _quantised(LINE, (1.0,), (1.0,), 2 * bins)
    slab, slab_tables = _quantised(SLABS, MASSES[masses], (0.5, 0.5), bins)
    names = [f"slab_{i}" for i in range(1, coordinates + 1)]
    states = {"answer": (0, 1), "line": line, **dict.fromkeys(names, slab)}
    tables = {"answer": np.array([0.5, 0.5]), "line": _noisy(line_tables, line_strength)}
    tables |= dict.fromkeys(names, _noisy(slab_tables, slab_strength))
    net = WorldNet(states, dict.fromkeys(("line", *names), ("answer",)), tables, "slabs")
    evidence = ("line", *names)
    task = Task("question", evidence, (Target("answer", ("answer",)),), {"answer": (("line",), tuple(names))})
    settings = {"masses": masses, "coordinates": coordinates, "bins": bins}
    settings |= {"line_strength": line_strength, "slab_strength": slab_strength}
    return Dataset("slabs", settings, World(net, {"question": task}, {"observed": evidence, "latents": ("answer",)}))


def _quantised(
    pieces: tuple[tuple[float, float, int], ...], negative: tuple[float, ...], positive: tuple[float, ...], bins: int
) -> tuple[tuple[float, ...], np.ndarray]:
    # Centres of all bins, left to right, and their probability under either class, [2, states].
    centres, tables = [], np.zeros((2, len(pieces) * bins))
    mass = {0: list(negative), 1: list(positive)}
    for i, (low, high, of) in enumerate(pieces):
        tables[of, i * bins : (i + 1) * bins] = mass[of].pop(0) / bins
        centres += [round(low + (high - low) * (j + 0.5) / bins, 6) for j in range(bins)]
    return tuple(centres), tables


def _noisy(tables: np.ndarray, strength: float) -> np.ndarray:
    return strength * tables + (1 - strength) * tables[::-1]


class Coordinates(eqx.Module):
    """An MLP that is given every variable as one number, the label of its state: a quantised coordinate is a position.

    Without this, a variable of many states is one feature per state, and slabs are linear in those.
    """

    network: MLP
    places: tuple[tuple[float, ...], ...] = eqx.field(static=True)  # [variables, features], the value of each feature

    @classmethod
    def build(
        cls, generator: np.random.Generator, inputs: Inputs, outputs: int, *, width: int = 100, depth: int = 2
    ) -> Self:
        """The MLP's own first parameters on as many features as there are variables."""
        groups = inputs.groups
        places = np.zeros((len(groups), inputs.width))
        for row, (name, group) in enumerate(groups.items()):
            places[row, group] = inputs.net.states[name]
        narrow = Width(len(groups))
        network = MLP.build(generator, narrow, outputs, width=width, depth=depth)  # type: ignore[arg-type]
        return cls(network, tuple(map(tuple, places.tolist())))

    def __call__(self, features: jax.Array) -> jax.Array:
        """Outputs [outputs] for one feature vector [features]."""
        return self.network(jax.numpy.asarray(self.places, dtype=features.dtype) @ features)


class Width:
    """As much of a head's inputs as an MLP asks for."""

    def __init__(self, width: int) -> None:
        self.width = width
