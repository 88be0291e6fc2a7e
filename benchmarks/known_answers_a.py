"""Mess3, a calibration trap: what a linear readout finds of the belief about the hidden state, trained or not.

Exact rows: next-token entropies and linear R² by message passing over every string of up to eight tokens. Rows of a
GRU with 32 units: untrained, and trained to predict the next token at every position (3,000 steps of Adam at 3e-3,
batches of 128 fresh clips), once from this project's first weights and once from those PyTorch draws. Prints all of
them beside an independent measurement.

    python benchmarks/known_answers_a.py [--seeds 4] [--out docs/known_answers_a.md]
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from answers import arguments_of, publish, written
from numpy.typing import NDArray

import worldnets as wn

TOKENS = 3
LONGEST = 8  # tokens; a clip has one more, to be predicted
WIDTH = 32
STEPS = 3000
BATCH = 128
LEARNING_RATE = 3e-3

# Measured independently of this project; the source of the process is Shai et al. 2024, arXiv 2405.15943.
ENTROPIES = {0: 1.0986, 1: 0.8577, 2: 0.8134, 3: 0.7981, 4: 0.7947, 8: 0.7935}  # nats, by number of tokens seen
LINEAR = {
    "the last token": 0.834,
    "the last 2 tokens": 0.943,
    "the last 3 tokens": 0.962,
    "all tokens": 0.966,
    "the exact prediction of the next token": 1.000,
}
RECURRENT = {"untrained": 0.977, f"trained {STEPS:,} steps": 0.9993}


@dataclass(frozen=True)
class Strings:
    """Every string of 1 … 8 tokens, one position after the other; rows of a position have its strings' first tokens.

    Attributes:
        tokens: all strings of eight tokens, [3^8, 8].
        belief: about the state after t tokens, [8, 3^8, states].
        prediction: of token t + 1, [8, 3^8, tokens].
        weight: probability of each string of eight, [3^8].
        entropy: of the next token after 0 … 8 tokens, nats.
    """

    tokens: NDArray[np.int16]
    belief: NDArray[np.float64]
    prediction: NDArray[np.float64]
    weight: NDArray[np.float64]
    entropy: tuple[float, ...]

    def pooled(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Rows of all positions below each other."""
        return np.asarray(values, dtype=np.float64).reshape(-1, values.shape[-1])


def strings(dataset: wn.Dataset) -> Strings:
    """Ask the net about every string, by message passing."""
    net, engine = dataset.net, wn.Inference(dataset.net)
    tokens = np.array(list(itertools.product(range(TOKENS), repeat=LONGEST)), dtype=np.int16)
    columns = [net.index[f"token_{t}"] for t in range(1, LONGEST + 1)]
    codes = np.full((len(tokens), len(net.variables)), -1, dtype=np.int16)
    predictions, beliefs = [engine.query(codes, ["token_1"])["token_1"]], []
    for t in range(1, LONGEST + 1):
        codes[:, columns[t - 1]] = tokens[:, t - 1]
        answer = engine.query(codes, [f"state_{t}", f"token_{t + 1}"])
        beliefs.append(answer[f"state_{t}"])
        predictions.append(answer[f"token_{t + 1}"])
    weight = np.exp(engine.log_evidence(codes))
    entropy = tuple(float(weight @ -(p * np.log(p)).sum(axis=1)) for p in predictions)
    return Strings(tokens, np.stack(beliefs), np.stack(predictions[1:]), weight, entropy)


def linear_r2(known: Strings, features: NDArray[np.floating[Any]]) -> float:
    """Share of the variance of the belief explained by the best linear readout of features [8, 3^8, width].

    Over all positions 1 … 8 alike and all strings by their probability, so that nothing is sampled:
    R² = 1 − Σ w |b − (A x + c)|² / Σ w |b − mean b|², all states together.
    """
    rows, belief = known.pooled(features), known.pooled(known.belief)
    weight = np.tile(known.weight, LONGEST) / LONGEST
    design = np.concatenate([np.ones((len(rows), 1)), rows], axis=1)
    scale = np.sqrt(weight)[:, None]
    coefficients = np.linalg.lstsq(design * scale, belief * scale, rcond=None)[0]
    left = weight @ (belief - design @ coefficients) ** 2
    return float(1 - left.sum() / (weight @ (belief - weight @ belief) ** 2).sum())


