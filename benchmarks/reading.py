"""Seconds to read each public net from its packed BIF file, beside pgmpy's reader on a few of them.

Reading is all of `read_net`: unpacking, parsing, and the checks of `WorldNet`. Before a time counts, both readers have
given the same tables.
"""

from __future__ import annotations

import gzip
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from timing import interleaved, median_ratio, where

from worldnets import WorldNet, read_net
from worldnets.public_nets import public_nets

AIM = 0.5
PEERS = ("alarm", "hailfinder", "andes", "pigs", "barley")  # pgmpy takes a minute and more over the largest
FRESH = "import sys, time, worldnets\nstart = worldnets.read_net and time.perf_counter()\n"
FRESH += "worldnets.read_net(sys.argv[1])\nprint(time.perf_counter() - start)"


def measure(repeats: int = 7) -> str:
    """The markdown tables: all nets, slowest first, and the comparison."""
    found = public_nets()
    contestants = {name: partial(ours, path) for name, path in found.items()}
    peers = [name for name in PEERS if name in found]
    contestants |= {f"pgmpy {name}": partial(theirs, found[name]) for name in peers}
    for name in peers:
        check_equal(found[name])
    taken = interleaved(contestants, repeats)
    median = {name: statistics.median(seconds) for name, seconds in taken.items()}
    order = sorted(found, key=lambda name: -median[name])
    lines = [
        f"{where(['worldnets', 'numpy', 'pgmpy'])} Medians of {repeats} interleaved repeats.",
        "",
        "| net | variables | table entries | median s | slowest s | aim |",
        "|---|---|---|---|---|---|",
    ]
    for name in order:
        net = read_net(found[name])
        entries = sum(table.size for _, table in net.factors)
        times = f"{median[name]:.4f} | {max(taken[name]):.4f}"
        lines.append(f"| {name} | {len(net.variables):,} | {entries:,} | {times} | ≤ {AIM:g} |")
    first = statistics.median(fresh(found[order[0]]) for _ in range(repeats))
    lines += ["", f"The first read of a fresh process, after its imports: `{order[0]}` in {first:.3f} s.", ""]
    lines += ["| net | worldnets s | pgmpy s | pgmpy's time over ours |", "|---|---|---|---|"]
    for name in peers:
        ratio = median_ratio(taken[f"pgmpy {name}"], taken[name])
        lines.append(f"| {name} | {median[name]:.4f} | {median[f'pgmpy {name}']:.3f} | {ratio:,.0f} |")
    return "\n".join(lines)


def ours(path: Path, _: int = 0) -> Callable[[], object]:
    """A read by this library, ready to be timed."""
    return partial(read_net, path)


def theirs(path: Path, _: int = 0) -> Callable[[], object]:
    """A read by pgmpy of the same packed file, up to a model that can be queried; its own imports are not timed."""
    from pgmpy.readwrite import BIFReader

    def run() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its parser's own deprecations
            return BIFReader(string=gzip.decompress(path.read_bytes()).decode()).get_model()

    return run


def check_equal(path: Path) -> None:
    """Refuse to compare readers that do not read the same net."""
    net, other = read_net(path), WorldNet.from_pgmpy(theirs(path)())
    for v in net.variables:
        order = [other.states[v].index(label) for label in net.states[v]]
        axes = [other.parents(v).index(p) for p in net.parents(v)]
        table = other.cpt(v).transpose([*axes, len(axes)])
        for axis, p in enumerate(net.parents(v)):
            table = np.take(table, [other.states[p].index(label) for label in net.states[p]], axis=axis)
        assert np.allclose(table[..., order], net.cpt(v), rtol=0, atol=1e-6), f"{path.name}: {v} differs"


def fresh(path: Path) -> float:
    """Seconds of the first read in a process of its own, the import not counted."""
    command = [sys.executable, "-c", FRESH, str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    print(measure())
