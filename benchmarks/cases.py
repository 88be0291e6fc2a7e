"""What is measured: nets, kinds of evidence, rows, and the call that worldnets is timed by."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from evidence_rows import PATTERNS, Rows, one_pattern, random_masks

import worldnets as wn
from worldnets.public_nets import public_nets

MODES = ("masks", "pattern")
THREADS: dict[str, int | None] = {"one": 1, "all": None}
# Rows of a repeat: as many as a user would ask for at once, fewer where that would take more than some seconds.
ROWS = {
    "alarm": {"masks": 5000, "pattern": 5000},
    "hailfinder": {"masks": 5000, "pattern": 5000},
    "win95pts": {"masks": 5000, "pattern": 5000},
    "andes": {"masks": 2000, "pattern": 2000},
    "pigs": {"masks": 1000, "pattern": 2000},
    "munin": {"masks": 200, "pattern": 500},
    "diabetes": {"masks": 250, "pattern": 250},
    "mildew": {"masks": 400, "pattern": 1000},
    "water": {"masks": 400, "pattern": 2000},
    "link": {"masks": 30, "pattern": 500},
}
OTHER_ROWS = 500  # of nets that no aim is set for


@dataclass(frozen=True)
class Case:
    """One net under one kind of evidence (one pattern, if that is the kind)."""

    net: wn.WorldNet
    mode: str
    pattern: int = 0

    def rows(self, count: int, seed: int) -> Rows:
        """Rows of this kind; other seeds give rows never seen."""
        if self.mode == "masks":
            return random_masks(self.net, count, seed)
        return one_pattern(self.net, self.pattern, count, 10_000 * self.pattern + seed)

    def __str__(self) -> str:
        return f"{self.net.name}, {self.mode}" + (f" {self.pattern}" if self.mode == "pattern" else "")


def cases(name: str, mode: str) -> list[Case]:
    """The cases of a net and a mode."""
    net = wn.read_net(public_nets()[name])
    return [Case(net, mode, pattern) for pattern in range(PATTERNS if mode == "pattern" else 1)]


def default_rows(name: str, mode: str) -> int:
    """Rows of a repeat."""
    return ROWS.get(name, {}).get(mode, OTHER_ROWS)


def ours(case: Case, threads: int | None, count: int) -> Callable[[int], Callable[[], float]]:
    """What worldnets takes per row: decoding, planning, all posteriors."""

    def prepare(repeat: int) -> Callable[[], float]:
        frame = case.rows(count, 1000 + repeat).frame
        engine = wn.Inference(case.net, threads=threads)

        def run() -> float:
            begun = time.perf_counter()
            table = engine.query(frame).table
            taken = time.perf_counter() - begun
            assert table.shape == (count, int(case.net.cardinalities.sum()))
            return taken / count

        return run

    return prepare


def warm(case: Case) -> None:
    """Have everything compiled and loaded; plans are not kept, as engines are not."""
    for threads in THREADS.values():
        wn.Inference(case.net, threads=threads).query(case.rows(16, 999).frame)
