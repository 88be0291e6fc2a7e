"""Filtering a hidden Markov process of 100 states over 1,000 steps in 256 sequences, beside hmmlearn and dynamax.

Rules: one process; every contestant starts from the symbols and ends with the filtered beliefs of every step and the
log-likelihood of every sequence, in arrays; sequences never seen before in each repeat; compiled code is warm;
repeats interleaved, medians of paired ratios; log-likelihoods must agree within 1e-6 nats in float64.
hmmlearn is its compiled forward pass with scaling factors, called sequence by sequence; dynamax is `hmm_filter`,
vmapped over sequences and jitted. Peers that are not installed are left out, and the report says so.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
from timing import interleaved, median_ratio, where

import worldnets as wn

AGREEMENT = {"float64": 1e-6, "float32": 0.5}  # nats, on log-likelihoods of thousands of nats
Filter = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # symbols [rows, steps] -> beliefs, log-likelihoods


def hidden_markov(states: int, symbols: int, seed: int) -> wn.TwoSliceNet:
    """A random hidden Markov process: state `z`, symbol `x`."""
    random = np.random.default_rng(seed)
    start = random.dirichlet(np.ones(states))
    move, show = (random.dirichlet(np.ones(size), states) for size in (states, symbols))
    labels = {"z": tuple(range(states)), "x": tuple(range(symbols))}
    initial = wn.WorldNet(labels, {"x": ["z"]}, {"z": start, "x": show})
    return wn.TwoSliceNet(initial, {"z": ["z[t-1]"], "x": ["z"]}, {"z": move, "x": show}, "hidden Markov process")


def ours(net: wn.TwoSliceNet, dtype: str, threads: int | None) -> Filter:
    engine = wn.TemporalInference(net, dtype=dtype, threads=threads)

    def run(symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        codes = np.full((*symbols.shape, 2), -1, dtype=np.int16)
        codes[:, :, net.variables.index("x")] = symbols
        beliefs = engine.filter(codes, variables=["z"])
        return beliefs["z"], beliefs.log_evidence

    return run


def hmmlearn_filter(net: wn.TwoSliceNet) -> Filter:
    from hmmlearn import _hmmc

    start, move = net.initial.cpt("z"), np.asarray(net.cpts["z"])
    show = np.ascontiguousarray(np.asarray(net.cpts["x"]).T)

    def run(symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        beliefs, log = np.empty((*symbols.shape, len(start))), np.empty(len(symbols))
        for i, row in enumerate(symbols):
            log[i], beliefs[i], _ = _hmmc.forward_scaling(start, move, show[row])
        return beliefs, log

    return run


def dynamax_filter(net: wn.TwoSliceNet, dtype: str) -> Filter:
    import jax
    import jax.numpy as jnp
    from dynamax.hidden_markov_model import hmm_filter

    tables = [np.asarray(t, dtype=dtype) for t in (net.initial.cpt("z"), net.cpts["z"], net.cpts["x"])]

    def one(symbols: Any, start: Any, move: Any, log_show: Any) -> tuple[Any, Any]:
        posterior = hmm_filter(start, move, log_show[symbols])
        return posterior.filtered_probs, posterior.marginal_loglik

    compiled = jax.jit(jax.vmap(one, in_axes=(0, None, None, None)))

    def run(symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64(dtype == "float64"):
            start, move, show = tables
            beliefs, log = compiled(jnp.asarray(symbols), start, move, np.log(show.T))
            return np.asarray(beliefs), np.asarray(log)

    return run


def check(contestants: dict[str, tuple[str, Filter]], symbols: np.ndarray) -> float:
    """Largest difference of a float64 log-likelihood from the first contestant's; refuses to compare wrong answers."""
    (_, first), *_ = contestants.values()
    beliefs, log = first(symbols)
    worst = 0.0
    for name, (dtype, run) in contestants.items():
        found, found_log = run(symbols)
        difference = float(np.abs(found_log - log).max())
        apart = float(np.abs(found - beliefs).max())
        if difference > AGREEMENT[dtype] or apart > (1e-9 if dtype == "float64" else 1e-3):
            raise SystemExit(f"{name} disagrees by {difference:.2g} nats, {apart:.2g} in beliefs: nothing to compare")
        worst = max(worst, difference) if dtype == "float64" else worst
    return worst


def measure(states: int = 100, steps: int = 1000, rows: int = 256, symbols: int = 50, repeats: int = 7) -> str:
    """The markdown report."""
    net = hidden_markov(states, symbols, seed=0)
    contestants: dict[str, tuple[str, Filter]] = {
        "worldnets, all threads": ("float64", ours(net, "float64", None)),
        "worldnets, one thread": ("float64", ours(net, "float64", 1)),
        "worldnets, all threads, float32": ("float32", ours(net, "float32", None)),
    }
    missing = [peer for peer in ("hmmlearn", "dynamax") if find_spec(peer) is None]
    if "hmmlearn" not in missing:
        contestants["hmmlearn"] = ("float64", hmmlearn_filter(net))
    if "dynamax" not in missing:
        contestants["dynamax"] = ("float64", dynamax_filter(net, "float64"))
        contestants["dynamax, float32"] = ("float32", dynamax_filter(net, "float32"))

    def sequences(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, symbols, (rows, steps))

    worst = check(contestants, sequences(999))  # compiles everything, at the sizes that are timed

    def contestant(run: Filter) -> Callable[[int], Callable[[], object]]:
        def prepare(repeat: int) -> Callable[[], object]:
            seen = sequences(repeat)
            return lambda: run(seen)

        return prepare

    taken = interleaved({name: contestant(run) for name, (_, run) in contestants.items()}, repeats)
    peers = {name: peer for name, peer in (("hmmlearn", "hmmlearn"), ("dynamax", "dynamax")) if peer not in missing}
    lines = [
        f"Filtering a hidden Markov process: {states} states, {symbols} symbols, {steps:,} steps, {rows} sequences.",
        where(["worldnets", "numpy", "hmmlearn", "dynamax", "jax"]),
        f"Medians of {repeats} interleaved repeats; float64 where nothing else is said.",
        "",
        "| filter | seconds | fastest |" + "".join(f" {name}'s time over it |" for name in peers),
        "|---" * (3 + len(peers)) + "|",
    ]
    for name, seconds in taken.items():
        ratios = "".join(f" {median_ratio(taken[peer], seconds):.3g} |" for peer in peers)
        lines.append(f"| {name} | {statistics.median(seconds):.3f} | {min(seconds):.3f} |{ratios}")
    lines += ["", f"Largest difference between float64 log-likelihoods: {worst:.1g} nats."]
    if missing:
        lines.append(f"Not installed here, so not measured: {', '.join(missing)}.")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=100)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print(measure(options.states, options.steps, options.rows, options.symbols, options.repeats))
