"""The depth probe on its organisms: how often planted heads get the verdict they were planted for.

Writes the table of docs/probes/depth.md. `make validity` runs this.

    python benchmarks/validity.py [--repeats 1000]
"""

from __future__ import annotations

import argparse
import time

from generated import ROOT, write_block
from timing import versions

from probes.organisms import names, organism
from probes.organisms.base import Noise
from probes.organisms.mixtures import hidden_chain
from probes.organisms.validity import right_share

NOISES = {
    "sd .02": Noise(0.02),
    "sd .05": Noise(0.05),
    "sd .07": Noise(0.07),
    "sd .05, 512 shared clips": Noise(0.05, clips=512),
}


def table(repeats: int) -> str:
    """One row per organism, one column per amount of noise: share of right verdicts and its lower 95 % limit."""
    world, begun = hidden_chain(), time.perf_counter()
    lines = [f"| organism | right verdict | {' | '.join(NOISES)} |", "|---" * (2 + len(NOISES)) + "|"]
    for name in names():
        shares = [right_share(name, world, noise, repeats) for noise in NOISES.values()]
        cells = " | ".join(f"{share.estimate:.3f} (≥ {share.low:.3f})" for share in shares)
        lines.append(f"| {name} | {organism(name).verdict} | {cells} |")
    seconds = time.perf_counter() - begun
    how = f"{repeats:,} repeats each, seeds 0 … {repeats - 1}, in {seconds:.0f} s"
    lines += ["", f"{how}; {versions(['worldnets', 'numpy', 'scipy'])}."]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000)
    write_block(ROOT / "docs" / "probes" / "depth.md", "organisms", table(parser.parse_args().repeats))
