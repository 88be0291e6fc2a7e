"""All posteriors of public nets for many rows of evidence, beside pyAgrum (and pgmpy, on alarm).

    python benchmarks/exact_inference.py [NET …] [--mode masks|pattern] [--rows N] [--repeats N] [--no-peers]

Rules: one process; every belief materialised; float64; a table never seen before and a new engine in each repeat, so
that decoding and planning count; peers are given `net.cpt`, one thread, and evidence ready to use; contestants take
turns. Peers answer fewer rows per repeat and are compared per row; the ratio is the median over repeats of their time
over ours, and for patterns the geometric mean of that over five patterns. pyAgrum is the faster of its engines, by
median, for each net and kind of evidence. `--no-peers` prints only what worldnets takes, and where it goes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import geometric_mean, median

from aims import AIMS
from cases import MODES, THREADS, Case, cases, default_rows, ours, warm
from evidence_rows import OBSERVED_SHARE, PATTERNS
from peers import Peer, agreement, pgmpy_peer, pyagrum_peers
from report import Report
from timing import median_ratio, progress, taking_turns, where
from tuning import ours_alone

import worldnets as wn
from worldnets.errors import CapacityError

PGMPY_NETS = ("alarm",)  # elsewhere one elimination per variable takes seconds per row
COMPARED = 3  # rows whose posteriors are compared with each peer's before anything is timed
TRIAL_SECONDS = 0.2  # for each way of using pyAgrum, before any is timed
PEER_SECONDS = 0.2  # of each peer in each repeat
REFUSED = "too much memory, refused"
WORTH_TIMING = 1.5  # a way of using pyAgrum this much slower than its fastest in the trial is not timed further


@dataclass(frozen=True)
class Timing:
    """Seconds per row of one case in every repeat, ours by threads, and of the faster pyAgrum."""

    ours: dict[str, list[float]]
    peer_name: str
    peer: list[float]
    pgmpy: list[float]
    difference: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """One line of the report: the cases of a net and a mode; figures are geometric means over cases.

    Without cases it says that worldnets refused, as it would have needed too much memory.
    """

    net: str
    mode: str
    rows: int
    cases: tuple[Timing, ...]

    def ours(self, threads: str) -> float:
        """Microseconds per row."""
        return geometric_mean(median(case.ours[threads]) for case in self.cases) * 1e6

    @property
    def peer(self) -> float:
        """Microseconds per row of pyAgrum."""
        return geometric_mean(median(case.peer) for case in self.cases) * 1e6

    def ratio(self, threads: str) -> float:
        """How many times faster than pyAgrum."""
        return geometric_mean(median_ratio(case.peer, case.ours[threads]) for case in self.cases)

    @property
    def aim(self) -> float | None:
        """The ratio wanted, all threads."""
        return getattr(AIMS[self.net], self.mode) if self.net in AIMS else None

    @property
    def reached(self) -> str:
        """Whether the aim was reached, as a word."""
        if self.aim is None:
            return "–"
        if not self.cases:
            return "no"
        return "yes" if self.ratio("all") >= self.aim else "no"


def fit_peers(case: Case, count: int) -> tuple[list[Peer], float, list[str]]:
    """The ways of using pyAgrum worth timing (at most two), the largest difference to our posteriors, and notes.

    Raises:
        SystemExit: none of them agrees with us, so that there is nothing to compare.
    """
    rows, agreeing, worst, notes = case.rows(count, 998), {}, 0.0, []
    beliefs = wn.Inference(case.net).query(rows.codes[:COMPARED])
    for peer in pyagrum_peers(case.net, same_pattern=case.mode == "pattern"):
        found = agreement(peer, rows, beliefs)
        if found.broken:
            notes.append(f"{case}: pyAgrum ({peer.name}) underflows in {found.broken} of {len(beliefs)} rows compared")
        if not found.holds:
            notes.append(f"{case}: pyAgrum ({peer.name}) differs by {found.difference:.2g} and is left out")
            continue
        worst = max(worst, found.difference)
        agreeing[peer] = peer.seconds_per_row(rows, TRIAL_SECONDS)()
    if not agreeing:
        raise SystemExit(f"{case}: no posteriors of pyAgrum agree with ours: {'; '.join(notes)}")
    fastest = min(agreeing.values())
    chosen = [peer for peer in agreeing if agreeing[peer] <= WORTH_TIMING * fastest]
    progress(f"  {case}: trial, µs per row: " + ", ".join(f"{p.name} {t * 1e6:,.0f}" for p, t in agreeing.items()))
    chosen = sorted(chosen, key=lambda peer: agreeing[peer])[:2]
    return chosen, worst, notes


def measure_case(case: Case, count: int, repeats: int) -> Timing:
    """Time one case beside its peers."""
    warm(case)
    chosen, worst, notes = fit_peers(case, count)
    others = list(chosen)
    if case.net.name in PGMPY_NETS and case.mode == "masks":
        pgmpy = pgmpy_peer(case.net)
        rows = case.rows(count, 998)
        found = agreement(pgmpy, rows, wn.Inference(case.net).query(rows.codes[:COMPARED]))
        if not found.holds or found.broken:
            raise SystemExit(f"{case}: pgmpy differs by {found.difference:.2g}")
        worst = max(worst, found.difference)
        others.append(pgmpy)

    def theirs(peer: Peer) -> Callable[[int], Callable[[], float]]:
        return lambda repeat: peer.seconds_per_row(case.rows(count, 1000 + repeat), PEER_SECONDS)

    contestants = {label: ours(case, threads, count) for label, threads in THREADS.items()}
    taken = taking_turns(contestants | {peer.name: theirs(peer) for peer in others}, repeats)
    best = min((peer.name for peer in chosen), key=lambda name: median(taken[name]))
    mine = {label: taken[label] for label in THREADS}
    return Timing(mine, best, taken[best], taken.get("pgmpy", []), worst, tuple(notes))


def of_each(mode: str, repeats: int) -> int:
    """Repeats of each case: patterns are several, and need fewer of each."""
    return repeats if mode == "masks" else max(3, repeats // 2)


def compare(names: list[str], modes: list[str], repeats: int, rows: int | None = None) -> Iterator[Comparison]:
    """Measure nets and modes one after the other."""
    for name in names:
        for mode in modes:
            count, begun = rows or default_rows(name, mode), time.perf_counter()
            try:
                timings = tuple(measure_case(case, count, of_each(mode, repeats)) for case in cases(name, mode))
            except CapacityError as refusal:
                progress(f"{name}, {mode}: refused: {refusal}")
                yield Comparison(name, mode, count, ())
                continue
            found = Comparison(name, mode, count, timings)
            aim = "no aim" if found.aim is None else f"aim {found.aim:g}"
            progress(
                f"{name}, {mode}: {found.ours('one'):,.1f} µs, all threads {found.ours('all'):,.1f}, "
                f"pyAgrum {found.peer:,.0f}: {found.ratio('one'):,.3g}× and {found.ratio('all'):,.3g}× ({aim}), "
                f"took {time.perf_counter() - begun:.0f} s"
            )
            yield found


def report(found: list[Comparison], repeats: int) -> Report:
    """The tables."""
    place = where(["worldnets", "numba", "numpy", "pandas", "pyagrum", "pgmpy"])
    how = (
        f"All posteriors of all variables, {OBSERVED_SHARE:.0%} of the variables observed, float64. “masks”: every row "
        f"observes others; “pattern”: all rows the same, geometric mean over {PATTERNS} patterns. "
        "pyAgrum on one thread."
    )
    lines = [
        how,
        place,
        f"Medians of {repeats} interleaved repeats ({of_each('pattern', repeats)} of each pattern), decoding and "
        "planning included; “faster” is pyAgrum's time over ours, repeat by repeat. pyAgrum is the faster of Lazy and "
        f"Shafer-Shenoy; what takes {WORTH_TIMING:g} times longer than its fastest in a short trial is not timed on.",
        "",
        "| net | evidence | rows | pyAgrum, µs per row | worldnets, one thread | all threads | faster, one thread "
        "| faster, all threads | aim | reached |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for c in found:
        if not c.cases:
            lines.append(f"| {c.net} | {c.mode} | {c.rows:,} | – | {REFUSED} | – | – | – | {_aim(c)} | {c.reached} |")
            continue
        engines = " / ".join(sorted({case.peer_name for case in c.cases}))
        ratios = f"{_figure(c.ratio('one'))}× | **{_figure(c.ratio('all'))}×**"
        lines.append(
            f"| {c.net} | {c.mode} | {c.rows:,} | {c.peer:,.0f} ({engines}) | {_figure(c.ours('one'))} | "
            f"{_figure(c.ours('all'))} | {ratios} | {_aim(c)} | {c.reached} |"
        )
    lines += ["", f"Largest difference between a posterior and its peer's: {_worst(found):.1g}."]
    for c in found:
        for case in c.cases:
            if case.pgmpy:
                lines.append(
                    f"pgmpy takes {median(case.pgmpy) * 1e6:,.0f} µs per row of {c.net} ({c.mode}): worldnets is "
                    f"{_figure(median_ratio(case.pgmpy, case.ours['all']))}× faster on all threads."
                )
    short = [f"{c.net}, {c.mode}" for c in found if c.reached == "no"]
    if any(c.aim is not None for c in found):
        lines.append(f"Aims not reached here: {'; '.join(short) or 'none'}.")
    notes = [note for c in found for case in c.cases for note in case.notes]
    lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return Report("\n".join(lines), _compact(found, how, place))


def _compact(found: list[Comparison], how: str, place: str) -> str:
    lines = [
        f"{how} Times faster than pyAgrum, all our threads (one thread), planning included.",
        place,
        "",
        "| net | masks | aim | µs per row | pattern | aim | µs per row |",
        "|---|---|---|---|---|---|---|",
    ]
    by_cell = {(c.net, c.mode): c for c in found}
    for net in dict.fromkeys(c.net for c in found):
        cells = [cell for mode in MODES for cell in _compact_cells(by_cell.get((net, mode)))]
        lines.append("| " + " | ".join([net, *cells]) + " |")
    return "\n".join(lines)


def _compact_cells(c: Comparison | None) -> tuple[str, str, str]:
    if c is None:
        return "–", "–", "–"
    if not c.cases:
        return REFUSED, _aim(c), "–"
    return f"**{_figure(c.ratio('all'))}×** ({_figure(c.ratio('one'))}×)", _aim(c), _figure(c.ours("all"))


def _figure(value: float) -> str:
    """Three digits, or all that stand before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _aim(c: Comparison) -> str:
    return "–" if c.aim is None else f"≥ {c.aim:g}×"


def _worst(found: list[Comparison]) -> float:
    return max((case.difference for c in found for case in c.cases), default=float("nan"))


def measure(names: list[str] | None = None, repeats: int = 5, rows: int | None = None) -> Report:
    """Both modes of the nets."""
    return report(list(compare(names or list(AIMS), list(MODES), repeats, rows)), repeats)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nets", nargs="*", default=list(AIMS), help=f"default: {' '.join(AIMS)}")
    parser.add_argument("--mode", choices=MODES, help="default: both")
    parser.add_argument("--rows", type=int, help="rows of a repeat; default: by net")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="only what worldnets takes, for tuning")
    options = parser.parse_args()
    modes = [options.mode] if options.mode else list(MODES)
    if options.no_peers:
        for line in ours_alone(options.nets, modes, options.repeats, options.rows):
            print(line, flush=True)
        return
    found = report(list(compare(options.nets, modes, options.repeats, options.rows)), options.repeats)
    print(found.full, "", found.compact, sep="\n")


if __name__ == "__main__":
    main()
