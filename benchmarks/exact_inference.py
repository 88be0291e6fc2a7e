"""All posteriors of alarm for 2,000 rows with 30 % observed at random, beside pyAgrum and pgmpy.

Rules: one process; every belief materialised; a table never seen before and a new engine in each repeat, so that
decoding and planning count (one row of the report keeps its engine, as a program would); peers are given `net.cpt`, the
renormalised tables; repeats interleaved, medians of paired ratios. Peers do fewer rows per repeat and are compared per
row. pyAgrum is the better of Lazy and Shafer-Shenoy.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from timing import interleaved, median_ratio, where

import worldnets as wn
from worldnets.inference import UNOBSERVED, decode, simulate
from worldnets.public_nets import public_nets

OBSERVED_SHARE = 0.3
AGREEMENT = 1e-9
OURS: dict[str, tuple[str, int | None, bool]] = {  # how columns are stored, threads, whether the engine is kept
    "text columns, all threads": ("str", None, False),
    "text columns, one thread": ("str", 1, False),
    "categorical columns, all threads": ("category", None, False),
    "text columns, all threads, engine kept": ("str", None, True),
}


def random_masks(net: wn.WorldNet, rows: int, seed: int) -> np.ndarray:
    """Rows drawn from the net with each variable observed with probability `OBSERVED_SHARE`, as codes."""
    codes = simulate(net, rows, seed)
    codes[np.random.default_rng(seed).random(codes.shape) >= OBSERVED_SHARE] = UNOBSERVED
    return codes


def to_pyagrum(net: wn.WorldNet) -> Any:
    """The same net in pyAgrum."""
    import pyagrum

    twin = pyagrum.BayesNet(net.name)
    for v in net.variables:
        twin.add(pyagrum.LabelizedVariable(v, v, [str(label) for label in net.states[v]]))
    for v in net.variables:
        for parent in net.parents(v):
            twin.addArc(parent, v)
    for v in net.variables:
        table, family = twin.cpt(v), [*net.parents(v), v]
        axes = [family.index(name) for name in reversed(list(table.names))]
        table[:] = np.ascontiguousarray(net.cpt(v).transpose(axes))
    return twin


def pyagrum_rows(twin: Any, engine_class: Any, net: wn.WorldNet, codes: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Every posterior of every row, one inference per row as its masks differ."""
    results = []
    for row in codes:
        engine = engine_class(twin)
        engine.setEvidence({v: int(c) for v, c in zip(net.variables, row, strict=True) if c != UNOBSERVED})
        engine.makeInference()
        results.append({v: engine.posterior(v).toarray() for v in net.variables})
    return results


def pgmpy_rows(oracle: Any, net: wn.WorldNet, codes: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Every posterior of every row by pgmpy: one elimination per variable, the only way that fits in memory here."""
    results = []
    for row in codes:
        observed = {v: net.states[v][c] for v, c in zip(net.variables, row, strict=True) if c != UNOBSERVED}
        hidden = [v for v in net.variables if v not in observed]
        results.append({v: oracle.query([v], evidence=observed, show_progress=False).values for v in hidden})
    return results


def agreement(net: wn.WorldNet, codes: np.ndarray, results: list[dict[str, np.ndarray]]) -> float:
    """Largest difference between a peer's posteriors and ours."""
    beliefs = wn.Inference(net).query(codes)
    return max(float(np.abs(beliefs[v][i] - p).max()) for i, row in enumerate(results) for v, p in row.items())


def measure(name: str = "alarm", rows: int = 2000, repeats: int = 7) -> str:
    """The markdown report of one net."""
    import pyagrum
    from pgmpy.inference import VariableElimination

    net = wn.read_net(public_nets()[name])
    twin, oracle = to_pyagrum(net), VariableElimination(net.to_pgmpy())
    # Compiled code is warm; plans are not, but for the contestant that keeps its engine.
    wn.Inference(net).query(random_masks(net, 64, 999))

    def ours(storage: str, threads: int | None, keep: bool) -> Callable[[int], Callable[[], object]]:
        kept = wn.Inference(net, threads=threads)
        kept.query(random_masks(net, rows, 998))

        def prepare(repeat: int) -> Callable[[], object]:
            engine = kept if keep else wn.Inference(net, threads=threads)
            table: pd.DataFrame = decode(net, random_masks(net, rows, 1000 + repeat)).astype(storage)
            return lambda: engine.query(table).table.sum()

        return prepare

    peer_rows = {"lazy": 40, "shafer-shenoy": 40, "pgmpy": 2}
    peers = {
        "lazy": lambda codes: pyagrum_rows(twin, pyagrum.LazyPropagation, net, codes),
        "shafer-shenoy": lambda codes: pyagrum_rows(twin, pyagrum.ShaferShenoyInference, net, codes),
        "pgmpy": lambda codes: pgmpy_rows(oracle, net, codes),
    }

    def peer(which: str) -> Callable[[int], Callable[[], object]]:
        def prepare(repeat: int) -> Callable[[], object]:
            codes = random_masks(net, peer_rows[which], 2000 + repeat)
            return lambda: peers[which](codes)

        return prepare

    worst = {which: agreement(net, codes := random_masks(net, 3, 5), run(codes)) for which, run in peers.items()}
    for which, difference in worst.items():
        if difference > AGREEMENT:
            raise SystemExit(f"{which} and worldnets disagree on {name} by {difference:.2g}: nothing to compare")
    contestants = {which: ours(*how) for which, how in OURS.items()} | {which: peer(which) for which in peers}
    seconds = interleaved(contestants, repeats)
    per_row = {which: [s / peer_rows.get(which, rows) * 1e6 for s in taken] for which, taken in seconds.items()}
    best_peer = min(("lazy", "shafer-shenoy"), key=lambda which: statistics.median(per_row[which]))
    lines = [
        f"`{name}`: all posteriors of {rows:,} rows, {OBSERVED_SHARE:.0%} observed at random, no two alike, float64.",
        f"{where(['worldnets', 'numba', 'numpy', 'pandas', 'pyagrum', 'pgmpy'])}",
        f"Medians of {repeats} interleaved repeats; pyAgrum is its {best_peer} engine, the faster of two.",
        "",
        "| engine | µs per row | pyAgrum's time over it | pgmpy's time over it |",
        "|---|---|---|---|",
    ]
    names = {best_peer: "pyAgrum", "pgmpy": "pgmpy"} | {which: f"worldnets, {which}" for which in OURS}
    for which, name_shown in names.items():
        taken = per_row[which]
        ratios = [median_ratio(per_row[other], taken) for other in (best_peer, "pgmpy")]
        lines.append(f"| {name_shown} | {statistics.median(taken):,.1f} | {ratios[0]:,.3g} | {ratios[1]:,.3g} |")
    lines.append("")
    lines.append(f"Largest difference between any two posteriors: {max(worst.values()):.1g}.")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", default=["alarm"])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    for one in options.nets:
        print(measure(one, options.rows, options.repeats))
