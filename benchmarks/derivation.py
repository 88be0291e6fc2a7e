"""Do heads derive their world? GRUs and transformers on few and on many Markov chains, and on hidden ones.

Trains each head on meta-worlds of more and more worlds, every frame predicted from all before it, holds every
checkpoint against memorizers and derivers, and writes the tables of docs/probes/derivation.md and those that the
notebook `03_do_heads_derive_their_world` draws. `make derivation` runs this; a run that is interrupted goes on where it
was.

    python benchmarks/derivation.py [--out runs/derivation] [--seeds 8] [--only gru transformer …] [--finished]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from generated import ROOT, write_block
from timing import versions

import worldnets as wn
from probes.catalogue.derivation import DerivationProbe
from probes.derivation.measured import positions_for
from probes.derivation.meta_worlds import SEARCHED, MetaWorld, Tokens, meta_world
from probes.derivation.predictors import counted, retrieved
from probes.derivation.references import Sampling, known
from probes.finding import Conclusion
from worldnets.step_answers import answers_at_each_step
from worldnets.trace import Trace

PAGE, TABLES = ROOT / "docs" / "probes" / "derivation.md", ROOT / "notebooks" / "derivation"
OBJECTIVE = "continuation_each_step"
CHAINS = {"tokens": 4, "alpha": 1.0, "frames": 33, "start": "uniform", "seed": 1}
HIDDEN = {"states": 2, "tokens": 4, "alpha": 0.3, "beta": 0.3, "frames": 33, "seed": 1}
HEADS: dict[str, dict[str, Any]] = {
    "gru": {"width": 48},
    "transformer": {"width": 24, "depth": 2, "heads": 4},
}
STEPS, BATCH, RATE, CHECKPOINTS = {"gru": 10_000, "transformer": 8_000}, 16, 3e-3, 16
COUNTS = {"gru": (4, 32, 256, 1024), "transformer": (4, 32, 256)}
HIDDEN_COUNTS = (4, 256)
#: What the notebook draws.
DRAWN = ("weight", "left by the mixture", "excess", "spread", "switch", "worth", "work", "description", "prequential",
         "memorizer and deriver apart", "break-even")  # fmt: skip
SAMPLING = Sampling()


@dataclass(frozen=True)
class Condition:
    """One head on one meta-world."""

    world: str
    count: int
    head: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.world}-{self.count}-{self.head}"

    @property
    def dataset(self) -> wn.Dataset:
        """The meta-world."""
        return wn.load_dataset(self.world, chains=self.count, **(CHAINS if self.world == "chains" else HIDDEN))


def conditions() -> list[Condition]:
    """All of them, small first."""
    found = [Condition("chains", count, head, HEADS[head]) for head, counts in COUNTS.items() for count in counts]
    return found + [Condition("hidden_chains", count, "gru", HEADS["gru"]) for count in HIDDEN_COUNTS]


def trained(one: Condition, seeds: int, out: Path) -> tuple[Trace, float]:
    """The trace, and the processor time its training took in all, seconds of one core."""
    clock, file = out / f"{one.name}.seconds", out / f"{one.name}.npz"
    known_for = float(json.loads(clock.read_text())) if clock.exists() else 0.0
    finished, began = file.exists(), time.process_time()
    trace = wn.train(one.dataset, one.head, OBJECTIVE, seeds=seeds, steps=STEPS[one.head], batch=BATCH,
                     learning_rate=RATE, checkpoints=CHECKPOINTS, head_options=one.options, save_to=file)  # fmt: skip
    if not finished:
        known_for += time.process_time() - began
        clock.write_text(json.dumps(known_for))
    return trace, known_for


def measured(one: Condition, trace: Trace, out: Path) -> dict[str, Any]:
    """What the probe measured, kept beside the trace."""
    arrays, about = out / f"{one.name}.cell.npz", out / f"{one.name}.cell.json"
    if not about.exists():
        cell = DerivationProbe(sampling=SAMPLING).measure(trace)
        np.savez(arrays, **cell["arrays"])
        about.write_text(json.dumps(cell["metadata"]))
    with np.load(arrays) as stored:
        return {"metadata": json.loads(about.read_text()), "arrays": dict(stored)}


def run_times(trace: Trace) -> dict[str, float]:
    """Microseconds per token of a clip: memorizer, deriver and one head, each on many clips at once."""
    about = known(trace.dataset, SAMPLING, positions_for(trace.plan, SAMPLING))
    clips, world = about.clips["outside"], meta_world(trace.dataset)
    every = range(1, world.frames)
    codes = world.codes(clips, len(trace.dataset.net.variables))
    answers = answers_at_each_step(trace, codes)
    asked = {
        "memorizer": lambda: retrieved(world.trained, clips, every),
        "deriver": lambda: derive(world, clips, every),
        "head": lambda: answers(-1),
    }
    found = {}
    for name, ask in asked.items():
        ask()
        began = time.perf_counter()
        ask()
        # Heads answer in whole groups of eight seeds and chunks of 1,024 rows.
        share = 8 * 1024 if name == "head" else len(clips)
        found[name] = (time.perf_counter() - began) / share / len(every) * 1e6
    return found


def derive(world: MetaWorld, clips: Tokens, positions: range) -> object:
    """Count, or search where counting is not enough."""
    if world.kind == "chains":
        return counted(clips, world.trained.tokens, float(world.parameters["alpha"]), positions)
    return retrieved(world.from_prior(SAMPLING.draws, SEARCHED), clips, positions)


def said(found: Conclusion, name: str, digits: int = 2) -> str:
    """A finding's last value with its interval."""
    last = found.last(name, "next token")
    if last is None:
        return "–"
    value = last.value
    if value.kind == "exact":
        return f"{value.estimate:,.{digits}f}"
    return f"{value.estimate:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}]".replace("-", "−")


