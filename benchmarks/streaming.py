"""Clips from a parquet file larger than the memory allowed for them: speed, and the most memory the process ever took.

python benchmarks/streaming.py [CLIPS]

Each way of reading is a process of its own, because a process never gives back what it once took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from generated import ROOT, write_block

CLIPS = 4_000_000
MEMORY = 32 << 20
LENGTH, CELLS = 6, 8
PIECE = 100_000

WRITE = """
import sys
import numpy as np
from worldnets import ClipLayout, EpisodeWriter
path, clips, length, cells, piece = sys.argv[1], *map(int, sys.argv[2:6])
layout = ClipLayout({f"c{i}": (0, 1) for i in range(cells)}, length, {"label": tuple(range(10))})
random = np.random.default_rng(0)
with EpisodeWriter(path, layout, sources=True) as writer:
    for first in range(0, clips, piece):
        rows = min(piece, clips - first)
        codes = random.integers(0, 2, (rows, 1 + length * cells), dtype=np.int16)
        codes[:, 0] = random.integers(0, 10, rows)
        writer.write(codes, np.arange(first, first + rows) // 4)
"""

READ = """
import json, resource, sys, time
import pyarrow.parquet
from worldnets import EpisodeStream
from worldnets.episodes import Split
path, memory, share = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
begin = time.perf_counter()
stream = EpisodeStream(path, memory=memory)
opened, clips = time.perf_counter() - begin, stream.count("train")
blocks = max(1, int(share * clips) // 8192)
begin = time.perf_counter()
for block in range(blocks):
    for seed in range(8):  # as training does, every seed in its own order
        stream.draw(8192, seed, block * 8192)
seconds = time.perf_counter() - begin
print(json.dumps({"before": before, "peak": peak(), "opened": opened, "rows": blocks * 8 * 8192 / seconds,
                  "drawn": blocks * 8192 / clips, "buffer": stream.buffer_rows, "clips": len(stream)}))
"""


def _python(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def measure(clips: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clips.parquet"
        _python(WRITE, path, clips, LENGTH, CELLS, PIECE)
        size = path.stat().st_size
        found = [json.loads(_python(READ, path, MEMORY, share)) for share in (0.001, 0.05, 0.5)]
    decoded = clips * (1 + LENGTH * CELLS) * 2
    lines = [
        f"{clips:,} clips of {LENGTH} frames × {CELLS} nodes and a label: {decoded / 2**20:,.0f} MiB of codes, "
        f"{size / 2**20:,.0f} MiB on disk; buffers of {MEMORY >> 20} MiB in all, {decoded / MEMORY:.0f} times less. "
        "Eight seeds in turn, each in its own order, as in training.",
        "",
        "| epochs of each seed | peak memory of the process, MiB | of which before opening | clips per second |",
        "| --- | --- | --- | --- |",
        *(f"| {one['drawn']:.3f} | {one['peak']:,.0f} | {one['before']:,.0f} | {one['rows']:,.0f} |" for one in found),
        "",
        f"Opening, which counts every source, took {found[-1]['opened']:.1f} s. "
        "Written by `python benchmarks/streaming.py`.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else CLIPS
    write_block(ROOT / "docs" / "real-data.md", "streaming", measure(clips))
