"""The E-step of learning a two-slice net: family posteriors summed over rows and frames."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldnets.inference.temporal.beliefs import TemporalCounts
from worldnets.inference.temporal.contraction import Array
from worldnets.inference.temporal.evidence import ClipCodes
from worldnets.inference.temporal.log_space import LogFrame
from worldnets.inference.temporal.process import Process

if TYPE_CHECKING:
    from worldnets.inference.temporal.inference import TemporalInference


def temporal_counts(engine: TemporalInference, clip: ClipCodes, lengths: NDArray[np.int64]) -> TemporalCounts:
    """Sum posterior family marginals; see `TemporalInference.expected_counts`."""
    frames, _, rows = clip.shape
    observed = engine.observed(clip)
    increments = np.zeros((frames, rows))
    net = engine.net
    initial = {v: np.zeros(net.initial.cpt(v).shape) for v in net.variables}
    transition = {v: np.zeros(np.shape(net.cpts[v])) for v in net.variables}
    # Rows impossible in one part count nothing in any, so all forward passes come first.
    lost = engine.filter_pass(clip, frames, (), 1, {}, increments)
    possible = increments.sum(axis=0) > -np.inf
    normal = possible.copy()
    normal[lost] = False
    lock = threading.Lock()

    def work(first: int, end: int, stopped: threading.Event) -> None:
        chunk = clip[:, :, first:end]
        for process in engine.processes:
            alphas = engine.forward_pass(process, chunk, observed, np.zeros((frames, end - first)), stopped)
            beta: Array = process.no_future(end - first)
            sums: dict[bool, list[Array]] = {}
            for t in range(frames, 0, -1):
                if stopped.is_set():
                    return
                weights = (normal[first:end] & (t <= lengths[first:end])).astype(np.float64)
                past = alphas[t - 2] if t > 1 else None
                found = process.beliefs(
                    t,
                    chunk[t - 1],
                    observed,
                    past,
                    alphas[t - 1],
                    beta,
                    (),
                    process.variables,
                    backward=t > 1,
                    weights=weights,
                )
                counted = found[t > 1 :]
                known = sums.setdefault(t == 1, [np.zeros(one.shape) for one in counted])
                for total, one in zip(known, counted, strict=True):
                    total += one
                if t > 1:
                    beta = found[0]
            with lock:
                for is_first, totals in sums.items():
                    _add(process, initial if is_first else transition, is_first, totals)

    engine.over_rows(
        work, rows, engine.programs_backward(observed, (), families=True), frames * engine.interface_cells()
    )

    def visit(process: Process, some: NDArray[np.intp], t: int, frame: LogFrame) -> None:
        weights = (possible[some] & (t <= lengths[some])).astype(np.float64)
        scopes = [tuple(sorted(frame.tree.families[v])) for v in process.variables]
        totals = [frame.posterior(scope) @ weights for scope in scopes]
        _add(process, initial if t == 1 else transition, t == 1, totals)

    for _ in engine.log_passes(clip, lost, frames, visit):
        pass  # all that is wanted is the visits
    return TemporalCounts(initial, transition, increments.sum(axis=0))


def _add(process: Process, into: Mapping[str, Array], is_first: bool, totals: Sequence[Array]) -> None:
    """Add sums over ascending scopes to tables in the order of the families."""
    tree = process.first if is_first else process.later
    for v, total in zip(process.variables, totals, strict=True):
        family = tree.families[v]
        ordered = sorted(family)
        into[v][...] += total.transpose([ordered.index(u) for u in family])
