"""The probes on their organisms: how often what was planted gets the verdict it was planted for.

Writes the tables of docs/probes/depth.md and docs/probes/purity.md. `make validity` runs this.

    python benchmarks/validity.py [--only depth purity] [--repeats 1000]
"""

from __future__ import annotations

import argparse
import time

from generated import ROOT, write_block
from timing import versions

from probes.organisms import names, organism
from probes.organisms.base import Noise
from probes.organisms.mixtures import hidden_chain
from probes.organisms.purity_validity import coverage, false_claims, population, right_share_on_clips
from probes.organisms.purity_validity import right_share as right_share_of_world_models
from probes.organisms.validity import right_share
from probes.organisms.world_models import REGISTRY as WORLD_MODELS
from probes.organisms.world_models import small_truth
from probes.purity.truth import Sampling
from probes.statistics import Interval

NOISES = {
    "sd .02": Noise(0.02),
    "sd .05": Noise(0.05),
    "sd .07": Noise(0.07),
    "sd .05, 512 shared clips": Noise(0.05, clips=512),
}
CLIPS, RUNS_ON_CLIPS, POPULATION = 512, 200, 200
SPREAD = ("the_world", "hazy", "untrained")  # those whose shares differ from seed to seed
PROBES = ("depth", "purity")


def table(repeats: int) -> str:
    """One row per organism, one column per amount of noise: share of right verdicts and its lower 95 % limit."""
    world, begun = hidden_chain(), time.perf_counter()
    lines = [f"| organism | right verdict | {' | '.join(NOISES)} |", "|---" * (2 + len(NOISES)) + "|"]
    for name in names():
        shares = [right_share(name, world, noise, repeats) for noise in NOISES.values()]
        cells = " | ".join(map(written, shares))
        lines.append(f"| {name} | {organism(name).verdict} | {cells} |")
    seconds = time.perf_counter() - begun
    how = f"{repeats:,} repeats each, seeds 0 … {repeats - 1}, in {seconds:.0f} s"
    lines += ["", f"{how}; {versions(['worldnets', 'numpy', 'scipy'])}."]
    return "\n".join(lines)


def written(share: Interval) -> str:
    return f"{share.estimate:.3f} (≥ {share.low:.3f})"


def world_model_tables(repeats: int) -> tuple[str, str]:
    """Right verdicts of every kind of world-model; coverage and false claims of those that differ from seed to seed."""
    begun, quiet = time.perf_counter(), Sampling(losses=())
    truth = small_truth(quiet)
    runs = min(repeats, RUNS_ON_CLIPS)
    truths = [small_truth(Sampling(method="sample", clips=CLIPS, seed=s, losses=())) for s in range(runs)]
    lines = [f"| organism | what it is | right verdict | exact | {CLIPS} clips |", "|---" * 5 + "|"]
    more = [
        "| organism | coverage: structure | latents | do() | called pure at the margin | something called failed |",
        "|---" * 6 + "|",
    ]
    for name in WORLD_MODELS:
        kind, whole = WORLD_MODELS.get(name), population(name, truth, POPULATION)
        shares = right_share_of_world_models(name, whole, repeats), right_share_on_clips(name, truths)
        lines.append(f"| {name} | {kind.about} | {kind.verdict} | {' | '.join(map(written, shares))} |")
        if name in SPREAD:
            covered = coverage(name, whole, repeats)
            claimed = false_claims(name, whole, repeats)
            wrong = " | ".join(f"{claim.estimate:.3f} (≤ {claim.high:.3f})" for claim in claimed.values())
            more.append(f"| {name} | {' | '.join(map(written, covered.values()))} | {wrong} |")
    seconds = time.perf_counter() - begun
    how = f"{repeats:,} runs of 8 seeds each, {runs} through clips; all in {seconds:.0f} s"
    lines += ["", f"{how}; {versions(['worldnets', 'numpy', 'scipy'])}."]
    return "\n".join(lines), "\n".join(more)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--only", nargs="+", choices=PROBES, default=list(PROBES))
    options = parser.parse_args()
    pages = ROOT / "docs" / "probes"
    if "depth" in options.only:
        write_block(pages / "depth.md", "organisms", table(options.repeats))
    if "purity" in options.only:
        shares, intervals = world_model_tables(options.repeats)
        write_block(pages / "purity.md", "world-models", shares)
        write_block(pages / "purity.md", "world-model-intervals", intervals)
