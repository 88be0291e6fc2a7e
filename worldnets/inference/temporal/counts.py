"""Learning a two-slice net: family posteriors summed over rows and frames (E step), and tables from them (M step)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from worldnets.errors import EvidenceError
from worldnets.inference.temporal.beliefs import TemporalCounts
from worldnets.inference.temporal.chain import Chain, Entries, Layout, chain
from worldnets.inference.temporal.contraction import Array
from worldnets.inference.temporal.evidence import ClipCodes
from worldnets.inference.temporal.log_space import LogFrame
from worldnets.inference.temporal.process import Process
from worldnets.net import WorldNet
from worldnets.temporal import TwoSliceNet

if TYPE_CHECKING:
    from worldnets.inference.temporal.inference import TemporalInference


@dataclass(frozen=True, eq=False)
class ClipCounter:
    """Clips that are counted again and again, under several sets of tables at a time; made by `clip_counter`.

    Attributes:
        net: gives states and arrows; its tables play no part.
        clip, lengths, weights: [frames, variables, clips], [clips], [clips].
        layout: of the tables.
        chain: the compiled way; None where it would not pay.
    """

    net: TwoSliceNet
    clip: ClipCodes
    lengths: NDArray[np.int64]
    weights: NDArray[np.float64]
    layout: Layout
    chain: Chain | None
    threads: int
    memory_limit: float

    def count(self, entries: Entries) -> tuple[Entries, NDArray[np.float64]]:
        """Expected counts under each column of tables.

        Args:
            entries: [entries, columns].
        Returns:
            Σ_clips w·(posterior family marginals of all frames), [entries, columns]; ln W(e) [clips, columns], nats,
            -inf where impossible: such clips count nothing.
        """
        if self.chain is None:
            counts = np.zeros_like(entries)
            log_evidence = np.empty((self.clip.shape[2], entries.shape[1]))
            lost = np.ones(log_evidence.shape, dtype=np.bool_)
        else:
            found, log_evidence, lost = self.chain.count(entries, self.weights, self.threads)
            assert found is not None
            counts = found
        for column in np.flatnonzero(lost.any(axis=0)):
            rows = np.flatnonzero(lost[:, column])
            own = self._engine(entries[:, column])
            clip = self.clip if len(rows) == self.clip.shape[2] else np.ascontiguousarray(self.clip[:, :, rows])
            some = by_messages(own, clip, self.lengths[rows], self.weights[rows])
            counts[:, column] += self.layout.entries(some.initial, some.transition)
            log_evidence[rows, column] = some.log_evidence
        return counts, log_evidence

    def log_evidence(self, entries: Entries) -> NDArray[np.float64]:
        """ln W(e) of every clip under each column of tables, [clips, columns] in nats."""
        shape = (self.clip.shape[2], entries.shape[1])
        log_evidence, lost = np.empty(shape), np.ones(shape, dtype=np.bool_)
        if self.chain is not None:
            _, log_evidence, lost = self.chain.count(entries, None, self.threads)
        for column in np.flatnonzero(lost.any(axis=0)):
            rows = np.flatnonzero(lost[:, column])
            codes = self.clip[:, :, rows].transpose(2, 0, 1)
            log_evidence[rows, column] = self._engine(entries[:, column]).log_evidence(codes)
        return log_evidence

    def _engine(self, entries: Entries) -> TemporalInference:
        from worldnets.inference.temporal.inference import TemporalInference

        net = with_tables(self.net, *self.layout.tables(entries))
        return TemporalInference(net, "float64", self.threads, self.memory_limit)


def clip_counter(
    net: TwoSliceNet,
    clip: ClipCodes,
    lengths: NDArray[np.int64],
    weights: NDArray[np.float64],
    threads: int,
    memory_limit: float,
) -> ClipCounter:
    """Prepare clips for counting under any tables of a net's structure.

    Args:
        net: the structure.
        clip: [frames, variables, clips].
        lengths: [clips], from 0 to frames: later frames count nothing, and have no evidence.
        weights: [clips], how much each counts.
        threads, memory_limit: as `TemporalInference` takes them.
    """
    # Clips of no frame at all would have no first kind of frame.
    planned = chain(net, clip, lengths) if len(lengths) and lengths.min() > 0 else None
    return ClipCounter(net, clip, lengths, weights, Layout.of(net), planned, threads, memory_limit)


def temporal_counts(
    engine: TemporalInference, clip: ClipCodes, lengths: NDArray[np.int64], weights: NDArray[np.float64]
) -> TemporalCounts:
    """Sum posterior family marginals; see `TemporalInference.expected_counts`."""
    if engine.dtype == "float64":
        counter = clip_counter(engine.net, clip, lengths, weights, engine.threads, engine.memory_limit)
        if counter.chain is not None:
            entries = counter.layout.entries(engine.net.initial.cpts, engine.net.cpts)
            counts, log_evidence = counter.count(entries[:, None])
            return TemporalCounts(*counter.layout.tables(counts[:, 0]), log_evidence[:, 0])
    return by_messages(engine, clip, lengths, weights)


def by_messages(
    engine: TemporalInference, clip: ClipCodes, lengths: NDArray[np.int64], weights: NDArray[np.float64]
) -> TemporalCounts:
    """The same through the frame's junction tree: for interfaces of any size, and in log space where that is needed."""
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
                used = weights[first:end] * (normal[first:end] & (t <= lengths[first:end]))
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
                    weights=used,
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
        used = weights[some] * (possible[some] & (t <= lengths[some]))
        scopes = [tuple(sorted(frame.tree.families[v])) for v in process.variables]
        totals = [frame.posterior(scope) @ used for scope in scopes]
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