def table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def verdict_rows(one: Condition, found: Conclusion, seconds: float) -> list[str]:
    verdict = found.verdict
    return [
        one.world, f"{one.count:,}", one.head, f"`{verdict.name}`",
        *(said(found, name) for name in ("weight of memorizers", "weight of derivers", "left by the mixture")),
        *(said(found, name, 3) for name in ("excess", "excess, training worlds", "spread")),
        said(found, "memorizer and deriver apart"), f"{seconds / 60:.1f}",
    ]  # fmt: skip


def cost_rows(one: Condition, found: Conclusion, times: dict[str, float]) -> list[str]:
    work = [said(found, f"work, {name}", 0) for name in ("memorizer", "deriver")]
    head = found.last("work, head", "next token")
    size = found.last("description, head", "next token")
    assert head is not None
    assert size is not None
    break_even = found.last("break-even", "next token")
    return [
        one.world, f"{one.count:,}", one.head, *work, f"{head.value.estimate:,.0f}",
        *(f"{times[name]:.2f}" for name in ("memorizer", "deriver", "head")),
        *(said(found, f"description, {name}", 0) for name in ("memorizer", "deriver")), f"{size.value.estimate:,.0f}",
        "∞" if break_even is None else f"{break_even.value.estimate:,.2f}",
        said(found, "prequential, saved by counting", 1),
    ]  # fmt: skip


def course_rows(one: Condition, found: Conclusion) -> list[dict[str, Any]]:
    about = {"world": one.world, "worlds": one.count, "head": one.head, "verdict": found.verdict.name}
    return [about | finding.to_dict() for finding in found if finding.name.startswith(DRAWN)]


def main() -> None:
    """Run, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "derivation")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--only", nargs="*", default=None, help="heads or worlds; tables are written for these alone")
    parser.add_argument("--finished", action="store_true", help="train nothing: tables of what has been measured")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    verdicts, costs, findings = [], [], []
    for one in conditions():
        if options.only and one.head not in options.only and one.world not in options.only:
            continue
        if options.finished and not (options.out / f"{one.name}.cell.json").exists():
            continue
        trace, seconds = trained(one, options.seeds, options.out)
        found = DerivationProbe().conclude([measured(one, trace, options.out)])
        print(f"{one.name}: trained in {seconds:.0f} s of one core, {found.verdict}", flush=True)
        verdicts.append(verdict_rows(one, found, seconds))
        costs.append(cost_rows(one, found, run_times(trace)))
        findings += course_rows(one, found)
    TABLES.mkdir(exist_ok=True)
    frame = pd.DataFrame(findings)
    frame.to_csv(TABLES / "findings.csv", index=False, float_format="%.6g")
    head = ("world", "worlds", "head", "verdict", "memorizers", "derivers", "left", "excess, held-out", "trained on",
            "spread over seeds", "apart", "core minutes")  # fmt: skip
    write_block(PAGE, "verdicts", table(head, verdicts))
    head = ("world", "worlds", "head", "work: memorizer", "deriver", "head", "µs: memorizer", "deriver", "head",
            "bits: memorizer", "deriver", "head", "n*, clips", "bits saved by counting")  # fmt: skip
    write_block(PAGE, "costs", table(head, costs))
    steps = ", ".join(f"{head} {count:,} steps" for head, count in STEPS.items())
    made = f"{options.seeds} seeds, {steps} of {BATCH} clips, Adam {RATE:g}"
    versioned = versions(["worldnets", "jax", "optax", "numpy", "scipy"])
    write_block(PAGE, "made", f"{made}; {np.unique(frame['verdict']).size} kinds of verdict; {versioned}.")


if __name__ == "__main__":
    main()
