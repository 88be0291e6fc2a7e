"""Ten rounds of loopy sum-product for a batch of rows, beside PGMax, on the same factor graph.

Rules: one process; the same factors, hard evidence and uniform start on both sides, equal rounds, no damping,
sum-product (PGMax: temperature 1, batched by vmap, compiled by jit, factors listing only their cells above zero);
evidence never seen before in each repeat, from state codes to materialised beliefs; compiled code warm, its cost
reported apart; repeats interleaved, medians of paired ratios. Beliefs must agree, or there is nothing to compare.

python benchmarks/loopy.py [alarm hailfinder grid] [--rows 256] [--repeats 7]     (needs `pip install pgmax`)
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import interleaved, median_ratio, where

import worldnets as wn
from worldnets.inference import UNOBSERVED, simulate
from worldnets.public_nets import public_nets

OBSERVED_SHARE = 0.3
ROUNDS = 10
NETS = ("alarm", "hailfinder", "grid")
AGREEMENT = {"float64": 1e-8, "float32": 2e-3}
GRID_SIDE = 20
EXCLUDED = -1e4  # PGMax takes evidence as finite logarithms


def ising_grid(side: int = GRID_SIDE, seed: int = 0) -> wn.FactorNet:
    """A square grid of spins with random fields and couplings of both signs."""
    random = np.random.default_rng(seed)
    states = {f"s{i}_{j}": ("-", "+") for i in range(side) for j in range(side)}
    factors = [wn.Factor((v,), np.exp(random.normal(0, 0.5) * np.array([-1.0, 1.0]))) for v in states]
    for i in range(side):
        for j in range(side):
            for other in ((i + 1, j), (i, j + 1)):
                if max(other) < side:
                    coupling = random.normal(0, 0.5)
                    table = np.exp(coupling * np.array([[1.0, -1.0], [-1.0, 1.0]]))
                    factors.append(wn.Factor((f"s{i}_{j}", f"s{other[0]}_{other[1]}"), table))
    return wn.FactorNet(states, tuple(factors), f"Ising grid {side}×{side}")


def random_rows(net: wn.WorldNet | wn.FactorNet, rows: int, seed: int) -> np.ndarray:
    """Codes with each variable observed with probability `OBSERVED_SHARE`: states drawn from the net, or uniformly."""
    random = np.random.default_rng(seed)
    if isinstance(net, wn.WorldNet):
        codes = simulate(net, rows, seed)
    else:
        codes = random.integers(0, net.cardinalities, (rows, len(net.variables))).astype(np.int16)
    codes[random.random(codes.shape) >= OBSERVED_SHARE] = UNOBSERVED
    return codes


def pgmax_runner(net: wn.WorldNet | wn.FactorNet, dtype: str) -> Callable[[np.ndarray], np.ndarray]:
    """From codes to beliefs [rows, states] by PGMax."""
    import jax
    from jax import numpy as jnp

    if not hasattr(jax.lib, "xla_bridge"):  # PGMax 0.6.1 asks an older JAX for the name of the platform
        import types

        from jax.extend.backend import get_backend

        jax.lib.xla_bridge = types.SimpleNamespace(get_backend=get_backend)
    from pgmax import factor, fgraph, infer, vgroup

    double = dtype == "float64"
    with jax.enable_x64(double):
        nodes = vgroup.NDVarArray(num_states=np.array(net.cardinalities), shape=(len(net.variables),))
        graph = fgraph.FactorGraph(nodes)
        enumerated = []
        for scope, table in net.factors:
            cells = np.argwhere(table > 0)
            enumerated.append(
                factor.EnumFactor(
                    variables=[nodes[net.index[v]] for v in scope],
                    factor_configs=cells,
                    log_potentials=np.log(table[tuple(cells.T)]),
                )
            )
        graph.add_factors(enumerated)
        inferer = infer.build_inferer(graph.bp_state, backend="bp")
        arrays = inferer.init()
        arrays = jax.tree.map(lambda a: jnp.asarray(a, dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, arrays)
        widths = np.asarray(net.cardinalities)
        variable = np.repeat(np.arange(len(widths)), widths)
        state = np.concatenate([np.arange(c) for c in widths])
        bounds = np.cumsum([0, *widths])

        def one(evidence: Any) -> Any:
            import dataclasses

            ran = inferer.run(
                dataclasses.replace(arrays, evidence=evidence), num_iters=ROUNDS, damping=0.0, temperature=1.0
            )
            flat = evidence.at[inferer_states].add(ran.ftov_msgs)
            largest = jax.ops.segment_max(flat, variable, len(widths))
            weight = jnp.exp(flat - largest[variable])
            return weight / jax.ops.segment_sum(weight, variable, len(widths))[variable]

        from pgmax.infer.inferer import InfererContext

        inferer_states = jnp.asarray(InfererContext(graph.bp_state).var_states_for_edge_states)
        assert bounds[-1] == arrays.evidence.shape[0]
        batched = jax.jit(jax.vmap(one))

    def run(codes: np.ndarray) -> np.ndarray:
        observed = codes[:, variable]
        evidence = np.where((observed < 0) | (observed == state), 0.0, EXCLUDED).astype(dtype)
        with jax.enable_x64(double):
            return np.asarray(batched(evidence))

    return run


def measure(repeats: int = 7) -> str:
    """The markdown report of all nets."""
    if importlib.util.find_spec("pgmax") is None:
        return "PGMax is not installed: `pip install --no-deps pgmax`, then `python benchmarks/loopy.py`."
    return "\n\n".join(one_net(name, repeats=repeats) for name in NETS)


def one_net(name: str, rows: int = 256, repeats: int = 7, dtype: str = "float64") -> str:
    """The markdown report of one net: "grid" or the name of a public net."""
    net = ising_grid() if name == "grid" else wn.read_net(public_nets()[name])
    engine = wn.LoopyInference(net, dtype=dtype)
    settings = {"start": "uniform", "rounds": ROUNDS}
    contestants: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "worldnets": lambda codes: engine.query(codes, free_energy="last", **settings).table,
        "worldnets, free energy every round": lambda codes: engine.query(codes, **settings).table,
        "PGMax": pgmax_runner(net, dtype),
    }
    first: dict[str, float] = {}
    tables = {}
    for which, run in contestants.items():
        start = time.perf_counter()
        tables[which] = run(random_rows(net, rows, 1))
        first[which] = time.perf_counter() - start
    difference = float(np.abs(tables["worldnets"] - tables["PGMax"]).max())
    if not difference <= AGREEMENT[dtype]:
        raise SystemExit(f"PGMax and worldnets disagree on {name} by {difference:.2g}: nothing to compare")

    def contestant(run: Callable[[np.ndarray], np.ndarray]) -> Callable[[int], Callable[[], object]]:
        def prepare(repeat: int) -> Callable[[], object]:
            codes = random_rows(net, rows, 100 + repeat)
            return lambda: run(codes).sum()

        return prepare

    seconds = interleaved({which: contestant(run) for which, run in contestants.items()}, repeats)
    packages = ["worldnets", "jax", "numpy", "pgmax"]
    lines = [
        f"`{name}`: beliefs of {rows:,} rows after {ROUNDS} rounds, {OBSERVED_SHARE:.0%} observed at random, {dtype}.",
        where(packages),
        f"Medians of {repeats} interleaved repeats; the first call, which compiles, is apart.",
        "",
        "| engine | µs per row | rows per second | PGMax's time over it | first call, s |",
        "|---|---|---|---|---|",
    ]
    for which, taken in seconds.items():
        median = statistics.median(taken)
        ratio = median_ratio(seconds["PGMax"], taken)
        lines.append(
            f"| {which} | {median / rows * 1e6:,.1f} | {rows / median:,.0f} | {ratio:,.3g} | {first[which]:.1f} |"
        )
    lines += ["", f"Largest difference between any two beliefs: {difference:.1g}."]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=["alarm", "hailfinder", "grid"])
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--dtype", default="float64", choices=sorted(AGREEMENT))
    options = parser.parse_args()
    for name in options.nets:
        print(one_net(name, options.rows, options.repeats, options.dtype), end="\n\n", flush=True)
