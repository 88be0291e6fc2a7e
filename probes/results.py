"""What a run found, as tables: verdicts, findings, failures. A pure function of the run directory's cells.

Conclusions are drawn on reading: a condition's cells (all its seed groups) go to its probe with the settings that the
suite fixed before the run. A condition of which cells are missing gets no verdict, and says so.
"""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Mapping
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

    from probes.columns import Column
    from probes.finding import Conclusion
    from probes.organism import Organism
    from probes.presentation import Presentation
    from probes.validity import Score

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
        """Every condition of the suite, in its order, with its conclusion where all its cells are there."""
        return tuple(self._conclude(condition) for condition in self.store.conditions)

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

        missing = sum(not self.store.has(cell) for cell in condition.cells)
        if missing:
            failed = sum(self.store.failure(cell) is not None for cell in condition.cells)
            return Concluded(condition, None, missing, f"{failed} of its cells failed" if failed else "not run yet")
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

        rows: list[dict[str, Any]] = []
        for one in self.concluded:
            names = {**one.condition.names, "title": one.condition.title, "primary": one.condition.primary}
            if one.conclusion is None:
                rows.append({**names, "target": "", "verdict": "missing", "reasons": one.problem})
                continue
            for target, verdict in one.conclusion.verdicts.items():
                row = {**names, "target": target, "verdict": verdict.name, "reasons": " ".join(verdict.reasons)}
                row |= one.headlines[target]
                row |= {"p": verdict.p, "seeds": verdict.seeds, "diverged": verdict.diverged}
                rows.append({**row, "seeds_needed": verdict.seeds_needed})
        _holm(rows)
        frame = pd.DataFrame(rows)
        return frame.reindex(columns=[column.name for column in self.verdict_columns]).astype(
            {column.name: pandas_type(column) for column in self.verdict_columns if column.kind != "text"}
        )

    @functools.cached_property
    def notes(self) -> dict[str, tuple[str, ...]]:
        """What every reader must know of a world, by its label: that its reference was learned, and how good it is."""
        found: dict[str, dict[str, None]] = {}
        for one in self.concluded:
            if one.conclusion is not None and one.conclusion.notes:
                found.setdefault(one.condition.label, {}).update(dict.fromkeys(one.conclusion.notes))
        return {label: tuple(own) for label, own in found.items()}

    @functools.cached_property
    def findings(self) -> pd.DataFrame:
        """One row per number, the columns of `FINDING_COLUMNS`."""
        import pandas as pd

        rows = [
            {**one.condition.names, "title": one.condition.title, **finding.to_dict()}
            for one in self.concluded
            if one.conclusion is not None
            for finding in one.conclusion
        ]
        return pd.DataFrame(rows, columns=[*FINDING_COLUMNS]).astype(
            {column.name: pandas_type(column) for column in FINDINGS if column.kind != "text"}
        )

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
        for one in self.concluded:
            for cell in one.condition.cells:
                if one.missing and not self.store.has(cell):
                    rows.append({**one.condition.names, **self._absent(cell)})
            if one.conclusion is None and not one.missing:
                what = {"cell": one.condition.title, "state": "no conclusion", "error": one.problem}
                rows.append({**one.condition.names, **what, "key": "", "traceback": one.traceback})
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
        said = self.store.failure(cell) or {}
        what = {"cell": cell.name, "state": "failed" if said else "missing", "key": cell.key}
        return what | {"error": said.get("error", ""), "traceback": said.get("traceback", "")}

    def to_pandas(self) -> pd.DataFrame:
        """The verdicts."""
        return self.verdicts

    def to_xarray(self, probe: str | None = None) -> xr.Dataset:
        """The findings of one probe as labelled arrays: curves over steps with their intervals, condition by condition.

        >>> results.to_xarray("depth")["efficiency, deep"].sel(target="answer").plot.line(x="step", hue="condition")

        Args:
            probe: whose; may be left out where the suite has one. Dimensions, coordinates and attributes are those of
                `probes.labelled.labelled`.

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
        tables = (("findings", self.findings, FINDINGS), ("verdicts", self.verdicts, self.verdict_columns))
        for name, frame, columns in tables:
            place = self.path / f"{name}.parquet"
            write_table(place, [frame], columns, name, self.store.suite.name, self.store.manifest["versions"])

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
        return str(shown.to_html(index=False, escape=True, float_format="{:.3f}".format, na_rep="–"))


FINDING_COLUMNS = tuple(column.name for column in FINDINGS)


def load(path: str | os.PathLike[str]) -> Results:
    """The results of a run directory.

    Raises:
        StoreError: there is none at the path, or it is damaged.
    """
    return Results(Store.open(path))


def _holm(rows: list[dict[str, Any]]) -> None:
    """Adds survives_holm: True or False for primary rows with a p, None elsewhere."""
    from probes.statistics import holm

    tested = {
        str(i): row["p"] for i, row in enumerate(rows) if row["primary"] and row.get("p", float("nan")) == row.get("p")
    }
    survives = holm(tested) if tested else {}
    for i, row in enumerate(rows):
        row["survives_holm"] = survives.get(str(i))
