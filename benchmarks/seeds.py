"""32 seeds of the MLP head: trained side by side, one after the other, and in loops of PyTorch and scikit-learn.

The same work for everyone: a net of two hidden layers of 64 ReLU units, Adam at .003, batches of 128 fresh clips of
`cue_parity`, 32 seeds, all of them the same clips. Timed is the training of all seeds in a warm process with every
step's loss kept:

- *side by side*: our compiled loop as `train` runs it: groups of 8 seeds, a thread for each processor;
- *one by one*: the same loop with one seed at a time, compiled once for all 32 (32 processes would compile 32 times);
- *PyTorch*: eager; of three forms of Adam, on one thread or all, the fastest in a short trial; losses fetched at the
  end; from the very parameters that our seeds begin with;
- *scikit-learn*: `MLPClassifier.partial_fit` without shuffling or penalty, one thread: more are slower.

Our loop makes the clips, too, while it trains. So wall time is taken twice: with *clips at hand* (blocks of them are
made before the clock starts; PyTorch and scikit-learn get arrays in the form they want) and with *clips made* (what one
sampler takes for all clips is added to the times of PyTorch and scikit-learn, who would need them as well). The peers'
loops are timed on a few seeds and multiplied, for each seed costs them the same. Processor time is that of clips at
hand, summed over threads: on a machine that others use it says more than wall time.

Before times count, losses are compared: ours with ours at the end; PyTorch's with ours over the first steps, where
equal parameters and clips must give equal trajectories; scikit-learn's, which begins elsewhere, at the end.

PyTorch may live in a Python of its own, named by the environment variable WORLDNETS_TORCH. Where neither that nor this
one has it, the report says so.

    WORLDNETS_TORCH=/path/to/python python benchmarks/seeds.py [--steps 1000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from timing import median_ratio, progress, taking_turns, where

import worldnets as wn
from worldnets import training_loop
from worldnets.inference.compiled import available_threads
from worldnets.training_groups import train_groups
from worldnets.training_plan import GROUP, Plan, plan_training

SEEDS, PEER_SEEDS = 32, 4
AIM_ALONE, AIM_PEERS = 0.6, 5.0  # largest share of 32 runs of one seed; smallest ratio to a peer's loop
EARLY, EARLY_AGREEMENT = 20, 1e-3  # steps in which PyTorch's mean loss must be ours, within so many bits
LATE_AGREEMENT = 0.05  # bits, mean loss over the last tenth of the steps
NET = {"width": 64, "depth": 2, "activation": "relu"}

Rows = tuple[np.ndarray, np.ndarray]


def planned() -> Plan:
    return plan_training(wn.load_dataset("cue_parity"), "mlp", "question", head_options=NET)


def trained(plan: Plan, steps: int, width: int) -> np.ndarray:
    """Train all seeds, `width` side by side, and groups of them on all processors if there is more than one in each.

    Returns:
        Losses in bits: of every step if these are few, else the means of the first nine tenths and of the last.
    """
    kept = tuple(range(1, steps + 1)) if steps <= EARLY else (steps - steps // 10, steps)
    if width == GROUP:
        groups = {group: range(width) for group in range(SEEDS // width)}
        runs = list(train_groups(plan, groups, kept, threads=available_threads()).values())
    else:
        train = training_loop.train_group
        runs = [train(plan, group, kept, range(width), width=width) for group in range(SEEDS // width)]
    return np.concatenate([run.losses for run in runs], axis=1)


@contextlib.contextmanager
def clips_at_hand(plan: Plan, steps: int, width: int) -> Iterator[None]:
    """Inside, the loop finds its blocks ready made."""
    make = training_loop._blocks
    made = {group: list(make(plan, group, 0, steps, width)) for group in range(SEEDS // width)}
    with mock.patch.object(training_loop, "_blocks", lambda plan, group, *_: iter(made[group])):
        yield


def clips_made(plan: Plan, steps: int) -> None:
    """Make all clips as features and outcomes, and nothing else."""
    for group in range(SEEDS // GROUP):
        for _ in training_loop._blocks(plan, group, 0, steps, GROUP):
            pass


def peer_rows(plan: Plan, steps: int) -> Rows:
    """Features [seeds, steps, batch, width] and outcomes [seeds, steps, batch] of the first seeds."""
    blocks = list(training_loop._blocks(plan, 0, 0, steps, GROUP))
    features = np.concatenate([block[1] for block in blocks])[:steps, :PEER_SEEDS].swapaxes(0, 1)
    outcomes = np.concatenate([block[2] for block in blocks])[:steps, :PEER_SEEDS, :, 0].swapaxes(0, 1)
    return np.ascontiguousarray(features), np.ascontiguousarray(outcomes)


def scikit_learn_losses(plan: Plan, rows: Rows) -> np.ndarray:
    """Train scikit-learn's perceptrons on these rows: losses in bits, [steps, seeds]."""
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    features, outcomes = rows
    losses = np.empty(features.shape[1::-1])
    with threadpool_limits(1):
        for seed in range(len(features)):
            net = MLPClassifier(
                (NET["width"],) * NET["depth"],
                alpha=0.0,
                batch_size=plan.batch,
                learning_rate_init=plan.learning_rate,
                shuffle=False,
                random_state=seed,
            )
            for step in range(len(losses)):
                net.partial_fit(features[seed, step], outcomes[seed, step], classes=(0, 1))
                losses[step, seed] = net.loss_
    return losses / np.log(2)


