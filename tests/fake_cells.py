"""Cells whose measurement is a few random numbers, and what can go wrong with them."""

from probes.cells import Condition
from probes.pool import run_cells
from probes.store import Store
from probes.suite import read_suite

SUITE = '[suite]\nname = "tiny"\n[[jobs]]\nworld = "cue_parity"\nobjective = "question"\n'

FAKE = """
import os, time
from pathlib import Path
import numpy as np

def measure(cell, tell):
    seed = cell.group + cell.identity["training"]["steps"]
    tell({"step": 1, "steps": 2, "loss": 0.5})
    with open(os.environ["MEASURED"], "a") as stream:
        stream.write(cell.name + "\\n")
    options = cell.identity["head"]["options"]
    if "sleep" in options:
        time.sleep(options["sleep"])
    if cell.group == options.get("fail"):
        raise ValueError("planted failure")
    if cell.group == options.get("die"):
        os.kill(os.getpid(), 9)
    # What the cell's key does not know: the same cells go well once the file is gone.
    trouble = Path(os.environ["MEASURED"]).with_name("trouble.txt")
    if trouble.exists() and cell.group == 1:
        kind = trouble.read_text()
        if kind == "sleeps":
            time.sleep(600)
        if kind == "is killed":
            os.kill(os.getpid(), 9)
        if kind == "never looks up":
            import re
            re.match("(a+)+$", "a" * 60 + "b")
        if kind == "swallows memory":
            import resource
            before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (2**32, before[1]))
            try:
                np.ones(2**32)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
    assert {"OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "XLA_FLAGS"} <= os.environ.keys()
    return {"values": np.random.default_rng(seed).normal(size=(4, 8)), "seeds": list(range(8))}
"""


def conditions(seeds=16, **options):
    return [
        Condition(
            title=f"w/question/{head}/evidence",
            label="w",
            probe={"name": "depth", "version": 1, "measure": {}},
            world={"name": "w", "digest": world},
            source={"name": "w"},
            objective="question",
            head={"name": head, "options": options},
            inputs="evidence",
            training={"steps": 100},
            seeds=seeds,
        )
        for world in ("1", "2")
        for head in ("linear" + world, "mlp" + world)
    ]


def store(path):
    return Store.create(path, read_suite(SUITE))


def content(run):
    return {path.name: path.read_bytes() for path in (run.path / "cells").rglob("*.*")}


def go(run, cells, jobs=1, **more):
    return run_cells(run, cells, jobs, measure="fake_measure:measure", **more)