def with_tables(net: TwoSliceNet, initial: Mapping[str, ArrayLike], later: Mapping[str, ArrayLike]) -> TwoSliceNet:
    """The net with other tables: those of frame 1, and those of later frames."""
    first = WorldNet(net.states, net.initial.parent_sets, initial, net.initial.name)
    return TwoSliceNet(first, net.parents, later, net.name)


def tied_variables(net: TwoSliceNet) -> tuple[str, ...]:
    """The variables with the same parents, in the same order, in frame 1 as in later frames: emissions, most often."""
    return tuple(v for v in net.variables if net.initial.parents(v) == net.parents.get(v, ()))


def reestimate_over_time(
    net: TwoSliceNet, counts: TemporalCounts, pseudocount: float = 0.0, tied: bool = True
) -> TwoSliceNet:
    """The net whose tables are the normalised counts; see `worldnets.inference.reestimate`."""
    shared = set(tied_variables(net)) if tied else set()
    first = {v: counts.initial[v] + (counts.transition[v] if v in shared else 0.0) for v in net.variables}
    later = {v: first[v] if v in shared else counts.transition[v] for v in net.variables}
    lowest = min([pseudocount, *(float(table.min()) for tables in (first, later) for table in tables.values())])
    if not lowest >= 0:
        raise EvidenceError("counts must not be negative", found=lowest, mend="use weights and pseudocounts ≥ 0")
    return with_tables(
        net,
        {v: normalised(first[v], net.initial.cpt(v), pseudocount) for v in net.variables},
        {v: normalised(later[v], np.asarray(net.cpts[v]), pseudocount) for v in net.variables},
    )


def normalised(counts: NDArray[np.float64], before: NDArray[np.float64], pseudocount: float) -> NDArray[np.float64]:
    """Each distribution's share of its counts, and of a pseudocount wherever `before` is not zero; else `before`."""
    table = counts + pseudocount * (before > 0)
    total = table.sum(axis=-1, keepdims=True)
    return np.where(total > 0, table / np.where(total > 0, total, 1.0), before)
