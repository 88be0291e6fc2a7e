"""Learns the world-models of built-in datasets of real clips, keeps them in the datasets' folders, and writes their cards.

python benchmarks/learned_datasets.py
"""

from __future__ import annotations

import time

from generated import ROOT, write_block

import worldnets as wn
from worldnets.candidates import Candidates
from worldnets.clip_models import grid_neighbours
from worldnets.learned_world import learned_world, write_learned
from worldnets.worlds.digits import LEARNED


def digits() -> None:
    dataset = wn.load_dataset("digits")
    assert dataset.episodes is not None
    neighbours = grid_neighbours(dataset.parameters["rows"], dataset.parameters["columns"])
    begin = time.perf_counter()
    world = learned_world(
        dataset.episodes, context=dataset.parameters["context"], neighbours=neighbours, progress=print
    )
    print(f"{time.perf_counter() - begin:.0f} s")
    folder = ROOT / "datasets" / "digits"
    write_learned(folder / LEARNED, world)
    assert world.candidates is not None
    write_block(folder / "README.md", "candidates", table(world.candidates, repr(dataset.episodes)))


def table(candidates: Candidates, clips: str) -> str:
    text = (
        "Bits per clip, latents included unless said otherwise; ± one standard error over images. The one in bold has the "
        "fewest validation bits of those in which beliefs can be computed"
    )
    return f"`{clips}`\n\n{candidates.to_markdown()}\n\n{text}. Written by `make learned`."


if __name__ == "__main__":
    digits()
