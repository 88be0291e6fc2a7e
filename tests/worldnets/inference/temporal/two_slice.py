"""Random two-slice nets and clips, hidden Markov processes, and how answers are held against the unrolled net."""

import numpy as np
from hypothesis import strategies as st

from tests.strategies import TABLES, random_table
from worldnets.inference import UNOBSERVED, Inference
from worldnets.net import WorldNet
from worldnets.temporal import PREVIOUS, TwoSliceNet, frame_name


@st.composite
def two_slice_nets(draw, max_variables=5, max_cardinality=4):
    """A random template: arrows within a frame and between frames, so interfaces of any size, parts that never meet."""
    n = draw(st.integers(1, max_variables))
    names = [f"v{i}" for i in range(n)]
    sizes = [draw(st.integers(1, max_cardinality)) for _ in range(n)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def earlier(i):
        return [] if i == 0 else draw(st.lists(st.integers(0, i - 1), max_size=2, unique=True))

    def tables(parents):
        return {
            names[i]: random_table(random, (*(sizes[p] for p in given), sizes[i]), draw(st.sampled_from(TABLES)))
            for i, given in enumerate(parents)
        }

    within_first = [earlier(i) for i in range(n)]
    within = [earlier(i) for i in range(n)]
    across = [draw(st.lists(st.integers(0, n - 1), max_size=2, unique=True)) for _ in range(n)]
    order = draw(st.permutations(range(n)))
    states = {names[i]: tuple(f"s{k}" for k in range(sizes[i])) for i in order}
    first = {names[i]: [names[p] for p in given] for i, given in enumerate(within_first)}
    parents = {
        names[i]: draw(st.permutations([*(names[p] for p in within[i]), *(names[p] + PREVIOUS for p in across[i])]))
        for i in range(n)
    }
    family = [[names.index(p.removesuffix(PREVIOUS)) for p in parents[names[i]]] for i in range(n)]
    return TwoSliceNet(WorldNet(states, first, tables(within_first)), parents, tables(family), "random")


@st.composite
def clips(draw, net, rows=4, max_frames=5):
    """Codes [rows, frames, variables] with masks that differ by row and frame, or whole columns seen or hidden."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = draw(st.integers(1, max_frames))
    cards = net.initial.cardinalities
    codes = random.integers(0, cards, size=(rows, frames, len(cards))).astype(np.int16)
    seen = random.random(codes.shape) < draw(st.sampled_from((0.0, 0.3, 0.7, 1.0)))
    hidden = draw(st.lists(st.sampled_from(range(len(cards))), unique=True))
    seen[:, :, hidden] = False
    codes[~seen] = UNOBSERVED
    return codes


def unrolled(net, codes, frames=None):
    """The unrolled net's engine and the same evidence as its flat code array, unobserved after the clip."""
    frames = frames or codes.shape[1]
    padded = np.full((len(codes), frames, codes.shape[2]), UNOBSERVED, dtype=np.int16)
    padded[:, : codes.shape[1]] = codes
    return Inference(net.unroll(frames)), padded.reshape(len(codes), -1)


def check_frame(net, found, expected, frame, place, tolerance=1e-9):
    """Beliefs of one frame against the unrolled net's beliefs."""
    for v in net.variables:
        np.testing.assert_allclose(found[v][:, place], expected[frame_name(v, frame)], atol=tolerance)


def check_log(found, expected, tolerance=1e-9):
    np.testing.assert_array_equal(found == -np.inf, expected == -np.inf)
    np.testing.assert_allclose(found[found > -np.inf], expected[expected > -np.inf], rtol=tolerance, atol=tolerance)


def seen_until(codes, frame):
    kept = codes.copy()
    kept[:, frame:] = UNOBSERVED
    return kept


def hidden_markov(states, symbols, seed=0, concentration=0.3):
    """A random hidden Markov process with states `z` and symbols `x`."""
    random = np.random.default_rng(seed)
    start = random.dirichlet(np.ones(states))
    move = random.dirichlet(np.full(states, concentration), states)
    show = random.dirichlet(np.full(symbols, concentration), states)
    labels = {"z": tuple(range(states)), "x": tuple(range(symbols))}
    initial = WorldNet(labels, {"x": ["z"]}, {"z": start, "x": show}, "hmm")
    return TwoSliceNet(initial, {"z": ["z" + PREVIOUS], "x": ["z"]}, {"z": move, "x": show}, "hmm")


def hmm_clip(rows, frames, symbols, seed=1, hidden=0.0):
    random = np.random.default_rng(seed)
    codes = np.full((rows, frames, 2), UNOBSERVED, dtype=np.int16)
    codes[:, :, 1] = random.integers(0, symbols, (rows, frames))
    codes[:, :, 1][random.random((rows, frames)) < hidden] = UNOBSERVED
    return codes


def parity(flip=0.0):
    """A bit that toggles whenever the input is 1, and is shown as it is: nothing is random but the input."""
    toggle = np.zeros((2, 2, 2))
    for z in (0, 1):
        for u in (0, 1):
            toggle[z, u, z ^ u] = 1.0
    states = {"u": (0, 1), "z": (0, 1), "x": (0, 1)}
    fair, same = np.array([0.5, 0.5]), np.eye(2)
    initial = WorldNet(states, {"z": ["u"], "x": ["z"]}, {"u": fair, "z": same, "x": same})
    parents = {"z": ["z" + PREVIOUS, "u"], "x": ["z"]}
    return TwoSliceNet(initial, parents, {"u": fair, "z": toggle, "x": same}, "parity")
