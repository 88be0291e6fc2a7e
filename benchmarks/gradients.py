"""What gradients cost beside a query of the same rows, on a warm engine: the price of a training step.

Rules: one process, one thread; rows and cotangents never seen before in each repeat, plans kept as a training loop
keeps them; interleaved repeats. The gradient is checked against central differences before its time counts.

    python benchmarks/gradients.py [alarm hailfinder …] [--rows 64] [--repeats 50]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from timing import interleaved, median_ratio, where

import worldnets as wn
from worldnets.inference import UNOBSERVED, beliefs_function, expected_counts, log_tables, simulate, vjp
from worldnets.public_nets import public_nets

OBSERVED_SHARE = 0.3
AGREEMENT = 1e-6
STEP = 1e-4


def measure(names: list[str], rows: int = 64, repeats: int = 50) -> str:
    """The markdown table: milliseconds of each, by net."""
    lines = [
        f"{rows} rows, {OBSERVED_SHARE:.0%} observed at random, no two alike; float64, one thread, engine warm.",
        where(["worldnets", "numba", "numpy", "jax"]),
        f"Medians of {repeats} interleaved repeats, milliseconds (in brackets: times a query of the same rows).",
        "",
    ]
    for name in names:
        net = wn.read_net(public_nets()[name])
        contestants, error = _contestants(net, rows)
        for prepare in contestants.values():  # compile, plan
            prepare(-1)()
        seconds = interleaved(contestants, repeats)
        if not lines[-1]:
            lines += [f"| net | {' | '.join(seconds)} | error |", "|---" * (len(seconds) + 2) + "|"]
        query = seconds["query"]
        cells = [
            f"{1e3 * statistics.median(taken):.2f} ({median_ratio(taken, query):.1f})" for taken in seconds.values()
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {error:.0e} |")
    return "\n".join(lines)


def _contestants(net: wn.WorldNet, rows: int) -> tuple[dict[str, Callable[[int], Callable[[], Any]]], float]:
    engine = wn.Inference(net, threads=1)
    tables = log_tables(net)
    assert isinstance(tables, dict)
    with jax.enable_x64(True):
        function = beliefs_function(engine)

        def loss(given: Any, codes: Any, cotangents: Any) -> Any:
            beliefs, log_evidence = function(given, codes)
            return sum((beliefs[v] * cotangents[v]).sum() for v in beliefs) + log_evidence.sum()

        step, on_device = jax.jit(jax.value_and_grad(loss)), jax.device_put(tables)

    def case(repeat: int) -> tuple[Any, dict[str, Any]]:
        codes = simulate(net, rows, seed=repeat + 1)
        random = np.random.default_rng(repeat + 1)
        codes[random.random(codes.shape) >= OBSERVED_SHARE] = UNOBSERVED
        return codes, {v: random.normal(size=(rows, len(net.states[v]))) for v in net.variables}

    def jax_step(repeat: int) -> Callable[[], Any]:
        with jax.enable_x64(True):
            codes, cotangents = jax.device_put(case(repeat))

        def run() -> Any:
            with jax.enable_x64(True):
                return jax.block_until_ready(step(on_device, codes, cotangents))

        return run

    def ours(call: Callable[..., Any]) -> Callable[[int], Callable[[], Any]]:
        def prepare(repeat: int) -> Callable[[], Any]:
            codes, cotangents = case(repeat)
            return lambda: call(codes, cotangents)

        return prepare

    contestants = {
        "query": ours(lambda codes, _: engine.query(codes)),
        "expected counts": ours(lambda codes, _: expected_counts(engine, codes)),
        "vjp of all beliefs": ours(lambda codes, g: vjp(engine, codes, g, np.ones(rows))),
        "value and gradient in JAX": jax_step,
    }
    return contestants, _error(net, jax_step(0)()[1], *case(0))


def _error(net: wn.WorldNet, gradients: Any, codes: Any, cotangents: dict[str, Any]) -> float:
    """Distance of the gradient from central differences along a random direction, relative to its length."""
    random = np.random.default_rng(0)
    direction = {v: random.normal(size=net.cpt(v).shape) for v in net.variables}

    def value(step: float) -> float:
        factors = tuple(
            wn.Factor((*net.parents(v), v), net.cpt(v) * np.exp(step * direction[v])) for v in net.variables
        )
        beliefs = wn.Inference(wn.FactorNet(net.states, factors)).query(codes)
        return float(sum((beliefs[v] * g).sum() for v, g in cotangents.items()) + beliefs.log_evidence.sum())

    along = sum((np.asarray(gradients[v]) * direction[v]).sum() for v in net.variables)
    length = np.sqrt(sum((np.asarray(gradients[v]) ** 2).sum() for v in net.variables))
    error = abs(along - (value(STEP) - value(-STEP)) / (2 * STEP)) / length
    assert error < AGREEMENT, f"the gradient is off by {error:.1e}"
    return float(error)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", default=["alarm", "hailfinder", "win95pts"])
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    print(measure(options.nets, options.rows, options.repeats))
