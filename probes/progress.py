"""How a run tells people where it is: a live display on a terminal, plain lines in a log, nothing in scripts."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from worldnets.printable import printable

if TYPE_CHECKING:
    from probes.cells import Cell
    from probes.store import Store
    from probes.validity import Score


class Progress(Protocol):
    """Watches a run."""

    def watching(self, store: Store, total: int, reused: int, jobs: int) -> AbstractContextManager[object]:
        """Entered when the run begins, left when it ends, also by Ctrl-C."""

    def finished(self, cell: Cell, error: str | None, seconds: float) -> None:
        """A cell is stored, or has failed."""


class Quiet:
    """Says nothing."""

    def watching(self, store: Store, total: int, reused: int, jobs: int) -> AbstractContextManager[object]:
        """Nothing to set up."""
        return nullcontext()

    def finished(self, cell: Cell, error: str | None, seconds: float) -> None:
        """Not shown."""


class Lines:
    """One line per finished cell."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.total = self.count = 0
        self.begun = time.perf_counter()

    @contextmanager
    def watching(self, store: Store, total: int, reused: int, jobs: int) -> Iterator[None]:
        """Says what there is to do."""
        self.total, self.begun = total, time.perf_counter()
        again = f", {reused} already there" if reused else ""
        self._say(f"{total} cells to do{again}; {min(jobs, total) if total else jobs} at a time")
        yield

    def finished(self, cell: Cell, error: str | None, seconds: float) -> None:
        """Its name, how long it took, and how much longer the rest may take."""
        self.count += 1
        passed = time.perf_counter() - self.begun
        left = passed / self.count * (self.total - self.count)
        end = f"; about {duration(left)} left" if self.count < self.total else ""
        result = f"FAILED, {error}" if error else f"done in {duration(seconds)}"
        self._say(f"[{self.count}/{self.total}] {cell.name}: {result}{end}")

    def _say(self, line: str) -> None:
        print(printable(line, newlines=False), file=self.stream, flush=True)


class Live:
    """A bar over all cells and a line for each cell at work: step, loss in bits, time left."""

    def __init__(self, console: Any) -> None:
        self.console = console
        self.bars: Any = None
        self.overall: Any = None
        self.count = self.total = 0

    @contextmanager
    def watching(self, store: Store, total: int, reused: int, jobs: int) -> Iterator[None]:
        """Shows the display, redrawn from what the workers leave word of."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("[dim]{task.fields[note]}[/dim]"),
        )
        with Bars(*columns, console=self.console, transient=True, refresh_per_second=4) as self.bars:
            note = f"{reused} already there" if reused else ""
            self.overall = self.bars.add_task("[bold]cells[/bold]", total=total, note=note, left="")
            self.total = total
            stop = threading.Event()
            watcher = threading.Thread(target=self._watch, args=(store, stop), daemon=True)
            watcher.start()
            try:
                yield
            finally:
                stop.set()
                watcher.join()

    def _watch(self, store: Store, stop: threading.Event) -> None:
        from rich.markup import escape

        shown: dict[str, Any] = {}
        while not stop.wait(0.5):
            said = {str(state.get("name")): state for state in store.told()}
            for name in shown.keys() - said.keys():
                self.bars.remove_task(shown.pop(name))
            for name, state in said.items():
                # What workers leave is read back from the run directory: only numbers are taken for numbers.
                step, steps = (n if isinstance(n := state.get(key), int | float) else None for key in ("step", "steps"))
                if name not in shown:
                    shown[name] = self.bars.add_task(
                        "  " + escape(printable(name, newlines=False)), total=steps, note="", left=""
                    )
                loss = state.get("loss")
                note = escape(
                    printable(str(state.get("phase") or (f"loss {loss:.3f} bits" if isinstance(loss, float) else "")))
                )
                self.bars.update(shown[name], completed=step or 0, total=steps, note=note)
            at_work = 0.0
            for row in shown.values():
                own = self.bars.tasks[self.bars.task_ids.index(row)]
                at_work += own.percentage / 100
                self.bars.update(row, left=_left(own.elapsed, own.percentage / 100, 1.0))
            elapsed = self.bars.tasks[self.bars.task_ids.index(self.overall)].elapsed
            self.bars.update(self.overall, left=_left(elapsed, self.count + at_work, self.total))

    def finished(self, cell: Cell, error: str | None, seconds: float) -> None:
        """The bar moves on; a failure stays on the screen."""
        self.count += 1
        self.bars.update(self.overall, completed=self.count)
        if error:
            from rich.markup import escape

            self.console.print(f"[red]failed[/red] {escape(printable(cell.name))}: {escape(printable(error))}")


@contextmanager
def counting_lines(total: int, stream: TextIO | None = None) -> Iterator[Callable[[str, Score], None]]:
    """One line per organism that has been counted: what came out, and how much longer the rest may take."""
    begun, done = time.perf_counter(), 0

    def finished(probe: str, score: Score) -> None:
        nonlocal done
        done += 1
        left = (time.perf_counter() - begun) / done * (total - done)
        end = f"; about {duration(left)} left" if done < total else ""
        said = f"{score.share.estimate:.3f} {' or '.join(score.plant.claims)}"
        how = ", does not hold" if score.found == "no" else ""
        place = f"[{done}/{total}] {probe}/{score.plant.name}"
        print(f"{place}: {said}{how}{end}", file=stream or sys.stderr, flush=True)

    yield finished


@contextmanager
def counting_bar(console: Any, organisms: Mapping[str, int]) -> Iterator[Callable[[str, Score], None]]:
    """A bar per probe over its organisms, with the one that was counted last."""
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    note = TextColumn("[dim]{task.fields[note]}[/dim]")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        note,
    )
    with Bars(*columns, console=console, transient=True, refresh_per_second=4) as bars:
        rows = {probe: bars.add_task(escape(probe), total=total, note="") for probe, total in organisms.items()}

        def finished(probe: str, score: Score) -> None:
            bars.update(rows[probe], advance=1, note=escape(f"{score.plant.name}: {score.share.estimate:.3f}"))
            if score.found == "no":
                console.print(f"[red]does not hold[/red] {escape(f'{probe}/{score.plant.name}')}")

        yield finished


def _left(elapsed: float | None, done: float, total: float) -> str:
    """How much longer it takes if it goes on as it went."""
    return f"about {duration(elapsed / done * (total - done))} left" if elapsed and 0 < done < total else ""


def duration(seconds: float) -> str:
    """4.2 s, 3 min 10 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
