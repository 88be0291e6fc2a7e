"""Wall clock of fresh processes with a warm compile cache: what waiting for the first answer costs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from timing import where

FIRST_ANSWER = """
import pandas as pd, worldnets as wn
from worldnets.public_nets import public_nets
net = wn.read_net(public_nets()["alarm"])
assert wn.Inference(net).query(pd.DataFrame({"HR": ["HIGH"]})).possible[0]
"""
PROBES = str(Path(sys.executable).with_name("probes"))
COMMANDS = {
    "`import worldnets`": ([sys.executable, "-c", "import worldnets"], 0.6),
    "import, read alarm, query one row": ([sys.executable, "-c", FIRST_ANSWER], 1.0),
    "`probes list`": ([PROBES, "list"], 0.7),
}


def measure(repeats: int = 7) -> str:
    """The markdown table: median and range of seconds, interleaved."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for repeat in range(repeats + 1):
        for name, (command, _) in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if repeat:  # the first round warms caches
                seconds[name].append(time.perf_counter() - start)
    lines = [
        f"{where(['worldnets', 'numba', 'pandas'])} {repeats} interleaved repeats.",
        "",
        "| fresh process | median s | fastest | slowest | aim |",
        "|---|---|---|---|---|",
    ]
    for name, taken in seconds.items():
        row = (f"{statistics.median(taken):.2f}", f"{min(taken):.2f}", f"{max(taken):.2f}", f"≤ {COMMANDS[name][1]:g}")
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(measure())