def last_tokens(known: Strings, count: int) -> NDArray[np.float64]:
    """One-hot codes of the last `count` tokens at each position, the last one first; before the first token, zeros."""
    shown = np.zeros((LONGEST, len(known.tokens), count, TOKENS))
    for t in range(1, LONGEST + 1):
        for back in range(min(count, t)):
            shown[t - 1, :, back] = np.eye(TOKENS)[known.tokens[:, t - 1 - back]]
    return shown.reshape(LONGEST, len(known.tokens), -1)


def linear_rows(known: Strings) -> dict[str, float]:
    """The exact R² rows."""
    histories = [linear_r2(known, last_tokens(known, count)) for count in (1, 2, 3, LONGEST)]
    return dict(zip(LINEAR, [*histories, linear_r2(known, known.prediction)], strict=True))


def first_heads(dataset: wn.Dataset, seeds: int, as_pytorch: bool) -> Any:
    """Untrained GRUs, their leaves stacked over seeds.

    PyTorch draws every weight and bias from U(−1/√width, 1/√width), and has two biases where this GRU has their sum.
    """
    import equinox as eqx
    import jax

    from worldnets.heads.gru import GRU

    heads = []
    for seed in range(seeds):
        generator = np.random.default_rng(seed)
        head = GRU.build(generator, inputs_of(dataset), TOKENS, width=WIDTH)
        if as_pytorch:

            def drawn(shape: tuple[int, ...], generator: np.random.Generator = generator) -> NDArray[np.float32]:
                return generator.uniform(-(WIDTH**-0.5), WIDTH**-0.5, shape).astype(np.float32)

            head = jax.tree.map(lambda leaf: drawn(leaf.shape), head)
            second = drawn((3 * WIDTH,))
            second[2 * WIDTH :] = 0  # the candidate's second bias is the head's `candidate_bias`
            head = eqx.tree_at(lambda h: h.layers[0].into.bias, head, head.layers[0].into.bias + second)
        heads.append(head)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *heads)


def inputs_of(dataset: wn.Dataset) -> Any:
    """One-hot tokens, frame by frame."""
    from worldnets.heads.inputs import inputs

    return inputs("evidence", dataset.net, dataset.task("continuation"), frames=dataset.world.frames)


def hidden_r2(dataset: wn.Dataset, known: Strings, heads: Any) -> NDArray[np.float64]:
    """R² of each head's units after every token, [seeds]."""
    import jax

    from worldnets.heads.frames import read_frames

    given = inputs_of(dataset)
    codes = np.full((len(known.tokens), len(dataset.net.variables)), -1, dtype=np.int16)
    codes[:, [dataset.net.index[v] for v in dataset.task("continuation").evidence]] = known.tokens
    features = given.features(codes)
    units = jax.jit(jax.vmap(lambda head, x: head.layers[0](read_frames(x, head.steps)), (None, 0)))
    seeds = len(jax.tree.leaves(heads)[0])
    each = [units(jax.tree.map(lambda leaf, s=s: leaf[s], heads), features) for s in range(seeds)]
    return np.array([linear_r2(known, np.asarray(states).transpose(1, 0, 2)) for states in each])