class Torch:
    """PyTorch in a process of its own, which trains on request.

    Raises:
        ModuleNotFoundError: no Python that has PyTorch is known.
    """

    def __init__(self, plan: Plan, rows: Rows, folder: Path) -> None:
        layers = {}
        for place in range(NET["depth"] + 1):
            for kind in ("weight", "bias"):
                own = [getattr(plan.build(seed).layers[place], kind) for seed in range(PEER_SEEDS)]
                layers[f"{kind}{place}"] = np.stack([np.asarray(leaf) for leaf in own])
        np.savez(folder / "rows.npz", features=rows[0], outcomes=rows[1], **layers)
        python = os.environ.get("WORLDNETS_TORCH", sys.executable)
        command = [python, str(Path(__file__).with_name("seeds_torch.py")), str(folder / "rows.npz")]
        try:
            self._child = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        except OSError as error:
            raise ModuleNotFoundError(str(error), name="torch") from error
        hello = self._line()
        if hello is None:
            self.close()
            raise ModuleNotFoundError("torch", name="torch")
        self.version = f"PyTorch {hello['version']}, {hello['form']}"

    def run(self, steps: int) -> dict[str, Any]:
        """Seconds, seconds of processors, and losses in bits [steps, seeds]."""
        assert self._child.stdin is not None
        self._child.stdin.write(f"{steps}\n")
        self._child.stdin.flush()
        answer = self._line()
        if answer is None:
            raise SystemExit("PyTorch's process ended before it answered")
        return answer

    def close(self) -> None:
        """End the process."""
        self._child.communicate()

    def _line(self) -> dict[str, Any] | None:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        return json.loads(line) if line.startswith("{") else None


@dataclass
class Times:
    """Seconds of all seeds, one entry per repeat; of processors, with clips at hand."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    processors: dict[str, list[float]] = field(default_factory=dict)

    def clock(self, name: str, work: Callable[[], object], scale: float = 1.0) -> Callable[[int], Callable[[], float]]:
        """A contestant's clock for `taking_turns`."""

        def run() -> float:
            wall, processors = time.perf_counter(), time.process_time()
            work()
            self.processors.setdefault(name, []).append(scale * (time.process_time() - processors))
            return scale * (time.perf_counter() - wall)

        return lambda repeat: run


def agreed(name: str, found: float, expected: float, most: float) -> str:
    """Refuse to compare times of trainings that end in different places."""
    if not abs(found - expected) <= most:
        raise SystemExit(f"{name}: a mean loss of {found:.4f} bits where ours is {expected:.4f}: nothing to compare")
    return f"{name} {abs(found - expected):.1g}"


