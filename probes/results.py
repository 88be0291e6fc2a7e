"""What a run found, as tables: verdicts, findings, failures. A pure function of the run directory's cells.

Conclusions are drawn on reading: a condition's cells (all its seed groups) go to its probe with the settings that the
suite fixed before the run. A condition of which cells are missing gets no verdict, and says so.
"""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probes.cells import GROUP, Cell, Condition
from probes.columns import FINDINGS, SCHEMA, VERDICTS_FIRST, VERDICTS_LAST, verdict_columns
from probes.store import Store
from probes.suite import Settings
from probes.tables import pandas_type, write_table
from worldnets.errors import StoreError, WorldnetsError
from worldnets.files import write_atomically
from worldnets.printable import printable

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from probes.cell_files import Keys
    from probes.columns import Column
    from probes.finding import Conclusion
    from probes.organism import Organism
    from probes.presentation import Presentation
    from probes.validity import Score

#: Conclusions that are kept in memory, and rows of a table that are made at a time: a run can have any number.
KEPT, PIECE = 1_000, 4_096

#: Columns that say which row of the verdict table something belongs to.
NAMES = ("world", "objective", "head", "inputs", "probe")


@dataclass(frozen=True)
class Concluded:
    """One condition and what came of it: a conclusion, or why there is none.

    Attributes:
        condition, conclusion: which, and what its probe says of it.
        missing: cells that are not there.
        problem, traceback: why there is no conclusion; where, if that was nothing foreseen.
        headlines: the probe's own columns of the verdict table, by target.
    """

    condition: Condition
    conclusion: Conclusion | None
    missing: int = 0
    problem: str = ""
    traceback: str = ""
    headlines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether there is a conclusion."""
        return self.conclusion is not None


class Results:
    """A run directory, read. `verdicts`, `findings` and `failures` are DataFrames, one row each."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.store.path

    @functools.cached_property
    def presentations(self) -> dict[str, Presentation]:
        """How each probe of the suite is shown, by its name, in the suite's order."""
        from probes.registry import probe

        names = dict.fromkeys(str(condition.probe["name"]) for condition in self.store.conditions)
        return {name: probe(name).presentation for name in names}

    @functools.cached_property
    def concluded(self) -> tuple[Concluded, ...]:
        """Every condition of the suite, in its order, with its conclusion where all its cells are there.

        All in memory: of a run of very many conditions look at `each` instead.
        """
        return tuple(self.each())

    def each(self) -> Iterator[Concluded]:
        """As `concluded`, one by one: of no more than `KEPT` conditions the conclusions are kept, others drawn anew."""
        if "concluded" in self.__dict__:
            yield from self.concluded
            return
        for number, condition in enumerate(self.store.conditions):
            one = self._kept.get(number) or self._conclude(condition)
            if number < KEPT:
                self._kept[number] = one
            yield one

    @functools.cached_property
    def _kept(self) -> dict[int, Concluded]:
        return {}

    @functools.cached_property
    def _finished(self) -> Keys:
        return self.store.finished()

    @functools.cached_property
    def _failed(self) -> set[str]:
        return self.store.failed()

    @functools.cached_property
    def _lines(self) -> _Lines:
        """A line or two of every condition: what is left in memory of a pass over all of them."""
        for _ in self._passing():
            pass
        lines: _Lines = self.__dict__["_lines"]
        return lines

    def _passing(self) -> Iterator[Concluded]:
        """Every condition once; after the last one `_lines` is known."""
        lines = _Lines(self.verdict_columns)
        for number, one in enumerate(self.each()):
            lines.add(number, one)
            yield one
        self.__dict__["_lines"] = lines

    @property
    def verdict_columns(self) -> tuple[Column, ...]:
        """The columns of `verdicts`: those of every run with those of its probes between them."""
        return verdict_columns(column for shown in self.presentations.values() for column in shown.columns)

    def measured(self, condition: Condition) -> list[dict[str, Any]]:
        """What the condition's cells hold, one per seed group; of the last group only the seeds asked for.

        Raises:
            StoreError: a cell is missing or damaged.
        """
        from probes.registry import REGISTRY

        cells = [self.store.read(cell) for cell in condition.cells]
        if condition.seeds % GROUP:
            probe = REGISTRY.get(str(condition.probe["name"]))()
            cells[-1] = probe.of_seeds(cells[-1], range(condition.seeds))
        return cells

    def _conclude(self, condition: Condition) -> Concluded:
        from probes.settings import configured

        absent = [cell.key for cell in condition.cells if cell.key not in self._finished]
        if absent:
            failed = sum(key in self._failed for key in absent)
            problem = f"{failed} of its cells failed" if failed else "not run yet"
            return Concluded(condition, None, len(absent), problem)
        name = str(condition.probe["name"])
        settings = self.store.suite.probes.get(name, Settings())
        try:
            conclusion = configured(name, {}, settings.conclude).conclude(self.measured(condition))
            shown = {target: self.presentations[name].headlines(conclusion, target) for target in conclusion.verdicts}
        except WorldnetsError as error:
            return Concluded(condition, None, 0, str(error))
        except Exception as error:  # noqa: BLE001 — cells may be a stranger's: what is in them is one condition's matter
            problem = f"its cells do not hold what the probe writes: {type(error).__name__}: {error}"
            return Concluded(condition, None, 0, printable(problem), traceback.format_exc())
        return Concluded(condition, conclusion, headlines=shown)

    @functools.cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row per condition and target, in suite order; conditions without a verdict are there, as "missing".

        Columns: world, objective, head, inputs, probe, target, verdict; the columns of the probes (of depth: efficiency
        and gap at the last step with _low and _high, pie and deep_pie in bits); p, survives_holm over the suite's
        primary conditions; seeds, diverged, seeds_needed; primary; reasons; title.
        """
        import pandas as pd

        frame = self._lines.frame()
        frame["survives_holm"] = pd.array(_holm(frame["p"], frame["primary"]), dtype="boolean")
        return frame

    @functools.cached_property
    def notes(self) -> dict[str, tuple[str, ...]]:
        """What every reader must know of a world, by its label: that its reference was learned, and how good it is."""
        return {label: tuple(own) for label, own in self._lines.notes.items()}

    @functools.cached_property
    def findings(self) -> pd.DataFrame:
        """One row per number, the columns of `FINDING_COLUMNS`."""
        import pandas as pd

        # An empty piece would make objects of the others' texts.
        return pd.concat([*self._found()] or [_typed(FINDINGS, [])], ignore_index=True)

    def _found(self) -> Iterator[pd.DataFrame]:
        """The findings in pieces, in one pass over the conditions."""
        rows: list[dict[str, Any]] = []
        for one in self._passing():
            if one.conclusion is not None:
                names = {**one.condition.names, "title": one.condition.title}
                rows += [{**names, **finding.to_dict()} for finding in one.conclusion]
            if len(rows) >= PIECE:
                yield _typed(FINDINGS, rows)
                rows = []
        if rows:
            yield _typed(FINDINGS, rows)

    @functools.cached_property
    def scores(self) -> dict[str, list[Score]]:
        """What probes said of the suite's planted organisms, by probe: of those that have been counted."""
        found: dict[str, list[Score]] = {}
        for organism, score in self._scored:
            own = found.setdefault(str(organism.probe["name"]), [])
            if not isinstance(score, str):
                own.append(score)
        return found

    @functools.cached_property
    def _scored(self) -> list[tuple[Organism, Score | str]]:
        """Every organism with its score, or why there is none; "" when it has not been counted."""
        scored: list[tuple[Organism, Score | str]] = []
        for organism in self.store.organisms:
            (cell,) = organism.cells
            try:
                scored.append((organism, organism.score(self.store.read(cell)) if self.store.has(cell) else ""))
            except StoreError as error:
                scored.append((organism, str(error)))
        return scored

    @functools.cached_property
    def failures(self) -> pd.DataFrame:
        """One row per cell that is not there, with its error and traceback ("" when it was not run yet).

        And one per condition whose cells are there and allow no conclusion.
        """
        import pandas as pd

        rows = []
        for number, problem, where in self._lines.without:
            condition = self.store.conditions[number]
            if problem is None:
                absent = (cell for cell in condition.cells if cell.key not in self._finished)
                rows += [{**condition.names, **self._absent(cell)} for cell in absent]
            else:
                what = {"cell": condition.title, "state": "no conclusion", "error": problem}
                rows.append({**condition.names, **what, "key": "", "traceback": where})
        for organism, score in self._scored:
            names = {**dict.fromkeys(NAMES, ""), "probe": str(organism.probe["name"])}
            if score == "":
                rows += [{**names, **self._absent(cell)} for cell in organism.cells]
            elif isinstance(score, str):
                what = {"cell": organism.title, "state": "no conclusion", "error": score, "key": "", "traceback": ""}
                rows.append({**names, **what})
        return pd.DataFrame(rows, columns=[*NAMES, "cell", "state", "error", "traceback", "key"])

    def _absent(self, cell: Cell) -> dict[str, str]:
        """Why a cell is not there."""
        said = (self.store.failure(cell) if cell.key in self._failed else None) or {}
        what = {"cell": cell.name, "state": "failed" if said else "missing", "key": cell.key}
        return what | {"error": said.get("error", ""), "traceback": said.get("traceback", "")}

    def to_pandas(self) -> pd.DataFrame:
        """The verdicts."""
        return self.verdicts

    def to_xarray(self, probe: str | None = None) -> xr.Dataset:
        """The findings of one probe as labelled arrays: curves over steps with their intervals, condition by condition.

        Args:
            probe: whose; may be left out where the suite has one. `found["efficiency, deep"].sel(target="answer")` are
                curves of all conditions, `found["efficiency, deep, low"]` their lower limits. Dimensions, coordinates
                and attributes are those of `probes.labelled.labelled`.

        Raises:
            MissingDependencyError: xarray is not installed (the extra `xarray`).
            StoreError: the run has findings of several probes and none is named, or none of that probe.
        """
        from probes.labelled import labelled

        found = labelled(self.findings, probe)
        return found.assign_attrs(suite=self.store.suite.name, schema=SCHEMA)

    def compact(self) -> None:
        """Write findings.parquet and verdicts.parquet into the run directory; they can be rebuilt at any time.

        Raises:
            StoreError: they cannot be written.
        """
        about = (self.store.suite.name, self.store.manifest["versions"])
        found = [self.findings] if "findings" in self.__dict__ else self._found()
        write_table(self.path / "findings.parquet", found, FINDINGS, "findings", *about)
        write_table(self.path / "verdicts.parquet", [self.verdicts], self.verdict_columns, "verdicts", *about)

    def report(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the HTML report, by default RUN/report.html, and return its path.

        Raises:
            StoreError: it cannot be written.
        """
        from probes.report import render

        try:
            page = render(self)
        except WorldnetsError:
            raise
        except Exception as error:  # cells may be a stranger's, and a figure shows what no conclusion looked at
            mend = "delete the cells that were made up or damaged, and run the same command again"
            what, found = "no report can be made of what the cells hold", f"{type(error).__name__}: {error}"
            raise StoreError(what, file=self.path, found=found, mend=mend) from error
        own = self.path / "report.html"
        # In the run directory, which may be a stranger's, no link is followed; elsewhere the user's own may be.
        return write_atomically(own if path is None else Path(path), page, follow_links=path is not None)

    def __repr__(self) -> str:
        counts = self.verdicts["verdict"].value_counts()
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        return f"Results({str(self.path)!r}, {self.store.suite.name}: {said})"

    def _repr_html_(self) -> str:
        common = {column.name for column in (*VERDICTS_FIRST, *VERDICTS_LAST)}
        own = [column.name for column in self.verdict_columns if column.name not in common]
        limits = tuple(f"{column}{end}" for column in own for end in ("_low", "_high"))
        shown = self.verdicts[["world", "objective", "target", "head", "inputs", "verdict"]]
        shown = shown.join(self.verdicts[[column for column in own if column not in limits]])
        from worldnets.draw.cards import card, frame

        absent = f"{len(self.failures)} failed or missing: .failures" if len(self.failures) else ""
        return card(repr(self), {"cells": absent}, frame(shown, 60, index=False))


FINDING_COLUMNS = tuple(column.name for column in FINDINGS)


def load(path: str | os.PathLike[str]) -> Results:
    """The results of a run directory.

    Raises:
        StoreError: there is none at the path, or it is damaged.
    """
    return Results(Store.open(path))


class _Lines:
    """What a pass over conditions keeps of each: its rows of the verdict table, notes, and why there is no verdict."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._frames: list[pd.DataFrame] = []
        self._rows: list[dict[str, Any]] = []
        self.notes: dict[str, dict[str, None]] = {}
        #: Of conditions without a conclusion: their position; None where cells are missing, else the problem and where.
        self.without: list[tuple[int, str | None, str]] = []

    def add(self, number: int, one: Concluded) -> None:
        names = {**one.condition.names, "title": one.condition.title, "primary": one.condition.primary}
        if one.conclusion is None:
            self._rows.append({**names, "target": "", "verdict": "missing", "reasons": one.problem})
            self.without.append((number, None if one.missing else one.problem, one.traceback))
        else:
            for target, verdict in one.conclusion.verdicts.items():
                row = {**names, "target": target, "verdict": verdict.name, "reasons": " ".join(verdict.reasons)}
                row |= one.headlines[target]
                row |= {"p": verdict.p, "seeds": verdict.seeds, "diverged": verdict.diverged}
                self._rows.append({**row, "seeds_needed": verdict.seeds_needed})
            if one.conclusion.notes:
                self.notes.setdefault(one.condition.label, {}).update(dict.fromkeys(one.conclusion.notes))
        if len(self._rows) >= PIECE:
            self._piece()

    def _piece(self) -> None:
        self._frames.append(_typed(self._columns, self._rows))
        self._rows = []

    def frame(self) -> pd.DataFrame:
        import pandas as pd

        if self._rows or not self._frames:
            self._piece()
        return pd.concat(self._frames, ignore_index=True)


def _typed(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of these columns; what a row lacks is missing in it."""
    import pandas as pd

    frame = pd.DataFrame(rows).reindex(columns=[column.name for column in columns])
    return frame.astype({column.name: pandas_type(column) for column in columns if column.kind != "text"})


def _holm(p: pd.Series, primary: pd.Series) -> list[bool | None]:
    """survives_holm: True or False for primary rows with a p, None elsewhere."""
    from probes.statistics import holm

    tested = {str(i): float(value) for i, value in enumerate(p) if primary.iloc[i] and value == value}
    survives = holm(tested) if tested else {}
    return [survives.get(str(i)) for i in range(len(p))]