def trained(dataset: wn.Dataset, heads: Any, steps: int) -> tuple[Any, float]:
    """The heads after so many updates on the next token at every position, and the seconds it took."""
    import jax
    import optax

    begun = time.perf_counter()
    given, seeds = inputs_of(dataset), len(jax.tree.leaves(heads)[0])
    optimizer = optax.adam(LEARNING_RATE)

    def loss(head: Any, features: Any, following: Any) -> Any:
        log_q = jax.nn.log_softmax(jax.vmap(head.at_each_step)(features))
        return -(log_q * jax.nn.one_hot(following, TOKENS)).sum(-1).mean()

    @jax.jit
    @jax.vmap
    def update(head: Any, state: Any, features: Any, following: Any) -> tuple[Any, Any]:
        def one(carry: tuple[Any, Any], batch: tuple[Any, Any]) -> tuple[tuple[Any, Any], None]:
            head, state = carry
            changes, state = optimizer.update(jax.grad(loss)(head, *batch), state)
            return (optax.apply_updates(head, changes), state), None

        return jax.lax.scan(one, (head, state), (features, following))[0]

    heads, state = jax.tree.map(jax.numpy.asarray, heads), jax.vmap(optimizer.init)(heads)
    columns = [dataset.net.index[f"token_{t}"] for t in range(2, LONGEST + 2)]
    block = min(100, steps)
    for first in range(0, steps, block):
        clips = [dataset.simulate(block * BATCH, seed, first * BATCH) for seed in range(seeds)]
        shape = (seeds, block, BATCH)
        features = np.stack([given.features(codes) for codes in clips]).reshape(*shape, -1)
        following = np.stack([codes[:, columns] for codes in clips]).reshape(*shape, -1)
        heads, state = update(heads, state, features, following)
    return jax.tree.map(np.asarray, heads), time.perf_counter() - begun


def report(known: Strings, recurrent: dict[tuple[str, bool], NDArray[np.float64]], seconds: float, seeds: int) -> str:
    """The page."""
    entropies = [
        f"| {t} | {known.entropy[t]:.4f} | {f'{ENTROPIES[t]:.4f}' if t in ENTROPIES else '–'} |"
        for t in range(LONGEST + 1)
    ]
    linear = [f"| {name} | {found:.4f} | {LINEAR[name]:.3f} |" for name, found in linear_rows(known).items()]
    rows = [
        " | ".join(
            [f"| GRU, {WIDTH} units, {when}", *(_figure(recurrent[when, p]) for p in (False, True)), f"{value} |"]
        )
        for when, value in RECURRENT.items()
    ]
    lines = [
        "# Mess3: decodable is not deep",
        "",
        written(f"known_answers_a.py --seeds {seeds}", "jax", "jaxlib", "equinox", "optax", "numpy"),
        "",
        "Three hidden states, three tokens (x = .05, alpha = .85; Shai et al. 2024, arXiv 2405.15943). “Expected” was",
        "measured independently of this project.",
        "",
        "## Entropy of the next token",
        "",
        "| tokens seen | nats | expected |",
        "|---|---|---|",
        *entropies,
        "",
        "## Linear R² to the belief about the state",
        "",
        "Exact: all strings of eight tokens by their probability, positions 1 … 8 alike, tokens coded one-hot from the",
        "last one back (before the first token, zeros).",
        "",
        "| readout of | R² | expected |",
        "|---|---|---|",
        *linear,
        "",
        "| readout of | R² (first weights LeCun) | R² (first weights as PyTorch) | expected |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Mean ± standard deviation over {seeds} seeds. Trained on the next token at every position, Adam",
        f"{LEARNING_RATE:g}, batches of {BATCH}; training took {seconds:.0f} s. The expected value of the untrained",
        "network is reached with PyTorch's first weights, uniform within ±1/√32; LeCun's read the input more strongly.",
        "",
        "A network that has learned nothing decodes as well as what one would call a discovery. So decodability is",
        "reported only with its floors (untrained, linear history, exact prediction of the next token) and its ceiling",
        "(exact message passing, 1), and what a head *uses* is measured in bits.",
        "",
    ]
    return "\n".join(lines)


def _figure(values: NDArray[np.float64]) -> str:
    return f"{values.mean():.4f}" if len(values) < 2 else f"{values.mean():.4f} ± {values.std(ddof=1):.4f}"


def main() -> None:
    parser = arguments_of(__doc__, "known_answers_a.md")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    dataset = wn.load_dataset("mess3", frames=LONGEST + 1)
    known = strings(dataset)
    before, after = RECURRENT
    recurrent, seconds = {}, 0.0
    for as_pytorch in (False, True):
        heads = first_heads(dataset, arguments.seeds, as_pytorch)
        recurrent[before, as_pytorch] = hidden_r2(dataset, known, heads)
        heads, took = trained(dataset, heads, arguments.steps)
        recurrent[after, as_pytorch] = hidden_r2(dataset, known, heads)
        seconds += took
    text = report(known, recurrent, seconds, arguments.seeds)
    publish(text, arguments.out)


if __name__ == "__main__":
    main()