def measure(steps: int = 1000, repeats: int = 5) -> str:
    """The markdown report."""
    plan, times, scale = planned(), Times(), SEEDS / PEER_SEEDS
    progress("seeds: compiling, and comparing losses")
    late, rows = trained(plan, steps, GROUP)[-1].mean(), peer_rows(plan, steps)
    notes = [agreed("ours, one by one", trained(plan, steps, 1)[-1].mean(), late, LATE_AGREEMENT)]

    def at_hand(width: int) -> Callable[[int], Callable[[], float]]:
        own = times.clock(names[width], lambda: trained(plan, steps, width))

        def run() -> float:
            with clips_at_hand(plan, steps, width):
                return own(0)()

        return lambda repeat: run

    names = {GROUP: "worldnets, side by side", 1: "worldnets, one by one"}
    contestants = {names[width]: at_hand(width) for width in (GROUP, 1)}
    for width in (GROUP, 1):
        label = f"{names[width]}, clips made"
        contestants[label] = times.clock(label, lambda width=width: trained(plan, steps, width))  # type: ignore[misc]
    contestants["clips"] = times.clock("clips", lambda: clips_made(plan, steps))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's
        tail = scikit_learn_losses(plan, rows)[-(steps // 10) :].mean()
        notes.append(agreed("scikit-learn", tail, late, LATE_AGREEMENT))
        contestants["scikit-learn"] = times.clock("scikit-learn", lambda: scikit_learn_losses(plan, rows), scale)
        torch = None
        try:
            torch = Torch(plan, rows, Path(folder))
        except ModuleNotFoundError:
            progress("seeds: no Python with PyTorch (WORLDNETS_TORCH)")
        else:
            progress(f"seeds: {torch.version}")
            gap = np.mean(torch.run(EARLY)["losses"], axis=1) - trained(plan, EARLY, GROUP)[:, :PEER_SEEDS].mean(axis=1)
            notes.append(agreed(f"PyTorch, in each of {EARLY} steps,", np.abs(gap).max(), 0.0, EARLY_AGREEMENT))

            def in_torch() -> float:
                answer = torch.run(steps)
                times.processors.setdefault("PyTorch", []).append(scale * answer["processors"])
                return scale * answer["seconds"]

            contestants["PyTorch"] = lambda repeat: in_torch
        progress(f"seeds: {repeats} repeats")
        times.wall = taking_turns(contestants, repeats)
        if torch is not None:
            torch.close()
    if hasattr(os, "getloadavg"):
        progress(f"seeds: load average {os.getloadavg()[1]:.1f}; above 2 on two processors, wall times say little")
    return report(times, steps, repeats, notes, None if torch is None else torch.version)


def report(times: Times, steps: int, repeats: int, notes: list[str], torch: str | None) -> str:
    """The table, and whether aims are reached."""
    wall, peers = times.wall, [peer for peer in ("PyTorch", "scikit-learn") if peer in times.wall]
    made = {
        name: wall[f"{name}, clips made"]
        if f"{name}, clips made" in wall
        else [own + clips for own, clips in zip(wall[name], wall["clips"], strict=True)]
        for name in ("worldnets, side by side", "worldnets, one by one", *peers)
    }
    first = "worldnets, side by side"
    lines = [
        f"{SEEDS} seeds of the MLP head (2×64), {steps:,} steps of Adam, batches of 128 clips of `cue_parity`.",
        where(["worldnets", "numpy", "jax", "optax", "scikit-learn"]),
        f"Medians of {repeats} interleaved repeats, warm; peers timed on {PEER_SEEDS} seeds and multiplied.",
        "",
        "| training | clips at hand, s | × side by side | clips made, s | × side by side | processors, s |",
        "|---|---|---|---|---|---|",
    ]
    for name in made:
        cells = [f"{statistics.median(wall[name]):.2f}", f"{median_ratio(wall[name], wall[first]):.2f}"]
        cells += [f"{statistics.median(made[name]):.2f}", f"{median_ratio(made[name], made[first]):.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} | {statistics.median(times.processors[name]):.2f} |")
    lines += ["", f"One sampler makes all clips in {statistics.median(wall['clips']):.2f} s.", ""]
    alone = "worldnets, one by one"
    shares = [1 / median_ratio(column[alone], column[first]) for column in (wall, made)]
    lines.append(_verdict(f"at most {AIM_ALONE} of one by one", shares, max(shares) <= AIM_ALONE, "{:.2f}"))
    for peer in peers:
        ratios = [median_ratio(column[peer], column[first]) for column in (wall, made)]
        lines.append(_verdict(f"{AIM_PEERS:g}× {peer}'s loop", ratios, min(ratios) >= AIM_PEERS, "{:.1f}×"))
    lines += ["", f"{torch or 'PyTorch was not measured: no Python known here has it'}."]
    return "\n".join([*lines, f"Mean losses differ from ours, in bits: {'; '.join(notes)}."])


def _verdict(aim: str, found: list[float], reached: bool, shape: str) -> str:
    at_hand, made = (shape.format(value) for value in found)
    return f"- Aim: {aim}. With clips at hand {at_hand}, with clips made {made}: {'' if reached else 'not '}reached."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    print(measure(options.steps, options.repeats))
