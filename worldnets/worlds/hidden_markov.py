"""Edge-emitting hidden Markov processes: a token is emitted while the hidden state moves.

W(token_t = o, state_t = s' | state_{t−1} = s) = T^o[s, s'], one matrix per token. The belief about the state after the
tokens o_1 … o_t is π T^{o_1} ⋯ T^{o_t}, normalised, with π the stationary distribution of T = Σ_o T^o.

Source: Shai, Marzen, Teixeira, Gietelink Oldenziel & Riechers 2024, "Transformers represent belief state geometry in
their residual stream" (arXiv 2405.15943); entropy rates: Jurgens & Crutchfield 2021, "Shannon entropy rate of hidden
Markov processes" (arXiv 2008.12886).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import DatasetError
from worldnets.net import Label, WorldNet
from worldnets.roles import World
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name
from worldnets.worlds.clips import check_cells, checked_frames, clip_tasks
from worldnets.worlds.parameters import probability
from worldnets.worlds.stationary import stationary_distribution

Matrices = NDArray[np.float64]  # [tokens, states before, states]

TOLERANCE = 1e-9


def hidden_markov(
    matrices: ArrayLike,
    frames: int = 9,
    context: int | None = None,
    states: Sequence[Label] | None = None,
    tokens: Sequence[Label] | None = None,
    name: str = "hidden_markov",
) -> World:
    """A clip of T tokens of a hidden Markov process that has run for ever.

    As a two-slice net with nodes `state` and `token`:
        W(state_t = s' | state_{t−1} = s)                  = Σ_o T^o[s, s']
        W(token_t = o | state_{t−1} = s, state_t = s')     = T^o[s, s'] / Σ_o T^o[s, s']
        W(state_1 = s', token_1 = o)                       = Σ_s π_s T^o[s, s']
    state_t is the hidden state *after* token t. Pairs of states that never follow each other get the first token.

    Tasks, both from tokens 1 … c = `context`, on the ladder of the last k tokens:
        continuation  token c + 1.
        question      the hidden state after token c. A belief-attached head is given the beliefs about the state
                      before and about the token to come, from the same evidence.

    Args:
        matrices: T^o[s, s'], shape [tokens, states, states]; Σ_o T^o is a stochastic matrix with one recurrent class
            and no transient state.
        frames: T, 2 … 1000.
        context: c, 1 … T − 1; default T − 1.
        states: labels of the hidden states; default 0, 1, 2, ….
        tokens: labels of the tokens; default 0, 1, 2, ….
        name: of the net.

    Raises:
        DatasetError: matrices that are no such process, a parameter out of range, tables of more than 2^24 cells.
    """
    table = _checked(matrices)
    count, size, _ = table.shape
    frames, context = checked_frames(frames, context)
    check_cells(table.size * frames, f"{count} tokens × {size}² states × {frames} frames")
    known_as = _labels("states", states, size), _labels("tokens", tokens, count)
    template = two_slices(table, *known_as, stationary(table), name)
    net = template.unroll(frames)
    shown = [(frame_name("token", t),) for t in range(1, frames + 1)]
    hidden = [frame_name("state", t) for t in range(1, frames + 1)]
    now, before = hidden[context - 1], hidden[:context][-2:-1]
    latents = {"continuation": (now,), "question": (*before, *shown[context])}
    tasks = clip_tasks(net, shown, context, {"state": (now,)}, latents)
    roles = {"observed": tuple(v for frame in shown for v in frame), "latents": tuple(hidden)}
    return World(net, tasks, roles, template, frames=tuple(shown))


def mess3(x: float = 0.05, alpha: float = 0.85, frames: int = 9, context: int | None = None) -> World:
    """Mess3: three hidden states in a ring of equals, three tokens, a fractal set of beliefs.

    The state stays with probability 1 − 2x and goes to either other with x; the token names the state it led to with
    probability `alpha` and either other with (1 − alpha)/2: T^o[s, s'] = W(s' | s) · W(o | s'). No number of tokens
    ever tells the state for certain, and no finite set of beliefs predicts perfectly.

    Args:
        x: 0 … ½, exclusive of 0 (the state would never change).
        alpha: 0 … 1.
        frames, context: as `hidden_markov`.

    Raises:
        DatasetError: a parameter out of range.

    Source: Shai et al. 2024 (arXiv 2405.15943), with these values. On processes without a finite set of predictive
    features: Marzen & Crutchfield 2017 (arXiv 1702.08565).
    """
    return hidden_markov(mess3_matrices(x, alpha), frames, context, ("A", "B", "C"), name="mess3")


def rrxor(first: float = 0.5, second: float = 0.5, frames: int = 13, context: int | None = None) -> World:
    """Random-random-XOR: two random bits, then their exclusive or, and again; nobody says where in the three one is.

    States: "S" before the first bit; "0", "1" after it; "F", "T" when the exclusive or is to come, 0 or 1. Once the
    state is known it stays known: the entropy rate is (h(first) + h(second))/3 = ⅔ bit at the defaults, while no two
    neighbouring tokens tell anything about each other. At the defaults a head that tracks its beliefs passes through
    36 of them.

    Args:
        first, second: probability that the first, the second random bit is 1; 0 … 1, exclusive.
        frames, context: as `hidden_markov`.

    Raises:
        DatasetError: a parameter out of range.

    Source: Riechers & Crutchfield 2018, "Spectral simplicity of apparent complexity, Part II" (arXiv 1706.00883); as a
    world for neural networks, Shai et al. 2024 (arXiv 2405.15943).
    """
    return hidden_markov(rrxor_matrices(first, second), frames, context, ("S", "0", "1", "F", "T"), name="rrxor")


def zero_one_random(one: float = 0.5, frames: int = 6, context: int | None = None) -> World:
    """Zero-one-random (Z1R): a 0, a 1, a random bit, and again.

    States: "S0", "S1", "SR", by the token that is to come. Any three tokens tell the state for certain; from then on
    the entropy is its rate, h(one)/3 = ⅓ bit at the default.

    Args:
        one: probability that the random bit is 1; 0 … 1.
        frames, context: as `hidden_markov`.

    Raises:
        DatasetError: a parameter out of range.

    Source: Shai et al. 2024 (arXiv 2405.15943).
    """
    return hidden_markov(zero_one_random_matrices(one), frames, context, ("S0", "S1", "SR"), name="zero_one_random")


def mess3_matrices(x: float = 0.05, alpha: float = 0.85) -> Matrices:
    """T^o[s, s'] of `mess3`, [3, 3, 3]."""
    x, alpha = probability("x", x, high=0.5), probability("alpha", alpha)
    moves = np.full((3, 3), x) + (1 - 3 * x) * np.eye(3)
    shows = np.full((3, 3), (1 - alpha) / 2) + (alpha - (1 - alpha) / 2) * np.eye(3)  # [state, token]
    return np.einsum("st,to->ost", moves, shows)


def rrxor_matrices(first: float = 0.5, second: float = 0.5) -> Matrices:
    """T^o[s, s'] of `rrxor`, [2, 5, 5], states S, 0, 1, F, T."""
    first, second = probability("first", first), probability("second", second)
    matrices = np.zeros((2, 5, 5))
    for bit, chance in enumerate((1 - first, first)):
        matrices[bit, 0, 1 + bit] = chance
    for seen in (0, 1):
        for bit, chance in enumerate((1 - second, second)):
            matrices[bit, 1 + seen, 3 + (seen ^ bit)] = chance
    for parity in (0, 1):
        matrices[parity, 3 + parity, 0] = 1.0
    return matrices


def zero_one_random_matrices(one: float = 0.5) -> Matrices:
    """T^o[s, s'] of `zero_one_random`, [2, 3, 3], states S0, S1, SR."""
    one = probability("one", one)
    matrices = np.zeros((2, 3, 3))
    matrices[0, 0, 1] = matrices[1, 1, 2] = 1.0
    matrices[:, 2, 0] = 1 - one, one
    return matrices


def stationary(matrices: Matrices) -> NDArray[np.float64]:
    """π with π = π Σ_o T^o, [states].

    Raises:
        DatasetError: there are several, or some state never occurs.
    """
    answer = stationary_distribution(matrices.sum(axis=0), "make every state reachable from every other")
    if answer.min() < TOLERANCE:
        mend = "drop the state, or make it reachable"
        raise DatasetError("a state that never occurs", found=f"state {int(answer.argmin())}", mend=mend)
    return answer


def two_slices(
    matrices: Matrices, states: Sequence[Label], tokens: Sequence[Label], start: ArrayLike, name: str = ""
) -> TwoSliceNet:
    """The process as a two-slice net of `state` and `token`; `start` is the distribution of the state before token 1.

    Args:
        matrices: T^o[s, s'], [tokens, states, states].
        states, tokens: their labels.
        start: [states].
        name: of the net.
    """
    first = np.einsum("s,ost->to", np.asarray(start, dtype=np.float64), matrices)  # [state 1, token 1]
    labels = {"state": tuple(states), "token": tuple(tokens)}
    shown = {"state": first.sum(axis=1), "token": _rows(first)}
    initial = WorldNet(labels, {"token": ("state",)}, shown, name)
    before = "state" + PREVIOUS
    return TwoSliceNet(
        initial,
        {"state": (before,), "token": (before, "state")},
        {"state": matrices.sum(axis=0), "token": _rows(np.moveaxis(matrices, 0, -1))},
        name,
    )


def _rows(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    # Conditional on all axes but the last; what never occurs gets the first state, its row is never used.
    total = joint.sum(axis=-1, keepdims=True)
    return np.where(total > 0, joint / np.where(total > 0, total, 1.0), np.eye(joint.shape[-1])[0])


def _checked(matrices: Any) -> Matrices:
    mend = "give one matrix per token, T^o[s, s'] = W(token o, next state s' | state s)"
    try:
        table = np.array(matrices, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError("'matrices' are no numbers in one shape", found=str(error), mend=mend) from None
    if table.ndim != 3 or table.shape[1] != table.shape[2] or not table.size or len(table) < 2:
        expected = "[tokens ≥ 2, states, states]"
        raise DatasetError("'matrices' of another shape", found=table.shape, expected=expected, mend=mend)
    if not np.all(table >= 0):  # a NaN is not
        raise DatasetError("'matrices' hold what is no probability", found=float(table.min()), mend=mend)
    sums = table.sum(axis=(0, 2))
    wrong = int(np.abs(sums - 1).argmax())
    if abs(sums[wrong] - 1) > TOLERANCE:
        found = f"Σ T[·, {wrong}, ·] = {sums[wrong]:g}"
        raise DatasetError("what leaves a state does not sum to 1", found=found, expected="1", mend=mend)
    return table / sums[:, None]


def _labels(parameter: str, labels: Sequence[Label] | None, count: int) -> tuple[Label, ...]:
    if labels is None:
        return tuple(range(count))
    if isinstance(labels, str) or not isinstance(labels, Sequence) or len(set(labels)) != count or len(labels) != count:
        mend = f"give {count} different labels"
        raise DatasetError(f"parameter {parameter!r} out of range", found=repr(labels), mend=mend)
    return tuple(labels)
