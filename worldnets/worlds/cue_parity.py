"""A shallow cue against a deep parity: the smallest world in which easy evidence can crowd out hard evidence."""

from __future__ import annotations

import itertools

import numpy as np

from worldnets.net import WorldNet
from worldnets.roles import Target, Task, World
from worldnets.worlds.parameters import integer, probability

_FAIR = np.array([0.5, 0.5])


def cue_parity(strength: float = 0.98, deep_strength: float = 0.98, bits: int = 3, noise: int = 8) -> World:
    """A fair answer that a cue tells, and that a parity of several bits tells as well.

    answer Y ~ fair; cue S = Y with probability `strength`; deep bit D = Y with probability `deep_strength`;
    bit_1 … bit_n fair with bit_1 ⊕ … ⊕ bit_n = D exactly (the last is fixed by D and the others);
    noise_1 … noise_m fair.
    Any n−1 of the bits are independent of everything else: the deep evidence can be used only as a whole.

    With h the binary entropy, the pie of the question "answer" on the ladder (cue,), (bits…, noise…) is
        I_1 = I(Y; S)     = 1 − h(strength)             = .859 bits at the defaults
        I_2 = I(Y; D | S) = H(Y | S) − H(Y | S, D)      = .097 bits
    and the deep evidence alone carries I(Y; D) = 1 − h(deep_strength) = .859 bits.

    Args:
        strength: probability that the cue is right, ½ … 1.
        deep_strength: probability that the parity is right, ½ … 1.
        bits: length n of the parity, 1 … 12.
        noise: number m of irrelevant fair bits, 0 … 64.

    Raises:
        DatasetError: a parameter out of range.

    Source: the same idea as the synthetic tasks of Shah et al. 2020 (arXiv 2006.07710) and Pezeshki et al. 2021
    (arXiv 2011.09468): features of unequal difficulty that are both predictive.
    """
    strength = probability("strength", strength, 0.5)
    deep_strength = probability("deep_strength", deep_strength, 0.5)
    bits = integer("bits", bits, 1, 12)
    noise = integer("noise", noise, 0, 64)

    shown = [f"bit_{i}" for i in range(1, bits + 1)]
    irrelevant = [f"noise_{i}" for i in range(1, noise + 1)]
    variables = ["answer", "deep", "cue", *shown, *irrelevant]
    tables = dict.fromkeys(variables, _FAIR) | {
        "cue": _agrees(strength),
        "deep": _agrees(deep_strength),
        shown[-1]: _completes_parity(bits),
    }
    parents = {"cue": ["answer"], "deep": ["answer"], shown[-1]: ["deep", *shown[:-1]]}
    net = WorldNet(dict.fromkeys(variables, (0, 1)), parents, tables, "cue_parity")
    deep_evidence = (*shown, *irrelevant)
    task = Task(
        "question",
        ("cue", *deep_evidence),
        (Target("answer", ("answer",)),),
        {"answer": (("cue",), deep_evidence)},
        ("deep",),
    )
    roles = {"observed": task.evidence, "latents": ("answer", "deep"), "bits": shown, "noise": irrelevant}
    return World(net, {"question": task}, {role: tuple(names) for role, names in roles.items()})


def _agrees(strength: float) -> np.ndarray:
    return np.array([[strength, 1 - strength], [1 - strength, strength]])


def _completes_parity(bits: int) -> np.ndarray:
    # Axes: deep bit, the other bits, the last bit; the parity of them all is even.
    table = np.zeros((2,) * (bits + 1))
    for states in itertools.product((0, 1), repeat=bits):
        table[(*states, sum(states) % 2)] = 1.0
    return table
